"""The two model services as real processes, spoken to over real gRPC."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from model_process import LONG_S, Service, wait
from stripwatch.domain.model import DescriptorSpec, InputSpec, ModelKind, ModelRef, ModelSpec
from stripwatch.domain.recipe import Role
from stripwatch.errors import BadInput, NotFound, Overloaded, StripwatchError
from stripwatch.rpc import health
from stripwatch.rpc.channel import open_channel
from stripwatch.rpc.client import SERVICES, RemoteScorer
from stripwatch.rpc.codec.models import descriptors_to, maps_from, quantise
from stripwatch.rpc.v1 import model_pb2 as pb
from stripwatch.rpc.v1 import model_pb2_grpc as pb_grpc
from tile_message import tiles_to
from tiny_models import BACKBONE, descriptors_of, expected_scores, grey_tiles, write_model

CLASSES = ("healthy", "patches", "scratches")


Start = Callable[..., Service]


@pytest.fixture
def start() -> Iterator[Start]:
    services: list[Service] = []

    def started(role: Role, models: Path, **settings: object) -> Service:
        services.append(Service(role, models, **settings))
        return services[-1]

    yield started
    for service in services:
        service.close()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A classifier with two versions of one model, for tests that leave it as it is."""
    models = tmp_path_factory.mktemp("models")
    write_model(models, "steel", "1", classes=CLASSES)
    write_model(models, "steel", "2", classes=CLASSES, bias=40)
    write_model(models, "telling", classes=CLASSES, width=3, map_side=4)
    write_model(models, "texture", kind="anomaly")
    service = Service(Role.CLASSIFIER, models, MAX_BATCH=16)
    service.wait_ready()
    yield service
    service.close()


def test_who_asked_is_woken_by_an_answer_and_by_a_refusal(classifier: Service) -> None:
    spec = classifier.client.describe("steel", LONG_S)
    for tiles in (grey_tiles([10, 20]), grey_tiles([10, 20], size=3)):
        woken = threading.Event()
        pending = classifier.client.submit(spec, tiles, LONG_S)
        pending.when_done(woken.set)
        assert woken.wait(LONG_S)
        assert pending.done()


def test_the_classifier_gives_the_scores_that_the_model_means(classifier: Service) -> None:
    spec = classifier.client.describe("steel/1", LONG_S)
    tiles = grey_tiles(range(0, 256, 5))
    units = classifier.client.submit(spec, tiles, LONG_S).result()
    assert np.abs(units - quantise(expected_scores(tiles, CLASSES))).max() <= 1
    assert spec.classes == CLASSES
    assert spec.engine.startswith("onnxruntime/")


def test_the_anomaly_service_gives_one_score_a_tile(start: Start, tmp_path: Path) -> None:
    write_model(tmp_path, "texture", kind="anomaly")
    service = start(Role.ANOMALY, tmp_path)
    service.wait_ready()
    spec = service.client.describe("texture", LONG_S)
    assert spec.kind is ModelKind.ANOMALY
    assert service.client.submit(spec, grey_tiles([0, 64, 128]), LONG_S).result().tolist() == [0, 5_000, 10_000]


def test_the_engine_is_a_setting_and_named_with_the_model(start: Start, tmp_path: Path) -> None:
    write_model(tmp_path, "steel", classes=CLASSES)
    service = start(Role.CLASSIFIER, tmp_path, ENGINE="openvino")
    service.wait_ready()
    spec, tiles = service.client.describe("steel", LONG_S), grey_tiles(range(0, 256, 5))
    assert spec.engine.startswith("openvino/")
    units = service.client.submit(spec, tiles, LONG_S).result()
    assert np.abs(units - quantise(expected_scores(tiles, CLASSES))).max() <= 1


@pytest.fixture(scope="module")
def anomaly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An anomaly scorer on the backbone of the classifier's `telling`, and one that takes tiles only."""
    models = tmp_path_factory.mktemp("models")
    write_model(models, "texture", kind="anomaly", width=3)
    write_model(models, "plain", kind="anomaly")
    service = Service(Role.ANOMALY, models, MAX_BATCH=16)
    service.wait_ready()
    yield service
    service.close()


def test_scores_by_the_classifiers_descriptors_are_those_by_tiles(classifier: Service, anomaly: Service) -> None:
    teller, scorer = classifier.client.describe("telling", LONG_S), anomaly.client.describe("texture", LONG_S)
    assert teller.descriptors == scorer.descriptors == DescriptorSpec(3, BACKBONE)
    tiles = grey_tiles(range(0, 256, 5))
    told = classifier.client.submit(teller, tiles, LONG_S, descriptors=True)
    descriptors = told.descriptors()
    np.testing.assert_allclose(descriptors, descriptors_of(tiles, 3), rtol=1e-6)
    assert np.abs(told.result() - quantise(expected_scores(tiles, CLASSES))).max() <= 1
    by_descriptors = anomaly.client.submit_descriptors(scorer, descriptors, LONG_S).result()
    by_tiles = anomaly.client.submit(scorer, tiles, LONG_S).result()
    assert len(set(by_tiles.tolist())) == len(tiles)
    assert np.abs(by_descriptors - by_tiles).max() <= 1


def test_a_classifier_says_where_in_256_steps_when_asked(classifier: Service) -> None:
    tiles = grey_tiles([0, 100])
    tiles[0, 0, 12:, 12:] = 255  # the last of its 4 x 4 cells
    with grpc.insecure_channel(classifier.address) as channel:
        request = pb.ClassifyRequest(model="telling/1", tiles=tiles_to(tiles), maps=True)
        answer = pb_grpc.ClassifierStub(channel).Classify(request, timeout=LONG_S)
    assert not answer.HasField("descriptors")
    maps = maps_from(answer.maps)
    assert maps.dtype == np.uint8
    assert maps.shape == (2, 4, 4)
    assert maps[0].ravel().tolist() == [0] * 15 + [255]
    assert (maps[1] == 100).all()


def test_descriptors_that_a_scorer_cannot_use_are_refused_with_expected_and_got(anomaly: Service) -> None:
    texture, plain = (anomaly.client.describe(name, LONG_S) for name in ("texture", "plain"))
    descriptors = np.zeros((2, 3), np.float32)
    other = replace(texture, descriptors=DescriptorSpec(3, "c" * 64))
    refused = [
        (other, descriptors, f"backbone {BACKBONE}, got those of {'c' * 64}"),
        (replace(texture, descriptors=None), descriptors, f"backbone {BACKBONE}, got those of none"),
        (texture, np.zeros((2, 4), np.float32), r"\(N, 3\), got \(2, 4\)"),
        (texture, np.zeros((0, 3), np.float32), r"expected 0 bytes"),
        (plain, descriptors, r"plain/1: expected tiles, got descriptors"),
    ]
    for spec, given, words in refused:
        with pytest.raises(BadInput, match=words):
            anomaly.client.submit_descriptors(spec, given, LONG_S).result()


def test_a_score_request_with_both_or_neither_is_refused(anomaly: Service) -> None:
    tiles, descriptors = tiles_to(grey_tiles([1])), descriptors_to(np.zeros((1, 3), np.float32), BACKBONE)
    with grpc.insecure_channel(anomaly.address) as channel:
        score = pb_grpc.AnomalyScorerStub(channel).Score
        for request, got in (
            (pb.ScoreRequest(model="texture/1", tiles=tiles, descriptors=descriptors), "got both"),
            (pb.ScoreRequest(model="texture/1"), "got neither"),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                score(request, timeout=LONG_S)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert refused.value.details() == f"model texture/1: expected either tiles or descriptors, {got}"


@pytest.mark.parametrize("wish", ["descriptors", "maps"])
def test_a_wish_that_a_classifier_cannot_grant_is_refused_by_name(classifier: Service, wish: str) -> None:
    with grpc.insecure_channel(classifier.address) as channel:
        request = pb.ClassifyRequest(model="steel/1", tiles=tiles_to(grey_tiles([1])), **{wish: True})
        with pytest.raises(grpc.RpcError) as refused:
            pb_grpc.ClassifierStub(channel).Classify(request, timeout=LONG_S)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"steel/1: expected no wish for a {wish[:-1]}, which it does not give" in refused.value.details()


def test_many_clients_at_once_each_get_their_own_scores_of_the_version_they_named(classifier: Service) -> None:
    specs = [classifier.client.describe(f"steel/{version}", LONG_S) for version in ("1", "2")]
    wrong: list[object] = []

    def client(seed: int) -> None:
        rng = np.random.default_rng(seed)
        scorer = RemoteScorer(Role.CLASSIFIER, classifier.address)
        sent = []
        for _ in range(10):
            tiles, version = grey_tiles(rng.integers(0, 256, rng.integers(1, 30))), int(rng.integers(2))
            sent.append((tiles, version, scorer.submit(specs[version], tiles, LONG_S)))
        for tiles, version, pending in sent:
            expected = quantise(expected_scores(tiles, CLASSES, bias=40 * version))
            if np.abs(pending.result() - expected).max() > 1:
                wrong.append((seed, version))
        scorer.close()

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert not wrong


@pytest.mark.parametrize(
    ("tiles", "words"),
    [
        (np.zeros((2, 1, 17, 17), np.uint8), r"\(N, 1, 16, 16\) uint8, got \(2, 1, 17, 17\) uint8"),
        (np.zeros((2, 3, 16, 16), np.uint8), r"\(N, 1, 16, 16\) uint8, got \(2, 3, 16, 16\) uint8"),
        (np.zeros((2, 1, 16, 16), np.float32), r"\(N, 1, 16, 16\) uint8, got \(2, 1, 16, 16\) float32"),
        (np.zeros((0, 1, 16, 16), np.uint8), "expected 0 bytes"),
    ],
)
def test_tiles_that_the_model_does_not_take_are_refused_with_expected_and_got(
    classifier: Service, tiles: Any, words: str
) -> None:
    spec = classifier.client.describe("steel/1", LONG_S)
    with pytest.raises(BadInput, match=words):
        classifier.client.submit(spec, tiles, LONG_S).result()


def test_an_unknown_model_is_refused_with_what_is_served(classifier: Service) -> None:
    with pytest.raises(NotFound, match=r"'brass'.*steel/1, steel/2"):
        classifier.client.describe("brass", LONG_S)
    spec = ModelSpec(
        ModelRef("steel", "3"), ModelKind.CLASSIFIER, InputSpec(16, 1, "uint8"), CLASSES, "0" * 64, "onnxruntime/1"
    )
    with pytest.raises(NotFound, match="'steel/3'"):
        classifier.client.submit(spec, grey_tiles([1]), LONG_S).result()


def test_reflection_lists_the_services(classifier: Service) -> None:
    with grpc.insecure_channel(classifier.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {SERVICES[Role.CLASSIFIER], "grpc.health.v1.Health"} <= set(database.get_services())
        found = DescriptorPool(database).FindServiceByName(SERVICES[Role.CLASSIFIER])
        assert [method.name for method in found.methods] == ["Describe", "Classify"]


def test_a_flood_is_refused_with_a_hint_and_what_was_taken_is_answered(start: Start, tmp_path: Path) -> None:
    write_model(tmp_path, "slow", classes=CLASSES, size=64, work=12)
    service = start(Role.CLASSIFIER, tmp_path, QUEUE_TILES=32, MAX_BATCH=8)
    service.wait_ready()
    spec = service.client.describe("slow", LONG_S)
    tiles = grey_tiles([10] * 8, size=64)
    flood = [service.client.submit(spec, tiles, LONG_S) for _ in range(40)]
    hints, answered = [], 0
    for pending in flood:
        try:
            answered += len(pending.result())
        except Overloaded as error:
            hints.append(error.retry_after_s)
    assert hints
    assert all(0.01 <= hint <= 5 for hint in hints)
    assert answered >= 32
    assert answered + 8 * len(hints) == 8 * len(flood)


def _fails_in_one_line(service: Service) -> str:
    assert service.exit_code() == 2
    text = "".join(service.log)
    assert "Traceback" not in text
    return service.log[-1]


def test_a_wrong_hash_ends_the_service_with_one_line(start: Start, tmp_path: Path) -> None:
    path = write_model(tmp_path)
    with (path / "model.onnx").open("ab") as file:
        file.write(b" ")
    line = _fails_in_one_line(start(Role.CLASSIFIER, tmp_path))
    assert str(path / "model.onnx") in line
    assert "expected sha256" in line


def test_no_model_of_its_kind_ends_the_service_with_what_to_do(start: Start, tmp_path: Path) -> None:
    write_model(tmp_path)
    line = _fails_in_one_line(start(Role.ANOMALY, tmp_path))
    assert str(tmp_path) in line
    assert "STRIPWATCH_MODELS" in line


def test_a_wrong_setting_ends_the_service_with_its_name(start: Start, tmp_path: Path) -> None:
    assert "STRIPWATCH_MAX_BATCH" in _fails_in_one_line(start(Role.CLASSIFIER, tmp_path, MAX_BATCH="many"))


def test_a_parity_failure_is_never_served_and_says_so(start: Start, tmp_path: Path) -> None:
    write_model(tmp_path, reference_bias=40)
    service = start(Role.CLASSIFIER, tmp_path)
    wait(lambda: any("not ready" in line and "parity self-test" in line for line in service.log), service)
    assert health.status(service.address, LONG_S) == health.NOT_SERVING
    with pytest.raises(StripwatchError):
        service.client.describe("steel", LONG_S)


def test_a_version_that_appears_is_picked_up(start: Start, tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_model(models, "steel", "1")
    service = start(Role.CLASSIFIER, models, RESCAN_SECONDS=0.1)
    service.wait_ready()
    (models / "steel").mkdir(exist_ok=True)
    write_model(tmp_path / "made", "steel", "2").rename(models / "steel" / "2")
    wait(lambda: service.client.describe("steel", LONG_S).ref.version == "2", service)
    assert service.client.describe("steel/1", LONG_S).ref.version == "1"


def test_at_sigterm_health_flips_and_what_was_taken_is_finished(start: Start, tmp_path: Path) -> None:
    write_model(tmp_path, "slow", size=64, work=12)
    service = start(Role.CLASSIFIER, tmp_path, MAX_BATCH=8)
    service.wait_ready()
    spec = service.client.describe("slow", LONG_S)
    channel, seen = open_channel(service.address), queue.Queue[int]()
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    threading.Thread(target=_follow, args=(watch, seen), daemon=True).start()
    assert seen.get(timeout=LONG_S) == health_pb2.HealthCheckResponse.SERVING
    sent = [service.client.submit(spec, grey_tiles([10] * 64, size=64), LONG_S) for _ in range(4)]
    assert sent[0].result().shape == (64, 2)  # the others are on the server by now: one connection keeps their order
    service.process.send_signal(signal.SIGTERM)
    assert seen.get(timeout=LONG_S) == health_pb2.HealthCheckResponse.NOT_SERVING
    assert [pending.result().shape for pending in sent] == [(64, 2)] * 4
    assert service.exit_code() == 0
    channel.close()


def _follow(watch: Any, seen: queue.Queue[int]) -> None:
    try:
        for answer in watch:
            seen.put(answer.status)
    except grpc.RpcError:
        seen.put(-1)
