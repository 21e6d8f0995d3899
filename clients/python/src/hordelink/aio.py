"""The same for asyncio: each call returns once what it sent is durable, and keeps no thread waiting.

Nothing is bound to an event loop while nothing is under way: a channel may be used in one loop after the other, as
`asgiref.sync.async_to_sync` does.
"""

from __future__ import annotations

import asyncio
import os
import socket as sockets
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from . import _wire
from ._link import DEFAULT_SPECS_SOCKET, DEFAULT_TIMEOUT, Link
from .errors import Closed
from .types import Metadata, Status

__all__ = ["AsyncChannel", "AsyncSpecsChannel", "send_specs", "send_status"]


class _AsyncChannel:
    """Lets any number of tasks of one event loop use one Link.

    The loop calls back when the socket is ready, and only while somebody waits. asyncio's streams are not used: when a
    write fails they drop the answer that the service gave before it closed, and a full backlog is a connection to them.
    """

    def __init__(self, path: str, timeout: float | None) -> None:
        self._path = path
        self._timeout = timeout
        self._is_closed = False
        self._link = Link(path, closing=self._unwatch)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def close(self) -> None:
        """Close the connection. Calls that still wait raise `Closed`, and so do later ones."""
        self._is_closed = True
        self._link.close()
        self._arrange()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(self, message: Mapping[str, object], subject: str) -> None:
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise Closed(f"{subject}: the channel to {self._path} is closed; open another")
        if self._loop not in (None, loop):
            raise RuntimeError(
                f"{subject}: the channel to {self._path} is in use by another event loop; open one in each"
            )
        done: asyncio.Future[None] = loop.create_future()

        def on_done() -> None:
            if not done.done():
                done.set_result(None)

        request = self._link.request(message, subject, on_done)
        self._loop = loop
        self._link.submit(request)
        try:
            self._advance()
            async with asyncio.timeout(self._timeout) as limit:
                await done
        except TimeoutError:
            if not limit.expired():
                raise
            if not request.is_done:
                raise self._link.timed_out(request, self._timeout or 0.0) from self._link.last_loss
        finally:
            self._link.abandon(request)
            self._arrange()
        if request.error is not None:
            raise request.error

    def _advance(self) -> None:
        self._link.advance()
        self._arrange()

    def _arrange(self) -> None:
        """Have the loop call back for what is waited for now, and for nothing when nobody waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop, connection = self._loop, self._link.socket
        if loop is None:
            return
        if not self._link.waiting:
            if connection is not None:
                self._unwatch(connection)
            self._loop = None
        elif connection is None:
            self._timer = loop.call_later(self._link.pause() or 0.0, self._advance)
        else:
            loop.add_reader(connection, self._advance)
            if self._link.wants_write:
                loop.add_writer(connection, self._advance)
            else:
                loop.remove_writer(connection)

    def _unwatch(self, connection: sockets.socket) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(connection)
            self._loop.remove_writer(connection)


class AsyncChannel(_AsyncChannel):
    """A job's channel over one connection, for all tasks of an event loop.

    What one task sends is stored in the order in which it sends it. The connection is made when it is needed and made
    anew when it is lost; what was not answered goes again. A call that is cancelled leaves it unknown whether its
    status is stored, as one whose time is up does.
    """

    def __init__(
        self,
        uuid: str | None = None,
        socket: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        """Nothing is connected yet; the parameters are those of `hordelink.Channel`."""
        self.uuid = _wire.configured(uuid, "HORDELINK_JOB_UUID", "uuid")
        super().__init__(_wire.configured(socket, "HORDELINK_SOCKET", "socket"), timeout)

    async def send_status(self, status: Status, metadata: Metadata | None = None) -> None:
        """Report a status; returns once it is durable. Raises as `hordelink.send_status` does."""
        message = _wire.status_update(self.uuid, status, metadata)
        await self._send(message, f"status {status} of job {self.uuid}")


class AsyncSpecsChannel(_AsyncChannel):
    """The channel of machine specs over one connection, for all tasks of an event loop."""

    def __init__(
        self, socket: str | os.PathLike[str] = DEFAULT_SPECS_SOCKET, *, timeout: float | None = DEFAULT_TIMEOUT
    ) -> None:
        """Nothing is connected yet; the parameters are those of `hordelink.SpecsChannel`."""
        super().__init__(os.fspath(socket), timeout)

    async def send_specs(self, specs: Mapping[str, Any], *, miner_hotkey: str, batch_id: str) -> None:
        """Hand over a miner's machine specs; returns once they are durable."""
        message = _wire.machine_specs(specs, miner_hotkey, batch_id)
        await self._send(message, f"machine specs of miner {miner_hotkey}")


async def send_message(message: Mapping[str, object], subject: str, path: str, timeout: float | None) -> None:
    """Send a message as it is, over a connection of its own; returns once it is durable. Not for users."""
    async with _AsyncChannel(path, timeout) as channel:
        await channel._send(message, subject)


async def send_status(
    status: Status,
    metadata: Metadata | None = None,
    *,
    uuid: str | None = None,
    socket: str | os.PathLike[str] | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> None:
    """Report a job's status; returns once it is durable. The twin of `hordelink.send_status`."""
    async with AsyncChannel(uuid, socket, timeout=timeout) as channel:
        await channel.send_status(status, metadata)


async def send_specs(
    specs: Mapping[str, Any],
    *,
    miner_hotkey: str,
    batch_id: str,
    socket: str | os.PathLike[str] = DEFAULT_SPECS_SOCKET,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> None:
    """Hand over a miner's machine specs; returns once they are durable. The twin of `hordelink.send_specs`."""
    async with AsyncSpecsChannel(socket, timeout=timeout) as channel:
        await channel.send_specs(specs, miner_hotkey=miner_hotkey, batch_id=batch_id)
