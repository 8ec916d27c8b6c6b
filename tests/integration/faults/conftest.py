"""An emulator in this process, on which training jobs end as a test plans it.

The CDK app is deployed as it is; the state machine, the functions, Glue, S3 and the endpoint are
those that every user of the emulator has. Only what a training job computes is replaced: a job that
is not planned to fail stages its channels, leaves a few bytes as its model and ends well.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from moto.glue.models import glue_backends
from moto.moto_api._internal.models import moto_api_backend
from moto.sagemaker.exceptions import SagemakerClientError
from moto.sns.models import sns_backends
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)

from local_aws import glue, glue_runs, training
from local_aws.runtime import ACCOUNT, CREDENTIALS, REGION, Settings
from local_aws.server import LocalServer
from ops import registry, runs, store
from ops.cdk import project_root
from ops.emulator import Emulator

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ops.connection import Connection

GLUE_JOB = """
import json, pathlib, shutil, sys, time
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
data = pathlib.Path("s3") / words["--data_uri"].split("/")[2]
run, workflow = words["--JOB_RUN_ID"], words["--WORKFLOW_RUN_ID"]
ready = sorted(data.glob("raw/*/_READY*"), key=lambda path: path.stat().st_mtime)
embeddings = data / "country/embeddings" / workflow
features = data / "country/features"
if words["--JOB_NAME"].endswith("embeddings"):
    embeddings.mkdir(parents=True)
    (embeddings / "part-0.parquet").write_text("half of the table")
    while pathlib.Path({hold!r}).exists():
        time.sleep(0.05)
    (embeddings / "manifest.json").write_text(json.dumps({{"batch": ready[-1].parent.name}}))
else:
    batch = json.loads((embeddings / "manifest.json").read_text())["batch"]
    shutil.copytree(features / "jr_template", features / run)
    manifest = json.loads((features / "jr_template/manifest.json").read_text())
    manifest |= {{"run": run, "batch": batch}}
    (features / run / "manifest.json").write_text(json.dumps(manifest))
"""
"""Stands for both feature jobs: the tables of a run first, its manifest last."""
SYSTEM = "country"
SECONDS = 120
Found = TypeVar("Found")
FEW = ("nordics", "dach", "south-europe")


def task_of(job: str) -> str:
    """Return the slug that a training job's name begins with."""
    return job.rsplit("-", 3)[0]


class Throttled(SagemakerClientError):
    """What SageMaker says when too many calls come at once."""

    code = "ThrottlingException"

    def __init__(self) -> None:
        super().__init__("Rate exceeded")


@dataclass
class Plan:
    """What goes wrong with training jobs, by the task's slug; each fault happens once."""

    failures: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Reasons with which jobs fail, one a job."""
    throttled: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How many requests for a job are refused."""
    decision: str = "Approved"
    waits: list[float] = field(default_factory=list)
    """Seconds that Step Functions would have waited before retries."""
    held: dict[str, threading.Event] = field(default_factory=dict)
    """Features runs whose jobs wait until their event is set."""

    def admit(self, job: str) -> None:
        """Refuse a request that is planned to be refused."""
        slug = task_of(job)
        if self.throttled[slug]:
            self.throttled[slug] -= 1
            raise Throttled

    def failure(self, job: str) -> str | None:
        """Return the reason with which a job has to fail."""
        reasons = self.failures[task_of(job)]
        return reasons.pop(0) if reasons else None


class PlannedTraining(training.TrainingProcess):
    """A training job whose program is the plan."""

    plan: Plan

    def run(self) -> None:
        """End as planned."""
        reason = self.plan.failure(self._job.training_job_name)
        if reason is None:
            super().run()
        else:
            self._fail(reason)

    def _train(self) -> int:
        self._log.parent.mkdir(exist_ok=True)
        self._log.write_text("validation:log_loss=2.0;\n")
        manifest = (self._base / "input/data/features/manifest.json").read_bytes()
        gate = self.plan.held.get(json.loads(manifest)["run"])
        while gate is not None and not gate.wait(0.05):
            if self.stop_requested.is_set():
                return 1
        (self._base / "model/model.txt").write_text(self._job.hyper_parameters["task"])
        if self._job.hyper_parameters["task"] == f"{SYSTEM}.assemble":
            evaluation = {
                "bundle_version": hashlib.sha256(manifest).hexdigest()[:12],
                "gate": {"decision": self.plan.decision, "reasons": ["as planned"]},
                "metrics": {"log_loss": 2.0},
                "synthetic": True,
            }
            (self._base / "output/data/evaluation.json").write_text(json.dumps(evaluation))
        return 0


class PlannedGlueJob(glue_runs.JobProcess):
    """A run of a Glue job whose script stands for the feature jobs."""

    script: Path

    def _fetch(self, uri: str, folder: Path) -> Path:
        return self.script if uri.endswith(".py") else super()._fetch(uri, folder)


@dataclass
class Deployment:
    """The deployed app, and what its runs left."""

    connection: Connection
    plan: Plan
    work: Path
    """The emulator's scratch folder."""

    def features(self, run: str, *, regions: tuple[str, ...] = FEW) -> str:
        """Write the smallest features run that every job finds its channels in."""
        names, s3 = self.connection.names, self.connection.s3
        manifest = {
            "run": run,
            "regions": [{"slug": slug} for slug in regions],
            "rows": {"in": 3, "out": 2},
        }
        tables = [f"listeners/split={split}/region={slug}/part-0.parquet"
                  for split in ("train", "validation", "test") for slug in regions]  # fmt: skip
        objects = dict.fromkeys([*tables, "artists/part-0", "plays/split=test/part-0"], b"rows")
        objects["manifest.json"] = json.dumps(manifest).encode()
        prefix = f"{store.features_prefix(SYSTEM)}{run}/"
        for key, body in objects.items():
            s3.put_object(Bucket=names.data_bucket, Key=f"{prefix}{key}", Body=body)
        return run

    def version(self, run: str) -> str:
        """Return the bundle version that a features run leads to."""
        key = f"{store.features_prefix(SYSTEM)}{run}/manifest.json"
        found = self.connection.s3.get_object(Bucket=self.connection.names.data_bucket, Key=key)
        return hashlib.sha256(found["Body"].read()).hexdigest()[:12]

    def start(self, run: str) -> str:
        return runs.start_training(self.connection, run, system=SYSTEM)

    def ended(self, execution: str) -> runs.Run:
        """Wait for the end of an execution."""
        following = runs.follow(
            lambda: runs.training_run(self.connection, execution, system=SYSTEM),
            seconds=SECONDS,
            poll_seconds=0.1,
        )
        return list(following)[-1]

    def run(self, features_run: str) -> runs.Run:
        return self.ended(self.start(features_run))

    def cause(self, execution: str) -> str:
        """Return the words with which an execution failed."""
        client = self.connection.stepfunctions
        return str(client.describe_execution(executionArn=execution)["cause"])

    def champion(self) -> str:
        return registry.champion(self.connection, SYSTEM)

    def champions(self) -> list[str]:
        """Return all that were ever named as the champion, the first one first."""
        name = self.connection.names.of(SYSTEM).champion_parameter
        history = self.connection.ssm.get_parameter_history(Name=name)["Parameters"]
        return [entry["Value"] for entry in sorted(history, key=lambda one: one["Version"])]

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the models bucket under a prefix."""
        found = self.connection.s3.list_objects_v2(
            Bucket=self.connection.names.models_bucket, Prefix=prefix
        )
        return [entry["Key"] for entry in found.get("Contents", ())]

    def archives(self, features_run: str) -> set[str]:
        """Return the keys that publishing the bundle of a features run makes."""
        manifest = store.features_manifest(self.connection, features_run, system=SYSTEM)
        countries = [f"country-{region['slug']}" for region in manifest["regions"]]
        folder = f"endpoint/{SYSTEM}/{self.version(features_run)}"
        return {f"{folder}/{model}.tar.gz" for model in ["bundle", "region", "flat", *countries]}

    def jobs(self, execution: str) -> list[dict[str, Any]]:
        """Return the training jobs of an execution."""
        pages = self.connection.sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains=runs.training_key(execution)
        )
        return [dict(job) for page in pages for job in page["TrainingJobSummaries"]]

    def attempts(self, execution: str, slug: str) -> int:
        """Return how many jobs an execution started for a task."""
        return sum(task_of(job["TrainingJobName"]) == slug for job in self.jobs(execution))

    def still_training(self, execution: str) -> list[str]:
        """Return the jobs of an execution that have not ended, once those told to stop have."""
        deadline = time.monotonic() + 10
        ends = {"Completed", "Failed", "Stopped"}
        while left := [j for j in self.jobs(execution) if j["TrainingJobStatus"] not in ends]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        return [job["TrainingJobName"] for job in left]

    def notices(self) -> list[str]:
        """Return what the topic of notices was told."""
        topics = sns_backends[ACCOUNT][REGION].topics
        return [
            notification[1]
            for topic in topics.values()
            for notification in topic.sent_notifications
        ]

    def name_champion(self, version: str) -> None:
        name = self.connection.names.of(SYSTEM).champion_parameter
        self.connection.ssm.put_parameter(Name=name, Value=version, Type="String", Overwrite=True)

    def raw(self, batch: str) -> str:
        """Upload a batch."""
        for name in ("users.csv", "top_artists.csv", "_READY"):
            key = f"raw/{batch}/{name}"
            self.connection.s3.put_object(
                Bucket=self.connection.names.data_bucket, Key=key, Body=b""
            )
        return batch

    def data(self, prefix: str) -> list[str]:
        """Return the keys of the data bucket under a prefix."""
        return store.list_keys(self.connection, self.connection.names.data_bucket, prefix)

    def batch_of(self, features_run: str) -> str:
        """Return the batch that a features run is of."""
        manifest = store.features_manifest(self.connection, features_run, system=SYSTEM)
        return str(manifest["batch"])

    def feature_runs(self) -> list[runs.Run]:
        """Return the runs of the feature workflow, oldest first."""
        ids = runs.feature_run_ids(self.connection, SYSTEM)
        found = [runs.feature_run(self.connection, run, system=SYSTEM) for run in ids]
        return sorted(found, key=lambda run: run.started)

    def ended_features(self, count: int) -> list[runs.Run]:
        """Wait until there have been so many runs of the workflow and all have ended."""

        def all_over() -> list[runs.Run] | None:
            found = self.feature_runs()
            return found if len(found) >= count and all(run.is_over for run in found) else None

        return self.wait_for(all_over)

    def training_of(self, features_run: str) -> runs.Run:
        """Wait for the end of the execution that a features run started."""
        return self.ended(
            self.wait_for(
                lambda: runs.training_run_of(self.connection, features_run, system=SYSTEM)
            )
        )

    def executions(self, features_run: str) -> int:
        """Return how many executions a features run has led to."""
        describe = self.connection.stepfunctions.describe_execution
        inputs = [
            json.loads(describe(executionArn=arn)["input"])["features_run"]
            for arn in runs.training_run_ids(self.connection, SYSTEM)
        ]
        return inputs.count(features_run)

    def waiting_starts(self) -> int:
        """Return how many executions wait to start the feature workflow."""
        names = self.connection.names.of(SYSTEM)
        listed = self.connection.stepfunctions.list_executions(
            stateMachineArn=names.state_machine_arn(names.starter), statusFilter="RUNNING"
        )
        return len(listed["executions"])

    @contextmanager
    def held_embeddings(self) -> Iterator[None]:
        """Keep `embeddings` from ending, half of its table written."""
        hold = PlannedGlueJob.script.with_name("hold")
        hold.touch()
        try:
            yield
        finally:
            hold.unlink(missing_ok=True)

    def embeddings_process(self) -> subprocess.Popen[bytes]:
        """Wait for the process of a run of `embeddings` that has written half of its table."""

        def find() -> Any:
            name = self.connection.names.of(SYSTEM).job("embeddings")
            job = glue_backends[ACCOUNT][REGION].jobs[name]
            for run in job.job_runs:
                if run.status == "RUNNING" and list(self.work.glob(
                    f"glue/{run.job_run_id}/s3/*/country/embeddings/*/part-0.parquet"
                )):  # fmt: skip
                    return run.process
            return None

        return self.wait_for(find)  # type: ignore[no-any-return]

    @contextmanager
    def held(self, features_run: str) -> Iterator[None]:
        """Keep the jobs of a features run from ending."""
        gate = self.plan.held[features_run] = threading.Event()
        try:
            yield
        finally:
            gate.set()

    def wait_for_jobs(self, execution: str) -> None:
        self.wait_for(lambda: self.jobs(execution) or None)

    def wait_for_turns(self, execution: str, count: int) -> None:
        """Wait until an execution has asked that often whether it is its turn."""
        client = self.connection.stepfunctions

        def asked() -> bool | None:
            history = client.get_execution_history(executionArn=execution)["events"]
            states = [e.get("stateEnteredEventDetails", {}).get("name") for e in history]
            return states.count("IsItsTurn") >= count or None

        self.wait_for(asked)

    @staticmethod
    def wait_for(find: Callable[[], Found | None]) -> Found:
        return runs.wait_for(find, what="what was waited for", seconds=60, poll_seconds=0.1)

    def packages(self, version: str) -> list[str]:
        """Return the decisions on a version's registered packages."""
        sagemaker = self.connection.sagemaker
        found = sagemaker.list_model_packages(
            ModelPackageGroupName=self.connection.names.of(SYSTEM).model_package_group
        )["ModelPackageSummaryList"]
        described = [
            sagemaker.describe_model_package(ModelPackageName=one["ModelPackageArn"])
            for one in found
        ]
        return [
            one["ModelApprovalStatus"]
            for one in described
            if one["CustomerMetadataProperties"]["bundle_version"] == version
        ]


def wait(seconds: float) -> None:
    """Note a wait before a retry instead of waiting."""
    PlannedTraining.plan.waits.append(seconds)


def pause(env: Any, wait_seconds: int) -> None:
    """Wait in a Wait state for a moment instead of seconds; an execution that ends wakes it."""
    env.program_state_event.wait(min(wait_seconds, 0.3))


@pytest.fixture(scope="package")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="package")
def server(
    tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch
) -> Iterator[LocalServer]:
    """Run the emulator in this process, where a test can reach into it."""
    for name, value in {**CREDENTIALS, "AWS_DEFAULT_REGION": REGION}.items():
        patch.setenv(name, value)
    # The services' own clients come back once, so that a plan counts calls as AWS does.
    patch.setenv("AWS_MAX_ATTEMPTS", "1")
    patch.setenv("MOTO_PORT", "")
    PlannedTraining.plan = Plan()
    patch.setattr(training, "TrainingProcess", PlannedTraining)
    scripts = tmp_path_factory.mktemp("scripts")
    PlannedGlueJob.script = scripts / "job.py"
    PlannedGlueJob.script.write_text(GLUE_JOB.format(hold=str(scripts / "hold")))
    patch.setattr(glue, "JobProcess", PlannedGlueJob)
    patch.setattr(WaitFunction, "_wait_interval", staticmethod(pause))
    check = training.TrainingService._check

    def admit(service: Any, original: Any, backend: Any, **request: Any) -> Any:
        PlannedTraining.plan.admit(request["training_job_name"])
        return check(service, original, backend, **request)

    patch.setattr(training.TrainingService, "_check", admit)
    patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=wait))
    patch.setattr(state_task_service_callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", 0.1)

    root = project_root()
    server = LocalServer(
        Settings(
            state=tmp_path_factory.mktemp("faults") / "state",
            project=root,
            glue_python=root / ".venvs/glue/bin/python",
            image_python=root / ".venvs/image/bin/python",
        )
    )
    # Jobs that only wait need no core of their own.
    server.emulator.training._queue = server.runtime.pool("planned", 32)
    stop = threading.Event()
    thread = threading.Thread(target=server.run, args=(stop,))
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join(60)
        moto_api_backend.reset()
    assert not thread.is_alive()


@pytest.fixture(scope="package")
def connection(server: LocalServer) -> Connection:
    """Deploy the app once for all faults."""
    emulator = Emulator(project_root(), server.settings.state)
    runs.wait_for(emulator.endpoint, what="the emulator", seconds=30, poll_seconds=0.05)
    return emulator.up(print)


@pytest.fixture
def aws(connection: Connection, server: LocalServer) -> Deployment:
    """Return the deployed app with nothing planned to go wrong."""
    PlannedTraining.plan = Plan()
    return Deployment(connection, PlannedTraining.plan, server.runtime.work)
