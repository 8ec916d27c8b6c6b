"""A VPC without a way to the internet, in which training and serving run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam

from infra.base_stack import BaseStack
from infra.constructs.sagemaker_role import Placement

if TYPE_CHECKING:
    from constructs import Construct

    from infra.data_stack import DataStack
    from infra.settings import Settings


class NetworkStack(BaseStack):
    """Isolated subnets in two zones, a gateway to S3, flow logs, one security group."""

    def __init__(self, scope: Construct, *, settings: Settings, data: DataStack) -> None:
        super().__init__(scope, "network", settings=settings)
        self._data = data
        self.vpc = self._build_vpc()
        self.security_group = self._build_security_group()
        self._build_flow_log()

    @property
    def placement(self) -> Placement:
        """Where jobs and endpoint run."""
        return Placement(
            subnets=tuple(subnet.subnet_id for subnet in self.vpc.isolated_subnets),
            security_group=self.security_group.security_group_id,
        )

    def _build_vpc(self) -> ec2.Vpc:
        return ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=22
                )
            ],
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)
            },
        )

    def _build_security_group(self) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            "Jobs",
            vpc=self.vpc,
            description="Training jobs and endpoint: S3, and one another",
            allow_all_outbound=False,
        )
        group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "S3 through its gateway")
        group.add_ingress_rule(group, ec2.Port.all_traffic(), "hosts of one training job")
        group.add_egress_rule(group, ec2.Port.all_traffic(), "hosts of one training job")
        return group

    def _build_flow_log(self) -> None:
        logs = self.log_group(
            "FlowLogs", name=f"/listening/{self.settings.environment}/flow", key=self._data.key
        )
        role = iam.Role(
            self, "FlowRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com")
        )
        self.vpc.add_flow_log(
            "Flow", destination=ec2.FlowLogDestination.to_cloud_watch_logs(logs, role)
        )
