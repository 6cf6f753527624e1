"""The example of `docs/reference/onnx.md` plays files of one channel and of two."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "onnx.md"


@pytest.mark.parametrize(
    ("name", "channels"), [("lstm over lstm, windows", 1), ("spectral, stereo", 2)]
)
def test_the_example_plays(exported, monkeypatch, name, channels):
    generator = exported(name)
    monkeypatch.chdir(generator.path.parent)
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    names = {}
    exec(code, names)
    audio, about = names["audio"], generator.metadata
    last = (2,) if channels == 2 else ()
    assert audio.shape == (1, names["N"] - about["delay"], *last)
    assert audio.shape[1] >= about["sample_rate"]
    assert np.isfinite(audio).all()
    assert np.std(audio) > 1e-4
