"""Workers that report through channels_redis itself, with hordelink at the other end of the channel."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import stage
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis_server import RedisServer
from stage import Stage

pytestmark = pytest.mark.skipif(stage.missing() is not None, reason=str(stage.missing()))

STATUSES = ["accepted", "executor_ready", "volumes_ready", "execution_done", "completed"]


def update(job: str, status: str) -> dict[str, Any]:
    payload = {"message_type": "V0JobStatusUpdate", "uuid": job, "status": status, "metadata": None}
    return {"type": "job_status_update", "payload": payload}


async def report(layer: Any, job: str) -> None:
    for status in STATUSES:
        await layer.send(f"job_status_updates__{job}", update(job, status))
        await asyncio.sleep(random.random() / 50)


async def report_all(layer: Any, jobs: list[str]) -> None:
    await asyncio.gather(*(report(layer, job) for job in jobs))


@pytest.mark.parametrize("name", ["core", "pubsub"])
def test_what_channels_redis_sends_arrives_in_order(redis: RedisServer, name: str) -> None:
    more = f'[channel]\nkind = "redis"\nredis_layer = "{name}"\nredis_url = "{redis.url()}"\n'
    with Stage(more=more) as service:
        service.start()
        jobs = [service.start_job() for _ in range(20)]
        if name == "pubsub":
            # What is published before a job's Listener is subscribed is gone.
            service.wait_until_ready(jobs)
        layer = (RedisChannelLayer if name == "core" else RedisPubSubChannelLayer)(hosts=[redis.url()])
        asyncio.run(report_all(layer, jobs))
        for job in jobs:
            assert service.accepted(job, "completed") == ["received", *STATUSES]


def test_listeners_killed_meanwhile_lose_nothing_of_the_core_layer(redis: RedisServer) -> None:
    more = f'[channel]\nkind = "redis"\nredis_layer = "core"\nredis_url = "{redis.url(1)}"\n'
    with Stage(more=more) as service:
        service.start()
        jobs = [service.start_job() for _ in range(10)]
        service.wait_until_ready(jobs)

        async def kill() -> int:
            return sum([await asyncio.to_thread(service.kill, "listener", job) for job in jobs])

        async def main() -> int:
            layer = RedisChannelLayer(hosts=[redis.url(1)])
            _, kills = await asyncio.gather(report_all(layer, jobs), kill())
            return kills

        assert asyncio.run(main()) > 0
        for job in jobs:
            assert service.accepted(job, "completed") == ["received", *STATUSES]
