"""The hash of the code a rule runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pig.system import source

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a module of the working directory, as text; what was read of it before is forgotten."""
    monkeypatch.chdir(tmp_path)

    def forget() -> None:
        for cached in (source.own_module, source.parsed, source._statements, source.source_hash):
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
    write("method", "import torch\nimport pig.system.progress\nfrom pig.system.errors import UserError\n")
    assert set(source.modules("method")) == {"method"}


def test_a_training_does_not_depend_on_segmentation_or_reporting(write: Write) -> None:
    for module in ("pig.methods.pig", "baselines.controlnet"):
        names = set(source.modules("pig.steps.fit", module))
        assert {"pig.training.loop", "pig.methods.unet", "pig.diffusion.schedule", "pig.data.store"} <= names
        assert not [name for name in names if name.startswith(("pig.evaluation", "pig.report"))]
    assert "baselines.ldm" in source.modules("baselines.controlnet")
    assert "pig.training.loop" not in source.modules("pig.data.preprocess")
