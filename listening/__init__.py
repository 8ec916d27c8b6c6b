"""What every stage of listening must agree on, and may not write twice.

What stands here needs the standard library alone; archives, tables and each system's arithmetic
have modules of their own.

>>> from listening import SYSTEMS, ResourceNames
>>> ResourceNames("dev", "123456789012", "eu-central-1").of("country").champion_parameter
'/listening/dev/country/champion'
>>> SYSTEMS["country"].question
'Which country is a listener from, judged by the artists they play?'
"""

from __future__ import annotations

from listening.errors import (
    ArchiveError,
    DataError,
    LayoutError,
    ListeningError,
    RequestError,
    ResourceError,
)
from listening.resources import ResourceNames, target_model
from listening.systems import SYSTEMS, System

__all__ = [
    "SYSTEMS",
    "ArchiveError",
    "DataError",
    "LayoutError",
    "ListeningError",
    "RequestError",
    "ResourceError",
    "ResourceNames",
    "System",
    "target_model",
]

__version__ = "0.1.0"
