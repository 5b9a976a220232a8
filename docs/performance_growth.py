"""What grows with frames, cameras, strips, workers and defects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from performance_results import Found, made, number, table


def growth(found: Found) -> str:
    return (
        f"Frames of {found['frame_bytes']:,} bytes, one tile each; {found['rounds']} rounds. A ratio is to the reference of its own round: the median, then the lowest"
        " and the highest.\n\n"
        + "\n".join(part(found) for part in (_strips, _long, _cameras, _workers, _verdict, _memory))
        + "\n![What grows](figures/performance-growth.png)\n\n"
        + made(found)
    )


def _strips(found: Found) -> str:
    strips = found["strips"]
    rows = [
        [int(name), point["times"], point["all"], *_ratio(strips["against_reference"][name])]
        for name, point in strips["points"].items()
    ]
    whole = strips["parts"]["all"]
    return (
        "### By length of strip\n\n"
        + table(["frames of a strip", "strips", "CPU µs a frame", "ratio", "word"], rows)
        + f"\nAs a straight line: {number(whole['us_a_frame'])} µs a frame, {number(whole['us_a_strip'])} µs a strip (its start, its ends, its verdict).\n"
    )


def _long(found: Found) -> str:
    long, million = found["long"], found["million"]
    rows = [
        [one["frames_before"], one["deep"]["all"], one["fresh"]["all"], f"{one['ratio']:.3f}"] for one in long["parts"]
    ]
    tenths = ", ".join(f"{one:.2f}" for one in million["over_first_tenth"])
    return (
        f"### One strip of {long['frames']:,} frames\n\nIn parts, each beside a fresh strip of {long['fresh_frames']:,}: "
        + " ".join(_ratio(long["against_fresh"]))
        + f". End and verdict of all: {number(long['end_and_verdict_ms'].get('aggregator', 0.0))} ms of the aggregator.\n\n"
        + table(["frames before", "CPU µs a frame", "of a fresh strip", "ratio"], rows)
        + f"\nOne run of {million['frames']:,} frames ({million['file']}, at {million['commit'][:10]}): the services' CPU a frame by tenth, over the first: {tenths}.\n"
    )


def _cameras(found: Found) -> str:
    cameras = found["cameras"]
    against = cameras["against_one_camera"]
    rows = [
        [
            int(name),
            point["times"],
            point["all"],
            *_ratio(against["all"][name]),
            point["further frame"],
            *_ratio(against["further frame"][name]),
        ]
        for name, point in cameras["points"].items()
    ]
    return (
        f"### By cameras\n\nA run has at most {cameras['most_cameras_a_run']} cameras; more are runs side by side.\n\n"
        + table(["cameras", "runs", "CPU µs a frame", "ratio", "word", "of a further frame", "ratio", "word"], rows)
    )


def _workers(found: Found) -> str:
    workers, top = found["workers"], found["workers"]["ceiling"]
    rows = [
        [
            int(name),
            point["frames_per_s"],
            *_ratio(workers["throughput_against_one_worker"][name]),
            point["all"],
            *_ratio(workers["cpu_against_one_worker"][name]),
            point["cores"],
        ]
        for name, point in workers["points"].items()
    ]
    return (
        f"### By workers\n\nA service that only waits {workers['ms_a_request']:g} ms a request of {workers['tiles_a_request']} tiles, so that the transport is what is measured.\n\n"
        + table(
            [
                "workers",
                "frames/s",
                "over one worker",
                "word",
                "CPU µs a frame",
                "over one worker",
                "word",
                "cores busy",
            ],
            rows,
        )
        + f"\n**Ceiling here: {number(top['frames_per_s'])} frames/s** with {top['workers']} workers, {top['cores_busy']} of {top['cores']} cores busy. Full: {top['full']}."
        f" Where there are more cores, {top['full_next']} is full next, at {top['full_next_at_frames_per_s']:,} frames/s.\n"
    )


def _verdict(found: Found) -> str:
    rows = []
    for name, one in found["verdict"].items():
        for size, point in one["points"].items():
            rows.append(
                [f"`{name}`", int(size), point["defects"], point["decide_ms"], point["event_ms"], point["us_a_tile"]]
            )
    powers = ", ".join(f"`{name}` {one['exponent']:.2f}" for name, one in found["verdict"].items())
    return (
        f"### A verdict by its defects\n\nCost as a power of flagged tiles, from 100 on (1 is linear): {powers}.\n\n"
        + table(["layout", "flagged tiles", "defects", "decide, ms", "its event, ms", "µs a tile"], rows)
    )


def _memory(found: Found) -> str:
    memory: Mapping[str, Mapping[str, Mapping[str, Any]]] = found["memory"]
    kinds = list(next(iter(memory.values())))
    rows = [[when, *(_mib(of_kinds.get(kind)) for kind in kinds)] for when, of_kinds in memory.items()]
    return (
        "### Memory\n\nMiB resident of the largest process of a kind; of Redis also what it says that it uses.\n\n"
        + table(["when", *kinds], rows)
    )


def _mib(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    used = f" (uses {one['used_mib']})" if "used_mib" in one else ""
    return f"{one['rss_mib_most']}{used}"


def _ratio(one: Mapping[str, Any]) -> list[str]:
    return [f"{one['ratio']:.3f} ({one['lowest']:.3f} to {one['highest']:.3f})", one["word"]]
