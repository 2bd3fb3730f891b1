"""The commands of ``pig`` and their options, which are the arguments of their steps.

Settings are given as JSON or YAML text, or as the path of such a file.
"""

import argparse
import importlib.metadata
from pathlib import Path
from typing import Any

from pig.commands.completion import Completion
from pig.commands.examples import EXAMPLES, OF_A_STUDY
from pig.commands.values import control, named, positive, settings
from pig.evaluation.kinds import SOURCES

SHARED: dict[str, dict[str, Any]] = {
    "settings": {"type": settings, "required": True, "help": "settings as YAML or JSON text, or a file of them"},
    "sampling": {"type": settings, "help": "settings of sampling; by default those of the model folder"},
    "store": {"type": Path, "required": True, "help": "folder of the preprocessed pairs"},
    "folds": {"type": Path, "required": True, "help": "table of folds"},
    "fold": {"type": int, "required": True, "help": "the fold that is tested on"},
    "seed": {"type": int, "default": 0, "help": "seed of all random numbers (0)"},
    "name": {"required": True, "help": "name of the generator"},
    "class": {"dest": "cls", "required": True, "help": "import path of the generator"},
    "work": {"type": Path, "required": True, "help": "folder of rolling checkpoints"},
    "count": {"type": positive, "help": "how many of the pairs to take, the first ones (all)"},
    "synthetic": {"type": Path, "nargs": "+", "required": True, "help": "shards of synthetic pairs"},
    "features": {
        "choices": ["encoder", "general", "inception", "dinov2"],
        "required": True,
        "help": "network of the features",
    },
    "weights": {"type": Path, "help": "its weights: a folder of encoder, a file of inception or dinov2"},
    "cache": {"type": Path, "required": True, "help": "folder of cached features"},
    "salt": {"type": Path, "help": "file of the salt of pseudonyms; made if it does not exist"},
    "row": {"dest": "rows", "type": named, "action": "append", "required": True, "help": "LABEL=PATH of a row"},
    "manifest": {"type": Path, "required": True, "help": "table of images, masks and patients"},
    "leaky": {"action": "store_true", "help": "the generator is a leaky control, trained on the test fold too"},
}

FEATURES = ("store", "folds", "fold", "count", "synthetic", "features", "weights", "cache")
LEARNING = ("store", "folds", "fold", "seed", "settings", "work", "count")
CONFIGFILES: dict[str, Any] = {
    "dest": "configfiles",
    "type": Path,
    "nargs": "+",
    "action": "extend",
    "help": "laid over the default study, as Snakemake does; several in turn",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the options of a command are the arguments of its step."""
    top = argparse.ArgumentParser(
        prog="pig",
        usage="pig [-h] [--version] COMMAND ...",
        description="A study is run by `snakemake --cores all`; this looks at it, and uses what it made.\n"
        "Every step of the workflow is a command, too. `pig COMMAND --help` has an example of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"pig {importlib.metadata.version('pig-benchmark')}")
    top.add_argument("--print-completion", action=Completion, help="print what a shell completes `pig` by")
    subparsers = top.add_subparsers(
        dest="command", required=True, prog="pig", metavar="COMMAND", help=argparse.SUPPRESS
    )

    def bare(name: str, does: str) -> argparse.ArgumentParser:
        return subparsers.add_parser(
            name,
            help=does,
            description=does,
            epilog=f"example:\n  {EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def command(name: str, does: str, *shared: str) -> argparse.ArgumentParser:
        sub = bare(name, does)
        sub.add_argument("--threads", type=int, default=1, help="threads, or processes, to use (1)")
        sub.add_argument("--out", type=Path, required=True, help="file or folder to write")
        sub.add_argument("--events", type=Path, help="folder for events.jsonl, the progress of the command")
        for option in shared:
            sub.add_argument(f"--{option}", **SHARED[option])
        return sub

    sub = command("phantom", "Make the built-in phantom data set.")
    sub.add_argument(
        "--settings",
        type=settings,
        default={},
        help="YAML or JSON text, or a file of it; keys left out are those of a clinical population",
    )
    sub.add_argument("--patients", type=int, help="patients with masses")
    sub.add_argument("--normal", type=int, help="additional patients without masses")
    sub.add_argument("--seed", type=int, help="seed of the population")
    sub.add_argument(
        "--dicom", action="store_true", help="also write volumes and tables as in BCS-DBT, under OUT/dicom"
    )
    sub.add_argument("--report", action="store_true", help="also write measured statistics beside their targets")

    sub = command("import", "Import a data set in another layout: write a manifest.", "salt")
    sub.add_argument(
        "--from",
        dest="source",
        required=True,
        help="layout: manifest, folders, nnunet, coco, bcs-dbt, t-synth, cbis-ddsm or inbreast",
    )
    sub.add_argument("--root", type=Path, required=True, help="folder or table of the data")
    sub.add_argument("--settings", type=settings, default={}, help="settings of the reader")

    sub = command(
        "check",
        "Check the data before a run: read every file, report errors and warnings.",
        "manifest",
        "settings",
        "seed",
    )
    sub.add_argument("--fold-count", dest="folds", type=int, required=True, help="number of folds")
    sub.add_argument("--go-on", action="store_true", help="end with status 0 despite errors; `pig verdict` then fails")

    sub = command("verdict", "Refuse data in which `pig check --go-on` has found errors.")
    sub.add_argument("--found", type=Path, required=True, help="the errors.json of `pig check`")

    command("preprocess", "Crop, resize and store the pairs of a manifest.", "manifest", "settings", "salt")

    sub = command(
        "invert", "Map masks, of a store or predicted for it, back to the pixels of the source images.", "store"
    )
    sub.add_argument(
        "--masks", type=Path, help="folder of PNG masks named by rows of the store (the masks of the store)"
    )

    sub = command("folds", "Split the patients into folds.", "store", "seed")
    sub.add_argument("--fold-count", dest="count", type=int, required=True, help="number of folds")

    sub = command(
        "fit",
        "Train a generator on the training patients of a fold.",
        "store",
        "folds",
        "fold",
        "seed",
        "name",
        "class",
        "work",
        "sampling",
    )
    sub.add_argument("--settings", dest="model", type=settings, required=True, help="settings of the model")
    sub.add_argument(
        "--need",
        dest="needs",
        type=named,
        action="append",
        default=[],
        help="ROLE=DIR of a trained part that the generator needs",
    )
    sub.add_argument("--leaky", action="store_true", help="learn from all patients, also from those that are tested on")
    sub.add_argument(
        "--processes", type=int, default=1, help="number of processes that share each batch, one per device (1)"
    )

    sub = command(
        "synthesise", "Draw pairs from a trained generator.", "store", "folds", "seed", "name", "class", "sampling"
    )
    sub.add_argument("--model", type=Path, required=True, help="model folder")
    sub.add_argument("--first", type=int, required=True, help="index of the first pair")
    sub.add_argument("--last", type=int, required=True, help="index after the last pair")
    sub.add_argument("--batch", dest="batch_size", type=int, default=64, help="pairs drawn at once (64)")
    sub.add_argument("--masks-of", type=Path, nargs="*", default=[], help="shards whose masks images are drawn for")
    sub.add_argument("--jitter-masks", action="store_true", help="move each training mask that images are drawn for")
    sub.add_argument("--leaky", **SHARED["leaky"])

    sub = command(
        "export",
        "Write generated pairs as PNG, or with the real ones as an nnU-Net data set.",
        "synthetic",
        "count",
        "salt",
    )
    sub.add_argument("--format", choices=["png", "nnunet"], required=True, help="what to write")
    sub.add_argument("--bits", type=int, choices=[8, 16], default=8, help="bits of PNG images (8)")
    sub.add_argument("--store", type=Path, help="folder of the preprocessed pairs")
    sub.add_argument("--folds", type=Path, help="table of folds")
    sub.add_argument("--number", type=int, help="number of the nnU-Net data set")
    sub.add_argument("--title", help="name of the nnU-Net data set")

    for name, network in (("segment", "a segmentation"), ("nnunet", "nnU-Net")):
        sub = command(
            name,
            f"Train {network} on real pairs and what an arm adds; count its true and false pixels on the test fold.",
            *LEARNING,
        )
        sub.add_argument("--synthetic", type=Path, nargs="*", help="shards of synthetic pairs to add")
        sub.add_argument("--oracle", type=Path, help="store of other patients than the study's, whose pairs are added")
        sub.add_argument("--source", choices=SOURCES, help="add --count pairs made of the real ones, nothing learnt")
        sub.add_argument("--shuffle-masks", action="store_true", help="give each added pair the mask of another")
        sub.add_argument("--leaky", **SHARED["leaky"])
        sub.add_argument("--real", type=float, default=1.0, help="share of the training patients to train on (1)")
        sub.add_argument("--test", type=Path, help="store of other patients than the study's, to be tested on too")

    sub = command("predict", "Segment new images with a trained segmentation: masks of each image's own size.")
    sub.add_argument("--model", type=Path, required=True, help="folder that `pig segment` has written")
    sub.add_argument(
        "--images", type=Path, required=True, help="folder of images, or a table with the column image_path"
    )
    sub.add_argument("--axis", type=int, choices=[0, 1, 2], default=2, help="what counts the slices of NIfTI (2)")

    command("fid", "Measure the Frechet distance of synthetic images to a fold's training images.", *FEATURES)
    sub = command("quality", "Measure synthetic pairs beside real ones that their generator never saw.", *FEATURES)
    sub.add_argument("--segmentation", type=Path, required=True, help="folder of the fold's real-data segmentation")
    sub.add_argument("--figure", type=Path, required=True, help="figure of the pairs nearest to training images")

    command("quality_table", "Assemble the table of the quality of the pairs.", "row")
    command("table1", "Assemble the table of image quality.", "row")
    sub = command("table2", "Assemble the table of segmentation.", "row")
    sub.add_argument("--fold-count", dest="folds", type=int, required=True, help="number of folds")
    sub.add_argument("--seeds", type=int, nargs="+", required=True, help="seeds of the segmentations")
    sub.add_argument(
        "--control",
        dest="controls",
        type=control,
        action="append",
        default=[],
        help="KIND=LABEL=PATH of a control's row; the report depends on its kind",
    )
    sub.add_argument("--new-patients", action="store_true", help="new_patients.csv stands beside each slices.csv")
    sub.add_argument(
        "--stores", type=Path, nargs="+", default=[], help="of the patients; they may know the density of the tissue"
    )

    sub = command("ledger", "Sum up what the study cost: time, memory and pairs a second of each method.")
    sub.add_argument("--results", type=Path, default=Path("results"), help="folder of the results (results)")
    sub.add_argument("--config", type=settings, required=True, help="configuration of the study, whole")

    sub = command("report", "Write the report of a study: its answer, tables, figures and configuration on one page.")
    sub.add_argument("--results", type=Path, default=Path("results"), help="folder of the results (results)")
    sub.add_argument(
        "--config",
        type=settings,
        default={},
        help="configuration of the study, whole: it is shown, and what it does not name is left out",
    )

    sub = command("gallery", "Draw synthetic pairs beside real ones.", "store", "folds", "fold", "synthetic")
    sub.add_argument("--label", required=True, help="name of the generator in the figure")

    sub = command("overlay", "Draw what each arm found in its best, median and worst test slice.", "store")
    sub.add_argument(
        "--segmentation",
        dest="segmentations",
        type=named,
        action="append",
        required=True,
        help="LABEL=PATH of a segmentation's folder",
    )

    sub = command("strip", "Draw how pairs come out of noise, step by step (the paper's Fig. 3).", "seed", "sampling")
    sub.add_argument("--model", type=Path, required=True, help="model folder")
    sub.add_argument("--pairs", type=int, default=3, help="how many pairs to show (3)")

    sub = bare("reproduce", "Make a segmentation, model or shard again from its record; say whether it is the same.")
    sub.set_defaults(threads=1, events=None, out=None)
    sub.add_argument(
        "path", type=Path, help="folder that `pig segment` or `pig fit` has written, or a shard of `pig synthesise`"
    )

    sub = bare("cost", "Tell what a study will take on this machine before it is run, from trials; about a minute.")
    sub.set_defaults(threads=1, events=None, out=None)  # as many threads as a job has
    sub.add_argument("--configfile", default=[], **CONFIGFILES)

    sub = bare("plan", "Plan a study of one's own data: derive its settings from the data, this machine and a budget.")
    sub.set_defaults(threads=1, events=None)  # as many threads as a job has, which is tried out
    sub.add_argument("--configfile", required=True, **CONFIGFILES)
    sub.add_argument(
        "--budget",
        choices=["quick", "normal", "paper"],
        default="quick",
        help="an hour on this machine (quick), ten hours (normal), or the paper's settings, of which none is derived",
    )
    sub.add_argument("--out", type=Path, help="file of the plan (mine.yaml: mine.plan.yaml)")
    sub.add_argument("--force", action="store_true", help="replace a plan that is there and says something else")
    sub.add_argument("--threads", dest="readers", type=positive, default=1, help="processes that read the data (1)")

    sub = bare("status", "Show which jobs of a study are done, running, failed and waiting, and the time left.")
    sub.set_defaults(threads=1, events=None)
    sub.add_argument("directory", type=Path, nargs="?", default=Path(), help="where the study runs (here)")
    printed = sub.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print JSON")
    printed.add_argument("--watch", action="store_true", help="draw it anew every few seconds until the run ends")
    lines = {name: f"  {name:11} {sub.description}" for name, sub in subparsers.choices.items()}
    steps = [line for name, line in lines.items() if name not in OF_A_STUDY]
    top.epilog = "\n".join(["a study:", *(lines[name] for name in OF_A_STUDY), "", "steps, by hand:", *steps])
    return top
