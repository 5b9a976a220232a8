"""What happens in one chaos run: which strips go in how, and what goes wrong when. All of it follows from the seed."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from typing import Any

from chaos.strips import POOL, Strip

SPAN_S = 5.0
"""Strips and faults begin within this time; the last fault is over a little later."""
LONGEST_FAULT_S = 2.0
SERVICES = ("preprocess-1", "preprocess-2", "classifier-1", "anomaly-1", "aggregator-1")
PROXIED = ("redis", "classifier", "anomaly")
STANDALONE = ("7", "8")
FAIL_OVER = ("kill", "stop", "failover", "pause")
"""What makes another server take over: a pause is silence, as a stop is."""
NETWORK = ("latency", "trickle", "cut", "half_open", "corrupt", "refuse", "slow_close")


@dataclass(frozen=True, slots=True)
class Shipment:
    """One run of a strip on its way in. `order` lists what is sent: "CAMERA INDEX" frames and "CAMERA end" markers."""

    strip: str
    run: str
    live: bool
    way: str
    """straight: by the publisher that every source uses; crooked: shuffled, repeated, ends that overtake."""
    begins_s: float
    lasts_s: float
    order: tuple[str, ...]
    late: int
    """Frames sent once more after the verdict."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong: at `at_s`, with `target`, for `lasts_s` where it does not pass by itself."""

    at_s: float
    kind: str
    target: str
    lasts_s: float


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """One run in full."""

    seed: int
    kind: str
    aggregators: int
    aof: str
    """always, everysec, or no: then a restart of Redis loses what it held, and nothing else may be lost."""
    latency_s: float
    """What an answer of a model service takes at least, either way: with more of it, more frames are under way."""
    simulated: int
    """Seed of the strip that a real ingest process shows, live, meanwhile."""
    shipments: tuple[Shipment, ...]
    faults: tuple[Fault, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(seed: int, kind: str) -> ChaosPlan:
    """The same seed and kind, the same plan."""
    rng = random.Random(f"{kind}:{seed}")
    aof = rng.choices(("always", "everysec", "no"), (8, 1, 1))[0]
    aggregators = rng.choice((1, 1, 2))
    shipments = tuple(_shipment(rng, f"s{seed}-{number}") for number in range(rng.randint(4, 6)))
    names = [*SERVICES, *(["aggregator-2"] if aggregators == 2 else [])]
    faults = sorted(_faults(rng, kind, names), key=lambda fault: fault.at_s)
    if kind not in STANDALONE:
        faults = _once(faults)
    latency_s = rng.choice((0.0, 0.02, 0.05))
    return ChaosPlan(seed, kind, aggregators, aof, latency_s, rng.randint(1, 3), shipments, tuple(faults))


def _shipment(rng: random.Random, run: str) -> Shipment:
    strip = POOL[rng.choice(sorted(POOL))]
    live = not strip.ended or rng.random() < 0.5
    way = rng.choice(("straight", "crooked", "crooked"))
    order = list(in_order(strip))
    if way == "crooked":
        order = _crooked(rng, order)
    begins = rng.uniform(0.0, SPAN_S / 2)
    late = rng.randint(1, 3) if rng.random() < 0.3 and strip.frames else 0
    return Shipment(strip.name, run, live, way, begins, rng.uniform(0.2, SPAN_S - begins), tuple(order), late)


def in_order(strip: Strip) -> tuple[str, ...]:
    """What a camera would send, as it would send it."""
    frames = [f"{camera} {index}" for index in strip.indices() for camera in strip.cameras]
    return (*frames, *([f"{camera} end" for camera in strip.cameras] if strip.ended else []))


def _crooked(rng: random.Random, order: list[str]) -> list[str]:
    """Everything up to ten places from where it belongs, a tenth of it twice."""
    places = [(place + rng.uniform(0, 10), what) for place, what in enumerate(order)]
    places += [(place + rng.uniform(0, 15), what) for place, what in enumerate(order) if rng.random() < 0.1]
    return [what for _, what in sorted(places)]


def _faults(rng: random.Random, kind: str, services: list[str]) -> list[Fault]:
    found = []
    for _ in range(rng.randint(3, 10)):
        at, lasts = rng.uniform(0.3, SPAN_S), rng.uniform(0.2, LONGEST_FAULT_S)
        draw = rng.random()
        if draw < 0.40:
            what = rng.choices(("kill", "stop", "term"), (3, 2, 1))[0]
            found.append(Fault(at, what, rng.choice([*services, "ingest", "mes"]), lasts))
        elif draw < 0.55:
            found.append(Fault(at, rng.choice(_redis_faults(kind)), "redis", lasts))
        elif draw < 0.85:
            target = rng.choice(PROXIED if kind in STANDALONE else PROXIED[1:])
            found.append(Fault(at, rng.choice(NETWORK), target, lasts))
        else:
            found.append(Fault(at, rng.choice(("pause", "flush", "squeeze")), "redis", lasts))
    return found


def _once(faults: list[Fault]) -> list[Fault]:
    """One fail-over, as a server that was ended stays away; it comes early, as it takes long."""
    changes = [fault for fault in faults if fault.target == "redis" and fault.kind in FAIL_OVER]
    rest = [fault for fault in faults if fault not in changes]
    return sorted([*(replace(one, at_s=min(1.0, one.at_s)) for one in changes[:1]), *rest], key=lambda one: one.at_s)


def _redis_faults(kind: str) -> tuple[str, ...]:
    return ("kill", "stop", "term") if kind in STANDALONE else ("kill", "failover", "stop")
