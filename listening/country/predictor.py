"""Asking a bundle's models: raw scores from trees, probabilities by `listening.country.chain`.

The endpoint, the batch-scoring job and the evaluation of a champion all answer through here, so
that they cannot answer differently. Small trees are evaluated by `listening.country.small_trees`,
others by LightGBM's C API, always on the caller's thread; one listener and many, and both ways,
give the same answer to the last bit.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from listening.country.chain import Chain, FloatArray, TopK, log_probabilities
from listening.country.small_trees import SmallTrees
from listening.errors import LayoutError
from listening.trees import CONTRIBUTIONS, RAW_SCORE, predict, read_trees

if TYPE_CHECKING:
    import lightgbm

    from listening.country.bundle import Bundle, CountryArchive
    from listening.country.model_spec import ModelSpec

Features = npt.NDArray[np.float32]


class Model:
    """One model of an archive, ready to predict.

    Parameters
    ----------
    spec
        Its classes, inputs and calibration.
    text
        Its trees as LightGBM's text; None for a model without.

    Raises
    ------
    ArchiveError
        The text is not a LightGBM model, or does not fit its specification.
    """

    def __init__(self, spec: ModelSpec, text: str | None) -> None:
        self.spec = spec
        self.columns = np.array(spec.columns, dtype=np.intp)
        self._text = text
        self._small = None if text is None else SmallTrees.parse(text, spec)
        if self._small is None:
            _ = self.booster  # refused now, not at the first request

    @cached_property
    def booster(self) -> lightgbm.Booster | None:
        """The trees in LightGBM; made when first needed, since few requests need it.

        Made after forking: LightGBM's threads do not survive a fork.
        """
        if self._text is None:
            return None
        spec = self.spec
        return read_trees(
            self._text, name=spec.name, width=len(spec.columns), outputs=len(spec.classes)
        )

    def raw_scores(self, features: Features) -> FloatArray | None:
        """Return the trees' raw scores; None for a model without trees.

        Parameters
        ----------
        features
            Whole feature vectors, ``(n_listeners, layout width)`` or ``(layout width,)``.
        """
        if self._text is None:
            return None
        if self._small is not None:
            return self._small.raw_scores(features)
        scores = self._predict(np.atleast_2d(features), RAW_SCORE, len(self.spec.classes))
        return scores.reshape(*features.shape[:-1], len(self.spec.classes))

    def log_probabilities(self, features: Features) -> FloatArray:
        """Return log P(class), ``(n_listeners, n_classes)`` or ``(n_classes,)``."""
        return log_probabilities(self.spec, features, self.raw_scores(features))

    def contributions(self, features: Features) -> FloatArray:
        """Return what each feature adds to the trees' raw scores: exact Shapley values.

        Parameters
        ----------
        features
            One whole feature vector, ``(layout width,)``.

        Returns
        -------
        array
            ``(n_classes, n_columns + 1)``; the last is what the trees expect of anyone.
        """
        shape = len(self.spec.classes), len(self.columns) + 1
        if self._text is None:
            return np.zeros(shape)
        return self._predict(features[None, :], CONTRIBUTIONS, shape[0] * shape[1]).reshape(shape)

    def _predict(self, features: Features, kind: int, outputs: int) -> FloatArray:
        assert self.booster is not None
        rows = np.ascontiguousarray(np.take(features, self.columns, axis=1))
        return predict(self.booster, rows, kind=kind, outputs=outputs)


class ChainPredictor:
    """The chain of a bundle, ready to predict; make it after forking.

    Parameters
    ----------
    bundle
        The bundle, of which all models are loaded now.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.width = bundle.layout.width
        models = [load_model(bundle, spec) for spec in bundle.models]
        self.region, self.country = models[0], models[1:]
        self.chain = Chain.of(bundle.region, bundle.country, bundle.prior)

    def log_regions(self, features: Features) -> FloatArray:
        """Return log P(region), ``(n_listeners, n_regions)`` or ``(n_regions,)``.

        Raises
        ------
        LayoutError
            The features' width is not the layout's.
        """
        if features.shape[-1] != self.width:
            raise LayoutError(
                f"features have {features.shape[-1]} columns, "
                f"but bundle {self.bundle.version} expects {self.width}"
            )
        return self.region.log_probabilities(features)

    def top_k(self, features: Features, k: int, *, log_regions: FloatArray | None = None) -> TopK:
        """Return the k likeliest countries of many listeners, exactly.

        Parameters
        ----------
        features
            ``(n_listeners, layout width)``.
        k
            How many.
        log_regions
            What `log_regions` gave, where the caller has it.
        """
        if log_regions is None:
            log_regions = self.log_regions(features)
        return self.chain.top_k(
            log_regions, lambda r, rows: self.country[r].log_probabilities(features[rows]), k
        )

    def top_k_of_one(self, features: Features, log_regions: FloatArray, k: int) -> TopK:
        """Return what `top_k` returns, for one listener, in a fraction of the time.

        Parameters
        ----------
        features
            ``(layout width,)``.
        log_regions
            ``(n_regions,)``.
        k
            How many.
        """
        best, visited = self.chain.top_k_of_one(
            log_regions, lambda r: self.country[r].log_probabilities(features), k
        )
        return TopK(
            np.array([[place for _, place in best]], dtype=np.intp),
            np.exp(np.array([[value for value, _ in best]])),
            np.array([visited], dtype=np.intp),
        )

    def log_joint(self, features: Features, *, log_regions: FloatArray | None = None) -> FloatArray:
        """Return log P(country) of all countries, ``(n_listeners, n_countries)``."""
        if log_regions is None:
            log_regions = self.log_regions(features)
        return self.chain.joint(
            log_regions, lambda r, rows: self.country[r].log_probabilities(features[rows])
        )


def load_model(bundle: CountryArchive, spec: ModelSpec) -> Model:
    """Load one of a bundle's models; errors as in `CountryArchive.text` and `Model`."""
    return Model(spec, bundle.text(spec))
