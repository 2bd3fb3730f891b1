"""The hash of the code a rule runs, and what is read of a class without importing it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pig import source
from pig.errors import UserError

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a module of the working directory, as text; what was read of it before is forgotten."""
    monkeypatch.chdir(tmp_path)

    def forget() -> None:
        for cached in (source.own_module, source._parse, source._statements, source.source_hash):
            cached.cache_clear()

    def run(name: str, text: str) -> None:
        file = tmp_path / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        forget()

    forget()
    return run


BEFORE = '''
def double(x):
    """Return twice x."""
    return 2 * x  # obviously
'''


def test_comments_docstrings_and_layout_are_no_change(write: Write) -> None:
    write("method", BEFORE)
    before = source.source_hash("method")
    write("method", '"""A module."""\n\ndef double(x):\n    return (\n        2 * x\n    )\n')
    assert source.source_hash("method") == before


def test_a_statement_is(write: Write) -> None:
    write("method", BEFORE)
    before = source.source_hash("method")
    write("method", BEFORE.replace("2 * x", "x + x"))
    assert source.source_hash("method") != before


def test_a_string_that_is_no_docstring_counts(write: Write) -> None:
    write("method", "name = 'a'\n")
    before = source.source_hash("method")
    write("method", "name = 'b'\n")
    assert source.source_hash("method") != before


@pytest.mark.parametrize(
    "line",
    [
        "import mine.helper",
        "from mine import helper",
        "from mine.helper import f",
        "from .helper import f",
        "from . import helper",
        "def g():\n    from mine.helper import f",
    ],
)
def test_imported_modules_count_in_whatever_way_they_are_imported(write: Write, line: str) -> None:
    write("mine.method", line + "\n")
    write("mine.helper", "f = 1\n")
    before = source.source_hash("mine.method")
    write("mine.helper", "f = 2\n")
    assert source.source_hash("mine.method") != before


def test_modules_that_import_each_other_end(write: Write) -> None:
    write("one", "import two\n")
    write("two", "import one\n")
    assert set(source.modules("one")) == {"one", "two"}


def test_neither_libraries_nor_plumbing_count(write: Write) -> None:
    write("method", "import torch\nimport pig.progress\nfrom pig.errors import UserError\n")
    assert set(source.modules("method")) == {"method"}


def test_a_training_does_not_depend_on_segmentation_or_reporting(write: Write) -> None:
    for module in ("pig.paired_diffusion", "baselines.controlnet"):
        names = set(source.modules("pig.fitting", module))
        assert {"pig.training", "pig.networks", "pig.diffusion.schedule", "pig.data.store"} <= names
        assert not [name for name in names if name.startswith(("pig.segmentation", "pig.reporting", "pig.metrics"))]
    assert "baselines.ldm" in source.modules("baselines.controlnet")
    assert "pig.training" not in source.modules("pig.data.preprocess")


def test_attributes_are_inherited_across_modules(write: Write) -> None:
    write("base", "class Base(object):\n    takes_masks: bool = True\n    makes_masks = False\n")
    write("mine", "from base import Base as B\n\nclass Mine(B, Exception):\n    makes_masks = True\n")
    assert source.class_attributes("mine.Mine") == {"takes_masks": True, "makes_masks": True}


def test_attributes_of_the_projects_own_classes(write: Write) -> None:
    flags = {"takes_masks": False, "makes_masks": False}
    assert flags.items() <= source.class_attributes("baselines.ddim.DDIM").items()
    assert source.class_attributes("pig.paired_diffusion.PairedDiffusion") == {
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
        source.class_attributes(path)


def test_a_module_is_found_without_being_run(write: Write) -> None:
    write("mine", "raise SystemExit\n\nclass Mine: ...\n")
    assert source.class_attributes("mine.Mine") == {}
    # Nor is the package of one that is installed: the class is found in its file.
    assert source.class_attributes("xml.dom.minidom.Node") is not None
