"""The recurrent forecaster: numpy says what Keras says, and learns what there is to learn."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace

import numpy as np
import pytest

from listening.errors import ArchiveError, DataError, LayoutError
from listening.sessions.forecast import LEVELS
from listening.sessions.recurrent import Dense, Layer, Recurrent, Standard
from sessions import recurrent_fit
from sessions.recurrent_fit import (
    RecurrentSettings,
    Scales,
    Sequences,
    exported,
    fit_recurrent,
    network,
)

CELLS = ("gru", "lstm")
N_STEPS, N_FEATURES, N_CONTEXT = 12, 3, 2
WHY = "keras and jax are not installed: they are in requirements/recurrent.txt alone"


@pytest.fixture
def _keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    for name in ("jax", "keras"):
        pytest.importorskip(name, reason=WHY)


def array(rng, *shape, scale=1.0):
    return (scale * rng.normal(size=shape)).astype(np.float32)


def forecaster(cell: str, *, layers: int = 2, units: int = 5, seed: int = 0) -> Recurrent:
    rng = np.random.default_rng(seed)
    width = {"gru": 3, "lstm": 4}[cell] * units
    inputs = [N_FEATURES] + [units] * (layers - 1)
    return Recurrent(
        cell=cell,
        layers=tuple(
            Layer(
                array(rng, n, width),
                array(rng, units, width, scale=0.5),
                array(rng, *((2, width) if cell == "gru" else (width,))),
            )
            for n in inputs
        ),
        hidden=Dense(array(rng, units + N_CONTEXT, 6), array(rng, 6)),
        output=Dense(array(rng, 6, len(LEVELS)), array(rng, len(LEVELS))),
        steps=Standard(array(rng, N_FEATURES), np.full(N_FEATURES, 2, np.float32)),
        context=Standard(array(rng, N_CONTEXT), np.full(N_CONTEXT, 3, np.float32)),
        levels=LEVELS,
    )


def request(n: int, *, seed: int = 1, n_steps: int = N_STEPS):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, n_steps + 1, n)
    lengths[: min(n, 2)] = (n_steps, 0)[: min(n, 2)]
    return array(rng, n, n_steps, N_FEATURES), lengths, array(rng, n, N_CONTEXT)


def sequences(n: int, **changes) -> Sequences:
    steps, lengths, context = request(n)
    fields = {"steps": steps, "lengths": lengths, "context": context}
    target = np.random.default_rng(2).normal(7, 1.5, n).astype(np.float32)
    return Sequences(**(fields | {"target": target} | changes))


def autoregressive(n: int, *, seed: int) -> Sequences:
    """Return sessions whose log length leans on the one before, with some pasts short."""
    rng = np.random.default_rng(seed)
    series = np.zeros((n, N_STEPS + 1))
    for step in range(1, N_STEPS + 1):
        series[:, step] = 0.9 * series[:, step - 1] + rng.normal(size=n)
    steps = np.zeros((n, N_STEPS, N_FEATURES), np.float32)
    steps[:, :, 0] = series[:, :-1] + 7
    return Sequences(
        steps=steps,
        lengths=rng.integers(1, N_STEPS + 1, n),
        context=array(rng, n, N_CONTEXT),
        target=(series[:, -1] + 7).astype(np.float32),
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.usefixtures("_keras")
def test_numpy_answers_what_keras_answers(cell, layers):
    given = sequences(40)
    settings = RecurrentSettings(layers=layers, hidden=11)
    trained = network(cell, settings, n_steps=N_STEPS, n_features=N_FEATURES, n_context=N_CONTEXT)
    rng = np.random.default_rng(4)
    # those that Keras begins with have biases of 0, which would hide one that is forgotten
    trained.set_weights([array(rng, *w.shape, scale=0.4) for w in trained.get_weights()])
    scales = Scales.of(given)
    model = exported(trained, cell, scales=scales, levels=settings.levels)
    raw = np.asarray(trained(scales.inputs(given)))
    expected = np.sort(raw * scales.target.sd + scales.target.mean, axis=1)
    found = model.quantiles(given.steps, given.lengths, given.context)
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found, axis=0).min() > 0.1


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("_keras")
def test_a_series_that_leans_on_its_past_is_learned_better_than_its_mean(cell):
    train, validation, test = (autoregressive(n, seed=s) for s, n in enumerate((1536, 384, 600)))
    settings = RecurrentSettings(hidden=12, epochs=12, batch=64, learning_rate=5e-3)
    fitted = fit_recurrent(cell, train, validation, settings, seed=3)
    answered = fitted.model.quantiles(test.steps, test.lengths, test.context)
    median = answered[:, LEVELS.index(0.5)]
    error = np.abs(test.target - median).mean()
    of_mean = np.abs(test.target - train.target.mean()).mean()
    assert error < 0.75 * of_mean
    below = (test.target[:, None] < answered).mean(axis=0)
    assert below == pytest.approx(np.array(LEVELS), abs=0.1)
    assert len(fitted.curve["train"]) == len(fitted.curve["validation"]) <= 12
    best = fitted.curve["validation"][fitted.epochs - 1]
    assert best == min(fitted.curve["validation"])
    levels = np.array(LEVELS)
    over = validation.target[:, None] - fitted.model.quantiles(
        validation.steps, validation.lengths, validation.context
    )
    pinball = np.maximum(levels * over, (levels - 1) * over).mean()
    assert pinball == pytest.approx(best, rel=0.02)  # of the best epoch's weights, in log seconds


@pytest.mark.usefixtures("_keras")
def test_the_median_alone_is_learned_by_absolute_error_and_anew_the_same():
    train, validation = autoregressive(128, seed=1), autoregressive(64, seed=2)
    settings = RecurrentSettings(
        hidden=6, epochs=2, batch=64, loss="mae", optimizer="nadam", dropout=0.1
    )
    first, second = (fit_recurrent("gru", train, validation, settings, seed=5) for _ in range(2))
    answered = first.model.quantiles(validation.steps, validation.lengths, validation.context)
    assert answered.shape == (64, 1)
    error = np.abs(validation.target - answered[:, 0]).mean()
    assert error == pytest.approx(first.curve["validation"][first.epochs - 1], rel=1e-3)
    assert first.curve == second.curve


@pytest.mark.parametrize("cell", CELLS)
def test_padding_does_not_change_the_answer(cell):
    model = forecaster(cell)
    steps, lengths, context = request(30)
    expected = model.quantiles(steps, lengths, context)
    padded = np.concatenate([np.full((30, 9, N_FEATURES), np.nan, np.float32), steps], axis=1)
    padded[np.arange(N_STEPS + 9) < N_STEPS + 9 - lengths[:, None]] = np.nan
    assert model.quantiles(padded, lengths, context) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_is_answered_alone_as_in_a_batch(cell, monkeypatch):
    monkeypatch.setattr("listening.sessions.recurrent.ROWS_AT_ONCE", 16)
    model = forecaster(cell)
    given = request(50)
    together = model.quantiles(*given)
    alone = [model.quantiles(*(part[i : i + 1] for part in given))[0] for i in range(50)]
    assert together == pytest.approx(np.array(alone), abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_quantiles_never_cross(cell):
    answers = forecaster(cell).quantiles(*request(200))
    assert answers.shape == (200, len(LEVELS))
    assert (np.diff(answers, axis=1) >= 0).all()


def test_no_rows_have_no_answers_and_no_past_is_a_past_of_zeros():
    model = forecaster("gru")
    assert model.quantiles(*request(0)).shape == (0, len(LEVELS))
    steps, _, context = request(3)
    none = np.zeros(3, int)
    hidden = model.hidden.weights[-N_CONTEXT:]
    inner = np.maximum(model.context(context) @ hidden + model.hidden.bias, 0)
    expected = np.sort(inner @ model.output.weights + model.output.bias, axis=1)
    assert model.quantiles(steps, none, context) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_description_and_arrays_are_all_of_it(cell):
    model = forecaster(cell)
    again = Recurrent.of(json.loads(json.dumps(model.description)), model.arrays)
    given = request(20)
    assert np.array_equal(again.quantiles(*given), model.quantiles(*given))
    assert (again.cell, again.levels, len(again.layers)) == (cell, LEVELS, 2)


@pytest.mark.parametrize(
    ("description", "arrays", "says"),
    [
        ({}, {"hidden-bias": None}, "hidden-bias"),
        ({}, {"hidden-bias": np.zeros(2)}, r"hidden-weights.*\(7, 2\)"),
        ({"cell": "rnn"}, {}, "rnn"),
        ({"cell": "lstm"}, {}, "layer-0-kernel"),
        ({"layers": 0}, {}, "layers"),
        ({"levels": [0.5]}, {}, "output"),
        ({"levels": [0.5, 0.5]}, {}, "levels"),
        ({"format_version": 9}, {}, "version 9"),
        ({"format_version": None}, {}, "not a recurrent"),
    ],
)
def test_parts_that_do_not_fit_are_refused(description, arrays, says):
    model = forecaster("gru")
    given = {n: a for n, a in (model.arrays | arrays).items() if a is not None}
    with pytest.raises(ArchiveError, match=says):
        Recurrent.of(model.description | description, given)


def test_a_request_of_another_shape_is_refused():
    model = forecaster("gru")
    steps, lengths, context = request(4)
    with pytest.raises(LayoutError, match=r"\(4, 12, 2\)"):
        model.quantiles(steps[:, :, :2], lengths, context)
    with pytest.raises(LayoutError, match="context"):
        model.quantiles(steps, lengths, context[:3])
    with pytest.raises(LayoutError, match="from 0 to 12"):
        model.quantiles(steps, lengths + 1, context)


def test_sequences_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="context"):
        sequences(4, context=np.zeros((3, 2), np.float32))
    with pytest.raises(DataError, match="lengths"):
        sequences(4, lengths=np.full(4, N_STEPS + 1))


def test_a_feature_that_never_changes_is_not_divided_by_zero():
    steady = sequences(5, context=np.full((5, N_CONTEXT), 4, np.float32))
    assert np.array_equal(Scales.of(steady).context.sd, np.ones(N_CONTEXT, np.float32))
    no_past = replace(steady, lengths=np.zeros(5, int))
    assert np.array_equal(Scales.of(no_past).steps.sd, np.ones(N_FEATURES, np.float32))


def test_without_keras_it_is_said_what_to_install(monkeypatch):
    def missing(name):
        raise builtins.ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(recurrent_fit.importlib, "import_module", missing)
    with pytest.raises(DataError, match=r"requirements/recurrent\.txt"):
        fit_recurrent("gru", sequences(9), sequences(9), RecurrentSettings(), seed=1)


def test_without_sessions_nothing_is_fitted():
    with pytest.raises(DataError, match="0 to stop by"):
        fit_recurrent("gru", sequences(9), sequences(0), RecurrentSettings(), seed=1)
