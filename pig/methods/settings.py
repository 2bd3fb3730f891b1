"""Settings that methods share: of the network, and of a diffusion of images. Nothing here imports torch."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pig.diffusion.settings import Prediction, ScheduleSettings
from pig.system.settings import Error, not_positive, refuse
from pig.training.settings import TrainingSettings


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of a U-Net. The defaults are those of PIG's official network, 7.125 M parameters at 2 -> 1 channels.

    Attributes:
        channels: of each level.
        attention: whether each level has self-attention.
        res_blocks: residual blocks a level.
        head_channels: channels of one attention head.
        norm_groups: groups of each group normalisation; divides all channels.
        patch: the network works on images folded by this factor: p x p pixels become p^2 channels. 1: unfolded.
    """

    channels: tuple[int, ...] = (32, 32, 64, 64, 128, 128)
    attention: tuple[bool, ...] = (False, False, False, False, False, True)
    res_blocks: int = 2
    head_channels: int = 128
    norm_groups: int = 32
    patch: int = 1

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    def _errors(self) -> Iterator[Error]:
        if not self.channels:
            yield "channels", "needs a value for each level, and at least one."
        if len(self.channels) != len(self.attention):
            counts = f"{len(self.attention)} values for {len(self.channels)} channels"
            yield "attention", f"needs one value for each level of channels, got {counts}."
        yield from not_positive(self, "channels", "res_blocks", "head_channels", "norm_groups", "patch")
        yield from norm_errors(self.channels, self.norm_groups)
        attended = [c for c, attention in zip(self.channels, self.attention, strict=False) if attention]
        if self.head_channels > 0 and any(c % self.head_channels for c in attended):
            yield "head_channels", f"must divide the channels of each level with attention, {attended}."

    def size_errors(self, size: int, key: str, of: str = "") -> Iterator[Error]:
        """Yield an error if images of ``size`` pixels cannot pass through the levels."""
        factor = self.patch * 2 ** (len(self.channels) - 1)
        if factor > 0 and size % factor:
            levels = f"{len(self.channels)} levels" + f" and patch {self.patch}" * (self.patch > 1)
            yield key, f"must be a multiple of {factor} for a network of {levels}{of}, got {size}."


@dataclass(frozen=True)
class ImageModel:
    """One or more diffusions at the pixels of an image.

    Attributes:
        image_size: pixels of a side.
        training: of each network.
        network: of each diffusion.
        schedule: of each diffusion.
        prediction: of each network.
        antithetic: mirrored timesteps in each batch.
        image_channels: of the images, as the data have them: 1, or 3 for red, green and blue; not to be configured.
    """

    needs: ClassVar[Mapping[str, str]] = {}

    image_size: int
    training: TrainingSettings
    network: NetworkSettings = field(default_factory=NetworkSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    prediction: Prediction = "epsilon"
    antithetic: bool = False
    image_channels: int = 1

    def __post_init__(self) -> None:
        refuse(self._errors(), self)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return (self.image_channels, self.image_size, self.image_size)

    def _errors(self) -> Iterator[Error]:
        yield from not_positive(self, "image_size", "image_channels")
        yield from self.network.size_errors(self.image_size, "image_size")


@dataclass(frozen=True)
class PairModel(ImageModel):
    """Diffusions of images and masks.

    Attributes:
        standardise_masks: give the masks of a diffusion mean 0 and variance 1, by the training masks; else they are -1
            and 1, as in the paper.
    """

    standardise_masks: bool = False


def norm_errors(channels: tuple[int, ...], groups: int) -> Iterator[Error]:
    """Yield an error if group normalisation cannot deal the channels of each level into so many groups."""
    if groups > 0 and any(c % groups for c in channels):
        yield "norm_groups", f"must divide the channels of each level, {list(channels)}; got {groups}."


def needs_errors(
    wanted: Mapping[str, str], given: Mapping[str, str], derives: Callable[[str, str], bool]
) -> Iterator[Error]:
    """Yield what is wrong with the trained parts that a method is given.

    Args:
        wanted: import path of the class of each part, by its role.
        given: the same of what is given.
        derives: says whether a class is another one or derives from it.
    """
    for role, cls in wanted.items():
        if role not in given:
            yield f"needs.{role}", f"missing; name a generator of class {cls}."
        elif not derives(given[role], cls):
            yield f"needs.{role}", f"must be a generator of class {cls}, got one of class {given[role]}."
    for role in given.keys() - wanted.keys():
        yield f"needs.{role}", f"is not among what this class needs: {', '.join(wanted) or 'nothing'}."
