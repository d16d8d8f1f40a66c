"""From a figure, its motion, its pulse and the light to what a perfect camera would see, in linear light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from vitalcam.synth.figure import Figure, directions
from vitalcam.synth.raster import mixed, rasterise

_MARGIN = 3  # pixels around the picture from which a place may move in
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
    screen = (screen + _tensor([_MARGIN, _MARGIN, 0.0], screen)) * _tensor([finer, finer, 1.0], screen)
    height, width = (finer * (n + 2 * _MARGIN) for n in (view.height, view.width))
    seen = rasterise(screen, figure.triangles, height, width)
    used, corners = torch.unique(figure.triangles[seen.triangle], return_inverse=True)
    part = figure.at(used)
    points, normals = _posed(part, motion)
    received, sheen = _lit(part, motion, lights, points, normals)
    vertex = torch.cat([received, sheen, blood[:, used, None], project(points, view)[..., :2]], -1)
    uv = mixed(part.uv[corners], seen.weights)
    sheet = look_up(figure.sheet, uv)
    ends = torch.bincount(seen.frame, minlength=len(keys)).cumsum(0).tolist()
    patches = []
    for key, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        frames, fade = _around(keys, key)
        there = slice(start, end)
        values = mixed(vertex[frames][:, corners[there]], seen.weights[there])
        light, there_sheet = values[..., :3], sheet[there]
        rgb = light * there_sheet[:, :3] + values[..., 3:6] * there_sheet[:, 6:7]
        moved = light * there_sheet[:, 3:6]
        patches.append(Patch(frames, fade, values[..., 7:], rgb, moved, values[..., 6:7], there_sheet, uv[there]))
    return patches


def _around(keys: Tensor, key: int) -> tuple[slice, Tensor]:
    """The frames between the neighbours of a key, and how much of each it makes (F, 1, 1)."""
    here = int(keys[key])
    before = int(keys[key - 1]) if key else here - 1
    after = int(keys[key + 1]) if key + 1 < len(keys) else here + 1
    frames = torch.arange(before + 1, after, device=keys.device)
    fade = torch.where(frames < here, (frames - before) / (here - before), (after - frames) / (after - here))
    return slice(before + 1, after), fade[:, None, None]


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
    total = torch.zeros(batch * height * width, channels + 1, device=picture.device)
    for patch, values in patches:
        frame = torch.arange(batch, device=picture.device)[patch.frames, None]
        values = torch.nn.functional.pad(values, (0, 1), value=1.0)
        place = patch.place_px - 0.5
        low = torch.floor(place)
        share, column, row = place - low, low[..., 0].long(), low[..., 1].long()
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            x, y = column + dx, row + dy
            weight = (1 - dx + (2 * dx - 1) * share[..., 0]) * (1 - dy + (2 * dy - 1) * share[..., 1])
            weight = weight * patch.fade[..., 0] * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
            pixel = (frame * height + y.clamp(0, height - 1)) * width + x.clamp(0, width - 1)
            total.index_add_(0, pixel.reshape(-1), (weight[..., None] * values).reshape(-1, channels + 1))
    total = total.reshape(batch, height, width, channels + 1)
    sent, weight = total[..., :channels], total[..., channels:]
    cover = (_DENSE / finer**2 * weight).clamp(max=1)
    return picture * (1 - cover) + sent * (cover / weight.clamp(min=1e-6))


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
    part = place - low
    column, row = low[:, 0].long(), low[:, 1].long()
    flat = sheet.reshape(channels, -1).T.contiguous()
    rows = (row.clamp(0, height - 1) * width, (row + 1).clamp(0, height - 1) * width)
    columns = (column % width, (column + 1) % width)
    top = torch.lerp(flat[rows[0] + columns[0]], flat[rows[0] + columns[1]], part[:, :1])
    bottom = torch.lerp(flat[rows[1] + columns[0]], flat[rows[1] + columns[1]], part[:, :1])
    return torch.lerp(top, bottom, part[:, 1:])


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
    follows = figure.follows[:, None]
    red, other = figure.transfer
    received = [torch.lerp(red @ chest[..., :1], red @ head[..., :1], follows)]
    received.append(torch.lerp(other @ chest[..., 1:], other @ head[..., 1:], follows))
    to_camera = torch.nn.functional.normalize(-points, dim=-1)
    half = torch.nn.functional.normalize(lights.towards[:, None] + to_camera[:, None], dim=-1)  # (B, K, V, 3)
    sharp = torch.einsum("bkvc,bvc->bkv", half, normals).clamp(min=0) ** 24
    local = lights.towards @ motion.rotation  # (B, K, 3) in the head's frame
    weight = torch.softmax(30 * (local @ directions().to(points.device).T), -1)  # (B, K, D)
    free = torch.einsum("bkd,vd->bkv", weight, figure.seen_from)
    sheen = torch.einsum("bkv,bkc->bvc", 0.07 * sharp * free, lights.lamps)
    grazing = (1 - torch.einsum("bvc,bvc->bv", to_camera, normals).clamp(0, 1)) ** 4
    return torch.cat(received, -1), sheen + 0.05 * grazing[..., None] * lights.around[:, None]
