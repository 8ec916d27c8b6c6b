"""The region table: which countries make up which of the world's regions.

The table is data (``regions.json``), covers every ISO 3166-1 country and Kosovo (``XK``), and is
the user's to replace. Its shipped content starts from the 13 regions of the public recipe that this
project follows; the countries which that recipe never saw were added by geography.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from listening.errors import DataError

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,11}")
"""A region's slug: at most 12 characters, so that a training job's name stays within 63."""

COUNTRY_CODE = re.compile(r"[A-Z]{2}")


class RegionTableError(DataError):
    """The region table is not a partition of countries into named regions."""


@dataclass(frozen=True)
class Region:
    """A region of the world and the ISO 3166-1 alpha-2 codes of its countries, sorted."""

    slug: str
    name: str
    countries: tuple[str, ...]


@dataclass(frozen=True)
class RegionTable:
    """A partition of countries into regions, in the table's order."""

    regions: tuple[Region, ...]

    @cached_property
    def region_of(self) -> dict[str, str]:
        """Country code to region slug."""
        return {country: region.slug for region in self.regions for country in region.countries}

    def __getitem__(self, slug: str) -> Region:
        """Return the region with this slug."""
        for region in self.regions:
            if region.slug == slug:
                return region
        raise RegionTableError(
            f"no region '{slug}' in the region table; it has "
            + ", ".join(region.slug for region in self.regions)
        )

    def restricted_to(self, countries: set[str]) -> RegionTable:
        """Return the table with only these countries, without regions that they leave empty."""
        kept = (
            Region(r.slug, r.name, tuple(c for c in r.countries if c in countries))
            for r in self.regions
        )
        return RegionTable(tuple(region for region in kept if region.countries))

    @classmethod
    def from_json(cls, document: Any, *, source: str = "region table") -> RegionTable:
        """Validate a parsed JSON document of the form of ``regions.json``.

        Raises
        ------
        RegionTableError
            A slug, name or country is malformed or occurs twice; names it and the source.
        """
        try:
            entries = document["regions"]
            regions = tuple(
                Region(entry["slug"], entry["name"], tuple(sorted(entry["countries"])))
                for entry in entries
            )
        except (KeyError, TypeError) as error:
            raise RegionTableError(
                f"{source}: expected "
                '{"regions": [{"slug": …, "name": …, "countries": ["DE", …]}, …]}'
            ) from error
        slugs: set[str] = set()
        owner: dict[str, str] = {}
        for region in regions:
            if not isinstance(region.slug, str) or not SLUG.fullmatch(region.slug):
                raise RegionTableError(
                    f"{source}: slug {region.slug!r} must be 1 to 12 of a-z, 0-9 and '-'"
                )
            if region.slug in slugs:
                raise RegionTableError(f"{source}: slug '{region.slug}' occurs twice")
            slugs.add(region.slug)
            if not region.countries:
                raise RegionTableError(f"{source}: region '{region.slug}' has no countries")
            for country in region.countries:
                if not isinstance(country, str) or not COUNTRY_CODE.fullmatch(country):
                    raise RegionTableError(
                        f"{source}: {country!r} in '{region.slug}' is no ISO 3166-1 alpha-2 code"
                    )
                if country in owner:
                    raise RegionTableError(
                        f"{source}: {country} is in '{owner[country]}' and in '{region.slug}'"
                    )
                owner[country] = region.slug
        if not regions:
            raise RegionTableError(f"{source}: no regions")
        return cls(regions)

    def to_json(self) -> dict[str, Any]:
        """Return the document that `from_json` reads."""
        return {
            "regions": [
                {"slug": r.slug, "name": r.name, "countries": list(r.countries)}
                for r in self.regions
            ]
        }


def default_regions() -> RegionTable:
    """Return the region table that ships with the project."""
    text = resources.files("listening").joinpath("regions.json").read_text("utf-8")
    return RegionTable.from_json(json.loads(text), source="regions.json")
