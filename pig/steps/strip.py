"""Draw how pairs come out of noise, step by step (the paper's Fig. 3)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pig.methods.model_folder import load_generator
from pig.methods.pig import PIG
from pig.report.figures import draw_strip
from pig.system.errors import UserError


def strip(*, model: Path, sampling: Mapping[str, Any] | None, seed: int, pairs: int, out: Path) -> None:
    """Draw the figure ``out``.

    Args:
        model: folder of a trained PIG.
        sampling: its settings of sampling; None: those of the model folder.
        seed: of the noise.
        pairs: how many to show.
        out: the PNG file.

    Raises:
        UserError: the model is another method's.
    """
    generator = load_generator(model, sampling, seed=seed)
    if not isinstance(generator, PIG):
        raise UserError(f"{model} is not a paired diffusion; only that draws mask and image together.")
    draw_strip(generator.steps(range(pairs)), out)
