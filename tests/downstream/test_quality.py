"""Known answers for each measure of generated pairs: worked out by hand, by torch-fidelity, or of planted copies."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from discs import discs
from scipy.spatial.distance import cdist
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from pig.data.store import PairDataset, Store
from pig.evaluation import distances, quality
from pig.evaluation.copies import memorised, nearest, nearest_masks
from pig.evaluation.crops import lesion_crops
from pig.evaluation.distances import Comparison, Reference
from pig.evaluation.draws import means_over_draws, over_draws
from pig.evaluation.quality import HELD_OUT, TRAINING, Pairs, faithfulness, measure_quality
from pig.evaluation.shapes import shapes

RNG = np.random.default_rng(5)


def compared(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    return Comparison(x, Reference(y)).of(np.arange(len(x)))


# Distances between sets of features


def test_fid_kid_precision_and_recall_are_those_of_torch_fidelity() -> None:
    x, y = RNG.normal(0, 1.2, (60, 3)), RNG.normal(0.8, 1, (60, 3))
    a, b = (torch.from_numpy(of) for of in (x, y))
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), verbose=False)
    theirs |= kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=60, verbose=False)
    theirs |= prc_features_to_metric(a, b, verbose=False)
    ours = compared(x, y)
    assert ours["fid"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-6)
    assert ours["kid"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert 0.05 < ours["precision"] < 0.95 and ours["precision"] == pytest.approx(theirs["precision"], abs=1e-6)
    assert 0.05 < ours["recall"] < 0.95 and ours["recall"] == pytest.approx(theirs["recall"], abs=1e-6)


def test_the_frechet_distance_of_known_gaussians() -> None:
    """Columns 1 with variances 1 and 4 on both axes, means apart by (3, 0): 9 + 2 (1 + 4 - 2 * 2) = 11."""
    corners = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)  # covariance of 1, with n - 1
    assert compared(2 * corners + [3, 0], corners)["fid"] == pytest.approx(11)


def test_kid_of_sets_of_different_numbers() -> None:
    """On the line k(a, b) = (ab + 1)^3: x, x' give 1; y, y' of 1 give 8; x, y the mean of 1 and 8, twice. So of 2."""
    x = np.array([[0.0], [1.0]])
    assert compared(x, np.array([[1.0], [1.0], [1.0]]))["kid"] == pytest.approx(0)
    assert compared(x, np.array([[2.0], [2.0], [2.0]]))["kid"] == pytest.approx(1 + 125 - (1 + 27))


def test_density_and_coverage_worked_out_by_hand() -> None:
    """Real: 0 to 6 on the line, whose fifth neighbours are 5, 4, 3, 3, 3, 4, 5 away."""
    real = np.arange(7.0)[:, None]
    # 3 is in all seven balls, 20 in none: density (7 + 0) / 2 / 5, and each ball has the 3 in it.
    found = compared(np.array([[3.0], [20.0]]), real)
    assert found["density"] == pytest.approx(0.7) and found["coverage"] == 1
    # 8.5 lies within the ball of none but 6 (radius 5), 5 (4) and 4 (3 < 4.5: not): two of seven.
    found = compared(np.array([[8.5], [9.0]]), real)
    assert found["coverage"] == pytest.approx(2 / 7) and found["density"] == pytest.approx((2 + 2) / 2 / 5)


def test_one_picture_for_all_is_precise_and_covers_nothing() -> None:
    """What FID alone does not tell: the same point again and again against the whole of the real ones, and far ones."""
    real = RNG.normal(0, 1, (200, 4))
    collapsed, far = compared(np.tile(real[:1], (50, 1)), real), compared(real[:50] + 100, real)
    assert collapsed["precision"] == 1 and collapsed["recall"] <= 0.01 and collapsed["coverage"] < 0.2
    assert [far[name] for name in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]


def test_too_few_images_have_no_neighbours() -> None:
    two, four = RNG.normal(0, 1, (2, 3)), RNG.normal(0, 1, (4, 3))

    def known(found: dict[str, float]) -> set[str]:
        return {name for name, value in found.items() if not np.isnan(value)}

    assert known(compared(two, four)) == {"fid", "kid", "precision"}  # 3 neighbours, not 5; two have no third
    assert known(compared(four, two)) == {"fid", "kid", "recall"}


def test_slices_of_a_patient_are_neither_neighbours_nor_pairs() -> None:
    """Four slices at 0 and four at 1: the third neighbour is 0 away, the third of another patient 1."""
    real, patients = np.repeat([0.0, 1.0], 4)[:, None], np.repeat([0, 1], 4)
    drawn, rows = np.array([[0.5], [0.5]]), np.arange(2)
    alone, by_patient = (Comparison(drawn, Reference(real, of)).of(rows) for of in (None, patients))
    assert (alone["precision"], by_patient["precision"]) == (0, 1)
    assert by_patient["kid"] == pytest.approx(1.25**3 + 1 - (1 + 1.5**3))
    assert alone["kid"] == pytest.approx(1.25**3 + (32 * 1 + 12 * 1 + 12 * 8) / 56 - (1 + 1.5**3))
    as_drawn = Comparison(real, Reference(drawn), patients).of(np.arange(8))
    assert as_drawn["recall"] == 1 and Comparison(real, Reference(drawn)).of(np.arange(8))["recall"] == 0
    assert as_drawn["kid"] == pytest.approx(by_patient["kid"])


# Draws


def test_a_mean_is_of_all_and_its_bounds_are_those_of_as_many_as_are_drawn() -> None:
    """The standard deviation of the mean of 25 of many is 1 / 5, so that 95 % of them lie within 1.96 / 5."""
    table = pd.DataFrame({"x": RNG.normal(0, 1, 5000), "none": np.nan})
    found = means_over_draws(table, 25, 0)
    assert set(found) == {"x"}
    value, low, high = found["x"]
    assert value == table.x.mean()
    assert (high - low) == pytest.approx(2 * 1.96 / 5, rel=0.2)


def test_a_draw_has_no_pair_twice_and_all_are_one_draw() -> None:
    def twice(rows: np.ndarray) -> dict[str, float]:
        return {"twice": len(rows) - len(set(rows.tolist())), "n": len(rows)}

    assert [of[0] for of in over_draws(twice, 9, 8, 0).values()] == [0, 8]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(over_draws(lambda _: {"known": 1.0, "unknown": np.nan}, 9, 8, 0)) == {"known"}
    found = over_draws(twice, 8, 8, 0)["n"]
    assert found.value == 8 and np.isnan([found.low, found.high]).all()


def test_the_bounds_leave_out_a_fortieth_of_the_draws_at_each_end() -> None:
    """Of 0 to 199: 199 / 40 from either end."""
    numbers = itertools.count()
    found = over_draws(lambda _: {"number": next(numbers)}, 9, 8, 0)["number"]
    assert found == pytest.approx((99.5, 4.975, 194.025))


def test_a_mean_is_of_those_that_have_the_measure() -> None:
    assert means_over_draws(pd.DataFrame({"x": [0.2, np.nan, 0.4]}), 3, 0)["x"].value == pytest.approx(0.3)


# Crops and masks


def test_a_crop_is_a_square_of_twice_the_lesion() -> None:
    images = np.zeros((3, 32, 32), np.uint16)
    masks = np.zeros((3, 32, 32), np.uint8)
    masks[0, 10:14, 12:20] = 1  # a box of 4 x 8 around (12, 16): rows 4 to 20, columns 8 to 24
    images[0, 4:20, 8:24] = 60000
    masks[2, 0:4, 28:32] = 1  # in the corner: moved inwards, rows 0 to 8, columns 24 to 32
    images[2, 0:8, 24:32] = 50000
    crops = lesion_crops(images, masks)
    assert crops.shape == (2, 32, 32)  # the second has no lesion
    assert (crops[0] == 60000).all() and (crops[1] == 50000).all()
    colour = np.stack([images, images // 2, images], axis=1)
    assert (lesion_crops(colour, masks)[0, 1] == 30000).all()


def test_shapes_of_a_square_two_pieces_a_disc_and_nothing() -> None:
    masks = np.zeros((4, 64, 64), np.uint8)
    masks[0, 28:36, 28:36] = 1
    masks[1, 0, 0] = masks[1, 0, 63] = 1
    y, x = np.mgrid[:64, :64] - 31.5
    masks[2] = y**2 + x**2 < 20**2
    table = shapes(masks)
    assert table["empty"].tolist() == [0, 0, 0, 1]
    assert table.area[0] == 64 / 4096 and table.off_centre[0] == 0
    assert table.compactness[0] == pytest.approx(3 / np.pi)  # a^4 / (2 pi a^4 / 6)
    # Two pixels 63 apart: 2 * 31.5^2 and twice 1 / 6 about the middle.
    assert table.pieces[1] == 2 and table.compactness[1] == pytest.approx(4 / (2 * np.pi * (2 * 31.5**2 + 2 / 6)))
    assert table.off_centre[1] == pytest.approx(31.5 / 64)
    assert table.compactness[2] == pytest.approx(1, abs=0.002)
    assert table.iloc[3].drop("empty").isna().all()


# Faithfulness


def test_faithfulness_is_1_where_a_segmentation_sees_the_masks_and_else_their_dice() -> None:
    images, masks = discs(6, seed=1)
    pairs = Pairs(images, masks, np.arange(6))
    assert (faithfulness(pairs, lambda _: masks.astype(bool)).faithfulness == 1).all()

    upper = np.zeros((6, 32, 32), bool)
    upper[:, :16] = True
    both = (masks.astype(bool) & upper).sum((1, 2))
    expected = 2 * both / (masks.sum((1, 2)) + 512)
    assert faithfulness(pairs, lambda _: upper).faithfulness.to_numpy() == pytest.approx(expected)


# Copies


def test_a_planted_copy_is_flagged_though_it_is_brighter_and_real_halves_are_not() -> None:
    """Copies have the least ratios; new discs lie between several patients, as held-out ones do."""
    training, held_out, drawn = (discs(n, seed)[0] for n, seed in ((80, 1), (60, 2), (60, 3)))
    patients = np.arange(80) // 4
    ours, theirs, _ = memorised(drawn, held_out, training, patients)
    assert theirs.flagged.mean() == pytest.approx(0.01, abs=0.01)
    assert ours.flagged.mean() < 0.06 and ours.copies.sum() == 0
    assert ours.nearest.mean() == pytest.approx(theirs.nearest.mean(), rel=0.1)

    planted = drawn.copy()
    planted[7] = training[33] + 500  # brighter, with the noise of another
    ours, _, near = memorised(planted, held_out, training, patients)
    assert ours.flagged[7] == 1 and ours.copies[7] == 1 and ours.copies.sum() == 1
    assert near.row[7] == 33 and ours.ratio.idxmin() == 7
    assert ours.nearest[7] == pytest.approx(500 / 65535, rel=1e-6)


def test_the_nearest_image_and_the_nearest_of_another_patient() -> None:
    """Grey values 10, 12 of one patient and 40 of another; 11 lies 1 from the first two and 29 from the other."""
    levels = np.array([10, 12, 40]) * 100
    training = np.repeat(levels, 16).reshape(3, 4, 4).astype(np.uint16)
    image = np.full((1, 4, 4), 1110, np.uint16)
    found = nearest(image, training, np.array([0, 0, 1]))
    assert found.row[0] == 1
    assert found.distance[0] == pytest.approx(90 / 65535) and found.ratio[0] == pytest.approx(90 / 2890)
    assert np.isnan(nearest(image, training, np.zeros(3, np.int64)).ratio[0])  # of whom else?
    of_both = nearest(training[:1], np.concatenate([training[:1], training[:1]]), np.array([0, 1]))
    assert of_both.ratio[0] == 0  # a copy, also where two patients have it


def test_the_most_similar_mask() -> None:
    masks = np.zeros((4, 8, 8), np.uint8)
    masks[0, :4], masks[1, :2], masks[2, 4:] = 1, 1, 1  # areas 32, 16, 32
    assert nearest_masks(masks[:1], masks[1:]) == pytest.approx([2 * 16 / 48])
    assert np.isnan(nearest_masks(masks[3:], masks[:2])[0])


# All of it


def flat(images: np.ndarray) -> np.ndarray:
    """Eight features: means of rows of blocks, and of columns."""
    blocks = images.reshape(len(images), 4, 8, 4, 8).mean((2, 4)) / 65535
    return np.concatenate([blocks.mean(1), blocks.mean(2)], axis=1).astype(np.float64)


def real_pairs(n: int, seed: int) -> Pairs:
    return Pairs(*discs(n, seed), np.arange(n) // 4)


def rows_of(drawn: Pairs, **options: bool) -> pd.DataFrame:
    training, held_out = real_pairs(80, 1), real_pairs(40, 2)
    everything = {images.tobytes(): masks for images, masks, *_ in (drawn, training, held_out)}
    found = measure_quality(
        drawn, training, held_out, flat, lambda images: everything[images.tobytes()].astype(bool), seed=0,
        **{"own_masks": True, **options},
    )  # fmt: skip
    return found.table.set_index(["of", "against", "measure"]).sort_index()


def test_real_pairs_of_other_patients_give_the_floor() -> None:
    """Drawn as the others are, they are told apart in few of the measures, as 95 % bounds have it."""
    table = rows_of(real_pairs(300, 3)._replace(patients=np.arange(300)))
    known = table.dropna()
    inside = (known.low <= known.floor) & (known.floor <= known.high)
    assert len(known) > 30 and inside.mean() > 0.8
    assert (table.n == 40).all()
    assert (table.xs("faithfulness", level="measure").value == 1).all()
    assert set(table.loc[("image", HELD_OUT)].index) == {"fid", "kid", "precision", "recall", "density", "coverage"}


def test_copies_are_nearer_than_the_floor_and_noise_is_farther() -> None:
    """A generator that answers its training pairs has a better FID than held-out patients: so the floor is needed."""
    training = real_pairs(80, 1)
    table = rows_of(training)
    row = table.loc[("image", TRAINING, "fid")]
    assert row.value < row.floor
    assert table.loc[("image", TRAINING, "flagged")].value == 1 and table.loc[("image", TRAINING, "copies")].value == 1
    assert table.loc[("mask", TRAINING, "nearest")].value == 1

    noise = RNG.integers(0, 2**16, (50, 32, 32), np.uint16)
    table = rows_of(Pairs(noise, np.zeros((50, 32, 32), np.uint8), np.arange(50)))
    for against in (TRAINING, HELD_OUT):
        row = table.loc[("image", against, "fid")]
        assert row.low > 2 * row.floor
    assert table.loc[("mask", HELD_OUT, "empty")].value == 1
    assert ("mask", HELD_OUT, "area") not in table.index  # of no lesion
    assert "crop" not in table.index.get_level_values("of")


def test_the_floor_of_a_shape_is_that_of_the_set_it_stands_beside() -> None:
    def squares(side: int) -> Pairs:
        masks = np.zeros((12, 32, 32), np.uint8)
        masks[:, 10 : 10 + side, 10 : 10 + side] = 1
        return Pairs(RNG.integers(0, 2**16, masks.shape, np.uint16), masks, np.arange(12))

    found = measure_quality(
        squares(6), squares(4), squares(8), flat, lambda images: np.ones(images.shape, bool), own_masks=True, seed=0
    )
    area = found.table[found.table.measure == "area"].set_index("against")
    assert (area.value * 1024).to_dict() == {TRAINING: 36, HELD_OUT: 36}
    assert (area.floor * 1024).to_dict() == {TRAINING: 16, HELD_OUT: 64}


def test_real_pairs_have_the_patients_of_their_rows(store: Store) -> None:
    found = quality.real_pairs(PairDataset(store, np.array([2, 5, 6, 9]), 32), 32)  # four rows a patient
    assert found.patients.tolist() == [0, 1, 1, 2]


def test_given_masks_have_no_shapes_and_images_alone_no_faithfulness() -> None:
    drawn = real_pairs(50, 3)
    assert "mask" not in rows_of(drawn, own_masks=False).index.get_level_values("of")
    table = rows_of(Pairs(drawn.images, None, drawn.patients), own_masks=False)
    assert set(table.index.get_level_values("of")) == {"image"}


def test_a_reference_is_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(0, 1, (20, 3))
    whole = compared(x, x[5:])
    monkeypatch.setattr(distances, "ROWS_AT_ONCE", 6)
    assert compared(x, x[5:]) == pytest.approx(whole)
    assert Reference(x).radii(3) == pytest.approx(np.sort(cdist(x, x), axis=1)[:, 3])
