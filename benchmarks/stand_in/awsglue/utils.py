"""What `glue_jobs.job` imports; only a job itself reads arguments."""

from __future__ import annotations


def getResolvedOptions(argv: list[str], names: list[str]) -> dict[str, str]:  # noqa: N802
    """Refuse: there is no job whose arguments could be read."""
    raise RuntimeError(f"not a Glue job: {argv} {names}")
