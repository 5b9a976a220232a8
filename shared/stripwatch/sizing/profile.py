"""The two profiles that ship: a recipe's models, for accuracy or for speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from stripwatch.domain.recipe import Cutting, Role
from stripwatch.models.manifest import Manifest, read_manifest
from stripwatch.models.store import ModelStore
from stripwatch.recipes import RecipeBook, default_folders

_RULES = "hot-rolled"
"""The shipped recipe whose rules, but for the models and the cutting, all trials go by."""


class Profile(StrEnum):
    """Which pair of models."""

    ACCURATE = "accurate"
    FAST = "fast"


MODELS = {
    Profile.ACCURATE: {Role.CLASSIFIER: "steel", Role.ANOMALY: "texture"},
    Profile.FAST: {Role.CLASSIFIER: "steel-fast", Role.ANOMALY: "texture-fast"},
}


@dataclass(frozen=True, slots=True)
class Judges:
    """A profile's two models, as their manifests say."""

    classifier: Manifest
    anomaly: Manifest

    def bytes_a_tile(self) -> dict[str, int]:
        """What a tile sends to each service, and what comes back: its pixels, or the descriptor that stands for them.

        Scores are 4 bytes each, so are a descriptor's numbers; the codec sends a batch of either as one array.
        """
        given, taken = self.classifier.descriptors, self.anomaly.descriptors
        shared = given if given and given == taken and self.classifier.input == self.anomaly.input else None
        descriptor = 4 * shared.width if shared else 0
        return {
            "classifier_in": _input_bytes(self.classifier),
            "classifier_out": 4 * len(self.classifier.classes) + descriptor,
            "anomaly_in": descriptor or _input_bytes(self.anomaly),
            "anomaly_out": 4,
        }


def _input_bytes(model: Manifest) -> int:
    given = model.input
    return given.size**2 * given.channels * (1 if given.dtype == "uint8" else 4)


def find_judges(profile: Profile, store: ModelStore) -> Judges:
    """The profile's models; NotFound says which there are."""
    found = {role: read_manifest(store.find(name).path) for role, name in MODELS[profile].items()}
    return Judges(found[Role.CLASSIFIER], found[Role.ANOMALY])


def write_recipe(name: str, models: Mapping[Role, str], cutting: Cutting, folder: Path) -> str:
    """Writes the shipped recipe by that name, with these models and this cutting in the place of its own; the name."""
    rules = yaml.safe_load(RecipeBook(default_folders()).find(_RULES).text)
    rules |= {
        "name": name,
        "models": {**rules["models"], **{role.value: model for role, model in models.items()}},
        "cutting": {**rules.get("cutting", {}), "tile_px": cutting.tile_px, "stride_px": cutting.stride_px},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
    return name
