"""A job's statuses and what can be said with them, for type checkers; nothing of it is checked when a program runs.

The service checks every field (docs/PROTOCOL.md, Values). A status it does not know counts as ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

TerminalStatus = Literal["completed", "rejected", "failed", "horde_failed"]
"""The last status of a job: nothing new is taken after it."""

Status = Literal[
    "unknown",
    "sent",
    "received",
    "accepted",
    "executor_ready",
    "streaming_ready",
    "volumes_ready",
    "execution_done",
    TerminalStatus,
]
"""What has become of a job."""

Participant = Literal["unknown", "sdk", "facilitator", "validator", "miner", "executor"]

JobStage = Literal["unknown", "executor_startup", "volume_download", "streaming_startup", "execution", "result_upload"]


class MinerResponse(TypedDict):
    """What a miner answered. More fields are kept."""

    docker_process_stderr: str
    docker_process_stdout: str
    artifacts: NotRequired[dict[str, str] | None]
    upload_results: NotRequired[dict[str, str] | None]


class JobRejectionDetails(TypedDict):
    """Why a job was not taken on."""

    rejected_by: Participant
    reason: Literal["unknown", "busy", "invalid_signature", "no_miner_for_job", "validator_blacklisted"]
    message: str
    context: NotRequired[Any]


class JobFailureDetails(TypedDict):
    """Why the job itself failed."""

    reason: Literal["unknown", "timeout", "nonzero_return_code", "download_failed", "upload_failed"]
    stage: JobStage
    message: str
    context: NotRequired[Any]
    docker_process_exit_status: NotRequired[int | None]
    docker_process_stdout: NotRequired[str | None]
    docker_process_stderr: NotRequired[str | None]


class HordeFailureDetails(TypedDict):
    """Why everything around the job failed it."""

    reported_by: Participant
    reason: Literal[
        "unknown",
        "generic_error",
        "unhandled_exception",
        "unhandled_timeout",
        "streaming_failed",
        "miner_connection_failed",
        "initial_response_timed_out",
        "executor_readiness_response_timed_out",
        "volumes_timed_out",
        "streaming_job_ready_timed_out",
        "execution_timed_out",
        "final_response_timed_out",
        "executor_spinup_failed",
        "executor_disconnected",
        "security_check_failed",
    ]
    message: str
    context: NotRequired[Any]


class StreamingDetails(TypedDict, total=False):
    """Where a streaming job serves."""

    streaming_server_cert: str | None
    streaming_server_address: str | None
    streaming_server_port: int | None


class StatusMetadata(TypedDict, total=False):
    """What a status update says beside the status."""

    miner_response: MinerResponse | None
    job_rejection_details: JobRejectionDetails | None
    job_failure_details: JobFailureDetails | None
    horde_failure_details: HordeFailureDetails | None
    streaming_details: StreamingDetails | None


Metadata: TypeAlias = StatusMetadata | Mapping[str, Any]
"""`StatusMetadata`, or any other mapping, which is passed on as it is."""
