"""A job of this project's own classes imports MONAI's networks without plots, readers and metrics; others keep all."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from pig.methods.monai_alone import BESIDE, import_networks

import_networks({cls!r})
assert ("monai" in sys.modules) == {own}, sys.modules.keys()
import monai.networks.nets
print([name for name in BESIDE if name in sys.modules])
import matplotlib.figure, scipy.signal  # can be imported afterwards
from baselines.autoencoder import Autoencoder
from pig.methods.settings import NetworkSettings
from pig.methods.unet import ConditionalUNet
import torch

settings = NetworkSettings(channels=(8, 16), attention=(False, True), res_blocks=1, head_channels=8, norm_groups=8)
network = ConditionalUNet(settings, 1, 1).eval()
x_t = torch.zeros(2, 1, 16, 16)
assert network(x_t, x_t, torch.tensor([1, 2])).shape == x_t.shape
"""


@pytest.mark.parametrize(("cls", "own"), [("pig.methods.pig.PIG", True), ("mine.Flow", False)])
def test_what_monai_imports(cls: str, own: bool) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(cls=cls, own=own)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert ("matplotlib" in run.stdout) != own
    assert (run.stdout.strip() == "[]") == own
