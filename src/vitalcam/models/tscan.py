"""TS-CAN: DeepPhys whose motion branch sees neighbouring frames by shifting channels; with one head or two.

Paper: Liu, Fromm, Patel, McDuff, "Multi-Task Temporal Shift Attention Networks for On-Device Contactless Vitals
Measurement", NeurIPS 2020 (MTTS-CAN with the second head). Checked against: the rPPG-Toolbox.
"""

from __future__ import annotations

import dataclasses

from vitalcam.models._layers import chosen
from vitalcam.models.deepphys import RELEASED_KEYS as RELEASED_KEYS
from vitalcam.models.deepphys import MotionAppearance
from vitalcam.types import ModelSpec

SEGMENT = 10
"""Frames that are shifted together."""

SPEC = ModelSpec(
    name="tscan",
    outputs=("bvp",),
    paper="Liu, Fromm, Patel, McDuff: Multi-Task Temporal Shift Attention Networks for On-Device Contactless Vitals "
    "Measurement, NeurIPS 2020",
    size_px=72,
    frames=180,
    frames_multiple=SEGMENT,
    transform="diff+standardized",
    parameters=2_228_643,
    variants=("toolbox", "two_task"),
)
VARIANTS = {
    "toolbox": SPEC,
    "two_task": dataclasses.replace(SPEC, outputs=("bvp", "resp"), parameters=4_326_052),
}


def build(variant: str = "", *, size_px: int = SPEC.size_px, channels: int = 3) -> MotionAppearance:
    """The network of a row of `VARIANTS`, "toolbox" if none is named."""
    tasks = VARIANTS[chosen(variant, VARIANTS)].outputs
    return MotionAppearance(size_px, channels, segment=SEGMENT, tasks=tasks, name="tscan")
