"""The manifest of a features run, in a training job's channel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from listening.errors import DataError
from listening.resources import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Manifest = TypeVar("Manifest")


def read_manifest(
    folder: Path, *, version: int, read: Callable[[Mapping[str, Any], str], Manifest]
) -> Manifest:
    """Return what a system makes of the manifest in a channel's folder.

    Parameters
    ----------
    folder
        The channel's.
    version
        The format that this image reads.
    read
        Gets the document, and where it lies for its errors.

    Raises
    ------
    DataError
        There is none, or it is of another format.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_bytes())
        if document["format_version"] != version:
            raise DataError(
                f"{path}: format version {document['format_version']}, this image reads "
                f"{version}; run the Glue jobs and training of one version"
            )
        return read(document, str(path))
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing, so the features run was not finished") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a features manifest ({error!r})") from error
