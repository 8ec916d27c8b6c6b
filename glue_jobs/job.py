"""What every Glue job has: its arguments, its Spark session, its run id and its log."""

from __future__ import annotations

import hashlib
import logging
import platform
import re
import sys
from contextlib import contextmanager
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyspark
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from listening.errors import DataError, ListeningError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Value = TypeVar("Value", int, float, str)

RUN_ARGUMENTS = ("WORKFLOW_NAME", "WORKFLOW_RUN_ID")
"""Given by Glue in a workflow only; the run id of the job itself is always given."""

SPARK_ERRORS = (PySparkException, Py4JJavaError)

REFUSAL = re.compile(r"listening\.errors\.\w+: (.+)")
"""What an error of ours, raised on a worker, looks like in Spark's message."""

PACKAGES = ("glue_jobs", "listening")
LOG = logging.getLogger("glue_jobs")


class Arguments:
    """The arguments of a job run, each with its default.

    Parameters
    ----------
    argv
        The script's arguments, ``--name value``.
    names
        The names that the job takes beside AWS's own.
    """

    def __init__(self, argv: Sequence[str], names: Sequence[str]) -> None:
        from awsglue.utils import getResolvedOptions  # noqa: PLC0415 - only a job run has it

        known = (*names, *RUN_ARGUMENTS, "JOB_NAME")
        _check_options(argv, known)
        given = [name for name in known if f"--{name}" in argv]
        self._values: Mapping[str, Any] = getResolvedOptions(list(argv), given)

    def get(self, name: str, default: Value, *, least: int = 0) -> Value:
        """Return an argument as the type of its default.

        Raises
        ------
        DataError
            It is not a value of that type, or a number below the least.
        """
        text = self._values.get(name)
        if text is None:
            return default
        try:
            value = type(default)(text)
        except ValueError as error:
            raise DataError(
                f"--{name} is {text!r}, but must be of type {type(default).__name__}"
            ) from error
        if not isinstance(value, str) and not least <= value < float("inf"):
            raise DataError(f"--{name} is {text}, but must be a number of at least {least}")
        return value

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Return an argument that must be one of these; the first one by default."""
        value = self.get(name, choices[0])
        if value not in choices:
            raise DataError(f"--{name} is {value!r}, but must be {' or '.join(choices)}")
        return value

    @property
    def data_uri(self) -> str:
        """The URI of the data bucket, which the prefixes of batches and runs are relative to."""
        return self._bucket("data")

    @property
    def models_uri(self) -> str:
        """The URI of the models bucket: endpoint, captures and reports."""
        return self._bucket("models")

    def _bucket(self, what: str) -> str:
        uri = self.get(f"{what}_uri", "")
        if not uri:
            raise DataError(f"--{what}_uri is missing: give the {what} bucket, s3://<bucket>/")
        return uri

    @property
    def run_id(self) -> str:
        """The id of this run of the job."""
        run = self.get("JOB_RUN_ID", "")
        if not run:
            raise DataError("--JOB_RUN_ID is missing: Glue passes it, by hand give any new name")
        return run

    @property
    def workflow_run_id(self) -> str | None:
        """The id of the workflow's run that started this job; None outside a workflow."""
        return self.get("WORKFLOW_RUN_ID", "") or None


def _check_options(argv: Sequence[str], known: Sequence[str]) -> None:
    """Refuse an option that AWS's parser would take for a longer one, as ``--data`` for another.

    Raises
    ------
    DataError
        Names both.
    """
    for option in argv:
        name = option.removeprefix("--").partition("=")[0]
        if not option.startswith("--") or not name or name in known:
            continue
        if longer := [other for other in known if other.startswith(name)]:
            raise DataError(f"--{name} is no argument of this job; did you mean --{longer[0]}?")


@contextmanager
def job_session(name: str, *, rows_per_batch: int) -> Iterator[SparkSession]:
    """Give a job its Spark session, and make what a worker refused an error of the job.

    The session is set up so that the same input gives the same bytes. It is stopped before an
    error is raised, so that the error is the last that the job says: Glue shows it as the reason.

    Parameters
    ----------
    name
        The job's name.
    rows_per_batch
        The most rows that Python works on at once.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    spark = SparkSession.builder.appName(name).getOrCreate()
    for key, value in {
        "spark.sql.adaptive.enabled": "false",  # it chooses partitions by what the cluster is
        "spark.sql.shuffle.partitions": "8",  # of what does not grow with listeners
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(rows_per_batch),
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.session.timeZone": "UTC",
    }.items():
        spark.conf.set(key, value)
    try:
        yield spark
    except SPARK_ERRORS as error:
        LOG.exception("Spark failed")
        refused = REFUSAL.search(str(error))
        why = first_cause(error)
        spark.stop()
        if refused:
            raise DataError(refused[1]) from None
        raise ListeningError(f"{name}: Spark failed ({why}); see the job's log") from None
    except BaseException:
        spark.stop()
        raise
    spark.stop()


def first_cause(error: Exception) -> str:
    """Return in one line what an error of Spark comes from."""
    text = str(error)
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        text = cause.getMessage() or cause.toString()
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def code_version() -> str:
    """Return the first 12 digits of a SHA-256 over the sources that a Glue job imports."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for name, content in _sources(resources.files(package), package):
            digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _sources(folder: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files of a package, which may lie in a zip."""
    for entry in sorted(folder.iterdir(), key=lambda entry: str(entry.name)):
        name = f"{path}/{entry.name}"
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _sources(entry, name)
        else:
            yield name, entry.read_bytes()


def versions() -> dict[str, str]:
    """Return the versions that a manifest names."""
    return {
        "code": code_version(),
        "python": platform.python_version(),
        "spark": pyspark.__version__,
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
        "ftfy": metadata.version("ftfy"),
        "pycountry": metadata.version("pycountry"),
    }
