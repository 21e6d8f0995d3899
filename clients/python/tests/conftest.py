from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from django.conf import settings
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
def redis() -> Iterator[tuple[str, int]]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    server = subprocess.Popen(
        [program, "--bind", host, "--port", str(port), "--save", "", "--daemonize", "no"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        while "eady to accept connections" not in (line := server.stdout.readline()):
            assert line, "redis-server has not started"
        yield host, port
    finally:
        server.terminate()
        server.wait(30)
        assert server.stdout is not None
        server.stdout.close()
