"""Networks and their export: torchvision's keys, exact folding, ONNX that says what torch says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stripwatch.errors import ModelInvalid, NotFound  # noqa: E402  only where there is torch
from stripwatch_train.anomaly import TextureHead, fit, threshold  # noqa: E402
from stripwatch_train.classifier import SteelNet  # noqa: E402
from stripwatch_train.descriptor import DESCRIPTOR, PEAKS, Truncated, unchanged  # noqa: E402
from stripwatch_train.export import session, to_onnx  # noqa: E402
from stripwatch_train.graph import exported, scorer  # noqa: E402
from stripwatch_train.mobilenet import MobileNetV2, folded, pretrained  # noqa: E402
from stripwatch_train.places import WEIGHTS_FILE, default_data  # noqa: E402


@pytest.fixture(scope="module")
def backbone() -> MobileNetV2:
    """Random weights, and BatchNorm statistics that are no identity."""
    torch.manual_seed(0)
    net = MobileNetV2().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return net


def test_the_backbone_has_exactly_the_keys_of_the_weight_file() -> None:
    weights = default_data() / WEIGHTS_FILE
    if not weights.is_file():
        pytest.skip(f"no {weights}")
    with np.load(weights) as arrays:
        known = set(arrays.files)
    assert {key for key in MobileNetV2().state_dict() if not key.endswith("num_batches_tracked")} == known
    assert pretrained(weights).features[0][0].weight.shape == (32, 3, 3, 3)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", **{"features.0.0.weight": np.zeros((32, 3, 3, 3), np.float32)})
    with pytest.raises(ModelInvalid, match="keys missing"):
        pretrained(tmp_path / "other.npz")
    with pytest.raises(NotFound, match=r"nothing\.npz"):
        pretrained(tmp_path / "nothing.npz")


def test_folding_changes_nothing(backbone: MobileNetV2) -> None:
    copy = MobileNetV2().eval()
    copy.load_state_dict(backbone.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(folded(copy)(x), backbone(x), atol=1e-5)


def test_a_descriptor_is_432_numbers_and_160_peaks(backbone: MobileNetV2) -> None:
    statistics, peaks = Truncated(backbone)(torch.zeros(3, 1, 64, 64, dtype=torch.uint8))
    assert statistics.shape == (3, DESCRIPTOR) == (3, 432)
    assert peaks.shape == (3, PEAKS) == (3, 160)


def test_an_untrained_copy_of_the_backbone_is_recognised(backbone: MobileNetV2) -> None:
    net = SteelNet(backbone)
    assert any(name.startswith("trunk.features.5") for name in unchanged(net.state_dict(), backbone))
    with torch.no_grad():
        for parameter in net.trunk.parameters():
            parameter.add_(1e-3)
    assert unchanged(net.state_dict(), backbone) == []


def test_the_exported_classifier_says_what_torch_says(backbone: MobileNetV2, tmp_path: Path) -> None:
    net = SteelNet(backbone).eval()
    net.temperature.fill_(0.7)
    to_onnx(net, 64, "probabilities", tmp_path / "model.onnx")
    tiles = np.random.default_rng(0).integers(0, 256, (5, 1, 64, 64), dtype=np.uint8)
    served = session(tmp_path)(tiles)
    with torch.inference_mode():
        assert np.abs(served - net(torch.from_numpy(tiles)).numpy()).max() < 1e-5
    assert np.allclose(served.sum(1), 1)
    assert np.allclose(session(tmp_path)(tiles[:1]), served[:1], atol=1e-5)


def test_the_exported_scorer_says_what_torch_says_and_its_threshold_is_one() -> None:
    rng = np.random.default_rng(0)
    described = np.abs(rng.normal(1, 0.3, (600, DESCRIPTOR))).astype(np.float32)
    healthy = fit(described[:500], kinds=4)
    limit = threshold(healthy, described[500:])
    assert (healthy.distances(described[500:]) < limit).all()
    assert (healthy.distances(described[500:] * 3) > limit).all()
    head = TextureHead(healthy, limit).eval()
    descriptors = np.abs(rng.normal(1, 0.3, (4, DESCRIPTOR))).astype(np.float32)
    served = scorer(exported(head, torch.zeros(2, DESCRIPTOR), "descriptor", ("score",)))(descriptors)
    assert served.shape == (4,)
    with torch.inference_mode():
        assert np.allclose(served, head(torch.from_numpy(descriptors)).numpy(), rtol=1e-4)
    assert np.allclose(served, healthy.distances(descriptors) / limit, rtol=1e-3)
