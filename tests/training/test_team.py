"""A batch in pieces, and shared by two real processes (gloo), gives the losses and weights of a batch at once."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from discs import NETWORK, SCHEDULE
from safetensors.torch import load_file
from torch import Tensor, nn
from training_study import PIG, SIZE, events, fit_words, pig_model, start, wait_for

import pig.system.device
from pig.cli import main
from pig.data.folds import read_folds, split
from pig.data.store import Store
from pig.diffusion.draws import BatchDraws, noise_like, sample_timesteps, uniform
from pig.system.errors import UserError
from pig.system.imports import find_class
from pig.training.batches import share
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings
from pig.training.team import Team

# bfloat16 rounds a part of a batch otherwise than the whole.
FLOAT32 = """
import pig.system.device
from pig.methods.pig import PIG

pig.system.device.has_bf16 = lambda device: False


class Float32PIG(PIG):
    pass
"""
CLOSE = {"rtol": 1e-3, "atol": 2e-5}  # Adam divides by the root of small squares


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pig.system.device, "has_bf16", lambda device: False)


def test_parts_of_a_batch_draw_what_the_whole_draws() -> None:
    whole, pieces = torch.Generator().manual_seed(1), BatchDraws().manual_seed(1)
    state = pieces.get_state()

    def draws(n: int, rng: torch.Generator) -> list[Tensor]:
        x = torch.zeros(n, 1, 3, 3)
        t = sample_timesteps(n, 100, rng, antithetic=True)
        return [t, sample_timesteps(n, 100, rng), noise_like(x, rng), uniform(n, rng)]

    expected, found = draws(6, whole), []
    for part in (slice(0, 2), slice(2, 4), slice(4, 6)):
        pieces.set_state(state)
        pieces.whole, pieces.part = 6, part
        found.append(draws(2, pieces))
    for one, parts in zip(expected, zip(*found, strict=True), strict=True):
        assert torch.equal(one, torch.cat(parts))
    assert torch.equal(whole.get_state(), pieces.get_state())


def test_a_batch_is_shared_without_gap_or_overlap() -> None:
    settings = TrainingSettings(batch_size=12, learning_rate=1e-3, steps=1, accumulate=3)
    shares = [share(settings, Team(rank, 2)) for rank in range(2)]
    assert [mine for mine, _ in shares] == [slice(0, 6), slice(6, 12)]
    assert np.r_[tuple(part for _, parts in shares for part in parts)].tolist() == list(range(12))
    with pytest.raises(UserError, match="batch_size 12 must be a multiple of 8"):
        share(TrainingSettings(batch_size=12, learning_rate=1e-3, steps=1, accumulate=4), Team(1, 2))


@pytest.mark.parametrize(
    ("cls", "model"),
    [
        (PIG, pig_model(steps=8)),
        ("baselines.ddpm.DDPM", {"antithetic": True}),
        ("baselines.segguided.SegGuidedDif", {"ablate_masks": True}),
        ("baselines.autoencoder.Autoencoder", {"channels": [8, 16], "res_blocks": 1, "norm_groups": 4}),
    ],
)
def test_accumulated_pieces_train_as_the_whole_batch_does(
    study: Path, tmp_path: Path, cls: str, model: dict[str, object]
) -> None:
    pairs, _ = split(Store.open(study / "store"), read_folds(study / "folds.csv"), 1)
    weights = []
    for pieces in (1, 4):
        training = {"batch_size": 4, "learning_rate": 1e-3, "steps": 8, "clip_norm": 1.0, "accumulate": pieces}
        shape = {} if cls.endswith("Autoencoder") else {"network": NETWORK, "schedule": SCHEDULE}
        torch.manual_seed(0)
        generator = find_class(cls)({"image_size": SIZE, **shape, **model, "training": training}, {})
        generator.fit(pairs, TrainingRun(tmp_path / str(pieces), 1, 0))
        found = [value for value in vars(generator).values() if isinstance(value, nn.Module)]
        weights.append([tensor for module in found for tensor in module.state_dict().values()])
    assert len(weights[0]) > 10
    for one, other in zip(*weights, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_two_processes_train_as_one_and_resume_together(study: Path, tmp_path: Path) -> None:
    """One process; two that ``pig fit --processes 2`` starts, which SIGTERM ends; two of torchrun, which go on."""
    model = pig_model(steps=12, log_every=1)
    one, two = tmp_path / "one", tmp_path / "two"
    two.mkdir()
    (two / "float32_pig.py").write_text(FLOAT32)
    words = fit_words(study, model, two, "float32_pig.Float32PIG")
    process = start([*words, "--processes", "2"], two)
    assert main(fit_words(study, model, one)) == 0
    wait_for(process, two, "denoiser: step 2 of")
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75, (two / "log").read_text()
    assert "all processes were stopped by SIGTERM" in (two / "log").read_text().splitlines()[-1]
    assert not (two / "out").exists() and list((two / "work" / "denoiser").glob("step*"))
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pig.cli")
    assert start(words, two, torchrun).wait() == 0, (two / "log").read_text()

    expected, found = events(one), events(two)
    assert [(e["name"], e["step"]) for e in found] == [(e["name"], e["step"]) for e in expected]  # each step once
    for a, b in zip(expected, found, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
    for name in ("guider", "denoiser"):
        first, second = (load_file(run / "out" / f"{name}.safetensors") for run in (one, two))
        for key, value in first.items():
            torch.testing.assert_close(value, second[key], **CLOSE)
    assert json.loads((two / "out" / "generator.json").read_text())["record"]["processes"] == 2


def test_other_commands_are_the_work_of_one_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pig.cli", "table1", "--row", "a=b", "--out", str(tmp_path / "t.csv")]
    done = subprocess.run(command, env={"WORLD_SIZE": "2", "RANK": "0"}, capture_output=True, text=True)
    assert done.returncode == 2 and "only 'pig fit' shares it" in done.stderr
