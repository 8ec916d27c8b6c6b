"""HTML from templates, which stand beside the code that fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        loader=jinja2.FileSystemLoader(file.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(file.name)
