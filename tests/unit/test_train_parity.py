"""Routes compared: how far apart, whether an answer changes, and torch with the weights of a graph."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.decomposition import PCA  # noqa: E402  only where there is torch
from sklearn.mixture import GaussianMixture  # noqa: E402

from stripwatch.models.manifest import DESCRIPTOR  # noqa: E402
from stripwatch_train.classifier import SteelNet  # noqa: E402
from stripwatch_train.graph import exported, scorer, tile_graph  # noqa: E402
from stripwatch_train.mobilenet import MobileNetV2  # noqa: E402
from stripwatch_train.parity import difference, filled, through  # noqa: E402
from stripwatch_train.study.mixture import Mixture  # noqa: E402
from stripwatch_train.study.parity_page import tell  # noqa: E402
from stripwatch_train.study.plots import Plots  # noqa: E402


def test_a_difference_above_one_counts_as_a_share() -> None:
    given, wanted = np.float32([0.5, 0.99, 11]), np.float32([0.5, 1.01, 10])
    found = difference(given, wanted)
    assert found == {
        "images": 3,
        "different_answer": 1,
        "largest": 0.1,
        "on_99_of_100": pytest.approx(0.098, abs=0.001),
    }


def test_another_best_class_is_another_answer() -> None:
    wanted = np.float32([[0.6, 0.4], [0.9, 0.1]])
    assert difference(wanted[:, ::-1], wanted)["different_answer"] == 2
    assert difference(wanted, wanted)["different_answer"] == 0


def test_torch_with_the_weights_of_a_graph_says_what_the_graph_says() -> None:
    torch.manual_seed(0)
    known = SteelNet(MobileNetV2().eval()).eval()
    with torch.no_grad():  # as training leaves them: equal tensors would become one in the graph
        for value in (*known.parameters(), known.norm.running_mean, known.norm.running_var, known.temperature):
            value.add_(0.01 * torch.rand(value.shape))
    graph = tile_graph(known, 64, ("probabilities",))
    tiles = np.random.default_rng(0).integers(0, 256, (5, 1, 64, 64), dtype=np.uint8)
    net = filled(SteelNet(MobileNetV2()), graph)
    assert net is not None
    assert difference(through(net, tiles), scorer(graph)(tiles))["largest"] < 1e-5
    assert filled(torch.nn.Linear(3, 2), graph) is None


def test_a_mixture_gives_the_same_likelihood_on_openvino() -> None:
    """Written as a sum, it was off by more than the likelihood itself."""
    pytest.importorskip("openvino")
    latents = np.random.default_rng(0).normal(size=(300, 80)).astype(np.float32)
    pca = PCA(64, whiten=True, svd_solver="full").fit(latents)
    net = Mixture(pca, GaussianMixture(4, covariance_type="diag", random_state=0).fit(pca.transform(latents))).eval()
    graph = exported(net, torch.zeros(2, 80), DESCRIPTOR, ("score",))
    given, wanted = scorer(graph, engine="openvino")(3 * latents[:8]), scorer(graph)(3 * latents[:8])
    assert difference(given, wanted)["largest"] < 1e-4


def test_the_page_has_a_row_for_each_route_and_says_what_is_left_out(tmp_path) -> None:  # type: ignore[no-untyped-def]
    route = {"images": 1800, "different_answer": 3, "largest": 0.044, "on_99_of_100": 0.005}
    model = {"bytes": 984_047, "int8": True, "tolerance": 0.08, "units_alone_or_of_16": 1}
    figures = {
        "quantum": 1e-4,
        "parity": {"steel/2": {**model, "routes": {"fp32": route, "openvino": route, "service": route}}},
    }
    page = tell(json.loads(json.dumps(figures)), Plots(tmp_path / "paper.md"))
    assert page.startswith("## Parity")
    assert page.count("| `steel/2` int8, 1.0 MB |") == 3
    assert "`steel/2` 99.83%" in page
    assert "No torch column for `steel/2`" in page
    assert "at most 1 step in any model" in page
