"""From a figure, its motion, its pulse and the light to what a perfect camera would see, in linear light."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vitalcam.synth.figure import Figure, directions
from vitalcam.synth.raster import rasterise

_MARGIN = 1 / 24  # of the picture's height, around it, from which a place may move in
_CACHED = 1 << 17  # pixels that are worked on in one go on a CPU
_DENSE = 1.2  # a pixel counts as covered although stretching thins its places a little


@dataclass(frozen=True)
class Motion:
    """Where a person is in B frames; E actions of `vitalcam.synth.figure.ACTIONS`.

    Attributes:
        rotation: (B, 3, 3) of the head against the world.
        position: (B, 3) of the middle between the eyes, in decimetres: right of the camera, up, towards it (below 0).
        chest: (B,) how far breath lifts the chest, in decimetres.
        actions: (B, E) strength of facial actions, 0..1.
    """

    rotation: Tensor
    position: Tensor
    chest: Tensor
    actions: Tensor

    def at(self, frames: Tensor) -> Motion:
        """Some of the frames."""
        return Motion(self.rotation[frames], self.position[frames], self.chest[frames], self.actions[frames])


@dataclass(frozen=True)
class Lights:
    """Light in B frames from K lamps and from all around.

    Attributes:
        towards: (K, 3) unit vectors to the lamps.
        width: (K,) sharpness of a lamp: 3 a wall of windows, 100 a bulb.
        lamps: (B, K, 3) light that a surface facing the lamp receives.
        around: (B, 3) light that comes from everywhere.
        above: (B, 3) how much more of it comes from above than from the horizon, and less from below.
    """

    towards: Tensor
    width: Tensor
    lamps: Tensor
    around: Tensor
    above: Tensor


@dataclass(frozen=True)
class View:
    """A pinhole camera.

    Attributes:
        width, height: of the picture in pixels.
        focal_px: focal length.
        centre_px: (B, 2) or (2,) where the optical axis meets the picture; moves when the camera shakes.
    """

    width: int
    height: int
    focal_px: float
    centre_px: Tensor

    def at(self, frames: Tensor) -> View:
        """Some of the frames."""
        centre = self.centre_px if self.centre_px.ndim == 1 else self.centre_px[frames]
        return View(self.width, self.height, self.focal_px, centre)


@dataclass(frozen=True)
class Patch:
    """What is seen of a person in F neighbouring frames: N places of the surface, and what becomes of them.

    Attributes:
        frames: which of the frames.
        fade: (F, 1, 1) share of the picture that these places make; those of the neighbouring patches make the rest.
        place_px: (F, N, 2) where they are in the picture, x and y in pixels of the result.
        rgb: (F, N, 3) linear light that they send while the blood stands still.
        moved: (F, N, 3) how much more they send for one unit of blood volume.
        pulse: (F, N, 1) blood volume there.
        sheet: (N, C) the person's sheet there.
        uv: (N, 2) where on the sheet they are.
    """

    frames: slice
    fade: Tensor
    place_px: Tensor
    rgb: Tensor
    moved: Tensor
    pulse: Tensor
    sheet: Tensor
    uv: Tensor

    @property
    def lit(self) -> Tensor:
        """(F, N, 3) linear light that they send."""
        return self.rgb + self.moved * self.pulse


def render(
    figure: Figure, motion: Motion, lights: Lights, view: View, blood: Tensor, *, finer: int = 1, every: int = 1
) -> list[Patch]:
    """Render B frames of a person.

    What is seen is found in some of the frames. Its places then move with the surface, fading into those of the next
    of these frames, and are laid softly over the pixels by `lay`: the flicker of pixels that are either in or out
    would drown the pulse.

    Args:
        figure: who.
        motion, lights, view: of the frames.
        blood: (B, V) blood volume at every vertex.
        finer: places along a side of a pixel.
        every: frames from one in which it is found out what is seen to the next.
    """
    count = len(blood)
    keys = torch.arange(0, count + every - 1, every, device=blood.device).clamp(max=count - 1)
    screen = project(_posed(figure, motion.at(keys))[0], view.at(keys))
    margin = math.ceil(_MARGIN * view.height)
    screen = (screen + _tensor([margin, margin, 0.0], screen)) * _tensor([finer, finer, 1.0], screen)
    height, width = (finer * (n + 2 * margin) for n in (view.height, view.width))
    seen = rasterise(screen, figure.triangles, height, width)
    used, triangles = _used(figure, seen.triangle)
    corners, part = triangles[seen.triangle], figure.at(used)
    vertex = _sent(part, motion, lights, view, blood[:, used])
    uv = _between(part.uv, corners, seen.weights)
    sheet = look_up(figure.sheet, uv)
    ends = torch.bincount(seen.frame, minlength=len(keys)).cumsum(0).tolist()
    patches = []
    for key, there in enumerate(map(slice, [0, *ends], ends)):
        frames, fade = _around(keys, key)
        values = _planar(_between(vertex[:, frames].flatten(1), corners[there], seen.weights[there]))
        values = values.T.reshape(len(fade), 9, len(values)).transpose(1, 2)  # each channel of a frame in one piece
        light, here = values[..., :3], _planar(sheet[there])
        rgb = torch.addcmul(light * here[:, :3], values[..., 3:6], here[:, 6:7])
        moved = light * here[:, 3:6]
        patches.append(Patch(frames, fade, values[..., 7:], rgb, moved, values[..., 6:7], here, uv[there]))
    return patches


def _used(figure: Figure, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The vertices of some of the triangles, and the triangles (F, 3) by their numbers among these."""
    marked = torch.zeros(len(figure.points), dtype=torch.bool, device=seen.device)
    shown = torch.zeros(len(figure.triangles), dtype=torch.bool, device=seen.device)
    shown[seen] = True
    marked[figure.triangles[shown]] = True
    return marked.nonzero()[:, 0], (marked.cumsum(0) - 1)[figure.triangles]


def _sent(part: Figure, motion: Motion, lights: Lights, view: View, blood: Tensor) -> Tensor:
    """Light received 3, light mirrored 3, blood 1 and place 2 of every vertex (V, B, 9)."""
    points, normals = _posed(part, motion)
    received, sheen = _lit(part, motion, lights, points, normals)
    place = project(points, view)[..., :2]
    return torch.cat([received, sheen, blood[..., None], place], -1).transpose(0, 1).contiguous()


def _between(rows: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Sums (N, C) of K rows of a table (V, C) at (N, K) with weights (N, K)."""
    return torch.nn.functional.embedding_bag(corners, rows, mode="sum", per_sample_weights=weights)


def _planar(values: Tensor) -> Tensor:
    """The same values (N, C), one channel after the other in memory: what is done with them is several times faster."""
    return values.T.contiguous().T


def _around(keys: Tensor, key: int) -> tuple[slice, Tensor]:
    """The frames that a key takes part in, and how much of each it makes (F, 1, 1).

    Between two keys the first fifth is the one's, the last fifth the other's.
    """
    here = int(keys[key])
    before = here - int(keys[key - 1]) if key else 1
    after = int(keys[key + 1]) - here if key + 1 < len(keys) else 1
    steps = [(step, after if step > 0 else before) for step in range(1 - max(before, 1), max(after, 1))]
    shares = {step: (5 * (span - abs(step)) - span) / (3 * span) if step else 1.0 for step, span in steps}
    kept = {step: min(share, 1.0) for step, share in shares.items() if share > 0}
    fade = torch.tensor(list(kept.values()), device=keys.device)
    return slice(here + min(kept), here + max(kept) + 1), fade[:, None, None]


def _tensor(values: list[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def lay(picture: Tensor, patches: Iterable[tuple[Patch, Tensor]], finer: int) -> Tensor:
    """Lay the places of patches over a picture.

    Each place is a tent two pixels wide, so that moving by a part of a pixel moves exactly that part of its light.

    Args:
        picture: (B, h, w, C) what is behind.
        patches: with their values (F, N, C).
        finer: as in `render`.
    """
    batch, height, width, channels = picture.shape
    laid = list(patches)
    result = torch.empty(batch, channels, height, width, device=picture.device).permute(0, 2, 3, 1)
    for start, stop in pieces(batch, height * width, picture.device):
        canvas = _canvas(laid, start, stop, picture)
        weight = canvas[-1]
        cover = (weight * (_DENSE / finer**2)).clamp_(max=1)
        weight.clamp_(min=1e-6)
        for channel in range(channels):
            behind, sent = picture[start:stop, ..., channel], canvas[channel].div_(weight)
            torch.lerp(behind, sent, cover, out=result[start:stop, ..., channel])
    return result


def pieces(batch: int, size: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Starts and stops of groups of frames of some size that suit the device: what fits a CPU's cache, or all."""
    step = batch if device.type == "cuda" else max(1, _CACHED // size)
    yield from ((start, min(start + step, batch)) for start in range(0, batch, max(step, 1)))


def _canvas(patches: list[tuple[Patch, Tensor]], start: int, stop: int, picture: Tensor) -> Tensor:
    """Sums (C + 1, B, h, w) of weights times values, and of weights, in some of the frames of a picture."""
    _, height, width, channels = picture.shape
    rows, columns = height + 3, width + 3  # a place beyond the picture lays its light on a rim that is cut off
    canvas = torch.zeros(channels + 1, (stop - start) * rows * columns, device=picture.device)
    for patch, values in patches:
        first, last = max(patch.frames.start, start), min(patch.frames.stop, stop)
        if first >= last:
            continue
        part = slice(first - patch.frames.start, last - patch.frames.start)
        frame = torch.arange(first - start, last - start, device=picture.device)[:, None]
        pixel, shares = _shares(patch.place_px[part], patch.fade[part, :, 0], height, width)
        pixel = (pixel + frame * (rows * columns)).reshape(-1)
        for share, step in zip(shares, (0, 1, columns, columns + 1), strict=True):
            for channel in range(channels):
                sent = (share * values[part, :, channel]).reshape(-1)
                canvas[channel, step:].scatter_add_(0, pixel, sent)
            canvas[channels, step:].scatter_add_(0, pixel, share.reshape(-1))
    return canvas.reshape(channels + 1, stop - start, rows, columns)[..., 1:-2, 1:-2]


def _shares(place_px: Tensor, fade: Tensor, height: int, width: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The pixel (F, N) of a canvas with a rim, left above each place, and the shares of it and its three neighbours."""
    x = (place_px[..., 0] - 0.5).clamp_(-1, width)
    y = (place_px[..., 1] - 0.5).clamp_(-1, height)
    left, top = x.floor(), y.floor()
    lower = (y - top) * fade
    upper = fade - lower
    x -= left
    upper_right, lower_right = upper * x, lower * x
    shares = (upper - upper_right, upper_right, lower - lower_right, lower_right)
    return ((top + 1) * (width + 3) + left + 1).long(), shares


def project(points: Tensor, view: View) -> Tensor:
    """World (B, V, 3) to x, y in pixels and nearness."""
    nearness = 1 / (-points[..., 2]).clamp(min=0.5)
    centre = view.centre_px.reshape(-1, 1, 2)
    x = centre[..., 0] + view.focal_px * points[..., 0] * nearness
    y = centre[..., 1] - view.focal_px * points[..., 1] * nearness
    return torch.stack([x, y, nearness], -1)


def look_up(sheet: Tensor, uv: Tensor) -> Tensor:
    """Bilinear values (N, C) of a sheet (C, H, W) at columns and rows (N, 2); columns wrap round."""
    channels, height, width = sheet.shape
    place = uv - 0.5
    low = torch.floor(place)
    (right, down), (column, row) = (place - low).T, low.long().T
    rows = torch.stack([row, row + 1], -1).clamp(0, height - 1) * width
    columns = torch.stack([column, column + 1], -1) % width
    shares = torch.stack([1 - down, down], -1)[:, :, None] * torch.stack([1 - right, right], -1)[:, None]
    flat = sheet.reshape(channels, -1).T.contiguous()
    return _between(flat, (rows[:, :, None] + columns[:, None]).flatten(1), shares.flatten(1))


def _posed(figure: Figure, motion: Motion) -> tuple[Tensor, Tensor]:
    """Points and normals (B, V, 3) in the world."""
    points = figure.points + torch.einsum("be,evc->bvc", motion.actions, figure.moves)
    normals = figure.normals + torch.einsum("be,evc->bvc", motion.actions, figure.turns)
    follows = figure.follows[:, None]
    turned = (points - figure.pivot) @ motion.rotation.transpose(1, 2) + figure.pivot
    lifted = points + motion.chest[:, None, None] * torch.tensor([0.0, 1.0, 0.25], device=points.device)
    points = torch.lerp(lifted, turned, follows) + motion.position[:, None, :]
    normals = torch.lerp(normals, normals @ motion.rotation.transpose(1, 2), follows)
    return points, torch.nn.functional.normalize(normals, dim=-1)


def radiance(lights: Lights, rotation: Tensor) -> Tensor:
    """Light (B, D, 3) from each direction around a body that is turned by `rotation` (B, 3, 3)."""
    around = directions().to(rotation.device)
    world = around @ rotation.transpose(1, 2)  # (B, D, 3)
    lobe = torch.exp(lights.width * (world @ lights.towards.T - 1))  # (B, D, K)
    facing = torch.exp(lights.width * (around @ lights.towards.T - 1)) * (around @ lights.towards.T).clamp(min=0)
    strength = lights.lamps / (facing.sum(0) * 4 / around.shape[0])[None, :, None]
    return lights.around[:, None] + lights.above[:, None] * world[..., 1:2] + lobe @ strength


def _lit(figure: Figure, motion: Motion, lights: Lights, points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Light received (B, V, 3) and mirrored (B, V, 3) by the vertices."""
    head = radiance(lights, motion.rotation)
    chest = radiance(lights, torch.eye(3, device=points.device).expand_as(motion.rotation))
    red, other = figure.transfer.transpose(1, 2)
    reach = [
        torch.lerp(chest[..., k] @ by, head[..., k] @ by, figure.follows) for k, by in enumerate((red, other, other))
    ]
    to_camera = torch.nn.functional.normalize(-points, dim=-1)
    facing = (to_camera * normals).sum(-1)
    local = lights.towards @ motion.rotation  # (B, K, 3) in the head's frame
    weight = torch.softmax(30 * (local @ directions().to(points.device).T), -1)  # (B, K, D)
    free = weight @ figure.seen_from.T
    sheen = torch.einsum("bkv,bkc->bvc", 0.07 * _sharp(lights, to_camera, normals, facing) * free, lights.lamps)
    grazing = (1 - facing.clamp(0, 1)).square().square()
    return torch.stack(reach, -1), sheen + 0.05 * grazing[..., None] * lights.around[:, None]


def _sharp(lights: Lights, to_camera: Tensor, normals: Tensor, facing: Tensor) -> Tensor:
    """Share of each lamp that a surface mirrors (B, K, V): by how near its normal is to midway of lamp and camera."""
    towards = lights.towards.T
    length = (2 + 2 * to_camera @ towards).clamp_(min=1e-6).sqrt_()
    cosine = ((normals @ towards + facing[..., None]) / length).clamp_(min=0).transpose(1, 2)
    eighth = cosine.square().square().square()
    return eighth * eighth * eighth  # to the power of 24
