"""Reporting from threads: each call waits until what it sent is durable."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from . import _wire
from ._link import DEFAULT_SPECS_SOCKET, DEFAULT_TIMEOUT, Link, Request
from .errors import Closed
from .types import Metadata, Status

_LONGEST_POLL = 3600.0


class _BlockingChannel:
    """Lets any number of threads use one Link.

    The lock guards everything but the wait: one thread at a time, the leader, waits for the socket; the others wait for
    it, and one of them follows it.
    """

    def __init__(self, path: str, timeout: float | None) -> None:
        self._path = path
        self._timeout = timeout
        self._is_closed = False
        self._begin()
        _channels.add(self)

    def _begin(self) -> None:
        self._link = Link(self._path)
        self._changed = threading.Condition()
        self._leading: Request | None = None  # what the leader itself waits for
        self._watched: tuple[socket.socket | None, bool] = (None, False)
        self._waker: tuple[socket.socket, socket.socket] | None = None

    def close(self) -> None:
        """Close the connection. Calls that still wait raise `Closed`, and so do later ones."""
        with self._changed:
            self._is_closed = True
            self._link.close()
            if self._leading is not None:
                self._wake()
            else:
                self._close_waker()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, message: Mapping[str, object], subject: str, timeout: float | None) -> None:
        request = self._link.request(message, subject, self._notify)
        seconds = math.inf if timeout is None else timeout
        deadline = time.monotonic() + seconds
        with self._changed:
            if self._is_closed:
                raise Closed(f"{subject}: the channel to {self._path} is closed; open another")
            self._link.submit(request)
            try:
                self._advance()
                while not request.is_done:
                    if time.monotonic() >= deadline:
                        raise self._link.timed_out(request, seconds) from self._link.last_loss
                    if self._leading is not None:
                        self._changed.wait(min(deadline - time.monotonic(), _LONGEST_POLL))
                    else:
                        self._lead(request, deadline)
            finally:
                self._link.abandon(request)
        if request.error is not None:
            raise request.error

    def _notify(self) -> None:
        self._changed.notify_all()

    def _advance(self) -> None:
        """Do what can be done at once, and wake the leader when it has something else to wait for now, or nothing."""
        self._link.advance()
        if self._leading is not None and (
            self._leading.is_done or self._watched != (self._link.socket, self._link.wants_write)
        ):
            self._wake()

    def _lead(self, request: Request, deadline: float) -> None:
        self._leading = request
        try:
            while not request.is_done and time.monotonic() < deadline:
                self._wait(deadline)
                self._link.advance()
        finally:
            self._leading = None
            if self._is_closed:
                self._close_waker()
            self._notify()

    def _wait(self, deadline: float) -> None:
        """Wait until the socket is ready, a pause is over, or another thread has changed what to wait for."""
        link = self._link
        if self._waker is None:
            self._waker = socket.socketpair()
            for end in self._waker:
                end.setblocking(False)
        waker = self._waker[0]
        poll = select.poll()
        poll.register(waker, select.POLLIN)
        if link.socket is not None:
            poll.register(link.socket, select.POLLIN | (select.POLLOUT if link.wants_write else 0))
        pause = link.pause()
        left = max(0.0, min(deadline - time.monotonic(), _LONGEST_POLL, _LONGEST_POLL if pause is None else pause))
        self._watched = (link.socket, link.wants_write)
        self._changed.release()
        try:
            poll.poll(math.ceil(left * 1000))
        finally:
            self._changed.acquire()
        with contextlib.suppress(BlockingIOError):
            waker.recv(4096)

    def _wake(self) -> None:
        if self._waker is not None:
            # Full is as good: it is readable then.
            with contextlib.suppress(BlockingIOError):
                self._waker[1].send(b"\0")

    def _close_waker(self) -> None:
        for end in self._waker or ():
            end.close()
        self._waker = None

    def _after_fork(self) -> None:
        """Begin anew in a child process: the connection, its lock and its threads are the parent's."""
        inherited = self._link.socket
        if inherited is not None:
            inherited.close()
        self._close_waker()
        self._begin()


_channels: weakref.WeakSet[_BlockingChannel] = weakref.WeakSet()


def _after_fork() -> None:
    for channel in list(_channels):
        channel._after_fork()


os.register_at_fork(after_in_child=_after_fork)


class Channel(_BlockingChannel):
    """A job's channel over one connection, for as many threads as there are.

    What one thread sends is stored in the order in which it sends it. The connection is made when it is needed and made
    anew when it is lost; what was not answered goes again. It may be used after a fork, in parent and child alike. A
    signal handler must use `send_status` instead: it may have interrupted the thread that all others wait for.
    """

    def __init__(
        self,
        uuid: str | None = None,
        socket: str | os.PathLike[str] | None = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        """Nothing is connected yet.

        :param uuid: the job's; HORDELINK_JOB_UUID by default.
        :param socket: the path of the job's socket; HORDELINK_SOCKET by default.
        :param timeout: how many seconds each report may take; None for as long as it takes.
        """
        self.uuid = _wire.configured(uuid, "HORDELINK_JOB_UUID", "uuid")
        super().__init__(_wire.configured(socket, "HORDELINK_SOCKET", "socket"), timeout)

    def send_status(self, status: Status, metadata: Metadata | None = None) -> None:
        """Report a status; returns once it is durable. Raises as `hordelink.send_status` does."""
        message = _wire.status_update(self.uuid, status, metadata)
        self._send(message, f"status {status} of job {self.uuid}", self._timeout)


class SpecsChannel(_BlockingChannel):
    """The channel of machine specs over one connection, for as many threads as there are."""

    def __init__(
        self, socket: str | os.PathLike[str] = DEFAULT_SPECS_SOCKET, *, timeout: float | None = DEFAULT_TIMEOUT
    ) -> None:
        """Nothing is connected yet. `timeout` is how many seconds each call may take; None for as long as it takes."""
        super().__init__(os.fspath(socket), timeout)

    def send_specs(self, specs: Mapping[str, Any], *, miner_hotkey: str, batch_id: str) -> None:
        """Hand over a miner's machine specs; returns once they are durable."""
        message = _wire.machine_specs(specs, miner_hotkey, batch_id)
        self._send(message, f"machine specs of miner {miner_hotkey}", self._timeout)


def send_status(
    status: Status,
    metadata: Metadata | None = None,
    *,
    uuid: str | None = None,
    socket: str | os.PathLike[str] | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> None:
    """Report a job's status; returns once it is on disk and will reach the facilitator, whatever dies in between.

    A connection that is lost or refused before the answer is made anew, with a pause that grows to a second at most,
    and the status is sent again: one that is already there is acknowledged and counts once. A service that has no room
    left gives no answer until it has. Sends over a connection of its own: `Channel` keeps one.

    :param metadata: what there is to say about it (docs/PROTOCOL.md, Values).
    :param uuid: the job's; HORDELINK_JOB_UUID by default, which hordelink sets for the commands it starts.
    :param socket: the path of the job's socket; HORDELINK_SOCKET by default.
    :param timeout: for how many seconds to try; None for as long as it takes.
    :raises Refused: it is not stored and, as it is, never will be; `JobClosed` after the job's end.
    :raises Unreachable: the time is up, or the socket cannot be reached by this user; whether it is stored is unknown.
    """
    with Channel(uuid, socket, timeout=timeout) as channel:
        channel.send_status(status, metadata)


def send_specs(
    specs: Mapping[str, Any],
    *,
    miner_hotkey: str,
    batch_id: str,
    socket: str | os.PathLike[str] = DEFAULT_SPECS_SOCKET,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> None:
    """Hand over a miner's machine specs; returns once they are durable. Otherwise as `send_status`.

    :param miner_hotkey: the miner's ss58 address.
    :param batch_id: what these specs were collected in.
    :param socket: the path of specs.sock.
    """
    with SpecsChannel(socket, timeout=timeout) as channel:
        channel.send_specs(specs, miner_hotkey=miner_hotkey, batch_id=batch_id)
