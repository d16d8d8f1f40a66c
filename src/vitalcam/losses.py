"""What training minimises, by name.

A loss takes the waveforms that a network gives and the true ones, both {"bvp" or "resp": (B, T)}, and returns a
number. Names ending in ``_released`` compute what the authors' programs do, the others what their papers say; what
that changes is in `docs/fidelity_losses.md`. `reconstruction` is the term that factorization attention may add.

Sources: Yu et al., PhysNet, BMVC 2019 (negative Pearson); Yu et al., PhysFormer, CVPR 2022, equations 5 to 7; Zou et
al., RhythmFormer, 2025; Cen, Fu, Hong, physFSUNet, 2025, equations 8 to 11. Released forms checked against the
rPPG-Toolbox, FactorizePhys, MMRPhys and RhythmFormer repositories on synthetic signals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vitalcam.errors import UnknownName, UsageError
from vitalcam.signal.filter import butter_bandpass, detrend

_TINY = 1e-12
_BAND_BPM = (45, 150)
"""Rates that RhythmFormer and physFSUNet look at; the upper end is not included."""
_WIDE_BAND_BPM = (40, 180)
"""Rates that PhysFormer looks at."""
_ALL_BPM = (6, 240)
"""Rates of breathing, of hearts and of most of their second harmonics."""
_SPECTRAL = 0.2
_SIGMA_BPM = 3.0
_SHARPNESS = 4.0


@dataclass(frozen=True)
class Moment:
    """Where training is, and what a sample of time is.

    Attributes:
        epoch: from 1 to ``epochs``.
        epochs: in all.
        fs_hz: sampling rate of the waveforms.
    """

    epoch: int = 1
    epochs: int = 1
    fs_hz: float = 30.0

    def rising(self, base: float) -> float:
        """The weight base^((e - 1) / E): 1 in the first epoch, nearly `base` in the last."""
        return float(base ** ((self.epoch - 1) / self.epochs))


class Loss(Protocol):
    """How a loss is called."""

    def __call__(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        *,
        epoch: int = 1,
        epochs: int = 1,
        fs_hz: float = 30.0,
    ) -> Tensor:
        """The loss (scalar) of waveforms (B, T), summed over those that are in both."""
        ...


def names() -> list[str]:
    """Names that `find` knows."""
    return sorted(_TERMS)


def find(name: str) -> Loss:
    """The loss of that name.

    Raises:
        UnknownName: there is none; the message lists those there are.
    """
    if name not in _TERMS:
        raise UnknownName("loss", name, _TERMS)
    term, waves = _TERMS[name]

    def loss(
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        *,
        epoch: int = 1,
        epochs: int = 1,
        fs_hz: float = 30.0,
    ) -> Tensor:
        shared = [wave for wave in outputs if wave in targets]
        if not shared or not set(shared) <= set(waves):
            raise UsageError(
                f"loss {name!r} compares {' and '.join(waves)}; the model gives {', '.join(outputs) or 'nothing'}, "
                f"the data {', '.join(targets) or 'nothing'}"
            )
        moment = Moment(epoch, epochs, fs_hz)
        return torch.stack([term(outputs[w].float(), targets[w].float(), moment) for w in shared]).sum()

    return loss


class Network(Protocol):
    """A network as the models build it."""

    def aux_loss(self) -> Tensor | None:
        """Its own training term (scalar), if it has one."""
        ...


def reconstruction(model: Network) -> Tensor:
    """The training term that a network adds of itself, such as the error of its factorization; zero if it has none."""
    term = model.aux_loss()
    return torch.zeros(()) if term is None else term


def standardised(x: Tensor) -> Tensor:
    """Each row of (B, T) to zero mean and unit (sample) deviation; a constant row to zeros, without a NaN gradient."""
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(centred.square().sum(dim=-1, keepdim=True) / (x.shape[-1] - 1) + _TINY)


def neg_pearson(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """One minus the correlation along time, mean over the batch; waveforms (B, T)."""
    return _one_minus_correlation(prediction, truth, dim=-1)


def pearson_spectral(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """(1 - r) + 0.2 times the Kullback-Leibler divergence of the spectra, the truth's from the prediction's.

    A network that hears slow pulses through the noise of movement leaves out what is slow: their second harmonic comes
    out higher than the pulse, at little cost in r. The divergence makes that dear.

    Where the truth is constant there is nothing to be heard: all rates shall be alike in the prediction.
    """
    found = rate_distribution(prediction, moment.fs_hz, _ALL_BPM)
    true = rate_distribution(truth, moment.fs_hz, _ALL_BPM)
    silent = (truth == truth[..., :1]).all(dim=-1, keepdim=True)
    true = torch.where(silent, 1 / true.shape[-1], true)
    divergence = functional.kl_div((found + _TINY).log(), true, reduction="batchmean")
    return neg_pearson(prediction, truth, moment) + _SPECTRAL * divergence


def neg_pearson_released(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """As FactorizePhys was trained: the correlation is taken across the clips of a batch, at each sample of time.

    It depends on which clips come together, and for a single clip it is 1 without gradient.
    """
    return _one_minus_correlation(prediction, truth, dim=0)


def smooth_l1(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """Smooth L1 distance of the standardised waveforms, as MMRPhys is trained on both tasks."""
    return functional.smooth_l1_loss(standardised(prediction), standardised(truth))


def mean_square(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """Mean squared difference, as DeepPhys, TS-CAN and EfficientPhys are trained."""
    return functional.mse_loss(prediction, truth)


def physformer(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """0.1 (1 - r) + 5^((e-1)/E) (cross-entropy + divergence from a normal about the true rate, 1 bpm wide)."""
    found = rate_distribution(prediction, moment.fs_hz, _WIDE_BAND_BPM)
    true = rate_distribution(truth, moment.fs_hz, _WIDE_BAND_BPM)
    rates = torch.arange(found.shape[-1], device=found.device)
    wanted = torch.softmax(-0.5 * (rates - true.argmax(dim=-1, keepdim=True)).square(), dim=-1)
    divergence = functional.kl_div((found + _TINY).log(), wanted, reduction="batchmean")
    return 0.1 * neg_pearson(prediction, truth, moment) + moment.rising(5.0) * (cross_entropy(found, true) + divergence)


def rhythmformer(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """0.2 (1 - r) + cross-entropy + divergence of the rates."""
    return 0.2 * neg_pearson(prediction, truth, moment) + _rate_terms(prediction, truth, moment)


def physfsunet(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """(1 - r) + 1.5^((e-1)/E) (cross-entropy + divergence of the rates): lambda = 1, theta = 1.5."""
    return neg_pearson(prediction, truth, moment) + moment.rising(1.5) * _rate_terms(prediction, truth, moment)


def rate_distribution(x: Tensor, fs_hz: float, band_bpm: tuple[int, int] = _BAND_BPM) -> Tensor:
    """How a waveform's power spreads over the rates of a band.

    Args:
        x: (B, T).
        fs_hz: its sampling rate.
        band_bpm: first rate and the one after the last; they are 1 bpm apart.

    Returns:
        (B, rates), sums to 1: the Fourier power of the standardised, Hann-windowed waveform.
    """
    time_s = torch.arange(x.shape[-1], device=x.device) / fs_hz
    phase = 2 * math.pi * time_s[:, None] * torch.arange(*band_bpm, device=x.device) / 60
    windowed = standardised(x) * torch.hann_window(x.shape[-1], periodic=False, device=x.device)
    power = (windowed @ phase.cos()).square() + (windowed @ phase.sin()).square()
    return power / (power.sum(dim=-1, keepdim=True) + _TINY)


def cross_entropy(found: Tensor, true: Tensor) -> Tensor:
    """Mean of -log(share of power at the true rate), the rate at which `true` peaks; both (B, rates)."""
    peak = true.argmax(dim=-1, keepdim=True)
    return -(found.gather(-1, peak) + _TINY).log().mean()


def rate_divergence(found: Tensor, true: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two normals of 3 bpm about the rates: (difference)² / (2 · 3²), mean of the batch.

    Args:
        found: (B, rates) distribution over rates 1 bpm apart.
        true: the same of the truth.
    """
    return ((soft_peak(found) - soft_peak(true)).square() / (2 * _SIGMA_BPM**2)).mean()


def soft_peak(distribution: Tensor) -> Tensor:
    """Place of the peak (B,) in bins of (B, rates): the centre of mass of its 4th power, which has a gradient."""
    weight = distribution**_SHARPNESS
    bins = torch.arange(distribution.shape[-1], device=distribution.device)
    return (weight * bins).sum(dim=-1) / (weight.sum(dim=-1) + _TINY)


def _rate_terms(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    found, true = rate_distribution(prediction, moment.fs_hz), rate_distribution(truth, moment.fs_hz)
    return cross_entropy(found, true) + rate_divergence(found, true)


def _one_minus_correlation(a: Tensor, b: Tensor, *, dim: int) -> Tensor:
    a, b = a - a.mean(dim=dim, keepdim=True), b - b.mean(dim=dim, keepdim=True)
    size = torch.sqrt(a.square().sum(dim=dim) * b.square().sum(dim=dim) + _TINY)
    return 1 - ((a * b).sum(dim=dim) / size).mean()


def physformer_released(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """As the rPPG-Toolbox trains PhysFormer.

    The shares of power (0 … 1) are taken for logits, both in the cross-entropy and, once more, in the divergence, so
    both hardly move; the weights are 1 and 1 for eleven epochs, then 0.05 and 5.
    """
    found = rate_distribution(prediction, moment.fs_hz, _WIDE_BAND_BPM)
    rate_bpm = np.array([_welch_peak(row, moment.fs_hz, (30, 180))[0] for row in truth.detach().cpu().double().numpy()])
    terms = _released_cross_entropy(found, rate_bpm, _WIDE_BAND_BPM)
    wanted = _normal(np.floor(rate_bpm), np.arange(*_WIDE_BAND_BPM), 1.0).to(found)
    terms = terms + functional.kl_div(found.log_softmax(dim=-1), wanted, reduction="batchmean")
    early = moment.epoch <= 11
    return (1.0 if early else 0.05) * neg_pearson(prediction, truth, moment) + (1.0 if early else 5.0) * terms


def rhythmformer_released(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """As the authors train RhythmFormer: see `_released_rate_terms`."""
    return 0.2 * neg_pearson(prediction, truth, moment) + _released_rate_terms(prediction, truth, moment)


def physfsunet_released(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """Weights of physFSUNet on RhythmFormer's program, which its paper builds on (none of its own is public)."""
    terms = _released_rate_terms(prediction, truth, moment)
    return neg_pearson(prediction, truth, moment) + moment.rising(1.5) * terms


def _released_rate_terms(prediction: Tensor, truth: Tensor, moment: Moment) -> Tensor:
    """Cross-entropy with shares of power for logits, plus a divergence of the rates that carries no gradient.

    The rates are peaks of Welch spectra of the detached waveforms; the normals are 3 bins (1.6 bpm at 30 Hz) wide.
    """
    fs_hz = moment.fs_hz
    rates_bpm, divergences = [], []
    for pair in zip(prediction.detach().cpu().double().numpy(), truth.detach().cpu().double().numpy(), strict=True):
        found, true = (
            _welch_peak(butter_bandpass(detrend(row, lam=100), 0.75, 2.5, fs_hz=fs_hz, order=1), fs_hz, _BAND_BPM)
            for row in pair
        )
        rates_bpm.append(true[0])
        densities = _normal(np.array([found[1], true[1]]), np.arange(true[2]), 3.0)
        divergences.append(functional.kl_div(densities[0].log(), densities[1], reduction="sum"))
    shares = rate_distribution(prediction, fs_hz)
    return _released_cross_entropy(shares, np.array(rates_bpm), _BAND_BPM) + torch.stack(divergences).mean().to(shares)


def _released_cross_entropy(shares: Tensor, rate_bpm: np.ndarray, band_bpm: tuple[int, int]) -> Tensor:
    bins = np.clip((rate_bpm - band_bpm[0]).astype(np.int64), 0, shares.shape[-1] - 1)
    return functional.cross_entropy(shares, torch.from_numpy(bins).to(shares.device))


def _normal(mean: np.ndarray, at: np.ndarray, deviation: float) -> Tensor:
    """Densities (B, N) of normals about the means (B,) at points (N,), at least 1e-15."""
    density = np.exp(-((at - mean[:, None]) ** 2) / (2 * deviation**2)) / (math.sqrt(2 * math.pi) * deviation)
    return torch.from_numpy(np.maximum(density, 1e-15))


def _welch_peak(x: np.ndarray, fs_hz: float, band_bpm: tuple[int, int]) -> tuple[float, int, int]:
    """Peak of the Welch spectrum (T,) within a band: rate in bpm, its bin there, and how many bins there are."""
    from scipy.signal import welch

    freq_hz, power = welch(x, fs_hz, nfft=int(1e5 / fs_hz), nperseg=min(x.size - 1, 256))
    band = (freq_hz > band_bpm[0] / 60) & (freq_hz < band_bpm[1] / 60)
    peak = int(np.argmax(power[band]))
    return float(freq_hz[band][peak] * 60), peak, int(band.sum())


_TERMS: dict[str, tuple[Callable[[Tensor, Tensor, Moment], Tensor], tuple[str, ...]]] = {
    "neg_pearson": (neg_pearson, ("bvp", "resp")),
    "pearson_spectral": (pearson_spectral, ("bvp", "resp")),
    "neg_pearson_released": (neg_pearson_released, ("bvp", "resp")),
    "smooth_l1": (smooth_l1, ("bvp", "resp")),
    "mean_square": (mean_square, ("bvp", "resp")),
    "physformer": (physformer, ("bvp",)),
    "physformer_released": (physformer_released, ("bvp",)),
    "rhythmformer": (rhythmformer, ("bvp",)),
    "rhythmformer_released": (rhythmformer_released, ("bvp",)),
    "physfsunet": (physfsunet, ("bvp",)),
    "physfsunet_released": (physfsunet_released, ("bvp",)),
}
