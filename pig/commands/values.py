"""What the values of options may be, and what is said of others."""

import argparse
import json
from pathlib import Path
from typing import Any

from pig.evaluation.kinds import KINDS, METHOD, Kind


def settings(text: str) -> dict[str, Any]:
    """Return the mapping that ``text``, or the file of that name, holds as YAML or JSON."""
    import yaml

    try:
        if not text.lstrip().startswith("{") and Path(text).is_file():
            text = Path(text).read_text(encoding="utf-8")
        try:  # JSON first: YAML takes its 1e-06 for text
            content = json.loads(text, parse_constant=str)
        except json.JSONDecodeError:
            content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"not readable as YAML or JSON: {error}") from None
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"expected keys and values, or a file of them, got {text!r}")
    return content


def named(text: str) -> tuple[str, Path]:
    """Return the two sides of ``NAME=PATH``."""
    name, separator, path = text.rpartition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, got {text!r}")
    return name, Path(path)


def control(text: str) -> tuple[Kind, str, Path]:
    """Return the three parts of ``KIND=LABEL=PATH``."""
    word, _, rest = text.partition("=")
    kinds = [kind for kind in KINDS if kind != METHOD]
    if word not in kinds:
        raise argparse.ArgumentTypeError(f"expected KIND=LABEL=PATH, of a kind {', '.join(kinds)}; got {text!r}")
    return kinds[kinds.index(word)], *named(rest)


def positive(text: str) -> int:
    """Return the whole number, 1 or more, that ``text`` is."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, got {text!r}")
    return int(text)
