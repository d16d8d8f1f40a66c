"""What a network costs for one clip: parameters, multiply-adds, memory of its tensors, time on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vitalcam.export import example
from vitalcam.figures import latency
from vitalcam.types import ModelSpec

_ROUNDS = 5


def machine() -> str:
    """What the times are of."""
    graphics = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{latency.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}{graphics}"


def cost(network: nn.Module, spec: ModelSpec) -> dict[str, float]:
    """Measure a network on one clip as its card says.

    Args:
        network: its weights do not matter.
        spec: its card.

    Returns:
        "parameters" (trained ones), "gmac" (10^9 multiply-adds of convolutions and matrix products), "size_mb" (10^6
        bytes of its tensors), "cpu_ms", and "gpu_ms" where there is a GPU: medians, after a round that warms up.
    """
    network = network.cpu().eval()
    video = torch.from_numpy(example(spec, spec.frames))
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            network(video)
        found = {
            "parameters": float(sum(p.numel() for p in network.parameters() if p.requires_grad)),
            "gmac": counter.get_total_flops() / 2e9,
            "size_mb": sum(t.numel() * t.element_size() for t in network.state_dict().values()) / 1e6,
            "cpu_ms": _median_ms(network, video, lambda: None),
        }
        if torch.cuda.is_available():
            found["gpu_ms"] = _median_ms(network.cuda(), video.cuda(), torch.cuda.synchronize)
    return found


def _median_ms(network: nn.Module, video: Tensor, finished: Callable[[], None]) -> float:
    taken = []
    for _ in range(_ROUNDS + 1):
        start = time.perf_counter()
        network(video)
        finished()
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken[1:])
