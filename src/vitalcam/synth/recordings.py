"""Synthetic recordings on disk: video, thermal video, truth on its own clocks, and everything that made them.

A recording is a folder: ``rgb.mp4`` (or ``.mkv``), ``thermal.npy`` (T, h, w) uint16 in hundredths of a kelvin with
``thermal_times.csv``, ``bvp.csv``, ``resp.csv``, ``ibi.csv``, ``scene.json``.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import files
from vitalcam.errors import DatasetError, VideoError
from vitalcam.synth import scenarios
from vitalcam.synth.scene import Scene
from vitalcam.types import Bytes, Floats, Frame, Recording, Signal, Video

_CHUNK = 20  # frames rendered together
_BVP_HZ, _RESP_HZ = 125.0, 25.0
_SUFFIX = {"ffv1": ".mkv", "mjpeg": ".mkv"}


@dataclass(frozen=True)
class Shot:
    """Frames of one chunk.

    Attributes:
        times_s: (B,).
        rgb: (B, H, W, 3) uint8.
        thermal_c: (B, h, w) degrees Celsius, or None without a thermal camera.
    """

    times_s: Floats
    rgb: Bytes
    thermal_c: Floats | None


def frame_times_s(scene: Scene) -> Floats:
    """(T,) times of the frames that the camera keeps."""
    camera = scene.camera
    rng = np.random.default_rng([camera.seed, 11])
    times = np.arange(0, scene.duration_s, 1 / camera.fps_hz)
    late = np.clip(camera.jitter_s * rng.standard_normal(times.size), -0.4 / camera.fps_hz, 0.4 / camera.fps_hz)
    kept = rng.random(times.size) >= camera.dropped
    kept[:1] = True
    return np.asarray(np.maximum(times + late, 0.0)[kept])


def shots(scene: Scene) -> Iterator[Shot]:
    """Render a scene, some frames at a time; equal scenes give equal frames."""
    import torch

    from vitalcam.synth import sensor, thermal
    from vitalcam.synth.film import Film, Window

    camera = scene.camera
    film = Film(scene, detail_px=camera.focal * camera.width / camera.distance_dm)
    window = Window.whole(scene, finer=1)
    rng = np.random.default_rng([camera.seed, 9])
    normal = sensor.Noise(rng)
    mean: float | None = None
    times = frame_times_s(scene)
    for start in range(0, times.size, _CHUNK):
        now = times[start : start + _CHUNK + 1]  # the first frame of the next chunk fades into this one's last
        linear, patches = film.render(now, window)
        mean = float(linear[0].mean()) if mean is None else mean
        degrees = thermal.temperatures(film, patches, now, window)[:_CHUNK] if camera.thermal else None
        linear, now = linear[:_CHUNK], now[:_CHUNK]
        gain = torch.as_tensor(sensor.gains(scene, mean, now), dtype=torch.float32)
        rgb = sensor.develop(scene, linear, gain, normal).round_().to(torch.uint8).contiguous().numpy()
        seen = None if degrees is None else thermal.develop(scene, degrees, now, thermal.SIZE, rng)
        yield Shot(now, rgb, seen)


def truth(scene: Scene) -> dict[str, Signal]:
    """Signals of a scene: "bvp", "resp", and "ibi" at the beats; a null twin's bvp is 0 and it has no beats."""
    from vitalcam.synth import acting

    pulse, breath = acting.physiology(scene)
    fine, coarse = (np.arange(0, scene.duration_s, 1 / hz) for hz in (_BVP_HZ, _RESP_HZ))
    bvp = pulse.at(fine) if scene.pulse else np.zeros_like(fine)
    signals = {"bvp": Signal(bvp, fine, "bvp"), "resp": Signal(breath.at(coarse), coarse, "resp")}
    beats = pulse.between(0.0, scene.duration_s)
    if scene.pulse and beats.size > 1:
        signals["ibi"] = Signal(np.diff(beats), beats[1:], "ibi", "s")
    return signals


def write(
    out_dir: str | Path, scenario: str, n: int, seed: int = 0, *, duration_s: float = 20.0, null_twins: bool = False
) -> list[Path]:
    """Write ``n`` recordings of a scenario into their own folders.

    Args:
        out_dir: where; created.
        scenario: name in `vitalcam.synth.scenarios.SCENARIOS`.
        n: how many; each shows another person.
        seed: of the first; the others follow.
        duration_s: length of each.
        null_twins: write beside each the same clip without a pulse.

    Returns:
        The folders.
    """
    return write_scenes(out_dir, scenarios.several(scenario, n, seed, duration_s=duration_s, null_twins=null_twins))


def write_scenes(out_dir: str | Path, scenes: Iterable[Scene]) -> list[Path]:
    """Write scenes, each into the folder of its name; those that are complete are left as they are."""
    return [write_scene(Path(out_dir) / name(scene), scene) for scene in scenes]


def name(scene: Scene) -> str:
    """Name of a scene's folder: scenario, person, whether it is a null twin, digest."""
    return f"{scene.scenario}-{scene.identity}{'' if scene.pulse else '-null'}-{scene.digest}"


def write_scene(folder: Path, scene: Scene) -> Path:
    """Write one scene; ``scene.json`` comes last and marks the folder as complete."""
    from vitalcam.video.write import write_video

    if (folder / "scene.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    times, camera = frame_times_s(scene), scene.camera
    thermal: list[Floats] = []
    path = folder / f"rgb{_SUFFIX.get(camera.codec, '.mp4')}"
    crf = camera.crf if camera.codec == "libx264" else None
    write_video(path, _collected(scene, thermal), times_s=times, codec=camera.codec, crf=crf)
    if thermal:
        kelvin = np.concatenate(thermal) + 273.15
        np.save(folder / "thermal.npy", np.clip(np.rint(100 * kelvin), 0, 65535).astype(np.uint16))
        _table(folder / "thermal_times.csv", time_s=times)
    for key, signal in truth(scene).items():
        _table(folder / f"{key}.csv", time_s=signal.time_s, **{key: signal.values})
    about = {"digest": scene.digest, "split": scenarios.split(scene), "video": path.name, **scene.attributes()}
    files.write_text(folder / "scene.json", json.dumps(about, indent=1) + "\n")
    return folder


def _collected(scene: Scene, thermal: list[Floats]) -> Iterator[Bytes]:
    for shot in shots(scene):
        if shot.thermal_c is not None:
            thermal.append(shot.thermal_c.astype(np.float32))
        yield from shot.rgb


def _table(path: Path, **columns: Floats) -> None:
    rows = np.column_stack(list(columns.values()))
    np.savetxt(path, rows, fmt="%.6f", delimiter=",", header=",".join(columns), comments="")


def read(folder: str | Path) -> Recording:
    """Open a folder that `write` made; video and truth are read when they are asked for, and refused then if damaged.

    Raises:
        DatasetError: the folder is incomplete, or what it says of itself is damaged.
    """
    from vitalcam.video.read import open_video
    from vitalcam.video.thermal import open_thermal

    folder = Path(folder)
    about_path = folder / "scene.json"
    if not about_path.exists():
        raise DatasetError(f"{folder}: no scene.json, so it was not finished; write it again")
    try:
        about: dict[str, Any] = json.loads(about_path.read_text(encoding="utf-8"))
        video, subject, session = folder / about["video"], str(about["identity"]), about["scenario"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DatasetError(
            f"{about_path}: damaged ({error!r}); delete its folder and write the recording again"
        ) from None
    videos = {"rgb": _video(video, open_video)}
    if (folder / "thermal.npy").exists():
        videos["thermal"] = _video(folder / "thermal.npy", open_thermal)
    flat = {
        f"{part}.{key}": value
        for part, values in about.items()
        if isinstance(values, dict)
        for key, value in values.items()
    }
    flat |= {key: value for key, value in about.items() if not isinstance(value, dict)}
    return Recording("synth", subject, session, folder.name, videos, _Signals(folder), flat)


def _video(path: Path, opener: Callable[[Path], Video]) -> Video:
    """A video; one that cannot be opened says so when it is iterated, so that it stops no other recording."""
    try:
        return opener(path)
    except VideoError as error:
        return Video(str(path), 0, 0, math.nan, math.nan, functools.partial(_refused, error))


def _refused(error: VideoError) -> Iterator[Frame]:
    raise error


class _Signals(Mapping[str, Signal]):
    """What is known of a recording, each signal read when it is asked for, so that a damaged one stops no other."""

    def __init__(self, folder: Path) -> None:
        paths = {key: folder / f"{key}.csv" for key in ("bvp", "resp", "ibi")}
        self._paths = {key: path for key, path in paths.items() if path.exists()}
        self._read: dict[str, Signal] = {}

    def __getitem__(self, key: str) -> Signal:
        if key not in self._read:
            self._read[key] = _signal(self._paths[key], key)
        return self._read[key]

    def __contains__(self, key: object) -> bool:
        return key in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def _signal(path: Path, kind: str) -> Signal:
    try:
        table = files.columns(path, 2)
        if not len(table):
            raise ValueError("it is empty")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: damaged ({error}); delete its folder and write the recording again") from None
    return Signal(table[:, 1], table[:, 0], kind, "s" if kind == "ibi" else "a.u.")
