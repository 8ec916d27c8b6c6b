"""Settings are refused with the field's name and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.settings import SettingsError, load_settings
from listening.systems import SYSTEMS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("environment", ["local", "dev", "staging", "prod"])
def test_every_environment_of_the_project_is_valid(environment: str) -> None:
    settings = load_settings(environment)
    assert settings.environment == environment


def test_production_is_in_a_vpc_protected_and_has_two_instances() -> None:
    prod = load_settings("prod")
    assert prod.vpc
    assert prod.termination_protection
    assert prod.serving.min_instances == 2
    assert not prod.delete_data


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ('region = "moon"', "[dev] region: String should match pattern"),
        ('region = "eu-central-1"\nbudget_usd = 0', "[dev] budget_usd: Input should be greater"),
        (
            'region = "eu-central-1"\nserving = { min_instances = 3, max_instances = 2 }',
            "[dev] serving: max_instances (2) is below min_instances (3)",
        ),
        (
            'region = "eu-central-1"\nsystems.country.training = { instance_type = "big" }',
            "[dev] systems.country.training.instance_type: String should match pattern "
            "'^ml\\.[cmrt]\\d(a|i|n|in)?\\.[a-z0-9]+$', got 'big'",
        ),
        (
            'region = "eu-central-1"\nlog_retention_days = 8',
            "[dev] log_retention_days: Input should be 1, 3, 5, 7",
        ),
        ('region = "eu-central-1"\nimage_uri = "python:3"', "[dev] image_uri: String should match"),
        (
            'region = "eu-central-1"\nbase_image = "python"',
            "[dev] base_image: String should match pattern",
        ),
        ('region = "eu-central-1"\nbuget_usd = 5', "[dev] buget_usd: Extra inputs are not"),
        ("vpc = true", "[dev] region: Field required"),
        (
            'region = "eu-central-1"\nsystems.country = { schedule = "sundays" }',
            "[dev] systems.country.schedule: String should match pattern",
        ),
        (
            'region = "eu-central-1"\nsystems.country.drift = {}',
            "[dev] the environment: systems.country.drift needs captured answers: set "
            "serving.capture_percent",
        ),
        (
            'region = "eu-central-1"\nsystems.weather = {}',
            f"[dev] the environment: systems: no weather; there is {', '.join(SYSTEMS)}",
        ),
        (
            'region = "eu-central-1"\n'
            + "\n".join(f"systems.{system}.deploy = false" for system in SYSTEMS),
            f"[dev] the environment: systems: deploy at least one of {', '.join(SYSTEMS)}",
        ),
        (
            'region = "eu-central-1"\nsystems.country.arguments.embedings.seed = 2',
            "systems.country.arguments: no embedings; there is embeddings, features, ",
        ),
        (
            'region = "eu-central-1"\nsystems.country.arguments.embeddings.methd = "svd"',
            "systems.country.arguments.embeddings: no methd; there is method, dimensions",
        ),
        (
            'region = "eu-central-1"\nsystems.country.hyperparameters.assemble.gate = 1',
            "systems.country.hyperparameters.assemble: no gate; there is gate_metrics",
        ),
        (
            'region = "eu-central-1"\nsystems.sessions.optional_tasks = ["gru", "start"]',
            "systems.sessions.optional_tasks: no start; there is gru, lstm",
        ),
        (
            'region = "eu-central-1"\nsystems.country.optional_tasks = ["gru"]',
            "systems.country.optional_tasks: no gru; there is nothing to set",
        ),
        (
            'region = "eu-central-1"\nsystems.sessions.hyperparameters.gru.hidden = 8',
            "systems.sessions.hyperparameters.gru: the task is not trained; name it in "
            "systems.sessions.optional_tasks, or leave this away",
        ),
    ],
)
def test_a_wrong_value_names_field_and_reason(tmp_path: Path, toml: str, expected: str) -> None:
    file = tmp_path / "environments.toml"
    file.write_text(f"[dev]\n{toml}\n")
    with pytest.raises(SettingsError) as raised:
        load_settings("dev", file=file)
    assert expected in str(raised.value)
    assert str(raised.value).startswith("environments.toml [dev] ")


@pytest.mark.parametrize("family", ["m5d", "c7g", "g5", "p4d", "inf2", "r6gd"])
def test_instances_that_cannot_run_the_image_or_take_the_key_are_refused(
    tmp_path: Path, family: str
) -> None:
    file = tmp_path / "environments.toml"
    serving = f'serving = {{ instance_type = "ml.{family}.xlarge" }}'
    file.write_text(f'[dev]\nregion = "eu-central-1"\n{serving}\n')
    with pytest.raises(SettingsError, match=r"serving.instance_type: .* pattern"):
        load_settings("dev", file=file)


def test_optional_tasks_are_named_with_their_hyperparameters(tmp_path: Path) -> None:
    file = tmp_path / "environments.toml"
    file.write_text(
        '[dev]\nregion = "eu-central-1"\n[dev.systems.sessions]\noptional_tasks = ["lstm"]\n'
        "hyperparameters = { lstm = { hidden = 32, dropout = 0.2 } }\n"
    )
    settings = load_settings("dev", file=file)
    own = settings.deployed["sessions"]
    assert own.optional_tasks == ("lstm",)
    assert own.task_hyperparameters("lstm") == {"hidden": "32", "dropout": "0.2"}
    assert settings.trains_optional_tasks
    assert not load_settings("dev").trains_optional_tasks
    file.write_text(file.read_text() + "deploy = false\n")
    assert not load_settings("dev", file=file).trains_optional_tasks


def test_all_wrong_fields_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "environments.toml"
    file.write_text('[dev]\nregion = "x"\nbudget_usd = -1\n')
    with pytest.raises(SettingsError, match="region: .*; budget_usd: "):
        load_settings("dev", file=file)


def test_production_with_one_instance_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "environments.toml"
    file.write_text('[prod]\nregion = "eu-central-1"\n')
    with pytest.raises(SettingsError, match=r"serving.min_instances must be 2 or more in prod"):
        load_settings("prod", file=file)


def test_an_unknown_environment_says_which_there_are() -> None:
    with pytest.raises(SettingsError, match="no environment 'qa'; it has local, dev, staging"):
        load_settings("qa")


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "environments.toml"
    file.write_text("[dev")
    with pytest.raises(SettingsError, match=r"environments.toml cannot be read"):
        load_settings("dev", file=file)
