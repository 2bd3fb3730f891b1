"""One ``image_size`` for all networks of a study, given to each as if it stood there."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from studies import CONFIGS, SCHEMA
from study_runs import ROOT

from pig.study.config import check_config
from pig.study.merged import merged_config
from pig.study.settings import settings_errors
from pig.system.errors import UserError

OF_PIXELS = ["pig", "ddpm", "autoencoder", "segguided"]  # the others work on the autoencoder's latents

OWN = """
from dataclasses import dataclass

@dataclass(frozen=True)
class {name}:
    {field}: int

class Mine:
    takes_masks = False
    makes_masks = True
"""


def sizes(config: dict[str, Any]) -> dict[str, int]:
    sections = {name: entry.get("model", {}) for name, entry in config["generators"].items()}
    sections["segmentation"] = config["segmentation"]
    return {name: section["image_size"] for name, section in sections.items() if "image_size" in section}


def laid_over(folder: Path, **sections: Any) -> dict[str, Any]:
    (folder / "study.yaml").write_text(yaml.safe_dump(sections))
    return merged_config([folder / "study.yaml"])


def own(folder: Path, **names: str) -> dict[str, Any]:
    """Return a study with a generator of a user's own class."""
    (folder / f"own_{names['module']}.py").write_text(OWN.format(**names))
    entry = {"class": f"own_{names['module']}.Mine", "model": {}, "sampling": {}}
    return laid_over(folder, image_size=64, generators={"mine": entry})


def test_it_reaches_all_networks_and_one_of_their_own_goes_before(tmp_path: Path) -> None:
    assert sizes(merged_config([])) == dict.fromkeys([*OF_PIXELS, "segmentation"], 48)
    assert sizes(merged_config([CONFIGS / "paper.yaml"])) == dict.fromkeys([*OF_PIXELS, "segmentation"], 512)
    wider = dict.fromkeys([*OF_PIXELS, "segmentation"], 64)
    assert sizes(laid_over(tmp_path, image_size=64)) == wider
    mixed = laid_over(
        tmp_path, image_size=64, generators={"pig": {"model": {"image_size": 32}}}, segmentation={"image_size": 96}
    )
    assert sizes(mixed) == wider | {"pig": 32, "segmentation": 96}


@pytest.mark.parametrize(
    ("module", "name", "field", "model"),
    [
        ("with_it", "Model", "image_size", {"image_size": 64}),
        ("without", "Model", "size", {}),
        ("checked_by_itself", "Other", "image_size", {}),  # no dataclass Model: what it takes is not known
    ],
)
def test_a_users_class_has_it_where_its_dataclass_has_the_field(
    module: str, name: str, field: str, model: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    if module == "without":
        with pytest.raises(UserError, match=r"^config: generators\.mine\.model\.size: missing"):
            own(tmp_path, module=module, name=name, field=field)
    else:
        assert own(tmp_path, module=module, name=name, field=field)["generators"]["mine"]["model"] == model


def test_an_error_names_the_key_that_was_written() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"image_size": 52}
    with pytest.raises(UserError) as raised:
        check_config(config, SCHEMA, settings_errors)
    said = str(raised.value).splitlines()
    wants = "must be a multiple of 8 for a network of 3 levels and patch 2, got 52."
    assert f"config: image_size (of generators.pig.model): {wants}" in said
    assert "config: image_size (of segmentation): must be a multiple of 8 for encoder_depth 3, got 52." in said
    assert not [line for line in said if "model.image_size" in line]


@pytest.mark.parametrize(("size", "said"), [(0, "at least 1"), ("48", "an integer"), (None, "an integer")])
def test_a_size_that_is_none_is_said_once(size: Any, said: str) -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text()) | {"image_size": size}
    with pytest.raises(UserError) as raised:
        check_config(config, SCHEMA, settings_errors)
    (line,) = str(raised.value).splitlines()
    assert line.startswith("config: image_size must be") and said in line
