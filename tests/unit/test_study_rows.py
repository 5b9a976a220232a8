"""The paper's rows: the scores' arithmetic against NumPy and scikit-learn, the split, and what the page says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.decomposition import PCA  # noqa: E402  only where there is torch
from sklearn.mixture import GaussianMixture  # noqa: E402

from stripwatch.domain.defect import NEU_CLASSES  # noqa: E402
from stripwatch.errors import BadInput  # noqa: E402
from stripwatch_train.neu import Neu  # noqa: E402
from stripwatch_train.places import REPOSITORY, Places  # noqa: E402
from stripwatch_train.study import mixture, residual  # noqa: E402
from stripwatch_train.study.autoencoder import SIZE, Autoencoder, trained  # noqa: E402
from stripwatch_train.study.paper_rows import ROWS  # noqa: E402
from stripwatch_train.study.plots import Plots  # noqa: E402
from stripwatch_train.study.row_classifier_page import told_classifier  # noqa: E402
from stripwatch_train.study.row_figures import contrast, shrinking_errors, sides, variance_kept  # noqa: E402
from stripwatch_train.study.row_page import tell, verdict  # noqa: E402
from stripwatch_train.study.row_scorers import Latent, Limited, Reconstruction, given  # noqa: E402
from stripwatch_train.study.row_training import Job, train_all  # noqa: E402


def noise(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, SIZE, SIZE), dtype=np.uint8)


def unit(tiles: Any) -> Any:
    return torch.from_numpy(tiles).float() / 255


def test_the_latent_has_8192_values_and_the_reconstruction_the_size_of_its_tile() -> None:
    net = Autoencoder().eval()
    assert given(Latent(net), noise(2)).shape == (2, 8192)
    assert net(unit(noise(2))).shape == (2, 1, SIZE, SIZE)
    assert not any(isinstance(module, torch.nn.ConvTranspose2d) for module in net.modules())


def test_the_99th_percentile_is_numpys() -> None:
    image, back = unit(noise(3)), unit(noise(3, 1))
    expected = np.percentile((image - back).abs().numpy().reshape(3, -1), 99, axis=1)
    assert np.allclose(residual.extreme(image, back).numpy(), expected, atol=1e-6)


def test_equal_images_are_alike_and_their_hybrid_is_nought() -> None:
    image = unit(noise(2))
    assert torch.allclose(residual.similarity(image, image), torch.ones(2))
    assert residual.hybrid(image, image).abs().max() < 1e-6
    assert (residual.hybrid(image, unit(noise(2, 1))) > 0.5).all()


def test_similarity_is_that_of_a_gaussian_convolution() -> None:
    image, back = unit(noise(1)), unit(noise(1, 1))
    line = torch.exp(-0.5 * ((torch.arange(11) - 5) / 1.5) ** 2)
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def local(plane: Any) -> Any:
        return torch.nn.functional.conv2d(plane, window)

    a, b = local(image), local(back)
    aa, bb, ab = local(image**2) - a * a, local(back**2) - b * b, local(image * back) - a * b
    c1, c2 = 0.01**2, 0.03**2
    expected = ((2 * a * b + c1) * (2 * ab + c2) / ((a * a + b * b + c1) * (aa + bb + c2))).mean()
    assert residual.similarity(image, back)[0] == pytest.approx(float(expected), abs=1e-5)


def test_the_mixture_in_the_graph_says_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    latents = (rng.normal(size=(200, 100)) * rng.uniform(0.5, 2, 100)).astype(np.float32)
    pca = PCA(mixture.DIMENSIONS, whiten=True, svd_solver="full").fit(latents)
    fitted = GaussianMixture(3, covariance_type="diag", random_state=0).fit(pca.transform(latents))
    unseen = (rng.normal(size=(20, 100)) * 5).astype(np.float32)
    served = mixture.Mixture(pca, fitted)(torch.from_numpy(unseen)).numpy()
    assert np.allclose(served, -fitted.score_samples(pca.transform(unseen)), rtol=1e-4)


def test_one_cloud_of_latents_gets_one_component_and_a_dense_one_in_a_wide_one_gets_more() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(240, 100)).astype(np.float32)
    groups = [str(number) for number in range(240)]
    assert len(mixture.fit(cloud, groups, 0).offsets) == 1
    cloud[::2] *= 0.1
    assert len(mixture.fit(cloud, groups, 0).offsets) > 1


def test_a_limited_score_is_one_at_its_threshold_and_no_threshold_below_nought_is_taken() -> None:
    scorer, tiles = Reconstruction(Autoencoder().eval(), residual.extreme), noise(1)
    limit = float(given(scorer, tiles)[0])
    assert given(Limited(scorer, limit), tiles)[0] == pytest.approx(1)
    with pytest.raises(BadInput, match="above 0"):
        Limited(scorer, -1.0)


def test_a_training_is_repeated_to_the_last_digit_and_then_read_from_the_cache(tmp_path: Path) -> None:
    tiles = noise(4)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, course = trained(tiles, residual.squared, 0, tmp_path / "a", 2)
    again, same = trained(tiles, residual.squared, 0, tmp_path / "b", 2)
    kept, told = trained(tiles, residual.squared, 0, tmp_path / "a", 2)
    assert course == same == told
    assert len(list((tmp_path / "a").iterdir())) == 1
    for other in (again, kept):
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_scoring_before_training_does_not_hinder_it(tmp_path: Path) -> None:
    tiles = noise(2)
    given(Reconstruction(Autoencoder().eval(), residual.hybrid), tiles)
    _, course = trained(tiles, residual.hybrid, 0, tmp_path, 1)
    assert 0 < course[0] < 2


def test_autoencoders_trained_side_by_side_are_read_from_the_cache_and_shared_by_rows_of_one_loss(
    tmp_path: Path,
) -> None:
    tiles = noise(4)
    train_all([Job(ROWS[0], tiles, 0), Job(ROWS[1], tiles, 0)], tmp_path, 1)
    assert len(list(tmp_path.glob("*.pt"))) == 2
    courses = [row.net(tiles, 0, tmp_path, 1)[1] for row in ROWS]
    assert len(list(tmp_path.glob("*.pt"))) == 2
    assert courses[0] == courses[2] == courses[3] != courses[1]


def test_healthy_images_of_one_overlap_group_never_part(neu: Path) -> None:
    images = Neu.load(Places(neu.parent))
    train, held = sides(images, 0)
    assert len(train) + len(held) == 300
    assert 50 <= len(held) <= 60
    assert not {images.groups[row] for row in train} & {images.groups[row] for row in held}


def test_shrinking_keeps_the_variance_of_what_is_smooth_and_loses_that_of_noise() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, SIZE).astype(np.uint8), (1, 1, SIZE, SIZE))
    assert variance_kept(shrinking_errors(ramp, 64), contrast(ramp)) > 0.99
    assert variance_kept(shrinking_errors(noise(1), 64), contrast(noise(1))) < 0.5


@pytest.mark.parametrize(
    ("intervals", "word"),
    [
        ([[0.1, 0.2], [0.3, 0.49]], "holds"),
        ([[0.1, 0.2], [0.4, 0.6]], "open"),
        ([[0.6, 0.7], [0.51, 0.8]], "reversed"),
    ],
)
def test_a_claim_holds_only_if_every_seed_agrees(intervals: list[list[float]], word: str) -> None:
    assert verdict([{"interval": interval} for interval in intervals]) == word


def test_the_page_tells_every_row_and_class_from_the_committed_figures(tmp_path: Path) -> None:
    figures = json.loads((REPOSITORY / "docs" / "results" / "rows.json").read_text())
    text = tell(figures, Plots(tmp_path / "paper.md"))
    assert "nan" not in text
    for name in (*(row.name for row in ROWS), *NEU_CLASSES):
        assert name in text
    assert {file.stem for file in (tmp_path / "figures").iterdir()} == {"rows-scores", "rows-course"}


def test_the_page_names_each_missed_image_with_its_answer_and_probability() -> None:
    miss = {"seed": 3, "image": "inclusion_6", "answer": "scratches", "probability": 0.73}
    row = {"classes": ["inclusion", "scratches"], "missed": [miss], "missed_grouped": []}
    for ending in ("", "_grouped"):
        row |= {f"accuracy{ending}": [0.99, 1.0], f"validation_loss{ending}": [0.03, 0.02]}
        row[f"confusion{ending}"] = [[1, 1], [0, 2]]
    text = told_classifier(row)
    assert "| inclusion_6 | scratches | 0.73 (random 3) |" in text
    assert "99.00, 100.00 | 99.50 % | 99.00 %" in text
