"""The other end of a hordelink socket, as scripts say: for what the real service does rarely."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import msgpack


def framed(value: object) -> bytes:
    body = msgpack.packb(value)
    return struct.pack(">I", len(body)) + bytes(body)


class Connection:
    def __init__(self, stream: socket.socket, received: list[dict[str, Any]]) -> None:
        self.stream = stream
        self._received = received

    def read(self, count: int) -> bytes | None:
        """So many bytes, or None when the client has closed before."""
        data = bytearray()
        while len(data) < count:
            piece = self.stream.recv(min(count - len(data), 1 << 20))
            if not piece:
                return None
            data += piece
        return bytes(data)

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None when the client is gone."""
        head = self.read(4)
        if head is None:
            return None
        body = self.read(struct.unpack(">I", head)[0])
        if body is None:
            return None
        message: dict[str, Any] = msgpack.unpackb(body)
        self._received.append(message)
        return message

    def write(self, data: bytes) -> None:
        self.stream.sendall(data)

    def answer(self, message: Mapping[str, Any] | None, **answer: object) -> None:
        assert message is not None
        self.write(framed({"id": message["id"], **(answer or {"ok": True})}))

    def refuse(self, message: Mapping[str, Any] | None, code: str, text: str = "because") -> None:
        self.answer(message, ok=False, error={"code": code, "message": text})

    def acknowledge_all(self) -> None:
        while (message := self.receive()) is not None:
            self.answer(message)


Script = Callable[[Connection], object]


class ScriptedServer:
    """Serves one connection after the other, each by the next of its scripts, at the end of which it is closed.

    Nobody listens any more after the last. What fails in a script is raised when the server is left.
    """

    def __init__(self, path: str, scripts: Iterable[Script]) -> None:
        self.received: list[dict[str, Any]] = []
        self.connections = 0
        self._scripts = list(scripts)
        self._failure: BaseException | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def statuses(self) -> list[str]:
        return [message["payload"]["status"] for message in self.received]

    def _serve(self) -> None:
        try:
            for script in self._scripts:
                stream, _ = self._listening.accept()
                self.connections += 1
                with stream:
                    script(Connection(stream, self.received))
        except ConnectionError:
            pass
        except BaseException as error:  # noqa: BLE001
            self._failure = error
        finally:
            self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            # Whatever it waits for will not come.
            self._listening.close()
        self._thread.join(30)
        if kind is None:
            if self._failure is not None:
                raise self._failure
            assert not self._thread.is_alive(), "a script has not come to its end"
