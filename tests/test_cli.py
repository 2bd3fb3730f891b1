import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pig
from pig.cli import main
from pig.commands import named, parser, settings
from pig.commands.examples import EXAMPLES

COMMANDS = ["phantom", "preprocess", "folds", "fit", "synthesise", "segment", "fid", "table1", "table2", "gallery"]


def test_settings_are_text_or_a_file(tmp_path):
    assert settings('{"a": [1, 2.0]}') == {"a": [1, 2.0]}
    (tmp_path / "my settings.yaml").write_text("a: {b: null}\n")
    assert settings(str(tmp_path / "my settings.yaml")) == {"a": {"b": None}}


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e-6)  # a KL weight, which YAML takes for text
def test_settings_as_json_keep_their_numbers(number):
    assert settings(json.dumps({"a": [number]})) == {"a": [number]}


@pytest.mark.parametrize("text", ["[1]", "{a: ", "nowhere.yaml", "5"])
def test_settings_that_are_none(text, capsys):
    with pytest.raises(SystemExit) as error:
        main(["phantom", "--settings", text, "--out", "x"])
    assert error.value.code == 2
    assert "--settings" in capsys.readouterr().err


def test_names_and_paths():
    assert named("a=b/c") == ("a", Path("b/c"))
    assert named("+LDM_2048=x=y") == ("+LDM_2048=x", Path("y"))


@pytest.mark.parametrize("command", [*COMMANDS, "strip"])
def test_every_command_says_what_it_takes(command, capsys):
    with pytest.raises(SystemExit) as error:
        parser().parse_args([command, "--help"])
    assert error.value.code == 0
    assert "--out" in capsys.readouterr().out


def test_each_command_has_an_example_and_takes_it(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    of_a_study, by_hand = capsys.readouterr().out.partition("a study:\n")[2].split("\nsteps, by hand:\n")
    listed = [[line.split()[0] for line in lines.splitlines() if line] for lines in (of_a_study, by_hand)]
    assert listed[0][:3] == ["plan", "cost", "status"] and "fit" in listed[1]
    assert sorted(listed[0] + listed[1]) == sorted(EXAMPLES)
    for name, line in EXAMPLES.items():
        program, *words = shlex.split(line)
        assert (program, parser().parse_args(words).command) == ("pig", name)


TYPED = [("st", "strip status"), ("status --w", "--watch"), ("predict --m", "--model")]


@pytest.mark.parametrize(("typed", "offered"), TYPED)
def test_the_tab_key_of_bash_completes_commands_and_options(typed, offered, capsys):
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    words = f"pig {typed}".split()
    ask = f'COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _shtab_pig; echo "${{COMPREPLY[*]}}"'
    run = subprocess.run(["bash", "-c", f"{capsys.readouterr().out}\n{ask}"], capture_output=True, text=True)
    assert run.stdout.strip() == offered


def test_a_mistake_of_the_user_is_one_sentence_and_status_2(tmp_path):
    program = Path(sys.executable).with_name("pig")
    arguments = ["folds", "--store", tmp_path / "no store", "--fold-count", "5", "--out", tmp_path / "folds.csv"]
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "no store" in done.stderr
    assert not (tmp_path / "folds.csv").exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such name")
def test_an_option_or_a_working_directory_that_is_not_in_utf_8_is_refused(tmp_path):
    program, odd = Path(sys.executable).with_name("pig"), tmp_path / os.fsdecode(b"gr\xfcn")
    odd.mkdir()
    words = ["folds", "--fold-count", "5", "--out", tmp_path / "folds.csv", "--store"]
    for store, folder in ((odd, tmp_path), (tmp_path, odd)):
        done = subprocess.run([program, *words, store], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith("pig folds: ")
        assert r"gr\xfcn has a name that is not in UTF-8" in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["table1", "--row", "A=a.json", "--out", "t.csv"]])
def test_python_without_docstrings_is_refused_in_a_sentence(words, tmp_path):
    command = [sys.executable, "-OO", "-m", "pig.cli", *words]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("pig: Python runs with -OO (or PYTHONOPTIMIZE=2)")
    assert "run it without, or with -O." in run.stderr and "Traceback" not in run.stderr


def test_python_without_assertions_works(tmp_path):
    run = subprocess.run([sys.executable, "-O", "-m", "pig.cli", "--help"], capture_output=True, text=True)
    assert run.returncode == 0
    assert "Every step of the workflow" in run.stdout


COMMAND_AND_FAULTS = """
import atexit, gc, resource, sys
atexit.register(lambda: print("frozen", gc.get_freeze_count() > 1000))  # after what the command registers
if sys.argv[1] == "command":
    from pig.cli import main
    main(["status", sys.argv[2]])  # no run was started there

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        activations = [b"x" * (n << 20) for n in (1, 3, 5, 7)]
        del activations
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()  # the first time all memory is new
print("faults", faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the malloc of glibc is what is set")
def test_a_command_keeps_freed_memory_and_looks_for_no_garbage_at_its_exit(tmp_path):
    """Of ten times 16 MiB, which are 40,960 pages, the second half of the calls finds all pages in place."""
    said = {}
    for who in ("plain", "command"):
        words = [sys.executable, "-c", COMMAND_AND_FAULTS, who, str(tmp_path)]
        out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        said[who] = dict(line.split() for line in out.splitlines() if line.startswith(("faults", "frozen")))
    assert said["plain"]["frozen"] == "False" and said["command"]["frozen"] == "True"
    assert int(said["plain"]["faults"]) > 10_000 > 500 > int(said["command"]["faults"])


def test_the_version_is_that_of_the_package(capsys):
    for words in (["-m", "pig", "--version"], ["-m", "pig.cli", "--version"]):
        run = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
        assert run.stdout == f"pig {importlib.metadata.version('pig-benchmark')}\n"


def test_the_package_shows_what_it_offers(tmp_path):
    assert pig.__version__ == importlib.metadata.version("pig-benchmark")
    assert {"load_generator", "open_store", "sample_pairs", "NoiseSchedule", "UserError"} < set(dir(pig))
    for name in set(dir(pig)) - {"__version__"}:
        assert getattr(pig, name).__doc__
    with pytest.raises(pig.UserError, match="does not exist"):
        pig.open_store(tmp_path / "store")
    with pytest.raises(AttributeError, match="no attribute 'sample'"):
        pig.sample  # noqa: B018
