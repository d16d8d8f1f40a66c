"""Synthetic pulses and breaths beside PhysioKit's real ones: the same measurement on both, distributions compared."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

_SPEC = importlib.util.spec_from_file_location(
    "physiology_figure", Path(__file__).parents[2] / "tools" / "physiology_figure.py"
)
figure = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(figure)

pytestmark = pytest.mark.skipif(not figure.real_file().exists(), reason="real signals are not beside the checkout")

# How far the medians may be apart, relative, and how much of the narrower 10 .. 90 % range must be common.
LIMITS = {
    "sdnn": (0.25, 0.6),
    "rmssd": (0.4, 0.5),
    "ibi_slope": (0.5, 0.5),
    "harmonic_2": (0.15, 0.6),
    "harmonic_3": (0.2, 0.6),
    "rise": (0.25, 0.5),
    "height_cv": (0.3, 0.5),
    "baseline": (0.5, 0.5),
    "resp_rate": (0.25, 0.6),
    "cycle_cv": (0.5, 0.3),  # two participants, tasks and a belt that misses breaths: theirs is an upper bound
    "inspired": (0.25, 0.4),
}


@pytest.fixture(scope="module")
def populations():
    measure = {"ear": figure.pulse_statistics, "finger": figure.pulse_statistics, "resp": figure.breath_statistics}
    return {
        site: ([f(x) for x in figure.real(site)], [f(x) for x in figure.synthetic(site)]) for site, f in measure.items()
    }


def _cases():
    pulse = [key for key in figure.STATISTICS if key != "heart_rate"]
    return [(s, k) for s in ("ear", "finger") for k in pulse] + [("resp", k) for k in figure.RSP_STATISTICS]


@pytest.mark.parametrize(("site", "key"), _cases())
def test_distributions_overlap(populations, site, key):
    theirs, ours = (np.percentile([row[key] for row in rows], [10, 50, 90]) for rows in populations[site])
    apart, common = LIMITS[key]
    assert abs(ours[1] - theirs[1]) <= apart * abs(theirs[1]), f"medians {ours[1]:.3g} (ours), {theirs[1]:.3g}"
    shared = min(ours[2], theirs[2]) - max(ours[0], theirs[0])
    assert shared >= common * min(np.ptp(ours), np.ptp(theirs)), f"ranges {ours.round(3)} (ours), {theirs.round(3)}"


@pytest.mark.parametrize("site", ["ear", "finger"])
def test_each_real_beat_has_a_synthetic_one_like_it(site):
    """The nearest of 60 synthetic mean beats, up to a shift, is within 5 % of the height (rms)."""
    ours = np.array([figure.mean_beat(x) for x in figure.synthetic(site, 60, seed=7)])
    misfits = [_nearest(figure.mean_beat(x), ours) for x in figure.real(site)]
    assert np.median(misfits) < 0.05
    assert max(misfits) < 0.09


def _nearest(beat, library):
    centred = library - library.mean(axis=1, keepdims=True)
    shifts = np.stack([np.roll(centred, k, axis=1) for k in range(-6, 7)])
    return np.sqrt(((shifts - (beat - beat.mean())) ** 2).mean(axis=-1)).min()
