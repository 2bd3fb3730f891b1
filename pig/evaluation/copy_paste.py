"""Copy-paste: lesions of real pairs, cut out and pasted into the pictures of other patients; nothing is learnt for it.

After Simple Copy-Paste (Ghiasi et al. 2021, arXiv 2012.07177): an object is copied by its mask, pasted at a random
place, and its mask is added; around it the grey values pass softly into those of the picture.

Differs: a lesion stays off other lesions and within the foreground, and its rim passes linearly and not by a Gaussian
filter, so that all of the mask has the grey values of the lesion; it is neither scaled nor mirrored by itself, because
``segmentation.augmentation`` does so with all pairs of all arms.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pig.data.bits import BitMasks
from pig.data.layout import images_shape
from pig.data.shards import Synthetic
from pig.data.store import PairDataset, fingerprint
from pig.system.errors import UserError
from pig.system.seeds import seed_of

RIM = 24  # the rim is this part of the picture's side: 2 of 48 pixels
PAIRS, PLACES = 100, 50  # that are tried: pictures with a lesion of another patient, and places for it

Image = NDArray[np.uint16]
Mask = NDArray[np.bool_]


def copy_paste(pairs: PairDataset, count: int, seed: int, fold: int, image_size: int) -> Synthetic:
    """Return ``count`` pairs: a real one each, with a lesion of another patient more.

    Picture and lesion are drawn at random; where the lesion fits nowhere, both are drawn again.

    Args:
        pairs: the real pairs that are trained on; lesions and pictures are theirs alone.
        count: how many.
        seed: of what is drawn.
        fold: likewise; that is tested on.
        image_size: of the pairs that are returned.

    Raises:
        UserError: fewer than two patients, none with a lesion, or lesions that fit into no picture.
    """
    images, masks = pairs.at(image_size).pixels()
    patients = pairs.store.manifest["patient_id"].to_numpy()[pairs.rows]
    donors = np.flatnonzero(masks.any((1, 2)))
    rng = np.random.default_rng(seed_of(seed, fold, "copy-paste"))
    pasted = np.empty(images_shape(count, image_size, pairs.channels), np.uint16)
    lesions = np.empty((count, image_size, image_size), np.uint8)
    for place in range(count):
        for _ in range(PAIRS if len(donors) else 0):
            target, donor = rng.integers(len(pairs)), rng.choice(donors)
            if patients[target] == patients[donor]:
                continue
            pieces, number = ndimage.label(masks[donor], np.ones((3, 3)))
            lesion = pieces == rng.integers(1, number + 1)
            if pair := _paste(images[target], masks[target] > 0, images[donor], lesion, rng):
                pasted[place], lesions[place] = pair
                break
        else:
            raise UserError(
                f"of {len(pairs)} real pairs of {len(pairs.patients)} patients no lesion could be pasted into the "
                f"picture of another patient in {PAIRS} attempts; leave the arm of copy_paste out."
            )
    provenance = {
        "generator": "copy-paste",
        "fold": fold,
        "patients": pairs.patients,
        "data": pairs.store.fingerprint,
        "pixels": fingerprint(pasted, lesions, []),
    }
    return Synthetic(pasted, BitMasks.of(lesions), [provenance])


def foreground(image: Image) -> Mask:
    """Return where a picture [(3,) H, W] shows something: what is not of its smallest value, and the holes in it."""
    shown = image > image.min()
    return np.asarray(ndimage.binary_fill_holes(shown if shown.ndim == 2 else shown.any(0)))


def _paste(
    target: Image, mask: Mask, donor: Image, lesion: Mask, rng: np.random.Generator
) -> tuple[Image, Mask] | None:
    """Return the target with the lesion at a random place, and the mask of both; None if no place was found."""
    (box,) = ndimage.find_objects(lesion.astype(np.int8))
    shape, rim = lesion[box], max(1, round(len(mask) / RIM))
    free = foreground(target) & ~mask
    for _ in range(PLACES):
        corner = [rng.integers(side - own + 1) for side, own in zip(mask.shape, shape.shape, strict=True)]
        place = tuple(slice(first, first + own) for first, own in zip(corner, shape.shape, strict=True))
        if free[place][shape].all():
            break
    else:
        return None
    # Pictures get a margin as wide as the rim: a box grown by its rim begins there where the box itself does here.
    there, here = (tuple(slice(s.start, s.stop + 2 * rim) for s in window) for window in (box, place))
    cut = np.pad(shape, rim)
    soft = np.clip(1 - ndimage.distance_transform_edt(~cut) / (rim + 1), 0, 1)
    weight = np.where(cut, 1, soft * np.pad(foreground(donor), rim)[there]) * np.pad(free, rim)[here]
    margin = ((0, 0), (rim, rim), (rim, rim))
    image, source = (np.pad(one.reshape(-1, *mask.shape), margin) for one in (target, donor))
    from_there, to_here = (slice(None), *there), (slice(None), *here)
    image[to_here] = np.rint(weight * source[from_there] + (1 - weight) * image[to_here]).astype(np.uint16)
    both = mask.copy()
    both[place] |= shape
    return image[:, rim:-rim, rim:-rim].reshape(target.shape), both
