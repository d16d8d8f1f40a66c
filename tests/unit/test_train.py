"""Training: it learns, it repeats, it goes on after a kill, and many processes do what one does."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from _prepared import prepared
from _train_job import job
from safetensors.torch import load_file, save_file

from vitalcam import config
from vitalcam.checkpoints import layouts, load
from vitalcam.data import Clips
from vitalcam.errors import ConfigError, DataError, UnknownName, UsageError, WeightsError
from vitalcam.models._blocks import instance_norm
from vitalcam.train import train
from vitalcam.training import ClipBatches, Training, about, trained

JOB = Path(__file__).with_name("_train_job.py")
SMALL = Training("mmrphys", "9_rgb_bvp", epochs=1, batch=2)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, one_thread):
    folder = tmp_path_factory.mktemp("undisturbed")
    job(folder)
    return folder


def batches(training=SMALL, people=2, **changes):
    data = [prepared(f"p{i}", 60 + 12 * i, 8.0) for i in range(people)]
    clips = Clips(data, training.spec, frames=60, **changes)
    return ClipBatches(clips, training.batch, seed=training.seed)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def distance(a, b):
    one, other = load_file(a / "last.safetensors"), load_file(b / "last.safetensors")
    assert one.keys() == other.keys()
    return max(float((one[key] - other[key]).abs().max()) for key in one)


def started(folder, dropout, **environment):
    return subprocess.Popen(
        [sys.executable, str(JOB), str(folder), str(dropout)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_it_learns_and_notes_it(undisturbed):
    ends = [row["loss"] for row in rows(undisturbed) if "lr" not in row]
    assert [row["epoch"] for row in rows(undisturbed) if "lr" not in row] == [1, 2]
    assert ends[1] < 0.8 * ends[0]
    assert [row["step"] for row in rows(undisturbed)] == [10, 12, 22, 24]


def test_weights_know_how_they_came_about(undisturbed):
    training, network = trained(undisturbed / "last.safetensors")
    assert (training.model, training.epochs, training.seed) == ("mmrphys", 2, 100)
    assert not network.training
    for key, tensor in load_file(undisturbed / "last.safetensors").items():
        assert torch.equal(network.state_dict()[key], tensor)


def test_killed_and_resumed_is_as_if_nothing_had_happened(undisturbed, tmp_path):
    process = started(tmp_path, 0.1)
    state, deadline = tmp_path / "state.pt", time.monotonic() + 60
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    at = torch.load(state, weights_only=True)
    assert (at["epoch"], at["step"]) < (3, 0), "the kill came too late to prove anything"
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "step": 23, "lo')
    job(tmp_path)
    assert distance(tmp_path, undisturbed) == 0
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [
        (row["step"], row["loss"]) for row in rows(undisturbed)
    ]


def test_two_processes_do_what_one_does(tmp_path, undisturbed):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    job(alone, dropout=0.0)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port.getsockname()[1]), "WORLD_SIZE": "2"}
    both = [started(shared, 0.0, RANK=str(rank), LOCAL_RANK=str(rank), **address) for rank in (0, 1)]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert distance(shared, alone) < 1e-5
    assert distance(undisturbed, alone) > 1e-3
    losses = [[row["loss"] for row in rows(folder)] for folder in (alone, shared)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_finished_training_is_left_alone(undisturbed):
    before = (undisturbed / "last.safetensors").stat().st_mtime_ns
    job(undisturbed)
    assert (undisturbed / "last.safetensors").stat().st_mtime_ns == before


def test_another_training_does_not_overwrite_it(undisturbed):
    with pytest.raises(ConfigError, match=r"holds another training .* give another folder"):
        job(undisturbed, lr=0.5)


def test_the_seed_is_all_that_chance_depends_on(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        job(tmp_path / name, epochs=1, seed=seed)
    assert distance(tmp_path / "a", tmp_path / "b") == 0
    assert distance(tmp_path / "a", tmp_path / "c") > 1e-3


def test_accumulated_batches_are_one_large_batch(tmp_path):
    options = {"attention": "none", "dropout": 0.0}
    for name, batch, accumulate in (("large", 4, 1), ("small", 2, 2)):
        training = dataclasses.replace(SMALL, options=options, batch=batch, accumulate=accumulate)
        train(training, batches(training, 4), tmp_path / name, device="cpu")
    assert distance(tmp_path / "large", tmp_path / "small") < 1e-5


def test_bfloat16_learns_the_same_thing(tmp_path):
    ends = []
    for bf16 in (False, True):
        training = dataclasses.replace(SMALL, bf16=bf16, options={"attention": "fsam"})
        train(training, batches(training), tmp_path / str(bf16), device="cpu")
        ends.append(rows(tmp_path / str(bf16))[-1]["loss"])
    assert ends[0] == pytest.approx(ends[1], abs=0.05)
    assert ends[0] != ends[1]


def test_how_weights_lie_in_memory_changes_no_loss(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr("vitalcam.train._channels_last", lambda network: None)
    job(tmp_path)
    losses = [[row["loss"] for row in rows(folder)] for folder in (tmp_path, undisturbed)]
    assert losses[0] == pytest.approx(losses[1], abs=5e-4)


@pytest.mark.parametrize("clips", [1, 3])
def test_instance_norm_is_the_same_for_either_layout(clips):
    video = torch.randn(clips, 4, 5, 6, 7, dtype=torch.float64)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        x = video.clone(memory_format=layout).requires_grad_()
        y = instance_norm(x)
        assert y.is_contiguous(memory_format=layout)
        y.pow(3).sum().backward()
        found.append((y.detach(), x.grad))
    torch.testing.assert_close(found[0], found[1])
    assert found[1][0].mean((2, 3, 4)).abs().max() < 1e-12


def test_the_best_epoch_is_that_of_the_other_data(tmp_path):
    training = dataclasses.replace(SMALL, epochs=3, lr=3e-3)
    train(training, batches(training), tmp_path, validation=batches(training, 3), device="cpu")
    scores = [row["validation"] for row in rows(tmp_path) if "validation" in row]
    best, last = load_file(tmp_path / "best.safetensors"), load_file(tmp_path / "last.safetensors")
    is_last = all(torch.equal(best[key], last[key]) for key in last)
    assert len(scores) == 3
    assert is_last == (scores[-1] == min(scores))
    assert about(tmp_path / "best.safetensors")["result"]["validation"] == min(scores)


def test_the_own_term_counts(tmp_path):
    for weight in (0.0, 1.0):
        training = dataclasses.replace(SMALL, own_term=weight, options={"attention": "fsam"})
        train(training, batches(training), tmp_path / str(weight), device="cpu")
    without, added = (rows(tmp_path / str(weight))[-1]["loss"] for weight in (0.0, 1.0))
    assert added > without + 0.01


def test_fine_tuning_starts_where_the_other_ended(undisturbed, tmp_path):
    start = undisturbed / "last.safetensors"
    training = dataclasses.replace(SMALL, start=str(start), lr=1e-12, schedule="constant")
    train(training, batches(training), tmp_path, device="cpu")
    assert distance(tmp_path, undisturbed) < 1e-9


def test_fine_tuning_takes_the_files_of_the_authors(tmp_path):
    layout = next(x for x in layouts() if x.model == "mmrphys" and x.variant == "9_rgb_bvp" and x.released_attention)
    network = SMALL.network()
    torch.nn.init.constant_(network.branches["bvp"].last.weight, 0.125)
    ours = network.state_dict()
    torch.save({theirs: ours[own] for theirs, own in layout.keys.items()}, tmp_path / "theirs.pth")
    begun = dataclasses.replace(SMALL, seed=7, start=str(tmp_path / "theirs.pth")).network()
    assert all(torch.equal(tensor, ours[key]) for key, tensor in begun.state_dict().items())


def test_what_was_noted_need_not_be_said_again(tmp_path):
    """The tensors of a network that looks far in time are those of the other."""
    training = dataclasses.replace(SMALL, options={"long": True}, target="change")
    file = train(training, batches(training, change=True), tmp_path, device="cpu")
    found = load(file)
    assert any("a slope, not a wave" in note for note in found.notes)
    assert (found.variant, found.options, found.spec.fs_hz) == ("9_rgb_bvp", {"long": True}, training.spec.fs_hz)
    network = trained(file)[1]
    clip = torch.rand(training.spec.clip_shape(60))
    with torch.inference_mode():
        torch.testing.assert_close(found.model(clip), network(clip))


@pytest.mark.parametrize(
    "training",
    [
        Training("physfsunet", "fast", options={"stem": "diff"}, size_px=18),
        Training("efficientphys", "factorizephys", size_px=36),
        Training("tscan", size_px=20),
        dataclasses.replace(SMALL, size_px=12),
    ],
    ids=lambda training: training.model,
)
def test_what_no_author_ever_released_is_built_as_it_was_noted(tmp_path, training):
    network, path = training.network().eval(), tmp_path / "last.safetensors"
    about = {"vitalcam": json.dumps({"training": config.to_dict(training)})}
    save_file(dict(network.state_dict()), path, metadata=about)
    found, clip = load(path), torch.rand(training.spec.clip_shape(60))
    assert found.spec.size_px == training.size_px
    with torch.inference_mode():
        torch.testing.assert_close(found.model(clip), network(clip))
    save_file(dict(list(network.state_dict().items())[1:]), path, metadata=about)
    with pytest.raises(WeightsError, match=r"last\.safetensors: says it is .*damaged"):
        load(path)


def test_what_was_noted_counts_and_not_what_the_file_is_called(tmp_path):
    training = Training("PhysNet")
    path = tmp_path / "PURE_MMRPhys_SFSAM.safetensors"
    about = {"vitalcam": json.dumps({"training": config.to_dict(training)})}
    save_file(dict(training.network().state_dict()), path, metadata=about)
    found = load(path, model="physnet", variant="toolbox")
    assert (found.variant, found.spec.training_data, found.spec.fs_hz) == ("toolbox", "", training.spec.fs_hz)
    assert [note for note in found.notes if "its name" in note] == []
    with pytest.raises(WeightsError, match="is physnet:toolbox, and not variant='diff'"):
        load(path, variant="diff")
    gone = json.dumps({"training": {**config.to_dict(training), "options": {"depth": 3}}})
    save_file(dict(training.network().state_dict()), path, metadata={"vitalcam": gone})
    with pytest.raises(WeightsError, match=r"cannot be built so: .* unknown option 'depth'"):
        load(path)


@pytest.mark.parametrize("model", ["physnet", "bigsmall", "deepphys", "efficientphys", "mmrphys", "physfsunet"])
def test_an_option_that_a_network_has_not_is_one_line(model):
    with pytest.raises(UsageError, match=r"unknown .*'knobs' \(there are: "):
        Training(model, options={"knobs": 3}).network()


def test_weights_of_another_network_are_refused(undisturbed, tmp_path):
    weights = undisturbed / "last.safetensors"
    with pytest.raises(WeightsError, match=r"does not fit this network in 4 tensors, the first is 'branches.bvp.att"):
        dataclasses.replace(SMALL, options={"attention": "none"}, start=str(weights)).network()
    with pytest.raises(WeightsError, match=r"last\.safetensors"):
        dataclasses.replace(SMALL, model="physnet", variant="", start=str(weights)).network()
    (tmp_path / "x.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        dataclasses.replace(SMALL, start=str(tmp_path / "x.safetensors")).network()
    with pytest.raises(WeightsError, match="holds no training"):
        trained(tmp_path / "x.safetensors")


def test_a_diverged_run_says_so_and_keeps_what_it_had(tmp_path):
    train(SMALL, batches(), tmp_path, device="cpu")
    kept = (tmp_path / "last.safetensors").read_bytes()

    class Broken:
        steps = 3

        def epoch(self, number, start):
            for x, waves in batches().epoch(number, start):
                yield x * float("nan"), waves

    longer = dataclasses.replace(SMALL, epochs=2)
    with pytest.raises(DataError, match=r"the loss is nan in epoch 1.* lr 0.001 may be too large"):
        train(longer, Broken(), tmp_path / "broken", device="cpu")
    assert not (tmp_path / "broken" / "last.safetensors").exists()
    assert (tmp_path / "last.safetensors").read_bytes() == kept


def test_progress_is_told(tmp_path):
    training = dataclasses.replace(SMALL, batch=1, epochs=2)
    said = []
    train(training, batches(training, 3), tmp_path, device="cpu", progress=said.append)
    assert [(p.step, p.steps, p.epoch) for p in said] == [(10, 24, 1), (22, 24, 2)]
    assert all(p.left_s > 0 and 0 <= p.waited <= 1 and p.steps_per_s > 0 for p in said)


def test_batches_are_shared_and_every_clip_is_seen_once(monkeypatch):
    data = batches(people=3)
    whole = [sorted(float(x.sum()) for x, _ in data.epoch(number, 0)) for number in (1, 2)]
    order = [[float(x[0, 0, 0, 0, 0]) for x, _ in data.epoch(number, 0)] for number in (1, 2)]
    assert len(whole[0]) == data.steps
    assert order[0] != order[1]
    assert [x.tolist() for x, _ in data.epoch(1, 0)][2:] == [x.tolist() for x, _ in data.epoch(1, 2)]
    for rank in (0, 1):
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", str(rank))
        share = list(batches(people=3).epoch(1, 0))
        for (mine, _), (all_of_it, _) in zip(share, data.epoch(1, 0), strict=True):
            assert torch.equal(mine[0], all_of_it[rank])


def test_too_little_data_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="4 clips do not make a batch of 5"):
        batches(dataclasses.replace(SMALL, batch=5), 1)
    with pytest.raises(UsageError, match="accumulate is 9, but an epoch has 4 batches"):
        train(dataclasses.replace(SMALL, accumulate=9), batches(), Path("nowhere"), device="cpu")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UsageError, match="cannot be shared by 4 processes"):
        batches()


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"model": "mmrphis"}, UnknownName, "did you mean 'mmrphys'"),
        ({"model": "mmrphys", "variant": "9_rbg"}, UnknownName, "did you mean '9_rgb'"),
        ({"model": "physnet", "loss": "pearson"}, UnknownName, "did you mean 'neg_pearson'"),
        ({"model": "physnet", "epoch": 3}, ConfigError, "did you mean 'epochs'"),
        ({"model": "physnet", "epochs": 0}, ConfigError, "epochs is 0"),
        ({"model": "physnet", "lr": -1.0}, ConfigError, "lr is -1.0"),
        ({"model": "physnet", "size_px": -1}, ConfigError, "size_px is -1"),
        ({"model": "physnet", "null_share": 1.0}, ConfigError, "null_share is 1.0"),
        ({"model": "physnet", "optimiser": "sgd"}, ConfigError, "'adam' or 'adamw'"),
    ],
)
def test_bad_settings_are_named(values, error, says):
    with pytest.raises(error, match=says):
        config.build(Training, values)


@pytest.mark.parametrize("model", ["physnet", "efficientphys", "deepphys"])
def test_a_network_can_be_built_for_another_size(model):
    training = Training(model, size_px=36)
    clip = torch.rand(training.spec.clip_shape())
    with torch.inference_mode():
        waves = training.network().eval()(clip)
    assert training.spec.size_px == 36
    assert {wave.shape[1] for wave in waves.values()} == {training.spec.frames}


def test_a_size_that_a_network_cannot_see_is_refused():
    with pytest.raises(ConfigError, match="factorizephys cannot see pictures of 36 px"):
        Training("factorizephys", size_px=36).network()
    with pytest.raises(
        ConfigError, match="physformer cannot see pictures of 36 px: of 160 frames it makes a wave of 40"
    ):
        Training("physformer", "diff", size_px=36).network()


class Board:
    """Stands in for TensorBoard's writer: keeps what it is given."""

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.scalars = folder, purge_step, []
        boards.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def add_scalar(self, name, value, step):
        self.scalars.append((step, name, value))

    def flush(self):
        pass


boards: list[Board] = []


def test_tensorboard_has_the_numbers_of_the_metrics(tmp_path, monkeypatch):
    boards.clear()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Board))
    train(SMALL, batches(), tmp_path, device="cpu", tensorboard=True)
    train(dataclasses.replace(SMALL), batches(), tmp_path, device="cpu", tensorboard=True)
    first, again = boards
    assert first.folder == str(tmp_path / "tensorboard")
    assert first.purge_step == 1
    assert again.purge_step == rows(tmp_path)[-1]["step"] + 1, "what is done is not logged twice"
    assert again.scalars == []
    assert first.closed
    expected = {(row["step"], key, value) for row in rows(tmp_path) for key, value in row.items() if key != "step"}
    assert set(first.scalars) == expected


def test_without_tensorboard_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match="pip install tensorboard"):
        train(SMALL, batches(), tmp_path, device="cpu", tensorboard=True)
