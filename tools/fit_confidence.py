"""Fit and check the confidence of heart rates and of breathing rates on windows that `tools/collect_windows.py` kept.

    python tools/fit_confidence.py method KEPT/pos
    python tools/fit_confidence.py network KEPT/NAME [--more OTHERS/NAME]
    python tools/fit_confidence.py resp KEPT/NAME            windows in which the chest is seen
    python tools/fit_confidence.py unseen KEPT/NAME          the same without the chest

Fits on people who are for validation (and painted ones, if there are), no further from weights that were fitted on many
painted faces than the data ask for, prints the weights for `vitalcam.signal.quality`, a network's card or
`vitalcam.signal.breath`, and checks them on the people who are for testing, on more people, and on all people of every
scenario by weights fitted without it: calibration error, and what it would be by chance were the confidences exactly
right; share of windows answered at the default threshold, right and wrong; share that can be answered with 5 % wrong;
and share of windows of null twins that got no number. The line "as it is" is what the package has now. Everything here
is synthetic.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import kept_windows
import numpy as np

from vitalcam import trust
from vitalcam.runtime import bundled
from vitalcam.scores import Row
from vitalcam.settings import HEART_RATE_BPM, RESP_RATE_PER_MIN, Settings
from vitalcam.signal import breath, quality
from vitalcam.signal.filter import bandpass
from vitalcam.synth import scenarios
from vitalcam.types import Floats, Kind

THRESHOLD = Settings().min_confidence
RIDGES = {"heart_rate": 0.003, "resp_rate": 0.001}
"""Cost of a weight's distance from `PRIORS`; chosen by cross-validation over the people for validation."""
PRIORS = {
    "heart_rate": (-3.921, 0.324, 0.764, 0.856, 0.844, 1.674, 1.358, 0.196, -1.0, *[0.0] * 5, -3.0),
}
"""Weights of the heart rate were fitted on 600 painted faces before; of breathing nothing is known. Painted faces do
not shade, nor does their light move: how much motion and background speak against a rate is a guess."""
NOBODYS = {"heart_rate": 1.25, "resp_rate": 0.25}
"""What the windows of a recording count where no rate is right, those of another being 1: a number for somebody without
a pulse is worse than none for somebody with one; of breath there are two such windows for each that breathes."""
SWAY_HZ = (0.1, 0.55)
SWAY = (0.005, 0.1)
HEAD_SWAY = (0.7, 1.5)
"""How fast a trunk rocks, how far in face sides, and how far the head goes with it, trunk 1."""


@dataclass(frozen=True)
class Judged:
    """One window as the confidence sees it.

    Attributes:
        of: the recording it is from.
        t1_s: its end.
        truth, rate: true and measured rate per minute; NaN for none, and for one that is refused anyway.
        terms: (K,) what the confidence is made of.
        now: confidence as the package has it.
        asked: whether it is of breathing and a network was asked too.
    """

    of: kept_windows.Collected
    t1_s: float
    truth: float
    rate: float
    terms: Floats
    now: float
    asked: bool = False


def heart(recording: kept_windows.Collected, weights: Sequence[float]) -> list[Judged]:
    """Windows of the heart rate, and their confidence by the weights that there are."""
    found = []
    for seen in recording.heart:
        evidence = quality.evidence(seen.window)
        low, high = HEART_RATE_BPM
        kept = quality.refusal(evidence) is None and low <= evidence.rate_bpm <= high
        rate = evidence.rate_bpm if kept else math.nan
        now = quality.confidence(evidence, weights)
        found.append(Judged(recording, seen.t1_s, seen.truth, rate, quality.terms(evidence), now))
    return found


def resp(recording: kept_windows.Collected) -> list[Judged]:
    """Windows of breathing in which the chest is seen; those with a network's breath without it, too."""
    kept = filter(_has_chest, recording.resp)
    return [_breath(recording, seen.t1_s, seen.truth, window) for seen in kept for window in _alike(seen.window)]


def _alike(window: breath.Window) -> list[breath.Window]:
    """A window, and what a network without a wave of breath would leave of it."""
    return [window] if window.network is None else [window, dataclasses.replace(window, network=None)]


def unseen(recording: kept_windows.Collected) -> list[Judged]:
    """Windows of breathing as they were if the picture ended at the neck."""
    bare = [dataclasses.replace(seen, window=dataclasses.replace(seen.window, chest=None)) for seen in recording.resp]
    return [_breath(recording, seen.t1_s, seen.truth, seen.window) for seen in bare]


def breathless(recordings: Sequence[kept_windows.Collected]) -> list[Judged]:
    """Windows from which the true breath was taken, as they are and swayed: any rate is wrong."""
    found = []
    for recording in recordings:
        rng = np.random.default_rng([recording.identity, recording.null])
        for seen in filter(_has_chest, recording.resp):
            window = dataclasses.replace(
                seen.window, chest=_without(seen.window.chest, seen),
                network=None if seen.window.network is None else _without(seen.window.network, seen),
                position=np.stack([_without(x, seen) for x in seen.window.position.T], axis=1),
            )  # fmt: skip
            windows = [version for one in (window, _swayed(window, rng)) for version in _alike(one)]
            found += [_breath(recording, seen.t1_s, math.nan, version) for version in windows]
    return found


def _has_chest(seen: kept_windows.Seen) -> bool:
    return breath.by_chest(seen.window, breath.sources(seen.window)) is not None


def _without(trace: Floats, seen: kept_windows.Seen) -> Floats:
    """A trace (T,) less what the true breath, its slope and its square explain of it in the breathing band."""

    def band(x: Floats) -> Floats:
        return bandpass(x, breath.LOW_HZ, breath.HIGH_HZ, fs_hz=seen.window.fs_hz)

    wave = seen.wave
    causes = np.stack([band(x) for x in (wave, np.gradient(wave), wave**2)], axis=1)
    causes /= causes.std(axis=0)
    return np.asarray(trace - causes @ np.linalg.lstsq(causes, band(trace), rcond=None)[0])


def _swayed(window: breath.Window, rng: np.random.Generator) -> breath.Window:
    """The same person, whose trunk rocks up and down and takes the head along; a network takes that for breath."""
    time_s = np.arange(window.chest.size) / window.fs_hz
    hz = rng.uniform(*SWAY_HZ) * np.linspace(0.85, 1.15, 5)
    rocking = np.sin(2 * np.pi * np.outer(time_s, hz) + rng.uniform(0, 2 * np.pi, 5)).sum(axis=1) * math.sqrt(2 / 5)
    rocking *= math.exp(rng.uniform(*np.log(SWAY)))
    head = np.stack([np.zeros_like(rocking), rng.uniform(*HEAD_SWAY) * rocking], axis=1)
    taken = None if window.network is None else window.network + window.network.std() * head[:, 1] / head[:, 1].std()
    return dataclasses.replace(window, chest=window.chest + rocking, position=window.position + head, network=taken)


def strangers(recordings: Sequence[kept_windows.Collected]) -> list[Judged]:
    """Windows whose sources are of three people, who have no breath in common: any rate is wrong."""
    found = []
    for part in ("validation", "test"):
        some = [r for r in recordings if r.resp and scenarios.split(r.identity) == part]
        for k, one in enumerate(some):
            first, second, third = (some[(k + step) % len(some)].resp[-1].window for step in (0, 7, 18))
            n = min(w.position.shape[0] for w in (first, second, third))
            window = dataclasses.replace(
                first,
                chest=None,
                position=first.position[:n],
                skin_rgb=second.skin_rgb[:n],
                bvp=None if second.bvp is None else second.bvp[:n],
                heart_rate_hz=None if second.heart_rate_hz is None else second.heart_rate_hz[:n],
                network=None if third.network is None else third.network[:n],
            )
            found.append(_breath(one, one.resp[-1].t1_s, math.nan, window))
    return found


def _breath(of: kept_windows.Collected, t1_s: float, truth: float, window: breath.Window) -> Judged:
    found = breath.sources(window)
    evidence = breath.by_chest(window, found) or breath.weigh(found, fs_hz=window.fs_hz)
    low, high = RESP_RATE_PER_MIN
    kept = breath.refusal(evidence) is None and low <= evidence.rate_per_min <= high
    rate = evidence.rate_per_min if kept else math.nan
    now, asked = breath.confidence(evidence), window.network is not None
    return Judged(of, t1_s, truth, rate, breath.terms(evidence), now, asked)


def right(windows: Sequence[Judged], tolerance: float) -> np.ndarray:
    """Whether each is right."""
    return np.array([abs(w.rate - w.truth) <= tolerance for w in windows])


def fitted(windows: Sequence[Judged], signs: Sequence[int], quantity: str) -> Floats:
    """Intercept and weights of a logistic regression: every recording counts the same, no weight has a wrong sign."""
    from scipy.optimize import minimize

    windows = [w for w in windows if math.isfinite(w.rate)]
    x = np.array([[1.0, *w.terms] for w in windows])
    good = right(windows, trust.TOLERANCES[quantity])
    prior = np.array(PRIORS.get(quantity, np.zeros(1 + len(signs))))
    groups = [(w.of.name, math.isnan(w.truth)) for w in windows]
    share = np.array([(NOBODYS[quantity] if nobody else 1.0) / groups.count((name, nobody)) for name, nobody in groups])

    def loss(w: Floats) -> float:
        z = x @ w
        return float(
            share @ np.logaddexp(0, np.where(good, -z, z)) / share.sum()
            + RIDGES[quantity] * np.sum((w - prior)[1:] ** 2)
        )

    bounds = [(None, None), *[(0, None) if sign > 0 else (None, 0) for sign in signs]]
    found: Floats = minimize(loss, prior, method="L-BFGS-B", bounds=bounds).x
    return found


def confidences(windows: Sequence[Judged], weights: Floats) -> Floats:
    """Confidence of each window by weights."""
    return np.array([1 / (1 + math.exp(-(weights[0] + weights[1:] @ w.terms))) for w in windows])


def rows(windows: Sequence[Judged], trusts: Sequence[float], quantity: str) -> list[Row]:
    """The windows as an evaluation has them."""
    return [
        Row(
            "ladder", str(w.of.identity), w.of.name, quantity, 0.0, w.t1_s, truth=w.truth,
            estimate=w.rate if p >= THRESHOLD else math.nan, confidence=p, candidate=w.rate, null=math.isnan(w.truth),
        )
        for w, p in zip(windows, trusts, strict=True)
    ]  # fmt: skip


_SHARES = {
    "answered": "answered", "right": "right", "wrong": "wrong", "at_risk": "at 5 % wrong", "silent": "null silent",
}  # fmt: skip


def line(name: str, found: Sequence[Row]) -> str:
    """What became of windows, in numbers."""
    told = trust.answers(found)
    shares = (f"{title} {told[key]:6.1%}" for key, title in _SHARES.items())
    error, living = (trust.calibration_error(some) for some in (found, [row for row in found if not row.null]))
    errors = f"error {error:.3f} ({living:.3f} without nulls, {trust.chance_error(found):.3f} by chance)"
    return f"{name:24} {told['windows']:5.0f}  {errors}  {'  '.join(shares)} of {told['null_windows']:.0f}"


def report(windows: Sequence[Judged], more: Sequence[Judged], signs: Sequence[int], quantity: str) -> None:
    """Fit on some of the windows, check on the others and on more, print."""
    part = [_split(w) for w in windows]
    held = [w for w, p in zip(windows, part, strict=True) if p == "test"]
    teach = [w for w, p in zip(windows, part, strict=True) if p != "test"]
    weights = fitted(teach, signs, quantity)
    print(f"{len(windows)} windows of {len({w.of.name for w in windows})} recordings")
    print("weights", tuple(round(float(v), 3) for v in weights))
    for name, some in (("fitted on", teach), ("test", held), ("more people", more)):
        if some:
            print(line(f"{name}, as it is", rows(some, [w.now for w in some], quantity)))
            print(line(name, rows(some, confidences(some, weights), quantity)))
            kinds = {w.asked for w in some}
            for asked in kinds if len(kinds) > 1 else ():
                alike = [w for w in some if w.asked == asked]
                title = f"  {'with' if asked else 'without'} a network's breath"
                print(line(title, rows(alike, confidences(alike, weights), quantity)))
    print("each scenario by weights fitted without it")
    apart: list[Row] = []
    everybody = [*windows, *more]
    for scenario in sorted({w.of.scenario for w in windows}):
        out = [w for w in everybody if w.of.scenario == scenario]
        rest = [w for w in everybody if w.of.scenario != scenario]
        if rest:
            found = rows(out, confidences(out, fitted(rest, signs, quantity)), quantity)
            apart += found
            print(line(scenario, found))
    print(line("all", apart))
    for bin_ in trust.reliability(apart):
        print(f"  told {bin_['confidence']:.2f}, right {bin_['right']:.2f} of {bin_['n']}")


def _split(window: Judged) -> str:
    return "validation" if window.of.scenario == "painted" else scenarios.split(window.of.identity)


KINDS: dict[str, tuple[str, Callable[..., list[Judged]], Sequence[int]]] = {
    "method": ("heart_rate", heart, quality.SIGNS),
    "network": ("heart_rate", heart, quality.SIGNS),
    "resp": ("resp_rate", resp, breath.CHEST_SIGNS),
    "unseen": ("resp_rate", unseen, breath.SIGNS),
}
NULLS = {"resp": breathless, "unseen": strangers}
"""Windows of people who do not breathe."""


def present(kind: Kind, folders: Sequence[Path]) -> Sequence[float]:
    """The weights that the package has for what made the windows in these folders."""
    own = [spec.confidence_weights for spec in bundled() if {spec.name} == {folder.name for folder in folders}]
    return next(filter(None, own), quality.WEIGHTS[kind])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="people to check on who are not fitted on")
    args = parser.parse_args()
    quantity, judge, signs = KINDS[args.kind]
    if judge is heart:
        judge = functools.partial(heart, weights=present(args.kind, args.folders))

    def judged(folders: Sequence[Path]) -> list[Judged]:
        recordings = [recording for folder in folders for recording in kept_windows.load(folder)]
        nulls = NULLS[args.kind](recordings) if args.kind in NULLS else []
        return [window for recording in recordings for window in judge(recording)] + nulls

    windows = judged(args.folders)
    if not windows:
        parser.error(f"no windows in {', '.join(map(str, args.folders))}; tools/collect_windows.py keeps them")
    report(windows, judged(args.more), signs, quantity)


if __name__ == "__main__":
    main()
