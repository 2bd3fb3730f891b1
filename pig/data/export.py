"""Generated pairs for other people's programs: as PNG with a table, or with the real pairs as an nnU-Net data set.

Nothing that is written names a patient: shards and stores do, exports do not.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pig.data.folds import split
from pig.data.layout import channels_of
from pig.data.pseudonyms import new_salt, pseudonyms
from pig.data.shards import Synthetic, read_provenance, read_shards, refuse_leak
from pig.data.store import Store
from pig.system.errors import UserError
from pig.system.files import atomic_directory, write_json
from pig.system.progress import track

logger = logging.getLogger("pig")

# What is handed on of a shard's provenance; the rest names patients or the machine.
HANDED_ON = ("generator", "class", "fold", "seed", "masks_from", "masks_of", "leaky", "sampling", "model_files")
BITS = (8, 16)


def export_png(shards: Sequence[str | Path], out: str | Path, count: int | None = None, bits: int = 8) -> None:
    """Write generated pairs as PNG files, grey or in colour, with a table of where each is from.

    ``out`` gets ``images/<generator>_f<fold>_<index>.png``, ``masks/`` with equal names (0 and 255; none for a
    generator that draws images alone), ``provenance.json`` and ``manifest.csv`` with the columns image_path,
    mask_path, generator, fold, seed, index, masks_from. There is no patient_id, since a generated pair belongs to no
    patient; without one no data set of this project takes it for real.

    Args:
        shards: of one generator and one fold.
        out: a folder that does not exist or is empty.
        count: the first so many pairs; None: all.
        bits: 8 or 16 (grey alone); -1 .. 1 becomes 0 .. 255, rounded, or 0 .. 65535, as stored.

    Raises:
        UserError: the shards are damaged or do not belong together, or ``out`` is in use.
    """
    if bits not in BITS:
        raise UserError(f"PNG images have 8 or 16 bits, not {bits}.")
    synthetic = read_shards(shards, count)
    if bits == 16 and channels_of(synthetic.images) > 1:
        raise UserError("colours are written as PNG of 8 bits a channel; leave out --bits 16.")
    with atomic_directory(out) as folder:
        (folder / "images").mkdir()
        if synthetic.masks is not None:
            (folder / "masks").mkdir()
        rows = []
        for index, image in enumerate(track(synthetic.images, "writing pairs", len(synthetic.images))):
            name = _case(synthetic.provenance[0], index)
            _picture(image, bits).save(folder / f"images/{name}.png")
            paths = {"image_path": f"images/{name}.png", "mask_path": None}
            if synthetic.masks is not None:
                paths["mask_path"] = f"masks/{name}.png"
                Image.fromarray(synthetic.masks[index] * np.uint8(255)).save(folder / f"masks/{name}.png")
            rows.append({**paths, **_origin(synthetic.provenance[0], index)})
        pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
        write_json(folder / "provenance.json", [_handed_on(synthetic)])
    first = synthetic.provenance[0]
    logger.info("%d pairs of %s, fold %d: %s", len(synthetic.images), first["generator"], first["fold"], out)


def export_nnunet(
    shards: Sequence[str | Path],
    store: Store,
    folds: pd.DataFrame,
    out: str | Path,
    *,
    number: int,
    name: str,
    count: int | None = None,
    salt: bytes | None = None,
) -> Path:
    """Write real and generated pairs as a raw data set of nnU-Net v2, with splits that keep the folds apart.

    The folder ``out/Dataset<number>_<name>`` gets ``imagesTr`` (PNG, 16-bit grey or 8-bit colours), ``labelsTr`` (0 and
    1), ``dataset.json``, ``splits_final.json``, ``provenance.json`` and ``cases.csv``: case, patient (a pseudonym;
    empty for a generated pair), fold, generator, seed, index, masks_from. Fold k of the splits validates on the real
    cases of fold k, and trains on all other real ones and on the cases generated for fold k. Pairs of another size than
    the store's are brought to it, as the segmentation of this project does.

    Args:
        shards: of one generator, of one or more folds.
        store: the real pairs.
        folds: their folds, see ``pig.data.folds.read_folds``.
        out: the folder nnUNet_raw.
        number: of the data set, 1 to 999.
        name: of the data set: letters, digits, "-" and "_".
        count: the first so many pairs of each fold; None: all of each, of which there must be equally many.
        salt: of the pseudonyms; None: a new one, which nobody keeps.

    Returns:
        The folder of the data set.

    Raises:
        UserError: number or name is none that nnU-Net takes; the shards are damaged, are of several generators, have no
            masks, differ in number between folds, or learnt from a patient of the fold that they are for.
    """
    if not 1 <= number <= 999:
        raise UserError(f"nnU-Net numbers data sets from 1 to 999, not {number}.")
    if not _is_plain(name):
        raise UserError(f"{name!r} is no name of an nnU-Net data set; use letters, digits, '-' and '_'.")
    shards_of = _by_fold(shards)
    final = Path(out) / f"Dataset{number:03d}_{name}"
    real = _fold_of_rows(store, folds)
    splits: list[dict[str, list[str]]] = [{"train": [], "val": []} for _ in range(int(folds["fold"].max()) + 1)]
    if missing := sorted(set(range(len(splits))) - set(shards_of)):
        logger.warning("no generated pairs for the folds %s: they train on real pairs alone", missing)
    patient_of = pseudonyms(store.manifest["patient_id"].unique(), new_salt() if salt is None else salt)
    cases: list[dict[str, Any]] = []
    handed_on = []

    with atomic_directory(final) as folder:
        (folder / "imagesTr").mkdir()
        (folder / "labelsTr").mkdir()
        for row in track(range(len(store.images)), "writing real pairs", len(store.images)):
            case = f"real_{row:06d}"
            write_case(folder, case, store.images[row], store.masks[row])
            for fold, part in enumerate(splits):
                part["val" if fold == real[row] else "train"].append(case)
            patient = patient_of[store.manifest["patient_id"].iloc[row]]
            cases.append({"case": case, "patient": patient, "fold": real[row]})
        for fold, paths in sorted(shards_of.items()):
            synthetic = read_shards(paths, count, store.size)
            tested = split(store, folds, fold)[1].patients
            for provenance in synthetic.provenance:
                refuse_leak(provenance["patients"], tested, f"'{provenance['generator']}' of fold {fold}")
            handed_on.append(_handed_on(synthetic))
            if handed_on[-1]["count"] != handed_on[0]["count"]:
                raise UserError(
                    f"fold {handed_on[0]['fold']} has {handed_on[0]['count']} generated pairs, fold {fold} has "
                    f"{handed_on[-1]['count']}; give a count that all folds have."
                )
            pool = synthetic.pool(store.size)  # at this size already
            for index in track(range(len(pool)), f"writing pairs of fold {fold}", len(pool)):
                case = _case(synthetic.provenance[0], index)
                write_case(folder, case, pool.images[index], pool.masks[index])
                splits[fold]["train"].append(case)
                cases.append({"case": case, "patient": None, **_origin(synthetic.provenance[0], index)})
        columns = ["case", "patient", "fold", "generator", "seed", "index", "masks_from"]
        table = pd.DataFrame(cases, columns=columns).astype({"seed": "Int64", "index": "Int64"})
        table.to_csv(folder / "cases.csv", index=False)
        write_json(folder / "splits_final.json", splits)
        write_json(folder / "provenance.json", handed_on)
        write_json(folder / "dataset.json", nnunet_description(store.channels, len(cases)))
    real_cases = len(store.images)
    logger.info("%d real and %d generated cases: %s", real_cases, len(cases) - real_cases, final)
    return final


def _by_fold(paths: Sequence[str | Path]) -> dict[int, list[str | Path]]:
    """Return the shards of each fold; they must be of one generator."""
    grouped: dict[int, list[str | Path]] = defaultdict(list)
    first: tuple[str, str] | None = None
    for path in paths:
        provenance = read_provenance(path)
        of = (provenance["generator"], provenance["class"])
        if first is not None and of != first:
            raise UserError(f"{path} is of the generator {of[0]}, others are of {first[0]}; export each by itself.")
        first = of
        grouped[provenance["fold"]].append(path)
    return grouped


def _fold_of_rows(store: Store, folds: pd.DataFrame) -> NDArray[np.int64]:
    """Return the fold of each row of the store: the one that it is tested in."""
    found = np.full(len(store.images), -1, np.int64)
    for fold in range(int(folds["fold"].max()) + 1):
        found[split(store, folds, fold)[1].rows] = fold
    return found


def nnunet_description(channels: int, cases: int) -> dict[str, Any]:
    """Return what nnU-Net's ``dataset.json`` says of so many cases, grey (1 channel) or in colour (3)."""
    return {
        "channel_names": {"0": "grey"} if channels == 1 else {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": cases,
        "file_ending": ".png",
    }


def write_case(folder: Path, case: str, image: NDArray[np.uint16], mask: NDArray[np.uint8]) -> None:
    """Write a pair, uint16 [(3,) H, W] and {0, 1} [H, W], into ``imagesTr`` and ``labelsTr`` of nnU-Net's raw data."""
    # nnU-Net's reader of PNG takes the three channels of a colour picture from one file.
    _picture(image, 16 if image.ndim == 2 else 8).save(folder / f"imagesTr/{case}_0000.png")
    Image.fromarray(np.ascontiguousarray(mask)).save(folder / f"labelsTr/{case}.png")


def _picture(image: NDArray[np.uint16], bits: int) -> Image.Image:
    """Return an image [H, W], or [3, H, W] of 8 bits, as Pillow's."""
    pixels = image if bits == 16 else np.rint(image / 257).astype(np.uint8)  # 65535 / 255 = 257
    return Image.fromarray(np.ascontiguousarray(pixels if pixels.ndim == 2 else np.moveaxis(pixels, 0, 2)))


def _case(provenance: dict[str, Any], index: int) -> str:
    if not _is_plain(provenance["generator"]):
        raise UserError(f"{provenance['generator']!r} makes no file name; name it by letters, digits, '-', '_'.")
    return f"{provenance['generator']}_f{provenance['fold']}_{index:06d}"


def _origin(provenance: dict[str, Any], index: int) -> dict[str, Any]:
    return {**{key: provenance[key] for key in ("generator", "fold", "seed")}, "index": index,
            "masks_from": provenance["masks_from"]}  # fmt: skip


def _handed_on(synthetic: Synthetic) -> dict[str, Any]:
    first = synthetic.provenance[0]
    return {**{key: first[key] for key in HANDED_ON if key in first}, "count": len(synthetic.images)}


def _is_plain(name: str) -> bool:
    return bool(name) and name.isascii() and name.replace("_", "").replace("-", "").isalnum()
