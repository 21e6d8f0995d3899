"""Workers, Redis and each of our processes killed while jobs run."""

from __future__ import annotations

import os
import random

from redis_server import RedisServer

from rig import CeleryStage, until

# Where Celery puts aside what a worker has popped, for an hour when that cannot say that it has begun it.
UNACKNOWLEDGED = {"unacked", "unacked_index"}

SEED = int(os.environ.get("HORDELINK_TEST_SEED") or random.SystemRandom().getrandbits(32))


def have_tried_again(service: CeleryStage) -> bool:
    return all("tried again" in worker.log for worker in service.workers)


def test_a_killed_worker_leaves_its_job_to_the_deadline(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer, queue_seconds=3, grace_seconds=0) as service:
        service.start()
        service.start_workers("one", slots=1)
        job = service.send(gated=True, limits=(1, 2, 1, 0))
        job.wait_until_it_runs()
        service.workers[0].kill()
        service.start_workers("two")
        assert service.end(job.id)[-1] == "horde_failed"
        service.finish()
        service.expect_one_end(job)
        assert job.runs == 1


def test_what_was_sent_outlives_a_redis_that_keeps_it(kept_redis: RedisServer) -> None:
    with CeleryStage(kept_redis, "core") as service:
        service.start()
        service.start_workers("one", "two", slots=2)
        jobs = [service.send(gated=number < 4) for number in range(10)]
        for job in jobs[:4]:
            job.wait_until_it_runs()
        kept_redis.kill()
        for job in jobs[:4]:
            job.open_gate()
        until(lambda: have_tried_again(service), "reports have failed")
        kept_redis.start()
        for job in jobs:
            service.end(job.id, 60)
        service.finish()
        service.expect_completed(*jobs)
        assert service.left_in_redis() == set()


def test_a_redis_killed_at_any_moment_costs_no_report_that_a_worker_was_told_is_sent(kept_redis: RedisServer) -> None:
    print(f"HORDELINK_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    # Celery itself may lose a task that a worker has popped and not yet put aside: its job ends at the deadline.
    with CeleryStage(kept_redis, "core", queue_seconds=20, grace_seconds=0) as service:
        service.start()
        service.start_workers("one", "two", slots=1)
        jobs = [service.send(limits=(1, 5, 1, 0)) for _ in range(12)]
        for _ in range(3):
            # The next kill comes after some more reports.
            service.wait_for_some(dice.randrange(1, 12))
            kept_redis.kill()
            kept_redis.start()
        for job in jobs:
            service.end(job.id, 60)
        service.finish()
        service.expect_one_end(*jobs)
        for job in jobs:
            sent = service.sent(job.id)
            assert service.told(job.id)[1 : 1 + len(sent)] == sent
        assert service.left_in_redis() <= UNACKNOWLEDGED


def test_every_job_ends_once_when_redis_forgets(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer, queue_seconds=6, grace_seconds=0) as service:
        service.start()
        service.start_workers("one", "two", slots=1)
        jobs = [service.send(gated=number < 2, limits=(1, 4, 1, 0)) for number in range(6)]
        for job in jobs[:2]:
            job.wait_until_it_runs()
        redis.kill()
        for job in jobs[:2]:
            job.open_gate()
        until(lambda: have_tried_again(service), "reports have failed")
        redis.start()
        for job in jobs:
            service.end(job.id, 60)
        service.finish()
        service.expect_one_end(*jobs)
        assert all(job.runs <= 1 for job in jobs)


def test_a_killed_service_hears_what_comes_later(redis: RedisServer, layer: str) -> None:
    with CeleryStage(redis, layer) as service:
        service.start()
        service.start_workers("one", "two", slots=2)
        jobs = [service.send(gated=True) for _ in range(4)]
        for job in jobs:
            job.wait_until_it_runs()
        names = [job.id for job in jobs]
        assert service.kill("uplink")
        service.wait_until_ready(names)
        for name in names:
            assert service.kill("listener", name)
        service.wait_until_ready(names)
        service.kill_supervisor()
        service.start()
        # What is published while nobody hears the pubsub layer is gone.
        service.wait_until_ready(names)
        for job in jobs:
            job.open_gate()
        for job in jobs:
            service.end(job.id)
        service.finish()
        service.expect_completed(*jobs)
        assert service.left_in_redis() == set()


def test_our_processes_killed_all_the_time_cost_no_report_of_the_core_layer(redis: RedisServer) -> None:
    print(f"HORDELINK_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    with CeleryStage(redis, "core") as service:
        service.start()
        service.start_workers("one", "two")
        jobs = [service.send() for _ in range(30)]
        kills = dict.fromkeys(["supervisor", "uplink", "listener"], 0)
        while open_jobs := [job for job in jobs if not service.has_ended(job.id)]:
            name = dice.choices(list(kills), [1, 4, 10])[0]
            if name == "supervisor":
                service.kill_supervisor()
                service.start()
                kills[name] += 1
            else:
                kills[name] += service.kill(name, dice.choice(open_jobs).id if name == "listener" else None)
            service.take_events()
        print(f"kills: {kills}")
        assert sum(kills.values()) > 0
        service.finish()
        service.expect_completed(*jobs)
        assert service.left_in_redis() == set()
