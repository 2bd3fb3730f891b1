"""The sign and the size of every loss, from numbers worked out by hand."""

from typing import Any

import monai.networks.nets
import pytest
import torch
from spies import SIZE, TRAINING, Memory, Trainings, rng
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

import baselines.autoencoder
from baselines.autoencoder import Autoencoder
from pig.evaluation.segmentation import dice_bce
from pig.training.run import TrainingRun

MODEL = {
    "image_size": SIZE, "training": TRAINING, "channels": [8, 16], "latent_channels": 2, "res_blocks": 1,
    "norm_groups": 4,
}  # fmt: skip


class Code(nn.Module):
    """In the place of the autoencoder's network: every latent has one mean and sigma, every picture one grey value."""

    def __init__(self, mean: float, sigma: float, grey: float) -> None:
        super().__init__()
        self.mean, self.sigma, self.grey = (nn.Parameter(torch.tensor(value)) for value in (mean, sigma, grey))
        # Where the adaptive weight looks for the last layer.
        self.decoder = nn.Module()
        self.decoder.blocks = nn.ModuleList([nn.Module()])
        self.decoder.blocks[-1].conv = nn.Module()
        self.decoder.blocks[-1].conv.weight = self.grey
        self.decoded: list[Tensor] = []
        self.register_buffer("scale", torch.ones(()))

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        latents = torch.ones(len(images), 2, SIZE // 2, SIZE // 2)
        return self.mean * latents, self.sigma * latents

    def decode(self, latents: Tensor) -> Tensor:
        self.decoded.append(latents)
        return self.grey * torch.ones(len(latents), 1, SIZE, SIZE)


def autoencoder(mean: float = 0.7, sigma: float = 0.4, grey: float = 0.3, **model: Any) -> Autoencoder:
    made = Autoencoder({**MODEL, **model})
    made.network = Code(mean, sigma, grey)
    return made


def test_the_reconstruction_is_l1_and_the_kl_of_the_posterior(
    trainings: Trainings, pairs: Memory, run: TrainingRun
) -> None:
    made = autoencoder(kl_weight=0.5)
    made.fit(pairs, run)
    loss = trainings.losses["autoencoder"](pairs.images, pairs.masks, rng())
    kl = kl_divergence(Normal(torch.tensor(0.7), 0.4), Normal(0.0, 1.0)) * 2 * (SIZE // 2) ** 2 / SIZE**2
    expected = (0.3 - pairs.images).abs().mean() + 0.5 * kl
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    (latents, *_) = made.network.decoded
    assert latents.mean().item() == pytest.approx(0.7, abs=0.1)
    assert latents.std().item() == pytest.approx(0.4, rel=0.1)  # a draw, not the mean


def test_the_kl_pulls_the_posterior_to_the_standard_normal(
    trainings: Trainings, pairs: Memory, run: TrainingRun
) -> None:
    made = autoencoder(mean=0.7, sigma=2.0, kl_weight=1.0)
    made.fit(pairs, run)
    made.network.requires_grad_(True)
    made.network.decode = lambda latents: torch.zeros(len(latents), 1, SIZE, SIZE)
    trainings.losses["autoencoder"](pairs.images, pairs.masks, rng()).backward()
    assert made.network.mean.grad > 0  # a step of descent makes it smaller
    assert made.network.sigma.grad > 0


class Critic(nn.Module):
    """In the place of the discriminator: three times the grey value of a picture, plus 0.25."""

    def __init__(self, **_: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(3.0))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images, -images, self.weight * images.mean((1, 2, 3)) + 0.25]  # features of its layers, then the answer


@pytest.fixture
def rivals(
    monkeypatch: pytest.MonkeyPatch, trainings: Trainings, run: TrainingRun
) -> tuple[Autoencoder, dict[str, Any], Memory]:
    """An autoencoder whose grey value is 0.3, and its two losses against the critic; images of grey -0.1."""
    monkeypatch.setattr(monai.networks.nets, "PatchDiscriminator", Critic)
    pairs = Memory(size=32)
    pairs.images[:] = -0.1
    made = autoencoder(kl_weight=0.0, adversarial_weight=0.5, adversarial=TRAINING, image_size=32)
    made.network.encode = lambda images: (torch.zeros(len(images), 2, 16, 16), torch.ones(len(images), 2, 16, 16))
    made.network.decode = lambda latents: made.network.grey * torch.ones(len(latents), 1, 32, 32)
    made.fit(pairs, run)
    made.network.requires_grad_(True)
    return made, trainings.losses, pairs


def test_the_discriminators_hinge(rivals: tuple[Autoencoder, dict[str, Any], Memory]) -> None:
    _, losses, pairs = rivals
    real, fake = 3 * -0.1 + 0.25, 3 * 0.3 + 0.25
    loss = losses["discriminator"](pairs.images, pairs.masks, rng())
    assert loss.item() == pytest.approx(0.5 * (max(0, 1 - real) + max(0, 1 + fake)), rel=1e-5)


def test_the_autoencoder_is_drawn_to_what_the_discriminator_takes_for_real(
    rivals: tuple[Autoencoder, dict[str, Any], Memory],
) -> None:
    made, losses, pairs = rivals
    loss = losses["autoencoder"](pairs.images, pairs.masks, rng())
    # Gradients at the grey value: +1 of the L1 and -3 of -critic, so the adaptive weight is 1 / 3.
    adaptive = 1 / (3 + 1e-4)
    assert loss.item() == pytest.approx(0.4 - 0.5 * adaptive * (3 * 0.3 + 0.25), rel=1e-4)
    loss.backward()
    assert made.network.grey.grad.item() == pytest.approx(1 - 0.5 * adaptive * 3, rel=1e-4)


class Halved(nn.Module):
    """In the place of the perceptual loss, which is given images in [0, 1]: there L1 is half of that in [-1, 1]."""

    def forward(self, decoded: Tensor, images: Tensor) -> Tensor:
        assert images.min() >= 0
        return (decoded - images).abs()


@pytest.mark.parametrize("adversarial", [None, TRAINING])
def test_the_perceptual_loss_is_part_of_both_trainings(
    monkeypatch: pytest.MonkeyPatch, trainings: Trainings, run: TrainingRun, adversarial: dict[str, Any] | None
) -> None:
    monkeypatch.setattr(monai.networks.nets, "PatchDiscriminator", Critic)
    monkeypatch.setattr(baselines.autoencoder, "_perceptual_loss", lambda model: Halved())
    pairs = Memory(size=32)
    pairs.images[:] = -0.1
    settings = {"image_size": 32, "kl_weight": 0.0, "perceptual_weight": 3.0, "adversarial_weight": 0.0}
    made = autoencoder(**settings, adversarial=adversarial)
    made.network.encode = lambda images: (torch.zeros(len(images), 2, 16, 16), torch.ones(len(images), 2, 16, 16))
    made.network.decode = lambda latents: made.network.grey * torch.ones(len(latents), 1, 32, 32)
    made.fit(pairs, run)
    made.network.requires_grad_(True)
    loss = trainings.losses["autoencoder"](pairs.images, pairs.masks, rng())
    assert loss.item() == pytest.approx(0.4 + 3 * 0.2, rel=1e-5)


def test_dice_and_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]]])
    masks = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    p = torch.sigmoid(logits)
    dice = 1 - 2 * (p * masks).sum() / (p.sum() + masks.sum())
    entropy = -(masks * p.log() + (1 - masks) * (1 - p).log()).mean()
    assert dice_bce(logits, masks).item() == pytest.approx((dice + entropy).item(), rel=1e-5)
    assert dice_bce(10 * (2 * masks - 1), masks) < 0.01 < dice_bce(10 * (1 - 2 * masks), masks)
