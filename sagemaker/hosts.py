"""Training one model on several hosts, with LightGBM's own data-parallel learner.

Create the training job with ``InstanceCount`` above 1 and channel ``train`` as ``ShardedByS3Key``:
each host then reads its share of the files, and all of ``validation``. The hosts exchange
histograms over TCP, so each ends with the same trees; the first writes the model.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job import Job

PORT = 12400
"""The first host's port, LightGBM's default; the others listen on those that follow."""
TIMEOUT = 20  # minutes to wait for the slowest host to have read its share


VALUES_PER_THREAD = 1_000_000
"""Numbers in the training matrix from which on a further thread pays."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a model is trained on.

    Parameters
    ----------
    num_threads
        CPU cores to use.
    network
        LightGBM's parameters of all hosts, where several train together: see `network`.
    """

    num_threads: int = 1
    network: Mapping[str, Any] = field(default_factory=dict)

    def threads_for(self, values: int) -> int:
        """Return how many threads are worth it for a matrix of so many values.

        LightGBM's threads wait for each other in a busy loop: on little data, and above all on
        busy cores, one alone is faster. The model is the same.
        """
        return max(1, min(self.num_threads, values // VALUES_PER_THREAD))


def network(job: Job) -> dict[str, Any]:
    """Return LightGBM's parameters for all of a job's hosts; none for one alone.

    Parameters
    ----------
    job
        Names the hosts, and which this is.
    """
    if len(job.hosts) == 1:
        return {}
    rank = job.hosts.index(job.current_host)
    addresses = [
        f"{socket.gethostbyname(host)}:{PORT + place}" for place, host in enumerate(job.hosts)
    ]
    return {
        "tree_learner": "data",
        "pre_partition": True,
        "feature_pre_filter": False,  # a host's share alone must not decide which features remain
        "num_machines": len(job.hosts),
        "machines": ",".join(addresses),
        "local_listen_port": PORT + rank,
        "time_out": TIMEOUT,
    }
