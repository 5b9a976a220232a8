#!/bin/sh
# Installs the extra of one service with its locked dependencies under /opt/stripwatch: install.sh EXTRA. For the images only.
set -eu
python -m venv --without-pip /opt/stripwatch
pip --python /opt/stripwatch/bin/python install --no-cache-dir --disable-pip-version-check \
  --constraint /constraints.txt "stripwatch[$1,tracing] @ file://$(ls /dist/stripwatch-*.whl)"
pip --python /opt/stripwatch/bin/python check
# Nobody tests or type-checks libraries in an image: a tenth of its size.
find /opt/stripwatch \( -type d -name tests -prune -o -name '*.pyi' \) -exec rm -rf {} +
