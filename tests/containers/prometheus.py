"""The Prometheus of the compose file, asked at the port that it publishes."""

from __future__ import annotations

import json
import math
import urllib.parse
import urllib.request
from typing import Any

ADDRESS = "http://127.0.0.1:9090/api/v1"


def asked(path: str, **query: str) -> dict[str, Any]:
    place = f"{ADDRESS}/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(place, timeout=10) as answer:  # noqa: S310 - an address of ours
        return dict(json.load(answer)["data"])


def numbers(expr: str) -> list[float]:
    """What the expression is now, of each series; those that are 0 / 0 left out."""
    values = (float(one["value"][1]) for one in asked("query", query=expr)["result"])
    return [value for value in values if not math.isnan(value)]


def targets() -> dict[str, int]:
    """How many are scraped well, by job."""
    found: dict[str, int] = {}
    for one in asked("targets", state="active")["activeTargets"]:
        job = one["labels"]["job"]
        found[job] = found.get(job, 0) + (one["health"] == "up")
    return found


def rules() -> list[dict[str, Any]]:
    """All that are loaded: `name`, `health`, for alerts `state` and `labels`."""
    return [rule for group in asked("rules")["groups"] for rule in group["rules"]]


def paged() -> list[str]:
    """Alerts that wake somebody now."""
    return [one["name"] for one in rules() if one.get("state") == "firing" and one["labels"]["severity"] == "page"]
