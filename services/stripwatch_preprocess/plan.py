"""What a run's frames are judged by: its recipe and the models that stand behind it now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from stripwatch.domain.model import Clahe, InputSpec, ModelSpec
from stripwatch.domain.recipe import Recipe, Role


@dataclass(frozen=True, slots=True)
class Plan:
    """The recipe, the spec of each role's model, and what was pinned; the two differ where a version is gone."""

    recipe: Recipe
    specs: Mapping[Role, ModelSpec]
    pinned: Mapping[Role, str]
    cameras: frozenset[str] = frozenset()
    """Those that the run's start declares."""
    live: bool = False
    """Whether the run is watched by a deadline; in a replay only markers end it."""

    @property
    def key(self) -> tuple[object, ...]:
        """Frames of one key may share a batch: same models to the byte, same services needed."""
        models = tuple((role, str(spec.ref), spec.sha256) for role, spec in sorted(self.specs.items()))
        return (models, tuple(sorted(self.recipe.required)), self.live)

    @property
    def has_one_backbone(self) -> bool:
        """Whether the classifier's descriptors can stand for the tiles: the anomaly scorer's backbone sees the same."""
        if not self.specs.keys() >= {Role.CLASSIFIER, Role.ANOMALY}:
            return False
        given = self.specs[Role.CLASSIFIER].descriptors
        same_input = self.input(Role.CLASSIFIER) == self.input(Role.ANOMALY)
        return given is not None and given == self.specs[Role.ANOMALY].descriptors and same_input

    def models(self, roles: Iterable[Role]) -> tuple[str, ...]:
        """The models that made scores, and the pinned ones they stand for."""
        return tuple(sorted({name for role in roles for name in (self.pinned[role], str(self.specs[role].ref))}))

    def input(self, role: Role) -> InputSpec:
        """What the role's model takes; the recipe's CLAHE where the model asks for none."""
        spec = self.specs[role].input
        limit = self.recipe.cutting.clahe_clip_limit
        return spec if spec.clahe or limit is None else replace(spec, clahe=Clahe(limit))
