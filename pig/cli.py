"""The command ``pig``: every step of the workflow, by hand. Each rule of the workflow is one of these commands.

Settings are given as JSON or YAML text, or as the path of such a file.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from pig.errors import UserError
from pig.events import recording
from pig.files import disk_is_full
from pig.gpus import own_gpus
from pig.status import announce
from pig.stopping import EXIT_STATUS, Stopped, heeding_signals
from pig.team import is_first, launch, processes


def settings(text: str) -> dict[str, Any]:
    """Return the mapping that ``text``, or the file of that name, holds as YAML or JSON."""
    import yaml

    try:
        if not text.lstrip().startswith("{") and Path(text).is_file():
            text = Path(text).read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"not readable as YAML or JSON: {error}") from None
    if not isinstance(content, dict):
        raise argparse.ArgumentTypeError(f"expected keys and values, or a file of them, got {text!r}")
    return content


def named(text: str) -> tuple[str, Path]:
    """Return the two sides of ``NAME=PATH``."""
    name, separator, path = text.rpartition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=PATH, got {text!r}")
    return name, Path(path)


def phantom(a: argparse.Namespace) -> None:
    """Make the embedded data set."""
    from pig.data.phantom import PhantomSettings, write_population
    from pig.settings import parse

    given = {"patients": a.patients, "normal_patients": a.normal, "seed": a.seed}
    wanted = a.settings | {key: value for key, value in given.items() if value is not None}
    population = parse(PhantomSettings, wanted, "dataset.phantom")
    write_population(a.out, population, a.threads)
    if a.dicom:
        from pig.data.phantom.dicom import write_dicom

        write_dicom(a.out, population, a.threads)
    if a.report:
        from pig.data.phantom.report import write_report

        write_report(a.out)


def import_(a: argparse.Namespace) -> None:
    """Turn a data set as it lies on a disk into a manifest."""
    from pig.data.readers import import_data

    import_data(a.source, a.root, a.settings, a.out, a.threads)


def preprocess(a: argparse.Namespace) -> None:
    """Crop, resize and store the pairs of a manifest."""
    from pig.data.preprocess import PreprocessSettings, build_store
    from pig.settings import parse

    build_store(a.manifest, parse(PreprocessSettings, a.settings, "preprocessing"), a.out, a.threads)


def check(a: argparse.Namespace) -> None:
    """Look at the data before a run: read everything, name what is wrong or odd."""
    from pig.data.check import check
    from pig.data.preprocess import PreprocessSettings
    from pig.settings import parse

    check(a.manifest, parse(PreprocessSettings, a.settings, "preprocessing"), a.out, a.folds, a.seed, a.threads)


def folds(a: argparse.Namespace) -> None:
    """Deal the patients into folds."""
    from pig.data.folds import make_folds, write_folds
    from pig.data.store import Store

    write_folds(make_folds(Store.open(a.store).manifest, a.count, a.seed), a.out)


def fit(a: argparse.Namespace) -> None:
    """Train a generator on the training patients of a fold."""
    from pig import fitting

    fitting.fit(a.store, a.folds, a.fold, a.name, a.cls, a.model, a.seed, dict(a.need), a.work, a.out)


def synthesise(a: argparse.Namespace) -> None:
    """Draw a shard of pairs from a trained generator."""
    from pig import synthesis

    synthesis.synthesise(a.model, a.name, a.cls, a.sampling, a.seed, a.store, a.folds, a.first, a.last, a.batch, a.out)


def export(a: argparse.Namespace) -> None:
    """Write generated pairs as PNG, or with the real ones as an nnU-Net data set."""
    from pig.export import export_nnunet, export_png

    if a.format == "png":
        export_png(a.synthetic, a.out, a.count or None, a.bits)
        return
    if missing := [key for key in ("store", "folds", "number", "title") if getattr(a, key) is None]:
        raise UserError(f"--format nnunet needs --{', --'.join(missing)}.")
    from pig.data.folds import read_folds
    from pig.data.pseudonyms import read_salt
    from pig.data.store import Store

    salt = read_salt(a.salt, a.out) if a.salt else None
    export_nnunet(
        a.synthetic, Store.open(a.store), read_folds(a.folds), a.out, a.number, a.title, a.count or None, salt
    )


def segment(a: argparse.Namespace) -> None:
    """Train a segmentation on real and synthetic pairs, and count its hits on the test fold."""
    from pig.data.folds import read_folds, split
    from pig.data.store import Store
    from pig.segmentation import segment
    from pig.segmenter import SegmentationSettings
    from pig.settings import parse
    from pig.synthesis import read_shards

    store = Store.open(a.store)
    train_pairs, test_pairs = split(store, read_folds(a.folds), a.fold)
    synthetic = read_shards(a.synthetic, a.count) if a.synthetic else None
    segment(
        train_pairs,
        synthetic,
        test_pairs,
        parse(SegmentationSettings, a.settings, "segmentation"),
        fold=a.fold,
        seed=a.seed,
        work=a.work,
        out=a.out,
    )


def fid(a: argparse.Namespace) -> None:
    """Measure the Frechet distance of synthetic images to a fold's training images."""
    from pig.data.folds import read_folds, split
    from pig.data.store import Store
    from pig.metrics.fid import write_fid
    from pig.synthesis import read_shards

    train_pairs, _ = split(Store.open(a.store), read_folds(a.folds), a.fold)
    write_fid(read_shards(a.synthetic, a.count), train_pairs, a.features, a.weights, a.cache, a.out)


def table1(a: argparse.Namespace) -> None:
    """Assemble the table of image quality."""
    from pig.reporting.tables import write_table1

    write_table1(a.row, a.out)


def table2(a: argparse.Namespace) -> None:
    """Assemble the table of segmentation."""
    from pig.reporting.tables import write_table2

    rows = [
        (label, [path / f"fold{fold}" / f"seed{seed}" / "slices.csv" for fold in range(a.folds) for seed in a.seeds])
        for label, path in a.row
    ]
    write_table2(rows, a.out)


def gallery(a: argparse.Namespace) -> None:
    """Draw synthetic pairs beside real ones."""
    from pig.data.folds import read_folds, split
    from pig.data.store import Store
    from pig.reporting.figures import draw_gallery
    from pig.synthesis import read_shards

    train_pairs, _ = split(Store.open(a.store), read_folds(a.folds), a.fold)
    draw_gallery(train_pairs, read_shards(a.synthetic), a.label, a.out)


def progress(a: argparse.Namespace) -> None:
    """Draw how pairs come out of noise, step by step (the paper's Fig. 3)."""
    from pig.generator import load_generator
    from pig.paired_diffusion import PairedDiffusion
    from pig.reporting.figures import draw_progress

    generator = load_generator(a.model, a.sampling, seed=a.seed)
    if not isinstance(generator, PairedDiffusion):
        raise UserError(f"{a.model} is not a paired diffusion; only that draws mask and image together.")
    draw_progress(generator.steps(range(a.pairs)), a.out)


def status(a: argparse.Namespace) -> None:
    """Show what of a study is done, running, failed and waiting, and the time left."""
    from pig.status import as_json, as_text, read_status

    found = read_status(a.directory)
    print(as_json(found) if a.json else as_text(found))


ON_GPU = {fit, synthesise, segment, fid, progress}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="pig", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)

    def command(run: Callable[[argparse.Namespace], None], *shared: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(run.__name__.rstrip("_"), help=run.__doc__, description=run.__doc__)
        sub.set_defaults(run=run)
        sub.add_argument("--threads", type=int, default=1, help="threads, or processes, to use (1)")
        sub.add_argument("--out", type=Path, required=True, help="what is written")
        sub.add_argument("--events", type=Path, help="folder of events.jsonl, which tells how far this is")
        for option in shared:
            sub.add_argument(f"--{option}", **SHARED[option])
        return sub

    sub = command(phantom)
    sub.add_argument(
        "--settings", type=settings, default={}, help="YAML or JSON, or a file of it; the rest is clinical"
    )
    sub.add_argument("--patients", type=int, help="patients with masses")
    sub.add_argument("--normal", type=int, help="further patients without")
    sub.add_argument("--seed", type=int, help="of the population")
    sub.add_argument("--dicom", action="store_true", help="also volumes and tables as in BCS-DBT, under OUT/dicom")
    sub.add_argument("--report", action="store_true", help="also measured statistics beside their targets")

    sub = command(import_)
    sub.add_argument(
        "--from", dest="source", required=True, help="layout: manifest, folders, nnunet, coco, bcs-dbt, ..."
    )
    sub.add_argument("--root", type=Path, required=True, help="where the data lie")
    sub.add_argument("--settings", type=settings, default={}, help="settings of the reader")

    command(preprocess, "settings").add_argument("--manifest", type=Path, required=True)
    sub = command(check, "settings", "seed")
    sub.add_argument("--manifest", type=Path, required=True)
    sub.add_argument("--folds", type=int, required=True, help="number of folds")

    command(folds, "store", "seed").add_argument("--count", type=int, required=True, help="number of folds")

    sub = command(fit, "store", "folds", "fold", "seed", "name", "class", "work")
    sub.add_argument("--model", type=settings, required=True, help="settings of the model")
    sub.add_argument("--need", type=named, action="append", default=[], help="NAME=DIR of a trained part")
    sub.add_argument("--processes", type=int, default=1, help="that share each batch, one a device (1)")

    sub = command(synthesise, "store", "folds", "seed", "name", "class", "sampling")
    sub.add_argument("--model", type=Path, required=True, help="model folder")
    sub.add_argument("--first", type=int, required=True, help="index of the first pair")
    sub.add_argument("--last", type=int, required=True, help="index after the last pair")
    sub.add_argument("--batch", type=int, default=64, help="pairs drawn at once (64)")

    sub = command(export, "synthetic", "count")
    sub.add_argument("--format", choices=["png", "nnunet"], required=True)
    sub.add_argument("--bits", type=int, choices=[8, 16], default=8, help="of PNG images (8)")
    sub.add_argument("--store", type=Path, help="folder of the preprocessed pairs")
    sub.add_argument("--folds", type=Path, help="table of folds")
    sub.add_argument("--number", type=int, help="of the nnU-Net data set")
    sub.add_argument("--title", help="name of the nnU-Net data set")
    sub.add_argument("--salt", type=Path, help="file of the salt of pseudonyms; made if it does not exist")

    sub = command(segment, "store", "folds", "fold", "seed", "settings", "work", "count")
    sub.add_argument("--synthetic", type=Path, nargs="*", help="shards of synthetic pairs; none: real data alone")

    sub = command(fid, "store", "folds", "fold", "count", "synthetic")
    sub.add_argument("--features", choices=["encoder", "inception"], required=True)
    sub.add_argument("--weights", type=Path, help="weights of the features")
    sub.add_argument("--cache", type=Path, required=True, help="folder of cached features")

    command(table1, "row")
    sub = command(table2, "row")
    sub.add_argument("--folds", type=int, required=True, help="number of folds")
    sub.add_argument("--seeds", type=int, nargs="+", required=True)

    command(gallery, "store", "folds", "fold", "synthetic").add_argument("--label", required=True)
    sub = command(progress, "seed", "sampling")
    sub.add_argument("--model", type=Path, required=True, help="model folder")
    sub.add_argument("--pairs", type=int, default=3, help="how many pairs to show (3)")

    sub = commands.add_parser("status", help=status.__doc__, description=status.__doc__)
    sub.set_defaults(run=status, threads=1, events=None)
    sub.add_argument("directory", type=Path, nargs="?", default=Path(), help="where the study runs (here)")
    sub.add_argument("--json", action="store_true", help="for machines")
    return top


SHARED: dict[str, dict[str, Any]] = {
    "settings": {"type": settings, "required": True, "help": "YAML or JSON, or a file of it"},
    "sampling": {"type": settings, "default": {}, "help": "settings of sampling"},
    "store": {"type": Path, "required": True, "help": "folder of the preprocessed pairs"},
    "folds": {"type": Path, "required": True, "help": "table of folds"},
    "fold": {"type": int, "required": True, "help": "the fold that is tested on"},
    "seed": {"type": int, "default": 0},
    "name": {"required": True, "help": "name of the generator"},
    "class": {"dest": "cls", "required": True, "help": "import path of the generator"},
    "work": {"type": Path, "required": True, "help": "folder of rolling checkpoints"},
    "count": {"type": int, "default": 0, "help": "how many synthetic pairs to take"},
    "synthetic": {"type": Path, "nargs": "+", "required": True, "help": "shards of synthetic pairs"},
    "row": {"type": named, "action": "append", "required": True, "help": "LABEL=PATH of a row"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0; 2 for a mistake that the user can mend; 75 after a signal that asked it to end, when the
        same command goes on with the work.
    """
    level = logging.INFO if is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    a = parser().parse_args(arguments)
    for library in ("OMP", "OPENBLAS", "MKL"):  # read when torch and numpy are imported, which is later
        os.environ[f"{library}_NUM_THREADS"] = str(a.threads)
    if a.run is not status:
        announce(a.command)
    try:
        if a.run is not fit and processes() > 1:
            raise UserError("it is the work of one process; of all commands only 'pig fit' shares it among several.")
        with own_gpus(getattr(a, "processes", 1)) if a.run in ON_GPU else nullcontext():  # before torch is imported
            if a.run is fit and a.processes > 1 and processes() == 1:
                return launch(a.processes, sys.argv[1:] if arguments is None else arguments)
            with heeding_signals(), recording(a.events if is_first() else None):
                a.run(a)
    except UserError as error:
        print(f"pig {a.command}: {error}", file=sys.stderr)
        return 2
    except Stopped as stop:
        if is_first():
            print(f"pig {a.command}: {stop}; the same command goes on with the work.", file=sys.stderr)
        return EXIT_STATUS
    except Exception as error:
        if not disk_is_full(error):
            raise
        print(
            f"pig {a.command}: the disk of {getattr(error, 'filename', None) or a.out} is full ({error}). Make room "
            "and give the same command again; what is finished stays.",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
