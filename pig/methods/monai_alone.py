"""MONAI's networks, imported without what MONAI imports beside them."""

from pig.system.imports import without
from pig.system.source import OWN

# For readers, plots, metrics and logs of MONAI, which its networks do not use.
BESIDE = (
    "h5py", "matplotlib", "nibabel", "pydicom", "requests", "scipy.signal", "sklearn", "tensorboard",
    "torch.utils.tensorboard",
)  # fmt: skip


def import_networks(cls: str) -> None:
    """Import MONAI's networks in a process that does one job with a generator; it starts a second sooner.

    MONAI imports all of itself, and with it whatever it can use of what is installed (docs/devices.md). A class of
    someone else's may use that: for it nothing is left out, and nothing imported here.

    Args:
        cls: import path of the generator.
    """
    if cls.partition(".")[0] in OWN:
        with without(*BESIDE):
            import monai.networks.nets  # noqa: F401
