import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pig.system.errors import UserError
from pig.system.files import locked
from pig.training.average import Average
from pig.training.batches import shuffled
from pig.training.checkpoint import load_checkpoint, save_checkpoint
from pig.training.journal import Journal
from pig.training.loop import train
from pig.training.optimiser import Player
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings


class Discs:
    """Eight fixed pairs."""

    def __len__(self):
        return 8

    def batch(self, positions):
        images = torch.linspace(-1, 1, 8)[torch.from_numpy(positions)].view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
        return images.clone(), (images > 0).float()


class Interrupted(Exception):
    pass


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Conv2d(4, 1, 1))


def run_once(work, settings, stop_at=None, fingerprint="f", order=None):
    module, other, calls = small_network(), small_network(), 0

    def loss(images, masks, rng):
        nonlocal calls
        if calls == stop_at:
            raise Interrupted
        calls += 1
        noise = torch.randn(images.shape, generator=rng)
        return (module(images + 0.1 * noise).float() - masks).square().mean()

    def other_loss(images, masks, rng):
        return (other(images).float() + masks).square().mean()

    modules = train(
        {"a": module, "b": other},
        {"a": loss, "b": other_loss},
        Discs(),
        settings,
        TrainingRun(work, 0, 0, fingerprint),
        "toy",
        order,
    )
    return modules, calls


@pytest.mark.parametrize("schedule", ["constant", "cosine", "plateau"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path, schedule, optimizer):
    settings = TrainingSettings(
        batch_size=3, learning_rate=0.01, steps=20, warmup_steps=5, learning_rate_schedule=schedule,
        optimizer=optimizer, clip_norm=1.0, ema_decay=0.9, checkpoint_every=4,
    )  # fmt: skip
    whole, calls = run_once(tmp_path / "whole", settings)
    assert calls == 20
    with pytest.raises(Interrupted):
        run_once(tmp_path / "cut", settings, stop_at=11)
    resumed, calls = run_once(tmp_path / "cut", settings)
    assert calls == 12  # from step 8
    for name in ("a", "b"):
        for key, value in whole[name].state_dict().items():
            assert torch.equal(value, resumed[name].state_dict()[key]), (name, key)


def test_a_finished_training_is_not_done_again(tmp_path):
    settings = TrainingSettings(batch_size=2, learning_rate=0.01, steps=6, checkpoint_every=3)
    first, _ = run_once(tmp_path, settings)
    again, calls = run_once(tmp_path, settings)
    assert calls == 0
    assert all(torch.equal(v, again["a"].state_dict()[k]) for k, v in first["a"].state_dict().items())


def test_a_checkpoint_of_other_settings_is_not_resumed(tmp_path, caplog):
    settings = TrainingSettings(batch_size=2, learning_rate=0.01, steps=6, checkpoint_every=3)
    run_once(tmp_path, settings)
    _, calls = run_once(tmp_path, settings, fingerprint="other")
    assert calls == 6
    assert "other settings" in caplog.text


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, caplog):
    state = {"module": {"w": torch.arange(3.0)}, "betas": (0.9, 0.999), "none": None, "by number": {0: 1.5}}
    for step in (10, 20, 30):
        save_checkpoint(tmp_path, step, "f", state)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["step000000020.safetensors", "step000000030.safetensors"]
    newest = tmp_path / kept[1]
    newest.write_bytes(newest.read_bytes()[:-7])
    step, loaded = load_checkpoint(tmp_path, "f")
    assert step == 20
    assert torch.equal(loaded["module"]["w"], state["module"]["w"])
    assert loaded["betas"] == [0.9, 0.999]
    assert loaded["none"] is None
    assert loaded["by number"] == {0: 1.5}
    assert kept[1] in caplog.text


def test_a_loss_that_is_not_finite_stops_the_training_before_it_is_saved(tmp_path):
    module = nn.Linear(1, 1)
    settings = TrainingSettings(batch_size=2, learning_rate=0.01, steps=8, checkpoint_every=4, log_every=100)

    def loss(images, masks, rng):
        return module(images).mean() * float("nan")

    with pytest.raises(UserError, match=r"'m' is nan at step 4.*learning_rate"):
        train({"m": module}, {"m": loss}, _ones(), settings, TrainingRun(tmp_path, 0, 0), "toy")
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_weights_that_the_last_update_spoils_are_not_saved(tmp_path, ema_decay):
    """The loss of the last step is finite, its gradient is not."""
    module, calls = nn.Linear(1, 1), 0
    settings = TrainingSettings(batch_size=2, learning_rate=0.01, steps=8, checkpoint_every=4, ema_decay=ema_decay)

    def loss(images, masks, rng):
        nonlocal calls
        calls += 1
        zero = (module(images) - module(images).detach()).square().sum()
        return zero.sqrt() if calls == 8 else zero  # the slope of the root at 0 is infinite: 0 * inf = NaN

    message = r"toy: the weights of 'm' are not finite after step 8 \(weight and 1 more\); lower learning_rate"
    with pytest.raises(UserError, match=message):
        train({"m": module}, {"m": loss}, _ones(), settings, TrainingRun(tmp_path, 0, 0), "toy")
    assert [path.name for path in tmp_path.rglob("*.safetensors")] == ["step000000004.safetensors"]


def test_an_average_that_is_not_finite_is_named(tmp_path):
    settings = TrainingSettings(batch_size=2, learning_rate=0.01, steps=4, ema_decay=0.5)
    player = Player(nn.Linear(1, 1), settings, 4, pairs=2)
    for step in (2, 3):
        with Journal({"m": player}, settings, TrainingRun(tmp_path / str(step), 0, 0), "toy", 4) as journal:
            if step == 2:
                journal.write(step, {"m": torch.zeros(())})
                player.average.module.bias.fill_(float("inf"))
                continue
            with pytest.raises(UserError, match=r"the averaged weights of 'm' are not finite after step 4 \(bias and"):
                journal.write(step, {"m": torch.zeros(())})


def _ones():
    pool = Discs()
    pool.batch = lambda positions: (torch.ones(len(positions), 1, 1, 1), torch.ones(len(positions), 1, 1, 1))
    return pool


def test_a_work_folder_has_one_user(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match="in use by another run"), locked(tmp_path):
        pass


def test_the_average_by_hand():
    """Decay min(0.5, (1 + n) / (10 + n)) at n = 0, 1, 2: 0.1, 2/11, 0.25; buffers too, and counters copied."""
    module = nn.BatchNorm1d(1)
    average, value = Average(module, 0.5), 1.0
    for number, decay in [(2.0, 0.1), (3.0, 2 / 11), (5.0, 0.25)]:
        with torch.no_grad():
            module.weight.fill_(number)
            module.running_var.fill_(number)
            module.num_batches_tracked += 1
        average.update()
        value = decay * value + (1 - decay) * number
    assert float(average.module.weight) == pytest.approx(value)
    assert float(average.module.running_var) == pytest.approx(value)
    assert int(average.module.num_batches_tracked) == 3
    assert float(module.weight) == 5


@given(pairs=st.integers(1, 40), batch=st.integers(1, 17), seed=st.integers(0, 5))
def test_every_pair_is_seen_once_an_epoch(pairs, batch, seed):
    order = shuffled(pairs, batch, seed)
    steps = [order(step) for step in range(3 * pairs // batch + 1)]
    assert all(len(step) == batch for step in steps)
    stream = np.concatenate(steps)
    for epoch in range(len(stream) // pairs):
        assert sorted(stream[epoch * pairs : (epoch + 1) * pairs]) == list(range(pairs))
    assert np.array_equal(shuffled(pairs, batch, seed)(2), order(2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "either steps or epochs"),
        ({"steps": 3, "epochs": 2}, "either steps or epochs"),
        ({"steps": 0}, "steps: must be above 0"),
        ({"steps": 3, "batch_size": 0}, "batch_size: must be above 0"),
        ({"steps": 3, "learning_rate": 0.0}, "learning_rate: must be above 0"),
        ({"steps": 3, "log_every": 0}, "log_every: must be above 0"),
        ({"steps": 3, "checkpoint_every": 0}, "checkpoint_every: must be above 0"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UserError, match=message):
        TrainingSettings(**{"batch_size": 2, "learning_rate": 0.1, **settings})


def test_epochs_are_counted_in_steps():
    settings = TrainingSettings(batch_size=6, learning_rate=1e-4, epochs=128)
    assert settings.total_steps(8723) == 186_091  # 128 x 8723 / 6, rounded up


def test_no_pairs_is_an_error():
    with pytest.raises(UserError, match="no pairs to train on"):
        shuffled(0, 4, 0)
