"""The one training loop: gradient descent on trials, an epoch at a time, with one hook after each.

The loop knows neither decoders nor graphs. It serves whatever maps inputs to outputs that a loss compares with targets.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from spikesight.errors import ConfigError, TrainingError
from spikesight.networks.checkpoints import Checkpoint, State, copy_of
from spikesight.networks.devices import mixed_precision, own_randomness, resolve_device

Epoch = dict[str, Any]
"""What is known of one epoch: see `fit_network`."""
Loss = Callable[[Tensor, Tensor], Tensor]

_FEWEST_BATCHES: Final = 4
"""Of an epoch, where there are as many trials: few trials would be too few updates otherwise."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Parameters
    ----------
    max_epochs
        Times that every trial is seen.
    batch_size
        Trials per update at most. An epoch is cut into equal batches, at least four of them.
    learning_rate
        Of AdamW, at its highest.
    weight_decay
        Of matrices; biases, gains and other vectors do not decay.
    label_smoothing
        Probability that the target gives away to all classes alike.
    clip_norm
        Largest norm of the gradient.
    warm_up
        Share of the updates in which the learning rate rises from 0; then it falls along half a cosine, to 0.
    patience
        Epochs without a lower loss of the validation trials after which training stops; None: it never does.
    """

    max_epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    clip_norm: float = 1.0
    warm_up: float = 0.1
    patience: int | None = None

    def check(self) -> None:
        """Raise ConfigError if a setting makes no sense."""
        wanted = {
            "max_epochs of at least 1, a whole number": self.max_epochs >= 1 and self.max_epochs % 1 == 0,
            "batch_size of at least 1": self.batch_size >= 1,
            "learning_rate above 0": 0 < self.learning_rate < math.inf,
            "weight_decay of 0 or more": 0 <= self.weight_decay < math.inf,
            "label_smoothing from 0 to below 1": 0 <= self.label_smoothing < 1,
            "clip_norm above 0": self.clip_norm > 0,
            "warm_up from 0 to 1": 0 <= self.warm_up <= 1,
            "patience of at least 1, or None": self.patience is None or self.patience >= 1,
        }
        for what, holds in wanted.items():
            if not holds:
                raise ConfigError(f"expected {what}, got {getattr(self, what.split(' ')[0])!r}.")

    def n_batches(self, n_rows: int) -> int:
        """Return the number of batches, and so of updates, of an epoch of ``n_rows`` trials."""
        return max(math.ceil(n_rows / self.batch_size), min(_FEWEST_BATCHES, n_rows))

    def rate(self, update: int, n_updates: int) -> float:
        """Return the learning rate of an update, counted from 0."""
        rising = self.warm_up * n_updates
        if update < rising:
            return self.learning_rate * (update + 1) / (rising + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (update - rising) / max(n_updates - rising, 1)))


@dataclass
class _Sums:
    """Loss and hits, added over batches."""

    loss: Tensor
    n_correct: Tensor
    n_rows: int = 0
    finite: Tensor = field(default_factory=lambda: torch.tensor(True))

    def add(self, loss: Tensor, outputs: Tensor, targets: Tensor, norm: Tensor | None = None) -> None:
        self.loss += loss.detach() * len(targets)
        self.n_rows += len(targets)
        if _are_codes(targets):
            self.n_correct += (outputs.detach().argmax(dim=-1) == targets).sum()
        if norm is not None:
            self.finite = self.finite.to(norm.device) & norm.isfinite()

    def mean_loss(self) -> float:
        return float(self.loss) / self.n_rows if self.finite else math.nan

    def accuracy(self, targets: Tensor) -> float:
        return int(self.n_correct) / self.n_rows if _are_codes(targets) else math.nan

    @classmethod
    def start(cls, device: torch.device) -> "_Sums":
        return cls(
            torch.zeros((), dtype=torch.float32, device=device), torch.zeros((), dtype=torch.long, device=device)
        )


def fit_network(
    network: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    settings: TrainingSettings,
    *,
    valid: tuple[Tensor, Tensor] | None = None,
    loss: Loss | None = None,
    seed: int = 0,
    device: str = "auto",
    on_epoch: Callable[[Epoch], object] | None = None,
    checkpoint: Path | None = None,
    described: str = "",
) -> list[Epoch]:
    """Train a network in place; afterwards it is on the CPU and in evaluation mode.

    At the beginning of every epoch, ``start_epoch()`` is called on each submodule that has such a method. What it
    chooses belongs into buffers: they are part of the best weights and of the checkpoint.

    Parameters
    ----------
    network
        Maps a batch of ``inputs`` to outputs.
    inputs, targets
        First axis: training trials. Targets are class codes (integers, n_trials), or what ``loss`` takes.
    settings
        Epochs, batches, optimiser and schedule.
    valid
        Inputs and targets of validation trials. After the last epoch the network gets the weights back that had the
        lowest loss there; without validation trials it keeps the last ones.
    loss
        ``loss(outputs, targets)``, a mean over trials; by default the cross entropy with label smoothing.
    seed
        Of the order of trials and of dropout. torch's global generators are left as they were.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``. On the CPU the same seed gives the same weights, to the bit.
    on_epoch
        Called with the record of each epoch when it is over; whatever it raises stops training.
    checkpoint
        Folder that keeps an unfinished fit, in a file named after its data, settings, seed and architecture: the same
        fit, started again after it was killed, goes on from there and ends with the same weights. Other fits may
        use the same folder. The file goes when the fit ends.
    described
        What the architecture was asked to be: options that neither the ``repr`` of its modules nor its weights show.

    Returns
    -------
    list of dict
        One record per epoch: ``epoch`` (from 0), ``loss`` and ``accuracy`` (of training trials, as they were seen:
        under dropout), ``valid_loss`` and ``valid_accuracy``, ``learning_rate`` (of its last update), ``seconds``. NaN
        where there is no validation split, or where targets are no class codes.

    Raises
    ------
    TrainingError
        If the loss or its gradient is no longer finite, or a checkpoint is damaged.
    ConfigError
        If a setting makes no sense, trials and targets differ in number, or there is no such device.
    """
    settings.check()
    _check_lengths(inputs, targets, valid)
    where = resolve_device(device)
    loss = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing) if loss is None else loss
    network.to(where)
    state = State(network, _optimiser(network, settings), torch.Generator().manual_seed(seed), where)
    keeper = Checkpoint.named_after(checkpoint, state, (inputs, targets, *(valid or ())), (settings, seed, described))
    inputs, targets = inputs.to(where), targets.to(where)
    with own_randomness(where, seed):
        keeper.restore(state)
        while len(state.history) < settings.max_epochs and not _is_over(state.history, settings.patience):
            begun = time.perf_counter()
            record = _train(state, inputs, targets, settings, loss)
            record |= _validate(network, valid, settings, loss, where)
            record["seconds"] = time.perf_counter() - begun
            if record["valid_loss"] < min((past["valid_loss"] for past in state.history), default=math.inf):
                state.best = copy_of(network)
            state.history.append(record)
            keeper.write(state)
            if on_epoch is not None:
                on_epoch(record)
    if state.best:
        network.load_state_dict(state.best)
    network.to("cpu").eval()
    keeper.remove()
    return state.history


def _train(state: State, inputs: Tensor, targets: Tensor, settings: TrainingSettings, loss: Loss) -> Epoch:
    """Update the network with every trial once, in random order."""
    network, optimiser, epoch = state.network, state.optimiser, len(state.history)
    network.train()
    for module in network.modules():
        start = getattr(module, "start_epoch", None)
        if callable(start):
            start()
    n_batches = settings.n_batches(len(inputs))
    order = torch.randperm(len(inputs), generator=state.order).to(inputs.device)
    sums, rate = _Sums.start(inputs.device), 0.0
    for update, rows in enumerate(order.tensor_split(n_batches), start=epoch * n_batches):
        rate = settings.rate(update, settings.max_epochs * n_batches)
        for group in optimiser.param_groups:
            group["lr"] = rate
        with mixed_precision(inputs.device):
            outputs = network(inputs[rows])
            value = loss(outputs, targets[rows])
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        optimiser.step()
        sums.add(value, outputs, targets[rows], norm)
    mean = sums.mean_loss()
    if not math.isfinite(mean):
        raise TrainingError(
            f"the loss is no longer finite in epoch {epoch}, at a learning rate of {rate:.2g}. Expected finite trials "
            f"and a rate that they bear: lower learning_rate (now {settings.learning_rate:g}) or clip_norm (now "
            f"{settings.clip_norm:g})."
        )
    return {"epoch": epoch, "loss": mean, "accuracy": sums.accuracy(targets), "learning_rate": rate}


def _validate(
    network: nn.Module,
    valid: tuple[Tensor, Tensor] | None,
    settings: TrainingSettings,
    loss: Loss,
    device: torch.device,
) -> Epoch:
    """Return loss and accuracy of the validation trials, which teach the network nothing."""
    if valid is None:
        return {"valid_loss": math.nan, "valid_accuracy": math.nan}
    network.eval()
    sums = _Sums.start(device)
    with torch.no_grad(), mixed_precision(device):
        for inputs, targets in zip(*(torch.split(part, settings.batch_size) for part in valid), strict=True):
            inputs, targets = inputs.to(device), targets.to(device)
            outputs = network(inputs)
            sums.add(loss(outputs, targets), outputs, targets)
    return {"valid_loss": sums.mean_loss(), "valid_accuracy": sums.accuracy(valid[1])}


def _is_over(history: list[Epoch], patience: int | None) -> bool:
    """Tell if the validation loss has not been lowered for ``patience`` epochs."""
    losses = [record["valid_loss"] for record in history]
    if patience is None or not losses or math.isnan(losses[0]):
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= patience


def _optimiser(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Give every parameter once to one optimiser."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decays = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decays, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    return torch.optim.AdamW([group for group in groups if group["params"]], settings.learning_rate, fused=fused)


def _are_codes(targets: Tensor) -> bool:
    return targets.ndim == 1 and not targets.is_floating_point()


def _check_lengths(inputs: Tensor, targets: Tensor, valid: tuple[Tensor, Tensor] | None) -> None:
    for name, (rows, truth) in {"training": (inputs, targets), "validation": valid or (inputs, targets)}.items():
        if len(rows) != len(truth) or len(rows) == 0:
            raise ConfigError(f"expected a target for each {name} trial, got {len(rows)} trials, {len(truth)} targets.")
