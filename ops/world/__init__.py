"""The invented world, SYNTHETIC wherever it shows: listeners, artists, tracks, and what they do.

`write_sample` writes country's two tables, `write_world` the whole log with the laws behind it.
"""

from ops.world.sample import write_sample
from ops.world.tastes import COUNTRIES, country_shares
from ops.world.world import write_world

__all__ = ["COUNTRIES", "country_shares", "write_sample", "write_world"]
