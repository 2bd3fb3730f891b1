"""What is read of a class without importing it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pig.study.definitions import class_attributes, derives, settings_class
from pig.system import source
from pig.system.errors import UserError

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a module of the working directory, as text; what was read of it before is forgotten."""
    monkeypatch.chdir(tmp_path)
    source.own_module.cache_clear()
    source.parsed.cache_clear()
    return lambda name, text: (tmp_path / f"{name}.py").write_text(text) and None


def test_attributes_are_inherited_across_modules(write: Write) -> None:
    write("base", "class Base(object):\n    takes_masks: bool = True\n    makes_masks = False\n")
    write("mine", "from base import Base as B\n\nclass Mine(B, Exception):\n    makes_masks = True\n")
    assert class_attributes("mine.Mine") == {"takes_masks": True, "makes_masks": True}


def test_attributes_of_the_projects_own_classes(write: Write) -> None:
    flags = {"takes_masks": False, "makes_masks": False}
    assert flags.items() <= class_attributes("baselines.ddim.DDIM").items()
    assert class_attributes("pig.methods.pig.PIG") == {
        "takes_masks": False,
        "makes_masks": True,
    }


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("Mine", "'Mine' names no module"),
        ("nowhere.Mine", "there is no module 'nowhere'"),
        ("nowhere.at.all.Mine", "there is no module 'nowhere.at.all'"),
        ("mine.Min", "there is no 'Min' in "),
        ("broken.Mine", "broken.py, line 2, is not Python"),
    ],
)
def test_a_path_that_leads_nowhere_is_a_sentence(write: Write, path: str, sentence: str) -> None:
    write("mine", "class Mine: ...\n")
    write("broken", "x = 1\nclass Mine\n")
    with pytest.raises(UserError, match=sentence):
        class_attributes(path)


def test_a_module_is_found_without_being_run(write: Write) -> None:
    write("mine", "raise SystemExit\n\nclass Mine: ...\n")
    assert class_attributes("mine.Mine") == {}
    # Nor is the package of one that is installed: the class is found in its file.
    assert class_attributes("xml.dom.minidom.Node") is not None


@pytest.mark.parametrize(
    ("path", "wanted", "expected"),
    [
        ("baselines.ddim.DDIM", "baselines.ddpm.DDPM", True),
        ("baselines.ddim.DDIM", "baselines.ddim.DDIM", True),
        ("baselines.ddpm.DDPM", "baselines.ddim.DDIM", False),
        ("baselines.ldm.UnconditionalLDM", "baselines.ldm.LDM", True),
        ("mine.Dotted", "baselines.ldm.LDM", True),
        ("mine.Named", "baselines.ldm.LDM", True),
        ("mine.Whole", "baselines.ldm.LDM", True),
        ("mine.Other", "baselines.ldm.LDM", False),
        ("mine.Unknown", "baselines.ldm.LDM", True),  # cannot be told
    ],
)
def test_what_a_class_derives_from(write: Write, path: str, wanted: str, expected: bool) -> None:
    write(
        "mine",
        "import torch\nimport baselines.ldm\nimport baselines.ldm as short\nfrom baselines import ldm\n"
        "class Dotted(ldm.LDM): ...\nclass Named(short.LDM): ...\nclass Whole(baselines.ldm.LDM): ...\n"
        "class Other(object): ...\nclass Unknown(torch.nn.Module): ...\n",
    )
    assert derives(path, wanted) is expected


@pytest.mark.parametrize(
    ("path", "section", "expected"),
    [
        ("pig.methods.pig.PIG", "model", "pig.methods.pig_settings.Model"),
        ("baselines.ddim.DDIM", "model", "pig.methods.settings.ImageModel"),
        ("baselines.ddim.DDIM", "sampling", "baselines.settings.FewStepSampling"),
        ("baselines.autoencoder.Autoencoder", "sampling", None),
        ("mine.Plain", "model", None),  # Model is a network there
        ("mine.Plain", "sampling", "mine.Sampling"),
        ("heir.Same", "model", "baselines.settings.LatentModel"),
        ("heir.Own", "model", None),  # its __init__ may read other keys
    ],
)
def test_where_the_settings_of_a_class_are_described(write: Write, path: str, section: str, expected: str) -> None:
    write(
        "mine",
        "from dataclasses import dataclass\nimport torch\nclass Model(torch.nn.Module): ...\n"
        "@dataclass(frozen=True)\nclass Sampling:\n    steps: int\nclass Plain: ...\n",
    )
    write(
        "heir",
        "from baselines.ldm import LDM\nclass Same(LDM): ...\n"
        "class Own(LDM):\n    def __init__(self, model, sampling): ...\n",
    )
    assert settings_class(path, section) == expected
