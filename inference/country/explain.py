"""Which artists drove an answer: exact tree contributions, carried back to the artists.

What is explained is the margin of the answer: its score less the average score of the model's
classes, weighed by their probabilities; region and country model add up. A score is a sum over
features: the trees' Shapley values, which LightGBM computes exactly, and the base features. Base
features are sums over artists, so each artist's part is exact. What the trees add for a feature
goes to the artists that moved this feature to where it stands, in proportion. The rest of the
margin (what the models expect of anyone, the length of the list and the like) is ``other``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from listening.country.chain import logits, softmax

if TYPE_CHECKING:
    from listening.country.bundle import Bundle
    from listening.country.listeners import ListenerBatch
    from listening.country.predictor import ChainPredictor, Model

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """What drove the answer for one listener.

    Parameters
    ----------
    answer
        The country or region that is explained.
    artists
        Display names with contributions in log-odds, the largest first.
    other
        The rest of the margin.
    """

    answer: str
    artists: list[tuple[str, float]]
    other: float

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as plain data."""
        return {
            "answer": self.answer,
            "artists": [
                {"artist_name": name, "contribution": contribution}
                for name, contribution in self.artists
            ],
            "other": self.other,
        }


def explain(
    predictor: ChainPredictor,
    batch: ListenerBatch,
    row: int,
    features: npt.NDArray[np.float32],
    answer: str,
) -> Explanation:
    """Explain why a listener got an answer.

    Parameters
    ----------
    predictor
        The chain that answered.
    batch, row
        Where the listener's artists are.
    features
        The listener's, ``(layout width,)``.
    answer
        A country code, or a region slug.
    """
    bundle = predictor.bundle
    region = bundle.regions.region_of.get(answer, answer)
    place = predictor.chain.regions.index(region)
    margin = _margin(predictor.region, features, place)
    if answer != region:
        model = predictor.country[place]
        margin += _margin(model, features, model.spec.classes.index(answer))

    one = batch.take(np.array([row]))
    known = one.artist_ids >= 0
    ids = one.artist_ids[known]
    parts = _artist_parts(predictor.bundle, features, ids, one.weights[known])
    by_artist = _shares(parts) @ margin.trees + parts @ margin.base
    order = np.argsort(-np.abs(by_artist), kind="stable").tolist()
    return Explanation(
        answer,
        [(bundle.artists.name(int(ids[i])), float(by_artist[i])) for i in order],
        float(margin.total - by_artist.sum()),
    )


@dataclass(frozen=True)
class _Margin:
    """A class's margin, and what makes it.

    Parameters
    ----------
    total
        Log-odds.
    trees
        What each feature of the layout adds through the trees, ``(layout width,)``.
    base
        What each feature of the layout is multiplied by as a base, ``(layout width,)``.
    """

    total: float
    trees: FloatArray
    base: FloatArray

    def __add__(self, other: _Margin) -> _Margin:
        return _Margin(self.total + other.total, self.trees + other.trees, self.base + other.base)


def _margin(model: Model, features: npt.NDArray[np.float32], place: int) -> _Margin:
    spec = model.spec
    scores = logits(spec, features, model.raw_scores(features))
    direction = -softmax(scores)
    direction[place] += 1
    trees, base = np.zeros(len(features)), np.zeros(len(features))
    np.add.at(trees, model.columns, direction @ model.contributions(features)[:, :-1])
    if spec.base_columns:
        np.add.at(base, np.array(spec.base_columns), direction)
    return _Margin(float(direction @ scores), trees * spec.scale, base * spec.scale)


def _artist_parts(
    bundle: Bundle,
    features: npt.NDArray[np.float32],
    ids: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
) -> FloatArray:
    """Return each artist's part in each feature, ``(n_artists, layout width)``.

    The blocks that the artist table stores are sums over artists times a number of the listener's,
    which is found from the features themselves. Of affinities, it is the logits that are sums: the
    part is centred over the countries by their probabilities, since only differences tell anything.
    """
    table, layout = bundle.artists, bundle.layout
    weighted = (table.matrix[ids] * weights[:, None]).astype(np.float64)
    parts = np.zeros((len(ids), layout.width))
    for name, columns in table.columns(layout).items():
        place, rows = layout.slice_of(name), weighted[:, columns]
        sums, found = rows.sum(axis=0), features[place].astype(np.float64)
        if name == "affinity":
            found -= table.affinity_bias
            probabilities = np.exp(features[place].astype(np.float64))
            rows = rows - (rows @ probabilities)[:, None]
            sums, found = sums - sums.mean(), found - found.mean()
        parts[:, place] = rows * ((found @ sums) / max(sums @ sums, 1e-12))
        if name == "affinity" and layout.has("region_affinity"):
            within = np.add.reduceat(probabilities, table.region_starts)
            parts[:, layout.slice_of("region_affinity")] = (
                np.add.reduceat(parts[:, place] * probabilities, table.region_starts, axis=1)
                / within
            )
    return parts


def _shares(parts: FloatArray) -> FloatArray:
    """Return who moved each feature to where it stands, ``(n_artists, width)``.

    The artists whose part has the sign of the feature's sum share it in proportion; nobody does
    where no artist has a part.
    """
    agreeing = np.where(parts * np.sign(parts.sum(axis=0)) > 0, np.abs(parts), 0)
    sums = agreeing.sum(axis=0)
    return agreeing / np.where(sums > 0, sums, 1)
