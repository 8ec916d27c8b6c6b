"""An environment on plain moto, reached through a profile as on AWS."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import moto
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.sagemakerruntime.models import sagemakerruntime_backends

from ops.connection import connect_aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ops.connection import Connection

REGION = "eu-central-1"
ACCOUNT = "123456789012"
GROUP = "listening-dev-country-bundles"
TRAINED = {"bundle_version": "abc", "decision": "Rejected", "reasons": ["log loss is worse"]}
"""What every execution of the training state machine hands back, as soon as it starts."""


@dataclass(frozen=True)
class Aws:
    """A deployed environment ``dev`` without any run."""

    connection: Connection

    def name_champion(self, version: str) -> None:
        self.connection.ssm.put_parameter(
            Name="/listening/dev/country/champion", Value=version, Type="String", Overwrite=True
        )

    def put(self, bucket: str, key: str, body: bytes | dict[str, Any]) -> None:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        self.connection.s3.put_object(Bucket=bucket, Key=key, Body=content)

    def put_table(self, bucket: str, key: str, columns: dict[str, Any]) -> None:
        sink = io.BytesIO()
        pq.write_table(pa.table(columns), sink)
        self.put(bucket, key, sink.getvalue())

    def publish(self, version: str) -> None:
        self.put(
            self.connection.names.models_bucket, f"endpoint/country/{version}/bundle.tar.gz", b"x"
        )

    def register(self, version: str, *, decision: str = "Approved", reasons: str = "none") -> None:
        """Register a bundle with its report, as the state machine does."""
        properties = {
            "bundle_version": version,
            "synthetic": "true",
            "accuracy": "0.5",
            "log_loss": "2.25",
        }
        package = self.connection.sagemaker.create_model_package(
            ModelPackageGroupName=GROUP,
            CustomerMetadataProperties=properties,
        )
        self.connection.sagemaker.update_model_package(
            ModelPackageArn=package["ModelPackageArn"],
            ModelApprovalStatus=decision,  # type: ignore[arg-type]
            ApprovalDescription=reasons,
            CustomerMetadataProperties=properties,  # on AWS they stay, in moto they would not
        )
        bucket = self.connection.names.models_bucket
        self.put(bucket, f"reports/country/{version}/report.html", b"<html>" + version.encode())
        self.put(
            bucket,
            f"reports/country/{version}/evaluation.json",
            {
                "bundle_version": version,
                "synthetic": True,
                "metrics": {"accuracy": 0.5, "listeners": 1000},
            },
        )

    def answer(self, **changes: Any) -> None:
        """Queue the endpoint's next answer."""
        document = {
            "countries": [{"country": "IS", "name": "Iceland", "probability": 0.75}],
            "regions": [{"region": "nordics", "name": "Nordics", "probability": 0.875}],
            "known_artists": 2,
            "unknown_artists": 1,
            "prior": False,
            "bundle_version": "abc",
        }
        body = json.dumps({"answers": [document | changes]})
        sagemakerruntime_backends[ACCOUNT][REGION].results_queue.append(
            (body, "application/json", "all", "")
        )


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Offer the profiles ``work`` and ``nowhere`` of an account in which nothing is deployed."""
    config = tmp_path / "aws.ini"
    config.write_text(
        f"[profile work]\nregion = {REGION}\naws_access_key_id = x\naws_secret_access_key = x\n"
        "[profile nowhere]\naws_access_key_id = x\naws_secret_access_key = x\n"
    )
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        yield


@pytest.fixture
def aws(profiles: None) -> Aws:
    """Deploy the environment ``dev``, as far as the command line sees it."""
    connection = connect_aws("work", environment="dev")
    for bucket in (connection.names.data_bucket, connection.names.models_bucket):
        connection.s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    connection.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    connection.glue.create_workflow(Name="listening-dev-country-workflow")
    connection.glue.create_job(
        Name="listening-dev-country-scoring", Role="r", Command={"Name": "glueetl"}
    )
    states = {"Refused": {"Type": "Pass", "Result": TRAINED, "End": True}}
    connection.stepfunctions.create_state_machine(
        name="listening-dev-country-training",
        definition=json.dumps({"StartAt": "Refused", "States": states}),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/training",
    )
    deployed = Aws(connection)
    deployed.publish("prior")
    deployed.name_champion("prior")
    return deployed
