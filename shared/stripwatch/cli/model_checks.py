"""Are the models whole, and do they give what their manifest promises?"""

from __future__ import annotations

import os
from pathlib import Path

from stripwatch.cli.findings import Finding, fail, ok, warn
from stripwatch.errors import SettingsInvalid, StripwatchError
from stripwatch.models.engines import builder
from stripwatch.models.load import Build, LoadedModel, load
from stripwatch.models.settings import ModelServiceSettings
from stripwatch.models.signature import PublicKey, public_key
from stripwatch.models.store import ModelFolder, ModelStore
from stripwatch.runtime.places import model_folders
from stripwatch.runtime.settings import load as load_settings

_ENGINE_ADVICE = "`stripwatch models measure --write` chooses one that runs here; STRIPWATCH_ENGINE names one"


def store() -> ModelStore:
    """The folders that the services search: STRIPWATCH_MODELS, else the shipped ones and those built here."""
    named = os.environ.get("STRIPWATCH_MODELS", "")
    return ModelStore([Path(part) for part in named.split(os.pathsep) if part] or model_folders())


def key() -> PublicKey | None:
    """The key that the services ask signatures of: STRIPWATCH_MODEL_KEY."""
    named = os.environ.get("STRIPWATCH_MODEL_KEY")
    return public_key(Path(named)) if named else None


def engine() -> Build:
    """What the services here would run models on: as set, as measured, or ONNX Runtime; SettingsInvalid."""
    given = load_settings(ModelServiceSettings, models=())  # where they lie is not the question
    return builder(given.engine, given.engine_threads, given.remote)


def check(folder: ModelFolder) -> LoadedModel:
    """Signature (if a key is set), hashes, graph, self-test; ModelInvalid or ModelNotReady where one fails."""
    return load(folder, engine(), key=key())


def what_holds() -> str:
    """What was checked of a model's files, in words."""
    return "signature, hashes" if key() else "hashes"


def model_findings() -> list[Finding]:
    models = store()
    folders = models.folders()
    if not folders:
        return [fail("models", f"none in {models}", "make train, or name their folder with STRIPWATCH_MODELS")]
    try:
        engine()
    except SettingsInvalid as error:
        here = "not installed" in str(error)
        advice = "install it to have models checked here; the services need it anyway"
        return [(warn if here else fail)("engine", str(error), advice if here else _ENGINE_ADVICE)]
    return [_model(folder) for folder in folders]


def _model(folder: ModelFolder) -> Finding:
    what = f"model {folder.ref}"
    try:
        model = check(folder)
    except StripwatchError as error:
        return fail(what, str(error), f"take {folder.path} from where it came from again, or build it again")
    return ok(what, f"{what_holds()} and self-test hold on {model.spec.engine}")
