"""Data sets as archives: zip and tar, every image of them read."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from random import Random

from fuzz.images import palette, png
from fuzz.target import Target, scratch, told
from stripwatch.datasets.files import open_files
from stripwatch.errors import BadInput

_FILE = scratch() / "set"
_HEADER = 512


def one(data: bytes) -> None:
    _FILE.write_bytes(data)
    try:
        files = open_files(_FILE)
    except BadInput as error:
        told(error)
        return
    for name in files.names:
        try:
            files.read(name)
        except BadInput as error:
            told(error)


def zipped(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a/one.png", png())
        archive.writestr("b/two.png", palette())
    return out.getvalue()


def tarred(form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in (("a/one.png", png()), ("b/" + "long" * 40 + "é.png", palette())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def seeds() -> list[bytes]:
    packed = map(zipped, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    plain = [tarred(form) for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)]
    return [*packed, *plain, gzip.compress(plain[0], mtime=0)]


def shape(data: bytes, random: Random) -> bytes:
    """A tar's header sums hold, mostly."""
    if data[257:262] != b"ustar" or random.random() < 0.1:
        return data
    out = bytearray(data)
    for at in range(0, len(out) - _HEADER + 1, _HEADER):
        if out[at + 257 : at + 262] == b"ustar":
            block = bytes(out[at : at + 148]) + b" " * 8 + bytes(out[at + 156 : at + _HEADER])
            struct.pack_into("8s", out, at + 148, b"%06o\0 " % sum(block))
    return bytes(out)


TARGET = Target("archives", one, seeds, shape)
