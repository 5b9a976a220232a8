"""How long services take to be ready, and what they hold in memory."""

from __future__ import annotations

from performance_results import Found, made, table


def startup(found: Found) -> str:
    starts = [[name, one["median_s"], one["worst_s"]] for name, one in found["start"].items()]
    engines = list(found["at_rest"])
    return (
        table(["service", "ready after, s: median", "worst"], starts)
        + "\nMemory at rest, MiB: RSS counts a page that several processes share for each of them, PSS once in equal parts.\n\n"
        + _memory({engine: found["at_rest"][engine] for engine in engines})
        + "\nThe demo at its most, all processes of one moment:\n\n"
        + _memory({engine: {**one["by_process"], "all": one["most"]} for engine, one in found["demo"].items()})
        + "\n"
        + made(found)
    )


def _memory(by_engine: dict[str, Found]) -> str:
    names = list(dict.fromkeys(name for processes in by_engine.values() for name in processes))
    rows = []
    for name in sorted(names, key=lambda one: one == "all"):
        cells = [by_engine[engine].get(name) for engine in by_engine]
        rows.append([name, *(one[kind] if one else "" for one in cells for kind in ("rss_mib", "pss_mib"))])
    head = [f"{engine}: {kind}" for engine in by_engine for kind in ("RSS", "PSS")]
    return table(["process", *head], rows)
