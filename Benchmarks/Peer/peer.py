"""A facilitator client in the shape of the original: one asyncio process with channels_redis, websockets and pydantic.

    peer.py URL AUTHENTICATION REDIS_URL pubsub|core [--dispatch]

AUTHENTICATION is a file with the text that authenticates it. It takes job requests, verifies their signatures, hears a
channel for each, and sends on what comes there: in a task for each update, which a reaper awaits, with retries while
the connection is closed. With --dispatch each job becomes a Celery task in REDIS_URL; nobody waits for its result,
since no worker of a benchmark's has one. It keeps nothing and sends nothing twice, and ends with its connection: what
hordelink is compared with, and no more than that. docs/PROTOCOL.md has the figures of the original.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import celery
import django
import pydantic
import tenacity
import websockets
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from models import (
    CheatReport,
    Envelope,
    JobRequest,
    Metadata,
    Participant,
    RejectionDetails,
    RejectionReason,
    Response,
    Status,
    StatusUpdate,
)

LAYERS = {"core": "channels_redis.core.RedisChannelLayer", "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer"}
# The facilitator's messages may be as large.
LARGEST_MESSAGE = 16 << 20
TASK = "compute_horde_validator.validator.tasks._execute_organic_job_on_worker"
QUEUE = "organic_jobs"
# Who is to do a job; nobody reads it here.
ROUTE = {"miner": {"hotkey_ss58": "5" + "F" * 47, "address": "127.0.0.1", "ip_version": 4, "port": 8000}}

logger = logging.getLogger(__name__)


class Client:
    """One connection, and a task for everything that is done."""

    def __init__(self, socket: websockets.ClientConnection, task: celery.Task[Any, Any] | None) -> None:
        """Take an open connection, and where jobs are dispatched to, if anywhere."""
        self._socket = socket
        self._task = task
        self._layer: Any = get_channel_layer()
        self._unreaped: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()

    async def run(self) -> None:
        """Serve the connection until it ends."""
        reaper = asyncio.create_task(self._reap())
        async for text in self._socket:
            await self._handle(text)
        reaper.cancel()

    async def _reap(self) -> None:
        while True:
            task = await self._unreaped.get()
            try:
                await task
            except Exception:
                logger.exception("a task has failed")

    async def _start(self, work: Coroutine[Any, Any, None]) -> None:
        await self._unreaped.put(asyncio.create_task(work))

    async def _handle(self, text: str | bytes) -> None:
        try:
            response = Response.model_validate_json(text)
        except pydantic.ValidationError:
            logger.debug("not a response: %s", text)
        else:
            if response.status != "success":
                logger.error("the facilitator refuses an update: %r", response)
            return
        # Anew for each message, as in the original.
        requests: pydantic.TypeAdapter[JobRequest | CheatReport] = pydantic.TypeAdapter(JobRequest | CheatReport)
        try:
            request = requests.validate_json(text)
        except pydantic.ValidationError:
            logger.error("unsupported message: %r", text)
            return
        if isinstance(request, JobRequest):
            await self._start(self._take(request))

    async def _take(self, job: JobRequest) -> None:
        if not job.is_signed:
            details = RejectionDetails(
                rejected_by=Participant.VALIDATOR,
                reason=RejectionReason.INVALID_SIGNATURE,
                message="the signature does not verify",
            )
            metadata = Metadata(job_rejection_details=details)
            await self._send(StatusUpdate(uuid=job.uuid, status=Status.REJECTED, metadata=metadata))
            return
        channel = f"job_status_updates__{job.uuid}"
        if isinstance(self._layer, RedisPubSubChannelLayer):
            # What is published while no one listens is gone, and no public call says that a channel is subscribed to.
            await self._layer._get_layer()._subscribe_to_channel(channel)
        await self._send(StatusUpdate(uuid=job.uuid, status=Status.RECEIVED))
        await self._start(self._listen(channel))
        if self._task:
            # It blocks everything else, as it does in the original.
            self._task.apply_async(args=(job.model_dump(mode="json"), ROUTE), queue=QUEUE)

    async def _listen(self, channel: str) -> None:
        while True:
            message = await self._layer.receive(channel)
            try:
                envelope = Envelope.model_validate(message)
            except pydantic.ValidationError as error:
                logger.warning("%s: not a status update: %s", channel, error)
                continue
            # What is not printed costs its text all the same in the original.
            logger.debug(f"{channel}: an update: {envelope}")
            await self._start(self._send(envelope.payload))
            if envelope.payload.status.is_terminal:
                return

    @tenacity.retry(
        stop=tenacity.stop_after_delay(300),
        wait=tenacity.wait_incrementing(start=1, increment=1, max=10),
        retry=tenacity.retry_if_exception_type(websockets.ConnectionClosed),
        reraise=True,
    )
    async def _send(self, update: pydantic.BaseModel) -> None:
        await self._socket.send(update.model_dump_json())
        # Whoever waits for the processor has it first.
        await asyncio.sleep(0)


def celery_task(redis: str) -> celery.Task[Any, Any]:
    """Make the task that carries out a job, in somebody else's process."""
    url = redis.replace("unix://", "redis+socket://")
    tasks = celery.Celery("peer", broker=url, backend=url)

    @tasks.task(name=TASK)
    def execute(_job: dict[str, Any], _route: dict[str, Any]) -> None:
        raise NotImplementedError

    return execute


async def serve(url: str, authentication: str, task: celery.Task[Any, Any] | None) -> None:
    """Connect, authenticate and serve."""
    with contextlib.suppress(websockets.ConnectionClosed):
        async with websockets.connect(url, max_size=LARGEST_MESSAGE) as socket:
            await socket.send(authentication)
            await Client(socket, task).run()


def main() -> None:
    """Read the command line, set up Django and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("authentication", type=Path)
    parser.add_argument("redis")
    parser.add_argument("layer", choices=LAYERS)
    parser.add_argument("--dispatch", action="store_true", help="make each job a Celery task")
    options = parser.parse_args()
    layer = {"BACKEND": LAYERS[options.layer], "CONFIG": {"hosts": [options.redis]}}
    settings.configure(CHANNEL_LAYERS={"default": layer})
    django.setup()
    task = celery_task(options.redis) if options.dispatch else None
    asyncio.run(serve(options.url, options.authentication.read_text(), task))


if __name__ == "__main__":
    main()
