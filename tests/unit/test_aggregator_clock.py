"""Deadlines go by the server's clock, which may be set; idle time is what our own clock saw go by as well."""

from __future__ import annotations

from stripwatch_aggregator.clock import ServerClock


class Ours:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_without_a_step_the_server_is_believed() -> None:
    ours = Ours()
    clock = ServerClock(ours)
    clock.saw(50_000)
    ours.seconds += 10
    clock.saw(60_100)
    assert clock.idle_ms(70_000) == 70_000


def test_a_step_forward_is_no_idle_time() -> None:
    ours = Ours()
    clock = ServerClock(ours)
    clock.saw(50_000)
    ours.seconds += 1
    clock.saw(51_000 + 3_600_000)
    assert clock.idle_ms(3_600_500) == 0
    ours.seconds += 30
    clock.saw(81_000 + 3_600_000)
    assert clock.idle_ms(3_630_500) == 30_000
    assert clock.idle_ms(5_000) == 5_000


def test_a_step_back_changes_nothing() -> None:
    ours = Ours()
    clock = ServerClock(ours)
    clock.saw(5_000_000)
    ours.seconds += 1
    clock.saw(5_000_000 - 3_600_000)
    assert clock.idle_ms(700) == 700
