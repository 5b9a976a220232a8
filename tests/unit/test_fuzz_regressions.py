"""What the fuzzer, and eyes that looked where it is slow, found: each as small as it gets."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType

from aggregator_cases import RECIPE, RUN, end, result, rules, start, tile
from fuzz import bombs
from fuzz.images import PNG, animation, chunk, png, rows
from fuzz.recordings import recording
from preprocess_cases import header_of, recipe, spec_of, strip_image
from stripwatch.datasets.files import open_files
from stripwatch.domain.box import Box
from stripwatch.domain.camera import Camera, Side
from stripwatch.domain.frame import Encoding, FrameHeader, IndexRange, RunId
from stripwatch.domain.model import ModelRef
from stripwatch.domain.names import check_line, check_name, shown
from stripwatch.domain.recipe import Role
from stripwatch.domain.strip import Shed
from stripwatch.errors import BadInput, FrameUndecodable, ModelInvalid, RecipeInvalid, RecordingInvalid, SettingsInvalid
from stripwatch.imagefile import read_bmp, read_jpeg, read_png
from stripwatch.imagesize import size_of
from stripwatch.models.load import check_files
from stripwatch.models.manifest import read_manifest
from stripwatch.recipes import parse_recipe
from stripwatch.recording import Recording
from stripwatch.rpc.codec import frames, results
from stripwatch.rpc.v1 import frame_pb2, result_pb2
from stripwatch.runtime.settings import LineSettings, load
from stripwatch.stream.redis.entries import Unreadable, published
from stripwatch_aggregator.alarms import alarms_of
from stripwatch_ingest.source import RunTemplate
from stripwatch_ingest.sources.folder import FolderSource, natural
from stripwatch_ingest.sources.image_file import pixels_of
from stripwatch_preprocess.plan import Plan
from stripwatch_preprocess.transform import transform
from tiny_models import _sha256, write_model

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
JPEG = cv2.imencode(".jpg", GREY)[1].tobytes()


# Images: what the header says is what the decoder is given, and nothing else.


def test_a_jpeg_that_hides_a_larger_frame_header_from_us_is_refused() -> None:
    with pytest.raises(FrameUndecodable, match="expected a marker at byte 2, got ff 00"):
        read_jpeg(bombs.hidden_header())


def test_a_jpeg_of_two_frame_headers_is_refused() -> None:
    at = JPEG.index(b"\xff\xc0")
    twice = JPEG[:at] + JPEG[at : at + 13] + JPEG[at:]
    with pytest.raises(FrameUndecodable, match="expected one frame header, got another"):
        read_jpeg(twice)


def test_a_jpeg_of_more_scans_than_anyone_needs_is_refused() -> None:
    with pytest.raises(FrameUndecodable, match="at most 64 scans, got 1001"):
        read_jpeg(JPEG[:-2] + b"\xff\xda" * 1000 + JPEG[-2:])


def test_a_jpeg_that_is_mostly_fill_bytes_is_not_walked_to_its_end() -> None:
    with pytest.raises(FrameUndecodable, match="at most 65536 markers and fill bytes"):
        read_jpeg(JPEG[:2] + b"\xff" * 1_000_000 + JPEG[2:])


def test_a_png_that_is_mostly_empty_chunks_is_not_walked_to_its_end() -> None:
    with pytest.raises(FrameUndecodable, match="at most 65536 chunks"):
        read_png(png(chunk(b"teXt", b"") * 70_000))


def test_a_png_of_two_headers_or_of_many_pictures_is_refused() -> None:
    other = png(width=60_000, height=60_000)[len(PNG) : len(PNG) + 25]
    with pytest.raises(FrameUndecodable, match="expected one IHDR chunk"):
        read_png(png(other, chunk(b"IDAT", rows(8, 6))))
    with pytest.raises(FrameUndecodable, match="expected one picture, got an animation"):
        read_png(animation(60_000, 60_000))


def test_a_bmp_of_the_old_header_is_refused_for_its_size_lies_elsewhere() -> None:
    bmp = bytearray(cv2.imencode(".bmp", GREY)[1].tobytes())
    bmp[14:18] = (12).to_bytes(4, "little")
    with pytest.raises(FrameUndecodable, match="header of 40 bytes or more"):
        read_bmp(bytes(bmp))
    assert size_of(bytes(bmp)) is None


@pytest.mark.parametrize(("suffix", "told"), [(".tif", (6, 8)), (".webp", (6, 8)), (".pgm", (6, 8)), (".bmp", (6, 8))])
def test_the_size_of_other_formats_comes_from_their_header_too(suffix: str, told: tuple[int, int]) -> None:
    assert size_of(cv2.imencode(suffix, GREY)[1].tobytes()) == told


def test_a_tiff_whose_tiles_are_given_in_a_number_that_we_do_not_read_is_refused() -> None:
    sound = bombs.tiff(8, 8, tile_width=32_768, tile_height=32_768)
    assert size_of(bombs.tiff(8, 8)) == (8, 8)
    assert size_of(sound) is None
    assert size_of(sound.replace(b"\x42\x01\x04\x00", b"\x42\x01\x10\x00")) is None


@pytest.mark.parametrize("data", [b"GIF89a" + bytes(40), b"P5 9000 9000 255 x", b"RIFF\0\0\0\0WEBPVP8X" + b"\x02" * 20])
def test_what_has_no_size_that_we_can_tell_is_given_to_no_decoder(data: bytes) -> None:
    assert size_of(data) is None


def test_an_image_of_fractions_is_not_rounded_to_grey(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), GREY.astype(np.float32) / 48)
    with pytest.raises(BadInput, match=r"a\.tif: "):
        pixels_of(tmp_path / "a.tif")


def test_no_bomb_costs_memory_or_a_crash(tmp_path: Path) -> None:
    """In a process of its own: the most memory a process had never goes down again."""
    told = subprocess.run(
        [sys.executable, "-m", "fuzz.bombs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )
    assert told.returncode == 0, told.stderr
    grown = json.loads(told.stdout)
    assert set(grown) == set(bombs.BOMBS)
    assert max(grown.values()) < bombs.MOST_KIB, grown


def test_a_file_whose_name_is_no_text_does_not_end_the_ingest(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", GREY)[1].tobytes())
    (tmp_path / "b\udcff\n.png").write_bytes(b"no image")
    *_, last = FolderSource(tmp_path, RunTemplate("line1", "hot-rolled", False, 0.5)).events()
    assert frames.decode_end(frames.encode_end(last)).shed[0].reason == r"b\udcff\n.png: no image that can be read"


def test_a_file_name_with_a_raised_digit_is_sorted(tmp_path: Path) -> None:
    """It is a digit to `isdigit` and none to `int`."""
    assert natural("1²2.png") > natural("1.png")


@pytest.mark.parametrize(
    ("side", "told"), [(800, "at most 2147483648 bytes of model input"), (3_000, "at most 100000 tiles")]
)
def test_a_frame_of_more_tiles_than_fit_into_memory_is_refused(side: int, told: str) -> None:
    small = recipe(cutting="{tile_px: 16, stride_px: 8, background: 24}")
    plan = Plan(small, {Role.CLASSIFIER: spec_of(Role.CLASSIFIER, size=1024)}, {})
    image = strip_image(shape=(side, side))
    with pytest.raises(BadInput, match=told):
        transform(header_of(image), image.tobytes(), plan)


# Archives.


def test_a_zip_of_broken_lzma_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a/one.png", bytes(100))
    path.write_bytes(path.read_bytes().replace(b"one.png\x09\x04\x05\x00\x5d", b"one.png\x09\x04\x05\x00\xff", 1))
    files = open_files(path)
    with pytest.raises(BadInput, match=r"a/one\.png: cannot be read from the archive"):
        files.read("a/one.png")


def test_a_note_in_a_tar_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    note = tarfile.TarInfo("pax")
    note.type, note.size = tarfile.XHDTYPE, 4 << 30
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    path.write_bytes(path.read_bytes()[:512] + note.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    with pytest.raises(BadInput, match="expected notes of at most 1048576 bytes, got 4294967296"):
        open_files(path)


def test_a_name_in_an_archive_that_breaks_its_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/one\n\x1b[2J.png", b"")
    with pytest.raises(BadInput, match=r"expected names of printable characters, got 'a/one\\n\\x1b\[2J\.png'"):
        open_files(path)


# Recordings.


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_chunk_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    data = recording(CompressionType.ZSTD, checked=False)
    plain, packed = bytes(1 << 20), zstandard.compress(bytes(1 << 20))
    at = data.index(b"\x04\0\0\0zstd")
    start_of_chunk = at - 29
    record = struct.pack("<QQQI", 0, 0, 100, 0) + b"\x04\0\0\0zstd" + struct.pack("<Q", len(packed)) + packed
    bad = data[: start_of_chunk - 8] + struct.pack("<BQ", 6, len(record)) + record
    assert len(plain) > 100
    with pytest.raises(RecordingInvalid, match="expected a chunk of 100 bytes as it says, got 101 or more"):
        Recording(written(tmp_path / "a.mcap", bad))


def test_a_packing_without_a_limit_of_its_own_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(RecordingInvalid, match="packed with zstd or not at all, got 'lz4'"):
        Recording(written(tmp_path / "a.mcap", recording(CompressionType.LZ4)))


# Recipes.


def refusal(extra: str) -> str:
    with pytest.raises(RecipeInvalid) as refused:
        parse_recipe(f"{RECIPE}\n{extra}\n")
    return str(refused.value)


@pytest.mark.parametrize(
    "value",
    ["!!timestamp x", "!!bool test", '!!int ""', "!!binary x", "!!set {a: }", "!!python/name:os.system x", "! x"],
)
def test_a_tag_in_a_recipe_is_refused(value: str) -> None:
    assert "tags (!) are not taken" in refusal(f"min_coverage: {value}")


@pytest.mark.parametrize(
    "value", ["0x" + "f" * 5_000, "9" * 4_000, "0b1", "1:30", "0o7", "1:" * 1_000 + "1.5", ".inf", "1_0.5"]
)
def test_a_number_that_is_no_decimal_one_is_refused_and_not_printed_whole(value: str) -> None:
    told = refusal(f"min_coverage: {value}")
    assert "min_coverage" in told or "number of at most 18 digits" in told
    assert len(told) < 500


def test_a_recipe_wrong_in_a_thousand_places_has_a_readable_message() -> None:
    assert len(refusal("\n".join(f"key{number}: 1" for number in range(3_000)))) < 10_000


@pytest.mark.parametrize("label", ['"a\\nb"', '"\\uD800"', '"\\x1b[2J"', f'"{"x" * 65}"', '""'])
def test_a_class_whose_name_breaks_a_line_is_refused(label: str) -> None:
    with pytest.raises(RecipeInvalid, match="expected a name of 1 to 64 printable characters") as refused:
        parse_recipe(RECIPE.replace("{scratches:", f"{{{label}:"))
    assert str(refused.value).isprintable()


def test_a_key_that_writes_to_the_terminal_is_shown_escaped() -> None:
    assert refusal('"\\x1b[2J": 1').isprintable()


def test_deep_nesting_and_aliases_are_refused() -> None:
    assert refusal("healthy: " + "[" * 5_000)
    assert "aliases are not taken" in refusal("a: &a [x]\nb: *a")


# Manifests and references.


def manifest(folder: Path, **changes: object) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def test_a_class_or_key_of_a_manifest_that_breaks_a_line_is_refused_on_one(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    with pytest.raises(ModelInvalid, match=r"classes: expected 1 to 64 printable characters, got 'a\\nb'"):
        read_manifest(manifest(folder, classes=["a\nb", "c"]))
    with pytest.raises(ModelInvalid) as refused:
        read_manifest(manifest(folder, **{"x\n\x1b[2J": 1}))
    assert str(refused.value).isprintable()


def test_nesting_without_end_is_no_manifest(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(ModelInvalid, match="expected JSON"):
        read_manifest(folder)


def with_reference(folder: Path, data: bytes) -> Path:
    (folder / "reference.npz").write_bytes(data)
    return manifest(folder, reference_sha256=_sha256(folder / "reference.npz"))


def zipped(name: str, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def claims(shape: str) -> bytes:
    """An array that claims a shape and holds nothing of it."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_an_array_that_claims_terabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = with_reference(write_model(tmp_path), zipped("tiles.npy", claims("(1099511627776,)")))
    with pytest.raises(ModelInvalid, match=r"expected what its \d+ bytes can hold, got \(1099511627776,\) uint8"):
        check_files(folder, read_manifest(folder))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"\x08\x00", b"\x63\x00"),  # a packing that is none
        lambda data: data[:60] + b"\xff\xff\xff" + data[63:],
        lambda data: data[:-100],
    ],
)
def test_a_reference_that_does_not_unpack_is_refused_by_name(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    with_reference(folder, damage((folder / "reference.npz").read_bytes()))
    with pytest.raises(ModelInvalid, match=r"reference\.npz"):
        check_files(folder, read_manifest(folder))


# Entries and messages.


@pytest.mark.parametrize("missing", [b"id", b"r", b"j", b"b"])
def test_an_event_that_is_none_of_ours_is_unreadable(missing: bytes) -> None:
    whole = {b"id": b"x", b"r": b"s:r", b"j": b"{}", b"b": b""}
    with pytest.raises(Unreadable):
        published("line1", (b"1-0", {key: value for key, value in whole.items() if key != missing}))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1e300])
def test_a_box_that_is_nowhere_is_refused(number: float) -> None:
    for values in ((number, 0, 1, 1), (0, number, 1, 1), (0, 0, number, 1), (0, 0, 1, number)):
        with pytest.raises(BadInput, match="box"):
            Box(*values)


def test_two_tiles_of_one_place_of_which_one_has_no_anomaly_score_can_be_sorted() -> None:
    scored, silent = (tile(0, 0, "scratches", 9_500, anomaly) for anomaly in (2_000, None))
    both = result(0, {(0, 0): scored, (0, 1): silent})
    assert [alarm.anomaly for alarm in alarms_of(both, rules(), 1)] == [2_000]


def test_a_message_of_millions_of_nothings_is_refused_before_it_becomes_objects() -> None:
    body = frames.encode_end(end(9))
    with pytest.raises(BadInput, match="shed ranges: expected at most 100000, got 100001"):
        frames.decode_end(body + b"\x22\x00" * 100_001)
    with pytest.raises(BadInput, match="expected at most 8388608 bytes, got"):
        frames.decode_end(body + b"\x22\x00" * (5 << 20))
    with pytest.raises(BadInput, match="tiles: expected at most 100000, got"):
        results.decode_result(results.encode_result(result(0)) + b"\x1a\x00" * 100_001)
    with pytest.raises(BadInput, match="cameras: expected at most 64, got 65"):
        frames.decode_start(frames.encode_start(start()) + b"\x12\x00" * 64)


def test_a_tile_without_a_probability_for_each_class_is_refused() -> None:
    message = result_pb2.FrameResult.FromString(results.encode_result(result(0)))
    message.tiles[0].probabilities.append(1)
    with pytest.raises(BadInput, match="expected a probability for each of 3 classes, got 4"):
        results.decode_result(message.SerializeToString())


def test_an_area_that_no_frame_has_is_refused() -> None:
    message = result_pb2.FrameResult.FromString(results.encode_result(result(0)))
    message.strip_mm2 = 2**64 - 1
    with pytest.raises(BadInput, match="expected an area of at most"):
        results.decode_result(message.SerializeToString())


def test_a_reason_is_one_line_of_bounded_length_whoever_wrote_it() -> None:
    message = frame_pb2.CameraEnd.FromString(frames.encode_end(end(9, shed=(Shed(IndexRange(0, 1), "x"),))))
    message.shed[0].reason = "done\nERROR forged \x1b[2J" + "x" * 10_000
    reason = frames.decode_end(message.SerializeToString()).shed[0].reason
    assert reason.startswith(r"done\nERROR forged \x1b[2Jxxx")
    assert len(reason) < 600
    assert frames.encode_end(end(9, shed=(Shed(IndexRange(0, 1), "\udcff"),)))


# Names and settings: each place where one comes in.


@pytest.mark.parametrize(
    "name", ["", "../../x", "a\nb", "{}", "a{b}", "x" * 65, "\x1b[2J", "a b", "..", "/etc", "a\0", "é"]
)
def test_no_name_leads_elsewhere_or_breaks_a_line(name: str) -> None:
    places: list[Callable[[], object]] = [
        lambda: RunId(name, "s", "r"),
        lambda: RunId("line1", name, "r"),
        lambda: RunId("line1", "s", name),
        lambda: Camera(name, Side.TOP, 1.0, 1.0),
        lambda: FrameHeader(RUN, name, Side.TOP, 0, 0.0, 0.0, 1.0, 0, 1, 1, Encoding.RAW),
        lambda: end(1, camera=name),
        lambda: ModelRef(name, "1"),
        lambda: ModelRef("steel", name),
        lambda: check_line(name),
        lambda: check_name("recipe", name),
        lambda: frames.decode_header(
            frame_pb2.FrameHeader(run=frames.run_to(RUN), camera=name, side=1, mm_per_px=1).SerializeToString()
        ),
        lambda: parse_recipe(RECIPE.replace("name: test", f"name: {json.dumps(name)}")),
    ]
    for place in places:
        with pytest.raises(BadInput) as refused:
            place()
        assert str(refused.value).isprintable()


def test_free_text_is_shown_on_one_line() -> None:
    assert shown("a\nb\x1b\u2028\udcff") == r"a\nb\x1b\u2028\udcff"
    assert len(shown("x" * 10_000)) == 500


def test_a_setting_that_is_no_text_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRIPWATCH_LINES", "a\udcff")
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_LINES: expected printable text in UTF-8"):
        load(LineSettings)
    monkeypatch.delenv("STRIPWATCH_LINES")
    (tmp_path / "secret").write_bytes(b"\xff")
    monkeypatch.setenv("STRIPWATCH_REDIS_URL_FILE", str(tmp_path / "secret"))
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_REDIS_URL_FILE: expected"):
        load(LineSettings)
