"""Nothing that serving reads can carry code, and no graph opens a file beside it; the trainer reads tensors only."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from stripwatch.domain.model import ModelRef
from stripwatch.errors import ModelInvalid, RecipeInvalid
from stripwatch.models import onnxfile
from stripwatch.models.engines import EngineName, builder
from stripwatch.models.load import GRAPH, load
from stripwatch.models.manifest import FILE, read_manifest
from stripwatch.models.store import ModelFolder
from stripwatch.recipes.parse import parse_recipe
from stripwatch.recipes.text import _PlainLoader
from tiny_models import write_model

ROOT = Path(__file__).parents[2]
SERVING = (
    "shared/stripwatch",
    *(
        f"services/stripwatch_{name}"
        for name in ("ingest", "preprocess", "classifier", "anomaly", "aggregator", "console")
    ),
)
TRAINER = "services/stripwatch_train"

CARRIERS = frozenset(
    {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "torch", "jsonpickle"}
)
"""Modules whose files are programs."""
SAFE_LOADERS = frozenset({"SafeLoader", "CSafeLoader", "_PlainLoader"})
"""`_PlainLoader` takes less than the safe one; a test below holds it to that."""
RUNNERS = frozenset({"eval", "exec", "compile", "__import__"})
SHELLS = frozenset({"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"})


@dataclass(frozen=True, slots=True)
class Found:
    """A place in the code that could run what it reads."""

    file: str
    line: int
    what: str


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def carriers(path: Path) -> Iterator[Found]:
    """All that could run code out of a file or a string."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for what in (*_imported(node), *_called(node)):
            yield Found(str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name, node.lineno, what)  # type: ignore[attr-defined]


def _imported(node: ast.AST) -> Iterator[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        names = [node.module]
    elif isinstance(node, ast.Call) and _name(node) in ("import_module", "__import__"):
        names = [str(value.value) for value in node.args if isinstance(value, ast.Constant)]
    yield from (name for name in names if name.partition(".")[0] in CARRIERS)


def _called(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Call):
        return
    name, given = _name(node), {keyword.arg: keyword.value for keyword in node.keywords}
    if (isinstance(node.func, ast.Name) and name in RUNNERS) or name in SHELLS:
        yield name
    if "shell" in given and not _is(given["shell"], False):
        yield "shell"
    if "allow_pickle" in given and not _is(given["allow_pickle"], False):
        yield "allow_pickle"
    if _owner(node) == "yaml" and name in (
        "load",
        "load_all",
        "unsafe_load",
        "full_load",
        "unsafe_load_all",
        "full_load_all",
    ):
        loader = given.get("Loader", node.args[1] if len(node.args) > 1 else None)
        if not (isinstance(loader, ast.Name) and loader.id in SAFE_LOADERS):
            yield f"yaml.{name}"


def _name(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _owner(node: ast.Call) -> str:
    function = node.func
    return function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_module_of_serving_reads_a_format_that_carries_code() -> None:
    files = modules(*SERVING)
    assert len(files) > 150
    assert [found for path in files for found in carriers(path)] == []


def test_serving_imports_nothing_of_ours_that_was_not_looked_at() -> None:
    for path in modules(*SERVING):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else ([node.module] if isinstance(node, ast.ImportFrom) and node.module else [])
            )
            for name in names:
                package = name.partition(".")[0]
                if package.startswith("stripwatch"):
                    assert any(folder.endswith(f"/{package}") for folder in SERVING), f"{path}: {name}"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads as harmless",
        "import joblib.numpy_pickle",
        "from torch import load",
        "import importlib; importlib.import_module('dill')",
        "__import__('marshal')",
        "eval('1')",
        "exec(open('x').read())",
        "import os; os.system('x')",
        "import asyncio; asyncio.create_subprocess_shell('x')",
        "import subprocess; subprocess.run('x', shell=True)",
        "import subprocess; subprocess.run('x', shell=wish)",
        "import numpy as np; np.load('x', allow_pickle=True)",
        "import yaml; yaml.load(text)",
        "import yaml; yaml.load(text, Loader=yaml.Loader)",
        "import yaml; yaml.full_load(text)",
    ],
)
def test_the_walk_finds_what_it_looks_for(tmp_path: Path, code: str) -> None:
    (tmp_path / "module.py").write_text(code)
    assert list(carriers(tmp_path / "module.py"))


def test_the_loader_of_recipes_takes_no_more_than_the_safe_one() -> None:
    assert issubclass(_PlainLoader, yaml.SafeLoader)
    assert set(_PlainLoader.yaml_constructors) <= set(yaml.SafeLoader.yaml_constructors)
    assert not _PlainLoader.yaml_multi_constructors


def test_numpy_itself_takes_no_pickle_unless_told_to() -> None:
    assert inspect.signature(np.load).parameters["allow_pickle"].default is False


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!anything x"])
def test_a_recipe_that_asks_for_an_object_is_refused(tag: str) -> None:
    with pytest.raises(RecipeInvalid):
        parse_recipe(f"name: {tag}")


def graph(weights: TensorProto | None = None, *nodes: onnx.NodeProto, domain: str = "") -> bytes:
    """A graph that adds `weights`, or runs the nodes, as a model's file."""
    row = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])
    made = helper.make_graph(
        list(nodes) or [helper.make_node("Add", ["x", "w"], ["y"])], "g", [row], [out], [weights] if weights else []
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=9).SerializeToString())


def elsewhere(location: str) -> TensorProto:
    """Four weights that lie in another file."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "0", "length": "16"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


LOCATIONS = ("weights.bin", "../../etc/passwd", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", "")


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_graph_with_weights_in_another_file_is_refused(location: str) -> None:
    with pytest.raises(ModelInvalid) as refused:
        onnxfile.check("steel/1", graph(elsewhere(location)))
    assert str(refused.value) == (
        f"model steel/1: expected all weights inside its graph, got 'w' in a file of its own: {location!r}"
    )


def test_weights_elsewhere_are_found_however_deep_they_lie() -> None:
    constant = helper.make_node("Constant", [], ["w"], value=elsewhere("weights.bin"))
    add = helper.make_node("Add", ["x", "w"], ["y"])
    inner = helper.make_graph([constant], "inner", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])])
    branch = helper.make_node("If", ["c"], ["w"], then_branch=inner, else_branch=inner)
    function = helper.make_function("ai.onnx", "F", ["x"], ["y"], [constant, add], [helper.make_opsetid("", 17)])
    sparse = onnx.SparseTensorProto(values=elsewhere("weights.bin"), dims=[4])
    with_function = onnx.ModelProto.FromString(graph(None, add))
    with_function.functions.append(function)
    with_sparse = onnx.ModelProto.FromString(graph(None, add))
    with_sparse.graph.sparse_initializer.append(sparse)
    for made in (
        graph(None, constant, add),
        graph(None, branch, add),
        with_function.SerializeToString(),
        with_sparse.SerializeToString(),
    ):
        with pytest.raises(ModelInvalid, match=r"got 'w' in a file of its own: 'weights\.bin'"):
            onnxfile.check("steel/1", made)


def test_a_second_graph_in_the_same_file_is_looked_at_too() -> None:
    """Protobuf merges what comes twice, so that a harmless graph can be laid over another."""
    with pytest.raises(ModelInvalid, match=r"weights\.bin"):
        onnxfile.check("steel/1", graph(elsewhere("weights.bin")) + graph(None, helper.make_node("Abs", ["x"], ["y"])))


@pytest.mark.parametrize("domain", ["mine", "com.microsoft", "ai.onnx.preview"])
def test_operators_that_are_not_those_of_onnx_are_refused(domain: str) -> None:
    node = helper.make_node("EPContext", ["x"], ["y"], domain=domain)
    with pytest.raises(ModelInvalid) as refused:
        onnxfile.check("steel/1", graph(None, node, domain=domain))
    assert str(refused.value) == f"model steel/1: expected operators of ONNX only, got 'EPContext' of {domain!r}"


@pytest.mark.parametrize(
    "data", [b"", b"not a graph", b"<?xml version='1.0'?><net name='m' version='11'/>", b"\x80\x04N.", b"PK\x03\x04"]
)
def test_another_format_is_refused_before_an_engine_guesses_it(data: bytes) -> None:
    with pytest.raises(ModelInvalid, match="model steel/1: expected an ONNX graph, got something"):
        onnxfile.check("steel/1", data)


def test_the_shipped_graphs_stand_alone() -> None:
    files = [path for name in ("model.onnx", "head.onnx") for path in (ROOT / "models").glob(f"*/*/{name}")]
    assert len(files) >= 6
    for path in files:
        onnxfile.check(str(path), path.read_bytes())


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/passwd"])
def test_a_model_that_names_a_file_is_refused_whatever_engine_would_have_opened_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: EngineName, location: str
) -> None:
    """OpenVINO took weights, which no hash covers, from any file under the working folder."""
    inside = tmp_path / "inside"
    inside.mkdir()
    for folder in (tmp_path, inside):
        (folder / "weights.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    monkeypatch.chdir(inside)
    path = write_model(tmp_path / "models")
    (path / GRAPH).write_bytes(graph(elsewhere(location)))
    manifest = json.loads((path / FILE).read_text())
    manifest["sha256"] = hashlib.sha256((path / GRAPH).read_bytes()).hexdigest()
    (path / FILE).write_text(json.dumps(manifest))
    with pytest.raises(ModelInvalid, match="model steel/1: expected all weights inside its graph"):
        load(ModelFolder(ModelRef("steel", "1"), path), builder(engine))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\ufeff{}", "NaN"])
def test_a_manifest_that_is_no_sound_json_is_refused(tmp_path: Path, text: str) -> None:
    path = write_model(tmp_path)
    (path / FILE).write_text(text)
    with pytest.raises(ModelInvalid, match=r"manifest\.json: "):
        read_manifest(path)


def tensor_loads(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in the trainer that reads what torch has written."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and (
            (_owner(node) == "torch" and _name(node) == "load") or _name(node) == "load_state_dict_from_url"
        ):
            yield f"{path.name}:{node.lineno}", node


def test_the_trainer_reads_checkpoints_as_tensors_only() -> None:
    calls = [one for path in modules(TRAINER) for one in tensor_loads(path)]
    assert len(calls) >= 3
    for place, node in calls:
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        assert _is(given.get("weights_only", ast.Constant(None)), True), place


def test_the_trainer_knows_pickle_by_the_name_of_its_error_alone() -> None:
    for path in modules(TRAINER):
        for found in carriers(path):
            if found.what.partition(".")[0] != "torch":
                line = path.read_text(encoding="utf-8").splitlines()[found.line - 1]
                assert line == "from pickle import UnpicklingError", found


class Hostile:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_a_checkpoint_that_holds_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    shipped = importlib.import_module("stripwatch_train.shipped")
    file, trace = tmp_path / "steel.pt", tmp_path / "trace"
    torch.save({"weight": Hostile(trace)}, file)
    with pytest.raises(ModelInvalid, match=r"steel\.pt: expected tensors and nothing else, got code"):
        shipped.kept(torch.nn.Linear(1, 1), file)
    assert not trace.exists()


def test_downloaded_weights_that_hold_code_are_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torch's hub fetches was unpickled as it came: eight digits of a hash stood before it, no more."""
    torch = pytest.importorskip("torch")
    mobilenet = importlib.import_module("stripwatch_train.mobilenet")
    file, trace = tmp_path / "weights.pth", tmp_path / "trace"
    torch.save({"features.0.weight": Hostile(trace)}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    named = file.rename(tmp_path / f"weights-{digest[:8]}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(mobilenet, "HUB", named.as_uri())
    with pytest.raises(ModelInvalid, match="expected tensors and nothing else"):
        mobilenet.pretrained(None)
    assert not trace.exists()


def test_weights_with_a_pickle_inside_are_refused_and_not_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    mobilenet = importlib.import_module("stripwatch_train.mobilenet")
    file, trace = tmp_path / "weights.npz", tmp_path / "trace"
    np.savez(file, **{"features.0.weight": np.array([Hostile(trace)], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        mobilenet.pretrained(file)
    assert not trace.exists()
