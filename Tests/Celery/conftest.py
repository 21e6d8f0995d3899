from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis_server
import stage
from redis_server import RedisServer

REASON = stage.missing() or redis_server.missing()


@pytest.fixture(autouse=True)
def _everything_is_there() -> None:
    if REASON:
        pytest.skip(REASON)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def kept_redis() -> Iterator[RedisServer]:
    """Yield one that loses nothing that it has answered."""
    with RedisServer(kept=True) as server:
        yield server


@pytest.fixture(params=["core", "pubsub"])
def layer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
