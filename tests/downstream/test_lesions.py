"""Lesions found and false ones, from masks drawn by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from test_overlap import masks

from pig.evaluation.lesions import lesion_counts


def counts(predicted: str, true: str) -> list[int]:
    """Lesions, found, false ones of drawings such as "##./..."."""
    return lesion_counts(masks(predicted), masks(true)).iloc[0].tolist()


@pytest.mark.parametrize(
    ("predicted", "true", "lesions", "found", "false"),
    [
        pytest.param("...../.....", "...../.....", 0, 0, 0, id="both empty"),
        pytest.param("...../.....", "##.##/##.##", 2, 0, 0, id="nothing predicted"),
        pytest.param("#.#.#/.....", "...../.....", 0, 0, 3, id="no lesion"),
        pytest.param("##.##/##.##", "##.##/##.##", 2, 2, 0, id="all found"),
        pytest.param("##.../##..#", "##.../##...", 1, 1, 1, id="one found, one false"),
        pytest.param("#..../.#...", "#..../.#...", 1, 1, 0, id="corners touch"),
        pytest.param("#........./..........", "##########/..........", 1, 1, 0, id="an IoU of 1/10 is enough"),
        pytest.param("#........../...........", "###########/...........", 1, 0, 1, id="1/11 is not, and is false"),
        pytest.param("#####/#####", "##.##/##.##", 2, 1, 0, id="one candidate is of one lesion, IoU 4/10 of each"),
        pytest.param("##.##/##.##", "#####/#####", 1, 1, 0, id="a second candidate of a lesion is not false"),
        # IoUs: of the first lesion 1/6 and 1/2, of the second 0 and 1/6. The greatest sum would find one alone.
        pytest.param("#.######", "######.#", 2, 2, 0, id="as many as can be"),
        # A chain, each candidate of two lesions: 19/181, 19/186 and 14/100 by three, 80/120 and 85/120 by two of them.
        pytest.param(
            81 * "." + 100 * "#" + "." + 105 * "#" + "." + 14 * "#", 100 * "#" + "." + 100 * "#" + "." + 100 * "#",
            3, 3, 0, id="three rather than two of greater IoUs",
        ),
    ],
)
def test_by_hand(predicted: str, true: str, lesions: int, found: int, false: int) -> None:
    assert counts(predicted, true) == [lesions, found, false]


@given(arrays(bool, (2, 8, 8)))
def test_identities(pair: np.ndarray) -> None:
    predicted, true = pair[:1], pair[1:]
    row, other = lesion_counts(predicted, true).iloc[0], lesion_counts(true, predicted).iloc[0]
    assert 0 <= row.found <= row.lesions
    assert row.found + row.false_lesions <= other.lesions  # candidates
    assert row.found == other.found  # of prediction and truth exchanged
    itself = lesion_counts(true, true).iloc[0]
    assert (itself.found, itself.false_lesions) == (itself.lesions, 0)


def test_rows_are_those_of_the_slices() -> None:
    found = lesion_counts(masks("##..", "#..#"), masks("##..", "#..."))
    assert list(found.columns) == ["lesions", "found", "false_lesions"]
    assert found.to_numpy().tolist() == [[1, 1, 0], [1, 1, 1]]
    none = np.zeros((0, 4, 4), bool)
    assert lesion_counts(none, none).shape == (0, 3)
