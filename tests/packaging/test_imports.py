"""Who may import what: the direction of flow, read from the source."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"tensorflow", "keras", "scipy", "matplotlib", "soxr", "onnx", "onnxruntime", "tf2onnx"}
# What a room must not import, at the top or anywhere inside.
FORBIDDEN = {
    "data/codecs": HEAVY | {"soundfile"},
    "data/corpus": {"tensorflow", "keras", "scipy", "matplotlib", "onnx", "onnxruntime", "tf2onnx"},
    "layers": {"tensorflow", "scipy", "torch", "jax"},
    "models": {"tensorflow", "scipy", "torch", "jax"},
    "metrics": {"tensorflow", "keras", "onnx", "onnxruntime", "tf2onnx"},
    "reports": HEAVY,
}
# What an extra brings: one module may import it, inside the function that needs it.
EXTRAS = {
    "keras_rawaudio/data/corpus/gfile.py": {"tensorflow", "tensorflow_io"},
    "keras_rawaudio/metrics/musicnn.py": {"tensorflow"},
    "keras_rawaudio/metrics/note_transcription.py": {"onnxruntime"},
    "serving/keras_rawaudio_serving/audio_device.py": {"sounddevice"},
    "serving/keras_rawaudio_serving/play.py": {"soxr"},
    "serving/keras_rawaudio_serving/midi.py": {"mido", "yaml"},
    "serving/keras_rawaudio_serving/ogg_opus.py": {"soxr"},
}
# Modules that are imported inside functions alone, and so may import an extra at their top.
EXTRA_MODULES = {
    "serving/keras_rawaudio_serving/osc.py": {"pythonosc"},
    "serving/keras_rawaudio_serving/http_app.py": {"starlette", "prometheus_client"},
    "serving/keras_rawaudio_serving/http_protocol.py": {"uvicorn"},
    "serving/keras_rawaudio_serving/http_server.py": {"uvicorn"},
}


def imported(path: Path, top_level: bool = False) -> set[str]:
    """The packages that a module imports, inside functions too unless `top_level`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_room_imports(root: Path, room: str) -> None:
    for path in (root / "keras_rawaudio" / room).rglob("*.py"):
        name = path.relative_to(root).as_posix()
        found = (imported(path) - EXTRAS.get(name, set())) & FORBIDDEN[room]
        found |= imported(path, top_level=True) & FORBIDDEN[room]
        assert not found, f"{name} imports {sorted(found)}"


def test_serving_knows_nothing_of_training(root: Path) -> None:
    allowed = {"numpy", "onnxruntime", "soundfile", "tqdm", "keras_rawaudio_serving"}
    paths = [*(root / "serving").glob("*.py"), *(root / "serving").glob("keras_*/**/*.py")]
    assert paths
    for path in paths:
        name = path.relative_to(root).as_posix()
        known = allowed | set(sys.stdlib_module_names)
        known |= EXTRA_MODULES.get(name, set())
        found = imported(path) - known - EXTRAS.get(name, set())
        found |= imported(path, top_level=True) - known
        assert not found, f"{name} imports {sorted(found)}"
        if name in EXTRA_MODULES:
            continue
        extra = {Path(each).stem for each in EXTRA_MODULES}
        relative = {
            node.module
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom) and node.level
        }
        assert not relative & extra, f"{name} imports {sorted(relative & extra)} at its top"


def run_light(code: str) -> None:
    """Run code in a fresh interpreter, which must exit 0 with nothing heavy imported."""
    check = f"heavy = {HEAVY!r} & sys.modules.keys()\nassert not heavy, sorted(heavy)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{check}"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_light() -> None:
    run_light("import keras_rawaudio, keras_rawaudio.errors")


def test_importing_measures_and_plots_is_light() -> None:
    run_light("import keras_rawaudio.metrics, keras_rawaudio.metrics.reference")
    run_light("import keras_rawaudio.plots")


def test_what_needs_no_model_loads_no_tensorflow() -> None:
    run_light("import keras_rawaudio.reports.audio_report, keras_rawaudio.reports.compare")


@pytest.mark.parametrize("words", [[], ["default"], ["--schema"]])
def test_recipes_are_printed_without_tensorflow(words: list[str]) -> None:
    run_light(f"from keras_rawaudio.cli import main\nassert main(['recipe', *{words}]) == 0")


COMMANDS = (
    "explore",
    "train",
    "recipe",
    "export",
    "evaluate",
    "report",
    "evaluate-audio",
    "compare",
    "listen-test",
    "spectrogram",
    "sweep",
)


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_is_light(command: list[str]) -> None:
    pytest.importorskip("keras_rawaudio.cli")
    run_light(
        f"sys.argv = ['keras-rawaudio', *{command}, '--help']\n"
        "from keras_rawaudio.cli import main\n"
        "try:\n    code = main()\nexcept SystemExit as stop:\n    code = stop.code\n"
        "assert not code, code"
    )
