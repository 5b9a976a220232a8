"""Asks PyPI's advisories about every version in constraints.txt, by pip-audit. `make audit` calls it.

Exits 1 for a known hole, and for a package that the service does not know though it knows others. Exits 0 with a loud
word where nobody could be asked: no network is no fault of the code, and no audit either. pip-audit itself ends well
where every single package was skipped, so its exit code is not what counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

LONGEST_S = 600


def ask(pip_audit: str, constraints: str) -> tuple[dict[str, Any] | None, str]:
    """What pip-audit found, or None and why it found nothing out."""
    command = [pip_audit, "--requirement", constraints, "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--desc", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_S)  # noqa: S603
    except subprocess.TimeoutExpired:
        return None, f"no answer in {LONGEST_S} s"
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None, next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
    return found, ""


def judge(found: dict[str, Any] | None, why: str) -> tuple[int, list[str]]:
    """The exit code, and what to say."""
    packages = found["dependencies"] if found else []
    skipped = [one for one in packages if "skip_reason" in one]
    if len(skipped) == len(packages):
        why = why or (skipped[0]["skip_reason"] if skipped else "there was nothing to ask about")
        return 0, ["AUDIT SKIPPED: no advisory service could be asked, so nothing is known of any version.", why]
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in packages
        for hole in one.get("vulns", ())
    ]
    unknown = [f"{one['name']}: not known to the service, which knows others: is it the one meant?" for one in skipped]
    asked = f"audit: {len(packages) - len(skipped)} versions asked about, {len(holes)} known holes"
    return (1 if holes or unknown else 0), [*holes, *unknown, asked]


def main() -> int:
    code, lines = judge(*ask(*sys.argv[1:]))
    for line in lines:
        sys.stderr.write(f"{line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
