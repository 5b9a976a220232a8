"""`stripwatch models`: which there are, whether they are whole, which engine suits them, building them here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stripwatch.cli import measure
from stripwatch.cli.model_checks import check as check_model
from stripwatch.cli.model_checks import key, store
from stripwatch.cli.show import console, emit, table, word
from stripwatch.cli.where import JsonOption
from stripwatch.domain.names import printable
from stripwatch.errors import NotFound, StripwatchError
from stripwatch.models import signature
from stripwatch.models.load import check_files
from stripwatch.models.manifest import FILE, Manifest, manifest_bytes, read_manifest
from stripwatch.models.store import ModelFolder

app = typer.Typer(help="List, show, check, measure and build models.", no_args_is_help=True)

app.command("measure")(measure.command)

_NO_TRAINER = "the trainer is not installed here: pip install '.[train]'"

Model = Annotated[str, typer.Argument(metavar="NAME[/VERSION]", help="The newest version unless one is named")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """All versions of all models that the services would find."""
    found = [facts(folder) for folder in store().folders()]
    if as_json:
        emit(found)
    elif not found:
        console().print(printable(f"no models in {store()}"))
    else:
        rows = [(one["model"], one["kind"], one["input"], ", ".join(one["classes"]) or "-") for one in found]
        console().print(table(("model", "kind", "input", "classes"), rows))


@app.command()
def show(model: Model, as_json: JsonOption = False) -> None:
    """One model: what it takes, what it gives, where it came from."""
    folder = store().find(model)
    if as_json:
        emit({**facts(folder), "manifest": json.loads((folder.path / FILE).read_text(encoding="utf-8"))})
        return
    manifest = read_manifest(folder.path)
    rows = [(key, ", ".join(value) if isinstance(value, list) else str(value)) for key, value in facts(folder).items()]
    rows += [(key, _plain(value)) for key, value in manifest.provenance.items()]
    console().print(table((str(folder.ref), "value"), rows))


@app.command()
def check(
    model: Annotated[str | None, typer.Argument(metavar="[NAME[/VERSION]]")] = None, as_json: JsonOption = False
) -> None:
    """Hashes, graph and self-test of one model, or of all; exits 1 if one fails.

    Where STRIPWATCH_MODEL_KEY names a public key, the signature too.
    """
    folders = [store().find(model)] if model else store().folders()
    if not folders:
        raise NotFound(f"no models in {store()}")
    found = [_checked(folder) for folder in folders]
    if as_json:
        emit(found)
    else:
        rows = [
            (one["model"], word("fail" if one["error"] else "ok"), one["signature"], one["error"] or one["engine"])
            for one in found
        ]
        console().print(table(("model", "state", "signature", "engine or fault"), rows))
    if any(one["error"] for one in found):
        raise typer.Exit(1)


@app.command()
def sign(
    folder: Annotated[Path, typer.Argument(help="The model's NAME/VERSION folder")],
    key: Annotated[Path, typer.Option("--key", metavar="PEM", help="Ed25519 private key, without a passphrase")],
) -> None:
    """Signs a model whose files have the hashes of its manifest: writes manifest.sig beside it.

    A pair of keys: openssl genpkey -algorithm ed25519 -out private.pem; openssl pkey -in private.pem -pubout -out
    public.pem. Services that get public.pem as STRIPWATCH_MODEL_KEY serve nothing that is not signed for it.
    """
    folder, private = folder.resolve(), signature.private_key(key)
    check_files(folder, read_manifest(folder))
    written = signature.sign(folder, manifest_bytes(folder), private)
    console().print(printable(f"signed: {written}"))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def build(context: typer.Context) -> None:
    """Builds models on this machine (`python -m stripwatch_train`); what follows goes to the trainer."""
    if importlib.util.find_spec("stripwatch_train") is None or importlib.util.find_spec("torch") is None:
        if "--help" in context.args or "-h" in context.args:
            console().print(f"{build.__doc__}\n\n{_NO_TRAINER}", markup=False)
            return
        raise StripwatchError(_NO_TRAINER)
    command = [sys.executable, "-m", "stripwatch_train", *context.args]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own module


def facts(folder: ModelFolder) -> dict[str, Any]:
    """A model as plain values."""
    manifest: Manifest = read_manifest(folder.path)
    spec = manifest.input
    return {
        "model": str(manifest.ref),
        "kind": manifest.kind.value,
        "input": f"{spec.channels} x {spec.size} x {spec.size} {spec.dtype}",
        "classes": list(manifest.classes),
        "sha256": manifest.sha256,
        "path": str(folder.path),
    }


def _checked(folder: ModelFolder) -> dict[str, str]:
    signed = "holds" if key() else "not asked for"
    try:
        engine = check_model(folder).spec.engine
        return {"model": str(folder.ref), "engine": engine, "signature": signed, "error": ""}
    except StripwatchError as error:
        return {"model": str(folder.ref), "engine": "", "signature": "", "error": str(error)}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
