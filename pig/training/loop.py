"""The training loop of every model, a step of it on one screen.

What happens between steps - checkpoints, signals, the log - is in :mod:`pig.training.journal`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from pig.diffusion.draws import BatchDraws
from pig.system.device import autocast, pick_device
from pig.system.seeds import seed_of
from pig.training.batches import Order, Pool, share, shuffled
from pig.training.journal import Journal
from pig.training.optimiser import Player
from pig.training.run import TrainingRun
from pig.training.settings import TrainingSettings
from pig.training.team import team

Loss = Callable[[Tensor, Tensor, torch.Generator], Tensor]  # (images, masks, rng) -> scalar, a mean over the images


def train(
    modules: Mapping[str, nn.Module],
    losses: Mapping[str, Loss],
    pairs: Pool,
    settings: TrainingSettings,
    run: TrainingRun,
    name: str,
    order: Order | None = None,
) -> dict[str, nn.Module]:
    """Train modules in turn on the same batches, resuming where an interrupted run left a checkpoint.

    The order of the data and every random number are functions of (seed, fold, name, step), so that the step is
    the whole random state, and a resumed run is the run that was never interrupted. In one of several processes
    (:func:`pig.training.team.team`) this one works on its part of every batch, and all end with the same weights.

    Args:
        modules: on the CPU or on the device.
        losses: of the same names; each is given images [n, 1, H, W] in [-1, 1], masks in {0, 1} and a generator.
        pairs: what is trained on.
        settings: of every module.
        run: seed, fold and work folder.
        name: of this training within the run.
        order: step -> positions of its batch; by default seeded epochs.

    Returns:
        The averaged modules where an average was asked for, else the trained ones; in eval mode.

    Raises:
        UserError: a loss or a weight is not finite, the work folder is in use, or a batch cannot be shared out evenly.
        Stopped: a signal asked for it; a checkpoint is written.
    """
    us, device, total = team(), pick_device(), settings.total_steps(len(pairs))
    order = order or shuffled(len(pairs), settings.batch_size, seed_of(run.seed, run.fold, name))
    players = {key: Player(module.to(device).train(), settings, total, len(pairs)) for key, module in modules.items()}
    mine, pieces = share(settings, us)
    rng = BatchDraws(device)
    rng.whole = settings.batch_size

    with Journal(players, settings, run, name, total) as journal:
        for step in journal.steps():
            # Every random number of a step is a function of seed, fold, name and step.
            seed = seed_of(run.seed, run.fold, name, step)
            rng.manual_seed(seed)
            torch.manual_seed(seed + us.rank)  # dropout draws from the global state

            images, masks = (tensor.to(device, non_blocking=True) for tensor in pairs.batch(order(step)[mine]))

            found = {}
            for key, player in players.items():
                # Evaluate the loss and accumulate its gradients. Each piece draws for the whole batch.
                player.optimizer.zero_grad(set_to_none=True)
                found[key], state = torch.zeros((), device=device), rng.get_state()
                for piece, some_images, some_masks in zip(
                    pieces, images.chunk(len(pieces)), masks.chunk(len(pieces)), strict=True
                ):
                    rng.set_state(state)
                    rng.part = piece
                    with autocast(device):
                        loss = losses[key](some_images, some_masks, rng) / len(pieces)
                    loss.backward()
                    found[key] += loss.detach()

                # Average over the processes, clip, update.
                found[key] = us.mean(found[key])
                us.average_gradients(player.parameters)
                if settings.clip_norm is not None:
                    clip_grad_norm_(player.parameters, settings.clip_norm)
                player.optimizer.step()

                # Set the learning rate of the next step, and take the weights into their average.
                player.set_rate(step, found[key])
                if player.average is not None:
                    player.average.update()

            journal.write(step, found)

    # What follows may draw from the global state, as for first weights, and draws the same after a resumed run.
    torch.manual_seed(seed_of(run.seed, run.fold, name, total - 1))
    return {key: player.result.eval().requires_grad_(False) for key, player in players.items()}
