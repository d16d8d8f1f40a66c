"""From a figure, its motion, its pulse and the light to what a perfect camera would see, in linear light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vitalcam.synth.figure import Figure, directions
from vitalcam.synth.raster import Seen, rasterise


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


@dataclass(frozen=True)
class Pixels:
    """What was rendered, for the N pixels where the person is.

    Attributes:
        seen: where.
        rgb: (N, 3) linear light.
        sheet: (N, C) the person's sheet at these places, for masks and temperatures.
        pulse: (N, 1) blood volume.
    """

    seen: Seen
    rgb: Tensor
    sheet: Tensor
    pulse: Tensor


def render(figure: Figure, motion: Motion, lights: Lights, view: View, blood: Tensor) -> Pixels:
    """Render B frames of a person.

    Args:
        figure: who.
        motion, lights, view: of the frames.
        blood: (B, V) blood volume at every vertex.
    """
    points, normals = _posed(figure, motion)
    screen = project(points, view)
    seen = rasterise(screen, figure.triangles, view.height, view.width)
    received, sheen = _lit(figure, motion, lights, points, normals)
    vertex = torch.cat([received, sheen, blood[..., None]], -1)
    values = seen.interpolate(figure.triangles, vertex)
    uv = seen.interpolate(figure.triangles, figure.uv)
    sheet = look_up(figure.sheet, uv)
    pulse = values[:, 6:]
    albedo = sheet[:, :3] + sheet[:, 3:6] * pulse
    return Pixels(seen, values[:, :3] * albedo + values[:, 3:6] * sheet[:, 6:7], sheet, pulse)


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
