"""What a measure is for as many pairs as there are held-out ones: over random draws of so many, and how it scatters.

Most distances between sets depend on how many images they are of: recall and coverage grow with the number, the Frechet
distance falls. So generated pairs are measured as many at a time as the real pairs beside them. The bounds are those of
95 % of the draws: they say what other pairs of the same generator would have given, not another training of it, nor
other patients.

Differs: drawn without replacement (subsampling; Politis and Romano 1994), not as a bootstrap, because a pair that comes
twice is its own nearest neighbour, and all measures that rest on neighbours would be wrong.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DRAWS = 200
BOUNDS = (2.5, 97.5)  # percent

Measure = Callable[[NDArray[np.int64]], Mapping[str, float]]


class Measured(NamedTuple):
    """A mean over draws, and the bounds of 95 % of them; these are NaN where there was only one draw to make."""

    value: float
    low: float = np.nan
    high: float = np.nan


def over_draws(measure: Measure, total: int, n: int, seed: int) -> dict[str, Measured]:
    """Return each of the numbers that ``measure`` gives, over draws of ``n`` out of ``total`` positions.

    Args:
        measure: takes positions, int64 [n], all different; returns the same names each time. A NaN is left out, and
            so is a name that has nothing else.
        total: n or more.
        n: of a draw; if it is ``total``, there is one draw.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    draws = DRAWS if n < total else 1
    found = [measure(np.sort(rng.choice(total, n, replace=False))) for _ in range(draws)]
    table = pd.DataFrame(found).dropna(axis=1, how="all")
    if draws == 1:
        return {str(name): Measured(float(values.iloc[0])) for name, values in table.items()}
    return {str(name): Measured(float(values.mean()), *_bounds(values)) for name, values in table.items()}


def means_over_draws(table: pd.DataFrame, n: int, seed: int) -> dict[str, Measured]:
    """Return the mean of each column over all its rows that have it, and the bounds of the means of ``n`` rows.

    Columns in which no row has a number are left out.
    """
    table = table.dropna(axis=1, how="all")
    names, values = [*map(str, table)], table.to_numpy(np.float64)
    known = ~np.isnan(values)
    values = np.where(known, values, 0)

    def means(rows: NDArray[np.int64]) -> dict[str, float]:
        with np.errstate(invalid="ignore"):  # 0 / 0: no row of the draw has a number
            return dict(zip(names, values[rows].sum(0) / known[rows].sum(0), strict=True))

    drawn = over_draws(means, len(table), min(n, len(table)), seed)
    return {name: Measured(float(table[name].mean()), *of[1:]) for name, of in drawn.items()}


def _bounds(values: pd.Series) -> NDArray[np.float64]:
    return np.asarray(np.nanpercentile(values, BOUNDS), np.float64)
