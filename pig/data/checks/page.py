"""The page of ``pig check``: one HTML file with its pictures inside, that opens anywhere and loads nothing."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion

from pig.data.images import read_mask, read_plain
from pig.data.resize import resize_image, resize_mask
from pig.system.errors import UserError
from pig.system.pages import picture, render

TEMPLATE = Path(__file__).with_name("check.html")
THUMBNAIL = 160  # pixels of the longer side
OVERLAYS = 24
OUTLINE = (255, 210, 31)
FEW = 12  # kinds of sizes listed


def write_page(
    path: Path, manifest_path: str | Path, table: pd.DataFrame, faults: list[str], warnings: list[str]
) -> None:
    """Write the page.

    Args:
        path: the file.
        manifest_path: named in the title.
        table: one row per image, as ``pig.data.checks.check`` makes it.
        faults: those of the whole data set.
        warnings: likewise.
    """
    page = render(
        TEMPLATE,
        manifest=str(manifest_path),
        images=len(table),
        patients=table["patient_id"].nunique(),
        faults=[*faults, *_named(table, "faults")],
        warnings=[*warnings, *_named(table, "warnings")],
        counts=_counts(table),
        histograms=picture(_histograms(table)),
        suspicious=_overlays(table[(table["faults"] != "") | (table["warnings"] != "")].head(OVERLAYS)),
        spread=_overlays(table.iloc[_spread(len(table))]),
    )
    path.write_text(page, encoding="utf-8")


def _named(table: pd.DataFrame, kind: str) -> list[str]:
    found = table[table[kind] != ""]
    return [f"row {row}: {text}" for row, text in zip(found["row"], found[kind], strict=True)]


def _counts(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the tables of the page: title, header, rows."""
    wide = table.assign(
        size=table["width"].astype("str") + " x " + table["height"].astype("str") + " " + table["dtype"].fillna("")
    )
    wide.loc[table["width"].isna(), "size"] = "cannot be read"
    tables = []
    for name, title in (
        ("fold", "By fold"), ("view", "By view"), ("laterality", "By laterality"), ("size", "By size and type"),
        ("mask_values", "By values of the mask"),
        ("mask_source", "By source of the mask"), ("patient_id", "By patient"),
    ):  # fmt: skip
        if name not in wide:
            continue
        groups = wide.groupby(wide[name].astype("str").where(wide[name].notna(), "none"), sort=True)
        rows: list[list[Any]] = [
            [
                label,
                part["patient_id"].nunique(),
                len(part),
                _range(part["low"].min(), part["high"].max()),
                _range(part["mask_area_pct"].min(), part["mask_area_pct"].max()),
            ]
            for label, part in groups
        ]
        if name in ("size", "mask_values"):
            rows.sort(key=lambda row: -row[2])
        header = [name, "patients", "images", "grey values", "mask, % of the image"]
        tables.append({"title": title, "header": header, "rows": rows, "folded": len(rows) > FEW})
    return tables


def _range(low: Any, high: Any) -> str:
    return "" if pd.isna(low) else f"{low:g} to {high:g}"


def _histograms(table: pd.DataFrame) -> bytes:
    """Return a PNG of how mask areas, greatest grey values and image heights are spread."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.6), layout="constrained")
    columns = {"mask_area_pct": "mask, % of the image", "high": "greatest grey value", "height": "height, pixels"}
    for axis, (name, label) in zip(figure.subplots(1, len(columns)), columns.items(), strict=True):
        axis.hist(table[name].dropna().to_numpy(float), bins=40, color="#4a6fa5")
        axis.set(xlabel=label, ylabel="images")
        axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _overlays(rows: pd.DataFrame) -> list[dict[str, str]]:
    """Return the pictures of some rows, with captions; one that cannot be read has no picture."""
    pictures = []
    for row in rows.to_dict("records"):
        fold = "" if pd.isna(row["fold"]) else f", fold {row['fold']}"
        try:
            shown = picture(_overlay(read_plain(row["image_path"]), _mask_or_none(row["mask_path"])))
        except UserError:
            shown = ""
        pictures.append({"picture": shown, "caption": f"row {row['row']}: {row['patient_id']}{fold}"})
    return pictures


def _mask_or_none(path: str) -> NDArray[np.uint8] | None:
    try:
        return read_mask(path)
    except UserError:
        return None


def _overlay(image: NDArray[Any], mask: NDArray[np.uint8] | None) -> bytes:
    """Return a small PNG of an image, from its smallest value to its 99.5th percentile, and its mask's outline.

    A mask of another size than its image is not drawn.

    Args:
        image: grey [H, W], or colours [H, W, 3 or, with alpha, 4]; grey with alpha [H, W, 2].
        mask: [H, W], or None.
    """
    sides = image.shape[:2]
    scale = min(1.0, THUMBNAIL / max(sides))
    size = [max(1, round(side * scale)) for side in sides]
    planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
    small = resize_image(planes[: 3 if len(planes) > 2 else 1], size[0], size[1])
    low, high = small.min(), np.percentile(small, 99.5)
    shown = (np.clip((small - low) / max(high - low, 1), 0, 1) * 255).astype(np.uint8)
    colours = np.ascontiguousarray(np.moveaxis(np.broadcast_to(shown, (3, *size)), 0, 2))
    if mask is not None and mask.shape == sides:
        lesion = resize_mask(mask, size[0], size[1]) > 0
        colours[lesion & ~binary_erosion(lesion)] = OUTLINE
    buffer = io.BytesIO()
    Image.fromarray(colours).save(buffer, "PNG")
    return buffer.getvalue()


def _spread(count: int) -> NDArray[np.int64]:
    """Return at most ``OVERLAYS`` of the indices below ``count``, evenly spread."""
    return np.linspace(0, count - 1, min(count, OVERLAYS)).round().astype(np.int64)
