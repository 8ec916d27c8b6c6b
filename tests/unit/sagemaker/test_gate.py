"""The gate of a system that there is not: what decides, what refuses, what only warns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gate import decide, gate_of
from listening.errors import DataError
from listening.intervals import Interval
from listening.systems import Gate, Metric

COVERAGE = Metric(name="hit_rate")
ERROR = Metric(name="error", lower_is_better=True)
GATE = Gate(metrics=(COVERAGE, ERROR), decider=COVERAGE, baseline="most_played", peer="linear")

BETTER = {"hit_rate": Interval(0.2, 0.1, 0.3), "error": Interval(-2, -3, -1)}
WORSE = {"hit_rate": Interval(-0.2, -0.3, -0.1), "error": Interval(2, 1, 3)}
UNSURE = {"hit_rate": Interval(-0.2, -0.5, 0.1), "error": Interval(2, -1, 5)}


def decided(gate=GATE, *, baseline=BETTER, peer=BETTER, champion=None):
    return decide(
        gate,
        differences={"most_played": baseline, "linear": peer},
        against_champion=champion or {},
        champion=None if champion is None else "c0ffee",
        rules={"least": 3},
    )


def test_who_beats_the_baseline_is_approved():
    found = decided()
    assert found.approved
    assert found.reasons == (
        "hit rate 0.2000 above the most played's",
        "there is no champion yet",
    )
    assert found.warnings == ()
    assert found.to_json() == {
        "decision": "Approved",
        "reasons": list(found.reasons),
        "warnings": [],
        "rules": {"gate_metrics": ["hit_rate", "error"], "least": 3},
    }


def test_who_does_not_beat_the_baseline_is_refused():
    for baseline in (WORSE, {"hit_rate": Interval(0, 0, 0)}):
        found = decided(baseline=baseline)
        assert found.verdict == "Rejected"
    assert decided(baseline=WORSE).reasons == ("hit rate 0.2000 below the most played's",)


def test_a_decider_of_which_less_is_more_must_lie_below():
    by_error = replace(GATE, decider=ERROR)
    assert decided(by_error).reasons[0] == "error 2.0000 below the most played's"
    assert not decided(by_error, baseline=WORSE).approved


def test_who_is_surely_worse_than_the_champion_is_refused_and_each_metric_is_told():
    found = decided(champion=WORSE)
    assert not found.approved
    assert found.reasons == (
        "worse than champion c0ffee: hit_rate -0.2000 (95% interval -0.3000 to -0.1000)",
        "worse than champion c0ffee: error +2.0000 (95% interval +1.0000 to +3.0000)",
    )


def test_who_may_be_as_good_as_the_champion_is_approved():
    found = decided(champion=UNSURE)
    assert found.approved
    assert "not significantly worse than champion c0ffee on hit_rate, error" in found.reasons


def test_a_champion_with_nothing_in_common_does_not_refuse():
    found = decided(champion={})
    assert found.approved
    assert "champion c0ffee has nothing in common with this bundle to compare" in found.reasons


def test_the_peer_only_warns():
    found = decided(peer=UNSURE)
    assert found.approved
    assert found.warnings == (
        "worse than the linear model: hit_rate -0.2000 (95% interval -0.5000 to +0.1000)",
        "worse than the linear model: error +2.0000 (95% interval -1.0000 to +5.0000)",
    )
    assert decided(replace(GATE, peer=None), peer=UNSURE).warnings == ()


def test_an_environment_may_choose_among_the_metrics():
    chosen = gate_of(GATE, {"gate_metrics": "error"})
    assert chosen.metrics == (ERROR,)
    assert chosen.decider == COVERAGE
    assert gate_of(GATE, {}) == GATE
    with pytest.raises(DataError, match="no metric log_loss; choose of hit_rate, error"):
        gate_of(GATE, {"gate_metrics": "error,log_loss"})
