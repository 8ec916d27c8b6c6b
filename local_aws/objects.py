"""S3 objects of the emulated account, read and written without a round trip over HTTP."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from moto.s3.models import FakeDeleteMarker, S3Backend, s3_backends

from local_aws.errors import LocalAwsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com")
LEFT_OUT = "cdk-"
"""Buckets that begin so hold what CDK's bootstrap brings, and a deployment brings again."""


@dataclass(frozen=True)
class Location:
    """A bucket, and a key or a prefix in it."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The location as ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"


def parse_uri(uri: str) -> Location:
    """Read ``s3://bucket/key`` or the HTTPS form that CDK's constructs write.

    Raises
    ------
    LocalAwsError
        If the text is neither.
    """
    parts = urlsplit(uri)
    if parts.scheme in {"s3", "s3a", "s3n"} and parts.netloc:
        # urlsplit would take '?' and '#' away, which keys may hold.
        return Location(parts.netloc, uri.split("://", 1)[1].partition("/")[2])
    host = S3_HOST.fullmatch(parts.netloc)
    if parts.scheme == "https" and host:
        path = unquote(parts.path.lstrip("/"))
        if host["bucket"]:
            return Location(host["bucket"], path)
        bucket, _, key = path.partition("/")
        return Location(bucket, key)
    raise LocalAwsError(f"'{uri}' is no S3 location: write s3://<bucket>/<key>")


class Objects:
    """The objects of one account."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region

    @property
    def backend(self) -> S3Backend:
        """Moto's store; looked up each time, since moto may be reset."""
        return s3_backends[self._account]["aws"]

    def buckets(self) -> list[str]:
        """Return the names of all buckets."""
        return sorted(self.backend.buckets)

    def list(self, location: Location) -> list[tuple[str, Any]]:
        """Return the current keys under a prefix with moto's record of each, by key.

        Raises
        ------
        LocalAwsError
            If the bucket does not exist.
        """
        return sorted(self._current(location), key=lambda item: item[0])

    def _current(self, location: Location) -> Iterator[tuple[str, Any]]:
        keys = self._keys(location)
        for name in list(keys):  # a copy: other threads write objects meanwhile
            if name.startswith(location.key):
                key = keys.get(name)
                if key is not None and not isinstance(key, FakeDeleteMarker):
                    yield name, key

    def _keys(self, location: Location) -> Any:
        bucket = self.backend.buckets.get(location.bucket)
        if bucket is None:
            raise LocalAwsError(f"NoSuchBucket: there is no bucket '{location.bucket}'")
        return bucket.keys

    def get(self, location: Location) -> Any:
        """Return moto's record of one object.

        Raises
        ------
        LocalAwsError
            If the bucket or the object does not exist.
        """
        key = self._keys(location).get(location.key)
        if key is None or isinstance(key, FakeDeleteMarker):
            raise LocalAwsError(f"NoSuchKey: there is no object {location.uri}")
        return key

    def download(self, location: Location, path: Path) -> None:
        """Write an object to a file, whose folder is made."""
        copy_to(self.get(location), path)

    def put(self, location: Location, body: bytes, *, notify: bool = True) -> Any:
        """Write an object; `notify` says whether S3's event is sent."""
        return self.backend.put_object(
            location.bucket, location.key, body, disable_notification=not notify
        )

    def upload(self, path: Path, location: Location) -> None:
        """Write a file as an object."""
        self.put(location, path.read_bytes())

    def delete(self, location: Location) -> None:
        """Delete an object, as a request without a version does."""
        self.backend.delete_object(location.bucket, location.key)

    def save(self, folder: Path) -> Iterator[dict[str, Any]]:
        """Return all objects, their content written to a folder under its hash."""
        for bucket in self.buckets():
            if bucket.startswith(LEFT_OUT):
                continue
            for key, record in self.list(Location(bucket, "")):
                body = record.value
                name = hashlib.sha256(body).hexdigest()
                (folder / name).write_bytes(body)
                yield {
                    "bucket": bucket,
                    "key": key,
                    "body": name,
                    "metadata": dict(record.metadata),
                    "modified": record.last_modified,
                }

    def restore(self, folder: Path, record: dict[str, Any]) -> None:
        """Bring an object back, with no event."""
        bucket = record["bucket"]
        if bucket not in self.backend.buckets:
            self.backend.create_bucket(bucket, self._region)
        body = (folder / record["body"]).read_bytes()
        made = self.put(Location(bucket, record["key"]), body, notify=False)
        made.set_metadata(record["metadata"])
        made.last_modified = record["modified"]


def copy_to(record: Any, path: Path) -> None:
    """Write the content of moto's record of an object to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, record.lock:
        record._value_buffer.seek(0)  # noqa: SLF001
        shutil.copyfileobj(record._value_buffer, file)  # noqa: SLF001


def inside(root: Path, relative: str) -> Path:
    """Return the path of a key below a folder.

    Raises
    ------
    LocalAwsError
        If the key would lead out of the folder.
    """
    path = root / relative
    if not relative or relative.startswith("/") or ".." in relative.split("/"):
        raise LocalAwsError(f"the key '{relative}' has no place below a folder: rename the object")
    return path
