"""Bundles of any size, their models trained on generated listeners, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from listening.country.artist_table import ArtistTable
from listening.country.bundle import About, TrainedModel, write_bundle, write_single
from listening.country.layout import Block, FeatureLayout
from listening.country.listeners import ListenerBatch, RawListener, listener_features
from listening.country.model_spec import ModelSpec
from listening.names import artist_key
from listening.regions import Region, RegionTable, default_regions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

EXTRA_NAMES = ("Björk", "Sigur Rós", "AC/DC", "P!nk", "椎名林檎")
"""Names that a bundle's artists from `FIRST_EXTRA` on have, so that not all are ASCII."""
FIRST_EXTRA = 20


@dataclass(frozen=True, kw_only=True)
class SyntheticBundle:
    """What to generate.

    Parameters
    ----------
    artists
        Size of the artist table.
    regions, countries
        How many regions, and countries in all; the last region has one country alone.
    dimensions
        Of the artists' vectors.
    rounds, leaves
        Of each model.
    flat_leaves
        Of the flat model.
    listeners
        How many are generated to train on.
    signal
        How much an artist tells of a country: low values make unsure models.
    """

    artists: int = 200
    regions: int = 3
    countries: int = 7
    dimensions: int = 8
    rounds: int = 5
    leaves: int = 7
    flat_leaves: int = 7
    listeners: int = 600
    list_length: int = 20
    signal: float = 1.5
    seed: int = 7
    _rng: np.random.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Seed the generator."""
        object.__setattr__(self, "_rng", np.random.default_rng(self.seed))

    @cached_property
    def region_table(self) -> RegionTable:
        """The regions, with countries dealt out as evenly as the rest allows."""
        whole = default_regions().regions[: self.regions]
        share = np.array_split(np.arange(self.countries - 1), self.regions - 1)
        sizes = [*(len(part) for part in share), 1]
        return RegionTable(
            tuple(
                Region(region.slug, region.name, region.countries[:size])
                for region, size in zip(whole, sizes, strict=True)
            )
        )

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """All countries, region by region."""
        return tuple(c for region in self.region_table.regions for c in region.countries)

    @cached_property
    def layout(self) -> FeatureLayout:
        """Vectors, affinities of countries and regions, list length and total scrobbles."""
        slugs = tuple(region.slug for region in self.region_table.regions)
        return FeatureLayout(
            (
                Block("vector", self.dimensions),
                Block("affinity", len(self.codes), self.codes),
                Block("region_affinity", len(slugs), slugs),
                Block("log_list_length", 1),
                Block("log_total_scrobbles", 1),
            )
        )

    @cached_property
    def homes(self) -> npt.NDArray[np.intp]:
        """The country that each artist is mostly heard in, as a place in `codes`."""
        return self._rng.integers(0, len(self.codes), self.artists)

    @cached_property
    def table(self) -> ArtistTable:
        """The artist table."""
        names = [f"Artist {i}" for i in range(self.artists)]
        names[FIRST_EXTRA : FIRST_EXTRA + len(EXTRA_NAMES)] = EXTRA_NAMES
        matrix = self._rng.normal(
            scale=0.3, size=(self.artists, self.dimensions + len(self.codes))
        ).astype(np.float32)
        matrix[np.arange(self.artists), self.dimensions + self.homes] += self.signal
        sizes = [len(region.countries) for region in self.region_table.regions]
        return ArtistTable.build(
            keys=[artist_key(name) for name in names],
            names=names,
            mbids=[f"{i:08x}-0000-4000-8000-000000000000" for i in range(self.artists)],
            listeners=np.arange(self.artists, 0, -1),
            salience=self._rng.uniform(1, 5, self.artists),
            matrix=matrix,
            affinity_bias=-0.02 * np.arange(len(self.codes)),
            region_starts=np.cumsum([0, *sizes])[:-1],
        )

    def generate(self, n: int) -> tuple[list[RawListener], npt.NDArray[np.intp]]:
        """Return listeners, and the places of their countries in `codes`."""
        shares = 1 / np.arange(1, len(self.codes) + 1)
        countries = self._rng.choice(len(self.codes), size=n, p=shares / shares.sum())
        by_home = [np.flatnonzero(self.homes == place) for place in range(len(self.codes))]
        listeners = []
        for country in countries:
            own = self._rng.choice(by_home[country], size=max(1, self.list_length // 8))
            zipf = self._rng.pareto(0.5, size=4 * self.list_length).astype(np.int64) % self.artists
            drawn = np.concatenate([own, zipf])
            _, first = np.unique(drawn, return_index=True)
            ids = drawn[np.sort(first)[: self.list_length]]
            counts = np.sort(self._rng.integers(1, 2000, len(ids)))[::-1]
            listeners.append(
                RawListener(
                    [self.table.name(int(i)) for i in self._rng.permutation(ids)],
                    counts.astype(float).tolist(),
                    None,
                    float(counts.sum() * 3),
                )
            )
        return listeners, countries

    def features(self, listeners: Sequence[RawListener]) -> npt.NDArray[np.float32]:
        """Return the features of listeners."""
        return listener_features(
            ListenerBatch.from_raw(listeners, self.table), self.table, self.layout
        )

    @cached_property
    def models(self) -> list[TrainedModel]:
        """The region model, the country models by region, and the flat model."""
        listeners, countries = self.generate(self.listeners)
        features = self.features(listeners)
        slugs = [region.slug for region in self.region_table.regions]
        region_of = np.array(
            [slugs.index(self.region_table.region_of[code]) for code in self.codes], dtype=np.intp
        )
        regions = region_of[countries]
        models = [self._train("region", slugs, features, regions, "region_affinity")]
        for place, region in enumerate(self.region_table.regions):
            rows = regions == place
            first = self.codes.index(region.countries[0])
            models.append(
                self._train(
                    f"country-{region.slug}",
                    region.countries,
                    features[rows],
                    countries[rows] - first,
                    "affinity",
                )
            )
        return [*models, self._train("flat", self.codes, features, countries)]

    def _train(
        self,
        name: str,
        classes: Sequence[str],
        features: npt.NDArray[np.float32],
        labels: npt.NDArray[np.intp],
        block: str | None = None,
    ) -> TrainedModel:
        """Train a model on all features over a base; without a base, on the original's 129."""
        layout = self.layout
        original = [*layout.columns("vector"), *layout.columns("log_total_scrobbles")]
        spec = ModelSpec(
            name=name,
            classes=tuple(classes),
            columns=tuple(range(layout.width)) if block else tuple(map(int, original)),
            base_columns=tuple(layout.columns(block, classes).tolist()) if block else (),
            scale=0.9,
            bias=tuple(0.01 * i for i in range(len(classes))),
            rounds=self.rounds,
        )
        if len(classes) == 1:
            return TrainedModel(spec, None)
        features = features[:, spec.columns]
        parameters: dict[str, Any] = {
            "objective": "multiclass",
            "num_class": len(classes),
            "num_leaves": self.leaves if block else self.flat_leaves,
            "min_data_in_leaf": 5,
            "feature_fraction": min(1.0, 30 / self.layout.width),
            "max_bin": 31,
            "learning_rate": 0.05,
            "verbose": -1,
            "num_threads": 1,
            "deterministic": True,
            "seed": self.seed,
        }
        booster = lightgbm.train(
            parameters, lightgbm.Dataset(features, labels), num_boost_round=self.rounds
        )
        return TrainedModel(spec, booster.model_to_string())

    @property
    def about(self) -> About:
        """What all archives say of themselves."""
        return About(
            layout=self.layout,
            regions=self.region_table,
            countries={code: f"Country {code}" for code in self.codes},
            created_from={"features_run": "synthetic"},
            synthetic=True,
        )

    def write(self, folder: Path, models: Sequence[TrainedModel] = ()) -> str:
        """Write the bundle, of these models if given; return its version."""
        shares = 1 / np.arange(1, len(self.codes) + 1)
        prior = dict(zip(self.codes, (shares / shares.sum()).tolist(), strict=True))
        return write_bundle(
            folder,
            self.about,
            models=models or self.models[:-1],
            artists=self.table,
            prior=prior,
        )

    def write_single(self, folder: Path, name: str) -> str:
        """Write the model of this name as an archive of its own; return its version."""
        model = next(model for model in self.models if model.spec.name == name)
        return write_single(folder, self.about, model)
