"""The models behind the endpoint's targets, and their answers to listeners.

`answerer_of` turns an archive into something that answers; which kind it is decides what it can be
asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from inference.country.explain import Explanation, explain
from inference.country.inputs import FeatureQuestions, Options, Questions
from listening.country.bundle import Bundle, CountryArchive, Prior, SingleModel
from listening.country.listeners import ListenerBatch, listener_features
from listening.country.predictor import ChainPredictor, load_model
from listening.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

REGION = "region"
"""Name of the model whose classes are regions."""

Ranked = list[tuple[str, float]]
"""Codes (of countries) or slugs (of regions) with probabilities, best first."""


@dataclass(frozen=True)
class Answer:
    """What is known about one listener.

    Parameters
    ----------
    regions
        All regions that the model knows; None for a model that knows only countries.
    countries
        The k likeliest; None where only regions were asked for.
    known_artists, unknown_artists
        How many artists of the listener the bundle knows and does not know; None where feature
        vectors were sent.
    prior
        Whether nothing was known of the listener, so that the answer is how frequent each country
        is.
    user_id
        As sent.
    explanation
        Which artists drove the answer, where asked for.
    """

    regions: Ranked | None
    countries: Ranked | None
    known_artists: int | None = None
    unknown_artists: int | None = None
    prior: bool = False
    user_id: str | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True)
class Answers:
    """Answers in the order of the listeners, and the archive that they come from."""

    items: list[Answer]
    bundle: CountryArchive
    single: bool = field(kw_only=True)


class Answerer(Protocol):
    """A loaded archive."""

    @property
    def bundle(self) -> CountryArchive:
        """The archive."""
        ...

    def answer(self, questions: Questions | FeatureQuestions) -> Answers:
        """Answer every listener.

        Raises
        ------
        RequestError
            This archive cannot be asked that.
        """
        ...


def answerer_of(archive: CountryArchive) -> Answerer:
    """Return what answers with an archive, its models loaded."""
    if isinstance(archive, Bundle):
        return BundleAnswerer(archive)
    if isinstance(archive, SingleModel):
        return SingleAnswerer(archive)
    assert isinstance(archive, Prior)
    return PriorAnswerer(archive)


class PriorAnswerer:
    """Answers everyone alike."""

    def __init__(self, bundle: Prior) -> None:
        self.bundle = bundle
        self._prior = _Prior(bundle, bundle.prior)

    def answer(self, questions: Questions | FeatureQuestions) -> Answers:
        """Answer with the prior, and say so."""
        if isinstance(questions, FeatureQuestions):
            raise RequestError(
                "this target holds no model yet, only how frequent countries are; send plays as "
                "JSON, or train a bundle",
                status=415,
            )
        items = [
            self._prior.answer(question.options, 0, len(question.listener.names), question.user_id)
            for question in questions.items
        ]
        return Answers(items, self.bundle, single=questions.single)


class _Prior:
    """How frequent countries and regions are, most frequent first."""

    def __init__(self, bundle: CountryArchive, shares: dict[str, float]) -> None:
        self.countries = _ranked(shares)
        self.regions = _ranked(
            {
                region.slug: sum(shares[country] for country in region.countries)
                for region in bundle.regions.regions
            }
        )

    def answer(self, options: Options, known: int, unknown: int, user_id: str | None) -> Answer:
        countries = self.countries[: options.k] if options.level == "country" else None
        return Answer(self.regions, countries, known, unknown, prior=True, user_id=user_id)


def _ranked(probabilities: dict[str, float]) -> Ranked:
    return sorted(probabilities.items(), key=_probability, reverse=True)


class SingleAnswerer:
    """One model on feature vectors."""

    def __init__(self, bundle: SingleModel) -> None:
        self.bundle = bundle
        self._model = load_model(bundle, bundle.model)

    def answer(self, questions: Questions | FeatureQuestions) -> Answers:
        """Answer with the model's classes, regions or countries."""
        if isinstance(questions, Questions):
            raise RequestError(
                f"target '{self.bundle.model.name}' is a single model without an artist table: "
                "it takes feature vectors as application/x-npy; send plays to the bundle, "
                "bundle.tar.gz of the same version",
                status=415,
            )
        options = questions.options
        _refuse_explaining(options)
        features = _checked_features(self.bundle, questions.features)
        probabilities = np.exp(self._model.log_probabilities(features))
        of_regions = self.bundle.model.name == REGION
        if not of_regions and options.level == "region":
            raise RequestError(f"level: target '{self.bundle.model.name}' knows countries alone")
        k = len(self.bundle.model.classes) if of_regions else options.k
        items = []
        for ranked in _top(self.bundle.model.classes, probabilities, k):
            items.append(Answer(ranked, None) if of_regions else Answer(None, ranked))
        return Answers(items, self.bundle, single=questions.single)


class BundleAnswerer:
    """The chain: region model, country models and artist table."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.predictor = ChainPredictor(bundle)
        self._prior = _Prior(bundle, bundle.prior)

    @cached_property
    def _regions(self) -> tuple[str, ...]:
        return self.predictor.chain.regions

    def answer(self, questions: Questions | FeatureQuestions) -> Answers:
        """Answer with countries and regions; a listener of no known artist gets the prior."""
        if isinstance(questions, FeatureQuestions):
            _refuse_explaining(questions.options)
            features = _checked_features(self.bundle, questions.features)
            options = [questions.options] * len(features)
            items = [Answer(*ranked) for ranked in self._rank(features, options)]
            return Answers(items, self.bundle, single=questions.single)
        bundle = self.bundle
        batch = ListenerBatch.from_raw([q.listener for q in questions.items], bundle.artists)
        answers: list[Answer | None] = [None] * len(batch)
        known, unknown = batch.known.tolist(), batch.unknown.tolist()
        asked = [i for i, n in enumerate(known) if n]
        if asked:
            some = batch if len(asked) == len(batch) else batch.take(np.array(asked))
            features = listener_features(some, bundle.artists, bundle.layout)
            ranked = self._rank(features, [questions.items[i].options for i in asked])
            for row, i in enumerate(asked):
                question, (regions, countries) = questions.items[i], ranked[row]
                explanation = None
                if question.options.explain:
                    goal = countries[0][0] if countries else regions[0][0]
                    explanation = explain(self.predictor, some, row, features[row], goal)
                answers[i] = Answer(
                    regions,
                    countries,
                    known[i],
                    unknown[i],
                    user_id=question.user_id,
                    explanation=explanation,
                )
        items = [
            answer or self._prior.answer(question.options, 0, unknown[i], question.user_id)
            for i, (answer, question) in enumerate(zip(answers, questions.items, strict=True))
        ]
        return Answers(items, bundle, single=questions.single)

    def _rank(
        self, features: npt.NDArray[np.float32], options: Sequence[Options]
    ) -> list[tuple[Ranked, Ranked | None]]:
        """Return regions and, where asked for, the likeliest countries of each listener."""
        predictor = self.predictor
        deep = [i for i, o in enumerate(options) if o.level == "country"]
        if len(features) == 1:
            log_regions = predictor.log_regions(features[0])
            regions = _top(self._regions, np.exp(log_regions)[None])
            if not deep:
                return [(regions[0], None)]
            found = predictor.top_k_of_one(features[0], log_regions, options[0].k)
        else:
            log_regions = predictor.log_regions(features)
            regions = _top(self._regions, np.exp(log_regions))
            if not deep:
                return [(ranked, None) for ranked in regions]
            found = predictor.top_k(
                features[deep],
                max(options[i].k for i in deep),
                log_regions=log_regions[deep],
            )
        names = predictor.chain.countries
        countries: dict[int, Ranked] = {
            i: [(names[place], p) for place, p in zip(places, shares, strict=True)][: options[i].k]
            for i, places, shares in zip(
                deep, found.countries.tolist(), found.probabilities.tolist(), strict=True
            )
        }
        return [(ranked, countries.get(i)) for i, ranked in enumerate(regions)]


def _top(
    classes: Sequence[str], probabilities: npt.NDArray[np.float64], k: int | None = None
) -> list[Ranked]:
    return [
        sorted(zip(classes, row, strict=True), key=_probability, reverse=True)[:k]
        for row in probabilities.tolist()
    ]


def _probability(pair: tuple[str, float]) -> float:
    return pair[1]


def _refuse_explaining(options: Options) -> None:
    if options.explain:
        raise RequestError("explain: a feature vector does not tell artists; send plays")


def _checked_features(
    bundle: Bundle | SingleModel, features: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Refuse feature vectors that do not fit the layout."""
    layout = bundle.layout
    if features.shape[1] != layout.width:
        blocks = ", ".join(f"{block.name} {block.width}" for block in layout.blocks)
        raise RequestError(
            f"body: vectors of width {features.shape[1]}, but this target expects "
            f"{layout.width} features ({blocks})"
        )
    wrong = ~np.isfinite(features)
    if layout.has("log_total_scrobbles"):
        place = layout.slice_of("log_total_scrobbles")
        wrong[:, place] &= ~np.isnan(features[:, place])  # NaN stands for not given
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise RequestError(
            f"body: feature {layout.names[column]} of listener {row} is {features[row, column]}, "
            "not a finite number"
        )
    return features
