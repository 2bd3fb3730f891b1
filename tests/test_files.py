import pytest

from pig.system.errors import UserError
from pig.system.files import atomic_directory, atomic_path, read_json, write_json


class Broken(Exception):
    pass


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    with pytest.raises(Broken), atomic_path(path) as temporary:
        temporary.write_text("half")
        assert temporary.suffix == ".csv"
        raise Broken
    assert list(path.parent.iterdir()) == []
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    with pytest.raises(Broken), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise Broken
    assert path.read_text() == "whole"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model"
    path.mkdir()  # as Snakemake may leave it
    with pytest.raises(Broken), atomic_directory(path) as temporary:
        (temporary / "weights").write_text("half")
        raise Broken
    assert list(path.iterdir()) == []
    for content in ("first", "second"):
        with atomic_directory(path) as temporary:
            (temporary / "sub").mkdir()
            (temporary / "sub" / "weights").write_text(content)
        assert (path / "sub" / "weights").read_text() == content
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_json_round_trip_and_refusals(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, None, "ü"]})
    assert read_json(tmp_path / "a.json") == {"b": [1, None, "ü"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", {"b": float("nan")})
    assert not (tmp_path / "nan.json").exists()
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a.json is not readable JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match=r"b.json does not exist"):
        read_json(tmp_path / "b.json")
