"""Real Celery workers of examples/celery, redis-server, and the real service between them and the dev facilitator."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from redis_server import RedisServer
from stage import Stage

EXAMPLE = Path(__file__).parents[2] / "examples/celery"
QUEUE = "organic_jobs"

# What examples/celery reports of a job that goes well.
REPORTED = ["accepted", "executor_ready", "volumes_ready", "execution_done", "completed"]
TERMINAL = {"completed", "rejected", "failed", "horde_failed"}

# What Celery itself leaves in Redis: results that expire, and who is bound to its queues.
_CELERYS = re.compile(r"celery-task-meta-|_kombu\.binding|unacked_mutex$")


def until(fits: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for what nothing announces: it is looked at some times a second."""
    deadline = time.monotonic() + seconds
    while not fits():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Worker:
    """A Celery worker in a session of its own, with all that its tasks start."""

    def __init__(self, name: str, service: CeleryStage, *, slots: int) -> None:
        self.name = name
        self._log = service.folder / f"worker-{name}.log"
        celery = [sys.executable, "-m", "celery", "-A", "tasks", "--broker", service.broker.url()]
        celery += ["--result-backend", service.results]
        celery += ["worker", "--hostname", f"{name}@%h", "--queues", f"{QUEUE},celery", "--concurrency", str(slots)]
        celery += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                celery,
                cwd=EXAMPLE,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    "PATH": "/usr/bin:/bin",
                    "HOME": str(service.folder),
                    "LANG": "C.UTF-8",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "REDIS_URL": service.redis.url(),
                    "CHANNEL_LAYER": service.layer,
                },
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            assert self._process.poll() is None, f"the worker {self.name} has ended:\n{self.log}"
            return " ready." in self.log

        until(ready, f"the worker {self.name} is ready")

    def ask_to_stop(self) -> None:
        """Have it take no more tasks."""
        self._process.terminate()

    def stop(self) -> int:
        """Wait, once it was asked to, until its tasks have ended; returns its exit code."""
        try:
            return self._process.wait(30)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it and all that its tasks have started, as a machine that fails does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def is_running(self) -> bool:
        """Whether it, or anything that it has started, is still there."""
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def sent(self, job: str) -> list[str]:
        """What the channel layer has taken of a job, in order."""
        return re.findall(rf"job {job}: (\w+) sent$", self.log, re.MULTILINE)


class Job:
    """A job whose command counts itself, and waits at its gate when it has one."""

    def __init__(self, folder: Path, *, gated: bool = False, says: str = "done") -> None:
        self.id = str(uuid4())
        self._count = folder / f"{self.id}.runs"
        self._gate = folder / f"{self.id}.gate"
        script = 'echo $PPID >>"$0.runs"; '
        if gated:
            os.mkfifo(self._gate)
            script += 'read -r _ <"$0.gate"; '
        self.args = ["sh", "-c", script + 'echo "$1"', str(folder / self.id), says]

    @property
    def runs(self) -> int:
        """How often it was executed."""
        return len(self._parents)

    @property
    def _parents(self) -> list[int]:
        with contextlib.suppress(FileNotFoundError):
            return [int(line) for line in self._count.read_text().split()]
        return []

    def wait_until_it_runs(self, seconds: float = 30) -> int:
        """Returns the pid of the process of the worker that runs it."""
        until(lambda: bool(self._parents), f"{self.id} runs", seconds)
        return self._parents[-1]

    def open_gate(self) -> None:
        """Have it go on, once it waits."""

        def opened() -> bool:
            try:
                os.close(os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                # Nobody waits yet.
                if error.errno == errno.ENXIO:
                    return False
                raise
            return True

        until(opened, f"{self.id} waits at its gate")


class CeleryStage(Stage):
    """The service with Celery and the channel layer on one Redis, unless the broker is another."""

    def __init__(
        self,
        redis: RedisServer,
        layer: str,
        *,
        broker: RedisServer | None = None,
        results: str | None = None,
        dispatch: str = "",
        queue_seconds: int = 3600,
        grace_seconds: int = 600,
        hooks: str = "",
    ) -> None:
        self.redis = redis
        self.broker = broker or redis
        self.results = results or self.broker.url()
        self.layer = layer
        self.workers: list[Worker] = []
        celery = f"""kind = "celery"
broker_url = "{self.broker.url()}"
task = "tasks.run_job"
queue = "{QUEUE}"
queue_seconds = {queue_seconds}
{dispatch}"""
        channel = f'[channel]\nkind = "redis"\nredis_url = "{redis.url()}"\nredis_layer = "{layer}"\n'
        super().__init__(
            dispatch=celery,
            jobs=f"grace_seconds = {grace_seconds}",
            more=channel + (f"[hooks]\n{hooks}\n" if hooks else ""),
        )
        self.jobs_folder = self.folder / "jobs"
        self.jobs_folder.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()
            if kind is not None:
                print(f"the worker {worker.name}:\n{worker.log}")
        super().__exit__(kind, error, traceback)

    def start_workers(self, *names: str, slots: int = 2) -> None:
        """Start them and wait until they take tasks."""
        started = [Worker(name, self, slots=slots) for name in names]
        self.workers += started
        for worker in started:
            worker.wait_until_ready()

    def send(self, *, gated: bool = False, says: str = "done", limits: tuple[int, ...] = (600, 600, 600, 600)) -> Job:
        """Send a job that counts itself, and wait until it is accepted."""
        job = Job(self.jobs_folder, gated=gated, says=says)
        self.start_job(job=job.id, args=job.args, limits=limits)
        return job

    def sent(self, job: str) -> list[str]:
        """What workers were told to have been sent of a job; what was sent twice counts once."""
        return list(dict.fromkeys(status for worker in self.workers for status in worker.sent(job)))

    def told(self, job: str) -> list[str]:
        """What the facilitator has accepted of a job so far, in order."""
        return [event["status"] for event in self.events if event["event"] == "accepted" and event["uuid"] == job]

    def wait_for_some(self, count: int) -> None:
        """Wait for so many more updates, or until every job has ended."""
        for _ in range(count):
            jobs = {event["uuid"] for event in self.events if event["event"] == "accepted"}
            if all(self.has_ended(job) for job in jobs):
                return
            self.wait_for("accepted", after=len(self.events), seconds=60)

    def has_ended(self, job: str) -> bool:
        return bool(TERMINAL & set(self.told(job)))

    def end(self, job: str, seconds: float = 30) -> list[str]:
        """Wait until the facilitator has accepted a job's last status; returns all of them, in order."""
        deadline = time.monotonic() + seconds
        while not self.has_ended(job):
            left = deadline - time.monotonic()
            assert left > 0, f"{job} has not ended, only {self.told(job)}; the log:\n{self.log}"
            self.wait_for("accepted", after=len(self.events), seconds=left, uuid=job)
        return self.told(job)

    def finish(self) -> None:
        """End the workers once their tasks have ended, and then the service, with what it still has to send."""
        running = [worker for worker in self.workers if worker.is_running()]
        for worker in running:
            worker.ask_to_stop()
        for worker in running:
            assert worker.stop() == 0
        assert self.stop() == 0
        self.take_events()

    def expect_completed(self, *jobs: Job) -> None:
        """After `finish`: fail unless each was executed once and all that was sent accepted, in order, once."""
        for job in jobs:
            assert self.sent(job.id) == REPORTED
            assert self.told(job.id) == ["received", *REPORTED]
            assert job.runs == 1

    def expect_one_end(self, *jobs: Job) -> None:
        """After `finish`, where reports may be lost: fail unless what is left is in order, each once, and one end."""
        for job in jobs:
            told = self.told(job.id)
            assert len(set(told)) == len(told)
            assert [status for status in told if status in TERMINAL] == told[-1:]
            known = ["received", *REPORTED[:-1]]
            assert [status for status in known if status in told] == told[:-1]

    def left_in_redis(self) -> set[str]:
        """Keys that are neither Celery's own nor markers of what was dispatched."""
        keys = self.redis.keys() | self.broker.keys()
        return {key for key in keys if not _CELERYS.match(key) and not key.startswith("hordelink-dispatched-")}
