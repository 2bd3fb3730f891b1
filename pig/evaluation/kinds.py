"""What kinds of arms there are, and the mark of a control. Nothing here imports anything, so that a plan can read it.

:attr:`pig.study.arms.Arm.kind` says of which kind an arm is; what is written about an arm depends on its kind, and
never on the words of its label.
"""

from typing import Literal, get_args

Source = Literal["copy_paste", "oversampling"]  # of pairs for which nothing is learnt
Kind = Literal[
    "method", "oracle", "shuffled", "augmentation", "fewer_patients", "variant", "leaky", "copy_paste", "oversampling"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
SOURCES: tuple[Source, ...] = get_args(Source)
METHOD: Kind = "method"  # the only one that is no control
CONTROL = "control: "  # stands before the labels of controls in tables


def plain(label: str) -> str:
    """Return a label without the mark of a control."""
    return label.removeprefix(CONTROL)
