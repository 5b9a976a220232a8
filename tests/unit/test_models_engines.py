"""Whatever engine runs a graph: same answers, same refusals, and none of its library's exceptions."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from inference_server import remote_build, served
from stripwatch.domain.model import ModelRef
from stripwatch.errors import ModelInvalid, ModelNotReady, SettingsInvalid
from stripwatch.models import onnx
from stripwatch.models.engines import AnyEngine, EngineName, builder
from stripwatch.models.graph import Signature
from stripwatch.models.load import Build, LoadedModel, load
from stripwatch.models.manifest import read_manifest
from stripwatch.models.settings import ModelServiceSettings
from stripwatch.models.store import ModelFolder
from stripwatch.ports import Engine
from stripwatch.runtime import settings
from tiny_models import descriptors_of, expected_scores, grey_tiles, write_model

CLASSES = ("healthy", "patches", "scratches")
SHIPPED = Path(__file__).parents[2] / "models"


LOCAL = ("onnxruntime", "openvino")
NAMED = {"onnxruntime": "onnxruntime/1", "openvino": "openvino/2", "remote": "remote/testserver/1.0 onnxruntime_onnx"}
_builds: dict[AnyEngine, Build] = {}


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    """Runs graphs for the remote engine."""
    with served() as (server, port):
        _builds["remote"] = remote_build(server, port)
        yield


@pytest.fixture(params=[*LOCAL, "remote"])
def name(request: pytest.FixtureRequest) -> AnyEngine:
    chosen: AnyEngine = request.param
    return chosen


@pytest.fixture(params=LOCAL)
def local(request: pytest.FixtureRequest) -> EngineName:
    """One that runs in our own process."""
    chosen: EngineName = request.param
    return chosen


def _build(name: AnyEngine) -> Build:
    return _builds[name] if name == "remote" else builder(name)


def _load(path: Path, name: AnyEngine, engines: int = 1) -> LoadedModel:
    folder = ModelFolder(ModelRef(path.parent.name, path.name), path)
    return load(folder, _build(name), engines)


def _telling(folder: Path, name: AnyEngine) -> Engine:
    return _load(write_model(folder, classes=CLASSES, width=3, map_side=4), name).engine


def test_scores_are_those_that_the_graph_means(tmp_path: Path, name: AnyEngine) -> None:
    tiles = grey_tiles(range(0, 256, 5))
    classifier = _load(write_model(tmp_path, classes=CLASSES), name)
    np.testing.assert_allclose(classifier.engine(tiles), expected_scores(tiles, CLASSES), atol=1e-5)
    assert classifier.spec.engine.startswith(NAMED[name])
    scorer = _load(write_model(tmp_path, "texture", kind="anomaly", width=3), name, engines=2)
    for head in scorer.heads:
        np.testing.assert_allclose(head(descriptors_of(tiles, 3)), scorer.engine(tiles), atol=1e-5)


def test_extras_come_in_the_order_asked_for_and_only_those(tmp_path: Path, name: AnyEngine) -> None:
    engine, tiles = _telling(tmp_path, name), grey_tiles([0, 128])
    shapes = {"descriptor": (2, 3), "map": (2, 4, 4)}
    for extras in ((), ("map",), ("descriptor",), ("map", "descriptor"), ("descriptor", "map")):
        outputs = engine.run(tiles, extras)
        assert [output.shape for output in outputs] == [(2, 3), *(shapes[extra] for extra in extras)]
        assert {output.dtype for output in outputs} == {np.dtype(np.float32)}


def test_batches_of_any_size_follow_each_other_and_none_overwrites_another(tmp_path: Path, name: AnyEngine) -> None:
    engine = _telling(tmp_path, name)
    batches = [grey_tiles(range(at, at + count)) for at, count in ((0, 1), (10, 17), (40, 3), (90, 17), (200, 1))]
    answers = [engine.run(tiles, ("descriptor",)) for tiles in batches]
    for tiles, (scores, descriptors) in zip(batches, answers, strict=True):
        np.testing.assert_allclose(scores, expected_scores(tiles, CLASSES), atol=1e-5)
        np.testing.assert_allclose(descriptors, descriptors_of(tiles, 3), rtol=1e-5)


def test_rows_are_taken_as_they_lie_in_a_message_or_a_larger_array(tmp_path: Path, name: AnyEngine) -> None:
    engine, tiles = _telling(tmp_path, name), grey_tiles(range(0, 240, 10))
    read_only = np.frombuffer(tiles.tobytes(), np.uint8).reshape(tiles.shape)
    every_other = tiles[::2]
    for rows in (read_only, read_only[3:9], every_other):
        np.testing.assert_allclose(engine(rows), expected_scores(rows, CLASSES), atol=1e-5)


def test_two_engines_of_a_model_run_at_once(tmp_path: Path, name: AnyEngine) -> None:
    engines = _load(write_model(tmp_path, classes=CLASSES, work=2), name, engines=2).engines
    wrong: list[int] = []

    def work(engine: Engine, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(20):
            tiles = grey_tiles(rng.integers(0, 256, rng.integers(1, 20)))
            if np.abs(engine(tiles) - expected_scores(tiles, CLASSES)).max() > 1e-4:
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=one) for one in zip(engines, (1, 2), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_a_graph_that_is_none_is_refused_in_one_line(local: EngineName) -> None:
    signature = Signature("steel/1", "tiles", "uint8", (1, 16, 16), {"probabilities": (2,)})
    with pytest.raises(ModelInvalid, match=r"model steel/1: .* does not take its graph: \S") as refused:
        builder(local)(b"not a graph", signature, 1)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": "pixels"}, r"expected one input 'pixels', got \['tiles'\]"),
        ({"dtype": "float32"}, "expected input float32, got uint8"),
        ({"shape": (1, 32, 32)}, r"expected input shape \(N, 1, 32, 32\) with a free N, got \(free, 1, 16, 16\)"),
        ({"outputs": {"probabilities": (3,)}}, r"expected probabilities output shape \(N, 3\) .*, got \(free, 2\)"),
        ({"outputs": {"probabilities": (2,), "map": (4, 4)}}, r"expected an output 'map', got \['probabilities'\]"),
    ],
)
def test_a_graph_that_is_not_what_it_should_be_is_refused_in_the_same_words(
    tmp_path: Path, name: AnyEngine, changes: dict[str, object], words: str
) -> None:
    given: dict[str, object] = {"input": "tiles", "dtype": "uint8", "shape": (1, 16, 16)}
    given |= {"outputs": {"probabilities": (2,)}, **changes}
    graph = (write_model(tmp_path) / "model.onnx").read_bytes()
    # A server may have the right one later: that is no fault of the folder's.
    with pytest.raises(ModelNotReady if name == "remote" else ModelInvalid, match=words):
        _build(name)(graph, Signature("steel/1", **given), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [np.zeros((2, 1, 17, 17), np.uint8), np.zeros((2, 1, 16, 16), np.float32)])
def test_rows_that_do_not_fit_are_never_run(tmp_path: Path, name: EngineName, rows: npt.NDArray[np.uint8]) -> None:
    engine = _load(write_model(tmp_path), name).engine
    with pytest.raises(ModelNotReady, match="steel/1: its engine failed"):
        engine(rows)
    assert engine(grey_tiles([10])).shape == (1, 2)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*/*/manifest.json")), ids=lambda path: path.parent.parent.name)
def test_a_shipped_model_gives_its_reference_and_the_same_alone(path: Path, name: AnyEngine) -> None:
    """To a ten-thousandth where the reference was made, elsewhere as closely as int8 lets two engines agree."""
    model = _load(path.parent, name)
    with np.load(path.parent / "reference.npz") as reference:
        tiles, outputs = reference["tiles"], reference["outputs"]
    within = model.manifest.tolerance if name == "openvino" else 1e-4
    apart = np.abs(model.engine(tiles) - outputs) / np.maximum(outputs, 1)
    assert apart.max() <= within
    alone = np.concatenate([model.engine(tiles[at : at + 1]) for at in range(len(tiles))])
    np.testing.assert_allclose(alone, model.engine(tiles), atol=1e-4)


def test_an_engine_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "stripwatch.models.openvino", raising=False)
    with pytest.raises(SettingsInvalid) as refused:
        builder("openvino")
    assert str(refused.value) == (
        "STRIPWATCH_ENGINE or STRIPWATCH_ENGINE_FILE: openvino is not installed here: "
        "pip install 'stripwatch[openvino]'"
    )


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_an_engine_on_a_gpu_is_refused_where_onnx_runtime_has_no_provider_for_it(name: EngineName) -> None:
    provider = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}[name]
    assert provider not in onnx.providers()
    with pytest.raises(SettingsInvalid, match=rf"{name} needs ONNX Runtime's {provider}, got .*CPUExecutionProvider"):
        builder(name)


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("provider", ["CUDAExecutionProvider", "TensorrtExecutionProvider"])
def test_a_graph_that_lands_on_the_cpu_in_place_of_the_gpu_is_not_run_there(tmp_path: Path, provider: str) -> None:
    """ONNX Runtime only warns and takes the next provider, here as on a GPU whose libraries are not found."""
    folder = write_model(tmp_path)
    graph, signature = (folder / "model.onnx").read_bytes(), read_manifest(folder).graph
    with pytest.raises(SettingsInvalid, match=rf"run steel/1 on {provider}, got CPUExecutionProvider"):
        onnx.engines(graph, signature, provider=provider)


@pytest.mark.parametrize("threads", [1, 2])
def test_engines_without_threads_of_their_own_share_one_session(tmp_path: Path, threads: int) -> None:
    folder = write_model(tmp_path)
    graph, signature = (folder / "model.onnx").read_bytes(), read_manifest(folder).graph
    assert len(set(onnx.engines(graph, signature, 3, threads=threads))) == (1 if threads == 1 else 3)


def test_engines_of_one_compiled_graph_are_each_their_own_request(tmp_path: Path) -> None:
    """Two threads on one request of OpenVINO would overwrite each other's outputs."""
    assert len(set(_load(write_model(tmp_path), "openvino", engines=3).engines)) == 3


def test_no_engine_reports_to_its_maker_or_leaves_files_in_the_home_folder(tmp_path: Path, local: EngineName) -> None:
    code = f"import sys; from stripwatch.models.engines import builder; builder({local!r}); print(*sys.modules)"
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    ended = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert local in ended.stdout.split()
    assert "openvino_telemetry.main" not in ended.stdout.split()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_engine_is_refused_by_the_settings_name() -> None:
    with pytest.raises(SettingsInvalid, match=r"STRIPWATCH_ENGINE: .*'cuda', 'tensorrt' or 'remote', got 'abacus'"):
        settings.load(ModelServiceSettings, engine="abacus")


FIRST_RUNS = """
import sys, threading
from pathlib import Path
from stripwatch.models.engines import builder
from stripwatch.models.manifest import read_manifest
from tiny_models import grey_tiles
folder = Path(sys.argv[1])
engines = builder("openvino")((folder / "model.onnx").read_bytes(), read_manifest(folder).graph, 4)
start = threading.Barrier(len(engines))
def first(engine):
    start.wait()
    engine(grey_tiles([10]))
sys.setswitchinterval(1e-6)
for engine in engines:
    threading.Thread(target=first, args=(engine,)).start()
"""


def test_the_first_runs_of_a_process_may_come_from_several_threads_at_once(tmp_path: Path) -> None:
    """OpenVINO fills a table at the first run and lets go of Python's lock meanwhile: two threads hung for good."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", FIRST_RUNS, str(write_model(tmp_path))]
    for _ in range(4):
        assert subprocess.run(command, env=env, check=False, timeout=60).returncode == 0
