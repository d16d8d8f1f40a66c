"""What a plate costs, and a take of it: seconds of one core, so that other work on the machine counts less.

    python benchmarks/takes.py [--plates 3] [--takes 20] [--frames 160]

Plates are of the ladder's scenarios in turn, each of another person; takes are as training gets them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from vitalcam.synth import clips, plates


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=3)
    parser.add_argument("--takes", type=int, default=20)
    parser.add_argument("--frames", type=int, default=160)
    wish = parser.parse_args()
    torch.set_num_threads(1)
    print("| plate | s a plate | clip | s a take | clips in s, 24 takes a plate |", flush=True)
    for side, sizes in ((36, (9, 36)), (72, (72,))):
        recipe = plates.Recipe(side, 1.3 * wish.frames / 30 + 2)
        start_s = time.process_time()
        source = plates.Rolling(recipe, pool=wish.plates, takes=10**9)
        for number in range(wish.plates):
            source[number]
        plate_s = (time.process_time() - start_s) / wish.plates
        for size in sizes:
            clips.shoot(source, [0], frames=wish.frames, size_px=size, fs_hz=30.0)
            spent_s = []
            for clip in range(wish.takes):
                start_s = time.process_time()
                clips.shoot(source, [clip], frames=wish.frames, size_px=size, fs_hz=30.0)
                spent_s.append(time.process_time() - start_s)
            take_s = float(np.median(spent_s))
            rate = 1 / (take_s + plate_s / 24)
            print(f"| {side} px | {plate_s:.2f} | {size} px | {take_s:.3f} | {rate:.1f} |", flush=True)


if __name__ == "__main__":
    main()
