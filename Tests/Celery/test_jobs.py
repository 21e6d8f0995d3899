"""Jobs that real Celery workers execute and report through a real channel layer."""

from __future__ import annotations

from redis_server import RedisServer

from rig import CeleryStage


def test_every_report_arrives_in_order_and_once_and_nothing_stays_in_redis(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer) as service:
        service.start()
        service.start_workers("one", "two")
        jobs = [service.send(says=f"job {number}") for number in range(10)]
        for number, job in enumerate(jobs):
            service.end(job.id)
            metadata = service.frame(job.id, "completed")["metadata"]
            assert metadata["miner_response"]["docker_process_stdout"] == f"job {number}\n"
        service.finish()
        service.expect_completed(*jobs)
        assert service.left_in_redis() == set()


def test_a_job_that_ends_badly_is_reported_by_its_worker(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer) as service:
        service.start()
        service.start_workers("one")
        job = service.start_job(args=["sh", "-c", "echo so >&2; exit 7"])
        assert service.end(job) == ["received", "accepted", "executor_ready", "volumes_ready", "failed"]
        details = service.frame(job, "failed")["metadata"]["job_failure_details"]
        assert (details["reason"], details["docker_process_exit_status"]) == ("nonzero_return_code", 7)
        assert details["docker_process_stderr"] == "so\n"
