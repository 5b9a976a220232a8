"""All ports of one line, and the connection they share."""

from __future__ import annotations

from contextlib import suppress

from stripwatch.errors import StreamRefused
from stripwatch.stream.keys import FRAMES_GROUP, RESULTS_GROUP, Keys
from stripwatch.stream.redis.client import Client
from stripwatch.stream.redis.dead import RedisBeats, RedisDead
from stripwatch.stream.redis.events import RedisEvents, RedisVerdicts
from stripwatch.stream.redis.queue import RedisQueue
from stripwatch.stream.redis.runs import RedisRuns
from stripwatch.stream.redis.source import RedisSource
from stripwatch.stream.redis.tap import RedisTap
from stripwatch.stream.redis.tls import RedisTls
from stripwatch.stream.redis.work import RedisWork


class RedisLine:
    """Everything about one line."""

    def __init__(self, client: Client, line: str) -> None:
        keys = Keys(line)
        self.line = line
        self.frames = RedisQueue(client, keys, keys.frames, FRAMES_GROUP)
        self.results = RedisQueue(client, keys, keys.results, RESULTS_GROUP)
        self.source = RedisSource(client, keys)
        self.work = RedisWork(client, keys)
        self.runs = RedisRuns(client, keys)
        self.verdicts = RedisVerdicts(client, keys)
        self.alarms = RedisEvents(client, line, keys.alarms)
        self.tap = RedisTap(client, keys)
        self.dead = RedisDead(client, keys)
        self.beats = RedisBeats(client, keys)


class RedisStream:
    """A connection to Redis. Safe to share between threads."""

    def __init__(self, url: str, timeout_s: float = 5.0, tls: RedisTls | None = None) -> None:
        self._client = Client(url, timeout_s, tls or RedisTls())

    def line(self, name: str) -> RedisLine:
        line = RedisLine(self._client, name)
        self._client.now_ms(Keys(name).open)  # puts our functions on the server where they are missing
        for queue in (line.frames, line.results):
            with suppress(StreamRefused):  # a user who may not touch a queue needs no group of it; its readers make it
                queue.ensure()
        return line

    def ping(self) -> None:
        self._client.do("PING")

    def info(self, section: str) -> dict[str, object]:
        """INFO of the server (of one of a cluster's)."""
        return self._client.server_info(section, "sw")

    def setting(self, name: str) -> str:
        """One value of CONFIG GET, "" where the server does not tell."""
        answer: dict[str, str] = self._client.do("CONFIG GET", name)
        return answer.get(name, "")

    def close(self) -> None:
        self._client.close()
