"""Colour of skin, and how far a pulse of blood moves it, from melanin and haemoglobin in layers.

Light passes the epidermis (melanin), a papillary dermis (capillaries, little blood) and a thick reticular dermis
(where the arterioles pulse); each layer is a pair of fluxes (Kubelka-Munk). The spectrum that comes back is seen by a
camera whose white is balanced to the light, so that a perfect diffuser is (1, 1, 1). What never entered the skin, the
sheen, is neutral and does not pulse: it dilutes the pulse, and dilutes it most where the skin is darkest.

Sources:
    Jacques, Optical properties of biological tissues: a review, Phys Med Biol 58 (2013) R37: melanin, scattering.
    Jacques, Skin Optics, Oregon Medical Laser Center News, January 1998: bloodless skin, blood, ranges of melanin.
    Prahl, Tabulated molar extinction coefficient for hemoglobin in water, omlc.org (Gratzer; Kollias).
    Svaasand et al., Lasers Med Sci 10 (1995) 55: blood in vessels absorbs less than the same blood evenly spread.
    Egan and Hilgeman, Optical properties of inhomogeneous materials (1979): light reflected back inside at the surface.
    Wyman, Sloan, Shirley, J Comput Graph Tech 2(2) (2013): the standard observer as a sum of Gaussians.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.errors import UnknownName
from vitalcam.types import Floats

WAVELENGTH_NM: Floats = np.arange(400.0, 701.0, 10.0)
"""Wavelengths at which everything is sampled, (31,)."""

# Molar extinction in 1/(cm mol/l) at WAVELENGTH_NM (Prahl).
_OXY: Floats = np.array([
    266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209.2, 26629.2, 23684.4, 20932.8, 20035.2, 24202.4,
    39956.8, 53236, 43016, 32613.2, 44496, 50104, 14400.8, 3200, 1506, 942, 610, 442, 368, 319.6, 294, 277.6, 276, 290,
])  # fmt: skip
_DEOXY: Floats = np.array([
    223296, 303956, 407560, 528600, 413280, 103292, 23388.8, 16156.4, 14550, 16684, 20862, 25773.6, 31589.6, 39036.4,
    46592, 53412, 53788, 45072, 37020, 28324.4, 14677.2, 9443.6, 6509.6, 5148.8, 4345.2, 3750.12, 3226.56, 2795.12,
    2407.92, 2051.96, 1794.28,
])  # fmt: skip
_D65: Floats = np.array([
    82.75, 91.49, 93.43, 86.68, 104.86, 117.01, 117.81, 114.86, 115.92, 108.81, 109.35, 107.80, 104.79, 107.69, 104.41,
    104.05, 100.00, 96.33, 95.79, 88.69, 90.01, 89.60, 87.70, 83.29, 83.70, 80.03, 80.21, 82.28, 78.28, 69.72, 71.61,
])  # fmt: skip

_EPIDERMIS_CM = 0.003  # effective: melanin lies in its lower half; with it published melanin gives published ITA
_PAPILLARY_CM = 0.02
_PAPILLARY_BLOOD = 0.5  # blood of the papillary dermis, relative to the reticular
_PAPILLARY_PULSE = 0.2  # share of the pulse that reaches the capillaries, relative to the reticular
_VESSEL_RADIUS_CM = 0.001
_SATURATION = 0.7  # of the resting blood, mostly venous
_SATURATION_ARTERIAL = 0.97  # of the blood that a pulse adds
_INDEX = 1.4

FRESNEL = ((_INDEX - 1) / (_INDEX + 1)) ** 2
"""Share of light that the surface of skin returns without letting it in, at normal incidence: 0.028."""

SHEEN = 0.4 * FRESNEL
"""Share of light in `skin_colour` that was scattered by the rough surface; the rest of FRESNEL is in highlights."""

BLOOD = 0.02
"""A typical volume fraction of blood in the reticular dermis (0.005 pale .. 0.06 flushed)."""

PULSE = 0.08
"""A typical rise of blood volume from foot to peak of a beat, relative; 0.035 .. 0.115 gives 0.2 .. 2 % in green."""

FITZPATRICK = {
    1: (0.009, 0.0205),
    2: (0.0205, 0.039),
    3: (0.039, 0.059),
    4: (0.059, 0.0955),
    5: (0.0955, 0.25),
    6: (0.25, 0.45),
}
"""Melanin of the six skin types: from, to, volume fraction of the epidermis. The borders are those at which `ita_deg`
passes 55, 41, 28, 10 and -30; that a type is a stretch of ITA is a convention, not a measurement."""


def _absorption_per_cm(oxygen: float) -> Floats:
    """Whole blood of 150 g/l haemoglobin in vessels, (31,)."""
    mixed = oxygen * _OXY + (1 - oxygen) * _DEOXY
    mu = np.log(10) * 150 / 64500 * mixed
    depth = 2 * mu * _VESSEL_RADIUS_CM
    return np.asarray(mu * (1 - np.exp(-depth)) / depth)


_MELANIN: Floats = 6.6e11 * WAVELENGTH_NM**-3.33
_BLOODLESS: Floats = 0.244 + 85.3 * np.exp(-(WAVELENGTH_NM - 154) / 66.2)
_SCATTER: Floats = 0.75 * 46.0 * (WAVELENGTH_NM / 500) ** -1.421  # Kubelka-Munk S of mu_s'
_VENOUS: Floats = _absorption_per_cm(_SATURATION)
_ARTERIAL: Floats = _absorption_per_cm(_SATURATION_ARTERIAL)
_INSIDE = -1.44 / _INDEX**2 + 0.71 / _INDEX + 0.668 + 0.0636 * _INDEX


def _layer(mu_a: Floats, thickness_cm: float) -> tuple[Floats, Floats]:
    """Reflectance and transmittance of one layer (Kubelka and Munk 1931), K = 2 mu_a."""
    a = 1 + 2 * mu_a / _SCATTER
    b = np.sqrt(a * a - 1)
    decay = np.exp(-2 * b * _SCATTER * thickness_cm)  # cosh and sinh overflow, this does not
    below = a * (1 - decay) + b * (1 + decay)
    return (1 - decay) / below, 2 * b * np.sqrt(decay) / below


def reflectance(melanin: ArrayLike, blood: ArrayLike, arterial: ArrayLike = 0.0) -> Floats:
    """Spectrum of the light that comes back out of the skin, without the sheen.

    Args:
        melanin: volume fraction of melanosomes in the epidermis, 0.01 .. 0.43; any shape (...).
        blood: volume fraction of resting blood in the reticular dermis, shapes broadcast.
        arterial: arterial blood added by the pulse, relative to ``blood``.

    Returns:
        (..., 31) shares of the incident light at WAVELENGTH_NM.
    """
    melanin, blood, arterial = (np.asarray(x, float)[..., None] for x in (melanin, blood, arterial))
    bloodless = (1 - blood) * _BLOODLESS
    deep = bloodless + blood * (_VENOUS + arterial * _ARTERIAL)
    shallow = bloodless + _PAPILLARY_BLOOD * blood * (_VENOUS + _PAPILLARY_PULSE * arterial * _ARTERIAL)
    a = 1 + 2 * deep / _SCATTER
    r = a - np.sqrt(a * a - 1)
    for mu_a, thickness in (
        (shallow, _PAPILLARY_CM),
        (melanin * _MELANIN + (1 - melanin) * _BLOODLESS, _EPIDERMIS_CM),
    ):
        r_layer, t_layer = _layer(mu_a, thickness)
        r = r_layer + t_layer**2 * r / (1 - r_layer * r)
    return np.asarray((1 - FRESNEL) * (1 - _INSIDE) * r / (1 - _INSIDE * r))


def _bump(centre_nm: float, width_nm: float) -> Floats:
    return np.asarray(np.exp(-0.5 * ((WAVELENGTH_NM - centre_nm) / width_nm) ** 2))


def _blackbody(kelvin: float) -> Floats:
    return np.asarray((WAVELENGTH_NM / 560) ** -5 / np.expm1(1.4388e7 / (WAVELENGTH_NM * kelvin)))


LIGHTS: dict[str, Floats] = {
    "daylight": _D65,
    "led_warm": 0.45 * _bump(452, 11) + _bump(605, 58),
    "led_cool": _bump(450, 11) + 0.75 * _bump(555, 55),
    "incandescent": _blackbody(2800),
    "fluorescent": (
        0.4 * _bump(436, 8) + 0.3 * _bump(490, 12) + _bump(545, 8) + 0.3 * _bump(585, 10) + _bump(612, 8) + 0.05
    ),
    "screen": _bump(450, 12) + 0.8 * _bump(535, 25) + 0.8 * _bump(615, 25),
}
"""Relative power of light at WAVELENGTH_NM, (31,). Daylight is CIE D65, incandescent Planck's law at 2800 K; LED,
fluorescent and screen are sums of Gaussians at the wavelengths of their phosphors, not measurements."""


def _lobe(centre_nm: float, below_per_nm: float, above_per_nm: float) -> Floats:
    step = WAVELENGTH_NM - centre_nm
    return np.asarray(np.exp(-0.5 * (step * np.where(step < 0, below_per_nm, above_per_nm)) ** 2))


def _observer() -> Floats:
    x = 1.056 * _lobe(599.8, 0.0264, 0.0323) + 0.362 * _lobe(442, 0.0624, 0.0374) - 0.065 * _lobe(501.1, 0.0490, 0.0382)
    y = 0.821 * _lobe(568.8, 0.0213, 0.0247) + 0.286 * _lobe(530.9, 0.0613, 0.0322)
    z = 1.217 * _lobe(437, 0.0845, 0.0278) + 0.681 * _lobe(459, 0.0385, 0.0725)
    return np.stack([x, y, z])


_XYZ_TO_SRGB: Floats = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
_RAW: Floats = np.eye(3)

CAMERAS: dict[str, tuple[Floats, Floats]] = {
    "colorimetric": (_observer(), _XYZ_TO_SRGB * np.linalg.solve(_XYZ_TO_SRGB, np.ones(3))),
    "phone": (np.stack([_bump(605, 32), _bump(535, 38), _bump(460, 28)]), _RAW),
    "webcam": (np.stack([_bump(600, 42), _bump(538, 45), _bump(465, 34)]), _RAW),
}
"""Spectral sensitivity of three channels at WAVELENGTH_NM, (3, 31), and the matrix (3, 3) that makes R, G, B of them
once they are balanced. "colorimetric" sees as the standard observer and gives linear sRGB; the others are Gaussian
bands left as they are."""


def _weights(light: str, camera: str) -> tuple[Floats, Floats]:
    """Weights (3, 31) that turn a reflectance into balanced RGB, and the channels' response to white, (3,)."""
    if light not in LIGHTS:
        raise UnknownName("light", light, LIGHTS)
    if camera not in CAMERAS:
        raise UnknownName("camera", camera, CAMERAS)
    sensitivity, matrix = CAMERAS[camera]
    seen = sensitivity * LIGHTS[light]
    white = seen.sum(axis=1)
    return matrix @ (seen / white[:, None]), white


def white_balance(light: str, camera: str) -> Floats:
    """Gains (3,) that make white white, the second 1: how much more noise a channel has under this light."""
    white = _weights(light, camera)[1]
    return np.asarray(white[1] / white)


def skin_colour(
    melanin: ArrayLike,
    blood: ArrayLike = BLOOD,
    *,
    light: str = "daylight",
    camera: str = "colorimetric",
    arterial: ArrayLike = 0.0,
    sheen: float = SHEEN,
) -> Floats:
    """Linear RGB of matt skin where a white diffuser is (1, 1, 1).

    Args:
        melanin: as for `reflectance`; any shape (...).
        blood: as for `reflectance`; shapes broadcast.
        light: name in LIGHTS.
        camera: name in CAMERAS.
        arterial: as for `reflectance`.
        sheen: share of the light returned by the surface, neutral; 0 for the sub-surface part alone.

    Returns:
        (..., 3).

    Raises:
        UnknownName: of light or camera.
    """
    weights, _ = _weights(light, camera)
    return np.asarray(reflectance(melanin, blood, arterial) @ weights.T + sheen)


def pulsatility(melanin: ArrayLike, blood: ArrayLike = BLOOD, **scene: Any) -> Floats:
    """Relative change of R, G, B for a unit relative change of blood volume by arterial blood; negative.

    A pulse of amplitude v (0.02: the volume of blood changes by 2 % from foot to peak) gives AC/DC = v * pulsatility.

    Args:
        melanin: as for `reflectance`.
        blood: as for `reflectance`.
        scene: ``light``, ``camera``, ``sheen`` of `skin_colour`.

    Returns:
        (..., 3).
    """
    step = 0.01
    up, down = (skin_colour(melanin, blood, arterial=s, **scene) for s in (step, -step))
    return np.asarray((up - down) / (2 * step) / skin_colour(melanin, blood, **scene))


@functools.lru_cache(maxsize=32)
def table(
    light: str = "daylight", camera: str = "colorimetric", n: int = 48, sheen: float = SHEEN
) -> tuple[Floats, Floats, Floats, Floats]:
    """Colours and their derivatives on a grid, to be interpolated where this module cannot run.

    Returns:
        melanin (n,) and blood (n,), both evenly spaced in the logarithm; linear RGB (n, n, 3) with melanin first;
        its change for a unit relative change of blood volume, (n, n, 3).
    """
    melanin, blood = np.geomspace(0.005, 0.45, n), np.geomspace(0.003, 0.15, n)
    grid: dict[str, Any] = {"light": light, "camera": camera, "sheen": sheen}
    rgb = skin_colour(melanin[:, None], blood, **grid)
    change = rgb * pulsatility(melanin[:, None], blood, **grid)
    for array in (melanin, blood, rgb, change):
        array.setflags(write=False)  # the cache hands out the same arrays again
    return melanin, blood, rgb, change


def ita_deg(rgb: ArrayLike) -> Floats:
    """Individual typology angle, the usual number for how light skin is: atan2(L* - 50, b*) in degrees.

    Above 55 very light, 41 light, 28 intermediate, 10 tan, -30 brown, below dark.

    Args:
        rgb: (..., 3) linear sRGB, white 1.

    Source: Chardon, Cretois, Hourseau, Int J Cosmet Sci 13 (1991) 191; Del Bino et al., Pigment Cell Res 19 (2006) 606.
    """
    from_rgb = np.array([[0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    y, z = np.moveaxis(np.asarray(rgb, float) @ from_rgb.T / from_rgb.sum(axis=1), -1, 0)
    f_y, f_z = (np.where(v > 216 / 24389, np.cbrt(v), (24389 / 27 * v + 16) / 116) for v in (y, z))
    return np.asarray(np.degrees(np.arctan2(116 * f_y - 66, 200 * (f_y - f_z))))
