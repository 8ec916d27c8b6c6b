from __future__ import annotations

import pytest

from listening.errors import ResourceError
from listening.resources import ResourceNames, target_model


def test_longest_bucket_name_is_one_that_s3_takes() -> None:
    names = ResourceNames("production", "123456789012", "ap-southeast-2")
    assert max(len(names.data_bucket), len(names.models_bucket)) <= 63


@pytest.mark.parametrize("environment", ["", "d", "Dev", "my-env", "averylongname", "1dev"])
def test_refuses_environments_that_make_invalid_names(environment: str) -> None:
    with pytest.raises(ResourceError, match="2 to 10"):
        ResourceNames(environment, "123456789012", "us-east-1")


def test_targets() -> None:
    assert target_model("country", "0a1b") == "country/0a1b/bundle.tar.gz"
    assert target_model("country", "0a1b", "flat") == "country/0a1b/flat.tar.gz"
