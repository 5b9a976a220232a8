"""Settings: every variable of every service, with any value that an environment can hold."""

from __future__ import annotations

import os
from random import Random

from fuzz.target import Target, told
from stripwatch.errors import BadInput
from stripwatch.runtime.settings import PREFIX, ServiceSettings, load
from stripwatch.stream.redis import address
from stripwatch_aggregator.settings import AggregatorSettings
from stripwatch_anomaly.settings import AnomalySettings
from stripwatch_classifier.settings import ClassifierSettings
from stripwatch_ingest.settings import IngestSettings
from stripwatch_preprocess.settings import PreprocessSettings

SERVICES: tuple[type[ServiceSettings], ...] = (
    AggregatorSettings,
    AnomalySettings,
    ClassifierSettings,
    IngestSettings,
    PreprocessSettings,
)
_ODD = (
    b"-1",
    b"0",
    b"1e999",
    b"nan",
    b"inf",
    b"9" * 5_000,
    b"",
    b"null",
    b"[1]",
    b"{}",
    b"a,,b",
    b"line1,line1",
    b"\xff",
)


def one(data: bytes) -> None:
    """The first byte says which service, each line after it is a variable's number and value."""
    if not data:
        return
    service = SERVICES[data[0] % len(SERVICES)]
    fields = sorted(service.model_fields)
    given = {}
    for line in data[1:].replace(b"\0", b"").split(b"\n")[:8]:
        if line:
            given[f"{PREFIX}{fields[line[0] % len(fields)].upper()}".encode()] = line[1:]
    os.environb.update(given)
    try:
        settings = load(service)
        str(settings)
        if url := getattr(settings, "redis_url", None):
            address.parse(url.get_secret_value())
    except BadInput as error:
        told(error)
    finally:
        for name in given:
            del os.environb[name]


def seeds() -> list[bytes]:
    values = {
        "redis_url": (b"redis://u:p@127.0.0.1:6379/0", b"redis-sentinel://127.0.0.1:1,127.0.0.1:2/main/1"),
        "lines": (b"line1,line2",),
        "log_level": (b"DEBUG",),
        "health_host": (b"::1", b"0.0.0.0"),
        "models": (b"/a:/b",),
        "serve": (b"steel/1,texture",),
    }
    made = []
    for number, service in enumerate(SERVICES):
        for place, name in enumerate(sorted(service.model_fields)):
            made += [bytes([number, place]) + value for value in values.get(name, (b"1",))]
    return made


def shape(data: bytes, random: Random) -> bytes:
    """One more variable of an odd value."""
    return data + b"\n" + random.randbytes(1) + random.choice(_ODD) if random.random() < 0.2 else data


TARGET = Target("settings", one, seeds, shape, largest=1_000)
