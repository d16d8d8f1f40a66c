"""Real camera traces of a finger against a chest strap worn at the same time: rate, intervals, variability.

Run with -s to see the table. The strap's clock is not the phone's, so its intervals are shifted to where they fit best.
"""

import functools
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from vitalcam.signal import peaks, spectrum
from vitalcam.signal.filter import bandpass
from vitalcam.signal.resample import uniform

SHARED = Path(os.environ.get("VITALCAM_SHARED", Path(__file__).parents[3] / "shared"))
FILE = SHARED / "real" / "welltory_finger_rgb.npz"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the finger traces are not here; set VITALCAM_SHARED")
FS_HZ = 30.0


def _wave(rgb_rows):
    """The pulse wave of the channel that is not clipped and has the clearest pulse; more blood is darker."""
    time_s, rgb = rgb_rows[:, 0] / 1000, rgb_rows[:, 1:]
    fresh = np.concatenate([[True], np.diff(time_s) > 0])
    values, _, valid = uniform(rgb[fresh], time_s[fresh], fs_hz=FS_HZ, t0_s=time_s[0], t1_s=time_s[-1])
    best, wave = -np.inf, np.full(valid.size, np.nan)
    for channel in values.T:
        seen = channel[valid]
        if seen.std() < 1e-3 or np.mean((seen < 0.5) | (seen > 254.5)) > 0.2:
            continue
        filled = bandpass(np.interp(np.arange(valid.size), np.flatnonzero(valid), seen), 0.5, 8, fs_hz=FS_HZ)
        freq, power = spectrum.power(filled, fs_hz=FS_HZ, low_hz=0.65, high_hz=4.0)
        snr = spectrum.snr_db(filled, fs_hz=FS_HZ, f_hz=spectrum.peak(freq, power)[0], half_width_hz=0.25)
        if snr > best:
            best, wave = float(snr), np.where(valid, -filled, np.nan)
    return wave


def _rmssd_ms(ibi_s):
    return 1000 * float(np.sqrt(np.nanmean(np.diff(ibi_s) ** 2)))


def _interval_error_ms(ours, strap):
    """Median distance of intervals at the shift at which it is least."""
    errors = []
    for shift in range(-20, 21):
        a, b = ours[max(0, shift) :], strap[max(0, -shift) :]
        n = min(a.size, b.size)
        if n >= 40:
            errors.append(np.nanmedian(np.abs(a[:n] - b[:n])))
    return 1000 * min(errors)


@functools.cache
def _table():
    rows = []
    with np.load(FILE) as traces:
        for key in sorted(k for k in traces if k.endswith("/rgb")):
            wave = _wave(traces[key].astype(float))
            strap = peaks.ibi(np.concatenate([[0.0], np.cumsum(traces[key.replace("rgb", "rr_ms")] / 1000)]))[1]
            found = peaks.beats(wave, fs_hz=FS_HZ)
            ours = peaks.ibi(found)[1]
            floor = peaks.timing_noise_ms(wave, found, fs_hz=FS_HZ)
            rows.append((
                peaks.rate_bpm(ours), peaks.rate_bpm(strap), _interval_error_ms(ours, strap), _rmssd_ms(ours),
                _rmssd_ms(strap), floor, 1000 * np.nanstd(ours), 1000 * np.nanstd(strap),
            ))  # fmt: skip
    return np.array(rows)


def test_heart_rate_agrees_with_the_strap():
    ours, strap = _table()[:, 0], _table()[:, 1]
    sys.stdout.write("\n  HR strap  IBI err  RMSSD strap floor  SDNN strap\n")
    for row in _table():
        sys.stdout.write("{:6.1f} {:5.1f} {:6.1f} ms {:6.1f} {:6.1f} {:5.1f} {:5.1f} {:6.1f}\n".format(*row))
    error = np.abs(ours - strap)
    assert np.median(error) < 0.5
    assert np.mean(error < 2) >= 0.85


def test_intervals_agree_with_the_strap():
    assert np.median(_table()[:, 2]) < 10


def test_variability_agrees_with_the_strap_where_the_floor_is_low():
    _, _, _, rmssd, rmssd_strap, floor, sdnn, sdnn_strap = _table().T
    clear = rmssd > 2 * floor
    corrected = np.sqrt(np.maximum(rmssd**2 - floor**2, 0))
    assert clear.sum() >= 10
    assert np.median(np.abs(corrected - rmssd_strap)[clear]) < 10
    assert np.median(np.abs(sdnn - sdnn_strap)[clear]) < 6
