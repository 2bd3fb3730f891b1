"""What a study is told to take: from times by hand, and from trials by a clock that counts calls of networks."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pig.cli import main
from pig.methods.unet import ConditionalUNet
from pig.steps.cost import _Calibration
from pig.study.estimate import Estimate, Measured, feature_seconds, population_sizes
from pig.study.estimate_table import as_text, lines
from pig.study.merged import merged_config
from pig.study.reduced import divisor, reduced

ROOT = Path(__file__).resolve().parents[2]
TINY, PAPER = (ROOT / "workflow/configs" / name for name in ("tiny.yaml", "paper.yaml"))
SMALL = ROOT / "tests/small.yaml"

# 4 patients of 1 view with 2 slices, 2 folds; PIG with batches of 2, 24 steps for each network; 16 pairs in 2 shards of
# 2 batches of 4, which 4 steps of both networks draw.
BY_HAND = Measured(
    startup={"folds": 1.0, "fit": 5.0, "synthesise": 6.0, "segment": 4.0},
    fit={"pig": 100.0},
    synthesise={"pig": 30.0},
    segment={"light": 20.0},
    patient={"phantom": 10.0},
    slice=0.5,
)


@pytest.fixture
def small() -> dict[str, Any]:
    return merged_config([TINY, SMALL])


def test_seconds_of_each_line_are_counts_times_what_one_takes(small: dict[str, Any]) -> None:
    estimate = Estimate(small, BY_HAND)
    found = {kind: (len(jobs), estimate.sum(jobs)) for (kind, _), jobs in lines(estimate).items()}
    assert found == {
        "training": (2, 2 * (5 + 100)),
        "drawing": (4, 4 * (6 + 30)),  # 16 pairs in shards of 8, in each fold
        "segmentation": (4, 4 * (4 + 20)),  # real pairs, and 16 of PIG
        "data": (3, (1 + 4 * 10) + (1 + 8 * 0.5) + 1),
        "the rest": (10, 3 * 1 + 7 * 6),  # three tables; FID, quality, gallery, strip, overlay, ledger and report
    }


def test_an_arm_that_is_trained_for_longer_takes_longer(small: dict[str, Any]) -> None:
    """The 4 real pairs of a fold and 16 of PIG are 5 times as many as the real ones."""
    small["table2"]["controls"] = [{"generator": "pig", "count": 16, "budget": "epochs"}]
    estimate = Estimate(small, BY_HAND)
    taken = [estimate.sum([n]) for n, job in enumerate(estimate.jobs) if job.of == "pig_16_epochs"]
    assert taken == [4 + 5 * 20] * 2


def test_features_of_images_take_their_time(small: dict[str, Any], tmp_path: Path) -> None:
    assert feature_seconds(small) == 0.0  # of the encoder
    small["table1"]["features"] = "general"
    assert feature_seconds(small) == 0.05
    rest = ("the rest", "tables, image quality, figures, report")
    sums = []
    for seconds in (0.0, 2.0):
        estimate = Estimate(small, dataclasses.replace(BY_HAND, features=seconds))
        sums.append(estimate.sum(lines(estimate)[rest]))
    images = small["table1"]["count"] + 8
    assert sums[1] - sums[0] == 2 * images + 2 * 2 * images  # FID, and quality of whole images and of lesions
    assert "2 s of a core for the features of an image (general)" in as_text(estimate, 1, 0, "a processor")
    file = tmp_path / "model.safetensors"
    file.write_bytes(bytes(1000))
    small["table1"] |= {"features": "dinov2", "feature_weights": str(file)}
    assert feature_seconds(small) == pytest.approx(1.3e-6)


def test_the_wall_time_is_that_of_jobs_side_by_side(small: dict[str, Any]) -> None:
    estimate = Estimate(small, BY_HAND)
    everything = range(len(estimate.jobs))
    for cores in (1, 2):
        data = (1 + 40 / cores) + (1 + 4 / cores) + 1
        folds = (105 + 2 * 36 + 2 * 24) * 2 / cores  # one fold on each core
        assert estimate.wall(everything, cores, 0) >= data + folds
        rest = estimate.wall(everything, cores, 0) - data - folds
        assert rest <= 3 * 1 + 7 * 6
    assert estimate.wall(everything, 1, 0) == estimate.sum(everything)


def test_the_text_names_jobs_and_times(small: dict[str, Any]) -> None:
    text = as_text(Estimate(small, BY_HAND), 1, 0, "a processor")
    assert re.search(r"^training: PIG +2 +2 min +4 min$", text, re.M)
    assert re.search(r"^sum +23 +9 min$", text, re.M)
    assert "results/table2.csv: 15 jobs, 8 min of a core; 8 min on 1 core." in text
    assert "a processor" in text and "do not slow each other down" in text
    assert "GPU" not in text
    assert "Scaled" not in text
    scaled = dataclasses.replace(BY_HAND, scaled=["training of pig (batches of 2 in place of 96)"])
    assert "batches of 2 in place of 96" in as_text(Estimate(small, scaled), 2, 0, "a processor")


def test_new_patients_are_counted_with_their_slices() -> None:
    tiny = merged_config([TINY])  # CC alone, 3 slices of a view; who is tested on has one
    assert population_sizes(tiny) == {"phantom": (8, 24), "oracle": (3, 9), "test": (6, 6)}


class Calls:
    """A clock that counts the pictures that diffusion networks are shown, by hooks of torch."""

    def __init__(self) -> None:
        self.pictures = 0.0

    def __call__(self) -> float:
        return self.pictures

    def hook(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, ConditionalUNet):
            self.pictures += len(inputs[0])


@pytest.fixture
def calls() -> Iterator[Calls]:
    found = Calls()
    handle = nn.modules.module.register_module_forward_hook(found.hook)
    yield found
    handle.remove()


def tried(config: dict[str, Any], folder: Path, calls: Calls) -> Measured:
    """What the trials of PIG's training and drawing tell, in pictures."""
    measured = Measured()
    calibration = _Calibration(config, folder, measured)
    calibration.clock = calls
    calibration._try_fit("pig")
    calibration._try_drawing("pig")
    return measured


def test_a_trial_tells_all_that_a_job_computes(small: dict[str, Any], tmp_path: Path, calls: Calls) -> None:
    measured = tried(small, tmp_path, calls)
    assert measured.fit == {"pig": 2 * 24 * 2}  # two networks, 24 steps, batches of 2
    assert measured.synthesise == {"pig": 8 * 4 * 2}  # a shard of 8 pairs, 4 steps, two networks
    assert calls.pictures < sum([*measured.fit.values(), *measured.synthesise.values()]) * 2  # each is tried twice


def test_twice_the_steps_are_twice_the_time(small: dict[str, Any], tmp_path: Path, calls: Calls) -> None:
    training, sampling = (small["generators"]["pig"][key] for key in ("model", "sampling"))
    training["training"]["steps"] = 4800
    sampling["steps"] = 40
    once = tried(small, tmp_path / "once", calls)
    assert once.fit["pig"] == 2 * 4800 * 2
    training["training"]["steps"] *= 2
    sampling["steps"] *= 2
    twice = tried(small, tmp_path / "twice", calls)
    assert twice.fit["pig"] == 2 * once.fit["pig"]
    assert twice.synthesise["pig"] == 2 * once.synthesise["pig"]
    sums = []
    for found in (once, twice):
        estimate = Estimate(small, dataclasses.replace(BY_HAND, fit=found.fit, synthesise=found.synthesise))
        sums.append(estimate.sum(lines(estimate)["training", "pig"]))
    start = 2 * 5.0  # in each fold
    assert sums[1] - start == 2 * (sums[0] - start)


def test_epochs_are_of_the_studys_pairs(small: dict[str, Any], tmp_path: Path, calls: Calls) -> None:
    small["generators"]["pig"]["model"]["training"] |= {"steps": None, "epochs": 6, "warmup_steps": 0}
    assert tried(small, tmp_path, calls).fit == {"pig": 2 * 6 * 4}  # 4 of 8 pairs are trained on


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_fewer_pairs_than_folds_are_taken_for_as_many(small: dict[str, Any], tmp_path: Path, rows: int) -> None:
    """There is no such study, which the check of the data says; an estimate is no place to divide by nothing."""
    manifest = tmp_path / "m.csv"
    manifest.write_text("image_path,mask_path,patient_id\n" + rows * "a,b,c\n")
    small["dataset"]["manifest"], small["folds"]["count"] = str(manifest), 4
    assert _Calibration(small, tmp_path / "trial", Measured()).learnt == 3


def test_a_large_study_is_tried_in_small_with_as_many_pixels() -> None:
    paper = merged_config([PAPER])
    assert divisor(paper) == 4  # 128 pixels: latents of 32, which six levels need
    small = reduced(paper, 4, 2, 6000)
    model = small["generators"]["pig"]["model"]
    assert model["image_size"] == 128
    steps = 128 * 6000 // 6  # epochs of pairs in batches of 6
    assert model["training"]["batch_size"] == 2
    assert model["training"]["steps"] * 2 * 128**2 == steps * 6 * 512**2
    assert small["synthesis"] == {"shard_size": 512 * 16, "batch_size": 2}
    whole = reduced(paper, 4, 10**6, 6000)["generators"]["pig"]["model"]["training"]
    assert whole["batch_size"] == 6 * 16 and whole["steps"] == steps
    assert paper["generators"]["pig"]["model"]["image_size"] == 512  # as it was
    assert divisor(merged_config([])) == 1  # pictures of 48 pixels are small enough


def test_of_a_users_own_class_nothing_is_reduced(tmp_path: Path) -> None:
    paper = merged_config([PAPER])
    paper["generators"]["mine"] = {"class": "mine.Mine", "model": {"image_size": 512, "steps": 3}}
    assert divisor(paper) == 1
    assert reduced(paper, 1, 2, 6000)["generators"]["mine"] == paper["generators"]["mine"]


def test_the_command_prints_the_estimate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PIG_GPUS", "0")
    assert main(["cost", "--configfile", str(TINY), "--configfile", str(SMALL)]) == 0
    said = capsys.readouterr().out
    assert "results/table2.csv: 15 jobs, " in said
    assert re.search(r"^drawing: PIG +4 ", said, re.M)
    assert "without a GPU" in said
    startup = {rule: float(s) for rule, s in re.findall(r"(fit|synthesise|segment) (\d+\.\d)\ss", said)}
    assert startup.keys() == {"fit", "synthesise", "segment"} and min(startup.values()) > 0
