"""What is filmed: person, heart, breath, movement, light, backdrop and camera, as frozen plain values.

A scene is a function of its recipe and seed alone; `digest` names it. How it unfolds in time is in `acting`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from vitalcam.synth.breath import Breath
from vitalcam.synth.people import Person
from vitalcam.synth.pulse import Heart

VERSION = 2
"""Raised when the same scene would look different; part of every digest."""


@dataclass(frozen=True)
class Movement:
    """How the person and the camera move.

    Attributes:
        sway_deg, sway_dm: slow wandering of the head, standard deviation of each axis.
        turn_deg, turn_hz: turning left and right, amplitude and rate.
        nod_deg, nod_hz: the same up and down.
        glide_dm, glide_hz: moving sideways.
        steps_hz, step_dm: rate and height of steps, or of bounces on a treadmill or bicycle.
        talk: how much the person speaks, 0..1.
        smile: strength of occasional smiles, 0..1.
        blinks_per_min: blinks.
        shake: shaking of the camera, standard deviation as a share of the picture's width.
        seed: of all of these.
    """

    sway_deg: float = 0.6
    sway_dm: float = 0.02
    turn_deg: float = 0.0
    turn_hz: float = 0.2
    nod_deg: float = 0.0
    nod_hz: float = 0.25
    glide_dm: float = 0.0
    glide_hz: float = 0.2
    steps_hz: float = 1.8
    step_dm: float = 0.0
    talk: float = 0.0
    smile: float = 0.0
    blinks_per_min: float = 14.0
    shake: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Lighting:
    """The light.

    Attributes:
        spectrum: name in `vitalcam.synth.skin.LIGHTS`.
        azimuth_deg, elevation_deg: where the main lamp is, from the camera: positive to the right of the picture, up.
        sharpness: 3 a large window .. 60 a bulb.
        key, fill: shares of light from the lamp and from all around.
        above: how much more of the fill comes from above.
        level: brightness, 1 a well lit room; the camera has to make up for less.
        flicker, flicker_hz: depth and rate of the lamp's flicker (100 or 120 Hz; it is the exposure that shows it).
        screen: share of light that comes from a screen whose picture changes.
        clouds: depth of slow changes of all light.
        shadow: depth of shadows that pass over the lamp.
        seed: of the changes.
    """

    spectrum: str = "daylight"
    azimuth_deg: float = 30.0
    elevation_deg: float = 35.0
    sharpness: float = 8.0
    key: float = 0.6
    fill: float = 0.4
    above: float = 0.2
    level: float = 1.0
    flicker: float = 0.0
    flicker_hz: float = 100.0
    screen: float = 0.0
    clouds: float = 0.0
    shadow: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Backdrop:
    """What is behind the person.

    Attributes:
        level: mean reflectance.
        things: number of objects.
        moving: 0 still .. 1 things pass behind the person.
        seed: of the objects.
    """

    level: float = 0.25
    things: int = 12
    moving: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Camera:
    """The camera and what becomes of its pictures.

    Attributes:
        width, height: in pixels.
        fps_hz: nominal rate.
        distance_dm: from the camera to the eyes.
        focal: focal length as a share of the picture's width.
        spectrum: name in `vitalcam.synth.skin.CAMERAS`.
        electrons: that fill a pixel at white in a well lit room; fewer are noisier.
        read_electrons: noise of reading a pixel.
        exposure_s: time that the shutter is open.
        rolling_s: time from the first row's exposure to the last row's.
        hunting: depth of the changes of exposure and white balance by the camera's automatics.
        sharpening: of edges, as cheap cameras do, 0..1.
        gamma: exponent of the tone curve relative to sRGB, 1 is sRGB.
        jitter_s: standard deviation of the times of frames.
        dropped: share of frames that are lost.
        codec, crf: how a recording is written: "ffv1" (exact), "libx264" with its quality, "mjpeg".
        thermal: whether a thermal camera films too.
        seed: of the noise.
    """

    width: int = 640
    height: int = 480
    fps_hz: float = 30.0
    distance_dm: float = 7.0
    focal: float = 1.0
    spectrum: str = "colorimetric"
    electrons: float = 6000.0
    read_electrons: float = 4.0
    exposure_s: float = 1 / 60
    rolling_s: float = 0.015
    hunting: float = 0.0
    sharpening: float = 0.0
    gamma: float = 1.0
    jitter_s: float = 0.0
    dropped: float = 0.0
    codec: str = "libx264"
    crf: int = 8
    thermal: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """One recording to be.

    Attributes:
        scenario: name of the recipe that it was drawn from.
        identity: number of the person; data are split by it.
        person, heart, breath, movement, lighting, backdrop, camera: see there.
        pulse: False for the null twin: the same in all but the blood, which stands still.
        duration_s: length.
        seed: of heart and breath in time.
    """

    scenario: str
    identity: int
    person: Person
    heart: Heart
    breath: Breath
    movement: Movement
    lighting: Lighting
    backdrop: Backdrop
    camera: Camera
    pulse: bool = True
    duration_s: float = 20.0
    seed: int = 0

    def null_twin(self) -> Scene:
        """The same clip without a pulse."""
        return dataclasses.replace(self, pulse=False)

    def attributes(self) -> dict[str, Any]:
        """Everything as plain values, nested as the classes are."""
        return {"version": VERSION, **dataclasses.asdict(self)}

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of all attributes."""
        text = json.dumps(self.attributes(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]
