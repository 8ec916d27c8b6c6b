"""SageMaker training jobs: the image's `train` program, really run, under SageMaker's contract.

Channels are staged from S3 below ``/opt/ml`` (`SAGEMAKER_BASE_DIR` says where that is), the
program of `sagemaker-training` runs the entry point, and what it leaves in the model and output
folders goes to ``<S3OutputPath>/<job>/output/``.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import shutil
import subprocess
import tarfile
import threading
from typing import TYPE_CHECKING, Any

from moto.core.responses import EmptyResult
from moto.core.utils import utcnow
from moto.sagemaker import models
from moto.sagemaker.exceptions import (
    ResourceInUseException,
    SagemakerClientError,
    ValidationError,
)
from moto.sagemaker.responses import SageMakerResponse

from local_aws.errors import LocalAwsError
from local_aws.logs import LogStream
from local_aws.names import require_sagemaker
from local_aws.objects import Location, Objects, inside, parse_uri
from local_aws.processes import Command
from local_aws.runtime import ACCOUNT, REGION, Runtime
from local_aws.training_records import TrainingJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from local_aws.events import EventBus
    from local_aws.image import Image
    from local_aws.patching import Patches

log = logging.getLogger(__name__)

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
HOST = "localhost"
"""sagemaker-training resolves its host's name before it starts; another would hang."""
FAILURE_LENGTH = 1024
"""Characters of the failure file that DescribeTrainingJob returns."""
STOP_GRACE = 120.0
"""Seconds that a stopped job has to save its model:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html"""


class ResourceLimitExceeded(SagemakerClientError):
    """More is asked for than there is."""

    code = "ResourceLimitExceeded"


class TrainingService:
    """Runs training jobs in turn, as many at a time as the machine has cores."""

    def __init__(self, runtime: Runtime, events: EventBus) -> None:
        self.runtime = runtime
        self.events = events
        self._queue = runtime.pool("training", os.cpu_count() or 1)
        self._running: dict[str, tuple[TrainingProcess, Future[None]]] = {}

    @property
    def jobs(self) -> dict[str, Any]:
        """Moto's records by name."""
        jobs: dict[str, Any] = models.sagemaker_backends[ACCOUNT][REGION].training_jobs
        return jobs

    def install(self, patches: Patches) -> None:
        """Set the hooks."""
        patches.replace(models, "FakeTrainingJob", TrainingJob)
        patches.wrap(models.SageMakerModelBackend, "create_training_job", self._check)
        patches.wrap(SageMakerResponse, "create_training_job", self._create)
        patches.add(SageMakerResponse, "stop_training_job", self._stop)

    def _check(self, original: Callable[..., Any], backend: Any, **request: Any) -> Any:
        name = request["training_job_name"]
        require_sagemaker("TrainingJobName", "trainingJobName", name)
        if name in backend.training_jobs:
            arn = backend.training_jobs[name].arn
            raise ResourceInUseException(
                "Training job names must be unique within an AWS account and region, and a "
                f"training job with this name already exists ({arn})"
            )
        if request["resource_config"].get("InstanceCount", 1) > 1:
            raise ResourceLimitExceeded(
                "The account-level service limit 'instances for training job usage' is 1 "
                "Instances: the emulator trains on one machine"
            )
        for channel in request["input_data_config"] or []:
            require_sagemaker("ChannelName", "inputDataConfig.channelName", channel["ChannelName"])
        for key, value in (request["hyper_parameters"] or {}).items():
            if not isinstance(value, str):
                raise ValidationError(f"hyperparameter '{key}' must be a string, not {value!r}")
            require_sagemaker("HyperParameterValue", f"hyperParameters.{key}", value or " ")
        return original(backend, **request)

    def _create(self, original: Callable[..., Any], response: Any) -> Any:
        answer = original(response)
        job = self.jobs[response._get_param("TrainingJobName")]
        job.environment = response._get_param("Environment") or {}
        self.start(job)
        return answer

    def start(self, job: Any) -> None:
        """Run a job when its turn comes."""
        process = TrainingProcess(self.runtime, job)
        turn = self._queue.submit(self._run, job, process)
        self._running[job.training_job_name] = process, turn

    def _run(self, job: Any, process: TrainingProcess) -> None:
        self._announce(job)
        process.run()
        self._conclude(job)

    def _conclude(self, job: Any) -> None:
        name = job.training_job_name
        self._running.pop(name, None)
        log.info("training job %s %s %s", name, job.training_job_status, job.failure_reason or "")
        self._announce(job)

    def _announce(self, job: Any) -> None:
        self.events.publish(
            source="aws.sagemaker",
            kind="SageMaker Training Job State Change",
            resources=(job.arn,),
            detail={
                "TrainingJobName": job.training_job_name,
                "TrainingJobArn": job.arn,
                "TrainingJobStatus": job.training_job_status,
                "SecondaryStatus": job.secondary_status,
                "FailureReason": job.failure_reason,
            },
        )

    def _stop(self, response: Any) -> Any:
        self.stop(response._get_param("TrainingJobName"))
        return EmptyResult()

    def stop(self, name: str) -> None:
        """Stop a job, whose model is kept if it saves one."""
        job = self.jobs.get(name)
        if job is None:
            raise ValidationError(f"Requested resource not found: training job {name}")
        running = self._running.get(name)
        if running is None or job.training_job_status != "InProgress":
            raise ValidationError(
                f"The request was rejected because the training job is in status "
                f"{job.training_job_status}."
            )
        process, turn = running
        job.training_job_status = "Stopping"
        if turn.cancel():
            job.end("Stopped", "The training job was stopped before it started")
            self._conclude(job)
        else:
            self.runtime.submit(process.stop)


class TrainingProcess:
    """One job's folder, process and results."""

    def __init__(self, runtime: Runtime, job: Any) -> None:
        self._runtime = runtime
        self._job = job
        self._base = runtime.work / "training" / job.training_job_name / "opt" / "ml"
        self._log = runtime.logs / "training" / f"{job.training_job_name}.log"
        self._stream = LogStream(LOG_GROUP, f"{job.training_job_name}/algo-1", self._log)
        self._image: Image
        self._process: subprocess.Popen[bytes] | None = None
        self.stop_requested = threading.Event()
        self._out_of_time = False

    def run(self) -> None:
        """Train; the record says how it ended."""
        self._job.training_start_time = utcnow()
        try:
            self._job.move_to("Downloading", "Downloading input data")
            self._stage()
            self._job.move_to(
                "Training", "Training image download completed. Training in progress."
            )
            code = self._train()
            self._job.final_metric_data_list = self._metrics()
            self._job.move_to("Uploading", "Uploading generated training model")
            self._upload()
            self._conclude(code)
        except Exception as error:  # a job must end whatever happens, and say why
            expected = isinstance(error, LocalAwsError)
            log.log(logging.ERROR, "training job failed", exc_info=not expected)
            self._fail(f"{'ClientError' if expected else 'InternalServerError'}: {error}")
        finally:
            self._stream.publish(last=True)
            shutil.rmtree(self._base.parents[1], ignore_errors=True)

    def stop(self) -> None:
        """End the process, which may save what it has."""
        self.stop_requested.set()
        if self._process is not None:
            self._runtime.processes.stop(self._process, grace=STOP_GRACE)

    def _fail(self, reason: str) -> None:
        self._job.failure_reason = reason
        self._job.end("Failed", "Training job failed")

    def _conclude(self, code: int) -> None:
        if self._out_of_time:
            message = "Training job runtime exceeded MaxRuntimeInSeconds"
            self._job.end("Stopped", message, secondary="MaxRuntimeExceeded")
        elif self.stop_requested.is_set() or self._runtime.stopping.is_set():
            self._job.end("Stopped", "Training job stopped")
        elif code == 0:
            self._job.end("Completed", "Training job completed")
        else:
            failure = self._base / "output" / "failure"
            text = failure.read_text(encoding="utf-8", errors="replace") if failure.exists() else ""
            reason = f"AlgorithmError: {text or 'the program ended'}, exit code: {code}"
            self._fail(reason[:FAILURE_LENGTH])

    # Input

    def _stage(self) -> None:
        self._image = self._runtime.image
        for folder in ("input/config", "model", "output/data"):
            (self._base / folder).mkdir(parents=True)
        (self._base / "code").symlink_to(self._image.code)
        channels = self._job.input_data_config or []
        instance = self._job.resource_config.get("InstanceType", "local")
        for channel in channels:
            stage_channel(channel, self._base / "input" / "data", self._runtime.objects)
        configuration: dict[str, Any] = {
            "hyperparameters": self._job.hyper_parameters or {},
            "inputdataconfig": {
                channel["ChannelName"]: {
                    "TrainingInputMode": "File",
                    "S3DistributionType": "FullyReplicated",
                    "RecordWrapperType": "None",
                    "ContentType": channel.get("ContentType", ""),
                }
                for channel in channels
            },
            "resourceconfig": {
                "current_host": HOST,
                "hosts": [HOST],
                "network_interface_name": "lo",
                "current_instance_type": instance,
                "current_group_name": "homogeneousCluster",
                "instance_groups": [
                    {
                        "instance_group_name": "homogeneousCluster",
                        "instance_type": instance,
                        "hosts": [HOST],
                    }
                ],
            },
        }
        for name, content in configuration.items():
            path = self._base / "input" / "config" / f"{name}.json"
            path.write_text(json.dumps(content), encoding="utf-8")

    # Process

    def _train(self) -> int:
        if self.stop_requested.is_set():
            return 1
        image = self._image
        command = Command(
            arguments=[str(image.python), str(image.program("train"))],
            environment=self._environment(),
            folder=self._base,
            output=self._log,
        )
        self._process = self._runtime.processes.start(command)
        if self.stop_requested.is_set():
            return self._runtime.processes.stop(self._process)
        longest = (self._job.stopping_condition or {}).get("MaxRuntimeInSeconds", 24 * 60 * 60)
        try:
            return self._runtime.processes.wait(
                self._process, timeout=longest, meanwhile=self._stream.publish
            )
        except subprocess.TimeoutExpired:
            self._out_of_time = True
            return self._runtime.processes.stop(self._process, grace=STOP_GRACE)

    def _environment(self) -> dict[str, str]:
        job = self._job
        return (
            {"OMP_NUM_THREADS": "1"}  # one core a job: as many run at a time as there are cores
            | self._runtime.image_environment(
                self._image, self._base, job.environment, isolated=job.enable_network_isolation
            )
            | {
                "SAGEMAKER_REGION": REGION,
                "TRAINING_JOB_NAME": job.training_job_name,
                "TRAINING_JOB_ARN": job.arn,
            }
        )

    # Results

    def _metrics(self) -> list[dict[str, Any]]:
        """Return the last value of each metric that the job defines, read from its log."""
        definitions = self._job.algorithm_specification.get("MetricDefinitions") or []
        text = self._log.read_text(encoding="utf-8", errors="replace") if definitions else ""
        found = []
        for definition in definitions:
            values = [match[1] for match in re.finditer(definition["Regex"], text)]
            if values:
                found.append(
                    {
                        "MetricName": definition["Name"],
                        "Value": float(values[-1]),
                        "Timestamp": utcnow(),
                    }
                )
        return found

    def _upload(self) -> None:
        target = parse_uri(self._job.output_data_config["S3OutputPath"])
        prefix = f"{target.key.rstrip('/')}/" if target.key.rstrip("/") else ""
        folder = f"{prefix}{self._job.training_job_name}/output"
        for source, archive in (("model", "model.tar.gz"), ("output/data", "output.tar.gz")):
            if not any((self._base / source).iterdir()):
                continue
            path = self._base.parent / archive
            pack(self._base / source, path)
            place = Location(target.bucket, f"{folder}/{archive}")
            self._runtime.objects.upload(path, place)
            if archive == "model.tar.gz":
                self._job.model_artifacts = {"S3ModelArtifacts": place.uri}


def stage_channel(channel: Mapping[str, Any], root: Path, objects: Objects) -> None:
    """Copy a channel's objects below ``<root>/<channel>``, keeping paths below its prefix.

    Raises
    ------
    LocalAwsError
        If nothing is there, worded as SageMaker does.
    """
    source = channel["DataSource"]["S3DataSource"]
    location = parse_uri(source["S3Uri"])
    found = [(key, record) for key, record in objects.list(location) if not key.endswith("/")]
    if not found:
        raise LocalAwsError(
            f"Data download failed: No S3 objects found under S3 URL {location.uri} given in input "
            f"data source. Please ensure that the bucket exists, that the path is right, and that "
            f"the role may read it (channel {channel['ChannelName']})."
        )
    start = location.key.rfind("/") + 1
    for key, _ in found:
        path = inside(root / channel["ChannelName"], key[start:])
        objects.download(Location(location.bucket, key), path)


def pack(folder: Path, archive: Path) -> None:
    """Write a folder's content as a gzipped tar whose bytes depend on that content alone."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=4, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=path.relative_to(folder), recursive=False, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
