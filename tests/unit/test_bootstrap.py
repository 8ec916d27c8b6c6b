"""Set-up on a machine that lacks more than Python packages."""

from __future__ import annotations

import sysconfig
from typing import TYPE_CHECKING

import pytest

import bootstrap

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Make a machine without compiler, headers and environments; return what it is told to run."""
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(
        bootstrap.shutil, "which", lambda name: f"/{name}" if name == "apt-get" else None
    )
    monkeypatch.setattr(bootstrap, "run", lambda *command: commands.append(command))
    return commands


def test_a_compiler_is_installed_where_there_is_none(
    bare: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 0)
    bootstrap.set_up_system_packages()
    assert [command[:2] for command in bare] == [("apt-get", "update"), ("apt-get", "install")]
    assert bare[1][-3:] == ("gcc", "libc6-dev", "python3.11-dev")


def test_who_may_not_install_is_told_the_command(
    bare: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    with pytest.raises(bootstrap.SetupError, match=r"sudo apt-get install .* gcc libc6-dev"):
        bootstrap.set_up_system_packages()
    assert bare == []


def test_what_is_set_up_needs_no_compiler(bare: list[tuple[str, ...]], tmp_path: Path) -> None:
    environment = tmp_path / ".venvs" / "image"
    environment.mkdir(parents=True)
    (environment / ".lock-digest").write_text("done")
    bootstrap.set_up_system_packages()
    assert bare == []
