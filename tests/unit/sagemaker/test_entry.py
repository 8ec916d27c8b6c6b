"""The training script has a judge and tasks for every system's entry, and for nothing else."""

from __future__ import annotations

import pytest

import entry
from country import single
from country.judging import MIN_LISTENERS
from country.recipe import SETTINGS
from listening.metrics import LOWER_IS_BETTER
from listening.systems import ASSEMBLE, SYSTEMS

COUNTRY = SYSTEMS["country"]


def test_every_system_has_a_judge():
    assert set(entry.JUDGES) == set(SYSTEMS)


def test_every_task_of_an_entry_can_be_done():
    named = [f"{s.name}.{task.name}" for s in SYSTEMS.values() for task in s.train]
    assert set(entry.TASKS) == {*named, *(f"{system}.{ASSEMBLE}" for system in SYSTEMS)}


@pytest.mark.parametrize("task", COUNTRY.train, ids=lambda task: task.name)
def test_countrys_entry_names_what_its_models_take(task):
    assert set(task.hyperparameters) == SETTINGS | {"seed"}
    assert task.metric == single.LOSS


def test_countrys_entry_names_what_its_judge_takes():
    assert COUNTRY.assemble_hyperparameters == (MIN_LISTENERS,)
    for metric in (*COUNTRY.gate.metrics, COUNTRY.gate.decider):
        assert metric.lower_is_better == (metric.name in LOWER_IS_BETTER)
