"""Low-rank approximations of a non-negative matrix: the core of FSAM, TSFM and GRBF attention.

A batch of matrices V is (B, D, N): D rows (time, in the mapping that the papers call τ) and N columns (features).
Every function returns an approximation of the same shape. ``released`` is what the published code computes and its
weights were trained with, ``paper`` what the text says; `docs/fidelity.md` shows what differs.

Source:
    FSAM: Joshi, Agaian, Cho, "FactorizePhys", NeurIPS 2024, section 3.
    TSFM, GRBF: Joshi, Cho, "Efficient and Robust Multidimensional Attention in Remote Physiological Sensing through
    Target Signal Constrained Factorization", 2025.
    Updates: Lee and Seung, "Algorithms for Non-negative Matrix Factorization", NeurIPS 2000, theorem 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_RELEASED_EPS = 1e-6
_TINY = 1e-12  # keeps 0 / 0 from being NaN; too small to let an error grow
_WIDTHS = ((6.0, 1), (8.0, 1), (12.0, 2), (15.0, 2), (18.0, 3), (24.0, 3))  # (sigma, spacing of centres), in samples


def _t(matrix: Tensor) -> Tensor:
    """Transpose (``.mT`` does not reach ONNX)."""
    return matrix.transpose(-2, -1)


def nmf_released(v: Tensor, rank: int, steps: int) -> Tensor:
    """V ≈ b h' as published: every column of b starts as the same constant, so any rank acts as rank 1.

    The iterations carry no gradient; one last update of h does, with b and the old h held fixed.

    Args:
        v: (B, D, N), non-negative.
        rank: columns of b; without effect on the result.
        steps: updates of h and b.

    Returns:
        (B, D, N).
    """
    with torch.no_grad():
        b = functional.normalize(v.new_ones(v.shape[0], v.shape[1], rank), dim=1)
        h = torch.softmax(_t(v) @ b, dim=-1)
        for _ in range(steps):
            h = h * (_t(v) @ b) / (h @ (_t(b) @ b) + _RELEASED_EPS)
            b = b * (v @ h) / (b @ (_t(h) @ h) + _RELEASED_EPS)
    h = h * (_t(v) @ b) / (h @ (_t(b) @ b) + _RELEASED_EPS)
    return b @ _t(h)


def nmf(v: Tensor, rank: int, steps: int) -> Tensor:
    """V ≈ b h' by multiplicative updates whose error never grows; trained through.

    At rank 1 an update of h or b is its least-squares optimum whatever it was before, so this is power iteration
    towards the leading singular pair. At higher ranks the columns of b start differently, and each rank counts.

    Args:
        v: (B, D, N), non-negative.
        rank: columns of b.
        steps: updates of h and b; one more of h follows.

    Returns:
        (B, D, N).
    """
    b = _start(v, rank).expand(v.shape[0], -1, -1)
    h = _t(v) @ b
    for _ in range(steps):
        h = _update(h, _t(v), b)
        b = _update(b, v, h)
    return b @ _t(_update(h, _t(v), b))


def _update(factor: Tensor, v: Tensor, other: Tensor) -> Tensor:
    """Lee and Seung's step of `factor` towards v ≈ factor · other'."""
    return factor * (v @ other) / (factor @ (_t(other) @ other)).clamp_min(_TINY)


def _start(v: Tensor, rank: int) -> Tensor:
    """(1, D, R) positive columns: a constant, then cosines of rising frequency about it.

    They are independent, need no random numbers, and mean the same at any D.
    """
    rows = torch.arange(v.shape[1], dtype=v.dtype, device=v.device)
    order = torch.arange(rank, dtype=v.dtype, device=v.device)
    return 1 + 0.99 * torch.cos(math.pi * (rows[:, None] + 0.5) * order / v.shape[1])[None]


def target_projection(v: Tensor, target: Tensor) -> Tensor:
    """V projected on one known waveform: y (y'V) / (y'y), where y is the target scaled to 1..2.

    This closed form is what the released factorization arrives at for any rank, number of steps and start, because
    its only estimator is the target and every scale cancels in its last step.

    Args:
        v: (B, D, N).
        target: (B, D).

    Returns:
        (B, D, N).
    """
    low, high = target.amin(dim=1, keepdim=True), target.amax(dim=1, keepdim=True)
    y = 1 + (target - low) / (high - low).clamp_min(_TINY)
    y = functional.normalize(y, dim=1)[..., None]
    return y @ (_t(y) @ v)


def shorten_target(target: Tensor, rows: int, *, released: bool) -> Tensor:
    """A target (B, T) on the clock of embeddings with `rows` = T or T / 4 samples.

    Means of 5 samples, 4 apart. The released code counts zeros beyond the ends as samples, which pulls the first and
    the last value towards 0; otherwise only what exists is averaged.
    """
    if target.shape[1] == rows:
        return target
    return functional.avg_pool1d(target[:, None], 5, 4, 2, count_include_pad=released)[:, 0]


def gaussians(rows: int, *, released: bool, like: Tensor) -> Tensor:
    """(D, K) bell curves over the rows, of six widths, and a constant: smooth, non-negative, over-complete.

    The paper has exp(-d² / 2σ²); the released code halves the exponent once more, which widens every curve by √2.
    """
    at = torch.arange(rows, dtype=like.dtype, device=like.device)[:, None]
    scale = -0.25 if released else -0.5
    columns = [torch.exp(scale * ((at - at[::spacing].T) / sigma) ** 2) for sigma, spacing in _WIDTHS]
    return torch.cat([*columns, torch.ones_like(at)], dim=1)


def smooth_nmf_released(v: Tensor, rank: int, steps: int) -> Tensor:
    """V ≈ (Φ P) Q' with bell curves Φ, as published: P is not updated by a descent rule and the error may grow.

    The published start is random and unseeded; here it is a constant, so that a result can be had twice.

    Args:
        v: (B, D, N), non-negative.
        rank: columns of P.
        steps: updates of Q and P.

    Returns:
        (B, D, N).
    """
    phi = gaussians(v.shape[1], released=True, like=v)
    with torch.no_grad():
        p = functional.normalize(phi.new_ones(phi.shape[1], rank), dim=0)
        w = (phi @ p).expand(v.shape[0], -1, -1)
        q = torch.softmax(_t(v) @ w, dim=-1)
        for _ in range(steps):
            q = q * (_t(v) @ w) / (q @ (_t(w) @ w)).clamp_min(_RELEASED_EPS)
            w = phi @ (_t(phi) @ (w * (v @ q) / (w @ (_t(q) @ q)).clamp_min(_RELEASED_EPS)))
    q = q * (_t(v) @ w) / (q @ (_t(w) @ w)).clamp_min(_RELEASED_EPS)
    return w @ _t(q)


def smooth_nmf(v: Tensor, rank: int, steps: int) -> Tensor:
    """V ≈ (Φ P) Q' with bell curves Φ, by multiplicative updates whose error never grows; trained through.

    Args:
        v: (B, D, N), non-negative.
        rank: columns of P.
        steps: updates of Q and P; one more of Q follows.

    Returns:
        (B, D, N).
    """
    phi = gaussians(v.shape[1], released=False, like=v)
    p = (_t(phi) @ _start(v, rank)).expand(v.shape[0], -1, -1)
    w = phi @ p
    q = _t(v) @ w
    for _ in range(steps):
        q = _update(q, _t(v), w)
        p = p * (_t(phi) @ (v @ q)) / (_t(phi) @ (w @ (_t(q) @ q))).clamp_min(_TINY)
        w = phi @ p
    return w @ _t(_update(q, _t(v), w))
