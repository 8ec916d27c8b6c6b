"""The frame: what an archive says of itself is what is there, whatever its system."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from listening.archive import ArchiveWriter, load, write_prior
from listening.archive.hashes import content_version
from listening.errors import ArchiveError


def write(folder: Path, **options: Any) -> str:
    writer = ArchiveWriter(folder)
    content = {
        "model": writer.text("models/one.txt", "tree\n" * 100),
        "table": writer.array("tables/matrix.npy", np.arange(6.0).reshape(2, 3)),
        "words": "Country of origin",
    }
    return writer.finish("toys.bundle", content, created_from={"features_run": "r"}, **options)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive") / "original"
    write(folder)
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def change(folder: Path, **fields: Any) -> None:
    """Change a manifest as a newer or careless writer would: its version is its hash again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | fields
    manifest["version"] = content_version(manifest)
    path.write_text(json.dumps(manifest))


def test_an_archive_is_read_as_it_was_written(original: Path) -> None:
    archive = load(original)
    assert (archive.system, archive.kind) == ("toys", "toys.bundle")
    assert archive.created_from == {"features_run": "r"}
    assert not archive.synthetic
    assert archive.text("models/one.txt") == "tree\n" * 100
    table = archive.array("tables/matrix.npy")
    assert table.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert isinstance(table.base, np.memmap)
    assert not table.flags.writeable


def test_it_says_what_memory_it_takes(original: Path) -> None:
    memory = load(original).memory
    assert memory.shared == (original / "tables/matrix.npy").stat().st_size
    assert memory.each == round(500 * 2.7)
    assert memory.of(4) == memory.shared + 4 * memory.each


def test_the_same_content_has_the_same_version(tmp_path: Path) -> None:
    versions = {write(tmp_path / name) for name in "ab"}
    assert len(versions) == 1
    assert {len(version) for version in versions} == {12}
    assert write(tmp_path / "c", synthetic=True) not in versions


def test_a_prior_holds_nothing_and_has_no_hash_for_a_version(tmp_path: Path) -> None:
    assert write_prior(tmp_path, system="toys") == "prior"
    archive = load(tmp_path)
    assert (archive.kind, archive.version, archive.content) == ("toys.prior", "prior", {})


def test_only_a_prior_is_called_so(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "prior"}))
    with pytest.raises(ArchiveError, match="changed since it was written"):
        load(copy)


def test_a_writer_refuses_what_its_system_refuses(tmp_path: Path) -> None:
    def refuse(_: object) -> None:
        raise ArchiveError("parts do not fit")

    with pytest.raises(ArchiveError, match="parts do not fit"):
        ArchiveWriter(tmp_path).finish("toys.bundle", {}, check=refuse)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format_version": 2}, "format version 2, but this version of listening reads 3"),
        ({"content": 5}, "not a manifest of this format"),
        ({"memory": {}}, "not a manifest of this format"),
        ({"memory": {"shared": float("inf"), "each": 0}}, "not a manifest of this format"),
        ({"blake3": []}, "no hashes"),
        ({"blake3": {"nul\0.txt": "0"}}, "no file is called"),
        ({"blake3": {"\ud800.txt": "0"}}, "no file is called"),
        ({"blake3": {"long" * 100: "0"}}, "no file is called"),
        ({"blake3": {"missing.txt": "0"}}, "missing"),
        ({"blake3": {"../manifest.json": "0"}}, "leads out of the archive"),
        ({"blake3": {"/etc/passwd": "0"}}, "leads out of the archive"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    copy: Path, fields: dict[str, Any], reason: str
) -> None:
    change(copy, **fields)
    with pytest.raises(ArchiveError, match=reason):
        load(copy)


def test_a_file_that_the_manifest_does_not_name_is_refused(copy: Path) -> None:
    (copy / "more.txt").write_text("more")
    with pytest.raises(ArchiveError, match=r"no hash for more\.txt"):
        load(copy).text("more.txt")


def test_what_is_no_text_or_array_is_refused(copy: Path) -> None:
    archive = load(copy, verify=False)
    (copy / "models/one.txt").write_bytes(b"\xff")
    with pytest.raises(ArchiveError, match="not a model's text"):
        archive.text("models/one.txt")
    with pytest.raises(ArchiveError, match="not an array"):
        archive.array("models/one.txt")


def test_lineage_is_not_part_of_the_version_and_content_is(copy: Path) -> None:
    version = load(copy).version
    change(copy, created_from={"features_run": "another"})
    assert load(copy).version == version
    change(copy, synthetic=True)
    assert load(copy).version != version


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "null", '{"format_version": 3}'])
def test_what_is_no_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ArchiveError):
        load(copy)


def test_a_changed_manifest_is_refused(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace("Country of", "Land of"))
    with pytest.raises(ArchiveError, match="changed since it was written"):
        load(copy)


@pytest.mark.parametrize("file", ["models/one.txt", "tables/matrix.npy"])
@pytest.mark.parametrize("how", ["truncated", "changed", "missing"])
def test_a_damaged_file_is_refused(copy: Path, file: str, how: str) -> None:
    path = copy / file
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "truncated" else data[:-1] + b"\x01")
    with pytest.raises(ArchiveError, match="missing" if how == "missing" else "corrupted"):
        load(copy)


def test_a_link_out_of_the_archive_is_refused(copy: Path, original: Path) -> None:
    (copy / "models" / "one.txt").unlink()
    (copy / "models" / "one.txt").symlink_to(original / "models" / "one.txt")
    with pytest.raises(ArchiveError, match="leads out"):
        load(copy)
