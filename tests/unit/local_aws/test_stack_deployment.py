from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.cloudformation import IGNORED, unsupported

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": {"Statement": []}},
}
ROLE_ARN = {"Fn::GetAtt": ["Role", "Arn"]}


def glue_job(**more: Any) -> dict[str, Any]:
    command = {"Name": "glueetl", "ScriptLocation": "s3://plays/job.py"}
    properties = {"Name": "embeddings", "Role": ROLE_ARN, "Command": command, **more}
    return {"Type": "AWS::Glue::Job", "Properties": properties}


def events_of(emulator: Any) -> list[str]:
    answer = emulator.client("cloudformation").describe_stack_events(StackName="toys")
    return [event.get("ResourceStatusReason", "") for event in answer["StackEvents"]]


def test_a_type_that_nobody_makes_real_is_refused_before_anything_is_made(emulator: Any) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made"}}
    unknown = {"Type": "AWS::Bedrock::Agent", "Properties": {}}
    with pytest.raises(ClientError) as error:
        emulator.deploy({"Queue": queue, "Agent": unknown})
    message = error.value.response["Error"]["Message"]
    assert "Unrecognized resource types: [AWS::Bedrock::Agent]" in message
    assert "QueueUrls" not in emulator.client("sqs").list_queues()


def test_an_update_and_a_change_set_are_refused_too(emulator: Any) -> None:
    emulator.deploy({"Role": ROLE})
    template = {"Role": ROLE, "Agent": {"Type": "AWS::Bedrock::Agent"}}
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        emulator.deploy(template)
    with pytest.raises(ClientError, match="Unrecognized resource types"):
        emulator.client("cloudformation").create_change_set(
            StackName="other",
            ChangeSetName="first",
            ChangeSetType="CREATE",
            TemplateBody=json.dumps({"Resources": template}),
        )


def test_every_ignored_type_says_why_and_is_not_one_that_moto_makes() -> None:
    from moto.cloudformation.parsing import get_model_map  # noqa: PLC0415

    assert all(len(reason) > 10 for reason in IGNORED.values())
    assert not IGNORED.keys() & get_model_map().keys()
    assert unsupported({"Resources": {name: {"Type": name} for name in IGNORED}}) == []


def test_an_ignored_resource_has_its_name_and_any_attribute(emulator: Any) -> None:
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "too-many-errors"}}
    parameter = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Name": "alarm", "Type": "String", "Value": {"Ref": "Alarm"}},
    }
    output = {"Arn": {"Value": {"Fn::GetAtt": ["Alarm", "Arn"]}}}
    resources = {"Alarm": alarm, "Parameter": parameter}
    assert emulator.deploy(resources, Outputs=output) == "CREATE_COMPLETE"
    found = emulator.client("ssm").get_parameter(Name="alarm")["Parameter"]
    assert found["Value"] == "too-many-errors"


def test_a_resource_that_cannot_be_made_rolls_the_stack_back(emulator: Any) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made"}}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "Not_A_Name"}}
    assert emulator.deploy({"Queue": queue, "Bucket": bucket}) == "ROLLBACK_COMPLETE"
    assert any("bucket is not valid" in reason for reason in events_of(emulator))
    assert "QueueUrls" not in emulator.client("sqs").list_queues()


def test_a_resource_of_an_output_that_cannot_be_made_rolls_back_too(emulator: Any) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "Not_A_Name"}}
    output = {"Name": {"Value": {"Ref": "Bucket"}, "Export": {"Name": "bucket"}}}
    assert emulator.deploy({"Bucket": bucket}, Outputs=output) == "ROLLBACK_COMPLETE"


def test_a_glue_job_is_updated_in_place_and_deleted(emulator: Any) -> None:
    emulator.deploy({"Role": ROLE, "Job": glue_job(DefaultArguments={"--seed": "1"}, Timeout=5)})
    glue = emulator.client("glue")
    made = glue.get_job(JobName="embeddings")["Job"]
    assert (made["DefaultArguments"], made["Timeout"]) == ({"--seed": "1"}, 5)
    updated = {"Role": ROLE, "Job": glue_job(DefaultArguments={"--seed": "2"}, Timeout=6)}
    assert emulator.deploy(updated) == "UPDATE_COMPLETE"
    made = glue.get_job(JobName="embeddings")["Job"]
    assert (made["DefaultArguments"], made["Timeout"]) == ({"--seed": "2"}, 6)
    emulator.client("cloudformation").delete_stack(StackName="toys")
    assert glue.list_jobs()["JobNames"] == []


def test_an_update_keeps_the_default_of_a_parameter(emulator: Any) -> None:
    def template(description: str) -> str:
        version = {"Type": "String", "Default": "21"}
        properties = {"Name": "version", "Type": "String", "Value": {"Ref": "Version"}}
        parameter = {
            "Type": "AWS::SSM::Parameter",
            "Properties": {**properties, "Description": description},
        }
        return json.dumps(
            {"Parameters": {"Version": version}, "Resources": {"Parameter": parameter}}
        )

    client = emulator.client("cloudformation")
    client.create_stack(StackName="toys", TemplateBody=template("one"))
    client.update_stack(
        StackName="toys",
        TemplateBody=template("two"),
        Parameters=[{"ParameterKey": "Version", "UsePreviousValue": True}],
    )
    (stack,) = client.describe_stacks(StackName="toys")["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    found = emulator.client("ssm").get_parameter(Name="version")["Parameter"]
    assert found["Value"] == "21"


def test_the_feature_workflow_of_a_template_stands(emulator: Any) -> None:
    action = [{"JobName": {"Ref": "Job"}}]
    condition = {"LogicalOperator": "EQUALS", "JobName": {"Ref": "Job"}, "State": "SUCCEEDED"}
    emulator.deploy(
        {
            "Role": ROLE,
            "Job": glue_job(),
            "Workflow": {"Type": "AWS::Glue::Workflow", "Properties": {"Name": "features"}},
            "Start": {
                "Type": "AWS::Glue::Trigger",
                "Properties": {
                    "Name": "start",
                    "Type": "EVENT",
                    "WorkflowName": {"Ref": "Workflow"},
                    "Actions": action,
                    "EventBatchingCondition": {"BatchSize": 1},
                },
            },
            "Next": {
                "Type": "AWS::Glue::Trigger",
                "Properties": {
                    "Name": "next",
                    "Type": "CONDITIONAL",
                    "WorkflowName": {"Ref": "Workflow"},
                    "Actions": action,
                    "StartOnCreation": True,
                    "Predicate": {"Conditions": [condition]},
                },
            },
        }
    )
    triggers = emulator.client("glue").get_triggers()["Triggers"]
    assert {one["Name"]: one["State"] for one in triggers} == {
        "start": "CREATED",
        "next": "ACTIVATED",
    }


def test_the_catalogue_security_configuration_and_package_group_stand(emulator: Any) -> None:
    encryption = {"S3Encryptions": [{"S3EncryptionMode": "DISABLED"}]}
    resources = {
        "Security": {
            "Type": "AWS::Glue::SecurityConfiguration",
            "Properties": {"Name": "keys", "EncryptionConfiguration": encryption},
        },
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {"CatalogId": "123456789012", "DatabaseInput": {"Name": "plays"}},
        },
        "Table": {
            "Type": "AWS::Glue::Table",
            "Properties": {
                "CatalogId": "123456789012",
                "DatabaseName": {"Ref": "Database"},
                "TableInput": {"Name": "users"},
            },
        },
        "Group": {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "Properties": {"ModelPackageGroupName": "bundles"},
        },
    }
    arn = {"Arn": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}}}
    assert emulator.deploy(resources, Outputs=arn) == "CREATE_COMPLETE"
    glue, sagemaker = emulator.client("glue"), emulator.client("sagemaker")
    assert glue.get_table(DatabaseName="plays", Name="users")["Table"]["Name"] == "users"
    assert glue.get_security_configuration(Name="keys")
    assert sagemaker.describe_model_package_group(ModelPackageGroupName="bundles")
    emulator.client("cloudformation").delete_stack(StackName="toys")
    assert glue.get_databases()["DatabaseList"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_group_that_holds_packages_is_not_deleted(emulator: Any) -> None:
    group = {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {"ModelPackageGroupName": "bundles"},
    }
    emulator.deploy({"Group": group})
    sagemaker, cloudformation = emulator.client("sagemaker"), emulator.client("cloudformation")
    sagemaker.create_model_package(ModelPackageGroupName="bundles")
    cloudformation.delete_stack(StackName="toys")
    (stack,) = cloudformation.describe_stacks(StackName="toys")["Stacks"]
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert any("still holds model packages" in reason for reason in events_of(emulator))
    (group,) = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert group["ModelPackageGroupName"] == "bundles"


def test_a_bucket_is_versioned_and_sends_events_when_the_template_says_so(emulator: Any) -> None:
    properties = {
        "BucketName": "plays",
        "VersioningConfiguration": {"Status": "Enabled"},
        "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
    }
    emulator.deploy({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": properties}})
    s3 = emulator.client("s3")
    assert s3.get_bucket_versioning(Bucket="plays")["Status"] == "Enabled"
    bucket = emulator.runtime.objects.backend.buckets["plays"]
    assert bucket.notification_configuration.event_bridge is not None


def test_a_key_may_have_tags(emulator: Any) -> None:
    tags = [{"Key": "project", "Value": "listening"}]
    properties = {"KeyPolicy": {"Statement": []}, "Tags": tags}
    key = {"Type": "AWS::KMS::Key", "Properties": properties}
    assert emulator.deploy({"Key": key}) == "CREATE_COMPLETE"


def test_a_deleted_stack_stays_deleted_when_it_is_described(emulator: Any) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "notices"}}
    emulator.deploy({"Topic": topic}, Outputs={"Arn": {"Value": {"Ref": "Topic"}}})
    cloudformation = emulator.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName="toys")["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName="toys")
    cloudformation.describe_stacks(StackName=stack)
    assert emulator.client("sns").list_topics()["Topics"] == []


def endpoint_stack(emulator: Any, **environment: str) -> dict[str, Any]:
    container = {
        "Image": emulator.image,
        "Mode": "MultiModel",
        "ModelDataUrl": "s3://plays/endpoint/",
        "Environment": environment,
    }
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1,
    }
    configuration = {"Fn::GetAtt": ["Configuration", "EndpointConfigName"]}
    return {
        "Role": ROLE,
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "ExecutionRoleArn": ROLE_ARN,
                "PrimaryContainer": container,
                "EnableNetworkIsolation": True,
            },
        },
        "Configuration": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {"ProductionVariants": [variant]},
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {"EndpointName": "countries", "EndpointConfigName": configuration},
        },
    }


def test_an_endpoint_of_a_template_is_in_service_when_the_stack_is_made(emulator: Any) -> None:
    assert emulator.deploy(endpoint_stack(emulator)) == "CREATE_COMPLETE"
    sagemaker = emulator.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName="countries")
    assert endpoint["EndpointStatus"] == "InService"
    (model,) = sagemaker.list_models()["Models"]
    assert sagemaker.describe_model(ModelName=model["ModelName"])["EnableNetworkIsolation"]


def test_a_changed_model_reaches_the_endpoint_under_its_stable_name(emulator: Any) -> None:
    emulator.deploy(endpoint_stack(emulator))
    sagemaker = emulator.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName="countries")["EndpointConfigName"]
    assert emulator.deploy(endpoint_stack(emulator, CHANGED="1")) == "UPDATE_COMPLETE"
    after = sagemaker.describe_endpoint(EndpointName="countries")
    assert after["EndpointConfigName"] != before
    assert after["EndpointStatus"] == "InService"
    assert len(sagemaker.list_models()["Models"]) == 1
    assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1


def test_an_endpoint_that_does_not_start_fails_the_stack_with_its_reason(emulator: Any) -> None:
    assert emulator.deploy(endpoint_stack(emulator, BREAK="1")) == "ROLLBACK_COMPLETE"
    assert any("this server does not start" in reason for reason in events_of(emulator))
    assert emulator.client("sagemaker").list_endpoints()["Endpoints"] == []
