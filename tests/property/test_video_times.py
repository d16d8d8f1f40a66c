import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalcam.video.read import open_video
from vitalcam.video.times import steady
from vitalcam.video.write import write_video

stamps = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60)


def repaired(values, step_s=1 / 30):
    warnings: list[str] = []
    times_s = [time_s for _, time_s in steady(((None, value) for value in values), step_s, warnings, "x")]
    return np.array(times_s), warnings


@given(stamps)
def test_times_increase_from_zero_whatever_the_stamps(values):
    times_s, warnings = repaired(values)
    assert len(times_s) == len(values)
    assert times_s[0] == 0
    assert np.all(np.diff(times_s) > 0)
    assert np.isfinite(times_s).all()
    assert len(warnings) == len(set(warnings)) <= 2


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60), st.integers(-(10**9), 10**9))
def test_good_stamps_are_kept(steps, origin):
    ticks = origin + np.cumsum(steps)
    times_s, warnings = repaired([int(tick) / 90_000 for tick in ticks])
    np.testing.assert_allclose(times_s, (ticks - ticks[0]) / 90_000, atol=1e-9)
    assert warnings == []


@given(st.integers(3, 40), st.data(), st.none() | st.floats(-1e4, 1e4))
def test_one_wrong_stamp_harms_no_other(n, data, wrong):
    right = np.arange(n) / 30
    at = data.draw(st.integers(1, n - 2))
    values = [*right[:at], wrong, *right[at + 1 :]]
    times_s, _ = repaired(values)
    others = np.delete(np.arange(n), at)
    if wrong is None or not right[at - 2 if at > 1 else 0] < wrong <= right[at + 1]:
        np.testing.assert_allclose(times_s[others], right[others], atol=1e-9)
        assert abs(times_s[at] - right[at]) <= 1 / 30


@given(st.integers(2, 20), st.integers(2, 20))
def test_restarted_clock_runs_on(first, second):
    times_s, warnings = repaired([*np.arange(first) / 30, *np.arange(second) / 30])
    np.testing.assert_allclose(times_s, np.arange(first + second) / 30, atol=1e-9)
    assert any("jumped back" in warning for warning in warnings)


@given(st.lists(st.integers(200, 500_000), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None)
def test_files_keep_any_variable_rate(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("vfr") / "a.mp4"
    times_s = np.concatenate([[0], np.cumsum(steps)]) / 90_000
    write_video(path, np.zeros((len(times_s), 16, 16, 3), np.uint8), times_s=times_s)
    video = open_video(path)
    np.testing.assert_allclose([f.time_s for f in video], times_s, atol=1e-9)
