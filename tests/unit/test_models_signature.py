"""With a key, only a model whose manifest is signed for it is loaded; the manifest's hashes hold the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from e2e_parts import until
from stripwatch.cli.main import app
from stripwatch.domain.model import ModelKind, ModelRef
from stripwatch.domain.recipe import Role
from stripwatch.errors import ModelInvalid, SettingsInvalid
from stripwatch.local.ports import free_ports
from stripwatch.models.batching import Batcher, Batching
from stripwatch.models.engines import builder
from stripwatch.models.load import GRAPH, HEAD, REFERENCE, load
from stripwatch.models.manifest import FILE as MANIFEST
from stripwatch.models.served import ServedModels
from stripwatch.models.signature import FILE as SIGNATURE
from stripwatch.models.signature import public_key
from stripwatch.models.store import ModelFolder, ModelStore
from stripwatch.rpc.client import RemoteScorer
from tiny_models import write_model

START_S = 60.0


class Keys:
    """A pair of keys as PEM files."""

    def __init__(self, folder: Path, name: str) -> None:
        key = Ed25519PrivateKey.generate()
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}-public.pem"
        self.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path, "ours")


def run(*arguments: object, **env: object) -> Any:
    given = {f"STRIPWATCH_{key}": str(value) for key, value in env.items()}
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "400", **given})


def signed(folder: Path, keys: Keys) -> Path:
    result = run("models", "sign", folder, "--key", keys.private)
    assert result.exit_code == 0, result.stderr
    return folder


def loaded(path: Path, keys: Keys) -> ModelRef:
    folder = ModelFolder(ModelRef(path.parent.name, path.name), path)
    return load(folder, builder("onnxruntime"), key=public_key(keys.public)).spec.ref


def test_a_signed_model_is_loaded(tmp_path: Path, keys: Keys) -> None:
    assert str(loaded(signed(write_model(tmp_path), keys), keys)) == "steel/1"
    assert str(loaded(signed(write_model(tmp_path, "texture", kind="anomaly", width=3), keys), keys)) == "texture/1"


def test_a_model_without_a_signature_is_refused(tmp_path: Path, keys: Keys) -> None:
    path = write_model(tmp_path)
    with pytest.raises(ModelInvalid) as refused:
        loaded(path, keys)
    assert str(refused.value) == (
        f"{path / SIGNATURE}: expected a signature of the manifest by STRIPWATCH_MODEL_KEY, got none"
    )


def test_a_signature_by_another_key_is_refused(tmp_path: Path, keys: Keys) -> None:
    path = signed(write_model(tmp_path), Keys(tmp_path, "theirs"))
    with pytest.raises(ModelInvalid, match=r"manifest\.sig: expected a signature of the manifest beside it"):
        loaded(path, keys)


def test_a_manifest_changed_by_one_blank_is_refused(tmp_path: Path, keys: Keys) -> None:
    path = signed(write_model(tmp_path), keys)
    with (path / MANIFEST).open("a") as file:
        file.write(" ")
    with pytest.raises(ModelInvalid, match="the manifest was changed"):
        loaded(path, keys)


@pytest.mark.parametrize("length", [0, 63, 65, 10_000])
def test_a_signature_of_another_length_is_refused(tmp_path: Path, keys: Keys, length: int) -> None:
    path = signed(write_model(tmp_path), keys)
    (path / SIGNATURE).write_bytes((path / SIGNATURE).read_bytes()[:length].ljust(length, b"\0"))
    with pytest.raises(ModelInvalid, match="another key made it, or the manifest was changed"):
        loaded(path, keys)


@pytest.mark.parametrize("name", [GRAPH, HEAD, REFERENCE])
def test_every_file_that_is_loaded_is_held_by_the_signature(tmp_path: Path, keys: Keys, name: str) -> None:
    path = signed(write_model(tmp_path, "texture", kind="anomaly", width=3), keys)
    assert {file.name for file in path.iterdir()} == {MANIFEST, SIGNATURE, GRAPH, HEAD, REFERENCE}
    with (path / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ModelInvalid, match=f"{name}: expected sha256"):
        loaded(path, keys)


def test_a_graph_changed_together_with_its_hash_is_refused(tmp_path: Path, keys: Keys) -> None:
    path = signed(write_model(tmp_path), keys)
    write_model(tmp_path, bias=40)  # over it, with a manifest that agrees
    with pytest.raises(ModelInvalid, match="the manifest was changed"):
        loaded(path, keys)


def test_the_signature_of_another_model_is_refused(tmp_path: Path, keys: Keys) -> None:
    one, two = signed(write_model(tmp_path, version="1"), keys), write_model(tmp_path, version="2", bias=40)
    shutil.copy(one / SIGNATURE, two)
    with pytest.raises(ModelInvalid, match="another key made it, or the manifest was changed"):
        loaded(two, keys)


def test_a_signed_model_under_another_name_is_refused(tmp_path: Path, keys: Keys) -> None:
    one = signed(write_model(tmp_path, version="1"), keys)
    two = Path(shutil.copytree(one, one.parent / "2"))
    with pytest.raises(ModelInvalid, match="expected steel/2 by its folders, got steel/1"):
        loaded(two, keys)


def test_a_model_that_is_signed_later_is_served_from_then_on(tmp_path: Path, keys: Keys) -> None:
    key = public_key(keys.public)
    served = ServedModels(
        ModelStore([tmp_path]),
        ModelKind.CLASSIFIER,
        (),
        lambda folder: load(folder, builder("onnxruntime"), key=key),
        lambda name, engines, _whole: Batcher(name, engines, Batching()),
    )
    signed(write_model(tmp_path, version="1"), keys)
    served.load()
    new = write_model(tmp_path, version="2")
    served.rescan()
    assert served.find("steel").spec.ref.version == "1"
    signed(new, keys)
    served.rescan()
    assert served.find("steel").spec.ref.version == "2"
    served.close(1.0)


def test_openssl_signs_and_makes_keys_too(tmp_path: Path) -> None:
    def openssl(*arguments: object) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    path, private, public = write_model(tmp_path), tmp_path / "private.pem", tmp_path / "public.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    openssl("pkeyutl", "-sign", "-rawin", "-inkey", private, "-in", path / MANIFEST, "-out", path / SIGNATURE)
    assert run("models", "check", MODELS=tmp_path, MODEL_KEY=public).exit_code == 0
    before = (path / SIGNATURE).read_bytes()
    assert run("models", "sign", path, "--key", private).exit_code == 0
    assert (path / SIGNATURE).read_bytes() == before


def test_check_says_whether_the_signature_holds(tmp_path: Path, keys: Keys) -> None:
    signed(write_model(tmp_path, version="1"), keys)
    write_model(tmp_path, version="2")
    (one, two) = json.loads(run("models", "check", "--json", MODELS=tmp_path, MODEL_KEY=keys.public).stdout)
    assert (one["signature"], one["error"]) == ("holds", "")
    assert "expected a signature" in two["error"]
    result = run("models", "check", MODELS=tmp_path, MODEL_KEY=keys.public)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[2].split()[:3] == ["steel/1", "ok", "holds"]
    assert "not asked for" in run("models", "check", MODELS=tmp_path, MODEL_KEY="").stdout


def test_a_model_whose_hashes_do_not_hold_is_not_signed(tmp_path: Path, keys: Keys) -> None:
    path = write_model(tmp_path)
    with (path / GRAPH).open("ab") as file:
        file.write(b" ")
    result = run("models", "sign", path, "--key", keys.private)
    assert result.exit_code == 2
    assert "expected sha256" in result.stderr
    assert not (path / SIGNATURE).exists()


def test_a_key_that_is_none_is_refused_by_name(tmp_path: Path, keys: Keys) -> None:
    other, text = tmp_path / "other.pem", tmp_path / "text.pem"
    curve = generate_private_key(SECP256R1())
    other.write_bytes(curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    text.write_text("no key")
    for path, got in (
        (other, "expected an Ed25519 public key in PEM, got a"),
        (text, "expected an Ed25519 public key in PEM, got something else"),
        (keys.private, "expected an Ed25519 public key in PEM, got something else"),
        (tmp_path / "none.pem", "cannot be read: No such file"),
    ):
        with pytest.raises(SettingsInvalid, match=f"STRIPWATCH_MODEL_KEY: .*{path.name}: {got}"):
            public_key(path)
    locked = tmp_path / "locked.pem"
    secret = BestAvailableEncryption(b"a passphrase")
    locked.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    other.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    model = write_model(tmp_path)
    for path in (keys.public, text, locked, other, tmp_path / "none.pem"):
        result = run("models", "sign", model, "--key", path)
        assert result.exit_code == 2
        assert str(path) in result.stderr
        assert result.stderr.count("\n") == 1


def service(models: Path, keys: Keys, port: int) -> subprocess.Popen[str]:
    given = {"MODELS": models, "MODEL_KEY": keys.public, "HEALTH_PORT": port, "ENGINE_WORKERS": 1}
    env = {**os.environ, **{f"STRIPWATCH_{name}": str(value) for name, value in given.items()}}
    return subprocess.Popen([sys.executable, "-m", "stripwatch_classifier"], env=env, stderr=subprocess.PIPE, text=True)


def test_a_service_with_a_key_ends_with_one_line_on_an_unsigned_model(tmp_path: Path, keys: Keys) -> None:
    path = write_model(tmp_path / "models")
    process = service(tmp_path / "models", keys, free_ports(1)[0])
    _, text = process.communicate(timeout=START_S)
    assert process.returncode == 2
    assert "Traceback" not in text
    assert not any("serving" in line for line in text.splitlines())
    assert text.splitlines()[-1] == (
        f"{path / SIGNATURE}: expected a signature of the manifest by STRIPWATCH_MODEL_KEY, got none"
    )


def test_a_service_with_a_key_serves_a_signed_model(tmp_path: Path, keys: Keys) -> None:
    signed(write_model(tmp_path / "models"), keys)
    port = free_ports(1)[0]
    process = service(tmp_path / "models", keys, port)
    client = RemoteScorer(Role.CLASSIFIER, f"127.0.0.1:{port}")
    try:
        until(lambda: process.poll() is not None or client.ready(1.0) is None, "the classifier", START_S)
        assert client.describe("steel", START_S).ref == ModelRef("steel", "1")
    finally:
        client.close()
        process.terminate()
        process.communicate(timeout=START_S)
