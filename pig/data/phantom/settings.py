"""What a phantom population can be asked for, and the published tables it is drawn from."""

from dataclasses import dataclass
from typing import Any

from pig.system.settings import Error, refuse


@dataclass(frozen=True)
class Geometry:
    """One tomosynthesis scan: ``views`` projections spread evenly over ``span_deg`` degrees."""

    views: int
    span_deg: float


# Vendors' scans as tabulated by the LAVI pyDBT parameter files (numbers only). Only the angles enter: the beam
# is parallel, so that the source distance has no meaning here.
GEOMETRIES = {"hologic": Geometry(15, 15.0), "ge": Geometry(9, 25.0), "siemens": Geometry(25, 50.0)}


@dataclass(frozen=True)
class DensityClass:
    """Anatomy of one BI-RADS density class: mean and standard deviation, each cut at two deviations.

    ``thickness_mm`` is the compressed thickness, ``depth_mm`` nipple to chest wall (AP), ``width_mm`` the length
    along the chest wall in the CC view (ML), ``glandular`` the volumetric glandular fraction without the skin.
    """

    thickness_mm: tuple[float, float]
    depth_mm: tuple[float, float]
    width_mm: tuple[float, float]
    glandular: tuple[float, float]


# Depth and width follow the reconstructed sizes of the VICTRE trial; thickness is scaled so that the population
# mean is 59 mm (Yaffe 2009); glandular fractions so that its mean is near Yaffe's 19.3 % including skin.
DENSITY_CLASSES = {
    "a": DensityClass((68, 13), (95, 15), (135, 15), (0.06, 0.02)),
    "b": DensityClass((63, 13), (88, 15), (125, 15), (0.13, 0.04)),
    "c": DensityClass((56, 13), (78, 14), (114, 14), (0.26, 0.07)),
    "d": DensityClass((46, 11), (60, 12), (102, 12), (0.47, 0.08)),
}

# BI-RADS shapes, and margins given the shape: CBIS-DDSM's mass table, renormalised over the four shapes.
SHAPES = {"irregular": 0.33, "oval": 0.28, "lobulated": 0.27, "round": 0.12}
MARGINS = {
    "irregular": {"spiculated": 0.57, "indistinct": 0.35, "microlobulated": 0.04, "obscured": 0.04},
    "oval": {"circumscribed": 0.36, "obscured": 0.28, "indistinct": 0.16, "microlobulated": 0.12, "spiculated": 0.07},
    "lobulated": {
        "circumscribed": 0.36, "obscured": 0.24, "indistinct": 0.22, "microlobulated": 0.16, "spiculated": 0.03,
    },
    "round": {"circumscribed": 0.41, "obscured": 0.23, "indistinct": 0.15, "spiculated": 0.13, "microlobulated": 0.07},
}  # fmt: skip

# Linear attenuation in 1/mm: VICTRE's materials folded with a W/Rh 28 kVp spectrum hardened by 4.5 cm of tissue.
ADIPOSE, GLANDULAR, SKIN, LIGAMENT, MUSCLE, BLOOD = 0.0477, 0.0706, 0.0773, 0.0804, 0.0793, 0.0775

SLICE_MM = 1.0  # distance of the planes, of the tissue as of the reconstruction
LAST_NUMBER = 9999  # of a patient: names have four digits
FIELD_MM = (208.0, 136.0)  # of the written slices: along the chest wall, and from it; holds every breast


@dataclass(frozen=True)
class PhantomSettings:
    """A population: everything that its pictures depend on.

    Attributes:
        patients: patients with masses, named P0001, P0002, ... from ``first`` on.
        first: number of the first of them: further patients of a population that has others already.
        normal_patients: further patients without a mass, named N0001, N0002, ... from ``first_normal`` on; their masks
            are empty.
        first_normal: as ``first``, of the normal patients.
        seed: of the population; patient i depends on (seed, i) alone.
        views: any of CC and MLO.
        slices_per_view: that many slices, evenly chosen from those with mass; None for all of them.
        spacing_mm: pixel size in the plane; 0.2 to 0.3 shows spicules, 1 is enough for pictures of 64 pixels.
        geometry: hologic, ge or siemens.
        densities: probabilities of the classes a, b, c, d (BCSC: 10, 40, 40, 10 %).
        diameter_mm: median of the masses' diameters (that of the sphere of equal volume), log-normal; the default
            fits radiologist-reported sizes (PMC4764253, table 4).
        diameter_sigma: standard deviation of its logarithm.
        diameter_min_mm: shortest diameter drawn.
        diameter_max_mm: longest diameter drawn.
        two_masses: share of the patients with a second mass.
        photons_per_mm2: incident quanta for each projection (1.6e6 is about 0.3 mGy of air kerma).
        distractors: whether there are vessels and benign calcifications, which no mask shows.
    """

    patients: int = 367
    first: int = 1
    normal_patients: int = 0
    first_normal: int = 1
    seed: int = 1
    views: tuple[str, ...] = ("CC", "MLO")
    slices_per_view: int | None = None
    spacing_mm: float = 0.25
    geometry: str = "hologic"
    densities: tuple[float, ...] = (0.1, 0.4, 0.4, 0.1)
    diameter_mm: float = 11.5
    diameter_sigma: float = 0.5
    diameter_min_mm: float = 4.0
    diameter_max_mm: float = 40.0
    two_masses: float = 0.1
    photons_per_mm2: float = 1.6e6
    distractors: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises:
            SettingsError: names each key and what it may be.
        """
        errors: list[Error] = []

        def need(key: str, valid: bool, wanted: str) -> None:
            if not valid:
                value: Any = getattr(self, key)
                errors.append((key, f"must be {wanted}, got {value!r}."))

        object.__setattr__(self, "views", tuple(self.views))
        object.__setattr__(self, "densities", tuple(self.densities))
        need("patients", self.patients >= 0, "0 or more")
        need("normal_patients", self.normal_patients >= 0, "0 or more")
        need("patients", self.patients + self.normal_patients > 0, "1 or more when there are no normal_patients")
        need("patients", max(self.patients, self.normal_patients) <= LAST_NUMBER, f"at most {LAST_NUMBER}")
        for first, count in (("first", self.patients), ("first_normal", self.normal_patients)):
            last = LAST_NUMBER + 1 - count
            need(first, 1 <= getattr(self, first) <= last, f"between 1 and {last}")
        need("seed", self.seed >= 0, "0 or more")
        known = len(self.views) == len(set(self.views)) > 0 and set(self.views) <= {"CC", "MLO"}
        need("views", known, "CC, MLO or both, each once")
        need("slices_per_view", self.slices_per_view is None or self.slices_per_view >= 1, "1 or more, or null for all")
        need("spacing_mm", 0.1 <= self.spacing_mm <= 2.0, "between 0.1 and 2 mm")
        need("geometry", self.geometry in GEOMETRIES, f"one of {', '.join(GEOMETRIES)}")
        shares = len(self.densities) == 4 and min(self.densities) >= 0 and abs(sum(self.densities) - 1) < 1e-6
        need("densities", shares, "four shares for a, b, c, d that add up to 1")
        need("diameter_min_mm", self.diameter_min_mm >= 2.0, "2 mm or more")
        need("diameter_max_mm", self.diameter_min_mm <= self.diameter_max_mm, "at least diameter_min_mm")
        within = self.diameter_min_mm <= self.diameter_mm <= self.diameter_max_mm
        need("diameter_mm", within, "between diameter_min_mm and diameter_max_mm")
        need("diameter_sigma", 0 <= self.diameter_sigma <= 2, "between 0 and 2")
        need("two_masses", 0 <= self.two_masses <= 1, "between 0 and 1")
        need("photons_per_mm2", self.photons_per_mm2 > 0, "positive")
        refuse(errors, self)
