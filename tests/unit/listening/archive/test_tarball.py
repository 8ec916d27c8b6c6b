"""Archives as files: the same bytes for the same content, and nothing that an archive can break."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from listening.archive import load, pack, tarball, unpack, write_prior
from listening.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_prior(tmp_path / "prior", system="country")
    (tmp_path / "prior" / "sub").mkdir()
    (tmp_path / "prior" / "sub" / "card.json").write_text("{}" * 2000)
    return tmp_path / "prior"


def test_packed_and_unpacked_is_the_same_archive(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "sub" / "a.tar.gz")
    unpack(tmp_path / "sub" / "a.tar.gz", tmp_path / "out")
    assert load(tmp_path / "out").kind == load(folder).kind
    assert (tmp_path / "out/sub/card.json").read_text() == "{}" * 2000


def test_the_same_content_has_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "a.tar.gz")
    os.utime(folder / "manifest.json", (0, 0))
    pack(folder, tmp_path / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def archive_of(*members: tarfile.TarInfo) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    stream.seek(0)
    return stream


def member(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (member("../evil.txt"), "leads out"),
        (member("/tmp/evil.txt"), "leads out"),
        (member("a/../../evil.txt"), "leads out"),
        (member("a\\..\\evil.txt"), "leads out"),
        (member("link", kind=tarfile.SYMTYPE), "neither a file nor a folder"),
        (member("link", kind=tarfile.LNKTYPE), "neither a file nor a folder"),
        (member("device", kind=tarfile.CHRTYPE), "neither a file nor a folder"),
        (member("pipe", kind=tarfile.FIFOTYPE), "neither a file nor a folder"),
        (member("bomb", size=10**6), "unpacks to more than"),
    ],
)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, hostile: tarfile.TarInfo, reason: str
) -> None:
    with pytest.raises(ArchiveError, match=reason):
        unpack(archive_of(member("fine.txt", size=3), hostile), tmp_path / "out", limit=10**5)
    assert {path.name for path in tmp_path.rglob("*")} <= {"out", "fine.txt"}


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    many = archive_of(*(member(f"{i}.txt") for i in range(tarball.MAX_MEMBERS + 1)))
    with pytest.raises(ArchiveError, match=f"or {tarball.MAX_MEMBERS} files"):
        unpack(many, tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no tar" * 200, mtime=0)])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ArchiveError, match="not a complete"):
        unpack(io.BytesIO(data), tmp_path / "out")


def test_a_truncated_archive_is_refused(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "a.tar.gz")
    data = (tmp_path / "a.tar.gz").read_bytes()
    with pytest.raises(ArchiveError, match="not a complete"):
        unpack(io.BytesIO(data[: len(data) // 2]), tmp_path / "out")
