from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws

from local_aws.errors import LocalAwsError
from local_aws.mirror import Mirror, named_locations
from local_aws.objects import Location, Objects, inside, parse_uri
from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def objects() -> Iterator[Objects]:
    with mock_aws():
        made = Objects(ACCOUNT, REGION)
        made.backend.create_bucket("plays", REGION)
        made.backend.create_bucket("other", REGION)
        for key in ("raw/a.csv", "raw/deep/b.csv", "features/old.parquet", "raw/folder/"):
            made.put(Location("plays", key), key.encode())
        made.put(Location("other", "secret"), b"not named")
        yield made


def keys(objects: Objects) -> dict[str, bytes]:
    return {
        key: objects.get(Location("plays", key)).value
        for key, _ in objects.list(Location("plays", ""))
        if not key.endswith("/")
    }


def test_only_named_prefixes_come_down_and_every_bucket_has_a_folder(
    objects: Objects, tmp_path: Path
) -> None:
    mirror = Mirror(tmp_path / "s3", objects)
    mirror.down(named_locations(["x", "s3://plays/raw/"]))
    files = {p.relative_to(tmp_path / "s3").as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"plays/raw/a.csv", "plays/raw/deep/b.csv"}
    assert (tmp_path / "s3/other").is_dir()
    assert (tmp_path / "s3/plays/raw/folder").is_dir()


def test_files_are_as_old_as_their_objects(objects: Objects, tmp_path: Path) -> None:
    # Two batches whose names are in another order than their arrival.
    for key, day in (("raw/b/_READY", 1), ("raw/a/_READY", 2)):
        record = objects.put(Location("plays", key), b"")
        record.last_modified = datetime(2026, 11, day)
    mirror = Mirror(tmp_path / "s3", objects)
    mirror.down([Location("plays", "raw/")])
    ready = sorted(tmp_path.rglob("_READY"), key=lambda path: path.stat().st_mtime)
    assert [path.parent.name for path in ready] == ["b", "a"]
    assert ready[0].stat().st_mtime == datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    mirror.up()
    assert objects.get(Location("plays", "raw/b/_READY")).last_modified == datetime(2026, 11, 1)


def test_changes_go_up_deletions_too_checksums_not(objects: Objects, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "s3", objects)
    mirror.down([Location("plays", "")])
    root = tmp_path / "s3/plays"
    (root / "raw/a.csv").unlink()
    (root / "raw/deep/b.csv").write_text("changed")
    (root / "features/new.parquet").write_text("new")
    (root / "features/.new.parquet.crc").write_text("checksum")
    mirror.up()
    assert keys(objects) == {
        "raw/deep/b.csv": b"changed",
        "features/new.parquet": b"new",
        "features/old.parquet": b"features/old.parquet",
    }


def test_what_was_written_last_goes_up_last(objects: Objects, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "s3", objects)
    mirror.down([])
    for second, name in enumerate(("zz-table", "manifest", "latest"), start=1):
        path = tmp_path / "s3/plays" / name
        path.write_text(name)
        os.utime(path, (second, second))
    order: list[str] = []
    upload = objects.upload
    objects.upload = lambda path, place: (order.append(place.key), upload(path, place))[1]  # type: ignore[method-assign]
    mirror.up()
    assert order == ["zz-table", "manifest", "latest"]


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://plays/raw/a?b#c", "plays", "raw/a?b#c"),
        ("s3a://plays/", "plays", ""),
        ("https://s3.us-east-1.amazonaws.com/plays/raw/a%20b", "plays", "raw/a b"),
        ("https://plays.s3.us-east-1.amazonaws.com/raw/a", "plays", "raw/a"),
    ],
)
def test_locations_are_read_in_all_forms_that_cdk_writes(uri: str, bucket: str, key: str) -> None:
    assert parse_uri(uri) == Location(bucket, key)


def test_other_locations_are_refused() -> None:
    with pytest.raises(LocalAwsError, match="no S3 location"):
        parse_uri("/tmp/plays")


@pytest.mark.parametrize("key", ["../escape", "a/../../escape", "/etc/passwd", ""])
def test_keys_cannot_lead_out_of_the_folder(key: str, tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match="no place"):
        inside(tmp_path, key)
