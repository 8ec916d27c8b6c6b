"""CloudFormation's custom resources: a Lambda function makes, changes and removes them.

Moto only calls the function on creation and takes silence for success. Here all three requests
are made, the answer is awaited, and a failure is one.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
"""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

from moto.awslambda.utils import get_backend
from moto.cloudformation.custom_model import CustomModel

from local_aws.errors import LocalAwsError
from local_aws.runtime import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.runtime import Runtime

CUSTOM = "AWS::CloudFormation::CustomResource"
ANSWER_PATH = "/_local/custom-resource/"
"""Where functions send their answer: this and the request's id."""
DEADLINE = 900.0
"""Seconds; a Lambda function runs no longer."""


class CustomResource(CustomModel):
    """A resource that a function looks after."""

    service: CustomResources

    def __init__(self, name: str, properties: Mapping[str, Any], identity: Mapping[str, str]):
        super().__init__(REGION, "", identity["LogicalResourceId"], name)
        self.properties = dict(properties)
        self.identity = dict(identity)

    @classmethod
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
        **kwargs: Any,
    ) -> CustomResource:
        """Ask the function to make it."""
        del account_id, region_name
        identity = {
            "LogicalResourceId": kwargs["LogicalId"],
            "StackId": kwargs["StackId"],
            "ResourceType": kwargs["ResourceType"],
        }
        made = cls(resource_name, cloudformation_json["Properties"], identity)
        made._take(cls.service.request("Create", made.properties, made.identity))
        return made

    @classmethod
    def update_from_cloudformation_json(  # type: ignore[override]
        cls, original_resource: CustomResource, cloudformation_json: Any, **_: Any
    ) -> CustomResource:
        """Ask the function to change it."""
        old, new = original_resource.properties, cloudformation_json["Properties"]
        identity = original_resource.identity
        answer = cls.service.request(
            "Update",
            new,
            {**identity, "PhysicalResourceId": original_resource.resource_name},
            OldResourceProperties=old,
        )
        original_resource.properties = dict(new)
        original_resource._take(answer)
        return original_resource

    def delete(self, account_id: str, region_name: str) -> None:
        """Ask the function to remove it."""
        del account_id, region_name
        identity = {**self.identity, "PhysicalResourceId": self.resource_name}
        self.service.request("Delete", self.properties, identity)

    def _take(self, answer: Mapping[str, Any]) -> None:
        self.resource_name = answer.get("PhysicalResourceId") or self.resource_name
        self.set_data(dict(answer.get("Data") or {}))


class CustomResources:
    """Sends requests to functions and receives their answers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._answers: dict[str, dict[str, Any]] = {}
        self._arrived = threading.Condition()
        self.model: type[CustomResource] = type(
            "CustomResource", (CustomResource,), {"service": self}
        )

    def answer(self, request_id: str, body: bytes) -> None:
        """Take what a function sent to its response URL."""
        with self._arrived:
            self._answers[request_id] = json.loads(body)
            self._arrived.notify_all()

    def request(
        self,
        kind: str,
        properties: Mapping[str, Any],
        identity: Mapping[str, str],
        **more: Any,
    ) -> dict[str, Any]:
        """Call the function that the service token names and wait for its answer.

        Raises
        ------
        LocalAwsError
            If the function fails, does not answer in time, or answers that it failed.
        """
        request_id = str(uuid.uuid4())
        token = properties["ServiceToken"]
        event = {
            "RequestType": kind,
            "ServiceToken": token,
            "ResponseURL": f"{self._runtime.endpoint}{ANSWER_PATH}{request_id}",
            "RequestId": request_id,
            "ResourceProperties": dict(properties),
            **identity,
            **more,
        }
        headers: dict[str, Any] = {}
        function = get_backend(ACCOUNT, REGION).get_function(token)
        payload = function.invoke(json.dumps(event), {}, headers)
        if "x-amz-function-error" in headers:
            raise LocalAwsError(f"custom resource function failed: {payload!r}")
        with self._arrived:
            self._arrived.wait_for(lambda: request_id in self._answers, DEADLINE)
            answer = self._answers.pop(request_id, None)
        if answer is None:
            raise LocalAwsError(f"custom resource function {token} never answered")
        if answer.get("Status") != "SUCCESS":
            raise LocalAwsError(str(answer.get("Reason") or "custom resource failed"))
        return answer
