from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def package(emulator: Any) -> str:
    sagemaker = emulator.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="bundles")
    made = sagemaker.create_model_package(
        ModelPackageGroupName="bundles",
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties={"accuracy": "0.4"},
    )
    return str(made["ModelPackageArn"])


def test_an_update_keeps_what_it_does_not_name(emulator: Any, package: str) -> None:
    sagemaker = emulator.client("sagemaker")
    sagemaker.update_model_package(
        ModelPackageArn=package, ModelApprovalStatus="Rejected", ApprovalDescription="worse"
    )
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    described = sagemaker.describe_model_package(ModelPackageName=package)
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["ApprovalDescription"] == "worse"
    assert described["CustomerMetadataProperties"] == {"accuracy": "0.4"}


def test_an_unknown_package_is_an_error(emulator: Any, package: str) -> None:
    with pytest.raises(ClientError, match="not found"):
        emulator.client("sagemaker").update_model_package(
            ModelPackageArn=package.replace("bundles/1", "bundles/9"),
            ModelApprovalStatus="Approved",
        )
