"""What the checkers say: cdk-nag's acknowledgements are these and no more; cfn-lint has nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KNOWN_REASONS = {
    "the runs and bundle versions under a prefix are not known before they exist",
    "X-Ray's write actions have no resources",
    "X-Ray's write actions have no resources; neither has the delivery of vended logs",
    "metrics have no resources: the namespace is the limit",
    "a registry's token has no resource",
    "security configurations have no ARN",
    "Glue names the log groups of a security configuration",
    "SageMaker names the streams of a log group",
    "SageMaker creates the interfaces of a job when it starts",
    "EC2's Describe actions have no resources",
    "a job's name carries the hash of its execution",
    "the alarms that roll a deployment back start with the endpoint's name",
    "CDK allows the versions of the one function too",
}


def acknowledgements(environment: Any) -> set[tuple[str, str, str]]:
    """Return construct, finding and reason of all that was acknowledged."""
    found = set()
    for file in environment.folder.glob("*.metadata.json"):
        for path, entries in json.loads(file.read_text()).items():
            for entry in entries:
                if entry["type"] == "aws:cdk:acknowledged-rules":
                    found |= {(path, *p) for p in entry["data"].items() if "AwsSolutions" in p[0]}
    return found


@pytest.mark.parametrize(
    ("name", "count"), [("local", 53), ("dev", 59), ("staging", 58), ("prod", 64)]
)
def test_every_acknowledgement_is_one_finding_with_its_reason(
    environment: Any, name: str, count: int
) -> None:
    found = acknowledgements(environment(name))
    assert len(found) == count
    for path, finding, reason in found:
        assert re.fullmatch(r"AwsSolutions::AwsSolutions-IAM5\[Resource::.+\]", finding), path
        assert reason in KNOWN_REASONS


@pytest.mark.process
def test_cfn_lint_has_nothing_to_say(prod: Any) -> None:
    # W3005: CDK writes DependsOn beside references, which is redundant and harmless.
    templates = [str(file) for file in sorted(prod.folder.glob("*.template.json"))]
    lint = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", "W3005", "--", *templates],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")
