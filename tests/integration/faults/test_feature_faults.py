"""Faults on the way from plays to features: a killed job, a batch that comes in between."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from ops import runs

if TYPE_CHECKING:
    from .conftest import Deployment

pytestmark = pytest.mark.integration


def test_a_glue_job_killed_half_way_leaves_nothing_that_is_read(aws: Deployment) -> None:
    aws.features("jr_template")
    before, features = len(aws.feature_runs()), aws.data("country/features/")
    with aws.held_embeddings():
        batch = aws.raw("killed")
        os.killpg(aws.embeddings_process().pid, signal.SIGKILL)
        killed = aws.ended_features(before + 1)[-1]

    assert [step.state for step in killed.steps] == [runs.FAILED, runs.WAITING]
    assert killed.reason.startswith("embeddings: ")
    job = aws.connection.names.of("country").job("embeddings")
    aws.wait_for(lambda: [n for n in aws.notices() if job in n] or None)
    left = aws.data(f"country/embeddings/{killed.id}/")
    assert [key.rsplit("/", 1)[1] for key in left] == ["part-0.parquet"]
    assert aws.data("country/features/") == features

    runs.start_features(aws.connection, "country")
    rerun = aws.ended_features(before + 2)[-1]
    assert rerun.state == runs.SUCCEEDED, rerun.reason
    made = rerun.step("features").id
    assert aws.batch_of(made) == batch
    assert aws.training_of(made).output["published"] is True
    assert aws.champions().count(aws.version(made)) == 1
    assert aws.executions(made) == 1


def test_batches_that_arrive_during_a_run_lead_to_one_more_run_on_the_last_of_them(
    aws: Deployment,
) -> None:
    aws.features("jr_template")
    before = len(aws.feature_runs())
    with aws.held_embeddings():
        aws.raw("b-first")
        aws.embeddings_process()
        for batch in ("c-second", "a-third"):  # by name the last is the first
            aws.raw(batch)
        aws.wait_for(lambda: aws.waiting_starts() == 1 or None)
        assert len(aws.feature_runs()) == before + 1

    first, second = aws.ended_features(before + 2)[before:]
    assert [first.state, second.state] == [runs.SUCCEEDED] * 2
    assert aws.batch_of(first.step("features").id) == "b-first"
    assert aws.batch_of(second.step("features").id) == "a-third"
    for run in (first, second):
        trained = aws.training_of(run.step("features").id)
        assert trained.output["published"] is True
        assert aws.executions(run.step("features").id) == 1
    assert aws.champion() == aws.version(second.step("features").id)
    assert aws.waiting_starts() == 0
