"""Where jobs and endpoint run when they run in a VPC."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Placement:
    """Ids of the subnets and of the security group."""

    subnets: tuple[str, ...]
    security_group: str
