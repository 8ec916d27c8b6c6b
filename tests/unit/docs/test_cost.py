"""The arithmetic of cost and scale."""

from __future__ import annotations

import re

import pytest

from benchmarks import cost
from infra.settings import load_settings


def test_a_small_run_pays_for_the_start_of_its_jobs() -> None:
    least = cost.JOBS * cost.least_dpu_hours("G.1X")
    assert cost.dpu_hours(1_000, "G.1X") == least
    assert cost.dpu_hours(100_000_000, "G.1X") > 10 * least


def test_costs_are_those_of_a_listener_times_listeners() -> None:
    measured = cost.MEASURED
    cpu = measured["embeddings_cpu_seconds"] + measured["features_cpu_seconds"]
    seconds = cost.dpu_hours(100_000_000, "G.1X") * 3600 * 4 * cost.ASSUMED["busy_share"]
    assert seconds == pytest.approx(cpu * 100_000_000 / measured["listeners"])
    hours = [cost.training_hours(n, "ml.m5.4xlarge", "flat") for n in (10**7, 10**8)]
    assert hours[1] == pytest.approx(10 * hours[0])


def test_hosts_are_as_many_as_hold_the_listeners() -> None:
    settings = load_settings("prod")
    what, listeners, _ = cost.limits()[0]
    assert settings.deployed["country"].training.instance_type in what
    hosts = f"hosts for each of the two ({settings.deployed['country'].training.instance_type})"
    assert cost.scale(int(listeners * 0.99))[hosts] == "1"
    assert cost.scale(int(listeners * 1.01))[hosts] == "2"


def test_limits_come_in_order_and_are_answered_by_settings_that_exist() -> None:
    found = cost.limits()
    assert [limit[1] for limit in found] == sorted(limit[1] for limit in found)
    settings = load_settings("prod")
    country = settings.deployed["country"]
    for what, _, answer in found:
        names = re.findall(r"`(\w+)\.(\w+)`", what + answer)
        assert names
        for section, name in names:
            assert hasattr(getattr(settings, section, None) or getattr(country, section), name)
