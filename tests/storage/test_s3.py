"""Results and data on S3, by Snakemake's own plugin against a server that really runs."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_study import TABLES, run

boto3 = pytest.importorskip("boto3")
PREFIX = "run1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a local S3 server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as out:
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def client(server: str) -> Any:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=server, **keys)


@pytest.fixture
def options(server: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name, value in (("ENDPOINT_URL", server), ("ACCESS_KEY", "x"), ("SECRET_KEY", "y")):
        monkeypatch.setenv(f"SNAKEMAKE_STORAGE_S3_{name}", value)
    return ["--default-storage-provider", "s3", "--default-storage-prefix", f"s3://bench/{PREFIX}"]


def objects(client: Any) -> dict[str, bytes]:
    """Return what lies below the prefix of the run, by its name there."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="bench", Prefix=PREFIX)
    names = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {
        name.removeprefix(f"{PREFIX}/"): client.get_object(Bucket="bench", Key=name)["Body"].read() for name in names
    }


def test_a_study_on_s3_ends_as_a_local_one(small_run: Path, tmp_path: Path, client: Any, options: list[str]) -> None:
    status, said = run(tmp_path, *options, "--", *TABLES)
    assert status == 0, said
    stored = objects(client)
    for name, content in stored.items():
        if name.endswith((".csv", ".tex", ".md", ".safetensors", ".npy", ".png")) and "store/manifest" not in name:
            assert content == (small_run / name).read_bytes(), name
    assert {*TABLES, "results/models/pig/fold1/guider.safetensors"} <= stored.keys()
    assert not list(tmp_path.glob("results/*.csv"))
    assert not any(path.is_file() for path in (tmp_path / "results/work/models").rglob("*"))

    # The same command again, from another machine: nothing to do.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    status, said = run(elsewhere, *options, "--rerun-triggers", "mtime", "--", *TABLES)
    assert status == 0, said
    assert "Nothing to be done" in said

    # `pig status` reads what stays here.
    pig = Path(sys.executable).with_name("pig")
    shown = subprocess.run([pig, "status", tmp_path], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("17 jobs: 17 done, 0 running, 0 failed, 0 waiting\n")


def test_data_on_s3(small_run: Path, tmp_path: Path, client: Any, options: list[str]) -> None:
    """A manifest in a bucket, with its images below its own place."""
    phantom = small_run / "results/data/phantom"
    client.create_bucket(Bucket="data")
    for path in phantom.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            client.upload_file(str(path), "data", f"mine/{path.relative_to(phantom)}")
    words = ["--config", "dataset={manifest: s3://data/mine/manifest.csv}"]
    status, said = run(tmp_path, *words, "--", "results/data/store", "results/data/folds.csv")
    assert status == 0, said
    assert (tmp_path / "results/data/folds.csv").read_bytes() == (small_run / "results/data/folds.csv").read_bytes()
    for name in ("images.npy", "masks.npy"):
        pixels = (small_run / "results/data/store" / name).read_bytes()
        assert (tmp_path / "results/data/store" / name).read_bytes() == pixels
    assert os.environ["SNAKEMAKE_STORAGE_S3_ACCESS_KEY"] not in (None, "")
