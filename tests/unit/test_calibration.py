"""Thresholds from healthy streams: the interval holds the truth, bad frames do not set it, too few tiles are told."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest

from stripwatch.calibration import Healthy, set_aside, threshold_for
from stripwatch.calibration.tail import fit
from stripwatch.calibration.threshold import counts, design_effect
from stripwatch.errors import BadInput

Frames = npt.NDArray[np.float64]


def stream(rng: np.random.Generator, frames: int, tiles: int, alike: float) -> Frames:
    """(frames, tiles) lognormal scores; `alike` is how much of their variance the frame decides."""
    own, shared = rng.standard_normal((frames, tiles)), rng.standard_normal((frames, 1))
    return np.asarray(np.exp(0.15 * (np.sqrt(alike) * shared + np.sqrt(1 - alike) * own)))


def truth(rate: float) -> float:
    return float(np.exp(0.15 * NormalDist().inv_cdf(1 - rate)))


@pytest.mark.parametrize("alike", [0.0, 0.2, 0.4])
def test_a_measured_interval_holds_the_truth_in_about_95_of_100_streams(alike: float) -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        found = threshold_for(Healthy.of(list(stream(rng, 500, 40, alike))), 2e-3)
        assert found.measured
        held += found.low <= truth(2e-3) and (found.high is None or truth(2e-3) <= found.high)
    assert held / 200 >= 0.91


@pytest.mark.parametrize("alike", [0.0, 0.2])
def test_an_extrapolated_interval_holds_the_truth_nearly_as_often(alike: float) -> None:
    rng = np.random.default_rng(8)
    held, estimates = 0, []
    for _ in range(40):
        found = threshold_for(Healthy.of(list(stream(rng, 200, 20, alike))), 1e-4)
        assert not found.measured
        estimates.append(found.score)
        held += found.low <= truth(1e-4) <= (found.high or np.inf)
    assert held >= 34
    assert np.median(estimates) == pytest.approx(truth(1e-4), rel=0.03)


@pytest.mark.parametrize("rate", [1e-4, 2e-3])
def test_two_bad_frames_in_a_hundred_move_the_threshold_little(rate: float) -> None:
    frames = stream(np.random.default_rng(9), 500, 40, 0.2)
    clean = threshold_for(Healthy.of(list(frames)), rate).score
    bad = frames.copy()
    bad[100:110, 5:9] *= 3.5
    spoilt = threshold_for(Healthy.of(list(bad)), rate).score
    aside = set_aside(bad.max(axis=1), 0.02)
    assert sorted(aside) == list(range(100, 110))
    robust = threshold_for(Healthy.of(list(np.delete(bad, aside, axis=0))), rate).score
    assert robust == pytest.approx(clean, rel=0.02)
    assert spoilt > 1.3 * clean


def test_healthy_frames_are_not_set_aside() -> None:
    rng = np.random.default_rng(10)
    aside = [len(set_aside(stream(rng, 300, 40, 0.2).max(axis=1), 0.02)) for _ in range(100)]
    assert np.mean([number > 0 for number in aside]) <= 0.06


def test_never_more_than_the_share_of_bad_frames_is_set_aside() -> None:
    tops = np.concatenate([np.random.default_rng(11).normal(1, 0.1, 100), np.full(10, 9.0)])
    assert len(set_aside(tops, 0.02)) == 2
    assert len(set_aside(tops, 0.0)) == 0


def test_no_more_tiles_than_wanted_reach_the_threshold() -> None:
    frames = stream(np.random.default_rng(12), 500, 40, 0.0)
    found = threshold_for(Healthy.of(list(frames)), 1e-3)
    assert (frames >= found.score).sum() == 20
    assert found.low < found.score
    assert found.high is not None
    assert found.score < found.high


def test_tiles_that_are_all_alike_within_a_frame_count_as_one() -> None:
    one = np.random.default_rng(13).standard_normal((2000, 1))
    assert design_effect(Healthy.of(list(np.repeat(one, 10, axis=1))), 0.01) == pytest.approx(10, rel=0.05)
    assert design_effect(Healthy.of(list(np.random.default_rng(14).standard_normal((2000, 10)))), 0.01) < 1.3


def test_too_few_tiles_name_the_number_that_it_takes() -> None:
    frames = list(stream(np.random.default_rng(15), 100, 10, 0.0))
    found = threshold_for(Healthy.of(frames), 1e-4)
    assert not found.measured
    assert found.tiles_needed >= 30_000
    with pytest.raises(BadInput, match=r"got 100 of 10; a rate of 0\.0001 takes 30,000 tiles"):
        threshold_for(Healthy.of(frames[:10]), 1e-4)


def test_just_enough_tiles_leave_the_upper_end_open() -> None:
    frames = stream(np.random.default_rng(16), 3200, 1, 0.0)
    found = threshold_for(Healthy.of(list(frames)), 1e-3)
    assert found.measured
    assert found.high is None


def test_poisson_ranks_are_those_of_the_exact_interval() -> None:
    # P(count = 0) of a mean of 3.7 is below 2.5 %, of 3.6 it is not; P(count >= 9) of 3.7 is 1.9 %, P(>= 8) 4.0 %
    assert counts(3.7) == (1, 9)
    assert counts(3.6)[0] == 0


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.2])
def test_the_tails_shape_and_scale_are_found(shape: float) -> None:
    uniform = np.random.default_rng(17).uniform(size=20_000)
    over = np.sort(-np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape)
    (found,), (scale,) = fit(2 * over, np.ones((1, 20_000), dtype=np.int64))
    assert found == pytest.approx(shape, abs=0.03)
    assert scale == pytest.approx(2, rel=0.04)


def test_a_score_that_is_there_twice_counts_twice() -> None:
    over = np.array([0.1, 0.4, 0.9, 1.7])
    assert np.allclose(
        fit(over, np.array([[1, 2, 1, 3]])), fit(np.repeat(over, [1, 2, 1, 3]), np.ones((1, 7), dtype=np.int64))
    )


def test_equal_scores_have_themselves_as_threshold() -> None:
    found = threshold_for(Healthy(np.ones(400), np.repeat(np.arange(40), 10), 40), 1e-3)
    assert (found.low, found.score, found.high) == (1, 1, 1)
