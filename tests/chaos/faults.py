"""Makes a plan's faults happen, and heals them when their time is over."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import redis

from chaos.plan import ChaosPlan, Fault
from chaos.plant import Plant
from chaos.proxy import Faults

_NETWORK = {
    "latency": Faults(latency_s=0.02, jitter_s=0.08),
    "trickle": Faults(bytes_per_s=20_000),
    "half_open": Faults(half_open=True),
    "corrupt": Faults(corrupt=True),
    "refuse": Faults(refuse=True),
    "slow_close": Faults(slow_close_s=1.0),
}
SQUEEZE_BYTES = 200_000
"""What Redis may still take when it is squeezed."""


class Schedule:
    """The faults of one plan, from a moment on. `step` is called often; nothing here waits."""

    def __init__(self, plant: Plant, plan: ChaosPlan, began: float) -> None:
        self._plant = plant
        self._began = began
        self._waiting = list(plan.faults)
        self._heals: list[tuple[float, Callable[[], None]]] = []
        self._rng = random.Random(plan.seed)
        self._admin = redis.Redis(port=plant.redis_port, socket_timeout=0.5, socket_connect_timeout=0.5)
        self.done: Counter[str] = Counter()
        """Faults that happened, by kind and target."""
        self.emptied_at: list[float] = []
        """When a Redis that keeps nothing was ended (monotonic)."""
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
        if fault.kind == "stop":
            self._plant.send(target, signal.SIGSTOP)
            return lambda: self._plant.send(target, signal.SIGCONT)
        if fault.kind in ("kill", "term"):
            return self._end(target, signal.SIGKILL if fault.kind == "kill" else signal.SIGTERM)
        return self._ask(fault)

    def _end(self, target: str, number: signal.Signals) -> Callable[[], None] | None:
        """The supervisor starts it again; an ingest it leaves alone, so that is ours to do."""
        if target == "redis" and not self._plant.durable:
            self.emptied_at.append(time.monotonic())
        self._plant.send(target, number)
        if target == "ingest":
            self.cut_short = True
        if target != "ingest" or number is signal.SIGTERM:
            return None
        child = self._plant.supervisor.children["ingest"]

        def again() -> None:
            if not child.running:
                child.start()

        return again

    def _ask(self, fault: Fault) -> Callable[[], None] | None:
        """What an operator can do to a Redis; one that does not answer is spared."""
        if fault.kind == "pause":
            self._try("CLIENT PAUSE", round(fault.lasts_s * 1000), "ALL")
        elif fault.kind == "flush":
            self._try("FUNCTION FLUSH")
        elif fault.kind == "squeeze":
            self._squeeze()
            return self._release
        return None

    def _squeeze(self) -> None:
        try:
            used = int(self._admin.info("memory")["used_memory"])
        except redis.RedisError:
            return
        self._try("CONFIG SET", "maxmemory", used + SQUEEZE_BYTES)

    def _release(self) -> None:
        if not self._try("CONFIG SET", "maxmemory", "128mb"):
            self._heals.append((time.monotonic() + 0.2, self._release))

    def _try(self, *command: str | int) -> bool:
        try:
            self._admin.execute_command(*command)  # type: ignore[no-untyped-call]
        except redis.RedisError:
            return False
        return True

    def close(self) -> None:
        self._admin.close()
