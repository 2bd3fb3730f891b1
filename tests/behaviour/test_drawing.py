"""What each method shows its network when it draws, from which noise it begins, and what it makes of the answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from discs import NETWORK
from spies import NOISY, SIZE, TRAINING, Memory, Spy
from torch import Tensor

from baselines.autoencoder import Autoencoder
from baselines.controlnet import ControlNet
from baselines.ddim import DDIM
from baselines.ddpm import DDPM
from baselines.joint import Joint
from baselines.ldm import LDM, UnconditionalLDM
from baselines.segguided import SegGuidedDif
from pig.diffusion.sampling import sample_images
from pig.diffusion.schedule import NoiseSchedule
from pig.diffusion.settings import SamplingSettings
from pig.methods.base import Identity
from pig.methods.pig import PIG

MODEL = {"image_size": SIZE, "network": NETWORK, "training": TRAINING, "schedule": NOISY, "prediction": "x0"}
IDENTITY = Identity("me", 2, 7)
INDICES = range(3, 7)
CPU = torch.device("cpu")


def noise(stream: str, shape: tuple[int, ...] = (1, SIZE, SIZE), draws: int = 1) -> list[Tensor]:
    streams = IDENTITY.noise(stream, INDICES, shape, CPU)
    return [streams.draw() for _ in range(draws)]


def constant(value: float) -> Callable[..., Tensor]:
    return lambda x_t, *more: torch.full_like(x_t, value)


@pytest.fixture
def masks() -> Tensor:
    return Memory(len(INDICES), seed=4).masks


def pig(guider: Spy, denoiser: Spy, **sampling: Any) -> PIG:
    generator = PIG(MODEL, {"steps": 4, **sampling})
    generator.guider, generator.denoiser, generator.identity = guider, denoiser, IDENTITY
    return generator


def test_pig_begins_mask_and_image_from_noises_of_their_own() -> None:
    guider, denoiser = Spy(constant(1)), Spy(constant(0.5))
    pig(guider, denoiser).sample(INDICES)
    (x_T,), (y_T,) = noise("mask"), noise("image")
    assert torch.equal(guider.seen[0][0], x_T)
    assert torch.equal(guider.seen[0][1], y_T)
    assert torch.equal(denoiser.seen[0][0], y_T)
    assert len(guider.seen) == len(denoiser.seen) == 4
    for (_, y_t, t), (y_shown, x0_hat, t_shown) in zip(guider.seen, denoiser.seen, strict=True):
        assert torch.equal(y_t, y_shown)
        assert torch.equal(t, t_shown)
        assert torch.equal(x0_hat, torch.ones_like(x_T))


@pytest.mark.parametrize(("value", "lesion"), [(0.1, True), (0.85, True), (-0.1, False), (-0.85, False)])
def test_a_pixel_is_lesion_above_zero(value: float, lesion: bool) -> None:
    pairs = pig(Spy(constant(value)), Spy(constant(0.5))).sample(INDICES)
    assert pairs.masks is not None
    assert pairs.masks.dtype == torch.bool
    assert bool((pairs.masks == lesion).all())
    assert torch.allclose(pairs.images, torch.full_like(pairs.images, 0.5), atol=1e-5)


@pytest.mark.parametrize("clip", [False, True])
def test_pigs_estimates_are_clipped_if_asked(clip: bool) -> None:
    guider, denoiser = Spy(constant(3)), Spy(constant(-2))
    generator = pig(guider, denoiser, clip=clip)
    states = [*generator.steps(INDICES)]
    assert {state.x0_hat.max().item() for state in states} == {1.0 if clip else 3.0}
    assert {state.y0_hat.min().item() for state in states} == {-1.0 if clip else -2.0}
    assert {shown.max().item() for _, shown, _ in denoiser.seen} == {1.0 if clip else 3.0}


def test_binarised_masks_are_shown_if_asked() -> None:
    ramp = torch.linspace(-0.9, 0.9, SIZE).expand(len(INDICES), 1, SIZE, SIZE)
    denoiser = Spy()
    pig(Spy(lambda *_: ramp), denoiser, binarise=True).sample(INDICES)
    assert set(denoiser.seen[0][1].unique().tolist()) == {-1.0, 1.0}
    denoiser.seen.clear()
    pig(Spy(lambda *_: ramp), denoiser).sample(INDICES)
    assert torch.equal(denoiser.seen[0][1], ramp)


def test_pig_takes_the_scale_of_its_masks_back(masks: Tensor) -> None:
    """A guider that knows scaled masks draws them, and what the denoiser sees of them is between -1 and 1."""
    denoiser = Spy(constant(0.5))
    generator = pig(Spy(lambda *_: generator.mask_scale.encode(6 * masks - 3)), denoiser, clip=True)
    generator.mask_scale.standardise(Memory(len(INDICES), seed=4))
    pairs = generator.sample(INDICES)
    assert pairs.masks is not None
    assert torch.equal(pairs.masks, masks.bool())
    assert all(torch.allclose(shown, 2 * masks - 1, atol=1e-5) for _, shown, _ in denoiser.seen)


@pytest.mark.parametrize("clip", [False, True])
def test_joint_takes_the_scale_of_its_masks_back(masks: Tensor, clip: bool) -> None:
    """Each channel is clipped where it ends: x_1 after the first step tells of the estimate."""
    generator = Joint(MODEL, {"steps": 1, "clip": clip})
    generator.identity = IDENTITY
    images = torch.full_like(masks, -0.75)
    generator.network = Spy(lambda *_: torch.cat([images, generator.mask_scale.encode(2 * masks - 1)], 1))
    generator.mask_scale.standardise(Memory(len(INDICES), seed=4))
    pairs = generator.sample(INDICES)
    assert pairs.masks is not None
    assert torch.equal(pairs.masks, masks.bool())
    assert torch.allclose(pairs.images, images, atol=1e-5)
    low, high = (end.flatten().tolist() for end in generator._bounds())
    assert low == pytest.approx([-1, generator.mask_scale.encode(torch.tensor(-1.0)).item()])
    assert high == pytest.approx([1, generator.mask_scale.encode(torch.tensor(1.0)).item()])


@pytest.mark.parametrize("level", [-0.5, 0.5])
def test_joint_gives_the_first_channel_as_image_and_cuts_the_second_at_zero(level: float) -> None:
    generator = Joint(MODEL, {"steps": 4, "clip": True})
    generator.identity = IDENTITY
    generator.network = Spy(lambda x_t, t: torch.cat([torch.full_like(x_t[:, :1], 0.25), x_t[:, 1:] * 0 + level], 1))
    pairs = generator.sample(INDICES)
    assert torch.allclose(pairs.images, torch.full_like(pairs.images, 0.25), atol=1e-5)
    assert pairs.masks.dtype == torch.bool
    assert bool((pairs.masks == (level > 0)).all())
    assert torch.equal(generator.network.seen[0][0], noise("pair", (2, SIZE, SIZE))[0])


# --- one diffusion -------------------------------------------------------------------------------------------------


def expected_second(schedule: NoiseSchedule, x_T: Tensor, x0_hat: float, t: int, t_next: int) -> tuple[Tensor, Tensor]:
    """The state after the first step: of DDIM (Song et al. 2020, Eq. 12, sigma 0), and the mean of DDPM's (Eq. 7)."""
    a, b = schedule.alpha_bar(t), schedule.alpha_bar(t_next)
    eps = (x_T - a.sqrt() * x0_hat) / (1 - a).sqrt()
    alpha = a / b
    mean = b.sqrt() * (1 - alpha) / (1 - a) * x0_hat + alpha.sqrt() * (1 - b) / (1 - a) * x_T
    return b.sqrt() * x0_hat + (1 - b).sqrt() * eps, mean


@pytest.mark.parametrize("clip", [False, True])
def test_ddpm_adds_noise_at_each_step_and_takes_all_of_them(clip: bool) -> None:
    generator = DDPM(MODEL, {"clip": clip})
    generator.network, generator.identity = Spy(constant(2)), IDENTITY
    generator.sample(INDICES)
    x_T, second = noise("image", draws=2)
    seen = generator.network.seen
    assert [int(t[0]) for _, t in seen] == list(range(NOISY["timesteps"], 0, -1))
    assert torch.equal(seen[0][0], x_T)
    T = NOISY["timesteps"]
    _, mean = expected_second(generator.schedule, x_T, 1.0 if clip else 2.0, T, T - 1)
    a, b = generator.schedule.alpha_bar(T), generator.schedule.alpha_bar(T - 1)
    deviation = ((1 - b) / (1 - a) * (1 - a / b)).sqrt()  # sqrt of beta-tilde, Ho et al. 2020, Eq. 7
    assert torch.allclose(seen[1][0], (mean + deviation * second).float(), atol=1e-5)


def draw(method: str, spy: Spy, masks: Tensor, autoencoder: Autoencoder, **sampling: Any) -> Any:
    """Draw with a spy as the network; the autoencoder is that of the latent methods."""
    given = {"steps": 4, **sampling}
    latent = {key: value for key, value in MODEL.items() if key != "image_size"}
    if method == "ddim":
        generator: Any = DDIM(MODEL, given)
        generator.network = spy
    elif method == "segguided":
        generator = SegGuidedDif(MODEL, given)
        generator.network = spy
    elif method == "ldm":
        generator = LDM(latent, given)
        generator.build_on(autoencoder)
        generator.network = spy
    else:
        base = UnconditionalLDM(latent, {})
        base.build_on(autoencoder)
        generator = ControlNet({"training": TRAINING, "embedding_channels": [4, 8]}, given)
        generator.build_on(base)
        generator.control = Control()
        base.network.unet = Base(spy)
    generator.identity = IDENTITY
    return generator, generator.sample(INDICES, masks if generator.takes_masks else None)


class Control(torch.nn.Module):
    """In the place of a control network: its residual is the mask's mean."""

    def forward(self, x_t: Tensor, t: Tensor, controlnet_cond: Tensor) -> tuple[list[Tensor], Tensor]:
        return [controlnet_cond], controlnet_cond.mean()


class Base(torch.nn.Module):
    """In the place of the frozen U-Net: passes on what the control network has given."""

    def __init__(self, spy: Spy) -> None:
        super().__init__()
        self.spy = spy

    def forward(
        self, x_t: Tensor, t: Tensor, down_block_additional_residuals: list[Tensor],
        mid_block_additional_residual: Tensor,
    ) -> Tensor:  # fmt: skip
        assert torch.equal(mid_block_additional_residual, down_block_additional_residuals[0].mean())
        return self.spy(x_t, down_block_additional_residuals[0], t)


@pytest.fixture
def autoencoder() -> Autoencoder:
    model = {"image_size": SIZE, "training": TRAINING, "channels": [8, 16], "res_blocks": 1, "norm_groups": 4}
    made = Autoencoder({**model, "latent_channels": 2})
    made.network.get_buffer("scale").fill_(0.25)
    return made


METHODS = ["ddim", "segguided", "ldm", "controlnet"]


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_ddims_and_clips_if_asked(method: str, clip: bool, masks: Tensor, autoencoder: Autoencoder) -> None:
    spy = Spy(constant(2))
    generator, pairs = draw(method, spy, masks, autoencoder, clip=clip)
    shape = autoencoder.latent_shape if method in ("ldm", "controlnet") else (1, SIZE, SIZE)
    (x_T,) = noise("image", shape)
    assert torch.equal(spy.seen[0][0], x_T)
    (t, t_next), *_ = generator_schedule(generator).visits(4)
    expected, _ = expected_second(generator_schedule(generator), x_T, 1.0 if clip else 2.0, t, t_next)
    assert torch.allclose(spy.seen[1][0], expected.float(), atol=1e-5)
    assert pairs.images.abs().max() <= 1


@pytest.mark.parametrize("spacing", ["trailing", "edm"])
@pytest.mark.parametrize("method", METHODS)
def test_solver_and_spacing_are_the_settings(
    method: str, spacing: str, masks: Tensor, autoencoder: Autoencoder
) -> None:
    spy = Spy(lambda x_t, *more: torch.tanh(x_t))
    generator, _ = draw(method, spy, masks, autoencoder, solver="dpmpp_2m", spacing=spacing)
    schedule = generator_schedule(generator)
    visits = schedule.visits(4, spacing)
    assert [int(seen[-1][0]) for seen in spy.seen] == [t for t, _ in visits]
    (x_T,) = noise("image", spy.seen[0][0].shape[1:])
    settings = SamplingSettings(4, "dpmpp_2m", spacing)  # type: ignore[arg-type]
    again = Spy(lambda x_t, *more: torch.tanh(x_t))
    sample_images(again, schedule, x_T, settings, prediction="x0")
    for seen, by_hand in zip(spy.seen, again.seen, strict=True):
        assert torch.allclose(seen[0], by_hand[0], atol=1e-6)


@pytest.mark.parametrize("spacing", ["trailing", "edm"])
def test_pigs_solver_and_spacing_are_the_settings(spacing: str) -> None:
    guider, denoiser = (Spy(lambda x_t, *more, k=k: torch.tanh(k * x_t)) for k in (1.0, 0.5))
    generator = pig(guider, denoiser, solver="dpmpp_2m", spacing=spacing)
    states = [*generator.steps(INDICES)]
    assert [state.t for state in states] == [t for t, _ in generator.schedule.visits(len(states), spacing)]
    x_T, y_T = noise("mask")[0], noise("image")[0]
    settings = SamplingSettings(len(states), "dpmpp_2m", spacing)  # type: ignore[arg-type]
    for part, network, start in ((3, guider, x_T), (4, denoiser, y_T)):
        drawn = sample_images(lambda x_t, t, of=network: of.answer(x_t), generator.schedule, start, settings,
                              prediction="x0")  # fmt: skip
        assert torch.allclose(states[-1][part], drawn, atol=1e-6)


@pytest.mark.parametrize("method", ["pig", "ddpm", "ddim", "segguided"])
@pytest.mark.parametrize("value", [-2.0, 2.0])
def test_images_are_cut_to_what_can_be_stored(
    method: str, value: float, masks: Tensor, autoencoder: Autoencoder
) -> None:
    if method == "pig":
        pairs = pig(Spy(constant(1)), Spy(constant(value))).sample(INDICES)
    elif method == "ddpm":
        generator = DDPM(MODEL, {"clip": False})
        generator.network = Spy(constant(value))
        pairs = generator.sample(INDICES)
    else:
        pairs = draw(method, Spy(constant(value)), masks, autoencoder)[1]
    assert torch.equal(pairs.images, torch.full_like(pairs.images, value / 2))


def generator_schedule(generator: Any) -> NoiseSchedule:
    found: NoiseSchedule = generator.base.schedule if hasattr(generator, "base") else generator.schedule
    return found


@pytest.mark.parametrize(
    ("method", "shown"),
    [
        ("segguided", lambda masks: masks),
        ("ldm", lambda masks: F.avg_pool2d(masks, 2)),
        ("controlnet", lambda masks: masks),
    ],
)
def test_each_step_sees_the_masks_that_the_pairs_have(
    method: str, shown: Callable[[Tensor], Tensor], masks: Tensor, autoencoder: Autoencoder
) -> None:
    spy = Spy()
    _, pairs = draw(method, spy, masks, autoencoder)
    assert len(spy.seen) == 4
    for _, condition, _ in spy.seen:
        assert torch.equal(condition, shown(masks))
    assert torch.equal(pairs.masks, masks > 0.5)


@pytest.mark.parametrize("method", ["ldm", "controlnet"])
def test_latents_are_divided_by_their_scale_before_they_are_decoded(
    method: str, masks: Tensor, autoencoder: Autoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Tensor] = []

    def decode(latents: Tensor) -> Tensor:
        decoded.append(latents)
        return torch.zeros(len(latents), 1, SIZE, SIZE)

    monkeypatch.setattr(autoencoder.network, "decode", decode)
    draw(method, Spy(constant(0.5)), masks, autoencoder)
    assert torch.allclose(decoded[0], torch.full_like(decoded[0], 2.0), atol=1e-4)  # 0.5 / 0.25


@pytest.mark.parametrize("method", ["segguided", "ldm", "controlnet"])
def test_without_masks_nothing_is_drawn(method: str, autoencoder: Autoencoder) -> None:
    from pig.system.errors import UserError

    generator, _ = draw(method, Spy(), Memory(len(INDICES)).masks, autoencoder)
    with pytest.raises(UserError, match="draws images for masks"):
        generator.sample(INDICES)


def test_a_pairs_noise_is_its_own(tmp_path: Path) -> None:
    """Another index, stream, name, fold or seed gives other noise; the batch that a pair is drawn in does not."""
    base = Identity("a", 0, 0)
    drawn = [
        identity.noise(stream, range(first, first + 2), (4,), CPU).draw()
        for identity, stream, first in [
            (base, "image", 0), (base, "image", 1), (base, "mask", 0), (Identity("b", 0, 0), "image", 0),
            (Identity("a", 1, 0), "image", 0), (Identity("a", 0, 1), "image", 0),
        ]
    ]  # fmt: skip
    assert torch.equal(drawn[0][1], drawn[1][0])
    others = [row for i, both in enumerate(drawn) for row in (both if i != 1 else both[1:])]
    assert len({tuple(row.tolist()) for row in others}) == len(others)


def test_uniform_numbers_and_integers_are_a_pairs_own_too() -> None:
    one, other = (Identity("a").noise("place", range(first, first + 2000), (3,), CPU) for first in (0, 1))
    numbers, integers, again = one.uniform(), one.integers(-1, 2), one.integers(-1, 2)
    assert torch.equal(numbers[1:], other.uniform()[:-1]) and torch.equal(integers[1:], other.integers(-1, 2)[:-1])
    assert 0 <= numbers.min() < 0.01 and 0.99 < numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.02 and abs(numbers.var() - 1 / 12) < 0.005
    assert integers.dtype == torch.long and not torch.equal(integers, again)
    assert all(abs((integers == value).float().mean() - 1 / 3) < 0.03 for value in (-1, 0, 1))
