"""Models that another server runs: over a socket, with all that can be wrong at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme

from certificates import write
from inference_server import InferenceServer, listening, remote, remote_build, served
from model_process import Service, wait
from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch.domain.recipe import Role
from stripwatch.errors import (
    ModelNotReady,
    Overloaded,
    PeerUnavailable,
    SettingsInvalid,
    StripwatchError,
)
from stripwatch.local.ports import free_ports
from stripwatch.models.batching import Batcher, Batching
from stripwatch.models.engines import builder
from stripwatch.models.load import LoadedModel, load
from stripwatch.models.manifest import read_manifest
from stripwatch.models.served import ServedModels
from stripwatch.models.settings import ModelServiceSettings
from stripwatch.models.store import ModelFolder, ModelStore
from stripwatch.ports import Engine
from stripwatch.rpc.codec.models import quantise
from stripwatch.rpc.oip import open_inference_pb2 as pb
from stripwatch.runtime import settings
from stripwatch.runtime.deadline import Deadline
from stripwatch.runtime.metrics.engines import MODEL_INFO
from tiny_models import descriptors_of, expected_scores, grey_tiles, write_model

CLASSES = ("healthy", "patches", "scratches")
Running = tuple[InferenceServer, int]


@pytest.fixture
def server() -> Iterator[Running]:
    with served() as running:
        yield running


def _folder(path: Path) -> ModelFolder:
    return ModelFolder(ModelRef(path.parent.name, path.name), path)


def _load(path: Path, server: Running) -> LoadedModel:
    """With the server running what lies in the folder."""
    return load(_folder(path), remote_build(*server))


def _graph(path: Path) -> bytes:
    return (path / "model.onnx").read_bytes()


@pytest.fixture
def engine(tmp_path: Path, server: Running) -> Engine:
    return _load(write_model(tmp_path, classes=CLASSES, width=3), server).engine


def test_answers_in_bytes_and_in_numbers_are_the_same(server: Running, engine: Engine) -> None:
    tiles = grey_tiles(range(0, 256, 20))
    in_bytes = engine.run(tiles, ("descriptor",))
    server[0].raw = False
    in_numbers = engine.run(tiles, ("descriptor",))
    for one, other in zip(in_bytes, in_numbers, strict=True):
        np.testing.assert_array_equal(one, other)


def test_scores_that_come_as_a_column_are_taken(tmp_path: Path, server: Running) -> None:
    server[0].column = True
    scorer = _load(write_model(tmp_path, "texture", kind="anomaly", width=3), server)
    tiles = grey_tiles([0, 64, 128])
    assert scorer.engine(tiles).shape == (3,)
    np.testing.assert_allclose(scorer.heads[0](descriptors_of(tiles, 3)), [0, 0.5, 1], atol=1e-6)


def test_no_call_carries_more_rows_than_a_batch_may_have(server: Running, engine: Engine) -> None:
    tiles = grey_tiles(range(40))
    server[0].batches.clear()
    scores, descriptors = engine.run(tiles, ("descriptor",))
    assert sorted(server[0].batches) == [8, 16, 16]
    np.testing.assert_allclose(scores, expected_scores(tiles, CLASSES), atol=1e-5)
    np.testing.assert_allclose(descriptors, descriptors_of(tiles, 3), rtol=1e-5)


@pytest.mark.parametrize(
    ("pattern", "graph", "head"),
    [
        ("{name}/{version}", "texture/2", "texture-head/2"),
        ("{name}", "texture", "texture-head"),
        ("plant7.{name}-v{version}", "plant7.texture-v2", "plant7.texture-v2-head"),
    ],
)
def test_a_model_is_called_there_what_the_setting_says(tmp_path: Path, pattern: str, graph: str, head: str) -> None:
    manifest = read_manifest(write_model(tmp_path, "texture", "2", kind="anomaly", width=3))
    assert manifest.head is not None
    given = remote(1, pattern)
    assert [str(given.place(one)) for one in (manifest.graph, manifest.head)] == [graph, head]


def test_the_engine_that_is_pinned_says_who_ran_the_model(tmp_path: Path, server: Running) -> None:
    service, path = server[0], write_model(tmp_path)
    assert _load(path, server).spec.engine == "remote/testserver/1.0 onnxruntime_onnx"
    service.name, service.version, service.platform = "", "", "evil\n\x1b[2J"
    assert _load(path, server).spec.engine == "remote/unknown evil\\n\\x1b[2J"


def _drop(answer: pb.ModelInferResponse) -> None:
    del answer.outputs[0]


def _retype(answer: pb.ModelInferResponse) -> None:
    answer.outputs[0].datatype = "FP64"


def _reshape(answer: pb.ModelInferResponse) -> None:
    answer.outputs[0].shape[:] = [3, 2]


def _shorten(answer: pb.ModelInferResponse) -> None:
    answer.raw_output_contents[0] = answer.raw_output_contents[0][:-3]


def _empty(answer: pb.ModelInferResponse) -> None:
    answer.raw_output_contents[:] = []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_drop, r"expected outputs \['probabilities'\], got \[\]"),
        (_retype, r"expected probabilities FP32 \(2, 3\), got FP64 \(2, 3\)"),
        (_reshape, r"expected probabilities FP32 \(2, 3\), got FP32 \(3, 2\)"),
        (_shorten, "expected probabilities of 6 values, got 0"),
        (_empty, "expected probabilities of 6 values, got 0"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_says_what_was_expected(
    server: Running, engine: Engine, spoil: Callable[[pb.ModelInferResponse], None], words: str
) -> None:
    server[0].spoil = spoil
    with pytest.raises(ModelNotReady, match=rf"steel/1: inference server at 127\.0\.0\.1:\d+: {words}"):
        engine(grey_tiles([10, 20]))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, PeerUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, PeerUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.INVALID_ARGUMENT, ModelNotReady),
        (grpc.StatusCode.NOT_FOUND, ModelNotReady),
        (grpc.StatusCode.UNAUTHENTICATED, ModelNotReady),
        (grpc.StatusCode.INTERNAL, ModelNotReady),
        (grpc.StatusCode.UNKNOWN, ModelNotReady),
    ],
)
def test_what_the_server_refuses_is_never_the_fault_of_a_frame(
    server: Running, engine: Engine, code: grpc.StatusCode, error: type[StripwatchError]
) -> None:
    """BadInput would bury frames in the dead stream for what is wrong with the server."""
    server[0].fault = code
    with pytest.raises(error, match="a fault of the test") as refused:
        engine(grey_tiles([10]))
    assert type(refused.value) is error


def test_a_slow_server_is_given_up_at_the_time_limit(tmp_path: Path, server: Running) -> None:
    service, port = server
    path = write_model(tmp_path)
    service.put("steel/1", _graph(path))
    (engine,) = builder("remote", remote=remote(port, seconds=0.2))(b"", read_manifest(path).graph, 1)
    service.hold.clear()
    with pytest.raises(PeerUnavailable, match="Deadline Exceeded"):
        engine(grey_tiles([10]))


def test_a_server_set_up_as_grpc_comes_does_not_hang_up_on_a_silent_engine(server: Running, engine: Engine) -> None:
    """Asked for a sign of life as often as our own services are, it did after 4.5 s, with whatever was under way."""
    engine(grey_tiles([10]))
    time.sleep(6)
    engine(grey_tiles([10]))
    assert len(server[0].peers) == 1


def test_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with pytest.raises(PeerUnavailable, match=rf"inference server at 127\.0\.0\.1:{port}: "):
        load(_folder(write_model(tmp_path)), builder("remote", remote=remote(port, seconds=1)))


def test_a_model_that_the_server_has_not_is_named_as_it_is_called_there(tmp_path: Path, server: Running) -> None:
    service, port = server
    service.ready = False
    with pytest.raises(ModelNotReady, match="its model plant-steel is not ready, the server itself is live"):
        load(_folder(write_model(tmp_path)), builder("remote", remote=remote(port, "plant-{name}")))


@pytest.mark.parametrize("tells", [True, False])
def test_a_wrong_model_behind_the_name_fails_the_self_test(tmp_path: Path, server: Running, tells: bool) -> None:
    service, port = server
    service.tells = tells
    path, other = write_model(tmp_path, classes=CLASSES), write_model(tmp_path / "other", classes=CLASSES, bias=40)
    service.put("steel/1", _graph(other))
    with pytest.raises(ModelNotReady, match=r"steel/1 on remote/testserver.*parity self-test on tiles failed"):
        load(_folder(path), builder("remote", remote=remote(port)))


def test_a_model_of_other_shapes_is_refused_before_a_tile_is_sent(tmp_path: Path, server: Running) -> None:
    service, port = server
    path, other = write_model(tmp_path), write_model(tmp_path / "other", size=32)
    service.put("steel/1", _graph(other))
    with pytest.raises(ModelNotReady, match=r"expected input shape \(N, 1, 16, 16\).*got \(free, 1, 32, 32\)"):
        load(_folder(path), builder("remote", remote=remote(port)))
    assert service.batches == []


def test_a_server_that_says_nothing_of_shapes_is_judged_by_the_self_test_alone(tmp_path: Path, server: Running) -> None:
    server[0].tells = False
    assert _load(write_model(tmp_path), server).spec.engine.startswith("remote/")


def test_who_was_away_has_to_be_proven_again_before_it_is_ready(server: Running, engine: Engine) -> None:
    service = server[0]
    assert engine.ready() is None
    models, service.models = service.models, {}
    assert "its model steel/1 is not ready, the server itself is ready" in (engine.ready() or "")
    service.models = models
    assert "its model steel/1 is not ready" in (engine.ready() or "")


def test_a_server_that_became_another_is_not_who_the_model_was_proven_on(server: Running, engine: Engine) -> None:
    server[0].version = "1.1"
    assert (
        "was testserver/1.0 onnxruntime_onnx when the model was proven, and is testserver/1.1 onnxruntime_onnx now"
        in (engine.ready() or "")
    )


def test_the_server_is_asked_over_tls_with_the_files_of_all_else(tmp_path: Path) -> None:
    ca = trustme.CA()
    files = write(tmp_path / "tls", ca).read()
    assert files.certificate is not None
    assert files.key is not None
    credentials = grpc.ssl_server_credentials([(files.key, files.certificate)], files.ca, True)
    path, port = write_model(tmp_path), free_ports(1)[0]
    service = InferenceServer()
    service.put("steel/1", _graph(path))
    given = settings.load(
        ModelServiceSettings,
        engine="remote",
        remote_address=f"localhost:{port}",
        tls_ca=tmp_path / "tls" / "ca.pem",
        tls_certificate=tmp_path / "tls" / "own.pem",
        tls_key=tmp_path / "tls" / "own.key",
        remote_seconds=30,
    )
    with listening(service, port, credentials):
        loaded = load(_folder(path), builder(given.engine, remote=given.remote))
        assert loaded.engine.ready() is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"engine": "remote"}, "STRIPWATCH_REMOTE_ADDRESS: expected a gRPC target with STRIPWATCH_ENGINE=remote"),
        ({"engine": "remote", "remote_address": "triton:8001"}, "STRIPWATCH_REMOTE_ADDRESS: .*TLS .*got triton"),
        ({"remote_model": "{model}"}, "STRIPWATCH_REMOTE_MODEL: .*{name}, {version}, got '{model}'"),
        ({"remote_model": "a/b/c"}, "STRIPWATCH_REMOTE_MODEL: expected NAME or NAME/VERSION"),
    ],
)
def test_settings_that_name_no_server_or_no_model_end_a_service_at_its_start(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsInvalid, match=words):
        settings.load(ModelServiceSettings, **given)


def _served(folder: Path, port: int) -> ServedModels:
    build = builder("remote", remote=remote(port))
    models = ServedModels(
        ModelStore([folder]),
        ModelKind.CLASSIFIER,
        (),
        lambda found: load(found, build),
        lambda name, engines, _whole: Batcher(name, engines, Batching()),
        elsewhere=True,
    )
    models.load()
    return models


def test_a_new_version_is_served_once_both_its_folder_and_the_server_have_it(tmp_path: Path, server: Running) -> None:
    service, port = server
    service.put("steel/1", _graph(write_model(tmp_path, "steel", "1")))
    models = _served(tmp_path, port)
    newer = write_model(tmp_path, "steel", "2", bias=20)
    models.rescan()
    models.rescan()
    assert models.find("steel").spec.ref.version == "1"
    assert models.ready() is None
    service.put("steel/2", _graph(newer))
    models.rescan()
    assert models.find("steel").spec.ref.version == "2"
    models.close(5)


def test_what_waits_for_a_lost_server_is_still_answered_when_the_model_is_served_anew(
    tmp_path: Path, server: Running
) -> None:
    service, port = server
    service.put("steel/1", _graph(write_model(tmp_path, classes=CLASSES)))
    models = _served(tmp_path, port)
    before, tiles = models.find("steel"), grey_tiles([10, 128, 250])
    waiting = before.batcher.submit(tiles, Deadline.after(60))
    service.version = "1.1"
    assert "is testserver/1.1" in (models.ready() or "")
    models.rescan()
    assert models.ready() is None
    np.testing.assert_allclose(waiting.result()[0], expected_scores(tiles, CLASSES), atol=1e-5)
    assert models.find("steel").spec.engine == "remote/testserver/1.1 onnxruntime_onnx"
    (info,) = MODEL_INFO.collect()
    told = [one.labels["engine"] for one in info.samples if one.labels["sha256"] == before.spec.sha256]
    assert told == ["remote/testserver/1.1 onnxruntime_onnx"]
    with pytest.raises(ModelNotReady, match="stopping"):
        before.batcher.submit(tiles, Deadline.after(60))
    models.close(5)


def test_a_service_is_ready_while_its_server_has_the_right_model_and_only_then(tmp_path: Path) -> None:
    """Away at the start, there, away in between, back with a wrong model behind the name, and with the right one."""
    models, port = tmp_path / "models", free_ports(1)[0]
    path, other = write_model(models, classes=CLASSES), write_model(tmp_path / "other", classes=CLASSES, bias=40)
    right, wrong = InferenceServer(), InferenceServer()
    right.put("steel/1", _graph(path))
    wrong.put("steel/1", _graph(other))
    classifier = Service(
        Role.CLASSIFIER,
        models,
        ENGINE="remote",
        REMOTE_ADDRESS=f"127.0.0.1:{port}",
        RESCAN_SECONDS=0.2,
        REMOTE_SECONDS=30,
    )

    def said(words: str) -> None:
        wait(lambda: any("not ready" in line and words in line for line in classifier.log), classifier)
        assert classifier.client.ready(5) is not None
        classifier.log.clear()

    try:
        said(f"inference server at 127.0.0.1:{port}")
        with listening(right, port):
            classifier.wait_ready()
            spec = classifier.client.describe("steel", 30)
            tiles = grey_tiles(range(0, 256, 5))
            units = classifier.client.submit(spec, tiles, 30).result()
            assert np.abs(units - quantise(expected_scores(tiles, CLASSES))).max() <= 1
            assert spec.engine == "remote/testserver/1.0 onnxruntime_onnx"
        said(f"inference server at 127.0.0.1:{port}")
        with listening(wrong, port):
            wait(lambda: any("parity self-test" in line for line in classifier.log), classifier)
            assert classifier.client.ready(5) is not None
        with listening(right, port):
            classifier.wait_ready()
            assert (classifier.client.submit(spec, tiles, 30).result() == units).all()
        assert sum("parity self-test" in line for line in classifier.log) == 1
    finally:
        classifier.close()
