"""Which bundle a job works with, and how its executors get it."""

from __future__ import annotations

import contextlib
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from pyspark import SparkFiles

from listening.archive import load, unpack
from listening.errors import ResourceError
from listening.resources import ENDPOINT, target_model

if TYPE_CHECKING:
    from glue_jobs.job import Arguments
    from glue_jobs.storage import Storage
    from listening.archive import Archive


def champion(arguments: Arguments) -> str:
    """Return the bundle version to work with: the one named, or the champion.

    Raises
    ------
    ResourceError
        The parameter that names the champion cannot be read.
    """
    version = arguments.get("champion", "")
    if version:
        return version
    name = arguments.get("champion_parameter", "")
    try:
        return str(boto3.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    except (BotoCoreError, ClientError) as error:
        raise ResourceError(
            f"parameter {name!r} does not tell the champion ({error}); deploy the stacks, or name "
            "a bundle version by --champion"
        ) from error


def fetch(models: Storage, system: str, version: str) -> str:
    """Have every executor fetch a bundle, and return the name of its archive there.

    Raises
    ------
    ResourceError
        There is no such bundle.
    """
    key = ENDPOINT + target_model(system, version)
    if not models.exists(key):
        raise ResourceError(
            f"{models.uri(key)}: bundle {version} is not there; promote one that is, or name it "
            "by --champion"
        )
    models.spark.sparkContext.addFile(models.uri(key))
    return Path(key).name


@cache
def fetched(archive: str) -> Archive:
    """Load a fetched archive, once in each process; the first one of an executor unpacks it."""
    folder = Path(SparkFiles.getRootDirectory()) / f"{archive}.unpacked"
    if not folder.exists():
        partial = Path(tempfile.mkdtemp(dir=folder.parent))
        unpack(Path(SparkFiles.get(archive)), partial)
        with contextlib.suppress(OSError):  # another process was faster
            partial.rename(folder)
    return load(folder)
