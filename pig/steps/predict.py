"""Segment new images with a trained segmentation: masks of each image's own size."""

import logging
from pathlib import Path

from pig.data.readers import find_images
from pig.evaluation.predict import predict_masks

logger = logging.getLogger("pig")


def predict(*, model: Path, images: Path, axis: int, out: Path) -> None:
    """Write a mask for each image, and ``predictions.csv``, into the folder ``out``.

    Args:
        model: folder that ``pig segment`` has written.
        images: a folder of images, or a table with the column ``image_path``.
        axis: what counts the slices of NIfTI, turned to LPS: 0, 1 or 2.
        out: a folder that does not exist or is empty.
    """
    table = predict_masks(model, find_images(images), out, axis)
    empty = int((table["share"] == 0).sum())
    logger.info("%d masks, %d of them empty, as found by %s: %s", len(table), empty, model, out)
