"""Files of weights: recognised by their tensors, read without running anything, asked about what they cannot say."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vitalcam import checkpoints
from vitalcam.checkpoints import import_checkpoint, layouts, load, read, recognise
from vitalcam.errors import WeightsError
from vitalcam.runtime import Model
from vitalcam.types import Clip


def layout_of(model, variant, **options):
    """The first layout of the authors' of that description."""
    return next(
        layout
        for layout in layouts()
        if (layout.model, layout.variant, layout.options) == (model, variant, options)
        and layout.keys.keys() != set(layout.keys.values())
    )


def state_of(layout, prefix="module."):
    g = torch.Generator().manual_seed(0)
    return {
        prefix + key: 0.1 * torch.rand(shape, generator=g) if shape else torch.tensor(0)
        for key, shape in layout.shapes.items()
    }


@pytest.fixture
def saved(tmp_path):
    """Saves tensors as the authors do."""

    def save(state, name="PURE_something.pth"):
        torch.save(state, tmp_path / name)
        return tmp_path / name

    return save


RGB = ("factorizephys", "rgb")
BVP = ("mmrphys", "72_rgb_bvp")


def test_every_layout_is_recognised_as_itself():
    for layout in layouts():
        assert str(layout) in {str(fit) for fit in recognise(layout.shapes)}


def test_prefix_of_data_parallel_is_dropped(saved):
    state = state_of(layout_of(*RGB))
    assert read(saved(state)).keys() == {key.removeprefix("module.") for key in state}


@pytest.mark.parametrize(("model", "variant"), [RGB, ("physnet", "diff"), ("efficientphys", "fsam")])
def test_weights_end_where_the_authors_had_them(saved, model, variant):
    layout = layout_of(model, variant)
    state = state_of(layout)
    checkpoint = load(saved(state))
    ours = checkpoint.model.state_dict()
    for theirs, key in layout.keys.items():
        assert torch.equal(ours[key].flatten(), state["module." + theirs].flatten())
    assert checkpoint.spec.fs_hz == 30
    assert checkpoint.spec.training_data == "PURE"
    assert checkpoint.spec.licence == "unknown"
    assert any("licence" in note for note in checkpoint.notes)


def test_both_splits_of_factorizephys_are_one_network(saved):
    first, second = [layout for layout in layouts() if (layout.model, layout.variant, layout.options) == (*RGB, {})][:2]
    assert first.keys.keys() != second.keys.keys()
    assert list(first.keys.values()) == list(second.keys.values())
    state = state_of(first)
    other = {"module." + b: state["module." + a] for a, b in zip(first.keys, second.keys, strict=True)}
    x = torch.rand(1, 3, 8, 72, 72)
    with torch.inference_mode():
        waves = [load(saved(s)).model(x)["bvp"] for s in (state, other)]
    assert torch.equal(*waves)


def test_missing_and_unexpected_tensors_are_named(saved):
    state = state_of(layout_of(*RGB))
    state["module.more.weight"] = state.pop("module.rppg_head.final_layer.2.weight")
    with pytest.raises(WeightsError) as error:
        load(saved(state))
    assert "nearest to factorizephys:rgb" in str(error.value)
    assert "1 missing (rppg_head.final_layer.2.weight)" in str(error.value)
    assert "1 unexpected (more.weight)" in str(error.value)


def test_a_tensor_of_another_shape_is_named(saved):
    state = state_of(layout_of(*RGB))
    state["module.rppg_head.final_layer.2.weight"] = torch.rand(1, 8, 3, 5, 5)
    with pytest.raises(WeightsError, match=r"1 of another shape \(rppg_head.final_layer.2.weight\)"):
        load(saved(state))


def test_an_unknown_network_is_refused(saved):
    with pytest.raises(WeightsError, match="no network here has its 1 tensors"):
        load(saved({"layer.weight": torch.rand(3, 3)}))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("Block1.3.mamba.A_log", "PhysMamba"),
        ("rsp_feature_extractor.rsp_feature_extractor.3.conv_block_3d.0.weight", "strides"),
    ],
)
def test_what_is_known_to_be_unusable_is_refused_with_the_reason(key, reason):
    with pytest.raises(WeightsError, match=reason):
        recognise({key: (1,)})


def test_an_unused_head_is_left_out_and_said(saved):
    state = state_of(layout_of("mmrphys", "72_rgbt_none"))
    state["module.rBP_head.dense.weight"] = torch.rand(4, 5)
    checkpoint = load(saved(state, "BP4D_MMRPhysLNF_BVP_RSP_RGBTx180x72.pth"))
    assert "20 numbers of rBP_head.* are not used" in checkpoint.notes
    with pytest.raises(WeightsError, match="unexpected"):
        load(saved(state_of(layout_of(*RGB)) | {"rBP_head.dense.weight": torch.rand(4, 5)}))


def test_size_is_asked_for_and_taken_from_argument_or_name(saved):
    state = state_of(layout_of("mmrphys", "72_rgb"))
    with pytest.raises(WeightsError, match=r"which of mmrphys:36_rgb, mmrphys:72_rgb, mmrphys:9_rgb .* give"):
        load(saved(state, "mine.pth"), fs_hz=30)
    assert load(saved(state, "mine.pth"), fs_hz=30, size_px=9).variant == "9_rgb"
    assert load(saved(state, "mine.pth"), fs_hz=30, variant="36_rgb").spec.size_px == 36
    named = load(saved(state, "BP4D_MMRPhysSEF_BVP_RSP_RGBx180x9_SFSAM_Label_Fold1_Epoch4.pth"))
    assert (named.variant, named.spec.fs_hz, named.options["attention"]) == ("9_rgb", 25.0, "tsfm")


def test_a_contradiction_is_refused(saved):
    file = saved(state_of(layout_of(*RGB)))
    with pytest.raises(WeightsError, match="is factorizephys:rgb, and not model='physnet'"):
        load(file, model="physnet")
    with pytest.raises(WeightsError, match="and not size_px=36"):
        load(file, size_px=36)


@pytest.mark.parametrize(
    ("model", "variant", "options", "name"),
    [
        ("factorizephys", "rgb_128_240", {}, "UBFC-rPPG_Intra_FactorizePhys_FSAM_Res_HighRes.pth"),
        ("factorizephys", "rgb_128", {}, "UBFC-rPPG_Intra_FactorizePhys_FSAM_Res_HighSpatialRes.pth"),
        ("tscan", "toolbox", {"size_px": 36}, "PURE_TSCAN.pth"),
        ("deepphys", "toolbox", {"size_px": 36}, "UBFC-rPPG_DeepPhys.pth"),
    ],
)
def test_a_name_tells_apart_what_has_the_same_tensors(saved, model, variant, options, name):
    layout = layout_of(model, variant, **options)
    checkpoint = load(saved(state_of(layout), name))
    assert (checkpoint.spec.name, checkpoint.variant, checkpoint.spec.frames) == (model, variant, layout.spec.frames)
    with pytest.raises(WeightsError, match="do not say which"):
        load(saved(state_of(layout), "PURE.pth"))


def test_frame_rate_is_asked_for(saved):
    file = saved(state_of(layout_of(*RGB)), "mine.pth")
    with pytest.raises(WeightsError, match="fs_hz="):
        load(file)
    assert load(file, fs_hz=20, licence="MIT", transform="diff").spec.transform == "diff"


def test_an_old_mmrphys_is_padded_unless_told_otherwise(saved):
    file = saved(state_of(layout_of(*BVP, first_pad=1)), "PURE_MMRPhys_SFSAM_Label_Epoch9.pth")
    padded, told = load(file), load(file, options={"first_pad": 0})
    assert any("November 2024" in note for note in padded.notes)
    x = 255 * torch.rand(1, 3, 8, 72, 72)
    with torch.inference_mode():
        assert not torch.allclose(padded.model(x)["bvp"], told.model(x)["bvp"])


def test_a_factorizephys_called_mmrphys_is_doubted(saved):
    checkpoint = load(saved(state_of(layout_of(*RGB)), "UBFC-rPPG_MMRPhys_FSAM_Epoch9.pth"))
    assert any("October 2024" in note for note in checkpoint.notes)


def test_released_attention_is_built_in_released_form(saved):
    layout = layout_of(*RGB)
    assert load(saved(state_of(layout), "PURE_FactorizePhys_FSAM_Res_K-TAB.pth")).options == {
        "form": "released",
        "attention": "fsam",
        "mapping": "k_tab",
        "residual": True,
    }
    own = {key: 0.1 * torch.rand(layout.shapes[theirs]) for theirs, key in layout.keys.items()}
    assert load(saved(own, "mine.pth"), fs_hz=30).options == {}


def test_an_option_that_there_is_not_is_refused(saved):
    with pytest.raises(WeightsError, match="cannot be built so"):
        load(saved(state_of(layout_of(*RGB))), options={"colour": "red"})


class Bomb:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_pickle_that_would_run_something_is_refused(tmp_path, capsys):
    file = tmp_path / "bomb.pth"
    for protocol in (2, 4):
        file.write_bytes(pickle.dumps({"weight": Bomb()}, protocol))
        with pytest.raises(WeightsError, match=r"cannot be read as weights: it is damaged or holds more than tensors"):
            read(file)
    torch.save({"weight": Bomb()}, file)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read(file)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(saved, kept):
    file = saved(state_of(layout_of(*RGB)))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(WeightsError, match="get the file again"):
        read(file)


def test_a_text_is_no_checkpoint(tmp_path):
    file = tmp_path / "notes.pth"
    file.write_text("these are no weights")
    with pytest.raises(WeightsError, match="it is no checkpoint of PyTorch; get the file again"):
        read(file)


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, {"state_dict": {"a": "b"}}])
def test_what_is_no_table_of_tensors_is_refused(saved, content):
    with pytest.raises(WeightsError, match="holds no table of tensors"):
        read(saved(content))


def test_values_that_are_not_finite_are_refused(saved):
    with pytest.raises(WeightsError, match=r"a\.weight has values that are not finite"):
        read(saved({"a.weight": torch.tensor([1.0, float("nan")])}))


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="there is no such file"):
        load(tmp_path / "absent.pth")


def test_a_checkpoint_of_a_trainer_is_unwrapped(saved, tmp_path):
    state = {"a": torch.ones(2)}
    assert read(saved({"epoch": 3, "state_dict": state})).keys() == {"a"}
    save_file(state, tmp_path / "a.safetensors")
    assert torch.equal(read(tmp_path / "a.safetensors")["a"], state["a"])


def test_an_imported_file_is_a_model_that_measures(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("VITALCAM_HOME", str(tmp_path / "home"))
    file = saved(state_of(layout_of("mmrphys", "9_rgb")), "BP4D_MMRPhysSEF_BVP_RSP_RGBx180x9_Fold1.pth")
    card = import_checkpoint(file, name="mine", licence="MIT")
    assert (card.name, card.size_px, card.fs_hz, card.licence) == ("mine", 9, 25.0, "MIT")
    clip = Clip(
        frames=np.random.default_rng(0).uniform(0, 255, (64, 9, 9, 3)).astype(np.float32),
        time_s=np.arange(64) / 25,
        fs_hz=25.0,
        valid=np.ones(64, dtype=bool),
    )
    expected = load(file).model(torch.from_numpy(clip.frames).permute(3, 0, 1, 2)[None])
    for backend in ("onnx", "torch"):
        waves = Model.load("mine", backend=backend).run(clip)
        for name, wave in waves.items():
            np.testing.assert_allclose(wave, expected[name][0].detach(), atol=1e-4)
    with pytest.raises(WeightsError, match="there is a model of that name"):
        import_checkpoint(file, name="mine")
    assert checkpoints.models_folder() == tmp_path / "home" / "models"
