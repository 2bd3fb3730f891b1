"""How much memory the jobs of a study ask for, in MiB, from the counts and sizes in its configuration.

Only what grows is counted: pairs that are held, and, without a GPU, the activations of networks. A pair takes 3 bytes a
pixel (uint16 image, uint8 mask), 7 in colour; read from a shard, 2 1/8 and 6 1/8 (the mask as bits). The store is
mapped from the disk: its pages show up in a process's resident memory, but the kernel drops them when a job's limit is
near, so that they are not asked for. The constants were measured on a CPU, with PyTorch 2 on Linux
(tests/workflow/test_memory.py); with a GPU the base is a guess from before that.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pig.data.phantom.settings import PhantomSettings
from pig.data.settings import PreprocessSettings
from pig.study.arms import studies_phantom
from pig.study.jobs import mask_source, owner, parts

Config = Mapping[str, Any]

BASE = 1500  # MiB: Python and the libraries take 1000
BASE_WITH_GPU = 4000  # MiB: and those of CUDA
ASSUMED_PAIRS = 2000  # real ones, where nothing tells how many there are
SLICES = 12  # of a view, where the phantom is to show all slices with mass
TRAINING = 400  # bytes a pixel and channel of a diffusion network's level, with one residual block
SAMPLING = 24  # the same without gradients, however many blocks
SEGMENTATION = 2500  # bytes a pixel: a U-Net in training
NNUNET = 6000  # the same of nnU-Net, in float32
NNUNET_PIXELS = 12 * 512**2  # of a batch that it plans for its 8 GB of a GPU
FID_BATCH = 64
# Of the networks of features: pixels of a side (None: those of the segmentation), bytes a pixel without gradients.
FEATURES = {"encoder": (None, 250), "general": (224, 420), "inception": (299, 250), "dinov2": (224, 650)}
DINOV2_LARGE = 1_220_000_000  # bytes of the largest file, where it is not on this machine
LOOKED_AT, AT_ONCE = 2048, 512  # images whose distances `pig quality` holds, and of those to all real ones, at most
PANEL = 40  # bytes a pixel of a panel of a figure


def fit(config: Config, name: str, gpu: bool) -> int:
    """A training: the resized real pairs or their latents, and a batch's activations."""
    training = _section(config["generators"][name]["model"], "training")
    batch = -(-_count(training, "batch_size") // _count(training, "accumulate"))
    activations = _network(config, name, batch, TRAINING) + _parts(config, name, batch)
    return _mib(_real(config, _size(config, name)) + _latents(config, name), activations, gpu)


def synthesise(config: Config, name: str, gpu: bool) -> int:
    """The pairs of a shard, twice when its batches are joined; resized real pairs or a shard whose masks are given."""
    batch, trained, shard = config["synthesis"]["batch_size"], owner(config, name), config["synthesis"]["shard_size"]
    size = _size(config, trained)
    activations = _network(config, trained, batch, SAMPLING) + _parts(config, trained, batch)
    given = _read(config, shard, size) if mask_source(config, name) else 0
    return _mib(2 * _pairs(config, shard, size) + given + _real(config, size), activations, gpu)


def segment(config: Config, synthetic: int, gpu: bool) -> int:
    """The synthetic pairs and the resized real ones, at the size of the segmentation, and a batch's activations."""
    size, batch = config["segmentation"]["image_size"], config["segmentation"]["training"]["batch_size"]
    return _mib(_read(config, synthetic, size) + _real(config, size), batch * size**2 * SEGMENTATION, gpu)


def nnunet(config: Config, synthetic: int, gpu: bool) -> int:
    """nnU-Net plans a batch that fills 8 GB of a GPU, or a twentieth of the pairs; preprocessing holds a pair."""
    size = config["segmentation"]["image_size"]
    batch = min(NNUNET_PIXELS, real_pairs(config) * size**2 // 20)
    return _mib(_read(config, synthetic, size) + _real(config, size), batch * NNUNET, gpu)


def fid(config: Config, name: str, gpu: bool) -> int:
    """The pairs as they were drawn, the real images as they are stored, and both at the size of the features."""
    count, drawn = config["table1"]["count"], _size(config, owner(config, name))
    size, per_pixel = _features(config)
    real, stored = real_pairs(config), config["preprocessing"]["size"]
    held = _read(config, count, drawn) + _image(config) * (real * stored**2 + (count + real) * size**2)
    return _mib(held + 2 * weights_bytes(config), FID_BATCH * size**2 * per_pixel, gpu)


def quality(config: Config, gpu: bool) -> int:
    """All pairs at the size of the segmentation, their lesions, masks of the larger set, and distances of features.

    Where the network of features has another size, it gets one set at a time at that.
    """
    size, count, real = config["segmentation"]["image_size"], config["table1"]["count"], real_pairs(config)
    held = _pairs(config, count + real, size) + (_image(config) * (count + real) + 7 * max(count, real)) * size**2
    of_features, per_pixel = _features(config)
    held += 2 * weights_bytes(config) + (of_features != size) * _image(config) * max(count, real) * of_features**2
    most = min(max(count, real), LOOKED_AT)
    batch = config["segmentation"]["training"]["batch_size"]
    activations = max(FID_BATCH * of_features**2 * per_pixel, batch * size**2 * SEGMENTATION)
    return _mib(held + 8 * (5 * most**2 + 3 * AT_ONCE * real), activations, gpu)


def gallery(config: Config, name: str) -> int:
    """All pairs of a shard, and 32 panels as matplotlib draws them."""
    size = _size(config, owner(config, name))
    return _mib(_pairs(config, config["synthesis"]["shard_size"], size) + 32 * size**2 * PANEL, 0, False)


def preprocess(config: Config, base: int, threads: int) -> int:
    """On top of ``base``, for each process the resized slices of a volume of 100, twice when they are handed over."""
    return base + 2 * threads * _pairs(config, 100, config["preprocessing"]["size"]) // 2**20


def weights_bytes(config: Config) -> int:
    """Return the bytes of the file of a DINOv2; the weights of other networks are small, beside the libraries."""
    if config["table1"]["features"] != "dinov2":
        return 0
    file = Path(config["table1"]["feature_weights"])
    return file.stat().st_size if file.is_file() else DINOV2_LARGE


def _features(config: Config) -> tuple[int, int]:
    """Return the side in pixels, and the bytes a pixel, of the network of features."""
    size, per_pixel = FEATURES[config["table1"]["features"]]
    return size or config["segmentation"]["image_size"], per_pixel


def _mib(held: float, activations: float, gpu: bool) -> int:
    """Return the request; a GPU's memory holds the activations, and nothing is asked for there."""
    return int(BASE_WITH_GPU + held / 2**20 if gpu else BASE + (held + activations) / 2**20)


def _pairs(config: Config, count: int, size: int) -> int:
    return (_image(config) + 1) * count * size**2


def _read(config: Config, count: int, size: int) -> int:
    """Return the bytes of pairs that were read from shards (:class:`pig.data.bits.BitMasks`)."""
    return _pairs(config, count, size) - count * size**2 * 7 // 8


def _image(config: Config) -> int:
    """Return the bytes that a pixel of an image takes."""
    return 2 * PreprocessSettings(**config["preprocessing"]).channels


def _real(config: Config, size: int) -> int:
    """Return the bytes of the real pairs where they are not read from the store at its own size."""
    return 0 if size == config["preprocessing"]["size"] else _pairs(config, real_pairs(config), size)


def real_pairs(config: Config) -> int:
    """Return how many pairs the store has or will have, at best: the rows of a manifest or of the phantom."""
    dataset = config["dataset"]
    if not studies_phantom(dataset):
        manifest = Path("results/data/imported/manifest.csv" if dataset["import"] else dataset["manifest"])
        return _rows(manifest) if manifest.is_file() else ASSUMED_PAIRS
    phantom = dataset["phantom"]
    return phantom_slices(phantom, phantom["patients"] + phantom.get("normal_patients", 0))


def phantom_slices(phantom: Config, patients: int) -> int:
    """Return how many slices so many patients of the phantom have."""
    views = phantom.get("views", PhantomSettings.views)
    return patients * len(views) * (phantom.get("slices_per_view", PhantomSettings.slices_per_view) or SLICES)


@cache
def _rows(manifest: Path) -> int:
    """Return the rows of a manifest, counted once and not for each job; of a Parquet table, as it says itself."""
    if manifest.suffix == ".parquet":
        try:
            from pyarrow.parquet import read_metadata

            return max(int(read_metadata(manifest).num_rows), 1)
        except (ImportError, OSError, ValueError):  # the check says what is wrong
            return ASSUMED_PAIRS
    with manifest.open("rb") as file:
        return max(sum(1 for _ in file) - 1, 1)


def _section(model: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a section of a model's settings; a class of the user's may have none, or anything under that key."""
    section = model.get(key)
    return section if isinstance(section, Mapping) else {}


def _count(section: Mapping[str, Any], key: str) -> int:
    """Return a whole number of a section, or 1 where a class of the user's has none or something else there."""
    value = section.get(key)
    return value if isinstance(value, int) and value > 0 else 1


def _needs(config: Config, name: str) -> list[str]:
    return list(parts(config, name).values())


def _size(config: Config, name: str) -> int:
    """Return the height and width of a generator's pairs: its own, or those of a part that it needs."""
    own = config["generators"][name]["model"].get("image_size")
    if isinstance(own, int):
        return own
    return max((_size(config, part) for part in _needs(config, name)), default=config["preprocessing"]["size"])


def _side(config: Config, name: str) -> int:
    """Return the height and width of what a network computes on: pixels, or the latents of an autoencoder."""
    model = config["generators"][name]["model"]
    if "image_size" in model or not _needs(config, name):
        return _size(config, name)
    part = _needs(config, name)[0]
    levels = len(config["generators"][part]["model"].get("channels", []))
    return _size(config, part) >> (levels - 1) if levels else _side(config, part)


def _network(config: Config, name: str, batch: int, per_pixel: int) -> float:
    """Return the bytes of the activations of a network, of which a class of one's own may have none that is known.

    Each level counts with its channels and pixels. The middle block attends to all its pixels: one matrix of tokens by
    tokens for each head, and as many more as there are attending blocks if gradients are kept.
    """
    model = config["generators"][name]["model"]
    network = _section(model, "network") if "network" in model else model
    channels: list[int] = network.get("channels", [])
    if not isinstance(channels, list) or not channels or not all(isinstance(width, int) for width in channels):
        return 0
    side: int = _side(config, name) // network.get("patch", 1)
    blocks: int = network.get("res_blocks", 1)
    maps: float = sum(width * (side >> level) ** 2 for level, width in enumerate(channels))
    total = batch * maps * per_pixel * ((1 + blocks) / 2 if per_pixel == TRAINING else 1)
    if "network" not in model:
        return total  # an autoencoder attends to nothing
    attends = [*zip(range(len(channels)), network.get("attention", []), strict=False), (len(channels) - 1, True)]
    matrices: list[float] = [
        batch * max(channels[level] // network.get("head_channels", channels[level]), 1) * (side >> level) ** 4 * 4
        for level, yes in attends
        if yes
    ]
    return total + (max(matrices) if per_pixel == SAMPLING else sum(matrices[:-1]) * (2 * blocks + 1) + matrices[-1])


def _parts(config: Config, name: str, batch: int) -> float:
    """Return the bytes of the activations of the trained parts, without gradients."""
    needed = _needs(config, name)
    return sum(_network(config, part, batch, SAMPLING) + _parts(config, part, batch) for part in needed)


def _latents(config: Config, name: str) -> int:
    """Return the bytes of the real pairs' latents (float32 mean and sigma), twice when they are joined."""
    side, size = _side(config, name), _size(config, name)
    return 0 if side == size else real_pairs(config) * side**2 * 2 * 4 * 4 * 2
