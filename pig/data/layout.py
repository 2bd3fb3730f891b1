"""How images lie in an array: grey ones as [N, H, W], those in colour as [N, 3, H, W]; networks see [N, C, H, W]."""

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def images_shape(count: int, size: int, channels: int) -> tuple[int, ...]:
    """Return the shape of stored images: [N, S, S], or [N, 3, S, S] in colour."""
    return (count, size, size) if channels == 1 else (count, channels, size, size)


def channels_of(images: NDArray[Any]) -> int:
    """Return the channels of stored images, [N, S, S] or [N, 3, S, S]."""
    return 1 if images.ndim == 3 else int(images.shape[1])


def with_channel_axis(images: "Tensor") -> "Tensor":
    """Return images [N, S, S] or [N, 3, S, S] as networks see them, [N, C, S, S]."""
    return images[:, None] if images.ndim == 3 else images
