"""The pipeline beside its bare loop and a plain torch loop, and what the models themselves cost."""

from __future__ import annotations

from performance_results import Found, made, number, span, table

TILES_A_M = 100
"""Of a strip 1 m wide: ten tiles of 200 px across, at 0.5 mm/px."""
PROCESSES = ("source", "redis", "preprocess-1", "classifier-1", "anomaly", "aggregator")


def pipeline(found: Found) -> str:
    rates, shares = [], []
    for name, one in found["profiles"].items():
        bare, ours = one["bare"], one["pipeline"]
        pairs = zip(ours["rounds"], bare["rounds"], strict=True)
        rounds = [mine["tiles_per_s"] / alone["tiles_per_s"] for mine, alone in pairs]
        rates.append(
            [
                f"`{name}`",
                bare["tiles_per_s"],
                ours["tiles_per_s"],
                f"**{one['efficiency']:.2f}**",
                span(rounds),
                bare["cpu_us_a_tile"],
                ours["cpu_us_a_tile"]["all"],
                one["own_cpu_us_a_tile"],
            ]
        )
        cpu = ours["cpu_us_a_tile"]
        shares.append(
            [f"`{name}`", bare["cpu_us_a_tile"], *(float(cpu.get(process, 0.0)) for process in PROCESSES), cpu["all"]]
        )
    head = [
        "profile",
        "bare loop, tiles/s",
        "pipeline, tiles/s",
        "efficiency",
        "of each round",
        "CPU µs a tile: bare",
        "pipeline",
        "beyond the bare loop",
    ]
    return (
        f"Engine {found['engine']}, {found['rounds']} rounds.\n\n"
        + table(head, rates)
        + "\nWhere a tile's CPU time goes, µs (medians each, so that they need not add up):\n\n"
        + table(["profile", "bare loop", *PROCESSES, "all"], shares)
        + "\n![CPU time a tile by process, beside the bare loop](figures/performance-pipeline.png)\n\n"
        + made(found)
    )


def torch(found: Found) -> str:
    if not found["torch"]:
        return "Not measured yet with this file: `make bench-pipeline`.\n"
    loops = {batch: one["tiles_per_s"] for batch, one in found["torch"].items()}
    best = max(loops.values())
    rows = [[f"torch, batch {batch}", rate, "", f"{rate / best:.2f}"] for batch, rate in loops.items()]
    rows += [
        [
            f"stripwatch, `{name}`",
            one["pipeline"]["tiles_per_s"],
            one["bare"]["tiles_per_s"],
            f"**{found['over_torch'][name]:.1f}** (the bare loop: {one['bare']['tiles_per_s'] / best:.1f})",
        ]
        for name, one in found["profiles"].items()
    ]
    return (
        table(["", "tiles/s, end to end", "its bare loop", "over the better torch loop"], rows)
        + "\nThe figure in brackets is what a pipeline that cost nothing would reach with these models on these cores.\n\n"
        + made(found)
    )


def mobilenet(found: Found) -> str:
    rows = []
    for engine, one in found["engines"].items():
        cost = one["us_a_tile"]
        rows.append(
            [
                engine,
                cost["classifier"],
                cost["scorer_from_tiles"],
                cost["scorer_from_descriptors"],
                cost["GreyStem"],
                cost["ColourStem"],
                f"{one['folded_over_three_planes']:.3f}",
                f"{one['accuracy']:.4f}",
                f"{one['clean_tiles_flagged']['mobilenet']:.2%}",
            ]
        )
    head = [
        "engine",
        "classifier",
        "scorer, from tiles",
        "scorer, from descriptors",
        "one grey plane",
        "three planes",
        "folded over three planes",
        "accuracy",
        "clean tiles flagged",
    ]
    return (
        f"CPU µs a tile on one thread, 16 a run; accuracy on {found['held_out_images']:,} NEU images that were held out, alarms on"
        f" {found['clean_tiles']:,} simulated clean tiles.\n\n" + table(head, rows) + "\n" + made(found)
    )


def ceilings(found: Found) -> str:
    """How fast a strip may run at most on these cores, by the bare loop alone."""
    rows = []
    for name, one in found["profiles"].items():
        alone, ours = one["bare"]["tiles_per_s"] / TILES_A_M, one["pipeline"]["tiles_per_s"] / TILES_A_M
        rows.append([f"`{name}`", number(alone), number(ours), number(ours / 2)])
    return table(["profile", "bare loop, m/s of one side", "pipeline flat out, m/s of one side", "of both sides"], rows)
