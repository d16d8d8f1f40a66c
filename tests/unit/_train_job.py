"""A small training as a process of its own, which can be killed or have company: _train_job.py FOLDER PROCESS_BATCH."""

import sys
from pathlib import Path

import torch
from _prepared import prepared

from vitalcam.data import Clips
from vitalcam.train import train
from vitalcam.training import ClipBatches, Training


def job(folder, *, dropout=0.1, **changes):
    """Train the smallest MMRPhys for two epochs of 12 steps."""
    given = {"model": "mmrphys", "variant": "9_rgb_bvp", "options": {"dropout": dropout}, "epochs": 2, "batch": 2}
    training = Training(**{**given, **changes})
    people = [prepared(f"p{i}", 60 + 12 * i, 12.0) for i in range(4)]
    batches = ClipBatches(Clips(people, training.spec, frames=60), training.batch, seed=training.seed)
    return train(training, batches, folder, device="cpu", save_every_s=0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    job(Path(sys.argv[1]), dropout=float(sys.argv[2]))
