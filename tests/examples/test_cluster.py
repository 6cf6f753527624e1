"""The Slurm and Kubernetes examples make a TF_CONFIG that training takes; no cluster is asked."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from keras_rawaudio.training.workers import Cluster

EXAMPLES = Path(__file__).parents[2] / "examples" / "cluster"
STUBS = {
    "scontrol": "printf 'node0\\nnode1\\n'",
    "srun": 'shift; SLURM_PROCID=1 exec "$@"',
    "keras-rawaudio": 'echo "$TF_CONFIG"; echo "$@"',
}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


def run(tmp_path, command, **variables):
    for name, body in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **variables}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()


def test_slurm(tmp_path):
    command = ["bash", EXAMPLES / "train.slurm", "--audio", "a song.flac", "--run", "run"]
    text, words = run(tmp_path, command, SLURM_JOB_NODELIST="node[0-1]")
    assert json.loads(text)["cluster"] == {"worker": ["node0:2222", "node1:2222"]}
    assert Cluster(text).number == 1
    assert words == "train --audio a song.flac --run run"


def test_kubernetes(tmp_path):
    service, job = yaml.safe_load_all((EXAMPLES / "train.yaml").read_text())
    container = job["spec"]["template"]["spec"]["containers"][0]
    command = [*container["command"], *container["args"]]
    text, _ = run(tmp_path, command, JOB_COMPLETION_INDEX="1")
    assert (Cluster(text).number, Cluster(text).size) == (1, job["spec"]["completions"])
    hosts = [address.split(".")[1] for address in json.loads(text)["cluster"]["worker"]]
    assert set(hosts) == {f"{service['metadata']['name']}:2222"}
