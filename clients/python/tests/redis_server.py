"""A redis-server of Debian's, in a folder of its own, at a free port of the loopback interface."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def missing() -> str | None:
    """Why there is no server to test with."""
    return None if shutil.which("redis-server") else "redis-server is not installed: apt-get install redis-server"


class RedisServer:
    """Runs from the first; `kept` has everything that was answered on disk, whatever kills it."""

    HOST = "127.0.0.1"

    def __init__(self, *, kept: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hordelink-redis-"))
        with socket.socket() as free:
            free.bind((self.HOST, 0))
            self.port: int = free.getsockname()[1]
        keeping = ["--appendonly", "yes", "--appendfsync", "always"] if kept else ["--appendonly", "no"]
        self._command = ["redis-server", "--bind", self.HOST, "--port", str(self.port), "--dir", str(self.folder)]
        self._command += ["--save", "", "--daemonize", "no", *keeping]
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def url(self, database: int = 0) -> str:
        return f"redis://{self.HOST}:{self.port}/{database}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, again if need be, and wait until it has read what it kept."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        while "eady to accept connections" not in (line := self._process.stdout.readline()):
            assert line, "redis-server has not started"

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def pause(self) -> None:
        """Have it hang: connections are made and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self, database: int = 0) -> Redis:
        """Talk to it; a connection that is lost is an error and not tried again."""
        return Redis(
            self.HOST, self.port, database, decode_responses=True, socket_timeout=10, retry=Retry(NoBackoff(), 0)
        )

    def keys(self, database: int = 0) -> set[str]:
        with self.client(database) as client:
            return {str(key) for key in client.scan_iter()}
