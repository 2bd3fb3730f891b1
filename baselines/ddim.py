"""DDIM: the same network as DDPM, drawn in fewer, deterministic steps (Song et al. 2020, arXiv 2010.02502)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from baselines.ddpm import DDPM
from baselines.settings import FewStepSampling as Sampling
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import check_steps
from pig.methods.base import Pairs
from pig.methods.settings import ImageModel as Model
from pig.system.device import in_autocast, pick_device
from pig.system.settings import parse


class DDIM(DDPM):
    """Images without masks; DDIM has no training of its own and takes the weights of DDPM."""

    def __init__(self, model: Mapping[str, Any], sampling: Mapping[str, Any]) -> None:
        self.model = parse(Model, model, "model")
        self.uniform = parse(Sampling, sampling, "sampling")
        self.prepare()

    def sample(self, indices: range, masks: Tensor | None = None) -> Pairs:
        """Draw the images of these indices, cut to [-1, 1]."""
        check_steps(self.uniform.steps, self.schedule)
        x_T = self.identity.noise("image", indices, self.model.image_shape, pick_device()).draw()
        network = in_autocast(self.network)
        images = sample_images(
            network,
            self.schedule,
            x_T,
            self.uniform,
            prediction=self.model.prediction,
        )
        return Pairs(images.clamp(-1, 1))
