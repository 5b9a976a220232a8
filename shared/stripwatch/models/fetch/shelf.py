"""The folder that fetched models go to: each is there whole and checked, or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stripwatch.domain.model import ModelRef
from stripwatch.errors import BadInput, Conflict, ModelInvalid, SettingsInvalid
from stripwatch.models.load import check_files
from stripwatch.models.manifest import FILE, manifest_bytes, read_manifest
from stripwatch.models.signature import PublicKey
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.whole import write_whole

_LOCK = ".fetch.lock"
_WORK = ".fetch-"
_RECORDS = ".fetched"
"""Holds for each address, by its hash, the hashes of the manifests that came from there."""
_LOOK_S = 0.2


class Shelf:
    """One folder. Those who fetch into it at once take turns: what the first brought the others find."""

    def __init__(self, folder: Path, key: PublicKey | None) -> None:
        self._folder, self._key = folder, key

    @contextmanager
    def held(self, deadline: Deadline) -> Iterator[None]:
        """Ours until the block ends. SettingsInvalid if nobody can write there, Conflict if it does not become ours."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / _LOCK).open("a")
        except OSError as error:
            raise self._cannot(error) from error
        with lock:
            while not self._locked(lock.fileno()):
                if not deadline.left():
                    raise Conflict(f"{self._folder}: another process fetches models there, and the time is over")
                time.sleep(_LOOK_S)
            for left in self._folder.glob(f"{_WORK}*/"):  # of one that was killed: whoever works there holds the lock
                shutil.rmtree(left, ignore_errors=True)
            try:
                yield
            except OSError as error:
                raise self._cannot(error) from error

    @contextmanager
    def work(self) -> Iterator[Path]:
        """A folder on the same disk, gone with the block."""
        with tempfile.TemporaryDirectory(prefix=_WORK, dir=self._folder) as folder:
            yield Path(folder)

    def has(self, sha256: str) -> list[ModelRef]:
        """The models that came from the address of this hash, if they are all there and whole; none otherwise."""
        try:
            came = json.loads((self._folder / _RECORDS / sha256).read_text(encoding="utf-8"))
            refs = {ModelRef.parse(name): manifest for name, manifest in came.items()}
        except (OSError, ValueError, AttributeError, BadInput):
            return []
        return list(refs) if all(self._whole(ref, manifest) for ref, manifest in refs.items()) else []

    def put(self, sha256: str, work: Path) -> list[ModelRef]:
        """Checks every model under `work`, as a service does before it loads one, then moves them here.

        ModelInvalid for one that is not whole, then none is moved; Conflict if another of its name and version is here.
        """
        found = {ModelRef(path.parent.name, path.name): path for path in sorted(work.glob("*/*"))}
        if not found:
            raise BadInput("expected a model: files NAME/VERSION/manifest.json and what it names, got none")
        came = {}
        for ref, path in found.items():
            check_files(path, read_manifest(path, self._key))
            came[ref] = hashlib.sha256(manifest_bytes(path)).hexdigest()
        missing = [ref for ref, manifest in came.items() if not self._here(ref, manifest)]
        for ref in missing:
            place = self._folder / ref.name / ref.version
            if place.exists():
                place.rename(work / f"{ref.name}~{ref.version}")  # a damaged one
            place.parent.mkdir(exist_ok=True)
            found[ref].rename(place)
        record = json.dumps({str(ref): manifest for ref, manifest in came.items()})
        write_whole(self._folder / _RECORDS / sha256, record + "\n")
        return list(came)

    def _here(self, ref: ModelRef, manifest: str) -> bool:
        """Whether that very model is here; Conflict for a whole one that is another."""
        place = self._folder / ref.name / ref.version
        if self._whole(ref, manifest):
            return True
        try:
            check_files(place, read_manifest(place))
        except ModelInvalid:
            return False
        raise Conflict(
            f"{place}: another model of this name and version is here: open runs may be pinned to it; give the new one "
            "another version, or take this folder away"
        )

    def _whole(self, ref: ModelRef, manifest: str) -> bool:
        place = self._folder / ref.name / ref.version
        try:
            if hashlib.sha256((place / FILE).read_bytes()).hexdigest() != manifest:
                return False
            check_files(place, read_manifest(place, self._key))
        except (OSError, ModelInvalid):
            return False
        return True

    def _locked(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._cannot(error) from error
        return True

    def _cannot(self, error: OSError) -> SettingsInvalid:
        return SettingsInvalid(f"STRIPWATCH_MODELS: {self._folder}: cannot be written: {error.strerror}")
