"""The page of metrics of a process, as Prometheus reads it."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

LONG_S = 60.0


def read(url: str, tls: ssl.SSLContext | None = None) -> str:
    """The page, as soon as there is one."""
    end = time.monotonic() + LONG_S
    while True:
        try:
            with urllib.request.urlopen(url, context=tls, timeout=LONG_S) as page:  # noqa: S310 - a URL of ours
                return str(page.read().decode())
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > end:
                raise
            time.sleep(0.05)


def scraped(port: int) -> list[Sample]:
    """Our own samples on the page of a process."""
    families = text_string_to_metric_families(read(f"http://127.0.0.1:{port}/metrics"))
    return [sample for family in families for sample in family.samples if sample.name.startswith("stripwatch_")]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    (found,) = (sample.value for sample in samples if (sample.name, sample.labels) == (f"stripwatch_{name}", labels))
    return float(found)


def total(samples: list[Sample], name: str, **labels: str) -> float:
    """The sum of all series with these labels among theirs; 0 of none."""
    return sum(
        sample.value
        for sample in samples
        if sample.name == f"stripwatch_{name}" and labels.items() <= sample.labels.items()
    )
