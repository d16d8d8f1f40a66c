"""Where the papers and the released code of the attention modules differ, in numbers.

    python tools/fidelity.py [--weights FOLDER] [--train]

prints the tables of docs/fidelity.md. The first needs nothing: matrices and clips are synthetic, networks untrained,
all from fixed seeds. The second takes a folder of released files (their names as published, a prefix does not matter)
and says what the differences do to trained networks, on a clip of uniform noise. The third trains small networks on
synthetic faces for a minute, and measures other faces with them.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from attention_figure import clip, fit
from torch import Tensor, nn

from vitalcam import checkpoints
from vitalcam.models import _factorize as core
from vitalcam.models import efficientphys, mmrphys
from vitalcam.models._attention import AttentionSettings, FactorizedAttention, relative_error

T, K, SIDE = 160, 8, 7  # of the embeddings that FactorizePhys factorizes
FORMS = ("paper", "released")
Row = tuple[str, str, str]


def attention(kind: str, form: str, **options: object) -> FactorizedAttention:
    """A module with fixed random weights."""
    torch.manual_seed(0)
    return FactorizedAttention(16, AttentionSettings(attention=kind, form=form, **options)).eval()  # type: ignore[arg-type]


def pulse(hz: float = 1.2) -> Tensor:
    """A wave (T,) between 0.5 and 2.5 at 30 Hz."""
    return 1.5 + torch.sin(2 * torch.pi * hz * torch.arange(T) / 30)


def random(*shape: int) -> Tensor:
    """Uniform 0..1."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def mixture() -> Tensor:
    """(1, T, N): three waves in different features, and noise."""
    waves = torch.stack([pulse(hz) for hz in (1.2, 0.25, 2.4)], dim=1)
    return (waves @ random(3, K * SIDE * SIDE) ** 3 + 0.3 * random(T, K * SIDE * SIDE))[None]


def correlation(a: Tensor, b: Tensor, dim: int = -1) -> Tensor:
    """Pearson's, along a dimension."""
    return torch.cosine_similarity(a - a.mean(dim, keepdim=True), b - b.mean(dim, keepdim=True), dim=dim)


def error(v: Tensor, v_hat: Tensor) -> str:
    """Relative error of an approximation, in per cent."""
    return f"{100 * relative_error(v, v_hat).sqrt().item():.1f} %"


def rows() -> Iterator[Row]:
    """What is compared, in `paper` form, in `released` form."""
    wave = pulse()[None, None, :, None, None] * random(1, K, 1, SIDE, SIDE)
    kept = [error(wave, attention("fsam", form).approximate(wave)) for form in FORMS]
    yield "time as row: error of rank 1 where every feature is the same wave", *kept

    v = mixture()
    for rank in (1, 4, 8):
        errors = [error(v, factorize(v, rank, 4)) for factorize in (core.nmf, core.nmf_released)]
        yield f"start of the NMF: error at rank {rank} after 4 steps", *errors
    for steps in (0, 4, 16):
        errors = [error(v, factorize(v, 1, steps)) for factorize in (core.smooth_nmf, core.smooth_nmf_released)]
        yield f"GRBF updates: error at rank 1 after {steps} steps", *errors

    gradients = [gradient(factorize) for factorize in (core.nmf, core.nmf_released)]
    alike = torch.cosine_similarity(gradients[0], gradients[1], dim=0).item()
    yield "gradient of the NMF at rank 1: cosine with the one trained through", "1", f"{alike:.3f}"

    yield "minimum: change of a clip's embeddings by its neighbour, in deviations", *map(neighbour, FORMS)

    y = pulse(1.2)[None]
    followed = [follows(attention("tsfm", form).approximate(random(1, K, T, SIDE, SIDE), y), y) for form in FORMS]
    yield "TSFM: correlation of each feature's time course with the given target", *followed
    ends = [f"{core.shorten_target(torch.ones(1, T), T // 4, released=form == 'released')[0, 0]:.1f}" for form in FORMS]
    yield "TSFM for breathing: first value of a target of ones", *ends

    yield "EfficientPhys-FSAM: correlation of its second forward pass with its first", *forward_twice()


def gradient(factorize: Callable[[Tensor, int, int], Tensor]) -> Tensor:
    """Of a random sum of V's approximation at rank 1 after 4 steps, flat."""
    v = mixture().requires_grad_()
    weight = torch.randn(v.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad((factorize(v, 1, 4) * weight).sum(), v)[0].flatten()


def neighbour(form: str) -> str:
    """How much the first clip of a batch changes when the second is three times as large."""
    e = random(2, 16, T, SIDE, SIDE) - 0.5
    larger = e * torch.tensor([1.0, 3.0])[:, None, None, None, None]
    with torch.inference_mode():
        module = attention("fsam", form, residual=False)
        return f"{((module(larger) - module(e))[0].std() / module(e)[0].std()).item():.3f}"


def follows(v_hat: Tensor, y: Tensor) -> str:
    """Mean absolute correlation of each feature with a wave."""
    return f"{correlation(v_hat[0], y[0, None, :, None, None], dim=1).abs().mean().item():.2f}"


def forward_twice() -> tuple[str, str]:
    """Ours is a function; theirs forgets its segments in its first forward pass."""
    x = 255 * random(1, 3, 40, 72, 72)
    waves = []
    for rows_of_matrix in (20, 1):
        torch.manual_seed(0)
        network = efficientphys.build("fsam", form="released", rows=rows_of_matrix, attention_at_inference=True)
        with torch.inference_mode():
            waves.append(network.eval()(x)["bvp"])
    return "1", f"{correlation(*waves).item():.3f}"


def trained_rows(folder: Path) -> Iterator[Row]:
    """File, correlation of its wave with attention off and on as released, and on as released and as in the paper."""
    x = 255 * random(1, 3, T, 72, 72)
    for pattern in ("*PURE_FactorizePhys_FSAM_Res.pth", "*UBFC-rPPG_FactorizePhys_FSAM_Res_K-TAB.pth"):
        for file in sorted(folder.glob(pattern)):
            model = checkpoints.load(file).model
            off = wave(model, x, "released", on=False)
            on, paper = (wave(model, x, form, on=True) for form in ("released", "paper"))
            yield file.name, f"{correlation(off, on).item():.3f}", f"{correlation(on, paper).item():.3f}"


def wave(model: nn.Module, x: Tensor, form: str, *, on: bool) -> Tensor:
    """The model's BVP with its attention in a form, on or off."""
    for module in model.modules():
        if isinstance(module, FactorizedAttention):
            module.settings = dataclasses.replace(module.settings, form=form, attention_at_inference=on)
    with torch.inference_mode():
        return model(x)["bvp"]


def trained_here() -> Iterator[Row]:
    """Attention, loss at the end of training, correlation of measured waves with the pulse of faces not trained on."""
    train, test = ([clip(seed, size_px=9, frames=120) for seed in seeds] for seeds in (range(1, 17), range(100, 108)))
    for kind, form in (("none", "paper"), ("fsam", "paper"), ("tsfm", "released"), ("tsfm", "paper")):
        torch.manual_seed(0)
        network = mmrphys.build("9_rgb_bvp", attention=kind, form=form).train()
        losses = fit(network, train, steps=80)
        with torch.inference_mode():
            found = [correlation(network.eval()(x)["bvp"], y).item() for x, y in test]
        name = kind if kind == "none" else f"{kind}, {form} form"
        yield name, f"{sum(losses[-8:]) / 8:.3f}", f"{sum(found) / len(found):.3f}"


def table(head: Row, body: Iterator[Row]) -> str:
    """Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * 3, *body))


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="folder of released files")
    parser.add_argument("--train", action="store_true", help="train small networks, for a minute")
    options = parser.parse_args()
    print(table(("compared", "paper", "released"), rows()))
    if options.weights:
        head = ("released weights", "attention off against on", "on: released against paper form")
        print("\n" + table(head, trained_rows(options.weights)))
    if options.train:
        head = ("attention while training", "loss at the end, 1 - r", "r of other faces, measured without attention")
        print("\n" + table(head, trained_here()))


if __name__ == "__main__":
    main()
