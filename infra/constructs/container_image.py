"""The image of training and serving: one from the settings, or built from the Dockerfile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.permissions import allow

if TYPE_CHECKING:
    from infra.settings import Settings

ROOT = Path(__file__).parents[2]


class ContainerImage(Construct):
    """An image in ECR that roles may be allowed to pull."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        if settings.image_uri:
            self.uri = settings.image_uri
            self._repository = self._repository_of(settings.image_uri)
        else:
            # Every stack that asks for it gets the same asset: it is built and pushed once.
            asset = ecr_assets.DockerImageAsset(
                self,
                "Asset",
                directory=str(ROOT),
                build_args={
                    "BASE_IMAGE": settings.base_image,
                    **({"RECURRENT": "true"} if settings.trains_optional_tasks else {}),
                },
                platform=ecr_assets.Platform.LINUX_AMD64,
            )
            self.uri = asset.image_uri
            self._repository = asset.repository.repository_arn

    def grant_pull(self, role: iam.Role) -> None:
        """Allow a role to pull the image."""
        allow(
            role,
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [self._repository],
        )
        allow(
            role,
            ["ecr:GetAuthorizationToken"],
            ["*"],
            because="a registry's token has no resource",
        )

    def grant_look_up(self, role: iam.Role) -> None:
        """Allow a role to name the image in a model package: SageMaker looks at it as the role."""
        allow(role, ["ecr:BatchGetImage", "ecr:DescribeImages"], [self._repository])

    def _repository_of(self, uri: str) -> str:
        """Return the ARN of the repository of an image that the settings have checked."""
        place = re.match(r"(\d+)\.dkr\.ecr\.([a-z0-9-]+)\.[^/]+/([^:@]+)", uri)
        if place is None:
            raise ValueError(f"{uri} is not an image in ECR")
        account, region, name = place.groups()
        return cdk.Stack.of(self).format_arn(
            service="ecr",
            region=region,
            account=account,
            resource="repository",
            resource_name=name,
        )
