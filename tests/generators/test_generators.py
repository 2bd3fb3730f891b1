import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import pig
from baselines.autoencoder import Autoencoder, latent_scale
from baselines.controlnet import ControlNet
from baselines.ldm import LDM, LatentPool, UnconditionalLDM, draw_latents
from pig.cli import main
from pig.methods.model_folder import load_generator, load_part
from pig.methods.pig import PIG
from pig.methods.settings import NetworkSettings
from pig.methods.unet import ConditionalUNet
from pig.steps.fit import fit
from pig.system.device import pick_device
from pig.system.errors import UserError
from pig.system.imports import find_class
from pig.system.seeds import seed_of
from pig.training.run import TrainingRun
from pig.training.team import team

from .conftest import MODELS, SAMPLING, SIZE

GENERATORS = ["PIG", "DDPM", "Joint", "SegGuidedDif", "LDM", "ControlNet"]


def settings_for(name):
    return {"clip": True} if name == "DDPM" else SAMPLING


def masks_for(generator, n):
    if not generator.takes_masks:
        return None
    rng = torch.Generator().manual_seed(0)
    return (torch.rand(n, 1, SIZE, SIZE, generator=rng) > 0.8).float()


@pytest.mark.parametrize("name", GENERATORS)
def test_a_trained_generator_draws_pairs(trained, name):
    generator = load_generator(trained[name], settings_for(name))
    given = masks_for(generator, 4)
    drawn = generator.sample(range(4), given)
    assert drawn.images.shape == (4, 1, SIZE, SIZE)
    assert drawn.images.dtype == torch.float32
    assert drawn.images.abs().max() <= 1
    assert drawn.images.std() > 0
    if name == "DDPM":
        assert drawn.masks is None
    else:
        assert drawn.masks.dtype == torch.bool
        assert drawn.masks.shape == drawn.images.shape
    if generator.takes_masks:
        assert torch.equal(drawn.masks, given > 0.5)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_pair_depends_on_its_index_alone(trained, name):
    generator = load_generator(trained[name], settings_for(name))
    given = masks_for(generator, 6)
    part = None if given is None else given[2:5]
    some, all_ = generator.sample(range(2, 5), part), generator.sample(range(6), given)
    assert torch.allclose(some.images, all_.images[2:5], atol=0.05)  # bfloat16 rounds differently by batch size
    assert not torch.allclose(all_.images[0], all_.images[1], atol=0.05)


@pytest.mark.parametrize("name", GENERATORS)
def test_saved_and_loaded_is_the_same_generator(trained, tmp_path, name):
    generator = load_generator(trained[name], settings_for(name))
    generator.save(tmp_path)
    copy = type(generator).load(
        tmp_path, json.loads((trained[name] / "generator.json").read_text())["model"], settings_for(name)
    )
    copy.identity = generator.identity
    given = masks_for(generator, 2)
    assert torch.equal(generator.sample(range(2), given).images, copy.sample(range(2), given).images)


def test_seed_fold_and_name_change_the_noise(trained):
    generator = load_generator(trained["PIG"], SAMPLING)
    first = generator.sample(range(1)).images
    for change in ({"seed": 1}, {"name": "other"}):
        other = load_generator(trained["PIG"], SAMPLING, **change).sample(range(1)).images
        assert not torch.equal(first, other)
    assert seed_of(0, "a", 1) != seed_of(0, "a1") != seed_of("0a", 1)


@pytest.fixture
def recorded(study, tmp_path):
    """Fits DDPM or PIG with settings of sampling, as the command line does."""

    def fit(name, cls, sampling):
        model = MODELS[cls]
        words = ["fit", "--store", study / "store", "--folds", study / "folds.csv", "--fold", 1, "--name", name]
        words += ["--class", cls, "--settings", json.dumps(model)]
        words += ["--work", tmp_path / "work", "--out", tmp_path / name]
        words += ["--sampling", json.dumps(sampling)] if sampling is not None else []
        return main([str(word) for word in words]), tmp_path / name

    return fit


def test_a_model_folder_holds_the_sampling_of_the_study(recorded):
    own = {"steps": 3, "clip": True}
    status, folder = recorded("pig", "pig.methods.pig.PIG", own)
    assert status == 0
    assert json.loads((folder / "generator.json").read_text())["sampling"] == own
    loaded = load_generator(folder)
    assert (loaded.sampling.steps, loaded.sampling.clip) == (3, True)
    assert load_part(folder).sampling == loaded.sampling
    explicit = load_generator(folder, own).sample(range(2)).images
    assert torch.equal(loaded.sample(range(2)).images, explicit)
    other = load_generator(folder, {"steps": 5})  # in place of all that is recorded
    assert (other.sampling.steps, other.sampling.clip) == (5, False)
    assert load_generator(folder, {}).sampling.steps == 256
    assert load_generator(folder, cls="pig.methods.pig.PIG").sampling == loaded.sampling


def test_another_class_does_not_take_the_sampling_of_the_model(recorded):
    status, folder = recorded("ddpm", "baselines.ddpm.DDPM", {"clip": True})
    assert status == 0
    ddim = load_generator(folder, cls="baselines.ddim.DDIM")
    assert (ddim.uniform.steps, ddim.uniform.clip) == (256, False)  # its own defaults
    assert load_generator(folder, cls="baselines.ddpm.DDPM").sampling.clip is True


def test_fit_without_sampling_records_none(recorded):
    status, folder = recorded("ddpm", "baselines.ddpm.DDPM", None)
    assert status == 0
    assert json.loads((folder / "generator.json").read_text())["sampling"] == {}
    assert load_generator(folder).sampling.clip is True


def test_mistyped_sampling_is_refused_before_the_training(recorded, capsys):
    status, folder = recorded("pig", "pig.methods.pig.PIG", {"stpes": 3})
    assert status == 2
    assert "sampling" in (said := capsys.readouterr().err) and "stpes" in said
    assert not folder.exists()


def test_ddim_draws_from_the_training_of_ddpm(trained):
    ddim = load_generator(trained["DDPM"], {"steps": 4}, cls="baselines.ddim.DDIM", name="ddim")
    images = ddim.sample(range(2)).images
    assert images.shape == (2, 1, SIZE, SIZE)
    assert torch.equal(images, ddim.sample(range(2)).images)


def test_the_paper_network_has_the_parameters_of_the_official_one():
    network = ConditionalUNet(NetworkSettings(), channels=1, condition_channels=1)
    assert sum(p.numel() for p in network.parameters()) == 7_125_409


@pytest.mark.parametrize("patch", [1, 2])
def test_a_network_keeps_the_size(patch):
    shape = NetworkSettings((8, 16), (False, False), 1, 8, 4, patch)
    network = ConditionalUNet(shape, channels=1, condition_channels=1)
    x = torch.randn(2, 1, 16, 16)
    assert network(x, x, torch.tensor([1, 5])).shape == x.shape


def test_controlnet_equals_its_base_before_training(trained):
    torch.manual_seed(0)
    control = ControlNet(
        {"training": MODELS["baselines.controlnet.ControlNet"]["training"], "embedding_channels": [4, 8]}, SAMPLING
    )
    control.build_on(load_part(trained["UnconditionalLDM"]))
    x_t = torch.randn(3, *control.base.autoencoder.latent_shape)
    t, masks = torch.tensor([1, 10, 32]), torch.ones(3, 1, SIZE, SIZE)
    alone = control.base.network(x_t, t)
    assert alone.abs().max() > 0
    assert torch.allclose(control.steered(x_t, masks, t), alone, atol=1e-6)


def test_controlnet_trains_its_copy_and_leaves_the_base(trained):
    trained_control = load_part(trained["ControlNet"])
    base = load_part(trained["UnconditionalLDM"])
    for key, value in base.network.state_dict().items():
        assert torch.equal(value, trained_control.base.network.state_dict()[key])
    x_t = torch.randn(2, *base.autoencoder.latent_shape)
    t = torch.tensor([3, 20])
    with_mask, without = (trained_control.steered(x_t, m * torch.ones(2, 1, SIZE, SIZE), t) for m in (1, 0))
    assert not torch.equal(with_mask, without)


def test_drawn_latents_have_unit_variance(trained, pairs):
    autoencoder = load_part(trained["Autoencoder"])
    assert isinstance(autoencoder, Autoencoder)
    pool = LatentPool(autoencoder, pairs)
    assert len(pool) == len(pairs)
    first = pool.batch(np.array([0, 2]))[0]
    assert first.shape == (2, 2 * 3, SIZE // 2, SIZE // 2)
    drawn = draw_latents(pool.latents, autoencoder.scale, torch.Generator().manual_seed(0))
    assert float(drawn.std()) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("sigma", [1e-3, 0.5, 2.0])
def test_the_latent_scale_counts_the_width_of_the_posterior(sigma):
    """Means of standard deviation 0.5 around 3, sigmas about a given one: 1 / sqrt(0.25 + E[sigma^2])."""
    rng = torch.Generator().manual_seed(0)
    mean = 3 + 0.5 * torch.randn(200, 3, 8, 8, generator=rng)
    sigmas = sigma * (0.5 + torch.rand(200, 3, 8, 8, generator=rng))
    scale = float(latent_scale(mean, sigmas))
    assert scale == pytest.approx((0.25 + sigma**2 * (1 + 1 / 12)) ** -0.5, rel=0.01)
    drawn = draw_latents(torch.cat([mean, sigmas], dim=1), scale, rng)
    assert float(drawn.std()) == pytest.approx(1, rel=0.01)


def test_an_autoencoder_of_a_large_kl_weight_scales_by_it(pairs, tmp_path):
    """The posterior is wide, and the means say little: a factor of the means alone would be too large."""
    torch.manual_seed(0)
    training = {"batch_size": 4, "learning_rate": 1e-2, "steps": 30}
    model = MODELS["baselines.autoencoder.Autoencoder"]
    autoencoder = Autoencoder(model | {"kl_weight": 10.0, "adversarial": None, "training": training})
    autoencoder.fit(pairs, TrainingRun(tmp_path, 1, 0))
    latents = LatentPool(autoencoder, pairs).latents
    mean, sigma = latents.chunk(2, dim=1)
    assert float(sigma.square().mean()) > 2 * float(mean.var())
    drawn = draw_latents(latents, autoencoder.scale, torch.Generator().manual_seed(0))
    assert float(drawn.std()) == pytest.approx(1, rel=0.02)


def test_a_latent_mask_is_the_share_of_lesion(trained):
    ldm = load_part(trained["LDM"])
    assert isinstance(ldm, LDM)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 0, 0:3] = 1  # two of four pixels of the first latent pixel, one of four of the second
    (condition,) = ldm.condition(mask)
    assert condition.shape == (1, 1, SIZE // 2, SIZE // 2)
    assert condition[0, 0, 0, :3].tolist() == [0.5, 0.25, 0]


def test_the_condition_changes_what_pig_learns(pairs, tmp_path):
    """The denoiser trained on clean masks differs from the one trained on the guider's estimates."""
    weights = {}
    for condition in ("clean", "predicted"):
        torch.manual_seed(0)
        model = MODELS["pig.methods.pig.PIG"] | {"condition": condition}
        generator = PIG(model, {})
        generator.fit(pairs, TrainingRun(tmp_path / condition, 1, 0))
        weights[condition] = generator
    guiders = [g.guider.state_dict() for g in weights.values()]
    assert all(torch.equal(value, guiders[1][key]) for key, value in guiders[0].items())
    denoisers = [g.denoiser.state_dict() for g in weights.values()]
    assert any(not torch.equal(value, denoisers[1][key]) for key, value in denoisers[0].items())


@pytest.mark.parametrize("name", ["SegGuidedDif", "LDM", "ControlNet"])
def test_a_conditional_generator_asks_for_masks(trained, name):
    with pytest.raises(UserError, match="masks; give them"):
        load_generator(trained[name], SAMPLING).sample(range(1))


def test_the_base_of_controlnet_draws_without_masks(trained):
    base = load_generator(trained["UnconditionalLDM"], SAMPLING)
    assert isinstance(base, UnconditionalLDM)
    drawn = base.sample(range(2))
    assert drawn.masks is None
    assert drawn.images.shape == (2, 1, SIZE, SIZE)


def test_more_steps_than_the_schedule_has(trained):
    with pytest.raises(UserError, match=r"sampling.steps: must be in 1..32, .*, got 33"):
        load_generator(trained["PIG"], {"steps": 33}).sample(range(1))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.Nothing", "cannot import 'nowhere'"),
        ("pig.methods.pig.PairedDifusion", "has no 'PairedDifusion'"),
        ("PIG", "cannot import ''"),
    ],
)
def test_an_import_path_that_leads_nowhere(path, message):
    with pytest.raises(UserError, match=message):
        find_class(path)


def test_a_generator_from_a_file_of_the_user(tmp_path, monkeypatch):
    (tmp_path / "own_method.py").write_text("class Mine:\n    takes_masks = False\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert find_class("own_method.Mine").takes_masks is False


def test_a_half_written_model_folder_is_refused(trained, tmp_path):
    broken = tmp_path / "fold1"
    shutil.copytree(trained["PIG"], broken)
    (broken / "generator.json").unlink()
    with pytest.raises(UserError, match="only half-written.*delete it"):
        pig.load_generator(broken)
    with pytest.raises(UserError, match="missing or empty"):
        pig.load_generator(tmp_path / "fold2")
    shutil.rmtree(broken)
    shutil.copytree(trained["PIG"], broken)
    weights = broken / "guider.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"guider.safetensors is missing or damaged"):
        pig.load_generator(broken)


def test_parts_that_are_not_there(pairs, tmp_path):
    run = TrainingRun(tmp_path, 1, 0)
    with pytest.raises(UserError, match="needs.autoencoder: missing; name a generator of class baselines.autoencoder"):
        LDM(MODELS["baselines.ldm.LDM"], {}).fit(pairs, run)
    with pytest.raises(UserError, match="needs.base: missing; name a generator of class baselines.ldm.Uncond"):
        ControlNet(MODELS["baselines.controlnet.ControlNet"], {}).fit(pairs, run)


def test_missing_perceptual_weights_are_named(pairs, tmp_path):
    model = MODELS["baselines.autoencoder.Autoencoder"] | {"perceptual_weights": str(tmp_path / "resnet50.safetensors")}
    with pytest.raises(UserError, match=r"perceptual_weights: there is no file .*resnet50.safetensors.*null"):
        Autoencoder(model).fit(pairs, TrainingRun(tmp_path, 1, 0))


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory):
    """Settings of an autoencoder with a perceptual loss, of random weights, that is trained for one step."""
    from safetensors.torch import save_file
    from torchvision.models import resnet50

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("perceptual") / "resnet50.safetensors"
    save_file(dict(resnet50().state_dict()), file)
    model = MODELS["baselines.autoencoder.Autoencoder"]
    training = model["training"] | {"steps": 1}
    return model | {"perceptual_weights": str(file), "adversarial": None, "training": training}


@pytest.mark.parametrize(
    "cls", ["baselines.controlnet.ControlNet", "baselines.autoencoder.Autoencoder", "pig.methods.pig.PIG"]
)
def test_a_process_joins_the_others_before_it_puts_anything_on_a_device(
    study, trained, perceptual, tmp_path, monkeypatch, cls
):
    """A bare "cuda" is the first GPU in each of several processes until the process has joined them."""
    joined = []

    def spy():
        joined.append(team.cache_info().currsize)
        return pick_device()

    for module in [*sys.modules.values()]:
        if getattr(module, "pick_device", None) is pick_device and module.__name__ != __name__:
            monkeypatch.setattr(module, "pick_device", spy)
    team.cache_clear()
    model, needs = perceptual if cls.endswith("Autoencoder") else MODELS[cls], []
    if cls.endswith("ControlNet"):
        needs = [("base", trained["UnconditionalLDM"])]
    fit(
        store=study / "store", folds=study / "folds.csv", fold=1, name="it", cls=cls, model=model, seed=0, needs=needs,
        work=tmp_path / "work", out=tmp_path / "out",
    )  # fmt: skip
    assert len(joined) > 2
    assert set(joined) == {1}


def test_perceptual_weights_join_the_loss(pairs, tmp_path, perceptual):
    weights = []
    for perceptual_weight in (0.0, 1.0):
        torch.manual_seed(0)
        autoencoder = Autoencoder(perceptual | {"perceptual_weight": perceptual_weight})
        autoencoder.fit(pairs, TrainingRun(tmp_path / str(perceptual_weight), 1, 0))
        weights.append(autoencoder.network.state_dict())
    assert any(not torch.equal(value, weights[1][key]) for key, value in weights[0].items())


@pytest.mark.parametrize("name", [*GENERATORS, "Autoencoder", "UnconditionalLDM"])
def test_what_is_loaded_is_what_was_saved(trained, name):
    loaded = load_part(trained[name])
    for network in loaded.networks:
        module, saved = getattr(loaded, network), load_file(trained[name] / f"{network}.safetensors")
        state = module.state_dict()
        assert saved.keys() == state.keys()
        assert all(torch.equal(state[key], value) for key, value in saved.items())
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())
