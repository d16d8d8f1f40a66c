"""Maps of where the true wave is: known answers, and a network that is left as it was."""

import numpy as np
import pytest
import torch

from vitalcam.attention import likeness, similarity
from vitalcam.errors import UsageError
from vitalcam.export import example
from vitalcam.models import mmrphys, physnet

FRAMES = 48
T = np.arange(FRAMES)
WAVE = np.sin(2 * np.pi * 3 * T / FRAMES)
OTHER = np.cos(2 * np.pi * 3 * T / FRAMES)


def test_similarity_is_one_for_the_wave_none_for_another_and_blind_to_sign_and_level():
    """Two channels: the first has the wave everywhere, the second at one place of two."""
    courses = [[-3 * WAVE + 7, 2 * WAVE], [OTHER, WAVE + OTHER]]
    embedded = torch.tensor(np.array(courses), dtype=torch.float32)[:, :, None].permute(0, 3, 2, 1)[None]
    found = similarity(embedded, WAVE)
    np.testing.assert_allclose(found, [[(1 + 0) / 2, (1 + np.sqrt(0.5)) / 2]], atol=1e-5)


def test_a_slower_embedding_is_compared_with_means_of_the_wave():
    slow = torch.tensor(WAVE.reshape(-1, 4).mean(1), dtype=torch.float32)[None, None, :, None, None]
    assert similarity(slow, WAVE) == pytest.approx(1)


@pytest.mark.parametrize("attention", ["none", "fsam", "tsfm"])
def test_attention_off_and_on(attention):
    torch.manual_seed(0)
    network = mmrphys.build("9_rgb", attention=attention).eval()
    video = example(mmrphys.VARIANTS["9_rgb"], FRAMES)
    before = network(torch.from_numpy(video))["bvp"]
    found = likeness(network, video, {"bvp": WAVE})
    assert set(found) == {"bvp"}
    maps = found["bvp"]
    assert [m.shape for m in maps.layers] == [(9, 9)] * 5 + [(7, 7)]
    np.testing.assert_allclose(maps.off, maps.layers[-1], atol=1e-6)
    assert maps.r_off == pytest.approx(np.corrcoef(before.detach().numpy()[0], WAVE)[0, 1], abs=1e-6)
    assert (maps.on is None) == (attention == "none")
    if maps.on is not None:
        assert not np.allclose(maps.on, maps.off)
    torch.testing.assert_close(network(torch.from_numpy(video))["bvp"], before)


def test_tsfm_as_written_brings_the_wave_in():
    """Shown its target, its embeddings are more like it; docs/fidelity.md says why that is no merit."""
    torch.manual_seed(0)
    network = mmrphys.build("9_rgb_bvp", attention="tsfm").eval()
    maps = likeness(network, example(mmrphys.VARIANTS["9_rgb_bvp"], FRAMES), {"bvp": WAVE})["bvp"]
    assert maps.on.mean() > 1.2 * maps.off.mean()


def test_a_network_without_such_embeddings_is_refused():
    with pytest.raises(UsageError, match="PhysNet has no embeddings of this kind"):
        likeness(physnet.build(), np.zeros((1, 3, 8, 32, 32), np.float32), {"bvp": WAVE})
