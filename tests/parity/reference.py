"""The authors' outputs for fixed inputs, where the folder that holds them is beside the checkout."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitalcam.models._layers import released_key

FOLDER = Path(os.environ.get("VITALCAM_SHARED") or Path(__file__).parents[3] / "shared") / "reference"


def fixture(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Meta and arrays of a fixture; skips the test where the folder is absent."""
    file = FOLDER / "fixtures" / f"{name}.npz"
    if not file.exists():
        pytest.skip(f"no reference folder ({file}); set VITALCAM_SHARED to where it is")
    with np.load(file, allow_pickle=False) as stored:
        return json.loads(str(stored["meta"])), {k: stored[k] for k in stored.files if k != "meta"}


def checkpoint(file: str) -> dict[str, torch.Tensor]:
    """Tensors of a released checkpoint, by the names that they have in it."""
    state = torch.load(FOLDER / "checkpoints" / file, map_location="cpu", weights_only=True)
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def seeded_tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The weights that the seeded families were filled with: they follow from a tensor's released name and shape."""
    z = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype(np.float32)
    if key.endswith("running_var"):
        return 1 + 0.1 * np.abs(z)
    if key.endswith("running_mean"):
        return 0.1 * z
    if len(shape) >= 2:
        return z / np.sqrt(np.prod(shape[1:]))
    return 1 + 0.1 * z if key.endswith("weight") else 0.1 * z


def fill(model: torch.nn.Module, table: Mapping[str, str], keys: list[Any]) -> torch.nn.Module:
    """Give a model the seeded weights of a family, after checking that both have the same tensors."""
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    ours = {released_key(k, table): tuple(v.shape) for k, v in state.items()}
    theirs = {k: tuple(shape) for k, shape in keys if not k.endswith("num_batches_tracked")}
    assert ours == theirs
    for key, tensor in state.items():
        tensor.copy_(torch.from_numpy(np.asarray(seeded_tensor(released_key(key, table), tuple(tensor.shape)))))
    return model.eval()


def seeded_input(shape: list[int]) -> torch.Tensor:
    """The input of the seeded families."""
    return torch.from_numpy(np.random.default_rng(20240).standard_normal(shape, dtype=np.float32))


def n_numbers(model: torch.nn.Module) -> int:
    """Parameters of a model, trained or not."""
    return sum(p.numel() for p in model.parameters())
