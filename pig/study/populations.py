"""The phantom populations of a study: its own patients, and the new ones, who have the numbers after theirs."""

from collections.abc import Iterator, Mapping
from typing import Any

from pig.data.phantom.settings import LAST_NUMBER, PhantomSettings

NUMBERED = (("first", "patients"), ("first_normal", "normal_patients"))  # number of the first, how many
DEFAULTS = {key: getattr(PhantomSettings, key) for keys in NUMBERED for key in keys}


def populations(dataset: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings of the patients of the study, of the oracle's, and of those who are tested, by population.

    Who is tested on has one slice a view: for the same time there are more patients.

    Args:
        dataset: that of a configuration whose structure is right.
    """
    own, new = DEFAULTS | dataset["phantom"], dataset["new_patients"]
    after, after_normal = (own[first] + own[count] for first, count in NUMBERED)
    of_oracle = {"first": after, "patients": new["oracle"], "normal_patients": 0}
    of_test = {"first": after + new["oracle"], "patients": new["test"], "slices_per_view": 1}
    of_test |= {"first_normal": after_normal, "normal_patients": new["normal"]}
    return {"phantom": own, "oracle": own | of_oracle, "test": own | of_test}


def population_errors(dataset: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with how many new patients are asked for."""
    of, new = populations(dataset), dataset["new_patients"]
    if new["test"] == 1:
        yield "dataset.new_patients.test is 1, and one patient tells nothing of others; give 0, or at least 2."
    if new["normal"] and not new["test"]:
        yield (
            f"dataset.new_patients.normal is {new['normal']}, but test is 0: normal patients are tested beside those "
            "with lesions; set normal to 0 as well, or test to at least 2."
        )
    for first, count in NUMBERED:
        last_own, last = (of[name][first] + of[name][count] - 1 for name in ("phantom", "test"))
        if last_own <= LAST_NUMBER < last:
            yield (
                f"dataset.new_patients asks for patients up to number {last}, counted on from those of "
                f"dataset.phantom, and the last number is {LAST_NUMBER}; ask for fewer."
            )
