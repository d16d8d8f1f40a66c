"""How well colour methods, and released networks where they are at hand, read clips of synthetic people.

    python benchmarks/synth.py [--clips 8] [--seed 3000] [--checkpoints FOLDER] [scenario …]

A clip has 301 frames of 72 x 72 pixels at 30 Hz, and thermal ones beside them; no encoder. The estimate is the
spectral peak, 0.65 to 3.4 Hz; the truth is that of the blood volume that was put in. Columns are mean absolute error in
beats/min and the share of clips within 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vitalcam import registry
from vitalcam.checkpoints import load
from vitalcam.signal import spectrum
from vitalcam.synth import clips, scenarios
from vitalcam.types import Floats

FRAMES, FS_HZ = 301, 30.0
SKIN = slice(14, 58)  # the middle of the crop, for methods that take a mean colour
NETWORKS = {
    "FactorizePhys (PURE)": "fp__PURE_FactorizePhys_FSAM_Res.pth",
    "FactorizePhys (UBFC)": "mmr__UBFC-rPPG_FactorizePhys_SFSAM_RBF_Epoch9.pth",
    "MMRPhys (PURE)": "mmr__PURE_MMRPhys_SFSAM_Label_Epoch9.pth",
    "FactorizePhys (iBVP, RGB + thermal)": "fp__iBVP_RGBT_FactorizePhys_FSAM_Res.pth",
    "FactorizePhys (iBVP, thermal)": "fp__iBVP_T_FactorizePhys_FSAM_Res.pth",
}
CHANNELS = {("rgb",): slice(0, 3), ("thermal",): slice(3, 4), ("rgb", "thermal"): slice(0, 4)}

Reader = Callable[[torch.Tensor], Floats]


def rate_bpm(wave: Floats) -> float:
    """Spectral peak of a waveform (T,)."""
    freq_hz, power = spectrum.power(wave - wave.mean(), fs_hz=FS_HZ, low_hz=0.65, high_hz=3.4)
    return 60 * float(spectrum.peak(freq_hz, power)[0])


def by_method(name: str) -> Reader:
    """A colour method on the mean of the middle of a clip (1, 4, T, H, W)."""
    method = registry.find("methods", name)
    return lambda video: np.asarray(method.waveform(video[0, :3, :, SKIN, SKIN].mean((2, 3)).T.numpy(), fs_hz=FS_HZ))


def by_network(file: Path) -> Reader:
    """A released network that eats raw frames of its channels."""
    found = load(file)
    channels = CHANNELS[tuple(found.spec.channels)]

    def read(video: torch.Tensor) -> Floats:
        with torch.inference_mode():
            return np.asarray(found.model(video[:, channels])["bvp"][0].numpy())

    return read


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", default=list(scenarios.LADDER))
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seed", type=int, default=3000)
    parser.add_argument("--checkpoints", type=Path)
    wish = parser.parse_args()
    readers = {name.upper(): by_method(name) for name in ("green", "chrom", "pos")}
    if wish.checkpoints:
        readers |= {name: by_network(wish.checkpoints / file) for name, file in NETWORKS.items()}
    print("| scenario |", " | ".join(readers), "|")
    for name in wish.scenario:
        errors: dict[str, list[float]] = {reader: [] for reader in readers}
        for k in range(wish.clips):
            scene = scenarios.sample(
                name, wish.seed + k, identity=wish.seed + k % max(wish.clips // 2, 1), duration_s=14
            )
            clip = clips.render([scene], frames=FRAMES, channels="rgbt", rng=np.random.default_rng(k))
            truth = rate_bpm(clip.bvp[0].numpy())
            for reader, read in readers.items():
                errors[reader].append(abs(rate_bpm(read(clip.video)) - truth))
        cells = [f"{np.mean(e):.1f} ({np.mean(np.array(e) < 2):.0%})" for e in errors.values()]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
