"""The emulator's own errors; what a caller of AWS sees are moto's service exceptions."""

from __future__ import annotations


class LocalAwsError(Exception):
    """The emulator cannot do what it was asked: says what was wrong, where, and what to do."""


class PatchError(LocalAwsError):
    """A hook into moto is gone: moto was upgraded to a version that this was not written for."""
