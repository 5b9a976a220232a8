"""Writes the figures of docs/guarantees.md from the results of the benchmarks: run `make docs`; a test checks it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "guarantees.md"
RESULTS = DOCS.parent / "benchmarks" / "results"
BEGIN = "<!-- From here on written by `make docs` from benchmarks/results. -->\n"

Found = dict[str, Any]


def page() -> str:
    """The page with its figures as the results have them."""
    text, _, _ = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    parts = [chaos, durability, failover, overload, soak, fuzz, mutation]
    return text + BEGIN + "\n" + "\n".join(part(_read(part.__name__)) for part in parts)


def chaos(found: Found) -> str:
    recovery = found["recovery_s"]
    kinds = ", ".join(f"{count} on {kind}" for kind, count in found["by_redis"].items())
    faults = [list(one) for one in sorted(found["faults_by_kind"].items(), key=lambda one: -one[1])]
    return (
        "## Chaos\n\n"
        "The real processes on a real Redis, a fault proxy between them, faults by a seeded schedule: killed, stopped, told to stop,"
        " cut, half-open, slow, trickling, corrupt or refused connections, a paused, emptied, squeezed or failed-over Redis."
        " Strips live and replayed, with repeats, gaps, wrong orders, broken images, missing ends. After each run the books must balance, by what a"
        " consumer can see.\n\n"
        f"**{found['runs']} runs** ({kinds}), {found['faults']:,} faults, {found['strips']:,} strips, **{found['sent']:,} frames sent**:"
        f" {found['accounted']:,} accounted for in a verdict, {found['overdue']:,} came late and were counted so, {found['gone']:,} went with a Redis"
        f" that may lose them, as stated (no append-only file, or a fail-over). {found['verdicts']:,} verdicts, none twice, none missing;"
        f" {found['restarts']:,} processes started again. From the last fault to the last verdict: median {recovery['median']} s, 95 %"
        f" within {recovery['p95']} s, longest {recovery['longest']} s. **Books that do not balance: {len(found['violated'])}**."
        f" {len(found['mended'])} seeds ({', '.join(found['mended'])}) did not at first; what they found, in the product or in the books' own rules, is"
        " mended, and they were run again.\n\n"
        + _columns(["fault", "times"], faults, 3)
        + "\n"
        + _made(found)
        + " `make chaos SEED=… RUNS=… REDIS=7|8|sentinel|cluster` repeats any of them; four seeds run with the tests"
        " (`e2e/test_chaos.py`).\n"
    )


def durability(found: Found) -> str:
    rows = [
        [
            one["redis"],
            one["appendfsync"],
            "power cut" if one["power_cut"] else "killed",
            one["starts"],
            one["starts_lost"],
            one["frames"],
            one["frames_lost"],
            f"{one['verdicts_gone']}, {one['decided_again']}",
            one["ids_changed"],
            one["unread"],
        ]
        for one in found["rows"]
    ]
    head = [
        "Redis",
        "appendfsync",
        "how",
        "starts",
        "lost",
        "frames",
        "lost",
        "verdicts gone, decided again",
        "ids changed",
    ]
    return (
        "## Durability\n\n"
        "Redis killed under load, again and again; for a power cut its file is also cut back to what the last finished flush covered. Counted"
        " are starts and frames that were acknowledged, verdicts that an MES had read, and those it never got to read (the last column). With `always` nothing"
        " may be lost; what the other modes lose depends on the load, and a reader's cursor beyond the end fails loudly. A run that had ended"
        " before such a loss leaves no trace.\n\n" + _table([*head, "never read"], rows) + "\n" + _made(found)
    )


def failover(found: Found) -> str:
    how = {
        "killed": "primary killed",
        "paused": "`CLIENT PAUSE WRITE`, then `SENTINEL FAILOVER`",
        "asked": "`SENTINEL FAILOVER` alone",
    }
    rows = [
        [
            one["redis"],
            how[one["how"]],
            one["replicas"],
            one["min_replicas_to_write"],
            one["acknowledged"],
            one["lost"],
            one["longest_gap_s"],
        ]
        for one in found["outcomes"]
    ]
    head = ["Redis", "how", "replicas", "min-replicas-to-write", "acknowledged", "lost", "nothing taken for, s"]
    return (
        "## Fail-over\n\n"
        "Frames acknowledged and lost when a primary goes. Replication is asynchronous: pause writes before a planned step-down"
        " ([redis.md](redis.md)).\n\n" + _table(head, rows) + "\n" + _made(found["conditions"])
    )


def overload(found: Found) -> str:
    rows = []
    for kind in ("live", "replay"):
        for factor, one in found[kind].items():
            late, back = one["latency_s"], one["recovery_s"]
            rows.append(
                [
                    f"{kind}, {factor} x",
                    one["over_capacity"]["judged"],
                    f"{one['shed_share']:.1%}",
                    late["p50"],
                    late["p99"],
                    f"{one['backlog_bytes_most'] / 2**20:.1f}",
                    f"{back['backlog_normal_s']}, {back['latency_normal_s']}",
                ]
            )
    head = ["offered", "judged, of capacity", "shed", "p50 s", "p99 s", "backlog MiB", "recovery s (backlog, latency)"]
    return (
        "## Overload\n\n"
        f"A classifier of fixed cost ({found['ms_a_tile']} ms a tile), so that capacity is not this machine's; each load for"
        f" {found['seconds_a_point']:g} s, then half of capacity. The budget of {found['budget_bytes'] / 2**20:.0f} MiB is {found['budget_s']} s of"
        " capacity: that, and the 64 frames in a worker's hand, bound the latency of what is accepted. Latency is from capture (of a replay: from when the frame was asked"
        " for) to its record. In each row the verdict's expected, judged and shed frames are those of the source, to the frame.\n\n"
        + _table(head, rows)
        + "\n"
        + _made(found)
    )


def soak(found: Found) -> str:
    tenths = " ".join(f"{one['all']:.0f}" for one in found["cpu_us_a_frame_by_tenth"])
    rows = [
        [name, one["first_mib"], one["last_mib"], f"{one['mib_a_million_frames']:+.2f}"]
        for name, one in found["memory"].items()
        if one
    ]
    account = found["account"]
    return (
        "## Soak\n\n"
        f"One run of **{found['frames']:,} frames** (64 x 64 px, two cameras, tiny models in the real model services, every 500th frame defective):"
        f" {account['judged']:,} judged, {account['failed']:,} failed with their bytes in `dead`, {account['shed'] + account['never_seen']:,} lost;"
        f" {account['defects_found']:,} defects of {account['bright_frames']:,} bright frames, {found['restarts']} restarts. CPU time of all processes a frame, µs, by"
        f" tenth of the run: {tenths}; the last over the first: **{found['last_over_first_tenth']}**. Most that waited:"
        f" {found['most_waiting']['frames']:,} frames, {found['most_waiting']['results']:,} results.\n\n"
        + _table(["memory, after the first fifth", "first MiB", "last MiB", "MiB a million frames"], rows)
        + "\n"
        + _made(found)
    )


def fuzz(found: Found) -> str:
    rows = [
        [name, f"{one['inputs']:,}", one["edges"], one["features"], len(one["crashes"])]
        for name, one in found["targets"].items()
    ]
    bounds = found["bounds"]
    return (
        "## Fuzzing\n\n"
        f"**{found['inputs']:,} inputs** led by coverage (atheris {found['versions']['atheris']}), each within {bounds['hang_s']} s and"
        f" {bounds['memory_mb']:,} MiB, each refusal one printable line. Coverage is of Python code. What was found on the way is fixed, and a test"
        " each (`unit/test_fuzz_regressions.py`).\n\n"
        + _table(["target", "inputs", "edges", "features", "crashes left"], rows)
        + "\n"
        + _made(found)
    )


def mutation(found: Found) -> str:
    rows = [[name, one["score"]] for name, one in sorted(found["modules"].items())]
    return (
        "## Mutation testing\n\n"
        f"Of {found['mutants']} changed lines in the aggregator's core and the stream in memory, the tests noticed **{found['score']} %**; with the tests"
        f" written since, which notice {found['noticed_since']} of the survivors, {found['score_with_the_tests_written_since']:.1f} % (added up, not run again). The results file says of each"
        " survivor why it does not matter. A sample, not all; neither the Lua nor the adapter on Redis was changed.\n\n"
        + _columns(["module", "noticed, %"], rows, 2)
        + "\n"
        + _made(found)
    )


def _read(name: str) -> Found:
    found: Found = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _table(head: list[str], rows: Iterable[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_shown(cell) for cell in row)} |\n" for row in lines)


def _columns(head: list[str], rows: list[list[Any]], times: int) -> str:
    """A narrow table side by side with itself."""
    height = -(-len(rows) // times)
    empty = [""] * len(head)
    padded = [*rows, *[empty] * (height * times - len(rows))]
    return _table(head * times, [list(chain(*padded[line::height])) for line in range(height)])


def _shown(cell: Any) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _made(found: Found) -> str:
    commits = found.get("commits") or [found["commit"]]
    return f"`{found['command']}`, at {', '.join(commit[:10] for commit in commits)}.\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
