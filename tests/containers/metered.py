"""What the containers of a running stack say of themselves: their page of metrics."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from containers.stack import Stack

PORT = 9464


def page(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def totals(stack: Stack, service: str, metric: str) -> list[float]:
    """The sum over a metric's labels, of each container of the service."""
    found = []
    for address in stack.addresses(service, PORT):
        families = text_string_to_metric_families(page(address))
        found.append(sum(one.value for family in families for one in family.samples if one.name == metric))
    return found


def series(stack: Stack, service: str) -> int:
    """How many the container of a service shows that shows most."""
    pages = [page(address) for address in stack.addresses(service, PORT)]
    return max(sum(1 for line in text.splitlines() if line and not line.startswith("#")) for text in pages)
