"""``python -m local_aws serve``: run the emulator until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

import psutil

from local_aws.errors import LocalAwsError
from local_aws.runtime import CREDENTIALS, REGION, Settings
from local_aws.server import LocalServer


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and serve.

    Returns
    -------
    int
        Exit code: 0 after an orderly stop.
    """
    options = _parser().parse_args(arguments)
    settings = Settings(
        state=options.state.resolve(),
        project=options.project.resolve(),
        # Not resolved: an environment's Python is a link, and knows its environment by that name.
        glue_python=options.glue_python.absolute(),
        image_python=options.image_python.absolute(),
        port=options.port,
    )
    settings.state.mkdir(parents=True, exist_ok=True)
    _log_to(settings.state / "logs")
    os.environ.update(CREDENTIALS | {"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION})
    os.environ.pop("AWS_PROFILE", None)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if options.parent is not None:
        _watch(options.parent, stop)
    try:
        server = LocalServer(settings)
        # Its own temporary files, and those of what it starts, go with its scratch folder.
        tempfile.tempdir = os.environ["TMPDIR"] = str(server.runtime.temporary)
        server.run(stop)
    except LocalAwsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="run the emulator on the loopback interface")
    serve.add_argument("--state", type=Path, required=True, help="the one folder that it writes")
    serve.add_argument("--project", type=Path, default=Path(), help="folder of the Dockerfile")
    serve.add_argument("--port", type=int, default=0, help="0 takes a free one")
    serve.add_argument("--glue-python", type=Path, required=True, help="Python of the Glue jobs")
    serve.add_argument("--image-python", type=Path, required=True, help="Python of the image")
    serve.add_argument("--parent", type=int, help="stop when the process of this id ends")
    return parser


def _log_to(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(_file(folder / "emulator.log"))
    requests = logging.getLogger("local_aws.requests")
    requests.propagate = False
    requests.addHandler(_file(folder / "requests.log"))
    for chatty in ("botocore", "moto", "werkzeug"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _file(path: Path) -> logging.Handler:
    handler = RotatingFileHandler(path, maxBytes=10 * 2**20, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


def _watch(parent: int, stop: threading.Event) -> None:
    """Stop when another process ends, so that a killed command leaves nothing running."""

    def wait() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(parent).wait()
        stop.set()

    threading.Thread(target=wait, daemon=True, name="parent").start()


if __name__ == "__main__":
    sys.exit(main())
