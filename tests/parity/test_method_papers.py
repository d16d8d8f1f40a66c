"""Methods against plain re-implementations of the papers' algorithms: loops, one trace, no shared code."""

import numpy as np
import pytest

from vitalcam.methods import lgi, omit, pbv, pos
from vitalcam.signal.filter import bandpass

FS_HZ = 30.0


def _trace(seed=0, n=300):
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.standard_normal((n, 3)), axis=0) * 0.1
    return np.array([170.0, 120.0, 95.0]) + walk + 0.5 * rng.standard_normal((n, 3))


def _same_shape(a, b):
    a, b = a - a.mean(), b - b.mean()
    np.testing.assert_allclose(a / np.linalg.norm(a), b / np.linalg.norm(b), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_pos_is_algorithm_1(seed):
    rgb = _trace(seed)
    length = 48
    expected = np.zeros(len(rgb))
    for end in range(length, len(rgb) + 1):
        c = rgb[end - length : end]
        c = (c / c.mean(axis=0)).T
        s = np.array([[0, 1, -1], [-2, 1, 1]]) @ c
        h = s[0] + s[0].std() / s[1].std() * s[1]
        expected[end - length : end] += h - h.mean()
    inner = slice(length, -length)  # where every sample lies in `length` windows
    np.testing.assert_allclose(-pos.waveform(rgb, fs_hz=FS_HZ)[inner] * length, expected[inner], atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_lgi_is_the_singular_vector_projection(seed):
    rgb = _trace(seed)
    u = np.linalg.svd(rgb.T, full_matrices=False)[0][:, :1]
    _same_shape(-lgi.waveform(rgb, fs_hz=FS_HZ), ((np.eye(3) - u @ u.T) @ rgb.T)[1])


@pytest.mark.parametrize("seed", range(3))
def test_omit_is_the_qr_projection(seed):
    rgb = _trace(seed)
    q = np.linalg.qr(rgb.T)[0][:, :1]
    _same_shape(-omit.waveform(rgb, fs_hz=FS_HZ), ((np.eye(3) - q @ q.T) @ rgb.T)[1])


def test_pbv_correlates_as_blood_does():
    rgb = _trace()
    wave = -pbv.waveform(rgb, fs_hz=FS_HZ)
    colour = bandpass((rgb / rgb.mean(axis=0) - 1).T, 40 / 60, 4, fs_hz=FS_HZ)
    likeness = colour @ wave
    np.testing.assert_allclose(
        likeness / np.linalg.norm(likeness),
        np.array([0.33, 0.77, 0.53]) / np.linalg.norm([0.33, 0.77, 0.53]),
        atol=1e-4,
    )
