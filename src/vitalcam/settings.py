"""What a user may choose about a measurement."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from vitalcam import config
from vitalcam.errors import ConfigError

HEART_RATE_BPM = (40.0, 200.0)
"""Heart rates that are looked for."""

RESP_RATE_PER_MIN = (5.0, 35.0)
"""Breathing rates that are looked for."""

MIN_SIGNAL_S = 4.5
"""No heart rate from less: three beats at 40 beats/min."""

DEFAULT_MODEL = "physfsunet_small"
"""The network of the package that measures where nothing else was asked for; empty where the package has none."""

THERMAL_MODEL = "mmrphys_9_rgbt"
"""The network of the package that measures where a thermal video lies beside the colour video."""

FALLBACK_METHOD = "pos"
"""What measures in its place."""


@dataclass(frozen=True)
class Settings:
    """Choices of one measurement; the defaults are what `vitalcam measure` does.

    Attributes:
        method: a classical method (`vitalcam methods`) in place of the network.
        model: a network (`vitalcam models`) in place of either.
        backend: what runs the network; see `vitalcam.runtime.Model.load`.
        faces: how many faces to follow at most; None for all.
        window_s: length of a heart-rate window.
        step_s: distance of windows.
        resp_window_s: length of a breathing window; at least 15 s.
        min_confidence: a number is given from this confidence on.

    Raises:
        ConfigError: a value is out of its range.
    """

    method: str = ""
    model: str = ""
    backend: Literal["onnx", "openvino", "torch"] = "onnx"
    faces: int | None = 1
    window_s: float = 10.0
    step_s: float = 1.0
    resp_window_s: float = 30.0
    min_confidence: float = 0.8

    def __post_init__(self) -> None:
        config.check_types(self)
        checks = [
            (self.faces is None or self.faces >= 1, "faces", "1 or more, or None for all"),
            (MIN_SIGNAL_S <= self.window_s <= 120, "window_s", f"{MIN_SIGNAL_S:g} to 120 seconds"),
            (0.2 <= self.step_s <= self.window_s, "step_s", "0.2 seconds to the window's length"),
            (15 <= self.resp_window_s <= 120, "resp_window_s", "15 to 120 seconds"),
            (0 <= self.min_confidence <= 1, "min_confidence", "0 to 1"),
        ]
        for ok, name, allowed in checks:
            if not ok:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be {allowed}")

    def resolved(self, *, thermal: bool = False) -> Settings:
        """The same with the name of what measures, where that was left to us.

        Args:
            thermal: whether a thermal video lies beside.
        """
        if self.method or self.model:
            return self
        if thermal:
            return dataclasses.replace(self, model=THERMAL_MODEL)
        return dataclasses.replace(self, model=DEFAULT_MODEL, method="" if DEFAULT_MODEL else FALLBACK_METHOD)
