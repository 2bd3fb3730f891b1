"""Snakemake's executor for Kubernetes and its storage plugin, both as they are, against local servers."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
from kubernetes_server import Server
from moto.server import ThreadedMotoServer
from study_runs import ROOT, overlay

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: somebody, user: {token: none}}]
contexts: [{name: here, context: {cluster: here, user: somebody}}]
current-context: here
"""

# Its first pod dies behind the first checkpoint. What is in `work` outlives the pod, if that lies on a volume.
UNLUCKY = """
from baselines.segguided import SegGuidedDif


class Unlucky(SegGuidedDif):
    def fit(self, pairs, run):
        calls = 0

        def fail(*_):
            nonlocal calls
            calls += 1
            if calls == 7 and not (run.work / "failed").exists():
                (run.work / "failed").touch()
                raise RuntimeError("the node is gone")

        self.network.register_forward_pre_hook(fail)
        super().fit(pairs, run)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project under git, which is how its code reaches the pods."""
    if not shutil.which("git"):
        pytest.skip("git is not installed; the executor sends what git lists")
    copy = tmp_path / "project"
    left = shutil.ignore_patterns(
        ".git", ".venv", ".snakemake", "__pycache__", "*.egg-info", "results", "images", "tests"
    )
    shutil.copytree(ROOT, copy, ignore=left)
    (copy / "unlucky.py").write_text(UNLUCKY)
    for words in (["init"], ["add", "--all"]):
        subprocess.run(["git", *words], cwd=copy, check=True, capture_output=True)
    return copy


@pytest.fixture
def kubernetes(tmp_path: Path) -> Iterator[Server]:
    """A server of Kubernetes' API, whose pods have what the image of the Dockerfile has."""
    wheels = tmp_path / "wheels"
    frozen = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    plugins = [line for line in frozen.splitlines() if line.startswith("snakemake-storage-plugin-")]
    words = ["pip", "download", "--no-deps", "--dest", str(wheels), *plugins]
    downloaded = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    if downloaded.returncode:
        pytest.skip(f"the plugin that pods install cannot be downloaded: {downloaded.stderr.strip()[-300:]}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_FIND_LINKS": str(wheels)}
    server = Server(tmp_path, {"PATH": path} | pip)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture
def s3() -> Iterator[str]:
    """The address of a server of S3 with a bucket ``pig``."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client(f"http://{host}:{port}").create_bucket(Bucket="pig")
    yield f"http://{host}:{port}"
    server.stop()


def client(address: str):
    return boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )


def test_pods_make_the_shard_of_a_local_run_though_the_first_training_dies(
    project: Path, kubernetes: Server, s3: str, finished: Path, tmp_path: Path
) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.replace("PORT", str(kubernetes.server_port)))
    overlay(project, "unlucky", generators={"segguided": {"class": "unlucky.Unlucky"}})
    shutil.copy(ROOT / "tests/cluster/pretended/sitecustomize.py", project)
    subprocess.run(["git", "add", "--all"], cwd=project, check=True)
    shard = "synthetic/segguided/fold0/shard0.npz"
    run = subprocess.run(
        [
            *[Path(sys.executable).with_name("snakemake"), "--workflow-profile", "profiles/kubernetes"],
            *["--storage-s3-endpoint-url", s3, "--kubernetes-persistent-volumes", "pig-work:/workdir/results/work"],
            *["--seconds-between-status-checks", "1", "--max-threads", "2"],
            *["--configfile", "workflow/configs/tiny.yaml", "unlucky.yaml", "--", f"results/{shard}"],
        ],
        cwd=project,
        env=os.environ
        | {"PYTHONPATH": str(project), "KUBECONFIG": str(tmp_path / "kubeconfig"), "PIG_GPUS": "1"}
        | {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "key", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout

    # Results lie on S3 alone, and are those of a local run.
    assert not list((project / "results").rglob("*.npz"))
    client(s3).download_file("pig", f"study/results/{shard}", str(tmp_path / "shard.npz"))
    with np.load(tmp_path / "shard.npz") as here, np.load(finished / "results" / shard) as there:
        for name in ("images", "masks"):
            np.testing.assert_array_equal(here[name], there[name])
    log = client(s3).get_object(Bucket="pig", Key="study/results/logs/fit/segguided/fold0.log")["Body"].read().decode()
    assert "going on from step 4 of 8" in log

    # The data, the training, the training again with more memory, the shard; a GPU for those that can use one.
    def limits(name: str) -> list[str | None]:
        return [spec["containers"][0]["resources"]["limits"].get(name) for spec in kubernetes.submitted]

    assert limits("memory") == ["2001M", "4000M", "8000M", "4000M"]  # 2 x 2 x 100 slices of 32 x 32 are 1 MiB
    assert limits("nvidia.com/gpu") == [None, "1", "1", "1"]
    assert [bool(spec.get("tolerations")) for spec in kubernetes.submitted] == [False, True, True, True]
    assert {spec["containers"][0]["image"] for spec in kubernetes.submitted} == {"pig-benchmark:0.1.0"}
