"""Judging the chain beside flat, logistic regression, prior and champion, on the same listeners."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from country.calibration import fit_calibration, of_own_class
from country.chained import ChainScores, chain_tasks
from country.fitting import flat_task
from country.held_out import HeldOut
from listening.country.answer_profile import answer_profile
from listening.country.chain import log_probabilities, log_softmax
from listening.country.listeners import listener_features
from listening.country.model_spec import ModelSpec
from listening.country.predictor import ChainPredictor
from listening.intervals import bootstrap
from listening.metrics import (
    Outcomes,
    Population,
    by_class,
    calibrated_ece,
    confusion,
    entropy,
    reliability,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from country.features import FeaturesManifest, Listeners, Plays
    from country.fitting import Task, Training
    from listening.country.artist_table import ArtistTable
    from listening.country.bundle import Bundle
    from listening.country.predictor import Model
    from listening.drift import Profile
    from listening.intervals import Interval
    from listening.metrics import Reliability

    FloatArray = npt.NDArray[np.float64]

CHAIN, FLAT, LOGISTIC, PRIOR, CHAMPION = (
    "chain",
    "flat",
    "logistic_regression",
    "prior",
    "champion",
)
BOOTSTRAP_DRAWS = 1000
POWERS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Prior powers of the report's curve."""
SEED = 0
"""Of the bootstrap, fixed so that the same bundle gets the same intervals."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is judged, and on whom.

    Parameters
    ----------
    manifest
        The features run.
    bundle
        The chain, as the endpoint loads it.
    flat
        The flat model.
    train, validation, test
        The listeners of each split.
    plays
        The test listeners' cleaned plays.
    artists
        The run's artist table.
    trainings
        How each model came about, by name; the logistic regression is calibrated with the flat
        model's settings.
    champion
        The bundle that is served now, if there is one beyond the prior.
    gate_min_listeners
        Countries with fewer test listeners are left out of the comparison with the champion.
    """

    manifest: FeaturesManifest
    bundle: Bundle
    flat: Model
    train: Listeners
    validation: Listeners
    test: Listeners
    plays: Plays
    artists: ArtistTable
    trainings: Mapping[str, Training]
    champion: Bundle | None = None
    gate_min_listeners: int = 1

    @cached_property
    def predictor(self) -> ChainPredictor:
        """The chain, ready to predict."""
        return ChainPredictor(self.bundle)

    @cached_property
    def flat_task(self) -> Task:
        """All countries, in the chain's order."""
        return flat_task(self.manifest.regions, self.manifest.train_counts)

    @cached_property
    def chain_tasks(self) -> list[Task]:
        """The regions, and then each region's countries."""
        return chain_tasks(self.manifest.regions, self.manifest.train_counts)

    @property
    def prior(self) -> FloatArray:
        """Share of each country among the training listeners."""
        return self.flat_task.prior

    @cached_property
    def population(self) -> Population:
        """The countries' training listeners and regions."""
        slugs = [region.slug for region in self.manifest.regions.regions]
        region_of = self.manifest.regions.region_of
        return Population(
            self.flat_task.counts,
            np.array([slugs.index(region_of[c]) for c in self.flat_task.classes]),
        )


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that was found, for the gate, the report and the model card.

    Parameters
    ----------
    outcomes
        Each model's answers on the test listeners.
    intervals
        Metrics with 95% intervals, by model.
    differences
        The chain's metrics minus another model's, paired, by the other model.
    against_champion
        The same minus the champion's, over the countries that both know; empty without a champion.
    beside_champion
        Metrics of the chain and of the champion over these.
    reliability
        Curve of each model.
    calibrated_ece
        95th percentile of the chain's ECE were it perfectly calibrated.
    regions
        Tables of the region model, by split.
    countries
        Tables of each region's country model, by split.
    region_confusion
        Test listeners by true (row) and likeliest (column) region.
    prior_powers
        Metrics on validation by prior power.
    answers
        How the chain's answers on test are spread, for the drift job.
    visited
        Regions scored for a test listener's top 1, 3 and 5, on average.
    """

    outcomes: dict[str, Outcomes]
    intervals: dict[str, dict[str, Interval]]
    differences: dict[str, dict[str, Interval]]
    against_champion: dict[str, Interval]
    beside_champion: dict[str, dict[str, float]]
    reliability: dict[str, Reliability]
    calibrated_ece: float
    regions: dict[str, list[dict[str, Any]]]
    countries: list[dict[str, Any]]
    region_confusion: npt.NDArray[np.intp]
    prior_powers: list[dict[str, float]]
    answers: Profile
    visited: dict[str, float]


def evaluate(subject: Subject) -> Evaluation:
    """Judge everything on the test listeners."""
    true = subject.flat_task.labels(subject.test.countries)
    features = subject.test.features
    known = _known(subject)
    log_p = {
        CHAIN: or_prior(subject.predictor.log_joint(features), known, subject.prior),
        FLAT: or_prior(subject.flat.log_probabilities(features), known, subject.prior),
    }
    if subject.manifest.layout.has("affinity"):
        log_p[LOGISTIC] = or_prior(_logistic(subject), known, subject.prior)
    log_p[PRIOR] = np.tile(np.log(subject.prior), (len(true), 1))
    outcomes = {name: Outcomes.of(values, true) for name, values in log_p.items()}
    others = [name for name in outcomes if name != CHAIN]
    intervals, differences = bootstrap(
        outcomes,
        lambda found, weights: summary(found, subject.population, weights=weights),
        against=[(CHAIN, other) for other in others],
        draws=BOOTSTRAP_DRAWS,
        seed=SEED,
    )
    beside_champion, against_champion = _against_champion(subject, log_p[CHAIN])
    return Evaluation(
        outcomes=outcomes,
        intervals=intervals,
        differences={other: differences[CHAIN, other] for other in others},
        against_champion=against_champion,
        beside_champion=beside_champion,
        reliability={
            name: reliability(found.confidence, found.hit)
            for name, found in outcomes.items()
            if name != PRIOR
        },
        calibrated_ece=calibrated_ece(outcomes[CHAIN].confidence, seed=SEED),
        regions=_region_tables(subject),
        countries=_country_tables(subject),
        region_confusion=_region_confusion(subject),
        prior_powers=_prior_powers(subject),
        answers=_answers(subject, log_p[CHAIN]),
        visited={
            f"top{k}": float(subject.predictor.top_k(features, k).visited.mean()) for k in (1, 3, 5)
        },
    )


def or_prior(log_p: FloatArray, known: npt.NDArray[np.bool_], prior: FloatArray) -> FloatArray:
    """Return the answers, with the prior for listeners without a known artist, as the endpoint."""
    return np.where(known[:, None], log_p, np.log(prior))


def _answers(subject: Subject, log_p: FloatArray) -> Profile:
    """Return how the chain's answers are spread."""
    plays = subject.plays.batch(subject.artists)
    return answer_profile(
        known=plays.known,
        unknown=plays.unknown,
        countries=[subject.flat_task.classes[place] for place in log_p.argmax(axis=1)],
        probabilities=np.exp(log_p.max(axis=1)),
    )


def _known(subject: Subject) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = subject.plays.batch(subject.artists).known > 0
    return known


def _logistic(subject: Subject) -> FloatArray:
    """Return the logistic regression's answers, calibrated as the flat model is."""
    layout, task, recipe = (
        subject.manifest.layout,
        subject.flat_task,
        subject.trainings[FLAT].recipe,
    )
    columns = tuple(layout.columns("affinity", task.classes).tolist())
    plain = ModelSpec(name=LOGISTIC, classes=task.classes, columns=(), base_columns=columns)
    listeners = HeldOut.of(subject.train, subject.validation, [plain])
    calibration = fit_calibration(
        of_own_class(
            lambda c: log_probabilities(c.of(plain, task.prior), listeners.features),
            task.labels(listeners.countries),
        ),
        power=recipe.prior_power,
        noisy=recipe.label_noise == "yes",
    )
    return log_probabilities(calibration.of(plain, task.prior), subject.test.features)


def _against_champion(
    subject: Subject, chain: FloatArray
) -> tuple[dict[str, dict[str, float]], dict[str, Interval]]:
    """Compare with the champion over the countries and listeners that both know."""
    if subject.champion is None:
        return {}, {}
    champion = ChainPredictor(subject.champion)
    heard = Counter(subject.plays.countries.tolist())
    countries = [
        country
        for country in subject.flat_task.classes
        if country in champion.chain.countries and heard[country] >= subject.gate_min_listeners
    ]
    rows = np.flatnonzero(np.isin(subject.plays.countries, countries))
    if len(countries) < 2 or not len(rows):
        return {}, {}
    batch = subject.plays.batch(champion.bundle.artists)
    features = listener_features(batch, champion.bundle.artists, champion.bundle.layout)
    prior = np.array([champion.bundle.prior[c] for c in champion.chain.countries])
    theirs = or_prior(champion.log_joint(features), batch.known > 0, prior)
    places = {
        CHAIN: [subject.flat_task.classes.index(c) for c in countries],
        CHAMPION: [champion.chain.countries.index(c) for c in countries],
    }
    true = np.array([countries.index(c) for c in subject.plays.countries[rows].tolist()])
    outcomes = {
        name: Outcomes.of(log_softmax(np.take(values[rows], places[name], axis=1)), true)
        for name, values in ((CHAIN, chain), (CHAMPION, theirs))
    }
    population = Population(subject.population.train_counts[places[CHAIN]])
    _, differences = bootstrap(
        outcomes,
        lambda found, weights: summary(found, population, weights=weights),
        against=[(CHAIN, CHAMPION)],
        draws=BOOTSTRAP_DRAWS,
        seed=SEED,
    )
    metrics = {name: summary(found, population) for name, found in outcomes.items()}
    return metrics, differences[CHAIN, CHAMPION]


def _region_tables(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """Return the region model's table for each split."""
    task = subject.chain_tasks[0]
    names = {region.slug: region.name for region in subject.manifest.regions.regions}
    tables = {}
    for split, listeners in splits(subject):
        outcomes = Outcomes.of(
            subject.predictor.log_regions(listeners.features), task.labels(listeners.countries)
        )
        table = by_class(outcomes, len(task.classes))
        tables[split] = [
            {
                "region": slug,
                "name": names[slug],
                "listeners": int(table.listeners[i]),
                "predicted": int(table.predicted[i]),
                "accuracy": float(table.accuracy[i]),
                "precision": float(table.precision[i]),
                "recall": float(table.recall[i]),
                "f1": float(table.f1[i]),
                "top3": float(table.top3[i]),
            }
            for i, slug in enumerate(task.classes)
        ]
    return tables


def _country_tables(subject: Subject) -> list[dict[str, Any]]:
    """Return, for each region, how its country model does on its own listeners."""
    tables = []
    for region, task, model in zip(
        subject.manifest.regions.regions,
        subject.chain_tasks[1:],
        subject.predictor.country,
        strict=True,
    ):
        by_split = {}
        for split, listeners in splits(subject):
            own = listeners.of(region.countries)
            outcomes = Outcomes.of(
                model.log_probabilities(own.features), task.labels(own.countries)
            )
            found = summary(outcomes, Population(task.counts))
            by_split[split] = {
                "listeners": len(own),
                **{
                    name: found[key]
                    for name, key in (
                        ("accuracy", "accuracy"),
                        ("precision", "macro_precision"),
                        ("recall", "macro_recall"),
                        ("f1", "macro_f1"),
                        ("top3", "top3"),
                        ("log_loss", "log_loss"),
                    )
                },
            }
        tables.append(
            {
                "region": region.slug,
                "name": region.name,
                "countries": len(region.countries),
                "entropy": entropy(task.counts),
                "effective_classes": task.effective_classes,
                "scale": model.spec.scale,
                "rounds": model.spec.rounds,
                "splits": by_split,
            }
        )
    return tables


def splits(subject: Subject) -> Sequence[tuple[str, Listeners]]:
    """Return the listeners of each split by its name."""
    return (
        ("train", subject.train),
        ("validation", subject.validation),
        ("test", subject.test),
    )


def _region_confusion(subject: Subject) -> npt.NDArray[np.intp]:
    task = subject.chain_tasks[0]
    outcomes = Outcomes.of(
        subject.predictor.log_regions(subject.test.features),
        task.labels(subject.test.countries),
    )
    return confusion(outcomes, len(task.classes))


def _prior_powers(subject: Subject) -> list[dict[str, float]]:
    """Return the chain's metrics on validation were it calibrated with another prior power."""
    models = [subject.predictor.region, *subject.predictor.country]
    listeners = HeldOut.of(subject.train, subject.validation, [model.spec for model in models])
    scores = ChainScores.held_out(models, subject.chain_tasks, listeners)
    true = subject.flat_task.labels(listeners.countries)
    noisy = subject.trainings["region"].recipe.label_noise == "yes"
    of_validation = slice(listeners.training, None)
    points = []
    for power in POWERS:
        found = fit_calibration(scores.log_of(true), power=power, noisy=noisy)
        outcomes = Outcomes.of(scores.log_joint(found)[of_validation], true[of_validation])
        points.append({"power": power, **summary(outcomes, subject.population)})
    return points
