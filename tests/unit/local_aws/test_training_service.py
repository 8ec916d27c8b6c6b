from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_aws.training import pack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process


class Training:
    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.sagemaker = emulator.client("sagemaker")
        self.s3 = emulator.bucket()
        for key in ("features/jr_1/split=train/a.parquet", "features/jr_1/split=train/x/a.parquet"):
            self.s3.put_object(Bucket="plays", Key=key, Body=b"rows")
        self.s3.put_object(Bucket="plays", Key="features/jr_1/manifest.json", Body=b"{}")

    def start(self, name: str = "region-1", **more: Any) -> str:
        channels = {
            "train": "s3://plays/features/jr_1/split=train/",
            "features": "s3://plays/features/jr_1/manifest.json",
            **more.pop("channels", {}),
        }
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "RoleArn": self.emulator.role,
            "AlgorithmSpecification": {
                "TrainingImage": self.emulator.image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": "loss", "Regex": r"loss=([0-9.]+)"},
                    {"Name": "never", "Regex": r"never=([0-9.]+)"},
                ],
            },
            "InputDataConfig": [
                {
                    "ChannelName": channel,
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
                }
                for channel, uri in channels.items()
            ],
            "OutputDataConfig": {"S3OutputPath": "s3://plays/training/run"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "HyperParameters": {"task": "region"},
            **more,
        }
        self.sagemaker.create_training_job(**request)
        return name

    def describe(self, name: str) -> dict[str, Any]:
        job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return job

    def ended(self, name: str) -> dict[str, Any]:
        ends = {"Completed", "Failed", "Stopped"}
        self.emulator.wait(lambda: self.describe(name)["TrainingJobStatus"] in ends)
        return self.describe(name)

    def archive(self, name: str, archive: str) -> dict[str, Any]:
        key = f"training/run/{name}/output/{archive}"
        body = self.s3.get_object(Bucket="plays", Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {
                member.name: json.load(tar.extractfile(member))  # type: ignore[arg-type]
                for member in tar.getmembers()
                if member.isfile()
            }


@pytest.fixture
def training(emulator: Any) -> Training:
    return Training(emulator)


def test_a_job_trains_and_its_results_go_below_its_output_path(training: Training) -> None:
    job = training.ended(training.start())
    assert job["TrainingJobStatus"] == "Completed"
    artifacts = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifacts == "s3://plays/training/run/region-1/output/model.tar.gz"
    statuses = [entry["Status"] for entry in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["TrainingEndTime"] >= job["TrainingStartTime"]


def test_channels_keep_paths_below_their_prefix(training: Training) -> None:
    training.ended(training.start())
    found = training.archive("region-1", "model.tar.gz")["found.json"]
    assert found == ["features/manifest.json", "train/a.parquet", "train/x/a.parquet"]


def test_the_last_value_of_each_metric_is_kept(training: Training) -> None:
    job = training.ended(training.start())
    metrics = [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]]
    assert metrics == [("loss", 1.25)]


def test_an_isolated_job_has_nothing_to_call_aws_with(training: Training) -> None:
    training.ended(training.start("open", Environment={"OWN": "1"}))
    training.ended(training.start("isolated", EnableNetworkIsolation=True))
    environments = [
        training.archive(name, "output.tar.gz")["environment.json"] for name in ("open", "isolated")
    ]
    assert environments[0]["AWS_ENDPOINT_URL"] == training.emulator.url
    assert environments[0]["OWN"] == "1"
    assert environments[0]["SAGEMAKER_PROGRAM"] == "entry.py"
    assert "AWS_ENDPOINT_URL" not in environments[1]
    assert "AWS_ACCESS_KEY_ID" not in environments[1]


def test_the_failure_file_is_the_reason(training: Training) -> None:
    job = training.ended(training.start(HyperParameters={"fail": "no listeners in 'africa'"}))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: no listeners in 'africa', exit code: 3"
    assert "ModelArtifacts" not in job


def test_a_channel_without_objects_fails_as_on_aws(training: Training) -> None:
    job = training.ended(training.start(channels={"test": "s3://plays/features/absent/"}))
    assert job["TrainingJobStatus"] == "Failed"
    assert "No S3 objects found under S3 URL s3://plays/features/absent/" in job["FailureReason"]


def test_a_stopped_job_keeps_its_model(training: Training) -> None:
    name = training.start(HyperParameters={"seconds": "60"})
    training.emulator.wait(lambda: training.describe(name)["SecondaryStatus"] == "Training")
    log = training.emulator.runtime.logs / "training" / f"{name}.log"
    training.emulator.wait(lambda: log.exists() and "loss" in log.read_text())
    training.sagemaker.stop_training_job(TrainingJobName=name)
    assert training.ended(name)["TrainingJobStatus"] == "Stopped"
    assert training.archive(name, "model.tar.gz")
    with pytest.raises(ClientError, match="is in status Stopped"):
        training.sagemaker.stop_training_job(TrainingJobName=name)


def test_jobs_train_in_turn_and_one_that_waits_can_be_stopped(training: Training) -> None:
    cores = os.cpu_count() or 1
    for index in range(cores):
        training.start(f"running-{index}", HyperParameters={"seconds": "60"})
    waiting = [training.start(f"waiting-{index}") for index in range(2)]
    training.sagemaker.stop_training_job(TrainingJobName=waiting[0])
    assert training.describe(waiting[0])["TrainingJobStatus"] == "Stopped"
    assert training.describe(waiting[1])["SecondaryStatus"] == "Starting"
    training.sagemaker.stop_training_job(TrainingJobName="running-0")
    assert training.ended(waiting[1])["TrainingJobStatus"] == "Completed"


def test_a_job_over_its_time_is_stopped(training: Training) -> None:
    name = training.start(
        HyperParameters={"seconds": "60"}, StoppingCondition={"MaxRuntimeInSeconds": 1}
    )
    job = training.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


@pytest.mark.parametrize("name", ["under_score", "a" * 64, "-begins"])
def test_job_names_follow_sagemaker_rules(training: Training, name: str) -> None:
    with pytest.raises(ClientError) as error:
        training.start(name)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_one_machine_is_one_instance(training: Training) -> None:
    several = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    with pytest.raises(ClientError) as error:
        training.start(ResourceConfig=several)
    assert error.value.response["Error"]["Code"] == "ResourceLimitExceeded"


def test_a_name_is_used_once(training: Training) -> None:
    training.start()
    with pytest.raises(ClientError) as error:
        training.start()
    assert error.value.response["Error"]["Code"] == "ResourceInUse"


def test_the_end_of_a_job_is_an_event(training: Training) -> None:
    sqs, events = training.emulator.client("sqs"), training.emulator.client("events")
    queue = sqs.create_queue(QueueName="ends")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail": {"TrainingJobStatus": ["Completed"], "TrainingJobName": ["region-1"]},
    }
    events.put_rule(Name="ends", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="ends", Targets=[{"Id": "1", "Arn": arn["QueueArn"]}])
    training.start()
    training.emulator.wait(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))


def test_equal_folders_make_equal_archives(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "models/region.txt").write_text("tree")
        pack(tmp_path / name, tmp_path / f"{name}.tar.gz")
        archives.append((tmp_path / f"{name}.tar.gz").read_bytes())
    assert archives[0] == archives[1]
