"""How large a line needs it: what it asks, what this machine was measured to do, and what follows."""

from stripwatch.sizing.demand import Demand, tiles_in
from stripwatch.sizing.plan import Figure, Need, caveats, figures, needs
from stripwatch.sizing.rates import PLACE, Rates, TileBytes, read_rates, write_json, write_rates

__all__ = [
    "PLACE",
    "Demand",
    "Figure",
    "Need",
    "Rates",
    "TileBytes",
    "caveats",
    "figures",
    "needs",
    "read_rates",
    "tiles_in",
    "write_json",
    "write_rates",
]
