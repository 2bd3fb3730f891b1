"""A population of patients on disk: 16-bit slices, masks, and a manifest."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pig.data.phantom.patient import NoRoom, Patient, make_patient
from pig.data.phantom.settings import PhantomSettings
from pig.system.errors import UserError
from pig.system.files import atomic_path, locked, read_json, write_json
from pig.system.processes import process_pool
from pig.system.progress import track

ATTEMPTS = 10
VERSION = 1  # raised with every change of the pictures, so that no folder mixes two of them

COLUMNS = (
    "image_path", "mask_path", "patient_id", "view", "laterality", "volume_id", "slice_index", "density", "shape",
    "margin", "diameter_mm", "k", "spacing_mm", "seed", "slices", "masses", "thickness_mm", "glandular",
)  # fmt: skip


def patient_names(settings: PhantomSettings) -> list[str]:
    """P0001, ... with masses (from ``settings.first`` on), then N0001, ... without (from ``first_normal`` on)."""
    kinds = (("P", settings.first, settings.patients), ("N", settings.first_normal, settings.normal_patients))
    return [f"{kind}{i:04d}" for kind, first, count in kinds for i in range(first, first + count)]


def patient_seed(settings: PhantomSettings, name: str, attempt: int = 0) -> int:
    """Seed of one patient (32 bits): it depends on the population's seed, her name and the attempt alone."""
    entropy = [settings.seed, "PN".index(name[0]), int(name[1:]), *[attempt] * (attempt > 0)]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def grow(settings: PhantomSettings, name: str, all_slices: bool = False) -> Patient:
    """Make the patient of a name: the first one drawn whose breast has room for her masses.

    Raises:
        UserError: none of ten has; the masses that are asked for are too large.
    """
    for attempt in range(ATTEMPTS):
        seed, masses = patient_seed(settings, name, attempt), 0 if name[0] == "N" else None
        try:
            return make_patient(seed=seed, settings=settings, masses=masses, all_slices=all_slices)
        except NoRoom as error:
            refused = error
    raise refused


def write_population(out: Path, settings: PhantomSettings, jobs: int = 1) -> None:
    """Write ``out``/images/*.png (16-bit), ``out``/masks/*.png (0 and 255) and, last, ``out``/manifest.csv.

    A patient's pictures depend on the settings and her number alone: neither on ``jobs`` nor on who else is made.
    The same call goes on where an interrupted one stopped.

    Args:
        out: the folder; made where it does not exist.
        settings: the population.
        jobs: processes.

    Raises:
        UserError: the folder holds a population of other settings, another process writes into it, or ``jobs`` is
            below 1.
    """
    out = Path(out)
    names = patient_names(settings)
    with locked(out):
        open_folder(out, settings, jobs)
        for folder in ("images", "masks"):
            (out / folder).mkdir(exist_ok=True)
        waiting = [name for name in names if not _record(out, name).exists()]
        made = run(write_patient, [(out, settings, name) for name in waiting], jobs)
        for _ in track(made, "phantom", len(names), len(names) - len(waiting)):
            pass
        with atomic_path(out / "manifest.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for name in names:
                writer.writerows(read_json(_record(out, name)))
        (out / "lock").unlink()


def open_folder(out: Path, settings: PhantomSettings, jobs: int) -> None:
    """Make ``out`` the folder of this population, or find that it is.

    Raises:
        UserError: the folder holds a population of other settings, or ``jobs`` is below 1.
    """
    if jobs < 1:
        raise UserError(f"jobs is {jobs}; it must be 1 or more.")
    fingerprint = _fingerprint(settings)
    state = out / "population.json"
    if state.exists() and read_json(state).get("fingerprint") != fingerprint:
        raise UserError(f"{out} holds a phantom of other settings; delete it or choose another folder.")
    (out / "patients").mkdir(parents=True, exist_ok=True)
    write_json(state, {"fingerprint": fingerprint, "version": VERSION, "settings": asdict(settings)})


def write_patient(out: Path, settings: PhantomSettings, name: str) -> None:
    """Write one patient's slices and masks, and then the rows of her in the manifest to ``out``/patients."""
    from PIL import Image

    patient = grow(settings, name)
    rows: list[dict[str, Any]] = []
    for view in patient.views:
        volume_id = f"{name}_{patient.laterality}{view.view}"
        for i, index in enumerate(view.slices):
            file = f"{volume_id}_{index:03d}.png"
            Image.fromarray(view.volume[i]).save(out / "images" / file, compress_level=2)
            Image.fromarray(view.masks[i].astype(np.uint8) * 255).save(out / "masks" / file, compress_level=2)
            mass = patient.masses[view.largest[i]] if view.largest[i] >= 0 else None
            rows.append(
                {
                    "image_path": f"images/{file}",
                    "mask_path": f"masks/{file}",
                    "patient_id": name,
                    "view": view.view,
                    "laterality": patient.laterality,
                    "volume_id": volume_id,
                    "slice_index": int(index),
                    "density": patient.density,
                    "shape": mass.shape if mass else "",
                    "margin": mass.margin if mass else "",
                    "diameter_mm": round(mass.diameter_mm, 2) if mass else "",
                    "k": round(mass.k, 4) if mass else "",
                    "spacing_mm": settings.spacing_mm,
                    "seed": patient.seed,
                    "slices": view.planes,
                    "masses": len(patient.masses),
                    "thickness_mm": round(view.envelope.thickness_mm, 1),
                    "glandular": round(view.glandular, 4),
                }
            )
    write_json(_record(out, name), rows)


def run(task: Callable[..., None], calls: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[None]:
    """Call ``task`` with each of ``calls``, in ``jobs`` processes; yield after each."""
    if jobs == 1:
        for call in calls:
            _one_thread(task, *call)
            yield
        return
    with process_pool(jobs) as pool:
        futures = [pool.submit(_one_thread, task, *call) for call in calls]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread(task: Callable[..., None], *arguments: Any) -> None:
    # The processes share the cores, and sums come out the same on any number of them.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        task(*arguments)


def _record(out: Path, name: str) -> Path:
    return out / "patients" / f"{name}.json"


def _fingerprint(settings: PhantomSettings) -> str:
    """Of all that the pictures depend on; not of how many patients there are, so that more can be added."""
    who = ("patients", "first", "normal_patients", "first_normal")
    depends = {k: v for k, v in asdict(settings).items() if k not in who}
    return hashlib.sha256(json.dumps([VERSION, depends], sort_keys=True).encode()).hexdigest()
