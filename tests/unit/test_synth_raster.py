"""The rasteriser: which triangle is seen where."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from vitalcam.synth.raster import mixed, rasterise  # noqa: E402
from vitalcam.synth.render import Patch, _around, lay  # noqa: E402

SQUARE = torch.tensor([[0, 3, 1], [1, 3, 2]])  # counter-clockwise on a screen whose y points down


def corners(x0: float, y0: float, x1: float, y1: float, z: float):
    return torch.tensor([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z]])


def test_a_square_covers_the_centres_inside_of_it():
    points = corners(2.0, 1.0, 6.0, 4.0, 1.0)[None]
    seen = rasterise(points, SQUARE, 8, 10)
    assert sorted(seen.pixel.tolist()) == [row * 10 + column for row in (1, 2, 3) for column in (2, 3, 4, 5)]


def test_values_are_interpolated_to_the_centres():
    points = corners(0.0, 0.0, 8.0, 8.0, 1.0).repeat(2, 1, 1)
    seen = rasterise(points, SQUARE, 8, 8)
    x = mixed(points[0, :, :1][SQUARE[seen.triangle]], seen.weights)[:, 0]
    torch.testing.assert_close(x, (seen.pixel % 8) + 0.5)
    assert torch.bincount(seen.frame).tolist() == [64, 64]


def test_the_nearer_one_is_seen_whatever_the_order():
    points = torch.cat([corners(0, 0, 8, 8, 2.0), corners(2, 2, 6, 6, 1.0), corners(4, 4, 8, 8, 3.0)])[None]
    for order in ([0, 1, 2], [2, 1, 0]):
        triangles = torch.cat([SQUARE + 4 * k for k in order])
        seen = rasterise(points, triangles, 8, 8)
        z = mixed(points[0, :, 2:][triangles[seen.triangle]], seen.weights)[:, 0]
        assert z[seen.pixel == 3 * 8 + 3] == 2.0
        assert z[seen.pixel == 5 * 8 + 5] == 3.0
        assert len(z) == 64


def test_backs_and_what_is_outside_are_not_seen():
    points = corners(2.0, 1.0, 6.0, 4.0, 1.0)[None]
    assert len(rasterise(points, SQUARE.flip(1), 8, 10).pixel) == 0
    assert len(rasterise(points + torch.tensor([50.0, 0, 0]), SQUARE, 8, 10).pixel) == 0


def test_large_and_small_triangles_cover_their_area():
    for scale in (0.4, 3.0, 40.0, 150.0):
        points = torch.tensor([[10.0, 10.0, 1.0], [10.0 + scale, 10.0, 1.0], [10.0, 10.0 + scale, 1.0]])[None]
        n = len(rasterise(points, torch.tensor([[0, 2, 1]]), 200, 200).pixel)
        assert n == pytest.approx(scale**2 / 2, abs=1 + scale)


def patch(place: list[list[float]]):
    there = torch.tensor(place)[None]
    light, nothing = torch.zeros(1, there.shape[1], 3), torch.zeros(there.shape[1], 2)
    return Patch(slice(0, 1), torch.ones(1, 1, 1), there, light, light, light[..., :1], nothing, nothing)


def test_a_place_gives_its_light_to_the_pixels_around():
    one = patch([[2.75, 1.5]])
    picture = lay(torch.zeros(1, 4, 4, 1), [(one, torch.full((1, 1, 1), 5.0))], 1)[0, ..., 0]
    assert picture[1, 3] / picture[1, 2] == pytest.approx(0.25 / 0.75)
    assert picture[0].sum() == 0


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.77])
def test_a_moved_surface_keeps_its_light(shift: float):
    grid = torch.arange(16) / 2 + 4.25
    place = torch.stack(torch.meshgrid(grid + shift, grid, indexing="xy"), -1).reshape(-1, 2)
    wave = 2 + torch.cos(place[:, :1] - shift)[None]
    picture = lay(torch.zeros(1, 20, 20, 1), [(patch(place.tolist()), wave)], 2)[0, ..., 0]
    inner = picture[8, 6:10]
    expected = 2 + torch.cos(torch.arange(6, 10) + 0.5 - shift)
    torch.testing.assert_close(inner, expected, atol=0.12, rtol=0)
    assert picture.sum() == pytest.approx(float(wave.sum()) / 4, rel=0.12)


def test_light_beyond_the_picture_is_cut_off():
    one = patch([[-0.3, 1.5], [4.3, 1.5], [90.0, 1.5], [2.0, -70.0]])
    picture = lay(torch.zeros(1, 4, 4, 1), [(one, torch.full((1, 4, 1), 5.0))], 1)[0, ..., 0]
    assert picture[1, 0] == pytest.approx(5 * 0.2 * 1.2)
    assert picture[1, 3] == pytest.approx(5 * 0.2 * 1.2)
    assert picture[:, 1:3].sum() == picture[0].sum() == 0


@pytest.mark.parametrize(("count", "every"), [(21, 5), (12, 5), (10, 2), (3, 5), (4, 1), (1, 1)])
def test_neighbouring_patches_make_the_whole_picture(count: int, every: int):
    keys = torch.arange(0, count + every - 1, every).clamp(max=count - 1)
    total = torch.zeros(count)
    for key in range(len(keys)):
        frames, fade = _around(keys, key)
        total[frames] += fade[:, 0, 0]
    torch.testing.assert_close(total, torch.ones(count))
