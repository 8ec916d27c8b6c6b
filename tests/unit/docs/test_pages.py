"""The site builds without a warning, needs nothing from outside, and quotes errors as they are."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from glue_jobs.country.quality import CLEANING, LABELS
from listening.log.tables import TABLES

ROOT = Path(__file__).parents[3]
SOURCES = ("bootstrap.py", "listening", "ops", "glue_jobs", "sagemaker", "infra")
OUTSIDE = re.compile(r'(?:src|href|url)\s*[=(]\s*["\']?(https?:)?//(?!www\.w3\.org)[^"\')]+')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site in strict mode: a broken link or anchor fails."""
    folder = tmp_path_factory.mktemp("site")
    config = (ROOT / "zensical.toml").read_text("utf-8")
    shutil.copytree(ROOT / "docs", folder / "docs")
    for name in (*SOURCES[1:], "inference"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "zensical.toml").write_text(config, "utf-8")
    done = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "site"


@pytest.mark.process
def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {p.relative_to(ROOT / "docs").with_suffix("") for p in ROOT.glob("docs/**/*.md")}
    built = {p.relative_to(site).with_suffix("") for p in site.rglob("*.html")}
    named = {page.with_name("index") if page.name == "README" else page for page in pages}
    assert named <= built


@pytest.mark.process
def test_nothing_is_loaded_from_outside(site: Path) -> None:
    loaded = [
        f"{page.name}: {tag}"
        for page in site.rglob("*.html")
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text("utf-8"))
        if OUTSIDE.search(tag) and 'rel="canonical"' not in tag
    ]
    assert not loaded


@pytest.mark.process
def test_the_reference_holds_docstrings(site: Path) -> None:
    text = (site / "reference.html").read_text("utf-8")
    assert "no country exceeds its region" in re.sub(r"\s+", " ", text)


def test_every_page_is_in_the_navigation() -> None:
    # The records are linked from the decisions' own page.
    config = (ROOT / "zensical.toml").read_text("utf-8")
    missing = [
        str(page.relative_to(ROOT / "docs"))
        for page in ROOT.glob("docs/*.md")
        if f'"{page.relative_to(ROOT / "docs")}"' not in config
    ]
    assert not missing


@cache
def spoken() -> list[str]:
    """Return all strings of the code, with … where something is put in."""
    files = [
        f for s in SOURCES for f in ([ROOT / s] if s.endswith(".py") else ROOT.glob(f"{s}/**/*.py"))
    ]
    found = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


QUOTED = re.findall(
    r"^### ((?:Python|[a-z`…]).*)$",
    (ROOT / "docs/faq.md").read_text("utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("heading", QUOTED)
def test_the_faq_quotes_errors_as_they_are(heading: str) -> None:
    parts = [
        part.strip(" .,;:()'`")
        for part in re.split(r"…|\d+|'country'|\[dev\]|serving\.\S+|--\S+", heading)
    ]
    parts = [part for part in parts if len(part) > 5]
    assert parts
    for part in parts:
        assert any(part in said for said in spoken()), part


def test_the_tables_of_cost_are_those_of_the_settings() -> None:
    from benchmarks import cost  # noqa: PLC0415 - reads the settings

    for page in cost.PAGES:
        text = page.read_text("utf-8")
        assert "| --- |" in text
        assert cost.with_tables(text) == text, "run `python benchmarks/cost.py --write`"


def test_the_limits_of_quality_are_told_as_they_are() -> None:
    page = (ROOT / "docs" / "own-data.md").read_text("utf-8")
    told = re.findall(r"^\| `(max_\w+)` \| .* \| ([\d.]+) \|$", page, re.MULTILINE)
    assert {name: float(value) for name, value in told} == CLEANING | LABELS


def test_every_column_of_the_log_is_told() -> None:
    rows = (ROOT / "docs/own-data.md").read_text("utf-8").splitlines()
    for table in TABLES.values():
        (row,) = (line for line in rows if line.startswith(f"| `{table.name}` |"))
        _, needed, optional = row.strip("| ").split(" | ")[1:]
        alternatives = {name for group in table.one_of for name in group}
        assert set(re.findall(r"`(\w+)`", needed)) == {*table.needed, *alternatives}
        assert set(re.findall(r"`(\w+)`", f"{needed} {optional}")) == set(table.names)
