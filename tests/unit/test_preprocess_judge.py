"""Frame results: what a frame's scores become, and which pictures are kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from preprocess_cases import header_of, recipe, spec_of, strip_image
from stripwatch.domain.model import Clahe
from stripwatch.domain.recipe import Role
from stripwatch.rpc.codec.results import decode_result, encode_result
from stripwatch_preprocess.judge import judged
from stripwatch_preprocess.plan import Plan
from stripwatch_preprocess.transform import CutFrame, transform

CLASSIFIER, ANOMALY = Role.CLASSIFIER, Role.ANOMALY


def plan(text_changes: dict[str, str] | None = None, sizes: tuple[int, int] = (16, 16)) -> Plan:
    specs = {CLASSIFIER: spec_of(CLASSIFIER, size=sizes[0]), ANOMALY: spec_of(ANOMALY, size=sizes[1])}
    return Plan(recipe(**(text_changes or {})), specs, {CLASSIFIER: "steel/1", ANOMALY: "texture/1"})


def frame(**changes: str) -> CutFrame:
    image = strip_image([90, 120, 150])
    return transform(header_of(image), image.tobytes(), plan(changes))


def scores(scratched: list[int], anomalies: list[int]) -> dict[Role, np.ndarray]:
    return {
        CLASSIFIER: np.array([[10_000 - one, one] for one in scratched], dtype=np.int32),
        ANOMALY: np.array(anomalies, dtype=np.int32),
    }


def test_scores_stand_with_their_tiles() -> None:
    result = judged(frame(), scores([100, 200, 300], [1, 2, 3]), max_crops=2)
    assert [(tile.box.y_mm, tile.probabilities, tile.anomaly) for tile in result.tiles] == [
        (0, (9_900, 100), 1),
        (20, (9_800, 200), 2),
        (40, (9_700, 300), 3),
    ]
    assert result.classes == ("healthy", "scratches")
    assert result.models == ("steel/1", "texture/1")
    assert (result.inspected_mm2, result.strip_mm2) == (1200, 1200)
    assert not any(tile.crop for tile in result.tiles)
    assert decode_result(encode_result(result)) == result


def test_a_service_that_did_not_speak_leaves_no_scores() -> None:
    spoken = scores([100, 200, 300], [1, 2, 3])
    without_anomaly = judged(frame(), {CLASSIFIER: spoken[CLASSIFIER]}, 2)
    assert [tile.anomaly for tile in without_anomaly.tiles] == [None] * 3
    assert without_anomaly.models == ("steel/1",)
    without_class = judged(frame(), {ANOMALY: spoken[ANOMALY]}, 2)
    assert [tile.probabilities for tile in without_class.tiles] == [()] * 3
    assert without_class.classes == ()


@pytest.mark.parametrize(
    ("scratched", "anomalies", "kept"),
    [
        ([9_000, 100, 8_000], [0, 0, 0], [0, 2]),
        ([5_000, 6_000, 7_000], [0, 0, 0], [1, 2]),
        ([6_000, 6_000, 6_000], [0, 0, 0], [0, 1]),
        ([4_999, 0, 0], [0, 15_000, 14_999], [1]),
        ([9_999, 9_998, 0], [0, 0, 20_000], [0, 2]),
    ],
)
def test_the_strongest_flagged_tiles_keep_a_picture(
    scratched: list[int], anomalies: list[int], kept: list[int]
) -> None:
    result = judged(frame(), scores(scratched, anomalies), max_crops=2)
    assert [number for number, tile in enumerate(result.tiles) if tile.crop] == kept


def test_a_picture_shows_the_tile() -> None:
    crop = judged(frame(), scores([0, 9_000, 0], [0, 0, 0]), 2).tiles[1].crop
    shown = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (40, 40)
    assert abs(float(shown.mean()) - 120) < 2


def test_no_picture_is_kept_where_none_is_wanted() -> None:
    result = judged(frame(), scores([9_000] * 3, [0, 0, 0]), max_crops=0)
    assert not any(tile.crop for tile in result.tiles)


def test_each_model_gets_its_own_size() -> None:
    image = strip_image()
    made = transform(header_of(image), image.tobytes(), plan(sizes=(16, 24)))
    assert made.inputs[CLASSIFIER].shape == (3, 1, 16, 16)
    assert made.inputs[ANOMALY].shape == (3, 1, 24, 24)


def test_models_of_one_input_share_the_pixels() -> None:
    made = frame()
    assert made.inputs[CLASSIFIER] is made.inputs[ANOMALY]


def test_clahe_of_the_recipe_applies_where_the_model_has_none() -> None:
    cutting = "{tile_px: 40, stride_px: 40, background: 24, clahe_clip_limit: 2.0}"
    assert plan({"cutting": cutting}).input(CLASSIFIER).clahe == Clahe(2.0)
    assert plan().input(CLASSIFIER).clahe is None


def test_a_frame_of_background_has_no_tiles_and_no_strip() -> None:
    image = strip_image(10)
    result = judged(transform(header_of(image), image.tobytes(), plan()), {}, 2)
    assert (result.tiles, result.strip_mm2, result.inspected_mm2) == ((), 0, 0)
