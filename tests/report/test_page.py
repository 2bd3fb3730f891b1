"""The page: the right numbers at the right places, and nothing loaded. In a browser: test_browser.py."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pig.report.audit import Audit, Drawn
from pig.report.page import forest, write_report
from pig.report.quality import in_brief
from pig.steps.report import report
from pig.study.merged import merged_config
from pig.system.errors import UserError
from pig.system.files import write_sealed

ARMS = {"Real": [0.4, 0.5], "+<PIG>_8": [0.45, 0.65], "control: strong augmentation": [0.38, 0.5]}
KINDS = {"+<PIG>_8": "method", "control: strong augmentation": "augmentation"}


def comparison(arm: str) -> dict[str, object]:
    difference = float(np.mean(ARMS[arm]) - np.mean(ARMS["Real"]))
    return {
        "tested": "folds", "metric": "dice", "arm": arm, "kind": KINDS[arm], "against": "Real", "patients": 10,
        "folds": 2, "seeds": 2, "difference": difference, "low": difference - 0.01, "high": difference + 0.01,
        "low_folds": difference - 0.05, "high_folds": difference + 0.05, "p_holm": 0.01, "smallest_visible": 0.1,
    }  # fmt: skip


COMPARISONS = pd.DataFrame([comparison(arm) for arm in list(ARMS)[1:]])
SCORES = pd.DataFrame(
    [
        {"arm": arm, "fold": fold, "seed": seed, "averaging": averaging, "metric": metric, "tested": tested,
         "value": value if (averaging, metric, tested) == ("per patient", "dice", "folds") else 9.0}
        for arm, values in ARMS.items()
        for fold, value in enumerate(values)
        for seed in (0, 1)
        for averaging in ("per slice", "per patient")
        for metric in ("dice", "iou")
        for tested in ("folds", "new patients")
    ]
)  # fmt: skip

MEASURES = pd.DataFrame(
    [
        {"tested": "folds", "arm": arm, "measure": measure, "mean": 0.25 + i, "low": 0.125, "high": 8.5}
        for i, arm in enumerate(ARMS)
        for measure in ("dice", "hd95", "nsd")
    ]
)
LOOKS = {
    "area": {"drawn": 0.25, "least": 0.01, "greatest": 0.04},
    "grain": {"drawn": 0.1, "least": 0.1, "greatest": 0.2},
}
TWICE = [Drawn("copier", fold, 8, None, {}, [f"of fold {fold}"]) for fold in (0, 2)]
DRAWN = Drawn("pig", 0, 8, 2, LOOKS, ["the lesion covers 25.0 % (1.0 % to 4.0 %)"])

QUALITY = pd.DataFrame(
    {"generator": ["<PIG>", "LDM"], "fold": 0, "of": "image", "against": "held-out", "measure": "fid",
     "value": [4.25, 9.5], "low": [4.0, 9.0], "high": [5.0, 10.0], "floor": 4.5, "n": 20}
)  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> Path:
    figures = [tmp_path / "gallery_pig.png", tmp_path / "closest_pig_fold2.png"]
    for figure in figures:
        Image.new("RGB", (40, 30)).save(figure)
    overlay, said = tmp_path / "pig_8.png", PngInfo()
    said.add_text("Description", "Test slices of <PIG>_8: best: Dice 62 %")
    Image.new("RGB", (40, 20)).save(overlay, pnginfo=said)
    write_report(
        tmp_path / "report.html",
        table2=pd.DataFrame({"Dataset": list(ARMS), "Dice (%)": [45.0, 55.0, np.nan]}),
        comparisons=COMPARISONS,
        scores=SCORES,
        measures=MEASURES,
        more={
            "table1.csv": pd.DataFrame({"Method": ["PIG"], "FID (encoder)": [3.456]}),
            "quality.csv": in_brief(QUALITY),
        },
        nnunet={},
        figures=figures,
        predictions=[overlay],
        audit=Audit(
            segmentations=6, models=2, drawn=[DRAWN, *TWICE], devices=["a processor"],
            versions=["torch 2"], finished="2026-01-01",
        ),
        config={"dataset": {"name": "<b>Mine</b>"}},
    )  # fmt: skip
    return tmp_path / "report.html"


def test_the_plot_shows_mean_interval_and_folds_where_they_are() -> None:
    """Differences in points: +<PIG> 10 (5 and 15), interval 5 to 15; the control -1 (-2 and 0), interval -6 to 4."""
    plot = forest(COMPARISONS, SCORES)
    pig, control = plot.bars
    ticks = {int(text): x for x, text in plot.ticks}

    def points(x: float) -> float:
        return (x - ticks[0]) / (ticks[10] - ticks[0]) * 10

    assert [points(x) for x in (pig.middle, pig.low, pig.high, *pig.folds)] == pytest.approx(
        [10, 5, 15, 5, 15], abs=0.05
    )
    assert [points(x) for x in (control.middle, control.low, control.high, *control.folds)] == pytest.approx(
        [-1, -6, 4, -2, 0], abs=0.05
    )
    assert (control.arm, control.control, pig.control) == ("strong augmentation", True, False)
    assert pig.words == "shown to be better than" and control.words == "not shown to differ from"
    assert ticks[0] == plot.zero
    assert min(ticks) <= -6 and max(ticks) >= 15


def test_a_study_without_comparisons_has_no_plot() -> None:
    assert forest(COMPARISONS.head(0), SCORES).bars == []


@pytest.mark.parametrize("column", ["kind", "seeds"])
def test_comparisons_of_an_earlier_version_are_refused(column: str, tmp_path: Path) -> None:
    """They do not say what an arm is (its label is no evidence), or of how many seeds."""
    for name in ("table2.csv", "scores.csv", "measures.csv"):
        (tmp_path / name).write_text("Dataset\nReal\n")
    COMPARISONS.drop(columns=column).to_csv(tmp_path / "comparisons.csv", index=False)
    with pytest.raises(UserError, match=rf"comparisons\.csv lacks the column {column}"):
        report(results=tmp_path, config={}, out=tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The tables of a study, and galleries of one generator that it has and of one that it had."""
    tables = {"comparisons": COMPARISONS, "scores": SCORES, "measures": MEASURES}
    tables["table2"] = pd.DataFrame({"Dataset": list(ARMS), "Dice (%)": [45.0, 55.0, np.nan]})
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "figures").mkdir()
    for name in ("gallery_pig", "gallery_removed", "strip_removed", "closest_pig_fold0", "closest_pig_fold1"):
        Image.new("RGB", (4, 3)).save(tmp_path / f"figures/{name}.png")
    return tmp_path


def test_what_another_configuration_has_left_is_not_shown(results: Path) -> None:
    report(results=results, config=merged_config([]), out=results / "report.html")
    text = (results / "report.html").read_text()
    assert text.count("<figure>") == 2
    assert "Pairs drawn by pig beside real ones" in text and "Pairs drawn by pig, fold 0 that lie" in text
    assert "removed" not in text
    report(results=results, config={}, out=results / "all.html")
    assert (results / "all.html").read_text().count("<figure>") == 5


def test_table_2_by_nnunet_is_shown_where_it_was_made(results: Path) -> None:
    """There nothing is shown to help, whatever the other network says."""
    report(results=results, config={}, out=results / "without.html")
    assert "nnU-Net" not in (results / "without.html").read_text()
    (results / "nnunet").mkdir()
    table = pd.DataFrame({"Dataset": list(ARMS), "Dice (%)": [61.5, 60.25, 62.0]})
    table.to_csv(results / "nnunet/table2.csv", index=False)
    report(results=results, config={}, out=results / "half.html")
    assert "nnU-Net" not in (results / "half.html").read_text()
    COMPARISONS.assign(low_folds=-0.5).to_csv(results / "nnunet/comparisons.csv", index=False)
    report(results=results, config={}, out=results / "with.html")
    others, _, own = (results / "with.html").read_text().partition("<h2>By another network: nnU-Net</h2>")
    assert "The arm with generated pairs is shown to help" in others and "60.25" not in others
    assert "is not shown to help" in own and '<td class="number">60.25</td>' in own
    assert "<td>+10.0</td>" in own and "▲</td>" not in own
    assert {'href="nnunet/table2.csv"', 'href="nnunet/comparisons.csv"'} <= set(own.replace(">", " ").split())
    record = {"fold": 0, "train_patients": [], "test_patients": [], "new_patients": [], "engine": "nnunet"}
    record |= {"settings": {"epochs": 4, "iterations": 250}, "device": "a", "versions": {}, "finished": "2026"}
    (results / "nnunet/real/fold0/seed0").mkdir(parents=True)
    write_sealed(results / "nnunet/real/fold0/seed0/record.json", record)
    report(results=results, config={}, out=results / "outdated.html")
    outdated = (results / "outdated.html").read_text()
    assert f"other pairs, patients or folds than this study ({results}/nnunet/real/fold0/seed0)." in outdated
    assert "60.25" not in outdated
    (results / "segmentation/real/fold0/seed0").mkdir(parents=True)
    write_sealed(results / "segmentation/real/fold0/seed0/record.json", {**record, "engine": None})
    report(results=results, config={}, out=results / "with.html")
    assert "Trained for 4 epochs of 250 steps." in (results / "with.html").read_text()
    COMPARISONS.drop(columns="seeds").to_csv(results / "nnunet/comparisons.csv", index=False)
    with pytest.raises(UserError, match=r"nnunet/comparisons.csv lacks the column seeds.*results/nnunet/table2.csv"):
        report(results=results, config={}, out=results / "report.html")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset": {"manifest": None}}, "config: dataset.name is missing"),
        ({"table1": None}, "config: table1 must be"),
        ({"table2": {"arms": [{"generator": "pig", "count": 8, "old": 1}], "controls": []}}, r"arms\[0\].old is not a"),
        ({"table2": {"arms": [{"generator": "gone", "count": 8}], "controls": []}}, "names 'gone', which is not among"),
    ],
)
def test_a_configuration_that_is_not_one_of_a_study_is_refused(
    results: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        report(results=results, config=merged_config([]) | changes, out=results / "report.html")


def test_the_page_says_what_the_numbers_say(page: Path) -> None:
    text = page.read_text()
    assert "The arm with generated pairs is shown to help" in text
    assert "What pig draws looks like the pairs of no training patient in fold 0: the lesion covers 25.0 %" in text
    assert "What copier draws looks like the pairs of no training patient in folds 0, 2: in fold 0 of fold 0" in text
    assert "25.0 (1.0 to 4.0)" in text and "10.0 (10.0 to 20.0)" in text
    assert text.count('<tr class="control">') == 3  # the control, in three tables
    assert "<td>+&lt;PIG&gt;_8</td><td>+10.0 ▲</td><td></td>" in text  # against real data alone, and the control
    assert "<td>1.25 (0.12 to 8.50)</td><td>125.0 (12.5 to 850.0)</td>" in text
    assert '<td class="number">55.00</td>' in text and "3.46" in text and "nan" not in text
    assert "<td>Images to held-out patients: FID</td><td>4.5</td><td>≈ 4.25</td><td>9.5</td>" in text
    assert "Pairs drawn by pig, fold 2 that lie nearest to training images" in text
    assert "≈: the floor lies within 95 %" in text and "&lt;PIG&gt;</th><th" in text
    assert "records of 6 segmentations and 2 models" in text
    drawn, found = text.partition("What the generators draw")[2].split("<h2>What the networks find</h2>")
    assert 'alt="Pairs drawn by pig beside real ones, with the outlines of their masks"' in drawn
    caption = "Test slices of &lt;PIG&gt;_8: best: Dice 62 %"
    assert f'alt="{caption}"' in found and f"<figcaption>{caption}</figcaption>" in found


def test_what_a_user_named_is_text_and_no_markup(page: Path) -> None:
    text = page.read_text()
    assert "+&lt;PIG&gt;_8" in text and "<PIG>" not in text
    assert "&lt;b&gt;Mine" in text and "<b>" not in text


def test_the_page_loads_nothing_and_links_to_the_tables_beside_it(page: Path) -> None:
    links, loads = [], []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            given = dict(attrs)
            links.extend([given["href"]] if tag == "a" else [])
            loads.extend(value for key, value in attrs if key in ("src", "srcset", "data", "poster"))
            assert tag not in ("script", "link", "iframe")
            assert tag != "img" or given["alt"]

    Links().feed(page.read_text())
    assert set(links) == {"table2.csv", "comparisons.csv", "scores.csv", "measures.csv", "table1.csv", "quality.csv"}
    assert loads and all(value and value.startswith("data:image/png;base64,") for value in loads)
    assert "default-src 'none'" in page.read_text()
