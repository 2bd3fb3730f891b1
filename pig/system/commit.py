"""Which commit of the project this is."""

import subprocess
from pathlib import Path


def commit_of(folder: Path) -> str:
    """Return the commit of the git repository ``folder``, with "-dirty" if files differ from it; "" if it is none."""
    if not (folder / ".git").exists():  # a folder within somebody else's repository has another commit
        return ""
    words = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # git is not installed, or does not trust the folder's owner
        return ""
