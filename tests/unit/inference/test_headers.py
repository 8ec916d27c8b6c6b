from __future__ import annotations

import pytest

from inference.app import _checked
from listening.errors import RequestError

TARGET = b"x-amzn-sagemaker-target-model"


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ([(b"content-encoding", b"gzip")], 415, "Content-Encoding 'gzip' is not accepted"),
        ([(b"content-type", b"text/csv"), (b"content-type", b"application/json")], 400, "twice"),
        ([(TARGET, b"a.tar.gz"), (TARGET, b"b.tar.gz")], 400, "Target model: given twice"),
    ],
)
def test_headers_that_mislead_are_refused(
    headers: list[tuple[bytes, bytes]], status: int, reason: str
) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        _checked(headers)
    assert caught.value.status == status


def test_headers_that_agree_are_taken_and_those_of_accept_are_one_list() -> None:
    pairs = [(b"content-encoding", b"identity"), (b"accept", b"text/csv"), (b"accept", b"*/*")]
    assert _checked([*pairs, (b"host", b"x"), (b"host", b"y")]) == {
        b"content-encoding": b"identity",
        b"accept": b"text/csv,*/*",
        b"host": b"y",
    }
