"""The chain's answers under any calibration, without asking the trees again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from fitting import country_task, region_task, uncalibrated

from music_country.chain import Chain, log_probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from calibration import Calibration
    from fitting import Task
    from held_out import HeldOut

    from music_country.model_spec import ModelSpec
    from music_country.predictor import Model
    from music_country.regions import RegionTable

    FloatArray = npt.NDArray[np.float64]


def chain_tasks(regions: RegionTable, train_counts: Mapping[str, int]) -> list[Task]:
    """Return the region model's task and then each country model's, in the regions' order."""
    countries = [country_task(region, train_counts) for region in regions.regions]
    return [region_task(regions, train_counts), *countries]


@dataclass(frozen=True)
class ChainScores:
    """What the models' trees say of some listeners.

    Parameters
    ----------
    uncalibrated
        The region model and then the country models, in the order of the regions.
    tasks
        Their tasks.
    features
        The listeners' features.
    raw
        The trees' raw scores of each model; None for one without trees.
    """

    uncalibrated: tuple[ModelSpec, ...]
    tasks: tuple[Task, ...]
    features: npt.NDArray[np.float32]
    raw: tuple[FloatArray | None, ...]

    @classmethod
    def of(
        cls, models: Sequence[Model], tasks: Sequence[Task], features: npt.NDArray[np.float32]
    ) -> ChainScores:
        """Ask the trees of models, whose own calibration is left out.

        Parameters
        ----------
        models
            The region model and then the country models.
        tasks
            Their tasks: `chain_tasks`.
        features
            ``(n_listeners, layout width)``.
        """
        raw = [model.raw_scores(features) for model in models]
        return cls._of(models, tasks, features, raw)

    @classmethod
    def held_out(
        cls, models: Sequence[Model], tasks: Sequence[Task], listeners: HeldOut
    ) -> ChainScores:
        """Ask the trees of models about the listeners to calibrate on: as `of`."""
        raw = [listeners.raw_scores(model) for model in models]
        return cls._of(models, tasks, listeners.features, raw)

    @classmethod
    def _of(
        cls,
        models: Sequence[Model],
        tasks: Sequence[Task],
        features: npt.NDArray[np.float32],
        raw: Sequence[FloatArray | None],
    ) -> ChainScores:
        specs = tuple(uncalibrated(model.spec) for model in models)
        return cls(specs, tuple(tasks), features, tuple(raw))

    def specs(self, calibration: Calibration) -> list[ModelSpec]:
        """Return the models, calibrated; the region model carries the chain's noise.

        A country model's probabilities sum to 1 whatever the prior power adds to them. What it adds
        to a region as a whole, Σ π(country | region)^(1 - scale · power) of the region's average
        listener, goes to the region: else many-country regions lose what their countries gain.
        """
        region, *countries = (
            calibration.of(spec, task.prior)
            for spec, task in zip(self.uncalibrated, self.tasks, strict=True)
        )
        if calibration.power:
            kept = 1 - calibration.scale * calibration.power
            lift = np.log([(task.prior**kept).sum() for task in self.tasks[1:]])
            region = replace(region, bias=tuple((region.bias + lift).round(9).tolist()))
        return [region, *(replace(spec, noise=0.0, prior=()) for spec in countries)]

    def log_joint(self, calibration: Calibration) -> FloatArray:
        """Return log P(country), ``(n_listeners, n_countries)``, region by region."""
        region, *countries = self.specs(calibration)
        total = self.tasks[0].counts.sum()
        prior = {
            country: float(count / total)
            for task in self.tasks[1:]
            for country, count in zip(task.classes, task.counts, strict=True)
        }
        chain = Chain.of(region, dict(zip(region.classes, countries, strict=True)), prior)
        return chain.joint(
            log_probabilities(region, self.features, self.raw[0]),
            lambda r, _: log_probabilities(countries[r], self.features, self.raw[r + 1]),
        )
