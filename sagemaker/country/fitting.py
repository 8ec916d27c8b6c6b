"""Fitting one model of the chain, or the flat one: trees by LightGBM, then calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from country.calibration import Calibration, fit_calibration, of_own_class
from country.held_out import HeldOut
from country.recipe import Recipe
from listening.country.bundle import TrainedModel
from listening.country.chain import log_probabilities, log_softmax, logits
from listening.country.model_spec import ModelSpec
from listening.country.predictor import Model
from listening.errors import DataError
from listening.metrics import Outcomes, entropy
from listening.trees import portable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from country.features import Listeners
    from country.recipe import Level
    from hosts import Machine
    from listening.country.layout import FeatureLayout
    from listening.regions import Region, RegionTable


ENOUGH_TO_STOP = 20
"""Validation listeners below which they cannot tell when to stop."""
ROUNDS_WITHOUT_STOPPING = 30
"""Rounds of a model that would stop early but has too few validation listeners."""


@dataclass(frozen=True)
class Task:
    """What one model tells apart.

    Parameters
    ----------
    name
        The model's name: ``region``, ``flat`` or ``country-<region slug>``.
    classes
        Its classes, in order.
    class_of
        Country code to class.
    counts
        Training listeners of each class, on all hosts together.
    """

    name: str
    classes: tuple[str, ...]
    class_of: Mapping[str, str]
    counts: npt.NDArray[np.float64]

    @property
    def prior(self) -> npt.NDArray[np.float64]:
        """Share of each class among the training listeners."""
        shares: npt.NDArray[np.float64] = self.counts / self.counts.sum()
        return shares

    @property
    def effective_classes(self) -> float:
        """Exponent of the entropy of the classes' shares."""
        return float(np.exp(entropy(self.counts)))

    @property
    def level(self) -> Level:
        """The level whose defaults it takes."""
        if self.name in ("region", "flat"):
            return self.name  # type: ignore[return-value]
        return "country"

    def labels(self, countries: npt.NDArray[np.str_]) -> npt.NDArray[np.intp]:
        """Return each listener's place in the classes.

        Raises
        ------
        DataError
            A listener is of a country that the model does not know.
        """
        names, inverse = np.unique(countries, return_inverse=True)
        unknown = [name for name in names.tolist() if name not in self.class_of]
        if unknown:
            raise DataError(
                f"model '{self.name}': listeners of {', '.join(unknown)}, which the manifest does "
                "not give to it; channels and manifest must be of one features run"
            )
        place = {name: i for i, name in enumerate(self.classes)}
        places = np.array([place[self.class_of[n]] for n in names.tolist()], dtype=np.intp)
        return places[inverse]


def region_task(regions: RegionTable, train_counts: Mapping[str, int]) -> Task:
    """Return the task of the region model, given training listeners by country."""
    slugs = tuple(region.slug for region in regions.regions)
    counts = [sum(train_counts[c] for c in region.countries) for region in regions.regions]
    return Task("region", slugs, regions.region_of, np.array(counts, dtype=np.float64))


def country_task(region: Region, train_counts: Mapping[str, int]) -> Task:
    """Return the task of a region's country model, given training listeners by country."""
    return _countries_task(f"country-{region.slug}", region.countries, train_counts)


def flat_task(regions: RegionTable, train_counts: Mapping[str, int]) -> Task:
    """Return the task of the flat model over all countries, given training listeners by country."""
    return _countries_task("flat", tuple(regions.region_of), train_counts)


def _countries_task(name: str, countries: tuple[str, ...], train_counts: Mapping[str, int]) -> Task:
    counts = np.array([train_counts[country] for country in countries], dtype=np.float64)
    return Task(name, countries, {country: country for country in countries}, counts)


def untrained_spec(task: Task, layout: FeatureLayout, recipe: Recipe) -> ModelSpec:
    """Return what a model reads: a country model sees its own countries' columns only."""
    if len(task.classes) == 1:
        return ModelSpec(name=task.name, classes=task.classes, columns=())
    columns: list[int] = []
    for block in layout.blocks:
        if block.name not in recipe.blocks:
            continue
        own = set(task.classes) <= set(block.labels)
        labels = [label for label in block.labels if label in task.classes] if own else None
        columns.extend(layout.columns(block.name, labels).tolist())
    base = ()
    if recipe.base and layout.has(recipe.base):
        base = tuple(layout.columns(recipe.base, task.classes).tolist())
    return ModelSpec(
        name=task.name, classes=task.classes, columns=tuple(columns), base_columns=base
    )


def uncalibrated(spec: ModelSpec) -> ModelSpec:
    """Return a model as it was before calibration."""
    return replace(spec, scale=1.0, bias=(), noise=0.0, prior=())


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model came about.

    Parameters
    ----------
    name
        The model's name.
    rounds
        Boosting rounds that were kept.
    curve
        Log loss by round, of ``train`` and ``validation``.
    importance
        Total gain by feature name, falling; zeros left out.
    recipe
        The settings that were used.
    listeners
        Listeners of ``train`` and ``validation``.
    log_loss
        Of the calibrated model on validation.
    """

    name: str
    rounds: int
    curve: dict[str, list[float]]
    importance: dict[str, float]
    recipe: Recipe
    listeners: dict[str, int]
    log_loss: float

    def to_json(self) -> dict[str, Any]:
        """Return this as plain data."""
        return {**vars(self), "recipe": self.recipe.to_json()}

    @classmethod
    def from_json(cls, document: Any) -> Training:
        """Read what `to_json` wrote."""
        recipe = document["recipe"]
        return cls(
            **{**document, "recipe": Recipe(**{**recipe, "blocks": tuple(recipe["blocks"])})}
        )


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model and how it came about."""

    model: TrainedModel
    training: Training

    def loaded(self) -> Model:
        """Return the model, ready to predict."""
        return Model(self.model.spec, self.model.text)


def fit(  # noqa: PLR0913 - what to learn, from whom, and how
    task: Task,
    train: Listeners,
    validation: Listeners,
    *,
    layout: FeatureLayout,
    recipe: Recipe,
    seed: int,
    machine: Machine,
) -> Fitted:
    """Train and calibrate a model.

    Parameters
    ----------
    task
        What to tell apart.
    train, validation
        Listeners to learn from, and to stop early by; both to calibrate on: see `held_out`. Where
        several hosts train together, ``train`` is this host's share.
    layout
        The features' layout.
    recipe
        The settings.
    seed
        Decides bags and feature samples: the same inputs and seed give the same model.
    machine
        Threads and hosts.
    """
    spec = untrained_spec(task, layout, recipe)
    y_train, y_validation = task.labels(train.countries), task.labels(validation.countries)
    trees: lightgbm.Booster | None = None
    curve: dict[str, list[float]] = {}
    if len(task.classes) > 1 and recipe.max_rounds:
        trees, curve = _boost(
            spec,
            (train.features, y_train),
            (validation.features, y_validation),
            recipe=recipe,
            weights=_weights(task.counts, y_train, recipe),
            parameters={
                **recipe.lightgbm(
                    n_classes=len(task.classes),
                    seed=seed,
                    num_threads=machine.threads_for(len(train) * len(spec.columns)),
                ),
                **machine.network,
            },
        )
    importance: dict[str, float] = {}
    text = None
    if trees is None:
        spec = replace(spec, columns=())
    else:
        text = portable(trees.model_to_string())
        importance = _importance(trees, spec, layout)
        spec = replace(spec, rounds=trees.current_iteration())
    loss = 0.0
    if len(task.classes) > 1:
        model = Model(spec, text)
        listeners = HeldOut.of(train, validation, [spec])
        scores = listeners.raw_scores(model)

        def answers(calibration: Calibration) -> npt.NDArray[np.float64]:
            return log_probabilities(calibration.of(spec, task.prior), listeners.features, scores)

        calibration = fit_calibration(
            of_own_class(answers, task.labels(listeners.countries)),
            power=recipe.prior_power,
            noisy=recipe.label_noise == "yes",
        )
        loss = float(
            Outcomes.of(answers(calibration)[listeners.training :], y_validation).log_loss.mean()
        )
        spec = calibration.of(spec, task.prior)
    return Fitted(
        model=TrainedModel(spec, text),
        training=Training(
            name=task.name,
            rounds=spec.rounds,
            curve=curve,
            importance=importance,
            recipe=recipe,
            listeners={"train": len(train), "validation": len(validation)},
            log_loss=loss,
        ),
    )


_Labelled = tuple["npt.NDArray[np.float32]", "npt.NDArray[np.intp]"]


def _boost(  # noqa: PLR0913 - two splits and how to learn
    spec: ModelSpec,
    train: _Labelled,
    validation: _Labelled,
    *,
    recipe: Recipe,
    weights: npt.NDArray[np.float64] | None,
    parameters: dict[str, Any],
) -> tuple[lightgbm.Booster | None, dict[str, list[float]]]:
    """Return trees up to the best round, and the log losses of all rounds.

    There are no trees where none improved on the base.
    """
    bases = [_base(spec, features) for features, _ in (train, validation)]
    data = lightgbm.Dataset(
        np.take(train[0], spec.columns, axis=1),
        train[1],
        weight=weights,
        init_score=bases[0],
        params=parameters,
    )
    held_out = data.create_valid(
        np.take(validation[0], spec.columns, axis=1), validation[1], init_score=bases[1]
    )
    curve: dict[str, dict[str, list[float]]] = {}
    callbacks: list[Any] = [lightgbm.record_evaluation(curve)]
    stops_early = recipe.early_stopping_rounds > 0 and len(validation[1]) >= ENOUGH_TO_STOP
    if stops_early:
        callbacks.append(lightgbm.early_stopping(recipe.early_stopping_rounds, verbose=False))
    rounds = recipe.max_rounds
    if recipe.early_stopping_rounds and not stops_early:
        rounds = min(rounds, ROUNDS_WITHOUT_STOPPING)
    booster = lightgbm.train(
        parameters,
        data,
        num_boost_round=rounds,
        valid_sets=[data, held_out],
        valid_names=["train", "validation"],
        callbacks=callbacks,
    )
    booster.free_network()
    losses = {name: values["multi_logloss"] for name, values in curve.items()}
    rounds = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
    if bases[1] is not None and stops_early:
        untouched = -log_softmax(bases[1])[np.arange(len(validation[1])), validation[1]].mean()
        if losses["validation"][rounds - 1] >= untouched:
            return None, losses
    return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=rounds)), losses


def _base(spec: ModelSpec, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64] | None:
    if not spec.base_columns:
        return None
    return logits(uncalibrated(spec), features)


def _weights(
    counts: npt.NDArray[np.float64], labels: npt.NDArray[np.intp], recipe: Recipe
) -> npt.NDArray[np.float64] | None:
    """Return each listener's weight, min(cap, sqrt(N / (K · n_class))), where asked for."""
    if recipe.class_weights == "none":
        return None
    weights: npt.NDArray[np.float64] = np.minimum(
        recipe.class_weight_cap, np.sqrt(counts.sum() / (len(counts) * np.maximum(counts, 1)))
    )[labels]
    return weights


def _importance(
    trees: lightgbm.Booster, spec: ModelSpec, layout: FeatureLayout
) -> dict[str, float]:
    gains = trees.feature_importance("gain").tolist()
    names = layout.names
    by_gain = sorted(zip(gains, spec.columns, strict=True), reverse=True)
    return {names[column]: gain for gain, column in by_gain if gain > 0}
