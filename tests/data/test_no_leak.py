"""What is done to an image is computed from the image alone: a mask that shaped it could be read off it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_files import write_png
from test_geometry import mammogram

from pig.data.breast import orient
from pig.data.geometry import to_source
from pig.data.preprocess import build_store
from pig.data.settings import PreprocessSettings
from pig.data.volume import Prepared, Slice, prepare_volume
from pig.system.errors import UserError


def prepare(folder: Path, images: list[np.ndarray], masks: list[np.ndarray], settings: PreprocessSettings) -> Prepared:
    volume = []
    for row, pair in enumerate(zip(images, masks, strict=True)):
        paths = (write_png(folder / f"{row}{kind}.png", pixels) for kind, pixels in zip("im", pair, strict=True))
        volume.append(Slice(row, *map(str, paths)))
    return prepare_volume(volume, settings)


def disc(y: int, x: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[:120, :90]
    return ((rows - y) ** 2 + (columns - x) ** 2 <= radius**2).astype(np.uint8)


def straying(lesion: np.ndarray, pixels: list[tuple[int, int]]) -> np.ndarray:
    """The lesion with some pixels anywhere, fewer than would be an error."""
    for y, x in pixels[: int(lesion.sum() // 20)]:
        lesion[y, x] = 1
    return lesion


discs = st.builds(
    straying,
    st.builds(disc, st.integers(40, 80), st.integers(4, 40), st.integers(6, 14)),
    st.lists(st.tuples(st.integers(0, 119), st.integers(0, 89)), max_size=8),
)


@given(
    anatomy=st.sampled_from(["any", "breast"]),
    aspect=st.sampled_from(["stretch", "pad"]),
    window=st.sampled_from(["percentile", "full"]),
    right=st.booleans(),
    size=st.sampled_from([32, 75]),
    masks=st.lists(st.tuples(discs, discs), min_size=1, max_size=3),
)
def test_an_image_does_not_depend_on_its_mask(
    tmp_path_factory: pytest.TempPathFactory,
    anatomy: str, aspect: str, window: str, right: bool, size: int, masks: list[tuple[np.ndarray, np.ndarray]],
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("volume")
    images = [np.ascontiguousarray(mammogram(right)[0] + 7 * k * (mammogram(right)[0] > 0)) for k in range(len(masks))]
    images = [image.clip(0, 65535).astype(np.uint16) for image in images]
    settings = PreprocessSettings(size, aspect, anatomy, window, empty_masks="keep")
    turn = -1 if right else 1
    prepared = [
        prepare(folder, images, [np.ascontiguousarray(mask[:, ::turn]) for mask in chosen], settings)
        for chosen in ([one for one, _ in masks], [other for _, other in masks], [0 * one for one, _ in masks])
    ]
    assert [result.faults for result in prepared] == [[], [], []]
    for result in prepared[1:]:
        assert (result.images == prepared[0].images).all()
        assert result.geometry == prepared[0].geometry


@pytest.mark.parametrize(("anatomy", "place"), [("breast", "outside the breast"), ("any", "on the blank border")])
def test_a_lesion_outside_of_what_is_kept_is_an_error(tmp_path: Path, anatomy: str, place: str) -> None:
    image, mask = mammogram()
    image[2:12, 75:88] = 0  # no film label: all beyond the breast is blank
    mask = mask | disc(5, 80, 3)
    result = prepare(tmp_path, [image], [mask], PreprocessSettings(64, anatomy=anatomy))
    ((row, sentence),) = result.faults
    assert row == 0
    assert f"29 of {mask.sum()} pixels of the lesion in {tmp_path / '0m.png'} lie {place}" in sentence
    assert ("preprocessing.anatomy to any" in sentence) == (anatomy == "breast")


def test_an_outline_that_sticks_out_is_a_warning_and_its_mask_stays(tmp_path: Path) -> None:
    image, _ = mammogram()
    mask = disc(32, 42, 9)  # the skin curves through it
    (_, breast, _) = orient([image])
    unseen = (mask.astype(bool) & ~breast).sum()
    assert 0 < unseen < 0.1 * mask.sum()
    result = prepare(tmp_path, [image], [mask], PreprocessSettings(256, "pad", anatomy="breast"))
    assert result.faults == []
    assert result.warnings == [
        (0, f"{unseen} of {mask.sum()} pixels of the lesion in {tmp_path / '0m.png'} lie outside the breast")
    ]
    back = to_source(result.masks[0], result.geometry._asdict())
    assert (back.astype(bool) & ~breast).sum() >= 0.8 * unseen  # the mask is the truth, also where the image is blank


def test_the_sentence_reaches_the_user(tmp_path: Path) -> None:
    image, mask = mammogram()
    image[2:12, 75:88] = 0
    write_png(tmp_path / "i.png", image)
    write_png(tmp_path / "m.png", np.roll(mask, 60, axis=1))
    (tmp_path / "manifest.csv").write_text("image_path,mask_path,patient_id\ni.png,m.png,p\n")
    with pytest.raises(UserError, match=r"row 2: \d+ of \d+ pixels of the lesion .* turned as it is"):
        build_store(tmp_path / "manifest.csv", PreprocessSettings(64), tmp_path / "store")
