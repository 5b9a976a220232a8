"""The image files of a folder or an archive, read where they lie: nothing is ever extracted to disk."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Protocol

from stripwatch.domain.names import shown
from stripwatch.errors import BadInput
from stripwatch.runtime.tars import Member

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png"})
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")

MOST_FILES = 200_000
MOST_BYTES = 2 << 30
"""Of an archive, unpacked: a small file may unpack to anything."""
LARGEST_FILE = 64 << 20

_LONGEST_NAME = 4096

_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    # What both modules let through of a damaged header: text that is none, fields that are too short.
    ValueError,
    IndexError,
    KeyError,
    struct.error,
)


class Files(Protocol):
    """Image files by their path under the source, `/` between parts; and the folders that hold no file at all."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def empty(self) -> tuple[str, ...]: ...
    def read(self, name: str) -> bytes:
        """BadInput, naming the file, if it cannot be read."""


def open_files(source: Path) -> Files:
    """The images in a folder, a zip or a tar. BadInput where it is none of these, damaged, too large or unsafe.

    Files and folders whose name begins with `.` or `_` are passed over: notes, masks, what a Mac leaves behind.
    """
    if source.is_dir():
        return _Folder(source)
    if not source.is_file():
        raise BadInput(f"{source}: expected a folder or an archive ({', '.join(ARCHIVES)}), there is none")
    try:
        if zipfile.is_zipfile(source):
            return _Zip(source)
        if tarfile.is_tarfile(source):
            return _Tar(source)
    except _BROKEN as error:
        raise BadInput(f"{source}: damaged or not readable: {error}") from error
    raise BadInput(f"{source}: expected a folder or an archive ({', '.join(ARCHIVES)}), got another kind of file")


class _Folder:
    """A folder, however deep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        paths = [path for path in folder.rglob("*") if _wanted(path.relative_to(folder).as_posix())]
        self.names = tuple(sorted(self._under(path) for path in paths if _is_image(path.name) and path.is_file()))
        self.empty = tuple(sorted(self._under(path) for path in paths if path.is_dir() and not any(path.iterdir())))

    def read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            size = path.stat().st_size
            if size > LARGEST_FILE:
                raise BadInput(f"{name}: expected at most {LARGEST_FILE >> 20} MiB, got {size >> 20}")
            return path.read_bytes()
        except OSError as error:
            raise BadInput(f"{name}: cannot be read: {error.strerror}") from error

    def _under(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


class _Zip:
    """A zip, whose members are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        members = _Members(path)
        for one in self._zip.infolist():
            members.admit(one.filename, one.file_size, is_folder=one.is_dir())
        self.names, self.empty = members.images(), members.without_files()

    def read(self, name: str) -> bytes:
        try:
            with self._zip.open(name) as member:
                return member.read(LARGEST_FILE)  # without a limit all is unpacked before its size is compared
        except _BROKEN as error:
            raise BadInput(f"{name}: cannot be read from the archive: {error}") from error


class _Tar:
    """A tar, whose images are held in memory: a compressed one can only be read from front to back."""

    def __init__(self, path: Path) -> None:
        self._data: dict[str, bytes] = {}
        members = _Members(path)
        with tarfile.open(path, tarinfo=Member) as archive:
            for one in archive:
                name = one.name.removeprefix("./")
                if not (one.isfile() or one.isdir()):
                    raise BadInput(f"{path}: expected files and folders, got a link or device: {one.name}")
                members.admit(name, one.size, is_folder=one.isdir())
                content = archive.extractfile(one) if one.isfile() and _is_image(name) and _wanted(name) else None
                if content is not None:
                    self._data[name] = content.read()
        self.names, self.empty = members.images(), members.without_files()

    def read(self, name: str) -> bytes:
        return self._data[name]


class _Members:
    """What an archive says it holds; BadInput for what leads out of it, comes twice, or is more than anyone needs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._bytes = 0

    def admit(self, name: str, size: int, *, is_folder: bool) -> None:
        if len(name) > _LONGEST_NAME or shown(name, _LONGEST_NAME) != name:
            raise BadInput(f"{self._path}: expected names of printable characters, got {shown(repr(name), 80)}")
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or ".." in parts or (parts and ":" in parts[0]):
            raise BadInput(f"{self._path}: expected paths inside the archive, got {name!r}")
        if is_folder:
            self._folders.add(name.rstrip("/"))
            return
        if name in self._files:
            raise BadInput(f"{self._path}: {name} is in it twice")
        if size > LARGEST_FILE and _is_image(name):
            raise BadInput(f"{self._path}: {name}: expected at most {LARGEST_FILE >> 20} MiB, got {size >> 20}")
        self._files.add(name)
        self._bytes += size
        if self._bytes > MOST_BYTES or len(self._files) > MOST_FILES:
            raise BadInput(f"{self._path}: expected at most {MOST_FILES} files of {MOST_BYTES >> 30} GiB together")

    def images(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self._files if _is_image(name) and _wanted(name)))

    def without_files(self) -> tuple[str, ...]:
        """Folders under which there is no file."""
        used = {str(parent) for name in self._files for parent in PurePosixPath(name).parents}
        return tuple(sorted(one for one in self._folders - used - {"", "."} if _wanted(one)))


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _wanted(path: str) -> bool:
    return not any(part.startswith((".", "_")) for part in PurePosixPath(path).parts)
