"""What each command of ``pig`` does with its arguments; ``pig.cli`` says what these are.

Everything is imported by the command that needs it, since a study is hundreds of short processes.
"""

import argparse

from pig.errors import UserError


def phantom(a: argparse.Namespace) -> None:
    """Make the built-in phantom data set."""
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
    """Import a data set in another layout: write a manifest."""
    from pig.data.pseudonyms import read_salt
    from pig.data.readers import import_data

    salt = read_salt(a.salt, a.out) if a.salt else None
    import_data(a.source, a.root, a.settings, a.out, a.threads, salt)


def preprocess(a: argparse.Namespace) -> None:
    """Crop, resize and store the pairs of a manifest."""
    from pig.data.preprocess import PreprocessSettings, build_store
    from pig.data.pseudonyms import read_salt
    from pig.settings import parse

    salt = read_salt(a.salt, a.out) if a.salt else None
    build_store(a.manifest, parse(PreprocessSettings, a.settings, "preprocessing"), a.out, a.threads, salt)


def invert(a: argparse.Namespace) -> None:
    """Map masks, of a store or predicted for it, back to the pixels of the source images."""
    from pig.data.invert import invert
    from pig.data.store import Store

    invert(Store.open(a.store), a.out, a.masks)


def check(a: argparse.Namespace) -> None:
    """Check the data before a run: read every file, report errors and doubts."""
    from pig.data.check import check
    from pig.data.preprocess import PreprocessSettings
    from pig.settings import parse

    settings = parse(PreprocessSettings, a.settings, "preprocessing")
    check(a.manifest, settings, a.out, a.folds, a.seed, a.threads, stop=not a.go_on)


def verdict(a: argparse.Namespace) -> None:
    """Refuse data in which `pig check --go-on` has found errors."""
    from pig.data.check import refuse_errors

    refuse_errors(a.found, a.out)


def folds(a: argparse.Namespace) -> None:
    """Split the patients into folds."""
    from pig.data.folds import make_folds, split, write_folds
    from pig.data.store import Store

    store = Store.open(a.store)
    table = make_folds(store.manifest, a.count, a.seed)
    split(store, table, 0)  # refuses folds without a lesion
    write_folds(table, a.out)


def fit(a: argparse.Namespace) -> None:
    """Train a generator on the training patients of a fold."""
    from pig import fitting

    fitting.fit(a.store, a.folds, a.fold, a.name, a.cls, a.model, a.seed, dict(a.need), a.work, a.out, a.sampling)


def synthesise(a: argparse.Namespace) -> None:
    """Draw a shard of pairs from a trained generator."""
    from pig import synthesis

    synthesis.synthesise(a.model, a.name, a.cls, a.sampling, a.seed, a.store, a.folds, a.first, a.last, a.batch, a.out)


def export(a: argparse.Namespace) -> None:
    """Write generated pairs as PNG, or with the real ones as an nnU-Net data set."""
    from pig.export import export_nnunet, export_png

    if a.format == "png":
        export_png(a.synthetic, a.out, a.count, a.bits)
        return
    if missing := [key for key in ("store", "folds", "number", "title") if getattr(a, key) is None]:
        raise UserError(f"--format nnunet needs --{', --'.join(missing)}.")
    from pig.data.folds import read_folds
    from pig.data.pseudonyms import read_salt
    from pig.data.store import Store

    salt = read_salt(a.salt, a.out) if a.salt else None
    export_nnunet(a.synthetic, Store.open(a.store), read_folds(a.folds), a.out, a.number, a.title, a.count, salt)


def segment(a: argparse.Namespace) -> None:
    """Train a segmentation on real and synthetic pairs, and count its true and false pixels on the test fold."""
    from pig.data.folds import read_folds, split
    from pig.data.store import Store
    from pig.segmentation import segment
    from pig.segmenter import SegmentationSettings
    from pig.settings import parse
    from pig.shards import read_shards

    store = Store.open(a.store)
    train_pairs, test_pairs = split(store, read_folds(a.folds), a.fold)
    settings = parse(SegmentationSettings, a.settings, "segmentation")
    synthetic = read_shards(a.synthetic, a.count, settings.image_size) if a.synthetic else None
    segment(
        train_pairs,
        synthetic,
        test_pairs,
        settings,
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
    from pig.shards import read_shards

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
    from pig.shards import read_shards

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
    """Show which jobs of a study are done, running, failed and waiting, and the time left."""
    from pig.status import as_json, as_text, read_status

    found = read_status(a.directory)
    print(as_json(found) if a.json else as_text(found))
