"""What a thermal camera sees of the same person: skin, breath at the nose, a room, and its own weaknesses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import acting
from vitalcam.synth.film import Film, Window
from vitalcam.synth.render import Patch, lay
from vitalcam.types import Floats

_ROOM_C = 23.0
_BREATH_C = 0.45  # swing at the nostrils per unit of flow
_BREATH_LAG_S = 0.2
_PULSE_C = 0.02  # Garbey et al., IEEE TBME 54 (2007): the pulse warms the skin over vessels by some hundredths
_NOISE_C = 0.05  # noise equivalent temperature difference of an uncooled camera
_DRIFT_C = 0.15
_PATTERN_C = 0.06


def temperatures(film: Film, patches: list[Patch], times_s: Floats, window: Window) -> Tensor:
    """Degrees Celsius (B, h, w) of what was rendered, before the thermal camera.

    Args:
        film: the scene.
        patches: what `Film.render` returned at the times.
        times_s: (B,).
        window: of the rendering.
    """
    flow = film.breath.flow_at(times_s - _BREATH_LAG_S).astype(np.float32)
    breath = -_BREATH_C * torch.as_tensor(flow, device=film.device)[:, None, None]
    room = torch.full((len(times_s), window.size[1], window.size[0], 1), _ROOM_C, device=film.device)
    shown = []
    for patch in patches:
        warmth, insulation, airflow = (patch.sheet[:, k : k + 1] for k in (7, 8, 9))
        skin = film.scene.person.temperature_c + warmth + airflow * breath[patch.frames] + _PULSE_C * patch.pulse
        shown.append((patch, skin + insulation * (_ROOM_C - skin)))
    return lay(room, shown, window.finer)[..., 0]


def develop(film: Film, degrees: Tensor, times_s: Floats, size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """What the thermal camera gives: (B, rows, columns) of degrees, blurred, offset, drifting and noisy.

    Args:
        film: the scene.
        degrees: (B, h, w) from `temperatures`.
        times_s: (B,).
        size: columns and rows of the thermal camera.
        rng: of the noise of these frames.
    """
    own = np.random.default_rng([film.scene.camera.seed, 10])
    shift = own.uniform(-0.03, 0.03, 2)  # the two cameras stand beside each other
    y, x = (torch.linspace(-1, 1, n, device=degrees.device) for n in (size[1], size[0]))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1) + torch.tensor(shift, device=degrees.device).float()
    soft = torch.nn.functional.avg_pool2d(degrees[:, None], 3, 1, 1, count_include_pad=False)
    seen = torch.nn.functional.grid_sample(
        soft, grid.expand(len(degrees), -1, -1, -1), padding_mode="border", align_corners=False
    )
    pattern = _PATTERN_C * own.standard_normal((size[1], size[0]))
    drift = _DRIFT_C * acting.Wander(own, 0.01, 0.2)(times_s)
    noise = _NOISE_C * rng.standard_normal((len(times_s), size[1], size[0]))
    return np.asarray(seen[:, 0].cpu().numpy() + pattern + drift[:, None, None] + noise)  # fmt: skip
