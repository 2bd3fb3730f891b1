"""The downstream task: a U-Net learns lesions from real pairs and what an arm adds to them, and is tested on real ones.

Every arm of a study gets the same number of steps, the same batch size, the same first weights for a seed and
fold, and its last (averaged) weights: nothing is chosen by looking at the test patients.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pig.data.shards import Synthetic
from pig.data.store import PairDataset
from pig.evaluation.arm_pairs import ArmPairs
from pig.evaluation.augmentation import augment
from pig.evaluation.boundary import boundary_scores
from pig.evaluation.lesions import lesion_counts
from pig.evaluation.overlap import confusion_counts
from pig.evaluation.segmenter import build_network, find_lesions
from pig.evaluation.settings import SegmentationSettings, share_errors
from pig.methods.model_folder import save_weights
from pig.system.device import pick_device
from pig.system.files import atomic_directory, refuse_loss, sha256, write_sealed
from pig.system.progress import track
from pig.system.run_record import run_record
from pig.system.seeds import seed_of
from pig.system.settings import refuse
from pig.system.source import source_hash
from pig.training.batches import Pool, shuffled
from pig.training.checkpoint import remove_checkpoints
from pig.training.loop import train
from pig.training.run import TrainingRun, fingerprint

CODE = "pig.evaluation.segmentation"  # with all that it imports
TESTED = {"slices.csv": "of the test fold", "new_patients.csv": "of new patients"}  # who is counted in which file
MARKS = ("record.json", *TESTED)  # by which the folder of a segmentation is known


class JoinedPools:
    """The pairs of several pools, one after another."""

    def __init__(self, *parts: Pool) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return images and masks in the order of ``positions``."""
        owner = np.searchsorted(self.ends, positions, side="right")
        drawn = []
        for index in np.unique(owner):
            first = self.ends[index] - len(self.parts[index])
            drawn.append(self.parts[index].batch(positions[owner == index] - first))
        back = torch.from_numpy(np.argsort(np.argsort(owner, kind="stable")))
        images, masks = (torch.cat(tensors)[back] for tensors in zip(*drawn, strict=True))
        return images, masks


def mixed_batches(
    real: int, synthetic: int, batch_size: int, real_share: float, seed: int
) -> Callable[[int], np.ndarray]:
    """Return ``order(step)``: each batch with the same number of real pairs, the others synthetic.

    Real and synthetic pairs go through seeded epochs of their own. Positions 0 to ``real - 1`` are real ones.

    Raises:
        UserError: ``batch_size`` has no room for the share.
    """
    refuse(share_errors(real_share, batch_size))
    from_real = round(real_share * batch_size)
    synthetic_order = shuffled(synthetic, batch_size - from_real, seed_of(seed, "synthetic"))
    if from_real == 0:
        return lambda step: real + synthetic_order(step)
    real_order = shuffled(real, from_real, seed_of(seed, "real"))
    return lambda step: np.concatenate([real_order(step), real + synthetic_order(step)])


def dice_bce(logits: Tensor, masks: Tensor) -> Tensor:
    """Return soft Dice loss + binary cross-entropy, a scalar.

    segmentation-models-pytorch's ``DiceLoss`` pools the pixels of the whole batch, and is 0 for a batch
    without any lesion, whatever was predicted there: such a batch teaches through the cross-entropy alone.

    Args:
        logits: [N, 1, H, W].
        masks: float32 [N, 1, H, W] in {0, 1}.
    """
    from segmentation_models_pytorch.losses import DiceLoss

    logits = logits.float()  # bfloat16 under autocast
    dice: Tensor = DiceLoss("binary")(logits, masks)
    return dice + nn.functional.binary_cross_entropy_with_logits(logits, masks)


def count_pixels(network: nn.Module, pairs: Pool, batch_size: int) -> pd.DataFrame:
    """Segment all ``pairs`` in float32, at threshold 0.5, and count and measure at the size of ``pairs``.

    Returns:
        One row per pair, in their order; columns tp, fp, fn, tn; hd95, nsd; lesions, found, false_lesions.
    """
    network.to(pick_device()).eval()
    counts = []
    starts = range(0, len(pairs), batch_size)
    for start in track(starts, "test", len(starts), size=batch_size):
        images, masks = pairs.batch(np.arange(start, min(start + batch_size, len(pairs))))
        found, true = find_lesions(network, images), masks[:, 0].numpy() >= 0.5
        counts.append(count_masks(found, true))
    return pd.concat(counts, ignore_index=True)


def count_masks(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> pd.DataFrame:
    """Count the pixels of masks [N, H, W] that were found, and measure their outlines and lesions: a row for each."""
    return pd.concat([measure(found, true) for measure in (confusion_counts, boundary_scores, lesion_counts)], axis=1)


def write_counts(
    folder: Path, tested: Mapping[str, PairDataset], counts: Mapping[str, pd.DataFrame], fold: int, seed: int
) -> dict[str, str]:
    """Write the counts of each set with fold, seed, patient_id and slice, the row of the store, before them.

    Returns:
        The SHA-256 of each file, by its name.
    """
    for name, pairs in tested.items():
        patients = pairs.store.manifest["patient_id"].to_numpy()[pairs.rows]
        rows = pd.DataFrame({"fold": fold, "seed": seed, "patient_id": patients, "slice": pairs.rows})
        rows.join(counts[name]).to_csv(folder / name, index=False)
    return {name: sha256(folder / name) for name in tested}


def run_arm(
    *,
    train_pairs: PairDataset,
    synthetic: Synthetic | None,
    test_pairs: PairDataset,
    new_pairs: PairDataset | None = None,
    leaky: bool = False,
    settings: SegmentationSettings,
    fold: int,
    seed: int,
    work: Path,
    out: Path,
    step: Mapping[str, Any] | None = None,
) -> dict[str, pd.DataFrame]:
    """Train one arm on one fold with one seed, and write its counts on the test patients.

    Args:
        train_pairs: real pairs of the fold's training patients.
        synthetic: what the arm adds, see :mod:`pig.evaluation.added`; None for real data alone.
        test_pairs: real pairs of the fold's test patients.
        new_pairs: real pairs of patients who are in no fold, to be tested on too.
        leaky: see :class:`pig.evaluation.arm_pairs.ArmPairs`.
        settings: network and training.
        fold: whose patients are tested on.
        seed: of the first weights and of the order of the pairs.
        work: folder of rolling checkpoints, from which an interrupted training goes on; they are removed at the end.
        out: folder to be written: ``model.safetensors``, ``record.json`` and ``slices.csv`` with the columns
            fold, seed, patient_id, slice and those of :func:`count_pixels`; ``slice`` is the row of the store, and the
            numbers are of pixels at ``settings.image_size``. ``new_patients.csv`` has the same of ``new_pairs``,
            if there are any.
        step: how ``pig segment`` was asked for this, for the record; None: it was not.

    Returns:
        The counts of the slices that were tested on, by the name of their file.

    Raises:
        UserError: a test patient is among the training pairs; the synthetic ones may leak, have no masks, or were
            learnt from other data; a real lesion, also one to be tested on, vanishes at ``settings.image_size``; or
            ``out`` holds something else than a segmentation.
    """
    refuse_loss(out, *MARKS)
    pairs_of_arm = ArmPairs(train_pairs, synthetic, test_pairs, new_pairs, leaky)
    pairs_of_arm.refuse_leaks(fold)
    tested = pairs_of_arm.tested(settings.image_size)

    # Real pairs come first in the pool; without synthetic ones it is theirs alone.
    real = train_pairs.at(settings.image_size)
    pool, order = JoinedPools(real), None
    if synthetic is not None:
        made = synthetic.pool(settings.image_size)
        pool = JoinedPools(real, made)
        if settings.real_share is not None:
            order = mixed_batches(
                len(real),
                len(made),
                settings.training.batch_size,
                settings.real_share,
                seed_of(seed, fold, "segmentation", "order"),
            )

    network = build_network(settings, seed_of(seed, fold, "segmentation", "weights"), train_pairs.channels)
    started = time.monotonic()  # all that is slow to import is in

    def loss(images: Tensor, masks: Tensor, rng: torch.Generator) -> Tensor:
        images, masks = augment(images, masks, settings.augmentation, rng)
        return dice_bce(network(images), masks)

    mark = fingerprint([CODE], **pairs_of_arm.identity, settings=dataclasses.asdict(settings), seed=seed)
    run = TrainingRun(work, fold, seed, mark)
    training = settings.training_with(len(real), len(pool) - len(real))
    trained = train({"segmentation": network}, {"segmentation": loss}, pool, training, run, "segmentation", order)[
        "segmentation"
    ]
    counts = {name: count_pixels(trained, pairs, settings.training.batch_size) for name, pairs in tested.items()}

    with atomic_directory(out, *MARKS) as folder:
        tables = write_counts(folder, tested, counts, fold, seed)
        save_weights(folder, model=trained)
        record = run_record(
            started,
            images=run.images,
            earlier_s=run.earlier_s,
            fold=fold,
            seed=seed,
            settings=dataclasses.asdict(settings),
            **pairs_of_arm.for_record(),
            preprocessing=dataclasses.asdict(prepared) if (prepared := train_pairs.store.preprocessing) else None,
            step=step,
            code=source_hash(CODE),
            sha256=sha256(folder / "model.safetensors"),
            tables=tables,
        )
        write_sealed(folder / "record.json", record)
    remove_checkpoints(work, mark)
    return counts
