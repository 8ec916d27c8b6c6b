"""Bundles to answers: the multi-model endpoint, what it serves first, and who is champion."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_ssm as ssm

from infra.base_stack import BaseStack
from infra.constructs.container_image import ContainerImage
from infra.constructs.permissions import allow
from infra.constructs.placed_objects import PlacedObjects
from infra.constructs.sagemaker_role import Access, Prefixes, SageMakerRole
from listening.archive import pack, write_prior
from listening.resources import CAPTURES, ENDPOINT, PRIOR_VERSION, target_model

if TYPE_CHECKING:
    from constructs import Construct

    from infra.constructs.sagemaker_role import Placement
    from infra.data_stack import DataStack
    from infra.settings import Settings

VARIANT = "bundles"
"""The endpoint's one production variant."""


class ServingStack(BaseStack):
    """Each system's champion parameter and prior; model, endpoint, rollback alarms, autoscaling.

    Parameters
    ----------
    data
        Buckets and key.
    placement
        Where the endpoint runs, if in a VPC.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Settings,
        data: DataStack,
        placement: Placement | None,
    ) -> None:
        super().__init__(scope, "serving", settings=settings)
        self._data = data
        self._placement = placement
        self.image = ContainerImage(self, "Image", settings=settings)
        self.champions = [self._build_champion(system) for system in settings.deployed]
        self.priors = self._build_priors()
        self.role = self._build_role()
        self.model = self._build_model()
        self.alarms = self._build_alarms()
        self.endpoint = self._build_endpoint(self._build_config())
        self._build_scaling()

    def _build_champion(self, system: str) -> ssm.CfnParameter:
        """Create the parameter; from then on only the pipeline and rollbacks write it.

        CloudFormation would write 'prior' again if any property changed, so none depends on the
        settings, and it carries no tags.
        """
        return ssm.CfnParameter(
            self,
            f"{system.capitalize()}Champion",
            name=self.names.of(system).champion_parameter,
            type="String",
            value=PRIOR_VERSION,
            description=f"Bundle version that callers of {system} name",
        )

    def _build_priors(self) -> PlacedObjects:
        """Serve something before any training: a model over an empty prefix can fail."""
        with tempfile.TemporaryDirectory() as scratch:
            files = {}
            for system in self.settings.deployed:
                archive = Path(scratch) / f"{system}.tar.gz"
                write_prior(Path(scratch) / system, system=system)
                pack(Path(scratch) / system, archive)
                files[f"{ENDPOINT}{target_model(system, PRIOR_VERSION)}"] = archive
            return PlacedObjects(
                self, "Prior", bucket=self.models_bucket, key=self._data.key, files=files
            )

    def _build_role(self) -> SageMakerRole:
        captures = [CAPTURES] if self.settings.serving.capture_percent else []
        role = SageMakerRole(
            self,
            "Role",
            image=self.image,
            key=self._data.key,
            access=Access(
                prefixes=[Prefixes(self.models_bucket, reads=[ENDPOINT], writes=captures)],
                log_groups=f"Endpoints/{self.names.endpoint}",
                placement=self._placement,
            ),
        )
        alarms = self.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=f"{self.names.endpoint}-*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        allow(
            role,
            ["cloudwatch:DescribeAlarms"],
            [alarms],
            because="the alarms that roll a deployment back start with the endpoint's name",
        )
        return role

    def _build_model(self) -> sagemaker.CfnModel:
        placement = self._placement
        model = sagemaker.CfnModel(
            self,
            "Model",
            execution_role_arn=self.role.role_arn,
            enable_network_isolation=True,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=self.image.uri,
                mode="MultiModel",
                model_data_url=self.models_bucket.s3_url_for_object(ENDPOINT),
                multi_model_config=sagemaker.CfnModel.MultiModelConfigProperty(
                    model_cache_setting="Enabled"
                ),
            ),
            vpc_config=(
                sagemaker.CfnModel.VpcConfigProperty(
                    subnets=list(placement.subnets),
                    security_group_ids=[placement.security_group],
                )
                if placement
                else None
            ),
        )
        model.node.add_dependency(self.role)
        return model

    def _build_config(self) -> sagemaker.CfnEndpointConfig:
        serving = self.settings.serving
        return sagemaker.CfnEndpointConfig(
            self,
            "Config",
            kms_key_id=self._data.key.key_arn,
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=VARIANT,
                    model_name=self.model.attr_model_name,
                    instance_type=serving.instance_type,
                    initial_instance_count=serving.min_instances,
                    initial_variant_weight=1.0,
                )
            ],
            data_capture_config=self._data_capture() if serving.capture_percent else None,
        )

    def _data_capture(self) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty:
        return sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=self.settings.serving.capture_percent,
            destination_s3_uri=self.models_bucket.s3_url_for_object(CAPTURES),
            kms_key_id=self._data.key.key_arn,
            capture_options=[
                sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode)
                for mode in ("Input", "Output")
            ],
            capture_content_type_header=(
                sagemaker.CfnEndpointConfig.CaptureContentTypeHeaderProperty(
                    json_content_types=["application/json"]
                )
            ),
        )

    def _build_alarms(self) -> list[cloudwatch.Alarm]:
        """Build what rolls a deployment back: answers that fail, and answers that are slow."""
        minute = cdk.Duration.minutes(1)
        failing = self._metric("Invocation5XXErrors", statistic="Sum", period=minute)
        slow = self._metric("ModelLatency", statistic="p99", period=minute)
        microseconds = self.settings.serving.latency_alarm_ms * 1000
        return [
            self._alarm("5xx", failing, threshold=5, why="the endpoint answers with errors"),
            self._alarm("latency", slow, threshold=microseconds, why="the endpoint is slow (p99)"),
        ]

    def _metric(self, name: str, *, statistic: str, period: cdk.Duration) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/SageMaker",
            metric_name=name,
            dimensions_map={"EndpointName": self.names.endpoint, "VariantName": VARIANT},
            statistic=statistic,
            period=period,
        )

    def _alarm(
        self, name: str, metric: cloudwatch.Metric, *, threshold: float, why: str
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            f"Alarm-{name}",
            alarm_name=f"{self.names.endpoint}-{name}",
            alarm_description=f"{self.names.endpoint}: {why}; a deployment under way rolls back",
            metric=metric,
            threshold=threshold,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self._data.notices))
        return alarm

    def _build_endpoint(self, config: sagemaker.CfnEndpointConfig) -> sagemaker.CfnEndpoint:
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=self.names.endpoint,
            endpoint_config_name=config.attr_endpoint_config_name,
            retain_all_variant_properties=True,
            deployment_config=sagemaker.CfnEndpoint.DeploymentConfigProperty(
                auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
                    alarms=[
                        sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name)
                        for alarm in self.alarms
                    ]
                ),
                blue_green_update_policy=sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
                    traffic_routing_configuration=self._traffic_routing(),
                    maximum_execution_timeout_in_seconds=60 * 60,  # 1 hour
                    termination_wait_in_seconds=5 * 60,
                ),
            ),
        )
        endpoint.node.add_dependency(self.priors)
        return endpoint

    def _traffic_routing(self) -> sagemaker.CfnEndpoint.TrafficRoutingConfigProperty:
        """Move traffic through a canary where the fleet can be divided, else all at once."""
        baking = 5 * 60
        if self.settings.serving.min_instances < 2:
            return sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
                type="ALL_AT_ONCE", wait_interval_in_seconds=baking
            )
        return sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
            type="CANARY",
            canary_size=sagemaker.CfnEndpoint.CapacitySizeProperty(type="INSTANCE_COUNT", value=1),
            wait_interval_in_seconds=baking,
        )

    def _build_scaling(self) -> None:
        serving = self.settings.serving
        target = autoscaling.ScalableTarget(
            self,
            "Fleet",
            service_namespace=autoscaling.ServiceNamespace.SAGEMAKER,
            resource_id=f"endpoint/{self.names.endpoint}/variant/{VARIANT}",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            min_capacity=serving.min_instances,
            max_capacity=serving.max_instances,
            role=iam.Role.from_role_arn(
                self,
                "ScalingRole",
                self.format_arn(
                    service="iam",
                    region="",
                    resource="role",
                    resource_name=(
                        "aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
                        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
                    ),
                ),
            ),
        )
        target.node.add_dependency(self.endpoint)
        target.scale_to_track_metric(
            "Invocations",
            predefined_metric=(
                autoscaling.PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE
            ),
            target_value=serving.invocations_per_instance,
            scale_in_cooldown=cdk.Duration.minutes(10),
            scale_out_cooldown=cdk.Duration.minutes(2),
        )
