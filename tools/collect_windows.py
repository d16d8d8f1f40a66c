"""Measure recordings once and keep what every window was judged by, for `tools/fit_confidence.py`.

    python tools/collect_windows.py LADDER OUT                     recordings of vitalcam synth, by POS
    python tools/collect_windows.py LADDER OUT --model NAME        by a network
    python tools/collect_windows.py OUT --painted 200              painted faces, half of them without a pulse

OUT/POS_or_NAME holds a file for each recording; those that are there are not made again.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import painted_clips
from kept_windows import Collected, Seen

from vitalcam import files
from vitalcam.pipeline import Stream
from vitalcam.protocol import Protocol
from vitalcam.runtime import card_of
from vitalcam.settings import Settings
from vitalcam.signal import breath, quality
from vitalcam.signal.resample import uniform
from vitalcam.synth import recordings
from vitalcam.types import Estimate, Recording, Signal

STEP_S = 2.0
_PROTOCOL = Protocol()
_TRUTH_HZ = 30.0


def collected(recording: Recording, settings: Settings, scenario: str, identity: int, null: bool) -> Collected:
    """Measure a recording and keep its windows."""
    windows: dict[str, list[Any]] = {"heart_rate": [], "resp_rate": []}
    with _kept(quality, "evidence", windows["heart_rate"]), _kept(breath, "evidence", windows["resp_rate"]):
        result = Stream(recording.videos["rgb"], settings).result
    found = {}
    for quantity, kind in (("heart_rate", "bvp"), ("resp_rate", "resp")):
        judged = [e for face in result.faces for e in face.windows if e.quantity == quantity and _judged(e)]
        found[quantity] = tuple(
            _seen(e, recording.signals[kind], window) for e, window in zip(judged, windows[quantity], strict=True)
        )
    return Collected(recording.id, scenario, identity, null, found["heart_rate"], found["resp_rate"])


def _seen(estimate: Estimate, truth: Signal, window: Any) -> Seen:
    """A window with its true rate and, where it is of breathing, the true wave."""
    rate = true_rate(truth, truth.kind, estimate.t0_s, estimate.t1_s)
    wave = None
    if isinstance(window, breath.Window):
        n = window.position.shape[0]  # the window ends where the estimate does, and may begin after a gap
        wave = np.interp(estimate.t1_s - np.arange(n, 0, -1) / window.fs_hz, truth.time_s, truth.values)
    return Seen(estimate.t0_s, estimate.t1_s, rate, _small(window), wave)


def _judged(estimate: Estimate) -> bool:
    """Whether there was a window to look at."""
    return bool(estimate.quality) or (estimate.quantity == "resp_rate" and estimate.reason not in ("too_short", "gap"))


@contextlib.contextmanager
def _kept(module: Any, name: str, kept: list[Any]) -> Iterator[None]:
    """Keep what a function of a module is called with."""
    function = getattr(module, name)

    def keeping(window: Any) -> Any:
        kept.append(window)
        return function(window)

    with mock.patch.object(module, name, keeping):
        yield


def _small(window: Any) -> Any:
    """The window in half the space."""
    values = {f.name: getattr(window, f.name) for f in dataclasses.fields(window)}
    return dataclasses.replace(
        window, **{k: v.astype(np.float32) for k, v in values.items() if isinstance(v, np.ndarray)}
    )


def true_rate(signal: Signal, kind: str, t0_s: float, t1_s: float) -> float:
    """The rate as `vitalcam evaluate` reads it off; NaN for a wave that does not move."""
    wave, _, known = uniform(signal.values, signal.time_s, fs_hz=_TRUTH_HZ, t0_s=t0_s, t1_s=t1_s)
    return _PROTOCOL.true_rate(wave[known], kind, _TRUTH_HZ)


def jobs(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Names of recordings, and what opens each."""
    if args.painted:
        for seed in range(args.painted):
            yield f"painted-{seed}", functools.partial(_painted, seed, args.out / "painted.mp4")
        return
    for file in sorted(args.folder.glob("*/scene.json"), key=lambda file: file.stat().st_mtime):
        yield file.parent.name, functools.partial(_synthetic, file.parent)


def _painted(seed: int, path: Path) -> tuple[Recording, str, int, bool]:
    return painted_clips.recording(seed, path), "painted", seed, not seed % 2


def _synthetic(folder: Path) -> tuple[Recording, str, int, bool]:
    recording = recordings.read(folder)
    return recording, recording.session, int(recording.subject), not recording.attributes["pulse"]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of recordings")
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="", help="a network; POS by default")
    parser.add_argument("--painted", type=int, default=0, help="this many painted faces in place of a folder")
    args = parser.parse_args()
    settings = Settings(method="" if args.model else "pos", model=args.model, step_s=STEP_S)
    out = args.out / (card_of(args.model).spec.name if args.model else "pos")
    out.mkdir(parents=True, exist_ok=True)
    for name, opened in jobs(args):
        path = out / f"{name}.pickle"
        if path.exists():
            continue
        recording, *about = opened()
        with files.whole(path) as part:
            part.write_bytes(pickle.dumps(collected(recording, settings, *about)))
        print(path, flush=True)


if __name__ == "__main__":
    main()
