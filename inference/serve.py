"""``python -m inference.serve``: the server that SageMaker starts with ``docker run IMAGE serve``.

What it is told by the environment: `inference.settings.Settings`.
"""

from __future__ import annotations

import os
import sys

# Requests are answered on one thread each; and threads of a library would not survive the fork.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

from inference.settings import Settings, SettingsError  # noqa: E402
from inference.supervisor import Supervisor  # noqa: E402


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    try:
        settings = Settings.from_environment()
        supervisor = Supervisor(settings)
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"serve: {error}\n")
        return 1
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
