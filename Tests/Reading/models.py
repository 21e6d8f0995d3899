"""The facilitator's signed messages as the originals' pydantic models. Source: docs/PROTOCOL.md, V2JobRequest."""

import base64
import enum
from typing import Annotated, Literal

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, PlainSerializer


class Open(pydantic.BaseModel):
    """Ignores names that it does not know."""


class Closed(pydantic.BaseModel):
    """Refuses names that it does not know."""

    model_config = ConfigDict(extra="forbid")


def _decoded(value: object) -> object:
    return base64.b64decode(value) if isinstance(value, str) else value


Base64 = Annotated[bytes, BeforeValidator(_decoded), PlainSerializer(lambda value: base64.b64encode(value).decode())]


class Scope(enum.StrEnum):
    """What a signature covers."""

    SIGNED_FIELDS = "SignedFields"
    FULL_REQUEST = "FullRequest"


class Signature(Closed):
    """Who asks, when, and the proof of it."""

    signature_type: str = ""
    signatory: str = ""
    timestamp_ns: int = 0
    signature: Base64
    signature_scope: Scope = Scope.SIGNED_FIELDS


class HuggingfaceVolume(Open):
    """A repository."""

    volume_type: Literal["huggingface_volume"] = "huggingface_volume"
    repo_id: str
    repo_type: str | None = None
    revision: str | None = None
    relative_path: str | None = None
    allow_patterns: str | list[str] | None = None
    token: str | None = None


class InlineVolume(Open):
    """A zip file in base64."""

    volume_type: Literal["inline"] = "inline"
    contents: str
    relative_path: str | None = None


class ZipUrlVolume(Open):
    """A zip file elsewhere."""

    volume_type: Literal["zip_url"] = "zip_url"
    contents: str
    relative_path: str | None = None


class SingleFileVolume(Open):
    """A file elsewhere."""

    volume_type: Literal["single_file"] = "single_file"
    url: str
    relative_path: str


SingleVolume = HuggingfaceVolume | InlineVolume | ZipUrlVolume | SingleFileVolume


class MultiVolume(Open):
    """Several of them."""

    volume_type: Literal["multi_volume"] = "multi_volume"
    volumes: list[Annotated[SingleVolume, Field(discriminator="volume_type")]]


class SingleFilePost(Open):
    """One file of the output, by POST."""

    output_upload_type: Literal["single_file_post"] = "single_file_post"
    url: str
    form_fields: dict[str, str] | None = None
    relative_path: str
    signed_headers: dict[str, str] | None = None


class SingleFilePut(Open):
    """One file of the output, by PUT."""

    output_upload_type: Literal["single_file_put"] = "single_file_put"
    url: str
    relative_path: str
    signed_headers: dict[str, str] | None = None


class ZipPost(Open):
    """The whole output, by POST."""

    output_upload_type: Literal["zip_and_http_post"] = "zip_and_http_post"
    url: str
    form_fields: dict[str, str] | None = None


class ZipPut(Open):
    """The whole output, by PUT."""

    output_upload_type: Literal["zip_and_http_put"] = "zip_and_http_put"
    url: str


class MultiUpload(Open):
    """Several files of the output."""

    output_upload_type: Literal["multi_upload"] = "multi_upload"
    uploads: list[Annotated[SingleFilePost | SingleFilePut, Field(discriminator="output_upload_type")]]
    system_output: ZipPost | ZipPut | None = None


class StreamingDetails(Open):
    """For whom the output is streamed."""

    public_key: str
    executor_ip: str | None = None


class ExecutorClass(enum.StrEnum):
    """The kinds of machine."""

    SPIN_UP = "spin_up-4min.gpu-24gb"
    ALWAYS_ON = "always_on.gpu-24gb"
    LLM = "always_on.llm.a6000"
    TEST = "always_on.test"
    CPU = "always_on.cpu.8c.16gb"


class JobRequest(Closed):
    """A job."""

    signature: Signature | None = None
    type: Literal["job.new"] = "job.new"
    message_type: Literal["V2JobRequest"]
    uuid: str
    job_namespace: str | None = None
    executor_class: ExecutorClass
    docker_image: str
    args: list[str]
    env: dict[str, str]
    use_gpu: bool = True
    volume: Annotated[SingleVolume | MultiVolume, Field(discriminator="volume_type")] | None = None
    output_upload: (
        Annotated[
            SingleFilePost | SingleFilePut | ZipPost | ZipPut | MultiUpload, Field(discriminator="output_upload_type")
        ]
        | None
    ) = None
    artifacts_dir: str | None = None
    on_trusted_miner: bool = False
    download_time_limit: int
    execution_time_limit: int
    upload_time_limit: int
    streaming_start_time_limit: int
    streaming_details: StreamingDetails | None = None


class CheatReport(Closed):
    """The word that a job's result was forged."""

    signature: Signature | None = None
    type: Literal["job.cheated"] = "job.cheated"
    message_type: Literal["V0JobCheated"]
    job_uuid: str
    trusted_job_uuid: str
    details: JsonValue
