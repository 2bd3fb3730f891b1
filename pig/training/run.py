"""Which training this is: where it keeps its checkpoints, and what they must have been written by."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pig.system.source import source_hash


@dataclass
class TrainingRun:
    """Where and as what a training runs.

    Attributes:
        work: the folder of rolling checkpoints; it goes when the model is finished.
        fold: whose training patients are learnt from.
        seed: of initialisation, data order and noise.
        fingerprint: of settings, data and code; a checkpoint of another one is not resumed.
        needs: folders of the trained parts that the configuration names under ``needs``.
        images: shown to the networks in all its trainings, counted as these begin.
        earlier_s: seconds that stopped runs have spent on what this one goes on from, counted as it is read.
    """

    work: Path
    fold: int
    seed: int
    fingerprint: str = ""
    needs: Mapping[str, Path] = field(default_factory=dict)
    images: int = 0
    earlier_s: float = 0.0


def fingerprint(code: Iterable[str], **parts: Any) -> str:
    """Return a hash of settings, data and code; a checkpoint of another one is not resumed.

    Args:
        code: the modules that train; those that they import are read too (see :mod:`pig.system.source`).
        parts: settings and data, as JSON can hold them.
    """
    text = json.dumps({**parts, "code": source_hash(*sorted({*code}))}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
