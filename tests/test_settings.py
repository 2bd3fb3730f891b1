from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pig.system.errors import UserError
from pig.system.settings import parse


@dataclass(frozen=True)
class Inner:
    steps: int = 5


@dataclass(frozen=True)
class Outer:
    rate: float
    inner: Inner = field(default_factory=Inner)
    sizes: tuple[int, ...] = (1, 2)
    mode: Literal["a", "b"] = "a"
    name: str | None = None
    flag: bool = False


def test_a_mapping_becomes_a_dataclass():
    got = parse(Outer, {"rate": 1, "inner": {"steps": 7}, "sizes": [3, 4], "name": "x"}, "here")
    assert got == Outer(1.0, Inner(7), (3, 4), "a", "x")
    assert isinstance(got.rate, float)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"rate": 1, "sises": [1]}, "here.sises: unknown key; did you mean 'sizes'"),
        ({"rate": 1, "zzz": 1}, "here.zzz: unknown key; the keys are flag, inner, mode, name, rate, sizes"),
        ({}, "here.rate: missing"),
        ({"rate": "fast"}, "here.rate: expected float, got 'fast'"),
        ({"rate": True}, "here.rate: expected float, got True"),
        ({"rate": 1, "inner": {"steps": 1.5}}, "here.inner.steps: expected int, got 1.5"),
        ({"rate": 1, "inner": {"step": 1}}, "here.inner.step: unknown key; did you mean 'steps'"),
        ({"rate": 1, "inner": 3}, "here.inner: expected keys and values, got 3"),
        ({"rate": 1, "sizes": [1, "b"]}, r"here.sizes\[1\]: expected int, got 'b'"),
        ({"rate": 1, "mode": "c"}, "here.mode: 'c' is not one of 'a', 'b'"),
        ({"rate": 1, "name": 3}, "here.name: expected str | None, got 3"),
        ({"rate": 1, "flag": 1}, "here.flag: expected bool, got 1"),
    ],
)
def test_what_does_not_fit_is_named(mapping, message):
    with pytest.raises(UserError, match=message):
        parse(Outer, mapping, "here")


@given(
    st.dictionaries(
        st.sampled_from(["rate", "inner", "sizes", "mode", "name", "flag", "more"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers()),
    )
)
def test_anything_else_is_a_user_error_or_a_value_of_the_right_types(mapping):
    try:
        got = parse(Outer, mapping, "here")
    except UserError:
        return
    assert isinstance(got.rate, float)
    assert isinstance(got.inner, Inner)
    assert all(isinstance(size, int) for size in got.sizes)
    assert got.mode in ("a", "b")
