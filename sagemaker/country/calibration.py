"""Making probabilities mean what they say, on listeners that the trees did not see.

With s = softmax(scale · (log P - power · log prior)), the calibrated answer is

    P' = (1 - noise) · s + noise · prior

``power`` is chosen (it trades accuracy for the tail); ``scale`` and ``noise`` are fitted after it.
Noise stands for listeners whose country says nothing of their taste: without it, no one temperature
is right both for answers of 60% (too low) and of 95% (too high). Both numbers have a prior, so that
they stay near its centre where there are few listeners to learn them from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from listening.country.model_spec import ModelSpec

    FloatArray = npt.NDArray[np.float64]

USUAL_NOISE = 0.03
"""Centre of the prior on noise."""
LOG_SCALE_SPREAD = 0.25
"""Standard deviation of the prior on the logarithm of the scale, around 0."""
NOISE_SPREAD = math.sqrt(2)
"""Standard deviation of the prior on the logit of the noise."""
DIGITS = 4
"""Decimals that are kept: an optimiser's last bits must not reach a bundle's version."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Three numbers that turn a model's answers into calibrated ones.

    Parameters
    ----------
    power
        The prior power.
    scale
        Inverse temperature.
    noise
        Share of the prior in the answers.
    """

    power: float = 0.0
    scale: float = 1.0
    noise: float = 0.0

    def of(self, spec: ModelSpec, prior: FloatArray) -> ModelSpec:
        """Return a model that is not calibrated yet with this calibration.

        Parameters
        ----------
        spec
            The model.
        prior
            Share of each of its classes among the training listeners.
        """
        if len(spec.classes) == 1:
            return spec
        bias = -self.scale * self.power * np.log(prior)
        return replace(
            spec,
            scale=spec.scale * self.scale,
            bias=tuple((bias - bias.mean()).round(9).tolist()) if self.power else (),
            noise=self.noise,
            prior=tuple(prior.tolist()) if self.noise else (),
        )


def fit_calibration(
    log_p: Callable[[Calibration], FloatArray],
    *,
    power: float,
    noisy: bool = True,
) -> Calibration:
    """Return the scale and noise of the highest posterior probability.

    Parameters
    ----------
    log_p
        Log-probability of each listener's own class under a calibration, ``(n_listeners,)``.
    power
        The prior power.
    noisy
        Whether there is noise at all.
    """
    centre = _logit(USUAL_NOISE)

    def calibration(values: FloatArray) -> Calibration:
        noise = 1 / (1 + math.exp(-values[1])) if noisy else 0.0
        return Calibration(power=power, scale=math.exp(values[0]), noise=noise)

    def loss(values: FloatArray) -> float:
        penalty = (values[0] / LOG_SCALE_SPREAD) ** 2 + ((values[1] - centre) / NOISE_SPREAD) ** 2
        return float(-log_p(calibration(values)).sum() + penalty / 2)

    found = minimize(
        loss,
        np.array([0.0, centre]),
        method="L-BFGS-B",
        bounds=[(-1.5, 1.5), (-9.0, 0.0)],
        options={"ftol": 1e-8, "eps": 1e-5},
    )
    fitted = calibration(found.x)
    return replace(fitted, scale=round(fitted.scale, DIGITS), noise=round(fitted.noise, DIGITS))


def of_own_class(
    answers: Callable[[Calibration], FloatArray], true: npt.NDArray[np.intp]
) -> Callable[[Calibration], FloatArray]:
    """Return what `fit_calibration` takes of answers ``(n_listeners, n_classes)``.

    Parameters
    ----------
    answers
        The listeners' log-probabilities under a calibration.
    true
        Places of their classes, ``(n_listeners,)``.
    """
    rows = np.arange(len(true))
    return lambda calibration: answers(calibration)[rows, true]


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
