"""What every system takes a play for: when it began, how long it was heard, why it is no play.

The check and the Glue jobs call the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

EARLIEST_US = 946_684_800_000_000
"""2000-01-01, in microseconds since 1970: nothing was scrobbled before."""
LONGEST_S = 24 * 60 * 60.0  # a day
SKIPPED_S = 30.0
"""A play that was heard for less was skipped."""
REPEATED_US = 1_000_000  # a second
DAY_US = 86_400_000_000
BOT_PLAYS_A_DAY = 1440.0  # one a minute, day and night

ROW_REASONS = (
    *("no_user_id", "no_time", "no_track", "negative_length", "over_a_day"),
    *("before_2000", "in_the_future"),
)
REASONS = (*ROW_REASONS, "repeated")
"""Why a play is dropped; the first that holds counts."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Settled:
    """What plays are taken for.

    Parameters
    ----------
    started
        Microseconds since 1970, (n,); 0 where there is a reason.
    played_s
        Seconds that were heard, (n,); NaN where unknown.
    reason
        Place in `ROW_REASONS`, (n,); -1 for a play.
    """

    started: Integers
    played_s: Floats
    reason: Integers


def settle(plays: Any, *, now: datetime) -> Settled:
    """Tell when plays began and what was heard of them, or why one is no play.

    A play's start is ``played_at``, else ``ended_at`` less what was heard, else ``ended_at``. What
    was heard is ``played_s``, else from start to end.

    Parameters
    ----------
    plays
        Arrow table or batch with columns of the table of plays as `listening.log.values.read` makes
        them; a column that is not there holds nothing.
    now
        What no play begins after.
    """
    n = plays.num_rows
    began, ended = (_micros(_column(plays, name, n)) for name in ("played_at", "ended_at"))
    heard = _floats(_column(plays, "played_s", n))
    heard = np.where(np.isnan(heard), (ended - began) / 1e6, heard)
    started = np.where(np.isnan(began), ended - np.nan_to_num(heard) * 1e6, began)
    named = pc.fill_null(pc.ascii_trim_whitespace(_column(plays, "artist_name", n)), "")
    unnamed = pc.equal(named, "").to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        conditions: dict[str, Flags] = {
            "no_user_id": _nulls(_column(plays, "user_id", n)),
            "no_time": np.isnan(started),
            "no_track": _nulls(_column(plays, "track_id", n)) & unnamed,
            "negative_length": heard < 0,
            "over_a_day": heard > LONGEST_S,
            "before_2000": started < EARLIEST_US,
            "in_the_future": started > now.timestamp() * 1e6,
        }
    reason = np.full(n, -1, dtype=np.int64)
    for place, name in reversed(list(enumerate(ROW_REASONS))):
        reason[conditions[name]] = place
    return Settled(np.where(reason < 0, started, 0).astype(np.int64), heard, reason)


@dataclass(frozen=True)
class Marked:
    """Plays of whole listeners in order of time, with what is to be said of each.

    Parameters
    ----------
    order
        Where each was, (n,).
    repeated
        Whether the same track began less than a second before, (n,); never at midnight sharp, which
        is what a log of dates alone says of every play.
    overlaps
        Whether it began before an earlier play of the listener had ended, (n,).
    is_bot
        Whether the listener has too many plays on a mean day with plays, (n,).
    """

    order: Integers
    repeated: Flags
    overlaps: Flags
    is_bot: Flags


def mark(  # noqa: PLR0913 - one argument per column
    *,
    owner: Integers,
    track: Integers,
    started: Integers,
    played_s: Floats,
    bot_plays_a_day: float = BOT_PLAYS_A_DAY,
    told: Sequence[npt.NDArray[Any]] = (),
) -> Marked:
    """Order the plays of whole listeners, and find repeated ones, overlaps and bots.

    Parameters
    ----------
    owner
        Number of each play's listener, from 0 and without gaps, (n,).
    track
        Number of each play's track, (n,).
    started
        Microseconds since 1970, (n,).
    played_s
        Seconds, (n,); NaN where unknown.
    bot_plays_a_day
        A listener with more plays on a mean day with plays is a bot.
    told
        Numbers of what else plays tell, (n,) each. Of plays of one track at the same moment the one
        heard longest comes first, then the one with the least of these, the last one first: so in
        whatever order plays come, the same one is not repeated.
    """
    n = len(owner)
    order = np.lexsort((track, started, owner))
    owner, track, started = owner[order], track[order], started[order]
    order = _settled(order, owner, track, started, by=(*told, -played_s))
    repeated = _repeated(owner, track, started)
    first = np.diff(owner, prepend=-1) != 0
    lengths = np.where(repeated, 0, np.nan_to_num(played_s[order]))
    ends = started // 1000 + (lengths * 1000).astype(np.int64)  # ms: all listeners' must add up
    apart = (np.ptp(ends) + 1) * owner if n else owner
    latest = np.maximum.accumulate(ends + apart) - apart
    overlaps = np.zeros(n, dtype=bool)
    overlaps[1:] = ~first[1:] & ~repeated[1:] & (started[1:] // 1000 < latest[:-1])

    new_day = first | (np.diff(started // DAY_US, prepend=-1) != 0)
    days, plays = np.bincount(owner, new_day), np.bincount(owner, ~repeated)
    return Marked(order, repeated, overlaps, (plays > bot_plays_a_day * days)[owner])


def _settled(order: Integers, *keys: Integers, by: Sequence[npt.NDArray[Any]]) -> Integers:
    """Return an order of plays in which those of the same sorted keys are sorted, too."""
    same = np.logical_and.reduce([np.diff(key, prepend=-1) == 0 for key in keys])
    tied = same | np.roll(same, -1)
    plays, group = order[tied], np.cumsum(~same)[tied]
    found = order.copy()
    found[tied] = plays[np.lexsort((*(values[plays] for values in by), group))]
    return found


def _repeated(owner: Integers, track: Integers, started: Integers) -> Flags:
    """Tell which plays, in order of listener and time, repeat the same track's."""
    soon = (np.diff(owner) == 0) & (np.diff(started) < REPEATED_US)
    near = np.flatnonzero(np.append(soon, False) | np.append(False, soon))
    order = near[np.lexsort((started[near], track[near], owner[near]))]
    again = (
        (np.diff(owner[order]) == 0)
        & (np.diff(track[order]) == 0)
        & (np.diff(started[order]) < REPEATED_US)
        & (started[order][1:] % DAY_US != 0)
    )
    repeated = np.zeros(len(owner), dtype=bool)
    repeated[order[1:][again]] = True
    return repeated


def track_numbers(plays: Any) -> Integers:
    """Return a number for each play's track, in the order of the tracks' ids or names, (n,).

    Parameters
    ----------
    plays
        Arrow table with ``track_id``, ``artist_name`` and ``track_name``.
    """
    n = plays.num_rows
    names = (pc.fill_null(_column(plays, name, n), "") for name in ("artist_name", "track_name"))
    tracks = pc.coalesce(
        _column(plays, "track_id", n), pc.binary_join_element_wise(*names, "\t")
    ).dictionary_encode()
    rank = np.empty(len(tracks.dictionary), dtype=np.int64)
    rank[pc.sort_indices(tracks.dictionary).to_numpy()] = np.arange(len(rank))
    numbers: Integers = rank[tracks.indices.to_numpy(zero_copy_only=False)]
    return numbers


def _column(plays: Any, name: str, n: int) -> Any:
    if name not in plays.schema.names:
        return pa.nulls(n, pa.string())
    values = plays.column(name)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _nulls(values: Any) -> Flags:
    flags: Flags = values.is_null().to_numpy(zero_copy_only=False)
    return flags


def _micros(values: Any) -> Floats:
    return _floats(values if pa.types.is_string(values.type) else values.cast(pa.int64()))


def _floats(values: Any) -> Floats:
    numbers: Floats = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return numbers
