"""`--salt`, by the command line: nothing that an import or a store writes names a patient."""

from pathlib import Path

import numpy as np
from PIL import Image
from study_files import lesion, ramp, write_png, write_study

from pig.cli import main
from pig.data.images import read_grey
from pig.data.manifest import read_manifest
from pig.data.preprocess import build_store
from pig.data.pseudonyms import pseudonyms, read_salt
from pig.data.settings import PreprocessSettings
from pig.data.store import Store


def test_pseudonyms_and_copies(tmp_path: Path) -> None:
    """Neither ids nor paths, nor what image files say of themselves."""
    for number, stem in enumerate(["Doe Jane_1", "Doe Jane_2", "Roe_1"]):
        write_png(tmp_path / f"in/masks/{stem}.png", lesion())
        (tmp_path / "in/images").mkdir(exist_ok=True)
        comment = {270: "Doe Jane, born 1950-01-01"}  # ImageDescription
        image = Image.fromarray(ramp() + np.uint16(number) * (ramp() > 0))
        image.save(tmp_path / f"in/images/{stem}.tif", tiffinfo=comment)
    words = ["import", "--from", "folders", "--root", str(tmp_path / "in"), "--settings", '{patient: "^(.+)_"}']
    assert main([*words, "--salt", str(tmp_path / "salt"), "--out", str(tmp_path / "out")]) == 0
    for path in filter(Path.is_file, (tmp_path / "out").rglob("*")):
        held = path.read_bytes() + path.name.encode()
        assert b"Doe" not in held, path
        assert b"Roe" not in held, path
    table = read_manifest(tmp_path / "out/manifest.csv")
    name_of = pseudonyms(["Doe Jane", "Roe"], read_salt(tmp_path / "salt", tmp_path / "out"))
    assert table["patient_id"].tolist() == [name_of["Doe Jane"], name_of["Doe Jane"], name_of["Roe"]]
    assert (read_grey(table["image_path"][2]) == ramp() + np.uint16(2) * (ramp() > 0)).all()
    assert table["image_path"][0] == str(tmp_path / "out/images/000000-000.png")


def test_a_store_made_by_hand(tmp_path: Path) -> None:
    manifest = write_study(tmp_path / "own", ["Doe", "Roe"], StudyDate=["19500101", "19500102"])
    salted = ["--salt", str(tmp_path / "salt"), "--out", str(tmp_path / "store")]
    assert main(["preprocess", "--manifest", str(manifest), "--settings", "{size: 8}", *salted]) == 0
    table = (tmp_path / "store/manifest.csv").read_text()
    assert not [word for word in ("Doe", "Roe", "own", "1950", "StudyDate") if word in table]
    plain = build_store(manifest, PreprocessSettings(8), tmp_path / "plain")
    assert (Store.open(tmp_path / "store").images == plain.images).all()
