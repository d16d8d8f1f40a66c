"""The detector finds painted faces of all sizes and rolls where they are, and none where there are none."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import vitalcam.weights
from vitalcam.errors import WeightsError
from vitalcam.face import detect
from vitalcam.face.detect import looks, near, over, search
from vitalcam.synth.painted import PaintedFace, PersonOnScreen, Scene, render
from vitalcam.types import Frame, Planes

try:
    import tomllib
except ImportError:
    import tomli as tomllib

CENTRE_TOLERANCE = 0.12  # of the box: how far the centre of the box may be from the centre between eyes and mouth
TONES = {"light": (245, 215, 195), "middle": (205, 160, 135), "dark": (80, 52, 40)}


def picture(face_height_px=150, *, width=640, height=480, centre=(0.5, 0.45), tone="middle"):
    person = PersonOnScreen(
        face_height=face_height_px / height,
        centre=centre,
        face=PaintedFace(skin_rgb=TONES[tone], hair_rgb=(30, 22, 18)),
    )
    return next(render(Scene(width=width, height=height, people=(person,)), np.array([0.0])))


def frame(pixels):
    return Frame(np.ascontiguousarray(pixels), 0.0, 0)


def find(pixels):
    return search(frame(pixels), looks(pixels.shape[1], pixels.shape[0]))


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("face_height_px", [30, 60, 150, 300])
def test_faces_of_all_sizes_and_tones_are_found(face_height_px, tone):
    (found,) = find(picture(face_height_px, tone=tone))
    assert found.score > 0.7
    assert found.side_px == pytest.approx(0.76 * face_height_px, rel=0.15)
    np.testing.assert_allclose(
        found.keypoints_px[:4].mean(0), (320, 216 + 0.11 * face_height_px), atol=0.1 * face_height_px
    )
    assert found.roll_deg == pytest.approx(0, abs=8)
    assert found.yaw == pytest.approx(0, abs=0.15)


def test_a_small_face_in_a_large_frame_is_found():
    (found,) = find(picture(33, width=1920, height=1080, centre=(0.8, 0.3)))
    assert found.side_px == pytest.approx(25, rel=0.15)
    np.testing.assert_allclose(found.centre_px, (0.8 * 1920, 0.3 * 1080), atol=6)


@pytest.mark.parametrize("roll_deg", range(0, 360, 45))
def test_rolled_heads_are_found_with_their_roll(roll_deg):
    turned = ndimage.rotate(picture(), -roll_deg, axes=(0, 1), reshape=False, order=1, mode="nearest")
    (found,) = find(turned)
    assert (found.roll_deg - roll_deg + 180) % 360 - 180 == pytest.approx(0, abs=20)
    again = near(frame(turned), found.box_px, found.roll_deg)[0]
    assert again.score > 0.7


@pytest.mark.parametrize("turns", range(4))
def test_a_quarter_turn_of_the_picture_only_turns_the_result(turns):
    """The turned look at a turned picture is the same input to the net, so it must give the same face."""
    still = near(frame(picture(width=480)), np.array([165.0, 141, 315, 291]))[0]
    box = np.array([165.0, 141, 315, 291]).reshape(2, 2)
    for _ in range(turns):
        box = np.stack([480 - box[:, 1], box[:, 0]], axis=1)
    box = np.concatenate([box.min(0), box.max(0)])
    turned = near(frame(np.rot90(picture(width=480), -turns)), box, 90.0 * turns)[0]
    points = still.keypoints_px
    for _ in range(turns):
        points = np.stack([480 - points[:, 1], points[:, 0]], axis=1)
    np.testing.assert_allclose(turned.keypoints_px, points, atol=0.1)
    assert turned.score == pytest.approx(still.score, abs=1e-3)
    assert turned.yaw == pytest.approx(still.yaw, abs=0.02)


def test_planes_give_the_face_of_their_picture():
    pixels = picture().astype(float)
    y = pixels @ (0.299, 0.587, 0.114)
    u, v = ((pixels[..., k] - y) * scale for k, scale in ((2, 0.5 / 0.886), (0, 0.5 / 0.701)))
    small = [(128 + c).reshape(240, 2, 320, 2).mean((1, 3)).round().astype(np.uint8) for c in (u, v)]
    planes = Planes(y.round().astype(np.uint8), *small, full_range=True)
    (a,), (b,) = find(picture()), search(Frame(planes, 0.0, 0), looks(640, 480))
    np.testing.assert_allclose(a.box_px, b.box_px, atol=1.5)


def test_a_warm_face_is_found_in_degrees():
    celsius = (28 + picture().astype(np.float32).mean(axis=2, keepdims=True) / 32).astype(np.float32)
    (a,), (b,) = find(picture()), find(celsius)
    np.testing.assert_allclose(a.box_px, b.box_px, atol=15)


def test_two_faces_are_two():
    people = (PersonOnScreen(centre=(0.3, 0.45), face_height=0.3), PersonOnScreen(centre=(0.7, 0.5), face_height=0.4))
    found = find(next(render(Scene(people=people), np.array([0.0]))))
    assert sorted(round(d.centre_px[0] / 640, 1) for d in found) == [0.3, 0.7]


@pytest.mark.parametrize("block_px", [1, 16])
def test_noise_has_no_faces(block_px):
    rng = np.random.default_rng(block_px)
    blocks = rng.integers(0, 256, (480 // block_px + 1, 640 // block_px + 1, 3), dtype=np.uint8)
    assert find(blocks.repeat(block_px, 0).repeat(block_px, 1)[:480, :640]) == []


def test_a_photograph_has_its_face():
    data = pytest.importorskip("skimage.data", reason="needs scikit-image for a photograph")
    (found,) = find(data.astronaut())
    np.testing.assert_allclose(found.centre_px, (223, 122), atol=10)
    assert found.side_px == pytest.approx(105, rel=0.15)


def test_looks_cover_every_place_at_every_size():
    for width, height in [(640, 480), (1920, 1080), (176, 144)]:
        squares = np.array([look.square_px for look in looks(width, height)])
        sides = squares[:, 2] - squares[:, 0]
        for x, y in np.random.default_rng(0).uniform((12, 12), (width - 12, height - 12), (50, 2)):
            holds = (squares[:, :2] <= (x - 12, y - 12)).all(1) & (squares[:, 2:] >= (x + 12, y + 12)).all(1)
            assert sides[holds].min() < 301  # a face of 24 px is at least 1/12.5 of some square that holds all of it


def test_a_missing_net_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(detect.importlib.resources, "files", lambda _: tmp_path)
    detect._session.cache_clear()
    with pytest.raises(WeightsError, match=r"blazeface_full\.onnx"):
        over(frame(picture()), looks(640, 480)[:1])


def test_the_cards_tell_the_hashes_of_the_nets():
    folder = Path(vitalcam.weights.__path__[0])
    cards = tomllib.loads((folder / "cards.toml").read_text(encoding="utf-8"))
    for file in folder.glob("blazeface_*.onnx"):
        assert cards[file.name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert cards[file.name]["licence"] == "Apache-2.0"
