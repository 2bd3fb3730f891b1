"""Make the built-in phantom data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pig.data.phantom import PhantomSettings, write_population
from pig.system.settings import parse


def phantom(
    *,
    settings: Mapping[str, Any],
    patients: int | None,
    normal: int | None,
    seed: int | None,
    dicom: bool,
    report: bool,
    threads: int,
    out: Path,
) -> None:
    """Write the pairs and the manifest of a phantom population into the folder ``out``.

    Args:
        settings: those of :class:`PhantomSettings`; the keys left out are those of a clinical population.
        patients: with masses; goes before ``settings``, as the next two do.
        normal: patients without masses.
        seed: of the population.
        dicom: also write volumes and tables as in BCS-DBT.
        report: also write measured statistics beside their targets.
        threads: processes that grow patients.
        out: the folder; a killed run goes on in it.
    """
    given = {"patients": patients, "normal_patients": normal, "seed": seed}
    wanted = {**settings, **{key: value for key, value in given.items() if value is not None}}
    population = parse(PhantomSettings, wanted, "dataset.phantom")
    write_population(out, population, threads)
    if dicom:
        from pig.data.phantom.dicom import write_dicom

        write_dicom(out, population, threads)
    if report:
        from pig.data.phantom.report import write_report

        write_report(out)
