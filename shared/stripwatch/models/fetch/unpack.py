"""Files of models out of a tar: by their place NAME/VERSION/FILE, and nothing else of it."""

from __future__ import annotations

import lzma
import shutil
import struct
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from stripwatch.domain.model import ModelRef
from stripwatch.domain.names import shown
from stripwatch.errors import BadInput
from stripwatch.models.load import GRAPH, HEAD, REFERENCE
from stripwatch.models.manifest import FILE
from stripwatch.models.signature import FILE as SIGNATURE
from stripwatch.runtime.tars import Member

FILES = frozenset({FILE, SIGNATURE, GRAPH, HEAD, REFERENCE, "CARD.md"})
"""Of a model's folder; what else lies there nobody reads."""

_MOST_MEMBERS = 10_000
_BROKEN = (
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    # What tarfile lets through of a damaged header: text that is none, fields that are too short.
    ValueError,
    IndexError,
    KeyError,
    RuntimeError,
    struct.error,
)


def place_of(name: str) -> Path | None:
    """NAME/VERSION/FILE of a path that ends so; None for one that is no file of a model. BadInput if it leads out."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ".." in parts:
        raise BadInput(f"expected paths inside, got {shown(repr(name), 200)}")
    if len(parts) < 3 or parts[-1] not in FILES:
        return None
    try:
        ref = ModelRef(parts[-3], parts[-2])
    except BadInput:
        return None
    return Path(ref.name, ref.version, parts[-1])


def unpack(tar: Path, into: Path, most: int, name: str) -> int:
    """Writes the models' files under `into`; the bytes they take. BadInput for links, lies, and more than `most`."""
    took = 0
    try:
        with tarfile.open(tar, tarinfo=Member) as archive:
            for number, member in enumerate(archive):
                place = place_of(member.name)
                took += member.size
                _admit(member, number, took, most)
                content = archive.extractfile(member) if place and member.isfile() else None
                if place and content:
                    (into / place.parent).mkdir(parents=True, exist_ok=True)
                    with (into / place).open("xb") as file:
                        shutil.copyfileobj(content, file)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    except FileExistsError as error:
        raise BadInput(f"{name}: a file of a model is in it twice: {Path(error.filename).relative_to(into)}") from error
    except _BROKEN as error:
        what = shown(" ".join(str(error).split()), 200)
        raise BadInput(f"{name}: expected a tar, got a damaged one or another kind of file: {what}") from error
    return took


def _admit(member: tarfile.TarInfo, number: int, took: int, most: int) -> None:
    if not (member.isfile() or member.isdir()) or member.issparse() or member.size < 0:
        raise BadInput(f"expected files and folders, got a link or device: {shown(member.name, 200)}")
    if number >= _MOST_MEMBERS or took > most:
        raise BadInput(f"expected at most {_MOST_MEMBERS} files and folders of {most} bytes together, got more")
