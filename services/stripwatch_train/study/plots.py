"""The pictures of `docs/paper.md`: one look for all, and the same bytes each time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

mpl.use("Agg")
INK, ACCENT, SECOND, GRID = "#1f2933", "#c2410c", "#2563a8", "#d5dae0"
COLOURS = (SECOND, ACCENT, "#4d7c0f", "#7c3aed", "#0f766e", "#a16207", "#9d174d", "#475569")
STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
mpl.rcParams.update(STYLE)


@dataclass(frozen=True, slots=True)
class Plots:
    """Saves figures beside the page and gives the Markdown that shows them."""

    page: Path

    def save(self, figure: Figure, name: str, alt: str) -> str:
        """Write `figures/NAME.png` beside the page; the Markdown line that shows it."""
        folder = self.page.parent / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=130, metadata={"Software": None})
        return f"![{alt}](figures/{name}.png)\n"
