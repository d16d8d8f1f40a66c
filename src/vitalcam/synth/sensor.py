"""What a camera makes of light: exposure, white balance, noise, sharpening, tone curve."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import acting, skin
from vitalcam.synth.render import pieces
from vitalcam.synth.scene import Scene
from vitalcam.types import Floats

_TARGET = 0.22  # mean of a well exposed picture, linear
_STEPS = 1 << 17  # of the tone curve's table: 1/80 of a grey level in the darkest
_SUPPLY, _PIECE = 1 << 22, 1 << 12  # numbers of noise kept, and taken at a time
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
    share = min(1.0, _MOSAIC / pixels)
    shot, read = gain * share / white, share * (gain * camera.read_electrons / white) ** 2
    return (linear.clamp(min=0) * shot).add_(read).sqrt_()


class Noise:
    """Standard normal noise from a supply: each piece is taken from another place of it, with another sign.

    To draw all of a recording's noise anew would take as long as to render it.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.supply = torch.from_numpy(rng.standard_normal(_SUPPLY, np.float32))

    def __call__(self, like: Tensor) -> Tensor:
        """Noise shaped like a tensor."""
        noise = torch.empty(like.shape)
        parts = torch.split(noise.reshape(-1), _PIECE)
        starts = self.rng.integers(_SUPPLY - _PIECE, size=len(parts))
        signs = self.rng.choice([-1.0, 1.0], len(parts))
        for part, start, sign in zip(parts, starts.tolist(), signs.tolist(), strict=True):
            torch.mul(self.supply[start : start + len(part)], sign, out=part)
        return noise.to(like.device)


def fresh_noise(generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """What makes standard normal noise shaped like a tensor, all of it anew."""
    return lambda like: torch.randn(like.shape, generator=generator, device=like.device)


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
    camera = scene.camera
    planar, gains_ = linear.permute(0, 3, 1, 2), gain[:, :, None, None]
    shown, table = torch.empty(planar.shape, device=linear.device), _curve(camera.gamma, linear.device)
    for start, stop in pieces(len(linear), linear[0, ..., 0].numel(), linear.device):
        exposed = planar[start:stop] * gains_[start:stop]
        noise = noise_sigma(scene, exposed.permute(0, 2, 3, 1), pixels).permute(0, 3, 1, 2)
        place = torch.addcmul(exposed, noise, normal(exposed)).clamp_(0, 1).mul_(_STEPS).add_(0.5).int()
        shown[start:stop] = table.index_select(0, place.reshape(-1)).reshape(place.shape)
    if camera.sharpening and pixels <= 2:
        shown += camera.sharpening * (shown - _blurred(shown))
        shown.clamp_(0, 255)
    return shown.permute(0, 2, 3, 1)


@functools.lru_cache(maxsize=8)
def _curve(gamma: float, device: torch.device) -> Tensor:
    """Displayed values 0..255 at even steps of light: a look-up is several times faster than a power."""
    return 255 * encode(torch.linspace(0, 1, _STEPS + 1), gamma).to(device)


def encode(linear: Tensor, gamma: float = 1.0) -> Tensor:
    """The sRGB tone curve (IEC 61966-2-1), raised to a power."""
    linear = linear.clamp(0, 1)
    curve = torch.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
    return curve if gamma == 1 else curve**gamma


def _blurred(planes: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
