"""The step that fetches models, as a process: from a real HTTP server, and from a registry by its real paths."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from model_host import PLAIN, TAR, Host, basic, hosting, sha256, tarred
from stripwatch.errors import SettingsInvalid
from stripwatch.models import signature
from stripwatch.models.engines import builder
from stripwatch.models.fetch.settings import FetchSettings
from stripwatch.models.load import load
from stripwatch.models.store import ModelStore
from stripwatch.runtime import settings
from tiny_models import write_model

LONG_S = 60.0
Ended = subprocess.CompletedProcess[str]
Fetch = Callable[..., Ended]


@pytest.fixture
def host() -> Iterator[Host]:
    with hosting() as running:
        yield running


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two models as somebody made them: steel/1 and texture/1, with a head."""
    write_model(tmp_path / "made", width=3)
    write_model(tmp_path / "made", "texture", kind="anomaly", width=3)
    return tmp_path / "made"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def fetch(shelf: Path) -> Fetch:
    def run(*addresses: str, **given: object) -> Ended:
        return subprocess.run(_command(*addresses), env=_env(shelf, given), capture_output=True, text=True, check=False)

    return run


def _command(*addresses: str) -> list[str]:
    return [sys.executable, "-m", "stripwatch.models.fetch", *addresses]


def _env(shelf: Path, given: dict[str, object]) -> dict[str, str]:
    own = {"MODELS": shelf, "FETCH_SECONDS": LONG_S, **given}
    return {**os.environ, **{f"STRIPWATCH_{key}": str(value) for key, value in own.items()}}


def _put(host: Host, data: bytes, path: str = "/models.tar.gz") -> str:
    host.files[path] = data
    return f"{host.url}{path}#sha256={sha256(data)}"


def _folder(host: Host, model: Path) -> str:
    for file in model.iterdir():
        host.files[f"/plant/{model.parent.name}/{file.name}"] = file.read_bytes()
    return f"{host.url}/plant/{model.parent.name}#sha256={sha256((model / 'manifest.json').read_bytes())}"


def _loadable(shelf: Path) -> list[str]:
    store = ModelStore([shelf])
    return [str(load(folder, builder("onnxruntime")).spec.ref) for folder in store.folders()]


def _nothing(shelf: Path) -> bool:
    """No model, whole or in part, and nothing left of the work."""
    left = [path.name for path in shelf.iterdir()] if shelf.exists() else []
    return set(left) <= {".fetch.lock"}


@pytest.mark.parametrize("compression", ["", "gz", "xz"])
def test_a_tar_is_fetched_checked_and_can_be_served(
    host: Host, made: Path, shelf: Path, fetch: Fetch, compression: str
) -> None:
    path = f"/models.tar{'.' if compression else ''}{compression}"
    ended = fetch(_put(host, tarred(made, compression), path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{host.url}{path}: fetched: steel/1, texture/1\n"
    assert _loadable(shelf) == ["steel/1", "texture/1"]
    assert {path.name for path in shelf.iterdir()} == {"steel", "texture", ".fetch.lock", ".fetched"}


def test_folders_are_fetched_by_their_manifests(host: Host, made: Path, shelf: Path, fetch: Fetch) -> None:
    addresses = [_folder(host, made / name / "1") for name in ("steel", "texture")]
    ended = fetch(MODELS_FROM=" ".join(addresses))
    assert ended.returncode == 0, ended.stderr
    assert _loadable(shelf) == ["steel/1", "texture/1"]


def test_an_artefact_is_fetched_by_layers_that_are_tars_or_files(
    host: Host, made: Path, shelf: Path, fetch: Fetch
) -> None:
    files = [(PLAIN, f"texture/1/{file.name}", file.read_bytes()) for file in (made / "texture" / "1").iterdir()]
    shutil.rmtree(made / "texture")
    layers = [(TAR, "", tarred(made)), *files, (PLAIN, "README.md", b"what this is")]
    ended = fetch(host.artefact("plant/models", layers))
    assert ended.returncode == 0, ended.stderr
    assert _loadable(shelf) == ["steel/1", "texture/1"]


def test_what_is_there_is_not_fetched_again(host: Host, made: Path, shelf: Path, fetch: Fetch) -> None:
    address = _put(host, tarred(made))
    assert fetch(address).returncode == 0
    host.asked.clear()
    ended = fetch(address)
    assert ended.returncode == 0
    assert ended.stdout == f"{host.url}/models.tar.gz: already there: steel/1, texture/1\n"
    assert host.asked == []


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "reference.npz"])
def test_what_is_there_and_damaged_is_fetched_again(
    host: Host, made: Path, shelf: Path, fetch: Fetch, name: str
) -> None:
    address = _put(host, tarred(made))
    assert fetch(address).returncode == 0
    (shelf / "steel" / "1" / name).write_bytes(b"x")
    ended = fetch(address)
    assert ended.returncode == 0, ended.stderr
    assert "fetched: steel/1, texture/1" in ended.stdout
    assert _loadable(shelf) == ["steel/1", "texture/1"]


def test_another_model_of_the_same_name_and_version_is_never_put_in_place_of_a_whole_one(
    host: Host, made: Path, shelf: Path, fetch: Fetch
) -> None:
    """Runs that are open may be pinned to the one that is there."""
    assert fetch(_folder(host, made / "steel" / "1")).returncode == 0
    before = (shelf / "steel" / "1" / "model.onnx").read_bytes()
    write_model(made, width=3, bias=20)
    ended = fetch(_put(host, tarred(made)))
    assert ended.returncode == 1
    assert "another model of this name and version is here" in ended.stderr
    assert (shelf / "steel" / "1" / "model.onnx").read_bytes() == before
    assert _loadable(shelf) == ["steel/1"]


def test_other_bytes_than_the_address_names_are_refused(host: Host, made: Path, shelf: Path, fetch: Fetch) -> None:
    tar, folder = _put(host, tarred(made)), _folder(host, made / "steel" / "1")
    artefact = host.artefact("plant/models", [(TAR, "", tarred(made))])
    for path in list(host.files):
        host.files[path] = host.files[path][:-1] + b"?"
    for address in (tar, folder, artefact):
        ended = fetch(address)
        assert ended.returncode == 2
        assert "expected sha256 " in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert _nothing(shelf)


@pytest.mark.parametrize("name", ["model.onnx", "head.onnx", "reference.npz"])
def test_a_file_that_is_not_the_manifests_is_refused_and_nothing_is_left(
    host: Host, made: Path, shelf: Path, fetch: Fetch, name: str
) -> None:
    model = made / "texture" / "1"
    (model / name).write_bytes(b"other")
    for address in (_put(host, tarred(made)), _folder(host, model)):
        ended = fetch(address)
        assert ended.returncode == 2
        assert f"texture/1/{name}: expected sha256 " in ended.stderr
        assert _nothing(shelf)


def test_a_blob_that_is_another_is_refused(host: Host, made: Path, shelf: Path, fetch: Fetch) -> None:
    address = host.artefact("plant/models", [(TAR, "", tarred(made))])
    (blob,) = [path for path in host.files if "/blobs/" in path]
    host.files[blob] = host.files[blob][:-1] + b"?"
    ended = fetch(address)
    assert ended.returncode == 2
    assert "expected sha256:" in ended.stderr
    assert _nothing(shelf)


def _member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"x", target: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, target, len(data) if kind == tarfile.REGTYPE else 0
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize(
    ("tar", "words"),
    [
        (_member("../../steel/1/model.onnx"), "expected paths inside, got '../../steel/1/model.onnx'"),
        (_member("/etc/steel/1/model.onnx"), "expected paths inside, got '/etc/steel/1/model.onnx'"),
        (_member("a\\..\\steel/1/model.onnx"), "expected paths inside"),
        (_member("steel/1/model.onnx", tarfile.SYMTYPE, target="/etc/passwd"), "got a link or device"),
        (_member("steel/1/model.onnx", tarfile.LNKTYPE, target="../../x"), "got a link or device"),
        (_member("steel/1", tarfile.SYMTYPE, target="/etc"), "got a link or device"),
        (_member("steel/1/model.onnx", tarfile.FIFOTYPE), "got a link or device"),
        (_member("steel/1/model.onnx", tarfile.CHRTYPE), "got a link or device"),
        (_member("steel/1/model.onnx"), "steel/1/manifest.json: cannot be read: No such file"),
        (_member("README.md"), "expected a model: files NAME/VERSION/manifest.json"),
        (_member("steel/.hidden/model.onnx"), "expected a model: files NAME/VERSION/manifest.json"),
        (_member("steel/1/model.onnx")[:1024] + _member("steel/1/model.onnx"), "is in it twice: steel/1/model.onnx"),
        (gzip.compress(_member("steel/1/model.onnx", data=bytes(20 << 20))), "of 1000000 bytes together, got more"),
        (gzip.compress(_member("steel/1/model.onnx"))[:-20], "expected a tar, got a damaged one"),
        (b"not a tar", "expected a tar, got a damaged one or another kind of file"),
    ],
    ids=lambda given: given if isinstance(given, str) else "tar",  # compressed bytes hold the time that they were made
)
def test_a_tar_that_leads_out_lies_or_is_none_leaves_nothing(
    host: Host, shelf: Path, fetch: Fetch, tar: bytes, words: str
) -> None:
    ended = fetch(_put(host, tar, "/models.tar"), FETCH_BYTES=1_000_000)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert _nothing(shelf)


def test_more_bytes_than_allowed_are_not_read(host: Host, made: Path, shelf: Path, fetch: Fetch) -> None:
    artefact = host.artefact("plant/models", [(TAR, "", tarred(made))])
    for address in (_put(host, tarred(made)), _folder(host, made / "steel" / "1"), artefact):
        ended = fetch(address, FETCH_BYTES=500)
        assert ended.returncode == 2
        assert "expected at most " in ended.stderr
        assert _nothing(shelf)


def test_a_server_that_stumbles_is_asked_again(host: Host, made: Path, shelf: Path, fetch: Fetch) -> None:
    host.faults, host.short = [503, 429, 500], 2
    ended = fetch(_put(host, tarred(made)))
    assert ended.returncode == 0, ended.stderr
    assert len(host.asked) == 6
    assert _loadable(shelf) == ["steel/1", "texture/1"]


def test_a_server_that_stays_away_is_named_once_the_time_is_over(shelf: Path, fetch: Fetch) -> None:
    ended = fetch(f"http://127.0.0.1:1/models.tar#sha256={'0' * 64}", FETCH_SECONDS=1)
    assert ended.returncode == 1
    assert "http://127.0.0.1:1/models.tar: [Errno 111] Connection refused" in ended.stderr.splitlines()[-1]
    assert _nothing(shelf)


def test_what_is_not_there_is_not_asked_for_again(host: Host, shelf: Path, fetch: Fetch) -> None:
    ended = fetch(f"{host.url}/models.tar#sha256={'0' * 64}")
    assert ended.returncode == 2
    assert f"{host.url}/models.tar: HTTP 404" in ended.stderr
    assert len(host.asked) == 1


def test_a_token_goes_to_the_server_and_not_on_to_where_it_redirects(
    host: Host, made: Path, tmp_path: Path, shelf: Path, fetch: Fetch
) -> None:
    (tmp_path / "token").write_text("s3cret-t0ken\n")
    address = _put(host, tarred(made))
    host.wants, host.challenge = "Bearer s3cret-t0ken", "Bearer"
    refused = fetch(address)
    assert refused.returncode == 1
    assert "HTTP 401" in refused.stderr
    with hosting() as store:
        store.files["/signed"] = host.files.pop("/models.tar.gz")
        host.redirects["/models.tar.gz"] = f"{store.url}/signed?signature=abc"
        ended = fetch(address, FETCH_TOKEN_FILE=tmp_path / "token")
        assert ended.returncode == 0, ended.stderr
        assert store.asked == [("/signed?signature=abc", "")]
    assert "s3cret" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(("token", "shown"), [("", ""), ("puller:pa:ss", basic("puller", "pa:ss"))])
def test_a_registry_gives_a_token_of_its_own_to_anybody_or_to_who_has_a_password(
    host: Host, made: Path, tmp_path: Path, shelf: Path, fetch: Fetch, token: str, shown: str
) -> None:
    (tmp_path / "token").write_text(token)
    address = host.artefact("plant/models", [(TAR, "", tarred(made))])
    host.wants, host.tokens = "Bearer short-lived", {shown: "short-lived"}
    host.challenge = f'Bearer realm="{host.url}/token",service="plant",scope="repository:plant/models:pull"'
    ended = fetch(address, FETCH_TOKEN_FILE=tmp_path / "token")
    assert ended.returncode == 0, ended.stderr
    paths = [path for path, _ in host.asked]
    assert sum(path.startswith("/token?") for path in paths) == 1
    assert "/token?service=plant&scope=repository%3Aplant%2Fmodels%3Apull" in paths
    assert _loadable(shelf) == ["steel/1", "texture/1"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("https://plant/models.tar", "expected #sha256= and 64 hexadecimal digits at the end"),
        ("oci://plant/models:1", "expected https://HOST/FILE.tar.gz#sha256="),
        ("ftp://plant/models.tar#sha256=" + "0" * 64, "expected https://HOST/FILE.tar.gz#sha256="),
        ("file:///models.tar#sha256=" + "0" * 64, "expected https://HOST/FILE.tar.gz#sha256="),
        ("/models.tar", "expected https://HOST/FILE.tar.gz#sha256="),
        ("https://me:s3cret@plant/models.tar#sha256=" + "0" * 64, "expected addresses without a user or password"),
        ("https://[plant/models.tar#sha256=" + "0" * 64, "expected https://HOST/FILE.tar.gz#sha256="),
    ],
)
def test_an_address_that_names_no_hash_or_no_place_is_refused(fetch: Fetch, address: str, words: str) -> None:
    ended = fetch(address)
    assert ended.returncode == 2
    assert f"STRIPWATCH_MODELS_FROM: {words}" in ended.stderr
    assert "s3cret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_token_is_not_sent_in_plain_text_beyond_this_machine() -> None:
    with pytest.raises(SettingsInvalid, match="STRIPWATCH_FETCH_TOKEN: expected only addresses with TLS") as refused:
        settings.load(
            FetchSettings,
            models=("models",),
            models_from=(f"http://plant/models.tar#sha256={'0' * 64}",),
            fetch_token="s3cret",  # noqa: S106 - no secret of anyone
        )
    assert "s3cret" not in str(refused.value)


def test_with_a_key_only_models_signed_for_it_are_taken(
    host: Host, made: Path, tmp_path: Path, shelf: Path, fetch: Fetch
) -> None:
    key, model = Ed25519PrivateKey.generate(), made / "steel" / "1"
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(pem)
    shutil.rmtree(made / "texture")
    for address in (_put(host, tarred(made)), _folder(host, model)):
        assert fetch(address, MODEL_KEY=tmp_path / "public.pem").returncode == 2
        assert _nothing(shelf)
    signature.sign(model, (model / "manifest.json").read_bytes(), key)
    for address in (_put(host, tarred(made)), _folder(host, model)):
        shutil.rmtree(shelf)
        ended = fetch(address, MODEL_KEY=tmp_path / "public.pem")
        assert ended.returncode == 0, ended.stderr
        assert _loadable(shelf) == ["steel/1"]


def test_a_folder_that_cannot_be_written_is_named(host: Host, made: Path, tmp_path: Path, fetch: Fetch) -> None:
    (tmp_path / "file").write_text("")
    ended = fetch(_put(host, tarred(made)), MODELS=tmp_path / "file")
    assert ended.returncode == 2
    assert f"STRIPWATCH_MODELS: {tmp_path / 'file'}: cannot be written" in ended.stderr


def test_several_that_fetch_at_once_into_one_folder_fetch_once(host: Host, made: Path, shelf: Path) -> None:
    address = _put(host, tarred(made))
    both = [
        subprocess.Popen(_command(address), env=_env(shelf, {}), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = sorted(one.communicate(timeout=LONG_S)[0].split(": ")[1] for one in both)
    assert [one.returncode for one in both] == [0, 0]
    assert said == ["already there", "fetched"]
    assert len(host.asked) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_stopped_in_the_middle_leaves_no_model_and_the_next_one_clears_up(
    host: Host, made: Path, shelf: Path, fetch: Fetch, number: signal.Signals
) -> None:
    address, under_way, go_on = _put(host, tarred(made)), threading.Event(), threading.Event()
    at_once = host.answer

    def held(path: str, headers: object) -> tuple[int, dict[str, str], bytes]:
        under_way.set()
        go_on.wait(LONG_S)
        return at_once(path, headers)  # type: ignore[arg-type]

    host.answer = held  # type: ignore[method-assign, assignment]
    process = subprocess.Popen(_command(address), env=_env(shelf, {}))
    assert under_way.wait(LONG_S)
    process.send_signal(number)
    assert process.wait(LONG_S) == (143 if number == signal.SIGTERM else -number)
    go_on.set()
    assert ModelStore([shelf]).folders() == []
    if number == signal.SIGTERM:
        assert _nothing(shelf)
    assert fetch(address).returncode == 0
    assert {path.name for path in shelf.iterdir()} == {"steel", "texture", ".fetch.lock", ".fetched"}
    assert _loadable(shelf) == ["steel/1", "texture/1"]


def test_https_is_believed_by_the_authorities_that_are_named(
    made: Path, tmp_path: Path, shelf: Path, fetch: Fetch
) -> None:
    ca, other = trustme.CA(), trustme.CA()
    for name, authority in (("ours.pem", ca), ("other.pem", other)):
        authority.cert_pem.write_to_path(tmp_path / name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with hosting(context) as host:
        address = _put(host, tarred(made))
        assert address.startswith("https://")
        refused = fetch(address, FETCH_CA=tmp_path / "other.pem")
        assert refused.returncode == 2
        assert "its certificate is of no authority in STRIPWATCH_FETCH_CA" in refused.stderr
        ended = fetch(address, FETCH_CA=tmp_path / "ours.pem")
        assert ended.returncode == 0, ended.stderr
    assert _loadable(shelf) == ["steel/1", "texture/1"]
    assert "expected PEM certificates" in fetch(address, FETCH_CA=tmp_path / "none.pem").stderr


def test_with_no_address_nothing_is_fetched_and_that_is_said(shelf: Path, fetch: Fetch) -> None:
    ended = fetch()
    assert ended.returncode == 0
    assert ended.stdout == "nothing to fetch: STRIPWATCH_MODELS_FROM names no address\n"
