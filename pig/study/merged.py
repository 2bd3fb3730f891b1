"""The configuration of a study with all of its files merged: as Snakemake reads it, and as a run writes it down."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from pig.study.config import check_config
from pig.study.own_data import missing_files
from pig.study.settings import settings_errors
from pig.system.commit import commit_of
from pig.system.errors import UserError
from pig.system.files import atomic_path
from pig.system.source import ROOT

MERGED = Path("results/config.yaml")


def merged_config(
    files: Sequence[Path],
    root: Path = ROOT,
    over: Mapping[str, Any] = MappingProxyType({}),
    there: bool = True,
) -> dict[str, Any]:
    """Return the default study with the files of ``--configfile`` laid over it.

    Args:
        files: the later ones go over the earlier ones.
        root: folder of the workflow, with ``config.yaml``.
        over: laid over all of them.
        there: whether the data that it names must be there.

    Raises:
        UserError: a file is missing or is no YAML, or the configuration cannot work; all errors are named.
    """
    from snakemake.utils import update_config

    config = read_configs([root / "config.yaml", *files])
    update_config(config, over)
    checks = [settings_errors, missing_files] if there else [settings_errors]
    check_config(config, root / "workflow/schemas/config.schema.yaml", *checks)
    return config


def read_configs(files: Sequence[Path]) -> dict[str, Any]:
    """Return what the files of ``--configfile`` say, the later ones laid over the earlier ones, unchecked.

    Raises:
        UserError: a file is missing or is no YAML.
    """
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError
    from snakemake.utils import update_config

    config: dict[str, Any] = {}
    for file in files:
        try:
            update_config(config, load_configfile(str(file)))
        except (WorkflowError, OSError, ValueError) as error:
            reason = _fault_of_yaml(file) or error
            raise UserError(f"--configfile {file} cannot be read ({reason}); correct the path or the file.") from None
    return config


def _fault_of_yaml(file: Path) -> str:
    """Return what is wrong with a file of YAML, and in which line; "" if that is not what is wrong with it."""
    try:
        yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        quotes = ": a pattern stands in single quotes" * ("escape" in str(error.problem))
        return f"line {line}: {error.problem}{quotes}"
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        pass
    return ""


def write_config(config: Mapping[str, Any], code: Path) -> None:
    """Write the configuration that a run begins with; given to ``--configfile``, it is the same study again.

    No rule reads the file, so that nothing is made again because of it. It names no time: of two runs of one study it
    is the same.

    Args:
        config: of the study, after all merging, and before its ``image_size`` is given to models that say none: who
            changes that one in the file is to reach them all.
        code: the folder of the Snakefile.
    """
    commit = commit_of(code)
    header = (
        "# The configuration of the last run in this folder, all files and options merged. To use it again:\n"
        f"# snakemake --cores all --configfile {MERGED} -- results/table2.csv\n"
        f"# pig {importlib.metadata.version('pig-benchmark')}" + (f", commit {commit}" if commit else "") + "\n"
    )
    plain = json.loads(json.dumps(config, default=str))  # without anchors, and without types of Python
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)
    with atomic_path(MERGED) as temporary:
        temporary.write_text(header + text, encoding="utf-8")
