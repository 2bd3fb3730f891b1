"""The pairs of an arm in a fold: real ones, what is added to them, and those that it is tested on.

They are the same for every network of the downstream task. An arm whose training could have seen a patient that it is
tested on is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pig.data.all_pairs import all_pairs
from pig.data.digests import digests
from pig.data.folds import read_folds, some_patients, split
from pig.data.shards import Synthetic, read_shards, refuse_leak
from pig.data.store import PairDataset, Store
from pig.evaluation.added import new_patients, the_same_again, with_wrong_masks
from pig.evaluation.copy_paste import copy_paste
from pig.evaluation.kinds import Source
from pig.system.errors import UserError
from pig.system.seeds import seed_of


class ArmPairs(NamedTuple):
    """What an arm learns from and is tested on.

    Attributes:
        train_pairs: real pairs of the fold's training patients.
        synthetic: what the arm adds, see :mod:`pig.evaluation.added`; None for real data alone.
        test_pairs: real pairs of the fold's test patients.
        new_pairs: real pairs of patients who are in no fold, to be tested on too.
        leaky: see :func:`check_no_leak`; of the test fold alone, since no generator has seen new patients.
    """

    train_pairs: PairDataset
    synthetic: Synthetic | None
    test_pairs: PairDataset
    new_pairs: PairDataset | None = None
    leaky: bool = False

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """What the pairs that are added say of themselves."""
        return [] if self.synthetic is None else self.synthetic.provenance

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these training pairs from others, for :func:`pig.training.run.fingerprint`."""
        return {
            "data": self.train_pairs.store.fingerprint,
            "rows": self.train_pairs.rows.tolist(),
            "synthetic": 0 if self.synthetic is None else len(self.synthetic.images),
            "provenance": self.provenance,
        }

    def for_record(self) -> dict[str, Any]:
        """Return what the record of a trained network says of its pairs."""
        return {
            "image_channels": self.train_pairs.channels,
            "real_pairs": len(self.train_pairs),
            "synthetic_pairs": 0 if self.synthetic is None else len(self.synthetic.images),
            "train_patients": self.train_pairs.patients,
            "test_patients": self.test_pairs.patients,
            "leaky": self.leaky,
            "new_patients": [] if self.new_pairs is None else self.new_pairs.patients,
            "synthetic": [{key: shard[key] for key in shard if key != "patients"} for shard in self.provenance],
        }

    def tested(self, image_size: int) -> dict[str, PairDataset]:
        """Return what is tested on, at a size, by the name of the file of its counts."""
        new = {} if self.new_pairs is None else {"new_patients.csv": self.new_pairs.at(image_size)}
        return {"slices.csv": self.test_pairs.at(image_size)} | new

    def refuse_leaks(self, fold: int) -> None:
        """Refuse an arm that may have seen what it is to be tested on.

        Raises:
            UserError: a test patient is among the training pairs; the pairs that are added may leak, or were learnt
                from other data.
        """
        store = self.train_pairs.store
        for pairs in (self.test_pairs, *([] if self.new_pairs is None else [self.new_pairs])):
            refuse_leak(self.train_pairs.patients, pairs.patients, "the set of real training pairs")
            check_no_leak(self.provenance, pairs.patients, fold, self.leaky and pairs is self.test_pairs)
        if self.leaky and not self.provenance:
            raise UserError("--leaky is of the pairs of a generator, and none are given; leave it out.")
        for shard in self.provenance:
            if shard.get("data", store.fingerprint) != store.fingerprint:
                raise UserError(
                    f"the synthetic pairs of generator '{shard['generator']}' were learnt from other data than those "
                    f"of {store.path}; train the generator on these, and draw the pairs again."
                )


@dataclass(frozen=True)
class Asked:
    """How an arm's pairs were asked for: the options of ``pig segment`` and ``pig nnunet`` that name them.

    Attributes:
        store: folder of the preprocessed pairs.
        folds: table of folds.
        synthetic: shards of a generator of this fold, whose pairs are added.
        oracle: store of patients who are not among the study's, whose real pairs are added.
        source: of ``count`` pairs that are made of the real ones that are trained on, and added.
        count: how many pairs are added, the first ones; None: all.
        shuffle_masks: whether each added pair gets the mask of another.
        real: share of the training patients whose real pairs are trained on, in [0, 1].
        leaky: whether the shards are of a leaky control, whose generator has learnt from the test fold, too.
        test: store of patients who are not among the study's, to be tested on too.
    """

    store: Path
    folds: Path
    synthetic: Sequence[Path] | None = None
    oracle: Path | None = None
    source: Source | None = None
    count: int | None = None
    shuffle_masks: bool = False
    real: float = 1.0
    leaky: bool = False
    test: Path | None = None

    def pairs(self, fold: int, seed: int, image_size: int) -> ArmPairs:
        """Read or make the pairs, those that are added at a size.

        Args:
            fold: that is tested on.
            seed: of what is chosen at random: patients, wrong masks, pairs that are made.
            image_size: of the pairs that are added.

        Raises:
            UserError: pairs of several kinds are to be added, none are to be trained on, or masks of none shuffled.
        """
        train_pairs, test_pairs = split(Store.open(self.store), read_folds(self.folds), fold)
        if sum(map(bool, (self.synthetic, self.oracle, self.source))) > 1:
            raise UserError(
                "of --synthetic, --oracle and --source more than one is given; an arm adds pairs of one kind."
            )
        if not 0 <= self.real <= 1 or (self.real == 0 and not (self.synthetic or self.oracle)):
            raise UserError(f"--real is {self.real:g}; give a share in [0, 1], and --synthetic or --oracle with 0.")
        if self.real < 1:
            train_pairs = some_patients(train_pairs, self.real, seed_of(seed, fold, "real patients"))
            if not (self.synthetic or self.oracle):
                _refuse_without_lesion(train_pairs, self.real)
        added = self._added(train_pairs, fold, seed, image_size)
        if self.shuffle_masks:
            if added is None:
                raise UserError(
                    "--shuffle-masks is of the pairs that are added; give --synthetic, --oracle or --source."
                )
            added = with_wrong_masks(added, seed, fold)
        new_pairs = all_pairs(Store.open(self.test)) if self.test else None
        return ArmPairs(train_pairs, added, test_pairs, new_pairs, self.leaky)

    def _added(self, train_pairs: PairDataset, fold: int, seed: int, image_size: int) -> Synthetic | None:
        if self.synthetic:
            return read_shards(self.synthetic, self.count, image_size)
        if self.oracle:
            return new_patients(Store.open(self.oracle), self.count, fold, image_size)
        if self.source:
            if self.count is None:
                raise UserError("--source is given without --count; say how many pairs are to be made.")
            make = {"copy_paste": copy_paste, "oversampling": the_same_again}[self.source]
            return make(train_pairs, self.count, seed, fold, image_size)
        return None

    def for_record(self) -> dict[str, Any]:
        """Return the options, with the digests of the files that they name, for the record of a result."""
        options = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        named = [self.store, self.folds, *(self.synthetic or ()), *filter(None, (self.oracle, self.test))]
        return {
            "options": options | {"synthetic": [str(path) for path in self.synthetic or ()]},
            "inputs": digests(*named),
        }


def check_no_leak(
    provenance: Iterable[Mapping[str, Any]], test_patients: Sequence[str], fold: int, leaky: bool = False
) -> None:
    """Refuse synthetic pairs whose generator may have seen what they are to be tested on.

    Args:
        provenance: of each shard: at least ``generator``, ``fold`` and ``patients`` (those it learnt from).
        test_patients: the patients of the test fold.
        fold: the fold that is tested.
        leaky: whether the arm is a leaky control: of a generator that was trained as such, and of no other, the pairs
            may pass.

    Raises:
        UserError: a shard is of another fold, names a patient of the test fold, or does not say what its
            generator saw; or the arm is a leaky control, and a shard is not.
    """
    for shard in provenance:
        name = f"the synthetic pairs of generator '{shard.get('generator', '?')}'"
        if "fold" not in shard or not shard.get("patients"):
            raise UserError(
                f"{name} do not record the fold and the patients that their generator learnt from, so that a "
                "leak cannot be ruled out; draw them again with 'pig synthesise'."
            )
        if shard["fold"] != fold:
            raise UserError(
                f"{name} are of fold {shard['fold']}, but fold {fold} is tested; give those of fold {fold}."
            )
        if not leaky:
            refuse_leak(shard["patients"], test_patients, name)
        elif not shard.get("leaky"):
            raise UserError(f"{name} are none of a leaky control, as they are to be; leave --leaky out.")


def _refuse_without_lesion(pairs: PairDataset, real: float) -> None:
    """Refuse a share of the patients of whom none has a lesion: what such a network misses tells nothing of a share."""
    masks = pairs.store.masks
    if not any(masks[row].any() for row in pairs.rows):
        raise UserError(
            f"--real is {real:g}, and none of the {len(pairs.patients)} patients that are left for training has a "
            "lesion; take a larger share (real under table2.controls)."
        )
