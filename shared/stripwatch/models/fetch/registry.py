"""An artefact in a container registry, by the distribution API of OCI: a manifest that names blobs by their hashes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from stripwatch.domain.names import shown
from stripwatch.errors import BadInput, ModelInvalid
from stripwatch.models.fetch.source import Source
from stripwatch.models.fetch.web import Challenged, Web, authorization

TITLE = "org.opencontainers.image.title"
"""Annotation that holds a blob's file name, where a blob is one file."""

_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_MOST_MANIFEST = 4 << 20
_MOST_TOKEN = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer: a tar, or the file that `title` names."""

    digest: str
    size: int
    title: str
    is_tar: bool


class Registry:
    """One artefact. Shows `token` to the registry, or to whom that sends for a token of its own."""

    def __init__(self, web: Web, source: Source, token: str) -> None:
        self._web, self._source, self._token = web, source, token
        self._show = authorization(token)

    def blobs(self) -> list[Blob]:
        """What the manifest names. ModelInvalid for another than the address names, BadInput for none."""
        url = f"{self._source.url}/manifests/sha256:{self._source.sha256}"
        data = self._asked(lambda: self._web.read(url, _MOST_MANIFEST, self._show, {"Accept": ", ".join(_MANIFESTS)}))
        actual = hashlib.sha256(data).hexdigest()
        if actual != self._source.sha256:
            raise ModelInvalid(f"{url}: expected sha256 {self._source.sha256}, got {actual}")
        try:
            layers = json.loads(data)["layers"]
            return list(_blobs(layers))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadInput(f"{url}: expected a manifest with layers (not an index of several), got another") from error

    def save(self, blob: Blob, place: Path, most: int) -> None:
        """The blob as a file, checked against its digest."""
        url = f"{self._source.url}/blobs/{blob.digest}"
        if blob.size > most:
            raise BadInput(f"{url}: expected at most {most} bytes, got {blob.size}")
        actual = self._asked(lambda: self._web.save(url, place, blob.size, self._show))
        if f"sha256:{actual}" != blob.digest:
            raise ModelInvalid(f"{url}: expected {blob.digest}, got sha256:{actual}")

    def _asked(self, step: Any) -> Any:
        try:
            return step()
        except Challenged as error:
            self._show = f"Bearer {self._exchanged(error)}"
            return step()

    def _exchanged(self, error: Challenged) -> str:
        """A token for this repository, from where the challenge says; without one there, nobody may come in."""
        parameters = dict(_PARAMETER.findall(error.challenge))
        realm = parameters.get("realm", "")
        if not error.challenge.lower().startswith("bearer ") or urlsplit(realm).scheme not in ("https", "http"):
            raise error
        plain = urlsplit(self._source.url).scheme == "http"
        if urlsplit(realm).scheme == "http" and not plain:
            raise error
        wanted = {name: parameters[name] for name in ("service", "scope") if name in parameters}
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted)}"
        data = self._web.read(url, _MOST_TOKEN, authorization(self._token))
        try:
            answer = json.loads(data)
            token = answer.get("token") or answer["access_token"]
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise BadInput(f"{shown(realm, 200)}: expected a token, got something else") from fault
        return str(token)


def _blobs(layers: Any) -> Iterator[Blob]:
    for layer in layers:
        digest, size, kind = layer["digest"], layer["size"], layer["mediaType"]
        title = (layer.get("annotations") or {}).get(TITLE, "")
        if not _DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0 or not isinstance(title, str):
            raise ValueError("a layer that is none")
        yield Blob(digest, size, title, ".tar" in kind)
