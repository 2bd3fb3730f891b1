"""Folds by patient: which patients are tested on together, so that no patient is on both sides."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pig.data.manifest import read_table
from pig.data.store import PairDataset, Store
from pig.system.errors import UserError
from pig.system.files import atomic_path


def make_folds(manifest: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Deal the patients of ``manifest`` into ``count`` folds.

    With a column ``density`` the folds get alike shares of each density (scikit-learn's StratifiedGroupKFold;
    rows without a density count as one of their own); without it, or where no density has as many rows as
    there are folds, or where that would leave a fold empty, the patients are dealt at random in equal numbers
    (GroupKFold).

    Args:
        manifest: one row per image, with ``patient_id``.
        count: the number of folds, from 2 to the number of patients.
        seed: of the shuffling; the same table and seed give the same folds.

    Returns:
        ``patient_id`` and ``fold`` (0 .. count - 1), one row per patient, sorted by patient. Every fold has a
        patient.

    Raises:
        UserError: ``count`` is less than 2 or more than the number of patients.
    """
    patients = manifest["patient_id"].to_numpy(dtype=object)
    number = len(set(patients))
    if count < 2:
        raise UserError(f"folds.count is {count}; a cross-validation needs at least 2 folds.")
    if count > number:
        raise UserError(
            f"folds.count is {count}, and the data have {number} patient{'s' * (number != 1)}; "
            "ask for at most as many folds as patients, or add patients."
        )
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    density = manifest.get("density", pd.Series("", index=manifest.index)).fillna("").astype(str)
    # StratifiedGroupKFold refuses to make more folds than its largest stratum has rows.
    stratify = "density" in manifest and density.value_counts().max() >= count
    fold_of: dict[Any, int] = {}
    for kind in (StratifiedGroupKFold, GroupKFold) if stratify else (GroupKFold,):
        if len({*fold_of.values()}) < count:
            parts = kind(count, shuffle=True, random_state=seed).split(np.zeros(len(density)), density, patients)
            fold_of = {patient: fold for fold, (_, test) in enumerate(parts) for patient in patients[test]}
    ordered = sorted(fold_of)
    return pd.DataFrame({"patient_id": ordered, "fold": [fold_of[patient] for patient in ordered]})


def refuse_without_lesion(fold_of: NDArray[np.integer[Any]], has_lesion: Callable[[int], bool]) -> None:
    """Refuse folds in which nobody has a lesion.

    Where such a fold is tested, Dice counts false positives alone and is 1 for a network that finds nothing. Where
    only one fold has lesions, there is none to learn from when it is tested.

    Args:
        fold_of: the fold of each row.
        has_lesion: whether a row has a lesion; called until each fold has one.

    Raises:
        UserError: a fold has none.
    """
    count = int(fold_of.max()) + 1
    present = [any(map(has_lesion, np.flatnonzero(fold_of == fold).tolist())) for fold in range(count)]
    if all(present):
        return
    bare = [str(fold) for fold, found in enumerate(present) if not found]
    alone = " The other fold has all lesions, and would be tested by networks that saw none." * (sum(present) == 1)
    raise UserError(
        f"Fold{'s' * (len(bare) > 1)} {', '.join(bare)} of {len(present)} ha{'ve' if len(bare) > 1 else 's'} no image "
        f"with a lesion: Dice there would count false positives alone.{alone} Choose another folds.seed, a smaller "
        "folds.count, or add patients with lesions."
    )


def checksum_file(path: str | Path) -> Path:
    """Return the name of the checksum beside a table of folds, which ``sha256sum -c`` understands."""
    return Path(f"{path}.sha256")


def write_folds(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table of folds as CSV, with its checksum beside it: a changed digit would be another deal."""
    path = Path(path)
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        with atomic_path(checksum_file(path)) as checksum:
            checksum.write_text(f"{digest}  {path.name}\n", encoding="utf-8")


def read_folds(path: str | Path) -> pd.DataFrame:
    """Read a table of folds.

    Returns:
        ``patient_id`` (text) and ``fold`` (int64).

    Raises:
        UserError: a column is missing, a cell is empty, a fold is no whole number, a patient stands in two
            rows, the folds are not numbered 0, 1, 2, ... without a gap, or there is a checksum beside the table
            and it is not that of the table.
    """
    table = read_table(path)
    checksum = checksum_file(path)
    if checksum.exists() and checksum.read_bytes().split()[:1] != [_digest(Path(path))]:
        raise UserError(
            f"{path} is damaged, or was changed after it was written: it does not fit {checksum}; delete both and run "
            "`pig folds` again. If the change was meant, delete the checksum alone."
        )
    for name in ("patient_id", "fold"):
        if name not in table.columns:
            raise UserError(f"{path} lacks the column {name}; make it with `pig folds`.")
        if table[name].isna().any():
            raise UserError(f"{path} has rows without a {name}; give each patient a fold.")
    if not pd.api.types.is_integer_dtype(table["fold"]):
        raise UserError(f"{path}: the column fold must hold whole numbers: 0, 1, 2, ...")
    repeated = sorted(set(table["patient_id"][table["patient_id"].duplicated()]))
    if repeated:
        raise UserError(f"{path} lists patient {', '.join(repeated)} more than once; a patient has one fold.")
    found = sorted(set(table["fold"]))
    if len(found) < 2 or found != list(range(len(found))):
        raise UserError(f"{path} has the folds {found}; at least two, numbered 0, 1, 2, ..., are needed.")
    return table[["patient_id", "fold"]]


def split(store: Store, folds: pd.DataFrame, fold: int) -> tuple[PairDataset, PairDataset]:
    """Return the (training, test) pairs of ``fold`` at the store's size: its own patients are the test set.

    Raises:
        UserError: there is no such fold, store and folds do not name the same patients, or a fold has no lesion.
    """
    count = int(folds["fold"].max()) + 1
    if not 0 <= fold < count:
        raise UserError(f"There is no fold {fold}; the folds are numbered from 0 to {count - 1}.")
    fold_of = dict(zip(folds["patient_id"], folds["fold"], strict=True))
    patients = store.manifest["patient_id"]
    for lacking, names in (
        ("The table of folds", set(patients) - set(fold_of)),
        (f"The store {store.path}", set(fold_of) - set(patients)),
    ):
        if names:
            raise UserError(
                f"{lacking} lacks {len(names)} patient{'s' * (len(names) > 1)} ({_some(names)}): store and "
                "folds belong to different data; make the folds of this store with `pig folds`."
            )
    folds_of_rows = patients.map(fold_of).to_numpy()
    refuse_without_lesion(folds_of_rows, lambda row: bool(store.masks[row].any()))
    tested = folds_of_rows == fold
    return (
        PairDataset(store, np.flatnonzero(~tested), store.size),
        PairDataset(store, np.flatnonzero(tested), store.size),
    )


def some_patients(pairs: PairDataset, share: float, seed: int) -> PairDataset:
    """Return the pairs of a share of the patients, at least one if it is above 0; a larger share holds a smaller one.

    Args:
        pairs: of all of them.
        share: in [0, 1]; the number of patients is rounded to the nearest.
        seed: of the order in which patients are taken.
    """
    count = max(round(share * len(pairs.patients)), int(share > 0))
    chosen = np.random.default_rng(seed).permutation(pairs.patients)[:count]
    of_chosen = pairs.store.manifest["patient_id"].iloc[pairs.rows].isin(chosen).to_numpy()
    return PairDataset(pairs.store, pairs.rows[of_chosen], pairs.image_size)


def _some(names: set[str], most: int = 5) -> str:
    listed = ", ".join(sorted(names)[:most])
    return listed if len(names) <= most else f"{listed}, ..."


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).hexdigest().encode()
