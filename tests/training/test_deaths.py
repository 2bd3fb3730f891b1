"""A training of two phases, killed at random moments and started again each time, ends with the same bits."""

import random
import signal
from pathlib import Path

from training_study import events, fit_words, hashes, pig_model, start, wait_for

STEPS = 60
MODEL = pig_model(steps=STEPS, log_every=1, checkpoint_every=7)


def test_kills_at_random_moments_change_no_bit(study: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    undisturbed = start(fit_words(study, MODEL, whole), whole)
    rng = random.Random(3)
    # Two deaths in each phase. After SIGTERM nothing is lost, after SIGKILL what came after a checkpoint.
    deaths = [(signal.SIGKILL, "guider", rng.randint(8, 25)), (signal.SIGTERM, "guider", rng.randint(30, 55))]
    deaths += [(signal.SIGTERM, "denoiser", rng.randint(2, 20)), (signal.SIGKILL, "denoiser", rng.randint(35, 55))]
    for number, phase, step in deaths:
        since = (cut / "log").stat().st_size if (cut / "log").exists() else 0
        process = start(fit_words(study, MODEL, cut), cut)
        wait_for(process, cut, f"{phase}: step {step} of", since)
        process.send_signal(number)
        status = process.wait()
        assert status == (75 if number == signal.SIGTERM else -9)
        assert not (cut / "out").exists()
        if number == signal.SIGTERM:
            last = (cut / "log").read_text().splitlines()[-1]
            assert f"pig fit: {phase} was stopped after step" in last and "the same command goes on" in last
    assert start(fit_words(study, MODEL, cut), cut).wait() == 0
    assert undisturbed.wait() == 0
    assert hashes(cut / "out") == hashes(whole / "out")

    # The guider was finished once, and SIGKILL took fewer steps than lie between checkpoints.
    done = [(event["name"], event["step"]) for event in events(cut)]
    assert done.count(("guider", STEPS)) == 1
    assert len(done) - len(set(done)) < 2 * 7
    assert set(done) == {(event["name"], event["step"]) for event in events(whole)}
