"""The configuration of a run with all of its files and options merged, written to ``results/config.yaml``."""

import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pig.system.files import atomic_path

MERGED = Path("results/config.yaml")


def write_config(config: Mapping[str, Any], code: Path) -> None:
    """Write the configuration that a run begins with; given to ``--configfile``, it is the same study again.

    No rule reads the file, so that nothing is made again because of it. It names no time: of two runs of one study it
    is the same.

    Args:
        config: of the study, after all merging and checks.
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


def commit_of(folder: Path) -> str:
    """Return the commit of the git repository ``folder``, with "-dirty" if files differ from it; "" if it is none."""
    if not (folder / ".git").exists():  # a folder within somebody else's repository has another commit
        return ""
    words = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # git is not installed, or does not trust the folder's owner
        return ""
