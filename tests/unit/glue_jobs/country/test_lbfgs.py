from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize

from glue_jobs.country.lbfgs import minimise

if TYPE_CHECKING:
    from collections.abc import Callable

Vector = npt.NDArray[np.float32]


def run(function: Callable[[Vector], tuple[float, Vector]], start: Vector) -> tuple[Vector, int]:
    fit = minimise(start, iterations=200, tolerance=1e-7)
    point, evaluations = next(fit), 0
    while True:
        evaluations += 1
        try:
            point = fit.send(function(point))
        except StopIteration as done:
            return done.value, evaluations


def test_a_quadratic_is_minimised() -> None:
    scales = np.array([1, 10, 100, 1000], dtype=np.float32)
    goal = np.array([1, -2, 3, -4], dtype=np.float32)
    point, evaluations = run(
        lambda x: (float(0.5 * scales @ (x - goal) ** 2), scales * (x - goal)),
        np.zeros(4, dtype=np.float32),
    )
    assert point == pytest.approx(goal, abs=1e-2)
    assert evaluations < 60


def test_a_logistic_loss_is_minimised_like_scipy_does() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(200, 5)).astype(np.float32)
    signs = np.where(rows @ [1, -1, 2, 0, 0] + rng.normal(size=200) > 0, 1, -1).astype(np.float32)

    def loss(x: Vector) -> tuple[float, Vector]:
        margins = signs * (rows @ x)
        value = float(np.logaddexp(0, -margins).sum() + 0.5 * x @ x)
        return value, (x - rows.T @ (signs / (1 + np.exp(margins)))).astype(np.float32)

    point, _ = run(loss, np.zeros(5, dtype=np.float32))
    best = minimize(loss, np.zeros(5), jac=True).x
    assert point == pytest.approx(best, abs=2e-2)
