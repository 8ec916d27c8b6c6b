"""Each test that the security document names as a proof exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "security.md"
HERE = Path(__file__).parent


def rows() -> dict[str, list[str]]:
    """Return the tests that each rule of the table names."""
    table = DOCUMENT.read_text().partition("| rule |")[2].partition("\n\n")[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {cells[0]: re.findall(r"`((?:[\w/]+\.py)?(?:::)?(?:test_\w+)?)(?:\[.+?\])?`", cells[-1])
            for cells in lines}  # fmt: skip


def test_every_rule_names_tests_that_exist() -> None:
    found = rows()
    assert len(found) > 30
    for rule, names in found.items():
        assert names, f"no test proves: {rule}"
        for name in names:
            file, _, test = name.rpartition("::")
            if name.endswith(".py"):
                file, test = name, ""
            place = (ROOT if "/" in file else HERE) / (file or "test_security_rules.py")
            wanted = f"def {test}(" if test else "def test_"
            assert wanted in place.read_text(), f"{rule}: {place.name} has no {test}"
