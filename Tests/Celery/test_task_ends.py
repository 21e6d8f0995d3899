"""Tasks whose workers never report a terminal status: the result that Celery keeps ends their jobs."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from redis_server import RedisServer

from rig import QUEUE, CeleryStage, until

# The promise is 10 s; a busy machine may take some more.
SOON = 15

BEFORE_IT_RUNS = ["received", "accepted", "executor_ready", "volumes_ready"]


def failure(service: CeleryStage, job: str) -> str:
    """How a job's horde_failed explains itself."""
    details: dict[str, Any] = service.frame(job, "horde_failed")["metadata"]["horde_failure_details"]
    assert details["reported_by"] == "validator"
    return str(details["message"])


def wait_for_result(service: CeleryStage, job: str, state: str) -> None:
    with service.redis.client() as client:

        def known() -> bool:
            text = client.get(f"celery-task-meta-{job}")
            return text is not None and json.loads(str(text))["status"] == state

        until(known, f"{job} is {state}")


def revoke(service: CeleryStage, job: str, *, terminate: bool = False) -> None:
    """Return once the one worker knows."""
    with Celery(broker=service.redis.url()) as app:
        assert app.control.revoke(job, terminate=terminate, signal="SIGKILL", reply=True, timeout=20, limit=1)


def test_a_task_that_raises_ends_its_job_with_its_error(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer) as service:
        service.start()
        service.start_workers("one")
        job = service.start_job(args=["/no/such/program"])
        wait_for_result(service, job, "FAILURE")
        assert service.end(job, SOON) == [*BEFORE_IT_RUNS, "horde_failed"]
        assert "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/program'" in failure(service, job)


def test_a_task_gets_what_the_configuration_adds_and_its_result_may_be_elsewhere(redis: RedisServer) -> None:
    # run_job takes any more arguments, and no keywords: its error shows that they came.
    more = """extra_args = '["fast"]'\nextra_kwargs = '{"attempts": 1}'\n"""
    results = redis.url(1)
    with CeleryStage(redis, "core", results=results, dispatch=f'{more}result_url = "{results}"') as service:
        service.start()
        service.start_workers("one")
        job = service.start_job()
        assert service.end(job) == ["received", "horde_failed"]
        assert "unexpected keyword argument 'attempts'" in failure(service, job)
        service.finish()
        assert redis.keys(1) == {f"celery-task-meta-{job}"}
        assert service.left_in_redis() == set()


def test_a_killed_process_of_a_worker_ends_its_job(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer) as service:
        service.start()
        service.start_workers("one")
        job = service.send(gated=True)
        os.kill(job.wait_until_it_runs(), signal.SIGKILL)
        wait_for_result(service, job.id, "FAILURE")
        assert service.end(job.id, SOON) == [*BEFORE_IT_RUNS, "horde_failed"]
        assert "WorkerLostError" in failure(service, job.id)
        assert job.runs == 1


def test_a_task_revoked_while_it_waits_never_runs(redis: RedisServer) -> None:
    with CeleryStage(redis, "core") as service:
        service.start()
        service.start_workers("one", slots=1)
        first = service.send(gated=True)
        first.wait_until_it_runs()
        second = service.send()
        until(lambda: bool(redis.keys() & {QUEUE}), "the second job waits in the queue")
        revoke(service, second.id)
        first.open_gate()
        assert service.end(second.id) == ["received", "horde_failed"]
        assert "revoked" in failure(service, second.id).lower()
        service.end(first.id)
        service.finish()
        service.expect_completed(first)
        assert second.runs == 0


def test_a_task_revoked_while_it_runs_ends_its_job(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer) as service:
        service.start()
        service.start_workers("one")
        job = service.send(gated=True)
        job.wait_until_it_runs()
        revoke(service, job.id, terminate=True)
        wait_for_result(service, job.id, "REVOKED")
        assert service.end(job.id, SOON) == [*BEFORE_IT_RUNS, "horde_failed"]
        assert job.runs == 1


def test_a_task_that_expired_in_the_queue_never_runs(redis: RedisServer) -> None:
    with CeleryStage(redis, "core", queue_seconds=1, grace_seconds=0) as service:
        service.start()
        job = service.send()
        with redis.client() as client:
            until(lambda: client.llen(QUEUE) == 1, "the job waits in the queue")
            message = json.loads(str(client.lindex(QUEUE, 0)))
        assert json.loads(base64.b64decode(message["body"]))[0][0]["uuid"] == job.id
        expires = datetime.fromisoformat(message["headers"]["expires"])
        while (left := (expires - datetime.now(UTC)).total_seconds()) >= 0:
            time.sleep(left + 0.001)
        service.start_workers("one")
        assert service.end(job.id) == ["received", "horde_failed"]
        assert "expired" in failure(service, job.id).lower()
        assert job.runs == 0
