"""The redis package's cluster client, with an end to its patience."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class BoundedCluster(RedisCluster):
    """Tries a call once more where a node is gone, but never where it was silent for the whole timeout."""

    ERRORS_ALLOW_RETRY: Any = (RedisConnectionError, ClusterDownError)

    def pipelined(self, key: str, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Answers (errors among them) of commands that all concern the slot of `key`, in one round trip.

        The package's own pipeline would repeat each command of a silent node, one timeout after the other.
        """
        client: Any = self  # whose methods have no types
        node = client.get_node_from_key(key)
        pipe: Any = client.get_redis_connection(node).pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        try:
            answers = pipe.execute(raise_on_error=False)
        except (RedisConnectionError, RedisTimeoutError):
            client.nodes_manager.initialize(last_failed_node_name=node.name)
            raise
        return [
            client.execute_command(*command) if isinstance(answer, MovedError | AskError | TryAgainError) else answer
            for command, answer in zip(commands, answers, strict=True)
        ]
