"""The Dockerfile and the systemd unit, as far as they can be read without Docker and systemd."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "serve"
sys.path.insert(0, str(ROOT / "serving"))


def parse(words: list[str]) -> str:
    """The host that the words of a command line bind."""
    from keras_rawaudio_serving.serve import build_parser

    assert words[0].endswith("keras-rawaudio-serve")
    return str(build_parser().parse_args(words[1:]).host)


def test_the_command_of_the_dockerfile() -> None:
    text = (EXAMPLES / "Dockerfile").read_text()
    entry, command = (
        json.loads(re.findall(rf"^{key} (\[.*\])$", text, re.M)[0]) for key in ("ENTRYPOINT", "CMD")
    )
    assert parse(entry + command) == "0.0.0.0"
    assert "docker build -t keras-rawaudio-serve -f examples/serve/Dockerfile serving" in text
    check = json.loads(re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.M)[0])
    compile(check[2], "HEALTHCHECK", "exec")


def test_the_command_of_the_unit() -> None:
    text = (EXAMPLES / "keras-rawaudio-serve.service").read_text()
    command = re.findall(r"^ExecStart=(.*)$", text, re.M)[0]
    assert parse(shlex.split(command)) == "127.0.0.1"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "keras-rawaudio-serve.service"
    text = (EXAMPLES / unit.name).read_text()
    unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
    )
    # It may complain of units of this machine; of ours it must not.
    assert unit.name not in done.stderr, done.stderr
