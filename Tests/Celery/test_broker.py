"""A broker that is away when a job is to be dispatched."""

from __future__ import annotations

import os
import signal

import pytest
from redis_server import RedisServer

from rig import CeleryStage, Job, until


def test_a_job_waits_for_the_broker_and_runs_once(redis: RedisServer) -> None:
    with RedisServer() as broker, CeleryStage(redis, "core", broker=broker) as service:
        service.start()
        broker.kill()
        jobs = [service.send() for _ in range(3)]
        until(lambda: all(f"JOB_UUID={job.id}" in delayed(service) for job in jobs), "every job's dispatch has failed")
        broker.start()
        service.start_workers("one")
        for job in jobs:
            service.end(job.id, 60)
        service.finish()
        service.expect_completed(*jobs)
        assert service.left_in_redis() == set()


def delayed(service: CeleryStage) -> str:
    return "\n".join(line for line in service.log.splitlines() if "could not be put into the queue" in line)


def test_a_job_ends_when_no_worker_could_end_it_in_time(redis: RedisServer) -> None:
    with (
        RedisServer() as broker,
        CeleryStage(redis, "core", broker=broker, queue_seconds=2, grace_seconds=0) as service,
    ):
        service.start()
        broker.kill()
        job = service.send(limits=(1, 1, 1, 0))
        assert service.end(job.id) == ["received", "horde_failed"]
        details = service.frame(job.id, "horde_failed")["metadata"]["horde_failure_details"]
        # What is wrong with the broker is for whoever reads why the job failed.
        assert f"{broker.HOST}:{broker.port}" in details["message"]
        broker.start()
        service.start_workers("one")
        service.finish()
        assert job.runs == 0


def test_a_dispatcher_killed_while_it_dispatches_leaves_one_execution(redis: RedisServer) -> None:
    with RedisServer() as broker, CeleryStage(redis, "core", broker=broker) as service:
        service.start()
        service.start_workers("one")
        broker.pause()
        job = service.send()
        killed: set[int] = set()
        for _ in range(3):
            pid = wait_for_dispatcher(service, job, killed)
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        broker.resume()
        service.end(job.id)
        service.finish()
        service.expect_completed(job)


def wait_for_dispatcher(service: CeleryStage, job: Job, without: set[int]) -> int:
    """Returns the pid of what puts the job into the queue, another than those."""
    pids: set[int] = set()

    def runs() -> bool:
        found = {child["pid"] for child in service.children() if (child["name"], child["job"]) == ("command", job.id)}
        pids.update(found - without - {0})
        return bool(pids)

    until(runs, "a dispatcher runs")
    return pids.pop()


@pytest.mark.parametrize("name", ["supervisor", "uplink", "listener"])
def test_a_process_killed_while_a_job_is_dispatched_leaves_one_execution(redis: RedisServer, name: str) -> None:
    with RedisServer() as broker, CeleryStage(redis, "core", broker=broker) as service:
        service.start()
        service.start_workers("one")
        broker.pause()
        job = service.send()
        wait_for_dispatcher(service, job, set())
        if name == "supervisor":
            service.kill_supervisor()
            service.start()
        else:
            assert service.kill(name, job.id if name == "listener" else None)
        service.wait_until_ready([job.id])
        broker.resume()
        service.end(job.id)
        service.finish()
        service.expect_completed(job)
