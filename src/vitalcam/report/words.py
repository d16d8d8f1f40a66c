"""What is said to people, in one place: reasons with advice, confidence, quantities; no numbers are made here."""

from __future__ import annotations

import math
from typing import NamedTuple

from vitalcam.settings import MIN_SIGNAL_S
from vitalcam.signal.hrv import MIN_DURATION_S
from vitalcam.types import Estimate

HIGH, FAIR = 0.9, 0.75
"""A confidence from here on is called high or fair; below it is low."""


class Words(NamedTuple):
    """What went wrong and what a person can do about it."""

    what: str
    advice: str


REASONS = {
    "no_face": Words("no face found", "face the camera, with the whole face in view"),
    "too_short": Words("too short", "record for longer"),
    "gap": Words("interrupted", "keep the face in view; close other programs that use the camera"),
    "motion": Words("too much movement", "hold still, rest the head if you can"),
    "dark": Words("too dark", "add light on the face"),
    "clipped": Words("too bright", "lower the exposure or move out of direct light"),
    "flicker": Words("the light flickers", "use daylight or another lamp"),
    "frozen": Words("the picture stands still", "check the camera"),
    "low_fps": Words("too few frames per second", "use a higher frame rate or more light"),
    "small_face": Words("the face is too small", "come closer to the camera"),
    "turned": Words("the face is turned away", "look towards the camera"),
    "no_pulse": Words(
        "no pulse found", "check that this is a living face, with steady light and no strong compression"
    ),
    "no_breath": Words("no breathing found", "show the shoulders, sit still for 30 s or more"),
    "low_quality": Words("the signal is too weak", "more light, less movement, less compression"),
    "disagreement": Words("two ways to count disagree", "hold still for 30 s or more"),
    "noise_floor": Words("below what this video can show", "brighter light, a higher frame rate, less compression"),
}
"""Every `vitalcam.types.Reason` in words."""

LONG_ENOUGH = {
    "heart_rate": f"record for {math.ceil(MIN_SIGNAL_S)} s at least, better 30 s",
    "resp_rate": "record for 15 s at least, better 30 s",
    **{name: f"record for {seconds:.0f} s or more" for name, seconds in MIN_DURATION_S.items()},
}
"""What to do about "too_short", by quantity."""

QUANTITIES = {
    "heart_rate": "heart rate",
    "resp_rate": "breathing",
    "sdnn": "SDNN",
    "rmssd": "RMSSD",
    "pnn50": "pNN50",
    "lf_hf": "LF/HF",
    "mean_ibi": "beat interval",
}


def reason(name: str, quantity: str = "", *, advice: bool = True) -> str:
    """A reason as a person says it; what to do about it may depend on the quantity.

    >>> reason("dark")
    'too dark: add light on the face'
    >>> reason("too_short", "rmssd")
    'too short: record for 20 s or more'
    >>> reason("dark", advice=False)
    'too dark'
    """
    what = REASONS[name].what
    return f"{what}: {what_to_do(name, quantity)}" if advice else what


def what_to_do(name: str, quantity: str) -> str:
    """The advice that goes with a reason why a quantity has no value."""
    longer = LONG_ENOUGH.get(quantity) if name == "too_short" else None
    return longer or REASONS[name].advice


def confidence(value: float) -> str:
    """A confidence as a word and a percentage, rounded down so that none is overstated.

    >>> confidence(0.962), confidence(0.8), confidence(0.5), confidence(0.999)
    ('high (96 %)', 'fair (80 %)', 'low (50 %)', 'high (99 %)')
    """
    word = "high" if value >= HIGH else "fair" if value >= FAIR else "low"
    return f"{word} ({int(value * 100 + 1e-9)} %)"


def quantity(name: str) -> str:
    """A quantity as a person says it; names that are not known stay as they are."""
    return QUANTITIES.get(name, name.replace("_", " "))


def estimate(e: Estimate, *, advice: bool = True) -> str:
    """A value with its unit, or why there is none."""
    return reason(e.reason or "low_quality", e.quantity, advice=advice) if e.value is None else number(e.value, e.unit)


def number(value: float, unit: str) -> str:
    """A value with its unit, with no more digits than it can carry.

    >>> number(72.04, "beats/min"), number(0.0, "%"), number(1.234, "")
    ('72.0 beats/min', '0 %', '1.23')
    """
    digits = {"beats/min": 1, "breaths/min": 1, "ms": 0, "%": 0}.get(unit, 2)
    return f"{value:.{digits}f} {unit}".rstrip()


def spread(e: Estimate) -> str:
    """The range over time behind a value, "steady" where both ends are the same when rounded; empty if unknown."""
    low, high = e.quality.get("low"), e.quality.get("high")
    if e.value is None or low is None or high is None:
        return ""
    return f"{low:.0f} to {high:.0f}" if round(low) != round(high) else "steady"


def clock(time_s: float) -> str:
    """A time as a clock shows it.

    >>> clock(5), clock(90), clock(3725)
    ('0:05', '1:30', '1:02:05')
    """
    whole = round(time_s)
    hours = f"{whole // 3600}:{whole // 60 % 60:02d}" if whole >= 3600 else str(whole // 60)
    return f"{hours}:{whole % 60:02d}"


def length(time_s: float) -> str:
    """A stretch of time for reading.

    >>> length(9.5), length(90), length(3725)
    ('9.5 s', '1:30 min', '1:02:05 h')
    """
    if time_s < 59.95:
        return f"{time_s:.1f} s"
    return f"{clock(time_s)} {'min' if time_s < 3599.5 else 'h'}"
