"""Is this a Redis that stripwatch can stand on?"""

from __future__ import annotations

from dataclasses import dataclass

from stripwatch.cli.findings import Finding, fail, ok, warn
from stripwatch.errors import StripwatchError
from stripwatch.stream import RedisStream

OLDEST = (7, 0)
_FULL_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What the checks need to know of a server. `appendfsync` is "" where the server does not tell."""

    version: str
    policy: str
    used: int
    limit: int
    aof: bool
    appendfsync: str
    functions: str
    """Why our functions are not taken; empty when they are."""


def read_facts(stream: RedisStream, line: str) -> RedisFacts:
    """Asks the server. StreamUnavailable if it does not answer."""
    server, memory, persistence = (stream.info(part) for part in ("server", "memory", "persistence"))
    return RedisFacts(
        version=str(server.get("redis_version", "0")),
        policy=str(memory.get("maxmemory_policy", "")),
        used=_whole(memory.get("used_memory")),
        limit=_whole(memory.get("maxmemory")),
        aof=_whole(persistence.get("aof_enabled")) == 1,
        appendfsync=_try_setting(stream, "appendfsync"),
        functions=_try_functions(stream, line),
    )


def redis_findings(facts: RedisFacts) -> list[Finding]:
    return [_version(facts), _functions(facts), _policy(facts), _memory(facts), _persistence(facts)]


def _version(facts: RedisFacts) -> Finding:
    numbers = tuple(int(part) for part in facts.version.split(".") if part.isdigit())
    if numbers[:2] >= OLDEST:
        return ok("Redis version", facts.version)
    return fail("Redis version", facts.version, "use Redis 7.0 or newer: server-side functions came with it")


def _functions(facts: RedisFacts) -> Finding:
    if not facts.functions:
        return ok("Redis functions", "loaded")
    return fail("Redis functions", facts.functions, "allow FUNCTION LOAD and FCALL to this user (ACL)")


def _policy(facts: RedisFacts) -> Finding:
    if facts.policy == "noeviction":
        return ok("eviction", facts.policy)
    return fail("eviction", facts.policy, "CONFIG SET maxmemory-policy noeviction: others drop frames silently")


def _memory(facts: RedisFacts) -> Finding:
    used = f"{facts.used / 2**20:.0f} MiB used"
    if not facts.limit:
        return warn(
            "memory", f"{used}, no limit", "set maxmemory: sources hold back at 60 % of it, not at the machine's end"
        )
    says = f"{used} of {facts.limit / 2**20:.0f} MiB"
    if facts.used < _FULL_SHARE * facts.limit:
        return ok("memory", says)
    return warn(
        "memory", says, "sources are holding back: add workers, or look at what waits (`stripwatch line status`)"
    )


def _persistence(facts: RedisFacts) -> Finding:
    if not facts.aof:
        return warn(
            "persistence", "none (append-only file is off)", "CONFIG SET appendonly yes, or open runs die with it"
        )
    if facts.appendfsync == "no":
        return warn("persistence", "appendfsync no", "CONFIG SET appendfsync everysec (or always, to lose nothing)")
    if facts.appendfsync == "everysec":
        return ok("persistence", "appendfsync everysec (a power cut may lose the last second)")
    return ok("persistence", f"appendfsync {facts.appendfsync or 'not told'}")


def _try_functions(stream: RedisStream, line: str) -> str:
    try:
        stream.line(line)
    except StripwatchError as error:
        return str(error)
    return ""


def _try_setting(stream: RedisStream, name: str) -> str:
    try:
        return stream.setting(name)
    except StripwatchError:  # CONFIG is often withheld
        return ""


def _whole(value: object) -> int:
    return int(str(value or 0))
