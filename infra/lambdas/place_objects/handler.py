"""CloudFormation custom resource: copies assets to the keys that their readers expect.

Properties: ``Bucket``, and ``Objects`` as ``{key: {"Bucket": …, "Key": …}}``. Objects are put anew
on every change and left alone when the resource is deleted.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> None:
    """Do what CloudFormation asks and answer to the address that it gave."""
    try:
        if event["RequestType"] != "Delete":
            place(event["ResourceProperties"], s3=boto3.client("s3"))
        answer(event, status="SUCCESS")
    except Exception as error:  # an unanswered request blocks the stack for an hour
        answer(event, status="FAILED", reason=f"{type(error).__name__}: {error}")


def place(properties: dict[str, Any], *, s3: Any) -> None:
    """Copy every object to its key."""
    for key, source in properties["Objects"].items():
        s3.copy_object(Bucket=properties["Bucket"], Key=key, CopySource=source)


def answer(event: dict[str, Any], *, status: str, reason: str = "") -> None:
    """Report to CloudFormation by its response protocol.

    Parameters
    ----------
    event
        The request that is answered.
    status
        ``SUCCESS`` or ``FAILED``.
    reason
        What CloudFormation shows when it failed.
    """
    body = json.dumps(
        {
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": event.get("PhysicalResourceId", event["LogicalResourceId"]),
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
        }
    ).encode()
    request = urllib.request.Request(  # the address is CloudFormation's own, signed
        event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(request, timeout=30):
        pass
