"""Files that are either finished or absent: written under a temporary name, synced, then renamed."""

import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pig.system.errors import UserError

UMASK = os.umask(0)
os.umask(UMASK)


def _publish(file: Path) -> None:
    """Sync a finished file, readable to whom the user's umask lets read (safetensors makes its files private)."""
    file.chmod(0o666 & ~UMASK)
    _sync(file)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")  # of a pair that is one character in JSON; alone it is none
HOST = socket.gethostname()
OWNER = re.compile(r"\.(?P<host>.+)\.(?P<process>\d+)\.[0-9a-f]{8}")
FOREIGN_SECONDS = 7 * 24 * 3600  # after which what a process of another machine has left is taken for dead


def _temporary(path: Path) -> Path:
    """Return a hidden name beside ``path`` that says who writes there.

    It keeps the suffix, because writers such as ``np.savez`` and PIL choose by it.
    """
    return path.with_name(f".{path.stem}.{HOST}.{os.getpid()}.{uuid.uuid4().hex[:8]}{path.suffix}")


def _sweep(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` have left beside it."""
    for leftover in path.parent.glob(f".{glob.escape(path.stem)}.*{glob.escape(path.suffix)}"):
        middle = leftover.name.removeprefix(f".{path.stem}").removesuffix(path.suffix)
        if (owner := OWNER.fullmatch(middle)) and not _lives(leftover, owner["host"], int(owner["process"])):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def _lives(leftover: Path, host: str, process: int) -> bool:
    if host != HOST:
        return time.time() - leftover.stat().st_mtime < FOREIGN_SECONDS
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error means that a disk, or the user's share of it, is full.

    Libraries that write by themselves (safetensors, torch) say so in words alone.
    """
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the error of a full disk into a sentence."""
    try:
        yield
    except Exception as error:
        if not disk_is_full(error):
            raise
        raise UserError(
            f"{path} cannot be written: the disk is full. Make room there and give the same command again; what is "
            "finished stays, and this file is not left half-written."
        ) from error


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that becomes ``path`` when the block ends without an error.

    Raises:
        UserError: the disk is full.
    """
    path = Path(path)
    temporary = _temporary(path)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        try:
            yield temporary
            _publish(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path, *marks: str, reads: Iterable[str | Path] = ()) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that takes its place when the block ends without an error.

    What is replaced is gone, and a user may name any folder. So there must be none, or an empty one, or one that the
    same command has written before.

    Args:
        path: the folder, or a link to it.
        marks: names of files by which such a folder is known, each of which is enough.
        reads: files and folders that are read; they must not lie in a folder that is replaced.

    Raises:
        UserError: there is anything else at ``path``, or what is read; or the disk is full.
    """
    refuse_loss(path, *marks, reads=reads)
    path = Path(path).resolve()
    temporary = _temporary(path)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _publish(file)
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def refuse_loss(path: str | Path, *marks: str, reads: Iterable[str | Path] = ()) -> None:
    """Raise what :func:`atomic_directory` raises about a folder, before hours of work for it."""
    path, other = Path(path), "name a folder that does not exist"
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file, and a folder is to be written; {other}.")
    for source in map(Path, reads):
        if path.exists() and source.resolve().is_relative_to(path.resolve()):
            raise UserError(f"{source} would be lost, since {path}, which is or holds it, is to be replaced; {other}.")
    if path.exists() and any(path.iterdir()) and not any((path / mark).exists() for mark in marks):
        known = f" by something else than an earlier result (there is no {' or '.join(marks)})" if marks else ""
        raise UserError(f"{path} is in use{known}; {other}, or delete it.")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a work folder; the system releases it however the process ends.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{folder} is in use by another run; wait for it, or stop it first.") from None
        yield


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON, atomically; NaN and infinity are refused, since JSON has neither."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path, fix: str = "delete it and run its step again.") -> Any:
    """Read a JSON file in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises:
        UserError: the file is missing or is not JSON; ``fix`` ends the latter sentence.
    """
    try:
        raw = Path(path).read_bytes()
        text = raw.decode(json.detect_encoding(raw), "surrogatepass")  # as json.loads has it
        content = json.loads(text)
        if HALF.search(text):
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the step that makes it first.") from None
    # Also of halves of characters, and of numbers and depths beyond Python's limits.
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable JSON ({error}); {fix}") from None


def name_fault(path: str | Path) -> str:
    """Return what is wrong with a path that is not in UTF-8, which no table can hold; "" if nothing is."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")
        return f"{shown} has a name that is not in UTF-8 (of an old archive or disk, perhaps); rename it"
    return ""


def write_sealed(path: str | Path, content: dict[str, Any]) -> None:
    """Write ``content`` as JSON with its SHA-256 under ``seal``, for :func:`read_sealed`."""
    write_json(path, content | {"seal": seal(content)})


def read_sealed(path: str | Path, fix: str) -> dict[str, Any]:
    """Return what :func:`write_sealed` wrote; results are computed from it, so that a changed value must not pass.

    Raises:
        UserError: the file is missing, is not JSON, or is not as it was written; ``fix`` ends that sentence.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("seal", None) != seal(content):
        raise UserError(f"{path} is damaged, or was changed after it was written; {fix}")
    return content


def seal(content: dict[str, Any]) -> str:
    """Return the SHA-256 of ``content`` as JSON, which keeps the order of its keys, in hexadecimal."""
    return hashlib.sha256(json.dumps(content, allow_nan=False).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
