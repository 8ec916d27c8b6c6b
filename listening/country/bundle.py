"""What the archives of the country system hold, of which there are three kinds.

- `Bundle`: what the gate judges: region model, country models and artist table, chained;
- `SingleModel`: one model (region, one region's countries, or flat), without an artist table;
- `Prior`: no model at all; it stands under the endpoint's prefix before any training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from listening import archive as archives
from listening.archive import Archive, ArchiveWriter
from listening.countries import country_name
from listening.country.layout import FeatureLayout
from listening.country.model_spec import ModelSpec
from listening.errors import ArchiveError, LayoutError
from listening.regions import RegionTable, RegionTableError, default_regions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from listening.country.artist_table import ArtistTable

BUNDLE, SINGLE, PRIOR = "country.bundle", "country.model", "country.prior"


@dataclass(frozen=True)
class TrainedModel:
    """A model as training hands it over.

    Parameters
    ----------
    spec
        Its classes, inputs and calibration; ``file`` is set by the writer.
    text
        LightGBM's text (`Booster.model_to_string`); None for a model of one class.
    """

    spec: ModelSpec
    text: str | None


@dataclass(frozen=True, kw_only=True)
class About:
    """What an archive says beside its models.

    Parameters
    ----------
    layout
        The feature layout that the models were trained on.
    regions
        The regions that the archive knows, each with the countries that it knows.
    countries
        Country code to English name, for every country of `regions`.
    created_from
        Lineage, such as ``{"features_run": …}``; not part of the version.
    synthetic
        Whether the listeners were generated.
    """

    layout: FeatureLayout
    regions: RegionTable
    countries: Mapping[str, str]
    created_from: Mapping[str, Any] = field(default_factory=dict)
    synthetic: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest's content says of it."""
        return {
            "layout": self.layout.to_json(),
            "regions": self.regions.to_json()["regions"],
            "countries": dict(self.countries),
        }


@dataclass(frozen=True, kw_only=True)
class CountryArchive:
    """What every archive of the system says about itself.

    Parameters
    ----------
    archive
        Its frame: kind, version, files.
    regions
        The regions that it knows, each with the countries that it knows.
    countries
        Country code to English name.
    """

    archive: Archive
    regions: RegionTable
    countries: dict[str, str]

    @property
    def version(self) -> str:
        """The hash of its content, or ``prior``."""
        return self.archive.version

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on generated listeners."""
        return self.archive.synthetic

    @cached_property
    def region_names(self) -> dict[str, str]:
        """Region slug to name."""
        return {region.slug: region.name for region in self.regions.regions}

    def text(self, spec: ModelSpec) -> str | None:
        """Return a model's trees as LightGBM's text; None for a model without trees.

        Errors as in `Archive.text`.
        """
        return None if spec.file is None else self.archive.text(spec.file)


@dataclass(frozen=True, kw_only=True)
class Bundle(CountryArchive):
    """The models that are chained.

    Parameters
    ----------
    layout
        The feature layout that all its models were trained on.
    prior
        Share of each country among the training listeners.
    region
        The region model.
    country
        The country model of each region, by slug.
    artists
        The artist table, mapped into memory.
    """

    layout: FeatureLayout
    prior: dict[str, float]
    region: ModelSpec
    country: dict[str, ModelSpec]
    artists: ArtistTable

    @property
    def models(self) -> list[ModelSpec]:
        """The region model and then the country models, in the region model's order."""
        return [self.region, *(self.country[slug] for slug in self.region.classes)]


@dataclass(frozen=True, kw_only=True)
class SingleModel(CountryArchive):
    """One model of a bundle, or the flat one, as a target of its own."""

    layout: FeatureLayout
    model: ModelSpec


@dataclass(frozen=True, kw_only=True)
class Prior(CountryArchive):
    """Every country of the shipped region table, all as frequent."""

    prior: dict[str, float]


def write_bundle(
    folder: Path,
    about: About,
    *,
    models: Sequence[TrainedModel],
    artists: ArtistTable,
    prior: Mapping[str, float],
) -> str:
    """Write the bundle.

    Parameters
    ----------
    folder
        Where to; created. Further files there (a model card) are not part of the version.
    about
        What holds for all its models.
    models
        The model named ``region`` and, for each of its classes, the one named ``country-<slug>``.
    artists
        The artist table.
    prior
        Share of each country among the training listeners; sums to 1.

    Returns
    -------
    str
        The bundle's version, 12 hexadecimal digits.

    Raises
    ------
    ArchiveError
        The parts do not fit each other.
    """
    writer = ArchiveWriter(folder)
    entries = {
        model.spec.name: _write_model(writer, model, f"models/{model.spec.name}.txt")
        for model in sorted(models, key=lambda model: model.spec.name)
    }
    if "region" not in entries:
        raise ArchiveError(f"{folder}: a bundle needs a model named 'region'")
    content = {
        "region": entries.pop("region"),
        "country": {name.removeprefix("country-"): entry for name, entry in entries.items()},
        "artists": {
            name: writer.array(f"artists/{name}.npy", array)
            for name, array in sorted(artists.to_arrays().items())
        },
        "prior": dict(prior),
    }
    return _finish(writer, BUNDLE, content, about)


def write_single(folder: Path, about: About, model: TrainedModel) -> str:
    """Write one model as an archive of its own.

    Parameters, result and errors as in `write_bundle`.
    """
    writer = ArchiveWriter(folder)
    content = {"model": _write_model(writer, model, "model.txt")}
    return _finish(writer, SINGLE, content, about)


def _write_model(writer: ArchiveWriter, model: TrainedModel, name: str) -> dict[str, Any]:
    file = None if model.text is None else writer.text(name, model.text)
    return replace(model.spec, file=file).to_json()


def _finish(writer: ArchiveWriter, kind: str, content: dict[str, Any], about: About) -> str:
    return writer.finish(
        kind,
        {**content, **about.to_json()},
        created_from=about.created_from,
        synthetic=about.synthetic,
        check=read,
    )


def load(folder: Path, *, verify: bool = True) -> CountryArchive:
    """Read an archive that was unpacked into a folder.

    Parameters and errors as in `listening.archive.load`, result and further errors as in `read`.
    """
    return read(archives.load(folder, verify=verify))


def read(archive: Archive) -> CountryArchive:
    """Return what an archive holds.

    Returns
    -------
    CountryArchive
        A `Bundle`, a `SingleModel` or a `Prior`.

    Raises
    ------
    ArchiveError
        It is of another system, or its parts do not fit each other.
    """
    where, content = archive.manifest, archive.content
    try:
        if archive.kind == BUNDLE:
            return _bundle(archive)
        if archive.kind == SINGLE:
            return _single(archive)
        if archive.kind == PRIOR:
            return _prior_of(archive, default_regions())
        raise ArchiveError(f"{where}: unknown kind {archive.kind!r}")
    except (KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(
            f"{where}: its content is not that of a {archive.kind} ({error!r}); it has "
            f"{', '.join(map(str, content))}"
        ) from error
    except (LayoutError, RegionTableError) as error:
        raise ArchiveError(f"{where}: {error}") from error


def _prior_of(archive: Archive, regions: RegionTable) -> Prior:
    codes = list(regions.region_of)
    return Prior(
        archive=archive,
        regions=regions,
        countries={code: country_name(code) for code in codes},
        prior=dict.fromkeys(codes, 1 / len(codes)),
    )


def _single(archive: Archive) -> SingleModel:
    model = ModelSpec.from_json(archive.content["model"])
    layout = FeatureLayout.from_json(archive.content["layout"])
    _check_model(model, layout, archive)
    return SingleModel(archive=archive, **_places(archive), layout=layout, model=model)


def _bundle(archive: Archive) -> Bundle:
    from listening.country.artist_table import ArtistTable  # noqa: PLC0415 - the prior needs none

    where, content = archive.manifest, archive.content
    layout = FeatureLayout.from_json(content["layout"])
    region = ModelSpec.from_json(content["region"])
    country = {str(s): ModelSpec.from_json(m) for s, m in content["country"].items()}
    for model in (region, *country.values()):
        _check_model(model, layout, archive)
    places = _places(archive)
    members = {r.slug: set(r.countries) for r in places["regions"].regions}
    if {slug: set(m.classes) for slug, m in country.items()} != members or set(
        region.classes
    ) != set(members):
        raise ArchiveError(f"{where}: the models' classes are not those of its regions")
    arrays = {name: archive.array(file) for name, file in content["artists"].items()}
    return Bundle(
        archive=archive,
        **places,
        layout=layout,
        region=region,
        country=country,
        prior=_prior(archive, places["regions"]),
        artists=ArtistTable.from_arrays(arrays),
    )


def _places(archive: Archive) -> dict[str, Any]:
    """Return the regions and the names of their countries."""
    where, content = archive.manifest, archive.content
    regions = RegionTable.from_json(content, source=str(where))
    countries = {str(k): str(v) for k, v in content["countries"].items()}
    unnamed = sorted(set(regions.region_of) - set(countries))
    if unnamed:
        raise ArchiveError(f"{where}: no name for country {', '.join(unnamed)}")
    return {"regions": regions, "countries": countries}


def _prior(archive: Archive, regions: RegionTable) -> dict[str, float]:
    where = archive.manifest
    prior = {str(country): float(share) for country, share in archive.content["prior"].items()}
    if set(prior) != set(regions.region_of):
        raise ArchiveError(f"{where}: the prior's countries are not those of its regions")
    if min(prior.values()) < 0 or not math.isclose(sum(prior.values()), 1, abs_tol=1e-6):
        raise ArchiveError(f"{where}: the prior must be shares that sum to 1")
    return prior


def _check_model(model: ModelSpec, layout: FeatureLayout, archive: Archive) -> None:
    columns = (*model.columns, *model.base_columns)
    if columns and not 0 <= min(columns) <= max(columns) < layout.width:
        raise ArchiveError(
            f"{archive.manifest}: model '{model.name}' reads columns outside the layout"
        )
    if model.file is not None:
        archive.path(model.file)
