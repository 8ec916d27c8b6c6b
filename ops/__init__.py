"""What an operator runs: connection, runs, registry, store, emulator, data, page, command line.

>>> from ops import Artist, CountryClient, Listener, connect_aws, registry
>>> connection = connect_aws("me", environment="prod")  # doctest: +SKIP
>>> registry.champions(connection)  # doctest: +SKIP
{'country': '278f71532707'}
>>> [answer] = CountryClient(connection).ask([Listener([Artist("Björk")])])  # doctest: +SKIP
"""

from __future__ import annotations

from ops import endpoint, registry, runs, store
from ops.cdk import project_root
from ops.connection import Connection, connect_aws, connect_local
from ops.country.client import Artist, CountryClient, Listener
from ops.emulator import Emulator
from ops.raw_folder import check_folder, upload_batch
from ops.sessions.client import History, PastSession, SessionsClient

__all__ = [
    "Artist",
    "Connection",
    "CountryClient",
    "Emulator",
    "History",
    "Listener",
    "PastSession",
    "SessionsClient",
    "check_folder",
    "connect_aws",
    "connect_local",
    "endpoint",
    "project_root",
    "registry",
    "runs",
    "store",
    "upload_batch",
]
