from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from _results import FS_HZ, face, result
from matplotlib.collections import QuadMesh

from vitalcam import files, report
from vitalcam.errors import MissingExtra, OutputError, UsageError
from vitalcam.report import clock, plain, terminal, words
from vitalcam.types import Reason, Signal


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_reason_has_words_and_advice() -> None:
    assert set(words.REASONS) == set(get_args(Reason))
    assert all(what and advice for what, advice in words.REASONS.values())
    assert not any("longer" in words.reason(name, quantity) for name in words.REASONS for quantity in words.QUANTITIES)
    assert words.reason("too_short", "resp_rate") == "too short: record for 15 s at least, better 30 s"


def test_json_is_strict_and_null_where_refused() -> None:
    document = json.loads(
        report.to_json(result(face(heart_bpm=None, reason="dark"), video={"duration_s": math.nan})),
        parse_constant=lambda name: pytest.fail(f"{name} in JSON"),
    )
    (first,) = document["faces"]
    assert first["heart_rate"]["value"] is None
    assert first["heart_rate"]["reason"] == "dark"
    assert first["resp_rate"] == first["resp_rate"] | {"value": 15.0, "unit": "breaths/min", "reason": None}
    assert first["hrv"]["sdnn"]["reason"] == "noise_floor"
    assert first["windows"][0]["quality"]["motion_px"] is None
    assert document["video"]["duration_s"] is None
    assert set(document) >= {"source", "faces", "warnings", "settings", "versions"}
    assert document["heart_rate"] == first["heart_rate"]
    empty = report.to_dict(result())
    assert empty["faces"] == []
    assert {(empty[name]["value"], empty[name]["reason"]) for name in ("heart_rate", "resp_rate")} == {
        (None, "no_face")
    }


def test_beat_intervals_are_in_json_and_csv(tmp_path: Path) -> None:
    someone = face()
    someone.signals["ibi"] = Signal(np.array([812.04, np.nan]), np.array([1.5, 2.4]), "ibi", "ms")  # type: ignore[index]
    document = report.to_dict(result(someone, face(2)))
    assert document["faces"][0]["ibi"] == {"time_s": [1.5, 2.4], "value_ms": [812.0, None]}
    assert document["faces"][1]["ibi"] == {"time_s": [], "value_ms": []}
    *_, beats = report.write_csv(result(someone, face(2)), tmp_path / "anna.csv")
    assert beats == tmp_path / "anna.ibi.csv"
    assert [tuple(row.values()) for row in _rows(beats)] == [("1.5", "1", "812"), ("2.4", "1", "")]


def test_tables_of_windows_have_the_same_columns_with_and_without_windows(tmp_path: Path) -> None:
    heads = []
    for found in (result(), result(face(seconds=3))):
        _, windows, _ = report.write_csv(found, tmp_path / "x.csv")
        heads.append(windows.read_text().splitlines()[0].split(","))
    assert heads[0] == heads[1]
    assert heads[0][:4] == ["face", "t0_s", "t1_s", "quantity"]
    assert {"snr_db", "jitter_s"} < set(heads[0])


def test_json_turns_arrays_and_numpy_numbers_into_plain_values() -> None:
    values = {"a": np.float32(0.5), "b": np.array([1.0, np.nan]), "c": np.int64(3), "d": Path("x"), "e": np.bool_(True)}
    document = report.to_dict(result(settings=values))
    assert document["settings"] == {"a": 0.5, "b": [1.0, None], "c": 3, "d": "x", "e": True}
    assert json.loads(plain.dumps(document)) == document


def test_csv_has_a_uniform_clock_and_empty_fields_in_gaps(tmp_path: Path) -> None:
    waves, windows, _ = report.write_csv(result(face(gap=(20, 25), start_s=2.0)), tmp_path / "anna.csv")
    rows = _rows(waves)
    times = np.array([float(row["time_s"]) for row in rows])
    assert times[0] == 2.0
    np.testing.assert_allclose(np.diff(times), 1 / FS_HZ, atol=2e-6)
    unknown = np.array([row["bvp"] == "" for row in rows])
    np.testing.assert_array_equal(unknown, (times > 20 - 1e-4) & (times < 25 - 1e-4))
    assert windows == tmp_path / "anna.windows.csv"
    table = _rows(windows)
    refused = [row for row in table if row["value"] == ""]
    assert refused
    assert {row["reason"] for row in refused} == {"gap", "no_breath"}
    assert all(row["snr_db"] and row["motion_px"] == "" for row in table)
    assert {row["luma"] for row in table} == {""}


def test_csv_keeps_the_samples_as_they_are(tmp_path: Path) -> None:
    someone = face(gap=(3, 4))
    path, *_ = report.write_csv(result(someone), tmp_path / "x.csv")
    written = np.array([float(row["bvp"] or "nan") for row in _rows(path)])
    np.testing.assert_allclose(written, someone.signals["bvp"].values, rtol=1e-6)


def test_csv_in_neurokit_columns_takes_rates_from_the_nearest_window(tmp_path: Path) -> None:
    path, *_ = report.write_csv(result(face(gap=(20, 25), drift_bpm=0)), tmp_path / "x.csv", neurokit=True)
    rows = _rows(path)
    assert list(rows[0]) == ["time_s", "face", "PPG_Clean", "PPG_Rate", "PPG_Quality", "RSP_Clean", "RSP_Rate"]
    at = {round(float(row["time_s"]), 3): row for row in rows}
    assert float(at[5.0]["PPG_Rate"]) == 72
    assert at[22.0]["PPG_Rate"] == ""
    assert 0 <= float(at[22.0]["PPG_Quality"]) <= 1
    assert float(at[15.0]["RSP_Rate"]) == 15


def test_csv_of_two_faces_tells_them_apart(tmp_path: Path) -> None:
    path, *_ = report.write_csv(result(face(), face(2, start_s=5, seconds=10)), tmp_path / "x.csv")
    counts = {name: sum(row["face"] == name for row in _rows(path)) for name in ("1", "2")}
    assert counts == {"1": 1800, "2": 300}


def test_waveforms_of_different_rates_share_a_clock() -> None:
    slow = np.arange(0, 60, 0.25)
    someone = face()
    someone.signals["resp"] = Signal(np.sin(slow), slow, "resp")  # type: ignore[index]
    time_s, waves = clock.waveforms(someone)
    assert waves["resp"].shape == waves["bvp"].shape == time_s.shape
    known = np.isfinite(waves["resp"])
    np.testing.assert_allclose(waves["resp"][known], np.sin(time_s[known]), atol=0.01)
    assert clock.waveforms(someone, fs_hz=10.0, start_s=0.0)[0][1] == pytest.approx(0.1)


def test_bids_files_follow_the_specification(tmp_path: Path) -> None:
    table, sidecar = report.write_bids(result(face(gap=(20, 25), start_s=2.0)), tmp_path, subject="anna_2")
    name = "sub-anna2_task-video_recording-video_physio"
    assert table == tmp_path / "sub-anna2" / "beh" / f"{name}.tsv.gz"
    assert sidecar == table.with_name(f"{name}.json")
    document = json.loads(sidecar.read_text())
    assert document["Columns"] == ["cardiac", "respiratory"]
    assert document["SamplingFrequency"] == 30
    assert document["StartTime"] == 2
    assert document["cardiac"]["Units"] == "arbitrary"
    rows = [line.split("\t") for line in gzip.decompress(table.read_bytes()).decode().splitlines()]
    assert len(rows) == 1800
    assert {len(row) for row in rows} == {2}
    assert rows[20 * 30 - 60] == ["n/a", "n/a"]
    assert float(rows[0][0])  # no header
    description = json.loads((tmp_path / "dataset_description.json").read_text())
    assert {"Name", "BIDSVersion", "GeneratedBy"} <= set(description)


def test_bids_keeps_a_description_and_makes_each_face_a_subject(tmp_path: Path) -> None:
    mine = '{"Name": "mine"}'
    (tmp_path / "dataset_description.json").write_text(mine)
    written = report.write_bids(result(face(), face(2)), tmp_path)
    assert sorted({path.parts[-3] for path in written}) == ["sub-annaface1", "sub-annaface2"]
    assert (tmp_path / "dataset_description.json").read_text() == mine
    assert report.write_bids(result(), tmp_path) == ()


def test_bids_refuses_a_damaged_description_and_subjects_of_others(tmp_path: Path) -> None:
    report.write_bids(result(face(), face(2)), tmp_path)
    with pytest.raises(OutputError, match=r"sub-annaface1_.*\.json: is of another recording"):
        report.write_bids(result(face(), source="clips/annaface1.mp4"), tmp_path)
    (tmp_path / "dataset_description.json").write_text("mine")
    with pytest.raises(OutputError, match=r"dataset_description\.json: is not JSON"):
        report.write_bids(result(face()), tmp_path)


def test_edf_holds_the_waves_and_marks_gaps(tmp_path: Path) -> None:
    edfio = pytest.importorskip("edfio")
    someone = face(gap=(20, 25), start_s=2.0, seconds=57.5)
    path = report.write_edf(result(someone, face(2, heart_bpm=None, reason="dark")), tmp_path / "x.edf")
    assert path is not None
    read = edfio.read_edf(path)
    assert read.labels == ("BVP 1", "Resp 1", "BVP 2", "Resp 2")
    bvp = read.get_signal("BVP 1")
    assert bvp.sampling_frequency == 30
    expected = np.nan_to_num(someone.signals["bvp"].values)
    np.testing.assert_allclose(bvp.data[60 : 60 + expected.size], expected, atol=1e-4)
    assert not bvp.data[:60].any()
    gaps = [(a.onset, round(a.duration, 3)) for a in read.annotations if a.text == "gap BVP 1"]
    assert gaps == [(0, 2), (20, 5), (59.5, 0.5)]
    said = [a.text for a in read.annotations if a.text.startswith("face")]
    assert said[0].startswith("face 1: heart rate 72.0 beats/min, confidence high (95 %)")
    assert said[1].startswith("face 2: heart rate refused, too dark")


def test_edf_is_read_by_another_reader(tmp_path: Path) -> None:
    pytest.importorskip("edfio")
    pyedflib = pytest.importorskip("pyedflib")
    report.write_edf(result(face(gap=(20, 25))), tmp_path / "x.edf")
    with pyedflib.EdfReader(str(tmp_path / "x.edf")) as reader:
        assert reader.getSignalLabels() == ["BVP", "Resp"]
        assert reader.readSignal(0).size == 1800
        onsets, durations, texts = reader.readAnnotations()
    assert (20.0, 5.0, "gap BVP") in [
        (float(a), float(b), str(c)) for a, b, c in zip(onsets, durations, texts, strict=True)
    ]


def test_edf_without_waves_or_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report.write_edf(result(), tmp_path / "x.edf") is None
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(__import__("sys").modules, "edfio", None)
    with pytest.raises(MissingExtra, match=r'pip install "vitalcam\[edf\]"'):
        report.write_edf(result(face()), tmp_path / "x.edf")


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = files.write_text(tmp_path / "a.txt", "old")

    def write_half() -> None:
        with files.whole(path) as part:
            part.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_probing_finds_what_cannot_be_written_and_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files.probe(tmp_path / "new" / "deep" / "a.json")
    files.probe(tmp_path / "new", folder=True)
    for path in (tmp_path, tmp_path / "file" / "a.json"):
        with pytest.raises(OutputError, match="cannot be written"):
            files.probe(path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_summary_says_rate_range_and_confidence_or_why_not() -> None:
    text = report.summary(result(face(resp_bpm=None), warnings=("3 frames were lost",)))
    assert "heart rate   72.0 beats/min, confidence high (95 %), 70 to 75 over time" in text
    assert "breathing    no value, no breathing found: show the shoulders" in text
    assert "3 frames were lost" in text
    assert "variability  no value, below what this video can show: brighter light" in text
    assert "no value, no face found" in report.summary(result())
    refused = report.summary(result(face(heart_bpm=None, reason="dark")))
    assert "too dark: add light on the face" in refused
    assert "0 of 51 gave a heart rate (51 too dark)" in refused


def test_table_lines() -> None:
    (line,) = terminal.lines(result(face()))
    assert line == terminal.Line("1", "72.0 beats/min (70 to 75)", "high (95 %)", "15.0 breaths/min")
    (refused,) = terminal.lines(result(face(heart_bpm=None, resp_bpm=None, reason="dark")))
    assert refused == terminal.Line("1", "too dark", "", "no breathing found")
    assert terminal.lines(result()) == (terminal.Line(heart_rate="no face found"),)
    assert not terminal.measured(result())
    assert terminal.measured(result(face(heart_bpm=None)))
    assert not terminal.measured(result(face(heart_bpm=None, resp_bpm=None)))


def test_a_long_cell_of_a_table_is_wrapped() -> None:
    from rich.console import Console

    console = Console(width=160)
    with console.capture() as said:
        console.print(terminal.table([("a.mp4", [terminal.Line(heart_rate="failed: " + "what went wrong, " * 9)])]))
    assert max(map(len, said.get().splitlines())) < 100
    assert "failed: what went wrong" in said.get()


def test_reasons_in_the_head_of_a_figure_do_not_run_into_one_another() -> None:
    nobody = face(heart_bpm=None, resp_bpm=None, reason="no_pulse", seconds=12)
    drawn = report.figure(result(nobody))
    boxes = [text.get_window_extent() for text in drawn.texts]
    boxes += [ax.get_window_extent() for ax in drawn.axes if ax.images]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize(
    "faces",
    [
        (),
        (face(),),
        (face(heart_bpm=None, resp_bpm=None, reason="dark"),),
        (face(gap=(22, 29)), face(2, heart_bpm=95, start_s=5, seconds=50)),
        (face(seconds=300, gap=(100, 130)),),
        (face(seconds=11),),
    ],
    ids=["none", "measured", "abstained", "two", "long", "short"],
)
def test_figures_are_drawn(tmp_path: Path, faces: tuple[object, ...]) -> None:
    drawn = report.figure(result(*faces, source="[a] $b$ 顔.mp4"))  # type: ignore[arg-type]
    said = " ".join(text.get_text() for ax in [drawn, *drawn.axes] for text in ax.texts)
    assert "[a] $b$ 顔.mp4" in said
    path = report.write_figure(result(*faces, source="[a] $b$ 顔.mp4"), tmp_path / "x.png")  # type: ignore[arg-type]
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")) == (1400, 1000)


def test_figure_says_what_the_result_says() -> None:
    drawn = report.figure(result(face(gap=(22, 29), resp_bpm=None)))
    said = [text.get_text() for ax in [drawn, *drawn.axes] for text in ax.texts]
    assert "72.0 beats/min" in said
    assert "70 to 75 over time  ·  confidence high (95 %)" in said
    assert "no value" in said
    assert "interrupted" in said
    waves = drawn.axes[1]
    gap = [line for line in waves.lines if np.isnan(line.get_ydata()).any()]
    assert len(gap) == 2


def test_spectrum_reaches_both_ends_and_panels_say_whose_they_are() -> None:
    drawn = report.figure(result(face(seconds=15, drift_bpm=0), face(2, seconds=15)))
    titles = [ax.get_title(loc="left") for ax in drawn.axes]
    assert sum("face 1" in title for title in titles) == 3
    (mesh,) = (c for ax in drawn.axes for c in ax.collections if isinstance(c, QuadMesh) and ax.get_title(loc="left"))
    corners = mesh.get_coordinates()
    assert corners[0, 0, 0] < 0.5
    assert corners[0, -1, 0] > 14
    rate_bpm = (corners[:-1, 0, 1] + corners[1:, 0, 1]) / 2
    np.testing.assert_allclose(rate_bpm[np.asarray(mesh.get_array()).argmax(axis=0)], 72, atol=3)


def test_result_plot_is_the_figure_and_names_decide_the_format(tmp_path: Path) -> None:
    assert result(face(seconds=11)).plot().get_size_inches().tolist() == [14, 10]
    first, again = (report.write_figure(result(face(seconds=11)), tmp_path / f"{n}.svg").read_text() for n in "ab")
    assert first.startswith("<?xml")
    assert first == again
    with pytest.raises(UsageError, match=r"\.png, \.pdf, \.svg"):
        report.write_figure(result(), tmp_path / "x.gif")


def test_times_of_a_wall_clock_do_not_fill_the_files_with_nothing(tmp_path: Path) -> None:
    pytest.importorskip("edfio")
    late = result(face(seconds=20, start_s=1.7e9), video={"duration_s": 20.0})
    path = report.write_edf(late, tmp_path / "x.edf")
    assert path is not None
    assert path.stat().st_size < 100_000
    assert report.figure(late).axes[1].get_xlim()[0] == 1.7e9
