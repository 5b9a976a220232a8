"""Model folders: the manifest, and the reference that its self-test uses."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from random import Random

from fuzz.target import Target, scratch, told
from stripwatch.errors import BadInput
from stripwatch.models import load
from stripwatch.models.manifest import Manifest, read_manifest
from tiny_models import write_model

_ODD = (None, -1, 0, 1e308, float("nan"), 10**400, "", "a\nb", "../x", "\x1b[2J", [], {}, [[]], True, "9" * 70)


def _model(place: Path) -> Path:
    return write_model(place, width=4, map_side=3)


_FOLDER = _model(scratch())
_MANIFEST: Manifest = read_manifest(_FOLDER)
_REFERENCE = (_FOLDER / "reference.npz").read_bytes()


def one(data: bytes) -> None:
    """What begins like a zip is the reference, all else the manifest."""
    try:
        if data.startswith(b"PK"):
            _reference(data)
        else:
            (_FOLDER / "manifest.json").write_bytes(data)
            manifest = read_manifest(_FOLDER)
            assert all(label.isprintable() for label in manifest.classes)
            str(manifest.graph)
    except BadInput as error:
        told(error)


def _reference(data: bytes) -> None:
    (_FOLDER / "reference.npz").write_bytes(data)
    sound = json.loads(seeds()[0])
    sound["reference_sha256"] = hashlib.sha256(data).hexdigest()
    (_FOLDER / "manifest.json").write_text(json.dumps(sound))
    load.check_files(_FOLDER, read_manifest(_FOLDER))


def seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as place:
        classifier = _model(Path(place))
        scorer = write_model(Path(place), "texture", kind="anomaly", width=4)
        return [
            (classifier / "manifest.json").read_bytes(),
            (scorer / "manifest.json").read_bytes().replace(b"texture", b"steel"),
            _REFERENCE,
        ]


def shape(data: bytes, random: Random) -> bytes:
    """One value of the manifest is another."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(given, dict) or not given or random.random() < 0.3:
        return data
    place = given
    while True:
        key = random.choice(list(place))
        if not isinstance(place[key], dict) or not place[key] or random.random() < 0.2:
            break
        place = place[key]
    place[key] = random.choice(_ODD)
    return json.dumps(given).encode()


TARGET = Target("manifests", one, seeds, shape, largest=3_000)
