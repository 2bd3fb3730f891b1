"""What a damaged file is like: bytes, fields of NIfTI headers, values of JSON, cells of CSV."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

Damage = Callable[[Path], None]
STRANGE = st.one_of(
    st.sampled_from([
        None, True, float("nan"), float("inf"), -1, 0, 1, 7, 2.5, 2**31, 2**63, 10**30, 1e308, "", "x", "0", "..", "\0",
        "\ud800", "n" * 300, "/", [], [[]], {}, [None], [[None]], {"a": 1},
    ]),
    st.text("0123456789:;<=>?@OPQ_`abno", max_size=12),
    st.lists(st.sampled_from([-1, 0, 5, 2**32, 2**64, 10**400, "x", None, 0.5]), max_size=8),
)  # fmt: skip


@st.composite
def of_bytes(draw: st.DrawFn) -> Damage:
    """Cut, filled up or changed in places; a header is changed as often as all the rest."""
    kind = draw(st.sampled_from(["cut", "change", "change", "change", "remove", "double", "folder"]))
    share = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99]))
    place = st.integers(0, 400) | st.integers(0, 4000)
    places = draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=8))

    def damage(path: Path) -> None:
        held = bytearray(path.read_bytes())
        if kind == "cut":
            held = held[: int(share * len(held))]
        elif kind == "double":
            held = held * 2
        for place, value in places if kind == "change" else []:
            held[place % len(held)] = value
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind != "remove":
            path.write_bytes(held)

    return damage


@st.composite
def of_nifti(draw: st.DrawFn) -> Damage:
    """One to three fields of the header become numbers that are none of it."""
    whole = st.tuples(st.just("<i2"), st.sampled_from([*range(40, 56, 2), 68, 70, 72, 252, 254]),
                      st.sampled_from([-32768, -1, 0, 1, 2, 7, 512, 1792, 2304, 32767]))  # fmt: skip
    real = st.tuples(st.just("<f4"), st.sampled_from([*range(76, 120, 4), *range(256, 328, 4)]),
                     st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1e-30, 1e38, 3.5]))  # fmt: skip
    changes = draw(st.lists(st.one_of(whole, real), min_size=1, max_size=3))

    def damage(path: Path) -> None:
        held = bytearray(path.read_bytes())
        for kind, place, value in changes:
            field = np.array(value, kind).tobytes()
            held[place : place + len(field)] = field
        path.write_bytes(held)

    return damage


@st.composite
def of_json(draw: st.DrawFn) -> Damage:
    """A value anywhere is replaced, left out, or there twice."""
    steps = draw(st.lists(st.integers(0, 2**16), max_size=5))
    kind, value = draw(st.sampled_from(["replace"] * 4 + ["remove", "double"])), draw(STRANGE)

    def damage(path: Path) -> None:
        said = holder = json.loads(path.read_text())
        key: Any = None
        for step in steps:
            inner = holder if key is None else holder[key]
            if not isinstance(inner, dict | list) or not inner:
                break
            holder, key = inner, [*inner][step % len(inner)] if isinstance(inner, dict) else step % len(inner)
        if key is None:
            said = value
        elif kind == "replace":
            holder[key] = value
        elif kind == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        path.write_text(json.dumps(said))

    return damage


@st.composite
def of_csv(draw: st.DrawFn) -> Damage:
    """A cell becomes another text, or one more."""
    row, column = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    texts = ["", " ", "nan", "..", "../../x", "/", "a\0b", "n" * 300, '"', "\n", "p0", "P0", "p0,", "i/p0_1.png"]
    text = draw(st.sampled_from(texts))

    def damage(path: Path) -> None:
        cells = [line.split(",") for line in path.read_text().splitlines()]
        cells[row][column:column + 1] = [text]
        path.write_text("\n".join(map(",".join, cells)))

    return damage
