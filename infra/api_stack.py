"""The HTTP API in front of the endpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_

from infra.base_stack import BaseStack
from infra.constructs.permissions import allow
from infra.constructs.python_function import RUNTIME, Handler, PythonFunction
from listening.resources import ASK_ROUTE, CHAMPION_ROUTE

if TYPE_CHECKING:
    from constructs import Construct

    from infra.data_stack import DataStack
    from infra.settings import Settings

LOGGED = (
    "requestId",
    "requestTime",
    "identity.sourceIp",
    "httpMethod",
    "path",
    "status",
    "responseLatency",
    "integrationErrorMessage",
)
"""What an access-log line says of a request."""
POWERTOOLS_LAYER_VERSION = 27
"""From Powertools' installation page, which lists the current layer of every runtime."""
POWERTOOLS_ACCOUNT = "017000801446"


class ApiStack(BaseStack):
    """Function with Powertools, throttled and logged HTTP API by IAM or JWT."""

    def __init__(self, scope: Construct, *, settings: Settings, data: DataStack) -> None:
        super().__init__(scope, "api", settings=settings)
        self._data = data
        self.function = self._build_function()
        self.api = self._build_api()
        self._integration = integrations.HttpLambdaIntegration("Function", self.function.function)
        self._build_routes()
        self.stage = self._build_stage()

    def _build_function(self) -> PythonFunction:
        function = PythonFunction(
            self,
            "Api",
            handler=Handler(
                folder="api",
                name="api",
                timeout=cdk.Duration.seconds(29),
                memory_mb=512,
                environment={
                    "ENDPOINT": self.names.endpoint,
                    "CHAMPION_PARAMETERS": self.names.champion_parameters(),
                    "SYSTEMS": ",".join(self.settings.deployed),
                },
                layers=[self._powertools()],
            ),
            key=self._data.key,
        )
        endpoint = self.format_arn(
            service="sagemaker", resource="endpoint", resource_name=self.names.endpoint
        )
        allow(function.role, ["sagemaker:InvokeEndpoint"], [endpoint])
        champions = [self.champion_arn(system) for system in self.settings.deployed]
        allow(function.role, ["ssm:GetParameter"], champions)
        return function

    def _powertools(self) -> lambda_.ILayerVersion:
        python = RUNTIME.name.replace(".", "")
        return lambda_.LayerVersion.from_layer_version_arn(
            self,
            "Powertools",
            self.format_arn(
                service="lambda",
                account=POWERTOOLS_ACCOUNT,
                resource="layer",
                resource_name=(
                    f"AWSLambdaPowertoolsPythonV3-{python}-x86_64:{POWERTOOLS_LAYER_VERSION}"
                ),
                arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
            ),
        )

    def _build_api(self) -> apigateway.HttpApi:
        return apigateway.HttpApi(
            self,
            "HttpApi",
            api_name=self.names.prefix,
            description="What plays tell about listeners: POST a question to /<system>",
            create_default_stage=False,
            default_authorizer=self._authorizer(),
        )

    def _authorizer(self) -> apigateway.IHttpRouteAuthorizer:
        jwt = self.settings.api.jwt
        if jwt is None:
            return authorizers.HttpIamAuthorizer()
        return authorizers.HttpJwtAuthorizer("Jwt", jwt.issuer, jwt_audience=list(jwt.audience))

    def _build_routes(self) -> None:
        for path, method in (
            (ASK_ROUTE, apigateway.HttpMethod.POST),
            (CHAMPION_ROUTE, apigateway.HttpMethod.GET),
        ):
            self.api.add_routes(
                path=path.replace("<", "{").replace(">", "}"),
                methods=[method],
                integration=self._integration,
            )

    def _build_stage(self) -> apigateway.HttpStage:
        logs = self.log_group(
            "AccessLogs", name=f"/aws/vendedlogs/apis/{self.names.prefix}", key=self._data.key
        )
        stage = apigateway.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=apigateway.ThrottleSettings(
                rate_limit=self.settings.api.requests_per_second,
                burst_limit=self.settings.api.burst,
            ),
        )
        resource = cast("apigateway.CfnStage", stage.node.default_child)
        resource.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=logs.log_group_arn,
            format=json.dumps({name: f"$context.{name}" for name in LOGGED}),
        )
        return stage
