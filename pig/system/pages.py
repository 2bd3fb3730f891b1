"""HTML pages that hold all they show: they open anywhere and load nothing."""

import base64
from pathlib import Path
from typing import Any


def render(template: Path, **values: Any) -> str:
    """Return the page of a Jinja template: text is escaped, and a value that is missing is an error."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template.read_text(encoding="utf-8")).render(**values)


def picture(png: bytes) -> str:
    """Return a PNG as the address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
