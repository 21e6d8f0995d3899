"""What the peer reads and sends, as pydantic models. Source: docs/PROTOCOL.md, Values and V2JobRequest."""

import base64
import enum
import functools
import hashlib
import json
from typing import Any, Literal, Self

import pydantic
import sr25519


class Word(enum.StrEnum):
    """A text of a vocabulary; one that is not in it counts as unknown."""

    @classmethod
    def _missing_(cls, _value: object) -> Self:
        return cls("unknown")


class Status(Word):
    """What has become of a job."""

    UNKNOWN = "unknown"
    SENT = "sent"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    EXECUTOR_READY = "executor_ready"
    STREAMING_READY = "streaming_ready"
    VOLUMES_READY = "volumes_ready"
    EXECUTION_DONE = "execution_done"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"
    HORDE_FAILED = "horde_failed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows it."""
        return self in {Status.COMPLETED, Status.REJECTED, Status.FAILED, Status.HORDE_FAILED}


class Participant(Word):
    """Who took part in what an update tells."""

    UNKNOWN = "unknown"
    SDK = "sdk"
    FACILITATOR = "facilitator"
    VALIDATOR = "validator"
    MINER = "miner"
    EXECUTOR = "executor"


class Stage(Word):
    """How far a job had come when it failed."""

    UNKNOWN = "unknown"
    EXECUTOR_STARTUP = "executor_startup"
    VOLUME_DOWNLOAD = "volume_download"
    STREAMING_STARTUP = "streaming_startup"
    EXECUTION = "execution"
    RESULT_UPLOAD = "result_upload"


class RejectionReason(Word):
    """Why a job was not taken on."""

    UNKNOWN = "unknown"
    BUSY = "busy"
    INVALID_SIGNATURE = "invalid_signature"
    NO_MINER_FOR_JOB = "no_miner_for_job"
    VALIDATOR_BLACKLISTED = "validator_blacklisted"


class FailureReason(Word):
    """Why the job itself failed."""

    UNKNOWN = "unknown"
    TIMEOUT = "timeout"
    NONZERO_RETURN_CODE = "nonzero_return_code"
    DOWNLOAD_FAILED = "download_failed"
    UPLOAD_FAILED = "upload_failed"


class HordeFailureReason(Word):
    """Why everything around the job failed it; the commonest of them."""

    UNKNOWN = "unknown"
    GENERIC_ERROR = "generic_error"
    UNHANDLED_EXCEPTION = "unhandled_exception"
    UNHANDLED_TIMEOUT = "unhandled_timeout"
    MINER_CONNECTION_FAILED = "miner_connection_failed"
    EXECUTION_TIMED_OUT = "execution_timed_out"
    SECURITY_CHECK_FAILED = "security_check_failed"


class Open(pydantic.BaseModel):
    """A model that keeps fields it does not know."""

    model_config = pydantic.ConfigDict(extra="allow")


class Closed(pydantic.BaseModel):
    """A model that refuses fields it does not know."""

    model_config = pydantic.ConfigDict(extra="forbid")


class MinerResponse(Open):
    """What a miner said at the end."""

    docker_process_stderr: str
    docker_process_stdout: str
    artifacts: dict[str, str] | None = None
    upload_results: dict[str, str] | None = None


class RejectionDetails(pydantic.BaseModel):
    """Why a job was not taken on, and by whom."""

    rejected_by: Participant
    reason: RejectionReason
    message: str
    context: pydantic.JsonValue = None


class FailureDetails(pydantic.BaseModel):
    """How a job failed."""

    reason: FailureReason
    stage: Stage
    message: str
    context: pydantic.JsonValue = None
    docker_process_exit_status: int | None = None
    docker_process_stdout: str | None = None
    docker_process_stderr: str | None = None


class HordeFailureDetails(pydantic.BaseModel):
    """How everything around a job failed it."""

    reported_by: Participant
    reason: HordeFailureReason
    message: str
    context: pydantic.JsonValue = None


class StreamingDetails(Closed):
    """Where a job's stream is."""

    streaming_server_cert: str | None = None
    streaming_server_address: str | None = None
    streaming_server_port: int | None = None


class Metadata(Open):
    """What an update has beside its status."""

    miner_response: MinerResponse | None = None
    job_rejection_details: RejectionDetails | None = None
    job_failure_details: FailureDetails | None = None
    horde_failure_details: HordeFailureDetails | None = None
    streaming_details: StreamingDetails | None = None


class StatusUpdate(Closed):
    """What a worker reports, as it goes on to the facilitator."""

    message_type: Literal["V0JobStatusUpdate"] = "V0JobStatusUpdate"
    uuid: str
    status: Status
    metadata: Metadata | None = None


class Envelope(pydantic.BaseModel):
    """What comes on a job's channel."""

    type: Literal["job_status_update"] = "job_status_update"
    payload: StatusUpdate


class Error(Open):
    """Why the facilitator refuses something."""

    msg: str
    type: str
    help: str = ""


class Response(Closed):
    """The facilitator's answer to each update."""

    status: Literal["success", "error"]
    errors: list[Error] = []


class Signature(Closed):
    """Who asks, when, and the proof of it."""

    signature_type: str
    signatory: str
    timestamp_ns: int
    signature: str
    signature_scope: str


class JobRequest(Closed):
    """A job. The benchmark's have no volume, no upload and no stream."""

    signature: Signature
    type: Literal["job.new"] = "job.new"
    message_type: Literal["V2JobRequest"]
    uuid: str
    job_namespace: str | None = None
    executor_class: str
    docker_image: str
    args: list[str]
    env: dict[str, str]
    use_gpu: bool = True
    volume: None = None
    output_upload: None = None
    artifacts_dir: str | None = None
    on_trusted_miner: bool = False
    download_time_limit: int
    execution_time_limit: int
    upload_time_limit: int
    streaming_start_time_limit: int
    streaming_details: None = None

    @property
    def is_signed(self) -> bool:
        """Whether its signatory has signed it."""
        fields = self.model_dump(
            include={
                "executor_class",
                "docker_image",
                "args",
                "env",
                "use_gpu",
                "artifacts_dir",
                "on_trusted_miner",
                "download_time_limit",
                "execution_time_limit",
                "upload_time_limit",
                "streaming_start_time_limit",
                "streaming_details",
            }
        )
        fields |= {"artifacts_dir": self.artifacts_dir or "", "volumes": [], "uploads": []}
        text = json.dumps(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))
        signed = hashlib.blake2b(self.signature.timestamp_ns.to_bytes(8, "big") + text.encode()).digest()
        key = _public_key(self.signature.signatory)
        return bool(sr25519.verify(base64.b64decode(self.signature.signature), signed, key))


class CheatReport(Closed):
    """The facilitator's word that a miner has cheated."""

    signature: Signature
    type: Literal["job.cheated"] = "job.cheated"
    message_type: Literal["V0JobCheated"]
    job_uuid: str
    trusted_job_uuid: str
    details: dict[str, Any] | None = None


@functools.cache
def _public_key(address: str) -> bytes:
    """Give the 32 bytes that an ss58 address names; they stand between a byte of prefix and two of a checksum."""
    number = 0
    for letter in address:
        number = number * 58 + "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".index(letter)
    return number.to_bytes(35, "big")[1:33]
