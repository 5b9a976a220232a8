"""Our classifier service beside other model servers."""

from __future__ import annotations

from typing import Any

from performance_results import Found, made, number, span, table


def serving(found: Found) -> str:
    models = found.get("models") or {found["model"]: found}
    return (
        "\n".join(_of_model(one) for one in models.values())
        + "\n![Tiles a second of each server, over the engine alone](figures/performance-serving.png)\n\n"
        + "Settings:\n\n"
        + "".join(f"- **{name}** {one['version']}: {one['settings']}.\n" for name, one in found["peers"].items())
        + "\n"
        + made(found)
    )


def _of_model(one: Found) -> str:
    clients = one["clients"]
    servers = {"stripwatch": one["service"], **one["peers"]}
    rows = [_row(name, server) for name, server in servers.items()]
    large = one["service_as_the_worker_asks"]
    rows.insert(1, _row(f"stripwatch, {large['tiles_a_request']} tiles a request, as our worker asks", large))
    head = [
        "server",
        "tiles/s",
        "over engine",
        "of each round",
        "one tile a request",
        "p50 ms",
        "p99 ms",
        "MiB at rest",
        "MiB under load",
        "CPU µs a tile: server",
        "client",
    ]
    return (
        f"**{one['model']}**, {one['engine']}, {one['workers']} workers, {one['cores']} cores; {clients['processes']} clients with"
        f" {clients['in_flight']} requests of {one['tiles_a_request']} tiles in flight each ({clients['in_flight_one_tile']} where a request is one tile)."
        f" The engine alone: **{number(one['engine_tiles_per_s'])} tiles/s**, {number(one['engine_us_a_tile'])} µs a tile;"
        f" {one['rounds']} rounds of {one['seconds']:g} s.\n\n" + table(head, rows)
    )


def _row(name: str, server: Found) -> list[Any]:
    if not server["rounds"]:
        return [name, f"no answer: {server.get('failed', 'unknown')}", *[""] * 9]
    single = server.get("one_tile_over_engine")
    rates = [one["tiles_per_s"] for one in server["rounds"]]
    return [
        name,
        server["tiles_per_s"],
        f"**{server['over_engine']:.3f}**",
        span(rates),
        f"{single:.3f}" if single is not None else "",
        server["p50_ms"],
        server["p99_ms"],
        server["rest_mib"],
        server["load_mib"],
        server["server_us_a_tile"],
        server["client_us_a_tile"],
    ]
