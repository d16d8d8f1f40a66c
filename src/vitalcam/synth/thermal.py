"""What a thermal camera sees of the same person: skin, breath at the nose, a room, and its own weaknesses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import acting
from vitalcam.synth.film import Film, Window
from vitalcam.synth.render import Patch, lay
from vitalcam.synth.scene import Scene
from vitalcam.types import Floats

_ROOM_C = 23.0
_BREATH_C = 0.45  # swing at the nostrils per unit of flow
_BREATH_LAG_S = 0.2
_PULSE_C = 0.02  # Garbey et al., IEEE TBME 54 (2007): the pulse warms the skin over vessels by some hundredths
_NOISE_C = 0.05  # noise equivalent temperature difference of an uncooled camera
_DRIFT_C = 0.15
_PATTERN_C = 0.06
_SHARP_PX = 2.0  # values that are means over more pixels than this do not show the blur of the lens
SIZE = (320, 240)
"""Columns and rows of the camera."""


def temperatures(film: Film, patches: list[Patch], times_s: Floats, window: Window) -> Tensor:
    """Degrees Celsius (B, h, w) of what was rendered, before the thermal camera.

    Args:
        film: the scene.
        patches: what `Film.render` returned at the times.
        times_s: (B,).
        window: of the rendering.
    """
    room = torch.full((len(times_s), window.size[1], window.size[0], 1), _ROOM_C, device=film.device)
    skins = _skins(film, patches, times_s)
    return lay(room, [(patch, still + warmed * patch.pulse) for patch, still, warmed in skins], window.finer)[..., 0]


def plate(film: Film, patches: list[Patch], times_s: Floats, window: Window) -> Tensor:
    """What any pulse needs to be laid over it (B, h, w, 2), as `Film.plate` has it for light; arguments as above.

    Degrees Celsius above those of the person while the blood stands still, and what one unit of blood adds.
    """
    own_c = film.scene.person.temperature_c
    room = torch.tensor([_ROOM_C - own_c, 0.0], device=film.device)
    values = [
        (patch, torch.cat([still - own_c, warmed], -1)) for patch, still, warmed in _skins(film, patches, times_s)
    ]
    return lay(room.expand(len(times_s), window.size[1], window.size[0], 2), values, window.finer)


def _skins(film: Film, patches: list[Patch], times_s: Floats) -> list[tuple[Patch, Tensor, Tensor]]:
    """Degrees of each patch while the blood stands still, and what one unit of blood adds."""
    flow = film.breath.flow_at(times_s - _BREATH_LAG_S).astype(np.float32)
    breath = -_BREATH_C * torch.as_tensor(flow, device=film.device)[:, None, None]
    shown = []
    for patch in patches:
        warmth, insulation, airflow = (patch.sheet[:, k : k + 1] for k in (7, 8, 9))
        skin = film.scene.person.temperature_c + warmth + airflow * breath[patch.frames]
        still = skin + insulation * (_ROOM_C - skin)
        shown.append((patch, still, (_PULSE_C * (1 - insulation)).expand_as(still)))
    return shown


def develop(
    scene: Scene, degrees: Tensor, times_s: Floats, size: tuple[int, int], rng: np.random.Generator,
    *, side_px: float = 0.0,
) -> Floats:  # fmt: skip
    """What the thermal camera gives: (B, rows, columns) of degrees, blurred, offset, drifting and noisy.

    Args:
        scene: whose camera.
        degrees: (B, h, w) from `temperatures`.
        times_s: (B,).
        size: columns and rows of the result.
        rng: of the noise of these frames.
        side_px: width of what is shown, in pixels of the colour camera; all that it sees by default.
    """
    own = np.random.default_rng([scene.camera.seed, 10])
    whole_px = np.array([scene.camera.width, scene.camera.height])
    side_px = side_px or scene.camera.width
    shown_px = side_px * np.array([1.0, size[1] / size[0]])
    under = max((side_px / whole_px[0] * SIZE[0] / size[0]) ** 2, 1.0)  # pixels that each value is a mean over
    shift = own.uniform(-0.03, 0.03, 2) * whole_px / shown_px  # the two cameras stand beside each other
    y, x = (torch.linspace(-1, 1, n, device=degrees.device) for n in (size[1], size[0]))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1) + torch.tensor(shift, device=degrees.device).float()
    soft = degrees[:, None]
    if under <= _SHARP_PX:
        soft = torch.nn.functional.avg_pool2d(soft, 3, 1, 1, count_include_pad=False)
    seen = torch.nn.functional.grid_sample(
        soft, grid.expand(len(degrees), -1, -1, -1), padding_mode="border", align_corners=False
    )
    pattern = _PATTERN_C * own.standard_normal((size[1], size[0])) / np.sqrt(under)
    drift = _DRIFT_C * acting.Wander(own, 0.01, 0.2)(times_s)
    noise = _NOISE_C * rng.standard_normal((len(times_s), size[1], size[0])) / np.sqrt(under)
    return np.asarray(seen[:, 0].cpu().numpy() + pattern + drift[:, None, None] + noise)  # fmt: skip
