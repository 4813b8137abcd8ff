"""The one training loop: it checks what it is given, feeds it fast, shows progress, keeps time."""

import time
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from course_lib import runtime
from course_lib.live import LiveProgress

STEPS_PER_EXECUTION = 16


@dataclass(frozen=True)
class Result:
    """What a training run was.

    `history` has a row an epoch: `epoch`, `loss`, the metrics, `val_…` where there is
    validation, `seconds` since the start. An interrupted epoch is the last row.
    `seconds` is all of `fit`; `examples_per_second` leaves out validation and the first
    execution, in which the backend traces and compiles (`startup_seconds`).
    """

    history: pd.DataFrame
    seconds: float
    startup_seconds: float
    examples_per_second: float
    steps: int
    interrupted: bool


class NonFiniteLoss(FloatingPointError):
    """Training stopped because the loss is NaN or infinite; `result` holds what came before."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result


def one_cycle(peak, num_steps, *, warmup=0.3):
    """One-cycle learning rate: up from a 25th of the peak, then down to zero along a cosine.

    Args:
        peak: float, the highest learning rate.
        num_steps: int, updates in the whole run: `epochs * ceil(examples / batch_size)`.
        warmup: fraction of the steps spent on the way up.

    Returns:
        a Keras learning-rate schedule, for any optimizer's `learning_rate`.

    Example:

    >>> rate = one_cycle(0.01, 100)
    >>> [round(float(rate(step)), 4) for step in (0, 30, 65, 100)]
    [0.0004, 0.01, 0.005, 0.0]

    Source: Smith and Topin, "Super-convergence" (2018), arXiv:1708.07120, section 3, with
    cosine descent as in Loshchilov and Hutter, arXiv:1608.03983, equation 5.
    """
    rising = max(1, round(warmup * num_steps))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / 25,
        warmup_target=peak,
        warmup_steps=rising,
        decay_steps=max(1, num_steps - rising),
    )


def fit(model, x, y, *, epochs, batch_size=128, validation=None, seed=0, callbacks=(), **compiling):
    """Train a model, quickly and with its progress in view.

    In an open notebook the loss curve grows in place and one figure is left at the end; the
    build and the tests see nothing. Interrupting the kernel keeps the history and the model.

    Args:
        model: a `keras.Model`, compiled, or to be compiled with `**compiling`.
        x: array (n, …), the inputs.
        y: array (n,) or (n, …), the targets, n as in `x`.
        epochs: int, passes over the data.
        batch_size: int, examples a step, at most n.
        validation: `(x, y)` to evaluate after each epoch, or `None`.
        seed: int, orders the shuffling on TensorFlow; elsewhere the seed of `setup` does.
        callbacks: list of `keras.callbacks.Callback`.
        **compiling: `optimizer`, `loss`, `metrics` and whatever else `model.compile` takes.
            `steps_per_execution` is 16 unless you say otherwise.

    Returns:
        `Result`.

    Raises:
        ValueError: before training, if the data are empty or not finite, lengths differ,
            the batch is larger than the data, or labels don't fit the model's outputs.
        NonFiniteLoss: the loss became NaN or infinite; says at which step and what to try.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> x, y = np.eye(3, dtype="float32"), np.array([0, 1, 1])
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> result = fit(model, x, y, epochs=5, batch_size=3, optimizer="sgd", loss=loss)
    >>> result.steps, list(result.history["epoch"])
    (5, [1, 2, 3, 4, 5])
    """
    x, y = np.asarray(x), np.asarray(y)
    if compiling:
        compiling.setdefault("steps_per_execution", _steps_per_execution(model, x, batch_size))
        model.compile(**compiling)
    _check(model, x, y, batch_size, epochs)
    if model.built and not model.optimizer.built and _num_replicas(model) == 1:
        model.optimizer.build(model.trainable_variables)  # or TensorFlow traces a step twice
    feed = {"x": x, "y": y, "batch_size": batch_size, "shuffle": True}
    if keras.config.backend() == "tensorflow":
        feed = {"x": _tensorflow_batches(x, y, batch_size, seed), "shuffle": False}
    if validation is not None:
        feed |= _validation_feed(model, x, validation, batch_size)
    clock = _Clock(len(x), batch_size, epochs)
    watchers = [clock, *callbacks]
    if runtime.frontend() != "none":
        watchers.append(LiveProgress(clock, runtime.frontend()))
    try:
        model.fit(**feed, epochs=epochs, verbose=0, callbacks=watchers)
    except KeyboardInterrupt:
        clock.interrupted = True
        clock.close_epoch()
    finally:
        for watcher in watchers:
            if isinstance(watcher, LiveProgress):
                watcher.finish()
    if clock.interrupted:
        done = f"{clock.steps:,} of {clock.total_steps:,}"
        print(f"Interrupted after {done} steps; the model is usable.")
    if clock.failure:
        raise NonFiniteLoss(_what_to_try(clock, model), clock.result())
    return clock.result()


def _validation_feed(model, x, validation, batch_size):
    """What `model.fit` needs to evaluate after each epoch, checked as the training data are."""
    x_valid, y_valid = (np.asarray(part) for part in validation)
    if x_valid.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"Expected validation inputs of shape (n, *{x.shape[1:]}), as in training. "
            f"Received: {x_valid.shape}. Were both prepared in the same way?"
        )
    size = min(max(batch_size, 512), len(x_valid))
    size -= size % _num_replicas(model)
    _check(model, x_valid, y_valid, size, 1, name="validation")
    if keras.config.backend() == "tensorflow":
        return {"validation_data": _tensorflow_batches(x_valid, y_valid, size)}
    return {"validation_data": (x_valid, y_valid), "validation_batch_size": size}


def _tensorflow_batches(x, y, batch_size, seed=None):
    """Batches gathered from tensors in memory, the last one maybe smaller; shuffled given a seed.

    Other backends are quickest when Keras cuts the NumPy arrays itself.
    """
    import tensorflow as tf

    with tf.device("CPU"):
        x, y = tf.constant(x), tf.constant(y)
        starts = tf.data.Dataset.range(0, len(x), batch_size)

        def in_order(start):
            """Return the batch that begins at a row."""
            return x[start : start + batch_size], y[start : start + batch_size]

        def one_epoch(epoch_seed):
            """Return the batches of an epoch, their rows shuffled by its seed."""
            seeds = tf.stack([epoch_seed, epoch_seed])
            order = tf.random.experimental.stateless_shuffle(tf.range(len(x)), seeds)

            def batch(start):
                """Return the batch that begins at a place of the shuffled order."""
                rows = order[start : start + batch_size]
                return tf.gather(x, rows), tf.gather(y, rows)

            return starts.map(batch)

        if seed is not None:  # a permutation an epoch costs half of what a shuffle buffer does
            epoch = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
            dataset = epoch.flat_map(one_epoch)
        else:
            dataset = starts.map(in_order)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(-(-len(x) // batch_size)))
        options = tf.data.Options()
        options.autotune.enabled = False  # its thread can hold up the end of fit by seconds
        options.experimental_optimization.apply_default_optimizations = False  # nothing to gain
        options.threading.private_threadpool_size = 1  # leaves the cores to the model
        return dataset.with_options(options).prefetch(4)


class _Clock(keras.callbacks.Callback):
    """Keeps the history, the time and the step; stops at a loss that is not finite."""

    def __init__(self, num_examples, batch_size, epochs):
        super().__init__()
        self.num_examples, self.epochs = num_examples, epochs
        self.steps_per_epoch = -(-num_examples // batch_size)
        self.total_steps = epochs * self.steps_per_epoch
        self.rows, self.logs, self.failure, self.interrupted = [], {}, None, False
        self.epoch = self.steps = self.steps_before = 0
        self.validation_seconds, self.validating_since, self.first = 0.0, None, None
        self.start = time.perf_counter()

    def on_epoch_begin(self, epoch, logs=None):
        """Remember at which step the epoch began."""
        self.epoch, self.steps_before, self.logs = epoch, self.steps, {}

    def on_train_batch_end(self, batch, logs=None):
        """Count the steps done, keep their mean loss, stop if it is not finite."""
        previous = self.steps
        done = min(batch + 1, self.steps_per_epoch)  # the last execution may hold fewer steps
        self.steps = self.steps_before + done
        self.logs = {name: float(number) for name, number in (logs or {}).items()}
        if self.first is None:
            self.first = (time.perf_counter() - self.start, self.steps)
        if not np.isfinite(self.logs.get("loss", 0.0)):
            self.failure = (previous + 1, self.steps)
            self.model.stop_training = True

    def on_test_begin(self, logs=None):
        """Start the clock of the validation."""
        self.validating_since = time.perf_counter()

    def on_test_end(self, logs=None):
        """Stop the clock of the validation."""
        self.validation_seconds += time.perf_counter() - self.validating_since

    def on_epoch_end(self, epoch, logs=None):
        """Keep the epoch's row, now with the validation."""
        self.logs = {name: float(number) for name, number in (logs or {}).items()}
        self.close_epoch()

    def close_epoch(self):
        """Keep the epoch's numbers as a row, if there are any; an interruption calls this too."""
        if self.logs:
            seconds = time.perf_counter() - self.start
            self.rows.append({"epoch": self.epoch + 1, **self.logs, "seconds": seconds})
        self.logs = {}

    def result(self):
        """Sum up what was seen; the speed leaves out validation and the first execution."""
        seconds = time.perf_counter() - self.start
        startup, first_steps = self.first or (seconds, self.steps)
        steps_timed = self.steps - first_steps
        spent = seconds - startup - self.validation_seconds
        per_step = self.num_examples / self.steps_per_epoch
        return Result(
            history=pd.DataFrame(self.rows),
            seconds=seconds,
            startup_seconds=startup,
            examples_per_second=steps_timed * per_step / spent if steps_timed else float("nan"),
            steps=self.steps,
            interrupted=self.interrupted,
        )


def _check(model, x, y, batch_size, epochs, name="training"):
    if len(x) == 0:
        raise ValueError(f"Expected {name} data. Received: 0 examples, x of shape {x.shape}.")
    if len(x) != len(y):
        raise ValueError(
            f"Expected one label an example in the {name} data. Received: {len(x):,} examples "
            f"and {len(y):,} labels. Were both cut or shuffled in the same way?"
        )
    if not 1 <= batch_size <= len(x):
        raise ValueError(
            f"Expected a batch_size from 1 to the {len(x):,} examples. Received: {batch_size}."
        )
    if epochs < 1:
        raise ValueError(f"Expected epochs of 1 or more. Received: {epochs}.")
    replicas = _num_replicas(model)
    last = len(x) % batch_size if keras.config.backend() == "jax" else 0  # JAX splits it too
    if batch_size % replicas or last % replicas:
        raise ValueError(
            f"Expected {name} batches that {replicas} devices can share equally. Received: "
            f"batches of {batch_size} from {len(x):,} examples. Make both multiples of {replicas}."
        )
    for array, part in ((x, "inputs"), (y, "targets")):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(np.flatnonzero(~np.isfinite(array).reshape(len(x), -1).all(axis=1))[0])
            raise ValueError(
                f"Expected finite {name} {part}. Received: NaN or infinity, first in example "
                f"{bad}. Look for missing values, and for a division by a standard deviation of 0."
            )
    if not model.compiled:
        raise ValueError("Expected a compiled model, or optimizer= and loss=. Received: neither.")
    _check_labels(model, x, y, name)


def _num_replicas(model):
    """How many devices share each batch, see `runtime.setup(distribute=True)`."""
    if keras.config.backend() == "jax":
        shared = keras.distribution.distribution()
        return shared.device_mesh.devices.size if shared else 1
    return getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1)


def _steps_per_execution(model, x, batch_size):
    """Several where Keras can: not on PyTorch, and TensorFlow's replicas fail with more than 1."""
    backend = keras.config.backend()
    if backend == "torch" or (backend == "tensorflow" and _num_replicas(model) > 1):
        return 1
    num_steps = -(-len(x) // max(1, batch_size))
    return min(STEPS_PER_EXECUTION, max(1, num_steps))


def _check_labels(model, x, y, name):
    loss = getattr(model.loss, "name", None) or getattr(model.loss, "__name__", model.loss)
    if not isinstance(loss, str) or "sparse_categorical" not in loss:
        return
    if y.dtype.kind not in "iu":
        raise ValueError(f"Expected integer class indices as {name} labels. Received: {y.dtype}.")
    ignored = getattr(model.loss, "ignore_class", None)
    labels = y if ignored is None else y[y != ignored]
    # A subclassed or an unbuilt model knows its outputs only after it was called.
    shape = getattr(model, "output_shape", None) or getattr(model(x[:1]), "shape", (None,))
    num_classes = shape[-1]
    if num_classes and labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"Expected {name} labels from 0 to {num_classes - 1}, as the model has {num_classes} "
            f"outputs. Received: {labels.min()} to {labels.max()}. "
            "Widen the last layer or renumber the classes."
        )


def _what_to_try(clock, model):
    first, last = clock.failure
    where = f"at step {last:,}" if first == last else f"between steps {first:,} and {last:,}"
    rate = model.optimizer.learning_rate
    rate = float(keras.ops.convert_to_numpy(rate))
    return (
        f"Expected a finite loss. Received: {clock.rows[-1]['loss']} {where} of "
        f"{clock.total_steps:,} (epoch {clock.epoch + 1}). Try a learning rate ten times smaller "
        f"(it was {rate:.3g}), clip the gradients (clipnorm=1.0 in the optimizer), and look "
        "whether the inputs are scaled and the loss is given logits (from_logits=True)."
    )
