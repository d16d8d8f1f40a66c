"""Crops: they are area means, whatever the box."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalcam.face.crop import area, enlarge
from vitalcam.types import Frame, Planes
from vitalcam.video.colour import yuv_to_rgb

HEIGHT, WIDTH = 23, 31
edges = st.floats(-12, 30)
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


def rgb_frame(seed):
    return Frame(np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8), 0.0, 0)


def brute_force(pixels, box_px, size, fine=40):
    """Mean over many points of each cell; the nearest pixel of the frame where a point is outside."""
    x0, y0, x1, y1 = box_px
    rows, columns = size
    y = y0 + (y1 - y0) * (np.arange(rows * fine) + 0.5) / (rows * fine)
    x = x0 + (x1 - x0) * (np.arange(columns * fine) + 0.5) / (columns * fine)
    y = np.clip(np.floor(y), 0, pixels.shape[0] - 1).astype(int)
    x = np.clip(np.floor(x), 0, pixels.shape[1] - 1).astype(int)
    return pixels[y][:, x].reshape(rows, fine, columns, fine, -1).astype(float).mean(axis=(1, 3))


@settings(max_examples=60, deadline=None)
@given(edges, edges, st.floats(1, 4), st.floats(1, 4), sizes, st.integers(0, 3))
def test_cells_are_means_of_their_area(x0, y0, cell_w, cell_h, size, seed):
    box = np.array([x0, y0, x0 + size[1] * cell_w, y0 + size[0] * cell_h])
    frame = rgb_frame(seed)
    # the brute force sees edges only to 1/40 of a cell, a step of at most 255 in grey at each of two edges and axes
    np.testing.assert_allclose(area(frame, box, size), brute_force(frame.pixels, box, size), atol=4 * 255 / 40)
    np.testing.assert_allclose(
        area(frame, box, size).mean(), brute_force(frame.pixels, box, size).mean(), atol=4 * 255 / 40
    )


def test_whole_pixels_are_exact():
    frame = rgb_frame(0)
    want = frame.pixels[2:22, 4:28].astype(float).reshape(5, 4, 8, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(area(frame, np.array([4, 2, 28, 22]), (5, 8)), want, atol=1e-4)


def test_half_pixels_count_half():
    pixels = np.array([[0, 100, 200, 40]], np.uint8)[..., None].repeat(3, -1)
    got = area(Frame(pixels, 0.0, 0), np.array([0.5, 0, 3.5, 1]), (1, 2))
    np.testing.assert_allclose(got[0, :, 0], [(0 * 0.5 + 100) / 1.5, (200 + 40 * 0.5) / 1.5], atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(edges, edges, st.floats(0.5, 50), st.floats(0.5, 50), sizes, st.integers(0, 255))
def test_a_constant_picture_stays_constant(x0, y0, width, height, size, level):
    frame = Frame(np.full((HEIGHT, WIDTH, 3), level, np.uint8), 0.0, 0)
    got = area(frame, np.array([x0, y0, x0 + width, y0 + height]), size)
    assert got.shape == (*size, 3)
    np.testing.assert_allclose(got, level, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(edges, edges, st.floats(9, 40), st.floats(9, 40), sizes)
def test_the_mean_of_the_cells_is_the_mean_of_the_box(x0, y0, width, height, size):
    frame, box = rgb_frame(1), np.array([x0, y0, x0 + width, y0 + height])
    np.testing.assert_allclose(area(frame, box, size).mean((0, 1)), area(frame, box, (1, 1))[0, 0], atol=1e-3)


def test_small_cells_are_interpolated_between_pixel_centres():
    ramp = np.arange(10, dtype=np.float32)[None, :, None].repeat(4, 0)  # value = column, so column centre - 0.5
    got = area(Frame(ramp, 0.0, 0), np.array([2.0, 0, 5.0, 4]), (2, 12))
    np.testing.assert_allclose(got[0, :, 0], 2 + (np.arange(12) + 0.5) / 4 - 0.5, atol=1e-5)


def test_shrinking_a_crop_of_planes_is_converting_then_shrinking():
    rng = np.random.default_rng(2)
    y = rng.integers(60, 180, (24, 32), dtype=np.uint8)
    u, v = rng.integers(110, 146, (2, 12, 16), dtype=np.uint8)
    frame = Frame(Planes(y, u, v, matrix="bt709"), 0.0, 0)
    full = yuv_to_rgb(
        y.astype(np.float32),
        u.repeat(2, 0).repeat(2, 1).astype(np.float32),
        v.repeat(2, 0).repeat(2, 1).astype(np.float32),
        bits=8,
        matrix="bt709",
        full_range=False,
    )
    box = np.array([3.3, 2.2, 29.1, 21.7])
    np.testing.assert_allclose(area(frame, box, (4, 5)), area(Frame(full, 0.0, 0), box, (4, 5)), atol=0.05)


@pytest.mark.parametrize("box", [[0, 0, np.nan, 4], [4, 0, 4, 4], [0, 5, 4, 4]])
def test_an_empty_or_unknown_box_is_refused(box):
    with pytest.raises(ValueError, match="empty or not finite"):
        area(rgb_frame(0), np.array(box, float), (2, 2))


@given(edges, edges, st.floats(0.5, 50), st.floats(0.5, 50), st.floats(0.5, 4))
def test_enlarging_keeps_the_centre_and_gives_a_square(x0, y0, width, height, factor):
    big = enlarge(np.array([x0, y0, x0 + width, y0 + height]), factor)
    np.testing.assert_allclose([big[0] + big[2], big[1] + big[3]], [2 * x0 + width, 2 * y0 + height], atol=1e-9)
    np.testing.assert_allclose([big[2] - big[0], big[3] - big[1]], factor * max(width, height), rtol=1e-9)
