"""L-BFGS as a generator, so that several fits share each pass over the data.

Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.5 with a backtracking line search.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import saxpy

if TYPE_CHECKING:
    from collections.abc import Generator

Vector = npt.NDArray[np.float32]

SUFFICIENT = 1e-4  # share of the slope that a step must gain (Armijo)
BACKTRACKS = 12


def minimise(
    start: Vector, *, iterations: int, tolerance: float, memory: int = 8
) -> Generator[Vector, tuple[float, Vector], Vector]:
    """Minimise a smooth function that the caller evaluates.

    Yields points and expects ``(value, gradient)`` to be sent for each.

    Parameters
    ----------
    start
        Where to begin.
    iterations
        The most steps.
    tolerance
        Stops when a step gains less than this share of the value.
    memory
        Steps that the curvature is estimated from.

    Returns
    -------
    numpy.ndarray
        The best point found.
    """
    point = start
    value, gradient = yield point
    steps: deque[tuple[Vector, Vector, float]] = deque(maxlen=memory)
    for _ in range(iterations):
        direction = _direction(gradient, steps)
        slope = _dot(gradient, direction)
        length = 1.0 if steps else 1 / max(float(np.abs(gradient).sum()), 1e-12)
        for _ in range(BACKTRACKS):
            candidate = saxpy(direction, point.copy(), a=length)
            candidate_value, candidate_gradient = yield candidate
            if candidate_value <= value + SUFFICIENT * length * slope:
                break
            length /= 2
        else:
            return point
        step, change = candidate - point, candidate_gradient - gradient
        curvature = _dot(step, change)
        if curvature > 1e-12:
            steps.append((step, change, curvature))
        gain = value - candidate_value
        point, value, gradient = candidate, candidate_value, candidate_gradient
        if gain <= tolerance * abs(value) and len(steps) > 1:
            break
    return point


def _direction(gradient: Vector, steps: deque[tuple[Vector, Vector, float]]) -> Vector:
    """Return minus the inverse Hessian's estimate times the gradient (two-loop recursion)."""
    direction = -gradient
    shares = []
    for step, change, curvature in reversed(steps):
        share = _dot(step, direction) / curvature
        direction = saxpy(change, direction, a=-share)
        shares.append(share)
    if steps:
        _, change, curvature = steps[-1]
        direction *= np.float32(curvature / max(_dot(change, change), 1e-30))
    for (step, change, curvature), share in zip(steps, reversed(shares), strict=True):
        direction = saxpy(step, direction, a=share - _dot(change, direction) / curvature)
    return direction


def _dot(a: Vector, b: Vector) -> float:
    return float(np.dot(a, b))
