"""The arms of table 2: what each adds to the real pairs, what its row and its folder are called.

An arm says which pairs it trains on; a generator is one kind of source of them. The arms of ``table2.arms`` are the
paper's. Controls say what the others are to be read against: those of ``table2.controls`` and, where the phantom is
studied, the real pairs of its new patients.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pig.evaluation.kinds import CONTROL, METHOD, Kind, Source
from pig.evaluation.settings import Augmentation, Budget, SegmentationSettings
from pig.system.settings import Error

SOURCE_LABELS: dict[Source, str] = {"copy_paste": "copy-pasted pairs", "oversampling": "of the real pairs again"}
REAL = "real"  # the arm without any other pairs: the first row of table 2


@dataclass(frozen=True)
class Arm:
    """One row of table 2.

    Attributes:
        generator: whose pairs are added; None: no generator's.
        source: of pairs that are added and for which nothing is learnt: lesions pasted into other pictures
            (``copy_paste``), or the real pairs again (``oversampling``); None: no such pairs.
        count: how many pairs of either.
        oracle: how many new patients there are, all of whose real pairs are added.
        shuffle_masks: whether each pair that is added gets the mask of another.
        augmentation: of all its pairs, in place of ``segmentation.augmentation``; None: that one.
        budget: "epochs": it is trained for as many epochs as real data alone, and so for more steps; None: for as many
            steps, as all arms.
        real: share of the fold's training patients whose real pairs are trained on. The generator has learnt from all.
        control: whether it is a control, and not one of the paper's rows.
        leaky: whether the generator has learnt from the patients that are tested on, too.
        weaker: whether its augmentation is weaker than ``segmentation.augmentation``.
    """

    generator: str | None = None
    source: Source | None = None
    count: int = 0
    oracle: int = 0
    shuffle_masks: bool = False
    augmentation: Augmentation | None = None
    budget: Budget | None = None
    real: float = 1.0
    control: bool = False
    leaky: bool = False
    weaker: bool = False

    @property
    def name(self) -> str:
        """The name of its folder."""
        added = f"oracle_{self.oracle}" if self.oracle else f"{self.generator or self.source}_{self.count}"
        source = added if self.adds else REAL
        share = [f"real{100 * self.real:g}"] if self.real < 1 else []
        changed = filter(None, [self.augmentation, self.budget])
        return "_".join([source, *["shuffled"] * self.shuffle_masks, *changed, *share])

    @property
    def adds(self) -> bool:
        """Whether it adds pairs."""
        return bool(self.generator or self.source or self.oracle)

    @property
    def kind(self) -> Kind:
        """What it is to the study: a method, or which control.

        A ``variant`` changes what the others keep: it trains on an arm's pairs in another way, for longer, on fewer
        patients with other augmentation, which could make up for them, or with weaker augmentation than all have, which
        is no rival to be beaten.

        Of real data alone, which is the first row and no arm among others, it says nothing.
        """
        if not self.control:
            return METHOD
        if self.leaky:
            return "leaky"
        if self.oracle:
            return "oracle"
        if self.shuffle_masks:
            return "shuffled"
        if self.real < 1:
            return "variant" if self.adds or self.augmentation else "fewer_patients"
        if self.generator or self.budget or self.weaker:
            return "variant"
        return self.source or "augmentation"

    def label(self, of_generators: Mapping[str, str]) -> str:
        """The name of its row."""
        parts = [f"+{of_generators[self.generator]}_{self.count}"] if self.generator else []
        parts += [f"+{self.count} {SOURCE_LABELS[self.source]}"] if self.source else []
        parts += [f"+real pairs of {self.oracle} new patients"] if self.oracle else []
        parts += ["masks shuffled"] * self.shuffle_masks
        strength = "no" if self.augmentation == "none" else self.augmentation
        parts += [f"{strength} augmentation"] if strength else []
        parts += ["as many epochs"] if self.budget == "epochs" else []
        parts += [f"{100 * self.real:g} % of the real patients"] if 0 < self.real < 1 else []
        parts += ["without real pairs"] if self.real == 0 else []
        return CONTROL * self.control + ", ".join(parts)


def generator_labels(generators: Mapping[str, Any]) -> dict[str, str]:
    """Return what generators are called in tables and figures: a leaky one never without that word."""
    return {name: "leaky " * entry.get("leaky", False) + entry.get("label", name) for name, entry in generators.items()}


def data_label(dataset: Mapping[str, Any]) -> str:
    """Return the name of the data in table 2, with the word that weak masks must never lack."""
    name = str(dataset["name"])
    weak = (dataset["import"] or {}).get("from") == "bcs-dbt" and "weak" not in name.lower()
    return f"{name} (weak masks: ellipses in boxes)" if weak else name


def studies_phantom(dataset: Mapping[str, Any]) -> bool:
    """Return whether the patients of a study are the phantom's, of whom there can be new ones."""
    return dataset["manifest"] is dataset["import"] is None


def arms_of(config: Mapping[str, Any]) -> list[Arm]:
    """Return the arms of a configuration that the schema allows, that of real data left out, the paper's first."""
    table2 = config["table2"]
    arms = [Arm(**arm) for arm in table2["arms"]]
    return arms + _oracle(config) + [_control(config, arm) for arm in table2["controls"]]


def _control(config: Mapping[str, Any], arm: Mapping[str, Any]) -> Arm:
    leaky = config["generators"].get(arm.get("generator"), {}).get("leaky", False)
    usual, strengths = _augmentation(config), get_args(Augmentation)  # from none to strong
    weaker = strengths.index(arm.get("augmentation") or usual) < strengths.index(usual)
    return Arm(**arm, control=True, leaky=leaky, weaker=weaker)


def _augmentation(config: Mapping[str, Any]) -> Augmentation:
    """Return the augmentation of all arms that have none of their own."""
    usual: Augmentation = config["segmentation"].get("augmentation", SegmentationSettings.augmentation)
    return usual


def _oracle(config: Mapping[str, Any]) -> list[Arm]:
    """Return the control that adds the real pairs of new patients, if there are any."""
    oracle = config["dataset"]["new_patients"]["oracle"] if studies_phantom(config["dataset"]) else 0
    return [Arm(oracle=oracle, control=True)] * (oracle > 0)


def arm_errors(config: Mapping[str, Any]) -> Iterator[Error]:
    """Yield what is wrong with the arms of a configuration that the schema allows, each with its key."""
    table2 = config["table2"]
    augmentation = _augmentation(config)
    if "budget" in config["segmentation"]:
        yield "segmentation.budget", "would make no comparison fair; give it to an arm under table2.controls."
    if not table2["arms"]:
        yield "table2.arms", "is empty; name at least one generator whose pairs the segmentation is to learn from."
    names, oracle = set[str](), {arm.name for arm in _oracle(config)}
    places = [(f"table2.arms[{i}]", Arm(**arm)) for i, arm in enumerate(table2["arms"])]
    places += [(f"table2.controls[{i}]", _control(config, arm)) for i, arm in enumerate(table2["controls"])]
    for place, arm in places:
        if arm.generator and arm.source:
            yield place, "has generator and source; an arm adds pairs of one of them."
        elif arm.adds != (arm.count > 0):
            yield place, f"has one of {'source' if arm.source else 'generator'} and count; give both, or none of them."
        elif arm.shuffle_masks and arm.count < 2:
            yield place, "shuffles masks of fewer than two pairs; give a generator, and a count of 2 or more."
        elif not (arm.adds or arm.augmentation) and arm.real == 1:
            yield place, "changes nothing; give a generator and a count, an augmentation, or a share of real patients."
        elif arm.real == 0 and arm.generator is None:
            yield f"{place}.real", "is 0, so that there is nothing to train on; give a generator and a count, too."
        elif arm.real < 1 and arm.adds and config["segmentation"].get("real_share") is not None:
            yield f"{place}.real", "is below 1, which segmentation.real_share does not allow; set that one to null."
        elif arm.budget and not (arm.adds and arm.real == 1):
            yield f"{place}.budget", "is of an arm that adds pairs to all real ones; leave it out, or give such an arm."
        elif arm.budget and config["segmentation"].get("real_share") is not None:
            yield f"{place}.budget", "is 'epochs', which segmentation.real_share does not allow; set that one to null."
        elif arm.augmentation == augmentation:
            yield f"{place}.augmentation", f"is '{augmentation}', which every arm has; choose another one."
        elif arm.name in oracle:
            yield place, f"would lie in the folder of the new patients' pairs, {arm.name}; rename the generator."
        elif arm.name in names:
            yield place, f"is there twice: {arm.generator or arm.source or arm.name} with {arm.count}."
        names.add(arm.name)
