"""How many GPUs jobs may use, and that no two use one. The GPUs are names alone: nothing here computes on one."""

import importlib.util
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

import pig.system.energy
import pig.system.gpus
from pig.cli import main
from pig.system.errors import UserError
from pig.system.gpus import Promise, gpu_count

ROOT = Path(__file__).resolve().parents[1]

# Takes GPUs, says which and from when to when it had it.
JOB = """
import logging, os, sys, time
from pig.system.gpus import own_gpus
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
with own_gpus(int(sys.argv[2])) as promise:
    start = time.monotonic()
    print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    time.sleep(float(sys.argv[1]))
    print(start, time.monotonic())
"""


SAYS_SO = ("PIG_GPUS", "LOCAL_RANK", "SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


def nvml(*gpus: object) -> dict[str, str]:
    """Return the environment of a process whose NVML, a stand-in, lists these GPUs; a word: fails with this error."""
    path = os.pathsep.join(filter(None, [str(ROOT / "tests/nvml"), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "NVML_GPUS": json.dumps(gpus[0] if gpus and isinstance(gpus[0], str) else gpus)}


NO_DRIVER = nvml("NVMLError_LibraryNotFound")


def job(seconds: float, count: int = 1, **environment: str) -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if key not in SAYS_SO} | NO_DRIVER
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(seconds), str(count)],
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shown(count: int = 1, **environment: str) -> str:
    """Return the GPUs shown to a job."""
    return job(0, count, **environment).communicate()[0].splitlines()[0]


@pytest.mark.parametrize(
    ("asked", "visible", "count"),
    [("3", "0", 3), ("0", "0,1", 0), (None, "0,1", 2), (None, "", 0), (None, "-1", 0), (None, "GPU-8f, MIG-1", 2)],
)
def test_what_is_asked_for_goes_before_what_is_visible(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, visible: str, count: int
) -> None:
    monkeypatch.setattr(pig.system.gpus, "installed", list)  # whatever this machine has
    monkeypatch.delenv("PIG_GPUS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    if asked is not None:
        monkeypatch.setenv("PIG_GPUS", asked)
    assert gpu_count() == count


@pytest.mark.parametrize("asked", ["", "one", "-1", "1.5"])
def test_no_count_is_a_sentence(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv("PIG_GPUS", asked)
    with pytest.raises(UserError, match="PIG_GPUS must be a number of GPUs"):
        gpu_count()


def test_no_two_jobs_share_a_gpu_and_who_waits_says_so() -> None:
    started = [job(1, CUDA_VISIBLE_DEVICES="3,5,7") for _ in range(8)]
    outputs = [process.communicate() for process in started]
    assert not any(process.returncode for process in started), outputs
    used = [(output.split()[0], *map(float, output.split()[1:])) for output, _ in outputs]
    assert {name for name, *_ in used} == {"3", "5", "7"}  # as they are named, not renumbered
    for (one, start, end), (other, its_start, its_end) in combinations(used, 2):
        if max(start, its_start) < min(end, its_end):
            assert one != other
    waited = [error for _, error in outputs if "GPUs 3, 5, 7 are in use; waiting for 1 of them." in error]
    assert len(waited) >= 4  # three began at once, and three after them at the soonest


def test_a_killed_job_frees_its_gpu() -> None:
    killed = job(600, CUDA_VISIBLE_DEVICES="killed")
    assert killed.stdout and killed.stdout.readline() == "killed\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert shown(CUDA_VISIBLE_DEVICES="killed") == "killed"


def test_jobs_of_a_scheduler_do_not_wait_for_each_others_numbers() -> None:
    # Each job of Slurm may see a GPU of its own as number 0.
    held = job(600, CUDA_VISIBLE_DEVICES="same", SLURM_JOB_ID="1")
    assert held.stdout and held.stdout.readline() == "same\n"
    try:
        assert shown(CUDA_VISIBLE_DEVICES="same", SLURM_JOB_ID="2") == "same"
    finally:
        held.kill()
        held.communicate()


@pytest.mark.parametrize(
    ("environment", "gpus"),
    [
        ({"CUDA_VISIBLE_DEVICES": "a,b", "PIG_GPUS": "0"}, ""),
        ({"CUDA_VISIBLE_DEVICES": "a,b", "LOCAL_RANK": "0"}, "a,b"),
        ({"CUDA_VISIBLE_DEVICES": ""}, ""),
    ],
)
def test_where_no_gpu_is_to_be_dealt(environment: dict[str, str], gpus: str) -> None:
    assert shown(**environment) == gpus


def test_a_job_of_several_processes_takes_as_many() -> None:
    assert shown(2, CUDA_VISIBLE_DEVICES="x,y,z", PIG_GPUS="1") == "x,y"
    held = job(600, CUDA_VISIBLE_DEVICES="x,y")
    assert held.stdout and held.stdout.readline() == "x\n"
    waits = job(0, 2, CUDA_VISIBLE_DEVICES="x,y")
    assert waits.stderr and waits.stderr.readline() == "GPUs x, y are in use; waiting for 2 of them.\n"
    assert shown(CUDA_VISIBLE_DEVICES="y") == "y"  # who waits holds nothing
    held.kill()
    held.communicate()
    assert waits.communicate()[0].startswith("x,y\n")
    output, error = job(0, 3, CUDA_VISIBLE_DEVICES="x,y").communicate()
    assert not output
    assert "3 processes want a GPU each, and there are 2 (x, y)." in error


def test_the_commands_that_take_a_gpu_are_those_of_the_rules_that_ask_for_one() -> None:
    from pig.cli import ON_GPU

    asking = set()
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", file.read_text(), flags=re.M)[1:]:
            if "gpu=GPU" in rule:
                asking |= set(re.findall(r'"\(?pig (\w+)', rule))
    assert asking | {"predict", "reproduce"} == set(ON_GPU)  # which no rule calls


A, B, C = ({"uuid": f"GPU-{letter * 8}-0000-0000-0000-000000000000"} for letter in "abc")
SPLIT = {"uuid": "GPU-dddddddd", "mig": ["MIG-1a00", None, "MIG-1b00"]}
EMPTY = {"uuid": "GPU-eeeeeeee", "mig": [None, None]}
WHOLE = {"uuid": "GPU-ffffffff", "mig": None}
NAMES = [gpu["uuid"] for gpu in (A, B, C)]
LIST = """
import logging, sys
from pig.system.errors import UserError
from pig.system.gpus import visible
logging.basicConfig(format="%(message)s", stream=sys.stderr)
try:
    for name, uuid in visible().items():
        print(name, uuid)
except UserError as error:
    print(error)
print([name for name in ("torch", "numpy") if name in sys.modules], file=sys.stderr)
"""


def listed(*gpus: object, **environment: str) -> tuple[list[str], str]:
    """Return the names and UUIDs of the GPUs that a process may use, and what it logged."""
    clean = {key: value for key, value in os.environ.items() if key not in SAYS_SO}
    words = [sys.executable, "-c", LIST]
    run = subprocess.run(words, env=clean | nvml(*gpus) | environment, capture_output=True, text=True, check=True)
    said, loaded = run.stderr.splitlines()[:-1], run.stderr.splitlines()[-1]
    assert loaded == "[]"  # nothing slow is imported
    return run.stdout.splitlines(), "\n".join(said)


def same(*names: str) -> list[str]:
    return [f"{name} {name}" for name in names]


@pytest.mark.parametrize(
    ("gpus", "names"),
    [
        ([A, B], NAMES[:2]),
        ([{"uuid": NAMES[2], "minor": 5}], NAMES[2:]),  # a container that was given the host's GPU 5
        ([A | {"denied": True}, B], NAMES[1:2]),
        ([SPLIT, WHOLE, EMPTY], ["MIG-1a00", "MIG-1b00", "GPU-ffffffff"]),
        ([], []),
        (["NVMLError_LibraryNotFound"], []),
        (["NVMLError_DriverNotLoaded"], []),
    ],
)
def test_gpus_are_known_by_their_uuids(gpus: list[object], names: list[str]) -> None:
    assert listed(*gpus) == (same(*names), "")


@pytest.mark.parametrize(
    ("visible", "gpus", "found", "warning"),
    [
        ("", [A, B], [], ""),
        ("-1", [A, B], [], ""),
        ("none", [A, B], [], "CUDA_VISIBLE_DEVICES=none: 'none' is no GPU here; the list ends before it."),
        ("1", [A, B], [f"1 {NAMES[1]}"], ""),  # shown to CUDA as it is named, leased by its UUID
        ("1, 0", [A, B], [f"1 {NAMES[1]}", f"0 {NAMES[0]}"], ""),
        ("1,-1,0", [A, B], [f"1 {NAMES[1]}"], ""),
        ("1,,0", [A, B], [f"1 {NAMES[1]}"], ""),
        ("1,5,0", [A, B], [f"1 {NAMES[1]}"], "CUDA_VISIBLE_DEVICES=1,5,0: '5' is no GPU here; the list ends"),
        (NAMES[1], [A, B], same(NAMES[1]), ""),
        ("GPU-b,GPU-a", [A, B], same(NAMES[1], NAMES[0]), ""),
        ("GPU-b,GPU-,0", [A, B], same(NAMES[1]), "'GPU-' is no GPU here"),  # begins two
        ("GPU-", [A], same(NAMES[0]), ""),
        ("MIG-1b,GPU-f", [SPLIT, WHOLE], same("MIG-1b00", "GPU-ffffffff"), ""),
        ("0,1", [SPLIT, WHOLE], ["0 MIG-1a00", "1 GPU-ffffffff"], ""),  # of a GPU in MIG mode CUDA takes the first
        ("3,GPU-x", ["NVMLError_LibraryNotFound"], same("3", "GPU-x"), ""),
        ("3,-1,4", ["NVMLError_LibraryNotFound"], same("3"), ""),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(
    visible: str, gpus: list[object], found: list[str], warning: str
) -> None:
    names, said = listed(*gpus, CUDA_VISIBLE_DEVICES=visible)
    assert names == found
    assert warning in said if warning else not said


@pytest.mark.parametrize(
    ("visible", "gpus", "sentence"),
    [
        ("5", [C], f"'5' is not a GPU of this machine or container, which has: {NAMES[2]}. Correct it, or unset it"),
        ("GPU-b", [A, C], "'GPU-b' is not a GPU of this machine or container"),
        ("GPU-dddddddd", [SPLIT], "which has: MIG-1a00, MIG-1b00."),  # a GPU in MIG mode is none
        ("0", [EMPTY], "which has: none that can be used."),
    ],
)
def test_a_gpu_that_is_not_here_is_a_sentence(visible: str, gpus: list[object], sentence: str) -> None:
    said, _ = listed(*gpus, CUDA_VISIBLE_DEVICES=visible)
    assert said[0].startswith(f"CUDA_VISIBLE_DEVICES={visible}: ")
    assert sentence in said[0]


def test_a_driver_that_does_not_answer_is_a_sentence() -> None:
    [said], _ = listed("NVMLError_LibRmVersionMismatch")
    assert said.startswith("The NVIDIA driver does not answer (Driver/library version mismatch); see what `nvidia-smi`")


def test_a_job_is_shown_a_uuid_and_an_index_leases_the_same_gpu() -> None:
    held = job(600, **nvml(A, B))
    assert held.stdout and held.stdout.readline() == f"{NAMES[0]}\n"
    try:
        assert shown(**nvml(A, B)) == NAMES[1]
        assert shown(**nvml(A, B), CUDA_VISIBLE_DEVICES="0,1") == "1"
        assert shown(**nvml(A, SPLIT), CUDA_VISIBLE_DEVICES="GPU-a,MIG-1b") == "MIG-1b00"
    finally:
        held.kill()
        held.communicate()


def test_the_stand_in_is_like_the_real_one() -> None:
    import pynvml

    spec = importlib.util.spec_from_file_location("stand_in", ROOT / "tests/nvml/pynvml.py")
    assert spec is not None
    assert spec.loader is not None
    stand_in = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stand_in)
    read = "".join(Path(module.__file__ or "").read_text() for module in (pig.system.gpus, pig.system.energy))
    used = set(re.findall(r"pynvml\.(\w+)", read))
    assert used <= set(vars(stand_in))
    for name in used | {"NVMLError_LibRmVersionMismatch"}:
        mine, real = getattr(stand_in, name), getattr(pynvml, name)
        if inspect.isclass(mine):
            assert issubclass(real, pynvml.NVMLError)
        elif inspect.isfunction(mine):
            assert len(inspect.signature(mine).parameters) == len(inspect.signature(real).parameters), name
        else:
            assert mine == real


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        assert pig.system.gpus.installed() == []
    else:
        pytest.skip("there is a driver")


# A command that needs a GPU and nothing else: what it is given does not exist.
FID = "fid --store absent --folds absent --fold 0 --synthetic absent --features encoder --cache absent --out absent"


def fid(environment: dict[str, str]) -> tuple[int, str]:
    """Return the exit status of the command and what it said; PyTorch is as it is here, and finds no GPU."""
    clean = {key: value for key, value in os.environ.items() if key not in SAYS_SO}
    words = [sys.executable, "-m", "pig.cli", *FID.split()]
    run = subprocess.run(words, env=clean | environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not run.stdout
    return run.returncode, run.stderr


@pytest.mark.parametrize(
    ("environment", "source"),
    [
        (nvml(A), NAMES[0]),
        (nvml(SPLIT) | {"PIG_GPUS": "1"}, "MIG-1a00"),
        (NO_DRIVER | {"PIG_GPUS": "2"}, "PIG_GPUS=2"),
        (NO_DRIVER | {"CUDA_VISIBLE_DEVICES": "5"}, "5"),
        (nvml(A) | {"LOCAL_RANK": "0", "CUDA_VISIBLE_DEVICES": NAMES[0]}, NAMES[0]),
    ],
    ids=["NVML", "MIG", "PIG_GPUS", "CUDA_VISIBLE_DEVICES", "launcher"],
)
def test_a_job_that_was_promised_a_gpu_does_not_run_on_the_cpu(environment: dict[str, str], source: str) -> None:
    status, said = fid(environment)
    assert status == 2
    assert f"pig fid: this job was promised 1 GPU ({source}), and PyTorch " in said
    assert "sees 0. It is " in said
    assert said.endswith("Set PIG_GPUS=0 to run on the CPU.\n")


@pytest.mark.parametrize(
    "environment", [nvml(A) | {"PIG_GPUS": "0"}, NO_DRIVER, nvml(), nvml(A) | {"CUDA_VISIBLE_DEVICES": ""}], ids=str
)
def test_a_job_without_a_promise_runs_on_the_cpu(environment: dict[str, str]) -> None:
    status, said = fid(environment)
    assert status == 2
    assert "The store absent does not exist" in said


@pytest.mark.parametrize(
    ("cuda", "hip", "seen", "sentence"),
    [
        (None, None, 0, "sees 0. It is a build without CUDA: install one with it."),
        ("12.8", None, 0, "sees 0. It is built for CUDA 12.8: see that `nvidia-smi` works"),
        (None, "6.2", 1, "sees 1. It is built for ROCm: see that"),
        ("12.8", None, 2, None),
    ],
)
def test_the_sentence_says_what_to_fix(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, hip: str | None, seen: int, sentence: str | None
) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    if sentence is None:
        pig.system.gpus.check_promise(Promise(2, "GPU-a, GPU-b"))
        return
    with pytest.raises(UserError, match=r"^this job was promised 2 GPUs \(GPU-a, GPU-b\), and PyTorch ") as error:
        pig.system.gpus.check_promise(Promise(2, "GPU-a, GPU-b"))
    assert sentence in str(error.value)


def test_a_command_that_computes_on_no_gpu_is_promised_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIG_GPUS", "1")
    assert main(["folds", "--store", "absent", "--fold-count", "2", "--out", "absent"]) == 2
    assert "The store absent does not exist" in capsys.readouterr().err
