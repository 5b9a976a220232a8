"""A live line: how late results come by load, and how fast a strip may run."""

from __future__ import annotations

from typing import Any

from performance_aims import profiles
from performance_results import Found, made, number, table

STABLE, DEGRADING, FAILURE = "stable", "degrading", "failure"


def latency(found: Found) -> str:
    rows, ends = [], []
    for name, one in profiles(found).items():
        loads = {
            f"{float(load):.0%} of {number(one['saturation_tiles_per_s'])} tiles/s": each
            for load, each in one["loads"].items()
        }
        crowds = {
            key.replace("_at_", " at ").replace("_per_s", " frames/s").replace("_", " "): each
            for key, each in one.items()
            if "_at_" in key
        }
        for load, each in {**loads, **crowds}.items():
            rows.append(
                [
                    f"`{name}`",
                    load,
                    each.get("tier", ""),
                    each["p50_ms"],
                    each["p99_ms"],
                    each["p50_over_bare"],
                    each["p99_over_bare"],
                    each["frames"],
                    each["shed"],
                    each["lost"],
                    each.get("uncounted", ""),
                ]
            )
        late = one["end_to_verdict_ms"]
        ends.append(
            [f"`{name}`", one["bare_ms"], late["p50"], late["p99"], late["most"], late["strips"], late["not_timed"]]
        )
    head = [
        "profile",
        "load",
        "tier",
        "p50 ms",
        "p99 ms",
        "p50 over bare",
        "p99 over bare",
        "frames",
        "shed",
        "lost",
        "uncounted",
    ]
    return (
        f"Engine {found['engine']}, {found['engine_workers']} engines of one thread; runs of {found['seconds_a_run']:g} s.\n\n"
        + table(head, rows)
        + "\nThe bare time of a frame, and from a strip's last result to its verdict, ms:\n\n"
        + table(["profile", "bare", "verdict: p50", "p99", "most", "strips", "not timed"], ends)
        + "\n![Latency by load](figures/performance-latency.png)\n\n"
        + made(found)
    )


def line_speed(found: Found) -> str:
    cases = speeds(found)
    rows, beyond = [], []
    for case, one in cases.items():
        cpu = float(one["cpu_us_a_tile"].get("all", 0.0))
        rounds = ", ".join(number(each["holds_m_per_s"]) for each in one["rounds"])
        rows.append(
            [
                *_case(case),
                f"**{number(one['holds_m_per_s'])}**",
                rounds,
                one["tiles_per_s"],
                one["flat_out_m_per_s"],
                cpu or "",
                cpu * one["tiles_per_s"] / 1e6 or "",
            ]
        )
        for factor, broken in one["breaks"].items():
            beyond.append(
                [
                    *_case(case),
                    f"{factor} x",
                    broken["m_per_s"],
                    tier(broken),
                    f"{broken['shed_share']:.1%}",
                    broken["p50_ms"],
                    broken["p99_ms"],
                    f"{broken['growth_s_per_s']:.3f}",
                    broken["most_waiting"],
                ]
            )
    return (
        f"Engine {found['engine']}, {found['engine_workers']} engines of one thread. A speed is held for {found['seconds']:g} s; p99 within"
        f" {found['p99_bound_ms']} ms; a source sheds what would wait longer than {found['budget_s']:g} s.\n\n"
        + table(
            [
                "profile",
                "sides",
                "holds, m/s",
                "of each round",
                "tiles/s then",
                "replayed flat out, m/s",
                "CPU µs a tile",
                "cores busy",
            ],
            rows,
        )
        + "\nAbove the speed that holds:\n\n"
        + table(
            [
                "profile",
                "sides",
                "times",
                "m/s",
                "tier",
                "shed",
                "p50 ms",
                "p99 ms",
                "falls behind, s/s",
                "most frames waiting",
            ],
            beyond,
        )
        + "\n![99th percentile of latency by line speed, every trial](figures/performance-speed.png)\n\n"
        + made(found)
    )


def speeds(found: Found) -> dict[str, Found]:
    """The cases of line_speed.json."""
    return {name: one for name, one in found.items() if isinstance(one, dict) and "holds_m_per_s" in one}


def tier(trial: Found) -> str:
    """Of a trial: what holds is stable, what is only late degrades, and loss is failure."""
    if trial["holds"]:
        return STABLE
    return FAILURE if trial["shed_share"] or trial["failed"] or trial["lost"] else DEGRADING


def _case(name: str) -> list[Any]:
    profile, _, sides = name.partition(".")
    return [f"`{profile}`", sides]
