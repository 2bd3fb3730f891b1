"""From two folders of images to a plan that Snakemake takes; what a job takes is said by hand, not tried out."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from study_files import picture, square, write_png
from study_runs import ROOT, plan

from pig.cli import main
from pig.data.folds import make_folds
from pig.data.pseudonyms import read_salt
from pig.data.readers import import_data
from pig.data.survey import Survey, survey
from pig.steps.plan import write_unless_other
from pig.study.estimate import Measured
from pig.study.merged import merged_config
from pig.study.planned import Leaf, as_yaml, differences, plain, tree_of
from pig.study.snakemake import planless
from pig.system.errors import UserError

PATIENTS = 12


def measured(fit: float) -> Measured:
    names = ("pig", "ddpm", "segguided", "autoencoder", "ldm", "ldm_base", "controlnet", "ddim")
    return Measured(
        startup=dict.fromkeys(("folds", "fit", "synthesise", "segment"), 0.0),
        fit=dict.fromkeys(names, fit),
        synthesise=dict.fromkeys(names, 0.0),
        segment={"light": 0.0, "strong": 0.0},
    )


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A data set of 12 patients with a lesion of 18 of 128 pixels; return the sizes that are tried out.

    One core, on which each of 6 trainings in 4 folds takes 30 s.
    """
    for number in range(PATIENTS):
        write_png(tmp_path / f"data/images/p{number:02d}_0.png", picture(number))
        write_png(tmp_path / f"data/masks/p{number:02d}_0.png", square(16))
    layout = {"from": "folders", "root": "data", "patient": "^(.+)_[0-9]+$"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"dataset": {"import": layout}}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIG_GPUS", "0")
    monkeypatch.setattr("snakemake.utils.available_cpu_count", lambda: 1)
    return calibrate(monkeypatch, 30.0)


def calibrate(monkeypatch: pytest.MonkeyPatch, fit: float) -> list[int]:
    sizes: list[int] = []

    def tried_out(config: dict[str, Any]) -> tuple[Measured, str]:
        sizes.append(config["segmentation"]["image_size"])
        return measured(fit), "a processor"

    monkeypatch.setattr("pig.steps.plan.tried_out", tried_out)
    return sizes


def test_a_plan_is_a_study_that_any_folder_can_run(
    tried: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--configfile", "mine.yaml"]) == 0
    said = capsys.readouterr().out
    made = yaml.safe_load((tmp_path / "mine.plan.yaml").read_text())
    assert made["dataset"]["name"] == "data data" and made["dataset"]["import"]["root"] == str(tmp_path / "data")
    assert made["folds"] == {"count": 4}  # three patients each
    assert made["image_size"] == 48 and tried == [48]  # 0.14 of a side: 6.8 pixels
    assert made["generators"]["pig"]["model"]["training"]["steps"] == 600  # of 9 pairs each is seen often enough
    assert "12 patients, 12 pairs" in said and "12 min" in said and "on 1 core" in said
    assert "Warning: each of the 12 images is a patient of its own; if several show one person" in said
    assert said.endswith("--configfile mine.plan.yaml --directory studies/mine -- results/table2.csv\n")

    # Another folder than that of the data, as the printed command has it.
    study = tmp_path / "studies/mine"
    study.mkdir(parents=True)
    (tmp_path / "other.yaml").write_text("image_size: 64\n")
    files = ["--configfile", tmp_path / "mine.plan.yaml", tmp_path / "other.yaml"]
    run = plan(study, *files, "--", "results/table2.csv")
    # 11 arms in 4 folds, with two seeds.
    assert (run.counts["import_data"], run.counts["fit"], run.counts["segment"]) == (1, 24, 88)
    assert '"image_size": 64' in run.text and '"image_size": 48' not in run.text


def test_nothing_changes_silently(tmp_path: Path) -> None:
    file, values = tmp_path / "p.yaml", {"folds": {"count": 4}}
    write_unless_other(file, "folds: {count: 4}  # why\n", values, force=False)
    write_unless_other(file, "folds: {count: 4}  # another reason\n", values, force=False)
    assert file.read_text() == "folds: {count: 4}  # why\n"
    file.write_text("folds: {count: 3}  # by hand\n")
    with pytest.raises(UserError, match=r"p\.yaml is there and stays.*: folds\.count: 3 -> 4\. --force replaces it"):
        write_unless_other(file, "folds: {count: 4}\n", values, force=False)
    assert file.read_text() == "folds: {count: 3}  # by hand\n"
    write_unless_other(file, "folds: {count: 4}\n", values, force=True)
    assert file.read_text() == "folds: {count: 4}\n"


def test_what_is_set_is_not_derived_and_what_depends_on_it_follows(tried: list[int], tmp_path: Path) -> None:
    (tmp_path / "set.yaml").write_text("image_size: 96\ndataset: {name: Set}\nfolds: {count: 2}\n")
    assert main(["plan", "--configfile", "mine.yaml", "set.yaml", "--out", "p.yaml"]) == 0
    made = yaml.safe_load((tmp_path / "p.yaml").read_text())
    assert (made["image_size"], made["preprocessing"]["size"], made["dataset"]["name"]) == (96, 96, "Set")
    assert made["folds"] == {"count": 2} and made["segmentation"]["encoder_depth"] == 4
    assert tried == [96]


def test_a_study_that_cannot_fit_is_planned_as_short_as_makes_sense_and_says_so(
    tried: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(PATIENTS):
        write_png(tmp_path / f"data/masks/p{number:02d}_0.png", square(8))
    sizes = calibrate(monkeypatch, 300.0)  # 2 hours at 96 pixels, at which the lesions are 6.8 wide
    assert main(["plan", "--configfile", "mine.yaml"]) == 0
    assert sizes == [96, 64]  # of half the pixels: 68
    assert "This is more than the 1 h of budget quick: 2.0 h." in capsys.readouterr().out
    made = yaml.safe_load((tmp_path / "mine.plan.yaml").read_text())
    assert made["generators"]["pig"]["model"]["training"]["steps"] == 600
    assert main(["plan", "--configfile", "mine.yaml", "--budget", "normal", "--out", "n.yaml"]) == 0
    normal = yaml.safe_load((tmp_path / "n.yaml").read_text())
    assert normal["image_size"] == 96 and normal["generators"]["pig"]["sampling"] == {"steps": 8}


def test_the_longest_trainings_within_the_budget_are_planned(
    tried: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pig.study.derived.EPOCHS", 10_000)
    assert main(["plan", "--configfile", "mine.yaml"]) == 0
    made = yaml.safe_load((tmp_path / "mine.plan.yaml").read_text())
    # 24 trainings of 30 s are 12 minutes, 4 times that 48, 6 times 72.
    assert made["generators"]["pig"]["model"]["training"]["steps"] == 2400
    assert made["segmentation"]["training"]["steps"] == 800


@pytest.mark.parametrize("way", ["import", "manifest"])
def test_with_a_salt_the_folds_are_those_of_the_run(
    tried: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """They are dealt by pseudonyms. Half of the patients have no lesion, so that it matters who is dealt with whom."""
    rows = ["image_path,mask_path,patient_id"]
    for number in range(PATIENTS):
        name = f"p{number:02d}_0.png"
        write_png(tmp_path / f"data/masks/{name}", square(16 * (number % 2)))
        rows.append(f"images/{name},masks/{name},p{number:02d}")
    (tmp_path / "data/m.csv").write_text("\n".join(rows) + "\n")
    kept = {"without_lesion": "keep"}
    layout = {"patient": "^(.+)_[0-9]+$"} | kept
    given = ("folders", "data", layout) if way == "import" else ("manifest", "data/m.csv", kept)
    own = {"import": layout | {"from": "folders", "root": "data"}} if way == "import" else {"manifest": "data/m.csv"}
    Path("mine.yaml").write_text(yaml.safe_dump({"dataset": own | {"salt": "keys/salt"}, "folds": {"count": 4}}))
    found: list[Survey] = []

    def surveyed(*words: Any) -> Survey:
        found.append(survey(*words))
        return found[-1]

    monkeypatch.setattr("pig.steps.plan.survey", surveyed)
    Path("keys").mkdir()
    smallest = set()
    for digit in "0123":
        Path("keys/salt").write_text(64 * digit)
        assert main(["plan", "--configfile", "mine.yaml", "--force"]) == 0
        manifest = pd.read_csv(import_data(*given, tmp_path / "run", salt=read_salt("keys/salt", tmp_path / "run")))
        with_lesion = [np.asarray(Image.open(tmp_path / "run" / mask)).any() for mask in manifest["mask_path"]]
        table = make_folds(manifest, 4, 0)
        of_fold = table["fold"][table["patient_id"].isin(manifest["patient_id"][with_lesion])].value_counts()
        assert found[-1].tested[4] == of_fold.reindex(range(4), fill_value=0).min()
        smallest.add(found[-1].tested[4])
    assert len(smallest) > 1


def test_a_new_salt_is_made_where_the_run_looks_for_it(tried: list[int], tmp_path: Path) -> None:
    Path("salted.yaml").write_text("dataset: {salt: keys/salt}\n")
    assert main(["plan", "--configfile", "mine.yaml", "salted.yaml"]) == 0
    made = yaml.safe_load(Path("salted.plan.yaml").read_text())
    assert Path(made["dataset"]["salt"]) == tmp_path / "keys/salt" and (tmp_path / "keys/salt").is_file()


def test_a_salt_in_results_is_refused_by_the_plan_too(
    tried: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("salted.yaml").write_text("dataset: {salt: results/salt}\n")
    assert main(["plan", "--configfile", "mine.yaml", "salted.yaml"]) == 2
    assert "dataset.salt lies in results" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_all_paths_are_whole(tried: list[int], tmp_path: Path) -> None:
    for name in ("inception.pth", "resnet.safetensors"):
        Path(name).write_bytes(b"weights")
    model = {"perceptual_weights": "resnet.safetensors"}
    table1 = {"features": "inception", "feature_weights": "inception.pth"}
    weights = {"table1": table1, "generators": {"autoencoder": {"model": model}}}
    Path("set.yaml").write_text(yaml.safe_dump(weights | {"dataset": {"salt": None}}))
    assert main(["plan", "--configfile", "mine.yaml", "set.yaml"]) == 0
    made = yaml.safe_load(Path("set.plan.yaml").read_text())
    assert made["table1"]["feature_weights"] == str(tmp_path / "inception.pth")
    assert made["generators"]["autoencoder"]["model"]["perceptual_weights"] == str(tmp_path / "resnet.safetensors")
    assert made["dataset"]["import"]["root"] == str(tmp_path / "data") and made["dataset"]["salt"] is None


@pytest.mark.parametrize("text", [b"image_size: [48\n", b"image_size: \xff\n"])
def test_a_plan_that_is_broken_is_told_before_anything_is_tried_out(
    tried: list[int], capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    Path("mine.plan.yaml").write_bytes(text)
    assert main(["plan", "--configfile", "mine.yaml"]) == 2
    said = capsys.readouterr().err
    assert "mine.plan.yaml is there and cannot be read (" in said and "replace it with --force" in said
    assert tried == [] and Path("mine.plan.yaml").read_bytes() == text
    assert main(["plan", "--configfile", "mine.yaml", "--force"]) == 0
    assert yaml.safe_load(Path("mine.plan.yaml").read_text())["image_size"] == 48


def test_whole_numbers_may_be_written_with_a_point(tried: list[int]) -> None:
    Path("set.yaml").write_text("image_size: 64.0\nfolds: {count: 2.0}\n")
    assert main(["plan", "--configfile", "mine.yaml", "set.yaml", "--out", "p.yaml"]) == 0
    made = yaml.safe_load(Path("p.yaml").read_text())
    assert made["preprocessing"]["size"] == 64 and made["folds"] == {"count": 2} and tried == [64]
    assert "64.0" not in Path("p.yaml").read_text()


def test_the_command_can_be_pasted_whatever_the_files_are_called(
    tried: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.yaml").rename("my data.v2.yaml")
    assert main(["plan", "--configfile", "my data.v2.yaml"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    wanted = ["--configfile", "my data.v2.plan.yaml", "--directory", "studies/my data.v2", "--", "results/table2.csv"]
    assert shlex.split(line) == ["snakemake", "--cores", "all", *wanted]
    assert main(["plan", "--configfile", "my data.v2.yaml", "--budget", "paper"]) == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[1])
    assert words[3:6] == ["--configfile", "workflow/configs/paper.yaml", "my data.v2.yaml"]


def test_without_data_there_is_nothing_to_plan_and_the_paper_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("folds: {count: 3}\n")
    assert main(["plan", "--configfile", "mine.yaml"]) == 2
    assert "mine.yaml names no data; set dataset.import or dataset.manifest" in capsys.readouterr().err
    Path("mine.yaml").write_text("dataset: {manifest: 's3://there/manifest.csv'}\n")
    assert main(["plan", "--configfile", "mine.yaml"]) == 2
    assert "s3://there/manifest.csv is not on this machine" in capsys.readouterr().err
    assert main(["plan", "--configfile", "mine.yaml", "--budget", "paper"]) == 0
    assert "--configfile workflow/configs/paper.yaml mine.yaml --directory studies/mine" in capsys.readouterr().out
    assert not Path("mine.plan.yaml").exists()


def test_a_file_holds_what_it_is_made_of() -> None:
    own = {"dataset": {"name": "A: {b} #1", "import": None}, "seed": 3, "list": [{"a": 1, "b": [1.5, True]}, {}]}
    tree = tree_of(own, [], "mine.yaml")
    tree["one"] = {"a": Leaf(1, "why"), "b": Leaf(None, "why not")}
    text = as_yaml(tree, "The head\nof it")
    assert yaml.safe_load(text) == plain(tree) == own | {"one": {"a": 1, "b": None}}
    assert text.startswith("# The head\n# of it\n")
    assert "  a: 1  # why\n  b: null  # why not\n" in text
    assert differences(own, own | {"seed": 4, "new": {"x": 1}}) == ["seed: 3 -> 4", "new.x: nothing -> 1"]


def test_settings_of_the_phantom_are_told_to_who_brings_data(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("image_path,mask_path,patient_id\n")
    own = {"dataset": {"manifest": str(tmp_path / "m.csv")}}
    assert "`pig plan` derives them from your data" in planless(merged_config([], over=own))
    assert planless(merged_config([], over=own | {"image_size": 64})) == ""
    assert planless(merged_config([])) == ""
    assert planless(merged_config([ROOT / "workflow/configs/paper.yaml"], over=own)) == ""


def test_the_template_names_keys_that_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/mine").mkdir(parents=True)
    text = (ROOT / "workflow/configs/mine.yaml").read_text()
    set_all = text.replace("# image_size", "image_size").replace("# folds", "folds").replace("# prepr", "prepr")
    config = merged_config([_written(tmp_path / "set.yaml", set_all)])
    assert config["image_size"] == 96 and config["preprocessing"]["anatomy"] == "breast"
    assert merged_config([_written(tmp_path / "as_it_is.yaml", text)])["image_size"] == 48


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file
