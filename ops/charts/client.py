"""A client of the endpoint: a window and a place in, what is hot there out.

>>> from ops.charts.client import ChartsClient
>>> from ops.connection import connect_aws
>>> client = ChartsClient(connect_aws("me", environment="prod"))  # doctest: +SKIP
>>> client.ask("week", country="BR")["tracks"][0]["track_name"]  # doctest: +SKIP
'Canção do Mar'
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from listening.resources import target_model
from listening.systems import CHARTS
from ops import endpoint, registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.connection import Connection


class ChartsClient:
    """Asks an environment's endpoint what is hot.

    Parameters
    ----------
    connection
        The environment.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(
        self,
        window: str = "week",
        *,
        country: str | None = None,
        k: int = 10,
        not_heard_by: Sequence[str | dict[str, str]] = (),
        version: str | None = None,
    ) -> dict[str, Any]:
        """Return the answer, as the endpoint gives it.

        Parameters
        ----------
        window
            ``week`` or ``month``.
        country
            ISO 3166 code or English name; None for the world.
        k
            How many tracks.
        not_heard_by
            Tracks that a listener knows, which are left out: ids, or artist_name and track_name.
        version
            Whom to ask; None for the champion.

        Raises
        ------
        RequestError
            The endpoint refused the request; names the field.
        ResourceError
            The endpoint or the bundle is missing or failing.
        """
        version = version or registry.champion(self._connection, CHARTS.name)
        question: dict[str, Any] = {"window": window, "k": k}
        if country is not None:
            question["country"] = country
        if not_heard_by:
            question["not_heard_by"] = list(not_heard_by)
        target = target_model(CHARTS.name, version)
        body = endpoint.invoke(self._connection, json.dumps(question).encode(), target=target)
        try:
            return dict(json.loads(body))
        except (ValueError, TypeError) as error:
            raise endpoint.unreadable(body, error) from error
