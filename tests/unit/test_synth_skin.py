import numpy as np
import pytest

from vitalcam.errors import UnknownName
from vitalcam.synth import skin

TONES = np.array([np.sqrt(low * high) for low, high in skin.FITZPATRICK.values()])
ITA_BORDERS = [90, 55, 41, 28, 10, -30, -90]
SCENES = [(light, camera) for light in skin.LIGHTS for camera in skin.CAMERAS]
WHITE = ("daylight", "led_cool", "incandescent", "screen")


@pytest.mark.parametrize(("light", "camera"), SCENES)
def test_pulse_in_is_pulse_out_for_every_tone(light, camera):
    """Render a pulse of blood and read its amplitude and colour direction back: within 5 % of what was put in."""
    pulse = skin.PULSE * (np.cos(np.linspace(0, 4 * np.pi, 65)) / 2)
    for melanin in TONES:
        video = skin.skin_colour(melanin, arterial=pulse, light=light, camera=camera)
        measured = np.ptp(video, axis=0) / video.mean(axis=0)
        promised = np.abs(skin.PULSE * skin.pulsatility(melanin, light=light, camera=camera))
        np.testing.assert_allclose(measured, promised, rtol=0.05, atol=1e-5)
        np.testing.assert_allclose(
            measured / np.linalg.norm(measured), promised / np.linalg.norm(promised), rtol=0.05, atol=1e-3
        )
        assert np.corrcoef(video[:, 1], pulse)[0, 1] < -0.999


@pytest.mark.parametrize(("light", "camera"), SCENES)
def test_green_moves_by_what_is_published_and_most_of_all(light, camera):
    ratio = -100 * skin.PULSE * skin.pulsatility(TONES, light=light, camera=camera)
    assert np.all(ratio[:, 1] * 0.035 / skin.PULSE > 0.2)
    assert np.all(ratio[:, 1] * 0.115 / skin.PULSE < 2)
    assert np.all(ratio[:, 1] > ratio[:, 0])
    assert np.all(ratio[:, 1] > ratio[:, 2])
    if light in WHITE:
        assert np.all(ratio[:3, 2] > ratio[:3, 0])


def test_direction_of_the_pulse_on_light_skin_is_near_the_measured_one():
    """De Haan and van Leest 2014, halogen light: (0.33, 0.77, 0.53)."""
    change = -skin.pulsatility(TONES[1:3], light="incandescent", camera="phone")
    unit = change / np.linalg.norm(change, axis=1, keepdims=True)
    angle = np.degrees(np.arccos(unit @ np.array([0.33, 0.77, 0.53]) / np.linalg.norm([0.33, 0.77, 0.53])))
    assert angle.max() < 8


def test_darker_skin_pulses_less_in_both_ways():
    rgb = skin.skin_colour(TONES)
    ratio = -skin.pulsatility(TONES)
    assert np.all(np.diff(rgb, axis=0) < 0)
    assert np.all(np.diff(ratio[:, 1:], axis=0) < 0)
    absolute = (rgb * ratio)[:, 1]
    assert absolute[0] > 5 * absolute[5]


def test_sheen_dilutes_the_pulse_and_does_not_carry_it():
    plain, shiny = (skin.skin_colour(TONES, sheen=s) for s in (0.0, 0.05))
    np.testing.assert_allclose(shiny - plain, 0.05)
    without, with_sheen = (skin.pulsatility(TONES, sheen=s) for s in (0.0, 0.05))
    np.testing.assert_allclose(with_sheen * shiny, without * plain, rtol=1e-9)
    loss = (with_sheen / without)[:, 1]
    assert np.all(np.diff(loss) < 0)


def test_warm_light_leaves_little_blue():
    assert skin.white_balance("incandescent", "phone")[2] > 2 * skin.white_balance("daylight", "phone")[2]
    np.testing.assert_allclose([skin.white_balance(*scene)[1] for scene in SCENES], 1)


def test_types_have_the_ita_of_their_bin():
    for kind, (low, high) in skin.FITZPATRICK.items():
        lighter, darker = skin.ita_deg(skin.skin_colour([low * 1.02, high * 0.98]))
        assert ITA_BORDERS[kind - 1] + 1 > lighter > darker > ITA_BORDERS[kind] - 1


def test_ita_of_known_colours():
    np.testing.assert_allclose(skin.ita_deg([[1, 1, 1], [0.1842, 0.1842, 0.1842]])[0], 90, atol=0.2)
    # sRGB (224, 172, 105): L* 73.79, b* 41.53 by the full CIE formulae
    linear = ((np.array([224, 172, 105]) / 255 + 0.055) / 1.055) ** 2.4
    assert skin.ita_deg(linear) == pytest.approx(29.80, abs=0.05)


def test_more_blood_is_redder_and_two_haemoglobin_bands_show():
    spectra = skin.reflectance(0.02, [0.005, 0.06])
    at = {nm: i for i, nm in enumerate(skin.WAVELENGTH_NM.astype(int))}
    assert np.all(spectra[1] < spectra[0])
    assert spectra[1][at[560]] > max(spectra[1][at[540]], spectra[1][at[580]])
    drop = 1 - spectra[1] / spectra[0]
    assert drop[at[540]] > 3 * drop[at[650]]


@pytest.mark.parametrize(("melanin", "blood"), [(0.0, 0.0), (0.009, 0.005), (0.45, 0.15)])
def test_energy_is_conserved(melanin, blood):
    spectrum = skin.reflectance(melanin, blood)
    assert np.all((spectrum > 0) & (spectrum < 1 - skin.FRESNEL))


def test_maps_of_pixels_equal_single_pixels():
    melanin = np.linspace(0.01, 0.4, 12).reshape(3, 4)
    blood = np.linspace(0.01, 0.05, 4)
    whole = skin.skin_colour(melanin, blood, camera="phone")
    assert whole.shape == (3, 4, 3)
    np.testing.assert_allclose(whole[2, 1], skin.skin_colour(melanin[2, 1], blood[1], camera="phone"))


def test_the_table_can_stand_in_for_the_model():
    melanin, blood, rgb, change = skin.table("led_warm", "webcam", 48)
    rng = np.random.default_rng(0)
    m, b = np.exp(rng.uniform(np.log(0.009), np.log(0.45), 50)), np.exp(rng.uniform(np.log(0.005), np.log(0.06), 50))
    scene = {"light": "led_warm", "camera": "webcam"}
    truth = skin.skin_colour(m, b, **scene)
    for stored, want in ((rgb, truth), (change, truth * skin.pulsatility(m, b, **scene))):
        i, j = (np.log(v / grid[0]) / np.log(grid[1] / grid[0]) for v, grid in ((m, melanin), (b, blood)))
        i0, j0 = i.astype(int), j.astype(int)
        fi, fj = (i - i0)[:, None], (j - j0)[:, None]
        top = stored[i0, j0] * (1 - fj) + stored[i0, j0 + 1] * fj
        bottom = stored[i0 + 1, j0] * (1 - fj) + stored[i0 + 1, j0 + 1] * fj
        np.testing.assert_allclose(top * (1 - fi) + bottom * fi, want, rtol=0.01, atol=2e-5)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(UnknownName, match="did you mean 'daylight'"):
        skin.skin_colour(0.1, light="daylihgt")
    with pytest.raises(UnknownName, match="webcam"):
        skin.skin_colour(0.1, camera="pinhole")
