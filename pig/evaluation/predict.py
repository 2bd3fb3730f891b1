"""Masks of a trained segmentation for new images, each on the pixels of its own image."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from pig.data.geometry import to_source
from pig.data.layout import with_channel_axis
from pig.data.readers import NewFile, NewSlice, slices_of
from pig.data.resize import resize_images
from pig.data.settings import PreprocessSettings
from pig.data.store import to_unit
from pig.data.volume import Slice, prepare_volume
from pig.evaluation.segmenter import find_lesions, load_segmenter
from pig.evaluation.settings import SegmentationSettings
from pig.system.errors import UserError
from pig.system.files import atomic_directory
from pig.system.progress import track
from pig.system.settings import parse

logger = logging.getLogger("pig")


def predict_masks(model: Path, volumes: Sequence[Sequence[NewFile]], out: Path, axis: int = 2) -> pd.DataFrame:
    """Segment new images with a network that ``pig segment`` has trained.

    Each volume is prepared as the store was that the network learnt from, by the same code and settings, brought to
    the network's size, and segmented in eval mode at threshold 0.5. A mask is brought back as ``pig invert`` does it.
    A blank slice of a volume gets an empty mask.

    Args:
        model: the folder that ``pig segment`` has written.
        volumes: the files of each volume, see :func:`pig.data.readers.find_images`.
        out: a folder that does not exist or is empty. It gets a PNG (0 and 255) with the name of each image, of the
            size of the image as it is shown; slices of a volume have their number behind the name. Beside them
            ``predictions.csv`` has the columns image, slice (empty where the file is one image), mask, and share: the
            part of the picture that the mask covers, in [0, 1].
        axis: what counts the slices of NIfTI, see :func:`pig.data.readers.slices_of`.

    Returns:
        The table of ``predictions.csv``.

    Raises:
        UserError: the model is missing, damaged, or does not say how its images were prepared; ``out`` is in use; or
            images cannot be read or prepared, or have one name. All of these are listed, and nothing is written.
    """
    network, settings, record = load_segmenter(model)
    if not record.get("preprocessing"):
        raise UserError(
            f"{model / 'record.json'} does not say how the images were preprocessed, so that new ones cannot be "
            "prepared alike; run 'pig preprocess' and 'pig segment' again."
        )
    preparing = parse(PreprocessSettings, record["preprocessing"], f"{model / 'record.json'}: preprocessing")
    rows, faults, named = list[dict[str, object]](), list[str](), dict[str, Path]()
    with atomic_directory(out) as folder:
        for files in track(volumes, "predict", len(volumes)):
            with TemporaryDirectory() as unpacked:
                slices, wrong = _read(files, Path(unpacked), axis)
                for one in slices:
                    if named.setdefault(one.name, one.source) != one.source:
                        wrong.append(f"{one.source} and {named[one.name]} have one name; rename one of them")
                masks: list[NDArray[np.uint8]] = []
                if not wrong:
                    masks, wrong = _segment(slices, network, settings, preparing)
            faults += wrong
            if faults:
                continue  # with what else is wrong
            for one, mask in zip(slices, masks, strict=True):
                target = folder / f"{one.name}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask * np.uint8(255)).save(target, compress_level=1)
                rows.append({"image": one.source, "slice": one.number, "mask": f"{one.name}.png", "share": mask.mean()})
        if faults:
            heading = f"{len(faults)} error{'s' * (len(faults) > 1)} in the images; nothing is predicted"
            raise UserError(f"{heading}:", faults)
        table = pd.DataFrame(rows).astype({"slice": "Int64"})
        table.to_csv(folder / "predictions.csv", index=False)
    return table


def _read(files: Sequence[NewFile], folder: Path, axis: int) -> tuple[list[NewSlice], list[str]]:
    slices, faults = list[NewSlice](), list[str]()
    for number, file in enumerate(files):
        own = folder / str(number)
        own.mkdir()
        try:
            slices += slices_of(file, own, axis)
        except UserError as error:
            faults.append(str(error))
    return slices, faults


def _segment(
    slices: Sequence[NewSlice], network: nn.Module, settings: SegmentationSettings, preparing: PreprocessSettings
) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Return the mask of each slice of a volume, uint8 {0, 1} on the pixels of its source; or what is wrong."""
    given = [(row, one) for row, one in enumerate(slices) if one.path is not None]
    prepared = prepare_volume([Slice(row, str(one.path), None) for row, one in given], preparing)
    for row, warning in prepared.warnings:
        logger.warning("%s", _of_source(slices[row], warning))
    if prepared.faults:
        return [], [_of_source(slices[row], fault) for row, fault in prepared.faults]
    assert prepared.images is not None and prepared.geometry is not None  # without faults
    geometry = prepared.geometry._asdict()
    masks = [np.zeros(one.shape, np.uint8) for one in slices]
    for (row, _), found in zip(given, masks_found(network, prepared.images, settings), strict=True):
        masks[row] = to_source(found, geometry)
    return masks, []


def masks_found(
    network: nn.Module, images: NDArray[np.uint16], settings: SegmentationSettings
) -> Iterator[NDArray[np.bool_]]:
    """Yield the mask, bool [S, S], of each stored image uint16 [N, (3,) H, W] at the network's size S."""
    size, batch = settings.image_size, settings.training.batch_size
    at_size = images if images.shape[-1] == size else resize_images(images, size)
    for start in range(0, len(images), batch):
        yield from find_lesions(network, with_channel_axis(to_unit(at_size[start : start + batch])))


def _of_source(one: NewSlice, sentence: str) -> str:
    """Return a sentence about an image file as one about the file that the user knows."""
    name = str(one.source) if one.number is None else f"{one.source}, slice {one.number}"
    sentence = sentence.replace(str(one.path), name)
    return sentence if str(one.source) in sentence else f"{name}: {sentence}"
