"""Which files were read whole on this machine and found to be what was written.

A study opens its store in every job, and reading 79 GB (100,000 slices of 512 x 512) hundreds of times would take
hundreds of hours. So a store is read whole once on each machine; after that its files are trusted for as long as their
size, times and inode stay. A change by any program shows in these; damage that the disk itself does under a file, after
it was read, does not.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pig.files import write_json

SETTLED_NS = 2_000_000_000  # age of a file's last change: a later one within the clock's step would not show


def _note(folder: Path) -> Path:
    """Return where it is noted that ``folder`` was verified: in the user's cache, not in the study."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "pig-benchmark" / "verified" / hashlib.sha256(bytes(folder.resolve())).hexdigest()[:32]


def state_of(files: Sequence[Path], fingerprint: str) -> list[object] | None:
    """Return what a change of one of the ``files`` changes, or None where one changed just now; before they are read.

    The time of the last change of an inode (ctime) cannot be set by a program, unlike that of the content (mtime).
    """
    stats = [file.stat() for file in files]
    if time.time_ns() - max(max(s.st_mtime_ns, s.st_ctime_ns) for s in stats) < SETTLED_NS:
        return None
    return [fingerprint, *([s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns] for s in stats)]


def was_verified(folder: Path, state: list[object] | None) -> bool:
    """Tell whether ``folder`` was found whole in this very state; a note that cannot be read counts as none."""
    if state is None:
        return False
    try:
        return bool(json.loads(_note(folder).read_text(encoding="utf-8")) == state)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a user without a home
        return False


def note_verified(folder: Path, state: list[object] | None) -> None:
    """Note that ``folder`` is whole in this state; where nothing can be written it will be read again."""
    if state is None:
        return
    with suppress(OSError, RuntimeError):
        write_json(_note(folder), state)
