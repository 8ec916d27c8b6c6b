from __future__ import annotations

import pytest

from local_aws import names


@pytest.mark.parametrize(
    ("shape", "value", "accepted"),
    [
        ("TrainingJobName", "region-0cc175b9c0f1b6a831c399e269772661-0", True),
        ("TrainingJobName", "a" * 63, True),
        ("TrainingJobName", "a" * 64, False),
        ("TrainingJobName", "a_b", False),
        ("TrainingJobName", "-a", False),
        ("TrainingJobName", "", False),
        ("ModelName", "model-1", True),
        ("EndpointName", "end point", False),
        ("ChannelName", "train", True),
        ("ChannelName", "train/1", False),
    ],
)
def test_sagemaker_names_follow_the_service_model(shape: str, value: str, accepted: bool) -> None:
    assert (names.violation("sagemaker", shape, value) is None) is accepted


def test_glue_names_follow_the_service_model() -> None:
    assert names.violation("glue", "NameString", "listening-local-splits 🎵") is None
    assert "less than or equal to 255" in str(names.violation("glue", "NameString", "a" * 256))


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("listening-local-data-123456789012-us-east-1", True),
        ("ab", False),
        ("Upper", False),
        ("under_score", False),
        ("two..dots", False),
        ("-begins", False),
        ("192.168.5.4", False),
        ("xn--bucket", False),
        ("a" * 63, True),
        ("a" * 64, False),
    ],
)
def test_bucket_names_follow_the_documentation(name: str, accepted: bool) -> None:
    assert names.is_bucket_name(name) is accepted


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("6f1c_a-b.c", True),
        ("a" * 80, True),
        ("a" * 81, False),
        ("", False),
        ("two words", False),
        ("a:b", False),
        ("a/b", False),
        ("line\n", False),
        ("Ärger", True),
    ],
)
def test_execution_names_follow_the_documentation(name: str, accepted: bool) -> None:
    assert names.is_execution_name(name) is accepted
