"""How many GPUs jobs may use."""

import pytest

from pig.errors import UserError
from workflow.machine import gpu_count


@pytest.mark.parametrize(
    ("asked", "visible", "count"),
    [("3", "0", 3), ("0", "0,1", 0), (None, "0,1", 2), (None, "", 0), (None, "-1", 0), (None, "GPU-8f, MIG-1", 2)],
)
def test_what_is_asked_for_goes_before_what_is_visible(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, visible: str, count: int
) -> None:
    monkeypatch.delenv("PIG_GPUS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if asked is not None:
        monkeypatch.setenv("PIG_GPUS", asked)
    assert gpu_count() == count


@pytest.mark.parametrize("asked", ["", "one", "-1", "1.5"])
def test_no_count_is_a_sentence(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("PIG_GPUS", asked)
    with pytest.raises(UserError, match="PIG_GPUS must be a number of GPUs"):
        gpu_count()
