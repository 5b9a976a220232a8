"""What the demo shows: each strip's verdict, and beside each true defect what was found there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from stripwatch.cli.show import COLOURS, percent
from stripwatch.domain.box import Box
from stripwatch.domain.defect import Defect
from stripwatch.domain.names import printable
from stripwatch.domain.verdict import CameraAccount, StripVerdict
from stripwatch.simulate import Flaw
from stripwatch.simulate.agreement import Agreement

_ROW = "    {mark} {label:<15}  {place:<24} {size:>12}"
_HEAD = _ROW.format(mark=" ", label="truth", place="side    from head, edge", size="size") + "  found"

_MOST_LOSSES = 10


class DemoPage:
    """Short, aligned, calm; colours only where there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(f"  {printable(text)}", style=style))

    @contextmanager
    def working(self, text: str, *, frames: bool = False) -> Iterator[Progress]:
        """A line that moves while something is under way, and leaves nothing behind. Its one task has the id 0."""
        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        if frames:
            columns += [BarColumn(bar_width=24), TextColumn("{task.completed:.0f} frames judged")]
        with Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        ) as progress:
            progress.add_task(text, total=None)
            yield progress

    def verdict(self, verdict: StripVerdict) -> None:
        """The strip's line."""
        expected = sum(camera.expected for camera in verdict.cameras)
        judged = sum(camera.judged for camera in verdict.cameras)
        word = verdict.disposition.value
        self._console.print()
        self._console.print(
            Text.assemble(
                (f"  {verdict.run.strip:<18}", "bold"),
                (f" {word:<8}", f"bold {COLOURS[word]}"),
                f" coverage {percent(verdict.coverage):>7}   {judged} of {expected} frames judged",
            )
        )

    def against(self, flaws: tuple[Flaw, ...], agreement: Agreement) -> None:
        """The truth, and what was found of it."""
        if not flaws and not agreement.stray:
            self._row(True, "no defects", "", "", "none found")
            return
        self._console.print(Text(_HEAD, style="dim"))
        for flaw, defect in agreement.pairs:
            found = scores(defect) if defect else "not found"
            self._row(defect is not None, flaw.label, place(flaw.side.value, flaw.box), size(flaw.box), found)
        for defect in agreement.stray:
            self._row(False, "nothing", place(defect.side.value, defect.box), size(defect.box), defect.label)

    def defects(self, verdict: StripVerdict) -> None:
        """What was found, where there is no truth to set beside it."""
        for defect in verdict.defects:
            where = place(defect.side.value, defect.box)
            row = _ROW.format(mark="·", label=printable(defect.label), place=where, size=size(defect.box))
            self._console.print(Text(f"{row}  {scores(defect)}"))
        for reason in verdict.reasons:
            self.say(f"  {reason}", style="dim")

    def lost(self, verdict: StripVerdict) -> None:
        """Frames that were not judged, and why."""
        rows = [row for account in verdict.cameras for row in losses(account, several=len(verdict.cameras) > 1)]
        for row in rows[:_MOST_LOSSES]:
            self.say(f"  {row}", style="yellow")
        if len(rows) > _MOST_LOSSES:
            self.say(f"  ... and {len(rows) - _MOST_LOSSES} more", style="yellow")

    def _row(self, good: bool, label: str, where: str, how_large: str, found: str) -> None:
        row = _ROW.format(mark="✓" if good else "✗", label=label, place=where, size=how_large)
        self._console.print(Text(f"{row}  {found}", style="" if good else "red"))


def place(side: str, box: Box) -> str:
    """`top     1.22 m, 132 mm`: from the head, and from the operator-side edge."""
    return f"{side:<6} {box.x_mm / 1000:>6.2f} m, {box.y_mm:>4.0f} mm"


def size(box: Box) -> str:
    return f"{box.length_mm:.0f} x {box.width_mm:.0f} mm"


def scores(defect: Defect) -> str:
    if defect.confidence is not None:
        return f"{percent(defect.confidence):>7}"
    return f"{(defect.anomaly or 0) / 10_000:.2f} of the anomaly threshold"


def losses(account: CameraAccount, *, several: bool) -> list[str]:
    """`frames 3-7: shed: the stream was full`, with the camera in front where there are several."""
    camera = f"{account.camera} " if several else ""
    rows = []
    for loss in account.lost:
        first, last = loss.frames.first, loss.frames.last
        which = f"frame {first}" if first == last else f"frames {first}-{last}"
        why = loss.reason.value.replace("-", " ") + (f": {loss.detail}" if loss.detail else "")
        rows.append(f"{camera}{which}: {why}")
    return rows
