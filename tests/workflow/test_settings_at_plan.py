"""Settings that cannot work are refused before the first job, by the dataclasses that the jobs use, all at once."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from studies import EVIDENCE, SCHEMA, STUDIES, Change, Config, put, study
from study_runs import ROOT, snakemake

from pig.evaluation.settings import encoder_errors
from pig.study.config import check_config
from pig.study.settings import settings_errors
from pig.system.errors import UserError

GENERATOR, MODEL, TRAINING = (
    ("generators", "pig"),
    ("generators", "pig", "model"),
    ("generators", "pig", "model", "training"),
)
NETWORK, SCHEDULE = (*MODEL, "network"), (*MODEL, "schedule")
ENCODER, ADVERSARIAL = ("generators", "autoencoder", "model"), ("generators", "autoencoder", "model", "adversarial")
SEGMENTATION, PHANTOM = ("segmentation",), ("dataset", "phantom")


def of(place: tuple[str, ...], **values: Any) -> Change:
    """Return a change of several keys of a section."""

    def change(config: Config) -> None:
        for key, value in values.items():
            put(*place, key, value=value)(config)

    return change


def without(*keys: str) -> Change:
    """Return a change that takes a key away."""

    def change(config: Config) -> None:
        for key in keys[:-1]:
            config = config[key]
        del config[keys[-1]]

    return change


# A change of the default study, and the line that it gives. Where the schema tells it first, it is the schema's.
REFUSALS: list[tuple[Change, str]] = [
    # Training
    (
        of(TRAINING, steps=None),
        "generators.pig.model.training: give either steps or epochs; neither is set.",
    ),
    (
        of(TRAINING, epochs=3),
        "generators.pig.model.training: give either steps or epochs, and set the other to null; got 600 and 3.",
    ),
    (
        of(TRAINING, accumulate=3),
        "generators.pig.model.training.batch_size: must be a multiple of accumulate 3, got 8.",
    ),
    (
        of(TRAINING, warmup_steps=601),
        "generators.pig.model.training.warmup_steps: must be at most steps, 600, got 601.",
    ),
    (of(MODEL, image_channels=0), "generators.pig.model.image_channels: must be above 0, got 0."),
    (of(ENCODER, image_channels=-1), "generators.autoencoder.model.image_channels: must be above 0, got -1."),
    (
        of(("preprocessing",), anatomy="breast", colour="keep"),
        "preprocessing.colour: must be refuse or luminance for anatomy breast, since mammograms are grey.",
    ),
    (of(TRAINING, batch_size=0), "generators.pig.model.training.batch_size: must be above 0, got 0."),
    (of(TRAINING, learning_rate=0), "generators.pig.model.training.learning_rate: must be above 0, got 0.0."),
    (
        of(TRAINING, learning_rate=float("inf")),
        "generators.pig.model.training.learning_rate: must be a finite number, got inf.",
    ),
    (
        of(TRAINING, weight_decay=float("nan")),
        "generators.pig.model.training.weight_decay: must be a finite number, got nan.",
    ),
    (of(TRAINING, steps=0), "generators.pig.model.training.steps: must be above 0, got 0."),
    (of(TRAINING, steps=None, epochs=0), "generators.pig.model.training.epochs: must be above 0, got 0."),
    (of(TRAINING, log_every=0), "generators.pig.model.training.log_every: must be above 0, got 0."),
    (of(TRAINING, checkpoint_every=0), "generators.pig.model.training.checkpoint_every: must be above 0, got 0."),
    (of(TRAINING, accumulate=0), "generators.pig.model.training.accumulate: must be above 0, got 0."),
    (of(TRAINING, clip_norm=0), "generators.pig.model.training.clip_norm: must be above 0, got 0.0."),
    (of(TRAINING, weight_decay=-1), "generators.pig.model.training.weight_decay: must be 0 or more, got -1.0."),
    (of(TRAINING, warmup_steps=-1), "generators.pig.model.training.warmup_steps: must be 0 or more, got -1."),
    (of(TRAINING, ema_decay=1), "generators.pig.model.training.ema_decay: must be null or in [0, 1), got 1.0."),
    # nnU-Net
    (of(("nnunet",), epochs=0), "nnunet.epochs: must be above 0, got 0."),
    (of(("nnunet",), iterations=0), "nnunet.iterations: must be above 0, got 0."),
    # Network
    (
        of(NETWORK, channels=[]),
        "generators.pig.model.network.channels: needs a value for each level, and at least one.",
    ),
    (
        of(NETWORK, attention=[False, True]),
        "generators.pig.model.network.attention: needs one value for each level of channels, got 2 values for 3 "
        "channels.",
    ),
    (
        of(NETWORK, norm_groups=7),
        "generators.pig.model.network.norm_groups: must divide the channels of each level, [32, 48, 64]; got 7.",
    ),
    (
        of(NETWORK, head_channels=48),
        "generators.pig.model.network.head_channels: must divide the channels of each level with attention, [64].",
    ),
    (of(NETWORK, channels=[32, 64, 0]), "generators.pig.model.network.channels: must be above 0, got (32, 64, 0)."),
    (of(NETWORK, res_blocks=0), "generators.pig.model.network.res_blocks: must be above 0, got 0."),
    (of(NETWORK, head_channels=0), "generators.pig.model.network.head_channels: must be above 0, got 0."),
    (of(NETWORK, norm_groups=0), "generators.pig.model.network.norm_groups: must be above 0, got 0."),
    (of(NETWORK, patch=0), "generators.pig.model.network.patch: must be above 0, got 0."),
    (
        of(MODEL, image_size=50),
        "generators.pig.model.image_size: must be a multiple of 8 for a network of 3 levels and patch 2, got 50.",
    ),
    (of(MODEL, image_size=0), "generators.pig.model.image_size: must be above 0, got 0."),
    (
        put("generators", "segguided", "model", "image_size", value=50),
        "generators.segguided.model.image_size: must be a multiple of 8 for a network of 3 levels and patch 2, got 50.",
    ),
    # Noise schedule and steps of sampling
    (of(SCHEDULE, timesteps=1), "generators.pig.model.schedule.timesteps: must be at least 2, got 1."),
    (of(SCHEDULE, beta_1=0.0), "generators.pig.model.schedule.beta_1: must be between 0 and 1, got 0.0."),
    (
        of(SCHEDULE, beta_1=0.03),
        "generators.pig.model.schedule.beta_1: must be at most beta_T, 0.02, since the noise grows with t; got 0.03.",
    ),
    (
        put("generators", "pig", "sampling", "steps", value=1025),
        "generators.pig.sampling.steps: must be in 1..1024, the timesteps of the noise schedule, got 1025.",
    ),
    (
        put("generators", "pig", "sampling", "steps", value=0),
        "generators.pig.sampling.steps: must be above 0, got 0.",
    ),
    (
        put("generators", "ddim", "sampling", "steps", value=0),
        "generators.ddim.sampling.steps: must be above 0, got 0.",
    ),
    (
        put("generators", "ddim", "sampling", "steps", value=129),  # of DDPM's model
        "generators.ddim.sampling.steps: must be in 1..128, the timesteps of the noise schedule, got 129.",
    ),
    (
        put("generators", "controlnet", "sampling", "steps", value=1025),  # of its base
        "generators.controlnet.sampling.steps: must be in 1..1024, the timesteps of the noise schedule, got 1025.",
    ),
    # Autoencoder
    (
        of(ENCODER, image_size=50),
        "generators.autoencoder.model.image_size: must be a multiple of 4 for an autoencoder of 3 levels, got 50.",
    ),
    (
        of(ENCODER, norm_groups=5),
        "generators.autoencoder.model.norm_groups: must divide the channels of each level, [16, 32, 64]; got 5.",
    ),
    (
        of(ENCODER, image_size=16),
        "generators.autoencoder.model.image_size: must be at least 32 for the patch discriminator, got 16.",
    ),
    (
        of(ADVERSARIAL, batch_size=1),
        "generators.autoencoder.model.adversarial.batch_size: must be at least 2, for two images at a time (accumulate "
        "1): the discriminator has batch normalisation.",
    ),
    (of(ENCODER, image_size=0), "generators.autoencoder.model.image_size: must be above 0, got 0."),
    (of(ENCODER, channels=[0, 8]), "generators.autoencoder.model.channels: must be above 0, got (0, 8)."),
    (
        of(ENCODER, channels=[]),
        "generators.autoencoder.model.channels: needs a value for each level, and at least one.",
    ),
    (of(ENCODER, latent_channels=0), "generators.autoencoder.model.latent_channels: must be above 0, got 0."),
    (of(ENCODER, res_blocks=0), "generators.autoencoder.model.res_blocks: must be above 0, got 0."),
    (of(ENCODER, norm_groups=0), "generators.autoencoder.model.norm_groups: must be above 0, got 0."),
    (
        of(ENCODER, discriminator_channels=0),
        "generators.autoencoder.model.discriminator_channels: must be above 0, got 0.",
    ),
    (
        of(ENCODER, perceptual_weights="no.safetensors"),
        "generators.autoencoder.model.perceptual_weights: there is no file 'no.safetensors'; save torchvision's "
        "resnet50 as safetensors there, or set it to null to train without a perceptual loss.",
    ),
    (of(ENCODER, kl_weight=-1), "generators.autoencoder.model.kl_weight: must be 0 or more, got -1.0."),
    (
        of(ENCODER, adversarial_weight=-1),
        "generators.autoencoder.model.adversarial_weight: must be 0 or more, got -1.0.",
    ),
    (of(ENCODER, perceptual_weight=-1), "generators.autoencoder.model.perceptual_weight: must be 0 or more, got -1.0."),
    # What a model is built on
    (
        put("generators", "ldm", "model", "network", "patch", value=8),
        "generators.ldm.model.network: the side of the latents must be a multiple of 16 for a network of 2 levels and "
        "patch 8 (latents: 48 pixels at 1/4), got 12.",
    ),
    (
        of(("generators", "ldm_base", "model", "network"), patch=2),
        "generators.controlnet.model: ControlNet needs a base with network.patch 1, got 2.",
    ),
    (
        put("generators", "controlnet", "model", "embedding_channels", value=[16, 32]),
        "generators.controlnet.model.embedding_channels: needs 3 values, one for each level of the autoencoder, got 2.",
    ),
    (
        put("generators", "controlnet", "model", "embedding_channels", value=[16, 0, 4]),
        "generators.controlnet.model.embedding_channels: must be above 0, got (16, 0, 4).",
    ),
    (
        without("generators", "ldm", "needs"),
        "generators.ldm.needs.autoencoder: missing; name a generator of class baselines.autoencoder.Autoencoder.",
    ),
    (
        put("generators", "ldm", "needs", "autoencoder", value="ddpm"),
        "generators.ldm.needs.autoencoder: must be a generator of class baselines.autoencoder.Autoencoder, got one of "
        "class baselines.ddpm.DDPM.",
    ),
    (
        put("generators", "ldm", "needs", "base", value="ldm_base"),
        "generators.ldm.needs.base: is not among what this class needs: autoencoder.",
    ),
    (
        put("generators", "pig", "needs", value={"base": "ldm_base"}),
        "generators.pig.needs.base: is not among what this class needs: nothing.",
    ),
    (
        put("generators", "controlnet", "needs", "base", value="ldm"),  # which takes masks
        "generators.controlnet.needs.base: must be a generator of class baselines.ldm.UnconditionalLDM, got one of "
        "class baselines.ldm.LDM.",
    ),
    (
        put("generators", "ddim", "model_of", value="pig"),
        "generators.ddim.model_of: names 'pig' of class pig.methods.pig.PIG, whose model "
        "baselines.ddim.DDIM cannot read.",
    ),
    (
        put("generators", "ddim", value={"class": "baselines.ldm.LDM", "model_of": "ldm_base", "sampling": {}}),
        "generators.ddim.model_of: names 'ldm_base' of class baselines.ldm.UnconditionalLDM, whose model "
        "baselines.ldm.LDM cannot read.",
    ),
    # Segmentation
    (
        put(*SEGMENTATION, "training", value={"batch_size": 8, "learning_rate": 1e-3, "epochs": 3}),
        "segmentation.training: give steps and set epochs to null, so that an arm with more data is not trained for "
        "longer.",
    ),
    (
        of((*SEGMENTATION, "training"), batch_size=1),
        "segmentation.training.batch_size: must be at least 2, for batch normalisation; got 1.",
    ),
    (
        of((*SEGMENTATION, "training"), accumulate=2),
        "segmentation.training.accumulate: must be 1, since batch normalisation and the Dice loss are of the whole "
        "batch; got 2.",
    ),
    (
        of((*SEGMENTATION, "training"), learning_rate_schedule="plateau"),
        "segmentation.training.learning_rate_schedule: must not be 'plateau': its patience is counted in epochs, so "
        "that the rate of an arm with more data would stay up for longer.",
    ),
    (of(SEGMENTATION, encoder_depth=6), "segmentation.encoder_depth: must be 3, 4 or 5, got 6."),
    (
        of(SEGMENTATION, image_size=50),
        "segmentation.image_size: must be a multiple of 8 for encoder_depth 3, got 50.",
    ),
    (
        of(SEGMENTATION, encoder="resnett34"),
        "segmentation.encoder: 'resnett34' is not an encoder of segmentation-models-pytorch; did you mean 'resnet34'?",
    ),
    (
        of(SEGMENTATION, encoder_weights="imagnet"),
        "segmentation.encoder_weights: 'resnet18' has imagenet and ssl and swsl, or null; got 'imagnet'.",
    ),
    (of(SEGMENTATION, real_share=1.5), "segmentation.real_share: must be null or in [0, 1), got 1.5."),
    (
        of(SEGMENTATION, real_share=0.05),
        "segmentation.real_share: 0.05 of a batch of 8 is 0 real and 8 synthetic pairs; choose a share that leaves "
        "some of both, or a larger batch.",
    ),
    (
        of(SEGMENTATION, real_share=0.5, budget="epochs"),
        "segmentation.real_share: must be null with budget 'epochs': with a fixed share pairs are not seen as often.",
    ),
    # Preprocessing
    (put("preprocessing", "size", value=0), "preprocessing.size: must be above 0, got 0."),
    # Phantom
    (of(PHANTOM, patients=0), "dataset.phantom.patients: must be 1 or more when there are no normal_patients, got 0."),
    (of(PHANTOM, patients=-1), "dataset.phantom.patients: must be 0 or more, got -1."),
    (of(PHANTOM, patients=10000), "dataset.phantom.patients: must be at most 9999, got 10000."),
    (of(PHANTOM, normal_patients=-1), "dataset.phantom.normal_patients: must be 0 or more, got -1."),
    (of(PHANTOM, seed=-1), "dataset.phantom.seed: must be 0 or more, got -1."),
    (of(PHANTOM, views=["CC", "ML"]), "dataset.phantom.views: must be CC, MLO or both, each once, got ('CC', 'ML')."),
    (of(PHANTOM, slices_per_view=0), "dataset.phantom.slices_per_view: must be 1 or more, or null for all, got 0."),
    (of(PHANTOM, spacing_mm=3.0), "dataset.phantom.spacing_mm: must be between 0.1 and 2 mm, got 3.0."),
    (of(PHANTOM, geometry="fuji"), "dataset.phantom.geometry: must be one of hologic, ge, siemens, got 'fuji'."),
    (
        of(PHANTOM, densities=[0.5, 0.6]),
        "dataset.phantom.densities: must be four shares for a, b, c, d that add up to 1, got (0.5, 0.6).",
    ),
    (of(PHANTOM, diameter_min_mm=1.0), "dataset.phantom.diameter_min_mm: must be 2 mm or more, got 1.0."),
    (
        of(PHANTOM, diameter_min_mm=29.0, diameter_mm=28.5),
        "dataset.phantom.diameter_max_mm: must be at least diameter_min_mm, got 28.0.",
    ),
    (
        of(PHANTOM, diameter_mm=5.0),
        "dataset.phantom.diameter_mm: must be between diameter_min_mm and diameter_max_mm, got 5.0.",
    ),
    (of(PHANTOM, diameter_sigma=3.0), "dataset.phantom.diameter_sigma: must be between 0 and 2, got 3.0."),
    (of(PHANTOM, two_masses=2.0), "dataset.phantom.two_masses: must be between 0 and 1, got 2.0."),
    (of(PHANTOM, photons_per_mm2=0.0), "dataset.phantom.photons_per_mm2: must be positive, got 0.0."),
    # Classes
    (
        put("generators", "mine", value={"class": "nowhere.Mine", "model": {}}),
        "generators.mine.class: there is no module 'nowhere' in the working directory or on Python's path.",
    ),
    (
        put("table2", "arms", 0, "generator", value="ddim"),
        "table2.arms: names 'ddim', which draws images without masks, so that no segmentation can learn from them; it "
        "may be in table1.",
    ),
    (
        put("generators", "controlnet", "masks", value={"from": "segguided"}),
        "generators.controlnet.masks.from: names 'segguided', which draws no masks of its own.",
    ),
    (
        put("generators", "pig", "masks", value={"jitter": True}),
        "generators.pig.masks: is of a class that is given no masks to draw from; take it away.",
    ),
]


def changed(change: Change) -> Config:
    config = study()
    change(config)
    return config


def lines(config: Config) -> list[str]:
    try:
        check_config(config, SCHEMA, settings_errors)
    except UserError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(("change", "sentence"), REFUSALS, ids=[sentence.split(" ")[0] for _, sentence in REFUSALS])
def test_settings_that_cannot_work_are_refused(change: Change, sentence: str) -> None:
    assert f"config: {sentence}" in lines(changed(change))


@pytest.mark.parametrize(("change", "sentence"), REFUSALS, ids=[sentence.split(" ")[0] for _, sentence in REFUSALS])
def test_the_dataclasses_refuse_them_without_the_schema(change: Change, sentence: str) -> None:
    key = re.sub(r"(\[\d+\])?:?$", "", sentence.split(" ")[0])
    assert key in [line.split(": ")[0] for line in settings_errors(changed(change))]


@pytest.mark.parametrize("overlays", STUDIES + EVIDENCE)
def test_the_studies_pass(overlays: list[str]) -> None:
    assert lines(study(*overlays)) == []


# Every refusal that the dataclasses have is among the above.

SOURCES = [
    ROOT / name
    for name in (
        "pig/data/settings.py",
        "pig/diffusion/settings.py",
        "pig/training/settings.py",
        "pig/methods/settings.py",
        "pig/methods/pig_settings.py",
        "pig/evaluation/settings.py",
        "pig/system/settings.py",
        "pig/data/phantom/settings.py",
        "baselines/settings.py",
        "pig/study/settings.py",
    )
]


def pattern(node: ast.expr) -> str:
    """Return a regular expression for what a text or an f-string becomes."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(pattern, node.values))
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    return ".*"


def refusals(file: Path) -> Iterator[str]:
    """Yield a regular expression for each line that a file can refuse settings with."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Yield(value=ast.Tuple(elts=[key, sentence])) if not isinstance(sentence, ast.Name):
                yield rf"\S*{pattern(key)}: {pattern(sentence)}"
            case ast.Call(func=ast.Name(id="need"), args=[key, _, wanted]):
                yield rf"\S*{pattern(key)}: must be {pattern(wanted)}, got .*"
            case ast.Call(func=ast.Name(id="not_positive" | "negative" as bound), args=[_, *names]):
                least = "above 0" if bound == "not_positive" else "0 or more"
                for name in names:
                    yield rf"\S*{pattern(name)}: must be {least}, got .*"


def test_the_table_has_every_refusal_of_every_dataclass() -> None:
    found = {line for change, _ in REFUSALS for line in settings_errors(changed(change))}
    wanted = {refusal for file in SOURCES for refusal in refusals(file)}
    assert len(wanted) > 60
    assert [refusal for refusal in sorted(wanted) if not any(re.fullmatch(refusal, line) for line in found)] == []


def test_every_dataclass_of_settings_is_in_a_file_that_is_looked_through() -> None:
    """Those of the layouts are tested with their readers."""
    elsewhere = {
        str(file.relative_to(ROOT))
        for package in ("pig", "baselines")
        for file in (ROOT / package).rglob("*.py")
        if "__post_init__" in file.read_text() and file not in SOURCES
    }
    readers = {f"pig/data/readers/{name}.py" for name in ("folders", "nnunet", "table")}
    assert elsewhere == {*readers, "pig/diffusion/schedule.py"}


def test_choices_are_refused_by_the_schema() -> None:
    config, choices = study(), ("anatomy", "aspect", "colour", "empty_masks", "window")
    config["preprocessing"] = {"size": 8, **dict.fromkeys(choices, "x")}
    assert [line.split(" ")[1] for line in lines(config)] == [f"preprocessing.{key}" for key in choices]


# All at once, and what is not refused.


def test_one_step_and_plateau_after_a_warm_up_are_no_errors() -> None:
    config = study()
    config["generators"]["pig"]["sampling"]["steps"] = 1
    config["generators"]["pig"]["model"]["training"] |= {"learning_rate_schedule": "plateau", "warmup_steps": 100}
    assert lines(config) == []


def test_the_phantom_counts_only_where_it_is_used() -> None:
    config = study()
    config["dataset"]["phantom"]["views"] = ["LM"]
    assert len(lines(config)) == 1
    config["dataset"]["manifest"] = __file__
    assert lines(config) == []


def test_errors_of_a_section_do_not_hide_those_of_what_holds_it() -> None:
    config = study()
    model = config["generators"]["pig"]["model"]
    model["training"]["accumulate"] = 3
    model["network"]["norm_groups"] = 7
    model["image_size"] = 50
    config["generators"]["pig"]["sampling"]["steps"] = 2000
    assert [line.split(": ")[1] for line in lines(config)] == [
        "generators.pig.model.training.batch_size",
        "generators.pig.model.network.norm_groups",
        "generators.pig.model.image_size",
        "generators.pig.sampling.steps",
    ]


def test_subclasses_may_stand_for_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heirs_of_baselines.py").write_text(
        "from baselines import autoencoder\nclass Mine(autoencoder.Autoencoder): ...\n"
    )
    config = study()
    config["generators"]["autoencoder"]["class"] = "heirs_of_baselines.Mine"
    assert lines(config) == []
    config["generators"]["autoencoder"]["model"]["norm_groups"] = 5  # read by what it derives from
    assert [line.split(": ")[1] for line in lines(config)] == ["generators.autoencoder.model.norm_groups"]


OWN = """
from dataclasses import dataclass
from pig.system.settings import refuse

@dataclass(frozen=True)
class Model:
    size: int = 8

    def __post_init__(self):
        refuse([("size", "must be even.")] if self.size % 2 else [], self)

@dataclass(frozen=True)
class Sampling:
    def model_errors(self, model, parts):
        if model.size > 100:
            yield "", f"draws at most 100 pixels, not {model.size}."

class Mine:
    takes_masks = False
    makes_masks = True
"""


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"size": 8}, []),
        ({"size": 8.0}, []),
        ({"size": 7}, ["config: generators.mine.model.size: must be even."]),
        ({"sise": 7}, ["config: generators.mine.model.sise: unknown key; did you mean 'size'?"]),
        ({"size": 102}, ["config: generators.mine.sampling: draws at most 100 pixels, not 102."]),
    ],
)
def test_a_users_dataclasses_are_heeded(
    model: Config, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_settings.py").write_text(OWN)
    config = study()
    config["generators"]["mine"] = {"class": "own_settings.Mine", "model": model, "sampling": {}}
    assert lines(config) == expected


def test_a_users_class_that_knows_no_colours_is_refused_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_grey.py").write_text(OWN)
    config = study()
    config["generators"]["mine"] = {"label": "Mine", "class": "own_grey.Mine", "model": {"size": 8}, "sampling": {}}
    config["preprocessing"]["colour"] = "keep"
    assert lines(config) == ["config: generators.mine.model.image_channels: unknown key; the keys are size."]


def test_a_users_module_that_breaks_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "broken_settings.py").write_text(f"{OWN}\n1 / 0\n")
    config = study()
    config["generators"]["mine"] = {"class": "broken_settings.Mine", "model": {}}
    assert lines(config) == [
        "config: generators.mine.class: its module cannot be imported: ZeroDivisionError('division by zero')."
    ]


def test_the_encoders_are_those_of_the_library() -> None:
    from segmentation_models_pytorch.encoders import encoders

    for name, entry in encoders.items():
        assert list(encoder_errors(name, None)) == []
        for weights in entry["pretrained_settings"]:
            assert list(encoder_errors(name, weights)) == []
        assert [key for key, _ in encoder_errors(name, "none such")] == ["encoder_weights"]
    for name in ("resnet99", "", "imagenet"):
        assert [key for key, _ in encoder_errors(name, None)] == ["encoder"]


def test_a_plan_tells_all_of_it_and_imports_no_torch(tmp_path: Path) -> None:
    config: Config = {
        "segmentation": {"image_size": 50, "encoder": "resnet99", "training": {"batch_size": 1}},
        "dataset": {"phantom": {"views": ["ML"]}},
        "generators": {
            "pig": {"model": {"training": {"accumulate": 3}, "schedule": {"timesteps": 4}}, "sampling": {"steps": 5}},
            "ldm": {"needs": {"autoencoder": "ddpm"}, "label": "a\nb"},
            "controlnet": {"model": {"embedding_channels": [16, 32]}},
        },
        "table2": {"arms": []},
    }
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    run = snakemake(tmp_path, "-n", "--configfile", "wrong.yaml", PYTHONPATH=f"{tmp_path}:{ROOT}")
    told = [line.split(": ")[1] for line in run.stdout.splitlines() if "config: " in line]
    assert run.returncode != 0
    assert told == [
        "table2.arms is empty; name at least one generator whose pairs the segmentation is to learn from.",
        "generators.ldm.label has a line break or another control character",
        "dataset.phantom.views",
        "segmentation.training.batch_size",
        "segmentation.image_size",
        "segmentation.encoder",
        "generators.pig.model.training.batch_size",
        "generators.ldm.needs.autoencoder",
        "generators.controlnet.model.embedding_channels",
        "generators.pig.sampling.steps",
    ]
    assert "Traceback" not in run.stdout
