import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from disc_study import settings
from discs import discs
from safetensors.torch import load_file
from torch import Tensor

from pig.data.folds import split
from pig.data.shards import Synthetic
from pig.data.store import PairDataset, Store, allocate, complete
from pig.evaluation import segmentation
from pig.evaluation.arm_pairs import check_no_leak
from pig.evaluation.overlap import overlap_scores
from pig.evaluation.segmentation import JoinedPools, count_pixels, dice_bce, mixed_batches, run_arm
from pig.evaluation.segmenter import load_segmenter
from pig.report.slices import SLICE_COLUMNS, read_slices
from pig.system.errors import UserError

Split = tuple[PairDataset, PairDataset]


class Numbers:
    """A pool whose pair at position i is an image of the number first + i."""

    def __init__(self, first: int, count: int) -> None:
        self.first, self.count = first, count

    def __len__(self) -> int:
        return self.count

    def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
        assert (positions >= 0).all() and (positions < self.count).all()
        images = torch.from_numpy(positions + self.first).float()[:, None, None, None]
        return images, -images


# Pools and batches


def test_joined_pools_keep_the_order_of_the_positions() -> None:
    pool = JoinedPools(Numbers(0, 3), Numbers(100, 1), Numbers(200, 4))
    assert len(pool) == 8
    images, masks = pool.batch(np.array([7, 0, 3, 4, 2, 3, 0]))
    assert images.flatten().tolist() == [203, 0, 100, 200, 2, 100, 0]
    assert torch.equal(masks, -images)


def test_joined_pools_keep_the_order_of_a_large_batch() -> None:
    pool = JoinedPools(Numbers(0, 100), Numbers(100, 100))
    positions = np.random.default_rng(0).permutation(200)
    assert pool.batch(positions)[0].flatten().tolist() == positions.tolist()


@pytest.mark.parametrize(("share", "expected"), [(0.25, 2), (0.5, 4), (0.875, 7), (0.0, 0)])
def test_mixed_batches_hold_the_share_and_cover_both_sets(share: float, expected: int) -> None:
    order = mixed_batches(real=10, synthetic=30, batch_size=8, real_share=share, seed=3)
    batches = [order(step) for step in range(40)]
    for batch in batches:
        assert len(batch) == 8 and (batch < 10).sum() == expected and batch.max() < 40
    drawn = np.concatenate(batches)
    real, synthetic = np.bincount(drawn, minlength=40)[:10], np.bincount(drawn, minlength=40)[10:]
    assert np.ptp(real) <= 1 and np.ptp(synthetic) <= 1  # epochs: none is drawn twice before all are drawn once


def test_mixed_batches_depend_on_seed_and_step_alone() -> None:
    order = mixed_batches(10, 30, 8, 0.5, seed=3)
    again = mixed_batches(10, 30, 8, 0.5, seed=3)
    other = mixed_batches(10, 30, 8, 0.5, seed=4)
    np.testing.assert_array_equal(order(9), again(9))  # without the steps before
    assert not np.array_equal(order(0), other(0))


@pytest.mark.parametrize(("share", "batch_size"), [(0.01, 8), (0.99, 8), (0.5, 1)])
def test_a_share_without_room_is_refused(share: float, batch_size: int) -> None:
    with pytest.raises(UserError, match="real_share"):
        mixed_batches(10, 30, batch_size, share, seed=0)


# Loss


def test_loss_by_hand() -> None:
    logits = torch.tensor([0.0, 0.0, math.log(3), -math.log(3)]).reshape(1, 1, 2, 2)  # p = 1/2, 1/2, 3/4, 1/4
    masks = torch.tensor([1.0, 0.0, 1.0, 0.0]).reshape(1, 1, 2, 2)
    dice = 1 - 2 * (1 / 2 + 3 / 4) / (2 + 2)
    bce = -(math.log(1 / 2) + math.log(1 / 2) + math.log(3 / 4) + math.log(3 / 4)) / 4
    assert dice_bce(logits, masks).item() == pytest.approx(dice + bce, rel=1e-6)


def test_a_batch_without_lesions_still_teaches() -> None:
    empty = torch.zeros(2, 1, 4, 4)
    assert dice_bce(empty + 3, empty).item() == pytest.approx(math.log1p(math.exp(3)), rel=1e-6)  # BCE alone
    logits = torch.full((2, 1, 4, 4), 3.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(dice_bce(logits, empty), logits)
    assert (gradient > 0).all()


# Counts


def test_counts_of_a_known_network() -> None:
    """A network that calls bright pixels a lesion, tested against masks that are drawn by hand."""

    class Pool:
        def __len__(self) -> int:
            return 3

        def batch(self, positions: np.ndarray) -> tuple[Tensor, Tensor]:
            images = torch.tensor([[[1.0, 1], [-1, 0]], [[-1, -1], [-1, -1]], [[1, 1], [1, 1]]])[:, None]
            masks = torch.tensor([[[1.0, 0], [1, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 1]]])[:, None]
            return images[positions], masks[positions]

    counts = count_pixels(torch.nn.Identity(), Pool(), batch_size=2)
    # sigmoid(0) = 0.5 counts as lesion
    assert counts[["tp", "fp", "fn", "tn"]].to_numpy().tolist() == [[1, 2, 1, 0], [0, 0, 0, 4], [1, 3, 0, 0]]
    assert counts[["lesions", "found", "false_lesions"]].to_numpy().tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 0]]
    # Second slice: nothing there, nothing found. Third: three of four pixels are 1, 1 and sqrt 2 from the lesion's.
    assert counts.nsd.tolist() == [1, 1, 4 / 5]
    far = 1 + 0.85 * (math.sqrt(2) - 1)  # 0, 1, 1, sqrt 2: the 95th percentile is at 2.85 of 0..3
    assert counts.hd95.tolist() == [1, 0, pytest.approx(far)]


# Leaks


def shard(**changes: object) -> dict[str, object]:
    return {"generator": "toy", "fold": 1, "patients": ["a", "b"], **changes}


def test_clean_synthetic_pairs_pass() -> None:
    check_no_leak([shard(), shard()], ["c", "d"], 1)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (shard(patients=["a", "c"]), "'toy'.*c"),
        (shard(fold=0), "'toy' are of fold 0, but fold 1"),
        (shard(patients=[]), "cannot be ruled out"),
        ({"generator": "toy", "fold": 1}, "cannot be ruled out"),
        ({"generator": "toy", "patients": ["a"]}, "cannot be ruled out"),
    ],
)
def test_a_leak_in_any_shard_is_refused(bad: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_no_leak([shard(), bad], ["c", "d"], 1)


def test_a_leaky_control_alone_may_have_seen_the_test_patients() -> None:
    """Both must say so: the pairs, and who asks for the arm."""
    seen = shard(patients=["a", "c"], leaky=True)
    check_no_leak([seen, seen], ["c", "d"], 1, leaky=True)
    for bad, words in (
        (shard(patients=["a", "c"]), "'toy' are none of a leaky control"),
        (shard(patients=["a"]), "'toy' are none of a leaky control"),
        (seen | {"fold": 0}, "'toy' are of fold 0, but fold 1"),
    ):
        with pytest.raises(UserError, match=words):
            check_no_leak([seen, bad], ["c", "d"], 1, leaky=True)
    with pytest.raises(UserError, match="'toy' learnt from patient c"):
        check_no_leak([seen], ["c", "d"], 1)


def test_segment_refuses_leaks_before_any_work(pairs: Split, synthetic: Synthetic, tmp_path: Path) -> None:
    train_pairs, test_pairs = pairs
    work, out = tmp_path / "work", tmp_path / "out"
    synthetic.provenance[0]["patients"] = ["p0", "p3"]
    with pytest.raises(UserError, match="p3"):
        run_arm(
            train_pairs=train_pairs,
            synthetic=synthetic,
            test_pairs=test_pairs,
            settings=settings(),
            fold=1,
            seed=0,
            work=work,
            out=out,
        )
    with pytest.raises(UserError, match="real training pairs"):
        run_arm(
            train_pairs=test_pairs,
            synthetic=None,
            test_pairs=test_pairs,
            settings=settings(),
            fold=1,
            seed=0,
            work=work,
            out=out,
        )
    synthetic.provenance[0]["patients"] = ["p0"]
    synthetic.provenance[0]["data"] = "other"
    with pytest.raises(UserError, match="learnt from other data than those of"):
        run_arm(
            train_pairs=train_pairs,
            synthetic=synthetic,
            test_pairs=test_pairs,
            settings=settings(),
            fold=1,
            seed=0,
            work=work,
            out=out,
        )
    synthetic.provenance[0]["data"] = train_pairs.store.fingerprint
    synthetic.masks = None
    with pytest.raises(UserError, match="without masks"):
        run_arm(
            train_pairs=train_pairs,
            synthetic=synthetic,
            test_pairs=test_pairs,
            settings=settings(),
            fold=1,
            seed=0,
            work=work,
            out=out,
        )
    assert not out.exists() and not work.exists()


# Whole runs


def test_slices_hold_counts_of_every_test_slice(segmented: Path, pairs: Split, store: Store) -> None:
    slices = pd.read_csv(segmented / "slices.csv")
    assert list(slices.columns) == list(SLICE_COLUMNS)
    assert (slices.fold == 1).all() and (slices.seed == 5).all()
    assert slices.slice.tolist() == pairs[1].rows.tolist()
    assert slices.patient_id.tolist() == store.manifest.patient_id[pairs[1].rows].tolist()
    assert (slices.tp + slices.fn).tolist() == store.masks[pairs[1].rows].sum(axis=(1, 2)).tolist()
    assert (slices[["tp", "fp", "fn", "tn"]].sum(axis=1) == 32 * 32).all()
    assert overlap_scores(slices).dice.mean() > 0.8  # of discs that a threshold would find
    assert not (segmented.parent / "work").exists()


def test_the_written_model_gives_the_written_counts(segmented: Path, pairs: Split) -> None:
    network, stored, record = load_segmenter(segmented)
    assert stored.image_size == 32 and record["synthetic_pairs"] == 0 and record["real_pairs"] == 20
    assert record["test_patients"] == ["p1", "p3", "p5", "p7", "p9"]
    slices = pd.read_csv(segmented / "slices.csv")
    counts = count_pixels(network, pairs[1].at(stored.image_size), 8)
    pd.testing.assert_frame_equal(counts, slices[list(SLICE_COLUMNS[4:])], check_exact=True)


def test_a_changed_measure_is_noticed(segmented: Path, tmp_path: Path) -> None:
    """By its record: no other arm knows how far an outline is off."""
    for name in ("slices.csv", "record.json"):
        shutil.copy(segmented / name, tmp_path)
    rows = read_slices([tmp_path / "slices.csv"])
    assert rows.nsd.between(0, 1).all() and (rows.found <= rows.lesions).all() and (rows.lesions == 1).all()
    text = (tmp_path / "slices.csv").read_text()
    changed = text[:-2] + str((int(text[-2]) + 1) % 10) + "\n"  # false_lesions of the last slice
    (tmp_path / "slices.csv").write_text(changed)
    with pytest.raises(UserError, match=r"slices\.csv is damaged, or was changed .* does not fit .*record\.json"):
        read_slices([tmp_path / "slices.csv"])


def test_an_interrupted_run_gives_the_same_weights(
    pairs: Split, synthetic: Synthetic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_pairs, test_pairs = pairs
    chosen = settings(real_share=0.5)
    run_arm(
        train_pairs=train_pairs,
        synthetic=synthetic,
        test_pairs=test_pairs,
        settings=chosen,
        fold=1,
        seed=0,
        work=tmp_path / "work1",
        out=tmp_path / "whole",
    )

    calls = 0

    def failing(logits: Tensor, masks: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:  # a checkpoint was written after step 2
            raise KeyboardInterrupt
        return dice_bce(logits, masks)

    monkeypatch.setattr(segmentation, "dice_bce", failing)
    with pytest.raises(KeyboardInterrupt):
        run_arm(
            train_pairs=train_pairs,
            synthetic=synthetic,
            test_pairs=test_pairs,
            settings=chosen,
            fold=1,
            seed=0,
            work=tmp_path / "work2",
            out=tmp_path / "resumed",
        )
    assert not (tmp_path / "resumed").exists()
    calls = 10
    run_arm(
        train_pairs=train_pairs,
        synthetic=synthetic,
        test_pairs=test_pairs,
        settings=chosen,
        fold=1,
        seed=0,
        work=tmp_path / "work2",
        out=tmp_path / "resumed",
    )
    assert calls == 12  # two steps were left
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert (tmp_path / "whole/slices.csv").read_text() == (tmp_path / "resumed/slices.csv").read_text()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs each step of a training has taken so far."""
    taken: list[int] = []

    def counting(logits: Tensor, masks: Tensor) -> Tensor:
        taken.append(len(logits))
        return dice_bce(logits, masks)

    monkeypatch.setattr(segmentation, "dice_bce", counting)
    return taken


@pytest.mark.parametrize("real_share", [None, 0.5])
def test_every_arm_takes_the_same_number_of_steps_and_pairs(
    pairs: Split, synthetic: Synthetic, tmp_path: Path, seen: list[int], real_share: float | None
) -> None:
    for arm, extra in (("real", None), ("more", synthetic)):
        run_arm(
            train_pairs=pairs[0],
            synthetic=extra,
            test_pairs=pairs[1],
            settings=settings(real_share=real_share),
            fold=1,
            seed=0,
            work=tmp_path / "w",
            out=tmp_path / arm,
        )
        assert seen == [8, 8, 8, 8]
        seen.clear()
    record = json.loads((tmp_path / "more/record.json").read_text())
    assert (record["real_pairs"], record["synthetic_pairs"]) == (20, 24)
    assert record["synthetic"][0]["generator"] == "toy"


@pytest.mark.parametrize(("added", "steps"), [(False, 4), (True, 9)])  # 4 * (20 + 24) / 20 = 8.8
def test_with_a_budget_of_epochs_more_pairs_are_more_steps(
    pairs: Split, synthetic: Synthetic, tmp_path: Path, seen: list[int], added: bool, steps: int
) -> None:
    run_arm(
        train_pairs=pairs[0],
        synthetic=synthetic if added else None,
        test_pairs=pairs[1],
        settings=settings(budget="epochs"),
        fold=1,
        seed=0,
        work=tmp_path / "w",
        out=tmp_path / "out",
    )
    assert seen == [8] * steps
    record = json.loads((tmp_path / "out/record.json").read_text())
    assert (record["images"], record["settings"]["training"]["steps"]) == (8 * steps, 4)
    with pytest.raises(UserError, match="real_share: must be null with budget 'epochs'"):
        settings(budget="epochs", real_share=0.5)


def test_synthetic_pairs_of_another_size_are_resized(pairs: Split, synthetic: Synthetic, tmp_path: Path) -> None:
    synthetic.images, synthetic.masks = discs(24, seed=7, size=16)
    chosen = settings(image_size=24)
    run_arm(
        train_pairs=pairs[0],
        synthetic=synthetic,
        test_pairs=pairs[1],
        settings=chosen,
        fold=1,
        seed=0,
        work=tmp_path / "work",
        out=tmp_path / "out",
    )
    slices = pd.read_csv(tmp_path / "out/slices.csv")
    assert (slices[["tp", "fp", "fn", "tn"]].sum(axis=1) == 24 * 24).all()  # counts are at the segmentation's size


@pytest.mark.parametrize("tested", [0, 1])
def test_a_real_lesion_that_vanishes_stops_before_any_training(tmp_path: Path, tested: int) -> None:
    """Left in as an empty mask, it would score 1 for a network that finds nothing."""
    (tmp_path / "store").mkdir()
    images, masks = allocate(tmp_path / "store", 4, 64)
    images[:], masks[:] = discs(4, seed=0, size=64)
    masks[3] = 0
    masks[3, 32, 32] = 1
    table = pd.DataFrame({"image_path": "i", "mask_path": "m", "patient_id": list("abcd")})
    complete(tmp_path / "store", images, masks, table, "stretch")
    folds = pd.DataFrame({"patient_id": list("abcd"), "fold": [0, 0, 1, 1]})
    train, test = split(Store.open(tmp_path / "store"), folds, tested)
    with pytest.raises(UserError, match=r"1 of 2 pairs have a lesion that vanishes at 32 x 32 .*: row 5 \(patient d\)"):
        run_arm(
            train_pairs=train,
            synthetic=None,
            test_pairs=test,
            settings=settings(),
            fold=tested,
            seed=0,
            work=tmp_path / "work",
            out=tmp_path / "out",
        )
    assert not (tmp_path / "work").exists()
    assert not (tmp_path / "out").exists()
