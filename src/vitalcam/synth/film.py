"""A scene on film: linear light and temperatures of any stretch of frames, whole or through a window onto the face."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import acting, backdrop
from vitalcam.synth.figure import ACTIONS, Figure, build
from vitalcam.synth.people import Person
from vitalcam.synth.render import Lights, Motion, Patch, View, lay, render
from vitalcam.synth.scene import Camera, Scene
from vitalcam.types import Floats

_DELAYS = 9  # steps into which the arrival of the pulse is divided
_SHEET_PER_DM = 130.0  # columns of the sheet on a decimetre of face


@dataclass(frozen=True)
class Window:
    """The part of the picture that is rendered.

    Attributes:
        origin_px: (B, 2) its left upper corner in pixels of the camera.
        side_px: (2,) its width and height in pixels of the camera.
        size: columns and rows of the result.
        finer: places of a surface that are rendered along a side of a pixel.
    """

    origin_px: Floats
    side_px: tuple[float, float]
    size: tuple[int, int]
    finer: int = 2

    @classmethod
    def whole(cls, scene: Scene, size: tuple[int, int] | None = None, finer: int = 2) -> Window:
        """Everything that the camera sees."""
        full = (scene.camera.width, scene.camera.height)
        return cls(np.zeros((1, 2)), full, size or full, finer)

    @property
    def scale(self) -> float:
        """Pixels of the result for a pixel of the camera."""
        return self.size[0] / self.side_px[0]


@functools.lru_cache(maxsize=16)
def _figure(person: Person, light: str, camera: str, detail: int) -> Figure:
    """The tensors of a person; the last few are kept."""
    figure = build(person, light=light, camera=camera, detail=detail)
    sheet = figure.sheet.permute(1, 2, 0).contiguous().permute(2, 0, 1)  # what is looked up together lies together
    return dataclasses.replace(figure, sheet=sheet)


class Film:
    """A scene made ready to be rendered.

    Args:
        scene: what.
        detail_px: pixels that are rendered for a decimetre at the face; the sheet is made just fine enough.
        device: of all tensors.
    """

    def __init__(self, scene: Scene, *, detail_px: float = 200.0, device: torch.device | str = "cpu") -> None:
        self.scene = scene
        self.device = torch.device(device)
        detail = int(np.clip(2 ** np.floor(np.log2(_SHEET_PER_DM / detail_px)), 1, 8))
        figure = _figure(scene.person, scene.lighting.spectrum, scene.camera.spectrum, detail)
        self.figure = figure.to(self.device)
        self.pulse, self.breath = acting.physiology(scene)
        self.backdrop = backdrop.paint(scene.backdrop).to(self.device)

    def pose(self, times_s: Floats) -> acting.Pose:
        """Where the person is."""
        return acting.pose(self.scene.movement, self.breath, times_s)

    def render(self, times_s: Floats, window: Window) -> tuple[Tensor, list[Patch]]:
        """Linear light (B, h, w, 3) at increasing times (B,), white 1 in a well lit room, before the camera acts.

        Also returns what is seen of the person, for the thermal camera.
        """
        patches, behind = self._seen(times_s, window, self._blood(times_s))
        picture = lay(behind, [(patch, patch.lit) for patch in patches], window.finer)
        if self.scene.lighting.flicker:
            picture *= self._flicker(times_s, window)
        return picture, patches

    def plate(self, times_s: Floats, window: Window) -> tuple[Tensor, list[Patch]]:
        """What any pulse needs to be laid over it: (B, h, w, 9), before lamps flicker.

        Linear light while the blood stands still, what one unit of blood adds to it, and how much of that is added by
        blood that arrives late: none of it at the first of `delays_s`, all of it at the last. Also returns what is seen
        of the person, as `render` does.
        """
        delay = self.figure.delay_s
        share = (delay - delay.min()) / (delay.max() - delay.min()).clamp(min=1e-9)
        patches, behind = self._seen(times_s, window, share.expand(len(times_s), -1))
        values = [(patch, torch.cat([patch.rgb, patch.moved, patch.moved * patch.pulse], -1)) for patch in patches]
        return lay(torch.nn.functional.pad(behind, (0, 6)), values, window.finer), patches

    @property
    def delays_s(self) -> tuple[float, float]:
        """When the pulse arrives first, and when last."""
        return float(self.figure.delay_s.min()), float(self.figure.delay_s.max())

    def _seen(self, times_s: Floats, window: Window, blood: Tensor) -> tuple[list[Patch], Tensor]:
        """What is seen of the person whose vertices hold this blood, and what is behind."""
        pose, light = self.pose(times_s), acting.light(self.scene.lighting, times_s)
        patches = render(
            self.figure,
            self._motion(pose),
            self._lights(light),
            self._view(pose, window),
            blood,
            finer=window.finer,
            every=_every(times_s),
        )
        return patches, self._behind(pose, light, times_s, window)

    def face_px(self, times_s: Floats) -> Floats:
        """`face_px` of this scene at times (T,)."""
        return face_px(self.scene, self.pose(times_s))

    def _tensor(self, values: Floats) -> Tensor:
        return torch.as_tensor(np.asarray(values, np.float32), device=self.device)

    def _view(self, pose: acting.Pose, window: Window) -> View:
        camera = self.scene.camera
        middle = np.array([camera.width / 2, _horizon_px(camera)]) + pose.shake * camera.width
        centre = (middle - window.origin_px) * window.scale
        return View(*window.size, camera.focal * camera.width * window.scale, self._tensor(centre))

    def _motion(self, pose: acting.Pose) -> Motion:
        position = pose.offset_dm * [1, 1, 1] + [0, 0, -self.scene.camera.distance_dm]
        actions = np.stack([pose.actions.get(name, np.zeros_like(pose.yaw)) for name in ACTIONS], -1)
        turned = rotations(pose.yaw, pose.pitch, pose.roll)
        return Motion(self._tensor(turned), self._tensor(position), self._tensor(pose.chest_dm), self._tensor(actions))

    def _lights(self, light: acting.Light) -> Lights:
        here = self.scene.lighting
        rng = np.random.default_rng([here.seed, 6])
        warm = np.exp(rng.normal(0, 0.05, (2, 1)) * [[1, 0, -1]])
        azimuth, elevation = np.radians([here.azimuth_deg, here.elevation_deg])
        lamp = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
        towards = np.array([lamp, [0.0, -0.24, 0.97]])
        key = here.key * (1 - here.screen) * (light.all * light.lamp)[:, None] * warm[0]
        screen = here.screen * light.screen
        around = here.fill * light.all[:, None] * warm[1]
        width = np.array([here.sharpness, 6.0])
        tensors = [towards, width, np.stack([key, screen], 1), around, here.above * around]
        return Lights(*(self._tensor(value) for value in tensors))

    def _blood(self, times_s: Floats) -> Tensor:
        """Blood volume (B, V): the pulse as it arrives at every vertex."""
        if not self.scene.pulse:
            return torch.zeros(len(times_s), len(self.figure.delay_s), device=self.device)
        delay = self.figure.delay_s
        low, high = self.delays_s
        steps = np.linspace(low, high, _DELAYS)
        wave = self._tensor(self.pulse.at(times_s[:, None] - steps))
        place = (delay - low) / max(high - low, 1e-9) * (_DELAYS - 1)
        hat = (1 - (place - torch.arange(_DELAYS, device=self.device)[:, None]).abs()).clamp(min=0)
        return wave @ hat

    def _behind(self, pose: acting.Pose, light: acting.Light, times_s: Floats, window: Window) -> Tensor:
        """The backdrop (B, rows, columns, 3) in its light."""
        camera, here = self.scene.camera, self.scene.lighting
        step = 1 / (window.scale * camera.width)
        origin = self._tensor((window.origin_px / camera.width) - pose.shake)
        if not self.backdrop.speed and len(origin) and bool((origin == origin[:1]).all()):
            origin = origin[:1]
        picture = self.backdrop.seen(origin, step, window.size[::-1], self._tensor(times_s))
        level = here.fill + 0.5 * here.key * (1 - here.screen)
        return picture * self._tensor(level * light.all)[:, None, None, None]

    def _flicker(self, times_s: Floats, window: Window) -> Tensor:
        """Gain of every row (B, rows, 1, 1): a rolling shutter sees the flicker as bands."""
        camera = self.scene.camera
        row = (
            window.origin_px[:, 1:] + (np.arange(window.size[1]) + 0.5) * window.side_px[1] / window.size[1]
        ) / camera.height
        starts = times_s[:, None] + camera.rolling_s * row
        gain = acting.flicker(self.scene.lighting, starts, camera.exposure_s)
        return self._tensor(gain)[:, :, None, None]  # fmt: skip


def face_px(scene: Scene, pose: acting.Pose) -> Floats:
    """Square about the face as a detector sees it: centre and side (T, 3), in pixels of the camera."""
    camera = scene.camera
    scale = camera.focal * camera.width / (camera.distance_dm - pose.offset_dm[:, 2] - 0.6)
    right = pose.offset_dm[:, 0] + 0.75 * np.sin(pose.yaw)
    up = pose.offset_dm[:, 1] - 0.22 + 0.6 * np.sin(pose.pitch)
    x = camera.width / 2 + scale * right + pose.shake[:, 0] * camera.width
    y = _horizon_px(camera) - scale * up + pose.shake[:, 1] * camera.width
    return np.stack([x, y, 1.43 * scale], -1)


def _horizon_px(camera: Camera) -> float:
    return 0.45 * camera.height


def _every(times_s: Floats) -> int:
    """How many frames may share what is seen: about a sixth of a second; divides the chunks of `recordings`."""
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else np.inf
    return 5 if step_s < 0.05 else 2 if step_s < 0.1 else 1


def rotations(yaw: Floats, pitch: Floats, roll: Floats) -> Floats:
    """Rotation matrices (T, 3, 3) for angles (T,): to the person's left, up, clockwise as seen."""
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    c, s = np.cos(yaw), np.sin(yaw)
    about_y = np.array([[c, zero, s], [zero, one, zero], [-s, zero, c]])
    c, s = np.cos(-pitch), np.sin(-pitch)
    about_x = np.array([[one, zero, zero], [zero, c, -s], [zero, s, c]])
    c, s = np.cos(-roll), np.sin(-roll)
    about_z = np.array([[c, -s, zero], [s, c, zero], [zero, zero, one]])
    return np.asarray(np.einsum("ijt,jkt,klt->til", about_y, about_x, about_z))
