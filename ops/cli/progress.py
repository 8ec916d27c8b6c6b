"""Progress of long work: which step, how long it has taken, what comes next.

On a terminal it is drawn in place; elsewhere every change is a line of its own.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from listening.errors import ResourceError
from ops import runs
from ops.cli.console import clock, err

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

REACH = "reach the environment"
"""The step in which an emulator that is down comes up."""
UP = "bring the emulator up and deploy"
DOWN = "write the snapshot and stop the emulator"
CHECK = "check the data"
UPLOAD = "upload the raw data"
FEATURES = "build features (Glue)"
TRAIN = "train, assemble, judge (Step Functions, SageMaker)"

HEARTBEAT = 30  # seconds between lines where nothing changes
MARKS = {runs.WAITING: "·", runs.RUNNING: "…", runs.SUCCEEDED: "✓", runs.FAILED: "✗"}


class Journey:
    """The steps of a command, announced, timed and drawn.

    Parameters
    ----------
    steps
        What will be done, in order.

    Examples
    --------
    >>> with Journey(["check", "upload"]).shown() as journey:  # doctest: +SKIP
    ...     with journey.step("check"):
    ...         journey.tell("users.parquet")
    """

    def __init__(self, steps: Sequence[str]) -> None:
        self._all = tuple(steps)
        self._left_out: set[str] = set()
        self._console = err()
        self._live: Live | None = None
        self._begun = time.monotonic()
        self._current: str | None = None
        self._current_begun = self._begun
        self._note = ""
        self._run: runs.Run | None = None
        self._said: dict[str, str] = {}
        self._last_line = self._begun

    @property
    def _steps(self) -> list[str]:
        return [name for name in self._all if name not in self._left_out]

    @property
    def seconds(self) -> float:
        """Seconds since the journey began."""
        return time.monotonic() - self._begun

    @contextmanager
    def shown(self) -> Iterator[Journey]:
        """Draw the journey while it lasts."""
        if not self._console.is_terminal:
            yield self
            return
        self._live = Live(
            console=self._console,
            get_renderable=self._drawn,
            refresh_per_second=4,
            transient=True,
        )
        with self._live:
            yield self

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step, and how long it took when it is done."""
        self._left_out.discard(name)
        number = self._steps.index(name)
        following = self._steps[number + 1] if number + 1 < len(self._steps) else None
        self._current, self._current_begun = name, time.monotonic()
        self._note, self._run, self._said = "", None, {}
        place = f"[{number + 1}/{len(self._steps)}]"
        if self._live is None:
            self._line(f"{place} {name}" + (f" (next: {following})" if following else ""))
        try:
            yield
        except BaseException:
            self._line(f"{place} {name}: failed after {clock(self._current_seconds)}")
            self._current = None
            raise
        self._line(f"{place} {name}: done in {clock(self._current_seconds)}")
        self._current = None

    def leave_out(self, name: str) -> None:
        """Do without a step that is not needed, unless it is taken after all."""
        self._left_out.add(name)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Draw nothing for a block that talks to the terminal itself."""
        if self._live is None:
            yield
            return
        self._live.stop()
        yield
        self._live.start(refresh=True)

    def tell(self, note: str) -> None:
        """Say what a step is doing."""
        self._note = note
        if self._live is None:
            self._line(f"      {note}")
        else:
            self._live.refresh()

    def show(self, run: runs.Run) -> None:
        """Show the state of a run's jobs; called again and again while it lasts."""
        self._run = run
        if self._live is not None:
            self._live.refresh()
            return
        for step in run.steps:
            if self._said.get(step.name) != step.state:
                self._said[step.name] = step.state
                self._line(f"      {_job_line(step)}")
        if time.monotonic() - self._last_line > HEARTBEAT:
            going = [step for step in run.steps if step.state == runs.RUNNING]
            self._line(
                "      still at it: "
                + (", ".join(f"{s.name} {clock(s.seconds or 0)}" for s in going) or run.kind)
            )

    def follow(
        self, read: Callable[[], runs.Run], *, seconds: float, poll_seconds: float = 1.0
    ) -> runs.Run:
        """Show a run until it is over, and return it.

        Raises
        ------
        ResourceError
            It failed, or is not over at the deadline.
        """
        for run in runs.follow(read, seconds=seconds, poll_seconds=poll_seconds):
            self.show(run)
        if run.state != runs.SUCCEEDED:
            raise ResourceError(f"the {run.kind} run failed: {run.reason or 'no reason given'}")
        return run

    @property
    def _current_seconds(self) -> float:
        return time.monotonic() - self._current_begun

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(
            f"{clock(self.seconds):>6}  {text}", soft_wrap=True, markup=False, highlight=False
        )

    def _drawn(self) -> RenderableType:
        if self._current is None:
            return Text("")
        number = self._steps.index(self._current)
        head = Spinner(
            "dots",
            Text.assemble(
                f" [{number + 1}/{len(self._steps)}] ",
                (self._current, "bold"),
                f"  {clock(self._current_seconds)}  {self._note}",
            ),
        )
        lines: list[RenderableType] = [head]
        if self._run is not None:
            lines += [Text(f"      {_job_line(step)}") for step in self._run.steps]
        if rest := self._steps[number + 1 :]:
            lines.append(Text(f"    next: {', '.join(rest)}", style="dim"))
        return Group(*lines)


def _job_line(step: runs.Step) -> str:
    seconds = "" if step.seconds is None else f" {clock(step.seconds)}"
    detail = f"  {step.detail}" if step.detail else ""
    return f"{MARKS[step.state]} {step.name:<14} {step.state.lower()}{seconds}{detail}"
