"""What would be run, before anything was."""

import json
import re
from pathlib import Path

import pytest
from study_runs import ROOT, TINY, overlay, plan, snakemake

from pig.study.arms import REAL, Arm, arms_of
from pig.study.merged import merged_config

CONFIGS = ROOT / "workflow" / "configs"
SMALL = "phantom-small.yaml"


def test_default_study_trains_once_a_fold_and_segments_each_arm(tmp_path: Path) -> None:
    counts = plan(tmp_path).counts
    # Six trainings in each of 5 folds, and DDPM's in fold 0 alone, of which DDIM samples too.
    assert counts["fit"] == 6 * 5 + 1
    assert counts["segment"] == (7 + 4) * 5 * 2  # four controls; two seeds
    assert counts["phantom"] == counts["preprocess"] == 3  # the study's patients, the oracle's, the tested ones
    assert counts["fid"] == counts["quality"] == counts["gallery"] == 6
    once = ("strip", "overlay", "table1", "table2", "quality_table", "all")
    assert {name: counts[name] for name in once} == dict.fromkeys(once, 1)


def test_table2_needs_nothing_of_table1(tmp_path: Path) -> None:
    outputs = plan(tmp_path, "--", "results/table2.csv").outputs
    alone = ("ddpm", "ddim", "fid", "quality", "strip", "predictions")
    assert not [output for output in outputs if any(word in output for word in alone)]


def test_table2_comes_with_the_galleries_of_its_generators_alone(tmp_path: Path) -> None:
    outputs = plan(tmp_path, "--", "results/table2.csv").outputs
    galleries = sorted(output for output in outputs if output.startswith("results/figures/"))
    assert galleries == [f"results/figures/gallery_{name}.png" for name in ("controlnet", "ldm", "pig", "segguided")]


def test_full_shards_cover_the_greatest_count_asked_for(tmp_path: Path) -> None:
    # Shards of 16; PIG is asked for 24 in both folds, SegGuidedDif for 8, and all for table 1's 16 in fold 0.
    result = plan(tmp_path, "--configfile", TINY)
    shards = sorted(output for rule, output in result.jobs if rule == "synthesise" and "/pig/" in output)
    assert shards == [f"results/synthetic/pig/fold{k}/shard{j}.npz" for k in (0, 1) for j in (0, 1)]
    assert result.counts["synthesise"] == 4 + 2 + 4
    drawn = re.findall(r"--first (\d+) --last (\d+) .*/shard(\d+)\.npz", result.text)
    assert len(drawn) == 10
    assert {*drawn} == {("0", "16", "0"), ("16", "32", "1")}


def test_a_training_is_told_the_sampling_of_its_generator(tmp_path: Path) -> None:
    text = plan(tmp_path, "--configfile", TINY, "--", "results/models/ldm/fold0").text
    said = dict(re.findall(r"pig fit .* --name (\w+) .* --sampling '?(\{.*?\})'? --seed", text))
    assert said == {"ldm": '{"solver": "dpmpp_2m", "steps": 4}', "autoencoder": "{}"}


SEGMENTS = re.compile(
    r"pig segment .* --fold (\d+) --seed (\d+) --settings '(\{.*\})' (.*) --test \S+"
    r" --work \S+ --out results/segmentation/(\w+)/fold(\d+)/seed(\d+) "
)


def test_each_job_is_told_its_fold_its_seed_and_what_its_arm_says(tmp_path: Path) -> None:
    """All arms of ablations.yaml, three seeds, and a study's seed of 5."""
    files = [CONFIGS / "ablations.yaml", CONFIGS / SMALL]
    text = plan(tmp_path, "--configfile", *files, "--config", "seed=5", "--", "results/table2.csv").text
    found = SEGMENTS.findall(text)
    arms = {REAL: Arm()} | {arm.name: arm for arm in arms_of(merged_config(files))}
    assert len(found) == len(set(found)) == len(arms) * 5 * 3
    seen = set()
    for fold, seed, settings, words, name, of_fold, of_seed in found:
        assert (fold, seed) == (of_fold, of_seed)
        said, parts = json.loads(settings), set(words.split())
        assert said.get("augmentation") == ("strong" if name.endswith("_strong") else "light")
        assert said.get("budget") == ("epochs" if name.endswith("_epochs") else None)
        flags = {"--shuffle-masks": "_shuffled" in name, "--leaky": "_leaky" in name, "--oracle": "oracle_" in name}
        assert {flag for flag, wanted in flags.items() if wanted} == parts & {*flags}
        assert (re.findall(r"--real (\S+)", words) or ["1"]) == [f"{arms[name].real:g}"]
        assert (re.findall(r"--count (\d+)", words) or ["0"]) == [str(arms[name].count)]
        assert re.findall(r"--source (\w+)", words) == re.findall("^(copy_paste|oversampling)", name)
        seen |= parts | {name.rpartition("_")[2]}
    assert {"--shuffle-masks", "--leaky", "--oracle", "--real", "--source", "--synthetic", "strong", "epochs"} <= seen
    trained, drawn = (re.findall(rf"pig {rule} .* --seed (\d+) ", text) for rule in ("fit", "synthesise"))
    assert len(trained) > 40 and len(drawn) > 40 and {*trained, *drawn} == {"5"}


def test_an_arm_takes_just_the_shards_that_cover_it(tmp_path: Path) -> None:
    small = plan(tmp_path, "--configfile", TINY, "--", "results/segmentation/pig_8/fold1/seed0/slices.csv")
    assert small.counts["synthesise"] == 1
    words = "--synthetic results/synthetic/pig/fold1/shard0.npz --count 8 --test results/data/test_store --work"
    assert words in small.text


@pytest.mark.parametrize(("fold", "distances"), [(0, 6), (1, 0)])
def test_fold_target_makes_all_of_one_fold_and_nothing_of_another(tmp_path: Path, fold: int, distances: int) -> None:
    result = plan(tmp_path, "--configfile", TINY, "--", f"fold{fold}")
    rest = [o for o in result.outputs if o and not o.startswith("results/data/")]
    assert rest
    assert all(f"/fold{fold}" in output for output in rest)
    assert result.counts["segment"] == 7
    assert result.counts["fid"] == distances
    assert result.counts["table2"] == 0


@pytest.mark.parametrize(
    ("files", "controls", "seeds"),
    [(["paper.yaml"], 5, 1), (["paper.yaml", "paper-official-code.yaml"], 5, 1), (["paper-official-code.yaml"], 4, 2)],
)
def test_the_papers_studies_dry_run(tmp_path: Path, files: list[str], controls: int, seeds: int) -> None:
    result = plan(tmp_path, "--configfile", *[CONFIGS / file for file in files])
    assert result.counts["segment"] == (7 + controls) * 5 * seeds
    if files[0] == "paper.yaml":
        assert "--features inception" in result.text
        assert result.text.count('"epochs": 128') >= 5 * 5


def test_the_weights_of_features_reach_the_commands(tmp_path: Path) -> None:
    (tmp_path / "my vit.safetensors").touch()
    target = ["results/fid/pig/fold0.json", "results/quality/pig/fold0.json"]
    for table1, words in (
        ({"features": "general"}, "--features general +--cache "),
        ({"features": "dinov2", "feature_weights": "my vit.safetensors"}, "--features dinov2 --weights 'my vit.safe"),
    ):
        text = plan(tmp_path, *overlay(tmp_path, table1["features"], table1=table1), *target).text
        assert len(re.findall(f"pig (?:fid|quality) .*{words}", text)) == 2


def test_the_evidence_study_has_all_arms_thrice_at_128_pixels(tmp_path: Path) -> None:
    result = plan(tmp_path, "--configfile", CONFIGS / "ablations.yaml", CONFIGS / "phantom.yaml")
    # Real data alone, 12 arms of generators, 13 controls. DDPM is trained for table 1 alone.
    assert result.counts["segment"] == (1 + 12 + 13) * 5 * 3
    assert result.counts["fit"] == 12 * 5 + 1
    assert '"image_size": 128' in result.text and '"image_size": 48' not in result.text


def test_the_small_evidence_study_has_the_same_design() -> None:
    large, small = (merged_config([CONFIGS / "ablations.yaml", CONFIGS / name]) for name in ("phantom.yaml", SMALL))
    assert [arm.name for arm in arms_of(small) if not arm.oracle] == [a.name for a in arms_of(large) if not a.oracle]
    for key in ("table1", "table2"):
        assert small[key] == large[key]
    assert small["segmentation"]["seeds"] == large["segmentation"]["seeds"] == [0, 1, 2]


def test_nnunet_segments_each_arm_that_it_does_not_augment_itself(tmp_path: Path) -> None:
    target = "results/nnunet/table2.csv"
    result = plan(tmp_path, "--configfile", TINY, "--", target)
    whole = plan(tmp_path, "--configfile", TINY, "--", "results/table2.csv")
    arms = {output.split("/")[2] for rule, output in result.jobs if rule == "nnunet"}
    assert arms == {o.split("/")[2] for rule, o in whole.jobs if rule == "segment"} - {"real_strong"}
    assert result.counts["nnunet"] == len(arms) * 2 and result.counts["nnunet_table2"] == 1
    assert not [rule for rule, _ in result.jobs if rule in ("segment", "table2")]
    assert [rule for rule, _ in whole.jobs if "nnunet" in rule] == []
    assert result.text.count('"epochs": 1000, "image_size": 32, "iterations": 250') == len(arms) * 2
    table = re.search(r"pig table2 .* --out results/nnunet/table2.csv", result.text)
    assert table and table[0].count("=results/nnunet/") == len(arms) and "results/segmentation" not in table[0]


def test_the_study_of_nnunet_has_its_main_rows(tmp_path: Path) -> None:
    result = plan(tmp_path, "--configfile", CONFIGS / "nnunet.yaml", "--", "results/nnunet/table2.csv")
    assert result.counts["nnunet"] == 5 * 5 and result.text.count('"epochs": 4') == 5 * 5


def test_official_code_changes_pig_alone(tmp_path: Path) -> None:
    both = [CONFIGS / "paper.yaml", CONFIGS / "paper-official-code.yaml"]
    lines = [line for line in plan(tmp_path, "--configfile", *both).text.splitlines() if "pig fit" in line]
    assert {("--name pig " in line, '"plateau"' in line) for line in lines} == {(True, True), (False, False)}


def test_no_command_grows_with_the_number_of_results(tmp_path: Path) -> None:
    """Linux passes 128 KiB as one argument, and bash gets a command as one (MAX_ARG_STRLEN, execve(2))."""
    words = overlay(tmp_path, "many", segmentation={"seeds": [*range(150)]})
    text = plan(tmp_path, *words, "results/cost.csv").text
    assert text.count("pig segment ") == 7 * 2 * 150
    commands = re.findall(r"^Shell command: (.*)$", text, re.M)
    assert len(commands) > 2000 and max(map(len, commands)) < 20_000


def test_gpus_are_asked_for_where_there_are_any(tmp_path: Path) -> None:
    target = ["--configfile", TINY, "--", "results/models/ddpm/fold0"]
    assert "gpu=1" not in plan(tmp_path, *target, PIG_GPUS="0").text
    with_gpus = plan(tmp_path, *target, PIG_GPUS="4").text
    assert with_gpus.count("gpu=1") == 1  # the training, not the data
    assert "gpu=4" not in with_gpus


def test_names_with_spaces_and_quotes_reach_the_command_whole(tmp_path: Path) -> None:
    manifest = tmp_path / "Mary's data.csv"
    manifest.write_text("image_path,mask_path,patient_id\n")
    words = overlay(
        tmp_path,
        "quoted",
        dataset={"name": "Mary's $HOME set", "manifest": manifest.name},
        generators={"pig": {"label": "PIG; rm -rf"}},
    )
    text = plan(tmp_path, *words, "all").text
    assert """--manifest='Mary'"'"'s data.csv' """ in text
    assert """'--row=Mary'"'"'s $HOME set=results/segmentation/real' """ in text
    assert "--label='PIG; rm -rf' " in text
    assert "rule phantom" not in text


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"folds": {"cuont": 2}}, "config: folds.cuont is not a known key; did you mean count?"),
        ({"segmentation": {"training": {"steps": 2.5}}}, "segmentation.training.steps must be an integer or null"),
        ({"generators": {"pig": {"class": "nowhere.Pig"}}}, "generators.pig.class: there is no module 'nowhere'"),
        ({"generators": {"pig": {"class": "pig.methods.pig.Pig"}}}, "there is no 'Pig' in "),
        ({"table2": {"arms": [{"generator": "ddim", "count": 8}]}}, "names 'ddim', which draws images without masks"),
        ({"dataset": {"manifest": "absent.csv"}}, "dataset.manifest: there is no file 'absent.csv'"),
    ],
)
def test_a_mistake_is_a_sentence_and_stops_everything(
    tmp_path: Path, sections: dict[str, object], sentence: str
) -> None:
    run = snakemake(tmp_path, "--dry-run", *overlay(tmp_path, "wrong", **sections), "all")
    assert run.returncode != 0
    assert sentence in run.stdout
    assert "Traceback" not in run.stdout
    assert not (tmp_path / "results").exists()
