"""Settings of preprocessing. Nothing here imports what reads an image, so that a plan can check them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pig.system.settings import Error, not_positive, refuse


@dataclass(frozen=True)
class PreprocessSettings:
    """How pairs are brought to one size.

    Attributes:
        size: height and width of the stored pairs, in pixels.
        aspect: "stretch" scales height and width each by itself, as the paper does; "pad" keeps the proportions and
            fills up with background below and on the right, so that a chest wall on the left stays at the edge.
        anatomy: "breast" finds the breast, blanks what is outside it (labels, tape, film edges) and mirrors what has
            the chest wall on the right; "any" knows of no anatomy.
        window: which grey values become [-1, 1]: "percentile", those between the 0.5th and the 99.5th percentile of a
            volume; "full", all of the pixel type, for images that were windowed before.
        colour: "refuse" images with colours, turn them into their "luminance", or "keep" them: then all images of the
            study have three channels, red, green and blue, and grey ones the same in each.
        empty_masks: "refuse" pairs without a lesion, or "keep" them.
    """

    size: int
    aspect: Literal["stretch", "pad"] = "stretch"
    anatomy: Literal["any", "breast"] = "any"
    window: Literal["percentile", "full"] = "percentile"
    colour: Literal["refuse", "luminance", "keep"] = "refuse"
    empty_masks: Literal["refuse", "keep"] = "refuse"

    def __post_init__(self) -> None:
        refuse([*not_positive(self, "size"), *self._errors()], self)

    @property
    def channels(self) -> int:
        """Of the stored images: 1, or 3 for red, green and blue."""
        return 3 if self.colour == "keep" else 1

    def _errors(self) -> Iterator[Error]:
        if self.anatomy == "breast" and self.colour == "keep":
            yield "colour", "must be refuse or luminance for anatomy breast, since mammograms are grey."
