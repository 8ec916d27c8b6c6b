from __future__ import annotations

import pytest

from local_aws.errors import PatchError
from local_aws.patching import Patches


class Owner:
    def greet(self, name: str) -> str:
        return f"hello {name}"


def test_patches_wrap_replace_and_are_undone() -> None:
    patches = Patches()
    patches.wrap(Owner, "greet", lambda original, self, name: original(self, name).upper())
    assert Owner().greet("you") == "HELLO YOU"
    patches.undo()
    assert Owner().greet("you") == "hello you"


def test_a_hook_that_moto_no_longer_has_is_named() -> None:
    with pytest.raises(PatchError, match=r"Owner\.gone"):
        Patches().replace(Owner, "gone", None)
