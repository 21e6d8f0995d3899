"""A connection to one of hordelink's sockets that is made anew as often as it is lost. It never waits."""

from __future__ import annotations

import errno
import itertools
import logging
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping

from . import _wire
from .errors import Closed, HordelinkError, ProtocolError, Unreachable, refusal

DEFAULT_TIMEOUT = 600.0
"""How long something is sent again and again, in seconds, unless told otherwise."""

DEFAULT_SPECS_SOCKET = "/run/hordelink/specs.sock"
"""Where machine specs go by default: specs.sock in the service's runtime_directory."""

_WINDOW = 64
"""How many messages are under way at once: as many as a Listener reads before it has answered one."""

_READ_BYTES = 65_536
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0

# What a service that is being restarted leads to, and what another attempt can therefore mend.
_PASSING = {
    errno.ENOENT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EPIPE,
    # Of a Unix socket: the backlog is full. Nothing says when it has room; asyncio would take it for a connection.
    errno.EAGAIN,
}

_logger = logging.getLogger("hordelink")


class Request:
    """A message on its way: its frame, and what has become of it. Is told by `on_done` that it is settled."""

    def __init__(self, number: int, frame: bytes, subject: str, on_done: Callable[[], None]) -> None:
        """Not sent yet; `subject` names it in errors."""
        self.number = number
        self.frame = frame
        self.subject = subject
        self.is_done = False
        self.error: HordelinkError | None = None
        self.is_abandoned = False
        self._on_done = on_done

    def settle(self, error: HordelinkError | None) -> None:
        """Say how it ended: stored, or why not."""
        self.is_done = True
        self.error = error
        self._on_done()


class Link:
    """What is sent to one socket and not answered yet, in its order, and the connection it goes over.

    Whoever drives it calls `advance` whenever the socket is ready or a pause is over, and waits in between. Not safe
    for several threads by itself.
    """

    def __init__(self, path: str, closing: Callable[[socket.socket], None] = lambda _: None) -> None:
        """Nothing is connected yet. `closing` is told of a socket that is about to be closed."""
        self.path = path
        self.socket: socket.socket | None = None
        self.wants_write = False
        self.waiting = 0
        self._closing = closing
        self._numbers = itertools.count(1)
        self._unanswered: deque[Request] = deque()
        self._sent = 0  # how many of them, from the left, this connection has been given
        self._outgoing = memoryview(b"")
        self._is_deaf = False
        self._answers = _wire.Answers()
        self._attempts = 0
        self._retry_at = 0.0
        self.last_loss: OSError | None = None

    # What is asked of it

    def request(self, message: Mapping[str, object], subject: str, on_done: Callable[[], None]) -> Request:
        """Make the request of a message. Raises `Refused` for one that no service takes. Safe in any thread."""
        number = next(self._numbers)
        return Request(number, _wire.frame({**message, "id": number}, subject), subject, on_done)

    def submit(self, request: Request) -> None:
        """Put it behind all others."""
        self._unanswered.append(request)
        self.waiting += 1

    def abandon(self, request: Request) -> None:
        """Nobody waits for it any more. One that was sent may still be stored: its answer has to come first."""
        if request.is_done or request.is_abandoned:
            return
        request.is_abandoned = True
        request.frame = b""
        self.waiting -= 1
        if request in itertools.islice(self._unanswered, self._sent, None):
            self._unanswered.remove(request)

    def timed_out(self, request: Request, seconds: float) -> Unreachable:
        """The error for a request whose time is up; `last_loss` is its cause."""
        last = f" (last: {self.last_loss})" if self.last_loss else ""
        return Unreachable(
            f"{request.subject}: no answer from {self.path} within {seconds:g} s{last}; whether it is stored is "
            "unknown: see whether the service and the job run and the disk has room, then send it again"
        )

    def pause(self) -> float | None:
        """How many seconds to wait before `advance` connects again; None while there is a connection."""
        return None if self.socket else max(0.0, self._retry_at - time.monotonic())

    def close(self) -> None:
        """Close the connection; what is not answered ends in `Closed`."""
        self._disconnect()
        self._settle_all(
            lambda request: Closed(f"{request.subject}: the channel to {self.path} was closed before the answer came")
        )

    # What it does

    def advance(self) -> None:
        """Do all that can be done without waiting: connect when it is time, send, and take in the answers."""
        if self.socket is None:
            if not self.waiting or time.monotonic() < self._retry_at:
                return
            try:
                self.socket = _connect(self.path)
            except OSError as error:
                self._lost(error)
                return
        self._write()
        try:
            self._read(self.socket)
        except OSError as error:
            self._lost(error)
        except ProtocolError as error:
            text = f"{self.path}: {error}; this is not a hordelink socket, or that of another release"
            if not self.waiting:
                _logger.warning("%s", text)
            self._disconnect()
            self._settle_all(lambda request: ProtocolError(f"{request.subject}: {text}"))
        else:
            # The answers may have made room for more.
            self._write()

    def _write(self) -> None:
        self.wants_write = False
        while self.socket is not None and not self._is_deaf:
            if not self._outgoing:
                if self._sent == len(self._unanswered) or self._sent == _WINDOW:
                    return
                self._outgoing = memoryview(self._unanswered[self._sent].frame)
                self._sent += 1
            try:
                count = self.socket.send(self._outgoing)
            except BlockingIOError:
                self.wants_write = True
            except OSError:
                # The end shows when what the peer still said has been read.
                self._is_deaf = True
            else:
                self._outgoing = self._outgoing[count:]
                continue
            return

    def _read(self, connection: socket.socket) -> None:
        while True:
            try:
                data = connection.recv(_READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "connection closed by the service", self.path)
            for answer in self._answers.feed(data):
                self._take(answer)

    def _take(self, answer: dict[object, object]) -> None:
        if not self._sent:
            raise ProtocolError("an answer came to nothing that was sent")
        request = self._unanswered[0]
        # What the service could not read has no id there either.
        if answer.get("id") not in (None, request.number):
            raise ProtocolError("an answer came to another message than the oldest one without an answer")
        refused = _wire.outcome(answer)
        self._unanswered.popleft()
        self._sent -= 1
        self._attempts = 0
        self.last_loss = None
        self._settle(request, refusal(*refused, request.subject) if refused else None)

    # When it fails

    def _lost(self, error: OSError) -> None:
        self._disconnect()
        self.last_loss = error
        if error.errno not in _PASSING:
            self._settle_all(lambda request: self._out_of_reach(request, error))
            return
        self._attempts += 1
        # Full jitter, so that workers that lost one service together do not all come back in the same instant.
        ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._attempts, 16))
        self._retry_at = time.monotonic() + random.uniform(0, ceiling)
        # A Listener that is replaced costs one or two attempts. More are worth a word, and ever fewer words.
        if self._attempts >= 8 and self._attempts & (self._attempts - 1) == 0 and self.waiting:
            _logger.warning("%s: %s; %d messages wait, attempt %d", self.path, error, self.waiting, self._attempts)

    def _out_of_reach(self, request: Request, cause: OSError) -> Unreachable:
        hint = "see whether this is the job's socket"
        if cause.errno in (errno.EACCES, errno.EPERM):
            hint = "run as the service's user or in its group"
        elif cause.errno is None:
            hint = "a Unix socket's path has at most 107 bytes: choose a shorter runtime_directory"
        error = Unreachable(f"{request.subject}: {self.path} cannot be reached: {cause}; {hint}")
        error.__cause__ = cause
        return error

    def _disconnect(self) -> None:
        if self.socket is not None:
            self._closing(self.socket)
            self.socket.close()
            self.socket = None
        # Whatever that connection had begun to send or to say is void.
        self._outgoing = memoryview(b"")
        self._answers = _wire.Answers()
        self._is_deaf = self.wants_write = False
        self._sent = 0
        self._unanswered = deque(request for request in self._unanswered if not request.is_abandoned)

    def _settle(self, request: Request, error: HordelinkError | None) -> None:
        if not request.is_abandoned:
            self.waiting -= 1
            request.settle(error)

    def _settle_all(self, error: Callable[[Request], HordelinkError]) -> None:
        requests, self._unanswered = self._unanswered, deque()
        for request in requests:
            self._settle(request, error(request))


def _connect(path: str) -> socket.socket:
    """Connect once and without waiting, as a Unix socket does or does not at once."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection
