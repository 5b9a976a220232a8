"""The models that a service holds: loaded once, new versions beside the old ones, refusals remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stripwatch.domain.model import ModelKind, ModelRef, ModelSpec
from stripwatch.errors import ModelInvalid, ModelNotReady, NotFound, Overloaded, StripwatchError, Unavailable
from stripwatch.models.batching import Batcher
from stripwatch.models.load import GRAPH, HEAD, REFERENCE, LoadedModel
from stripwatch.models.manifest import FILE, read_manifest
from stripwatch.models.signature import FILE as SIGNATURE
from stripwatch.models.store import ModelFolder, ModelStore, version_key
from stripwatch.ports import Engine
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.metrics.engines import served_no_more, serves

log = logging.getLogger(__name__)

_HAND_OVER_S = 5.0
"""For what waits for a lost model's engines when it is served anew."""

Fingerprint = tuple[tuple[int, int], ...]
"""Change time and size of a model folder's files."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model that takes requests: tiles, and by its head descriptors, if it has one; `engines` are those of each."""

    spec: ModelSpec
    batcher: Batcher
    head: Batcher | None = None
    engines: tuple[Engine, ...] = ()

    def lost(self) -> str | None:
        """Why it cannot run now although it could, if so."""
        return next((why for engine in self.engines if (why := engine.ready())), None)

    def close(self, timeout_s: float) -> None:
        deadline = Deadline.after(timeout_s)
        for batcher in (self.batcher, self.head):
            if batcher:
                batcher.close(deadline.left())


@dataclass(frozen=True, slots=True)
class _Passed:
    """A folder that is not served, as it was when we looked, and why not. `blocks`: so we are not ready."""

    seen: Fingerprint
    reason: str = ""
    blocks: bool = False


class ServedModels:
    """All versions of the wanted models of one kind that lie in the store.

    `wanted` are NAMEs or NAME/VERSIONs; empty: all of the kind. `queue` is told whether requests are to go whole: a
    head's rows cost next to nothing. With `elsewhere` somebody else runs the models: who refuses one now may take it
    later, though no file of ours changes. Only one thread calls `load` and `rescan`.
    """

    def __init__(
        self,
        store: ModelStore,
        kind: ModelKind,
        wanted: Sequence[str],
        load: Callable[[ModelFolder], LoadedModel],
        queue: Callable[[str, Sequence[Engine], bool], Batcher],
        *,
        elsewhere: bool = False,
    ) -> None:
        self._store, self._kind, self._wanted = store, kind, tuple(wanted)
        self._load, self._queue = load, queue
        self._elsewhere = elsewhere
        self._served: dict[ModelRef, Served] = {}
        self._passed: dict[Path, _Passed] = {}
        self._loaded = False

    def load(self) -> None:
        """Loads what is there at start. NotFound or ModelInvalid if the service cannot do what it was told to.

        A model that fails its self-test keeps the service from being ready, and the service up to say so.
        """
        for name in self._wanted:
            self._store.find(name)
        for folder, seen in self._candidates():
            try:
                self._take(folder, seen)
            except (Unavailable, Overloaded) as error:
                log.warning("not served yet", extra={"model": str(folder.ref), "reason": str(error)})
                self._passed[folder.path] = _Passed(seen, str(error), blocks=True)
        if not self._served and self._blocks() is None:
            raise NotFound(
                f"no {self._kind} model in {self._store}: put a NAME/VERSION folder there, name its folder in "
                "STRIPWATCH_MODELS, or make one with `make train`"
            )
        self._loaded = True

    def rescan(self) -> None:
        """Loads what has come since; a version that fails is logged once, and the others go on."""
        for folder, seen in self._candidates():
            before = self._passed.get(folder.path, _Passed(()))
            try:
                self._take(folder, seen)
            except StripwatchError as error:
                if str(error) != before.reason:
                    what = "lost" if folder.ref in self._served else "a new version is not served"
                    log.warning(what, extra={"model": str(folder.ref), "reason": str(error)})
                self._passed[folder.path] = _Passed(seen, str(error), before.blocks)

    def ready(self) -> str | None:
        """None once every model that was there at start is loaded and proven; otherwise why not."""
        if not self._loaded:
            return "models are being loaded"
        lost = (why for served in self._served.values() if (why := served.lost()))
        return self._blocks() or next(lost, None)

    def _blocks(self) -> str | None:
        return next((passed.reason for passed in list(self._passed.values()) if passed.blocks), None)

    def find(self, model: str) -> Served:
        """NAME (its newest version) or NAME/VERSION; NotFound says what is served."""
        name, slash, version = model.partition("/")
        served = dict(self._served)
        fitting = [ref for ref in served if ref.name == name and (not slash or ref.version == version)]
        if fitting:
            return served[max(fitting, key=lambda ref: version_key(ref.version))]
        if not self._loaded:
            raise ModelNotReady(f"model {model!r}: models are being loaded")
        there = ", ".join(sorted(str(ref) for ref in served)) or "none"
        raise NotFound(f"model {model!r}: not served here; served are: {there}")

    def close(self, timeout_s: float) -> None:
        deadline = Deadline.after(timeout_s)
        for served in self._served.values():
            served.close(deadline.left())

    def _candidates(self) -> list[tuple[ModelFolder, Fingerprint]]:
        """Folders to load: wanted, not yet served or lost, and not the same as when we last passed them by.

        The fingerprint is taken before the files are read: one still being copied looks new the next time.
        """
        fresh = []
        for folder in self._store.folders():
            named = folder.ref.name in self._wanted or str(folder.ref) in self._wanted
            served = self._served.get(folder.ref)
            if (served and not served.lost()) or not (named or not self._wanted):
                continue
            seen, passed = _fingerprint(folder.path), self._passed.get(folder.path)
            again = self._elsewhere and passed is not None and passed.reason
            if passed is None or passed.seen != seen or again:
                fresh.append((folder, seen))
        return fresh

    def _take(self, folder: ModelFolder, seen: Fingerprint) -> None:
        if not self._is_ours(folder):
            self._passed[folder.path] = _Passed(seen)
            return
        model = self._load(folder)
        name = str(folder.ref)
        head = self._queue(f"{name} (head)", model.heads, True) if model.heads else None
        engines = (model.engine, *model.heads[:1])  # a model's engines are alike
        before = self._served.get(folder.ref)
        served = Served(model.spec, self._queue(name, model.engines, False), head, engines)
        self._served = {**self._served, folder.ref: served}
        if before:
            served_no_more(before.spec)
        serves(model.spec)
        self._passed.pop(folder.path, None)
        if before:
            before.close(_HAND_OVER_S)
        told = {"model": name, "engine": model.spec.engine, "sha256": model.spec.sha256[:12]}
        log.info("serving a model", extra=told)

    def _is_ours(self, folder: ModelFolder) -> bool:
        """Whether it is of our kind. Unless it is wanted by name, a folder without a sound manifest is not."""
        try:
            kind = read_manifest(folder.path).kind
        except ModelInvalid as error:
            if self._wanted:
                raise
            log.warning("passed by", extra={"model": str(folder.ref), "reason": str(error)})
            return False
        if kind is not self._kind and self._wanted:
            raise ModelInvalid(f"model {folder.ref}: expected one of kind {self._kind}, got {kind}")
        return kind is self._kind


def _fingerprint(folder: Path) -> Fingerprint:
    prints = []
    for name in (FILE, SIGNATURE, GRAPH, HEAD, REFERENCE):
        try:
            stat = (folder / name).stat()
            prints.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            prints.append((0, -1))
    return tuple(prints)
