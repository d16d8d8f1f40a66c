"""Attention by factorization: a low-rank approximation of the embeddings, multiplied back onto them.

One module for FSAM, TSFM and GRBF, in FactorizePhys, MMRPhys and EfficientPhys; the matrices are `_factorize`'s.

Source:
    Joshi, Agaian, Cho, "FactorizePhys", NeurIPS 2024, section 3, checked against the authors' code (Responsible-AI
    licensed) and the one in their MMRPhys repository (MIT) by the outputs of their released weights.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from torch import Tensor, nn

from vitalcam.errors import ConfigError, UsageError
from vitalcam.models import _factorize
from vitalcam.models._blocks import instance_norm

Kind = Literal["none", "fsam", "tsfm", "grbf"]
Form = Literal["paper", "released"]
Mapping = Literal["t_kab", "tk_ab", "k_tab"]


@dataclass(frozen=True)
class AttentionSettings:
    """How a network attends; what `build` takes as options.

    Attributes:
        attention: "fsam" (plain NMF), "tsfm" (projection on the target), "grbf" (smooth NMF) or "none". In `paper` form
            "tsfm" shows the network its target: training ends well and measuring badly (docs/fidelity.md).
        form: "paper" or "released"; see `docs/fidelity.md`.
        mapping: what is a row of the matrix: time (τ), time and channel (τκ) or channel (κ).
        rank: of the approximation.
        steps: updates of the factorization.
        residual: the embeddings are added to what attention makes of them.
        attention_at_inference: attend in eval mode too. The papers do not.
    """

    attention: Kind = "fsam"
    form: Form = "paper"
    mapping: Mapping = "t_kab"
    rank: int = 1
    steps: int = 4
    residual: bool = True
    attention_at_inference: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("attention", Kind), ("form", Form), ("mapping", Mapping)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(f"{name} {getattr(self, name)!r} is not one of {', '.join(get_args(choices))}")
        if self.rank < 1 or self.steps < 0:
            raise ConfigError(f"rank must be at least 1 and steps at least 0, got {self.rank} and {self.steps}")
        if self.mapping != "t_kab" and self.attention in ("tsfm", "grbf"):
            raise ConfigError(f"{self.attention} needs time as rows: mapping t_kab, not {self.mapping}")

    @classmethod
    def of(cls, build: Callable[..., nn.Module], options: dict[str, Any], **defaults: Any) -> AttentionSettings:
        """Settings from a model's defaults and what the user wants otherwise.

        Args:
            build: of the model, whose own options a message lists too.
            options: what the user wants.
            defaults: of the model.

        Raises:
            ConfigError: an option is unknown or has a wrong value.
        """
        known = [f.name for f in fields(cls)]
        unknown = set(options) - set(known)
        if unknown:
            own = [name for name in inspect.signature(build).parameters if name not in ("variant", "options")]
            model = build.__module__.rpartition(".")[2]
            raise ConfigError(f"{model}: unknown option {min(unknown)!r} (there are: {', '.join([*known, *own])})")
        return cls(**(defaults | options))


class FactorizedAttention(nn.Module):
    """Squeeze to few channels, approximate, expand, multiply onto the embeddings, normalise.

    ``E + IN((E - min E + 1) (A - min A + 1))`` with A = expand(V̂), V̂ ≈ V = squeeze(E - min E) >= 0. The papers print
    E + IN(E·A); the shifts are the released code's, and weights trained with them need them, so both forms have them.
    Minima are those of each clip, or in `released` form of the whole batch, so that there a clip's result depends on
    its neighbours.

    Args:
        channels: C of the embeddings.
        settings: which factorization, in which form.
        squeezed: channels of V.
        rows: make matrices of this many consecutive rows in memory, instead of what `mapping` says (the released
            EfficientPhys, whose frames come as a batch of clips of one frame).
    """

    def __init__(self, channels: int, settings: AttentionSettings, *, squeezed: int = 8, rows: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.rows = rows
        self.squeeze = nn.Sequential(nn.Conv3d(channels, squeezed, 1), nn.ReLU())
        self.expand = nn.Sequential(
            nn.Conv3d(squeezed, squeezed, 1, bias=False), nn.ReLU(), nn.Conv3d(squeezed, channels, 1, bias=False)
        )
        self._error: Tensor | None = None
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.normal_(module.weight, 0, math.sqrt(2 / module.out_channels))

    @staticmethod
    def parameters_for(channels: int, squeezed: int = 8) -> int:
        """Trained numbers of it on so many channels."""
        return squeezed * (2 * channels + 1 + squeezed)

    @property
    def active(self) -> bool:
        """Whether it acts in the present mode."""
        return self.training or self.settings.attention_at_inference

    def forward(self, e: Tensor, target: Tensor | None = None) -> Tensor:
        """Embeddings with attention.

        Args:
            e: (B, C, T', h, w).
            target: (B, T) known waveform; TSFM needs it.

        Returns:
            (B, C, T', h, w).

        Raises:
            UsageError: TSFM without a target.
        """
        shifted = self._from_zero(e)
        v = self.squeeze(shifted)
        v_hat = self.approximate(v, target)
        if self.training and self.settings.form == "paper" and self.settings.attention != "tsfm":
            self._error = relative_error(v, v_hat)
        product = instance_norm((shifted + 1) * (self._from_zero(self.expand(v_hat)) + 1))
        return e + product if self.settings.residual else product

    def approximate(self, v: Tensor, target: Tensor | None = None) -> Tensor:
        """V̂ of V, both (B, K, T', h, w)."""
        matrix = self._to_matrix(v)
        return self._from_matrix(self._factorize(matrix, target), v)

    def aux_loss(self) -> Tensor | None:
        """Relative error of the last approximation while training, with gradient; the released code only logs it."""
        return self._error

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_error": None}  # a tensor within a graph cannot be copied

    def _factorize(self, matrix: Tensor, target: Tensor | None) -> Tensor:
        s = self.settings
        released = s.form == "released"
        if s.attention == "tsfm":
            if target is None:
                raise UsageError("TSFM attends to a known waveform: pass target={'bvp': …, 'resp': …}, or turn it off")
            rows = _factorize.shorten_target(target, matrix.shape[1], released=released)
            return _factorize.target_projection(matrix, rows)
        if s.attention == "grbf":
            factorize = _factorize.smooth_nmf_released if released else _factorize.smooth_nmf
        else:
            factorize = _factorize.nmf_released if released else _factorize.nmf
        return factorize(matrix, s.rank, s.steps)

    def _from_zero(self, x: Tensor) -> Tensor:
        first = 0 if self.settings.form == "released" else 1
        return x - x.amin(dim=tuple(range(first, 5)), keepdim=True)

    def _to_matrix(self, v: Tensor) -> Tensor:
        """(B, K, T, h, w) to (B, D, N): by the meaning of the axes in `paper` form, in memory order in `released`.

        Memory order is the meaning for τκ and κ. For τ it is not: row d then holds K consecutive samples of the
        time course of one channel and pixel run, rather than all features at time d.
        """
        b, k, t = v.shape[:3]
        if self.rows:
            return v.reshape(-1, self.rows, k * t * v.shape[3] * v.shape[4])
        if self.settings.mapping == "t_kab":
            return (v.transpose(1, 2) if self.settings.form == "paper" else v).reshape(b, t, -1)
        return v.reshape(b, k if self.settings.mapping == "k_tab" else k * t, -1)

    def _from_matrix(self, matrix: Tensor, like: Tensor) -> Tensor:
        if self.settings.mapping == "t_kab" and self.settings.form == "paper":
            return matrix.reshape(like.transpose(1, 2).shape).transpose(1, 2)
        return matrix.reshape(like.shape)


def relative_error(v: Tensor, v_hat: Tensor) -> Tensor:
    """Squared error of an approximation over the squared size of what it approximates, a number."""
    return (v - v_hat).square().sum() / v.square().sum().clamp_min(1e-12)
