"""The populations of the phantom: no number of a patient is given twice."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from pig.data.phantom.population import patient_names
from pig.data.phantom.settings import PhantomSettings
from pig.study.populations import population_errors, populations

small = st.integers(0, 40)


@given(
    own=st.fixed_dictionaries(
        {}, optional={"first": st.integers(1, 50), "first_normal": st.integers(1, 50), "normal_patients": small}
    ),
    patients=st.integers(1, 40),
    new=st.fixed_dictionaries({"oracle": st.integers(1, 40), "test": st.integers(2, 40), "normal": small}),
)
def test_nobody_is_in_two_populations_and_all_are_as_many_as_asked_for(own: dict, patients: int, new: dict) -> None:
    of = populations({"phantom": own | {"patients": patients, "slices_per_view": 5}, "new_patients": new})
    names = {name: patient_names(PhantomSettings(**settings)) for name, settings in of.items()}
    everyone = [*chain(*names.values())]
    assert len(everyone) == len(set(everyone))
    normal = {"phantom": own.get("normal_patients", 0), "oracle": 0, "test": new["normal"]}
    with_masses = {"phantom": patients, "oracle": new["oracle"], "test": new["test"]}
    assert [settings.get("slices_per_view") for settings in of.values()] == [5, 5, 1]
    for name in of:
        assert sum(patient.startswith("N") for patient in names[name]) == normal[name]
        assert sum(patient.startswith("P") for patient in names[name]) == with_masses[name]


def test_the_last_number_can_be_given_and_the_next_is_refused() -> None:
    new = {"oracle": 9000, "test": 959, "normal": 0}
    dataset = {"phantom": {"patients": 40}, "new_patients": new}
    assert not [*population_errors(dataset)]
    assert patient_names(PhantomSettings(**populations(dataset)["test"]))[-1] == "P9999"
    (error,) = population_errors(dataset | {"new_patients": new | {"test": 960}})
    assert "up to number 10000" in error
