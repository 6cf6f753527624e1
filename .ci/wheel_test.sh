#!/usr/bin/env bash
# The built wheels do what the checkout does (Pitfall 24): each is installed into an empty
# environment, and the commands run from an empty folder, where no checkout can help them.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TF_CPP_MIN_LOG_LEVEL=2 XDG_CACHE_HOME="$work/cache"

# The page for the browser is in the wheel where npm can build it.
if command -v npm >"$work/npm"; then make web; fi

# Built from a copy: a wheel built in place could take up what an earlier build left there.
mkdir "$work/source" "$work/dist" "$work/here"
cp -R keras_rawaudio serving setup.cfg pyproject.toml README.md LICENSE "$work/source"
rm -rf "$work"/source/serving/{build,*.egg-info,web}
"${PYTHON:-python3}" -m venv "$work/package"
"${PYTHON:-python3}" -m venv "$work/serving"
"$work/package/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work/dist" "$work/source" "$work/source/serving"
ls -l "$work/dist"

"$work/package/bin/python" -m pip install --quiet "$work"/dist/keras_rawaudio-*.whl
"$work/serving/bin/python" -m pip install --quiet "$work"/dist/keras_rawaudio_serving-*.whl
"$work/package/bin/python" -m pip check
"$work/serving/bin/python" -m pip check
du -sh "$work/package" "$work/serving"

cd "$work/here"
train=$work/package/bin/keras-rawaudio
"$work/package/bin/python" -c "from keras_rawaudio.data.corpus.synthesis import write_demo_piece as write; write('piece.wav', 20)"
"$train" recipe noisy-lstm | grep -q deep-gate-lstm  # of the folder 2016
"$train" train --audio piece.wav --recipe demo --run run --minutes 0.2
"$train" evaluate --run run --split test
test -s run/report.html  # the template came along, and the training has used it
"$train" compare run
"$train" export --run run --out exported
"$work/serving/bin/keras-rawaudio-generate" exported/generator.onnx --seconds 1.5 \
    --seed-audio piece.wav --seed-start 1 --seed-seconds 0.5 --random-seed 7 --out new.wav
"$work/serving/bin/python" - <<'PYTHON'
import importlib.util

import soundfile

for name in ("tensorflow", "keras", "onnx", "scipy", "soxr", "keras_rawaudio"):
    assert importlib.util.find_spec(name) is None, f"serving brought {name} along"
new, piece = soundfile.info("new.wav"), soundfile.info("piece.wav")
assert new.samplerate == piece.samplerate, (new.samplerate, piece.samplerate)
assert new.frames == round(1.5 * new.samplerate), new.frames
PYTHON
if test -s "$work/npm"; then
    "$work/serving/bin/python" -c "from keras_rawaudio_serving.web_page import page_files; page_files()"
fi
echo "wheel test: passed"
