"""What the wheels hold. That they also run is `.ci/wheel_test.sh`'s to show."""

import configparser
import email
import re
from pathlib import Path
from zipfile import ZipFile


def read(wheel: ZipFile, name: str) -> str:
    """The text of the one member whose path ends in `name`."""
    (member,) = [member for member in wheel.namelist() if member.endswith(name)]
    return wheel.read(member).decode()


def requirements(wheel: ZipFile) -> dict[str, str]:
    """Name of each distribution that a plain install brings, with its version bounds."""
    lines = email.message_from_string(read(wheel, "/METADATA")).get_all("Requires-Dist", [])
    pairs = (re.match(r"([\w-]+)(.*)", line).groups() for line in lines if "extra ==" not in line)
    return {name.lower(): bounds.strip() for name, bounds in pairs}


def test_every_file_of_the_package_is_in_the_wheel(root: Path, wheel: ZipFile) -> None:
    """Pitfall 24: recipes, like modules, are in the wheel, and nothing else is."""
    package = root / "keras_rawaudio"
    expected = {
        str(path.relative_to(root))
        for pattern in ("**/*.py", "**/*.html", "recipes/**/*.yaml", "py.typed")
        for path in package.glob(pattern)
    }
    members = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert members == expected
    assert any(name.endswith("recipes/default.yaml") for name in members)


def test_console_scripts(wheel: ZipFile, serving_wheel: ZipFile) -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(read(wheel, "/entry_points.txt"))
    assert scripts["console_scripts"]["keras-rawaudio"] == "keras_rawaudio.__main__:main"
    scripts.read_string(read(serving_wheel, "/entry_points.txt"))
    sampler = "keras_rawaudio_serving.__main__"
    assert scripts["console_scripts"]["keras-rawaudio-generate"] == f"{sampler}:main"
    assert scripts["console_scripts"]["keras-rawaudio-serve"] == f"{sampler}:serve"


def test_the_page_of_the_stream_is_in_the_wheel(serving_wheel: ZipFile) -> None:
    assert "stream.ogg" in read(serving_wheel, "keras_rawaudio_serving/listen.html")


def test_serving_asks_for_nothing_but_its_four(serving_wheel: ZipFile) -> None:
    assert set(requirements(serving_wheel)) == {"numpy", "onnxruntime", "soundfile", "tqdm"}


def test_lower_bounds_are_the_tested_ones(
    root: Path, wheel: ZipFile, serving_wheel: ZipFile
) -> None:
    lines = (root / ".ci/oldest.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for name, bounds in [*requirements(wheel).items(), *requirements(serving_wheel).items()]:
        lower = bounds.removeprefix(">=")
        assert f"{tested[name]}.".startswith(f"{lower}."), (name, bounds, tested[name])
