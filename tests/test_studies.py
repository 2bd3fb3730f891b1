"""The shipped studies say what their sources say, whatever the default study underneath them says."""

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from baselines import autoencoder, controlnet, ddim, ddpm, ldm, segguided
from pig import paired_diffusion
from pig.generator import ScheduleSettings
from pig.networks import NetworkSettings
from pig.segmentation import SegmentationSettings
from pig.settings import parse
from pig.training import TrainingSettings

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "workflow" / "configs"
MODULES = {
    "pig.paired_diffusion.PairedDiffusion": (paired_diffusion.Model, paired_diffusion.Sampling),
    "baselines.ddpm.DDPM": (ddpm.Model, ddpm.Sampling),
    "baselines.ddim.DDIM": (None, ddim.Sampling),
    "baselines.autoencoder.Autoencoder": (autoencoder.Model, None),
    "baselines.ldm.LDM": (ldm.Model, ddim.Sampling),
    "baselines.ldm.UnconditionalLDM": (ldm.Model, ddim.Sampling),
    "baselines.controlnet.ControlNet": (controlnet.Model, ddim.Sampling),
    "baselines.segguided.SegGuidedDif": (segguided.Model, ddim.Sampling),
}


def resolved(*overlays):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for overlay in overlays:
        update_config(config, yaml.safe_load((CONFIGS / overlay).read_text()))
    return config


def parsed(config, name):
    entry = config["generators"][name]
    model_class, sampling_class = MODULES[entry["class"]]
    model = parse(model_class, entry["model"], f"generators.{name}.model") if "model" in entry else None
    sampling = parse(sampling_class, entry["sampling"], f"{name}.sampling") if "sampling" in entry else None
    return model, sampling


@pytest.mark.parametrize("overlays", [[], ["tiny.yaml"], ["paper.yaml"], ["paper.yaml", "paper-official-code.yaml"]])
def test_every_setting_is_known_to_its_class(overlays):
    config = resolved(*overlays)
    for name in config["generators"]:
        parsed(config, name)
    segmentation = {key: value for key, value in config["segmentation"].items() if key != "seeds"}
    parse(SegmentationSettings, segmentation, "segmentation")


def test_paper_yaml_is_the_paper():
    config = resolved("paper.yaml")
    model, sampling = parsed(config, "pig")
    assert model == paired_diffusion.Model(
        image_size=512,
        training=TrainingSettings(
            batch_size=6, learning_rate=2e-4, epochs=128, optimizer="adam", weight_decay=0.0,
            log_every=model.training.log_every, checkpoint_every=model.training.checkpoint_every,
        ),
        network=NetworkSettings(),
        schedule=ScheduleSettings(1024, 1e-4, 0.02, "linear"),
        prediction="epsilon",
        condition="clean",
    )  # fmt: skip
    assert sampling == paired_diffusion.Sampling(steps=256, clip=False, binarise=False)
    ddpm_model, ddpm_sampling = parsed(config, "ddpm")
    assert (ddpm_model.schedule.timesteps, ddpm_model.network, ddpm_sampling.clip) == (1024, NetworkSettings(), True)
    assert parsed(config, "ddim")[1] == ddim.Sampling(256, False)
    assert config["preprocessing"] == {"size": 512, "fit": "stretch"}
    assert config["folds"]["count"] == 5
    assert (config["table1"]["count"], config["table1"]["features"]) == (2048, "inception")
    assert [(arm["generator"], arm["count"]) for arm in config["table2"]["arms"]] == [
        ("ldm", 2048), ("segguided", 2048), ("controlnet", 2048), ("pig", 1024), ("pig", 2048), ("pig", 3072)
    ]  # fmt: skip
    for name in config["generators"]:
        model = parsed(config, name)[0]
        if model is not None:
            assert model.training.clip_norm is None
            assert model.training.ema_decay is None
            assert model.training.warmup_steps == 0
            assert model.training.schedule == "constant"


def test_paper_official_code_yaml_is_the_official_code():
    model, sampling = parsed(resolved("paper.yaml", "paper-official-code.yaml"), "pig")
    paper, _ = parsed(resolved("paper.yaml"), "pig")
    assert model.network == paper.network
    assert (model.condition, model.clamp_condition, model.loss_weight) == ("predicted", False, "sigmoid")
    assert (model.antithetic, model.training.schedule, model.prediction) == (True, "plateau", "epsilon")
    assert sampling == paired_diffusion.Sampling(steps=1024, clip=False, binarise=True)
