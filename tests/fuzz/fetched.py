"""Tars of models as a server hands them out: whatever is in them, only files of models come out, and stay inside."""

from __future__ import annotations

import gzip
import io
import shutil
import tarfile

from fuzz.archives import shape
from fuzz.target import Target, scratch, told
from stripwatch.errors import BadInput
from stripwatch.models.fetch.unpack import FILES, unpack

_MOST = 1 << 20
_PLACE = scratch()
_TAR, _INTO = _PLACE / "fetched.tar", _PLACE / "models"


def one(data: bytes) -> None:
    shutil.rmtree(_INTO, ignore_errors=True)
    _INTO.mkdir()
    _TAR.write_bytes(data)
    try:
        unpack(_TAR, _INTO, _MOST, "https://plant/models.tar")
    except BadInput as error:
        told(error)
    assert {path.name for path in _PLACE.iterdir()} == {"fetched.tar", "models"}
    for path in _INTO.rglob("*"):
        assert not path.is_symlink()
        assert path.is_dir() or (path.name in FILES and len(path.relative_to(_INTO).parts) == 3)
    assert sum(path.stat().st_size for path in _INTO.rglob("*") if path.is_file()) <= _MOST


def tarred(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name in ("./steel/2/manifest.json", "deep/" * 30 + "steel/2/model.onnx", "texture/1/head.onnx", "README"):
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(bytes(700)))
        link = tarfile.TarInfo("steel/2/reference.npz")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def seeds() -> list[bytes]:
    plain = [tarred(form) for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)]
    return [*plain, gzip.compress(plain[0], mtime=0)]


TARGET = Target("fetched", one, seeds, shape)
