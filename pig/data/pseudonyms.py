"""Pseudonyms: patients under names that nobody can trace back without the salt.

A pseudonym is HMAC-SHA256 (RFC 2104) of the patient's id, with the salt as the key: the same id and salt give the same
pseudonym in every export, and without the salt an id cannot even be tried out. A plain hash would not do, since the
few ids that a hospital hands out are soon all tried. The salt is the secret that undoes it: it stays with the data.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pig.data.geometry import Geometry
from pig.data.manifest import REQUIRED
from pig.system.errors import UserError

logger = logging.getLogger("pig")

SALT_BYTES = 32
DIGITS = 16  # hexadecimal, 64 bits: two of a million patients share a pseudonym once in 40 million studies
# Columns of a manifest that describe a picture and nobody in it; any other may hold a name, a date or a path.
HARMLESS = (
    "view", "laterality", "slice_index", "n_slices", "turned", "density", "shape", "margin", "diameter_mm", "k",
    "spacing_mm", "seed", "class", "pathology", "lesion_size", "grey_low", "grey_high", "mask_source",
    *Geometry._fields,
)  # fmt: skip


def new_salt() -> bytes:
    """Return a salt that nobody else has."""
    return secrets.token_bytes(SALT_BYTES)


def read_salt(path: str | Path, outside: str | Path) -> bytes:
    """Read the salt of the file ``path``, which is made, readable to its owner alone, if it does not exist.

    Args:
        path: 64 hexadecimal digits.
        outside: the folder that is about to be handed out.

    Raises:
        UserError: the file lies in ``outside``, or holds anything else.
    """
    path = Path(path)
    if path.resolve().is_relative_to(Path(outside).resolve()):
        raise UserError(f"the salt {path} would lie in {outside}, and undo the pseudonyms there; keep it elsewhere.")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(new_salt().hex() + "\n", encoding="ascii")
        logger.info("%s: a new salt; keep it secret, and keep it: the same salt gives the same pseudonyms", path)
    try:
        salt = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        salt = b""
    if len(salt) != SALT_BYTES:
        raise UserError(
            f"{path} does not hold a salt of {2 * SALT_BYTES} hexadecimal digits; name a file that does not exist yet, "
            "and it is made."
        )
    return salt


def pseudonyms(names: Iterable[str], salt: bytes) -> dict[str, str]:
    """Return name -> pseudonym: a "p" and 16 hexadecimal digits, another one for each name."""
    table = {name: _pseudonym(name, salt) for name in names}
    if len(set(table.values())) < len(table):
        raise UserError("two patients have got the same pseudonym; choose another salt.")
    return table


def pseudonymise(manifest: pd.DataFrame, salt: bytes) -> pd.DataFrame:
    """Return a manifest in which nothing names a patient, rows in the same order.

    Patients and volumes get pseudonyms (a volume is named by a DICOM UID as often as not); the paths, which name
    patients in most data sets, become the number of the row; columns that are not known to be harmless are left out,
    each named in the log.
    """
    patient_of = pseudonyms(manifest["patient_id"].unique(), salt)
    kept = [name for name in manifest.columns if name in HARMLESS]
    table = manifest[kept].copy()
    row = [f"{number:06d}" for number in range(len(manifest))]
    table.insert(0, "image_path", [f"image-{number}" for number in row])
    table.insert(1, "mask_path", [f"mask-{number}" for number in row])
    table.insert(2, "patient_id", manifest["patient_id"].map(patient_of))
    if "volume_id" in manifest:
        # Many data sets number volumes within the patient: named together, as the preprocessing groups them.
        both = zip(manifest["patient_id"], manifest["volume_id"].astype(object).fillna(""), strict=True)
        names = [_pseudonym(f"{patient}\x1f{volume}", salt) if volume else None for patient, volume in both]
        table.insert(3, "volume_id", pd.Series(names, manifest.index, dtype=object))
    if dropped := [name for name in manifest.columns if name not in (*HARMLESS, *REQUIRED, "volume_id")]:
        logger.warning("left out, since they may name a patient: %s", ", ".join(map(str, dropped)))
    return table


def _pseudonym(name: str, salt: bytes) -> str:
    return "p" + hmac.new(salt, name.encode(), hashlib.sha256).hexdigest()[:DIGITS]
