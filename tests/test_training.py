"""Training: refuses bad input before it starts, counts right, and survives an interrupt."""

import contextlib
import signal
from itertools import chain
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import live, runtime, training

FROM_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(autouse=True)
def interrupts_arrive():
    """A shell that runs the tests in the background has told them to ignore Ctrl-C."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def problem(n=50, num_classes=3):
    """Separable data: (n, 4) float32 inputs and the (n,) class of each."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype("float32")
    return x, x[:, :num_classes].argmax(1)


def network(num_classes=3, seed=0):
    dense = keras.layers.Dense(
        num_classes, kernel_initializer=keras.initializers.GlorotNormal(seed)
    )
    return keras.Sequential([keras.Input((4,)), dense])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def train(model, x, y, **options):
    defaults = {"epochs": 1, "batch_size": 10, "loss": FROM_LOGITS}
    if "optimizer" not in options:
        defaults["optimizer"] = keras.optimizers.SGD(0.1)
    return training.fit(model, x, y, **(defaults | options))


class AtStep(keras.callbacks.Callback):
    """Does something once, at the end of a given update, counted from 1."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action, self.seen = step, action, 0

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == self.step:
            self.action()


def interrupt():
    signal.raise_signal(signal.SIGINT)  # what Jupyter's stop button sends


# --- errors before training --------------------------------------------------------------

x_good, y_good = problem()
x_nan = x_good.copy()
x_nan[7, 2] = np.nan
x_inf = x_good.copy()
x_inf[7, 2] = np.inf
y_nan = x_good.copy()
y_nan[7] = np.nan

WRONG = {
    "batch larger than the data": (x_good, y_good, {"batch_size": 51}, "1 to the 50.*51"),
    "batch of none": (x_good, y_good, {"batch_size": 0}, "batch_size.*Received: 0"),
    "negative batch": (x_good, y_good, {"batch_size": -1}, "batch_size.*Received: -1"),
    "no epochs": (x_good, y_good, {"epochs": 0}, "epochs.*Received: 0"),
    "no examples": (x_good[:0], y_good[:0], {}, r"0 examples, x of shape \(0, 4\)"),
    "lengths differ": (x_good, y_good[:-1], {}, "50 examples and 49 labels"),
    "label too large": (x_good, y_good + 1, {}, "0 to 2.*Received: 1 to 3"),
    "label negative": (x_good, y_good - 1, {}, "0 to 2.*Received: -1 to 1"),
    "labels of float": (x_good, y_good.astype("float32"), {}, "integer.*Received: float32"),
    "labels of text": (x_good, y_good.astype(str), {}, "integer.*Received: <U"),
    "inputs with NaN": (x_nan, y_good, {}, "finite training inputs.*example 7"),
    "inputs with infinity": (x_inf, y_good, {}, "finite training inputs.*example 7"),
    "targets with NaN": (x_good, y_nan, {"loss": "mse"}, "finite training targets.*example 7"),
    "validation empty": (
        *(x_good, y_good),
        *({"validation": (x_good[:0], y_good[:0])}, "validation data.*0 examples"),
    ),
    "validation lengths": (
        *(x_good, y_good),
        *({"validation": (x_good, y_good[:3])}, "validation data.*50 examples and 3"),
    ),
    "validation labels": (
        *(x_good, y_good),
        *({"validation": (x_good, y_good + 1)}, "validation labels.*1 to 3"),
    ),
    "validation NaN": (x_good, y_good, {"validation": (x_nan, y_good)}, "finite validation inputs"),
    "validation of another shape": (
        *(x_good, y_good),
        *({"validation": (x_good[:, :3], y_good)}, r"shape \(n, \*\(4,\)\).*\(50, 3\)"),
    ),
    "validation of one part": (x_good, y_good, {"validation": (x_good,)}, "unpack"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_before_training(case, monkeypatch):
    x, y, options, message = WRONG[case]
    model = network(4 if case == "targets with NaN" else 3)
    before = model.get_weights()
    monkeypatch.setattr(model, "fit", lambda **options: pytest.fail("training had begun"))
    with pytest.raises(ValueError, match=message):
        train(model, x, y, **options)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_model_must_be_compiled(monkeypatch):
    for model in (network(), Subclassed(), OwnLoss()):
        with pytest.raises(ValueError, match=r"compiled model.*Received: neither"):
            training.fit(model, x_good, y_good, epochs=1, batch_size=10)


@pytest.mark.parametrize(
    "make", [Subclassed, lambda: keras.Sequential([keras.layers.Dense(3)])], ids=["own", "unbuilt"]
)
@pytest.mark.parametrize("loss", [FROM_LOGITS, "sparse_categorical_crossentropy"], ids=type)
def test_labels_are_checked_before_the_model_is_built(make, loss):
    model = make()
    for wrong in (y_good + 1, y_good - 1):
        with pytest.raises(ValueError, match="labels from 0 to 2"):
            train(model, x_good, wrong, loss=loss)
    for _ in range(2):  # and a second time, when it is built
        assert train(model, x_good, y_good, loss=loss).steps == 5


def test_labels_that_the_loss_ignores_are_no_error():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    padded = np.where(np.arange(50) % 5, y_good, -1)
    assert np.isfinite(train(network(), x_good, padded, loss=loss).history["loss"]).all()
    with pytest.raises(ValueError, match="labels from 0 to 2"):
        train(network(), x_good, padded - 1, loss=loss)


def test_targets_of_other_losses_are_not_taken_for_labels():
    result = train(network(4), x_good, x_good, loss="mse")
    assert result.steps == 5
    result = train(network(3), x_good, np.eye(3)[y_good], loss="categorical_crossentropy")
    assert result.steps == 5


# --- what is counted ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "n, batch_size, at_once",
    [(53, 10, None), (53, 10, 1), (50, 10, 3), (53, 10, 4), (53, 10, 64), (7, 7, None)],
)
def test_every_step_is_made_once_and_counted_once(n, batch_size, at_once):
    """Whether or not the steps of an execution divide those of an epoch, or exceed them."""
    x, y = problem(n)
    model = network()
    options = {} if at_once is None else {"steps_per_execution": at_once}
    valid = (x[:7], y[:7])
    result = train(model, x, y, epochs=2, batch_size=batch_size, validation=valid, **options)
    expected = 2 * -(-n // batch_size)
    assert int(model.optimizer.iterations.numpy()) == result.steps == expected
    assert result.history["epoch"].tolist() == [1, 2]


def test_steps_per_execution_do_not_change_what_is_learnt():
    x, y = problem(53)
    weights = []
    for at_once in (1, 4, 64):
        keras.utils.set_random_seed(1)
        model = network()
        train(model, x, y, epochs=2, steps_per_execution=at_once)
        weights.append(model.get_weights())
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_history_and_result():
    x, y = problem()
    result = train(network(), x, y, epochs=3, metrics=["accuracy"], validation=(x, y))
    columns = {"epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert isinstance(result.history, pd.DataFrame) and set(result.history) == columns
    assert result.history["epoch"].tolist() == [1, 2, 3]
    seconds = result.history["seconds"].tolist()
    assert 0 < result.startup_seconds <= seconds[0] and seconds == sorted(seconds)
    assert seconds[-1] <= result.seconds
    assert result.examples_per_second > 0 and not result.interrupted
    assert result.history["loss"].is_monotonic_decreasing


def test_validation_is_that_of_the_model_after_the_epoch():
    x, y = problem(61)
    model = network()
    result = train(model, x, y, metrics=["accuracy"], validation=(x, y))
    logits = x @ model.get_weights()[0] + model.get_weights()[1]
    log_probability = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    last = result.history.iloc[-1]
    assert last["val_loss"] == pytest.approx(-log_probability[np.arange(61), y].mean(), rel=1e-4)
    assert last["val_accuracy"] == pytest.approx((logits.argmax(1) == y).mean(), abs=1e-6)


def test_fit_does_what_keras_does_on_the_same_batches():
    """One batch an epoch has no order: NumPy's own gradient descent is the oracle too."""
    x, y = problem()
    ours, theirs = network(), network()
    result = train(ours, x, y, epochs=4, batch_size=50)
    theirs.compile(optimizer=keras.optimizers.SGD(0.1), loss=FROM_LOGITS)
    history = theirs.fit(x, y, epochs=4, batch_size=50, verbose=0).history
    weights, bias = network().get_weights()
    for _ in range(4):
        p = np.exp(x @ weights + bias)
        error = (p / p.sum(1, keepdims=True) - np.eye(3)[y]) / len(x)
        weights, bias = weights - 0.1 * x.T @ error, bias - 0.1 * error.sum(0)
    np.testing.assert_allclose(result.history["loss"], history["loss"], rtol=1e-5)
    for model in (ours, theirs):
        np.testing.assert_allclose(model.get_weights()[0], weights, atol=1e-5)
        np.testing.assert_allclose(model.get_weights()[1], bias, atol=1e-5)


def test_a_model_that_is_compiled_keeps_its_optimizer():
    x, y = problem()
    model = network()
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=FROM_LOGITS)
    for expected in (5, 10):
        result = training.fit(model, x, y, epochs=1, batch_size=10)
        assert int(model.optimizer.iterations.numpy()) == expected and result.steps == 5


def test_callbacks_of_the_caller_are_obeyed():
    x, y = problem()
    model = network()
    stop = AtStep(3, lambda: setattr(model, "stop_training", True))
    result = train(model, x, y, epochs=5, callbacks=[stop], steps_per_execution=1)
    assert result.steps == 3 and len(result.history) == 1 and not result.interrupted


class OwnLoss(keras.Model):
    """Learns the mean of its inputs: no `loss` in compile, the targets are not used."""

    def __init__(self):
        super().__init__()
        self.center = self.add_weight(shape=(4,), initializer="zeros")

    def call(self, x):
        return keras.ops.zeros_like(x) + self.center

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.sum((x - y_pred) ** 2, axis=1))


def test_model_with_its_own_loss():
    x, y = problem()
    model = OwnLoss()
    result = training.fit(
        model, x, y - 99, epochs=30, batch_size=50, optimizer=keras.optimizers.SGD(0.1)
    )
    np.testing.assert_allclose(model.get_weights()[0], x.mean(0), atol=1e-2)
    assert result.history["loss"].iloc[-1] == pytest.approx(x.var(0).sum(), rel=1e-3)


# --- batches -----------------------------------------------------------------------------


def numbered(n, batch_size, **options):
    return training._tensorflow_batches(np.arange(n) * 10.0, np.arange(n), batch_size, **options)


def read(feed):
    """One epoch as Keras reads it: a list of the rows of each batch, inputs checked."""
    pairs = list(feed.as_numpy_iterator())
    for x, y in pairs:
        np.testing.assert_array_equal(x, y * 10.0)
    return [y.tolist() for _, y in pairs]


@settings(deadline=None, max_examples=10)
@given(n=st.integers(1, 40), data=st.data())
def test_an_epoch_is_every_example_once(n, data):
    batch_size = data.draw(st.integers(1, n))
    feed = numbered(n, batch_size, seed=data.draw(st.integers(0, 2**31)))
    assert len(feed) == -(-n // batch_size)
    for _ in range(2):
        batches = read(feed)
        assert sorted(chain(*batches)) == list(range(n))
        assert {len(batch) for batch in batches[:-1]} <= {batch_size}
        assert len(batches[-1]) == (n - 1) % batch_size + 1


@pytest.mark.parametrize("global_seed", [0, 5])
def test_order_is_new_each_epoch_and_repeats_with_the_seed(global_seed):
    def orders(seed):
        keras.utils.set_random_seed(global_seed)
        feed = numbered(100, 32, seed=seed)
        return [list(chain(*read(feed))) for _ in range(3)]

    first = orders(0)
    assert first == orders(0)
    everything = [*first, *orders(1), list(range(100))]
    assert len({tuple(order) for order in everything}) == 7


def test_unshuffled_order_is_that_of_the_arrays():
    feed = numbered(10, 4)
    assert read(feed) == read(feed) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_keras_evaluates_and_predicts_what_batches_gives():
    x, y = problem(23)
    model = network()
    model.compile(loss=FROM_LOGITS)
    direct = model.evaluate(x, y, batch_size=23, verbose=0)
    batches = training._tensorflow_batches(x, y, 10)
    assert model.evaluate(batches, verbose=0) == pytest.approx(direct, rel=1e-5)
    predicted = model.predict(batches, verbose=0)
    np.testing.assert_allclose(predicted, x @ model.get_weights()[0], atol=1e-5)


def test_fit_with_the_feed_of_other_backends(monkeypatch):
    """On JAX and PyTorch Keras cuts the arrays itself; the same network learns the same."""
    x, y = problem(53)
    monkeypatch.setattr(training, "_tensorflow_batches", None)  # must not be called
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    model = network()
    result = train(model, x, y, epochs=3, metrics=["accuracy"], validation=(x, y))
    assert int(model.optimizer.iterations.numpy()) == result.steps == 18
    assert result.history["loss"].is_monotonic_decreasing
    assert result.history["val_loss"].is_monotonic_decreasing


def test_pytorch_and_replicas_take_one_step_at_a_time(monkeypatch):
    x, model = np.zeros((1000, 4)), SimpleNamespace()
    assert training._steps_per_execution(model, x, 10) == training.STEPS_PER_EXECUTION
    assert training._steps_per_execution(model, x, 500) == 2
    two = SimpleNamespace(distribute_strategy=SimpleNamespace(num_replicas_in_sync=2))
    assert training._steps_per_execution(two, x, 10) == 1
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    assert training._steps_per_execution(model, x, 10) == 1


# --- schedule ----------------------------------------------------------------------------


@settings(deadline=None, max_examples=6)
@given(peak=st.floats(1e-4, 1.0), num_steps=st.integers(10, 60), warmup=st.sampled_from([0.1, 0.3]))
def test_one_cycle_rises_to_its_peak_and_falls_to_zero(peak, num_steps, warmup):
    schedule = training.one_cycle(peak, num_steps, warmup=warmup)
    rates = np.array([float(schedule(step)) for step in range(num_steps + 1)])
    top = max(1, round(warmup * num_steps))
    assert rates[0] == pytest.approx(peak / 25, rel=1e-5)
    assert rates.argmax() == top and rates[top] == pytest.approx(peak, rel=1e-5)
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-6 * peak)
    rise, fall = peak / top, np.pi / 2 * peak / (num_steps - top)  # the steepest there may be
    assert np.abs(np.diff(rates)).max() <= max(rise, fall) * 1.001  # no jump
    falling = np.arange(num_steps - top + 1) / (num_steps - top)
    cosine = peak * (1 + np.cos(np.pi * falling)) / 2
    np.testing.assert_allclose(rates[top:], cosine, atol=1e-5 * peak)


def test_one_cycle_is_what_the_optimizer_uses():
    x, y = problem()
    schedule = training.one_cycle(0.5, 10)
    rates = []
    model = network()
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: rates.append(float(model.optimizer.learning_rate))
    )
    train(
        *(model, x, y),
        **{"epochs": 2, "optimizer": keras.optimizers.SGD(schedule), "callbacks": [watch]},
        steps_per_execution=1,
    )
    np.testing.assert_allclose(rates, [float(schedule(step)) for step in range(1, 11)], rtol=1e-5)


# --- a loss that is not finite -----------------------------------------------------------


@pytest.mark.parametrize(
    "at_once, call, where, steps", [(1, 6, "at step 7", 7), (4, 2, "between steps 6 and 9", 9)]
)
def test_loss_that_is_not_finite_stops_with_advice(at_once, call, where, steps):
    """Three epochs of five steps; the weights become NaN in the second, or before it."""
    model = network()
    spoil = AtStep(call, lambda: model.set_weights([w * np.nan for w in model.get_weights()]))
    with pytest.raises(training.NonFiniteLoss) as caught:
        train(model, *problem(), epochs=3, callbacks=[spoil], steps_per_execution=at_once)
    message, result = str(caught.value), caught.value.result
    for words in (f"nan {where} of 15 (epoch 2)", "learning rate ten times", "it was 0.1"):
        assert words in message
    assert "clipnorm" in message and "scaled" in message
    assert result.history["epoch"].tolist() == [1, 2] and not result.interrupted
    assert np.isfinite(result.history["loss"][0]) and np.isnan(result.history["loss"][1])
    assert result.steps == steps == int(model.optimizer.iterations.numpy())


def test_exploding_training_stops_early():
    x, _ = problem()
    model = network(4)
    with pytest.raises(training.NonFiniteLoss, match=r"it was 1e\+06"):
        train(
            *(model, x * 100, x * 100),
            **{"epochs": 500, "loss": "mse", "optimizer": keras.optimizers.SGD(1e6)},
        )
    assert int(model.optimizer.iterations.numpy()) < 100
    assert issubclass(training.NonFiniteLoss, FloatingPointError)


# --- interrupting ------------------------------------------------------------------------


def test_interrupt_keeps_the_history_and_the_model(capsys):
    x, y = problem()
    model = network()
    result = train(model, x, y, epochs=9, callbacks=[AtStep(13, interrupt)], steps_per_execution=1)
    assert result.interrupted and result.steps == 13
    assert result.history["epoch"].tolist() == [1, 2, 3]
    assert np.isfinite(result.history["loss"]).all()
    assert "Interrupted after 13 of 45 steps" in capsys.readouterr().out
    assert int(model.optimizer.iterations.numpy()) == 13
    expected = x @ model.get_weights()[0] + model.get_weights()[1]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
    again = training.fit(model, x, y, epochs=1, batch_size=10)
    assert again.steps == 5 and not again.interrupted


def test_interrupt_during_validation_keeps_the_epoch():
    x, y = problem()
    model = network()
    validating = keras.callbacks.LambdaCallback(on_test_begin=lambda logs: interrupt())
    result = train(model, x, y, epochs=2, validation=(x, y), callbacks=[validating])
    assert result.interrupted and result.steps == 5
    assert result.history["epoch"].tolist() == [1] and "loss" in result.history
    again = training.fit(model, x, y, epochs=1, batch_size=10, validation=(x, y))
    assert "val_loss" in again.history


def test_interrupt_before_the_first_step_is_an_empty_history():
    x, y = problem()
    beginning = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: interrupt())
    result = train(network(), x, y, callbacks=[beginning])
    assert result.interrupted and result.steps == 0 and len(result.history) == 0


# --- progress ----------------------------------------------------------------------------


@pytest.fixture
def notebook(monkeypatch):
    """A faked notebook: {display id: [(bundle, metadata), …]}, every update drawn."""
    displays = {}

    def display(bundle, *, metadata, raw, display_id):
        assert raw and display_id is True
        handle = SimpleNamespace(display_id=f"id-{len(displays)}")
        displays[handle.display_id] = [(bundle, metadata)]
        return handle

    def update_display(bundle, *, metadata, raw, display_id):
        assert raw
        displays[display_id].append((bundle, metadata))

    monkeypatch.setattr(runtime, "frontend", lambda: "notebook")
    monkeypatch.setattr(live, "display", display)
    monkeypatch.setattr(live, "update_display", update_display)
    now = [0.0]

    class EveryBatch(live.LiveProgress):
        def on_train_batch_end(self, batch, logs=None):
            now[0] += 1  # second: nothing is left out for having been too soon
            super().on_train_batch_end(batch, logs)

    monkeypatch.setattr(live, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(training, "LiveProgress", EveryBatch)
    return displays


@pytest.fixture
def drawn(monkeypatch):
    """The histories that were drawn as curves."""
    histories = []
    curves = live.plots.curves
    monkeypatch.setattr(
        live.plots, "curves", lambda history: (histories.append(history), curves(history))[1]
    )
    return histories


def only_figure(displays):
    """Check that one display was updated in place and that the final figure is what stays."""
    ((bundles),) = displays.values()
    *before, (bundle, metadata) = bundles
    assert before and all("text/html" in earlier for earlier, _ in before)
    assert set(bundle) == {"image/png", "text/plain"}
    assert metadata["image/png"]["alt"] == bundle["text/plain"]
    return before, bundle["text/plain"]


def test_notebook_progress_updates_in_place_and_leaves_a_figure(notebook, drawn, capsys):
    x, y = problem()
    result = train(network(), x, y, epochs=3, steps_per_execution=1, validation=(x, y))
    before, text = only_figure(notebook)
    assert len(before) == 15 and "15 steps" in text
    assert f"{result.history['loss'].iloc[-1]:.4g}" in text
    assert "epoch 1/3" in before[0][0]["text/html"] and "epoch 3/3" in before[-1][0]["text/html"]
    assert 'alt="' in before[-1][0]["text/html"]
    pd.testing.assert_frame_equal(drawn[-1], result.history)
    assert capsys.readouterr().out == ""


def test_one_epoch_is_drawn_from_its_parts(notebook, drawn):
    x, y = problem()
    result = train(network(), x, y, steps_per_execution=1, validation=(x, y))
    only_figure(notebook)
    curve = drawn[-1]
    np.testing.assert_allclose(curve["epoch"], [0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve["loss"].iloc[-1] == result.history["loss"].iloc[-1]
    assert curve["val_loss"].iloc[-1] == result.history["val_loss"].iloc[-1]


@pytest.mark.parametrize("step", [1, 3, 12])
def test_interrupt_also_finishes_the_display(notebook, step, capsys):
    x, y = problem()
    result = train(
        network(), x, y, epochs=9, callbacks=[AtStep(step + 1, interrupt)], steps_per_execution=1
    )
    assert result.interrupted
    _, text = only_figure(notebook)
    assert f"after {result.steps} steps" in text
    assert capsys.readouterr().out.count("\n") == 1


def test_an_error_also_finishes_the_display(notebook):
    def fail():
        raise ZeroDivisionError

    x, y = problem()
    with pytest.raises(ZeroDivisionError):
        train(network(), x, y, callbacks=[AtStep(3, fail)], steps_per_execution=1)
    only_figure(notebook)


def test_loss_that_is_not_finite_also_finishes_the_display(notebook):
    x, _ = problem()
    with pytest.raises(training.NonFiniteLoss):
        train(
            *(network(4), x * 100, x * 100),
            **{"epochs": 99, "loss": "mse", "optimizer": keras.optimizers.SGD(1e6)},
        )
    only_figure(notebook)


def test_terminal_progress_ends_its_line(monkeypatch, capsys):
    monkeypatch.setattr(runtime, "frontend", lambda: "terminal")
    x, y = problem()
    result = train(network(), x, y, epochs=2)
    out = capsys.readouterr().out
    assert out.endswith("\n") and out.count("\n") == 1 and out.startswith("\r")
    last = out.rsplit("\r", 1)[1]
    assert "█" * 20 in last and "epoch 2/2" in last
    assert f"loss {result.history['loss'].iloc[-1]:.4f}" in last


def test_terminal_progress_ends_its_line_when_interrupted(monkeypatch, capsys):
    monkeypatch.setattr(runtime, "frontend", lambda: "terminal")
    x, y = problem()
    train(network(), x, y, epochs=9, callbacks=[AtStep(7, interrupt)], steps_per_execution=1)
    *_, status, message, end = capsys.readouterr().out.split("\n")
    assert "█" in status and message.startswith("Interrupted after 7 of 45") and end == ""


@pytest.mark.parametrize("frontend", ["terminal", "notebook"])
def test_error_before_the_first_step_shows_no_progress(frontend, notebook, monkeypatch, capsys):
    monkeypatch.setattr(runtime, "frontend", lambda: frontend)
    beginning = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: interrupt())
    with contextlib.suppress(KeyboardInterrupt):
        train(network(), *problem(), callbacks=[beginning])
    assert notebook == {} and "epoch" not in capsys.readouterr().out


def test_quiet_is_silent(monkeypatch, capfd):
    monkeypatch.setattr(runtime, "frontend", lambda: "none")
    monkeypatch.setattr(live, "display", lambda *args, **options: pytest.fail("displayed"))
    train(network(), *problem(), epochs=2)
    assert capfd.readouterr().out == ""
