"""Configurations, changed key by key."""

from collections.abc import Callable
from typing import Any

import yaml
from snakemake.utils import update_config
from study_runs import ROOT

from pig.study.image_size import give_image_size

SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
CONFIGS = ROOT / "workflow/configs"
# Laid over the default one.
STUDIES: list[list[str]] = [[], *([f"{name}.yaml"] for name in ("tiny", "few-steps", "replication", "paper"))]
STUDIES += [["paper.yaml", "paper-official-code.yaml"]]
EVIDENCE = [["ablations.yaml", *more] for more in ([], ["phantom.yaml"], ["phantom-small.yaml"])]

Config = dict[str, Any]
Change = Callable[[Config], None]


def study(*overlays: str) -> Config:
    """Return the default study with others laid over it, each section with its image_size."""
    config: Config = {}
    update_config(config, yaml.safe_load((ROOT / "config.yaml").read_text()))  # without anchors: nothing is shared
    for name in overlays:
        update_config(config, yaml.safe_load((CONFIGS / name).read_text()))
    give_image_size(config)
    return config


def put(*keys: str | int, value: Any) -> Change:
    """Return a change of a configuration: the key at the end of a path gets a value."""

    def change(config: Any) -> None:
        for key in keys[:-1]:
            config = config[key]
        config[keys[-1]] = value

    return change
