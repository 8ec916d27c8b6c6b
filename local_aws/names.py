"""AWS's name rules, enforced where moto is lenient.

The rules are not written here: they are AWS's own, read from the service models that botocore
ships (``min``, ``max`` and ``pattern`` of the shape that an API parameter has). The exceptions
are the names of buckets and of executions, whose rules stand only in prose.
"""

from __future__ import annotations

import re
from functools import cache

import botocore.session
from moto.sagemaker.exceptions import ValidationError

BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
BUCKET_LOOKS_LIKE_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
NOT_IN_EXECUTIONS = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ufffe\uffff]")
"""https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"""
MOST_OF_EXECUTION = 80  # characters
SURROGATES = (r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
"""A range of characters as AWS's patterns (Java's) and Python's write it."""


@cache
def _rule(service: str, shape: str) -> tuple[int, int, re.Pattern[str] | None]:
    model = botocore.session.get_session().get_service_model(service)
    rule = model.shape_for(shape).metadata
    pattern = rule.get("pattern", "").replace(*SURROGATES)
    return rule.get("min", 1), rule.get("max", 2**31), re.compile(pattern) if pattern else None


def violation(service: str, shape: str, value: str) -> str | None:
    """Return the constraint that a value breaks, worded as AWS does, or None.

    Parameters
    ----------
    service, shape
        Where the rule stands in AWS's service models, such as ``sagemaker`` and
        ``TrainingJobName``.
    value
        What the caller sent.
    """
    least, most, pattern = _rule(service, shape)
    if len(value) < max(least, 1):
        return f"Member must have length greater than or equal to {max(least, 1)}"
    if len(value) > most:
        return f"Member must have length less than or equal to {most}"
    if pattern is not None and not pattern.fullmatch(value):
        return f"Member must satisfy regular expression pattern: {pattern.pattern}"
    return None


def require_sagemaker(shape: str, member: str, value: str) -> None:
    """Refuse a value that breaks a rule of SageMaker's model.

    Raises
    ------
    ValidationError
        As the API words it.
    """
    broken = violation("sagemaker", shape, value)
    if broken:
        raise ValidationError(
            f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy "
            f"constraint: {broken}"
        )


def is_bucket_name(value: str) -> bool:
    """Say whether S3 accepts a bucket name."""
    return bool(BUCKET.fullmatch(value)) and not BUCKET_LOOKS_LIKE_ADDRESS.fullmatch(value)


def is_execution_name(value: str) -> bool:
    """Say whether Step Functions accepts the name of an execution."""
    return 0 < len(value) <= MOST_OF_EXECUTION and not NOT_IN_EXECUTIONS.search(value)
