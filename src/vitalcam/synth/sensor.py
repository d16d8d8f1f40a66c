"""What a camera makes of light: exposure, white balance, noise, sharpening, tone curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import acting, skin
from vitalcam.synth.scene import Scene
from vitalcam.types import Floats

_TARGET = 0.22  # mean of a well exposed picture, linear
_MOSAIC = 2.0  # pixels of one colour filter in four or two: neighbours share their noise


def gains(scene: Scene, mean: float, times_s: Floats) -> Floats:
    """Gain of R, G, B (T, 3) by automatic exposure and white balance.

    Args:
        scene: whose camera.
        mean: of the linear light of a first picture.
        times_s: (T,).
    """
    camera = scene.camera
    rng = np.random.default_rng([camera.seed, 8])
    hunt = [acting.Wander(rng, 0.05, 1.0)(times_s) for _ in range(3)]
    seen = acting.light(scene.lighting, times_s - 0.4).all if camera.hunting else np.ones_like(times_s)
    exposure = _TARGET / max(mean, 1e-4) * np.exp(camera.hunting * hunt[0]) * seen**-0.7
    balance = np.exp(0.5 * camera.hunting * np.stack([hunt[1], 0 * hunt[1], hunt[2]], -1))
    return np.asarray(exposure[:, None] * balance)


def noise_sigma(scene: Scene, linear: Tensor, pixels: float = 1.0) -> Tensor:
    """Standard deviation of the noise of exposed linear light (B, h, w, 3), each value a mean over some pixels."""
    camera = scene.camera
    white = camera.electrons * min(scene.lighting.level * camera.exposure_s * 60, 1.0)
    balance = np.clip(skin.white_balance(scene.lighting.spectrum, camera.spectrum), 0.3, 4)
    gain = torch.as_tensor(balance / balance.mean(), dtype=torch.float32, device=linear.device)
    variance = gain * linear.clamp(min=0) / white + (gain * camera.read_electrons / white) ** 2
    return (variance * min(1.0, _MOSAIC / pixels)).sqrt()


def develop(
    scene: Scene, linear: Tensor, gain: Tensor, normal: Callable[[Tensor], Tensor], pixels: float = 1.0
) -> Tensor:
    """Linear light to displayed values 0..255, not yet rounded.

    Args:
        scene: whose camera.
        linear: (B, h, w, 3).
        gain: (B, 3) from `gains`.
        normal: makes standard normal noise shaped like its argument.
        pixels: of the sensor under each value.
    """
    exposed = linear * gain[:, None, None]
    noisy = exposed + noise_sigma(scene, exposed, pixels) * normal(exposed)
    shown = encode(noisy, scene.camera.gamma)
    if scene.camera.sharpening and pixels <= 2:
        shown = shown + scene.camera.sharpening * (shown - _blurred(shown))
    return 255 * shown.clamp(0, 1)


def encode(linear: Tensor, gamma: float = 1.0) -> Tensor:
    """The sRGB tone curve (IEC 61966-2-1), raised to a power."""
    linear = linear.clamp(0, 1)
    curve = torch.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
    return curve if gamma == 1 else curve**gamma


def _blurred(picture: Tensor) -> Tensor:
    planes = picture.permute(0, 3, 1, 2)
    return torch.nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
