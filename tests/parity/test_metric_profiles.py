"""Published evaluation codes: rates, SNR and MACC to 1e-6 of what those codes give, and the printed standard errors."""

import functools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from vitalcam import metrics
from vitalcam.signal.filter import detrend

SHARED = Path(os.environ.get("VITALCAM_SHARED", Path(__file__).parents[3] / "shared"))
FIXTURE = SHARED / "reference" / "fixtures" / "metrics_synthetic.npz"
pytestmark = pytest.mark.skipif(not FIXTURE.exists(), reason="reference values are not here; set VITALCAM_SHARED")
TOLERANCE = 1e-6
NAMES = {"toolbox": "toolbox-current", "mmrphys_head": "mmrphys-2025", "rhythmformer": "rhythmformer-2024"}


@functools.cache
def _results():
    with np.load(FIXTURE) as fixture:
        return json.loads(str(fixture["meta"]))["results"]


def _case(case):
    time = np.arange(case["N"]) / case["fs"]
    noise = case["noise"] * np.random.default_rng(case["seed"]).standard_normal(case["N"])
    if "rr" in case:
        label = np.sin(2 * np.pi * case["rr"] / 60 * time)
        return label + noise, label
    phase = 2 * np.pi * case["hr"] / 60 * time
    label = np.sin(phase) + 0.35 * np.sin(2 * phase + 0.7)
    return label + noise + 0.5 * np.sin(2 * np.pi * 0.25 * time) + 0.3 * time / time[-1], label


def _rows():
    if not FIXTURE.exists():
        return []
    return [(case, setting) for case, content in _results().items() for setting in content["out"]]


@pytest.mark.parametrize(("name", "setting"), _rows())
def test_published_code(name, setting):
    content = _results()[name]
    case, expected = content["case"], content["out"][setting]
    prediction, label = _case(case)
    kind = "resp" if "rr" in case else "bvp"
    common = {"profile": next(v for k, v in NAMES.items() if setting.startswith(k)), "kind": kind, "fs_hz": case["fs"]}
    method = "peak" if setting.endswith("Peak") else "fft"
    prediction, label = (metrics.prepare(x, differenced="diff1" in setting, **common) for x in (prediction, label))
    truth = metrics.rate(label, method=method, **common)
    short = "rr" if kind == "resp" else "hr"
    assert truth == pytest.approx(expected[f"{short}_label"], abs=TOLERANCE)
    assert metrics.rate(prediction, method=method, **common) == pytest.approx(expected[f"{short}_pred"], abs=TOLERANCE)
    assert metrics.snr_db(prediction, truth, **common) == pytest.approx(expected["snr"], abs=TOLERANCE)
    if "macc" in expected:
        assert metrics.macc(prediction, label) == pytest.approx(expected["macc"], abs=TOLERANCE)


@pytest.mark.parametrize("name", ["seed1_N300_fs30", "seed5_N128_fs30"])
def test_filters(name):
    prediction, _ = _case(_results()[name]["case"])
    with np.load(FIXTURE) as fixture:
        for key, got in {
            "detrend100": detrend(prediction, lam=100),
            "detrend_bandpass1": metrics.prepare(prediction, fs_hz=30, profile="toolbox-current"),
            "bandpass2_nodetrend": metrics.prepare(prediction, fs_hz=30, profile="mmrphys-2025"),
        }.items():
            np.testing.assert_allclose(got, fixture[f"{name}_{key}"], atol=TOLERANCE)


# MAE, RMSE, MAPE, Pearson, each with its standard error, as the unmodified codes print them for the sample file.
PRINTED = {
    ("rppg_toolbox", "fft", "toolbox-current"): (
        2.657645, 1.673712, 11.167727, 10.779076, 2.625305, 1.522412, 0.831351, 0.087872),
    ("rppg_toolbox", "fft", "factorizephys-2024"): (
        2.657645, 1.673712, 11.167727, 4.234179, 2.625305, 1.522412, 0.831351, 0.087872),
    ("rppg_toolbox", "peak", "toolbox-current"): (
        4.983471, 1.339064, 10.007238, 8.007507, 5.148592, 1.350425, 0.832622, 0.087570),
    ("mmrphys_head", "fft", "mmrphys-2025"): (
        2.482993, 1.694824, 11.260875, 4.301779, 2.325389, 1.524266, 0.837641, 0.086365),
    ("mmrphys_head", "peak", "mmrphys-2025"): (
        3.877990, 1.204037, 8.713576, 2.909019, 3.599780, 0.953222, 0.834651, 0.087086),
}  # fmt: skip


@pytest.mark.parametrize(("code", "method", "profile"), PRINTED)
def test_printed_scores_of_the_sample_file(code, method, profile):
    videos = json.loads(FIXTURE.with_name("sample_pickle_pervideo.json").read_text())[code].values()
    estimate, truth = (np.array([v[f"hr_{which}_{method}"] for v in videos]) for which in ("pred", "label"))
    got = metrics.agreement(estimate, truth, profile=profile)
    row = [number for name in ("mae", "rmse", "mape", "pearson") for number in got[name][:2]]
    np.testing.assert_allclose(row, PRINTED[code, method, profile], atol=1e-5)
    assert got["mae"][2] == 42
