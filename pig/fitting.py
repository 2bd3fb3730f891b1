"""From a fold's training patients to a finished model folder."""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from pig.checkpoint import remove_checkpoints
from pig.data.folds import read_folds, split
from pig.data.store import Store
from pig.files import atomic_directory, read_json, write_sealed
from pig.generator import DESCRIPTION, Identity, RunDirectory, find_class, read_description, sha256
from pig.record import run_record
from pig.seeds import seed_of
from pig.source import module_of, source_hash
from pig.team import team

logger = logging.getLogger("pig")


def fingerprint(code: Iterable[str], **parts: Any) -> str:
    """Return a hash of settings, data and code; a checkpoint of another one is not resumed.

    Args:
        code: the modules that train; those that they import are read too (see :mod:`pig.source`).
        parts: settings and data, as JSON can hold them.
    """
    text = json.dumps({**parts, "code": source_hash(*sorted({*code}))}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def classes_in(part: Path) -> list[str]:
    """Return the import paths of the classes in the model folder of a part: its own and those of its parts."""
    return sorted(read_json(file)["class"] for file in part.rglob(DESCRIPTION))


def fit(
    store: Path,
    folds: Path,
    fold: int,
    name: str,
    cls: str,
    model: Mapping[str, Any],
    seed: int,
    needs: Mapping[str, Path],
    work: Path,
    out: Path,
    sampling: Mapping[str, Any] | None = None,
) -> None:
    """Train one generator, or a part of one, on the training patients of a fold; write its model folder.

    In each of several processes (see :mod:`pig.team`) the same call trains it together; the first writes the folder.

    Args:
        store: folder of the preprocessed pairs.
        folds: the table of folds.
        fold: whose patients are left out.
        name: of the generator in the configuration.
        cls: its import path.
        model: its settings.
        seed: of the study.
        needs: model folders of the trained parts it builds on.
        work: folder of rolling checkpoints, which are removed at the end; those put aside stay.
        out: the model folder.
        sampling: its settings of sampling, checked before the training and recorded for who loads the model. Nothing
            that is learnt depends on them, and a checkpoint of others is resumed.

    Raises:
        UserError: settings, data or parts are wrong.
    """
    opened = Store.open(store)
    train_pairs, _ = split(opened, read_folds(folds), fold)
    patients = set(train_pairs.patients)
    described = {role: read_description(part) for role, part in needs.items()}  # hashes the weights of each part
    for part in described.values():
        patients |= set(part["patients"])
    torch.manual_seed(seed_of(seed, fold, name, "initial weights"))
    generator = find_class(cls)(model, sampling or {})
    generator.identity = Identity(name, fold, seed)
    started = time.monotonic()  # all that is slow to import is in
    mark = fingerprint(
        ["pig.fitting", *map(module_of, [cls, *(path for part in needs.values() for path in classes_in(part))])],
        data=opened.fingerprint,
        patients=train_pairs.patients,
        cls=cls,
        model=model,
        seed=seed,
        needs={role: part["files"] for role, part in described.items()},
    )
    generator.fit(train_pairs, RunDirectory(work, fold, seed, mark, needs))
    if team().rank > 0:
        return
    with atomic_directory(out) as folder:
        generator.save(folder)
        files = {str(file.relative_to(folder)): sha256(file) for file in sorted(folder.rglob("*")) if file.is_file()}
        description = {
            "name": name,
            "class": cls,
            "model": model,
            "sampling": dict(sampling or {}),
            "fold": fold,
            "seed": seed,
            "patients": sorted(patients),
            "data": opened.fingerprint,
            "files": files,
            "record": run_record(started, pairs=len(train_pairs), processes=team().size),
        }
        write_sealed(folder / DESCRIPTION, description)
    remove_checkpoints(work, mark)
    logger.info("%s of fold %d is trained: %s", name, fold, out)
