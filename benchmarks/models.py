"""What each network costs: parameters, multiply-adds, milliseconds per clip in torch, ONNX Runtime, OpenVINO.

The runs of all backends are interleaved, round by round, so that whatever else the machine does hits all alike; the
ratios are what to read. Weights are random: time does not depend on them, the comparison of outputs is on them.

    python benchmarks/models.py                              every network, as its card says
    python benchmarks/models.py physnet mmrphys:9_rgb        some, by variant
    python benchmarks/models.py tscan --original DIR/TS_CAN.py:'TSCAN(frame_depth=10, img_size=72)' \
        --feed 'x[0].transpose(0, 1)'

With --original the authors' own network, from a file of theirs, is timed beside, on what the expression --feed makes of
our clip x (1, C, T, H, W); where our module has a table of RELEASED_KEYS it gets our weights. For FactorizePhys and
MMRPhys one folder with the authors' repositories in it, under their own names, is all it needs:

    python benchmarks/models.py factorizephys mmrphys:72_rgb mmrphys:36_rgb mmrphys:9_rgb --threads 1 --originals DIR

Times are of the processor, all threads of the process together, so that what else the machine does counts less; with
one thread they are those of the clock on a quiet machine. OpenVINO is timed where it is installed. What it was good for
is in docs/speed.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vitalcam import registry
from vitalcam.export import example, prepared, to_onnx
from vitalcam.models._layers import released_key
from vitalcam.runtime import openvino_request, session
from vitalcam.stacking import stacked
from vitalcam.types import ModelSpec

Run = Callable[[], np.ndarray]
ORIGINALS = {  # file in the folder of their repositories, and what makes the network
    "factorizephys": (
        "FactorizePhys/neural_methods/model/FactorizePhys/FactorizePhys.py",
        "FactorizePhys(160, {'MD_FSAM': True, 'MD_INFERENCE': False, 'MD_RESIDUAL': True}, 3)",
    ),
} | {
    f"mmrphys:{size_px}_rgb": (
        f"MMRPhys/neural_methods/model/MMRPhys/MMRPhys{letter}EF.py",
        f"MMRPhys{letter}EF(180, {{'MD_FSAM': True, 'TASKS': ['BVP', 'RSP']}}, 3)",
    )
    for size_px, letter in ((72, "L"), (36, "M"), (9, "S"))
}
ONE_FRAME_MORE = "torch.cat([x, x[:, :, -1:]], dim=2)"  # they take differences without filling up


def main() -> None:
    """Print the table."""
    arguments = parse()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    print(f"{'network':26} {'input':>13} {'parameters':>10} {'GMAC':>7} {'threads':>7}  ms per clip (ratio to torch)")
    for name in arguments.names or registry.names("models"):
        measure(name, arguments)


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="networks, as module or module:variant; all if none")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=0, help="length of the clip; 0 for what the card says")
    parser.add_argument("--original", help="FILE.py:EXPRESSION that makes the authors' network")
    parser.add_argument(
        "--originals", type=Path, help="folder with the authors' repositories FactorizePhys and MMRPhys"
    )
    parser.add_argument("--feed", default="x", help="what it is fed, as an expression of our clip x")
    return parser.parse_args()


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Print the row of one network for each number of threads."""
    module_name, _, variant = name.partition(":")
    module = registry.find("models", module_name)
    spec: ModelSpec = module.VARIANTS[variant] if variant else module.SPEC
    frames = arguments.frames or spec.frames
    torch.manual_seed(0)
    network = prepared(settled(module.build(variant), spec))
    proto = to_onnx(network, spec, frames=spec.frames_multiple * -(-24 // spec.frames_multiple))
    blob = proto.SerializeToString()
    video = example(spec, frames)
    gmac = multiply_adds(network, video) / 1e9
    head = f"{name:26} {f'{frames} x {spec.size_px}²':>13} {spec.parameters:10,} {gmac:7.2f}"
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        graph = session(stacked(proto, frames_multiple=spec.frames_multiple).SerializeToString(), threads)
        runs: dict[str, Run] = {
            "torch": lambda: eager(network, video)[spec.outputs[0]].numpy(),
            "onnxruntime": lambda graph=graph: graph.run(list(spec.outputs), {"video": video})[0],
        }
        if importlib.util.find_spec("openvino"):
            request = openvino_request(blob, threads)
            runs["openvino"] = lambda request=request: request.infer([video])[spec.outputs[0]]
        if source := original_of(name, arguments):
            original = authors_network(source[0], network, keys_of(module, spec, variant))
            fed = eval(source[1], {"torch": torch, "x": torch.from_numpy(video)}).numpy()
            runs["original"] = lambda original=original, fed=fed: first(eager(original, fed)).numpy()
        print(f"{head} {threads:7}  {told(*interleaved(runs, arguments.rounds))}", flush=True)


def original_of(name: str, arguments: argparse.Namespace) -> tuple[str, str] | None:
    """FILE:EXPRESSION of the authors' network and what it is fed, if it was asked for."""
    if arguments.originals and name in ORIGINALS:
        file, expression = ORIGINALS[name]
        return f"{arguments.originals / file}:{expression}", ONE_FRAME_MORE
    return (arguments.original, arguments.feed) if arguments.original else None


def keys_of(module: Any, spec: ModelSpec, variant: str) -> dict[str, str] | None:
    """What the authors call our tensors, where we know it; of several layouts the present one."""
    if hasattr(module, "released_layouts"):
        layouts = module.released_layouts(variant or spec.variants[0])
        return layouts[0][1]
    return getattr(module, "RELEASED_KEYS", None)


def interleaved(runs: dict[str, Run], rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median milliseconds of the processor for each run, and its largest difference to torch in its deviations."""
    outputs = {label: np.asarray(run()).ravel() for label, run in runs.items()}
    times: dict[str, list[float]] = {label: [] for label in runs}
    for _ in range(rounds):
        for label, run in runs.items():
            start = time.process_time()
            run()
            times[label].append(1e3 * (time.process_time() - start))
    reference = outputs["torch"]
    apart = {
        label: float(np.abs(wave - reference).max() / reference.std()) if wave.shape == reference.shape else np.nan
        for label, wave in outputs.items()
    }
    return {label: statistics.median(taken) for label, taken in times.items()}, apart


def told(medians: dict[str, float], apart: dict[str, float]) -> str:
    """The end of a row: ratios to the authors' network where it runs, else to ours in torch; differences to ours."""
    base = "original" if "original" in medians else "torch"
    return ", ".join(
        f"{label} {ms:.0f}" + (f" ({ms / medians[base]:.2f}, differs {apart[label]:.0e})" if label != base else "")
        for label, ms in medians.items()
    )


def eager(network: nn.Module, video: np.ndarray) -> Any:
    """What the network gives, in torch."""
    with torch.inference_mode():
        return network(torch.from_numpy(video))


def first(outputs: Any) -> torch.Tensor:
    """The first of several outputs, which the authors make the waveform."""
    return first(outputs[0]) if isinstance(outputs, (tuple, list)) else outputs


def settled(network: nn.Module, spec: ModelSpec) -> nn.Module:
    """The network with batch norms that have seen a clip; untrained ones would make the waveform vanish."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
    if norms:
        with torch.no_grad():
            network(torch.from_numpy(example(spec, spec.frames_multiple * -(-24 // spec.frames_multiple))))
    return network


def multiply_adds(network: nn.Module, video: np.ndarray) -> float:
    """Multiply-adds of convolutions and matrix products for one clip, counted while it runs."""
    with FlopCounterMode(display=False) as counter:
        eager(network, video)
    return counter.get_total_flops() / 2


def authors_network(source: str, ours: nn.Module, table: dict[str, str] | None) -> nn.Module:
    """What an expression makes of a file of theirs, with our weights where we know their names."""
    file, _, expression = source.partition(":")
    folder = Path(file).resolve().parent
    sys.path[:0] = [str(folder), *(str(above) for above in folder.parents if (above / "neural_methods").is_dir())]
    for name in [name for name in sys.modules if name.split(".")[0] == "neural_methods"]:
        del sys.modules[name]  # another repository's package of that name
    spec = importlib.util.spec_from_file_location("original", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = eval(expression, vars(module)).eval()
    if table:
        weights = {released_key(key, table): value for key, value in ours.state_dict().items()}
        found = network.load_state_dict(weights, strict=False)
        assert not found.unexpected_keys
        assert all(key.endswith("bias1") for key in found.missing_keys), found.missing_keys  # a constant, in no file
    return network


if __name__ == "__main__":
    main()
