from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from listening.errors import ResourceError
from ops import registry

if TYPE_CHECKING:
    from conftest import Aws


def test_bundles_are_listed_with_what_became_of_them(aws: Aws) -> None:
    aws.register("a")
    aws.publish("a")
    aws.register("b", decision="Rejected", reasons="log loss is worse")
    aws.name_champion("a")
    bundles = {b.version: b for b in registry.registered_bundles(aws.connection, "country")}
    assert bundles["a"].champion
    assert bundles["a"].published
    assert bundles["a"].metrics == {"accuracy": 0.5, "log_loss": 2.25}
    assert bundles["b"].reasons == "log loss is worse"
    assert not bundles["b"].published
    assert bundles["b"].synthetic


def test_a_bundle_that_was_registered_again_is_one_bundle(aws: Aws) -> None:
    aws.register("a", decision="Rejected", reasons="log loss is worse")
    aws.register("b")
    aws.register("a")
    for version in ("a", "b"):
        aws.publish(version)
    aws.name_champion("a")
    first, second = registry.registered_bundles(aws.connection, "country")
    assert (first.version, first.registrations, first.champion) == ("a", 2, True)
    assert (first.decision, first.reasons) == ("Approved", "none")
    assert (second.version, second.registrations, second.champion) == ("b", 1, False)


def test_only_a_published_bundle_is_promoted(aws: Aws) -> None:
    aws.register("a")
    aws.publish("a")
    aws.register("b", decision="Rejected", reasons="log loss is worse")
    assert registry.promote(aws.connection, "a", system="country") == "prior"
    assert registry.champion(aws.connection, "country") == "a"
    with pytest.raises(ResourceError, match=r"gate refused it \(log loss is worse\)"):
        registry.promote(aws.connection, "b", system="country")
    with pytest.raises(ResourceError, match=r"no such one; published are a, prior"):
        registry.promote(aws.connection, "c", system="country")
    assert registry.champion(aws.connection, "country") == "a"


def test_a_rollback_names_the_previous_champion(aws: Aws) -> None:
    for version in ("a", "b"):
        aws.publish(version)
        aws.name_champion(version)
    aws.name_champion("b")  # named twice: it is still 'a' that was before
    assert registry.rollback(aws.connection, "country") == ("b", "a")
    assert registry.rollback(aws.connection, "country") == ("a", "b")


def test_a_rollback_needs_someone_to_go_back_to(aws: Aws) -> None:
    with pytest.raises(ResourceError, match="no champion before prior"):
        registry.rollback(aws.connection, "country")
    aws.name_champion("gone")
    aws.name_champion("a")
    with pytest.raises(ResourceError, match="was gone, whose archive is gone"):
        registry.rollback(aws.connection, "country")
    assert registry.champion(aws.connection, "country") == "a"


def test_a_champion_that_is_gone_is_rolled_back(aws: Aws) -> None:
    aws.publish("a")
    aws.name_champion("a")
    aws.name_champion("gone")
    assert registry.rollback(aws.connection, "country") == ("gone", "a")
    assert registry.champion(aws.connection, "country") == "a"
