"""Patients and volumes under names that only the salt leads back from."""

from pathlib import Path

import pandas as pd
import pytest

from pig.data.pseudonyms import new_salt, pseudonymise, pseudonyms, read_salt
from pig.system.errors import UserError


def test_pseudonyms(tmp_path: Path) -> None:
    salt = read_salt(tmp_path / "keys/salt", tmp_path / "out")
    assert (tmp_path / "keys/salt").stat().st_mode & 0o777 == 0o600
    assert read_salt(tmp_path / "keys/salt", tmp_path / "out") == salt  # kept, not made anew
    assert len({*pseudonyms(["a", "b", "A", "a "], salt).values()}) == 4
    assert pseudonyms(["a"], salt) == pseudonyms(["a"], salt) != pseudonyms(["a"], new_salt())
    # RFC 4231, test case 2: HMAC-SHA256 of "what do ya want for nothing?" with the key "Jefe".
    assert pseudonyms(["what do ya want for nothing?"], b"Jefe") == {
        "what do ya want for nothing?": "p5bdcc146bf60754e"
    }
    with pytest.raises(UserError, match="keep it elsewhere"):
        read_salt(tmp_path / "out/salt", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "text").write_text("my password")
    with pytest.raises(UserError, match="text does not hold a salt of 64 hexadecimal digits"):
        read_salt(tmp_path / "text", tmp_path / "out")


def test_a_pseudonymised_manifest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = pd.DataFrame(
        {
            "image_path": ["DOE/1.png", "DOE/2.png", "ROE/1.png"],
            "mask_path": ["DOE/1m.png", "DOE/2m.png", "ROE/1m.png"],
            "patient_id": ["DOE", "DOE", "ROE"],
            "volume_id": ["1", None, "1"],
            "view": ["CC", "MLO", "CC"],
            "crop_h": [4, 5, 6],
            "StudyDate": ["19690312"] * 3,
        }
    )
    table = pseudonymise(manifest, b"Jefe")
    assert list(table.columns) == ["image_path", "mask_path", "patient_id", "volume_id", "view", "crop_h"]
    assert table["image_path"].tolist() == ["image-000000", "image-000001", "image-000002"]
    name_of = pseudonyms(["DOE", "ROE"], b"Jefe")
    assert table["patient_id"].tolist() == [name_of["DOE"], name_of["DOE"], name_of["ROE"]]
    assert table["volume_id"].isna().tolist() == [False, True, False]
    assert table["volume_id"][0] != table["volume_id"][2]  # volumes are numbered within the patient
    assert "StudyDate" in caplog.text


@pytest.mark.parametrize("empty", [None, float("nan"), ""])
@pytest.mark.parametrize("names", [["", ""], ["1", ""]])
def test_volumes_without_a_name_stay_so(empty: object, names: list[str]) -> None:
    cells = [name or empty for name in names]
    manifest = pd.DataFrame({"image_path": ["1", "2"], "mask_path": ["3", "4"], "patient_id": ["DOE", "DOE"]})
    table = pseudonymise(manifest.assign(volume_id=cells), b"Jefe")
    assert table["volume_id"].isna().tolist() == [not name for name in names]
