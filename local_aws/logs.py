"""CloudWatch Logs: log files copied into streams, so that clients read them as on AWS."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.logs.models import logs_backends

from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass
class LogStream:
    """A log file that is copied into a stream."""

    group: str
    stream: str
    path: Path
    _copied: int = 0
    """Bytes of the file that the stream has."""

    def __post_init__(self) -> None:
        """Begin at the file's end: what is there is another run's."""
        self._copied = self.path.stat().st_size if self.path.exists() else 0

    def publish(self, *, last: bool = False) -> None:
        """Copy the lines that were added; a line without an end only when it is the last."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._copied)
            content = file.read()
        whole = content if last else content[: content.rfind(b"\n") + 1]
        self._copied += len(whole)
        lines = whole.decode("utf-8", errors="replace").splitlines()
        put_log_lines(group=self.group, stream=self.stream, lines=lines)


def put_log_lines(*, group: str, stream: str, lines: Iterable[str]) -> None:
    """Append lines to a log stream; group and stream are made if they are not there."""
    now = int(time.time() * 1000)
    _put(group, stream, [(now, line) for line in lines if line])


def _put(group: str, stream: str, events: Iterable[tuple[int, str]]) -> None:
    backend = _backend()
    if group not in backend.groups:
        backend.create_log_group(group, {})
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    put = [{"timestamp": when, "message": text} for when, text in events]
    if put:
        backend.put_log_events(group, stream, put)


def save() -> Iterator[dict[str, Any]]:
    """Return the lines of all streams."""
    for group in _backend().groups.values():
        for stream in group.streams.values():
            events = [[event.timestamp, event.message] for event in stream.events]
            yield {"group": group.name, "stream": stream.log_stream_name, "events": events}


def restore(record: dict[str, Any]) -> None:
    """Bring a stream back if it is not there."""
    group = _backend().groups.get(record["group"])
    if group is None or record["stream"] not in group.streams:
        _put(**record)


def _backend() -> Any:
    return logs_backends[ACCOUNT][REGION]
