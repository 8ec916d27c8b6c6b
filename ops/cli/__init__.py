"""The command line ``listening``: the same commands on the emulator and on AWS."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; a termination signal cleans up as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from ops.cli.app import app  # noqa: PLC0415 - rich and typer take a while

    app()
    raise SystemExit(0)
