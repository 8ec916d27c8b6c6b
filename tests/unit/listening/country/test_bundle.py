from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_bundle import EXTRA_NAMES, SyntheticBundle
from listening.country import bundle as bundles
from listening.country.bundle import Hierarchy, Prior, SingleModel, load, pack, unpack, write_prior
from listening.country.regions import default_regions
from listening.errors import BundleError


@pytest.fixture(scope="module")
def synthetic() -> SyntheticBundle:
    return SyntheticBundle()


@pytest.fixture(scope="module")
def hierarchy(synthetic: SyntheticBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "hierarchy"
    synthetic.write(folder)
    return folder


@pytest.fixture
def copy(hierarchy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(hierarchy, tmp_path / "copy"))


def change(folder: Path, **fields: Any) -> None:
    """Change a manifest as a newer or careless writer would: its version is its hash again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | fields
    manifest["version"] = bundles._version(manifest)
    path.write_text(json.dumps(manifest))


def test_a_hierarchy_is_read_as_it_was_written(synthetic: SyntheticBundle, hierarchy: Path) -> None:
    bundle = load(hierarchy)
    assert isinstance(bundle, Hierarchy)
    assert bundle.kind == "hierarchy"
    assert bundle.layout == synthetic.layout
    assert bundle.regions == synthetic.region_table
    assert bundle.created_from == {"features_run": "synthetic"}
    assert bundle.synthetic
    assert bundle.prior.keys() == set(synthetic.codes)
    assert [spec.name for spec in bundle.models] == [
        "region",
        *(f"country-{region.slug}" for region in synthetic.region_table.regions),
    ]
    table = bundle.artists
    assert [table.name(i) for i in table.lookup(EXTRA_NAMES)] == list(EXTRA_NAMES)
    assert np.array_equal(table.matrix, synthetic.table.matrix)
    for model in synthetic.models[:-1]:
        spec = next(spec for spec in bundle.models if spec.name == model.spec.name)
        assert bundle.text(spec) == model.text
        assert spec.classes == model.spec.classes


def test_the_artist_table_is_mapped_into_memory(hierarchy: Path) -> None:
    bundle = load(hierarchy)
    assert isinstance(bundle, Hierarchy)
    assert isinstance(bundle.artists.matrix.base, np.memmap)
    assert not bundle.artists.matrix.flags.writeable


def test_a_single_model_keeps_its_kind(synthetic: SyntheticBundle, tmp_path: Path) -> None:
    slug = synthetic.region_table.regions[0].slug
    for name, kind in (("region", "region"), ("flat", "flat"), (f"country-{slug}", "country")):
        synthetic.write_single(tmp_path / name, name)
        bundle = load(tmp_path / name)
        assert isinstance(bundle, SingleModel)
        assert (bundle.kind, bundle.model.name) == (kind, name)


def test_the_prior_of_all_countries_sums_to_one(tmp_path: Path) -> None:
    regions = default_regions()
    names = {code: code for code in regions.region_of}
    assert write_prior(tmp_path, regions=regions, countries=names) == "prior"
    bundle = load(tmp_path)
    assert isinstance(bundle, Prior)
    assert sum(bundle.prior.values()) == pytest.approx(1)


def test_the_same_content_has_the_same_version_and_archive(
    synthetic: SyntheticBundle, tmp_path: Path
) -> None:
    versions = [synthetic.write(tmp_path / name) for name in "ab"]
    assert versions[0] == versions[1]
    assert len(versions[0]) == 12
    for name in "ab":
        pack(tmp_path / name, tmp_path / f"{name}.tar.gz")
        os.utime(tmp_path / "b" / "manifest.json", (0, 0))
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def test_lineage_is_not_part_of_the_version_and_content_is(copy: Path) -> None:
    version = load(copy).version
    change(copy, created_from={"features_run": "another"})
    assert load(copy).version == version
    change(copy, synthetic=False)
    assert load(copy).version != version


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format_version": 1}, "format version 1"),
        ({"kind": "oracle"}, "unknown kind 'oracle'"),
        ({"layout": [{"name": "vector", "width": 3}]}, "outside the layout"),
        ({"countries": {}}, "no name for country"),
        ({"prior": {}}, "the prior's countries are not"),
        ({"region": {"name": "region"}}, "not a model specification"),
        ({"regions": []}, "no regions"),
        ({"country": 5}, "not a manifest of this format"),
        ({"artists": {}}, "artist table: no"),
        ({"artists": {"matrix": "models/region.txt"}}, "not an array"),
        ({"artists": {"matrix": "elsewhere.npy"}}, "no hash for elsewhere.npy"),
        ({"blake3": []}, "no hashes"),
        ({"blake3": {"missing.txt": "0"}}, "missing"),
        ({"blake3": {"../manifest.json": "0"}}, "leads out of the archive"),
        ({"blake3": {"/etc/passwd": "0"}}, "leads out of the archive"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    copy: Path, fields: dict[str, Any], reason: str
) -> None:
    change(copy, **fields)
    with pytest.raises(BundleError, match=reason):
        load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "null", '{"format_version": 2}'])
def test_what_is_no_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError):
        load(copy)


def test_a_changed_manifest_is_refused(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace("Country ", "Land "))
    with pytest.raises(BundleError, match="changed since it was written"):
        load(copy)


@pytest.mark.parametrize("file", ["models/region.txt", "artists/matrix.npy"])
@pytest.mark.parametrize("how", ["truncated", "changed", "missing"])
def test_a_damaged_file_is_refused(copy: Path, file: str, how: str) -> None:
    path = copy / file
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "truncated" else data[:-1] + b"\x01")
    with pytest.raises(BundleError, match="missing" if how == "missing" else "corrupted"):
        load(copy)


def test_a_link_out_of_the_archive_is_refused(copy: Path, hierarchy: Path) -> None:
    (copy / "models" / "region.txt").unlink()
    (copy / "models" / "region.txt").symlink_to(hierarchy / "models" / "region.txt")
    with pytest.raises(BundleError, match="leads out"):
        load(copy)


def test_trees_that_are_no_text_are_refused(copy: Path) -> None:
    bundle = load(copy, verify=False)
    assert isinstance(bundle, Hierarchy)
    (copy / "models" / "region.txt").write_bytes(b"\xff")
    with pytest.raises(BundleError, match="not a LightGBM model"):
        bundle.text(bundle.region)


def test_packed_and_unpacked_is_the_same_bundle(hierarchy: Path, tmp_path: Path) -> None:
    pack(hierarchy, tmp_path / "sub" / "a.tar.gz")
    unpack(tmp_path / "sub" / "a.tar.gz", tmp_path / "out")
    assert load(tmp_path / "out").version == load(hierarchy).version


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
    with pytest.raises(BundleError, match=reason):
        unpack(archive_of(member("fine.txt", size=3), hostile), tmp_path / "out", limit=10**5)
    assert {path.name for path in tmp_path.rglob("*")} <= {"out", "fine.txt"}


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    many = archive_of(*(member(f"{i}.txt") for i in range(bundles.MAX_MEMBERS + 1)))
    with pytest.raises(BundleError, match=f"or {bundles.MAX_MEMBERS} files"):
        unpack(many, tmp_path / "out")


@pytest.mark.parametrize("data", [b"", b"no archive", gzip.compress(b"no tar" * 200, mtime=0)])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleError, match="not a complete"):
        unpack(io.BytesIO(data), tmp_path / "out")


def test_a_truncated_archive_is_refused(hierarchy: Path, tmp_path: Path) -> None:
    pack(hierarchy, tmp_path / "a.tar.gz")
    data = (tmp_path / "a.tar.gz").read_bytes()
    with pytest.raises(BundleError, match="not a complete"):
        unpack(io.BytesIO(data[: len(data) // 2]), tmp_path / "out")
