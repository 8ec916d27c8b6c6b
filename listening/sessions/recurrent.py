"""A recurrent forecaster of session length, answered with by numpy alone.

The past sessions of a listener go through one or more layers of GRU or LSTM cells; the last state
and what is known of the session that starts go through a dense layer to quantiles of log length.
`sagemaker/sessions/recurrent_fit.py` trains it. The arithmetic is that of Keras 3: Cho et al.
2014 with the reset gate after the product (``reset_after``), and Hochreiter and Schmidhuber 1997
with the forget gate of Gers et al. 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from listening.errors import ArchiveError, LayoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

Cell = Literal["gru", "lstm"]
FloatArray = npt.NDArray[np.float32]

GATES: dict[Cell, int] = {"gru": 3, "lstm": 4}
FORMAT_VERSION = 1
ROWS_AT_ONCE = 512
"""Rows that go through the layers together: some 20 MB of products for 64 steps of 48 units."""


@dataclass(frozen=True, eq=False)
class Standard:
    """How features are standardised: ``(x - mean) / sd``.

    Parameters
    ----------
    mean, sd
        Of each feature, ``(n_features,)``; no ``sd`` is 0.
    """

    mean: FloatArray
    sd: FloatArray

    def __call__(self, features: npt.NDArray[Any]) -> FloatArray:
        """Return features ``(..., n_features)`` with mean 0 and deviation 1."""
        standardised: FloatArray = ((features - self.mean) / self.sd).astype(np.float32, copy=False)
        return standardised


@dataclass(frozen=True, eq=False)
class Dense:
    """A dense layer.

    Parameters
    ----------
    weights
        ``(n_inputs, n_outputs)``.
    bias
        ``(n_outputs,)``.
    """

    weights: FloatArray
    bias: FloatArray

    def __call__(self, inputs: FloatArray) -> FloatArray:
        """Return ``(n, n_outputs)`` for inputs ``(n, n_inputs)``."""
        outputs: FloatArray = inputs @ self.weights + self.bias
        return outputs


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of cells, its arrays as Keras has them.

    Parameters
    ----------
    kernel
        ``(n_inputs, n_gates * units)``: gates update, reset, candidate of a GRU; input, forget,
        candidate, output of an LSTM.
    recurrent
        ``(units, n_gates * units)``.
    bias
        ``(2, 3 * units)`` of a GRU, for the inputs and for the state; ``(4 * units,)`` of an LSTM.
    """

    kernel: FloatArray
    recurrent: FloatArray
    bias: FloatArray

    @property
    def units(self) -> int:
        """How many cells there are."""
        return len(self.recurrent)

    @cached_property
    def gru(self) -> _Prepared:
        """The arrays of a GRU as the loop over steps wants them."""
        gates = 2 * self.units
        half = np.ones(3 * self.units, dtype=np.float32)
        half[:gates] = 0.5
        of_state = self.bias[1].copy()
        of_state[:gates] = 0
        of_inputs = self.bias[0] + self.bias[1] - of_state
        return _Prepared(
            self.kernel * half, of_inputs * half, np.vstack([self.recurrent * half, of_state])
        )

    @cached_property
    def lstm(self) -> _Prepared:
        """The arrays of an LSTM as the loop over steps wants them."""
        half = np.full(4 * self.units, 0.5, dtype=np.float32)
        half[2 * self.units : 3 * self.units] = 1
        return _Prepared(self.kernel * half, self.bias * half, self.recurrent * half)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A layer's arrays where a gate is ``(tanh(x / 2) + 1) / 2``, with the halves multiplied in.

    In those of a GRU the state has a constant 1 at its end, whose row is the candidate's bias.
    """

    kernel: FloatArray
    bias: FloatArray
    recurrent: FloatArray

    def of_inputs(self, inputs: FloatArray) -> FloatArray:
        """Return what inputs ``(n_steps, n, n_inputs)`` add to all gates, at once for all steps."""
        products: FloatArray = inputs @ self.kernel
        products += self.bias
        return products


@dataclass(frozen=True, kw_only=True, eq=False)
class Recurrent:
    """A trained forecaster of log length.

    Parameters
    ----------
    cell
        ``gru`` or ``lstm``.
    layers
        The first reads the sequence, each further one the states of that before.
    hidden
        Reads the last state and after it the context, ``(units + n_context, n_hidden)``; relu.
    output
        ``(n_hidden, n_quantiles)``.
    steps, context
        How the features of the sequence's steps and of the context are standardised.
    levels
        Which quantiles it answers, rising, each between 0 and 1.
    """

    cell: Cell
    layers: tuple[Layer, ...]
    hidden: Dense
    output: Dense
    steps: Standard
    context: Standard
    levels: tuple[float, ...]

    def quantiles(
        self,
        sequence: npt.NDArray[np.floating[Any]],
        mask_lengths: npt.NDArray[np.integer[Any]],
        context: npt.NDArray[np.floating[Any]],
    ) -> FloatArray:
        """Return quantiles of log length ``(n, n_quantiles)``, in log seconds, never crossing.

        Parameters
        ----------
        sequence
            Features of past sessions ``(n, n_steps, n_features)``, not standardised. The last step
            is the most recent session, the first ones are padding, whose values are never read.
        mask_lengths
            How many of the last steps are real, ``(n,)``; 0 for who has no past.
        context
            Features of the session that starts, ``(n, n_context)``, not standardised.

        Raises
        ------
        LayoutError
            An array has another shape than the model was trained on.
        """
        self._check_shapes(sequence, mask_lengths, context)
        answers = np.empty((len(sequence), len(self.levels)), dtype=np.float32)
        for start in range(0, len(sequence), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            state = self._last_state(sequence[rows], mask_lengths[rows])
            inputs = np.concatenate([state, self.context(context[rows])], axis=1)
            answers[rows] = self.output(np.maximum(self.hidden(inputs), 0))
        answers.sort(axis=1)
        return answers

    def _check_shapes(
        self,
        sequence: npt.NDArray[Any],
        lengths: npt.NDArray[Any],
        context: npt.NDArray[Any],
    ) -> None:
        n, features, known = len(sequence), len(self.steps.mean), len(self.context.mean)
        if sequence.ndim != 3 or sequence.shape[2] != features:
            raise LayoutError(
                f"sequence of shape {sequence.shape}, but the model reads (n, steps, {features})"
            )
        if context.shape != (n, known):
            raise LayoutError(
                f"context of shape {context.shape}, but the model reads ({n}, {known})"
            )
        if lengths.shape != (n,) or (
            n and not 0 <= lengths.min() <= lengths.max() <= _steps(sequence)
        ):
            raise LayoutError(
                f"mask_lengths of shape {lengths.shape}: there must be {n} of them, "
                f"each from 0 to {_steps(sequence)}"
            )

    def _last_state(
        self, sequence: npt.NDArray[np.floating[Any]], lengths: npt.NDArray[np.integer[Any]]
    ) -> FloatArray:
        """Return the last layer's state ``(n, units)`` after the last step."""
        state = np.zeros((len(sequence), self.layers[-1].units), dtype=np.float32)
        longest = int(lengths.max(initial=0))
        if not longest:
            return state
        falling = np.argsort(-lengths, kind="stable")
        past = sequence[falling, _steps(sequence) - longest :].transpose(1, 0, 2)
        # the rows that have a step are the first ones, and become more from step to step
        real = np.searchsorted(-lengths[falling], -np.arange(longest, 0, -1), side="right")
        states = self.steps(past)
        run = _run_gru if self.cell == "gru" else _run_lstm
        for layer in self.layers:
            states = run(layer, states, real)
        state[falling] = states[-1]
        return state

    @property
    def description(self) -> dict[str, Any]:
        """What is not in the arrays; plain data."""
        return {
            "format_version": FORMAT_VERSION,
            "cell": self.cell,
            "layers": len(self.layers),
            "levels": list(self.levels),
        }

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """Every array by name."""
        arrays: dict[str, FloatArray] = {}
        for i, layer in enumerate(self.layers):
            arrays |= {f"layer-{i}-{name}": getattr(layer, name) for name in _LAYER}
        for part in _DENSE_PARTS:
            arrays |= {f"{part}-{name}": getattr(getattr(self, part), name) for name in _DENSE}
        for part in _STANDARD_PARTS:
            arrays |= {f"{part}-{name}": getattr(getattr(self, part), name) for name in _STANDARD}
        return arrays

    @classmethod
    def of(
        cls, description: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> Recurrent:
        """Return a forecaster of its `description` and its `arrays`.

        Raises
        ------
        ArchiveError
            Something is missing, or the arrays do not fit each other.
        """
        try:
            if description["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format version {description['format_version']!r}")
            cell, levels = description["cell"], tuple(map(float, description["levels"]))
            if cell not in GATES:
                raise ValueError(f"cell {cell!r}")
            if not levels or not all(a < b for a, b in pairwise((0.0, *levels, 1.0))):
                raise ValueError(f"levels {levels}")
            if not description["layers"]:
                raise ValueError("no layers")
            single = {
                name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()
            }
            model = cls(
                cell=cast("Cell", cell),
                layers=tuple(
                    Layer(*(single[f"layer-{i}-{name}"] for name in _LAYER))
                    for i in range(int(description["layers"]))
                ),
                hidden=Dense(*(single[f"hidden-{name}"] for name in _DENSE)),
                output=Dense(*(single[f"output-{name}"] for name in _DENSE)),
                steps=Standard(*(single[f"steps-{name}"] for name in _STANDARD)),
                context=Standard(*(single[f"context-{name}"] for name in _STANDARD)),
                levels=levels,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"not a recurrent forecaster of this format ({error!r})") from error
        model._check_arrays()
        return model

    def _check_arrays(self) -> None:
        """Raise an `ArchiveError` unless the arrays fit each other."""
        gates = GATES[self.cell]
        expected: dict[str, tuple[int, ...]] = {}
        inputs, known = self.steps.mean.size, self.context.mean.size
        for i, layer in enumerate(self.layers):
            width = gates * layer.units
            expected |= {
                f"layer-{i}-kernel": (inputs, width),
                f"layer-{i}-recurrent": (layer.units, width),
                f"layer-{i}-bias": (2, width) if self.cell == "gru" else (width,),
            }
            inputs = layer.units
        hidden, levels = self.hidden.bias.size, len(self.levels)
        expected |= {
            "hidden-weights": (inputs + known, hidden),
            "hidden-bias": (hidden,),
            "output-weights": (hidden, levels),
            "output-bias": (levels,),
            "steps-mean": (self.steps.mean.size,),
            "steps-sd": (self.steps.mean.size,),
            "context-mean": (known,),
            "context-sd": (known,),
        }
        found = {name: array.shape for name, array in self.arrays.items()}
        wrong = [name for name, shape in expected.items() if found[name] != shape]
        if wrong:
            name = wrong[0]
            raise ArchiveError(
                f"recurrent forecaster: {name} has the shape {found[name]}, "
                f"expected {expected[name]}"
            )


_LAYER = ("kernel", "recurrent", "bias")
_DENSE = ("weights", "bias")
_STANDARD = ("mean", "sd")
_DENSE_PARTS = ("hidden", "output")
_STANDARD_PARTS = ("steps", "context")


def _steps(sequence: npt.NDArray[Any]) -> int:
    return int(sequence.shape[1])


def _stretches(real: npt.NDArray[np.intp]) -> list[tuple[int, int, int]]:
    """Return first step, step after the last, and rows, where the number of rows stays."""
    changes = [0, *(np.flatnonzero(np.diff(real)) + 1).tolist(), len(real)]
    return [(start, stop, int(real[start])) for start, stop in pairwise(changes)]


def _run_gru(layer: Layer, inputs: FloatArray, real: npt.NDArray[np.intp]) -> FloatArray:
    """Return the states ``(n_steps, n, units)``; ``real`` rows have each step, the rest 0."""
    units, prepared = layer.units, layer.gru
    products = prepared.of_inputs(inputs)
    states = np.zeros((*inputs.shape[:2], units), dtype=np.float32)
    held = np.zeros((inputs.shape[1], units + 1), dtype=np.float32)
    held[:, units] = 1
    buffer = np.empty((inputs.shape[1], 3 * units), dtype=np.float32)
    for start, stop, rows in _stretches(real):
        extended, inner = held[:rows], buffer[:rows]
        state = extended[:, :units]
        gates, candidate = inner[:, : 2 * units], inner[:, 2 * units :]
        update, reset = inner[:, :units], inner[:, units : 2 * units]
        to_gates = products[start:stop, :rows, : 2 * units]
        to_candidate = products[start:stop, :rows, 2 * units :]
        for to_gate, to_new, kept in zip(
            to_gates, to_candidate, states[start:stop, :rows], strict=True
        ):
            np.dot(extended, prepared.recurrent, out=inner)
            gates += to_gate
            np.tanh(gates, out=gates)
            gates *= 0.5
            gates += 0.5
            candidate *= reset
            candidate += to_new
            np.tanh(candidate, out=candidate)
            state -= candidate
            state *= update
            state += candidate
            kept[...] = state
    return states


def _run_lstm(layer: Layer, inputs: FloatArray, real: npt.NDArray[np.intp]) -> FloatArray:
    """Return the states ``(n_steps, n, units)``; ``real`` rows have each step, the rest 0."""
    units, prepared = layer.units, layer.lstm
    products = prepared.of_inputs(inputs)
    states = np.zeros((*inputs.shape[:2], units), dtype=np.float32)
    held, carried = (np.zeros((inputs.shape[1], units), dtype=np.float32) for _ in range(2))
    buffer = np.empty((inputs.shape[1], 4 * units), dtype=np.float32)
    for start, stop, rows in _stretches(real):
        state, carry, inner = held[:rows], carried[:rows], buffer[:rows]
        early, late = inner[:, : 2 * units], inner[:, 3 * units :]
        entry, forget = inner[:, :units], inner[:, units : 2 * units]
        candidate = inner[:, 2 * units : 3 * units]
        for to_gates, kept in zip(
            products[start:stop, :rows], states[start:stop, :rows], strict=True
        ):
            np.dot(state, prepared.recurrent, out=inner)
            inner += to_gates
            np.tanh(inner, out=inner)
            early *= 0.5
            early += 0.5
            late *= 0.5
            late += 0.5
            candidate *= entry
            carry *= forget
            carry += candidate
            np.tanh(carry, out=state)
            state *= late
            kept[...] = state
    return states
