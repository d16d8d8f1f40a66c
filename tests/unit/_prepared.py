"""Recordings as `vitalcam.data` prepares them, made of a known pulse and noise; no face is needed."""

import numpy as np

from vitalcam.data import Prepared


def prepared(name="one", heart_rate=80.0, seconds=10.0, *, side=9, fs_hz=30.0, noise=0.3, gap=None, **attributes):
    """A patch of skin whose green pulses; `gap` are seconds (from, to) in which nothing was seen."""
    rng = np.random.default_rng(sum(map(ord, name)))
    time_s = np.arange(round(seconds * fs_hz)) / fs_hz
    phase = 2 * np.pi * time_s * heart_rate / 60 + rng.uniform(0, 6)
    pulse = np.sin(phase) + 0.4 * np.sin(2 * phase - 0.5)
    breath = np.sin(time_s * 15 * np.pi / 30)
    colour = np.array([150.0, 110.0, 90.0]) * (1 - 0.01 * pulse[:, None] * (0.33, 0.77, 0.53))
    texture = 1 + 0.2 * rng.standard_normal((side, side, 1))
    frames = colour[:, None, None] * texture + noise * rng.standard_normal((len(time_s), side, side, 3))
    valid = np.ones(len(time_s), bool)
    if gap:
        valid[(time_s >= gap[0]) & (time_s < gap[1])] = False
    return Prepared(
        "made", name, name, attributes, fs_hz, 0, np.rint(frames * 256).astype(np.uint16),
        frames.mean(axis=(1, 2)).astype(np.float32), valid,
        {"bvp": pulse.astype(np.float32), "resp": breath.astype(np.float32)},
    )  # fmt: skip
