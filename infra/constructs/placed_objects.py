"""Objects that a deployment puts into a bucket under names of their own.

An asset's key is a hash; the endpoint's archives and Glue's wheels need their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.constructs.permissions import allow, allow_key
from infra.constructs.python_function import Handler, PythonFunction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3

    from infra.base_stack import BaseStack


class PlacedObjects(Construct):
    """Copies files of this machine to keys of a bucket before what depends on them is created.

    The objects outlive the stack: they belong to the bucket's data.

    Parameters
    ----------
    bucket
        Where the objects go.
    key
        What encrypts the bucket.
    files
        S3 key to file.
    """

    def __init__(
        self,
        scope: BaseStack,
        construct_id: str,
        *,
        bucket: s3.IBucket,
        key: kms.IKey,
        files: Mapping[str, Path],
    ) -> None:
        super().__init__(scope, construct_id)
        placed = {
            target: assets.Asset(self, target.replace("/", "-"), path=str(file))
            for target, file in sorted(files.items())
        }
        copier = PythonFunction(
            scope,
            f"{construct_id}Copier",
            handler=Handler(
                folder="place_objects",
                name=f"place-{construct_id.lower()}",
                timeout=cdk.Duration.minutes(5),
            ),
            key=key,
        )
        sources = [a.bucket.arn_for_objects(a.s3_object_key) for a in placed.values()]
        allow(copier.role, ["s3:GetObject"], sources)
        allow(copier.role, ["s3:PutObject"], [bucket.arn_for_objects(target) for target in placed])
        allow_key(copier.role, key)
        resource = cdk.CustomResource(
            self,
            "Objects",
            resource_type="Custom::PlacedObjects",
            service_token=copier.function.function_arn,
            properties={
                "Bucket": bucket.bucket_name,
                "Objects": {
                    target: {"Bucket": asset.s3_bucket_name, "Key": asset.s3_object_key}
                    for target, asset in placed.items()
                },
            },
        )
        resource.node.add_dependency(copier.role)
