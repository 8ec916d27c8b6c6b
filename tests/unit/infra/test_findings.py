"""What the checkers say: cdk-nag what is acknowledged and documented, cfn-lint nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
ALL = ["local", "dev", "staging", "prod"]


def documented(environment: str) -> set[str]:
    """Return the reasons that the document gives for an environment's findings."""
    table = DOCUMENT.read_text().partition("| reason | where |")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.M)
    return {reason for reason, where in rows if where in ("everywhere", environment)}


def acknowledgements(environment: Any) -> set[tuple[str, str, str]]:
    """Return construct, finding and reason of all that was acknowledged."""
    found = set()
    for file in environment.folder.glob("*.metadata.json"):
        for path, entries in json.loads(file.read_text()).items():
            for entry in entries:
                if entry["type"] == "aws:cdk:acknowledged-rules":
                    found |= {(path, *p) for p in entry["data"].items() if "AwsSolutions" in p[0]}
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_acknowledgement_is_one_finding_with_its_documented_reason(
    environment: Any, name: str
) -> None:
    found = acknowledgements(environment(name))
    for path, finding, _ in found:
        assert re.fullmatch(r"AwsSolutions::AwsSolutions-IAM5\[Resource::.+\]", finding), path
    assert {reason for _, _, reason in found} == documented(name)


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
