"""Write generated pairs as PNG, or with the real ones as an nnU-Net data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pig.data.export import export_nnunet, export_png
from pig.data.folds import read_folds
from pig.data.pseudonyms import read_salt
from pig.data.store import Store
from pig.system.errors import UserError


def export(
    *,
    format: Literal["png", "nnunet"],
    synthetic: Sequence[Path],
    count: int | None,
    bits: int,
    store: Path | None,
    folds: Path | None,
    number: int | None,
    title: str | None,
    salt: Path | None,
    out: Path,
) -> None:
    """Write generated pairs for other programs into the folder ``out``.

    Args:
        format: PNG files with a table, or a data set of nnU-Net, which needs the next but two.
        synthetic: shards of a generator.
        count: how many pairs, the first ones; None: all.
        bits: of PNG images.
        store: folder of the preprocessed pairs.
        folds: table of folds.
        number: of the nnU-Net data set.
        title: name of the nnU-Net data set.
        salt: file of the salt of pseudonyms; None: a new one, which nobody keeps.
        out: the folder.

    Raises:
        UserError: an option that the format needs is missing.
    """
    if format == "png":
        export_png(synthetic, out, count, bits)
        return
    needed = {"store": store, "folds": folds, "number": number, "title": title}
    if store is None or folds is None or number is None or title is None:
        missing = [key for key, value in needed.items() if value is None]
        raise UserError(f"--format nnunet needs --{', --'.join(missing)}.")
    secret = read_salt(salt, out) if salt else None
    export_nnunet(
        synthetic, Store.open(store), read_folds(folds), out, number=number, name=title, count=count, salt=secret
    )
