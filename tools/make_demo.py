"""Render the clip that `vitalcam demo` measures, and write its card: recipe, seed, versions, truth, sha256.

    python tools/make_demo.py [--out FOLDER]

Both person and encoder were chosen (CHOSEN says how). How well this clip can be measured says nothing about real or
harder video.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

import vitalcam
from vitalcam import example
from vitalcam.synth import acting, recordings, scenarios
from vitalcam.synth.scene import Scene

SEED = 5638
DURATION_S = 30.0
SIDE_PX = 256
FPS_HZ = 20
CRF = 21.5
CHOSEN = (
    "Synthetic: no real person. Chosen: the seed by look among 75 faces, then as the one of four whose rate was "
    "measured best at this file size; calm, near, in good light, a good camera; the encoder set so that the pulse "
    "survives. Its errors and confidence are not typical of real or harder video."
)
X264 = "bframes=0:keyint=infinite:scenecut=0:ipratio=1:mbtree=0:aq-mode=0:chroma-qp-offset=-12"
"""A pulse moves all pixels by less than a grey level: chroma is kept finer, and no frame coarser than the others."""


def scene() -> Scene:
    """The scene `still` of SEED, in a small picture, sitting calmly."""
    drawn = scenarios.sample("still", SEED, duration_s=DURATION_S)
    camera = dataclasses.replace(
        drawn.camera, width=SIDE_PX, height=SIDE_PX, fps_hz=float(FPS_HZ), distance_dm=5.5, focal=1.6,
        electrons=20_000.0,
    )  # fmt: skip
    movement = dataclasses.replace(drawn.movement, sway_dm=0.012, sway_deg=0.6)
    return dataclasses.replace(drawn, camera=camera, movement=movement)


def encode(path: Path, frames: Iterable[np.ndarray]) -> None:
    """Write frames (H, W, 3) uint8 as H.264, all of them kept alike."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS_HZ))
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "crf": str(CRF), "x264-params": X264}
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


def truth(made: Scene) -> dict[str, list[float]]:
    """Beats and breaths of a scene, in seconds."""
    pulse, breath = acting.physiology(made)
    breaths = breath.onset_s[(breath.onset_s >= 0) & (breath.onset_s < made.duration_s)]
    beats = pulse.between(0, made.duration_s)
    return {"beats_s": np.round(beats, 3).tolist(), "breaths_s": np.round(breaths, 3).tolist()}


def card(made: Scene, path: Path) -> dict[str, Any]:
    """What is to be known about the clip."""
    return {
        "about": CHOSEN,
        "made_by": "tools/make_demo.py",
        "seed": made.seed,
        "digest": made.digest,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "encoding": {"codec": "libx264", "crf": CRF, "x264_params": X264, "instead_of": "scene.camera.codec and crf"},
        "versions": {
            "vitalcam": vitalcam.__version__,
            **{name: importlib.metadata.version(name) for name in ("anny", "av", "numpy", "torch")},
        },
        "truth": truth(made),
        "scene": made.attributes(),
    }


def main() -> None:
    """Make the clip and its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=example.CLIP.parent)
    wish = parser.parse_args()
    torch.set_num_threads(1)
    made = scene()
    path = wish.out / example.CLIP.name
    encode(path, (rgb for shot in recordings.shots(made) for rgb in shot.rgb))
    rows = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in card(made, path).items())
    path.with_suffix(".json").write_text(f"{{\n{rows}\n}}\n")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
