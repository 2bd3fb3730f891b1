"""What Snakemake does not do by itself: find this project's commands, warn and advise, see new folders on S3."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pig.study.arms import studies_phantom
from pig.study.image_size import give_image_size
from pig.study.merged import read_configs
from pig.system.gpus import gpu_count
from pig.system.source import ROOT


def fill_gaps() -> None:
    """Let Snakemake find this project's commands and see new folders on S3."""
    _use_own_commands()
    _see_new_folders()


def _use_own_commands() -> None:
    """Let jobs find the ``pig`` that is installed beside the Python running Snakemake, activated or not."""
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != own:
        os.environ["PATH"] = os.pathsep.join([own, path])


def gpu_warning(remote: bool) -> str | None:
    """Return a warning if it is this machine's GPUs that decide whether ``remote`` jobs ask for one."""
    if not remote or "PIG_GPUS" in os.environ:
        return None
    asks = "one GPU for each job that can use one" if gpu_count() else "no GPU"
    return (
        f"PIG_GPUS is not set, and this machine has {gpu_count()} GPUs, so the jobs ask for {asks}, whatever the "
        "machines that run them have. Set PIG_GPUS=1 where those have GPUs, PIG_GPUS=0 where they have none."
    )


def planless(config: Mapping[str, Any], root: Path = ROOT) -> str:
    """Return a sentence if data of one's own are studied with the sizes and trainings of the phantom; else ""."""
    if studies_phantom(config["dataset"]):
        return ""
    phantoms = read_configs([root / "config.yaml"])
    give_image_size(phantoms)
    if any(config[key] != phantoms[key] for key in ("image_size", "generators", "segmentation")):
        return ""
    return "image_size, networks and trainings are those for the phantom; `pig plan` derives them from your data."


def _see_new_folders() -> None:
    """Let Snakemake see a folder on S3 that was not there when it started.

    snakemake-storage-plugin-s3 0.3.6 asks once whether an object is a folder, before the job that makes it, and
    remembers the answer for good: the folder counts as missing when the job has finished. Here each question is asked.
    """
    if plugin := sys.modules.get("snakemake_storage_plugin_s3"):  # which Snakemake has loaded where it is installed
        plugin.StorageObject.is_dir = lambda folder: any(folder.get_subkeys())


def what_next(results: Path) -> str:
    """Return where the result of a finished run stands, and the next command; "" where there is no table yet."""
    table, report = results / "table2.md", results / "report.html"
    if not table.exists():
        return ""
    if report.exists() and report.stat().st_mtime >= table.stat().st_mtime:
        return (
            f"The report: {report} (a browser opens it). The table and its reading: {table}. Pictures: "
            f"{results / 'figures'} (what was drawn), {results / 'predictions'} (what was found)."
        )
    return (
        f"The table and its reading: {table}. Galleries of what was drawn: {results / 'figures'}. `snakemake "
        f"--cores all` adds image quality, slices with what was found, costs and the report, {report}."
    )
