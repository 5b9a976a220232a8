"""`stripwatch doctor`: what is wrong, and what to do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from stripwatch.cli.findings import Finding, Level, fail, ok
from stripwatch.cli.line_checks import line_findings, service_findings
from stripwatch.cli.model_checks import model_findings
from stripwatch.cli.recipe_checks import book
from stripwatch.cli.redis_checks import read_facts, redis_findings
from stripwatch.cli.show import console, emit, table, word
from stripwatch.cli.where import JsonOption, LineOption, RedisOption, here, line_name, redis_settings
from stripwatch.domain.names import printable
from stripwatch.errors import NotFound, StripwatchError
from stripwatch.rpc import health
from stripwatch.runtime.settings import TransportSettings, load
from stripwatch.stream import open_stream


def doctor(redis: RedisOption = None, line: LineOption = None, as_json: JsonOption = False) -> None:
    """What is wrong, and what to do; exits 1 if something is.

    Looks at Redis, the services, the models, the recipes and the line.
    """
    found = [*examine_stream(redis, line), *examine_services(), *model_findings(), *examine_recipes()]
    if as_json:
        emit([asdict(one) for one in found])
    else:
        show(found)
    if any(one.level is Level.FAIL for one in found):
        raise typer.Exit(1)


def examine_stream(redis: str | None, line: str | None) -> list[Finding]:
    try:
        stream = open_stream(redis_settings(redis))
    except NotFound:
        return [fail("Redis", "no pipeline runs in this folder", "`stripwatch up`, or name a Redis with --redis")]
    try:
        facts = read_facts(stream, line_name(line))
        found = redis_findings(facts)
        if not facts.functions:
            found += line_findings(stream.line(line_name(line)))
    except StripwatchError as error:
        return [fail("Redis", str(error), "is it running there, and does the address name user and password?")]
    else:
        return found
    finally:
        stream.close()


def examine_services() -> list[Finding]:
    state = here()
    if state is None:
        return []
    tls = load(TransportSettings).tls
    pems = tls.read() if tls else None
    return service_findings(state.services, lambda address: health.status(address, 2.0, pems=pems))


def examine_recipes() -> list[Finding]:
    """Every recipe that ships or is configured."""
    recipes, found = book(), []
    for name in recipes.names():
        try:
            found.append(ok(f"recipe {name}", f"version {recipes.find(name).version}"))
        except StripwatchError as error:
            found.append(
                fail(
                    f"recipe {name}", str(error), "mend the file; `stripwatch recipe check FILE` says when it is right"
                )
            )
    return found


def show(found: list[Finding]) -> None:
    out = console()
    out.print(table(("", "", ""), [(word(one.level.value), one.what, one.says) for one in found]))
    todo = [one for one in found if one.advice]
    out.print()
    for one in todo:
        out.print(printable(f"{one.what}: {one.advice}"))
    if not todo:
        out.print("all is well")
