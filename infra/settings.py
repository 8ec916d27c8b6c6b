"""The settings of each environment, validated before anything is synthesised.

What an environment chooses stands in ``environments.toml`` beside this file; what it leaves out has
the default given here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from listening.errors import ListeningError
from listening.resources import ENVIRONMENT
from listening.systems import ASSEMBLE, GATE_METRICS, SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

ENVIRONMENTS_FILE = Path(__file__).with_name("environments.toml")

InstanceType = Annotated[str, Field(pattern=r"^ml\.[cmrt]\d(a|i|n|in)?\.[a-z0-9]+$")]
"""A SageMaker instance type, such as ``ml.m5.large``.

Of the families that can run this: CPUs of the image's architecture (x86-64), and volumes that take
a key (SageMaker refuses one where the instance brings its own disks, as ``ml.m5d`` does).
"""

RetentionDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827]
"""What CloudWatch Logs accepts."""


class SettingsError(ListeningError):
    """A setting is missing, unknown or wrong: names the file, the environment and the field."""


class _Section(BaseModel):
    """A frozen group of settings that refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class GlueSettings(_Section):
    """The machines of a system's Glue jobs."""

    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X"] = "G.1X"
    max_workers: int = Field(default=4, ge=2, le=299)
    """Upper bound; Glue's autoscaling chooses how many of them run."""
    timeout_minutes: int = Field(default=120, ge=5, le=2880)
    max_retries: int = Field(default=0, ge=0, le=3)


class TrainingSettings(_Section):
    """The training jobs of a system's state machine."""

    instance_type: InstanceType = "ml.m5.2xlarge"
    instance_count: int = Field(default=1, ge=1, le=20)
    """Hosts that train a model together whose task lets them share its files."""
    small_instance_type: InstanceType = "ml.m5.xlarge"
    """Of the tasks that are mapped over a list."""
    volume_gb: int = Field(default=50, ge=10, le=16384)
    max_runtime_minutes: int = Field(default=240, ge=5, le=28 * 24 * 60)
    max_concurrent_jobs: int = Field(default=4, ge=1, le=40)
    """Of one mapped task."""
    capacity_wait_seconds: int = Field(default=120, ge=1, le=3600)
    """How long to wait before a job that got no capacity or quota is tried again."""


class DriftSettings(_Section):
    """When the drift job runs; what it accepts are arguments of the job."""

    schedule: str = Field(default="cron(0 5 * * ? *)", pattern=r"^cron\(.+\)$")
    """In UTC."""
    retrain: bool = False
    """Whether a breach starts the workflow on the last batch, and so training."""


Given = dict[str, dict[str, str | int | float | bool]]
"""Values by the name of an argument, by the name of what takes it."""


class SystemSettings(_Section):
    """Everything that an environment chooses for one system."""

    deploy: bool = True
    schedule: str | None = Field(default=None, pattern=r"^(cron|rate)\(.+\)$")
    """An EventBridge schedule on which the workflow starts, beside the arrival of raw data."""
    glue: GlueSettings = GlueSettings()
    arguments: Given = {}
    """Of its Glue jobs, by job: quality limits, methods. What is left out has the job's default."""
    training: TrainingSettings = TrainingSettings()
    hyperparameters: Given = {}
    """Of its training tasks, by task: recipes, and the gate's rules under ``assemble``."""
    optional_tasks: tuple[str, ...] = ()
    """Training tasks that are left out where they are not named here.

    The image that CDK builds then holds what they need; one of `Settings.image_uri` must have been
    built with ``--build-arg RECURRENT=true``.
    """
    drift: DriftSettings | None = None
    """Watch for drift; needs captures."""

    def job_arguments(self, job: str) -> dict[str, str]:
        """Return what is given to a job, as Glue's arguments."""
        return {f"--{name}": _text(value) for name, value in self.arguments.get(job, {}).items()}

    def task_hyperparameters(self, task: str) -> dict[str, str]:
        """Return what is given to a task, as SageMaker's hyperparameters."""
        return {name: _text(value) for name, value in self.hyperparameters.get(task, {}).items()}


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class ServingSettings(_Section):
    """The multi-model endpoint."""

    instance_type: InstanceType = "ml.m5.large"
    min_instances: int = Field(default=1, ge=1, le=100)
    max_instances: int = Field(default=2, ge=1, le=100)
    invocations_per_instance: int = Field(default=30_000, ge=1)
    """Invocations a minute and instance at which another instance is started."""
    capture_percent: int = Field(default=0, ge=0, le=100)
    """Share of requests that are kept with their answers; 0 keeps none."""
    latency_alarm_ms: int = Field(default=200, ge=1)
    """p99 of model latency above which a deployment is rolled back."""

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> ServingSettings:
        if self.max_instances < self.min_instances:
            raise ValueError(
                f"max_instances ({self.max_instances}) is below "
                f"min_instances ({self.min_instances})"
            )
        return self


class JwtSettings(_Section):
    """Who may call the API with a JSON web token."""

    issuer: str = Field(pattern=r"^https://.+")
    audience: tuple[str, ...] = Field(min_length=1)


class ApiSettings(_Section):
    """The HTTP API in front of the endpoint. Without `jwt`, callers sign with IAM."""

    jwt: JwtSettings | None = None
    requests_per_second: int = Field(default=50, ge=1, le=10_000)
    burst: int = Field(default=100, ge=1, le=5_000)


class Settings(_Section):
    """Everything that one environment chooses."""

    environment: str = Field(pattern=f"^{ENVIRONMENT.pattern}$")
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    image_uri: str | None = Field(
        default=None,
        pattern=r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+[:@].+$",
    )
    """An image in ECR for training and serving; without it CDK builds the Dockerfile."""
    base_image: str = Field(default="python:3.11-slim-bookworm", pattern=r"^[^\s:@]+[:@][^\s]+$")
    """What the Dockerfile builds on; needs a tag or a digest."""
    vpc: bool = False
    """Run training and serving in a VPC without a way to the internet."""
    wheels: bool = True
    """Deliver the Glue jobs' wheels from ``build/wheels``, which ``make wheels`` fills."""
    delete_data: bool = False
    """Delete buckets, key and logs with their stack; needs the flag ``allow_data_deletion`` too."""
    termination_protection: bool = False
    log_retention_days: RetentionDays = 90
    old_version_days: int = Field(default=90, ge=1)
    """How long objects that were overwritten or deleted are kept."""
    alarm_email: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    budget_usd: int = Field(default=200, ge=1)
    """Monthly; an alarm is sent at 80%."""
    serving: ServingSettings = ServingSettings()
    api: ApiSettings = ApiSettings()
    systems: dict[str, SystemSettings] = {}
    """By name; a system that is left out is deployed with the defaults."""

    @property
    def deployed(self) -> dict[str, SystemSettings]:
        """The systems that are deployed, in the order in which `SYSTEMS` lists them."""
        own = {name: self.systems.get(name, SystemSettings()) for name in SYSTEMS}
        return {name: settings for name, settings in own.items() if settings.deploy}

    @property
    def trains_optional_tasks(self) -> bool:
        """Whether a system that is deployed trains one of its optional tasks."""
        return any(own.optional_tasks for own in self.deployed.values())

    @model_validator(mode="after")
    def _systems_are_known(self) -> Settings:
        for name, own in self.systems.items():
            _check_known("systems", [name], SYSTEMS)
            system = SYSTEMS[name]
            jobs = {job.name: job.arguments for job in system.jobs}
            tasks = {task.name: task.hyperparameters for task in system.train}
            tasks[ASSEMBLE] = (GATE_METRICS, *system.assemble_hyperparameters)
            where = f"systems.{name}.optional_tasks"
            _check_known(where, own.optional_tasks, system.optional_tasks)
            for field, given, known in (
                ("arguments", own.arguments, jobs),
                ("hyperparameters", own.hyperparameters, tasks),
            ):
                where = f"systems.{name}.{field}"
                _check_known(where, given, known)
                for taker, values in given.items():
                    _check_known(f"{where}.{taker}", values, known[taker])
            for task in system.optional_tasks:
                if task in own.hyperparameters and task not in own.optional_tasks:
                    raise ValueError(
                        f"systems.{name}.hyperparameters.{task}: the task is not trained; name it "
                        f"in systems.{name}.optional_tasks, or leave this away"
                    )
            if own.drift and not system.drift:
                raise ValueError(f"systems.{name}.drift: the system has no measures of drift")
            if own.drift and not self.serving.capture_percent:
                raise ValueError(
                    f"systems.{name}.drift needs captured answers: set serving.capture_percent "
                    "above 0, or leave drift away"
                )
        return self

    @model_validator(mode="after")
    def _a_system_is_deployed(self) -> Settings:
        if not self.deployed:
            raise ValueError(f"systems: deploy at least one of {', '.join(SYSTEMS)}")
        return self

    @model_validator(mode="after")
    def _production_is_resilient(self) -> Settings:
        if self.environment == "prod" and self.serving.min_instances < 2:
            raise ValueError("serving.min_instances must be 2 or more in prod")
        return self


def _check_known(where: str, names: Iterable[str], known: Collection[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"{where}: no {', '.join(unknown)}; there is {', '.join(known) or 'nothing to set'}"
        )


def load_settings(environment: str, *, file: Path = ENVIRONMENTS_FILE) -> Settings:
    """Read and validate the settings of an environment.

    Parameters
    ----------
    environment
        A table of the file, for example ``dev``.
    file
        TOML, one table per environment.

    Raises
    ------
    SettingsError
        The file or environment does not exist, or a field is wrong; names the field and reason.
    """
    try:
        document: dict[str, Any] = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file.name} cannot be read: {error}") from error
    if environment not in document:
        raise SettingsError(
            f"{file.name} has no environment '{environment}'; it has {', '.join(document)}. "
            "Choose one with -c env=NAME"
        )
    try:
        return Settings(environment=environment, **document[environment])
    except ValidationError as error:
        reasons = "; ".join(_reason(detail) for detail in error.errors())
        raise SettingsError(f"{file.name} [{environment}] {reasons}") from error


def _reason(detail: Any) -> str:
    """Say in words what pydantic found."""
    field = ".".join(map(str, detail["loc"])) or "the environment"
    message = detail["msg"].removeprefix("Value error, ")
    given = "" if isinstance(detail["input"], dict | BaseModel) else f", got {detail['input']!r}"
    return f"{field}: {message}{given}"
