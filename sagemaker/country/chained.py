"""The chain's answers under any calibration, without asking the trees again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from country.fitting import country_task, region_task, uncalibrated
from listening.country.chain import Chain, log_probabilities, logits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from country.calibration import Calibration
    from country.fitting import Task
    from country.held_out import HeldOut
    from listening.country.chain import CountryScorer
    from listening.country.model_spec import ModelSpec
    from listening.country.predictor import Model
    from listening.regions import RegionTable

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
    scores
        Each model's scores before any calibration, ``(n_listeners, n_classes)``.
    """

    uncalibrated: tuple[ModelSpec, ...]
    tasks: tuple[Task, ...]
    scores: tuple[FloatArray, ...]

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
        return cls.of_raw([model.spec for model in models], tasks, features, raw)

    @classmethod
    def held_out(
        cls, models: Sequence[Model], tasks: Sequence[Task], listeners: HeldOut
    ) -> ChainScores:
        """Ask the trees of models about the listeners to calibrate on: as `of`."""
        raw = [listeners.raw_scores(model) for model in models]
        return cls.of_raw([model.spec for model in models], tasks, listeners.features, raw)

    @classmethod
    def of_raw(
        cls,
        specs: Sequence[ModelSpec],
        tasks: Sequence[Task],
        features: npt.NDArray[np.float32],
        raw: Sequence[FloatArray | None],
    ) -> ChainScores:
        """Take the trees' raw scores of each model; None for one without trees: as `of`."""
        plain = tuple(uncalibrated(spec) for spec in specs)
        scores = (
            logits(replace(spec, scale=1.0), features, of_trees)
            for spec, of_trees in zip(plain, raw, strict=True)
        )
        return cls(plain, tuple(tasks), tuple(scores))

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
        chain, log_regions, score = self._answering(calibration)
        return chain.joint(log_regions, score)

    def log_of(self, countries: npt.NDArray[np.intp]) -> Callable[[Calibration], FloatArray]:
        """Return what gives log P of one country of each listener under a calibration.

        Parameters
        ----------
        countries
            The countries' places, region by region, ``(n_listeners,)``.
        """

        def answer(calibration: Calibration) -> FloatArray:
            chain, log_regions, score = self._answering(calibration)
            return chain.of_countries(log_regions, score, countries)

        return answer

    def _answering(self, calibration: Calibration) -> tuple[Chain, FloatArray, CountryScorer]:
        region, *countries = (replace(spec, base_columns=()) for spec in self.specs(calibration))
        total = self.tasks[0].counts.sum()
        prior = {
            country: float(count / total)
            for task in self.tasks[1:]
            for country, count in zip(task.classes, task.counts, strict=True)
        }
        chain = Chain.of(region, dict(zip(region.classes, countries, strict=True)), prior)

        def answers(spec: ModelSpec, scores: FloatArray) -> FloatArray:
            # What it reads of features is in the scores already: of them it takes the shape alone.
            return log_probabilities(spec, features=scores, raw_scores=scores)

        return (
            chain,
            answers(region, self.scores[0]),
            lambda r, rows: answers(countries[r], self.scores[r + 1][rows]),
        )
