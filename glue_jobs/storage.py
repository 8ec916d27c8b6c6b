"""Small files beside the tables, through Hadoop's own file systems.

So that ``s3://`` on AWS, ``s3://`` on the emulator and ``file://`` in a test take one path.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
