"""The size at which a study works, ``image_size`` of the configuration, given to all that say none of their own."""

from collections.abc import Mapping
from typing import Any

from pig.study.definitions import has_setting
from pig.system.errors import UserError

KEY = "image_size"


def give_image_size(config: Mapping[str, Any]) -> list[str]:
    """Write ``image_size`` into the settings of the models and of the segmentation that lack it, in ``config`` itself.

    Jobs are given their settings with it, so that it makes no difference where it stands. A model has it if the
    dataclass of its class has the field: what a user's class without a dataclass wants is not known.

    Args:
        config: a configuration that the schema allows.

    Returns:
        The sections that it was written into, as ``generators.pig.model``.
    """
    sections = {
        f"generators.{name}.model": entry["model"]
        for name, entry in config["generators"].items()
        if KEY not in entry.get("model", {KEY: None}) and _wants(entry["class"])
    }
    sections |= {"segmentation": config["segmentation"]} if KEY not in config["segmentation"] else {}
    for section in sections.values():
        section[KEY] = config[KEY]
    return list(sections)


def _wants(path: str) -> bool:
    try:
        return has_setting(path, "model", KEY)
    except UserError:  # there is no such class, which is said elsewhere
        return False


def named_once(sentence: str, given: list[str]) -> str:
    """Return a sentence about an ``image_size`` that was given to a section, with the key that the user has written."""
    for section in given:
        sentence = sentence.replace(f"{section}.{KEY}:", f"{KEY} (of {section}):")
    return sentence
