"""What a job's worker imports to report to hordelink.

>>> import hordelink
>>> hordelink.send_status("accepted")  # doctest: +SKIP

`send_status` and `send_specs` report once, `Channel` and `SpecsChannel` keep a connection; `hordelink.aio` has their
twins for asyncio, `hordelink.channels` a layer for Django Channels.
"""

from ._blocking import Channel, SpecsChannel, send_specs, send_status
from ._link import DEFAULT_SPECS_SOCKET, DEFAULT_TIMEOUT
from .aio import AsyncChannel, AsyncSpecsChannel
from .errors import Closed, HordelinkError, JobClosed, NotConfigured, ProtocolError, Refused, Unreachable
from .types import Metadata, Status, StatusMetadata, TerminalStatus

__all__ = [
    "DEFAULT_SPECS_SOCKET",
    "DEFAULT_TIMEOUT",
    "AsyncChannel",
    "AsyncSpecsChannel",
    "Channel",
    "Closed",
    "HordelinkError",
    "JobClosed",
    "Metadata",
    "NotConfigured",
    "ProtocolError",
    "Refused",
    "SpecsChannel",
    "Status",
    "StatusMetadata",
    "TerminalStatus",
    "Unreachable",
    "send_specs",
    "send_status",
]
