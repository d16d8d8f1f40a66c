"""Beats and the intervals between them, to a fraction of a sample.

Beats are found where the wave, filtered narrowly around the pulse, crosses its mean on the way up. Each is then timed
by laying the mean beat over it (least squares), which uses the steep upstroke where there is one and the whole wave
where there is not, and is not moved by the dicrotic notch or by changes of amplitude. All of this happens on a time
axis that is stretched so that every beat is about one unit long, so the filters follow the heart rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.signal import spectrum
from vitalcam.signal.filter import fast_length, skirts
from vitalcam.signal.resample import uniform

Array = NDArray[np.float64]

LOW_HZ, HIGH_HZ = 40 / 60, 200 / 60
"""Heart rates that are looked for."""
FIND_CYCLES = (0.25, 0.75, 1.4, 2.0)
"""Corners of the filter that beats are found with, cycles per beat: 0, 1, 1, 0."""
TIME_CYCLES = (0.15, 0.5, 3.0, 4.0)
"""Corners of the filter that they are timed with: three harmonics, and variation from beat to beat."""
PER_BEAT = 32
"""Samples per beat on the stretched axis."""
MIN_LIKENESS = 0.7
"""A beat whose correlation with the mean beat is lower is not believed."""
MIN_SIZE = 0.2
"""Nor is one that is smaller than this share of it."""
MIN_BEATS = 3.0
"""A stretch shorter than this many beats is not searched."""


def beats(bvp: ArrayLike, *, fs_hz: float, heart_rate_hz: ArrayLike | None = None) -> Array:
    """Times of the beats.

    Args:
        bvp: (T,) pulse wave, more blood up, any unit; NaN in gaps, over which no beat is invented.
        fs_hz: sampling rate.
        heart_rate_hz: pulse frequency, one number or (T,); default is `rate_track`. A third off is near enough.

    Returns:
        (N,) s after the first sample, increasing: where the upstroke of the mean beat crosses its mean. Empty where
        there is no pulse to be found; none within half a beat of an end, where a beat is not whole.
    """
    bvp = np.asarray(bvp, dtype=float)
    given = None if heart_rate_hz is None else np.broadcast_to(np.asarray(heart_rate_hz, dtype=float), bvp.shape)
    found = [np.empty(0)]
    for start, stop in _finite_runs(bvp):
        part = bvp[start:stop]
        rate = rate_track(part, fs_hz=fs_hz) if given is None else given[start:stop]
        found.append(start / fs_hz + _beats_of_run(part, rate, fs_hz))
    return np.concatenate(found)


def timing_noise_ms(bvp: ArrayLike, beat_times_s: ArrayLike, *, fs_hz: float) -> float:
    """RMSSD that the error of the beats' times alone would give, measured on the wave itself.

    What is left of each beat after the mean beat is taken out of it is noise. It is taken as white within the beat
    filter, so its strength follows from the residual's energy, and its effect from the very weights that time a beat.
    Beats that change their shape count as noise too: the floor is rather too high than too low.

    Args:
        bvp: (T,) pulse wave, NaN in gaps.
        beat_times_s: (N,) what `beats` gave for it.
        fs_hz: sampling rate.

    Returns:
        ms; NaN where no gapless stretch has eight beats.

    Source: linear error propagation, derived here; checked by Monte Carlo in tests/unit/test_peaks.py.
    """
    bvp, times = np.asarray(bvp, dtype=float), np.asarray(beat_times_s, dtype=float)
    squares, count = 0.0, 0
    for start, stop in _finite_runs(bvp):
        own = times[(times >= start / fs_hz) & (times <= (stop - 1) / fs_hz)] - start / fs_hz
        if own.size < 8:
            continue
        period_s = float(np.median(np.diff(own)))
        # A dropped beat leaves a step of two cycles.
        cycle = np.concatenate([[0.0], np.cumsum(np.maximum(np.round(np.diff(own) / period_s), 1))])
        phase = np.interp(np.arange(stop - start) / fs_hz, own, cycle, left=np.nan, right=np.nan)
        known = np.isfinite(phase)
        segments = _segments(*_stretch(bvp[start:stop][known], phase[known], TIME_CYCLES), cycle[1:-1])
        squares += segments.shape[0] * _rmssd_of_noise(segments) ** 2 * period_s**2
        count += segments.shape[0]
    return 1000 * float(np.sqrt(squares / count)) if count else float("nan")


def rate_track(
    bvp: ArrayLike, *, fs_hz: float, window_s: float = 10.0, step_s: float = 2.0, jump_hz: float = 0.05
) -> Array:
    """Heart rate over time: the smooth path through the spectra of sliding windows with the most power.

    Where most windows show that path to be the second harmonic (`spectrum.fundamental`), it is halved.

    Args:
        bvp: (T,) pulse wave without gaps.
        fs_hz: sampling rate.
        window_s: length of a window.
        step_s: distance of windows.
        jump_hz: change from one window to the next that costs as much as a factor e of power.

    Returns:
        (T,) Hz; NaN where the wave is too short or flat.
    """
    bvp = np.asarray(bvp, dtype=float)
    n = min(bvp.size, round(window_s * fs_hz))
    starts = np.unique(np.r_[0 : bvp.size - n + 1 : max(1, round(step_s * fs_hz)), bvp.size - n])
    if n < MIN_BEATS * fs_hz / HIGH_HZ:
        return np.full(bvp.size, np.nan)
    parts = np.lib.stride_tricks.sliding_window_view(bvp, n)[starts]
    freq, power = spectrum.power(parts, fs_hz=fs_hz, low_hz=LOW_HZ * 0.9, high_hz=HIGH_HZ * 1.1, grid_bpm=1.0)
    total = power.sum(axis=1, keepdims=True)
    if not np.any(total > 0):
        return np.full(bvp.size, np.nan)
    gain = np.log(power / np.where(total > 0, total, 1) + 1e-6)
    rate = freq[_best_path(gain, np.abs(freq[:, None] - freq) / jump_hz)]
    halves = [spectrum.fundamental(freq, p, f) < 0.75 * f for p, f in zip(power, rate, strict=True)]
    return np.asarray(np.interp(np.arange(bvp.size), starts + (n - 1) / 2, rate / 2 if np.mean(halves) > 0.5 else rate))


def ibi(beat_times_s: ArrayLike, *, tolerance: float = 0.25, neighbours: int = 5) -> tuple[Array, Array]:
    """Intervals between beats; those that cannot be a heart's are NaN. None is invented or mended.

    Args:
        beat_times_s: (N,) s, increasing.
        tolerance: largest departure from the median of the neighbours, as a share of it.
        neighbours: how many intervals to each side make that median.

    Returns:
        Time of each interval's end (N - 1,) s; interval (N - 1,) s, NaN where it lies outside 0.25 .. 2 s or departs
        too far from its neighbours (a missed or doubled beat, a gap).
    """
    times = np.asarray(beat_times_s, dtype=float)
    if times.size < 2:
        return np.empty(0), np.empty(0)
    interval = np.diff(times)
    possible = np.where((interval >= 0.25) & (interval <= 2.0), interval, np.nan)
    padded = np.pad(possible, neighbours, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * neighbours + 1)
    middle = _median_of_known(around)
    near = np.abs(possible - middle) <= tolerance * middle
    return times[1:], np.where(near, possible, np.nan)


def _median_of_known(rows: Array) -> Array:
    """Median of the finite values in each row (N, K); NaN where there is none."""
    ordered, known = np.sort(rows, axis=1), np.isfinite(rows).sum(axis=1)
    low, high = (np.take_along_axis(ordered, k[:, None], 1)[:, 0] for k in (np.maximum(known - 1, 0) // 2, known // 2))
    return np.asarray((low + high) / 2)


def rate_bpm(ibi_s: ArrayLike) -> float:
    """Heart rate from intervals: 60 over their mean, NaN ones left out; NaN if there is none.

    >>> rate_bpm([0.8, 0.8, float("nan")])
    75.0
    """
    known = np.asarray(ibi_s, dtype=float)
    known = known[np.isfinite(known)]
    return float(60 / known.mean()) if known.size else float("nan")


def _finite_runs(x: Array) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.isfinite(x), [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _best_path(gain: Array, cost: Array) -> NDArray[np.intp]:
    """Index for each row of gain (N, F) that maximises the sum of gains minus the cost (F, F) of each move."""
    score, back = gain[0], []
    for row in gain[1:]:
        moves = score[:, None] - cost
        back.append(moves.argmax(axis=0))
        score = moves.max(axis=0) + row
    path = [int(score.argmax())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    return np.array(path[::-1])


def _beats_of_run(bvp: Array, rate_hz: Array, fs_hz: float) -> Array:
    """Times (N,) s of the beats of a wave without gaps, given the pulse frequency (T,) at each sample."""
    phase = np.concatenate([[0.0], np.cumsum((rate_hz[1:] + rate_hz[:-1]) / 2)]) / fs_hz
    if not phase[-1] >= MIN_BEATS:
        return np.empty(0)
    found = _upward_crossings(*_stretch(bvp, phase, FIND_CYCLES))
    found = found[(found >= 0.5) & (found <= phase[-1] - 0.5)]
    timed = _align(*_stretch(bvp, phase, TIME_CYCLES), found)
    return np.asarray(np.interp(timed, phase, np.arange(phase.size) / fs_hz))


def _stretch(bvp: Array, phase: Array, corners: tuple[float, float, float, float]) -> tuple[Array, Array]:
    """Band-passed wave on an axis of cycles, and that axis.

    The ends are continued by their own first and last two cycles, as the wave all but repeats.
    """
    wave, cycle, _ = uniform(bvp, phase, fs_hz=PER_BEAT, t0_s=phase[0], t1_s=phase[-1], max_gap_s=np.inf)
    centred = wave - wave.mean()
    block = min(2 * PER_BEAT, wave.size)
    padded = np.concatenate([np.tile(centred[:block], 2), centred, np.tile(centred[-block:], 2)])
    size = fast_length(padded.size)
    gain = skirts(np.fft.rfftfreq(size, 1 / PER_BEAT), *corners)
    filtered = np.fft.irfft(np.fft.rfft(padded, size) * gain, size)
    return np.asarray(filtered[2 * block : 2 * block + wave.size]), cycle


def _upward_crossings(wave: Array, cycle: Array) -> Array:
    up = np.flatnonzero((wave[:-1] < 0) & (wave[1:] >= 0))
    return np.asarray(cycle[up] - wave[up] / (wave[up + 1] - wave[up]) / PER_BEAT)


def _align(wave: Array, cycle: Array, found: Array, rounds: int = 3) -> Array:
    """Move beats (N,) cycles to where the mean beat fits best, by 0.3 at most; drop those that do not look like it."""
    at = found
    for _ in range(rounds if found.size >= 2 else 0):
        segments = _segments(wave, cycle, at)
        size, slope, _, _ = _fit(segments)[1] @ segments.T
        at = np.clip(at - np.clip(slope / np.maximum(size, 0.2), -0.15, 0.15), found - 0.3, found + 0.3)
    at = at[np.diff(at, prepend=-np.inf) > 0.3]
    return np.asarray(at[_believable(_segments(wave, cycle, at))]) if at.size >= 5 else at


def _believable(segments: Array) -> NDArray[np.bool_]:
    """Whether each segment (N, L) has the shape of their median and is not dwarfed by it: the filter's own ringing."""
    both = np.vstack([segments, np.median(segments, axis=0)])
    both = (both - (both @ _WEIGHT / _WEIGHT.sum())[:, None]) * np.sqrt(_WEIGHT)
    size = np.linalg.norm(both, axis=1)
    alike = both[:-1] @ both[-1] >= MIN_LIKENESS * size[:-1] * size[-1]
    return np.asarray(alike & (size[:-1] >= MIN_SIZE * size[-1]))


def _segments(wave: Array, cycle: Array, at: Array) -> Array:
    """(N, PER_BEAT + 1) the wave from half a cycle before to half a cycle after each beat."""
    half = np.arange(-PER_BEAT // 2, PER_BEAT // 2 + 1) / PER_BEAT
    return np.asarray(np.interp(at[:, None] + half, cycle, wave))


def _fit(segments: Array) -> tuple[Array, Array]:
    """Each segment as a mix of the mean beat, its slope per cycle and a straight line, by Hann-weighted least squares.

    Returns:
        basis (L, 4) and its weighted pseudo-inverse (4, L); the coefficients are its product with the segments. To
        first order a beat is late by -slope / size cycles; the line takes up what breathing does to the baseline.
    """
    mean = np.median(segments, axis=0)
    line = np.linspace(-1, 1, mean.size)
    basis = np.stack([mean, np.gradient(mean) * PER_BEAT, np.ones_like(mean), line], axis=1)
    root = np.sqrt(_WEIGHT)[:, None]
    return basis, np.asarray(np.linalg.pinv(root * basis) * root.T)


def _rmssd_of_noise(segments: Array) -> float:
    """RMSSD in cycles that the departures of segments (N, L) from their mean beat give to the beats' times."""
    basis, inverse = _fit(segments)
    rest = np.eye(PER_BEAT + 1) - basis @ inverse
    energy = float(np.mean((segments @ rest.T) ** 2 @ _WEIGHT))
    same, next_one, after = (_noise_covariance(lag) for lag in range(3))
    strength = energy / float(_WEIGHT @ np.diag(rest @ same @ rest.T))
    shift = inverse[1]
    return float(np.sqrt(max(strength * (shift @ (6 * same - 8 * next_one + 2 * after) @ shift), 0.0)))


def _noise_covariance(lag: int) -> Array:
    """(L, L) covariance of white noise of unit variance behind the beat filter, between beats ``lag`` apart."""
    size = 16 * PER_BEAT
    gain = skirts(np.fft.rfftfreq(size, 1 / PER_BEAT), *TIME_CYCLES)
    at_lag = np.fft.irfft(gain**2, size)
    sample = np.arange(PER_BEAT + 1)
    return np.asarray(at_lag[(sample[:, None] - sample + lag * PER_BEAT) % size])


_WEIGHT = np.hanning(PER_BEAT + 3)[1:-1]
