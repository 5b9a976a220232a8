"""The plan of a strip: its texture and what lies where, all drawn from one seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Side
from stripwatch.domain.defect import NEU_CLASSES
from stripwatch.errors import BadInput
from stripwatch.simulate.flaws import MAX_SIZE_MM, Flaw, draw_flaw
from stripwatch.simulate.texture import Texture, draw_texture

APART_MM = 60.0
"""Least distance between two flaws: neighbouring tiles of two flaws never merge into one defect."""

_EDGE_MM = 3.0
_MOST_DRAWN = 6
_TRIES = 200


@dataclass(frozen=True, slots=True)
class StripPlan:
    """A strip that can be rendered: size in mm, px size, texture, and flaws sorted by their distance from the head."""

    seed: int
    length_mm: float
    width_mm: float
    mm_per_px: float
    texture: Texture
    flaws: tuple[Flaw, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the strip in px."""
        return round(self.length_mm / self.mm_per_px), round(self.width_mm / self.mm_per_px)


def plan_strip(
    seed: int,
    *,
    length_mm: float = 6000.0,
    width_mm: float = 400.0,
    mm_per_px: float = 0.5,
    defects: int | None = None,
    sides: Sequence[Side] = (Side.TOP,),
    min_size_mm: float = 20.0,
    labels: Sequence[str] = NEU_CLASSES,
) -> StripPlan:
    """A strip with `defects` flaws (None: 1 to 6, as many as fit), at least 60 mm apart and wholly inside it.

    Raises BadInput where a value is out of range or that many flaws do not fit.
    """
    check(seed, (length_mm, width_mm, mm_per_px, min_size_mm), defects, sides, labels)
    rng = np.random.Generator(np.random.PCG64([seed, 0]))
    texture = draw_texture(int(rng.integers(0, 1 << 62)))
    plan = StripPlan(seed, length_mm, width_mm, mm_per_px, texture, ())
    count = int(rng.integers(1, _MOST_DRAWN + 1)) if defects is None else defects
    flaws: list[Flaw] = []
    for _ in range(count):
        flaw = place(plan, flaws, rng, sides, min_size_mm, labels)
        if flaw is None:
            break
        flaws.append(flaw)
    if len(flaws) < (1 if defects is None else count):
        raise BadInput(
            f"simulated strip: expected room for {max(count, 1)} flaws of at least {min_size_mm} mm, "
            f"{len(flaws)} fit on {length_mm} x {width_mm} mm"
        )
    return replace(plan, flaws=tuple(sorted(flaws, key=lambda flaw: (flaw.box.x_mm, flaw.box.y_mm))))


def truth(plan: StripPlan) -> tuple[Flaw, ...]:
    """What is truly on the strip."""
    return plan.flaws


def place(
    plan: StripPlan,
    others: Sequence[Flaw],
    rng: np.random.Generator,
    sides: Sequence[Side],
    min_size_mm: float,
    labels: Sequence[str],
) -> Flaw | None:
    """One more flaw that keeps its distance from the others, or None where no place was found."""
    label, side = labels[int(rng.integers(len(labels)))], sides[int(rng.integers(len(sides)))]
    step = plan.mm_per_px
    margin = ceil(_EDGE_MM / step)
    for attempt in range(_TRIES):
        if attempt % 20 == 0:  # a smaller one may still fit
            flaw = draw_flaw(
                int(rng.integers(0, 1 << 62)),
                label,
                plan.texture,
                side=side,
                mm_per_px=step,
                min_size_mm=min_size_mm,
                max_size_mm=max(min_size_mm * 1.2, MAX_SIZE_MM * (1 - attempt / _TRIES)),
            )
        rows, columns = round(flaw.box.length_mm / step), round(flaw.box.width_mm / step)
        free = (plan.shape[0] - rows - 2 * margin + 1, plan.shape[1] - columns - 2 * margin + 1)
        if min(free) < 1:
            continue
        row, column = int(margin + rng.integers(free[0])), int(margin + rng.integers(free[1]))
        box = Box(row * step, column * step, rows * step, columns * step)
        if not any(box.touches(other.box, gap_mm=APART_MM) for other in others):
            return replace(flaw, box=box)
    return None


def check(
    seed: int,
    sizes: tuple[float, ...],
    defects: int | None,
    sides: Sequence[Side],
    labels: Sequence[str],
) -> None:
    """BadInput for anything that no strip can be planned from."""
    if seed < 0:
        raise BadInput(f"simulator seed: expected 0 or more, got {seed}")
    for name, value in zip(("length_mm", "width_mm", "mm_per_px", "min_size_mm"), sizes, strict=True):
        if not 0 < value < 1e8:
            raise BadInput(f"simulated strip: expected {name} more than 0, got {value}")
    if defects is not None and defects < 0:
        raise BadInput(f"simulated strip: expected 0 or more defects, got {defects}")
    length_mm, width_mm, _, min_size_mm = sizes
    room_mm = min(length_mm, width_mm) - 2 * _EDGE_MM
    if defects != 0 and min_size_mm > room_mm:
        raise BadInput(f"simulated strip: expected min_size_mm at most {room_mm}, got {min_size_mm}")
    if not sides:
        raise BadInput("simulated strip: expected at least one side, got none")
    if not labels or not set(labels) <= set(NEU_CLASSES):
        raise BadInput(f"simulated strip: expected labels from {NEU_CLASSES}, got {tuple(labels)}")
