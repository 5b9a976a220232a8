"""The queries of a Grafana dashboard as Prometheus takes them, to run each on a real one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What Grafana fills in itself; windows that hold enough scrapes, and all lines.
_FILLED_IN = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h", "line": ".*"}
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def panel_queries(dashboard: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Title and expression of each query, top to bottom. KeyError for a variable that is not known here."""
    return [
        (panel["title"], _VARIABLE.sub(lambda found: _FILLED_IN[found[1]], target["expr"]))
        for panel in panels(dashboard)
        for target in panel.get("targets", ())
    ]


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All panels, those of folded rows included."""
    return [one for panel in dashboard["panels"] for one in (panel, *panel.get("panels", ()))]
