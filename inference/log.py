"""The server's log: one JSON object a line on standard output, for CloudWatch Logs Insights."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import orjson


def log(event: str, **fields: Any) -> None:
    """Write what happened, for example ``log("model loaded", model=name, seconds=0.3)``."""
    line = {"time": round(time.time(), 3), "pid": os.getpid(), "event": event, **fields}
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()
