"""Check the data before a run: read every file, report errors and warnings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pig.data import checks
from pig.data.settings import PreprocessSettings
from pig.system.settings import parse


def check(
    *, manifest: Path, settings: Mapping[str, Any], folds: int, seed: int, go_on: bool, threads: int, out: Path
) -> None:
    """Write ``report.html``, ``check.csv`` and ``errors.json`` into the folder ``out``.

    Args:
        manifest: table of images, masks and patients.
        settings: of preprocessing.
        folds: number of folds.
        seed: of the folds.
        go_on: end without a UserError despite errors in the data; :func:`pig.steps.verdict.verdict` then refuses them.
        threads: processes that read.
        out: the folder.
    """
    checks.check(
        manifest, parse(PreprocessSettings, settings, "preprocessing"), out, folds, seed, threads, stop=not go_on
    )
