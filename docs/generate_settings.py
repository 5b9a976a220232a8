"""Writes docs/settings.md from the settings classes; a test checks that the committed page is current."""

from __future__ import annotations

import importlib
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from stripwatch.models.fetch.settings import FetchSettings
from stripwatch.runtime.settings import PREFIX, ServiceSettings

SERVICES = ("ingest", "preprocess", "classifier", "anomaly", "aggregator")
PAGE = Path(__file__).parent / "settings.md"

HEAD = """# Settings

One name everywhere: the environment variable here is the key in the compose file and in the ConfigMap. A secret can
come from a file instead: `STRIPWATCH_REDIS_URL_FILE` names it. A value that is not allowed stops the service at its
start with the setting's name (exit code 2).

This page is made from the settings classes by `make docs`.
"""


def settings_class(service: str) -> type[ServiceSettings]:
    """The most derived settings class of a service."""
    module = importlib.import_module(f"stripwatch_{service}.settings")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ServiceSettings) and value.__module__ == module.__name__
    ]
    return own[-1]


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    classes: dict[str, type[BaseSettings]] = {service: settings_class(service) for service in SERVICES}
    classes["python -m stripwatch.models.fetch"] = FetchSettings
    for title, cls in classes.items():
        parts.append(f"## {title}\n\n| setting | default | meaning |\n|---|---|---|")
        for name, field in cls.model_fields.items():
            default = field.default
            if isinstance(default, SecretStr):
                default = default.get_secret_value()
            elif default is PydanticUndefined:
                default = "computed" if field.default_factory else "required"
            elif isinstance(default, tuple):
                default = ",".join(map(str, default))
            shown = f"`{default}`" if default not in ("", None) else ""
            parts.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
