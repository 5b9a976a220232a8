"""The aims of the issue on speed, each beside what a result file says and whether that meets it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from performance_results import Found, number

FLAT = 0.05
EFFICIENCY, OWN_US, SERVED = 0.85, 300, 0.95
P50_TIMES, P99_TIMES, VERDICT_MS = 2, 4, 100
M_PER_S = {"accurate.1": 5, "fast.2": 20, "coarse.2": 20}
TORCH_TIMES = {"accurate": 15, "fast": 60, "coarse": 60}
LINEAR = 1.1
"""The exponent up to which a cost counts as linear."""


@dataclass(frozen=True, slots=True)
class Aim:
    """One line of the table."""

    what: str
    aim: str
    measured: str
    met: bool


def efficiency(found: Found) -> Iterator[Aim]:
    for name, one in found["profiles"].items():
        if name == "mobilenet":
            share = one["efficiency"]
            yield Aim(
                "pipeline over bare loop, `mobilenet`",
                f"≥ {EFFICIENCY}",
                f"{share:.2f}",
                share >= EFFICIENCY,
            )
    for name, one in found["profiles"].items():
        own = one["own_cpu_us_a_tile"]
        yield Aim(f"own CPU a tile, `{name}`", f"≤ {OWN_US} µs", f"{number(own)} µs", own <= OWN_US)


def serving(found: Found) -> Iterator[Aim]:
    share = found["service_over_engine"]
    yield Aim("service over engine, 16 tiles a request", f"≥ {SERVED}", f"{share:.3f}", share >= SERVED)
    large = found["service_as_the_worker_asks"]
    asked = f"service over engine, {large['tiles_a_request']} tiles a request"
    yield Aim(asked, f"≥ {SERVED}", f"{large['over_engine']:.3f}", large["over_engine"] >= SERVED)
    ours = found["service"]
    peers = {name: one for name, one in found["peers"].items() if one["rounds"]}
    absent = [name for name in found["peers"] if name not in peers]
    for key, what, sign in (
        ("tiles_per_s", "tiles/s", 1),
        ("p99_ms", "p99 in ms", -1),
        ("load_mib", "MiB under load", -1),
    ):
        behind = [f"{name} {number(one[key])}" for name, one in peers.items() if sign * one[key] >= sign * ours[key]]
        told = f"{number(ours[key])}, ahead of {len(peers) - len(behind)}"
        told += f"; not of {', '.join(behind)}" if behind else ""
        told += f"; did not run: {', '.join(absent)}" if absent else ""
        yield Aim(f"{what} beside peers", f"ahead of all {len(found['peers'])}", told, not behind and not absent)


def latency(found: Found) -> Iterator[Aim]:
    for name, one in profiles(found).items():
        half = one["loads"].get("0.5")
        if half:
            for quantile, most in (("p50", P50_TIMES), ("p99", P99_TIMES)):
                times = half[f"{quantile}_over_bare"]
                yield Aim(
                    f"half load, {quantile}, `{name}`",
                    f"≤ {most} x bare",
                    f"{number(times)} x",
                    times <= most,
                )
        late = one["end_to_verdict_ms"]["p99"]
        yield Aim(
            f"last result to verdict, p99, `{name}`",
            f"≤ {VERDICT_MS} ms",
            f"{number(late)} ms",
            late <= VERDICT_MS,
        )
        for crowd, many in one.items():
            if "uncounted" in (many if isinstance(many, dict) else {}):
                cameras = crowd.partition("_")[0]
                yield Aim(
                    f"uncounted frames of {cameras} cameras, `{name}`",
                    "0",
                    f"{many['uncounted']:,} of {many['frames']:,}",
                    not many["uncounted"],
                )


def line_speed(found: Found) -> Iterator[Aim]:
    for case, aim in M_PER_S.items():
        if case in found:
            profile, _, sides = case.partition(".")
            holds = found[case]["holds_m_per_s"]
            what = f"`{profile}`, {'one side' if sides == '1' else 'both sides'}"
            yield Aim(what, f"≥ {aim} m/s", f"{number(holds)} m/s", holds >= aim)


def torch(found: Found) -> Iterator[Aim]:
    for name, aim in TORCH_TIMES.items():
        if name in found["over_torch"]:
            times = found["over_torch"][name]
            yield Aim(
                f"pipeline over the better loop, `{name}`",
                f"{aim} x",
                f"{number(times)} x",
                times >= aim,
            )


def growth(found: Found) -> Iterator[Aim]:
    for what, ratios in (
        ("length of a strip", found["strips"]["against_reference"]),
        ("cameras", found["cameras"]["against_one_camera"]["all"]),
        ("cameras, a further frame", found["cameras"]["against_one_camera"]["further frame"]),
        ("workers", found["workers"]["cpu_against_one_worker"]),
    ):
        yield _flat(what, ratios)
    top, points = found["workers"]["ceiling"], found["workers"]["points"]
    rates = [point["frames_per_s"] for name, point in points.items() if int(name) <= top["workers"]]
    told = f"{number(top['frames_per_s'])} frames/s with {top['workers']}, full: {top['full']}"
    yield Aim("frames/s by workers", "grows up to a stated ceiling", told, rates == sorted(rates))
    yield _flat("frames of one strip", {f"{found['long']['frames']:,}": found["long"]["against_fresh"]})
    for name, one in found["verdict"].items():
        power = one["exponent"]
        yield Aim(f"verdict over flagged tiles, `{name}`", "linear", f"exponent {power:.2f}", power <= LINEAR)


def _flat(what: str, ratios: Mapping[str, Mapping[str, Any]]) -> Aim:
    """By the point that is furthest from the reference."""
    where, worst = max(ratios.items(), key=lambda one: abs(one[1]["ratio"] - 1))
    measured = f"{worst['ratio']:.3f} ({worst['lowest']:.3f} to {worst['highest']:.3f}) at {where}"
    return Aim(f"CPU a frame by {what}", "1 ± 0.05", measured, abs(worst["ratio"] - 1) <= FLAT)


def startup(found: Found) -> Iterator[Aim]:
    aims = found["aims"]
    name, slowest = max(found["start"].items(), key=lambda one: one[1]["median_s"])
    yield Aim(
        "ready, the slowest service",
        f"< {aims['ready_s']} s",
        f"{number(slowest['median_s'])} s ({name})",
        slowest["median_s"] < aims["ready_s"],
    )
    for engine, processes in found["at_rest"].items():
        ours = {process: one["rss_mib"] for process, one in processes.items() if process != "all"}
        models = {process: mib for process, mib in ours.items() if process in ("classifier", "anomaly")}
        others = {process: mib for process, mib in ours.items() if process not in models}
        for what, each, aim in (
            ("a model service", models, aims["model_service_mib"]),
            ("another", others, aims["other_service_mib"]),
        ):
            process, mib = max(each.items(), key=lambda one: one[1])
            yield Aim(
                f"resident memory of {what} at rest, {engine}",
                f"< {aim} MB",
                f"{number(mib)} MiB ({process})",
                mib * MIB < aim,
            )
    for engine, one in found["demo"].items():
        mib = one["most"]["pss_mib"]
        yield Aim(
            f"the whole demo, {engine}",
            f"< {aims['demo_mib']:,} MB",
            f"{number(mib)} MiB",
            mib * MIB < aims["demo_mib"],
        )


MIB = 1.048576
"""MB in one."""


def profiles(found: Found) -> dict[str, Found]:
    """Of latency.json."""
    return {name: one for name, one in found.items() if isinstance(one, dict) and "loads" in one}
