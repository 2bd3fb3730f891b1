"""Which stores were verified on this machine: so that a store is hashed once here, and not by each job.

What is trusted: a store whose files have the sizes, times of change and inodes that they had when it was verified. Each
write by usual means sets these times. A file that was changed and given its old times back is caught by the time of
its inode (ctime), which no program sets; a disk that loses bits by itself is not.
"""

import contextlib
import hashlib
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pig.system.errors import UserError
from pig.system.files import atomic_path

SETTLED = 2.0  # seconds since the last change; before, another change might get the same time (as in git's index)


def cache_folder() -> Path:
    """Return where this user's stamps lie: ``pig/stores`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pig" / "stores"


@dataclass(frozen=True)
class Stamp:
    """What the files of a store looked like, taken before they are read.

    Attributes:
        text: the fingerprint; of each file its path, size, inode, and the times of its content and of its inode (ns).
        changed: the last of these times, in seconds.
    """

    text: str
    changed: float

    @classmethod
    def of(cls, files: Sequence[Path], fingerprint: str) -> Self:
        """Return the stamp of ``files``, which exist."""
        found = [(str(file.resolve()), file.stat()) for file in files]
        state = [[name, stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns] for name, stat in found]
        changed = max(max(stat.st_mtime, stat.st_ctime) for _, stat in found)
        return cls(json.dumps([platform.node(), fingerprint, state]), changed)

    @property
    def _file(self) -> Path:
        return cache_folder() / hashlib.sha256(self.text.encode()).hexdigest()

    def is_kept(self) -> bool:
        """Return whether files that looked like this were verified on this machine."""
        try:
            return self._file.read_text(encoding="utf-8") == self.text
        except (OSError, ValueError, RuntimeError):  # missing, damaged, or a user without a home
            return False

    def keep(self) -> None:
        """Remember that the files were verified; where that is not possible, the next job verifies them again."""
        if time.time() - self.changed < SETTLED:
            return
        with contextlib.suppress(OSError, RuntimeError, UserError), atomic_path(self._file) as temporary:
            temporary.write_text(self.text, encoding="utf-8")
