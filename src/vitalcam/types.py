"""The nouns of the package. All are frozen; arrays are checked when a noun is made.

Axis letters: T time, H height, W width, C channels, B batch. Videos are ``(T, H, W, C)``, model tensors
``(B, C, T, H, W)``, waveforms ``(..., T)``. Times are seconds, boxes are ``x0, y0, x1, y1`` in pixels (edges, so a
whole frame is ``0, 0, W, H``). Unknown is NaN or ``None``, never 0.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

Channels = Literal["rgb", "thermal", "rgbt"]
N_CHANNELS: Mapping[Channels, int] = {"rgb": 3, "thermal": 1, "rgbt": 4}
"""Values of a pixel: red, green, blue (0..255), then degrees Celsius."""
Kind = Literal["method", "network"]
"""What gives a wave."""
Matrix = Literal["bt601", "bt709", "bt2020"]


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture as its decoder gave it: full-size luma and (usually smaller) chroma.

    Attributes:
        y: luma (H, W), uint8, or uint16 where ``bits`` > 8.
        u, v: chroma, (ceil(H / sy), ceil(W / sx)) with integer subsampling sy, sx.
        bits: significant bits of a sample (8, 10, 12).
        matrix: which equations turn it into RGB.
        full_range: samples span 0..255 rather than 16..235 (scaled by 2^(bits - 8)).
    """

    y: NDArray[Any]
    u: NDArray[Any]
    v: NDArray[Any]
    bits: int = 8
    matrix: Matrix = "bt601"
    full_range: bool = False

    def __post_init__(self) -> None:
        if self.y.ndim != 2 or self.u.ndim != 2 or self.u.shape != self.v.shape:
            raise ValueError(
                f"planes must be 2-D with equal chroma, got {self.y.shape}, {self.u.shape}, {self.v.shape}"
            )


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture with the time at which it was taken.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, (H, W, 1) float32 degrees Celsius, or `Planes`; read them through
            `vitalcam.video.colour.to_rgb` and `vitalcam.face.crop.area`, which understand all of these.
        time_s: presentation time; strictly increasing within a video.
        index: number of the frame in decoding order, from 0.
        thermal: (h, w, 1) float32 degrees Celsius of the same field at that time, where a thermal camera saw it too.
    """

    pixels: NDArray[Any] | Planes
    time_s: float
    index: int
    thermal: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.time_s):
            raise ValueError(f"frame {self.index}: time_s is {self.time_s}")
        if not isinstance(self.pixels, Planes) and (self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 3)):
            raise ValueError(f"frame {self.index}: pixels must be (H, W, 3) or (H, W, 1), got {self.pixels.shape}")

    @property
    def height(self) -> int:
        """Rows."""
        return int((self.pixels.y if isinstance(self.pixels, Planes) else self.pixels).shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int((self.pixels.y if isinstance(self.pixels, Planes) else self.pixels).shape[1])


@dataclass(frozen=True)
class Video:
    """Where frames come from. Iterating decodes from the start, one frame at a time; nothing is kept.

    Attributes:
        source: path, device or a description, as it is shown to the user.
        width, height: size as displayed (after rotation).
        fps_nominal: rate that the container claims, or NaN; for display only, times come with the frames.
        duration_s: duration that the container claims, or NaN; for progress only.
        channels: what a pixel holds.
        frames: opens the source and yields its frames.
        warnings: filled while iterating: what was lost or doubtful, one sentence each.
        info: codec, pixel format, bit rate … where known.
    """

    source: str
    width: int
    height: int
    fps_nominal: float
    duration_s: float
    frames: Callable[[], Iterator[Frame]]
    channels: Channels = "rgb"
    warnings: list[str] = field(default_factory=list)
    info: Mapping[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()


@dataclass(frozen=True)
class Signal:
    """A waveform on its own clock.

    Attributes:
        values: (..., T); NaN where unknown.
        time_s: (T,), strictly increasing.
        kind: "bvp", "resp", "ibi" …
        unit: unit of the values, "a.u." for arbitrary.

    Raises:
        ValueError: lengths differ or times do not increase.
    """

    values: Floats
    time_s: Floats
    kind: str
    unit: str = "a.u."

    def __post_init__(self) -> None:
        if self.values.shape[-1:] != self.time_s.shape:
            raise ValueError(f"signal {self.kind!r}: values {self.values.shape} do not match times {self.time_s.shape}")
        if self.time_s.size > 1 and not np.all(np.diff(self.time_s) > 0):
            raise ValueError(f"signal {self.kind!r}: times do not increase")

    @property
    def fs_hz(self) -> float:
        """Sampling rate; raises ValueError if the samples are not evenly spaced (within 1 %)."""
        steps = np.diff(self.time_s)
        if steps.size == 0 or np.ptp(steps) > 0.01 * steps.mean():
            raise ValueError(f"signal {self.kind!r} is not evenly sampled; resample it first")
        return float(1 / steps.mean())

    def between(self, t0_s: float, t1_s: float) -> Signal:
        """The samples with t0_s <= time < t1_s."""
        keep = (self.time_s >= t0_s) & (self.time_s < t1_s)
        return dataclasses.replace(self, values=self.values[..., keep], time_s=self.time_s[keep])


FaceState = Literal["detected", "held", "lost"]


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one frame.

    Attributes:
        id: identity over time, from 1.
        box_px: (4,) tight face box x0, y0, x1, y1; it may reach beyond the frame.
        score: detector's score 0..1 of the detection that the box comes from.
        state: "detected" in this frame, "held" from at most 0.5 s ago, or "lost".
        keypoints_px: (6, 2) right eye, left eye, nose, mouth, right ear, left ear (the person's own right and left).
        roll_deg: in-plane rotation, positive clockwise as seen.
        yaw: horizontal turn, -1 (profile) .. 0 (frontal) .. 1 (profile), from the keypoints.
    """

    id: int
    box_px: Floats
    score: float
    state: FaceState
    keypoints_px: Floats
    roll_deg: float = 0.0
    yaw: float = 0.0

    @property
    def side_px(self) -> float:
        """The longer side of the box."""
        return float(max(self.box_px[2] - self.box_px[0], self.box_px[3] - self.box_px[1]))


@dataclass(frozen=True)
class FaceTrack:
    """Where one face was over time, a row for each frame from its first sight on.

    Attributes:
        id: identity, from 1.
        time_s: (T,).
        boxes_px: (T, 4), NaN where lost.
        score: (T,), NaN where lost.
        state: (T,) of "detected", "held", "lost".
    """

    id: int
    time_s: Floats
    boxes_px: Floats
    score: Floats
    state: NDArray[np.str_]

    def __post_init__(self) -> None:
        n = self.time_s.shape[0]
        if self.boxes_px.shape != (n, 4) or self.score.shape != (n,) or self.state.shape != (n,):
            raise ValueError(f"face {self.id}: fields of a track must have {n} rows")


@dataclass(frozen=True)
class Clip:
    """A stretch of one face on a uniform clock: what methods and models eat.

    Attributes:
        frames: (T, H, W, C) float32; classical methods take H = W = 1, the mean of the skin.
        time_s: (T,) uniform.
        fs_hz: its rate.
        valid: (T,) bool; False inside a gap.
        track_id: the face.
        transform: what was done to the values: "raw", "diff", "standardized".
    """

    frames: Floats
    time_s: Floats
    fs_hz: float
    valid: Bools
    track_id: int = 0
    transform: str = "raw"

    def __post_init__(self) -> None:
        n = self.time_s.shape[0]
        if self.frames.ndim != 4 or self.frames.shape[0] != n or self.valid.shape != (n,):
            raise ValueError(f"clip: frames {self.frames.shape}, valid {self.valid.shape} do not match {n} times")


Reason = Literal[
    "no_face", "too_short", "gap", "frozen", "motion", "dark", "clipped", "flicker", "low_fps", "small_face", "turned",
    "no_pulse", "no_breath", "low_quality", "disagreement", "noise_floor",
]  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """One number with its unit, its stretch of time and its worth; or no number and the reason.

    Attributes:
        quantity: "heart_rate", "resp_rate", "sdnn", "rmssd", "pnn50", "lf_hf" …
        value: the number, or None where it was refused.
        unit: "beats/min", "breaths/min", "ms", "%" …
        t0_s, t1_s: stretch of the recording that it speaks of.
        confidence: 0..1; for heart rate the probability that the error is at most 5 beats/min; 0 where a rule refused
            the window whatever its peak looked like.
        reason: why there is no value; None where there is one.
        method: what computed it.
        quality: the features behind the confidence, named with their units.
        face: whose it is, from 1; None where there is no face. Faces that are still being measured are numbered as
            they appear, those of a result as its `FaceResult`s.
    """

    quantity: str
    value: float | None
    unit: str
    t0_s: float
    t1_s: float
    confidence: float
    reason: Reason | None = None
    method: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    face: int | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"{self.quantity}: give a value or a reason, got {self.value!r} and {self.reason!r}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.quantity}: value is {self.value}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"{self.quantity}: confidence {self.confidence} is not in 0..1")


@dataclass(frozen=True)
class FaceResult:
    """What was measured on one face.

    Attributes:
        id: identity, from 1.
        heart_rate, resp_rate: over the whole recording.
        hrv: "sdnn", "rmssd", "pnn50", "lf_hf", "mean_ibi"; each with a value or a reason.
        windows: estimates on the sliding windows, in order of time.
        signals: "bvp", "resp", "ibi" … where they could be computed.
        track: where the face was.
    """

    id: int
    heart_rate: Estimate
    resp_rate: Estimate
    hrv: Mapping[str, Estimate]
    windows: tuple[Estimate, ...]
    signals: Mapping[str, Signal]
    track: FaceTrack


@dataclass(frozen=True)
class Result:
    """What was measured in one source. The shortcuts speak of the main face: the one seen longest and largest.

    Attributes:
        source: what was measured.
        faces: main face first; empty if there was none.
        warnings: what a reader must know, one sentence each.
        settings: everything that was chosen, as plain values.
        digest: twelve hexadecimal digits of the settings.
        versions: of the package, its models and what it is built on.
        video: size, rates, duration, frames read.
        thumbnail: (h, w, 3) uint8 RGB of a frame in which the main face was seen, or None.
        thumbnail_boxes_px: boxes in the thumbnail, by face id.
        no_face: why there is no face, where there is none.
    """

    source: str
    faces: tuple[FaceResult, ...]
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    video: Mapping[str, Any] = field(default_factory=dict)
    thumbnail: Bytes | None = None
    thumbnail_boxes_px: Mapping[int, Floats] = field(default_factory=dict)
    no_face: Reason = "no_face"

    @property
    def heart_rate(self) -> Estimate:
        """Heart rate of the main face over the whole recording."""
        return self.faces[0].heart_rate if self.faces else self._absent("heart_rate", "beats/min")

    @property
    def resp_rate(self) -> Estimate:
        """Breathing rate of the main face over the whole recording."""
        return self.faces[0].resp_rate if self.faces else self._absent("resp_rate", "breaths/min")

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The main face's estimates on the sliding windows."""
        return self.faces[0].windows if self.faces else ()

    @property
    def signals(self) -> Mapping[str, Signal]:
        """The main face's waveforms."""
        return self.faces[0].signals if self.faces else {}

    def plot(self) -> Any:
        """A matplotlib figure of the result; see `vitalcam.report.figure`."""
        from vitalcam import report

        return report.figure(self)

    def _absent(self, quantity: str, unit: str) -> Estimate:
        return Estimate(quantity, None, unit, 0.0, 0.0, 0.0, reason=self.no_face)


@dataclass(frozen=True)
class Recording:
    """One recording of a data set or of the generator, on its own clocks.

    Attributes:
        dataset, subject, session, id: names; ``id`` is unique within the data set.
        videos: modality ("rgb", "thermal") to a lazily decoded video.
        signals: ground truth ("bvp", "resp", "ecg" …).
        attributes: scene and person, e.g. {"skin_type": 5, "motion": "talk"}.
        quality: what is known about the quality of the ground truth.
    """

    dataset: str
    subject: str
    session: str
    id: str
    videos: Mapping[str, Video]
    signals: Mapping[str, Signal]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSpec:
    """The card of a method or a model: what signal it eats and what it gives.

    Attributes:
        name: file name in its folder.
        outputs: waveforms that it gives: "bvp", "resp".
        paper: reference as printed in a list of references.
        channels: modalities in order, with their number of channels.
        size_px: side of the square crop; 1 for the mean of the skin.
        fs_hz: rate that it was made for.
        frames: clip length that it was made for; 0 for any.
        frames_multiple: a clip must have a multiple of this many frames.
        transform: what is done to the clip first: "raw", "diff", "standardized".
        parameters: number of trained parameters.
        confidence_weights: of the confidence of its heart rates (`vitalcam.signal.quality`), where they were fitted on
            its own waves; else empty, and those of its kind are taken.
        licence, training_data, code_url, sha256, file: of its weights, where it has any.
        variants: names of the variants that its builder knows.
    """

    name: str
    outputs: tuple[str, ...]
    paper: str
    channels: Mapping[str, int] = field(default_factory=lambda: {"rgb": 3})
    size_px: int = 1
    fs_hz: float = 30.0
    frames: int = 0
    frames_multiple: int = 1
    transform: str = "raw"
    parameters: int = 0
    confidence_weights: tuple[float, ...] = ()
    licence: str = "Apache-2.0"
    training_data: str = ""
    code_url: str = ""
    sha256: str = ""
    file: str = ""
    variants: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """A method eats the mean colour of the skin, a network pictures."""
        return "method" if self.size_px == 1 else "network"

    @property
    def sees(self) -> Channels:
        """The same as one word."""
        return "rgbt" if len(self.channels) > 1 else "thermal" if "thermal" in self.channels else "rgb"

    def clip_shape(self, frames: int = 0) -> tuple[int, int, int, int, int]:
        """Shape (1, C, T, H, W) of a clip as the network sees it, behind the transform; its own length by default."""
        channels = sum(self.channels.values()) * len(self.transform.split("+"))
        return 1, channels, frames or self.frames, self.size_px, self.size_px


@dataclass(frozen=True)
class Scores:
    """How well estimates agree with the truth.

    Attributes:
        rows: a mapping for each window: id, truth, estimate, kept …
        metrics: name to (value, standard error, number of windows).
        coverage: share of the windows that were answered.
    """

    rows: tuple[Mapping[str, Any], ...]
    metrics: Mapping[str, tuple[float, float, int]]
    coverage: float
