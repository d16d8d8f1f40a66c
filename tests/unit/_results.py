"""Results made by hand for tests of the reports: sines of known rate, no measurement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vitalcam.types import Estimate, FaceResult, FaceTrack, Result, Signal

FS_HZ = 30.0


def face(
    id: int = 1,
    *,
    heart_bpm: float | None = 72.0,
    resp_bpm: float | None = 15.0,
    seconds: float = 60.0,
    gap: tuple[float, float] | None = None,
    reason: str = "motion",
    start_s: float = 0.0,
    confidence: float = 0.95,
    drift_bpm: float = 3.0,
) -> FaceResult:
    """A face; ``gap`` is a stretch without signal, rates of None are refused with ``reason``."""
    time_s = start_s + np.arange(round(seconds * FS_HZ)) / FS_HZ
    lost = np.zeros(time_s.size, bool) if gap is None else (time_s >= gap[0]) & (time_s < gap[1])
    rng = np.random.default_rng(id)
    if heart_bpm is None:
        bvp = rng.normal(size=time_s.size)
    else:
        phase = 2 * np.pi * np.cumsum(heart_bpm + drift_bpm * np.sin(2 * np.pi * time_s / 40)) / 60 / FS_HZ
        bvp = np.sin(phase) + 0.35 * np.sin(2 * phase - 1) + 0.1 * rng.normal(size=time_s.size)
    resp = np.sin(2 * np.pi * (resp_bpm or 15.0) / 60 * time_s)
    signals = {
        "bvp": Signal(np.where(lost, np.nan, bvp), time_s, "bvp"),
        "resp": Signal(np.where(lost, np.nan, resp), time_s, "resp"),
    }
    windows = _windows(heart_bpm, resp_bpm, start_s, start_s + seconds, gap, reason, confidence, drift_bpm)
    boxes = np.tile([200.0, 80.0, 420.0, 360.0], (time_s.size, 1)) + (id - 1) * np.array([260, 20, 260, 20])
    boxes[lost] = np.nan
    whole = (start_s, start_s + seconds)
    return FaceResult(
        id=id,
        heart_rate=_estimate("heart_rate", heart_bpm, *whole, confidence, reason),
        resp_rate=_estimate("resp_rate", resp_bpm, *whole, 0.8, "no_breath"),
        hrv={
            "sdnn": Estimate("sdnn", None, "ms", *whole, 0.0, reason="noise_floor"),
            "rmssd": Estimate("rmssd", None, "ms", *whole, 0.0, reason="too_short"),
        },
        windows=windows,
        signals=signals,
        track=FaceTrack(id, time_s, boxes, np.where(lost, np.nan, 0.9), np.where(lost, "lost", "detected")),
    )


def _windows(
    heart_bpm: float | None,
    resp_bpm: float | None,
    t0_s: float,
    t1_s: float,
    gap: tuple[float, float] | None,
    reason: str,
    confidence: float,
    drift_bpm: float,
) -> tuple[Estimate, ...]:
    windows = []
    for t in np.arange(t0_s, t1_s - 10 + 1e-9, 1.0):
        hit = gap is not None and t < gap[1] and t + 10 > gap[0]
        rate = None if heart_bpm is None or hit else heart_bpm + drift_bpm * np.sin(2 * np.pi * (t + 5) / 40)
        worth = float(np.clip(confidence - 0.2 * (np.sin(t / 6) > 0.6), 0, 1))
        windows.append(_estimate("heart_rate", rate, t, t + 10, worth, "gap" if hit else reason))
        if t + 30 <= t1_s and t % 5 == 0:
            windows.append(_estimate("resp_rate", None if hit else resp_bpm, t, t + 30, 0.8, "no_breath"))
    return tuple(windows)


def _estimate(quantity: str, value: float | None, t0_s: float, t1_s: float, confidence: float, reason: str) -> Estimate:
    unit = "beats/min" if quantity == "heart_rate" else "breaths/min"
    quality = {"snr_db": 4.0 if value is not None else -6.0, "motion_px": float("nan")}
    if value is None:
        return Estimate(quantity, None, unit, t0_s, t1_s, 0.2, reason=reason, method="pos", quality=quality)  # type: ignore[arg-type]
    quality |= {"low": value - 2.4, "high": value + 2.6} if t1_s - t0_s > 30 else {}
    return Estimate(quantity, float(value), unit, t0_s, t1_s, confidence, method="pos", quality=quality)


def result(*faces: FaceResult, source: str = "clips/anna.mp4", **fields: Any) -> Result:
    """A result of these faces, with a picture."""
    rows, columns = np.mgrid[0:270, 0:480]
    picture = np.stack([90 + rows // 4, 110 + columns // 8, np.full_like(rows, 130)], axis=-1).astype(np.uint8)
    settings: Mapping[str, Any] = {"method": "pos", "window_s": 10.0, "step_s": 1.0}
    defaults: dict[str, Any] = {
        "warnings": (),
        "settings": settings,
        "digest": "0123456789ab",
        "versions": {"vitalcam": "0.1.0", "numpy": np.__version__},
        "video": {"width": 1280, "height": 720, "frame_rate_hz": 30.0, "duration_s": 60.0, "frames": 1800},
        "thumbnail": picture,
        "thumbnail_boxes_px": {f.id: f.track.boxes_px[0] * 0.375 for f in faces},
    }
    return Result(source, tuple(faces), **{**defaults, **fields})
