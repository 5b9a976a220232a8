"""The paper's five rows through the running services: by name, the same score as torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from stripwatch.domain.defect import NEU_CLASSES  # noqa: E402
from stripwatch.domain.model import ModelKind, ModelRef  # noqa: E402  only where there is torch
from stripwatch.domain.recipe import Role  # noqa: E402
from stripwatch.local.child import Child, Spec  # noqa: E402
from stripwatch.local.ports import free_ports  # noqa: E402
from stripwatch.local.services import module  # noqa: E402
from stripwatch.pixels import model_input  # noqa: E402
from stripwatch.rpc.client import RemoteScorer  # noqa: E402
from stripwatch.rpc.codec.models import QUANTUM  # noqa: E402
from stripwatch_train.export import Draft, reference_tiles, write_model  # noqa: E402
from stripwatch_train.mobilenet import WIDTH, MobileNetV2  # noqa: E402
from stripwatch_train.paper import PaperNet  # noqa: E402
from stripwatch_train.study.autoencoder import SIZE  # noqa: E402
from stripwatch_train.study.paper_rows import CLASSIFIER, ROWS  # noqa: E402
from stripwatch_train.study.row_models import draft  # noqa: E402
from stripwatch_train.study.row_scorers import given  # noqa: E402

LONG_S = 60.0
STEEL = [tile[0] for tile in reference_tiles(200)]


def _fifth() -> Draft:
    torch.manual_seed(0)
    net = PaperNet(MobileNetV2().eval(), torch.nn.Linear(WIDTH, len(NEU_CLASSES)))
    return Draft(ModelRef(CLASSIFIER, "1"), ModelKind.CLASSIFIER, net, 224, NEU_CLASSES, 1.0, 0.5)


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Draft]:
    """All five rows after one epoch on texture without meaning: what they score is not asked here."""
    cache, rng = tmp_path_factory.mktemp("cache"), np.random.default_rng(0)
    coarse = rng.integers(0, 256, (100, 1, SIZE // 4, SIZE // 4), dtype=np.uint8)
    tiles = np.ascontiguousarray(coarse.repeat(4, 2).repeat(4, 3))
    made = {CLASSIFIER: _fifth()}
    for row in ROWS:
        net, _ = row.net(tiles, 0, cache, epochs=1)
        scorer = row.scorer(net, tiles, [str(number) for number in range(len(tiles))], 0)
        made[row.name] = draft(row, scorer, float(np.quantile(given(scorer, tiles), 0.95)), 0, "0" * 64)
    return made


@pytest.fixture(scope="module")
def scorers(drafts: dict[str, Draft], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[ModelKind, Any]]:
    """Both services as processes on one folder with all five."""
    models = tmp_path_factory.mktemp("models")
    for made in drafts.values():
        write_model(made, models, None)
    ports = dict(zip((Role.ANOMALY, Role.CLASSIFIER), free_ports(2), strict=True))
    children, clients = [], {}
    for role, port in ports.items():
        env = {"STRIPWATCH_MODELS": str(models), "STRIPWATCH_HEALTH_PORT": str(port), "STRIPWATCH_ENGINE_WORKERS": "1"}
        children.append(Child(Spec(role.value, module(role.value), env), lambda _name, _line: None))
        children[-1].start()
        clients[ModelKind(role.value)] = RemoteScorer(role, f"127.0.0.1:{port}")
    for child, client in zip(children, clients.values(), strict=True):
        end = time.monotonic() + LONG_S
        while client.ready(1) is not None:
            assert child.running, child.last_words
            assert time.monotonic() < end, "\n".join(child.tail)
            time.sleep(0.02)
    yield clients
    for child, client in zip(children, clients.values(), strict=True):
        client.close()
        child.terminate()
        child.wait(LONG_S)
        child.kill()


@pytest.mark.parametrize("name", [*(row.name for row in ROWS), CLASSIFIER])
def test_a_row_served_by_its_name_scores_as_torch_does(
    name: str, drafts: dict[str, Draft], scorers: dict[ModelKind, Any]
) -> None:
    made = drafts[name]
    client = scorers[made.kind]
    spec = client.describe(name, LONG_S)
    assert str(spec.ref) == f"{name}/1"
    assert spec.input.clahe == made.clahe
    tiles = model_input(STEEL, spec.input)
    served = client.submit(spec, tiles, LONG_S).result() * QUANTUM
    assert np.abs(served - given(made.net, tiles)).max() < 1e-3
