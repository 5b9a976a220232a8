"""From a frame to tiles: where the strip is, and the squares that cover it; for workers and for calibration."""

from stripwatch.cutting.edges import Part, find_strip
from stripwatch.cutting.squares import filled, squares, starts

__all__ = ["Part", "filled", "find_strip", "squares", "starts"]
