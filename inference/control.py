"""What the supervisor and its workers tell each other, over one socket per worker.

A worker passes on what a caller of ``/models`` asked for; the supervisor has every worker do it and
answers once all have, so that a model loaded through one worker is served by all.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Literal

import orjson

_MAX_MESSAGE = 64 * 1024  # bytes


@dataclass(frozen=True, kw_only=True)
class Ask:
    """From a worker: a caller wants a model loaded or unloaded; answered by `Told`."""

    ask: int
    verb: Literal["load", "unload"]
    name: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Told:
    """To a worker: how what it asked for ended, as an HTTP status and a sentence."""

    ask: int
    status: int
    message: str


@dataclass(frozen=True, kw_only=True)
class Do:
    """To a worker: load or unload a model, or start to serve; answered by `Done`."""

    task: int
    verb: Literal["load", "unload", "serve"]
    name: str = ""
    url: str = ""
    verify: bool = False


@dataclass(frozen=True, kw_only=True)
class Done:
    """From a worker: a task is done, or failed with an HTTP status and a reason."""

    task: int
    status: int = 200
    message: str = ""


Message = Ask | Told | Do | Done
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Ask, Told, Do, Done)}


class Channel:
    """One end of the socket between supervisor and worker; it keeps message boundaries."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        end.setblocking(False)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Return two connected ends."""
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send a message; one to an end that is gone is dropped."""
        if self.fileno() < 0:
            return  # closed, since the other end is gone
        fields: dict[str, Any] = {"kind": type(message).__name__, **vars(message)}
        try:
            self._socket.send(orjson.dumps(fields), socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            return  # whoever reads this channel sees its end, and deals with it there

    def receive(self) -> Message | None:
        """Return the next message, which must be there; None once the other end is gone."""
        try:
            data = self._socket.recv(_MAX_MESSAGE)
        except ConnectionResetError:
            return None
        if not data:
            return None
        fields = orjson.loads(data)
        return _KINDS[fields.pop("kind")](**fields)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
