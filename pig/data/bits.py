"""Masks held as bits: thousands of pairs of 512 x 512 pixels are in memory while a segmentation learns from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class BitMasks:
    """Masks {0, 1} [n, H, W] in an eighth of their memory; what is asked for is uint8.

    Attributes:
        bits: uint8 [n, H, ceil(W / 8)], eight pixels of a row to a byte.
        width: W.
    """

    def __init__(self, bits: NDArray[np.uint8], width: int) -> None:
        self.bits = bits
        self.width = width

    @classmethod
    def of(cls, masks: NDArray[Any]) -> "BitMasks":
        """Return masks {0, 1} [n, H, W], of any dtype, as bits."""
        held = cls.empty(masks.shape)
        held[:] = masks
        return held

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> "BitMasks":
        """Return masks [n, H, W] to be filled."""
        count, height, width = shape
        return cls(np.empty((count, height, -(-width // 8)), np.uint8), width)

    def __len__(self) -> int:
        return len(self.bits)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        """Return the masks of these rows, uint8 {0, 1}; all of them are ``masks[:]``."""
        return np.unpackbits(self.bits[rows], axis=-1, count=self.width)

    def __setitem__(self, rows: Any, masks: NDArray[Any]) -> None:
        self.bits[rows] = np.packbits(masks.astype(bool), axis=-1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return [n, H, W]."""
        count, height, _ = self.bits.shape
        return count, height, self.width
