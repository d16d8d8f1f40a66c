"""The surface of a head: skin, blood, hair, beard, brows, lips, eyes, clothes, painted on one sheet.

The sheet unrolls the template head around its vertical axis: columns are angles, rows are heights in decimetres of the
template, with more room for the face. The lowest rows hold eyes, teeth and the like. What is painted holds for every
identity, since all heads are the same triangles in other places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vitalcam.synth import mesh
from vitalcam.synth.people import Person
from vitalcam.types import Floats

WIDTH, HEIGHT = 768, 640
ROLL = 512  # rows of the unrolled head
_AXIS_Z = 0.5
_HEIGHTS, _ROWS = (4.0, 6.0, 7.8, 8.6), (ROLL - 1, 400, 60, 0)
_EYE = (slice(512, 640), slice(0, 128))
_PATCHES = {"teeth": 150, "tongue": 170, "lash": 190, "ear": 230, "glasses": 250}  # first column
_PATCH_ROW = 560
GLASSES_UV = (_PATCHES["glasses"] + 8.0, _PATCH_ROW + 8.0)


@dataclass(frozen=True)
class Looks:
    """What the renderer needs to know of every place on the sheet.

    Attributes:
        uv: (V, 2) column and row of each vertex, in texels; `wrap` marks where a triangle crosses the back.
        melanin, blood: (HEIGHT, WIDTH) volume fractions.
        cover: (HEIGHT, WIDTH) share that is hidden under something without a pulse.
        colour: (HEIGHT, WIDTH, 3) linear reflectance of what hides it.
        perfusion: (HEIGHT, WIDTH) relative pulsation, about 1 on the face.
        delay_s: (HEIGHT, WIDTH) arrival of the pulse, about 0.
        gloss: (HEIGHT, WIDTH).
        warmth_c: (HEIGHT, WIDTH) temperature relative to the forehead; room temperature is handled by `insulation`.
        insulation: (HEIGHT, WIDTH) how far a place is on its way from skin to room temperature.
        airflow: (HEIGHT, WIDTH) 1 where the air of the nose passes.
        lift: (V,) how far hair, beard or cloth stand off, in decimetres.
    """

    uv: Floats
    melanin: Floats
    blood: Floats
    cover: Floats
    colour: Floats
    perfusion: Floats
    delay_s: Floats
    gloss: Floats
    warmth_c: Floats
    insulation: Floats
    airflow: Floats
    lift: Floats


def row_of(y: Any) -> Floats:
    """Row of a height of the template."""
    return np.asarray(np.interp(y, _HEIGHTS, _ROWS))


def _unrolled() -> tuple[Floats, Floats]:
    """Angle (positive to the person's left) and height of every place on the sheet, (HEIGHT, WIDTH)."""
    column, row = np.arange(WIDTH) + 0.5, np.arange(HEIGHT)
    side = 2 * column / WIDTH - 1
    angle = np.pi * np.sign(side) * np.abs(side) ** 1.3
    height = np.interp(row, _ROWS[::-1], _HEIGHTS[::-1])
    return np.broadcast_to(angle, (HEIGHT, WIDTH)), np.broadcast_to(height[:, None], (HEIGHT, WIDTH))


def coordinates() -> Floats:
    """(V, 2) column and row of every vertex of the template."""
    m = mesh.mesh()
    x, y, z = m.base.T.astype(float)
    angle = np.arctan2(x, z - _AXIS_Z) / np.pi
    uv = np.stack([(np.sign(angle) * np.abs(angle) ** (1 / 1.3) + 1) * WIDTH / 2, row_of(y)], axis=-1)
    for part in ("teeth", "tongue", "lash"):
        uv[m.part == mesh.PARTS.index(part)] = _PATCHES[part] + 8, _PATCH_ROW + 8
    skin = m.part == mesh.PARTS.index("skin")
    hair = m.part == mesh.PARTS.index("hair")
    uv[hair, 0] = WIDTH * (0.87 + 0.1 * np.sin(5 * angle[hair] * np.pi))  # strands from the back of the head
    uv[hair, 1] = row_of(7.9 + 0.15 * (y[hair] - 5))
    shoulder = skin & (np.abs(x) > 0.7) & (y < 5.95)
    uv[shoulder, 1] = row_of(np.minimum(y[shoulder], 5.2))
    ear = skin & (np.abs(x) > 0.73) & (y > 6.8) & (y < 7.4) & (z > 0.2) & (z < 0.85)
    uv[ear] = np.stack([_PATCHES["ear"] + 8 + 0 * y[ear], _PATCH_ROW + 8 + 0 * y[ear]], -1)
    for eye in (m.left_eye, m.right_eye):
        centre = (m.base[eye].min(axis=0) + m.base[eye].max(axis=0)) / 2
        radius = np.ptp(m.base[eye][:, 1]) / 2
        uv[eye, 0] = _EYE[1].start + 64 + 60 * (x[eye] - centre[0]) / radius
        uv[eye, 1] = _EYE[0].start + 64 - 60 * (y[eye] - centre[1]) / radius
    return np.asarray(uv)


def _edge(distance: Any, softness: float) -> Floats:
    """From 0 where a distance is negative to 1 where it is positive."""
    return np.asarray(1 / (1 + np.exp(-np.clip(np.asarray(distance) / softness, -30, 30))))


def _spot(dx: Any, dy: Any, rx: float, ry: float) -> Floats:
    return np.asarray(np.exp(-((dx / rx) ** 2) - (dy / ry) ** 2))


class _Sheet:
    """Painter's state: the coordinates and helpers for noise."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.angle, self.y = _unrolled()
        self.x = np.sin(np.clip(self.angle, -1.5, 1.5)) * 0.9  # across the face, near enough to decimetres
        self.front = _edge(1.35 - np.abs(self.angle), 0.08)

    def noise(self, columns: float, rows: float) -> Floats:
        """Smooth noise of unit variance with the given correlation lengths, in texels."""
        from scipy.ndimage import gaussian_filter

        step_y, step_x = (max(int(length / 3), 1) for length in (rows, columns))
        size = (-(-HEIGHT // step_y) + 1, -(-WIDTH // step_x) + 1)
        coarse = gaussian_filter(
            self.rng.standard_normal(size), (rows / step_y, columns / step_x), mode="wrap", truncate=3
        )
        along = _stretched(coarse / coarse.std(), step_y, HEIGHT)
        return _stretched(along.T, step_x, WIDTH).T


def _stretched(values: Floats, step: int, length: int) -> Floats:
    """The first axis at a finer grid, by straight lines."""
    if step == 1:
        return values[:length]
    place = np.arange(length) / step
    low = place.astype(int)
    part = (place - low)[:, None]
    return np.asarray(values[low] * (1 - part) + values[low + 1] * part)


def paint(person: Person) -> Looks:
    """Everything on the sheet of one person."""
    sheet = _Sheet(person.seed)
    melanin, blood = _skin(sheet, person)
    lips = _lips(sheet)
    cover, colour = np.zeros((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH, 3))
    hair, beard = _hair(sheet, person), _beard(sheet, person, lips)
    strands = np.exp(0.35 * sheet.noise(1.2, 14) + 0.25 * sheet.noise(5, 40))
    _put(cover, colour, person.makeup * sheet.front * _edge(sheet.y - 6.1, 0.03), _foundation(person))
    for layer, darker in ((_brows(sheet, person), 0.45), (beard, 0.8), (hair, 1.0)):
        _put(cover, colour, layer, darker * np.array(person.hair_rgb) * strands[..., None])
    cloth = _edge(_neckline(sheet) - sheet.y, 0.01)
    weave = 1 + 0.04 * sheet.noise(1, 1) + 0.06 * sheet.noise(30, 20)
    _put(cover, colour, cloth, np.array(person.clothes_rgb) * weave[..., None])
    mask = _mask(sheet) if person.mask else np.zeros_like(cover)
    _put(cover, colour, mask, (0.35, 0.55, 0.65))
    _patches(person, cover, colour, melanin, blood)
    perfusion, delay = _circulation(sheet, lips)
    warmth = _warmth(sheet)
    uv = coordinates()
    lift = _lift(person, uv, hair, beard, cloth, mask)
    gloss = person.gloss * (
        0.7 + 0.6 * _spot(sheet.x, sheet.y - 7.8, 0.5, 0.25) + 0.7 * _spot(sheet.x, sheet.y - 7, 0.12, 0.3)
    )
    gloss = gloss * (1 - 0.85 * np.maximum(cover, mask)) * np.exp(0.25 * sheet.noise(3, 3))
    insulation = np.clip(0.75 * hair + 0.3 * beard + 0.65 * cloth + 0.5 * mask, 0, 0.85)
    glasses = np.s_[_PATCH_ROW : _PATCH_ROW + 16, _PATCHES["glasses"] : _PATCHES["glasses"] + 16]
    insulation[ROLL:], warmth[ROLL:], perfusion[ROLL:], insulation[glasses] = 0.05, -0.5, 0.6, 0.85
    airflow = _spot(np.abs(sheet.x) - 0.06, sheet.y - 6.86, 0.05, 0.05) + 0.4 * _spot(sheet.x, sheet.y - 6.68, 0.2, 0.1)
    thermal = (warmth, insulation, airflow)
    return Looks(uv, melanin, blood, cover, colour, perfusion, delay, gloss, *thermal, lift)


def _put(cover: Floats, colour: Floats, layer: Floats, rgb: Any) -> None:
    """Lay a layer with opacity 0..1 over what hides the skin; colour stays that of the hiding matter alone."""
    total = layer + cover * (1 - layer)
    share = np.divide(layer, total, out=np.zeros_like(total), where=total > 1e-6)[..., None]
    colour[:] = colour * (1 - share) + np.asarray(rgb) * share
    cover[:] = total


def _foundation(person: Person) -> Floats:
    from vitalcam.synth.skin import skin_colour

    return skin_colour(min(person.melanin * 1.1, 0.43), 0.02)


def _skin(s: _Sheet, person: Person) -> tuple[Floats, Floats]:
    dark = 0.10 * s.noise(60, 60) + 0.06 * s.noise(8, 8) + 0.05 * s.noise(1.5, 1.5)
    freckles = np.clip(s.noise(2.2, 2.2) - s.rng.uniform(1.8, 3.4), 0, 1) * s.front
    eyes = sum(_spot(s.x - 0.31 * side, s.y - 7.2, 0.2, 0.12) for side in (-1, 1))
    melanin = person.melanin * np.exp(dark + (0.9 if person.skin_type < 5 else 0.3) * freckles + 0.25 * eyes)
    lips = _lips(s)
    melanin = melanin * (1 - (0.45 if person.skin_type < 5 else 0.15) * lips)
    cheeks = sum(_spot(s.x - 0.45 * side, s.y - 6.95, 0.25, 0.22) for side in (-1, 1))
    nose, ears = _spot(s.x, s.y - 6.95, 0.13, 0.16), _edge(np.abs(s.angle) - 1.4, 0.05)
    flush = 0.4 * cheeks + 0.35 * nose + 0.2 * ears + 1.3 * lips + 0.14 * s.noise(20, 20) + 0.12 * s.noise(3, 3)
    return np.clip(melanin, 0.006, 0.44), np.clip(person.blood * np.exp(flush), 0.004, 0.14)


def _lips(s: _Sheet) -> Floats:
    half = 0.285
    inside = np.clip(1 - (s.x / half) ** 2, 0, 1)
    top = 6.615 + 0.125 * inside**0.6 - 0.02 * _spot(s.x, 0, 0.035, 1)
    bottom = 6.60 - 0.145 * inside**0.55
    return _edge(np.minimum(top - s.y, s.y - bottom), 0.008) * (np.abs(s.x) < half) * s.front


def _brows(s: _Sheet, person: Person) -> Floats:
    thick = (0.045 if person.shape.male > 0.5 else 0.03) * (0.8 + 0.5 * s.rng.random())
    along = (np.abs(s.x) - 0.10) / 0.46
    arch = 7.455 + 0.085 * np.sin(np.clip(along, 0, 1) * 2.2)
    width = thick * np.clip(1.2 - 0.75 * along, 0.15, 1)
    shape = _edge(width - np.abs(s.y - arch), 0.012) * _edge(along, 0.04) * _edge(1 - along, 0.05) * s.front
    return np.clip(shape * (0.85 + 0.2 * s.noise(2, 2)), 0, 0.95)


def _hair(s: _Sheet, person: Person) -> Floats:
    if person.haircut == "bald":
        return np.zeros((HEIGHT, WIDTH))
    a = np.abs(s.angle)
    front = 7.98 + 0.22 * person.hairline - 0.04 * np.cos(3 * s.angle) + 0.03 * s.noise(30, 1)[:1]
    temple = np.interp(a, [0, 0.55, 0.95, 1.12, 1.3, 1.75, 2.1, 3.2], [0, 0, -0.22, -0.55, -0.9, -0.8, -1.35, -1.75])
    cut = _edge(s.y - (front + temple), 0.03)
    density = {"buzz": 0.8, "short": 0.97}.get(person.haircut, 1.0)
    thinning = 1 - 0.5 * person.hairline * _spot(a, s.y - 8.5, 1.0, 0.3)
    return np.clip(cut * density * thinning, 0, 1)


def _beard(s: _Sheet, person: Person, lips: Floats) -> Floats:
    if person.beard == "none":
        return np.zeros((HEIGHT, WIDTH))
    a = np.abs(s.angle)
    line = np.interp(a, [0, 0.35, 0.75, 1.1, 1.35], [6.5, 6.62, 6.62, 6.85, 7.25])
    jaw = _edge(line - s.y, 0.05) * _edge(s.y - 6.02, 0.04) * _edge(1.42 - a, 0.04)
    lip = _edge(0.05 - np.abs(s.y - 6.775 + 0.35 * s.x**2), 0.02) * _edge(0.33 - np.abs(s.x), 0.03)
    chin = _edge(6.46 - s.y, 0.03) * _edge(0.26 - np.abs(s.x), 0.04) * _edge(s.y - 6.02, 0.04)
    areas = {
        "stubble": np.maximum(jaw, lip),
        "full": np.maximum(jaw, lip),
        "moustache": lip,
        "goatee": np.maximum(lip, chin),
    }
    density = 0.35 if person.beard == "stubble" else 0.93
    speckle = np.clip(1 + 0.5 * s.noise(1, 1), 0, 1) if person.beard == "stubble" else 1.0
    return np.asarray(areas[person.beard] * (1 - lips) * density * speckle * s.front)  # fmt: skip


def _neckline(s: _Sheet) -> Floats:
    depth = s.rng.uniform(0.0, 0.4)
    return np.asarray(5.72 - (0.22 + depth) * _spot(s.angle, 0, 0.9, 1))


def _mask(s: _Sheet) -> Floats:
    top = 7.02 - 0.12 * np.abs(s.angle)
    return _edge(np.minimum(top - s.y, s.y - 6.1 - 0.15 * np.abs(s.angle)), 0.01) * _edge(1.1 - np.abs(s.angle), 0.02)


def _circulation(s: _Sheet, lips: Floats) -> tuple[Floats, Floats]:
    forehead = _spot(s.x, s.y - 7.75, 0.6, 0.3)
    cheeks = sum(_spot(s.x - 0.45 * side, s.y - 6.95, 0.3, 0.3) for side in (-1, 1))
    neck = _edge(6.1 - s.y, 0.05)
    level = 0.7 + 0.45 * forehead + 0.45 * cheeks - 0.35 * neck - 0.3 * lips
    perfusion = np.clip(level * np.exp(0.22 * s.noise(35, 35) + 0.15 * s.noise(12, 12)), 0.05, 3)
    delay = 0.012 * cheeks - 0.006 * forehead + 0.015 * neck + 0.006 * s.noise(50, 50)
    return perfusion, delay


def _warmth(s: _Sheet) -> Floats:
    nose = _spot(s.x, s.y - 6.93, 0.16, 0.14)
    corners = sum(_spot(s.x - 0.14 * side, s.y - 7.25, 0.06, 0.06) for side in (-1, 1))
    cheeks = sum(_spot(s.x - 0.5 * side, s.y - 6.9, 0.3, 0.3) for side in (-1, 1))
    ears = _edge(np.abs(s.angle) - 1.45, 0.05)
    return np.asarray(
        -1.8 * nose + 1.0 * corners - 0.9 * cheeks - 1.0 * ears + 0.2 * _edge(6.1 - s.y, 0.1) + 0.15 * s.noise(25, 25)
    )


def _patches(person: Person, cover: Floats, colour: Floats, melanin: Floats, blood: Floats) -> None:
    """Eyes, teeth, tongue, lashes, the dark of the mouth, ears, glasses; the rows below the unrolled head."""
    cover[ROLL:], colour[ROLL:] = 1.0, 0.3
    y, x = np.mgrid[-64:64, -64:64] / 60.0
    r = np.hypot(x, y)
    white = 0.55 * np.array([1, 0.93, 0.88]) * (1 - 0.35 * np.clip(r - 0.3, 0, 1))[..., None]
    iris = np.array(person.eye_rgb) * (0.8 + 0.35 * np.cos(17 * np.arctan2(y, x)) ** 2 * (r > 0.2))[..., None]
    eye = white + (iris - white) * _edge(0.42 - r, 0.02)[..., None]
    eye = eye * (1 - 0.98 * _edge(0.17 - r, 0.02) - 0.4 * _spot(r - 0.42, 0, 0.05, 1))[..., None]
    eye = eye + 0.9 * _spot(x + 0.13, y + 0.16, 0.07, 0.07)[..., None]
    colour[_EYE] = np.clip(eye, 0.002, 1.2)
    for name, rgb in {
        "teeth": (0.55, 0.5, 0.4), "tongue": (0.3, 0.1, 0.09), "lash": (0.01, 0.008, 0.007),
        "glasses": person.glasses_rgb,
    }.items():  # fmt: skip
        colour[_PATCH_ROW : _PATCH_ROW + 16, _PATCHES[name] : _PATCHES[name] + 16] = rgb
    ear = (slice(_PATCH_ROW, _PATCH_ROW + 16), slice(_PATCHES["ear"], _PATCHES["ear"] + 16))
    cover[ear], melanin[ear], blood[ear] = 0, person.melanin, min(1.3 * person.blood, 0.14)


def _lift(person: Person, uv: Floats, hair: Floats, beard: Floats, cloth: Floats, mask: Floats) -> Floats:
    rows, columns = np.clip(uv[:, 1].astype(int), 0, HEIGHT - 1), np.clip(uv[:, 0].astype(int), 0, WIDTH - 1)
    m = mesh.mesh()
    skin = m.part == mesh.PARTS.index("skin")
    thick = {"bald": 0.0, "buzz": 0.03, "short": 0.11, "medium": 0.18, "long": 0.16}[person.haircut]
    rough = np.random.default_rng(person.seed).uniform(0.75, 1.25, len(uv))
    bushy = {"full": 0.1, "goatee": 0.06, "moustache": 0.03}.get(person.beard, 0.0)
    at = (rows, columns)
    top = np.clip((m.base[:, 1] - 7.2) / 1.0, 0.35, 1)
    lift = thick * top * rough * hair[at] + bushy * rough * beard[at] + 0.06 * cloth[at] + 0.07 * mask[at]
    return np.where(skin, lift, 0.0)
