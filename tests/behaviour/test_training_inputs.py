"""What each method shows its network in training, and what it wants of it: one that knows the answer has no loss."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from discs import NETWORK
from safetensors.torch import load_file
from spies import NOISY, QUIET, SIZE, TRAINING, Memory, Spy, Trainings, rng
from torch import Tensor, nn

from baselines.autoencoder import Autoencoder, latent_scale
from baselines.controlnet import ControlNet
from baselines.ddim import DDIM
from baselines.ddpm import DDPM
from baselines.joint import Joint
from baselines.ldm import LDM, UnconditionalLDM
from baselines.segguided import SegGuidedDif
from pig.diffusion.schedule import NoiseSchedule
from pig.methods.pig import PIG
from pig.methods.saved import SavedNetworks
from pig.training.run import TrainingRun

MODEL = {"image_size": SIZE, "network": NETWORK, "training": TRAINING, "prediction": "v"}


def knows(clean: Tensor, schedule: NoiseSchedule) -> Callable[..., Tensor]:
    """The v that belongs to a clean image: the noise in what is shown follows from it (Salimans & Ho 2022, app. D)."""

    def answer(x_t: Tensor, *more: Tensor) -> Tensor:
        alpha_bar = schedule.alpha_bar_for(more[-1], clean)
        eps = (x_t - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()
        return alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * clean

    return answer


def knows_eps(clean: Tensor, schedule: NoiseSchedule) -> Callable[..., Tensor]:
    def answer(x_t: Tensor, *more: Tensor) -> Tensor:
        alpha_bar = schedule.alpha_bar_for(more[-1], clean)
        return (x_t - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()

    return answer


def noise_in(x_t: Tensor, clean: Tensor, t: Tensor, schedule: NoiseSchedule) -> Tensor:
    alpha_bar = schedule.alpha_bar_for(t, clean)
    return (x_t - alpha_bar.sqrt() * clean) / (1 - alpha_bar).sqrt()


def pig(trainings: Trainings, pairs: Memory, run: TrainingRun, **model: Any) -> PIG:
    generator = PIG({**MODEL, "schedule": NOISY, **model}, {})
    generator.guider, generator.denoiser = Spy(), Spy()
    generator.fit(pairs, run)
    return generator


def test_pigs_guider_sees_masks_of_minus_one_and_one_beside_the_noisy_image(
    trainings: Trainings, pairs: Memory, run: TrainingRun
) -> None:
    generator = pig(trainings, pairs, run)
    x_0, y_0 = 2 * pairs.masks - 1, pairs.images
    generator.guider.answer = knows(x_0, generator.schedule)
    assert trainings.losses["guider"](pairs.images, pairs.masks, rng()).item() < 1e-8
    ((x_t, y_t, t),) = generator.guider.seen
    eps_x, eps_y = noise_in(x_t, x_0, t, generator.schedule), noise_in(y_t, y_0, t, generator.schedule)
    for eps in (eps_x, eps_y):  # both are noise: nothing of the other, and not the same
        assert abs(eps.mean()) < 0.1
        assert 0.9 < eps.std() < 1.1
    assert abs((eps_x * eps_y).mean()) < 0.1


def test_pigs_guider_sees_standardised_masks_if_asked(trainings: Trainings, pairs: Memory, run: TrainingRun) -> None:
    generator = pig(trainings, pairs, run, standardise_masks=True)
    x_0 = (pairs.masks - pairs.masks.mean()) / pairs.masks.std(correction=0)
    generator.guider.answer = knows(x_0, generator.schedule)
    generator.denoiser.answer = knows(pairs.images, generator.schedule)
    for name in ("guider", "denoiser"):
        assert trainings.losses[name](pairs.images, pairs.masks, rng()).item() < 1e-8
    ((_, condition, _),) = generator.denoiser.seen
    assert torch.equal(condition, 2 * pairs.masks - 1)


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_what_is_wanted_of_pigs_networks(
    trainings: Trainings, pairs: Memory, run: TrainingRun, prediction: str
) -> None:
    """A network that knows the clean mask or image, and answers as the setting says, has no loss."""
    generator = pig(trainings, pairs, run, prediction=prediction)

    def knowing(clean: Tensor) -> Callable[..., Tensor]:
        def answer(x_t: Tensor, *more: Tensor) -> Tensor:
            eps = noise_in(x_t, clean, more[-1], generator.schedule)
            alpha_bar = generator.schedule.alpha_bar_for(more[-1], clean)
            v = alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * clean
            return {"epsilon": eps, "x0": clean, "v": v}[prediction]

        return answer

    generator.guider.answer, generator.denoiser.answer = knowing(2 * pairs.masks - 1), knowing(pairs.images)
    for name in ("guider", "denoiser"):
        assert trainings.losses[name](pairs.images, pairs.masks, rng()).item() < 1e-8


def test_pigs_denoiser_learns_the_image_from_the_clean_mask(
    trainings: Trainings, pairs: Memory, run: TrainingRun
) -> None:
    generator = pig(trainings, pairs, run, prediction="epsilon")
    generator.denoiser.answer = knows_eps(pairs.images, generator.schedule)
    assert trainings.losses["denoiser"](pairs.images, pairs.masks, rng()).item() < 1e-8
    ((_, condition, _),) = generator.denoiser.seen
    assert torch.equal(condition, 2 * pairs.masks - 1)
    assert not generator.guider.seen


ORACLES = {"v": knows, "epsilon": knows_eps}


@pytest.mark.parametrize("prediction", ORACLES)
@pytest.mark.parametrize("clamp", [False, True])
def test_pigs_denoiser_learns_from_what_the_guider_estimates(
    trainings: Trainings, pairs: Memory, run: TrainingRun, clamp: bool, prediction: str
) -> None:
    generator = pig(trainings, pairs, run, condition="predicted", clamp_condition=clamp, prediction=prediction)
    generator.guider.answer = ORACLES[prediction](3 * (2 * pairs.masks - 1), generator.schedule)
    generator.denoiser.answer = ORACLES[prediction](pairs.images, generator.schedule)
    assert trainings.losses["denoiser"](pairs.images, pairs.masks, rng()).item() < 1e-8
    # The guider takes x_t for a noisy 3 x_0, and so gives 3 x_0 back whatever the noise.
    ((_, condition, _),) = generator.denoiser.seen
    assert torch.allclose(condition, (1 if clamp else 3) * (2 * pairs.masks - 1), atol=1e-2)
    ((x_t, y_t, t),) = generator.guider.seen
    ((y_shown, _, t_shown),) = generator.denoiser.seen
    assert torch.equal(y_t, y_shown)
    assert torch.equal(t, t_shown)
    assert abs(noise_in(x_t, 2 * pairs.masks - 1, t, generator.schedule).mean()) < 0.1


@pytest.mark.parametrize(("condition", "size"), [("clean", 1), ("predicted", 3)])
def test_the_sigmoid_of_the_condition_weighs_lesion_more_than_background(
    trainings: Trainings, pairs: Memory, run: TrainingRun, condition: str, size: int
) -> None:
    generator = pig(trainings, pairs, run, loss_weight="sigmoid", condition=condition)
    shown = size * (2 * pairs.masks - 1)
    generator.guider.answer = knows(shown, generator.schedule)
    known = knows(pairs.images, generator.schedule)
    generator.denoiser.answer = lambda *seen: known(*seen) + 2
    loss = trainings.losses["denoiser"](pairs.images, pairs.masks, rng()).item()
    assert loss == pytest.approx(4 * torch.sigmoid(shown).mean().item(), rel=1e-4)


@pytest.mark.parametrize("prediction", ORACLES)
def test_ddpm_learns_the_images(trainings: Trainings, pairs: Memory, run: TrainingRun, prediction: str) -> None:
    generator = DDPM({**MODEL, "schedule": NOISY, "prediction": prediction}, {})
    generator.network = Spy(ORACLES[prediction](pairs.images, generator.schedule))
    generator.fit(pairs, run)
    assert trainings.losses["network"](pairs.images, pairs.masks, rng()).item() < 1e-8


@pytest.mark.parametrize("prediction", ORACLES)
def test_segguided_sees_the_mask_as_it_is(
    trainings: Trainings, pairs: Memory, run: TrainingRun, prediction: str
) -> None:
    generator = SegGuidedDif({**MODEL, "schedule": NOISY, "prediction": prediction}, {})
    generator.network = Spy(ORACLES[prediction](pairs.images, generator.schedule))
    generator.fit(pairs, run)
    assert trainings.losses["network"](pairs.images, pairs.masks, rng()).item() < 1e-8
    ((_, condition, _),) = generator.network.seen
    assert torch.equal(condition, pairs.masks)


def test_ablation_drops_whole_masks_of_about_half_the_images(trainings: Trainings, run: TrainingRun) -> None:
    pairs = Memory(64)
    generator = SegGuidedDif({**MODEL, "schedule": NOISY, "ablate_masks": True}, {})
    generator.network = Spy()
    generator.fit(pairs, run)
    trainings.losses["network"](pairs.images, pairs.masks, rng())
    ((_, condition, _),) = generator.network.seen
    kept = [torch.equal(shown, mask) for shown, mask in zip(condition, pairs.masks, strict=True)]
    dropped = [not shown.any() for shown in condition]
    assert all(a != b for a, b in zip(kept, dropped, strict=True))
    assert 20 < sum(dropped) < 44


# --- in latents ----------------------------------------------------------------------------------------------------

CODE = {
    "image_size": SIZE, "training": TRAINING, "channels": [8, 16], "res_blocks": 1, "norm_groups": 4,
    "latent_channels": 2,
}  # fmt: skip


@pytest.fixture
def autoencoder() -> Autoencoder:
    """An untrained autoencoder whose scale is far from 1: latents of 8 x 8."""
    made = Autoencoder(CODE)
    made.network.get_buffer("scale").fill_(0.25)
    made.network.eval().requires_grad_(False)
    return made


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, autoencoder: Autoencoder) -> UnconditionalLDM:
    """What ``needs`` name: the autoencoder, and a base upon it, made without files."""
    from pig.methods import saved

    base = UnconditionalLDM({"network": NETWORK, "training": TRAINING, "schedule": QUIET, "prediction": "v"}, {})
    base.build_on(autoencoder)
    monkeypatch.setattr(saved, "check_needs", lambda wanted, needs: None)
    monkeypatch.setattr(saved, "load_part", lambda path: {"autoencoder": autoencoder, "base": base}[path.name])
    return base


def encoded(pool: Any, count: int) -> tuple[Tensor, Tensor]:
    latents, masks = pool.batch(torch.arange(count).numpy())
    return latents, masks


def test_ldm_learns_scaled_draws_of_the_latents_and_the_share_of_lesion(
    trainings: Trainings, pairs: Memory, tmp_path: Path, autoencoder: Autoencoder, parts: UnconditionalLDM
) -> None:
    model = {"network": NETWORK, "training": TRAINING, "schedule": QUIET, "prediction": "v"}
    generator = LDM(model, {})
    generator.fit(pairs, TrainingRun(tmp_path, 0, 0, needs={"autoencoder": tmp_path / "autoencoder"}))
    generator.network = Spy()
    latents, masks = encoded(trainings.pools["network"], len(pairs))
    assert torch.equal(masks, pairs.masks)
    mean, sigma = latents.chunk(2, dim=1)
    with torch.no_grad():
        expected_mean, expected_sigma = autoencoder.network.encode(pairs.images)
    assert torch.allclose(mean, expected_mean, atol=0.1)  # bfloat16
    assert torch.allclose(sigma, expected_sigma, atol=0.1)

    latents = torch.cat([mean, torch.full_like(sigma, 1e-6)], dim=1)  # a draw is the mean, then
    trainings.losses["network"](latents, masks, rng())
    ((x_t, condition, _),) = generator.network.seen
    assert torch.allclose(x_t, 0.25 * mean, atol=0.1)
    assert (x_t - 0.25 * mean).abs().mean() < 0.02
    assert torch.equal(condition, F.avg_pool2d(pairs.masks, 2))

    wide = torch.cat([mean, torch.full_like(sigma, 8.0)], dim=1)
    trainings.losses["network"](wide, masks, rng())
    assert (generator.network.seen[1][0] - 0.25 * mean).std().item() == pytest.approx(0.25 * 8, rel=0.1)


@pytest.mark.parametrize("prediction", ORACLES)
@pytest.mark.parametrize("method", ["ldm", "controlnet"])
def test_what_is_wanted_of_a_latent_network(
    trainings: Trainings, pairs: Memory, tmp_path: Path, parts: UnconditionalLDM, method: str, prediction: str
) -> None:
    run = TrainingRun(tmp_path, 0, 0, needs={"autoencoder": tmp_path / "autoencoder", "base": tmp_path / "base"})
    spy = Spy()
    if method == "ldm":
        model = {"network": NETWORK, "training": TRAINING, "schedule": NOISY, "prediction": prediction}
        generator: Any = LDM(model, {})
        generator.fit(pairs, run)
        generator.network, key, schedule = spy, "network", generator.schedule
    else:
        parts.model = dataclasses.replace(parts.model, prediction=prediction)
        generator = ControlNet({"training": TRAINING, "embedding_channels": [4, 8]}, {})
        generator.fit(pairs, run)
        generator.steered = lambda x_t, masks, t: spy(x_t, masks, t)
        key, schedule = "control", parts.schedule
    mean = encoded(trainings.pools[key], len(pairs))[0].chunk(2, dim=1)[0]
    spy.answer = ORACLES[prediction](0.25 * mean, schedule)
    latents = torch.cat([mean, torch.zeros_like(mean)], dim=1)
    assert trainings.losses[key](latents, pairs.masks, rng()).item() < 1e-6


def test_controlnet_starts_from_its_base_and_sees_the_masks(
    trainings: Trainings, pairs: Memory, tmp_path: Path, parts: UnconditionalLDM
) -> None:
    torch.manual_seed(3)
    for parameter in parts.network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    generator = ControlNet({"training": TRAINING, "embedding_channels": [4, 8]}, {})
    generator.fit(pairs, TrainingRun(tmp_path, 0, 0, needs={"base": tmp_path / "base"}))
    base = parts.network.unet.state_dict()
    shared = generator.control.state_dict().keys() & base.keys()
    assert len(shared) > 20
    for name in shared:
        assert torch.equal(generator.control.state_dict()[name], base[name]), name
    assert not any(parameter.requires_grad for parameter in parts.network.parameters())

    shown: list[Tensor] = []
    forward = generator.control.forward

    def spy(x_t: Tensor, t: Tensor, controlnet_cond: Tensor) -> Any:
        shown.append(controlnet_cond)
        return forward(x_t, t, controlnet_cond=controlnet_cond)

    generator.control.forward = spy
    latents, masks = encoded(trainings.pools["control"], len(pairs))
    loss = trainings.losses["control"](latents, masks, rng())
    assert torch.equal(shown[0], pairs.masks)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in generator.control.parameters())


# --- results -------------------------------------------------------------------------------------------------------


def averaged(module: nn.Module) -> nn.Module:
    """In the place of the average of a training: a copy whose every weight is 1 more."""
    result = copy.deepcopy(module).eval().requires_grad_(False)
    for weight in result.parameters():
        weight += 1
    return result


PIXELS = {**MODEL, "schedule": NOISY}
LATENTS = {"network": NETWORK, "training": TRAINING, "schedule": QUIET, "prediction": "v"}


@pytest.mark.parametrize(
    ("cls", "model"),
    [
        (PIG, PIXELS),
        (DDPM, PIXELS),
        (DDIM, PIXELS),
        (SegGuidedDif, PIXELS),
        (Joint, PIXELS),
        (LDM, LATENTS),
        (UnconditionalLDM, LATENTS),
        (ControlNet, {"training": TRAINING, "embedding_channels": [4, 8]}),
        (Autoencoder, CODE),
    ],
)
def test_the_weights_saved_are_those_that_the_training_returns(
    trainings: Trainings, pairs: Memory, tmp_path: Path, parts: UnconditionalLDM, cls: Any, model: dict[str, Any]
) -> None:
    trainings.result = averaged
    generator = cls(model, {})
    needs = {"autoencoder": tmp_path / "autoencoder", "base": tmp_path / "base"}
    generator.fit(pairs, TrainingRun(tmp_path / "work", 0, 0, needs=needs))
    SavedNetworks.save(generator, tmp_path)
    for name in set(cls.networks) - {"mask_scale"}:
        saved = load_file(tmp_path / f"{name}.safetensors")
        for key, weight in trainings.modules["autoencoder" if cls is Autoencoder else name].named_parameters():
            assert torch.equal(saved[key], weight + 1), key


def test_an_autoencoder_goes_on_against_the_discriminator_from_the_average(
    trainings: Trainings, run: TrainingRun
) -> None:
    trainings.result, pairs = averaged, Memory(size=32)
    generator = Autoencoder({**CODE, "image_size": 32, "adversarial": TRAINING})
    first = [weight.detach().clone() for weight in generator.network.parameters()]
    generator.fit(pairs, run)
    second = [*trainings.modules["autoencoder"].parameters()]
    assert all(weight.requires_grad for weight in second)
    for weight, once, twice in zip(first, second, generator.network.parameters(), strict=True):
        assert torch.equal(once, weight + 1)
        assert torch.equal(twice, once + 1)
    mean, sigma = map(torch.cat, zip(*generator.encode_all(pairs), strict=True))
    assert generator.scale == pytest.approx(latent_scale(mean, sigma).item())


# --- timesteps -----------------------------------------------------------------------------------------------------


def timesteps_of(loss: Callable[..., Tensor], spies: list[Spy], first: Tensor, masks: Tensor) -> list[Tensor]:
    loss(first, masks, rng(5))
    return [arguments[-1] for spy in spies for arguments in spy.seen]


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("prediction", ORACLES)
def test_joint_learns_the_image_and_its_mask_as_two_channels(
    trainings: Trainings, pairs: Memory, run: TrainingRun, prediction: str, standardise: bool
) -> None:
    model = {**MODEL, "schedule": NOISY, "prediction": prediction, "standardise_masks": standardise}
    generator = Joint(model, {})
    masks = (pairs.masks - pairs.masks.mean()) / pairs.masks.std(correction=0) if standardise else 2 * pairs.masks - 1
    both = torch.cat([pairs.images, masks], 1)
    generator.network = Spy(ORACLES[prediction](both, generator.schedule))
    generator.fit(pairs, run)
    assert trainings.losses["network"](pairs.images, pairs.masks, rng()).item() < 1e-8
    ((x_t, t),) = generator.network.seen
    eps = noise_in(x_t, both, t, generator.schedule)  # of each channel its own
    assert 0.9 < eps.std() < 1.1
    assert abs((eps[:, 0] * eps[:, 1]).mean()) < 0.1


@pytest.mark.parametrize("antithetic", [False, True])
@pytest.mark.parametrize("method", ["guider", "denoiser", "ddpm", "segguided", "ldm", "controlnet"])
def test_antithetic_timesteps_mirror_each_other(
    trainings: Trainings, pairs: Memory, tmp_path: Path, parts: UnconditionalLDM, method: str, antithetic: bool
) -> None:
    run = TrainingRun(tmp_path, 0, 0, needs={"autoencoder": tmp_path / "autoencoder", "base": tmp_path / "base"})
    spy, first, key = Spy(), pairs.images, "network"
    timesteps = NOISY["timesteps"]
    if method in ("guider", "denoiser"):
        generator: Any = pig(trainings, pairs, run, antithetic=antithetic)
        spy, key = getattr(generator, method), method
    elif method in ("ddpm", "segguided"):
        generator = {"ddpm": DDPM, "segguided": SegGuidedDif}[method](
            {**MODEL, "schedule": NOISY, "antithetic": antithetic}, {}
        )
        generator.network = spy
        generator.fit(pairs, run)
    elif method == "ldm":
        model = {"network": NETWORK, "training": TRAINING, "schedule": NOISY, "antithetic": antithetic}
        generator = LDM({**model, "prediction": "v"}, {})
        generator.fit(pairs, run)
        generator.network = spy
        first = encoded(trainings.pools["network"], len(pairs))[0]
    else:
        generator = ControlNet({"training": TRAINING, "embedding_channels": [4, 8], "antithetic": antithetic}, {})
        generator.fit(pairs, run)
        generator.steered = lambda x_t, masks, t: spy(x_t, masks, t)
        first, key, timesteps = encoded(trainings.pools["control"], len(pairs))[0], "control", QUIET["timesteps"]
    (t,) = timesteps_of(trainings.losses[key], [spy], first, pairs.masks)
    half = len(t) // 2
    assert ((t >= 1) & (t <= timesteps)).all()
    assert bool((t[:half] + t[half:] == timesteps + 1).all()) == antithetic
