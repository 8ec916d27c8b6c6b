"""The names that the CDK app gives to AWS resources and that every client of them looks up.

One place, so that neither the command line nor a job guesses a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from listening.errors import ResourceError

ENVIRONMENT = re.compile(r"[a-z][a-z0-9]{1,9}")

RAW = "raw/"
"""Prefix of raw batches in the data bucket: ``raw/<batch>/``."""
READY = "_READY"
"""Name of the object whose arrival under a batch starts the workflows."""
MANIFEST = "manifest.json"
"""Written last in a run's prefix: a run without it does not exist for any reader."""
QUALITY = "quality.json"
"""In a run's prefix: rows in, rows out and rows dropped by reason."""
LATEST = "latest.json"
"""Under a job's prefix: names the last run that was published there."""
TRAINING = "training/"
"""Prefix in the models bucket of training output: ``training/<system>/<run>/<job>/output/``."""
REPORTS = "reports/"
"""Prefix in the models bucket: ``reports/<system>/<bundle version>/``."""
EVALUATION, REPORT = "evaluation.json", "report.html"
"""What a bundle's report consists of, beside files of its system."""
EVALUATIONS = "evaluations/"
"""Prefix in the models bucket: ``evaluations/<system>/<bundle version>.json``, for Athena."""
ENDPOINT = "endpoint/"
"""Prefix in the models bucket that the multi-model endpoint serves."""
CAPTURES = "captures/"
"""Prefix in the models bucket of captured requests and answers."""
PACKAGES = "packages/"
"""Prefix in the data bucket of the wheels that Glue installs."""
TEMPORARY = "temporary/"
"""Prefix in the data bucket that Glue uses while a job runs."""
SPARK_UI = "spark-ui/"
"""Prefix in the data bucket of Spark's event logs."""
NAMESPACE = "Listening"
"""Of the project's own metrics in CloudWatch; their dimensions are environment and system."""
ASK_ROUTE, CHAMPION_ROUTE = "/<system>", "/<system>/champion"
"""Of the API, and of the server of the page on one machine: questions are posted to the first."""
MAX_BODY, MAX_API_BODY = 25 * 1024**2, 6 * 1024**2
"""Bytes that SageMaker's endpoint takes of a request, and a function behind the API."""
COST_TAG = "project"
"""Cost allocation tag of every resource; its value is `ResourceNames.prefix`."""
PRIOR_VERSION = "prior"
"""The champion before any training: its archive answers with what is known without."""
BUNDLE = "bundle"
"""The model, among those of a version, that a gate judges and a champion is."""


def ready_for(system: str) -> str:
    """Return the name of the object whose arrival starts the workflow of this system alone."""
    return f"{READY}.{system}"


def output(system: str, job: str) -> str:
    """Return the prefix in the data bucket of a job's runs: ``<system>/<job>/<run>/``."""
    return f"{system}/{job}/"


def target_model(system: str, version: str, model: str = BUNDLE) -> str:
    """Return the endpoint's target for a model of a bundle version.

    Parameters
    ----------
    system
        Whose.
    version
        A bundle version, or `PRIOR_VERSION`.
    model
        `BUNDLE`, or a model that the bundle was made of: a task's name, followed by the slug of
        what the task is mapped over.
    """
    return f"{system}/{version}/{model}.tar.gz"


@dataclass(frozen=True)
class ResourceNames:
    """The resource names of one environment in one account and region."""

    environment: str
    account: str
    region: str

    def __post_init__(self) -> None:
        """Refuse an environment that would make an invalid name."""
        if not ENVIRONMENT.fullmatch(self.environment):
            raise ResourceError(
                f"environment '{self.environment}' must be 2 to 10 of a-z and 0-9, a letter first"
            )

    @property
    def prefix(self) -> str:
        """What every name starts with."""
        return f"listening-{self.environment}"

    def stack(self, concern: str) -> str:
        """Return the name of the stack of a concern, such as ``data``."""
        return f"{self.prefix}-{concern}"

    @property
    def data_bucket(self) -> str:
        """Raw plays, embeddings, features and scores."""
        return f"{self.prefix}-data-{self.account}-{self.region}"

    @property
    def models_bucket(self) -> str:
        """Training output, reports and the archives of the endpoint."""
        return f"{self.prefix}-models-{self.account}-{self.region}"

    @property
    def endpoint(self) -> str:
        """The multi-model endpoint."""
        return f"{self.prefix}-endpoint"

    def champion_parameters(self) -> str:
        """Return what the names of all systems' champion parameters start with."""
        return f"/listening/{self.environment}/"

    def of(self, system: str) -> SystemNames:
        """Return the names of a system's resources."""
        return SystemNames(self, system)


@dataclass(frozen=True)
class SystemNames:
    """The resource names of one system in one environment."""

    names: ResourceNames
    system: str

    @property
    def prefix(self) -> str:
        """What every name starts with."""
        return f"{self.names.prefix}-{self.system}"

    def stack(self, concern: str) -> str:
        """Return the name of the system's stack of a concern, such as ``training``."""
        return f"{self.prefix}-{concern}"

    def job(self, job: str) -> str:
        """Return the name of a Glue job."""
        return f"{self.prefix}-{job}"

    @property
    def drift_alarm(self) -> str:
        """Alarm on a breach that the drift job found."""
        return f"{self.prefix}-drift-breach"

    @property
    def workflow(self) -> str:
        """Glue workflow: the jobs that make features, one after the other."""
        return f"{self.prefix}-workflow"

    @property
    def starter(self) -> str:
        """Step Functions state machine: start the workflow, after the run that is under way."""
        return f"{self.prefix}-start"

    @property
    def state_machine(self) -> str:
        """Step Functions state machine: train, assemble, gate, publish."""
        return f"{self.prefix}-training"

    def state_machine_arn(self, name: str) -> str:
        """Return the ARN of `starter` or of `state_machine`."""
        return f"arn:aws:states:{self.names.region}:{self.names.account}:stateMachine:{name}"

    @property
    def model_package_group(self) -> str:
        """Where every assembled bundle is registered."""
        return f"{self.prefix}-bundles"

    @property
    def champion_parameter(self) -> str:
        """SSM parameter that holds the champion's bundle version."""
        return f"{self.names.champion_parameters()}{self.system}/champion"
