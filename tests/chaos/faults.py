"""Makes a plan's faults happen, and heals them when their time is over."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import redis

from chaos.plan import FAIL_OVER, ChaosPlan, Fault
from chaos.plant import Plant
from chaos.proxy import Faults
from chaos.servers import MAXMEMORY

_NETWORK = {
    "latency": Faults(latency_s=0.02, jitter_s=0.08),
    "trickle": Faults(bytes_per_s=20_000),
    "half_open": Faults(half_open=True),
    "corrupt": Faults(corrupt=True),
    "refuse": Faults(refuse=True),
    "slow_close": Faults(slow_close_s=1.0),
}
FAIL_OVER_S = 15.0
"""Longest time until all have heard of a new primary: Sentinels leave the old one alone for eight seconds at least."""
_SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}
SQUEEZE_BYTES = 200_000
"""What Redis may still take when it is squeezed, at most; it may also be left with that much too much."""


class Schedule:
    """The faults of one plan, from a moment on. `step` is called often; nothing here waits."""

    def __init__(self, plant: Plant, plan: ChaosPlan, began: float) -> None:
        self._plant = plant
        self._began = began
        self._waiting = list(plan.faults)
        self._heals: list[tuple[float, Callable[[], None]]] = []
        self._rng = random.Random(plan.seed)
        self.done: Counter[str] = Counter()
        """Faults that happened, by kind and target."""
        self.lost_at: list[float] = []
        """When a Redis was ended or followed by another that may not have all that it acknowledged (monotonic)."""
        self.healed_at = began
        self.cut_short = False
        """Whether the ingest process was ended before its time."""

    @property
    def over(self) -> bool:
        return not self._waiting and not self._heals

    def step(self) -> None:
        now = time.monotonic()
        while self._waiting and self._began + self._waiting[0].at_s <= now:
            fault = self._waiting.pop(0)
            heal = self._inject(fault)
            self.done[f"{fault.kind} {fault.target.partition('-')[0]}"] += 1
            self.healed_at = now
            if heal:
                self._heals.append((now + fault.lasts_s, heal))
        for at, heal in [one for one in self._heals if one[0] <= now]:
            self._heals.remove((at, heal))
            heal()
            self.healed_at = now

    def _inject(self, fault: Fault) -> Callable[[], None] | None:
        """Makes it happen; how to end it, if it does not end by itself."""
        target = fault.target
        if fault.kind == "cut":
            self._plant.proxies[target].cut()
            return None
        if fault.kind in _NETWORK:
            self._plant.proxies[target].set(_NETWORK[fault.kind])
            return self._plant.proxies[target].heal
        if fault.kind in _SIGNALS:
            return self._signal(target, fault.kind)
        return self._operate(fault)

    def _signal(self, target: str, kind: str) -> Callable[[], None] | None:
        """The supervisor starts again what ends; an ingest it leaves alone, so that one is ours to start."""
        store = self._plant.store
        if target == "redis" and not store.keeps and (kind != "stop" or store.fails_over):
            self._may_lose()
        if not _tried(lambda: self._plant.send(target, _SIGNALS[kind])):
            return None
        if kind == "stop":
            return lambda: self._plant.send(target, signal.SIGCONT)
        if target != "ingest":
            return None
        self.cut_short = True
        return self._start_ingest if kind == "kill" else None

    def _may_lose(self) -> None:
        """What goes to a primary until all have heard of the next one is lost as well."""
        self.lost_at.append(time.monotonic() + (FAIL_OVER_S if self._plant.store.fails_over else 0.0))

    def _start_ingest(self) -> None:
        child = self._plant.supervisor.children["ingest"]
        if not child.running:
            child.start()

    def _operate(self, fault: Fault) -> Callable[[], None] | None:
        """What an operator can do to a Redis; one that does not answer is spared."""
        if self._plant.store.fails_over and fault.kind in FAIL_OVER:
            self._may_lose()
        if fault.kind == "pause":
            self._ask("CLIENT PAUSE", round(fault.lasts_s * 1000), "ALL")
        elif fault.kind == "flush":
            self._ask("FUNCTION FLUSH")
        elif fault.kind == "failover":
            _tried(self._plant.store.fail_over)
        else:
            _tried(self._squeeze)
            return self._release
        return None

    def _squeeze(self) -> None:
        with self._plant.store.admin() as admin:
            room = self._rng.randint(-SQUEEZE_BYTES, SQUEEZE_BYTES)
            admin.config_set("maxmemory", int(admin.info("memory")["used_memory"]) + room)

    def _release(self) -> None:
        if not self._ask("CONFIG SET", "maxmemory", MAXMEMORY):
            self._heals.append((time.monotonic() + 0.2, self._release))

    def _ask(self, *command: str | int) -> bool:
        def ask() -> None:
            with self._plant.store.admin() as admin:
                admin.execute_command(*command)

        return _tried(ask)


def _tried(act: Callable[[], object]) -> bool:
    """Whether it could be done."""
    try:
        act()
    except redis.RedisError:
        return False
    return True
