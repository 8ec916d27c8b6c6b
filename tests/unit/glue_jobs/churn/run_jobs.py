"""Run jobs of the churn system one after another in one process, and say what became of each."""

from __future__ import annotations

import json
import sys
from importlib import import_module


def main(runs: list[list[str]]) -> None:
    """Run each ``[job, argument, …]``; print the kind and the words of its error, or nothing."""
    found = []
    for name, *arguments in runs:
        job = import_module(f"glue_jobs.churn.{name}")
        try:
            job.main([f"{name}.py", *arguments])
        except Exception as error:  # noqa: BLE001 - which kind it is, is what is asked
            found.append([type(error).__name__, str(error)])
        else:
            found.append(["", ""])
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
