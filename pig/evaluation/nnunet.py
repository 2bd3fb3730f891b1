"""nnU-Net v2 as another network of the downstream task: does an arm's gain depend on the network?

Planner, preprocessing, augmentation, trainer and predictor are nnU-Net's own (configuration ``2d``; Isensee et al.
2021, Nature Methods 18, 203). It is optional: the package ``nnunetv2``.

Differs from nnU-Net's commands, because arms are compared here, and not tuned:

- The plan is made of the real pairs of all of the fold's training patients, whatever an arm adds or leaves out: all
  arms have one network, one patch and one batch size.
- All cases are trained on, and the last weights are used: no case is held out to choose an epoch by.
- ``epochs`` and ``iterations`` are the study's, the same for all arms.
- Random numbers are seeded at the start of each epoch. With one thread, in which nnU-Net augments in the process
  itself, a training on the CPU gives the same bits again, also one that was stopped between epochs.
"""

import dataclasses
import importlib.util
import logging
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pig.data.export import nnunet_description, write_case
from pig.data.layout import channels_of
from pig.data.store import PairDataset
from pig.evaluation.arm_pairs import ArmPairs
from pig.evaluation.segmentation import MARKS, count_masks, write_counts
from pig.evaluation.settings import NnunetSettings
from pig.system.device import pick_device
from pig.system.errors import UserError
from pig.system.files import atomic_directory, refuse_loss, sha256, write_json, write_sealed
from pig.system.progress import track
from pig.system.run_record import run_record
from pig.system.seeds import seed_of
from pig.system.source import source_hash
from pig.training.run import fingerprint

logger = logging.getLogger("pig")

CODE = "pig.evaluation.nnunet"  # with all that it imports
DATASET, NUMBER, PLANS, CONFIGURATION = "Dataset001_arm", 1, "nnUNetPlans", "2d"
TRAINED = Path("results", DATASET, f"nnUNetTrainer__{PLANS}__{CONFIGURATION}")  # below the work folder
MODEL = ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth")  # what nnU-Net needs of it to predict

Case = Sequence[NDArray[Any]]  # image uint16 [(3,) H, W] and mask {0, 1} [H, W]


def run_nnunet(
    pairs: ArmPairs,
    planned: PairDataset,
    settings: NnunetSettings,
    *,
    fold: int,
    seed: int,
    work: Path,
    out: Path,
    step: Mapping[str, Any] | None = None,
) -> dict[str, pd.DataFrame]:
    """Train nnU-Net on one arm of one fold with one seed, and write its counts on the test patients.

    Args:
        pairs: what the arm learns from and is tested on.
        planned: real pairs of all of the fold's training patients, among them those of ``pairs``.
        settings: length of the training, size of the pictures.
        fold: whose patients are tested on.
        seed: of first weights, order and augmentation.
        work: folder of nnU-Net's files; a stopped training goes on from its last epoch. It is removed at the end.
        out: folder to be written: ``slices.csv``, ``new_patients.csv`` and ``record.json`` as of
            :func:`pig.evaluation.segmentation.run_arm`, and ``model``, which ``nnUNetv2_predict_from_modelfolder -f 0``
            takes.
        step: how ``pig nnunet`` was asked for this, for the record.

    Returns:
        The counts of the slices that were tested on, by the name of their file.

    Raises:
        UserError: nnU-Net is not installed; or what :meth:`ArmPairs.refuse_leaks` raises.
    """
    refuse_loss(out, *MARKS)
    pairs.refuse_leaks(fold)
    size = settings.image_size
    tested = pairs.tested(size)
    real = pairs.train_pairs.at(size)
    added = None if pairs.synthetic is None else pairs.synthetic.pool(size)
    mark = fingerprint([CODE], **pairs.identity, settings=dataclasses.asdict(settings), seed=seed)
    place = _own_place(work, mark)
    started = time.monotonic()
    if not (place / "prepared").exists():
        drawn = () if added is None else zip(added.images, added.masks[:], strict=True)
        cases = _cases(real) | {f"added_{index:06d}": list(pair) for index, pair in enumerate(drawn)}
        _prepare(place, _cases(planned.at(size)), cases)
    trainer = _train(place, settings, lambda epoch: seed_of(seed, fold, "nnunet", epoch))
    counts = {name: _count(place, part, name) for name, part in tested.items()}

    with atomic_directory(out, *MARKS) as folder:
        tables = write_counts(folder, tested, counts, fold, seed)
        for file in MODEL:
            (folder / "model" / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / TRAINED / file, folder / "model" / file)
        record = run_record(
            started,
            engine="nnunet",
            images=settings.epochs * settings.iterations * trainer.configuration_manager.batch_size,
            fold=fold,
            seed=seed,
            settings=dataclasses.asdict(settings),
            **pairs.for_record(),
            step=step,
            code=source_hash(CODE),
            sha256=sha256(folder / "model" / MODEL[-1]),
            tables=tables,
        )
        write_sealed(folder / "record.json", record)
    shutil.rmtree(work)
    return counts


def _own_place(work: Path, mark: str) -> Path:
    """Return where nnU-Net keeps the files of this training, and tell it so before it is imported.

    Raises:
        UserError: it is not installed.
    """
    if importlib.util.find_spec("nnunetv2") is None:
        raise UserError(
            "nnU-Net is not installed; install it beside pig: pip install 'nnunetv2>=2.8,<3'. No other result needs it."
        )
    place = work / mark[:16]
    for name in ("raw", "preprocessed", "results"):
        (place / name).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str((place / name).resolve())
    return place


def _cases(pairs: PairDataset) -> dict[str, Case]:
    """Return image and mask of each pair, by a name with its row of the store."""
    return {f"real_{row:06d}": pair for row, *pair in zip(pairs.rows.tolist(), *pairs.pixels(), strict=True)}


def _prepare(place: Path, planned: Mapping[str, Case], cases: Mapping[str, Case]) -> None:
    """Let nnU-Net plan on ``planned``, and preprocess ``cases`` by that plan."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    os.environ.update(nnUNet_n_proc_DA="1")  # the planner cannot do with 0
    raw, prepared = place / "raw" / DATASET, place / "preprocessed" / DATASET
    _write(raw, planned)
    extract_fingerprints([NUMBER], num_processes=1, check_dataset_integrity=True)
    plan_experiments([NUMBER])
    _write(raw, cases)
    shutil.copyfile(raw / "dataset.json", prepared / "dataset.json")
    preprocess([NUMBER], PLANS, (CONFIGURATION,), (1,))
    everything = sorted(cases)  # "val" is what nnU-Net prints its progress by, of one batch an epoch
    write_json(prepared / "splits_final.json", [{"train": everything, "val": everything}])
    (place / "prepared").touch()


def _write(raw: Path, cases: Mapping[str, Case]) -> None:
    """Write cases as a raw data set of nnU-Net; any that is there goes."""
    shutil.rmtree(raw, ignore_errors=True)
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    for name, (image, mask) in cases.items():
        write_case(raw, name, image, mask)
    first, _ = next(iter(cases.values()))
    write_json(raw / "dataset.json", nnunet_description(channels_of(first[None]), len(cases)))


def _train(place: Path, settings: NnunetSettings, seed_of_epoch: Callable[[int], int]) -> Any:
    """Train, or go on with a training that was stopped; return nnU-Net's trainer."""
    from nnunetv2.run.run_training import get_trainer_from_args

    # One thread: in this process. More: so many processes beside it, in whose order nothing is the same again.
    os.environ.update(nnUNet_n_proc_DA=str(torch.get_num_threads() - 1))
    _seed(seed_of_epoch(-1))
    trainer = get_trainer_from_args(str(NUMBER), CONFIGURATION, 0, device=pick_device())
    trainer.num_epochs, trainer.num_iterations_per_epoch = settings.epochs, settings.iterations
    trainer.num_val_iterations_per_epoch = 1
    trainer.save_every = 1
    begin = trainer.on_epoch_start

    def begin_seeded() -> None:
        _seed(seed_of_epoch(trainer.current_epoch))
        begin()

    trainer.on_epoch_start = begin_seeded
    latest = place / TRAINED / "fold_0" / "checkpoint_latest.pth"
    done = place / "trained"  # nnU-Net's last checkpoint may be half-written
    if done.exists():
        return trainer
    if latest.exists():
        try:
            trainer.load_checkpoint(str(latest))
        except Exception as error:  # whatever a half-written pickle raises
            logger.warning("%s cannot be read (%r); the training begins again", latest, error)
            shutil.rmtree(place / TRAINED)
            return _train(place, settings, seed_of_epoch)
    trainer.run_training()
    done.touch()
    return trainer


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _count(place: Path, pairs: PairDataset, name: str) -> pd.DataFrame:
    """Segment ``pairs`` by nnU-Net's predictor, with its test-time mirroring, and count."""
    from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=pick_device(), perform_everything_on_device=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(place / TRAINED), use_folds=(0,))
    folder = place / name
    images, masks = pairs.pixels()
    found = []
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    for image, mask in track(zip(images, masks, strict=True), "test", len(images)):
        write_case(folder, "case", image, mask)  # as the training pictures were, in type and range
        pixels, properties = NaturalImage2DIO().read_images([str(folder / "imagesTr" / "case_0000.png")])
        found.append(predictor.predict_single_npy_array(pixels, properties)[0] == 1)
    return count_masks(np.stack(found), masks.astype(bool))
