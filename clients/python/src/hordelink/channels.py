"""A layer for Django Channels that brings status updates and machine specs to hordelink, and the rest to another layer.

Existing code goes on calling ``get_channel_layer().send(...)``:

    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "hordelink.channels.ChannelLayer",
            "CONFIG": {
                "runtime_directory": "/run/hordelink",
                "layer": {
                    "BACKEND": "channels_redis.core.RedisChannelLayer",
                    "CONFIG": {"hosts": [("127.0.0.1", 6379)]},
                },
            },
        },
    }
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from channels.exceptions import InvalidChannelLayerError
from channels.layers import BaseChannelLayer
from django.utils.module_loading import import_string

from ._link import DEFAULT_TIMEOUT
from .aio import send_message
from .errors import Refused

__all__ = ["ChannelLayer"]

_JOB_PREFIX = "job_status_updates__"
_SPECS_CHANNEL = "machine_spec_sending"

# It becomes a path, so no other form is taken; the service takes no other either.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ChannelLayer(BaseChannelLayer):  # type: ignore[misc]
    """Sends to ``job_status_updates__UUID`` and ``machine_spec_sending`` go to hordelink's sockets.

    They return once the message is durable, and raise what `hordelink.aio.send_status` raises: `Refused` for a message
    that is not stored and never will be, `JobClosed` for a new status after a job's last one, `Unreachable` when
    `timeout` is up. They never raise ``ChannelFull``: a service without room gives no answer, and they wait.

    Everything else, to receive, groups and flush included, is the other layer's.
    """

    def __init__(
        self,
        runtime_directory: str | os.PathLike[str] = "/run/hordelink",
        layer: Mapping[str, Any] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> None:
        """Build the layer, as CHANNEL_LAYERS configures it.

        :param runtime_directory: that of the service.
        :param layer: BACKEND and CONFIG of the layer for everything else; without one, nothing else can be sent.
        :param timeout: how many seconds each send to hordelink may take; None for as long as it takes.
        """
        super().__init__()
        self._runtime_directory = os.fspath(runtime_directory)
        self._timeout = timeout
        self._inner = None if layer is None else _build(layer)

    async def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """Send a message to a channel."""
        if channel == _SPECS_CHANNEL:
            path = os.path.join(self._runtime_directory, "specs.sock")
        elif isinstance(channel, str) and channel.startswith(_JOB_PREFIX):
            uuid = channel.removeprefix(_JOB_PREFIX)
            if not _UUID.fullmatch(uuid):
                text = f"{uuid!r} is not a job's UUID; give its 36 characters in lower case"
                raise Refused("wrong_job", text, f"channel {channel}")
            path = os.path.join(self._runtime_directory, "jobs", uuid, "worker.sock")
        else:
            await self._other(f"send to channel {channel}").send(channel, message)
            return
        if not isinstance(message, Mapping):
            raise TypeError(f"a message to channel {channel} must be a mapping, not {type(message).__name__}")
        await send_message(message, f"message to channel {channel}", path, self._timeout)

    async def receive(self, channel: str) -> Any:
        """Receive from the other layer. What was sent to hordelink comes nowhere else."""
        return await self._other(f"receive from channel {channel}").receive(channel)

    async def new_channel(self, *args: Any, **options: Any) -> Any:
        """Have the other layer name a channel."""
        return await self._other("name a new channel").new_channel(*args, **options)

    async def group_add(self, group: str, channel: str) -> None:
        """Add to a group of the other layer."""
        await self._other(f"add to group {group}").group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        """Remove from a group of the other layer."""
        await self._other(f"remove from group {group}").group_discard(group, channel)

    async def group_send(self, group: str, message: Mapping[str, Any]) -> None:
        """Send to a group of the other layer."""
        await self._other(f"send to group {group}").group_send(group, message)

    async def flush(self) -> None:
        """Forget what the other layer holds. What hordelink has stays."""
        await self._other("flush").flush()

    @property
    def extensions(self) -> list[str]:
        """Those of the other layer."""
        return list(getattr(self._inner, "extensions", ()))

    def __getattr__(self, name: str) -> Any:
        """What only the other layer has, such as channels-redis' close_pools."""
        if name.startswith("_") or self._inner is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._inner, name)

    def _other(self, purpose: str) -> Any:
        if self._inner is None:
            raise InvalidChannelLayerError(
                f"cannot {purpose}: hordelink.channels.ChannelLayer takes status updates and machine specs alone; "
                "configure the layer for everything else as CONFIG['layer'] in CHANNEL_LAYERS"
            )
        return self._inner


def _build(configuration: Mapping[str, Any]) -> Any:
    """Make the other layer as Channels makes those of CHANNEL_LAYERS."""
    backend = configuration.get("BACKEND")
    if not isinstance(backend, str):
        raise InvalidChannelLayerError("No BACKEND specified for CONFIG['layer'] of hordelink.channels.ChannelLayer")
    try:
        kind = import_string(backend)
    except ImportError as error:
        raise InvalidChannelLayerError(
            f"Cannot import BACKEND {backend!r} specified for CONFIG['layer'] of hordelink.channels.ChannelLayer"
        ) from error
    return kind(**configuration.get("CONFIG", {}))
