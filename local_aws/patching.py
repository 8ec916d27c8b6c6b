"""Hooks into moto, set and undone together.

Every hook names an attribute that must exist, so that an upgrade of moto that moves one fails
with its name and not with a silent fake.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from unittest import mock

from local_aws.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Callable

_ABSENT = object()


class Patches:
    """The hooks that are set; `undo` restores moto as it was."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def replace(self, owner: Any, name: str, value: Any) -> Any:
        """Set ``owner.name`` and return what was there.

        Raises
        ------
        PatchError
            If there is no such attribute.
        """
        original = getattr(owner, name, _ABSENT)
        if original is _ABSENT:
            where = getattr(owner, "__qualname__", None) or owner.__name__
            raise PatchError(
                f"moto has no {where}.{name} any more: install the version that "
                "requirements.txt pins, or adapt the hook"
            )
        self._stack.enter_context(mock.patch.object(owner, name, value))
        return original

    def wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        """Replace a function by ``around(original, *args, **kwargs)``."""
        original = getattr(owner, name, None)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        self.replace(owner, name, wrapped)

    def add(self, owner: Any, name: str, method: Callable[..., Any]) -> None:
        """Set a method that moto lacks; once moto has one of its own, ours still wins."""

        def added(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)  # a function, so that the instance comes first

        self._stack.enter_context(mock.patch.object(owner, name, added, create=True))

    def items(self, mapping: Any, **values: Any) -> None:
        """Set entries of a mapping."""
        self._stack.enter_context(mock.patch.dict(mapping, values))

    def undo(self) -> None:
        """Restore everything."""
        self._stack.close()
