"""HTML pages that hold all they show: they open anywhere and load nothing. What they share: ``page.html``."""

import base64
from pathlib import Path
from typing import Any


def render(template: Path, **values: Any) -> str:
    """Return the page of a Jinja template, which fills the blocks of ``page.html``.

    Text is escaped, and a value that is missing is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folders = FileSystemLoader([template.parent, Path(__file__).parent])
    environment = Environment(
        loader=folders, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template.name).render(**values)


def picture(png: bytes) -> str:
    """Return a PNG as the address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
