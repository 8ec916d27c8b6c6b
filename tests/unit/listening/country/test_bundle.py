from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_bundle import EXTRA_NAMES, SyntheticBundle
from listening.archive import write_prior
from listening.archive.hashes import content_version
from listening.country.bundle import Bundle, Prior, SingleModel, load
from listening.errors import ArchiveError
from listening.names import artist_key
from listening.regions import default_regions


@pytest.fixture(scope="module")
def synthetic() -> SyntheticBundle:
    return SyntheticBundle()


@pytest.fixture(scope="module")
def written(synthetic: SyntheticBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "written"
    synthetic.write(folder)
    return folder


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copy"))


def change(folder: Path, **fields: Any) -> None:
    """Change an archive's content as a newer or careless writer would: the hash fits again."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["content"] |= fields
    manifest["version"] = content_version(manifest)
    path.write_text(json.dumps(manifest))


def test_a_bundle_is_read_as_it_was_written(synthetic: SyntheticBundle, written: Path) -> None:
    bundle = load(written)
    assert isinstance(bundle, Bundle)
    assert bundle.archive.kind == "country.bundle"
    assert bundle.layout == synthetic.layout
    assert bundle.regions == synthetic.region_table
    assert bundle.archive.created_from == {"features_run": "synthetic"}
    assert bundle.synthetic
    assert bundle.prior.keys() == set(synthetic.codes)
    assert [spec.name for spec in bundle.models] == [
        "region",
        *(f"country-{region.slug}" for region in synthetic.region_table.regions),
    ]
    table = bundle.artists
    known = table.lookup_keys(list(map(artist_key, EXTRA_NAMES)))
    assert [table.name(i) for i in known] == list(EXTRA_NAMES)
    assert np.array_equal(table.matrix, synthetic.table.matrix)
    for model in synthetic.models[:-1]:
        spec = next(spec for spec in bundle.models if spec.name == model.spec.name)
        assert bundle.text(spec) == model.text
        assert spec.classes == model.spec.classes


def test_the_artist_table_is_mapped_into_memory(written: Path) -> None:
    bundle = load(written)
    assert isinstance(bundle, Bundle)
    assert isinstance(bundle.artists.matrix.base, np.memmap)
    assert not bundle.artists.matrix.flags.writeable


def test_a_single_model_keeps_its_name(synthetic: SyntheticBundle, tmp_path: Path) -> None:
    slug = synthetic.region_table.regions[0].slug
    for name in ("region", "flat", f"country-{slug}"):
        synthetic.write_single(tmp_path / name, name)
        bundle = load(tmp_path / name)
        assert isinstance(bundle, SingleModel)
        assert (bundle.archive.kind, bundle.model.name) == ("country.model", name)


def test_the_prior_knows_all_countries_alike(tmp_path: Path) -> None:
    write_prior(tmp_path, system="country")
    bundle = load(tmp_path)
    assert isinstance(bundle, Prior)
    assert sum(bundle.prior.values()) == pytest.approx(1)
    assert set(bundle.prior) == set(default_regions().region_of) == set(bundle.countries)
    assert bundle.countries["SE"] == "Sweden"


def test_another_systems_archive_is_refused(tmp_path: Path) -> None:
    write_prior(tmp_path, system="sessions")
    with pytest.raises(ArchiveError, match=r"unknown kind 'sessions\.prior'"):
        load(tmp_path)


def test_the_same_content_has_the_same_version(synthetic: SyntheticBundle, tmp_path: Path) -> None:
    versions = [synthetic.write(tmp_path / name) for name in "ab"]
    assert versions[0] == versions[1]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"layout": [{"name": "vector", "width": 3}]}, "outside the layout"),
        ({"countries": {}}, "no name for country"),
        ({"prior": {}}, "the prior's countries are not"),
        ({"region": {"name": "region"}}, "not a model specification"),
        ({"regions": []}, "no regions"),
        ({"country": 5}, "its content is not that of a country.bundle"),
        ({"artists": {}}, "artist table: no"),
        ({"artists": {"matrix": "models/region.txt"}}, "not an array"),
        ({"artists": {"matrix": "elsewhere.npy"}}, "no hash for elsewhere.npy"),
    ],
)
def test_content_that_does_not_fit_is_refused(
    copy: Path, fields: dict[str, Any], reason: str
) -> None:
    change(copy, **fields)
    with pytest.raises(ArchiveError, match=reason):
        load(copy)


def test_trees_that_are_no_text_are_refused(copy: Path) -> None:
    bundle = load(copy, verify=False)
    assert isinstance(bundle, Bundle)
    (copy / "models" / "region.txt").write_bytes(b"\xff")
    with pytest.raises(ArchiveError, match="not a model's text"):
        bundle.text(bundle.region)
