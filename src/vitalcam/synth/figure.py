"""A person as tensors: shape, expressions, how light reaches every vertex, and the painted sheet.

Light is handled as precomputed transfer (Sloan, Kautz, Snyder, SIGGRAPH 2002): for every vertex and each of a few
dozen directions around the head, how much of the light from there it receives, with the shadows that nose, brows and
chin throw. Any light of any frame is then one matrix product.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import glasses, looks, mesh, skin
from vitalcam.synth.people import Person
from vitalcam.synth.raster import mixed, rasterise

DIRECTIONS = 96
ACTIONS = (
    "jawOpen", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft",
    "browDownRight", "cheekSquintLeft", "cheekSquintRight", "mouthPressLeft", "mouthPressRight",
)  # fmt: skip
_WRAP = (0.3, 0.1)  # how far light creeps round the edge of the shadow under the skin: red, and green with blue
_SHADOW_PX = 128
_PIVOT = (0.0, -1.35, -0.75)  # of the head, from between the eyes, in decimetres


@dataclass(frozen=True)
class Figure:
    """Tensors of one person; V vertices, F triangles, E actions, D directions.

    Attributes:
        triangles: (F, 3) int64.
        points, normals: (V, 3) at rest; the origin is between the eyes.
        moves, turns: (E, V, 3) what a full action adds to points and normals.
        follows: (V,) 1 what turns with the head, 0 what stays with the chest.
        pivot: (3,) of the head's rotation.
        transfer: (2, V, D) light received from each direction, by red, and by green and blue.
        seen_from: (V, D) 1 where nothing stands between a vertex and a direction.
        uv: (V, 2) place on the sheet.
        delay_s: (V,) arrival of the pulse.
        sheet: (C, H, W) albedo 3, change of albedo per unit of pulse 3, gloss 1, and for thermal
            pictures warmth, insulation and airflow.
    """

    triangles: Tensor
    points: Tensor
    normals: Tensor
    moves: Tensor
    turns: Tensor
    follows: Tensor
    pivot: Tensor
    transfer: Tensor
    seen_from: Tensor
    uv: Tensor
    delay_s: Tensor
    sheet: Tensor

    def at(self, vertices: Tensor) -> Figure:
        """Some of the vertices, without triangles."""
        rows = {
            name: getattr(self, name)[vertices]
            for name in ("points", "normals", "follows", "seen_from", "uv", "delay_s")
        }
        columns = {name: getattr(self, name)[:, vertices] for name in ("moves", "turns", "transfer")}
        return dataclasses.replace(self, triangles=self.triangles[:0], **rows, **columns)

    def to(self, device: torch.device | str) -> Figure:
        """The same on another device."""
        return Figure(**{name: value.to(device) for name, value in vars(self).items()})


def directions() -> Tensor:
    """(D, 3) unit vectors spread evenly over the sphere (Fibonacci)."""
    k = torch.arange(DIRECTIONS, dtype=torch.float64) + 0.5
    y = 1 - 2 * k / DIRECTIONS
    angle = math.pi * (3 - math.sqrt(5)) * k
    r = torch.sqrt(1 - y * y)
    return torch.stack([r * torch.cos(angle), y, r * torch.sin(angle)], -1).float()


def build(person: Person, *, light: str = "daylight", camera: str = "colorimetric", detail: int = 1) -> Figure:
    """Make the tensors of a person under one kind of light.

    Args:
        person: who.
        light, camera: names in `vitalcam.synth.skin` LIGHTS and CAMERAS.
        detail: the sheet is shrunk by this factor (1, 2, 4, 8) to suit the size of the face in the picture.
    """
    look, bare = _look(person), _bare(_outline(person))
    return dataclasses.replace(bare, uv=bare.uv / detail, sheet=_sheet(look, person, light, camera, detail))


@functools.lru_cache(maxsize=4)
def _look(person: Person) -> looks.Looks:
    return looks.paint(person)


def _outline(person: Person) -> Person:
    """A person of the same shape and with the same things on, whatever the skin and the colours."""
    grey = (0.1, 0.1, 0.1)
    colours = {name: grey for name in ("hair_rgb", "eye_rgb", "clothes_rgb", "glasses_rgb")}
    skin_ = {"skin_type": 1, "melanin": 0.02, "blood": 0.03, "perfusion": 0.08, "makeup": 0.0, "gloss": 1.0}
    return dataclasses.replace(person, temperature_c=34.0, **colours, **skin_)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=64)
def _bare(person: Person) -> Figure:
    """What does not depend on colours and light; the sheet is left empty."""
    look = _look(person)
    shared = mesh.mesh()
    rest = mesh.vertices(person.shape)
    rest = rest + (look.lift[:, None] * mesh.normals(rest, shared.triangles)).astype(np.float32)
    normals = mesh.normals(rest, shared.triangles)
    source, triangles, uv = _seamless(_worn(person, shared), look.uv)
    actions = mesh.expressions()
    moves = np.stack([actions[name] for name in ACTIONS])
    turns = np.stack([mesh.normals(rest + move, shared.triangles) - normals for move in moves])
    follows = np.clip((shared.base[source, 1] - 5.55) / 0.75, 0, 1)
    body = (rest[source], normals[source], triangles, uv, follows, moves[:, source], turns[:, source])
    rest, normals, triangles, uv, follows, moves, turns = _with_glasses(person, body)
    points, normal = _tensor(rest), _tensor(normals)
    triangle = torch.tensor(triangles, dtype=torch.int64)
    seen_from = _visibility(points, normal, triangle)
    at = (np.clip(uv[:, 1].astype(int), 0, looks.HEIGHT - 1), uv[:, 0].astype(int) % looks.WIDTH)
    return Figure(
        triangles=triangle, points=points, normals=normal, moves=_tensor(moves),
        turns=_tensor(turns), follows=_tensor(follows**2 * (3 - 2 * follows)), pivot=_tensor(_PIVOT),
        transfer=_transfer(normal, seen_from), seen_from=seen_from, uv=_tensor(uv), delay_s=_tensor(look.delay_s[at]),
        sheet=torch.empty(0),
    )  # fmt: skip


def _with_glasses(person: Person, body: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Points, normals, triangles, places, what follows the head, moves and turns, with those of the glasses."""
    if person.glasses == "none":
        return body
    rest, normals, triangles, uv, follows, moves, turns = body
    points, more = glasses.frames(person.glasses, mesh.eye_centres(mesh.vertices(person.shape)))
    still = np.zeros((len(moves), len(points), 3))
    place = np.broadcast_to(looks.GLASSES_UV, (len(points), 2))
    return (
        np.concatenate([rest, points]), np.concatenate([normals, mesh.normals(points, more)]),
        np.concatenate([triangles, more + len(rest)]), np.concatenate([uv, place]),
        np.concatenate([follows, np.ones(len(points))]), np.concatenate([moves, still], 1),
        np.concatenate([turns, still], 1),
    )  # fmt: skip


def _tensor(array: Any) -> Tensor:
    return torch.tensor(np.ascontiguousarray(array), dtype=torch.float32)


_LENGTHS = {"medium": 6.3, "long": 5.3}  # where hair ends, in heights of the template


def _worn(person: Person, shared: mesh.Mesh) -> mesh.Int32:
    """The triangles without the hair that this person has not."""
    corners = shared.triangles
    hair = (shared.part[corners] == mesh.PARTS.index("hair")).any(axis=1)
    x, y, z = np.moveaxis(shared.base[corners], -1, 0)
    above = (y > _LENGTHS.get(person.haircut, np.inf)).all(axis=1)
    aside = (z < 0.85).all(axis=1) | (y > 8.0).all(axis=1) | ((np.abs(x) > 0.8) & (z < 1.0)).all(axis=1)
    return np.asarray(corners[~hair | (above & aside)])


def _seamless(triangles: mesh.Int32, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split vertices where triangles cross the back of the sheet or the border of a patch."""
    corners = uv[triangles].copy()  # (F, 3, 2)
    patch = corners[..., 1] >= looks.ROLL
    border = patch.any(axis=1) & ~patch.all(axis=1)
    chosen = corners[border, patch[border].argmax(axis=1)]
    corners[border] = chosen[:, None, :]
    wide = ~patch.any(axis=1) & (np.ptp(corners[..., 0], axis=1) > looks.WIDTH / 2)
    corners[wide, :, 0] += looks.WIDTH * (corners[wide, :, 0] < looks.WIDTH / 2)
    rows = np.concatenate([triangles[..., None], corners], axis=-1).reshape(-1, 3)
    unique, number = np.unique(rows, axis=0, return_inverse=True)
    return unique[:, 0].astype(int), number.reshape(triangles.shape), unique[:, 1:]


def _visibility(points: Tensor, normals: Tensor, triangles: Tensor) -> Tensor:
    """(V, D) whether light from a direction reaches a vertex, from depth pictures of the head at rest."""
    around = directions()
    aside = torch.nn.functional.normalize(
        torch.linalg.cross(torch.tensor([0.31, 0.9, 0.29]).expand_as(around), around), dim=1
    )
    up = torch.linalg.cross(around, aside)
    near = points[(points[:, 1] > -2.6).nonzero()[:, 0]]
    scale = _SHADOW_PX / (2 * float(near.norm(dim=1).max()))
    axes = torch.stack([aside, up, around], 1)  # (D, 3, 3)
    seen = (points + 0.02 * normals) @ axes.transpose(1, 2)  # (D, V, 3)
    screen = torch.cat([seen[..., :2] * torch.tensor([scale, -scale]) + _SHADOW_PX / 2, seen[..., 2:]], -1)
    buffer = torch.full((DIRECTIONS * _SHADOW_PX * _SHADOW_PX,), -1e3)
    hit = rasterise(screen, triangles, _SHADOW_PX, _SHADOW_PX)
    corners = screen[hit.frame[:, None], triangles[hit.triangle], 2:]
    buffer[hit.pixel] = mixed(corners, hit.weights)[:, 0]
    pictures = buffer.reshape(DIRECTIONS, _SHADOW_PX, _SHADOW_PX)
    x, y = ((screen[..., k].long()).clamp(1, _SHADOW_PX - 2) for k in (0, 1))
    number = torch.arange(DIRECTIONS)[:, None]
    free = sum(
        (seen[..., 2] > pictures[number, y + dy, x + dx] - 0.05).float() for dy in (-1, 0, 1) for dx in (-1, 0, 1)
    )
    return (torch.as_tensor(free) / 9).T.contiguous()  # fmt: skip


def _transfer(normals: Tensor, seen_from: Tensor) -> Tensor:
    cosine = normals @ directions().T
    received = [((cosine + wrap) / (1 + wrap)).clamp(min=0) * 4 / (DIRECTIONS * (1 + wrap)) for wrap in _WRAP]
    return torch.stack(received) * seen_from


def _sheet(look: looks.Looks, person: Person, light: str, camera: str, detail: int) -> Tensor:
    """Albedo, its change with the pulse, gloss, warmth, insulation, airflow: (10, H / detail, W / detail)."""
    from scipy.ndimage import map_coordinates

    melanin, blood, colours, changes = skin.table(light, camera)
    small = functools.partial(_shrunk, detail=detail)
    place = [np.interp(np.log(small(v)), np.log(axis), np.arange(len(axis))) for v, axis in
             ((look.melanin, melanin), (look.blood, blood))]  # fmt: skip
    colour, change = (
        np.stack([map_coordinates(table[..., c], place, order=1) for c in range(3)], -1) for table in (colours, changes)
    )
    bare = small(1 - look.cover)[..., None]
    albedo = bare * colour + small(look.cover[..., None] * look.colour)
    change = bare * change * (person.perfusion * small(look.perfusion))[..., None]
    other = [small(values)[..., None] for values in (look.gloss, look.warmth_c, look.insulation, look.airflow)]
    return _tensor(np.moveaxis(np.concatenate([albedo, change, *other], -1), -1, 0))


def _shrunk(values: np.ndarray, *, detail: int) -> np.ndarray:
    """Means over squares of a sheet (H, W) or (H, W, C)."""
    height, width = values.shape[0] // detail, values.shape[1] // detail
    return np.asarray(values.reshape(height, detail, width, detail, *values.shape[2:]).mean((1, 3)))
