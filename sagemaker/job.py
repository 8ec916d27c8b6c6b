"""What SageMaker tells a training job: its hyperparameters, channels, output folders and hosts."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from listening.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training job as the ``SM_*`` variables of SageMaker's training toolkit describe it.

    Parameters
    ----------
    hyperparameters
        Names and values, all as strings; those that SageMaker adds itself are left out.
    channels
        Input folders by channel name.
    model_folder
        What is written here becomes ``model.tar.gz``.
    output_folder
        What is written here becomes ``output.tar.gz``.
    num_threads
        CPU cores of this host.
    hosts
        Names of all hosts, sorted; the first leads.
    current_host
        This host's name.
    """

    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Path]
    model_folder: Path
    output_folder: Path
    num_threads: int = 1
    hosts: tuple[str, ...] = ("localhost",)
    current_host: str = field(default="localhost")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Job:
        """Read the variables.

        Raises
        ------
        DataError
            A variable is missing: the script does not run as a training job.
        """
        try:
            hosts = tuple(sorted(json.loads(environment["SM_HOSTS"])))
            return cls(
                hyperparameters={
                    name: value if isinstance(value, str) else json.dumps(value)
                    for name, value in json.loads(environment["SM_HPS"]).items()
                    if not name.startswith(("_", "sagemaker_"))
                },
                channels={
                    name: Path(environment[f"SM_CHANNEL_{name.upper()}"])
                    for name in json.loads(environment["SM_CHANNELS"])
                },
                model_folder=Path(environment["SM_MODEL_DIR"]),
                output_folder=Path(environment["SM_OUTPUT_DATA_DIR"]),
                num_threads=int(environment["SM_NUM_CPUS"]),
                hosts=hosts,
                current_host=environment["SM_CURRENT_HOST"],
            )
        except KeyError as error:
            raise DataError(
                f"{error.args[0]} is not set: start this script as a SageMaker training job, "
                "through the program 'train' of sagemaker-training"
            ) from error

    @property
    def leads(self) -> bool:
        """Whether this host writes the model."""
        return self.current_host == self.hosts[0]

    def channel(self, name: str) -> Path:
        """Return a channel's folder.

        Raises
        ------
        DataError
            The job was created without the channel, or nothing is in it.
        """
        folder = self.channels.get(name)
        if folder is None:
            raise DataError(
                f"channel '{name}' is missing: create the training job with it "
                f"(it has {', '.join(sorted(self.channels)) or 'none'})"
            )
        if not any(path.is_file() for path in folder.rglob("*")):
            raise DataError(f"channel '{name}' is empty: no object under its S3 prefix")
        return folder
