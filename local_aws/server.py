"""The emulator as one server: moto's dispatcher, the services' hooks, and a few calls of its own.

``GET /_local/health`` says what runs, ``POST /_local/snapshot`` writes the state to the state
folder and ``POST /_local/restore`` brings it back once the stacks stand again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto import settings as moto_settings
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.exceptions import InvalidBucketName
from moto.s3.models import S3Backend
from werkzeug.datastructures import EnvironHeaders
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Request, Response

from local_aws import clock, names
from local_aws.cloudformation import CloudFormationService
from local_aws.custom_resources import ANSWER_PATH, CustomResources
from local_aws.endpoints import EndpointService
from local_aws.errors import LocalAwsError
from local_aws.events import EventBus
from local_aws.glue import GlueService
from local_aws.lambdas import LambdaService
from local_aws.patching import Patches
from local_aws.registry import RegistryService
from local_aws.runtime import Runtime, Settings
from local_aws.snapshot import Snapshot
from local_aws.stepfunctions import StepFunctionsService
from local_aws.training import TrainingService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
OWN_PATH = "/_local/"


class Emulator:
    """The services over one runtime, hooked into moto between `install` and `uninstall`."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.events = EventBus(runtime)
        self.custom = CustomResources(runtime)
        self.glue = GlueService(runtime, self.events)
        self.training = TrainingService(runtime, self.events)
        self.endpoints = EndpointService(runtime)
        self.registry = RegistryService()
        self.lambdas = LambdaService(runtime, self.events)
        self.stepfunctions = StepFunctionsService(runtime, self.events)
        self.cloudformation = CloudFormationService(self.custom)
        self.snapshot = Snapshot(runtime)
        self._patches = Patches()

    def install(self) -> None:
        """Set all hooks."""
        for service in (
            self.events,
            self.glue,
            self.training,
            self.endpoints,
            self.registry,
            self.lambdas,
            self.stepfunctions,
            self.cloudformation,
        ):
            service.install(self._patches)
        self._patches.wrap(S3Backend, "create_bucket", _create_bucket)
        # Moto's Lambda functions would look for it inside a container.
        self._patches.replace(moto_settings, "moto_server_host", lambda: f"http://{LOOPBACK}")

    def uninstall(self) -> None:
        """Restore moto."""
        self._patches.undo()


def _create_bucket(
    original: Callable[..., Any], backend: Any, bucket_name: str, *args: Any, **kwargs: Any
) -> Any:
    if not names.is_bucket_name(bucket_name):
        raise InvalidBucketName
    return original(backend, bucket_name, *args, **kwargs)


@dataclass
class LocalServer:
    """The emulator behind a socket of the loopback interface."""

    settings: Settings

    def __post_init__(self) -> None:
        """Bind the port, so that the services know where they will be reached."""
        self._prepare_folder()
        dispatcher = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer = make_server(
            LOOPBACK,
            self.settings.port,
            self._application(dispatcher),
            threaded=True,
            request_handler=_QuietHandler,
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.runtime = Runtime(self.settings, endpoint=f"http://{LOOPBACK}:{self._server.port}")
        os.environ["MOTO_PORT"] = str(self._server.port)
        self.emulator = Emulator(self.runtime)
        self._started = datetime.now(UTC)

    @property
    def record(self) -> Path:
        """File that says where the emulator is."""
        return self.settings.state / "emulator.json"

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop; then keep the state and end every child."""
        self.emulator.install()
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self._write_record()
        log.info("emulator answers on %s", self.runtime.endpoint)
        try:
            stop.wait()
        finally:
            self._close()

    def _close(self) -> None:
        log.info("stopping")
        self.record.unlink(missing_ok=True)
        self._server.shutdown()
        self.runtime.close()
        try:
            self.emulator.snapshot.write_at_exit()
        finally:
            self._server.server_close()
            self.emulator.uninstall()
            shutil.rmtree(self.runtime.work, ignore_errors=True)
        log.info("stopped")

    def _prepare_folder(self) -> None:
        state = self.settings.state
        state.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(state / "work", ignore_errors=True)
        for folder in ("work", "logs"):
            (state / folder).mkdir(exist_ok=True)

    def _write_record(self) -> None:
        content = {
            "pid": os.getpid(),
            "endpoint": self.runtime.endpoint,
            "started": self._started.isoformat(),
        }
        partial = self.record.with_suffix(".partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.rename(self.record)

    def _application(
        self, dispatcher: DomainDispatcherApplication
    ) -> Callable[..., Iterable[bytes]]:
        def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            if str(environ.get("PATH_INFO", "")).startswith(OWN_PATH):
                return self._own(Request(environ))(environ, start_response)
            refused = clock.refusal(EnvironHeaders(environ), now=datetime.now(UTC))
            if refused is not None:
                return refused(environ, start_response)
            answer: Iterable[bytes] = dispatcher(environ, start_response)
            return answer

        return application

    def _own(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except LocalAwsError as error:
            return _json({"message": str(error)}, status=400)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            return _json({"message": f"{type(error).__name__}: {error}"}, status=500)

    def _answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/_local/health":
                return _json(self._health())
            case "POST", "/_local/snapshot":
                return _json(self.emulator.snapshot.write())
            case "POST", "/_local/restore":
                return _json(self.emulator.snapshot.restore())
            case "PUT", path if path.startswith(ANSWER_PATH):
                self.emulator.custom.answer(path.removeprefix(ANSWER_PATH), request.get_data())
                return _json({})
        return _json({"message": f"{request.method} {request.path} is not known"}, status=404)

    def _health(self) -> dict[str, Any]:
        return {
            "status": "ok",
            "pid": os.getpid(),
            "endpoint": self.runtime.endpoint,
            "started": self._started.isoformat(),
            "snapshot": self.emulator.snapshot.describe(),
        }


class _QuietHandler(MotoRequestHandler):
    """Logs requests where the rest is logged."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  (werkzeug's name)
        logging.getLogger("local_aws.requests").log(
            logging.INFO if type == "info" else logging.ERROR, message, *args
        )


def _json(content: Any, *, status: int = 200) -> Response:
    return Response(json.dumps(content), status=status, content_type="application/json")
