"""A facilitator client in the shape of the original: one asyncio process with channels_redis, websockets and pydantic.

    peer.py URL AUTHENTICATION REDIS_URL pubsub|core

AUTHENTICATION is a file with the text that authenticates it. It takes job requests, hears a channel for each, and sends
on what comes there. It keeps nothing and sends nothing twice, and ends with its connection: what hordelink is compared
with, and no more than that. docs/PROTOCOL.md has the figures of the original.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any, Literal

import channels_redis.core
import channels_redis.pubsub
import pydantic
import websockets


class StatusUpdate(pydantic.BaseModel):
    """What a worker reports, as it goes on to the facilitator."""

    message_type: Literal["V0JobStatusUpdate"] = "V0JobStatusUpdate"
    uuid: str
    status: str
    metadata: dict[str, Any] | None = None


class Envelope(pydantic.BaseModel):
    """What comes on a job's channel."""

    type: Literal["job_status_update"]
    payload: StatusUpdate


class JobRequest(pydantic.BaseModel):
    """As much of a job request as is needed here."""

    model_config = pydantic.ConfigDict(extra="allow")
    message_type: Literal["V2JobRequest"]
    uuid: str


class Response(pydantic.BaseModel):
    """The facilitator's answer to each update."""

    status: Literal["success", "error"]
    errors: list[dict[str, Any]] = []


INCOMING: pydantic.TypeAdapter[JobRequest | Response] = pydantic.TypeAdapter(JobRequest | Response)
TERMINAL = {"completed", "rejected", "failed", "horde_failed"}
# The facilitator's messages may be as large.
LARGEST_MESSAGE = 16 << 20


class Client:
    """One connection, and a task for each job."""

    def __init__(self, socket: websockets.ClientConnection, layer: Any) -> None:
        """Take an open connection and a channel layer."""
        self._socket = socket
        self._layer = layer
        self._jobs: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve the connection until it ends."""
        async for text in self._socket:
            message = INCOMING.validate_json(text)
            if isinstance(message, JobRequest):
                job = asyncio.create_task(self._listen(message.uuid))
                self._jobs.add(job)
                job.add_done_callback(self._jobs.discard)
            elif message.status == "error":
                print(f"the facilitator refuses an update: {text!r}", file=sys.stderr)

    async def _send(self, update: StatusUpdate) -> None:
        await self._socket.send(update.model_dump_json())

    async def _listen(self, uuid: str) -> None:
        channel = f"job_status_updates__{uuid}"
        if isinstance(self._layer, channels_redis.pubsub.RedisPubSubChannelLayer):
            # What is published while no one listens is gone, and no public call says that a channel is subscribed to.
            await self._layer._get_layer()._subscribe_to_channel(channel)
        await self._send(StatusUpdate(uuid=uuid, status="received"))
        while True:
            update = Envelope.model_validate(await self._layer.receive(channel)).payload
            await self._send(update)
            if update.status in TERMINAL:
                return


async def main(url: str, authentication: str, redis: str, kind: str) -> None:
    """Connect, authenticate and serve."""
    layers = {"core": channels_redis.core.RedisChannelLayer, "pubsub": channels_redis.pubsub.RedisPubSubChannelLayer}
    layer = layers[kind](hosts=[redis])
    with contextlib.suppress(websockets.ConnectionClosed):
        async with websockets.connect(url, max_size=LARGEST_MESSAGE) as socket:
            await socket.send(authentication)
            await Client(socket, layer).run()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    url, file, redis, kind = sys.argv[1:]
    asyncio.run(main(url, Path(file).read_text(), redis, kind))
