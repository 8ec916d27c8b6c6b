"""The frame of an archive: its manifest, the files that it names, their hashes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from listening.archive.hashes import content_version, digest
from listening.archive.tarball import leads_out
from listening.errors import ArchiveError
from listening.resources import MANIFEST, PRIOR_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

FORMAT_VERSION = 3
PRIOR = "prior"
"""Last part of the kind of every system's archive before any training."""
TEXT_IN_MEMORY = 2.7
"""Bytes in every process for each byte of a model's text, once it has explained an answer."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes that an archive takes once loaded.

    Parameters
    ----------
    shared
        Mapped, once for all processes of a host.
    each
        In every process.
    """

    shared: int = 0
    each: int = 0

    def of(self, processes: int) -> int:
        """Return the bytes in so many processes."""
        return self.shared + self.each * processes


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive that was unpacked into a folder.

    Parameters
    ----------
    folder
        Where.
    system
        Whose.
    kind
        ``<system>.<what it is>``: which handler answers with it.
    version
        The hash of its content, or `PRIOR_VERSION`.
    content
        What its system says of it; plain data.
    memory
        What it takes once loaded.
    synthetic
        Whether it was trained on invented listeners.
    created_from
        Lineage: the features run and the like.
    hashes
        BLAKE3 of each of its files.
    """

    folder: Path
    system: str
    kind: str
    version: str
    content: dict[str, Any]
    memory: Memory
    synthetic: bool
    created_from: dict[str, Any]
    hashes: dict[str, str]

    @property
    def manifest(self) -> Path:
        """Where it says all this, for errors."""
        return self.folder / MANIFEST

    def path(self, name: str) -> Path:
        """Return the path of one of its files.

        Raises
        ------
        ArchiveError
            The manifest does not name it.
        """
        if name not in self.hashes:
            raise ArchiveError(f"{self.manifest}: no hash for {name}")
        return self.folder / name

    def text(self, name: str) -> str:
        """Return a text file.

        Raises
        ------
        ArchiveError
            The manifest does not name it, or it is not text.
        """
        path = self.path(name)
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArchiveError(f"{path}: not a model's text ({error})") from error

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return an array, mapped into memory.

        Raises
        ------
        ArchiveError
            The manifest does not name it, or it is not an array.
        """
        import numpy as np  # noqa: PLC0415 - the frame is read where there may be no numpy

        path = self.path(name)
        try:
            # asarray, since every access to a numpy.memmap costs a microsecond of Python
            return np.asarray(np.load(path, mmap_mode="r"))
        except (OSError, ValueError, EOFError) as error:
            raise ArchiveError(f"{path}: not an array ({error})") from error


class ArchiveWriter:
    """Writes an archive's files, then its manifest, and collects hashes and sizes between.

    Parameters
    ----------
    folder
        Where to; created. Further files there (a model card) are not part of the archive.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hashes: dict[str, str] = {}
        self._shared, self._texts = 0, 0

    def text(self, name: str, text: str) -> str:
        """Write a text file, and return its name."""
        path = self._path(name)
        path.write_text(text, "utf-8")
        self._texts += path.stat().st_size
        self._hashes[name] = digest(path)
        return name

    def array(self, name: str, array: npt.NDArray[np.generic]) -> str:
        """Write an array, and return its name."""
        import numpy as np  # noqa: PLC0415 - as above

        path = self._path(name)
        np.save(path, np.ascontiguousarray(array), allow_pickle=False)
        self._shared += path.stat().st_size
        self._hashes[name] = digest(path)
        return name

    def finish(
        self,
        kind: str,
        content: dict[str, Any],
        *,
        created_from: Mapping[str, Any] | None = None,
        synthetic: bool = False,
        check: Callable[[Archive], object] | None = None,
    ) -> str:
        """Write the manifest, and return the archive's version.

        Parameters
        ----------
        kind
            ``<system>.<what it is>``.
        content
            What the system says of it; plain data.
        created_from
            Lineage; not part of the version.
        synthetic
            Whether the listeners were invented.
        check
            Refuses, by an error of its own, an archive whose parts do not fit each other.
        """
        document = {
            "format_version": FORMAT_VERSION,
            "kind": kind,
            "synthetic": synthetic,
            "memory": {
                "shared": self._shared,
                "each": round(self._texts * TEXT_IN_MEMORY),
            },
            "content": content,
            "blake3": self._hashes,
        }
        version = PRIOR_VERSION if _is_prior(kind) else content_version(document)
        document |= {"version": version, "created_from": dict(created_from or {})}
        if check is not None:
            check(_archive(self._folder, document))
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        self._path(MANIFEST).write_text(text + "\n", "utf-8")
        return version

    def _path(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def write_prior(folder: Path, *, system: str) -> str:
    """Write a system's archive before any training; return its version.

    It holds nothing: what a system answers without training stands in its code.
    """
    return ArchiveWriter(folder).finish(f"{system}.{PRIOR}", {})


def load(folder: Path, *, verify: bool = True) -> Archive:
    """Read an archive that was unpacked into a folder.

    Parameters
    ----------
    folder
        The unpacked archive.
    verify
        Whether to compare every file with its hash. A process may leave it out where another
        has just verified the same folder.

    Raises
    ------
    ArchiveError
        There is no manifest, its format is another, or a file is missing, outside the folder or
        not what the manifest says.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ArchiveError(f"{folder}: no {MANIFEST}, so not a model archive") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ArchiveError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        found = document.get("format_version") if isinstance(document, dict) else None
        raise ArchiveError(
            f"{path}: format version {found!r}, but this version of listening reads "
            f"{FORMAT_VERSION}; train anew, or serve it with the image that it was trained with"
        )
    archive = _archive(folder, document)
    for name in archive.hashes:
        _inside(folder, name)
    if verify:
        _verify(archive, document)
    return archive


def _archive(folder: Path, document: dict[str, Any]) -> Archive:
    where = folder / MANIFEST
    try:
        kind, hashes = str(document["kind"]), document["blake3"]
        if not isinstance(hashes, dict):
            raise ArchiveError(f"{where}: no hashes ('blake3')")
        return Archive(
            folder=folder,
            system=kind.partition(".")[0],
            kind=kind,
            version=str(document["version"]),
            content=dict(document["content"]),
            memory=Memory(
                shared=int(document["memory"]["shared"]), each=int(document["memory"]["each"])
            ),
            synthetic=bool(document["synthetic"]),
            created_from=dict(document["created_from"]),
            hashes={str(name): str(value) for name, value in hashes.items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ArchiveError(f"{where}: not a manifest of this format ({error!r})") from error


def _is_prior(kind: str) -> bool:
    return kind.endswith(f".{PRIOR}")


def _inside(folder: Path, name: str) -> Path:
    """Return the path of an archive's file, which must be a plain file within its folder."""
    path = folder / name
    try:
        out = not path.resolve().is_relative_to(folder.resolve())
        if leads_out(name) or path.is_symlink() or out:
            raise ArchiveError(f"{folder / MANIFEST}: file name {name!r} leads out of the archive")
        if not path.is_file():
            raise ArchiveError(f"{path}: missing, although the manifest names it")
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{folder / MANIFEST}: no file is called {name!r} ({error})") from error
    return path


def _verify(archive: Archive, document: dict[str, Any]) -> None:
    for name, expected in archive.hashes.items():
        found = digest(archive.folder / name)
        if found != expected:
            raise ArchiveError(
                f"{archive.folder / name}: corrupted or truncated (BLAKE3 {found[:12]}…, "
                f"the manifest says {expected[:12]}…); copy the archive anew"
            )
    version = PRIOR_VERSION if _is_prior(archive.kind) else content_version(document)
    if archive.version != version:
        raise ArchiveError(f"{archive.manifest}: changed since it was written")
