"""From codes to audio: phases of entries."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.dsp.spectral_codebook import PHASE_STEPS
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec
from keras_rawaudio.models.spectral_decoder import CODES_BEFORE, ONSET, SpectralDecoder

RATE, ENTRIES, ROUNDS = 2000, 16, 5
# With as many entries as there are blocks, k-means leaves some out, by how a machine rounds.
BOOK = 2 * ENTRIES


@pytest.fixture(scope="module")
def piece():
    """Sixteen blocks of tones and clicks, over and over."""
    block = SpectralCodec(RATE).spectra.block
    rng = np.random.default_rng(0)
    n = np.arange(ENTRIES * block)
    tones = np.sin(2 * np.pi * np.repeat(rng.integers(9, 60, ENTRIES), block) * n / block)
    clicks = np.zeros(len(n))
    clicks[rng.integers(0, len(n), 12)] = 1
    cycle = 0.2 * tones * np.repeat(rng.random(ENTRIES), block) + 0.5 * clicks
    return np.tile(cycle, ROUNDS).astype(np.float32)


@pytest.fixture(scope="module")
def decoder(piece):
    codec = SpectralCodec(RATE, codebook_size=BOOK, components=8)
    codec.fit([piece])
    return SpectralDecoder(codec)


def decoded(decoder, codes):
    """Audio `(n,)` of codes `(blocks, bands)`, one block for each, its delay taken away."""
    spec = decoder.state_spec()
    state = {name: np.full((1, *shape), first, np.float32) for name, (shape, first) in spec.items()}
    state[CODES] = np.full((1, decoder.codec.bands), -1, np.float32)
    blocks = []
    for code in codes:
        new = code[None].astype(np.float32)
        both = decoder.moved(state[CODES], state[CODES_BEFORE], new, np.array([[True]]))
        state |= dict(zip((CODES, CODES_BEFORE), both, strict=True))
        places, _ = decoder.pace(state["place"], np.ones((1, 1)))
        audio, state = decoder.block_of_audio(places, state)
        blocks.append(np.asarray(audio)[0, :, 0])
    return np.concatenate(blocks)[decoder.delay :]


def test_codes_of_the_entries_themselves_give_back_the_signal(decoder, piece):
    codec = decoder.codec
    frames = ops.concatenate([np.zeros(codec.spectra.block, np.float32), piece])
    size = codec.spectra.block
    blocks = [frames[i * size : (i + 2) * size] for i in range(ENTRIES * ROUNDS)]
    codes = np.asarray(codec.encode(np.stack(blocks)[..., None]))
    assert len({tuple(code) for code in codes[ENTRIES:].tolist()}) == ENTRIES

    def correlation(decoder):
        made = decoded(decoder, codes)
        inside = slice(ENTRIES * size, len(made) - size)
        return np.corrcoef(made[inside], piece[inside])[0, 1]

    assert correlation(decoder) > 0.98
    without = SpectralCodec(RATE, codebook_size=BOOK, components=8)
    without.set_weights(codec.get_weights())
    for phases in without.phases:
        phases.assign(ops.zeros_like(phases))
    assert correlation(SpectralDecoder(without)) < 0.5


def first_phases(decoder, places, latest, before, waiting=0.0):
    """`advance` and `onset` `(4, bins)` of the frames at some places, as complex numbers."""
    spec = decoder.state_spec()
    codes = np.full((1, decoder.codec.bands), latest, np.float32)
    earlier = np.full((1, 2, decoder.codec.bands), before, np.float32)
    held = [np.full((1, *spec[name][0]), waiting, np.float32) for name in ("magnitudes", "gains")]
    places = np.asarray([places], np.float32)
    _, advance, onset, *_ = decoder.hop_spectra(places, codes, earlier, *held)
    return [np.asarray(z)[:, 0, :, 0] + 1j * np.asarray(z)[:, 0, :, 1] for z in (advance, onset)]


def test_frames_go_on_as_their_entry_does_or_begin_with_its_phases(decoder):
    codes = np.full((1, decoder.codec.bands), 3, np.int32)
    phases = np.asarray(decoder.codec.decode_phases(codes))[0]
    circle = np.exp(2j * np.pi * phases / PHASE_STEPS)
    magnitudes = np.asarray(decoder.codec.decode(codes)[0])[0]
    loud = 2 * magnitudes.max() + 1
    advance, onset = first_phases(decoder, [0, 1, 2, 3], 3, 5, waiting=loud)
    np.testing.assert_allclose(advance[0], circle[1] / circle[0], atol=1e-6)
    still = magnitudes[1] <= ONSET * magnitudes[0]
    np.testing.assert_allclose(advance[1], np.where(still, circle[1] / circle[0], 0), atol=1e-6)
    assert not onset[0].any()
    advance, onset = first_phases(decoder, [0, 1, 2, 3], 3, 5, waiting=0.0)
    np.testing.assert_allclose(onset[0], circle[0], atol=1e-6)
    assert not advance[0].any()
    begins = magnitudes[2] > ONSET * magnitudes[1]
    assert 0 < begins.sum() < len(begins)
    np.testing.assert_allclose(onset[2], np.where(begins, circle[2], 0), atol=1e-6)
    np.testing.assert_allclose(advance[2], np.where(begins, 0, circle[2] / circle[1]), atol=1e-6)


def test_between_two_frames_the_nearest_one_says_how_phases_go_on(decoder):
    own, _ = first_phases(decoder, [0, 1, 2, 3], 3, 5, waiting=1e6)
    near, _ = first_phases(decoder, [-0.4, 0.4, 0.6, 1.4], 3, 5, waiting=1e6)
    np.testing.assert_array_equal(near[0], own[0])
    both = (near[2] != 0) & (own[1] != 0)
    assert both.any()
    np.testing.assert_array_equal(near[2][both], own[1][both])
