"""Publishes an evaluation's report and tells the state machine what the gate decided.

Its log line in CloudWatch's embedded metric format makes the bundle's metrics, and the rows that
cleaning kept and dropped, into metrics over time.
"""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import boto3

from listening.resources import EVALUATION, EVALUATIONS, MANIFEST, NAMESPACE, REPORTS, TRAINING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}
MAX_DESCRIPTION = 1024
"""Characters of a model package's approval description."""


class EvaluationError(Exception):
    """A training job's output lacks what the gate needs."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the function is told by its environment."""

    system: str
    environment: str
    data_bucket: str
    models_bucket: str
    features_prefix: str

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Read the variables; one that is missing is a KeyError at the first call."""
        return cls(
            system=variables["SYSTEM"],
            environment=variables["ENVIRONMENT"],
            data_bucket=variables["DATA_BUCKET"],
            models_bucket=variables["MODELS_BUCKET"],
            features_prefix=variables["FEATURES_PREFIX"],
        )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer ``{"run", "job", "features_run"}`` with what the gate decided of its bundle."""
    s3, environment = boto3.client("s3"), Environment.read()
    evaluation = publish(environment, run=event["run"], job=event["job"], s3=s3)
    rows = read_rows(environment, features_run=event["features_run"], s3=s3)
    print(embedded_metrics(environment, evaluation["metrics"] | rows))
    return evaluation


def publish(environment: Environment, *, run: str, job: str, s3: Any) -> dict[str, Any]:
    """Unpack a job's output under the version's report and return the gate's decision.

    Raises
    ------
    EvaluationError
        The output has no ``evaluation.json``, or one without a version or a decision.
    """
    system, bucket = environment.system, environment.models_bucket
    source = f"{TRAINING}{system}/{run}/{job}/output/output.tar.gz"
    files = _read_files(s3, bucket, source)
    try:
        evaluation = json.loads(files[EVALUATION])
        version, gate = str(evaluation["bundle_version"]), evaluation["gate"]
        decision, reasons = str(gate["decision"]), [str(reason) for reason in gate["reasons"]]
        metrics = {name: float(value) for name, value in evaluation["metrics"].items()}
        synthetic = bool(evaluation["synthetic"])
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluationError(
            f"s3://{bucket}/{source}: {EVALUATION} is missing or incomplete ({error})"
        ) from error
    for name, content in sorted(files.items()):
        _put(s3, bucket, f"{REPORTS}{system}/{version}/{name}", content)
    record = {
        "bundle_version": version,
        "run": run,
        "decision": decision,
        "reasons": reasons,
        "synthetic": synthetic,
        "metrics": metrics,
    }
    _put(s3, bucket, f"{EVALUATIONS}{system}/{version}.json", json.dumps(record).encode())
    return {
        "version": version,
        "decision": decision,
        "reasons": reasons,
        "description": "; ".join(reasons)[:MAX_DESCRIPTION] or decision,
        "metrics": metrics,
        "synthetic": synthetic,
        "metadata": {name: f"{value:.6g}" for name, value in metrics.items()}
        | {"bundle_version": version, "synthetic": str(synthetic).lower()},
    }


def read_rows(environment: Environment, *, features_run: str, s3: Any) -> dict[str, float]:
    """Return how many rows of the log were kept and dropped on the way to a features run."""
    key = f"{environment.features_prefix}{features_run}/{MANIFEST}"
    rows = _read_json(s3, environment.data_bucket, key)["rows"]
    return {"rows_kept": float(rows["out"]), "rows_dropped": float(rows["in"] - rows["out"])}


def embedded_metrics(environment: Environment, metrics: dict[str, float]) -> str:
    """Return a log line of which CloudWatch makes metrics.

    Its form is the Embedded Metric Format of CloudWatch's documentation.
    """
    return json.dumps(
        {
            "_aws": {
                "Timestamp": int(time.time() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["environment", "system"]],
                        "Metrics": [{"Name": name} for name in sorted(metrics)],
                    }
                ],
            },
            "environment": environment.environment,
            "system": environment.system,
            **metrics,
        }
    )


def _put(s3: Any, bucket: str, key: str, content: bytes) -> None:
    kind = CONTENT_TYPES[PurePosixPath(key).suffix]
    s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind)


def _read_json(s3: Any, bucket: str, key: str) -> Any:
    return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def _read_files(s3: Any, bucket: str, key: str) -> dict[str, bytes]:
    """Read the report's files out of an archive without trusting the names in it."""
    with tempfile.TemporaryFile() as archive:
        s3.download_fileobj(bucket, key, archive)
        archive.seek(0)
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            members = {_inside(m.name): m for m in tar.getmembers() if m.isfile()}
            return {
                name: stream.read()
                for name, member in members.items()
                if PurePosixPath(name).suffix in CONTENT_TYPES
                and (stream := tar.extractfile(member)) is not None
            }


def _inside(name: str) -> str:
    """Return a member's path, sub-folders kept, without what would lead out of the report."""
    return "/".join(part for part in PurePosixPath(name).parts if part not in {"/", ".."})
