"""An evaluation as a process of its own, slow enough to be killed: _evaluate_job.py FOLDER."""

import sys
import time
from pathlib import Path

from _prepared import prepared

from vitalcam.evaluate import evaluate
from vitalcam.methods import pos


class Slow:
    """POS, taking its time over each clip."""

    spec = pos.SPEC

    def __init__(self, wait_s=0.0):
        self.wait_s = wait_s
        self.clips = 0

    def run(self, clip):
        self.clips += 1
        time.sleep(self.wait_s)
        return {"bvp": pos.waveform(clip.frames[:, 0, 0], fs_hz=clip.fs_hz)}


def people():
    return [prepared(f"p{i}", 60 + 9 * i, 12.0) for i in range(6)]


if __name__ == "__main__":
    evaluate(people(), Slow(0.2), folder=Path(sys.argv[1]))
