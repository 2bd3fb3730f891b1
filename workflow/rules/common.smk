# What a study consists of, as functions of its configuration: names of files, and settings as rules pass them on.
import copy
import hashlib
import json
from pathlib import Path

from snakemake.exceptions import WorkflowError

from pig.study import memory
from pig.study.arms import REAL, Arm, arms_of, data_label, generator_labels, studies_phantom
from pig.study.config import check_config
from pig.study.jobs import counts_drawn, mask_source, shards_of
from pig.study.listed import state_of_folder, state_of_manifest
from pig.study.merged import write_config
from pig.study.own_data import missing_files
from pig.study.plan import write_plan
from pig.study.populations import populations
from pig.study.records import find_records, keep_records, refuse_unknown
from pig.study.settings import settings_errors
from pig.study.snakemake import fill_gaps, gpu_warning, planless, what_next
from pig.system.errors import UserError
from pig.system.files import sha256
from pig.system.gpus import gpu_count
from pig.system.source import module_of, source_hash

GIVEN = copy.deepcopy(config)  # before the check, which gives each model the study's image_size

try:
    # A job's process reads the same files again: its numbers become the same, and the rest is known to be right.
    more = [settings_errors, missing_files] if workflow.is_main_process else []
    check_config(config, f"{workflow.basedir}/workflow/schemas/config.schema.yaml", *more)
    GPU = min(gpu_count(), 1) or None  # of one job; None asks for nothing, where a 0 would be asked of Kubernetes
except UserError as error:
    raise WorkflowError(str(error)) from None  # which Snakemake prints without a traceback

fill_gaps()

GENERATORS = config["generators"]
FOLDS = range(config["folds"]["count"])
SEEDS = config["segmentation"]["seeds"]
TABLE1 = config["table1"]
LABELS = generator_labels(GENERATORS)
ARMS = {REAL: Arm()} | {arm.name: arm for arm in arms_of(config)}
DRAWN = counts_drawn(config)  # how many pairs of each generator, in each fold
FIGURE_FOLD = TABLE1["folds"][0]


wildcard_constraints:
    generator="|".join(GENERATORS),
    arm="|".join(ARMS),
    population="phantom|oracle|test",
    stored="store|oracle_store|test_store",
    fold="|".join(map(str, FOLDS)),
    seed="|".join(map(str, SEEDS)),
    shard=r"\d+",


def as_json(settings):
    return json.dumps(settings, sort_keys=True)


def phantom_settings(wildcards):
    return as_json(populations(config["dataset"])[wildcards.population])


def preprocessing_settings(wildcards):
    """Those of the study's pairs; of new patients the empty masks are kept, which the normal ones have."""
    kept = {"empty_masks": "keep"} if wildcards.stored == "test_store" else {}
    return as_json(config["preprocessing"] | kept)


def phantom_work(wildcards):
    """Where the phantom grows: a killed run goes on there, unless its settings or its code have changed."""
    state = phantom_settings(wildcards) + source_hash("pig.data.phantom")
    return f"results/work/phantom/{hashlib.sha256(state.encode()).hexdigest()[:16]}"


def imported():
    """What is imported: layout, place, and settings of its reader; None if nothing is.

    With a salt a manifest is imported, too, so that all that the study writes has the pseudonyms.
    """
    dataset = config["dataset"]
    if dataset["import"]:
        settings = dict(dataset["import"])
        return settings.pop("from"), settings.pop("root"), settings
    if dataset["salt"]:
        return "manifest", dataset["manifest"], {"without_lesion": "keep"}
    return None


IMPORTED = imported()
OWN_DATA = not studies_phantom(config["dataset"])


def data_of_study():
    """What is imported, a manifest or its folder in a storage (s3://...), or the phantom."""
    manifest = config["dataset"]["manifest"]
    if IMPORTED:
        return "results/data/imported"
    if manifest is not None and "://" in manifest:
        return storage(manifest.rpartition("/")[0])
    return manifest or "results/data/phantom"


def manifest_of(data):
    """The manifest, as it lies on this machine, in what :func:`data_of_study` has named."""
    manifest = config["dataset"]["manifest"]
    if IMPORTED or manifest is None:
        return f"{data}/manifest.csv"
    return f"{data}/{Path(manifest).name}" if "://" in manifest else data


def state_of_data():
    """The state of the user's files, which Snakemake does not see by itself; the main process alone compares it.

    Of a storage nothing is known before the files are fetched. Imported data change with what is imported.
    """
    manifest = config["dataset"]["manifest"]
    if not workflow.is_main_process or not OWN_DATA:
        return ""
    if not IMPORTED:
        return "" if "://" in manifest else state_of_manifest(manifest)
    layout, root, settings = IMPORTED
    if layout == "manifest":
        return state_of_manifest(root, [settings.get(name, name) for name in ("image_path", "mask_path")])
    parts = [settings[name] for name in ("images", "masks", "annotations") if name in settings]
    salt = config["dataset"]["salt"]
    return state_of_folder(root, parts, [salt] if salt else [])


def memory_for_data(wildcards, threads, attempt):
    """MiB: each process holds a volume, and those of one's own may be large."""
    return (1500 * threads if OWN_DATA else 2000) * attempt


def options(flag, values):
    """The words ``flag=value flag=value ...`` of a command line; a value may begin with a dash."""
    return [f"{flag}={value}" for value in values]


def code_of(name):
    """The modules of a generator's class and of those of its parts, by the same rule as a checkpoint's fingerprint."""
    generator = GENERATORS[name]
    owner = GENERATORS[generator.get("model_of", name)]
    below = {module for part in owner.get("needs", {}).values() for module in code_of(part)}
    return sorted({module_of(generator["class"]), *below})


def model(name, fold):
    owner = GENERATORS[name].get("model_of", name)
    return f"results/models/{owner}/fold{fold}"


def parts(name, fold):
    """The trained parts that a generator needs, by their role."""
    needs = GENERATORS[name].get("needs", {})
    return {role: model(part, fold) for role, part in needs.items()}


def shards(name, fold, count):
    """The shards that hold the first ``count`` pairs."""
    return [f"results/synthetic/{name}/fold{fold}/shard{j}.npz" for j in range(shards_of(config, count))]


def first(wildcards):
    """Global index of a shard's first pair."""
    return int(wildcards.shard) * config["synthesis"]["shard_size"]


def last(wildcards):
    """Global index after a shard's last pair."""
    return first(wildcards) + config["synthesis"]["shard_size"]


def shard_of_masks(wildcards):
    """The shard of the same indices whose masks a conditional generator draws its images for, if it is to."""
    source = mask_source(config, wildcards.generator)
    return [f"results/synthetic/{source}/fold{wildcards.fold}/shard{wildcards.shard}.npz"] if source else []


def segmentation_settings(wildcards):
    """Those of an arm; real pairs alone do not depend on how real and other pairs are mixed."""
    arm = ARMS[wildcards.arm]
    unused = {"seeds"} if arm.adds else {"seeds", "real_share"}
    own = {"augmentation": arm.augmentation} if arm.augmentation else {}
    own |= {"budget": arm.budget} if arm.budget else {}
    return as_json({key: value for key, value in config["segmentation"].items() if key not in unused} | own)


def shards_of_arm(wildcards):
    arm = ARMS[wildcards.arm]
    return shards(arm.generator, wildcards.fold, arm.count) if arm.generator else []


def new_population(wildcards):
    """The folder of the phantom's new patients that a store of them is made from."""
    return f"results/data/{wildcards.stored.removesuffix('_store')}"


def new_patients(population):
    """The store of the new patients of a population, if the phantom is studied and there are to be some."""
    return (
        [f"results/data/{population}_store"] if not OWN_DATA and config["dataset"]["new_patients"][population] else []
    )


def added_by(arm, synthetic, oracle):
    """The words that tell an arm's segmentation what to add to the real pairs."""
    words = ["--synthetic", *synthetic, "--count", arm.count] if arm.generator else []
    words += ["--oracle", oracle] if arm.oracle else []
    words += ["--source", arm.source, "--count", arm.count] if arm.source else []
    words += ["--real", arm.real] if arm.real < 1 else []
    return words + ["--shuffle-masks"] * arm.shuffle_masks + ["--leaky"] * arm.leaky


def segmentations(arm, folds=FOLDS, file="slices.csv", of="segmentation"):
    return [f"results/{of}/{arm}/fold{k}/seed{s}/{file}" for k in folds for s in SEEDS]


# The labels of rows are parameters of their own, because Snakemake does not see a change in one that takes the inputs.
LABELS_OF_TABLE1 = [LABELS[name] for name in TABLE1["generators"] for _ in TABLE1["folds"]]
LABELS_OF_TABLE2 = [data_label(config["dataset"]), *(arm.label(LABELS) for arm in arms_of(config))]


def all_models():
    return [model(name, fold) for name, folds in DRAWN.items() for fold in folds]


def all_shards():
    drawn = [(name, fold, count) for name, folds in DRAWN.items() for fold, count in folds.items()]
    return [shard for name, fold, count in drawn for shard in shards(name, fold, count)]


def all_segmentations():
    """The records of all that are trained."""
    return [path for arm in ARMS for path in segmentations(arm, file="record.json")]


def rows_of_table1(files):
    """The words that name the rows; ``files`` are those of :func:`distances`, wherever a storage has put them."""
    return options("--row", [f"{name}={file}" for name, file in zip(LABELS_OF_TABLE1, files, strict=True)])


def rows_of_table2(files, arms=ARMS):
    """The words that name rows, folders of arms and kinds of controls; ``files`` are all :func:`segmentations`, by arm."""
    labels = dict(zip(ARMS, LABELS_OF_TABLE2, strict=True))
    first = zip(arms.items(), files[:: len(FOLDS) * len(SEEDS)], strict=True)
    named = [(arm, labels[name], file) for (name, arm), file in first]
    rows = [(arm, f"{name}={Path(file).parents[2]}") for arm, name, file in named]
    controls = [f"{arm.kind}={row}" for arm, row in rows if arm.control]
    return options("--row", [row for arm, row in rows if not arm.control]) + options("--control", controls)


def state_of_nnunet():
    """The checksum of the table by nnU-Net, which the report shows where it was made, and does not wait for."""
    table = Path("results/nnunet/comparisons.csv")
    return sha256(table) if table.is_file() else ""


def fold_results(fold):
    """All that a fold adds to the tables."""
    of_table2 = [file for arm in ARMS for file in segmentations(arm, [fold])]
    return of_table2 + distances(folds=[fold] if fold in TABLE1["folds"] else [])


def galleries(names):
    return [f"results/figures/gallery_{name}.png" for name in names]


def strips():
    """The progressive strips, which only PIG has."""
    paired = [name for name in DRAWN if GENERATORS[name]["class"] == "pig.methods.pig.PIG"]
    return [f"results/figures/strip_{name}.png" for name in paired]
