"""A copy of S3 prefixes on disk for one Spark job, and the job's changes back to S3.

Spark reads ``s3://`` paths through Hadoop's own view file system, which maps a bucket to a folder
(no S3 client is needed, nor a changed script). Only the prefixes that the job's arguments name
are copied down. Afterwards whatever changed goes up in the order in which it was written, so that
a manifest that a job writes last also appears last; what the job deleted is deleted; a failed
job's partial output goes up too, as it would stand in S3.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from local_aws.objects import Location, Objects, copy_to, inside, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

S3_URI = re.compile(r"s3[an]?://[^\s,;'\"]+")
CHECKSUM = ".crc"
"""Suffix of the checksum files that Hadoop's local file system writes beside its files."""


def named_locations(values: Iterable[str]) -> list[Location]:
    """Return the S3 locations that occur in the values of a job's arguments."""
    found = {parse_uri(uri) for value in values for uri in S3_URI.findall(value)}
    return sorted(found, key=lambda location: location.uri)


@dataclass(frozen=True)
class _State:
    written: int
    """Time of the last change, nanoseconds."""
    size: int


class Mirror:
    """The folder ``<root>/<bucket>/<key>`` of one job."""

    def __init__(self, root: Path, objects: Objects) -> None:
        self.root = root
        self._objects = objects
        self._before: dict[Location, _State] = {}

    def down(self, locations: Iterable[Location]) -> None:
        """Copy the named prefixes; every bucket gets a folder, so that its name resolves."""
        for bucket in self._objects.buckets():
            (self.root / bucket).mkdir(parents=True)
        for location in locations:
            for key, record in self._objects.list(location):
                path = inside(self.root / location.bucket, key)
                if key.endswith("/"):
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                copy_to(record, path)
                # Jobs ask which of two objects is the newer.
                changed = record.last_modified.replace(tzinfo=UTC).timestamp()
                os.utime(path, (changed, changed))
                self._before[Location(location.bucket, key)] = _state(path)

    def up(self) -> None:
        """Write what the job changed back to S3."""
        after = {
            Location(folder.name, path.relative_to(folder).as_posix()): path
            for folder in self.root.iterdir()
            for path in folder.rglob("*")
            if path.is_file() and not path.name.endswith(CHECKSUM)
        }
        states = {location: _state(path) for location, path in after.items()}
        changed = [place for place in after if states[place] != self._before.get(place)]
        for location in sorted(changed, key=lambda place: (states[place].written, place.uri)):
            self._objects.upload(after[location], location)
        for location in self._before.keys() - after.keys():
            self._objects.delete(location)


def _state(path: Path) -> _State:
    status = path.stat()
    return _State(status.st_mtime_ns, status.st_size)
