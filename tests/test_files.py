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
        with atomic_directory(path, "other.json", "model.json") as temporary:
            (temporary / "model.json").touch()
            (temporary / "sub").mkdir()
            (temporary / "sub" / "weights").write_text(content)
        assert (path / "sub" / "weights").read_text() == content
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("place", ["mine", "mine/deep/..", "."])
def test_a_folder_that_holds_anything_else_is_not_replaced(tmp_path, monkeypatch, place):
    (tmp_path / "mine/deep").mkdir(parents=True)
    (tmp_path / "mine/image.png").write_text("kept")
    monkeypatch.chdir(tmp_path / "mine" if place == "." else tmp_path)
    with pytest.raises(UserError, match=r"is in use by something else .*no store.json"), atomic_directory(
        place, "store.json"
    ):
        pass
    with pytest.raises(UserError, match="is in use; name a folder that does not exist"), atomic_directory(place):
        pass
    assert (tmp_path / "mine/image.png").read_text() == "kept"
    with pytest.raises(UserError, match=r"image.png is a file, and a folder is to be written"), atomic_directory(
        tmp_path / "mine/image.png"
    ):
        pass


@pytest.mark.parametrize("read", ["out", "out/store.json", "out/deep/mask.png"])
def test_a_folder_that_is_read_is_not_replaced(tmp_path, read):
    (tmp_path / "out/deep").mkdir(parents=True)
    for name in ("store.json", "deep/mask.png"):
        (tmp_path / "out" / name).write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / read)
    for source in (tmp_path / read, tmp_path / "link"):
        with pytest.raises(UserError, match="would be lost"), atomic_directory(
            tmp_path / "out", "store.json", reads=[source]
        ):
            pass
    assert (tmp_path / "out/deep/mask.png").read_text() == "kept"
    with atomic_directory(tmp_path / "out", "store.json", reads=[tmp_path / "outside"]):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    with atomic_directory(tmp_path / "out") as temporary:
        (temporary / "a").touch()
    assert (tmp_path / "out").is_symlink() and (tmp_path / "disk/a").is_file()


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
