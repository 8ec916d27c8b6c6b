from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from listening.errors import ResourceError
from ops import runs
from ops.cli import progress
from ops.cli.progress import Journey


def run_of(*states: str, reason: str = "") -> runs.Run:
    steps = tuple(
        runs.Step(name=name, state=state, seconds=None if state == runs.WAITING else 65.0)
        for name, state in zip(("embeddings", "features"), states, strict=True)
    )
    over = runs.FAILED if runs.FAILED in states else runs.SUCCEEDED
    state = runs.RUNNING if {runs.RUNNING, runs.WAITING} & set(states) else over
    return runs.Run(
        kind="features",
        id="wr_1",
        state=state,
        started=datetime.now(UTC),
        seconds=1,
        steps=steps,
        reason=reason,
    )


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> io.StringIO:
    text = io.StringIO()
    terminal = getattr(request, "param", False)
    console = Console(file=text, width=100, force_terminal=terminal, color_system=None)
    monkeypatch.setattr(progress, "err", lambda: console)
    return text


def test_plain_lines_say_place_time_and_what_is_next(screen: io.StringIO) -> None:
    with Journey(["check", "train"]).shown() as journey:
        with journey.step("check"):
            journey.tell("10 listeners")
        with journey.step("train"):
            pass
    assert screen.getvalue().splitlines() == [
        "  0:00  [1/2] check (next: train)",
        "  0:00        10 listeners",
        "  0:00  [1/2] check: done in 0:00",
        "  0:00  [2/2] train",
        "  0:00  [2/2] train: done in 0:00",
    ]


def test_a_failed_step_is_said_and_its_error_goes_on(screen: io.StringIO) -> None:
    journey = Journey(["check"])
    with pytest.raises(ResourceError), journey.shown(), journey.step("check"):
        raise ResourceError("no")
    assert "[1/1] check: failed after 0:00" in screen.getvalue()


def test_only_changes_of_a_run_are_said(screen: io.StringIO) -> None:
    states = iter(
        [
            run_of(runs.RUNNING, runs.WAITING),
            run_of(runs.RUNNING, runs.WAITING),
            run_of(runs.SUCCEEDED, runs.RUNNING),
            run_of(runs.SUCCEEDED, runs.SUCCEEDED),
        ]
    )
    journey = Journey(["features"])
    with journey.step("features"):
        done = journey.follow(lambda: next(states), seconds=60, poll_seconds=0)
    assert done.state == runs.SUCCEEDED
    said = [line.split() for line in screen.getvalue().splitlines()[1:-1]]
    assert [(words[2], words[3]) for words in said] == [
        ("embeddings", "running"),
        ("features", "waiting"),
        ("embeddings", "succeeded"),
        ("features", "running"),
        ("features", "succeeded"),
    ]


def test_long_work_gives_a_sign_of_life(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", -1)
    journey = Journey(["features"])
    with journey.step("features"):
        journey.show(run_of(runs.RUNNING, runs.WAITING))
    assert "still at it: embeddings 1:05" in screen.getvalue()


def test_a_failed_run_is_an_error_with_its_reason() -> None:
    failed = run_of(runs.FAILED, runs.SUCCEEDED, reason="embeddings: no artists")
    journey = Journey(["features"])
    with pytest.raises(ResourceError, match="the features run failed: embeddings: no artists"):
        journey.follow(lambda: failed, seconds=60, poll_seconds=0)


@pytest.mark.parametrize("screen", [True], indirect=True)
def test_on_a_terminal_the_jobs_are_drawn(screen: io.StringIO) -> None:
    journey = Journey(["features", "train"])
    with journey.shown(), journey.step("features"):
        journey.tell("batch one")
        journey.show(run_of(runs.SUCCEEDED, runs.RUNNING))
    drawn = screen.getvalue()
    assert "[1/2]" in drawn
    assert "batch one" in drawn
    assert "✓ embeddings     succeeded 1:05" in drawn
    assert "next: train" in drawn
    assert "features: done in" in drawn


def test_a_step_that_is_not_needed_is_not_counted(screen: io.StringIO) -> None:
    with Journey(["reach", "ask"]).shown() as journey:
        journey.leave_out("reach")
        with journey.step("ask"):
            pass
    assert screen.getvalue().splitlines()[0] == "  0:00  [1/1] ask"


def test_a_step_that_was_left_out_can_still_be_taken(screen: io.StringIO) -> None:
    with Journey(["check", "reach", "ask"]).shown() as journey:
        journey.leave_out("reach")
        for name in ("check", "reach", "ask"):
            with journey.step(name):
                pass
    announced = screen.getvalue().splitlines()[::2]
    assert announced == [
        "  0:00  [1/2] check (next: ask)",
        "  0:00  [2/3] reach (next: ask)",
        "  0:00  [3/3] ask",
    ]
