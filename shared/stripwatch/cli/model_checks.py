"""Are the models whole, and do they give what their manifest promises?"""

from __future__ import annotations

import os
from pathlib import Path

from stripwatch.cli.findings import Finding, fail, ok, warn
from stripwatch.errors import SettingsInvalid, StripwatchError
from stripwatch.models.engines import builder
from stripwatch.models.load import LoadedModel, load
from stripwatch.models.signature import PublicKey, public_key
from stripwatch.models.store import ModelFolder, ModelStore
from stripwatch.runtime.places import model_folders


def store() -> ModelStore:
    """The folders that the services search: STRIPWATCH_MODELS, else the shipped ones and those built here."""
    named = os.environ.get("STRIPWATCH_MODELS", "")
    return ModelStore([Path(part) for part in named.split(os.pathsep) if part] or model_folders())


def key() -> PublicKey | None:
    """The key that the services ask signatures of: STRIPWATCH_MODEL_KEY."""
    named = os.environ.get("STRIPWATCH_MODEL_KEY")
    return public_key(Path(named)) if named else None


def check(folder: ModelFolder) -> LoadedModel:
    """Signature (if a key is set), hashes, graph, self-test; ModelInvalid or ModelNotReady where one fails."""
    try:
        build = builder("onnxruntime")
    except SettingsInvalid as error:
        raise StripwatchError("ONNX Runtime is not installed here: pip install stripwatch[demo]") from error
    return load(folder, build, key=key())


def what_holds() -> str:
    """What was checked of a model's files, in words."""
    return "signature, hashes" if key() else "hashes"


def model_findings() -> list[Finding]:
    models = store()
    folders = models.folders()
    if not folders:
        return [fail("models", f"none in {models}", "make train, or name their folder with STRIPWATCH_MODELS")]
    return [_model(folder) for folder in folders]


def _model(folder: ModelFolder) -> Finding:
    what = f"model {folder.ref}"
    try:
        model = check(folder)
    except StripwatchError as error:
        if "not installed" in str(error):
            return warn(what, str(error), "install it to have models checked here; the services need it anyway")
        return fail(what, str(error), f"take {folder.path} from where it came from again, or build it again")
    return ok(what, f"{what_holds()} and self-test hold on {model.spec.engine}")
