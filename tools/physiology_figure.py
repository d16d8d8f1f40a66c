"""Compare synthetic pulses and breaths with PhysioKit's real ones, and skin with published colours and amplitudes.

    python tools/physiology_figure.py OUT.png

prints the tables of docs/physiology.md and draws OUT.png. The real traces are looked for in the folder named by
VITALCAM_SHARED, or in ../shared beside the checkout; without them only the synthetic columns are printed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from scipy import signal

from vitalcam.signal import peaks
from vitalcam.synth import skin
from vitalcam.synth.breath import Breath, breathing
from vitalcam.synth.pulse import Heart, pulse

FS_HZ = 62.5
DURATION_S = 330.0
STATISTICS = {
    "heart_rate": "beats/min",
    "sdnn": "ms",
    "rmssd": "ms",
    "ibi_slope": "log power / log frequency, 0.01 .. 0.15 Hz",
    "harmonic_2": "2nd / 1st",
    "harmonic_3": "3rd / 1st",
    "rise": "foot to peak / interval",
    "height_cv": "of the beats' heights",
    "baseline": "0.1 .. 0.4 Hz / height",
}
RSP_STATISTICS = {"resp_rate": "breaths/min", "cycle_cv": "of the cycles' lengths", "inspired": "share of a cycle"}
CLEAN_BELT = ("P11", "P21")  # the belts of P12 and P22 hold spikes and no visible breath


def real_file() -> Path:
    """Where the real traces would be."""
    shared = os.environ.get("VITALCAM_SHARED") or Path(__file__).resolve().parents[2] / "shared"
    return Path(shared) / "real" / "physiokit_62p5hz.npz"


def _band(x: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    return signal.sosfiltfilt(signal.butter(2, [low_hz, high_hz], "band", fs=FS_HZ, output="sos"), x)


def upstrokes_s(x: np.ndarray) -> np.ndarray:
    """Times of the steepest rise of each beat near those that `peaks.beats` finds; for clean traces, to a fraction."""
    slope = np.gradient(_band(x, 0.5, 8))
    reach, times = round(0.12 * FS_HZ), []
    for near in np.round(peaks.beats(x, fs_hz=FS_HZ) * FS_HZ).astype(int):
        if reach < near < x.size - reach - 1:
            i = near - reach + int(np.argmax(slope[near - reach : near + reach + 1]))
            left, here, right = slope[i - 1 : i + 2]
            bend = left - 2 * here + right
            times.append((i + (0.5 * (left - right) / bend if bend < 0 else 0.0)) / FS_HZ)
    return np.unique(times)


def shapes(x: np.ndarray, times_s: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(N, 64) the good beats, each from upstroke to upstroke, its ends made level."""
    smooth, grid = _band(x, 0.3, 12), np.arange(x.size) / FS_HZ
    cut = []
    for a, b in zip(times_s[:-1][good], times_s[1:][good], strict=True):
        beat = np.interp(a + np.arange(65) / 64 * (b - a), grid, smooth)
        cut.append(beat[:64] - np.linspace(beat[0], beat[64], 65)[:64])
    return np.array(cut)


def mean_beat(x: np.ndarray) -> np.ndarray:
    """(64,) median beat from upstroke to upstroke, 1 high."""
    times = upstrokes_s(x)
    cut = shapes(x, times, np.isfinite(peaks.ibi(times)[1]))
    return np.median(cut / np.ptp(cut, axis=1, keepdims=True), axis=0)


def _slope(times_s: np.ndarray, ibi_s: np.ndarray) -> float:
    grid = np.arange(times_s[0], times_s[-1], 0.25)
    f, p = signal.welch(np.interp(grid, times_s, ibi_s), 4, nperseg=512)
    keep = (f >= 0.01) & (f <= 0.15)
    return float(np.polyfit(np.log(f[keep]), np.log(p[keep]), 1)[0])


def pulse_statistics(x: np.ndarray) -> dict[str, float]:
    """STATISTICS of one trace at FS_HZ, (T,)."""
    times = upstrokes_s(x)
    ends, ibi = peaks.ibi(times)
    good = np.isfinite(ibi)
    cut = shapes(x, times, good)
    height = np.ptp(cut, axis=1)
    beat = np.median(cut / height[:, None], axis=0)
    harmonics = np.abs(np.fft.rfft(beat))
    return {
        "heart_rate": peaks.rate_bpm(ibi),
        "sdnn": 1000 * ibi[good].std(),
        "rmssd": 1000 * np.sqrt(np.nanmean(np.diff(ibi) ** 2)),
        "ibi_slope": _slope(ends[good], ibi[good]),
        "harmonic_2": harmonics[2] / harmonics[1],
        "harmonic_3": harmonics[3] / harmonics[1],
        "rise": (np.argmax(beat) - np.argmin(np.roll(beat, 32)) + 32) % 64 / 64,
        "height_cv": height.std() / height.mean(),
        "baseline": _band(x, 0.1, 0.4).std() / height.mean(),
    }


def breath_statistics(x: np.ndarray) -> dict[str, float]:
    """RSP_STATISTICS of one trace at FS_HZ, (T,): troughs and peaks that stand out by 0.35 standard deviations."""
    smooth = _band(signal.medfilt(x, 15), 0.05, 0.7)
    step = 0.35 * np.median(np.abs(smooth)) / 0.6745
    tops, _ = signal.find_peaks(smooth, prominence=step, distance=1.2 * FS_HZ)
    feet, _ = signal.find_peaks(-smooth, prominence=step, distance=1.2 * FS_HZ)
    cycles = np.diff(tops) / FS_HZ
    cycles = cycles[cycles < 4 * np.median(cycles)]
    before = np.searchsorted(feet, tops) - 1
    rising = (tops - feet[np.maximum(before, 0)])[before >= 0] / FS_HZ
    return {
        "resp_rate": 60 / cycles.mean(),
        "cycle_cv": cycles.std() / cycles.mean(),
        "inspired": float(np.median(rising)) / float(np.median(cycles)),
    }


def real(site: str) -> list[np.ndarray]:
    """The 16 traces of "ear" or "finger", or the 8 of "resp" on which breathing can be seen."""
    data = np.load(real_file())
    keys = [k for k in data.files if k.endswith(f"/{site}") and (site != "resp" or k.startswith(CLEAN_BELT))]
    return [data[k].astype(float)[int(5 * FS_HZ) :] for k in keys]


def synthetic(site: str, n: int = 24, seed: int = 1) -> list[np.ndarray]:
    """As `real`, of ``n`` synthetic young adults sitting still; "resp" gives their breathing."""
    rng = np.random.default_rng(seed)
    times = np.arange(0, DURATION_S, 1 / FS_HZ)
    traces = []
    for _ in range(n):
        breath = Breath.sample(rng, rate_per_min=rng.uniform(8, 18), holds_per_min=0.0, speech=False)
        lungs = breathing(breath, duration_s=DURATION_S, rng=rng)
        rate, age = rng.normal(70, 7), rng.uniform(20, 40)
        place = "finger" if site == "finger" else "face"
        heart = Heart.sample(rng, rate_bpm=float(rate), profile="rest", age_years=float(age), site=place)
        wave = lungs if site == "resp" else pulse(heart, lungs, duration_s=DURATION_S, rng=rng)
        traces.append(wave.at(times))
    return traces


def _ranges(rows: list[dict[str, float]], key: str) -> str:
    return "{1:.2f} ({0:.2f} .. {2:.2f})".format(*np.percentile([row[key] for row in rows], [10, 50, 90]))


def _print_signals() -> None:
    have = real_file().exists()
    for site, place, statistics in (
        ("ear", "face", pulse_statistics),
        ("finger", "finger", pulse_statistics),
        ("resp", "resp", breath_statistics),
    ):
        ours = [statistics(x) for x in synthetic(site)]
        theirs = [statistics(x) for x in real(site)] if have else []
        print(f"\n| {site} | unit | real median (10 .. 90 %) | synthetic {place} |\n| --- | --- | --- | --- |")
        for key, unit in {**STATISTICS, **RSP_STATISTICS}.items():
            if key in ours[0]:
                print(f"| {key} | {unit} | {_ranges(theirs, key) if theirs else 'not here'} | {_ranges(ours, key)} |")


def tones() -> np.ndarray:
    """(6,) melanin in the (geometric) middle of each skin type."""
    return np.array([np.sqrt(low * high) for low, high in skin.FITZPATRICK.values()])


def _print_skin() -> None:
    melanin = tones()
    ita = skin.ita_deg(skin.skin_colour(melanin))
    for light, camera in (("daylight", "colorimetric"), ("daylight", "phone"), ("incandescent", "phone")):
        rgb = skin.skin_colour(melanin, light=light, camera=camera)
        ratio = -100 * skin.PULSE * skin.pulsatility(melanin, light=light, camera=camera)
        gains = " ".join(f"{g:.2f}" for g in skin.white_balance(light, camera))
        print(f"\n{light}, {camera}; white balance {gains}; a pulse of {skin.PULSE:.0%} blood volume")
        print(
            "| type | ITA (deg) | linear R G B | AC/DC R G B (%) | AC R G B (% of white) | direction |\n"
            + "| --- " * 6
            + "|"
        )
        for i in range(6):
            unit = ratio[i] / np.linalg.norm(ratio[i])
            cells = (rgb[i], ratio[i], ratio[i] * rgb[i], unit)
            row = " | ".join(" ".join(f"{v:.3f}" for v in c) for c in cells)
            print(f"| {i + 1} | {ita[i]:.0f} | {row} |")


def draw(path: Path) -> None:
    """Six panels: beats by age and by site, real over synthetic beats, a minute of truth, colours, amplitudes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(16, 9), layout="constrained")
    _draw_shapes(axes[0, 0])
    for axis, site in ((axes[0, 1], "ear"), (axes[0, 2], "finger")):
        for x in synthetic(site, 12):
            axis.plot(np.arange(64) / 64, mean_beat(x), color="C1", lw=0.8)
        for x in real(site) if real_file().exists() else []:
            axis.plot(np.arange(64) / 64, mean_beat(x), color="C0", lw=0.8)
        axis.set(title=f"{site}: real (blue), synthetic (orange)", xlabel="from upstroke to upstroke")
    _draw_minute(axes[1, 0])
    _draw_skin(axes[1, 1], axes[1, 2])
    figure.savefig(path, dpi=90)


def _draw_shapes(axis: object) -> None:
    rng = np.random.default_rng(0)
    lungs = breathing(Breath(), duration_s=10, rng=rng)
    times = np.arange(0, 2.5, 0.005)
    for i, (site, age, rate) in enumerate(
        (
            ("face", 20, 60),
            ("face", 80, 60),
            ("finger", 20, 60),
            ("finger", 80, 60),
            ("face", 40, 120),
            ("face", 40, 180),
        )
    ):
        heart = Heart(rate, age_years=age, site=site, sdnn_ms=0, vasomotion=0, baseline_modulation=0)
        wave = pulse(heart, lungs, duration_s=10, rng=rng)
        onset = wave.between(2, 5)[0]
        axis.plot(times, wave.at(times + onset) - 1.2 * i, label=f"{site}, {age} years, {rate} bpm")
    axis.set(title="beats", xlabel="s", yticks=[])
    axis.legend(fontsize=7, loc="upper right")


def _draw_minute(axis: object) -> None:
    rng = np.random.default_rng(3)
    lungs = breathing(Breath(rate_per_min=12, sighs_per_min=1), duration_s=60, rng=rng)
    wave = pulse(Heart(66, ectopic_per_min=6, sdnn_ms=60), lungs, duration_s=60, rng=rng)
    times = np.arange(0, 60, 0.02)
    axis.plot(times, wave.at(times), lw=0.8)
    axis.plot(times, lungs.at(times) / 2 + 2.5, lw=0.8)
    axis.plot(times, wave.rate_at(times) / 40 + 3, lw=0.8)
    axis.set(title="a minute with early beats: rate (top), breath, pulse", xlabel="s", yticks=[])


def _draw_skin(colours: object, amplitudes: object) -> None:
    melanin = np.geomspace(0.008, 0.43, 40)
    strips = [skin.skin_colour(melanin, blood) for blood in np.geomspace(0.01, 0.08, 20)]
    colours.imshow(np.clip(strips, 0, 1) ** (1 / 2.2), aspect="auto")
    colours.set(title="colour: melanin to the right, blood downwards", xticks=[], yticks=[])
    for light, dash in (("daylight", "-"), ("incandescent", "--")):
        ratio = -100 * skin.PULSE * skin.pulsatility(melanin, light=light, camera="phone")
        for channel, colour in enumerate(("red", "green", "blue")):
            amplitudes.semilogx(melanin, ratio[:, channel], dash, color=colour)
    amplitudes.set(title="AC/DC (%), phone; dashed: incandescent", xlabel="melanin")


if __name__ == "__main__":
    _print_signals()
    _print_skin()
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]))
