"""Searching settings of a model within ranges, in a time budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import optuna

SEED = 1


@dataclass(frozen=True)
class Range:
    """Where a setting is searched."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def suggest(self, trial: optuna.Trial, name: str) -> float:
        """Return a trial's value."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return round(trial.suggest_float(name, self.low, self.high, log=self.log), 4)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search found.

    Parameters
    ----------
    settings
        The best; the shipped ones if none was better.
    loss, shipped_loss
        What these, and the shipped ones, reached.
    trials
        How many were tried.
    """

    settings: dict[str, float]
    loss: float
    shipped_loss: float
    trials: int


def search(
    name: str,
    ranges: Mapping[str, Range],
    loss: Callable[[dict[str, float]], float],
    *,
    shipped: Mapping[str, float],
    seconds: float,
) -> Found:
    """Search settings by Optuna's TPE sampler, starting from those that are shipped.

    Parameters
    ----------
    name
        Of the models, as each trial is told by.
    ranges
        Where each setting is searched.
    loss
        What settings reach on validation.
    shipped
        A value of each setting.
    seconds
        The time budget; the trial that runs when it is over is finished.
    """
    import optuna  # noqa: PLC0415 - a development tool: the image has none

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    study.enqueue_trial({setting: shipped[setting] for setting in ranges})

    def objective(trial: optuna.Trial) -> float:
        settings = {setting: where.suggest(trial, setting) for setting, where in ranges.items()}
        trial.set_user_attr("settings", settings)
        found = loss(settings)
        print(f"{name} trial {trial.number}: {found:.5f} with {settings}", flush=True)
        return found

    study.optimize(objective, timeout=seconds)
    return Found(
        settings=study.best_trial.user_attrs["settings"],
        loss=study.best_value,
        shipped_loss=study.trials[0].values[0],
        trials=len(study.trials),
    )
