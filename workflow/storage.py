"""Results on S3."""

import sys


def see_new_folders() -> None:
    """Let Snakemake see a folder on S3 that was not there when it started.

    snakemake-storage-plugin-s3 0.3.6 asks once whether an object is a folder, before the job that makes it, and
    remembers the answer for good: the folder counts as missing when the job has finished. Here each question is asked.
    """
    if plugin := sys.modules.get("snakemake_storage_plugin_s3"):  # which Snakemake has loaded where it is installed
        plugin.StorageObject.is_dir = lambda folder: any(folder.get_subkeys())
