"""What hears of every stored update, as a command and as a Celery task."""

from __future__ import annotations

import json
import re
from pathlib import Path

import stage
from redis_server import RedisServer

from rig import REPORTED, CeleryStage, until

# Fails until it may work, and counts how often it is started.
SCRIPT = 'echo >>"$0/tries"; test -e "$0/works" && cat >>"$0/heard"'


def in_order(heard: list[str]) -> list[str]:
    """Statuses by when they first came."""
    return list(dict.fromkeys(heard))


def test_a_command_hears_every_update_in_order_once_it_works(redis: RedisServer, tmp_path: Path) -> None:
    hooks = f"""on_status_update = ["/bin/sh", "-c", '{SCRIPT}', "{tmp_path}"]"""
    with CeleryStage(redis, "core", hooks=hooks) as service:
        service.start()
        service.start_workers("one", "two")
        jobs = [service.send() for _ in range(5)]
        # The facilitator does not wait for it.
        for job in jobs:
            service.end(job.id)
        until((tmp_path / "tries").exists, "the hook is started")
        assert service.kill("uplink")
        service.kill_supervisor()
        service.start()
        (tmp_path / "works").touch()

        def heard(job: str) -> list[str]:
            lines = (tmp_path / "heard").read_text().splitlines() if (tmp_path / "heard").exists() else []
            updates = [json.loads(line) for line in lines if line.endswith("}")]
            assert {update["message_type"] for update in updates} <= {"V0JobStatusUpdate"}
            return [update["status"] for update in updates if update["uuid"] == job]

        until(lambda: all("completed" in heard(job.id) for job in jobs), "the hook has heard every job's end", 60)
        service.finish()
        for job in jobs:
            assert in_order(heard(job.id)) == service.told(job.id) == ["received", *REPORTED]


def test_a_task_hears_every_update_in_order_though_the_broker_was_away(redis: RedisServer) -> None:
    hooks = 'on_status_update_task = "tasks.on_status_update"'
    with RedisServer(kept=True) as broker, CeleryStage(redis, "core", broker=broker, hooks=hooks) as service:
        service.start()
        # One slot takes tasks in the order of their queue.
        service.start_workers("one", slots=1)
        job = service.send(gated=True)
        job.wait_until_it_runs()
        broker.kill()
        job.open_gate()
        service.end(job.id)
        broker.start()

        def heard() -> list[str]:
            return re.findall(rf"job {job.id}: (\w+) stored$", service.workers[0].log, re.MULTILINE)

        until(lambda: "completed" in heard(), "the task has heard the job's end", 60)
        service.finish()
        service.expect_completed(job)
        assert in_order(heard()) == ["received", *REPORTED]


def cheat_report() -> str:
    """One that //Alice has signed, as it came over the wire."""
    vectors = json.loads((Path(__file__).parents[1] / "Vectors/signed.json").read_text())
    fits = {"class": "cheated", "verify": "ok", "signatory": stage.SIGNER}
    return next(str(vector["wire"]) for vector in vectors if fits.items() <= vector.items())


def test_a_task_hears_of_a_cheat_report_once_the_broker_is_there(redis: RedisServer) -> None:
    hooks = 'on_cheated_task = "tasks.on_cheated"'
    with RedisServer() as broker, CeleryStage(redis, "core", broker=broker, hooks=hooks) as service:
        service.start()
        broker.kill()
        report = cheat_report()
        service.tell("raw", text=report)
        until(lambda: "the hook on_cheated" in service.log, "the hook has failed")
        broker.start()
        service.start_workers("one")
        expected = f"job {json.loads(report)['job_uuid']}: cheated"
        until(lambda: expected in service.workers[0].log, "the task has heard of it", 60)
        service.finish()
        assert service.workers[0].log.count(expected) == 1
