from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_files import write_store

from pig.cli import main
from pig.data.folds import make_folds, read_folds, some_patients, split
from pig.data.store import Store, complete
from pig.system.errors import UserError


@st.composite
def manifests(draw: st.DrawFn) -> pd.DataFrame:
    """Tables of 2 to 12 patients with 1 to 6 slices each, with and without densities, some missing or mixed."""
    patients = draw(st.lists(st.text("ab01", min_size=1, max_size=3), min_size=2, max_size=12, unique=True))
    rows = draw(st.permutations([patient for patient in patients for _ in range(draw(st.integers(1, 6)))]))
    table = pd.DataFrame({"patient_id": rows})
    if draw(st.booleans()):
        table["density"] = draw(
            st.lists(st.sampled_from(["a", "b", "c", None]), min_size=len(rows), max_size=len(rows))
        )
    return table


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@given(manifests(), st.data())
def test_every_patient_is_tested_once_and_every_fold_has_one(manifest: pd.DataFrame, data: st.DataObject) -> None:
    patients = sorted(set(manifest["patient_id"]))
    count, seed = data.draw(st.integers(2, len(patients))), data.draw(st.integers(0, 3))
    folds = make_folds(manifest, count, seed)
    assert folds["patient_id"].tolist() == patients
    assert sorted(set(folds["fold"])) == list(range(count))
    pd.testing.assert_frame_equal(folds, make_folds(manifest.copy(), count, seed))


def test_the_seed_decides() -> None:
    manifest = pd.DataFrame({"patient_id": [str(number) for number in range(40)]})
    assert make_folds(manifest, 4, 0)["fold"].tolist() != make_folds(manifest, 4, 1)["fold"].tolist()


def test_densities_are_shared_out() -> None:
    # 8 patients of each density, 4 slices each: 2 of each density in each of 4 folds.
    patients = [f"{density}{number}" for density in "abcd" for number in range(8)]
    manifest = pd.DataFrame({"patient_id": np.repeat(patients, 4), "density": np.repeat([p[0] for p in patients], 4)})
    folds = make_folds(manifest, 4, 0)
    counts = pd.crosstab(folds["patient_id"].str[0], folds["fold"])
    assert (counts == 2).all(axis=None)


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@pytest.mark.parametrize(
    ("count", "slices", "densities"),
    [(5, [1, 1, 5, 2, 6], "adaba"), (5, [6, 6, 4, 7, 2], "ababa"), (4, [2, 1, 6, 3], "aabb")],
)
def test_no_fold_stays_empty_where_the_shares_of_densities_come_out_alike(
    count: int, slices: list[int], densities: str
) -> None:
    """Tables found by a search: rounding of a mean makes scikit-learn put two patients into one fold, none into one."""
    patients = [f"p{number}" for number in range(len(slices))]
    table = {"patient_id": np.repeat(patients, slices), "density": np.repeat([*densities], slices)}
    folds = make_folds(pd.DataFrame(table), count, 0)
    assert folds["patient_id"].tolist() == patients
    assert sorted(set(folds["fold"])) == list(range(count))


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_folds_of_which_none_is_empty_are_those_of_scikit_learn() -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(0)
    for seed in range(20):
        rows = np.repeat([f"p{number:02}" for number in range(12)], rng.integers(1, 6, 12))
        manifest = pd.DataFrame({"patient_id": rows, "density": rng.choice([*"abcd"], len(rows))})
        parts = StratifiedGroupKFold(4, shuffle=True, random_state=seed).split(rows, manifest["density"], rows)
        of_rows = manifest["patient_id"].map(make_folds(manifest, 4, seed).set_index("patient_id")["fold"])
        assert [np.flatnonzero(of_rows == fold).tolist() for fold in range(4)] == [test.tolist() for _, test in parts]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "folds.count is 0; .* at least 2"),
        (1, "folds.count is 1; .* at least 2"),
        (4, "folds.count is 4, and the data have 3 patients"),
    ],
)
def test_counts_that_cannot_be_met(count: int, message: str) -> None:
    manifest = pd.DataFrame({"patient_id": ["a", "b", "c", "a"]})
    with pytest.raises(UserError, match=message):
        make_folds(manifest, count, 0)


def test_as_many_folds_as_patients() -> None:
    manifest = pd.DataFrame({"patient_id": ["a", "b", "c"], "density": ["a", "b", "c"]})
    assert sorted(make_folds(manifest, 3, 0)["fold"]) == [0, 1, 2]


def test_from_file_to_datasets(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", ["007", "7", "007", "b", "c"])
    path = tmp_path / "folds.csv"
    make_folds(store.manifest, 2, 0).to_csv(path, index=False)
    folds = read_folds(path)
    assert set(folds["patient_id"]) == {"007", "7", "b", "c"}
    tested = []
    for fold in (0, 1):
        train, test = split(store, folds, fold)
        assert not set(train.patients) & set(test.patients)
        assert sorted([*train.rows, *test.rows]) == [0, 1, 2, 3, 4]
        assert set(store.manifest["patient_id"].iloc[test.rows]) == set(folds["patient_id"][folds["fold"] == fold])
        assert train.image_size == test.image_size == 8
        tested += test.rows.tolist()
    assert sorted(tested) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("patient,fold\na,0\nb,1\n", "lacks the column patient_id"),
        ("patient_id\na\nb\n", "lacks the column fold"),
        ("patient_id,fold\na,0\nb,\n", "rows without a fold"),
        ("patient_id,fold\n,0\nb,1\n", "rows without a patient_id"),
        ("patient_id,fold\na,0\nb,1.5\n", "whole numbers"),
        ("patient_id,fold\na,0\nb,one\n", "whole numbers"),
        ("patient_id,fold\na,0\nb,1\na,1\n", "lists patient a more than once"),
        ("patient_id,fold\na,1\nb,2\n", r"has the folds \[1, 2\]"),
        ("patient_id,fold\na,0\nb,2\n", r"has the folds \[0, 2\]"),
        ("patient_id,fold\na,0\nb,0\n", r"has the folds \[0\]"),
        ("patient_id,fold\n", "folds"),
    ],
)
def test_a_broken_table_of_folds(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "folds.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_folds(path)
    assert str(path) in str(caught.value)


def test_folds_of_other_data(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", ["a", "b", "c"])
    folds = pd.DataFrame({"patient_id": ["a", "b", "c"], "fold": [0, 1, 1]})
    with pytest.raises(UserError, match=r"table of folds lacks 1 patient \(c\)"):
        split(store, folds[:2], 0)
    extra = pd.DataFrame({"patient_id": ["a", "b", "c", "d", "e"], "fold": [0, 1, 1, 0, 1]})
    with pytest.raises(UserError, match=r"store .* lacks 2 patients \(d, e\)"):
        split(store, extra, 0)
    for fold in (-1, 2):
        with pytest.raises(UserError, match=f"no fold {fold}; the folds are numbered from 0 to 1"):
            split(store, folds, fold)


def bare_store(folder: Path, with_lesion: str) -> Store:
    """Four patients, of whom those ``with_lesion`` have one."""
    store = write_store(folder, list("abcd"))
    masks = np.load(folder / "masks.npy", mmap_mode="r+")
    masks[[patient not in with_lesion for patient in "abcd"]] = 0
    complete(folder, store.images, masks, store.manifest, "stretch")
    return Store.open(folder)


@pytest.mark.parametrize(
    ("with_lesion", "said"),
    [
        ("bcd", r"Fold 0 of 3 has no image with a lesion: Dice .* folds\.seed, a smaller folds\.count"),
        ("cd", r"Folds 0, 1 of 3 have no image .* The other fold has all lesions, and would be tested by networks"),
        ("", r"Folds 0, 1, 2 of 3 have no image with a lesion: Dice there would count false positives alone\. Choose"),
    ],
)
@pytest.mark.parametrize("fold", [0, 1, 2])
def test_a_fold_without_a_lesion_is_refused(tmp_path: Path, with_lesion: str, said: str, fold: int) -> None:
    folds = pd.DataFrame({"patient_id": list("abcd"), "fold": [0, 1, 2, 2]})
    split(bare_store(tmp_path / "sound", "abd"), folds, fold)
    with pytest.raises(UserError, match=said):
        split(bare_store(tmp_path / "store", with_lesion), folds, fold)


def test_no_folds_without_a_lesion_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare_store(tmp_path / "store", "a")
    words = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "folds.csv")]
    assert main(["folds", *words, "--fold-count", "2"]) == 2
    assert "The other fold has all lesions" in capsys.readouterr().err
    assert not (tmp_path / "folds.csv").exists()


def test_larger_shares_of_patients_hold_smaller_ones(tmp_path):
    from discs import make_study

    folder = make_study(tmp_path / "study", 16)
    train, _ = split(Store.open(folder / "store"), read_folds(folder / "folds.csv"), 0)
    before = set()
    for share, count in ((0, 0), (0.01, 1), (0.5, 2), (0.6, 2), (0.7, 3), (1, 4)):
        some = some_patients(train, share, seed=3)
        assert len(some.patients) == count
        assert before <= set(some.patients)
        of_rows = train.store.manifest["patient_id"].iloc[train.rows]
        assert some.rows.tolist() == train.rows[of_rows.isin(some.patients).to_numpy()].tolist()
        before = set(some.patients)
    assert some_patients(train, 0.5, seed=4).patients != some_patients(train, 0.5, seed=3).patients
