"""The domain's words refuse nonsense, and its arithmetic is right."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripwatch.domain.box import Box
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, FrameHeader, IndexRange, RunId, to_ranges
from stripwatch.domain.model import ModelRef
from stripwatch.domain.strip import CameraEnd, RunStart, Shed
from stripwatch.domain.verdict import verdict_id
from stripwatch.errors import BadInput
from stripwatch.stream.keys import Keys, member, run_of

RUN = RunId("line1", "coil-7", "r1")


@pytest.mark.parametrize("name", ["../../x", "a{b}", "a\nb", "", "a b", "a:b", ".hidden", "a..b", "é", "x" * 65])
def test_names_that_could_break_out_of_a_key_or_path_are_refused(name: str) -> None:
    for parts in (("line1", name, "r1"), ("line1", "s1", name)):
        with pytest.raises(BadInput, match="expected"):
            RunId(*parts)
    with pytest.raises(BadInput, match="expected"):
        Keys(name)
    with pytest.raises(BadInput, match="expected"):
        ModelRef(name, "1")


def test_a_run_comes_back_from_its_key() -> None:
    assert run_of("line1", member(RUN)) == RUN


def test_all_keys_of_a_line_share_its_hash_tag() -> None:
    keys = Keys("line1")
    made = [keys.frames, keys.results, keys.open, keys.run(RUN), keys.seen(RUN, "top"), keys.beat("ingest", "x")]
    assert all(key.startswith("sw:{line1}:") for key in made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    "change",
    [
        {"index": -1},
        {"index": 2**27},
        {"mm_per_px": 0.0},
        {"mm_per_px": float("nan")},
        {"height": 0},
        {"x_mm": float("inf")},
    ],
)
def test_a_frame_that_cannot_be_is_refused(change: dict[str, float]) -> None:
    given = {"index": 0, "x_mm": 0.0, "y_mm": 0.0, "mm_per_px": 0.5, "height": 10, "width": 10, **change}
    with pytest.raises(BadInput, match="expected"):
        FrameHeader(run=RUN, camera="top", side=Side.TOP, captured_at_ns=0, encoding=Encoding.RAW, **given)  # type: ignore[arg-type]


def test_a_frame_of_more_pixels_than_allowed_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(BadInput, match="at most"):
        FrameHeader(RUN, "top", Side.TOP, 0, 0.0, 0.0, 0.5, 0, 100_000, 100_000, Encoding.PNG)


def test_a_run_has_cameras_of_different_names() -> None:
    camera = Camera("top", Side.TOP, 100.0, 400.0)
    for cameras in ((), (camera, camera)):
        with pytest.raises(BadInput, match="cameras"):
            RunStart(RUN, cameras, "hot-rolled", 400.0, None, 0)


def test_a_camera_cannot_shed_more_than_it_took() -> None:
    with pytest.raises(BadInput, match="beyond"):
        CameraEnd(RUN, "top", 5, (Shed(IndexRange(3, 5), "full"),))


def test_a_verdict_is_named_by_its_run_alone() -> None:
    assert verdict_id(RUN) == verdict_id(RunId("line1", "coil-7", "r1"))
    assert verdict_id(RUN) != verdict_id(RunId("line1", "coil-7", "r2"))


@given(st.lists(st.integers(0, 200)))
def test_ranges_hold_just_the_indices_they_were_made_of(indices: list[int]) -> None:
    ranges = to_ranges(indices)
    covered = [index for one in ranges for index in range(one.first, one.last + 1)]
    assert covered == sorted(set(indices))
    assert all(later.first > earlier.last + 1 for earlier, later in itertools.pairwise(ranges))


boxes = st.builds(Box, *[st.integers(0, 100).map(float)] * 2, *[st.integers(0, 50).map(float)] * 2)


@given(boxes, boxes)
def test_a_union_holds_both_and_touching_is_mutual(one: Box, other: Box) -> None:
    both = one.union(other)
    assert both == other.union(one)
    assert both.overlap_mm2(one) == one.area_mm2
    assert one.touches(other) == other.touches(one)
    assert one.overlap_mm2(other) == 0 or one.touches(other)
