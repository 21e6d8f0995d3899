from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
import redis_server
from django.conf import settings
from redis_server import RedisServer
from twins import Asynchronous, Blocking, Client

settings.configure()


@pytest.fixture
def socket_path() -> Iterator[str]:
    # pytest's own folders have names longer than a socket's path may be.
    with tempfile.TemporaryDirectory(prefix="hordelink-") as folder:
        yield f"{folder}/worker.sock"


@pytest.fixture(params=[Blocking, Asynchronous], ids=["blocking", "asyncio"])
def client(request: pytest.FixtureRequest) -> Client:
    made: Client = request.param()
    return made


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    if reason := redis_server.missing():
        pytest.skip(reason)
    with RedisServer() as server:
        yield server
