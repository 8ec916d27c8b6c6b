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
"""Name of the object whose arrival under a batch starts the feature workflow."""
EMBEDDINGS = "embeddings/"
"""Prefix in the data bucket: ``embeddings/<run>/``."""
FEATURES = "features/"
"""Prefix in the data bucket: ``features/<run>/``, run being the Glue run id of `splits`."""
SCORES = "scores/"
"""Prefix in the data bucket of batch-scoring output: ``scores/<run>/``."""
DRIFT = "drift/"
"""Prefix in the data bucket of what the drift job found: ``drift/<run>/``."""
MANIFEST = "manifest.json"
"""Written last in a run's prefix: a run without it does not exist for any reader."""
QUALITY = "quality.json"
"""In a run's prefix: rows in, rows out and rows dropped by reason."""
LATEST = "latest.json"
"""Under `EMBEDDINGS` and `FEATURES`: names the last run that was published there."""
TRAINING = "training/"
"""Prefix in the models bucket of training output: ``training/<run>/<job>/output/``."""
REPORTS = "reports/"
"""Prefix in the models bucket: ``reports/<bundle version>/{report.html,evaluation.json,…}``."""
EVALUATIONS = "evaluations/"
"""Prefix in the models bucket: ``evaluations/<bundle version>.json``, one line each for Athena."""
ENDPOINT = "endpoint/"
"""Prefix in the models bucket that the multi-model endpoint serves."""
CHECKPOINTS = "checkpoints/"
"""Prefix in the models bucket where training on spot capacity keeps its state."""
CAPTURES = "captures/"
"""Prefix in the models bucket of captured requests and answers."""
PACKAGES = "packages/"
"""Prefix in the data bucket of the wheels that Glue installs."""
TEMPORARY = "temporary/"
"""Prefix in the data bucket that Glue uses while a job runs."""
SPARK_UI = "spark-ui/"
"""Prefix in the data bucket of Spark's event logs."""
NAMESPACE = "Listening"
"""Of the project's own metrics in CloudWatch."""
COST_TAG = "project"
"""Cost allocation tag of every resource; its value is `ResourceNames.prefix`."""
PRIOR_VERSION = "prior"
"""The champion before any training: its archive answers with the prior alone."""


def target_model(version: str, model: str = "hierarchy") -> str:
    """Return the endpoint's target for a model of a bundle version.

    Parameters
    ----------
    version
        A bundle version, or `PRIOR_VERSION`.
    model
        ``hierarchy``, ``region``, ``flat`` or ``country-<region slug>``.
    """
    return f"{version}/{model}.tar.gz"


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
    def embeddings_job(self) -> str:
        """Glue job: plays to artist vectors and cleaned plays."""
        return f"{self.prefix}-embeddings"

    @property
    def splits_job(self) -> str:
        """Glue job: cleaned plays to features by split and region."""
        return f"{self.prefix}-splits"

    @property
    def scoring_job(self) -> str:
        """Glue job: raw plays to countries, with the champion."""
        return f"{self.prefix}-scoring"

    @property
    def drift_job(self) -> str:
        """Glue job: captured answers beside those of the champion's test listeners."""
        return f"{self.prefix}-drift"

    @property
    def drift_alarm(self) -> str:
        """Alarm on a breach that the drift job found."""
        return f"{self.prefix}-drift-breach"

    @property
    def workflow(self) -> str:
        """Glue workflow: embeddings, then splits."""
        return f"{self.prefix}-features"

    @property
    def starter(self) -> str:
        """Step Functions state machine: start the workflow, after the run that is under way."""
        return f"{self.prefix}-features-start"

    @property
    def starter_arn(self) -> str:
        """The starter's ARN."""
        return f"arn:aws:states:{self.region}:{self.account}:stateMachine:{self.starter}"

    @property
    def state_machine(self) -> str:
        """Step Functions state machine: train, assemble, gate, publish."""
        return f"{self.prefix}-training"

    def state_machine_arn(self) -> str:
        """Return the state machine's ARN."""
        return f"arn:aws:states:{self.region}:{self.account}:stateMachine:{self.state_machine}"

    @property
    def endpoint(self) -> str:
        """The multi-model endpoint."""
        return f"{self.prefix}-endpoint"

    @property
    def model_package_group(self) -> str:
        """Where every assembled bundle is registered."""
        return f"{self.prefix}-bundles"

    @property
    def champion_parameter(self) -> str:
        """SSM parameter that holds the champion's bundle version."""
        return f"/listening/{self.environment}/champion"
