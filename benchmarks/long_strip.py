"""One very long strip sent in parts, each beside a fresh strip: what a frame costs that has very many before it."""

from __future__ import annotations

from typing import Any

from metered import Cost, Metered, a_frame
from strip_series import Series, Strip
from trend import shown

from stripwatch.feed import Publisher


def long_strip(meter: Metered, frames: int, parts: int, fresh_frames: int) -> dict[str, Any]:
    """CPU time a frame of each part over that of the fresh strip beside it, and what end and verdict cost in all.

    Which of the two comes first changes from part to part.
    """
    publisher = meter.feeder.publisher()
    strip = meter.feeder.begin(publisher)
    told: list[dict[str, Any]] = []
    for part in range(1, parts + 1):
        wanted = frames * part // parts - strip.sent
        if part % 2:
            fresh, deep = _fresh(meter, fresh_frames), _deep(meter, publisher, strip, wanted)
        else:
            deep, fresh = _deep(meter, publisher, strip, wanted), _fresh(meter, fresh_frames)
        told.append(
            {
                "frames_before": strip.sent - wanted,
                "ratio": round(deep["all"] / fresh["all"], 3),
                "deep": deep,
                "fresh": fresh,
                "memory": meter.memory(),
            }
        )
        print(f"long strip, {strip.sent} frames: {deep['all']} µs a frame, beside it {fresh['all']}", flush=True)
    _, verdict_s = meter.spent(lambda: _end(publisher, strip))
    meter.check([strip])
    return {
        "frames": frames,
        "fresh_frames": fresh_frames,
        "parts": told,
        "against_fresh": shown([one["ratio"] for one in told]),
        "end_and_verdict_ms": {kind: round(spent * 1e3, 2) for kind, spent in verdict_s.items()},
    }


def _deep(meter: Metered, publisher: Publisher, strip: Strip, frames: int) -> Cost:
    def send() -> None:
        strip.send(frames)
        publisher.flush()

    return a_frame(meter.spent(send, open_runs=1)[1], frames)


def _fresh(meter: Metered, frames: int) -> Cost:
    strips, spent = meter.spent(lambda: meter.feeder.send(Series(frames)), open_runs=1)
    meter.check(strips)
    return a_frame(spent, frames)


def _end(publisher: Publisher, strip: Strip) -> None:
    strip.end()
    publisher.close(60.0)
