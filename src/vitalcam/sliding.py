"""A window that slides over video: what is new runs through most of a network, and everything only when needed.

docs/streaming.md says how; `vitalcam.streaming` makes the three parts that are run here, by ONNX Runtime or torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam.errors import UsageError, WeightsError
from vitalcam.runtime import card_fields, checked, session
from vitalcam.types import Floats

LIMIT = 0.08
"""How far the statistics may drift before the whole window is run; docs/streaming.md has what other limits give."""
EPS = 1e-5  # of the networks' norms

Arrays = Mapping[str, Floats]
Part = Callable[[Arrays], dict[str, Floats]]


@dataclass(frozen=True)
class Plan:
    """What the parts of a network need.

    Attributes:
        outputs: names of its waveforms.
        frames_multiple: of a window, and of each push.
        halo_frames: how many frames of before a piece must be given beside what is new.
        layers: numbers of channels of the norms in front, by waveform.
    """

    outputs: tuple[str, ...]
    frames_multiple: int
    halo_frames: int
    layers: Mapping[str, tuple[int, ...]]


class Sliding:
    """Waves of the last frames, again after each push.

    Attributes:
        pieces, windows: how often a piece and the whole window were run.
        drift: of the last piece, see `drift`; 0 where the window was run.

    Args:
        window: "video" (1, C, T, H, W) to waves (1, T), and "X_features", "X_moments" of each wave X.
        front: a piece's "video" and "statistics" (2, N) to "X_features" (1, K, T', h, w) and "X_moments" (2, N, T')
            of its last frames.
        back: "X_features" of a window to waves (1, T).
        plan: of these parts.
        frames: of the window.
        limit: of the drift.

    Raises:
        UsageError: the window's length does not fit the network.
    """

    def __init__(self, window: Part, front: Part, back: Part, plan: Plan, frames: int, *, limit: float = LIMIT) -> None:
        self.plan, self.frames, self.limit = plan, frames, limit
        self._window, self._front, self._back = window, front, back
        self._video: Floats | None = None
        self._kept: dict[str, Floats] = {}
        self._statistics: Floats = np.empty((2, 0))
        self.pieces = self.windows = 0
        self.drift = self._rate = 0.0  # since the window was last run; by the last push
        self._check(frames)

    @classmethod
    def load(cls, file: Path, *, frames: int = 0, limit: float = LIMIT, threads: int = 1) -> Sliding:
        """What `vitalcam.streaming.export_streaming` wrote, to be run by ONNX Runtime.

        Args:
            file: NAME.onnx.
            frames: of the window; as the card says if not given.
            limit: of the drift.
            threads: that work on it.

        Raises:
            WeightsError: a file cannot be read, is not what its card speaks of, or the card says nothing of streaming.
        """
        card = _card(file)
        about = card["streaming"]
        outputs, layers = tuple(card["outputs"]), {name: tuple(n) for name, n in about["layers"].items()}
        plan = Plan(outputs, card["frames_multiple"], about["halo_frames"], layers)
        files = ((file.name, card["sha256"]), *(tuple(about[part]) for part in ("front", "back")))
        window, front, back = (onnx_part(checked(file.with_name(name), sha256), threads) for name, sha256 in files)
        return cls(window, front, back, plan, frames or card["frames"], limit=limit)

    def push(self, video: Floats) -> dict[str, Floats]:
        """Take the next frames in.

        Args:
            video: (1, C, n, H, W) float32, raw frames.

        Returns:
            waves (T,) of the last T = `frames` frames; none until there are so many.

        Raises:
            UsageError: n does not fit the network.
        """
        self._check(new := video.shape[2])
        seen = video if self._video is None else np.concatenate([self._video, video], axis=2)
        self._video = seen[:, :, -self.frames :]
        if self._video.shape[2] < self.frames:
            return {}
        before = self.drift
        if self._kept and new + self.plan.halo_frames < self.frames and self._rate <= self.limit:
            found = self._piece(new)
            self._rate = max(self.drift - before, 0.0)
            if self.drift <= self.limit:
                return self._waves(found)
        return self._waves(self._whole(before))

    def _piece(self, new: int) -> dict[str, Floats]:
        assert self._video is not None
        piece = self._video[:, :, -(new + self.plan.halo_frames) :]
        found = self._front({"video": piece, "statistics": self._statistics})
        self._kept = {key: _moved(self._kept[key], found[key], new / self.frames) for key in self._kept}
        self.pieces += 1
        self.drift = drift(statistics(self._kept, self.plan.outputs), self._statistics, self.plan)
        if self.drift > self.limit:
            return {}
        return self._back({key: value for key, value in self._kept.items() if key.endswith("_features")})

    def _whole(self, before: float) -> dict[str, Floats]:
        assert self._video is not None
        found = self._window({"video": self._video})
        self._kept = {key: value for key, value in found.items() if key not in self.plan.outputs}
        now = statistics(self._kept, self.plan.outputs)
        if self.windows:
            self._rate = max(drift(now, self._statistics, self.plan) - before, 0.0)
        self._statistics, self.drift = now, 0.0
        self.windows += 1
        return found

    def _waves(self, found: Arrays) -> dict[str, Floats]:
        return {name: found[name][0] for name in self.plan.outputs}

    def _check(self, frames: int) -> None:
        if frames < 1 or frames % (multiple := self.plan.frames_multiple):
            raise UsageError(f"a window and a push must have a multiple of {multiple} frames, got {frames}")


def statistics(kept: Arrays, outputs: Sequence[str]) -> Floats:
    """Mean and 1 / deviation (2, N) over a window.

    Args:
        kept: with "X_moments", mean and variance in each frame (2, n, T), of each wave X.
        outputs: the waves, in order.
    """
    return np.concatenate([_statistics(kept[f"{name}_moments"].astype(float)) for name in outputs], axis=1)


def _statistics(moments: Floats) -> Floats:
    mean, variance = moments
    deviation = np.sqrt(variance.mean(axis=1) + mean.var(axis=1) + EPS)
    return np.stack([mean.mean(axis=1), 1 / deviation]).astype(np.float32)


def drift(now: Floats, then: Floats, plan: Plan) -> float:
    """How far the statistics (2, N) of a window are from those that were given: 0 where they are the same.

    The root of the sum over layers of the mean over channels of the squares of two things: the mean's change in
    deviations, and the logarithm of the deviation's change. Of several branches, the largest.
    """
    squares = ((now[0] - then[0]) * then[1]) ** 2 + np.log(now[1] / then[1]) ** 2
    found, start = [], 0
    for layers in plan.layers.values():
        stops = start + np.cumsum(layers)
        found.append(sum(part.mean() for part in np.split(squares[start : stops[-1]], stops[:-1] - start)))
        start = int(stops[-1])
    return float(np.sqrt(max(found)))


def _moved(kept: Floats, found: Floats, share: float) -> Floats:
    """Let go of the oldest `share` of what is kept (..., T, ...), axis 2, and put what was found at its end."""
    length = kept.shape[2]
    first = round(share * length)
    return np.concatenate([kept[:, :, first : first + length - found.shape[2]], found], axis=2)


def _card(file: Path) -> dict[str, Any]:
    path = file.with_suffix(".json")
    card = card_fields(path)
    if "streaming" not in card:
        raise WeightsError(f"{path}: says nothing of streaming; export the model with export_streaming")
    return card


def onnx_part(content: bytes, threads: int = 1) -> Part:
    """A graph of ONNX as a part of a `Sliding`."""
    graph = session(content, threads)
    names = [output.name for output in graph.get_outputs()]

    def run(inputs: Arrays) -> dict[str, Floats]:
        return dict(zip(names, graph.run(names, dict(inputs)), strict=True))

    return run
