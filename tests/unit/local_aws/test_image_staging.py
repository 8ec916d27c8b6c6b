from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local_aws.errors import LocalAwsError
from local_aws.image import Dockerfile, Image


def stage(project: Path, tmp_path: Path) -> Image:
    return Image.stage(project=project, python=Path(sys.executable), into=tmp_path / "image")


def test_the_last_stage_is_what_is_staged(project: Path, tmp_path: Path) -> None:
    image = stage(project, tmp_path)
    assert (image.code / "entry.py").is_file()
    assert image.program("serve") == image.root / "usr/local/bin/serve"
    assert image.environment == {
        "PYTHONPATH": str(image.root / "opt/toy"),
        "SAGEMAKER_PROGRAM": "entry.py",
    }


def test_changed_code_is_staged_anew_and_unchanged_code_is_not(
    project: Path, tmp_path: Path
) -> None:
    first = stage(project, tmp_path)
    assert stage(project, tmp_path).root == first.root
    (project / "code/entry.py").write_text("print('changed')")
    second = stage(project, tmp_path)
    assert second.root != first.root
    assert (second.code / "entry.py").read_text() == "print('changed')"


def test_a_program_of_the_environment_is_found_and_a_missing_one_named(
    project: Path, tmp_path: Path
) -> None:
    image = stage(project, tmp_path)
    assert image.program(Path(sys.executable).name) == Path(sys.executable)
    with pytest.raises(LocalAwsError, match="no program 'absent'"):
        image.program("absent")


def test_a_source_that_is_not_there_is_named(project: Path, tmp_path: Path) -> None:
    (project / "Dockerfile").write_text("FROM base\nCOPY absent /opt/absent\n")
    with pytest.raises(LocalAwsError, match="copies 'absent'"):
        stage(project, tmp_path)


def test_without_a_dockerfile_nothing_is_staged(tmp_path: Path) -> None:
    with pytest.raises(LocalAwsError, match="Dockerfile does not exist"):
        stage(tmp_path, tmp_path)


def test_workdir_and_both_forms_of_env_are_read() -> None:
    text = "FROM x\nWORKDIR /opt\nENV A=1 B=2\nENV C three words\nCOPY one two in/\n# COPY no no\n"
    read = Dockerfile.parse(text)
    assert read.copies == (("one", "/opt/in/"), ("two", "/opt/in/"))
    assert read.environment == {"A": "1", "B": "2", "C": "three words"}
