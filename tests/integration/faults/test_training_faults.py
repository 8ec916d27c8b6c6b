"""Faults of a training run: what the user is told, what is kept, and that a rerun heals it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from listening.regions import default_regions
from ops import registry, runs, store

if TYPE_CHECKING:
    from .conftest import Deployment

pytestmark = pytest.mark.integration

ALL = tuple(region.slug for region in default_regions().regions)
CAPACITY = "CapacityError: Unable to provision requested ML compute capacity. Please retry."


def assert_a_rerun_heals(aws: Deployment, features_run: str) -> None:
    """Run again on the same features: published once, registered once, named champion once."""
    before, version = aws.champions(), aws.version(features_run)
    run = aws.run(features_run)
    assert run.state == runs.SUCCEEDED, run.reason
    assert run.output["published"] is True
    assert run.output["bundle_version"] == version
    assert aws.champions() == [*before, version]
    assert aws.packages(version)[-1] == "Approved"
    assert aws.packages(version).count("Approved") == 1
    assert set(aws.keys(f"endpoint/country/{version}/")) == aws.archives(features_run)


def assert_nothing_is_published(aws: Deployment, version: str, champion: str) -> None:
    assert aws.champion() == champion
    assert aws.keys(f"endpoint/country/{version}/") == []


def test_a_country_job_that_fails_is_named_and_the_others_are_stopped(aws: Deployment) -> None:
    features, champion = aws.features("jr_failed", regions=ALL), aws.champion()
    aws.plan.failures["nordics"] = ["AlgorithmError: unexpected MemoryError, exit code: 1"]

    with aws.held(features):
        run = aws.run(features)
        assert aws.still_training(run.id) == []

    sentence = "country-nordics: AlgorithmError: unexpected MemoryError, exit code: 1"
    assert run.state == runs.FAILED
    assert sentence.removeprefix("country-") in run.reason
    assert aws.cause(run.id) == sentence
    assert any(sentence in notice for notice in aws.notices())
    assert_nothing_is_published(aws, aws.version(features), champion)
    assert aws.packages(aws.version(features)) == []
    assert_a_rerun_heals(aws, features)


def test_a_job_without_capacity_is_tried_again_three_times(aws: Deployment) -> None:
    features, champion = aws.features("jr_capacity"), aws.champion()
    aws.plan.failures["dach"] = [CAPACITY] * 3
    run = aws.run(features)
    assert run.state == runs.FAILED
    assert aws.cause(run.id) == f"country-dach: {CAPACITY}"
    assert aws.attempts(run.id, "dach") == 3
    assert_nothing_is_published(aws, aws.version(features), champion)

    aws.plan.failures["dach"] = [CAPACITY] * 2
    assert_a_rerun_heals(aws, features)


@pytest.mark.filterwarnings("ignore:.*ThrottlingException does not match:UserWarning")
def test_a_throttled_job_is_asked_for_again_until_there_is_no_use(aws: Deployment) -> None:
    features, champion = aws.features("jr_throttled"), aws.champion()
    aws.plan.throttled["south-europe"] = 6
    run = aws.run(features)
    assert run.state == runs.FAILED
    assert aws.cause(run.id).startswith("country-south-europe: ")
    assert "Rate exceeded" in aws.cause(run.id)
    assert len(aws.plan.waits) == 5
    assert all(0 <= wait <= 10 * 2**i for i, wait in enumerate(aws.plan.waits))
    assert_nothing_is_published(aws, aws.version(features), champion)

    aws.plan.throttled["south-europe"] = 2
    assert_a_rerun_heals(aws, features)
    assert len(aws.plan.waits) == 7


def test_a_refused_bundle_is_kept_and_the_champion_stays(aws: Deployment) -> None:
    features, champion = aws.features("jr_refused"), aws.champion()
    version = aws.version(features)
    aws.plan.decision = "Rejected"

    run = aws.run(features)

    assert run.state == runs.SUCCEEDED
    assert run.output["published"] is False
    assert (run.output["decision"], run.output["reasons"]) == ("Rejected", ["as planned"])
    assert run.output["previous_champion"] == champion
    assert_nothing_is_published(aws, version, champion)
    assert aws.packages(version) == ["Rejected"]
    assert store.evaluation(aws.connection, version, system="country")["gate"]["reasons"] == [
        "as planned"
    ]
    with pytest.raises(store.ResourceError, match="the gate refused it"):
        registry.promote(aws.connection, version, system="country")

    aws.plan.decision = "Approved"
    assert_a_rerun_heals(aws, features)


def test_of_two_executions_the_second_waits_and_is_judged_by_what_the_first_left(
    aws: Deployment,
) -> None:
    first, second = aws.features("jr_first"), aws.features("jr_second")
    before = aws.champions()
    with aws.held(first):
        executions = [aws.start(first)]
        aws.wait_for_jobs(executions[0])
        executions.append(aws.start(second))
        aws.wait_for_turns(executions[1], 2)
        assert runs.training_run(aws.connection, executions[1], system="country").steps == ()
    ended = [aws.ended(execution) for execution in executions]

    assert [run.state for run in ended] == [runs.SUCCEEDED] * 2, [run.reason for run in ended]
    versions = [aws.version(first), aws.version(second)]
    assert aws.champions() == [*before, *versions]
    assert ended[1].output["previous_champion"] == versions[0]
    for features, version in zip((first, second), versions, strict=True):
        assert aws.packages(version) == ["Approved"]
        assert set(aws.keys(f"endpoint/country/{version}/")) == aws.archives(features)


def test_a_champion_named_by_hand_while_a_run_goes_on_stays(aws: Deployment) -> None:
    named, features = aws.features("jr_named"), aws.features("jr_meanwhile")
    assert_a_rerun_heals(aws, named)
    version = aws.version(features)
    with aws.held(features):
        execution = aws.start(features)
        aws.wait_for_jobs(execution)
        left, champion = registry.rollback(aws.connection, "country")
    run = aws.ended(execution)

    assert left == aws.version(named)
    assert run.state == runs.FAILED
    assert f"the champion was changed to {champion} meanwhile" in run.reason
    assert f"models promote {version}" in run.reason
    assert aws.champion() == champion
    assert aws.packages(version) == ["Approved"]
    assert registry.promote(aws.connection, version, system="country") == champion

    again = aws.run(features)
    assert again.state == runs.SUCCEEDED, again.reason
    assert again.output["previous_champion"] == aws.champion() == version
    assert set(aws.keys(f"endpoint/country/{version}/")) == aws.archives(features)


def test_a_champion_that_is_gone_ends_a_run_before_it_trains(aws: Deployment) -> None:
    features, champion = aws.features("jr_gone"), aws.champion()
    aws.name_champion("0123456789ab")

    run = aws.run(features)

    assert run.state == runs.FAILED
    assert "the champion is 0123456789ab, whose archive is gone" in run.reason
    assert "models rollback" in run.reason
    assert run.steps == ()
    assert registry.rollback(aws.connection, "country") == ("0123456789ab", champion)
    assert_a_rerun_heals(aws, features)
