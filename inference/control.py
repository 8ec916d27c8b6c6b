"""What the supervisor and its workers tell each other, over one socket per worker.

A worker passes on what a caller of ``/models`` asked for; the supervisor has every worker do it and
answers once all have, so that a model loaded through one worker is served by all. Callers'
connections come the same way: the supervisor accepts them and deals them out in turn, since workers
that accept for themselves end up with all connections on one.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Literal

import orjson

_MAX_MESSAGE = 64 * 1024  # bytes
_CONNECTION = b"connection"  # a descriptor needs some bytes to travel with


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


@dataclass(frozen=True, kw_only=True)
class Taken:
    """From a worker: a connection that it was given is in its hands."""


Message = Ask | Told | Do | Done | Taken
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Ask, Told, Do, Done, Taken)}


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

    def give(self, connection: socket.socket) -> bool:
        """Hand a connection over; tell whether the other end can take it."""
        try:
            socket.send_fds(self._socket, [_CONNECTION], [connection.fileno()])
        except OSError:
            return False
        return True

    def receive(self) -> Message | socket.socket | None:
        """Return the next message or connection, which must be there.

        None once the other end is gone.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, _MAX_MESSAGE, 1)
        except ConnectionResetError:
            return self.receive()  # said once of an end that is gone; what it sent before follows
        if descriptors:
            return socket.socket(fileno=descriptors[0])
        if not data:
            return None
        fields = orjson.loads(data)
        return _KINDS[fields.pop("kind")](**fields)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
