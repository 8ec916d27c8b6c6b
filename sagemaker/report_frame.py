"""The report: one HTML file with everything in it, that opens without a network.

A system's own template extends ``frame.html.j2`` and fills its blocks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

if TYPE_CHECKING:
    from collections.abc import Callable

    from gate import Decision

FRAME = Path(__file__).with_name("frame.html.j2")


def render(  # noqa: PLR0913 - what every report has
    template: Path,
    decision: Decision,
    *,
    system: str,
    version: str,
    synthetic: bool,
    pretty: Callable[[str], str],
    **values: Any,
) -> str:
    """Return a report's HTML.

    Parameters
    ----------
    template
        The system's.
    decision
        What the gate decided.
    system, version, synthetic
        Of the bundle.
    pretty
        Writes a model's or metric's name for a reader.
    values
        What else its blocks show.
    """
    return html_template(template, pretty=pretty).render(
        decision=decision, system=system, version=version, synthetic=synthetic, **values
    )


def html_template(file: Path, **filters: Callable[..., object]) -> jinja2.Template:
    """Load a template whose values are escaped, and whose unknown names are errors.

    Parameters
    ----------
    file
        The template.
    filters
        What it may pass values through, by name.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([file.parent, FRAME.parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(file.name)
