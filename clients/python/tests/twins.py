"""The blocking client and its asyncio twin, made alike so that one test is for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import hordelink
import hordelink.aio
from hordelink import HordelinkError, Status

JOB = "5f1d7a52-0c1e-4a6b-9c3d-2f8e4b7a9d10"


class Client(Protocol):
    """Either twin, from a test that is no coroutine."""

    def send(self, status: Status, metadata: dict[str, Any] | None = None, **options: Any) -> None:
        """Report once, over a connection of its own."""

    def send_on_one(self, path: str, statuses: Sequence[Status], *, uuid: str = JOB, **options: Any) -> None:
        """Report one after the other on one channel."""

    def send_at_once(self, path: str, statuses: Sequence[Status], **options: Any) -> list[HordelinkError | None]:
        """Report on one channel, each from a task or thread of its own."""


class Blocking:
    def send(self, status: Status, metadata: dict[str, Any] | None = None, **options: Any) -> None:
        hordelink.send_status(status, metadata, **options)

    def send_on_one(self, path: str, statuses: Sequence[Status], *, uuid: str = JOB, **options: Any) -> None:
        with hordelink.Channel(uuid, path, **options) as channel:
            for status in statuses:
                channel.send_status(status)

    def send_at_once(self, path: str, statuses: Sequence[Status], **options: Any) -> list[HordelinkError | None]:
        with (
            hordelink.Channel(JOB, path, **options) as channel,
            ThreadPoolExecutor(max(1, len(statuses))) as pool,
        ):
            return list(pool.map(lambda status: failure(lambda: channel.send_status(status)), statuses))


class Asynchronous:
    def send(self, status: Status, metadata: dict[str, Any] | None = None, **options: Any) -> None:
        asyncio.run(hordelink.aio.send_status(status, metadata, **options))

    def send_on_one(self, path: str, statuses: Sequence[Status], *, uuid: str = JOB, **options: Any) -> None:
        async def main() -> None:
            async with hordelink.AsyncChannel(uuid, path, **options) as channel:
                for status in statuses:
                    await channel.send_status(status)

        asyncio.run(main())

    def send_at_once(self, path: str, statuses: Sequence[Status], **options: Any) -> list[HordelinkError | None]:
        async def main() -> list[HordelinkError | None]:
            async with hordelink.AsyncChannel(JOB, path, **options) as channel:

                async def one(status: Status) -> HordelinkError | None:
                    try:
                        await channel.send_status(status)
                    except HordelinkError as error:
                        return error
                    return None

                return await asyncio.gather(*(one(status) for status in statuses))

        return asyncio.run(main())


def failure(action: Callable[[], None]) -> HordelinkError | None:
    try:
        action()
    except HordelinkError as error:
        return error
    return None
