"""The postfilter: what it raises and lowers, what it leaves alone, and that it delays nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from keras_rawaudio.dsp.linear_prediction import fit_linear_prediction
from keras_rawaudio.dsp.postfilter_design import BAND, design_postfilter
from keras_rawaudio.metrics.tonal_prominence import tonal_prominence_by_frame

RATE, SIZE = 8000, 8192


def resonances(*hertz, radius=0.998):
    """A prediction with a line at each of these frequencies."""
    a = np.ones(1)
    for f in hertz:
        a = np.convolve(a, [1, -2 * radius * np.cos(2 * np.pi * f / RATE), radius**2])
    return -a[1:]


def gain_db(h):
    return 20 * np.log10(np.abs(np.fft.rfft(h, SIZE)))


def at(hertz):
    return round(hertz * SIZE / RATE)


def test_lines_rise_and_what_lies_beside_them_falls():
    gain = gain_db(design_postfilter(resonances(500, 2000), length=512))
    for line in (500, 2000):
        assert gain[at(line)] > 2
        for beside in (line - 60, line + 60):
            assert gain[at(beside)] < -5
    np.testing.assert_allclose(gain[[at(1200), at(3500)]], 0, atol=1)  # where there is no line


def test_bands_keep_their_level():
    """Each band of the synthesised signal keeps its power."""
    taps = resonances(400, 480, 560, 2100)
    h = design_postfilter(taps, length=2048)
    synthesis = 1 / np.abs(np.fft.rfft(np.r_[1, -taps * 0.995 ** np.arange(1, 9)], SIZE)) ** 2
    width = round(SIZE * BAND)
    for middle in (480, 1300, 2100, 3000):
        here = slice(at(middle) - width, at(middle) + width + 1)
        window = np.hanning(2 * width + 3)[1:-1]
        before, after = (
            (window * p[here]).sum() for p in (synthesis, synthesis * 10 ** (gain_db(h) / 10))
        )
        assert abs(10 * np.log10(after / before)) < 0.5


def test_gaps_between_the_lines_of_noisy_music_are_darker():
    """Lines in noise, by the project's own measure: several dB, and as loud as they were."""
    rng = np.random.default_rng(0)
    taps = resonances(*range(200, 3800, 200))
    noisy = lfilter([1], np.r_[1, -taps], rng.normal(size=6 * RATE))
    noisy += 0.3 * noisy.std() * rng.normal(size=noisy.size)
    fitted = fit_linear_prediction([noisy / np.abs(noisy).max()], order=128)
    clear = lfilter(design_postfilter(fitted, length=256), [1], noisy)
    assert (
        tonal_prominence_by_frame(clear, RATE).mean()
        > tonal_prominence_by_frame(noisy, RATE).mean() + 1.5
    )
    assert abs(20 * np.log10(clear.std() / noisy.std())) < 2


@settings(max_examples=25, deadline=None)
@given(
    poles=st.lists(st.tuples(st.floats(50, 3950), st.floats(0.5, 0.9999)), min_size=1, max_size=6),
    length=st.integers(1, 300),
)
def test_it_is_of_minimum_phase_and_finite_for_every_stable_prediction(poles, length):
    """Its first sample is its greatest lag-free part: no other filter of this gain is faster."""
    a = np.ones(1)
    for f, radius in poles:
        a = np.convolve(a, [1, -2 * radius * np.cos(2 * np.pi * f / RATE), radius**2])
    whole = design_postfilter(-a[1:], length=4096)
    # Minimum phase: the mean of the log gain is the log of the first sample.
    assert np.log(whole[0]) == pytest.approx(np.log(np.abs(np.fft.fft(whole))).mean(), abs=1e-2)
    cut = design_postfilter(-a[1:], length=length)
    assert cut.shape == (length,)
    assert np.isfinite(cut).all()


def test_a_prediction_of_nothing_is_left_alone():
    np.testing.assert_allclose(design_postfilter(np.zeros(8), length=5), np.eye(5)[0], atol=1e-9)
