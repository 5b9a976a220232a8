"""Writes the tables and plots of docs/performance.md from the benchmarks' results: run `make docs`; a test checks it.

What stands between two markers of the page is made here, the rest is written by hand. A file that is not there yet is
named with the command that makes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from performance_conditions import conditions, noise
from performance_growth import growth
from performance_line import latency, line_speed
from performance_pipeline import ceilings, mobilenet, pipeline, torch
from performance_results import COMMANDS, Found, Results, unmeasured
from performance_serving import serving
from performance_startup import startup
from performance_targets import targets

PAGE = Path(__file__).parent / "performance.md"
PICTURES = PAGE.parent / "figures"
MARKED = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
OF_ALL: dict[str, Callable[[Results], str]] = {"targets": targets, "conditions": conditions, "noise": noise}
OF_ONE: dict[str, tuple[str, Callable[[Found], str]]] = {
    "pipeline": ("pipeline", pipeline),
    "mobilenet": ("mobilenet", mobilenet),
    "serving": ("serving", serving),
    "latency": ("latency", latency),
    "line_speed": ("line_speed", line_speed),
    "ceilings": ("pipeline", ceilings),
    "torch": ("pipeline", torch),
    "growth": ("growth", growth),
    "startup": ("startup", startup),
}
PLOTS = {
    "performance-pipeline": "pipeline",
    "performance-serving": "serving",
    "performance-latency": "latency",
    "performance-speed": "line_speed",
    "performance-growth": "growth",
}
"""Each picture, and the file that it is drawn from."""
__all__ = ["COMMANDS", "PAGE", "PICTURES", "PLOTS", "Results", "page"]


def page(results: Results | None = None) -> str:
    """The page with its parts as the results have them."""
    results = results or Results()
    text = PAGE.read_text(encoding="utf-8")
    return MARKED.sub(lambda found: found[1] + "\n" + part(found[2], results) + "\n" + found[3], text)


def part(name: str, results: Results) -> str:
    """What goes between the markers of that name."""
    if name in OF_ALL:
        return OF_ALL[name](results)
    file, tell = OF_ONE[name]
    found = results.find(file)
    return f"*{unmeasured(file).capitalize()}.*\n" if found is None else tell(found)


def draw(results: Results, folder: Path) -> None:
    """The plots of all files that are there. Each picture's own text says which state of its file it shows."""
    from performance_figures import FIGURES  # noqa: PLC0415 - two seconds, which no reader of the page's text needs

    for name, file in PLOTS.items():
        found = results.find(file)
        if found is not None:
            told = {"Software": None, "Source": results.fingerprint(file)}
            FIGURES[file](found).savefig(folder / f"{name}.png", dpi=130, metadata=told)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    draw(Results(), PICTURES)
