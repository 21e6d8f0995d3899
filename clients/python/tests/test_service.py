"""Against the real service: what was acknowledged reaches the facilitator in order, once, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stage
from stage import Stage
from twins import Client

import hordelink
import hordelink.aio
from hordelink import JobClosed, Refused, Status

pytestmark = pytest.mark.skipif(stage.missing() is not None, reason=str(stage.missing()))

SEED = int(os.environ.get("HORDELINK_TEST_SEED") or random.SystemRandom().getrandbits(32))
STATUSES: list[Status] = ["accepted", "executor_ready", "volumes_ready", "execution_done", "completed"]


@pytest.fixture(scope="module")
def service() -> Iterator[Stage]:
    with Stage(more="[channel]\nmax_frame_bytes = 1048576\n") as made:
        made.start()
        yield made


def test_a_job_is_reported_to_its_end(service: Stage, client: Client) -> None:
    job = service.start_job()
    metadata = {
        "miner_response": {"docker_process_stdout": "é", "docker_process_stderr": "", "artifacts": {"a": "Yg=="}},
        "job_failure_details": None,
        "of_our_own": [1, 2.5, True, None],
    }
    for status in STATUSES:
        what = metadata if status == "completed" else None
        client.send(status, what, uuid=job, socket=service.worker_socket(job))
    assert service.accepted(job, "completed") == ["received", *STATUSES]
    sent = service.frame(job, "completed")["metadata"]
    assert sent["of_our_own"] == metadata["of_our_own"]
    assert sent["miner_response"]["docker_process_stdout"] == "é"


def test_the_same_status_again_counts_once_and_nothing_new_follows_the_last(service: Stage, client: Client) -> None:
    job = service.start_job()
    where: dict[str, Any] = {"uuid": job, "socket": service.worker_socket(job)}
    for status in ("accepted", "accepted", "failed", "failed", "accepted"):
        client.send(status, **where)
    with pytest.raises(JobClosed) as caught:
        client.send("completed", **where)
    assert caught.value.code == "job_closed"
    assert service.accepted(job, "failed") == ["received", "accepted", "failed"]


def test_the_service_says_what_is_wrong(service: Stage, client: Client) -> None:
    job, other = service.start_job(), service.start_job()
    path = service.worker_socket(job)
    with pytest.raises(Refused, match=r"miner_response\.docker_process_stderr") as invalid:
        client.send("completed", {"miner_response": {"docker_process_stdout": ""}}, uuid=job, socket=path)
    assert invalid.value.code == "invalid"
    with pytest.raises(Refused) as wrong_job:
        client.send("completed", uuid=other, socket=path)
    assert wrong_job.value.code == "wrong_job"
    with pytest.raises(Refused) as too_large:
        client.send("completed", {"text": "x" * (3 << 20)}, uuid=job, socket=path)
    assert too_large.value.code == "too_large"
    with pytest.raises(Refused) as malformed:
        client.send("completed", {"text": "x" * (8 << 20)}, uuid=job, socket=path, timeout=None)
    assert malformed.value.code == "malformed"
    client.send("completed", uuid=job, socket=path)
    assert service.accepted(job, "completed") == ["received", "completed"]


def test_machine_specs_reach_the_facilitator(service: Stage) -> None:
    path = str(service.runtime_directory / "specs.sock")
    hordelink.send_specs({"gpu": {"count": 8}}, miner_hotkey="5F", batch_id="first", socket=path)
    assert json.loads(service.wait_for("specs")["frame"])["specs"] == {"gpu": {"count": 8}}
    seen = len(service.events)
    asyncio.run(hordelink.aio.send_specs({"gpu": None}, miner_hotkey="5G", batch_id="second", socket=path))
    frame = json.loads(service.wait_for("specs", after=seen)["frame"])
    assert (frame["batch_id"], frame["miner_hotkey"], frame["specs"]) == ("second", "5G", {"gpu": None})


def worker_of_the_readme() -> str:
    """The program that README.md shows for a job's command."""
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    return readme.split("```python\n")[1].split("```")[0]


def test_a_command_as_the_readme_has_it_finds_its_job_in_the_environment() -> None:
    with Stage(dispatch=f"command = {json.dumps([sys.executable, '-c', worker_of_the_readme()])}") as service:
        service.start()
        job = service.start_job(args=["é"])
        assert service.accepted(job, "completed") == ["received", "accepted", "executor_ready", "completed"]
        response = service.frame(job, "completed")["metadata"]["miner_response"]
        assert response["docker_process_stdout"] == "['é']"


class Kills:
    """Kills until all is reported, and has those who report go on with a kill, into a service that is hurt."""

    def __init__(self, service: Stage, jobs: list[str]) -> None:
        self.counts = {"uplink": 0, "listener": 0}
        self._service = service
        self._jobs = jobs
        self._dice = random.Random(SEED)
        self._killed = threading.Condition()

    def go_on(self, work: Sequence[Future[None]]) -> None:
        while not all(future.done() for future in work):
            name = self._dice.choice(["uplink", "listener", "listener"])
            if self._service.kill(name, self._dice.choice(self._jobs) if name == "listener" else None):
                with self._killed:
                    self.counts[name] += 1
                    self._killed.notify_all()

    def wait_for_one(self) -> None:
        with self._killed:
            self._killed.wait(5)


def test_what_was_acknowledged_arrives_in_order_and_once_whatever_is_killed(client: Client) -> None:
    print(f"HORDELINK_TEST_SEED={SEED}")
    at_once, rounds = 4, 3
    with Stage() as service, ThreadPoolExecutor(at_once) as pool:
        service.start()
        jobs = [service.start_job() for _ in range(at_once * rounds)]
        kills = Kills(service, jobs)

        def work(jobs: list[str], dice: random.Random) -> None:
            for job in jobs:
                for status in STATUSES:
                    if dice.random() < 0.5:
                        kills.wait_for_one()
                    client.send(status, uuid=job, socket=service.worker_socket(job))

        kills.go_on([pool.submit(work, jobs[start::at_once], random.Random(SEED + start)) for start in range(at_once)])
        print(f"kills: {kills.counts}")
        assert min(kills.counts.values()) > 0
        for job in jobs:
            assert service.accepted(job, "completed") == ["received", *STATUSES]
