"""Small files beside the tables, through Hadoop's own file systems.

So that ``s3://`` on AWS, ``s3://`` on the emulator and ``file://`` in a test take one path.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


READ_AHEAD = 1 << 16  # bytes


@dataclass(frozen=True)
class Entry:
    """A file or folder: its name, and when it was last changed in milliseconds since 1970."""

    name: str
    is_folder: bool
    modified: int


@dataclass(frozen=True)
class Storage:
    """The files under a root URI, by their keys relative to it."""

    spark: SparkSession
    root: str

    def uri(self, key: str) -> str:
        """Return the URI of a key."""
        return f"{self.root.rstrip('/')}/{key}"

    def entries(self, key: str) -> list[Entry]:
        """Return what lies directly in a folder, sorted by name; nothing if there is none."""
        path, system = self._path(key)
        if not system.exists(path):
            return []
        return sorted(
            (
                Entry(s.getPath().getName(), s.isDirectory(), s.getModificationTime())
                for s in system.listStatus(path)
            ),
            key=lambda entry: entry.name,
        )

    def hashes(self, key: str) -> dict[str, str]:
        """Return the SHA-256 of every file under a folder by its key, each read once."""
        found: dict[str, str] = {}
        for entry in self.entries(key):
            inside = f"{key.rstrip('/')}/{entry.name}"
            found |= self.hashes(inside) if entry.is_folder else {inside: self._hash(inside)}
        return found

    def _hash(self, key: str) -> str:
        path, system = self._path(key)
        stream = system.open(path)
        try:
            return str(self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
        finally:
            stream.close()

    def reader(self, key: str) -> io.BufferedReader:
        """Return a file to read from wherever one seeks, such as at the end of parquet."""
        path, system = self._path(key)
        size = system.getFileStatus(path).getLen()
        return io.BufferedReader(_Reader(self._jvm, system.open(path), size), READ_AHEAD)

    def exists(self, key: str) -> bool:
        """Tell whether there is a file or folder."""
        path, system = self._path(key)
        return bool(system.exists(path))

    def read_json(self, key: str) -> Any:
        """Return the content of a JSON file; None if there is no such file."""
        path, system = self._path(key)
        if not system.exists(path):
            return None
        stream = system.open(path)
        try:
            content = self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)
        finally:
            stream.close()
        return json.loads(bytes(content))

    def write_json(self, key: str, document: Any) -> None:
        """Write a JSON file, replacing one that is there."""
        path, system = self._path(key)
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        stream = system.create(path, True)
        try:
            stream.write(bytearray(text.encode() + b"\n"))
        finally:
            stream.close()

    @property
    def _jvm(self) -> Any:
        return self.spark._jvm

    def _path(self, key: str) -> tuple[Any, Any]:
        path = self._jvm.org.apache.hadoop.fs.Path(self.uri(key))
        configuration = self.spark._jsc.hadoopConfiguration()
        return path, path.getFileSystem(configuration)


class _Reader(io.RawIOBase):
    """A stream of Hadoop's as a file of Python's."""

    def __init__(self, jvm: Any, stream: Any, size: int) -> None:
        self._jvm = jvm
        self._stream = stream
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._place)
        if wanted <= 0:
            return 0
        self._stream.seek(self._place)
        found = self._jvm.org.apache.commons.io.IOUtils.toByteArray(self._stream, wanted)
        buffer[:wanted] = bytes(found)
        self._place += wanted
        return wanted

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
