"""The classifier of the study: one kernel machine in three forms, what it costs, and how sure its figures are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.svm import SVC  # noqa: E402  only where there is torch

from stripwatch.domain.defect import NEU_CLASSES  # noqa: E402
from stripwatch_train.batches import Stock  # noqa: E402
from stripwatch_train.classifier import SteelNet  # noqa: E402
from stripwatch_train.export import session, to_onnx  # noqa: E402
from stripwatch_train.mobilenet import MobileNetV2  # noqa: E402
from stripwatch_train.neighbours import deviations, logged  # noqa: E402
from stripwatch_train.neu import Neu  # noqa: E402
from stripwatch_train.places import Places  # noqa: E402
from stripwatch_train.study.classifier_model import ProfileNet  # noqa: E402
from stripwatch_train.study.frozen import Frozen  # noqa: E402
from stripwatch_train.study.head import PAIRS, SLOPES, Head, HeadNet, coupled, fit  # noqa: E402
from stripwatch_train.study.intervals import auroc_interval, calibration_error, mean_worst, wilson  # noqa: E402
from stripwatch_train.study.profiles import ACCURATE, FAST, macs  # noqa: E402
from stripwatch_train.together import Schedule, train, views  # noqa: E402

WIDTH = 432
COST = 10.0


@pytest.fixture(scope="module")
def backbone() -> MobileNetV2:
    torch.manual_seed(0)
    return MobileNetV2().eval()


@pytest.fixture(scope="module")
def head() -> Head:
    return fit(*described(30), COST)


def described(each: int, seed: int = 0, apart: float = 0.3, width: int = WIDTH) -> tuple[Any, Any]:
    """(6 * each, width) descriptors around a centre for each class, and their labels in no order."""
    rng = np.random.default_rng(seed)
    centres = apart * np.random.default_rng(99).normal(size=(len(NEU_CLASSES), width))
    labels = rng.permutation(np.repeat(np.arange(len(NEU_CLASSES)), each))
    x = centres[labels] + rng.normal(size=(len(labels), width))
    spread = deviations(width)
    x[:, spread] = np.exp(0.3 * x[:, spread])
    return x.astype(np.float32), labels


def test_margins_are_those_of_scikit_learns_kernel_machine(head: Head) -> None:
    x, labels = described(30)
    machine = SVC(C=COST, gamma="scale", decision_function_shape="ovo")
    machine.fit((logged(x) - head.mean) / head.spread, labels)
    unseen = described(10, seed=1)[0]
    expected = machine.decision_function((logged(unseen) - head.mean) / head.spread)
    assert np.abs(head.margins(unseen) - expected).max() < 1e-4


def test_a_positive_margin_speaks_for_the_first_of_its_pair(head: Head) -> None:
    x, labels = described(20, seed=1)
    margins = head.margins(x)
    for column, (a, b) in enumerate(PAIRS):
        assert np.median(margins[labels == a, column]) > 0 > np.median(margins[labels == b, column])


def test_probabilities_sum_to_one_and_find_the_classes(head: Head) -> None:
    x, labels = described(20, seed=1)
    probabilities = head.probabilities(x)
    assert probabilities.shape == (120, 6)
    assert np.allclose(probabilities.sum(1), 1, atol=1e-6)
    assert (probabilities.argmax(1) == labels).mean() > 0.95


@pytest.mark.parametrize("slope", [1.0, 4.0, 64.0])
def test_coupled_margins_of_any_size_sum_to_one(slope: float) -> None:
    margins = np.random.default_rng(0).normal(0, 5, (200, len(PAIRS))).astype(np.float32)
    told = coupled(margins, slope)
    assert np.isfinite(told).all()
    assert (told >= 0).all()
    assert np.allclose(told.sum(1), 1, atol=1e-6)


def test_a_class_is_as_likely_as_the_product_of_its_pairs() -> None:
    margins = np.random.default_rng(1).normal(size=(5, len(PAIRS))).astype(np.float32)
    products = np.ones((5, 6))
    for column, (a, b) in enumerate(PAIRS):
        for_first = 1 / (1 + np.exp(-4 * margins[:, column]))
        products[:, a] *= for_first
        products[:, b] *= 1 - for_first
    assert np.allclose(coupled(margins, 4), products / products.sum(1, keepdims=True), atol=1e-5)


def winning(least: float, count: int = 300) -> tuple[Any, Any]:
    """Margins in which one class wins each of its pairs by at least so much, and that class."""
    rng = np.random.default_rng(2)
    margins = rng.uniform(-3, 3, (count, len(PAIRS)))
    winner = rng.integers(0, 6, count)
    for column, (a, b) in enumerate(PAIRS):
        own = rng.uniform(least, least + 0.1, count)
        margins[winner == a, column] = own[winner == a]
        margins[winner == b, column] = -own[winner == b]
    return margins.astype(np.float32), winner


def test_no_slope_changes_the_winner_who_wins_each_pair_by_three_tenths() -> None:
    margins, winner = winning(0.3)
    for slope in SLOPES:
        assert np.array_equal(coupled(margins, slope).argmax(1), winner)


def test_a_narrow_winner_is_outvoted_by_pairs_that_do_not_concern_it_at_a_flat_slope_and_not_at_a_steep_one() -> None:
    margins, winner = winning(0.05)
    shares = [(coupled(margins, slope).argmax(1) == winner).mean() for slope in (1.0, SLOPES[0], SLOPES[-1])]
    assert shares[0] < shares[1] < shares[2] == 1


def test_the_calibrated_slope_is_the_likeliest_and_leaves_the_rest_of_the_head_alone(head: Head) -> None:
    x, labels = described(20, seed=1)
    calibrated = head.calibrated(x, labels)
    assert calibrated.slope in SLOPES
    margins, rows = head.margins(x), np.arange(len(labels))

    def loss(slope: float) -> float:
        return float(-np.log(coupled(margins, slope)[rows, labels] + 1e-9).mean())

    assert loss(calibrated.slope) == min(loss(slope) for slope in SLOPES)
    assert np.array_equal(calibrated.margins(x), margins)


def test_the_net_gives_the_probabilities_of_the_head(head: Head) -> None:
    x, labels = described(15, seed=1)
    for one in (head, head.calibrated(x, labels)):
        with torch.inference_mode():
            given = HeadNet(one)(torch.from_numpy(x)).numpy()
        assert np.abs(given - one.probabilities(x)).max() < 1e-5


def test_the_exported_profile_says_what_torch_says(backbone: MobileNetV2, tmp_path: Path) -> None:
    net = ProfileNet(Frozen(backbone).eval(), (64, 32), fit(*described(5, width=2 * WIDTH), COST)).eval()
    tiles = np.random.default_rng(0).integers(0, 256, (3, 1, 64, 64), dtype=np.uint8)
    to_onnx(net, 64, "probabilities", tmp_path / "model.onnx")
    served = session(tmp_path, threads=1)(tiles)
    with torch.inference_mode():
        assert np.abs(served - net(torch.from_numpy(tiles)).numpy()).max() < 1e-4
    assert np.allclose(served.sum(1), 1, atol=1e-5)


def test_mobilenet_at_224_costs_300_million_multiplications_and_truncated_at_64_under_20(
    backbone: MobileNetV2,
) -> None:
    frozen = Frozen(backbone).eval()
    assert 290 < macs(backbone, 224) < 310
    assert 5 < macs(frozen, 64) < 20
    assert macs(frozen, 128) == pytest.approx(4 * macs(frozen, 64), rel=1e-3)
    assert macs(frozen, 64) == macs(frozen, 64)  # hooks of the first count do not count twice


def test_a_convolution_costs_its_kernel_at_each_place_of_its_output() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, groups=8))
    assert macs(net, 200) == round((100 * 100 * 8 * 9 + 98 * 98 * 8 * 9) / 1e6, 2)


def test_a_server_sends_the_largest_size_of_a_profile() -> None:
    assert (ACCURATE.size, FAST.size) == (200, 64)


def test_the_calibration_error_of_who_is_as_often_right_as_sure_is_nought() -> None:
    sure = np.tile(np.array([[0.75, 0.25]], dtype=np.float32), (8, 1))
    assert calibration_error(sure, np.array([0, 0, 0, 1] * 2)) == pytest.approx(0, abs=1e-6)
    certain = np.eye(6, dtype=np.float32)
    assert calibration_error(certain, np.arange(6)) == 0


def test_the_calibration_error_weighs_each_bins_gap_by_its_images() -> None:
    """Three at 0.9, two of them right: a gap of 0.7; one at 0.6, right: a gap of 0.4, the other way."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]], dtype=np.float32)
    assert calibration_error(probabilities, np.array([0, 1, 1, 0])) == pytest.approx((0.7 + 0.4) / 4)
    assert calibration_error(probabilities, np.array([0, 1, 1, 0]), bins=1) == pytest.approx((0.7 - 0.4) / 4)


def test_wilsons_interval_is_that_of_the_textbook_and_stays_between_nought_and_one() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(360, 360)[1] == 1.0
    low, high = wilson(359, 360)
    assert low < 359 / 360 < high <= 1


def test_the_bootstrap_interval_holds_the_auroc_and_narrows_with_more_images() -> None:
    def interval(count: int) -> tuple[float, float]:
        rng = np.random.default_rng(3)
        healthy, defective = (rng.normal(at, 1, count).astype(np.float32) for at in (0.0, 1.0))
        return auroc_interval(healthy, defective, draws=300)

    (low, high), (lower, higher) = interval(400), interval(40)
    assert low < 0.7602 < high  # the normal distribution at 1 / sqrt(2)
    assert high - low < 0.5 * (higher - lower)
    assert interval(40) == (lower, higher)


def test_what_never_mixes_has_an_interval_of_no_width() -> None:
    assert auroc_interval(np.arange(5, dtype=np.float32), np.arange(5, 9, dtype=np.float32), draws=20) == (1.0, 1.0)


def test_mean_and_worst_are_over_seeds() -> None:
    assert mean_worst([0.9, 0.7, 0.8]) == {"mean": 0.8, "worst": 0.7}


SHORT = Schedule(size=64, steps=2, batch=4, teacher_size=32)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Two noisy images of each class, marked all over."""
    data = tmp_path_factory.mktemp("data")
    (data / "neu" / "_annotations_voc").mkdir(parents=True)
    names = tuple(f"{label}_{number}" for label in NEU_CLASSES for number in (1, 2))
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>200</xmax><ymax>200</ymax></bndbox>"
    for name in names:
        (data / "neu" / "_annotations_voc" / f"{name}.xml").write_text(f"<annotation>{box}</annotation>")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 200, 200), dtype=np.uint8)
    ground = rng.integers(90, 160, (2, 200, 200), dtype=np.uint8)
    neu = Neu(Places(data, data), names, images, np.repeat(np.arange(6), 2), names, "0" * 64)
    return Stock(neu, np.arange(12), ground, ground, images.reshape(6, 2, 200, 200))


def test_views_repeat_from_their_seed_and_have_the_size_of_their_schedule(stock: Stock) -> None:
    once, again = (list(views(stock, SHORT, 2, seed=3)) for _ in range(2))
    for (x, y), (same, labels) in zip(once, again, strict=True):
        assert x.shape == (4, 1, 64, 64)
        assert x.dtype == np.uint8
        assert np.array_equal(x, same)
        assert np.array_equal(y, labels)
    assert not np.array_equal(once[0][0], once[1][0])


def test_a_trunk_trained_for_both_answers_repeats_and_what_it_is_to_remember_counts(
    backbone: MobileNetV2, stock: Stock
) -> None:
    def trunk(remember: float) -> Any:
        torch.manual_seed(0)
        schedule = Schedule(size=64, steps=2, batch=4, teacher_size=32, remember=remember)
        net = train(SteelNet(backbone), backbone, stock, schedule)
        assert not net.training
        return torch.cat([p.detach().flatten() for p in net.trunk.parameters()])

    before = torch.cat([p.detach().flatten() for p in SteelNet(backbone).trunk.parameters()])
    first = trunk(0.5)
    assert torch.isfinite(first).all()
    assert not torch.equal(first, before)
    assert torch.equal(first, trunk(0.5))
    assert not torch.equal(first, trunk(0.0))
