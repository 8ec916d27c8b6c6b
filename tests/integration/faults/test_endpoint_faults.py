"""Faults of the endpoint: an archive that is cut off or gone, a disk without room."""

from __future__ import annotations

import errno
import tarfile
from typing import TYPE_CHECKING

import pytest

from listening.errors import ListeningError
from listening.resources import PRIOR_VERSION
from ops import registry
from ops.country.client import Artist, CountryClient, Listener

if TYPE_CHECKING:
    from .conftest import Deployment

pytestmark = pytest.mark.integration

BUNDLE = "0123456789ab"


def ask(aws: Deployment) -> str:
    """Ask for a country and return the version of the bundle that answered."""
    (answer,) = CountryClient(aws.connection).ask([Listener([Artist("Björk")])])
    return answer.bundle_version


def prior(aws: Deployment) -> bytes:
    """Return the archive of the prior, the only real bundle here."""
    names = aws.connection.names
    found = aws.connection.s3.get_object(
        Bucket=names.models_bucket, Key=f"endpoint/country/{PRIOR_VERSION}/bundle.tar.gz"
    )
    return found["Body"].read()


@pytest.fixture
def answering(aws: Deployment) -> Deployment:
    """Return the deployment with the prior as the champion, which answers."""
    if aws.champion() != PRIOR_VERSION:
        aws.name_champion(PRIOR_VERSION)
    assert ask(aws) == PRIOR_VERSION
    return aws


def test_a_truncated_archive_is_named_and_a_rollback_answers(answering: Deployment) -> None:
    aws, archive = answering, prior(answering)
    key = f"endpoint/country/{BUNDLE}/bundle.tar.gz"
    bucket = aws.connection.names.models_bucket
    aws.connection.s3.put_object(Bucket=bucket, Key=key, Body=archive[: len(archive) // 2])
    assert registry.promote(aws.connection, BUNDLE, system="country") == PRIOR_VERSION

    with pytest.raises(ListeningError, match=f"{BUNDLE}/bundle.tar.gz") as told:
        ask(aws)
    assert "archive" in str(told.value)
    assert aws.champion() == BUNDLE
    assert registry.rollback(aws.connection, "country") == (BUNDLE, PRIOR_VERSION)
    assert ask(aws) == PRIOR_VERSION

    # Uploaded again, it answers without anything else being done.
    aws.connection.s3.put_object(Bucket=bucket, Key=key, Body=archive)
    registry.promote(aws.connection, BUNDLE, system="country")
    assert ask(aws) == PRIOR_VERSION  # the version that the archive itself names
    registry.rollback(aws.connection, "country")
    aws.connection.s3.delete_object(Bucket=bucket, Key=key)


def test_a_champion_that_is_gone_is_named_and_a_rollback_answers(answering: Deployment) -> None:
    answering.name_champion("ba9876543210")
    with pytest.raises(ListeningError, match=r"ba9876543210.*models list"):
        ask(answering)
    assert registry.rollback(answering.connection, "country") == ("ba9876543210", PRIOR_VERSION)
    assert ask(answering) == PRIOR_VERSION


def test_a_full_disk_is_named_and_the_next_request_after_it_is_answered(
    answering: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    version = "fedcba987654"
    answering.connection.s3.put_object(
        Bucket=answering.connection.names.models_bucket,
        Key=f"endpoint/country/{version}/bundle.tar.gz",
        Body=prior(answering),
    )
    registry.promote(answering.connection, version, system="country")
    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extract", full)
        with pytest.raises(ListeningError, match="no space is left to unpack"):
            ask(answering)
    assert ask(answering) == PRIOR_VERSION  # the version that the archive itself names
    registry.rollback(answering.connection, "country")
