"""Which processor a generator takes, and how, with a session that only says that it is CUDA's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from keras_rawaudio_serving.generator import Generator, cuda_pays
from keras_rawaudio_serving.metadata import parse_metadata

CUDA = "CUDAExecutionProvider"
METADATA = (
    '{"format_version": 1, "sample_rate": 16000, "frame": 16, "states": [], "head": "HEAD",'
    ' "noise_per_sample": 1, "deterministic": false}'
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The providers of each session that was opened."""
    found: list[Any] = []
    real = onnxruntime.InferenceSession

    class Session(real):  # type: ignore[misc, valid-type]
        def __init__(self, data: bytes, options: Any, providers: list[Any], **more: Any) -> None:
            found.append(providers)
            super().__init__(data, options, providers=["CPUExecutionProvider"], **more)

        def get_providers(self) -> list[str]:
            return [name if isinstance(name, str) else name[0] for name in found[-1]]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"]
    )
    return found


def test_cuda_computes_in_full_precision(toy: Callable[..., Path], asked: list[Any]) -> None:
    Generator(toy(), 2, "cuda", 1)
    assert asked == [[(CUDA, {"use_tf32": "0"}), "CPUExecutionProvider"]]


def test_cuda_takes_all_streams_in_one_call(toy: Callable[..., Path], asked: list[Any]) -> None:
    for provider, groups in (("cuda", 1), ("cpu", 3)):
        generator = Generator(toy(), 6, provider, 3)
        assert generator.provider == provider
        assert len(generator.states) == groups
    noise = np.zeros((6, generator.metadata.frame, generator.metadata.noise_per_sample), "f4")
    assert generator.advance(generator.empty(), noise, np.ones(6, "f4")).shape[0] == 6


@pytest.mark.parametrize(("streams", "provider"), [(31, "cpu"), (32, "cuda")])
def test_auto_goes_by_streams_per_thread(
    toy: Callable[..., Path], asked: list[Any], streams: int, provider: str
) -> None:
    assert Generator(toy(), streams, "auto", 2).provider == provider


def test_models_of_codes_stay_on_the_cpu() -> None:
    for head, pays in (("codes", False), ("predictive", True)):
        properties = {"keras_rawaudio": METADATA.replace("HEAD", head)}
        assert cuda_pays(parse_metadata(properties, "it"), streams=1024, threads=1) is pays
