"""The format of model archives: what training writes and the endpoint reads.

An archive is a folder (shipped as ``.tar.gz``) with a ``manifest.json`` that names every other file
with its BLAKE3 hash. Models are LightGBM's text, tables are ``.npy`` arrays that are mapped into
memory and so shared by all processes of a host; nothing in an archive is ever unpickled. There are
three:

- `Hierarchy`: the bundle that chains, with region model, country models and artist table;
- `SingleModel`: one model (region, one region's countries, or flat), without an artist table;
- `Prior`: no model at all; it stands under the endpoint's prefix before any training.

The version of an archive is a hash of its content: the same inputs and seed give the same version.

>>> from pathlib import Path
>>> from listening.country.bundle import write_prior, load
>>> from listening.country.regions import Region, RegionTable
>>> regions = RegionTable((Region("nordics", "Nordics", ("FI", "SE")),))
>>> version = write_prior(
...     Path("prior"), regions=regions, countries={"FI": "Finland", "SE": "Sweden"},
...     prior={"FI": 0.5, "SE": 0.5},
... )  # doctest: +SKIP
>>> load(Path("prior")).version  # doctest: +SKIP
'prior'
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import tarfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from listening.country.layout import FeatureLayout
from listening.country.model_spec import ModelSpec
from listening.country.regions import RegionTable
from listening.errors import BundleError, LayoutError, RegionTableError
from listening.resources import MANIFEST, PRIOR_VERSION

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Mapping, Sequence

    from listening.country.artist_table import ArtistTable

FORMAT_VERSION = 2
HIERARCHY = "hierarchy"
PRIOR = "prior"
SINGLE_KINDS = ("region", "country", "flat")

MAX_UNPACKED = 16 * 1024**3  # bytes
MAX_MEMBERS = 10_000


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


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What every archive says about itself.

    Parameters
    ----------
    folder
        Where it was loaded from.
    kind
        ``hierarchy``, ``region``, ``country``, ``flat`` or ``prior``.
    version
        The hash of its content, or ``prior``.
    regions
        The regions that it knows, each with the countries that it knows.
    countries
        Country code to English name.
    created_from
        Lineage: the features run and the like.
    synthetic
        Whether it was trained on generated listeners.
    """

    folder: Path
    kind: str
    version: str
    regions: RegionTable
    countries: dict[str, str]
    created_from: dict[str, Any]
    synthetic: bool

    @cached_property
    def region_names(self) -> dict[str, str]:
        """Region slug to name."""
        return {region.slug: region.name for region in self.regions.regions}

    def text(self, spec: ModelSpec) -> str | None:
        """Return a model's trees as LightGBM's text; None for a model without trees.

        Raises
        ------
        BundleError
            The file is not readable as text.
        """
        if spec.file is None:
            return None
        path = self.folder / spec.file
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path}: not a LightGBM model ({error})") from error


@dataclass(frozen=True, kw_only=True)
class Hierarchy(Bundle):
    """The bundle that chains.

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
class SingleModel(Bundle):
    """One model of a chain, or the flat one, as a target of its own."""

    layout: FeatureLayout
    model: ModelSpec


@dataclass(frozen=True, kw_only=True)
class Prior(Bundle):
    """Only how frequent each country is."""

    prior: dict[str, float]


def write_hierarchy(
    folder: Path,
    about: About,
    *,
    models: Sequence[TrainedModel],
    artists: ArtistTable,
    prior: Mapping[str, float],
) -> str:
    """Write the bundle that chains.

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
    BundleError
        The parts do not fit each other.
    """
    writer = _Writer(folder)
    entries = {
        model.spec.name: writer.model(model, f"models/{model.spec.name}.txt")
        for model in sorted(models, key=lambda model: model.spec.name)
    }
    if "region" not in entries:
        raise BundleError(f"{folder}: a hierarchy needs a model named 'region'")
    return writer.finish(
        {
            "kind": HIERARCHY,
            "region": entries.pop("region"),
            "country": {name.removeprefix("country-"): entry for name, entry in entries.items()},
            "artists": {
                name: writer.array(f"artists/{name}.npy", array)
                for name, array in sorted(artists.to_arrays().items())
            },
            "prior": dict(prior),
        },
        about,
    )


def write_single(folder: Path, about: About, model: TrainedModel) -> str:
    """Write one model as an archive of its own; its kind is the first word of the model's name.

    Parameters, result and errors as in `write_hierarchy`.
    """
    writer = _Writer(folder)
    kind = model.spec.name.split("-", 1)[0]
    return writer.finish({"kind": kind, "model": writer.model(model, "model.txt")}, about)


def write_prior(
    folder: Path,
    *,
    regions: RegionTable,
    countries: Mapping[str, str],
    prior: Mapping[str, float] | None = None,
) -> str:
    """Write the archive that knows only how frequent each country is.

    Parameters
    ----------
    folder
        Where to; created.
    regions
        The regions with the countries that it knows.
    countries
        Country code to English name.
    prior
        Share of each country; all equal if None.
    """
    if prior is None:
        codes = list(regions.region_of)
        prior = dict.fromkeys(codes, 1 / len(codes))
    about = About(layout=FeatureLayout(()), regions=regions, countries=countries)
    manifest = {"kind": PRIOR, "version": PRIOR_VERSION, "prior": dict(prior)}
    return _Writer(folder).finish(manifest, about)


class _Writer:
    """Writes an archive's files, then its manifest, and collects the hashes between."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hashes: dict[str, str] = {}

    def model(self, model: TrainedModel, name: str) -> dict[str, Any]:
        if model.text is None:
            return replace(model.spec, file=None).to_json()
        self._path(name).write_text(model.text, "utf-8")
        self._hash(name)
        return replace(model.spec, file=name).to_json()

    def array(self, name: str, array: Any) -> str:
        import numpy as np  # noqa: PLC0415 - the prior is written where there may be no numpy

        np.save(self._path(name), np.ascontiguousarray(array), allow_pickle=False)
        self._hash(name)
        return name

    def finish(self, manifest: dict[str, Any], about: About) -> str:
        manifest = {
            "format_version": FORMAT_VERSION,
            **manifest,
            "layout": about.layout.to_json(),
            "regions": about.regions.to_json()["regions"],
            "countries": dict(about.countries),
            "synthetic": about.synthetic,
            "blake3": self.hashes,
        }
        version = str(manifest.get("version", _version(manifest)))
        manifest |= {"version": version, "created_from": dict(about.created_from)}
        _parse(self.folder, manifest, _no_artists)
        text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
        self._path(MANIFEST).write_text(text + "\n", "utf-8")
        return version

    def _path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _hash(self, name: str) -> None:
        self.hashes[name] = _digest(self.folder / name)


def load(folder: Path, *, verify: bool = True) -> Bundle:
    """Read an archive that was unpacked into a folder.

    Parameters
    ----------
    folder
        The unpacked archive.
    verify
        Whether to compare every file with its hash. A process may leave it out where another
        has just verified the same folder.

    Returns
    -------
    Bundle
        A `Hierarchy`, a `SingleModel` or a `Prior`.

    Raises
    ------
    BundleError
        There is no manifest, its format is another, a file is missing, outside the folder or not
        what the manifest says, or the parts do not fit each other.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{folder}: no {MANIFEST}, so not a model archive") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        found = manifest.get("format_version") if isinstance(manifest, dict) else None
        raise BundleError(
            f"{path}: format version {found!r}, but this version of listening reads "
            f"{FORMAT_VERSION}; train anew, or serve it with the image that it was trained with"
        )
    hashes = manifest.get("blake3")
    if not isinstance(hashes, dict):
        raise BundleError(f"{path}: no hashes ('blake3')")
    for name in hashes:
        _inside(folder, name)
    if verify:
        _verify(folder, manifest, hashes)
    return _parse(folder, manifest, lambda files: _load_artists(folder, hashes, files))


def _parse(folder: Path, manifest: dict[str, Any], artists: Callable[[Any], ArtistTable]) -> Bundle:
    """Make the bundle of a manifest, and refuse one whose parts do not fit."""
    where = folder / MANIFEST
    try:
        kind = manifest["kind"]
        common: dict[str, Any] = {
            "folder": folder,
            "kind": kind,
            "version": str(manifest["version"]),
            "regions": RegionTable.from_json(manifest, source=str(where)),
            "countries": {str(k): str(v) for k, v in manifest["countries"].items()},
            "created_from": dict(manifest["created_from"]),
            "synthetic": bool(manifest["synthetic"]),
        }
        unnamed = sorted(set(common["regions"].region_of) - set(common["countries"]))
        if unnamed:
            raise BundleError(f"{where}: no name for country {', '.join(unnamed)}")
        if kind == PRIOR:
            return Prior(**common, prior=_prior(manifest, common["regions"], where))
        layout = FeatureLayout.from_json(manifest["layout"])
        if kind in SINGLE_KINDS:
            model = ModelSpec.from_json(manifest["model"])
            _check_model(model, layout, manifest["blake3"], where)
            return SingleModel(**common, layout=layout, model=model)
        if kind != HIERARCHY:
            raise BundleError(f"{where}: unknown kind {kind!r}")
        region = ModelSpec.from_json(manifest["region"])
        country = {str(s): ModelSpec.from_json(m) for s, m in manifest["country"].items()}
        for model in (region, *country.values()):
            _check_model(model, layout, manifest["blake3"], where)
        members = {r.slug: set(r.countries) for r in common["regions"].regions}
        if {slug: set(m.classes) for slug, m in country.items()} != members or set(
            region.classes
        ) != set(members):
            raise BundleError(f"{where}: the models' classes are not those of its regions")
        return Hierarchy(
            **common,
            layout=layout,
            region=region,
            country=country,
            prior=_prior(manifest, common["regions"], where),
            artists=artists(manifest["artists"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{where}: not a manifest of this format ({error!r})") from error
    except (LayoutError, RegionTableError) as error:
        raise BundleError(f"{where}: {error}") from error


def _prior(manifest: dict[str, Any], regions: RegionTable, where: Path) -> dict[str, float]:
    prior = {str(country): float(share) for country, share in manifest["prior"].items()}
    if set(prior) != set(regions.region_of):
        raise BundleError(f"{where}: the prior's countries are not those of its regions")
    if min(prior.values()) < 0 or not math.isclose(sum(prior.values()), 1, abs_tol=1e-6):
        raise BundleError(f"{where}: the prior must be shares that sum to 1")
    return prior


def _check_model(
    model: ModelSpec, layout: FeatureLayout, hashes: dict[str, str], where: Path
) -> None:
    columns = (*model.columns, *model.base_columns)
    if columns and not 0 <= min(columns) <= max(columns) < layout.width:
        raise BundleError(f"{where}: model '{model.name}' reads columns outside the layout")
    if model.file is not None and model.file not in hashes:
        raise BundleError(f"{where}: no hash for {model.file}")


def _load_artists(folder: Path, hashes: dict[str, str], files: Any) -> ArtistTable:
    import numpy as np  # noqa: PLC0415 - the prior needs none

    from listening.country.artist_table import ArtistTable  # noqa: PLC0415

    arrays = {}
    for name, file in files.items():
        if file not in hashes:
            raise BundleError(f"{folder / MANIFEST}: no hash for {file}")
        try:
            # asarray, since every access to a numpy.memmap costs a microsecond of Python
            arrays[name] = np.asarray(np.load(_inside(folder, file), mmap_mode="r"))
        except (OSError, ValueError, EOFError) as error:
            raise BundleError(f"{folder / file}: not an array ({error})") from error
    return ArtistTable.from_arrays(arrays)


def _no_artists(_files: Any) -> Any:
    return None


def _inside(folder: Path, name: str) -> Path:
    """Return the path of an archive's file, which must be a plain file within its folder."""
    path = folder / name
    if _escapes(name) or path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{folder / MANIFEST}: file name {name!r} leads out of the archive")
    if not path.is_file():
        raise BundleError(f"{path}: missing, although the manifest names it")
    return path


def _escapes(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts


def _verify(folder: Path, manifest: dict[str, Any], hashes: dict[str, str]) -> None:
    for name, expected in hashes.items():
        found = _digest(folder / name)
        if found != expected:
            raise BundleError(
                f"{folder / name}: corrupted or truncated (BLAKE3 {found[:12]}…, "
                f"the manifest says {str(expected)[:12]}…); copy the archive anew"
            )
    if manifest.get("kind") != PRIOR and manifest.get("version") != _version(manifest):
        raise BundleError(f"{folder / MANIFEST}: changed since it was written")


def _version(manifest: Mapping[str, Any]) -> str:
    content = {k: v for k, v in manifest.items() if k not in {"version", "created_from"}}
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _digest(path: Path) -> str:
    """Return the BLAKE3 hash of a file; all cores share a large one."""
    try:
        return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
    except OSError as error:
        raise BundleError(f"{path}: not readable ({error})") from error


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
    BundleError
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
                if _escapes(member.name) and member.name != ".":
                    raise BundleError(f"{label}: {member.name!r} leads out of the archive")
                if not (member.isfile() or member.isdir()):
                    raise BundleError(f"{label}: {member.name!r} is neither a file nor a folder")
                total += member.size
                if total > limit or count >= MAX_MEMBERS:
                    raise BundleError(
                        f"{label}: unpacks to more than {limit} bytes or {MAX_MEMBERS} files"
                    )
                # Neither owner nor mode of who packed it; `filter` is not in Python before 3.11.4.
                tar.extract(member, folder, set_attrs=False)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, OSError) as error:
        raise BundleError(f"{label}: not a complete .tar.gz archive ({error})") from error
