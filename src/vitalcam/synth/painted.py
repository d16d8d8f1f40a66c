"""Painted faces: flat, simple, fast people of known pulse and breath, for tests and the demo.

A face is one shaded picture that a face detector accepts. Blood darkens its skin in proportion to a given waveform,
the picture moves by fractions of a pixel, the light changes, the sensor adds noise. Only NumPy is needed. What looks
like a person and is hard to measure is made by the other modules of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitalcam.types import Bytes, Floats

Float32 = NDArray[np.float32]
Colour = tuple[float, float, float]
Waveform = Callable[[Floats], Floats]

PULSE_RATIO: Colour = (0.33, 0.77, 0.53)  # relative pulsatility of R, G, B: de Haan, van Leest, Physiol Meas 2014
_TOP, _BOTTOM, _SIDE = -1.45, 2.6, 1.75  # what is painted around the centre of the face, in half face heights


@dataclass(frozen=True)
class PaintedFace:
    """What a face looks like; colours are R, G, B 0..255 as displayed."""

    skin_rgb: Colour = (205, 160, 135)
    hair_rgb: Colour = (60, 42, 30)
    eye_rgb: Colour = (80, 60, 40)
    clothes_rgb: Colour = (70, 85, 120)


@dataclass(frozen=True)
class PersonOnScreen:
    """A painted person: where, how it moves, and what its blood does.

    Attributes:
        heart_rate_bpm: rate of the built-in pulse; None for a person without pulse.
        resp_rate_bpm: rate of the breath that moves the chin and modulates the pulse a little; None for no breath.
        pulse: blood volume over time in place of the built-in one, about 1 from trough to peak; times (T,) to (T,).
        amplitude: peak-to-peak change of the skin's green value per unit of pulse, as a fraction of it.
        pulse_ratio: how much red, green and blue change, relative to each other.
        centre: of the face, as fractions of the picture's width and height.
        face_height: from hairline to chin, as a fraction of the picture's height.
        motion: time to shift right and down, in widths of the face.
        visible: whether the person is there at a time.
        face: looks.
    """

    heart_rate_bpm: float | None = 72.0
    resp_rate_bpm: float | None = 15.0
    pulse: Waveform | None = None
    amplitude: float = 0.008
    pulse_ratio: Colour = PULSE_RATIO
    centre: tuple[float, float] = (0.5, 0.45)
    face_height: float = 0.5
    motion: Callable[[float], tuple[float, float]] | None = None
    visible: Callable[[float], bool] | None = None
    face: PaintedFace = field(default_factory=PaintedFace)

    def bvp(self, times_s: Floats) -> Floats:
        """Blood volume at times (T,), about 1 from trough to peak; zeros without a pulse."""
        times_s = np.asarray(times_s, float)
        if self.pulse is not None:
            return np.asarray(self.pulse(times_s), float)
        if self.heart_rate_bpm is None:
            return np.zeros_like(times_s)
        return (1 + 0.1 * self.breath(times_s)) * beat(times_s * self.heart_rate_bpm / 60)

    def breath(self, times_s: Floats) -> Floats:
        """Breath at times (T,), -1..1; zeros without breath."""
        times_s = np.asarray(times_s, float)
        if self.resp_rate_bpm is None:
            return np.zeros_like(times_s)
        return np.asarray(np.sin(times_s * self.resp_rate_bpm * np.pi / 30))

    def shift(self, time_s: float) -> tuple[float, float]:
        """Shift right and down at a time, in widths of the face, breath included."""
        dx, dy = self.motion(time_s) if self.motion else (0.0, 0.0)
        return dx, dy - 0.004 * float(self.breath(np.array([time_s]))[0])


@dataclass(frozen=True)
class Scene:
    """What the camera sees.

    Attributes:
        width, height: of the picture in pixels.
        people: painted in order, later ones in front.
        background: one colour, or a picture (height, width, 3).
        noise_sigma: standard deviation of the noise of each value, in grey levels.
        light: time to gain of the light; 1 is normal, 0 is dark.
        seed: of the noise.
    """

    width: int = 640
    height: int = 480
    people: tuple[PersonOnScreen, ...] = (PersonOnScreen(),)
    background: Colour | Bytes = (120, 130, 138)
    noise_sigma: float = 1.0
    light: Callable[[float], float] | None = None
    seed: int = 0


def beat(cycles: Floats) -> Floats:
    """Blood volume of a regular pulse: a rounded rise, a slower fall with a second wave, 1 from trough to peak.

    Args:
        cycles: (T,) time in beats.

    >>> float(np.ptp(beat(np.linspace(0, 1, 1000)))).__round__(2)
    1.0
    """
    angle = 2 * np.pi * cycles
    return np.asarray((np.sin(angle) + 0.4 * np.sin(2 * angle - 0.5) + 0.12 * np.sin(3 * angle - 1.0)) / 2.41)


def render(scene: Scene, times_s: Floats) -> Iterator[Bytes]:
    """Pictures of a scene at times (T,), one after the other: (H, W, 3) uint8 RGB, identical for equal scenes."""
    rng = np.random.default_rng(scene.seed)
    ground = np.empty((scene.height, scene.width, 3), np.float32)
    ground[:] = scene.background
    noise = rng.standard_normal(ground.size + 65521, np.float32) * np.float32(scene.noise_sigma)
    noise += np.float32(0.5)  # the cut to whole numbers below then rounds
    figures = [_Figure(person, scene) for person in scene.people]
    pulses = [person.bvp(times_s) for person in scene.people]
    for index, time_s in enumerate(map(float, times_s)):
        picture = ground.copy()
        for figure, pulse in zip(figures, pulses, strict=True):
            figure.put(picture, time_s, float(pulse[index]))
        if scene.light is not None:
            picture *= np.float32(scene.light(time_s))
        start = int(rng.integers(65521))  # the same noise elsewhere: a hundredth of the cost of new noise
        picture += noise[start : start + picture.size].reshape(picture.shape)
        yield np.clip(picture, 0, 255, out=picture).astype(np.uint8)


class _Figure:
    """A person painted once, then darkened by its pulse and moved by fractions of a pixel."""

    def __init__(self, person: PersonOnScreen, scene: Scene) -> None:
        self.person = person
        self.unit_px = person.face_height * scene.height / 2
        self.origin_px = (person.centre[0] * scene.width, person.centre[1] * scene.height)
        self.still, change = _paint(person, self.unit_px)
        rows, columns = (np.flatnonzero(change.any(axis=(axis, 2))) for axis in (1, 0))
        self.skin = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        self.change = change[self.skin]

    def put(self, picture: Float32, time_s: float, pulse: float) -> None:
        """Paint the person over a picture (H, W, 3)."""
        if self.person.visible is not None and not self.person.visible(time_s):
            return
        dx, dy = self.person.shift(time_s)
        width_px = 1.5 * self.unit_px
        left = self.origin_px[0] + dx * width_px - _SIDE * self.unit_px
        top = self.origin_px[1] + dy * width_px + _TOP * self.unit_px
        layer = self.still.copy()
        layer[self.skin][..., :3] -= np.float32(pulse) * self.change
        rows, layer = _moved(layer, top, picture.shape[0])
        columns, layer = _moved(layer.swapaxes(0, 1), left, picture.shape[1])
        layer = layer.swapaxes(0, 1)
        below = picture[rows, columns]
        below *= 1 - layer[..., 3:]
        below += layer[..., :3]


def _moved(layer: Float32, start: float, limit: int) -> tuple[slice, Float32]:
    """The first axis of a layer laid at a fractional pixel: the pixels that it covers, and its values there."""
    first = int(np.floor(start)) + 1  # pixel first + k lies between samples k and k + 1
    stop = max(min(first + len(layer) - 1, limit), 0)
    begin = min(max(first, 0), stop)
    low = layer[begin - first : stop - first]
    high = layer[begin - first + 1 : stop - first + 1]
    return slice(begin, stop), low + np.float32(1 - start % 1) * (high - low)


def _paint(person: PersonOnScreen, unit_px: float) -> tuple[Float32, Float32]:
    """A person: (h, w, 4) colour times cover, and cover; (h, w, 3) loss of colour per unit of pulse."""
    y, x = np.mgrid[_TOP : _BOTTOM : 1 / unit_px, -_SIDE : _SIDE : 1 / unit_px]
    canvas = _Canvas(x, y, soft=1.2 / unit_px)
    _draw(canvas, person.face)
    weight = person.amplitude * np.array(person.pulse_ratio) / person.pulse_ratio[1]
    cover = canvas.cover[..., None]
    still = np.concatenate([canvas.rgb * cover, cover], axis=-1)
    change = still[..., :3] * canvas.skin[..., None] * weight
    edge = ((1, 1), (1, 1), (0, 0))
    return np.pad(still.astype(np.float32), edge), np.pad(change.astype(np.float32), edge)


class _Canvas:
    """Coordinates in half face heights, y down, and what was painted so far."""

    def __init__(self, x: Floats, y: Floats, soft: float) -> None:
        self.x, self.y, self.soft = x, y, soft
        self.rgb = np.zeros((*x.shape, 3))
        self.cover = np.zeros(x.shape)
        self.skin = np.zeros(x.shape)

    def inside(self, distance: Floats) -> Floats:
        """Cover of a shape from the signed distance to its edge, negative inside."""
        return np.asarray(np.clip(0.5 - distance / (2 * self.soft), 0, 1))

    def ellipse(self, cx: float, cy: float, rx: float, ry: float) -> Floats:
        """Cover of an ellipse."""
        return self.inside((np.hypot((self.x - cx) / rx, (self.y - cy) / ry) - 1) * min(rx, ry))

    def blob(self, cx: float, cy: float, rx: float, ry: float) -> Floats:
        """A soft spot, 1 in its middle."""
        return np.asarray(np.exp(-(((self.x - cx) / rx) ** 2) - ((self.y - cy) / ry) ** 2))

    def fill(self, cover: Floats, rgb: Colour | Floats, *, skin: float = 0.0) -> None:
        """Paint a colour, or a picture, over what is there."""
        c = cover[..., None]
        self.rgb = self.rgb * (1 - c) + np.asarray(rgb) * c
        self.cover = self.cover + (1 - self.cover) * cover
        self.skin = self.skin * (1 - cover) + skin * cover

    def shade(self, amount: Floats) -> None:
        """Darken (negative) or lighten."""
        self.rgb *= (1 + amount)[..., None]


def _draw(c: _Canvas, face: PaintedFace) -> None:
    skin, hair = np.array(face.skin_rgb), np.array(face.hair_rgb)
    c.fill(c.ellipse(0, -0.18, 0.9, 1.12), 0.8 * hair)
    c.fill(c.ellipse(0, 2.4, 1.6, 1.1), face.clothes_rgb)
    c.fill(c.inside(np.maximum(np.abs(c.x) - 0.42 - 0.1 * (c.y - 1) ** 2, np.abs(c.y - 1) - 0.5)), 0.72 * skin, skin=1)
    for side in (-1, 1):
        c.fill(c.ellipse(0.76 * side, 0.05, 0.09, 0.22), 0.85 * skin, skin=1)
    taper = 0.76 * (1 - 0.14 * np.clip(c.y, 0, 1) ** 2)
    c.fill(c.inside((np.hypot(c.x / taper, c.y) - 1) * 0.75), _lit(c, taper)[..., None] * skin, skin=1)
    _draw_relief(c)
    for side in (-1, 1):
        _draw_eye(c, 0.3 * side, face)
    _draw_mouth(c, skin)
    fringe = c.ellipse(0, -0.95, 0.82, 0.42) * c.ellipse(0, -0.18, 0.9, 1.12)
    c.fill(fringe, hair * (1 + 0.06 * np.sin(40 * c.x + 3 * np.sin(7 * c.x)))[..., None])


def _lit(c: _Canvas, taper: Floats) -> Floats:
    """Light on a round head, from above and the left."""
    x, y = c.x / taper, 0.9 * c.y
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    return np.asarray(0.68 + 0.38 * np.clip(-0.25 * x - 0.3 * y + 0.9 * z, 0, 1))


def _draw_relief(c: _Canvas) -> None:
    for side in (-1, 1):
        c.shade(-0.22 * c.blob(0.29 * side, -0.14, 0.2, 0.13))  # sockets
        c.shade(0.06 * c.blob(0.4 * side, 0.22, 0.18, 0.15))  # cheeks
        c.shade(-0.13 * c.blob(0.14 * side, 0.2, 0.05, 0.2))  # sides of the nose
        c.shade(-0.5 * c.blob(0.075 * side, 0.335, 0.035, 0.022))  # nostrils
        c.shade(-0.12 * c.blob(0.27 * side, 0.47, 0.04, 0.12))  # folds
    c.shade(0.1 * c.blob(0, 0.1, 0.06, 0.25))
    c.shade(-0.2 * c.blob(0, 0.37, 0.14, 0.03))
    c.shade(-0.15 * c.blob(0, 0.76, 0.2, 0.04))


def _draw_eye(c: _Canvas, x: float, face: PaintedFace) -> None:
    brow = np.clip(0.5 - (np.abs(c.y + 0.3 - 0.3 * (c.x - x) ** 2) - 0.035) / (2 * c.soft), 0, 1)
    c.fill(0.85 * brow * c.ellipse(x, -0.28, 0.2, 0.1), face.hair_rgb)
    opening = c.ellipse(x, -0.08, 0.135, 0.062)
    c.fill(c.ellipse(x, -0.09, 0.15, 0.078), (70, 48, 40))
    c.fill(opening, (228, 222, 216))
    c.fill(opening * c.ellipse(x, -0.085, 0.062, 0.062), face.eye_rgb)
    c.fill(opening * c.ellipse(x, -0.085, 0.028, 0.028), (15, 12, 12))
    c.fill(c.ellipse(x - 0.02, -0.105, 0.014, 0.014), (250, 250, 250))


def _draw_mouth(c: _Canvas, skin: Floats) -> None:
    lips = skin * (0.85, 0.6, 0.62)
    c.fill(c.ellipse(0, 0.565, 0.24, 0.05), 0.92 * lips)
    c.fill(c.ellipse(0, 0.605, 0.21, 0.06), lips)
    c.fill(c.ellipse(0, 0.58, 0.22, 0.012), 0.35 * lips)
