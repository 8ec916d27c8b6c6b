from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import botocore.auth
import pytest
from botocore.compat import get_current_datetime
from botocore.exceptions import ClientError

from listening.errors import ResourceError
from ops.connection import connect_local
from ops.raw_folder import check_folder, upload_batch
from ops.world import write_sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLS = {
    "s3": ("list_buckets", "RequestTimeTooSkewed"),
    "ssm": ("describe_parameters", "InvalidSignatureException"),
    "sts": ("get_caller_identity", "SignatureDoesNotMatch"),
}


@pytest.fixture
def skew(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Move the clock by which clients sign, in minutes."""

    def move(minutes: int) -> None:
        monkeypatch.setattr(
            botocore.auth,
            "get_current_datetime",
            lambda **options: get_current_datetime(**options) + timedelta(minutes=minutes),
        )

    return move


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_request_of_a_wrong_clock_is_refused(
    emulator: Any, skew: Callable[[int], None], service: str, minutes: int
) -> None:
    operation, code = CALLS[service]
    call = getattr(emulator.client(service), operation)
    skew(minutes)
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.response["Error"]["Code"] == code
    skew(minutes // 2)
    assert call()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("s3", "AccessDenied"),
        ("ssm", "IncompleteSignatureException"),
        ("sts", "IncompleteSignature"),
    ],
)
def test_a_request_whose_date_is_none_is_refused(emulator: Any, service: str, code: str) -> None:
    client = emulator.client(service)
    client.meta.events.register(
        f"before-send.{service}",
        lambda request, **_: request.headers.__setitem__("X-Amz-Date", "yesterday"),
    )
    with pytest.raises(ClientError) as refused:
        getattr(client, CALLS[service][0])()
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_user_with_a_wrong_clock_is_told_so_and_nothing_is_left_behind(
    emulator: Any, skew: Callable[[int], None], tmp_path: Path, minutes: int
) -> None:
    write_sample(tmp_path / "raw", listeners=500, artists=1_000, artists_per_listener=5)
    raw = check_folder(tmp_path / "raw")
    connection = connect_local(emulator.url)
    skew(minutes)
    with pytest.raises(ResourceError, match="this machine's clock is wrong: set it"):
        upload_batch(connection, raw)
    skew(0)
    bucket = connection.names.data_bucket
    connection.s3.create_bucket(Bucket=bucket)
    skew(minutes)
    with pytest.raises(ResourceError, match="this machine's clock is wrong: set it"):
        upload_batch(connection, raw)
    skew(0)
    assert "Contents" not in connection.s3.list_objects_v2(Bucket=bucket)
    batch = upload_batch(connection, raw)
    keys = [entry["Key"] for entry in connection.s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert f"raw/{batch}/_READY" in keys
