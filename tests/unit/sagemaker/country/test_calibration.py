"""Calibration finds what was done to the answers, and leaves models with little data alone."""

from __future__ import annotations

import numpy as np
import pytest

from country.calibration import Calibration, fit_calibration, of_own_class
from listening.country.chain import log_probabilities, log_softmax
from listening.country.model_spec import ModelSpec
from listening.metrics import Outcomes, reliability

CLASSES = ("a", "b", "c", "d")
PRIOR = np.array([0.4, 0.3, 0.2, 0.1])
SPEC = ModelSpec(name="flat", classes=CLASSES, columns=(), base_columns=(0, 1, 2, 3))


def listeners(n: int, *, scale: float, noise: float, seed: int = 0):
    """Return log-probabilities whose calibration is known, and classes drawn from the truth."""
    rng = np.random.default_rng(seed)
    log_p = log_softmax(rng.normal(scale=2, size=(n, 4)) + np.log(PRIOR))
    truth = (1 - noise) * np.exp(log_softmax(scale * log_p)) + noise * PRIOR
    true = (truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return log_p, np.minimum(true, 3)


def calibrate(log_p, true, power=0.0):
    answers = of_own_class(lambda c: log_probabilities(c.of(SPEC, PRIOR), log_p), true)
    return fit_calibration(answers, power=power)


def test_scale_and_noise_are_found():
    found = calibrate(*listeners(40_000, scale=0.7, noise=0.1))
    assert found.scale == pytest.approx(0.7, abs=0.03)
    assert found.noise == pytest.approx(0.1, abs=0.03)


def test_calibrated_answers_are_calibrated():
    found = calibrate(*listeners(20_000, scale=0.6, noise=0.08))
    log_p, true = listeners(20_000, scale=0.6, noise=0.08, seed=1)
    before = Outcomes.of(log_p, true)
    after = Outcomes.of(log_probabilities(found.of(SPEC, PRIOR), log_p), true)
    assert reliability(before.confidence, before.hit).ece > 0.08
    assert reliability(after.confidence, after.hit).ece < 0.015


def test_few_listeners_hardly_move_the_scale():
    log_p, true = listeners(6, scale=0.3, noise=0.0)
    assert calibrate(log_p, true).scale == pytest.approx(1.0, abs=0.35)


def test_the_prior_power_lifts_rare_classes():
    log_p, true = listeners(2_000, scale=1.0, noise=0.0)
    plain, lifted = (
        np.exp(log_probabilities(calibrate(log_p, true, power).of(SPEC, PRIOR), log_p))
        for power in (0.0, 0.5)
    )
    assert lifted[:, 3].mean() > plain[:, 3].mean()
    assert lifted[:, 0].mean() < plain[:, 0].mean()


def test_one_class_needs_no_calibration():
    spec = ModelSpec(name="country-ant", classes=("AQ",), columns=())
    assert Calibration(power=0.2, scale=2.0, noise=0.1).of(spec, np.ones(1)) == spec
