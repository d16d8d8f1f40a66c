"""The rasteriser: which triangle is seen where."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from vitalcam.synth.film import over  # noqa: E402
from vitalcam.synth.raster import rasterise  # noqa: E402

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
    x = seen.interpolate(SQUARE, points[0, :, :1])[:, 0]
    torch.testing.assert_close(x, (seen.pixel % 8) + 0.5)
    assert torch.bincount(seen.frame).tolist() == [64, 64]


def test_the_nearer_one_is_seen_whatever_the_order():
    points = torch.cat([corners(0, 0, 8, 8, 2.0), corners(2, 2, 6, 6, 1.0), corners(4, 4, 8, 8, 3.0)])[None]
    for order in ([0, 1, 2], [2, 1, 0]):
        triangles = torch.cat([SQUARE + 4 * k for k in order])
        seen = rasterise(points, triangles, 8, 8)
        z = seen.interpolate(triangles, points[0, :, 2:])[:, 0]
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


def test_finer_pixels_cover_their_share():
    pixel = torch.tensor([0, 1, 8, 4 * 8 + 7])  # of 8 x 8 fine, three in the first coarse pixel, one in another
    picture = over(torch.ones(1, 4, 4, 1), pixel, torch.full((4, 1), 5.0), 2)[0, ..., 0]
    assert picture[0, 0] == pytest.approx(0.25 + 0.75 * 5)
    assert picture[2, 3] == pytest.approx(0.75 + 0.25 * 5)
    assert (picture == 1).sum() == 14
