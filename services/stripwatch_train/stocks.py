"""Who may see what: the stock that trains, the one that calibrates, and the held-out images that neither sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stripwatch_train.batches import Stock
from stripwatch_train.neu import Neu
from stripwatch_train.places import Places
from stripwatch_train.pools import quilted, simulated_clean, simulated_flaws
from stripwatch_train.split import HELDOUT_SEED, Rows, grouped, read_heldout, write_heldout

CLEAN, FLAWS_EACH, MIN_VISIBLE, QUILTS_EACH = 5000, 1000, 0.2, 4
_CALIBRATION_SEED = 1
_CALIBRATION_SHARE = 0.1
_FITTED = 0.94
"""Share of the simulated tiles that train; the rest calibrates."""


@dataclass(frozen=True)
class Stocks:
    """The training side cut in two by overlap groups, and the rows of the held-out side."""

    neu: Neu
    fit: Stock
    calibration: Stock
    heldout: Rows

    @property
    def training(self) -> Rows:
        """All rows that are not held out."""
        return np.setdiff1d(np.arange(len(self.neu.names), dtype=np.int64), self.heldout)


def heldout_rows(places: Places, neu: Neu) -> Rows:
    """The committed list's rows; the list is made where there is none."""
    if not places.heldout.is_file():
        _, held = grouped(neu.labels, neu.groups, HELDOUT_SEED)
        write_heldout(places.heldout, [neu.names[row] for row in held])
    return neu.rows(read_heldout(places.heldout))


def load_stocks(places: Places, neu: Neu) -> Stocks:
    """Draw or read all pools; the first call takes two minutes, later ones read the cache."""
    heldout = heldout_rows(places, neu)
    training = np.setdiff1d(np.arange(len(neu.names), dtype=np.int64), heldout)
    inside, outside = grouped(
        neu.labels[training], [neu.groups[row] for row in training], _CALIBRATION_SEED, _CALIBRATION_SHARE
    )
    fit, calibration = training[inside], training[outside]
    clean = simulated_clean(places.cache, CLEAN)
    flaws = simulated_flaws(places.cache, FLAWS_EACH, MIN_VISIBLE)
    quilts, origin = quilted(places.cache, neu, training, QUILTS_EACH)
    unseen = np.isin(origin, calibration)
    split_clean, split_flaws = int(_FITTED * CLEAN), int(_FITTED * FLAWS_EACH)
    return Stocks(
        neu,
        Stock(neu, fit, clean[:split_clean], quilts[~unseen], flaws[:, :split_flaws]),
        Stock(neu, calibration, clean[split_clean:], quilts[unseen], flaws[:, split_flaws:]),
        heldout,
    )
