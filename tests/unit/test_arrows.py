"""Arrows between the folders point one way, as docs/architecture.md draws them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from listening.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "listening": set(),
    "glue_jobs": {"listening"},
    "sagemaker": {"listening"},
    "inference": {"listening"},
    "infra": {"listening"},
    "ops": {"listening"},
    "local_aws": set(),
}
OF_LISTENING_IN_INFRA = {
    "listening.archive",
    "listening.errors",
    "listening.log",
    "listening.resources",
    "listening.systems",
}
"""Names, entries, the log's tables, and the archive that holds nothing: every system's prior."""
REGISTERS = {
    "inference/handlers.py",
    "ops/__init__.py",  # the public face
    "ops/cli/asking.py",
    "ops/cli/emulator.py",  # the page, which asks country alone
    "ops/world/tastes.py",  # invented listeners live in the world's regions
    "ops/smoke.py",
    "sagemaker/entry.py",
    "sagemaker/tuning.py",
}
"""Shared modules that name the systems' own: dictionaries by system, and what asks for a reason."""


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources(folder: str) -> list[Path]:
    return [p for p in sorted((ROOT / folder).rglob("*.py")) if "lambdas" not in p.parts]


def system_of(path: Path) -> str | None:
    """Return the system in whose folder a file lies."""
    return next((part for part in path.relative_to(ROOT).parts if part in SYSTEMS), None)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_what_it_may(folder: str) -> None:
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[folder] - {folder}
    if folder == "ops":
        forbidden.discard("sagemaker")  # the SDK's name too; below
    for path in sources(folder):
        found = {name.partition(".")[0] for name in imports(path)}
        if folder == "sagemaker":
            found.discard("sagemaker")
        assert not found & forbidden, path


def test_infra_knows_names_and_entries_alone() -> None:
    for path in sources("infra"):
        own = {name for name in imports(path) if name.startswith("listening.")}
        assert all(name.startswith(tuple(OF_LISTENING_IN_INFRA)) for name in own), (path, own)


@pytest.mark.parametrize("folder", ["listening", "glue_jobs", "sagemaker", "inference", "ops"])
def test_no_system_imports_another_and_no_shared_module_one(folder: str) -> None:
    for path in sources(folder):
        found = {
            system
            for name in imports(path)
            for system in SYSTEMS
            if system in name.split(".")[:2] and not name.startswith("listening.systems")
        }
        allowed = {system_of(path)} if system_of(path) else set()
        if path.relative_to(ROOT).as_posix() not in REGISTERS:
            assert found <= allowed, (path, found)


def test_every_register_names_every_system() -> None:
    for name in ("inference/handlers.py", "sagemaker/entry.py"):
        found = {part for module in imports(ROOT / name) for part in module.split(".")}
        assert set(SYSTEMS) <= found, name
