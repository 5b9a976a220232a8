"""The shipped models run by a server that is not ours: MLServer, from its package, in an environment of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from remote_peer import MODELS, REMOTE, mlserver_peer, mlserver_spec
from serving_peers import Peer
from serving_server import Server

from model_process import Service, wait
from stripwatch.domain.recipe import Role
from stripwatch.errors import StripwatchError
from stripwatch.local.ports import free_ports
from stripwatch.models.engines import builder
from stripwatch.models.load import LoadedModel, load
from stripwatch.models.manifest import read_manifest
from stripwatch.models.store import ModelStore
from stripwatch.rpc.codec.models import quantise
from stripwatch.simulate.tiles import clean_tile

LONG_S = 60.0


@pytest.fixture(scope="module")
def mlserver() -> Peer:
    """As the benchmarks install it: once, as long as its requirements stay."""
    peer = mlserver_peer()
    try:
        peer.install()
    except StripwatchError as error:
        pytest.skip(f"needs MLServer: {error}")
    return peer


def _service(role: Role, model: str, port: int) -> Service:
    return Service(
        role,
        MODELS,
        SERVE=model,
        ENGINE="remote",
        REMOTE_ADDRESS=f"127.0.0.1:{port}",
        REMOTE_SECONDS=30,
        RESCAN_SECONDS=0.5,
    )


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def services(mlserver: Peer, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """Classifier and anomaly scorer in front of one MLServer."""
    with Server(mlserver_spec(mlserver, tmp_path_factory.mktemp("repository"), port, workers=0)) as server:
        both = _service(Role.CLASSIFIER, "steel/2", port), _service(Role.ANOMALY, "texture/2", port)
        try:
            for service in both:
                wait(lambda one=service: server.alive() or one.client.ready(1) is None, service)  # type: ignore[misc]
            yield both
        finally:
            for service in both:
                service.close()


def _local(model: str) -> LoadedModel:
    return load(ModelStore([MODELS]).find(model), builder("onnxruntime"))


def _tiles(count: int) -> np.ndarray:
    """Healthy steel, and noise that is none; (count, 1, 160, 160)."""
    rng = np.random.default_rng(7)
    tiles = np.stack([clean_tile(rng, 160) for _ in range(count)])[:, None]
    tiles[::3] = rng.integers(0, 256, tiles[::3].shape, dtype=np.uint8)
    return tiles


def test_classes_and_descriptors_are_those_of_the_engine_in_our_own_process(services: tuple[Service, Service]) -> None:
    client, tiles, model = services[0].client, _tiles(20), _local("steel/2")
    spec = client.describe("steel", LONG_S)
    assert re.fullmatch(r"remote/mlserver/[\d.]+ onnxruntime", spec.engine)
    assert spec.sha256 == model.spec.sha256
    pending = client.submit(spec, tiles, LONG_S, descriptors=True)
    probabilities, descriptors = model.engine.run(tiles, ("descriptor",))
    assert np.abs(pending.result() - quantise(probabilities)).max() <= 1
    np.testing.assert_allclose(pending.descriptors(), descriptors, rtol=1e-3, atol=1e-3)


def test_anomaly_scores_are_the_same_by_tiles_and_by_descriptors(services: tuple[Service, Service]) -> None:
    client, tiles, model = services[1].client, _tiles(20), _local("texture/2")
    spec = client.describe("texture", LONG_S)
    expected = quantise(model.engine(tiles))
    assert np.abs(client.submit(spec, tiles, LONG_S).result() - expected).max() <= 1
    descriptors = _local("steel/2").engine.run(tiles, ("descriptor",))[1]
    by_descriptors = client.submit_descriptors(spec, descriptors, LONG_S).result()
    assert np.abs(by_descriptors - quantise(model.heads[0](descriptors))).max() <= 1


@pytest.mark.parametrize("given", sorted(REMOTE.glob("*/*/*")), ids=lambda path: str(path.relative_to(REMOTE)))
def test_what_is_shipped_for_a_server_agrees_with_the_manifests(given: Path) -> None:
    manifest = read_manifest(MODELS / given.parent.name.removesuffix("-head") / "2")
    graph = manifest.head if given.parent.name.endswith("-head") else manifest.graph
    assert graph is not None
    expected = {graph.input: graph.shape, **graph.outputs}
    text = given.read_text(encoding="utf-8")
    if given.suffix == ".json":
        settings = json.loads(text)
        told = {one["name"]: tuple(one["shape"][1:]) for one in settings["inputs"] + settings["outputs"]}
        assert all(one["shape"][0] == -1 for one in settings["inputs"] + settings["outputs"])
        assert settings["name"] == given.parent.name
        file = "head.onnx" if graph.head else "model.onnx"
        assert settings["parameters"] == {"uri": f"/models/{manifest.ref}/{file}", "version": manifest.ref.version}
    else:
        assert f'name: "{given.parent.name}"' in text.splitlines()
        told = {}
        for tensor, dims, reshaped in re.findall(r'name: "(\w+)", .*?dims: \[ ([\d, ]+) \](, reshape.*\[ \])?', text):
            told[tensor] = () if reshaped else tuple(int(size) for size in dims.split(","))
    assert told == expected
