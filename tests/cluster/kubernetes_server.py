"""As much of Kubernetes' API as Snakemake's executor uses: secrets, jobs, pods, logs. A pod is a process of this host.

What a real server refuses is refused: GPUs are an extended resource, of which a limit must be set. A volume that a pod
mounts under ``/workdir`` is a folder ``volumes/NAME`` that outlives the pod. ``submitted`` holds what was asked for.
"""

import base64
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlparse

WORKDIR = PurePosixPath("/workdir")


def refusal(container: dict[str, Any]) -> str | None:
    """Return why a container is not accepted, in a real server's words."""
    resources = container["resources"]
    for name, amount in resources["requests"].items():
        if "/" in name and resources.get("limits", {}).get(name) != amount:
            return f"Limit must be set for non overcommitable resources: {name}"
    return None


class Server(ThreadingHTTPServer):
    """Serves on a free port; ``folder`` is where pods and volumes lie."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.environment = folder, environment
        self.secrets: dict[str, dict[str, str]] = {}
        self.submitted: list[dict[str, Any]] = []
        self.exits: dict[str, int | None] = {}

    def start(self, job: str, spec: dict[str, Any]) -> None:
        """Run a job's pod."""
        container = spec["containers"][0]
        pod = self.folder / "pods" / job
        pod.mkdir(parents=True)
        for mount in container["volumeMounts"]:
            if mount["mountPath"] != str(WORKDIR):
                volume = self.folder / "volumes" / mount["name"]
                volume.mkdir(parents=True, exist_ok=True)
                place = pod / PurePosixPath(mount["mountPath"]).relative_to(WORKDIR)
                place.parent.mkdir(parents=True)
                place.symlink_to(volume)
        secret = {
            entry["name"]: base64.b64decode(
                self.secrets[entry["valueFrom"]["secretKeyRef"]["name"]][entry["valueFrom"]["secretKeyRef"]["key"]]
            ).decode()
            for entry in container.get("env") or []
        }
        self.exits[job] = None
        with (pod.parent / f"{job}.log").open("w") as log:
            done = subprocess.run(
                [*container["command"], *container["args"]],
                cwd=pod,
                env=os.environ | self.environment | {"PYTHONPATH": str(pod)} | secret,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        self.exits[job] = done.returncode


class Handler(BaseHTTPRequestHandler):
    """Answers the executor's requests."""

    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def answer(self, content: Any, code: int = 200) -> None:
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def content(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        return body

    def do_POST(self) -> None:
        body = self.content()
        name = body["metadata"]["name"]
        if self.path.endswith("/secrets"):
            self.server.secrets[name] = body.get("data") or {}
        else:
            spec = body["spec"]["template"]["spec"]
            if reason := refusal(spec["containers"][0]):
                self.answer({"kind": "Status", "status": "Failure", "message": reason, "code": 422}, 422)
                return
            self.server.submitted.append(spec)
            threading.Thread(target=self.server.start, args=(name, spec), daemon=True).start()
        self.answer(body, 201)

    def do_GET(self) -> None:
        url = urlparse(self.path)
        parts = url.path.split("/")
        if "jobs" in parts:
            job = parts[parts.index("jobs") + 1]
            code = self.server.exits.get(job)
            status = {} if code is None else {"failed" if code else "succeeded": 1}
            self.answer({"kind": "Job", "metadata": {"name": job}, "status": status})
        elif parts[-1] == "log":
            self.answer((self.server.folder / "pods" / f"{parts[-2]}.log").read_text())
        else:
            job = parse_qs(url.query)["labelSelector"][0].split("=")[1]
            code = self.server.exits.get(job)
            state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
            container = {
                "name": "snakemake",
                "image": "",
                "imageID": "",
                "ready": True,
                "restartCount": 0,
                "state": state,
            }
            pod = {"metadata": {"name": job}, "status": {"containerStatuses": [container]}}
            self.answer({"kind": "PodList", "items": [pod]})

    def do_DELETE(self) -> None:
        self.content()
        self.answer({"kind": "Status", "status": "Success"})
