"""Which bundle a job works with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from listening.errors import ResourceError

if TYPE_CHECKING:
    from glue_jobs.job import Arguments


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
