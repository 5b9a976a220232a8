"""From an address to checked models in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from stripwatch.domain.model import ModelRef
from stripwatch.errors import BadInput, ModelInvalid
from stripwatch.models.fetch.registry import Registry
from stripwatch.models.fetch.shelf import Shelf
from stripwatch.models.fetch.source import Source
from stripwatch.models.fetch.unpack import place_of, unpack
from stripwatch.models.fetch.web import Web, authorization
from stripwatch.models.load import GRAPH, HEAD, REFERENCE
from stripwatch.models.manifest import FILE, MAX_BYTES, read_manifest
from stripwatch.models.signature import FILE as SIGNATURE
from stripwatch.models.signature import PublicKey

_TAR = "fetched.tar"


@dataclass(frozen=True, slots=True)
class Bringer:
    """Fetches what is not there yet; at most `most` bytes of an address."""

    shelf: Shelf
    web: Web
    token: str
    most: int
    key: PublicKey | None

    def bring(self, source: Source) -> tuple[list[ModelRef], bool]:
        """The models of an address, now in the folder; and whether they had to be fetched."""
        here = self.shelf.has(source.sha256)
        if here:
            return here, False
        with self.shelf.work() as work:
            models = work / "models"
            models.mkdir()
            fetch = {"tar": self._tar, "folder": self._folder, "artefact": self._artefact}[source.kind]
            try:
                fetch(source, work, models)
                return self.shelf.put(source.sha256, models), True
            except ModelInvalid as error:
                raise ModelInvalid(str(error).replace(f"{work}/", "")) from error

    def _tar(self, source: Source, work: Path, models: Path) -> None:
        actual = self.web.save(source.url, work / _TAR, self.most, authorization(self.token))
        if actual != source.sha256:
            raise ModelInvalid(f"{source}: expected sha256 {source.sha256}, got {actual}")
        unpack(work / _TAR, models, self.most, str(source))

    def _folder(self, source: Source, work: Path, models: Path) -> None:
        """The manifest says which files there are, and has the hash of each."""
        base, show = source.url.rstrip("/"), authorization(self.token)
        actual = self.web.save(f"{base}/{FILE}", work / FILE, MAX_BYTES, show)
        if actual != source.sha256:
            raise ModelInvalid(f"{base}/{FILE}: expected sha256 {source.sha256}, got {actual}")
        ref = _ref(f"{base}/{FILE}", work / FILE)
        place = models / ref.name / ref.version
        place.mkdir(parents=True)
        (work / FILE).rename(place / FILE)
        if self.key:
            self.web.save(f"{base}/{SIGNATURE}", place / SIGNATURE, MAX_BYTES, show)
        manifest, left = read_manifest(place, self.key), self.most
        for name in (GRAPH, REFERENCE, *([HEAD] if manifest.head_sha256 else [])):
            self.web.save(f"{base}/{name}", place / name, left, show)
            left -= (place / name).stat().st_size

    def _artefact(self, source: Source, work: Path, models: Path) -> None:
        registry, left = Registry(self.web, source, self.token), self.most
        for blob in registry.blobs():
            place = None if blob.is_tar else place_of(blob.title)
            if not blob.is_tar and place is None:
                continue
            into = models / place if place else work / _TAR
            if place:
                into.parent.mkdir(parents=True, exist_ok=True)
            registry.save(blob, into, left)
            left -= unpack(into, models, left, f"{source}, {blob.digest}") if blob.is_tar else blob.size


def _ref(url: str, manifest: Path) -> ModelRef:
    """The model's own name and version, which name its folder."""
    try:
        given = json.loads(manifest.read_bytes())
        return ModelRef(given["name"], given["version"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInput(f"{url}: expected the manifest of a model, got something else") from error
