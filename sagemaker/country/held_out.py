"""The listeners that calibration is fitted on, and what models say of them without having learned.

Trees know the training listeners too well to be calibrated on them. But a training listener's
affinities are out of fold, so the regression that the trees start from has not seen them: it can
be. Two numbers fitted on validation alone were too modest wherever that split was small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from country.features import Listeners
    from listening.country.model_spec import ModelSpec
    from listening.country.predictor import Model

TRAINING_LISTENERS = 10_000
"""Training listeners that take part at most: more add time, and would outweigh a validation split
that is large enough to tell what the trees change."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Training listeners, whom only the affinities judge, and then validation's, whom trees do too.

    Parameters
    ----------
    countries
        Country codes, ``(n_listeners,)``.
    features
        float32, ``(n_listeners, layout width)``.
    training
        How many of them, the first, are training listeners.
    """

    countries: npt.NDArray[np.str_]
    features: npt.NDArray[np.float32]
    training: int

    @classmethod
    def of(cls, train: Listeners, validation: Listeners, specs: Sequence[ModelSpec]) -> HeldOut:
        """Choose the listeners to calibrate models on.

        Where trees do not start from affinities, only validation listeners can tell.

        Parameters
        ----------
        train, validation
            The listeners of each split.
        specs
            The models that are calibrated together.
        """
        told = all(spec.base_columns or len(spec.classes) == 1 for spec in specs)
        step = max(1, -(-len(train) // TRAINING_LISTENERS))
        rows = slice(None, None, step) if told else slice(0)
        return cls(
            countries=np.concatenate([train.countries[rows], validation.countries]),
            features=np.concatenate([train.features[rows], validation.features]),
            training=len(train.countries[rows]),
        )

    def raw_scores(self, model: Model) -> npt.NDArray[np.float64] | None:
        """Return what a model's trees say, 0 of training listeners; None for one without trees."""
        scores = model.raw_scores(self.features[self.training :])
        if scores is None:
            return None
        return np.concatenate([np.zeros((self.training, scores.shape[1])), scores])
