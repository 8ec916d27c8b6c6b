"""Fitting a recurrent forecaster of session length: Keras on JAX trains, numpy answers.

Keras is imported where it is used: what reads or answers needs none of it.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hyperparameters import check_ranges
from listening.errors import DataError
from listening.sessions.forecast import LEVELS
from listening.sessions.recurrent import Dense, Layer, Recurrent, Standard

if TYPE_CHECKING:
    from types import ModuleType

    import numpy.typing as npt

    from listening.sessions.recurrent import Cell, FloatArray

MEDIAN = (0.5,)
OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd")
"""Names of Keras."""
MOST_LAYERS = 8
LOCK = "requirements/recurrent.txt"
ROWS_TO_JUDGE = 2_048
"""Validation rows at once: their number changes nothing but the time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sequences:
    """Sessions to forecast, each with the sessions before it.

    Parameters
    ----------
    steps
        Features of past sessions ``(n, n_steps, n_features)``, the last step the most recent one,
        padded at the front.
    lengths
        How many of the last steps are real, ``(n,)``.
    context
        Features of the session that starts, ``(n, n_context)``.
    target
        The natural logarithm of its length in seconds, ``(n,)``.

    Raises
    ------
    DataError
        The arrays do not fit each other.
    """

    steps: FloatArray
    lengths: npt.NDArray[np.integer[Any]]
    context: FloatArray
    target: FloatArray

    def __post_init__(self) -> None:
        n = len(self.target)
        shapes = {name: array.shape for name, array in vars(self).items()}
        ranks = {"steps": 3, "lengths": 1, "context": 2, "target": 1}
        for name, rank in ranks.items():
            if len(shapes[name]) != rank or shapes[name][0] != n:
                raise DataError(
                    f"sequences: {name} has the shape {shapes[name]}; "
                    f"it must have {rank} dimensions, the first of {n}, as target has"
                )
        if n and not 0 <= self.lengths.min() <= self.lengths.max() <= self.steps.shape[1]:
            raise DataError(
                f"sequences: lengths must lie between 0 and the {self.steps.shape[1]} steps"
            )

    def __len__(self) -> int:
        return len(self.target)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Which steps are real, ``(n, n_steps)``."""
        n_steps = self.steps.shape[1]
        mask: npt.NDArray[np.bool_] = np.arange(n_steps) >= n_steps - self.lengths[:, None]
        return mask


@dataclass(frozen=True, kw_only=True)
class RecurrentSettings:
    """How to train.

    Parameters
    ----------
    layers
        Layers of cells.
    hidden
        Units of each, and of the dense layer after them.
    dropout
        Share of a layer's states that training leaves out, after each layer.
    loss
        ``pinball``: quantiles 0.1 to 0.9; ``mae``: the median alone. Both of log length.
    optimizer
        One of `OPTIMIZERS`.
    learning_rate
        Its step.
    batch
        Sessions per step.
    epochs
        The most there are.
    patience
        Epochs without a better validation loss before training stops.

    Raises
    ------
    DataError
        One is out of its range.
    """

    layers: int = 1
    hidden: int = 24
    dropout: float = 0.4
    loss: Literal["pinball", "mae"] = "pinball"
    optimizer: str = "adam"
    learning_rate: float = 3e-3
    batch: int = 512
    epochs: int = 60
    patience: int = 5

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        rules = {
            "layers": 1 <= self.layers <= MOST_LAYERS,
            "hidden": self.hidden >= 1,
            "dropout": 0 <= self.dropout < 1,
            "loss": self.loss in ("pinball", "mae"),
            "optimizer": self.optimizer in OPTIMIZERS,
            "learning_rate": 0 < self.learning_rate <= 1,
            "batch": self.batch >= 1,
            "epochs": self.epochs >= 1,
            "patience": self.patience >= 1,
        }
        check_ranges(self, rules)

    @property
    def levels(self) -> tuple[float, ...]:
        """Which quantiles are learned."""
        return LEVELS if self.loss == "pinball" else MEDIAN


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedRecurrent:
    """A forecaster and how it came about.

    Parameters
    ----------
    model
        With the weights of the best epoch.
    curve
        Loss by epoch of ``train`` and ``validation``, in log seconds: the mean pinball loss of the
        quantiles, or the mean absolute error.
    epochs
        The best epoch, counted from 1.
    """

    model: Recurrent
    curve: dict[str, tuple[float, ...]]
    epochs: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Scales:
    """What training standardises by.

    Parameters
    ----------
    steps, context
        Of features, over real steps and over sessions.
    target
        Of log length, each array of one number.
    """

    steps: Standard
    context: Standard
    target: Standard

    @classmethod
    def of(cls, train: Sequences) -> Scales:
        """Return the means and deviations of training sessions."""
        return cls(
            steps=_standard(train.steps[train.mask]),
            context=_standard(train.context),
            target=_standard(train.target[:, None]),
        )

    def inputs(self, sequences: Sequences) -> dict[str, npt.NDArray[Any]]:
        """Return what the network of `network` reads."""
        mask = sequences.mask
        steps = np.where(mask[..., None], self.steps(sequences.steps), np.float32(0))
        return {"steps": steps, "mask": mask, "context": self.context(sequences.context)}

    def outputs(self, sequences: Sequences) -> FloatArray:
        """Return what the network is to answer, ``(n, 1)``."""
        return self.target(sequences.target[:, None])


def _standard(features: npt.NDArray[np.float32]) -> Standard:
    if not len(features):
        n_features = features.shape[1]
        return Standard(np.zeros(n_features, np.float32), np.ones(n_features, np.float32))
    sd = features.std(axis=0, dtype=np.float64)
    return Standard(
        features.mean(axis=0, dtype=np.float64).astype(np.float32),
        np.where(sd > 0, sd, 1).astype(np.float32),
    )


def load_keras() -> ModuleType:
    """Return Keras, with JAX under it.

    Raises
    ------
    DataError
        It is not installed.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    try:
        importlib.import_module("jax")
        return importlib.import_module("keras")
    except ImportError as error:
        raise DataError(
            f"recurrent forecasters are trained by Keras on JAX, which is not installed ({error}): "
            f"python -m pip install -r {LOCK}"
        ) from error


def network(
    cell: Cell, settings: RecurrentSettings, *, n_steps: int, n_features: int, n_context: int
) -> Any:
    """Return an untrained Keras model of inputs ``steps``, ``mask`` and ``context``.

    Raises
    ------
    DataError
        Keras is not installed.
    """
    layers = load_keras().layers
    steps = layers.Input((n_steps, n_features), name="steps")
    mask = layers.Input((n_steps,), dtype="bool", name="mask")
    context = layers.Input((n_context,), name="context")
    make = {"gru": layers.GRU, "lstm": layers.LSTM}[cell]
    state = steps
    for i in range(settings.layers):
        inner = i + 1 < settings.layers
        state = make(settings.hidden, return_sequences=inner, name=f"layer-{i}")(state, mask=mask)
        state = layers.Dropout(settings.dropout)(state)
    joined = layers.Concatenate()([state, context])
    hidden = layers.Dense(settings.hidden, activation="relu", name="hidden")(joined)
    output = layers.Dense(len(settings.levels), name="output")(hidden)
    return load_keras().Model({"steps": steps, "mask": mask, "context": context}, output)


def exported(trained: Any, cell: Cell, *, scales: Scales, levels: tuple[float, ...]) -> Recurrent:
    """Return a network of `network` for numpy, its answers in log seconds.

    The target's scale is multiplied into the last layer.
    """

    def arrays(name: str) -> list[FloatArray]:
        found = trained.get_layer(name).get_weights()
        return [np.ascontiguousarray(array, dtype=np.float32) for array in found]

    names = [layer.name for layer in trained.layers if layer.name.startswith("layer-")]
    weights, bias = arrays("output")
    mean, sd = scales.target.mean, scales.target.sd
    return Recurrent(
        cell=cell,
        layers=tuple(Layer(*arrays(name)) for name in sorted(names)),
        hidden=Dense(*arrays("hidden")),
        output=Dense(weights * sd, bias * sd + mean),
        steps=scales.steps,
        context=scales.context,
        levels=levels,
    )


def fit_recurrent(
    cell: Cell,
    train: Sequences,
    validation: Sequences,
    settings: RecurrentSettings,
    seed: int,
) -> FittedRecurrent:
    """Train a forecaster, and stop where validation no longer gets better.

    Parameters
    ----------
    cell
        ``gru`` or ``lstm``.
    train, validation
        Sessions to learn from, and to stop by; the same features and steps.
    settings
        How to train.
    seed
        Decides first weights, order and dropout. Sets the global seeds of Python and numpy, which
        Keras takes its own from.

    Raises
    ------
    DataError
        Keras is not installed, there is nothing to learn from or to stop by, or the features of
        validation are not those of training.
    """
    if not len(train) or not len(validation):
        raise DataError(
            f"{len(train)} sessions to train on and {len(validation)} to stop by: both are needed"
        )
    if (train.steps.shape[1:], train.context.shape[1:]) != (
        validation.steps.shape[1:],
        validation.context.shape[1:],
    ):
        raise DataError("validation sequences have other steps or features than those of training")
    keras = load_keras()
    keras.utils.set_random_seed(seed)
    scales = Scales.of(train)
    _, n_steps, n_features = train.steps.shape
    model = network(
        cell,
        settings,
        n_steps=n_steps,
        n_features=n_features,
        n_context=train.context.shape[1],
    )
    optimizer = keras.optimizers.get(
        {"class_name": settings.optimizer, "config": {"learning_rate": settings.learning_rate}}
    )
    model.compile(optimizer=optimizer, loss=_pinball(keras, settings.levels))
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=settings.patience, restore_best_weights=True
    )
    history = model.fit(
        scales.inputs(train),
        scales.outputs(train),
        validation_data=(scales.inputs(validation), scales.outputs(validation)),
        batch_size=settings.batch,
        validation_batch_size=ROWS_TO_JUDGE,
        epochs=settings.epochs,
        callbacks=[stopping],
        verbose=0,
    ).history
    unit = float(scales.target.sd[0]) * (2 if settings.loss == "mae" else 1)
    curve = {
        name: tuple(unit * float(loss) for loss in history[key])
        for name, key in (("train", "loss"), ("validation", "val_loss"))
    }
    return FittedRecurrent(
        model=exported(model, cell, scales=scales, levels=settings.levels),
        curve=curve,
        epochs=1 + int(np.nanargmin(curve["validation"])),
    )


def _pinball(keras: ModuleType, levels: tuple[float, ...]) -> Any:
    """Return the mean pinball loss of all levels: half the absolute error for the median alone."""
    level = np.array(levels, dtype=np.float32)

    def pinball(true: Any, answered: Any) -> Any:
        over = true - answered
        return keras.ops.mean(keras.ops.maximum(level * over, (level - 1) * over), axis=-1)

    return pinball
