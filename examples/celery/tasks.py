"""A Celery worker that runs hordelink's jobs and reports how they go on over Django's channel layer.

Started as README.md has it: celery -A tasks worker
"""

import os
import random
import subprocess
import time
from typing import Any

from asgiref.sync import async_to_sync
from celery import Celery
from celery.utils.log import get_task_logger
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from django.conf import settings
from redis.exceptions import RedisError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

logger = get_task_logger(__name__)

app = Celery("tasks", broker=settings.REDIS_URL, backend=settings.REDIS_URL)
app.conf.update(
    task_default_queue="organic_jobs",
    # A worker takes a job from the queue when it can run it, and none to wait behind one that takes hours.
    worker_disable_prefetch=True,
    # A Redis that is away is waited for, also at the start.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)

# How long a report that cannot be sent is tried for, in seconds.
REPORT_SECONDS = 600.0


def report(uuid: str, status: str, metadata: dict[str, Any] | None = None) -> None:
    """Report a job's status, and again while Redis is away.

    A report may be sent twice, since the answer to the first may have been lost; hordelink counts it once.
    """
    payload = {"message_type": "V0JobStatusUpdate", "uuid": uuid, "status": status, "metadata": metadata}
    message = {"type": "job_status_update", "payload": payload}
    give_up = time.monotonic() + REPORT_SECONDS
    pause = 0.1
    while True:
        try:
            async_to_sync(get_channel_layer().send)(f"job_status_updates__{uuid}", message)
        except (RedisError, OSError, ChannelFull) as error:
            if time.monotonic() + pause > give_up:
                raise
            logger.warning("job %s: %s is not sent, and tried again: %s: %s", uuid, status, type(error).__name__, error)
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, 5.0)
        else:
            logger.info("job %s: %s sent", uuid, status)
            return


@app.task
def run_job(job_request: dict[str, Any], *_extra: object) -> None:
    """Run one job to its end.

    What it raises ends the job as horde_failed with the error's text. Further arguments are what `extra_args` in
    hordelink.toml names.
    """
    uuid = job_request["uuid"]
    report(uuid, "accepted")
    # Here a validator finds a machine for the job, starts its executor, and has it fetch the volumes.
    report(uuid, "executor_ready")
    report(uuid, "volumes_ready")
    # The job's arguments, run as a command of this machine, stand for its container: who signs jobs runs commands here.
    seconds = job_request["execution_time_limit"]
    try:
        ended = subprocess.run(  # noqa: S603
            job_request["args"], check=False, capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except subprocess.TimeoutExpired:
        message = f"the job has not ended within {seconds} s"
        details = {"reason": "timeout", "stage": "execution", "message": message}
        report(uuid, "failed", {"job_failure_details": details})
        return
    output = {"docker_process_stdout": ended.stdout, "docker_process_stderr": ended.stderr}
    if ended.returncode != 0:
        message = f"the job ended with exit code {ended.returncode}"
        details = {"reason": "nonzero_return_code", "stage": "execution", "message": message}
        exit_status = {"docker_process_exit_status": ended.returncode}
        report(uuid, "failed", {"job_failure_details": details | exit_status | output})
        return
    report(uuid, "execution_done")
    # Here its results are uploaded.
    report(uuid, "completed", {"miner_response": output})


@app.task
def on_status_update(update: dict[str, Any]) -> None:
    """Hear of what hordelink has stored, where hordelink.toml has on_status_update_task; some of it comes again."""
    logger.info("job %s: %s stored", update["uuid"], update["status"])


@app.task
def on_cheated(report: dict[str, Any]) -> None:
    """Hear of a cheat report whose signature holds, where hordelink.toml has on_cheated_task."""
    logger.warning("job %s: cheated, says trusted job %s", report["job_uuid"], report["trusted_job_uuid"])
