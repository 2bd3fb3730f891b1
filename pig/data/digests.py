"""Which data a result was made from: by each path, the hash of what lay there."""

from pathlib import Path

from pig.data.store import Store
from pig.system.files import sha256


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or the fingerprint of a store, which is verified.

    Raises:
        UserError: the store is damaged.
    """
    return Store.open(path).fingerprint if path.is_dir() else sha256(path)


def digests(*paths: Path) -> dict[str, str]:
    """Return the :func:`digest` of each path, by the path as it is given."""
    return {str(path): digest(path) for path in paths}
