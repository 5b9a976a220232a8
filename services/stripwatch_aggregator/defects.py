"""Neighbouring tiles of one class become one defect, across frames and cameras."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter

from stripwatch.domain.box import Box
from stripwatch.domain.defect import ANOMALY, Defect
from stripwatch.domain.recipe import Recipe
from stripwatch_aggregator.flags import TENTHS, Flag, rule_of, tenths
from stripwatch_aggregator.front import Front

Group = list[Flag]


def find_defects(flags: Iterable[Flag], recipe: Recipe) -> tuple[Defect, ...]:
    """The defects that the flagged tiles make, by place; the same whatever the order of the tiles.

    Tiles of one class and side no further apart than the recipe's gap are one defect. Anomalous tiles that touch a
    classified defect of their side are its fringe and make none of their own.
    """
    gap = tenths(recipe.merge_gap_mm)
    kinds: dict[tuple[str, str], list[Flag]] = defaultdict(list)
    for flag in sorted(flags, key=attrgetter("order")):
        kinds[flag.side, flag.label].append(flag)
    groups: list[Group] = []
    for (_, label), members in sorted(kinds.items()):
        if label != ANOMALY:
            groups += [group for group in merge(members, gap) if _large_enough(group, recipe)]
    classified = list(chain.from_iterable(groups))
    for (side, label), members in sorted(kinds.items()):
        if label == ANOMALY:
            fringed = fringe(members, [flag for flag in classified if flag.side == side], gap)
            alone = [flag for flag, touches in zip(members, fringed, strict=True) if not touches]
            groups += [group for group in merge(alone, gap) if _large_enough(group, recipe)]
    return tuple(_defect(group) for group in sorted(groups, key=_place))


def merge(flags: Sequence[Flag], gap: int) -> list[Group]:
    """Groups of flags that touch each other, directly or through others; `flags` sorted by x0."""
    parent = list(range(len(flags)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    front = Front()
    for number, flag in enumerate(flags):
        across = (flag.y0, flag.y1 + gap + 1)
        for other in front.reached(*across, flag.x0):
            parent[root(other)] = root(number)
        front.lay(*across, flag.x1 + gap, number)
    groups: dict[int, Group] = defaultdict(list)
    for number, flag in enumerate(flags):
        groups[root(number)].append(flag)
    return list(groups.values())


def fringe(flags: Sequence[Flag], others: Sequence[Flag], gap: int) -> list[bool]:
    """For each flag whether it touches one of the others."""
    touches = [False] * len(flags)
    along = sorted(
        chain(((one.x0, 0, one, -1) for one in others), ((one.x0, 1, one, number) for number, one in enumerate(flags))),
        key=lambda step: step[:2],
    )
    # First those that begin before the flag and reach it, then, from the tail, those that begin within it.
    for steps, backwards in ((along, False), (along[::-1], True)):
        front = Front()
        for _, _, one, number in steps:
            across = (one.y0, one.y1 + gap + 1)
            if number < 0:
                front.lay(*across, -one.x0 if backwards else one.x1 + gap, 0)
            elif front.reached(*across, -(one.x1 + gap) if backwards else one.x0):
                touches[number] = True
    return touches


def _large_enough(group: Group, recipe: Recipe) -> bool:
    label = group[0].label
    x0, y0, x1, y1 = _hull(group)
    enough = recipe.anomaly.min_tiles if label == ANOMALY else 1
    return len(group) >= enough and max(x1 - x0, y1 - y0) >= tenths(rule_of(recipe, label).min_size_mm)


def _hull(group: Group) -> tuple[int, int, int, int]:
    return (
        min(flag.x0 for flag in group),
        min(flag.y0 for flag in group),
        max(flag.x1 for flag in group),
        max(flag.y1 for flag in group),
    )


def _place(group: Group) -> tuple[tuple[int, int, int, int], str, str]:
    return _hull(group), group[0].side, group[0].label


def _defect(group: Group) -> Defect:
    x0, y0, x1, y1 = _hull(group)
    label = group[0].label
    return Defect(
        label=label,
        side=group[0].side,
        box=Box(x0 / TENTHS, y0 / TENTHS, (x1 - x0) / TENTHS, (y1 - y0) / TENTHS),
        confidence=None if label == ANOMALY else max(flag.confidence for flag in group),
        anomaly=max((flag.anomaly for flag in group if flag.anomaly is not None), default=None),
        tiles=len(group),
        cameras=tuple(sorted({flag.camera for flag in group})),
    )
