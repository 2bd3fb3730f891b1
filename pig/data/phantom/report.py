"""The proof: measured statistics of a written population beside the published targets."""

import csv
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pig.data.phantom import statistics
from pig.data.phantom.patient import make_patient
from pig.data.phantom.settings import DENSITY_CLASSES, GEOMETRIES, PhantomSettings
from pig.system.errors import UserError
from pig.system.files import atomic_path, read_json, write_json
from pig.system.progress import track
from pig.system.settings import parse

SLABS_MM = (1, 2, 4, 8, 16)

# Ranges within which a population drawn with the default settings has to lie, and where they come from.
TARGETS: dict[str, tuple[float, float, str]] = {
    "beta, thin slice": (1.6, 2.4, "breast CT 1.8 +- 0.4 (Chen 2012)"),
    "beta, projection": (2.6, 3.4, "mammography 3.2 +- 0.24 (Chen 2012); 2.8 (Burgess 2003)"),
    "beta, DBT": (2.6, 3.6, "DBT 3.1 +- 0.35 (Chen 2012); 2.9 +- 0.35 (SPIE 7961, 2011)"),
    "glandular fraction, mean": (0.17, 0.23, "0.193 (Yaffe 2009)"),
    "share below 27 % glandular": (0.65, 0.90, "0.80 (Yaffe 2009)"),
    "thickness, mean (mm)": (54, 64, "59 +- 16 (Yaffe 2009)"),
    "thickness, deviation (mm)": (10, 18, "59 +- 16 (Yaffe 2009)"),
    "diameter, median (mm)": (9, 13, "10.4 (PMC4764253); boxes 11.5 (BCS-DBT)"),
    "share of irregular masses": (0.26, 0.40, "0.33 (CBIS-DDSM)"),
    "share of spiculated masses": (0.15, 0.29, "0.22 (CBIS-DDSM, over these shapes and margins)"),
    "slices with mass for a view": (9, 15, "11.9 (8,723 slices of 367 patients, the paper)"),
}


def write_report(out: Path, patients_per_class: int = 2) -> dict[str, Any]:
    """Measure the population in ``out`` and write ``out``/report/report.json and report.png.

    Population figures come from its manifest; spectra and contrasts from ``patients_per_class`` patients of each
    density class, made again with its settings at the clinical pixel of 0.25 mm.

    Returns:
        What is in report.json: ``measured``, ``targets`` and curves.

    Raises:
        UserError: ``out`` holds no finished population.
    """
    out = Path(out)
    manifest = out / "manifest.csv"
    if not manifest.exists():
        raise UserError(f"{manifest} does not exist; write the population first (pig phantom --out {out}).")
    settings = parse(PhantomSettings, read_json(out / "population.json")["settings"], "phantom")
    with manifest.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["patient_id"].startswith("P")]
    if not rows:
        raise UserError(f"{manifest} has no patient with a mass; there is nothing to compare.")
    measured, tables = population_statistics(rows)
    images, curves = image_statistics(settings, patients_per_class)
    measured |= images
    report = {
        "measured": measured,
        "targets": {
            name: {"low": low, "high": high, "source": source} for name, (low, high, source) in TARGETS.items()
        },
        **tables,
        **curves,
    }
    (out / "report").mkdir(exist_ok=True)
    write_json(out / "report" / "report.json", report)
    _draw(out / "report" / "report.png", report)
    return report


def population_statistics(rows: list[dict[str, str]]) -> tuple[dict[str, float], dict[str, Any]]:
    """Anatomy for each view and masses for each patient, from the rows of a manifest.

    A patient's mass is counted once for each (shape, margin, diameter).
    """
    volumes = {row["volume_id"]: row for row in rows}
    slices = Counter(row["volume_id"] for row in rows)
    masses = {(r["patient_id"], r["shape"], r["margin"], r["diameter_mm"]) for r in rows}
    glandular = np.array([float(row["glandular"]) for row in volumes.values()])
    thickness = np.array([float(row["thickness_mm"]) for row in volumes.values()])
    diameter = np.array([float(mass[3]) for mass in masses])
    shapes, margins = Counter(mass[1] for mass in masses), Counter(mass[2] for mass in masses)
    measured = {
        "glandular fraction, mean": glandular.mean(),
        "share below 27 % glandular": (glandular < 0.27).mean(),
        "thickness, mean (mm)": thickness.mean(),
        "thickness, deviation (mm)": thickness.std(),
        "diameter, median (mm)": np.median(diameter),
        "share of irregular masses": shapes["irregular"] / len(masses),
        "share of spiculated masses": margins["spiculated"] / len(masses),
        "slices with mass for a view": np.mean(list(slices.values())),
    }
    tables = {
        "views": len(volumes),
        "slices": len(rows),
        "densities": dict(sorted(Counter(row["density"] for row in volumes.values()).items())),
        "shapes and margins": {f"{s}, {m}": n for (s, m), n in sorted(Counter(m[1:3] for m in masses).items())},
        "diameters (mm)": sorted(diameter.tolist()),
        "thicknesses (mm)": sorted(thickness.tolist()),
    }
    return {name: float(value) for name, value in measured.items()}, tables


def image_statistics(settings: PhantomSettings, patients_per_class: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Spectra, contrast, noise and ghosts, from phantoms made for the purpose."""
    settings = replace(settings, spacing_mm=0.25, slices_per_view=1, views=("CC",))
    betas: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    slabs: dict[int, list[float]] = defaultdict(list)
    contrast: dict[str, list[float]] = defaultdict(list)
    calls = list(enumerate(list(DENSITY_CLASSES) * patients_per_class))
    for seed, density in track(calls, "phantom report", len(calls)):
        empty = make_patient(seed=seed, density=density, settings=settings, masses=0).views[0]
        for name, beta in statistics.exponents(empty).items():
            betas[name][density].append(beta)
        for thickness, beta in statistics.slab_exponents(empty, SLABS_MM).items():
            slabs[thickness].append(beta)
        mass = make_patient(
            seed=seed, density=density, settings=settings, masses=1, diameter_mm=12, shape="round",
            margin="circumscribed", k=1.0,
        )  # fmt: skip
        contrast[density].append(statistics.contrast_to_noise(mass.views[0]))
    rng = np.random.default_rng(0)
    doses = [2.5e4, 5e4, 1e5, 2e5]
    scan = GEOMETRIES[settings.geometry]
    noise = [statistics.noise_variance(rng, quanta, scan) for quanta in doses]
    spread = {}
    for name, geometry in GEOMETRIES.items():
        z, curve = statistics.artefact_spread(5, geometry)
        spread[name] = {"z_mm": z.tolist(), "asf": curve.tolist(), "fwhm_mm": _width(z, curve)}
    measured = {f"beta, {name}": float(np.mean(list(by.values()))) for name, by in betas.items()}
    curves = {
        "beta by density": {name: {d: float(np.mean(b)) for d, b in by.items()} for name, by in betas.items()},
        "beta by slab (mm)": {str(t): float(np.mean(b)) for t, b in slabs.items()},
        "CNR by density": {d: float(np.mean(values)) for d, values in contrast.items()},
        "noise variance by quanta": {f"{q:g}": v for q, v in zip(doses, noise, strict=True)},
        "artefact spread, 5 mm sphere": spread,
    }
    return measured, curves


def _width(z: Any, curve: Any) -> float | None:
    width = statistics.full_width_half_maximum(z, curve)
    return width if np.isfinite(width) else None


def _draw(path: Path, report: dict[str, Any]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.5), layout="constrained")
    axes = figure.subplots(2, 3)
    measured = report["measured"]
    table = axes[0, 0]
    table.axis("off")
    cells = [[n, f"{measured[n]:.3g}", f"{low:g} to {high:g}"] for n, (low, high, _) in TARGETS.items()]
    drawn = table.table(cells, colLabels=["", "measured", "target"], colWidths=[0.62, 0.2, 0.24], loc="center")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)

    slabs = report["beta by slab (mm)"]
    axes[0, 1].semilogx([float(t) for t in slabs], list(slabs.values()), "o-", base=2)
    axes[0, 1].set(title="Power-law exponent of slabs", xlabel="slab thickness (mm)", ylabel=r"$\beta$")
    axes[0, 2].bar(list(report["CNR by density"]), list(report["CNR by density"].values()), color="0.4")
    axes[0, 2].set(title="Contrast to anatomical noise", xlabel="density class", ylabel="CNR, 12 mm mass of gland")
    noise = report["noise variance by quanta"]
    quanta = np.array([float(q) for q in noise])
    axes[1, 0].loglog(quanta, list(noise.values()), "o", label="measured")
    axes[1, 0].loglog(quanta, next(iter(noise.values())) * quanta[0] / quanta, "--", color="0.5", label="1 / dose")
    axes[1, 0].set(title="Noise of a uniform slab", xlabel="quanta for a pixel and view", ylabel="variance")
    axes[1, 0].legend()
    for name, curve in report["artefact spread, 5 mm sphere"].items():
        geometry = GEOMETRIES[name]
        axes[1, 1].plot(curve["z_mm"], curve["asf"], label=f"{name}: {geometry.views} views, {geometry.span_deg:g}°")
    axes[1, 1].set(title="Artefact spread of a 5 mm sphere", xlabel="distance from its plane (mm)", ylabel="ghost")
    axes[1, 1].legend(loc="upper right", fontsize=7)
    axes[1, 2].hist(report["diameters (mm)"], bins=20, color="0.4")
    axes[1, 2].set(title="Diameters of the masses", xlabel="mm", ylabel="masses")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
