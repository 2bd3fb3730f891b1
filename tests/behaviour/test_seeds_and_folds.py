"""What depends on seed and fold, whose patients are recorded, and which masks a conditional method is given."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from discs import make_study
from safetensors.torch import load_file, save_file
from torch import Tensor

from pig.data.digests import digests
from pig.data.folds import read_folds, split
from pig.data.shards import read_provenance, read_shards
from pig.data.store import PairDataset, Store, allocate, complete
from pig.methods.base import Identity, Pairs
from pig.methods.model_folder import read_description
from pig.steps.fit import fit
from pig.steps.synthesise import synthesise
from pig.system.errors import UserError
from pig.system.seeds import seed_of
from pig.training.run import TrainingRun

SIZE = 16
SHOWN: list[tuple[range, Tensor]] = []
MARKS: list[str] = []
LEARNT: list[int] = []
DREW: list[tuple[Identity, object]] = []


class Sketch:
    """A conditional method whose weights are the first random numbers; it draws the masks as images."""

    takes_masks = True
    makes_masks = False

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.image_size, self.sampling = SIZE, sampling
        self.identity = Identity()
        self.weights = torch.rand(4)

    def fit(self, pairs: PairDataset, run: TrainingRun) -> None:
        MARKS.append(run.fingerprint)
        LEARNT.append(len(pairs))

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        assert masks is not None
        SHOWN.append((indices, masks))
        DREW.append((self.identity, self.sampling))
        drawn = masks.clone()
        drawn[[index % 5 == 0 for index in indices]] = 0
        return Pairs(2 * masks - 1, drawn > 0.5)

    def save(self, path: Path) -> None:
        save_file({"weights": self.weights}, path / "weights.safetensors")

    @classmethod
    def load(cls, path: Path, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> Self:
        return cls(model, sampling)


CLASS = f"{__name__}.Sketch"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("discs") / "study", SIZE)


def trained(
    study: Path, fold: int = 0, seed: int = 0, name: str = "sketch", model: Mapping[str, int] = {},
    leaky: bool = False, **needs: Path,
) -> Path:  # fmt: skip
    out, work = study / f"{name}{fold}{seed}", study / "work"
    fit(
        store=study / "store", folds=study / "folds.csv", fold=fold, name=name, cls=CLASS, model=model, seed=seed,
        sampling={"own": 1}, needs=list(needs.items()), leaky=leaky, work=work, out=out,
    )  # fmt: skip
    return out


def test_first_weights_are_those_of_seed_fold_and_name(study: Path, tmp_path: Path) -> None:
    weights = [
        tuple(load_file(trained(study, *which) / "weights.safetensors")["weights"].tolist())
        for which in [(0, 0), (1, 0), (0, 1), (0, 0, "other")]
    ]
    assert len(set(weights)) == 4


def test_a_checkpoint_is_of_its_settings_seed_fold_and_parts(study: Path) -> None:
    part = trained(study)
    MARKS.clear()
    trained(study, name="a")
    for change in ({"fold": 1}, {"seed": 1}, {"model": {"width": 2}}, {"part": part}):
        trained(study, **{"name": "a", **change})  # type: ignore[arg-type]
    assert len(set(MARKS)) == 5
    trained(study, name="a")
    assert MARKS[0] == MARKS[-1]


def test_a_checkpoint_is_of_its_data(study: Path, tmp_path: Path) -> None:
    """The same patients and folds, other pixels."""
    old = Store.open(study / "store")
    (tmp_path / "store").mkdir()
    images, masks = allocate(tmp_path / "store", len(old.images), old.size)
    images[:], masks[:] = 65535 - old.images, old.masks
    complete(tmp_path / "store", images, masks, old.manifest, "stretch")
    for name in ("folds.csv", "folds.csv.sha256"):
        if (study / name).exists():
            shutil.copy(study / name, tmp_path / name)
    MARKS.clear()
    trained(study, name="b")
    trained(tmp_path, name="b")
    assert len(set(MARKS)) == 2


def test_a_model_records_the_patients_of_its_parts(study: Path) -> None:
    """A part that was trained on another fold has seen this fold's test patients."""
    store, folds = Store.open(study / "store"), read_folds(study / "folds.csv")
    train = {fold: set(split(store, folds, fold)[0].patients) for fold in (0, 1)}
    part = trained(study, 1, name="part")
    assert set(read_description(part)["patients"]) == train[1]
    whole = trained(study, 0, name="whole", part=part)
    assert set(read_description(whole)["patients"]) == train[0] | train[1]
    with pytest.raises(UserError, match="of the fold it would be tested on"):
        draw(study, whole)


def test_a_leaky_control_learns_from_all_patients_and_says_so(study: Path, tmp_path: Path) -> None:
    MARKS.clear()
    model, other = trained(study, name="leaky", leaky=True), trained(study, name="leaky_not")
    everybody = sorted(read_folds(study / "folds.csv").patient_id)
    assert (read_description(model)["patients"], read_description(model)["leaky"]) == (everybody, True)
    assert (len(read_description(other)["patients"]), read_description(other)["leaky"]) == (4, False)
    assert LEARNT[-2:] == [24, 16]
    with pytest.raises(UserError, match="leaky00 learnt from patient .* of the fold it would be tested on"):
        drawn(study, model, tmp_path / "a.npz")
    said = read_provenance(drawn(study, model, tmp_path / "a.npz", leaky=True))
    assert (said["leaky"], said["patients"]) == (True, everybody)
    assert len({mask.tobytes() for mask in read_shards([tmp_path / "a.npz"], 24).masks}) > 16  # of all patients, too
    assert "leaky" not in read_provenance(drawn(study, other, tmp_path / "b.npz"))
    # Nothing else passes with it: neither what is no leaky control, nor that with a leak of its own.
    with pytest.raises(UserError, match="--leaky is given, and model .* was not trained as a leaky control"):
        drawn(study, other, tmp_path / "c.npz", leaky=True)
    part = trained(study, 1, name="part")
    with pytest.raises(UserError, match="of the fold it would be tested on"):
        drawn(study, trained(study, 0, name="whole", part=part), tmp_path / "c.npz", leaky=True)


def test_who_is_given_the_masks_of_a_leaky_control_is_one(study: Path, tmp_path: Path) -> None:
    source = drawn(study, trained(study, name="leaky", leaky=True), tmp_path / "source.npz", leaky=True)
    model = trained(study)
    with pytest.raises(UserError, match="'s', whose masks are given, learnt from patient"):
        drawn(study, model, tmp_path / "a.npz", masks_of=[source])
    said = read_provenance(drawn(study, model, tmp_path / "a.npz", masks_of=[source], leaky=True))
    assert said["leaky"] and len(said["patients"]) == 6


def drawn(study: Path, model: Path, out: Path, **given: Any) -> Path:
    synthesise(
        model=model, name="s", cls=CLASS, sampling={}, seed=0, store=study / "store", folds=study / "folds.csv",
        first=0, last=24, batch_size=8, out=out, **given,
    )  # fmt: skip
    return out


def draw(study: Path, model: Path, seed: int = 0, first: int = 0, last: int = 20) -> list[int]:
    """Draw, and return which training pair each mask was of."""
    SHOWN.clear()
    out = study / "shard.npz"
    synthesise(
        model=model, name="sketch", cls=CLASS, sampling={}, seed=seed, store=study / "store",
        folds=study / "folds.csv", first=first, last=last, batch_size=8, out=out,
    )  # fmt: skip
    fold = read_description(model)["fold"]
    pairs = split(Store.open(study / "store"), read_folds(study / "folds.csv"), fold)[0]
    known = {pairs.batch(np.array([i]))[1].numpy().tobytes(): i for i in range(len(pairs))}
    assert len(known) == len(pairs)
    return [known[mask.numpy().tobytes()] for _, masks in SHOWN for mask in masks]


def test_masks_come_round_robin_in_an_order_of_seed_and_fold(study: Path) -> None:
    models = {fold: trained(study, fold) for fold in (0, 1)}
    found = {}
    for fold, seed in ((0, 0), (1, 0), (0, 1)):
        given = draw(study, models[fold], seed)
        order = np.random.default_rng(seed_of(seed, fold, "masks")).permutation(16)
        assert given == [int(order[i % 16]) for i in range(24)]
        found[fold, seed] = tuple(given)
    assert len(set(found.values())) == 3


def test_a_pair_has_the_same_mask_in_any_shard(study: Path) -> None:
    model = trained(study)
    whole = draw(study, model)
    later = draw(study, model, first=8, last=20)
    assert later == whole[8:24]


def test_a_shard_says_whom_its_generator_saw(study: Path) -> None:
    model = trained(study)
    draw(study, model)
    (provenance,) = read_shards([study / "shard.npz"]).provenance
    assert provenance["patients"] == read_description(model)["patients"]
    json.dumps(provenance)


def test_a_shard_says_how_it_was_drawn(study: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, out = trained(study, 1, seed=2), tmp_path / "shard.npz"
    common = {"store": study / "store", "folds": study / "folds.csv", "model": model, "out": out}
    with caplog.at_level("WARNING", logger="pig"):
        synthesise(**common, name="other", cls=CLASS, sampling={"k": 7}, seed=4, first=5, last=12, batch_size=4)
    description = read_description(model)
    provenance = read_provenance(out)
    record = provenance.pop("record")
    assert record["wall_s"] >= 0
    assert {"area", "grain", "copies"} < set(provenance.pop("looks"))
    step = provenance.pop("step")
    asked = {"store": str(common["store"]), "folds": str(common["folds"]), "model": str(model / "generator.json")}
    assert step["options"] == asked | {"batch_size": 4, "masks_of": [], "jitter_masks": False}
    assert step["inputs"] == digests(study / "store", study / "folds.csv", model / "generator.json")
    assert step["classes"] == [CLASS]
    assert provenance == {
        "generator": "other", "class": CLASS, "fold": 1, "seed": 4, "first": 5, "last": 12,
        "patients": description["patients"], "data": description["data"], "masks_from": "training",
        "empty_masks": 2, "sampling": {"k": 7}, "model_files": description["files"],
    }  # fmt: skip
    empty, odd = caplog.messages
    assert empty == "2 of 7 masks of other are empty; they are kept, as drawn."  # of 5 and 10
    assert odd.startswith("what other draws looks like the pairs of no training patient: the lesion covers 13.8 % (")
    assert DREW[-1] == (Identity("other", 1, 4), {"k": 7})
    DREW.clear()
    synthesise(**common, name="sketch", cls=CLASS, sampling=None, seed=0, first=0, last=4, batch_size=4)
    assert [(Identity("sketch", 1, 0), {"own": 1})] == DREW  # what the model records


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (3, 3), (4, 3)])
def test_a_shard_has_pairs(study: Path, tmp_path: Path, first: int, last: int) -> None:
    common = {"store": study / "store", "folds": study / "folds.csv", "model": tmp_path, "out": tmp_path / "s.npz"}
    with pytest.raises(UserError, match=f"a shard needs 0 <= first < last, got {first} and {last}"):
        synthesise(**common, name="s", cls=CLASS, sampling={}, seed=0, first=first, last=last, batch_size=4)
