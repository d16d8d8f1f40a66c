"""Painted people as recordings of a data set."""

import dataclasses

import numpy as np

from vitalcam.face.crop import area
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Frame, Recording, Signal, Video

FPS_HZ = 30.0


def video(scene, times, source="painted"):
    def frames():
        for index, (time_s, picture) in enumerate(zip(times, render(scene, times), strict=True)):
            yield Frame(picture, float(time_s), index)

    return Video(source, scene.width, scene.height, FPS_HZ, float(times[-1]), frames)


def recording(name, heart_rate=72.0, seconds=8.0, *, visible=None, **attributes):
    """A person of that heart rate (None: nobody there), whose pulse was recorded at 60 Hz."""
    times = np.arange(round(seconds * FPS_HZ)) / FPS_HZ
    person = PersonOnScreen(heart_rate, face_height=0.6, amplitude=0.03, visible=visible)
    scene = Scene(160, 120, (person,) if heart_rate else (), noise_sigma=0.5, seed=sum(map(ord, name)))
    truth_s = np.arange(round(seconds * 60)) / 60
    signals = {
        "bvp": Signal(person.bvp(truth_s), truth_s, "bvp"),
        "resp": Signal(person.breath(truth_s), truth_s, "resp"),
    }
    return Recording("painted", name, "1", name, {"rgb": video(scene, times)}, signals, attributes)


def with_thermal(recording, *, every=1, late_s=0.0, stop_s=np.inf):
    """A thermal camera of half the size beside it that sees the same field: 20 degrees and 0.05 a grey of green."""
    rgb = recording.videos["rgb"]

    def frames():
        for index, frame in enumerate(rgb):
            if index % every == 0 and frame.time_s < stop_s:
                half = area(frame, np.array([0, 0, frame.width, frame.height]), (frame.height // 2, frame.width // 2))
                yield Frame(20 + half[..., 1:2] / 20, frame.time_s + late_s, index)

    thermal = Video("painted heat", rgb.width // 2, rgb.height // 2, 30.0 / every, rgb.duration_s, frames, "thermal")
    return dataclasses.replace(recording, videos={"rgb": rgb, "thermal": thermal})
