"""The worker's protocol: a frame is a 4-byte big-endian length and one MessagePack value (README.md of hordelink)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack

from .errors import NotConfigured, ProtocolError, Refused

MAX_FRAME_BYTES = 67_108_864
"""The longest frame sent: the most that a service's max_frame_bytes can be set to."""

MAX_ANSWER_BYTES = 65_536
"""The longest answer taken: an id of ours and a sentence are far below it."""

_LENGTH = struct.Struct(">I")


def status_update(uuid: str, status: str, metadata: Mapping[str, Any] | None) -> dict[str, object]:
    """The message in which a worker reports a status, as it is on every kind of channel."""
    return {
        "type": "job_status_update",
        "payload": {"message_type": "V0JobStatusUpdate", "uuid": uuid, "status": status, "metadata": metadata},
    }


def machine_specs(specs: Mapping[str, Any], miner_hotkey: str, batch_id: str) -> dict[str, object]:
    """The message that tells a miner's machine specs."""
    return {"type": "machine.specs", "batch_id": batch_id, "miner_hotkey": miner_hotkey, "specs": specs}


def configured(given: str | os.PathLike[str] | None, variable: str, argument: str) -> str:
    """What is given, or else what the service has put into the environment of a job's command."""
    text = os.fspath(given) if given is not None else os.environ.get(variable, "")
    if not text:
        raise NotConfigured(
            f"{variable} is not set: hordelink sets it for the commands it starts; elsewhere, give {argument}="
        )
    return text


def frame(message: Mapping[str, object], subject: str) -> bytes:
    """The frame of a message, its length included.

    Raises `Refused` when the message cannot be written as MessagePack or is longer than any service takes.
    """
    try:
        body: bytes = msgpack.packb(message)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused("invalid", f"it cannot be written as MessagePack: {error}; correct it", subject) from error
    if len(body) > MAX_FRAME_BYTES:
        raise Refused(
            "too_large",
            f"it has {len(body)} bytes, the most any service takes is {MAX_FRAME_BYTES}; shorten it",
            subject,
        )
    return _LENGTH.pack(len(body)) + body


class Answers:
    """Puts one connection's answers together again from the pieces in which they come."""

    def __init__(self) -> None:
        """Begin with a new connection."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[Any, Any]]:
        """Take in what was read; yields each answer that is whole. Raises `ProtocolError` for what is none."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_ANSWER_BYTES:
                raise ProtocolError(f"an answer of {length} bytes is announced")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield self._answer(body)

    @staticmethod
    def _answer(body: bytes) -> dict[Any, Any]:
        try:
            answer = msgpack.unpackb(body)
        except (TypeError, ValueError, msgpack.UnpackException) as error:
            raise ProtocolError(f"an answer of {len(body)} bytes is not MessagePack ({error})") from error
        if not isinstance(answer, dict):
            raise ProtocolError("an answer is not a map")
        return answer


def outcome(answer: Mapping[Any, Any]) -> tuple[str, str] | None:
    """None when the message is durable, else the code and the sentence with which it is refused."""
    ok = answer.get("ok")
    if ok is True:
        return None
    error = answer.get("error")
    if ok is not False or not isinstance(error, dict):
        raise ProtocolError("an answer says neither that the message is stored nor why it is not")
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        raise ProtocolError("an answer refuses and does not say why")
    return code, message
