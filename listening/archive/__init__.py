"""Model archives: what training writes and the endpoint reads, whatever the system.

An archive is a folder, shipped as ``.tar.gz``, with a ``manifest.json`` that names every other file
with its BLAKE3 hash. Models are LightGBM's text, tables are ``.npy`` arrays that are mapped into
memory and so shared by all processes of a host; nothing in an archive is ever unpickled. What an
archive holds is its system's affair, and stands under ``content``.

The version of an archive is a hash of its content; `docs/decisions` says what it promises.

>>> import tempfile
>>> from pathlib import Path
>>> from listening.archive import load, write_prior
>>> with tempfile.TemporaryDirectory() as folder:
...     write_prior(Path(folder), system="country")
...     load(Path(folder)).kind
'prior'
'country.prior'
"""

from __future__ import annotations

from listening.archive.frame import PRIOR, Archive, ArchiveWriter, load, write_prior
from listening.archive.tarball import pack, unpack

__all__ = ["PRIOR", "Archive", "ArchiveWriter", "load", "pack", "unpack", "write_prior"]
