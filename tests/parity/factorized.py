"""What the parity tests of FactorizePhys, MMRPhys and EfficientPhys share."""

import dataclasses

import numpy as np
import torch
from reference import checkpoint

from vitalcam.models._attention import FactorizedAttention
from vitalcam.models._layers import released_key

KINDS = {"NMF": "fsam", "SNMF_Label": "tsfm", "SNMF_RBF": "grbf"}
RATES_HZ = {"bvp": 1.2, "resp": 0.25}


def released(module, variant, meta, file, **options):
    """The model of a fixture in `released` form, with its checkpoint; their unused blood-pressure head is left out."""
    state = {key: v for key, v in checkpoint(file).items() if not key.startswith("rBP_head.")}
    md = meta["md"]
    attends = any("fsam" in key for key in state)
    model = module.build(
        variant,
        attention=KINDS[md["MD_TYPE"]] if attends else "none",
        form="released",
        mapping=md.get("MD_TRANSFORM", "T_KAB").lower(),
        steps=md["MD_STEPS"],
        residual=md.get("MD_RESIDUAL", True),
        **options,
    )
    return load(model, state, module.released_layouts(variant))


def load(model, state, layouts):
    """Give the model the tensors of a released file, in the first of the layouts that names them all."""
    for _, layout in layouts:
        names = {key: released_key(key, layout) for key in model.state_dict()}
        if set(names.values()) == set(state):
            model.load_state_dict({key: state[name] for key, name in names.items()})
            return model.eval()
    raise AssertionError(f"no layout names {sorted(state)}")


def raw_frames(meta):
    """The input of the checkpoint fixtures; the models add the copy of the last frame themselves."""
    values = np.random.default_rng(meta["seed"]).random(meta["shape"], dtype=np.float32)
    return torch.from_numpy(values * np.float32(255))


def known_waves(clips, frames, fs_hz):
    """The targets of the TSFM fixtures."""
    waves = {}
    for name, rate_hz in RATES_HZ.items():
        phase = 2 * np.pi * rate_hz * (1 + 0.1 * np.arange(clips)[:, None]) * np.arange(frames) / fs_hz
        wave = np.sin(phase) + 0.3 * np.sin(2 * phase + 0.5)
        wave = (wave - wave.mean(1, keepdims=True)) / wave.std(1, ddof=1, keepdims=True)
        waves[name] = torch.from_numpy(wave.astype(np.float32))
    return waves


def attend(model):
    """Turn attention on for inference."""
    for module in model.modules():
        if isinstance(module, FactorizedAttention):
            module.settings = dataclasses.replace(module.settings, attention_at_inference=True)
    return model


def compare(model, meta, expected, fs_hz):
    """Waveforms, attention off (equal up to rounding) and on (5e-3), against those of the authors' code."""
    x = raw_frames(meta)
    with torch.inference_mode():
        off = model(x[:1])
        on = attend(model)(x, target=known_waves(len(x), meta["frames"], fs_hz)) if "bvp_att" in expected else {}
    checked = 0
    for theirs, ours in (("bvp", "bvp"), ("rsp", "resp")):
        for wave, waves, atol in ((theirs, off, 5e-5), (theirs + "_att", on, 5e-3)):
            if wave in expected:
                np.testing.assert_allclose(waves[ours], expected[wave][: len(waves[ours])], atol=atol)
                checked += 1
    assert checked
