"""Train a generator on the training patients of a fold."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from pig.data.all_pairs import all_pairs
from pig.data.digests import digests
from pig.data.folds import read_folds, split
from pig.data.store import Store
from pig.methods.base import Identity, with_channels
from pig.methods.model_folder import DESCRIPTION, classes_in, read_description
from pig.system.files import atomic_directory, refuse_loss, sha256, write_sealed
from pig.system.imports import find_class
from pig.system.run_record import run_record
from pig.system.seeds import seed_of
from pig.system.source import module_of, source_hash
from pig.training.checkpoint import remove_checkpoints
from pig.training.run import TrainingRun, fingerprint
from pig.training.team import team

logger = logging.getLogger("pig")


def fit(
    *,
    store: Path,
    folds: Path,
    fold: int,
    name: str,
    cls: str,
    model: Mapping[str, Any],
    sampling: Mapping[str, Any] | None = None,
    seed: int,
    needs: Sequence[tuple[str, Path]] = (),
    leaky: bool = False,
    work: Path,
    out: Path,
) -> None:
    """Train one generator, or a part of one, on the training patients of a fold; write its model folder.

    In each of several processes (see :mod:`pig.training.team`) the same call trains it together; the first writes the
    folder.

    Args:
        store: folder of the preprocessed pairs.
        folds: the table of folds.
        fold: whose patients are left out.
        name: of the generator in the configuration.
        cls: its import path.
        model: its settings.
        sampling: its settings of sampling, checked before the training and recorded for who loads the model. Nothing
            that is learnt depends on them, and a checkpoint of others is resumed.
        seed: of the study.
        needs: roles and model folders of the trained parts it builds on.
        leaky: whether to learn from all patients, also from those of the fold: for a control that is marked as such.
        work: folder of rolling checkpoints, which are removed at the end; those put aside stay.
        out: the model folder.

    Raises:
        UserError: settings, data or parts are wrong, or ``out`` holds something else than a model.
    """
    refuse_loss(out, DESCRIPTION)
    us = team()  # takes the device of this process, before anything is put on one
    opened, parts = Store.open(store), dict(needs)
    train_pairs, _ = split(opened, read_folds(folds), fold)
    if leaky:
        train_pairs = all_pairs(opened)
    patients = set(train_pairs.patients)
    described = {role: read_description(part) for role, part in parts.items()}  # hashes the weights of each part
    for part in described.values():
        patients |= set(part["patients"])
    torch.manual_seed(seed_of(seed, fold, name, "initial weights"))
    generator = find_class(cls)(with_channels(model, opened.channels), sampling or {})
    generator.identity = Identity(name, fold, seed)
    started = time.monotonic()  # all that is slow to import is in
    classes = [cls, *(path for part in parts.values() for path in classes_in(part))]
    code = ["pig.steps.fit", *map(module_of, classes)]
    mark = fingerprint(
        code,
        data=opened.fingerprint,
        patients=train_pairs.patients,
        cls=cls,
        model=model,
        seed=seed,
        needs={role: part["files"] for role, part in described.items()},
    )
    run = TrainingRun(work, fold, seed, mark, parts)
    generator.fit(train_pairs, run)
    if us.rank > 0:
        return
    with atomic_directory(out, DESCRIPTION) as folder:
        generator.save(folder)
        files = {str(file.relative_to(folder)): sha256(file) for file in sorted(folder.rglob("*")) if file.is_file()}
        description = {
            "name": name,
            "class": cls,
            "model": model,
            "image_channels": opened.channels,
            "sampling": dict(sampling or {}),
            "fold": fold,
            "seed": seed,
            "patients": sorted(patients),
            "leaky": leaky,
            "data": opened.fingerprint,
            "files": files,
            "step": {
                "options": {
                    "store": str(store),
                    "folds": str(folds),
                    "needs": {role: str(part / DESCRIPTION) for role, part in parts.items()},
                },
                "inputs": digests(store, folds, *(part / DESCRIPTION for part in parts.values())),
                "classes": classes,
            },
            "record": run_record(
                started,
                code=source_hash(*code),
                pairs=len(train_pairs),
                images=run.images,
                earlier_s=run.earlier_s,
                processes=us.size,
            ),
        }
        write_sealed(folder / DESCRIPTION, description)
    remove_checkpoints(work, mark)
    logger.info("%s of fold %d is trained: %s", name, fold, out)
