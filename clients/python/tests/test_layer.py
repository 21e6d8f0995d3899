"""The layer for Django Channels, as a project uses it."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stage
from asgiref.sync import async_to_sync
from channels.exceptions import InvalidChannelLayerError
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.test import override_settings
from redis_server import RedisServer
from scripted_server import Connection, ScriptedServer
from stage import Stage
from twins import JOB

from hordelink import JobClosed, Refused, Unreachable

IN_MEMORY = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 7}}


def update(job: str, status: str, **metadata: object) -> dict[str, Any]:
    """The message that ComputeHorde's workers send."""
    payload = {"message_type": "V0JobStatusUpdate", "uuid": job, "status": status, "metadata": metadata or None}
    return {"type": "job_status_update", "payload": payload}


@pytest.fixture
def runtime_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hordelink-") as folder:
        (Path(folder) / "jobs" / JOB).mkdir(parents=True)
        yield Path(folder)


def configured(runtime_directory: Path, **options: object) -> Any:
    """Django's settings with this layer as the default one."""
    options.setdefault("layer", IN_MEMORY)
    configuration = {"runtime_directory": str(runtime_directory), **options}
    return override_settings(
        CHANNEL_LAYERS={"default": {"BACKEND": "hordelink.channels.ChannelLayer", "CONFIG": configuration}}
    )


def refuse_all(connection: Connection) -> None:
    while (message := connection.receive()) is not None:
        connection.refuse(message, "job_closed")


def test_updates_and_specs_go_to_the_sockets_as_they_are(runtime_directory: Path) -> None:
    jobs, specs = str(runtime_directory / "jobs" / JOB / "worker.sock"), str(runtime_directory / "specs.sock")
    message = update(JOB, "completed", miner_response={"é": 1})
    machine = {"type": "machine.specs", "batch_id": "1", "miner_hotkey": "5F", "specs": {"gpu": None}}
    with (
        configured(runtime_directory),
        ScriptedServer(jobs, [Connection.acknowledge_all] * 2) as job_server,
        ScriptedServer(specs, [Connection.acknowledge_all]) as specs_server,
    ):
        layer = get_channel_layer()
        async_to_sync(layer.send)(f"job_status_updates__{JOB}", message)
        async_to_sync(layer.send)(f"job_status_updates__{JOB}", {**message, "id": "its own"})
        async_to_sync(layer.send)("machine_spec_sending", machine)
    assert job_server.received == [{**message, "id": 1}] * 2
    assert specs_server.received == [{**machine, "id": 1}]


def test_it_returns_no_sooner_than_it_is_durable(runtime_directory: Path) -> None:
    received, answer = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        message = connection.receive()
        received.set()
        assert answer.wait(30)
        connection.answer(message)

    async def main() -> None:
        layer = get_channel_layer()
        sending = asyncio.create_task(layer.send(f"job_status_updates__{JOB}", update(JOB, "accepted")))
        await asyncio.to_thread(received.wait, 30)
        assert not sending.done()
        answer.set()
        await sending

    with configured(runtime_directory), ScriptedServer(str(runtime_directory / "jobs" / JOB / "worker.sock"), [hold]):
        asyncio.run(main())


def test_what_is_refused_is_raised(runtime_directory: Path) -> None:
    with (
        configured(runtime_directory),
        ScriptedServer(str(runtime_directory / "jobs" / JOB / "worker.sock"), [refuse_all]),
        pytest.raises(JobClosed, match=f"job_status_updates__{JOB} is refused"),
    ):
        async_to_sync(get_channel_layer().send)(f"job_status_updates__{JOB}", update(JOB, "accepted"))


def test_the_time_is_limited_as_configured(runtime_directory: Path) -> None:
    with configured(runtime_directory, timeout=0.05), pytest.raises(Unreachable):
        async_to_sync(get_channel_layer().send)(f"job_status_updates__{JOB}", update(JOB, "accepted"))


@pytest.mark.parametrize("uuid", ["", "..", f"../{JOB}", JOB.upper(), JOB + "\n", "5f1d7a52"])
def test_a_name_that_is_no_uuid_becomes_no_path(runtime_directory: Path, uuid: str) -> None:
    with configured(runtime_directory, timeout=None), pytest.raises(Refused) as caught:
        async_to_sync(get_channel_layer().send)(f"job_status_updates__{uuid}", update(JOB, "accepted"))
    assert caught.value.code == "wrong_job"


def test_a_message_is_a_mapping(runtime_directory: Path) -> None:
    with configured(runtime_directory), pytest.raises(TypeError, match="must be a mapping"):
        async_to_sync(get_channel_layer().send)("machine_spec_sending", "specs")


def use_all(layer: Any) -> None:
    """Everything that is not hordelink's, within one loop, as a consumer does it."""

    async def main() -> None:
        await layer.send("chat", {"type": "chat.message", "text": "one"})
        assert (await layer.receive("chat"))["text"] == "one"
        mine = await layer.new_channel()
        await layer.group_add("group", mine)
        await layer.group_send("group", {"type": "chat.message", "text": "two"})
        assert (await layer.receive(mine))["text"] == "two"
        await layer.group_discard("group", mine)
        await layer.group_send("group", {"type": "chat.message", "text": "three"})
        await layer.send("chat", {"type": "chat.message", "text": "four"})
        await layer.flush()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await layer.receive("chat")
        assert "groups" in layer.extensions

    asyncio.run(main())


def test_everything_else_is_the_other_layers(runtime_directory: Path) -> None:
    with configured(runtime_directory):
        layer = get_channel_layer()
        use_all(layer)
        assert isinstance(layer._inner, InMemoryChannelLayer)
        assert layer._inner.capacity == 7
        assert layer.channels == {}


def test_without_another_layer_nothing_else_is_taken(runtime_directory: Path) -> None:
    with configured(runtime_directory, layer=None):
        layer = get_channel_layer()
        for action in (
            lambda: layer.send("chat", {"type": "x"}),
            lambda: layer.receive("chat"),
            layer.new_channel,
            lambda: layer.group_add("group", "chat"),
            lambda: layer.group_discard("group", "chat"),
            lambda: layer.group_send("group", {"type": "x"}),
            layer.flush,
        ):
            with pytest.raises(InvalidChannelLayerError, match=r"CONFIG\['layer'\]"):
                asyncio.run(action())
        assert layer.extensions == []
        assert not hasattr(layer, "close_pools")


@pytest.mark.parametrize("layer", [{}, {"BACKEND": "hordelink.nothing.Layer"}])
def test_another_layer_that_cannot_be_made_is_said_to_be_so(runtime_directory: Path, layer: dict[str, str]) -> None:
    with (
        configured(runtime_directory, layer=layer),
        pytest.raises(InvalidChannelLayerError, match=r"CONFIG\['layer'\]"),
    ):
        get_channel_layer()


@pytest.mark.parametrize(
    "backend", ["channels_redis.core.RedisChannelLayer", "channels_redis.pubsub.RedisPubSubChannelLayer"]
)
def test_the_other_layer_may_be_channels_redis(runtime_directory: Path, redis: RedisServer, backend: str) -> None:
    async def main(layer: Any) -> None:
        mine = await layer.new_channel()
        await layer.group_add("group", mine)
        await layer.group_send("group", {"type": "chat.message", "text": "one"})
        assert (await layer.receive(mine))["text"] == "one"
        await layer.send(mine, {"type": "chat.message", "text": "two"})
        assert (await layer.receive(mine))["text"] == "two"
        await layer.send(f"job_status_updates__{JOB}", update(JOB, "accepted"))
        await layer.flush()
        if backend.endswith("core.RedisChannelLayer"):
            await layer.close_pools()

    path = str(runtime_directory / "jobs" / JOB / "worker.sock")
    with (
        configured(runtime_directory, layer={"BACKEND": backend, "CONFIG": {"hosts": [redis.url()]}}),
        ScriptedServer(path, [Connection.acknowledge_all]) as server,
    ):
        asyncio.run(main(get_channel_layer()))
    assert server.statuses == ["accepted"]


@pytest.mark.skipif(stage.missing() is not None, reason=str(stage.missing()))
def test_a_job_is_reported_through_the_layer_to_its_end() -> None:
    """Each send on an event loop of its own, as sync code such as a Celery task does it."""
    with Stage() as service:
        service.start()
        with configured(service.runtime_directory):
            send = async_to_sync(get_channel_layer().send)
            job = service.start_job()
            for status in ("accepted", "executor_ready", "executor_ready", "completed", "completed"):
                service.kill("listener", job)
                send(f"job_status_updates__{job}", update(job, status))
            with pytest.raises(JobClosed):
                send(f"job_status_updates__{job}", update(job, "failed"))
            specs = {"type": "machine.specs", "batch_id": "1", "miner_hotkey": "5F", "specs": {"gpu": {"count": 1}}}
            send("machine_spec_sending", specs)
        assert service.accepted(job, "completed") == ["received", "accepted", "executor_ready", "completed"]
        service.wait_for("specs")
