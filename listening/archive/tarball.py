"""Archives as ``.tar.gz``: packed to the same bytes everywhere, unpacked without trust."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from listening.errors import ArchiveError

if TYPE_CHECKING:
    import io

MAX_UNPACKED = 16 * 1024**3  # bytes
MAX_MEMBERS = 10_000


def leads_out(name: str) -> bool:
    """Tell whether a file's name is none within a folder."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder into a ``.tar.gz`` whose bytes depend on nothing but its content."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(member, content)


def unpack(archive: Path | io.BufferedIOBase, folder: Path, *, limit: int = MAX_UNPACKED) -> None:
    """Unpack a ``.tar.gz``, of which nothing is trusted.

    Parameters
    ----------
    archive
        The file, or an open one.
    folder
        Where to; created.
    limit
        The most bytes that it may unpack to.

    Raises
    ------
    ArchiveError
        It is no archive, is truncated, unpacks to more than the limit, or holds a link, a device or
        a path that leads out of the folder.
    """
    label = archive if isinstance(archive, Path) else "archive"
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    try:
        with (
            archive.open("rb") if isinstance(archive, Path) else archive as raw,
            tarfile.open(fileobj=raw, mode="r|gz") as tar,
        ):
            for count, member in enumerate(tar):
                if leads_out(member.name) and member.name != ".":
                    raise ArchiveError(f"{label}: {member.name!r} leads out of the archive")
                if not (member.isfile() or member.isdir()):
                    raise ArchiveError(f"{label}: {member.name!r} is neither a file nor a folder")
                total += member.size
                if total > limit or count >= MAX_MEMBERS:
                    raise ArchiveError(
                        f"{label}: unpacks to more than {limit} bytes or {MAX_MEMBERS} files"
                    )
                # Neither owner nor mode of who packed it; `filter` is not in Python before 3.11.4.
                tar.extract(member, folder, set_attrs=False)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, OSError) as error:
        raise ArchiveError(f"{label}: not a complete .tar.gz archive ({error})") from error
