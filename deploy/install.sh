#!/bin/sh
# Installs what one image needs, locked, under /opt/stripwatch: install.sh EXTRA MODULE... For the images only.
#
# A library's tests, stubs and debug symbols are of no use there. What MODULEs import, Python's own library too, is
# compiled once: over a read-only root every start and health check would do it anew. Compiled whole, it is 40 MB more.
set -eu
extra=$1
shift
python -m venv --without-pip /opt/stripwatch
pip --python /opt/stripwatch/bin/python install --no-cache-dir --no-compile --disable-pip-version-check \
  --constraint /constraints.txt "stripwatch[$extra,tracing] @ file://$(ls /dist/stripwatch-*.whl)"
pip --python /opt/stripwatch/bin/python check
find /opt/stripwatch \( -type d -name tests -prune -o -name '*.pyi' \) -exec rm -rf {} +
find /opt/stripwatch \( -name '*.cpython-*.so' -o -name '*.abi3.so' \) -exec strip --strip-debug {} +
for module in stripwatch.rpc.health "$@"; do
  PYTHONPYCACHEPREFIX=/opt/stripwatch/compiled /opt/stripwatch/bin/python -c "import $module"
done
