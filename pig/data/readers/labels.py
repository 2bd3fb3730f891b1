"""Which pixels of a label map are lesion; a value that nobody has announced is a fault, not background."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pig.data.images import threshold_for
from pig.system.errors import UserError

SHOWN = 6
OTHER_SCALE = 16  # whole numbers that are all so many times below the threshold are labels, not grey values


@dataclass(frozen=True)
class Labels:
    """What the values of a label map mean.

    Attributes:
        lesion: the values of the lesion; empty: the only one that is not background.
        background: the values of what is not lesion.
        ignore: a value of pixels of which nothing is known, as nnU-Net has; None: there is none.
        threshold: values from here on are lesion, whatever they are: for masks with more grey values than labels;
            None: values are labels. Labels of another scale, as 0 and 1 for a threshold of 127.5, are refused.
        can_threshold: whether the layout has this setting.
    """

    lesion: tuple[int, ...] = ()
    background: tuple[int, ...] = (0,)
    ignore: int | None = None
    threshold: float | None = None
    can_threshold: bool = True


def lesion_of(values: NDArray[Any], labels: Labels, name: str | Path) -> NDArray[np.bool_]:
    """Return where a label map shows the lesion.

    Args:
        values: [H, W] or [X, Y, Z]; bool, whole numbers, or floating-point numbers that are whole.
        labels: what they mean.
        name: for messages.

    Raises:
        UserError: a value is not finite, not whole, to be ignored, or neither lesion nor background; or several may be
            the lesion. With a threshold: a value is not finite, or the mask is of another scale.
    """
    if not np.isfinite(values).all():
        raise UserError(f"{name} holds NaN or infinite values; a mask has labels such as 0 and 1")
    if labels.threshold is not None:
        return _from(labels.threshold, values, labels, name)
    found = np.unique(values)
    rest = [value for value in found.astype(float).tolist() if value not in labels.background]
    whole = found.dtype.kind != "f" or bool((found == np.rint(found)).all())
    undeclared = [value for value in rest if value not in (*labels.lesion, labels.ignore)]
    sure = whole and len(undeclared) <= (0 if labels.lesion else 1)
    if not sure and (threshold := threshold_for(values)):
        instead = " in place of labels" if labels.lesion else ""
        raise UserError(
            f"{name} has {len(found)} values that crowd around {found[0]:g} and {found[-1]:g}, as of a mask that was "
            "saved as JPEG or interpolated; "
            + (
                f"set threshold: {threshold:g}{instead}, and what is not below it is lesion"
                if labels.can_threshold
                else "save it again with its labels alone, without interpolation"
            )
        )
    if not whole:
        raise UserError(f"{name} holds values that are no whole numbers; a mask has labels such as 0 and 1")
    if labels.ignore is not None and labels.ignore in found:
        raise UserError(
            f"{name} has pixels of the label ignore ({labels.ignore}), of which it is not known whether they are "
            "lesion; leave the pair out, or decide and save them as one or the other"
        )
    if not labels.lesion:
        if len(rest) > 1:
            raise UserError(
                f"{name} has several labels ({_list(found)}); say in the setting 'labels' which are the lesion"
            )
        return np.asarray(np.isin(values, rest))
    if strange := [value for value in rest if value not in labels.lesion]:
        raise UserError(
            f"{name} has the values {_list(strange)}, which are neither among labels ({_list(labels.lesion)}) nor "
            f"background ({_list(labels.background)}); add them to one of the two"
        )
    return np.asarray(np.isin(values, labels.lesion))


def guessed(values: NDArray[Any], lesion: NDArray[np.bool_], labels: Labels) -> set[float]:
    """Return the value that :func:`lesion_of` took for lesion as the only one beside background, if it did."""
    if labels.lesion or labels.threshold is not None or not lesion.any():
        return set()
    return {float(values.flat[lesion.argmax()])}


def _from(threshold: float, values: NDArray[Any], labels: Labels, name: str | Path) -> NDArray[np.bool_]:
    """Return where values reach a threshold; a mask of another scale, such as 0 and 1 beside 0 and 255, is refused.

    A mask that fades out below the threshold, as at the end of a lesion in an interpolated volume, has no lesion.
    """
    lesion = np.asarray(values >= threshold)
    content = values[~np.isin(values, labels.background)]
    if content.size and content.max() <= threshold / OTHER_SCALE and (content == np.rint(content)).all():
        raise UserError(
            f"{name} has values up to {float(content.max()):g}, far below the threshold {threshold:g}, so that what it "
            "shows would be lost; save it with the values of the other masks (as 0 and 255), or set a threshold that "
            "fits all of them; if it has no lesion, save it as 0 alone, or name its values in background"
        )
    return lesion


def _list(values: Any) -> str:
    more = ", ..." if len(values) > SHOWN else ""
    return ", ".join(f"{value:g}" for value in np.asarray(values, float)[:SHOWN]) + more
