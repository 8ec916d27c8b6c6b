from __future__ import annotations

from pathlib import Path

import pytest

from inference.settings import MEBIBYTE, Settings, SettingsError, container_memory


def test_sagemakers_defaults() -> None:
    settings = Settings.from_environment({})
    assert (settings.host, settings.port, settings.multi_model) == ("0.0.0.0", 8080, False)
    assert settings.model_folder == Path("/opt/ml/model")
    assert settings.max_body == 25 * MEBIBYTE
    assert 0 < settings.memory_limit < container_memory()


def test_what_sagemaker_sets() -> None:
    settings = Settings.from_environment(
        {
            "SAGEMAKER_BIND_TO_PORT": "9000",
            "SAGEMAKER_MULTI_MODEL": "true",
            "SAGEMAKER_BASE_DIR": "/srv",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
            "LISTENING_MODEL_MEMORY_MB": "5",
        }
    )
    assert settings == Settings(
        port=9000,
        multi_model=True,
        workers=3,
        model_folder=Path("/srv/model"),
        max_body=6 * MEBIBYTE,
        memory_limit=5 * MEBIBYTE,
    )


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "0", "²"])
def test_a_wrong_value_is_named(value: str) -> None:
    with pytest.raises(SettingsError, match="SAGEMAKER_MODEL_SERVER_WORKERS must be"):
        Settings.from_environment({"SAGEMAKER_MODEL_SERVER_WORKERS": value})
