"""Writes the PrometheusRule of k8s/components/monitoring: the rules of deploy/monitoring in what the operator takes."""

from __future__ import annotations

import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy" / "monitoring" / "rules.yml"
PAGE = ROOT / "k8s" / "components" / "monitoring" / "rules.yaml"

HEAD = """# Made from deploy/monitoring/rules.yml by `make docs`: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: stripwatch
spec:
"""


def page() -> str:
    """The whole object; the rules as they are, two columns further in."""
    return HEAD + textwrap.indent(RULES.read_text(encoding="utf-8"), "  ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
