"""Settings of an ingest process for what the command line feeds: simulated strips, a folder of images."""

from __future__ import annotations

from pathlib import Path

from stripwatch.simulate.series import StripSeries


def simulator_settings(
    series: StripSeries, strips: int, run: str, speed: float | None = None, recipe: str | None = None
) -> dict[str, str]:
    """`speed` in m/s; None: as fast as the line takes them. `recipe` None: the ingest's own default."""
    return {
        "STRIPWATCH_SOURCE": "simulator",
        "STRIPWATCH_RUN": run,
        "STRIPWATCH_SPEED_M_PER_S": f"{speed or 0:g}",
        "STRIPWATCH_LENGTH_MM": f"{series.length_mm:g}",
        "STRIPWATCH_WIDTH_MM": f"{series.width_mm:g}",
        "STRIPWATCH_MM_PER_PX": f"{series.mm_per_px:g}",
        "STRIPWATCH_SIDES": ",".join(side.value for side in series.sides),
        "STRIPWATCH_SIM_SEED": str(series.seed),
        "STRIPWATCH_SIM_STRIPS": str(strips),
        "STRIPWATCH_SIM_DEFECTS": ",".join(str(count) for count in series.defects),
        **({"STRIPWATCH_RECIPE": recipe} if recipe else {}),
    }


def folder_settings(folder: Path, strip: str, run: str) -> dict[str, str]:
    return {"STRIPWATCH_SOURCE": f"folder:{folder.resolve()}", "STRIPWATCH_STRIP": strip, "STRIPWATCH_RUN": run}
