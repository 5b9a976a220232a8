"""Keeps children alive: one that ends is started again, with growing waits, and the reason is told."""

from __future__ import annotations

import time
from collections.abc import Iterable

from stripwatch.local.child import Child, Sink, Spec

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
HEALTHY_AFTER_S = 60.0
"""A child that ran this long starts again at once when it ends; one that did not waits twice as long each time."""

VOICE = "supervisor"


class Supervisor:
    """Children by name. There is no thread here: whoever owns it calls `tend` a few times a second."""

    def __init__(self, sink: Sink) -> None:
        self.children: dict[str, Child] = {}
        self.restarts = 0
        self._sink = sink
        self._wait_s: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._left_alone: set[str] = set()

    def start(self, spec: Spec) -> Child:
        child = Child(spec, self._sink)
        self.children[spec.name] = child
        self._left_alone.discard(spec.name)
        child.start()
        return child

    def tend(self) -> None:
        """Starts again what ended and is due. A clean end is left alone only where the child may end."""
        now = time.monotonic()
        for name, child in self.children.items():
            if child.running or name in self._left_alone:
                continue
            if child.spec.may_end and child.code == 0:
                self._left_alone.add(name)
                self._sink(VOICE, f"{name} is done")
            elif name not in self._due:
                self._plan(name, child, now)
            elif now >= self._due[name]:
                del self._due[name]
                self.restarts += 1
                child.start()

    def _plan(self, name: str, child: Child, now: float) -> None:
        healthy = now - child.started_at >= HEALTHY_AFTER_S
        wait = FIRST_WAIT_S if healthy else self._wait_s.get(name, FIRST_WAIT_S)
        self._wait_s[name] = min(LONGEST_WAIT_S, wait * 2)
        self._due[name] = now + wait
        self._sink(VOICE, f"{name} {child.reason}; starting it again in {wait:g} s")

    def last_words(self, names: Iterable[str] | None = None) -> str:
        """What each said last (of these, or of all): why something does not go on stands there."""
        return "; ".join(f"{name}: {self.children[name].last_words}" for name in names or self.children)

    def leave_alone(self, name: str) -> None:
        """From now on the child's end is nobody's concern: a test killed it, or we are stopping."""
        self._left_alone.add(name)

    def stop(self, names: Iterable[str], grace_s: float) -> None:
        """Stops these together; SIGKILL for those that are not gone after `grace_s`."""
        going = [self.children[name] for name in names if name in self.children]
        for child in going:
            self.leave_alone(child.spec.name)
        deadline = time.monotonic() + grace_s
        for child in going:
            child.terminate()
        for child in going:
            if not child.wait(max(0.0, deadline - time.monotonic())):
                self._sink(VOICE, f"{child.spec.name} did not stop within {grace_s:g} s: killed")
                child.kill()
