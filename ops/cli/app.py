"""The commands, put together."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from listening.errors import ListeningError
from listening.systems import SYSTEMS
from ops.cli import answers, data, emulator, models, owner, pipeline, steps
from ops.cli.console import err
from ops.cli.target import Target

GLOBAL_FLAGS = ("--local", "--json")
GLOBAL_OPTIONS = ("--profile", "--env", "--region", "--state")


class Commands(TyperGroup):
    """Commands whose common options may stand anywhere, and whose errors are one sentence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the common options before the command."""
        common: list[str] = []
        rest: list[str] = []
        words = iter(args)
        for word in words:
            if word == "--":
                rest += [word, *words]
            elif word in GLOBAL_FLAGS or word.partition("=")[0] in GLOBAL_OPTIONS:
                common.append(word)
                if word in GLOBAL_OPTIONS:
                    value = next(words, None)
                    if value is None:
                        raise typer.BadParameter(f"{word} needs a value", ctx=ctx)
                    common.append(value)
            else:
                rest.append(word)
        return super().parse_args(ctx, common + rest)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error that the user can do something about is printed, exit code 1.

        These are the project's own, and the operating system's about a file.
        """
        try:
            return super().invoke(ctx)
        except ListeningError as error:
            _fail(str(error), error)
        except OSError as error:
            if error.filename is None:
                raise
            _fail(f"{error.filename}: {error.strerror}", error)


def _fail(reason: str, error: Exception) -> NoReturn:
    err().print("Error:", reason, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    name="listening",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="What plays tell about listeners. Systems: "
    + " ".join(f"{system.name}: {system.question}" for system in SYSTEMS.values()),
    epilog="The options above may stand before or after the command. Without --profile every "
    "command talks to the emulator on this machine, never to AWS.",
)


@app.callback()
def _common(  # noqa: PLR0913 - the options of a command line
    context: typer.Context,
    *,
    local: Annotated[bool, typer.Option("--local", help="The emulator (the default).")] = False,
    profile: Annotated[str | None, typer.Option(help="AWS, with this profile.")] = None,
    env: Annotated[str | None, typer.Option(help="The environment on AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="Instead of the profile's region.")] = None,
    state: Annotated[
        Path | None, typer.Option(file_okay=False, help="The emulator's state folder.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Answer for machines.")] = False,
) -> None:
    if local and profile:
        raise typer.BadParameter("--local and --profile exclude each other")
    if not profile and (env or region):
        raise typer.BadParameter("--env and --region belong to AWS: name a --profile too")
    context.obj = Target(profile=profile, environment=env, region=region, state=state, as_json=json)


for command in (
    pipeline.run,
    emulator.up,
    emulator.down,
    emulator.status,
    answers.invoke,
    answers.score,
    answers.report,
    answers.drift,
    steps.logs,
    owner.deploy,
    owner.smoke,
    owner.cost,
):
    app.command()(command)
app.add_typer(data.data, name="data")
app.add_typer(steps.features, name="features")
app.add_typer(steps.train, name="train")
app.add_typer(models.app, name="models")
