"""Whatever data set is drawn comes back bit for bit, in any layout; whatever is damaged is read or refused in words."""

import csv
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import any_data
import broken
import pytest
from any_data import CODES, Drawn, Writer, Written, data_sets, expected, imported, three
from broken import Damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pig.system.errors import UserError

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # an import waits for a disk longer than it computes
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def comes_back(write: Writer, drawn: list[Drawn], wanted: any_data.Content) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        (Path(folder) / "in").mkdir()
        assert imported(write(Path(folder) / "in", drawn), Path(folder) / "out") == wanted


@pytest.mark.parametrize("layout", ["folders", "patterns", "nnunet"])
@FEW
@given(drawn=data_sets())
def test_files_of_pairs(layout: str, drawn: list[Drawn]) -> None:
    comes_back(getattr(any_data, layout), drawn, expected(drawn))


@FEW
@given(drawn=data_sets())
def test_dicom(drawn: list[Drawn]) -> None:
    deep = [one if one.image.itemsize == 2 else one._replace(image=one.image.astype("u2") * 257) for one in drawn]
    comes_back(lambda root, _: any_data.dicom(root, drawn), drawn, expected(deep))


@FEW
@given(drawn=data_sets(), how=st.permutations(["polygon", "counts", "compressed"]))
def test_coco(drawn: list[Drawn], how: list[str]) -> None:
    comes_back(lambda root, _: any_data.coco_of(root, drawn, tuple(how)), drawn, expected(drawn))


@FEW
@given(
    drawn=data_sets(),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    said=st.booleans(),
)
def test_tables(drawn: list[Drawn], **dialect: object) -> None:
    comes_back(lambda root, _: any_data.table(root, drawn, **dialect), drawn, expected(drawn))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["folders", "v1", "v2"])
@FEW
@given(drawn=data_sets(3), axis=st.integers(0, 2), code=st.sampled_from(CODES), of_mask=st.sampled_from(CODES))
def test_volumes(kind: str, drawn: list[Drawn], axis: int, code: str, of_mask: str) -> None:
    def write(root: Path, _: list[Drawn]) -> Written:
        source, place, given_settings = any_data.volumes(root, drawn, code, of_mask, kind)
        return source, place, given_settings | {"axis": axis}

    comes_back(write, drawn, expected(drawn, axis))


# --- damage --------------------------------------------------------------------------------------------------------


def read_or_refused(write: Writer, drawn: list[Drawn], name: str, damage: Damage, faults: str = "skip") -> None:
    """The file with that name is damaged; of the pairs that are not those of p0, none may be another."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        (Path(folder) / "in").mkdir()
        written = write(Path(folder) / "in", drawn)
        (path,) = (Path(folder) / "in").rglob(name)
        damage(path)
        try:
            found = imported(written, Path(folder) / "out", faults=faults)
        except UserError as error:
            assert str(error).strip()
            # An image that stays where it is is read after the import, unless broken ones are to be skipped.
            assert not (Path(folder) / "out").exists() or (faults == "stop" and name.startswith("images/"))
            # A broken file of one pair does not stop those that skip.
            assert faults == "stop" or path.suffix in (".json", ".csv"), error
            return
    if path.suffix not in (".json", ".csv"):
        assert expected(drawn[1:]).items() <= found.items()
        assert {patient for patient, _ in found.values()} <= {"p0", "p1", "p2"}


DAMAGED = {
    "image.png": (any_data.folders, 2, "images/p0_1.png", broken.of_bytes()),
    "mask.tif": (any_data.folders, 2, "masks/p0_1.tif", broken.of_bytes()),
    "image.dcm": (any_data.dicom, 2, "images/p0_1.dcm", broken.of_bytes()),
    "image.nii": (any_data.volumes, 3, "images/p0_1.nii", broken.of_nifti() | broken.of_bytes()),
    "mask.nii": (any_data.volumes, 3, "masks/p0_1.nii", broken.of_nifti() | broken.of_bytes()),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", DAMAGED)
@settings(FEW, max_examples=30)
@given(data=st.data(), faults=st.sampled_from(["skip", "skip", "stop"]))
def test_a_damaged_file_of_a_pair(kind: str, data: st.DataObject, faults: str) -> None:
    write, dimensions, name, damages = DAMAGED[kind]
    read_or_refused(write, three(dimensions), name, data.draw(damages), faults)


@settings(FEW, max_examples=60)
@given(damage=broken.of_csv() | broken.of_bytes(), faults=st.sampled_from(["skip", "stop"]))
def test_a_damaged_table(damage: Damage, faults: str) -> None:
    read_or_refused(any_data.table, three(), "mine.csv", damage, faults)


@pytest.mark.parametrize("version", [1, 2])
@settings(FEW, max_examples=60)
@given(damage=broken.of_json() | broken.of_bytes(), faults=st.sampled_from(["skip", "stop"]))
def test_a_damaged_description_of_nnunet(version: int, damage: Damage, faults: str) -> None:
    def write(root: Path, drawn: list[Drawn]) -> Written:
        return any_data.volumes(root, drawn, kind=f"v{version}")

    read_or_refused(write, three(3)[:1], "dataset.json", damage, faults)


@settings(FEW, max_examples=250)
@given(damage=broken.of_json() | broken.of_bytes(), faults=st.sampled_from(["skip", "stop"]))
def in_a_child_a_damaged_coco_file(damage: Damage, faults: str) -> None:
    read_or_refused(any_data.coco_of, three(), "coco.json", damage, faults)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_damaged_coco_crashes_nothing_and_takes_no_memory(tmp_path: Path) -> None:
    """COCO's library is C: whatever it is given, the process that reads may have 2 GiB more than it begins with."""
    words = [sys.executable, "-W", "ignore", __file__]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "done\n"


if __name__ == "__main__":
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + (2 << 30), held + (2 << 30)))
    in_a_child_a_damaged_coco_file()
    print("done")
