"""What the server is told by its environment: SageMaker's variables, and a few of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from listening.errors import ListeningError
from listening.resources import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Mapping

MEBIBYTE = 1024**2
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_RESERVED_PER_WORKER = 150 * MEBIBYTE  # Python, its libraries and requests in flight


class SettingsError(ListeningError):
    """An environment variable of the server has a value that it cannot use."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve.

    Parameters
    ----------
    host, port
        Where to listen; port 0 takes a free one. ``SAGEMAKER_BIND_TO_HOST`` (all interfaces) and
        ``SAGEMAKER_BIND_TO_PORT`` (8080).
    multi_model
        Whether models come and go by ``/models``; otherwise the one in `model_folder` answers
        ``/invocations``. ``SAGEMAKER_MULTI_MODEL`` (false).
    workers
        Processes. ``SAGEMAKER_MODEL_SERVER_WORKERS`` (one per core).
    model_folder
        ``model`` under ``SAGEMAKER_BASE_DIR`` (``/opt/ml``).
    max_body
        Bytes of a request. ``SAGEMAKER_MAX_PAYLOAD_IN_MB`` (25, SageMaker's own limit).
    memory_limit
        Bytes that all models together may take. ``LISTENING_MODEL_MEMORY_MB`` (80% of the
        container's memory, less what the workers need themselves).
    """

    host: str = "0.0.0.0"
    port: int = 8080
    multi_model: bool = False
    workers: int = 1
    model_folder: Path = Path("/opt/ml/model")
    max_body: int = MAX_BODY
    memory_limit: int = 1024 * MEBIBYTE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the variables.

        Raises
        ------
        SettingsError
            One of them is not a whole number, or out of range; names it.
        """

        def number(name: str, default: int, least: int) -> int:
            text = environment.get(name) or str(default)
            if not text.isascii() or not text.isdigit() or int(text) < least:
                raise SettingsError(f"{name} must be a whole number from {least}, got {text!r}")
            return int(text)

        workers = number("SAGEMAKER_MODEL_SERVER_WORKERS", os.cpu_count() or 1, 1)
        default_memory = max(container_memory() * 4 // 5 - workers * _RESERVED_PER_WORKER, MEBIBYTE)
        return cls(
            host=environment.get("SAGEMAKER_BIND_TO_HOST", cls.host),
            port=number("SAGEMAKER_BIND_TO_PORT", cls.port, 0),
            multi_model=environment.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true",
            workers=workers,
            model_folder=Path(environment.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model",
            max_body=number("SAGEMAKER_MAX_PAYLOAD_IN_MB", MAX_BODY // MEBIBYTE, 1) * MEBIBYTE,
            memory_limit=MEBIBYTE
            * number("LISTENING_MODEL_MEMORY_MB", default_memory // MEBIBYTE, 1),
        )


def container_memory() -> int:
    """Return the bytes that this container may use, by its control group or the machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        try:
            return min(machine, int(path.read_text()))
        except (OSError, ValueError):
            continue  # another version of control groups, or "max"
    return machine
