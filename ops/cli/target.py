"""Which AWS a command talks to: the emulator, unless a profile is named."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from listening.errors import ResourceError
from ops.cdk import project_root
from ops.cli.progress import REACH
from ops.connection import Connection, connect_aws
from ops.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import typer

    from ops.cli.progress import Journey


@dataclass(frozen=True, kw_only=True)
class Target:
    """The options that stand before (or after) every command.

    Parameters
    ----------
    profile
        Profile of the AWS configuration; None for the emulator.
    environment
        Which environment on AWS.
    region
        Overrides the profile's.
    state
        The emulator's state folder; None for ``.state`` in the project.
    as_json
        Whether answers are JSON.
    """

    profile: str | None = None
    environment: str | None = None
    region: str | None = None
    state: Path | None = None
    as_json: bool = False

    @classmethod
    def of(cls, context: typer.Context) -> Target:
        """Return the target of a command."""
        return context.find_object(cls) or cls()

    @property
    def is_aws(self) -> bool:
        """Whether the command talks to AWS."""
        return self.profile is not None

    def emulator(self) -> Emulator:
        """Return the emulator of the state folder, up or down.

        Raises
        ------
        ResourceError
            The command talks to AWS.
        """
        if self.is_aws:
            raise ResourceError("this command is for the emulator; leave --profile away")
        root = project_root()
        return Emulator(root, (self.state or root / ".state").resolve())

    def connect(self) -> Connection:
        """Return a connection to AWS, or to the emulator if it is up.

        Raises
        ------
        ResourceError
            The emulator is down, or the profile is unusable.
        """
        if self.profile is None:
            return self.emulator().connection()
        if self.environment is None:
            raise ResourceError("with --profile also name the environment, such as --env dev")
        return connect_aws(self.profile, environment=self.environment, region=self.region)

    @property
    def is_up(self) -> bool:
        """Whether nothing has to come up before it is reached."""
        return self.is_aws or self.emulator().endpoint() is not None

    @contextmanager
    def reached(self, journey: Journey) -> Iterator[Connection]:
        """Have a connection for a block.

        An emulator that is down comes up for the block, as the journey's step `REACH`, and goes
        down after it.

        Raises
        ------
        ResourceError
            There is nothing yet that the emulator could bring up.
        """
        if self.is_up:
            journey.leave_out(REACH)
            yield self.connect()
            return
        emulator = self.emulator()
        if not emulator.has_snapshot:
            raise ResourceError(
                f"nothing was run yet ({emulator.state} is empty): start with `make run`, "
                "or name an AWS profile with --profile and --env"
            )
        with ExitStack() as stack:
            with journey.step(REACH):
                connection = stack.enter_context(emulator.running(journey.tell))
            yield connection
