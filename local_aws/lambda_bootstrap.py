"""Inside a function's process: import the handler, call it once, write its answer.

Run as ``python -I -S lambda_bootstrap.py <request.json> <answer.json>``; without site packages,
so that only the paths of ``LOCAL_AWS_PATHS`` and the standard library can be imported.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any


class Context:
    """What AWS passes beside the event.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def __init__(self, request_id: str) -> None:
        self.aws_request_id = request_id
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.invoked_function_arn = os.environ["LOCAL_AWS_FUNCTION_ARN"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._ends = time.monotonic() + float(os.environ["LOCAL_AWS_TIMEOUT"])

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


def run(handler: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call ``module.function``; returns its answer, or its error as AWS words it."""
    module, _, function = handler.rpartition(".")
    try:
        call = getattr(importlib.import_module(module.replace("/", ".")), function)
        value = call(request["event"], Context(request["request_id"]))
        json.dumps(value)
    except Exception as error:  # the caller gets it, whatever it is
        traceback.print_exc()
        trace = traceback.format_tb(error.__traceback__)
        value = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": trace}
        return {"failed": True, "value": value}
    return {"failed": False, "value": value}


def main() -> None:
    """Answer the one request."""
    sys.path[:0] = os.environ["LOCAL_AWS_PATHS"].split(os.pathsep)
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = Path(sys.argv[2])
    partial = answer.with_suffix(".partial")
    partial.write_text(json.dumps(run(os.environ["_HANDLER"], request)), encoding="utf-8")
    partial.rename(answer)


if __name__ == "__main__":
    main()
