"""Ten jobs over each channel layer, with real Celery workers and a Redis that is killed. Run by `make demo-celery`."""

from __future__ import annotations

import sys

import redis_server
import stage
from redis_server import RedisServer

from rig import QUEUE, REPORTED, CeleryStage, Job, until

JOBS = 10
SLOTS = 2
WORKERS = ["one", "two"]


def show(text: str = "") -> None:
    print(text, flush=True)


class Tree:
    """The processes that were shown, to be missed at the end."""

    def __init__(self) -> None:
        self._pids: dict[int, str] = {}

    def show(self, service: CeleryStage) -> None:
        """Show what runs."""
        self._show("", "redis-server", service.redis.pid)
        for worker in service.workers:
            self._show("", f"celery worker {worker.name}, {SLOTS} slots", worker.pid)
        self._show("", "hordelink-supervisor", service.supervisor_pid)
        for child in service.children():
            name = "dispatch-celery" if child["name"] == "command" else child["name"]
            job = f", job {child['job'][:8]}…" if child["job"] else ""
            self._show("└─ ", f"hordelink-{name}{job}, {child['state']}", child["pid"])

    def _show(self, indent: str, what: str, pid: int) -> None:
        show(f"  {indent}{what}  pid {pid}")
        self._pids[pid] = what

    def left(self) -> list[str]:
        """What of it still runs."""
        return [f"{what}, pid {pid}" for pid, what in self._pids.items() if stage.is_running(pid)]


def show_end(service: CeleryStage, number: int, job: Job) -> None:
    told = service.end(job.id, 60)
    ran_on = [worker.name for worker in service.workers if worker.sent(job.id)]
    show(f"  ✓ job {number:2} {job.id[:8]}…  {' → '.join(told)}  (worker {', '.join(ran_on)})")


def kill_redis(service: CeleryStage, running: list[Job]) -> None:
    """Kill Redis while jobs run and others wait, and start it again once workers have missed it."""
    for job in running:
        job.wait_until_it_runs()
    with service.redis.client() as client:
        show(f"\n{len(running)} jobs run, {client.llen(QUEUE)} wait in Redis.")
    show(f"  ✗ kill -9 {service.redis.pid}  (redis-server)")
    service.redis.kill()
    for job in running:
        job.open_gate()
    until(lambda: all("tried again" in worker.log for worker in service.workers), "workers miss Redis")
    for worker in service.workers:
        retry = next(line for line in worker.log.splitlines() if "tried again" in line)
        show(f"    worker {worker.name}: {retry.split(': ', 2)[-1]}")
    service.redis.start()
    show(f"  ✓ redis-server again, pid {service.redis.pid}\n")


def rehearse(layer: str, *, with_kill: bool) -> list[str]:
    """Run ten jobs; returns what went wrong."""
    tree = Tree()
    with RedisServer(kept=True) as redis, CeleryStage(redis, layer) as service:
        service.start()
        service.start_workers(*WORKERS, slots=SLOTS)
        show(f"\nThe {layer} layer. hordelink has authenticated to the dev facilitator, and two workers are ready:")
        gated = len(WORKERS) * SLOTS if with_kill else 0
        show(f"\nThe facilitator sends {JOBS} signed jobs.")
        jobs = [service.send(gated=number < gated, says=f"job {number + 1}") for number in range(JOBS)]
        tree.show(service)
        if with_kill:
            kill_redis(service, jobs[:gated])
        for number, job in enumerate(jobs):
            show_end(service, number + 1, job)
        service.finish()
        problems = [problem for job in jobs for problem in wrong_with(service, job)]
        problems += [f"{key} is left in Redis" for key in sorted(service.left_in_redis())]
        problems += [f"worker {worker.name} is left running" for worker in service.workers if worker.is_running()]
    return problems + [f"{process}, is left running" for process in tree.left()]


def wrong_with(service: CeleryStage, job: Job) -> list[str]:
    sent, told = service.sent(job.id), service.told(job.id)
    problems = []
    if told != ["received", *REPORTED]:
        problems.append(f"{job.id}: accepted in this order: {', '.join(told)}")
    if told[1:] != sent:
        problems.append(f"{job.id}: its worker sent {', '.join(sent)}")
    if job.runs != 1:
        problems.append(f"{job.id}: was executed {job.runs} times")
    return problems


def main() -> int:
    if reason := stage.missing() or redis_server.missing():
        show(f"demo-celery: {reason}")
        return 1
    try:
        problems = rehearse("core", with_kill=True) + rehearse("pubsub", with_kill=False)
    except AssertionError as error:
        problems = [str(error)]
    for problem in problems:
        show(f"demo-celery: {problem}")
    if problems:
        return 1
    show(
        f"\ndemo-celery: {2 * JOBS} jobs, each executed once by one of two Celery workers over each layer;"
        f" {2 * JOBS * (len(REPORTED) + 1)} statuses accepted, all in order, each once, nothing lost; redis-server was"
        " killed and came back; nothing is left in it or running"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
