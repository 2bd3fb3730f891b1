"""Configurations: refused with sentences, and in step with the settings that the code knows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from classes import dataclass_of
from studies import EVIDENCE, SCHEMA, STUDIES, Config, put, study

import baselines.ddim
import baselines.ddpm
import baselines.ldm
import baselines.segguided
from pig.data.phantom import PhantomSettings
from pig.data.settings import PreprocessSettings
from pig.evaluation.settings import SegmentationSettings
from pig.methods import pig as paired_diffusion
from pig.study.config import check_config
from pig.study.own_data import missing_files
from pig.system.errors import UserError
from pig.system.imports import find_class
from pig.system.settings import parse
from pig.training.settings import TrainingSettings


def leaky(change: Callable[[Config], None] = lambda config: None) -> Callable[[Config], None]:
    """Return a change that makes PIG leaky, after another one."""

    def both(config: Config) -> None:
        change(config)
        put("generators", "pig", "leaky", value=True)(config)

    return both


def faults(config: Config) -> list[str]:
    try:
        check_config(config, SCHEMA, missing_files)
    except UserError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("overlays", STUDIES + EVIDENCE, ids=lambda names: "+".join(names) or "default")
def test_the_studies_are_right_down_to_the_settings_of_each_class(overlays: list[str]) -> None:
    config = study(*overlays)
    assert faults(config) == []
    parse(PhantomSettings, config["dataset"]["phantom"], "phantom")
    parse(PreprocessSettings, config["preprocessing"], "preprocessing")
    own = {key: value for key, value in config["segmentation"].items() if key != "seeds"}
    parse(SegmentationSettings, own, "segmentation")
    for name, generator in config["generators"].items():
        for section in {"model", "sampling"} & generator.keys():
            parse(dataclass_of(generator["class"], section), generator[section], f"generators.{name}.{section}")


def test_the_papers_study_has_the_papers_numbers_and_nothing_of_the_default_study() -> None:
    config = study("paper.yaml")
    assert config["preprocessing"] == {"size": 512, "aspect": "stretch"}
    training = TrainingSettings(batch_size=6, learning_rate=2e-4, epochs=128, optimizer="adam", weight_decay=0.0)
    pig, ddpm, segguided = (config["generators"][name] for name in ("pig", "ddpm", "segguided"))
    # The defaults of the classes are the paper's: T = 1024, beta 1e-4..0.02, epsilon, 256 steps, no clipping.
    generator = find_class(pig["class"])(pig["model"], pig["sampling"])
    assert generator.model == paired_diffusion.Model(512, training)
    assert generator.sampling == paired_diffusion.Sampling()
    for network in (generator.guider, generator.denoiser):
        assert sum(parameter.numel() for parameter in network.parameters()) == 7_125_409
    assert parse(baselines.ddpm.Model, ddpm["model"], "ddpm") == baselines.ddpm.Model(512, training)
    assert parse(baselines.segguided.Model, segguided["model"], "") == baselines.segguided.Model(512, training)
    for name in ("ddim", "ldm", "controlnet", "segguided"):
        assert parse(baselines.ddim.Sampling, config["generators"][name]["sampling"], name) == baselines.ddim.Sampling()
    for name in ("ldm", "ldm_base"):
        assert parse(baselines.ldm.Model, config["generators"][name]["model"], name) == baselines.ldm.Model(training)
    assert config["table1"]["count"] == 2048
    assert [arm["count"] for arm in config["table2"]["arms"]] == [2048, 2048, 2048, 1024, 2048, 3072]


def test_the_official_code_departs_from_the_paper_in_these_settings() -> None:
    def leaves(value: Any, *keys: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, below in value.items():
                yield from leaves(below, *keys, key)
        else:
            yield ".".join(keys), value

    paper = dict(leaves(study("paper.yaml")))
    code = dict(leaves(study("paper.yaml", "paper-official-code.yaml")))
    assert {key: value for key, value in code.items() if paper.get(key, "unset") != value} == {
        "generators.pig.model.condition": "predicted",
        "generators.pig.model.clamp_condition": False,  # the default
        "generators.pig.model.loss_weight": "sigmoid",
        "generators.pig.model.antithetic": True,
        "generators.pig.model.training.learning_rate_schedule": "plateau",
        "generators.pig.sampling.steps": 1024,
        "generators.pig.sampling.binarise": True,
    }


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("sead", value=1), "sead is not a known key; did you mean seed?"),
        (put("folds", "qqq", value=1), "folds.qqq is not a known key; the keys there are count, seed."),
        (
            put("generators", "pig", "model", "network", "chanels", value=[8]),
            "generators.pig.model.network.chanels is not a known key; did you mean channels?",
        ),
        (
            put("generators", "ddim", "sampling", "step", value=3),
            "generators.ddim.sampling.step is not a known key; did you mean steps?",
        ),
        (
            put("generators", "pig", "model", "prediction", value="noise"),
            'generators.pig.model.prediction must be one of "epsilon", "v", "x0", not "noise".',
        ),
        (
            put("generators", "pig", "model", "training", "learning_rate", value="2e-4"),
            'generators.pig.model.training.learning_rate must be a number, not "2e-4" (to YAML that is text; write '
            "0.0002 or 2.0e-4).",
        ),
        (
            put("folds", "count", value="3"),
            'folds.count must be an integer, not "3" (values within braces after --config are all read as text; put '
            "them into a file for --configfile).",
        ),
        (put("folds", "count", value=1), "folds.count must be at least 2, not 1."),
        (put("folds", "count", value=True), "folds.count must be an integer, not true."),
        (put("folds", value=None), "folds must be keys and values, not null."),
        (put("folds", value={"count": 3}), "folds.seed is missing; config.yaml shows it with a value."),
        (put("segmentation", "seeds", value=[]), "segmentation.seeds must not be empty."),
        (put("segmentation", "seeds", value=[4, 4]), "segmentation.seeds names something twice: [4, 4]."),
        (put("table2", "arms", 1, "count", value=0), "table2.arms[1].count must be at least 1, not 0."),
        (
            put("generators", "a/b", value={"class": "a.B"}),
            "generators: a name is a letter, then letters, digits, '_' or '-', not \"a/b\".",
        ),
        (
            put("generators", "pig", "model_of", value="ddpm"),
            "generators.pig needs either model (settings to train with) or model_of (another's trained model).",
        ),
        (
            put("generators", "ddim", "model_of", value="ddqm"),
            "generators.ddim.model_of names 'ddqm', which is not among generators",
        ),
        (
            put("generators", "ldm", "needs", "autoencoder", value="ddim"),
            "generators.ldm.needs.autoencoder names 'ddim', which has no model of its own; name the one that has.",
        ),
        (
            put("generators", "ddim", "needs", value={"x": "ddpm"}),
            "generators.ddim.needs is of no use beside model_of; the needs of 'ddpm' are what is trained.",
        ),
        (
            put("generators", "autoencoder", "needs", value={"base": "controlnet"}),
            "generators need each other in a circle: autoencoder -> controlnet -> ldm_base -> autoencoder.",
        ),
        (
            put("generators", "ldm", "masks", value={}),
            "generators.ldm.masks needs either from (a generator whose masks are taken) or jitter: true (moved",
        ),
        (
            put("generators", "ldm", "masks", value={"from": "pig", "jitter": True}),
            "generators.ldm.masks needs either from (a generator whose masks are taken) or jitter: true (moved",
        ),
        (put("generators", "ldm", "masks", value={"jitter": False}), "generators.ldm.masks.jitter must be one of true"),
        (put("generators", "ldm", "masks", value={"form": "pig"}), "generators.ldm.masks.form is not a known key; did"),
        (
            put("generators", "ldm_base", "masks", value={"from": "pig"}),
            "generators.ldm_base.masks is of no use without a sampling section, since nothing is drawn from",
        ),
        (
            put("generators", "ldm", "masks", value={"from": "pgi"}),
            "generators.ldm.masks.from names 'pgi', which is not among generators",
        ),
        (
            put("generators", "ldm", "masks", value={"from": "ldm_base"}),
            "generators.ldm.masks.from names 'ldm_base', which is a part; to draw from it, give it a sampling section.",
        ),
        (
            put("generators", "ldm", "masks", value={"from": "ldm"}),
            "generators take each other's masks in a circle: ldm -> ldm.",
        ),
        (leaky(), "table1.generators[2] names 'pig', which is leaky; it may stand under table2.controls alone."),
        (leaky(), "table2.arms[3].generator names 'pig', which is leaky; it may stand under table2.controls alone."),
        (leaky(), "generators.pig is leaky, and its files would not say so; give it a name with leaky in it, as pig_l"),
        (
            put("generators", "ddim", "leaky", value=True),
            "generators.ddim.leaky is of what is trained, and 'ddim' has no model of its own; give it one.",
        ),
        (
            put("generators", "ddpm", "leaky", value=True),
            "generators.ddim.model_of names 'ddpm', which is leaky; then 'ddim' is, too: set its leaky to true.",
        ),
        (
            put("generators", "ldm_base", "leaky", value=True),
            "generators.controlnet.needs.base names 'ldm_base', which is leaky; then 'controlnet' is, too: set its",
        ),
        (
            leaky(put("generators", "ldm", "masks", value={"from": "pig"})),
            "generators.ldm.masks.from names 'pig', which is leaky; then 'ldm' is, too: set its leaky to true.",
        ),
        (
            put("generators", "ldm", "label", value="PIG"),
            "generators: 2 of them have the label 'PIG'; rows of a table need different ones.",
        ),
        (
            put("table1", "generators", value=["pig", "autoencoder"]),
            "table1.generators[1] names 'autoencoder', which is a part; to draw from it, give it a sampling section.",
        ),
        (put("table1", "generators", value=["pgi"]), "table1.generators[0] names 'pgi', which is not among generators"),
        (
            put("table1", "folds", value=[0, 5]),
            "table1.folds names fold 5, but folds.count is 5: they are numbered 0 to 4.",
        ),
        (put("table2", "arms", 0, "generator", value="x"), "table2.arms[0].generator names 'x', which is not among"),
        (
            put("table2", "arms", value=[{"generator": "pig", "count": 8}] * 2),
            "table2.arms[1] is there twice: pig with 8.",
        ),
        (
            put("dataset", "phantom", "patients", value=4),
            "folds.count is 5, but dataset.phantom has 4 patients; a fold needs at least one.",
        ),
        (put("dataset", "manifest", value="no.csv"), "dataset.manifest: there is no file 'no.csv'"),
        (put("dataset", "manifest", value="a{b}.csv"), "dataset.manifest: 'a{b}.csv' has braces, which Snakemake"),
        (
            put("dataset", "import", value={"from": "folder", "root": "."}),
            'dataset.import.from must be one of "manifest", "folders", "nnunet", "coco", "bcs-dbt", "t-synth", ',
        ),
        (put("dataset", "import", value={"from": "folders"}), "dataset.import.root is missing"),
        (
            put("dataset", "import", value={"from": "folders", "root": "."}),
            "dataset.import.patient: missing; it has no default, so give it a value.",
        ),
        (
            put(
                "dataset",
                "import",
                value={"from": "coco", "root": ".", "patient": "(.)", "annotations": "a", "imags": "b"},
            ),
            "dataset.import.imags: unknown key; did you mean 'images'?",
        ),
        (
            put("dataset", "import", value={"from": "inbreast", "root": "nowhere"}),
            "dataset.import.root: nothing is at 'nowhere'",
        ),
        (
            put("dataset", "import", value={"from": "folders", "root": ".", "patient": "^(.+_[0-9]+$"}),
            "dataset.import.patient: '^(.+_[0-9]+$' is no regular expression (missing ), unterminated subpattern at ",
        ),
        (
            put("dataset", "import", value={"from": "nnunet", "root": ".", "patient": "(a)(b)"}),
            "dataset.import.patient: '(a)(b)' has 2 groups; give a regular expression with one group",
        ),
        (
            put("dataset", "import", value={"from": "inbreast", "root": "data/{a}"}),
            "dataset.import.root: 'data/{a}' has braces, which Snakemake",
        ),
        (put("dataset", "salt", value="salt"), "dataset.salt is of no use with the phantom"),
        (
            lambda config: config["dataset"].update({"manifest": "s3://there/m.csv", "salt": "salt"}),
            "dataset.salt cannot be used with the manifest 's3://there/m.csv', since nothing is",
        ),
        (put("dataset", "new_patients", "test", value=1), "dataset.new_patients.test is 1, and one patient tells"),
        (put("dataset", "new_patients", "test", value=0), "dataset.new_patients.normal is 60, but test is 0"),
        (
            put("dataset", "new_patients", "test", value=9857),
            "dataset.new_patients asks for patients up to number 10000, counted on from those of dataset.phantom, and "
            "the last number is 9999; ask for fewer.",
        ),
        (
            put("dataset", "new_patients", "normal", value=10001),
            "dataset.new_patients asks for patients up to number 10001,",
        ),
        (put("dataset", "phantom", "first", value=9899), "dataset.new_patients asks for patients up to number 10161,"),
        (
            lambda config: config["table1"].update({"features": "inception", "feature_weights": "no.pth"}),
            "table1.feature_weights: there is no file 'no.pth'",
        ),
        (
            put("table1", "features", value="dinov2"),
            "table1.features is dinov2, which needs a file; set table1.feature_weights to timm's model",
        ),
        (
            lambda config: config["table1"].update({"features": "general", "feature_weights": "config.yaml"}),
            "table1.feature_weights is 'config.yaml', and general takes no file; set it to null",
        ),
        (
            put("table1", "feature_weights", value=__file__),  # of the encoder, in a file that is there
            f"table1.feature_weights is '{__file__}', and encoder takes no file; set it to null",
        ),
    ],
)
def test_a_fault_is_a_sentence(change: Callable[[Config], None], sentence: str) -> None:
    config = study()
    config["folds"]["count"] = 5
    change(config)
    found = faults(config)
    if "leaky" in sentence:  # each of which has several faults
        assert [fault for fault in found if fault.startswith(f"config: {sentence}")], found
        return
    assert found[0].startswith(f"config: {sentence}"), found
    assert len(found) == 1 or "autoencoder -> controlnet" in sentence


def test_a_leaky_generator_among_the_controls_is_no_fault() -> None:
    config = study()
    config["generators"]["ddpm_leaky"] = config["generators"]["segguided"] | {"leaky": True}  # its label is marked
    config["generators"]["more_leaky"] = {
        "class": "baselines.segguided.SegGuidedDif", "leaky": True, "model_of": "ddpm_leaky", "sampling": {"steps": 2}
    }  # fmt: skip
    config["table2"]["controls"] = [{"generator": name, "count": 8} for name in ("ddpm_leaky", "more_leaky")]
    assert faults(config) == []


def test_all_faults_are_named_at_once() -> None:
    config = study()
    config["seed"] = -1
    del config["table2"]["arms"]
    config["generators"]["pig"]["sampling"] = {"stepz": 1, "clip": "yes"}
    assert [fault.split(" ")[1] for fault in faults(config)] == [
        "generators.pig.sampling.stepz",
        "generators.pig.sampling.clip",
        "seed",
        "table2.arms",
    ]


def test_a_class_of_ones_own_checks_its_settings_itself() -> None:
    config = study()
    config["generators"]["mine"] = {"class": "my.Own", "model": {"anything": [1]}, "sampling": {"goes": "here"}}
    assert faults(config) == []


@pytest.mark.parametrize("changes", [{"manifest": __file__}, {"manifest": "s3://there/m.csv"}])
def test_one_new_patient_of_no_phantom_is_no_fault(changes: Config) -> None:
    config = study()
    config["dataset"] |= changes
    for test in (0, 1):
        config["dataset"]["new_patients"]["test"] = test
        assert faults(config) == []


def paths(value: Any, *keys: str) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        yield keys
        for key, below in value.items():
            yield from paths(below, *keys, key)


OPEN = {("generators",), *(("generators", name, "needs") for name in study()["generators"])}
SECTIONS = sorted(set(paths(study())) - OPEN)


@pytest.mark.parametrize("keys", SECTIONS, ids=lambda keys: ".".join(keys) or "top")
def test_no_section_takes_a_key_it_does_not_know(keys: tuple[str, ...]) -> None:
    config = study()
    section = config
    for key in keys:
        section = section[key]
    section["unheard-of"] = 1
    assert len(faults(config)) == 1
    del section["unheard-of"]
    assert faults(config) == []


def test_a_salt_does_not_lie_with_what_it_hides() -> None:
    config = study()
    config["dataset"] |= {"manifest": __file__, "salt": "results/salt"}
    (fault,) = faults(config)
    assert "dataset.salt lies in results, and would undo the pseudonyms there" in fault


def test_a_manifest_and_a_layout_are_one_too_many(tmp_path: Path) -> None:
    config = study()
    config["dataset"] |= {"manifest": __file__, "import": {"from": "inbreast", "root": str(tmp_path)}}
    assert faults(config) == ["config: dataset.manifest and dataset.import are both set; set one of them to null."]


@pytest.mark.parametrize("name", ["bcs-dbt", "cbis-ddsm", "inbreast", "t-synth"])
def test_the_public_sets_are_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = f"config: dataset.import.root: nothing is at 'data/{name}' (seen from the working directory)."
    assert faults(study("paper.yaml", f"{name}.yaml")) == [missing]
    (tmp_path / "data" / name).mkdir(parents=True)
    assert faults(study("paper.yaml", f"{name}.yaml")) == []
