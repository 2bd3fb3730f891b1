"""Two runs on one directory, and the lock that a killed run leaves."""

import os
import signal
from pathlib import Path

from small_study import CONFIGS, MODEL, run, start, trains, wait_for


def test_two_runs_do_not_meet_and_a_stale_lock_is_explained(longer_study: Path) -> None:
    configs = [*CONFIGS, "longer.yaml"]
    first = start(longer_study, "--", MODEL, configs=configs)
    try:
        wait_for(lambda: trains(longer_study), first)

        # Snakemake refuses a second run.
        status, said = run(longer_study, "--", MODEL, configs=configs)
        assert status != 0
        assert "cannot be locked" in said
        assert "--unlock" in said

        # Where its lock is set aside, the work folder's own holds.
        status, said = run(longer_study, "--nolock", "--", MODEL, configs=configs)
        assert status != 0
        assert "is in use by another run; wait for it, or stop it first" in said
        assert first.poll() is None

        # The machine goes down.
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    status, said = run(longer_study, "--", MODEL, configs=configs)
    assert status != 0
    assert "--unlock" in said
    assert not (longer_study / MODEL / "generator.json").exists()
    assert run(longer_study, "--unlock", configs=configs)[0] == 0
    status, said = run(longer_study, "--", MODEL, configs=configs)
    assert status == 0, said
    assert "going on from step" in (longer_study / "results/logs/fit/pig/fold0.log").read_text()
    assert not any(path.name.startswith(".fold") for path in (longer_study / "results/models/pig").iterdir())
