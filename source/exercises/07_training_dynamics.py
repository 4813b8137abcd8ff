# %% [markdown]
r"""
# Exercises: training dynamics

Five questions on [chapter 07](../07_training_dynamics.ipynb), 14 points, about 50 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0, precision="float32")

# %%
import keras
import numpy as np
import pandas as pd
import scipy

from course_lib import checks, data, plots, training

# %% [markdown]
r"""
## Question 1: He's spread, for a ReLU that leaks (3 points)

A *leaky* ReLU lets a part of the negative numbers through: $f(z) = z$ for $z > 0$ and $f(z) = s\,z$ below. With $s = 0$ it is the ReLU, with $s = 1$ a straight line.

**(a)** Derive, as the chapter does for $s = 0$, the spread (standard deviation) of the weights with which a layer of $n$ inputs keeps the size of its pre-activations. Take $z$ as symmetric around zero.
"""


# %% nbgrader={"grade": false, "grade_id": "spread", "locked": false, "schema_version": 3, "solution": true, "task": false}
def initial_spread(num_inputs, slope):
    """Standard deviation of the weights, from n and s."""
    ### BEGIN SOLUTION
    kept = (1 + slope**2) / 2  # of the variance, by the leaky ReLU
    return np.sqrt(1 / (num_inputs * kept))
    ### END SOLUTION


# %%
def spread_oracle(num_inputs, slope):
    """From a numerical integral over a normal z, without any formula."""
    density = scipy.stats.norm.pdf
    below, _ = scipy.integrate.quad(
        lambda z: (slope * z) ** 2 * density(z), -12, 0
    )
    above, _ = scipy.integrate.quad(lambda z: z**2 * density(z), 0, 12)
    return (num_inputs * (below + above)) ** -0.5


def with_slope(change):
    return lambda n, s: spread_oracle(n, change(s))


# %%
spread_mistakes = {
    "That is the variance. A spread is its root.": lambda n, s: (
        spread_oracle(n, s) ** 2
    ),
    "That is He's spread for s = 0. What leaks through adds to the "
    "variance.": with_slope(lambda s: 0.0),
    "Nothing is halved in yours: that fits a straight line, s = 1.": with_slope(
        lambda s: 1.0
    ),
    "What leaks is s·z, and a variance takes the square of a factor.": with_slope(
        np.sqrt
    ),
    "Turn it round: more inputs, or more that leaks, need smaller "
    "weights.": lambda n, s: 1 / spread_oracle(n, s),
    "The two halves of z add their variances, not their factors: square "
    "each, then add.": lambda n, s: np.sqrt(2 / (n * (1 + s) ** 2)),
    "What is kept of the variance belongs under the fraction line: the more "
    "is kept, the smaller the weights.": lambda n, s: np.sqrt(
        2 * (1 + s**2) / n
    ),
    "Each half of z holds half of the variance: one half is whole, one "
    "leaks.": lambda n, s: np.sqrt(1 / (n * (1 + s**2))),
}

# %% nbgrader={"grade": true, "grade_id": "spread_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "spread of the weights",
    initial_spread,
    expected=spread_oracle,
    cases=[(100, 0.0), (300, 0.2), (50, 1.0), (784, 0.5)],
    mistakes=spread_mistakes,
)
### BEGIN HIDDEN TESTS
assert abs(initial_spread(200, 0.0) - 0.1) < 1e-9
assert abs(initial_spread(100, 1.0) - 0.1) < 1e-9
assert abs(initial_spread(50, 0.5) - 0.1788854382) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** An article forgets the root and draws ReLU weights as `rng.normal(0, 2 / n, (n, n))`. With $n = 100$: by which factor does each layer multiply the size (not the variance) of $z$?
"""

# %% nbgrader={"grade": false, "grade_id": "factor", "locked": false, "schema_version": 3, "solution": true, "task": false}
factor = ...
### BEGIN SOLUTION
factor = np.sqrt(100 / 2) * (2 / 100)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "factor_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
right = (2 / 100) / spread_oracle(100, 0.0)
checks.value(
    "factor a layer",
    factor,
    expected=right,
    tolerance=2e-3,
    mistakes={
        "That is the factor of the variance. The size is its root.": right**2,
        "Upside down: these weights are too small, so the size shrinks.": 1
        / right,
        "The ReLU also takes its half of the variance.": right * np.sqrt(2),
        "The ReLU halves the variance. The size falls by the root of "
        "that.": right / np.sqrt(2),
    },
)
### BEGIN HIDDEN TESTS
assert abs(factor - 0.141421) < 5e-4
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: clip by the global norm (3 points)

Return the gradients, a list of arrays of any shapes, clipped together to a norm of at most `cap`.
"""


# %% nbgrader={"grade": false, "grade_id": "clip", "locked": false, "schema_version": 3, "solution": true, "task": false}
def clip(gradients, cap):
    """A list of arrays, shaped like the ones in `gradients`."""
    ### BEGIN SOLUTION
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * min(1.0, cap / norm) for g in gradients]
    ### END SOLUTION


# %%
def by_keras(gradients, **option):
    """What an optimizer with rate 1 subtracts from zeros."""
    zeros = [keras.Variable(np.zeros(g.shape, "float32")) for g in gradients]
    optimizer = keras.optimizers.SGD(1.0, **option)
    tensors = [keras.ops.convert_to_tensor(g, "float32") for g in gradients]
    optimizer.apply(tensors, zeros)
    return [-keras.ops.convert_to_numpy(v) for v in zeros]


def clip_oracle(gradients, cap):
    return by_keras(gradients, global_clipnorm=cap)


def scaled(factor):
    """All gradients times factor(norms of the arrays, cap)."""

    def wrong(gradients, cap):
        norms = np.array([np.linalg.norm(g) for g in gradients])
        return [g * factor(norms, cap) for g in gradients]

    return wrong


# %%
clip_mistakes = {
    "Each array is capped by itself: the direction turns. One factor for "
    "all.": lambda g, cap: by_keras(g, clipnorm=cap),
    "Each number is capped by itself: the direction turns. One factor for "
    "all.": lambda g, cap: by_keras(g, clipvalue=cap),
    "A gradient below the cap is left alone, not stretched to it.": scaled(
        lambda norms, cap: cap / np.linalg.norm(norms)
    ),
    "The global norm is the root of the sum of all squares, not the sum of "
    "the norms.": scaled(lambda norms, cap: min(1, cap / norms.sum())),
    "The root is missing: that is the square of the norm.": scaled(
        lambda norms, cap: min(1, cap / np.sum(norms**2))
    ),
    "The largest of the norms is not the norm of all.": scaled(
        lambda norms, cap: min(1, cap / norms.max())
    ),
}

# %% nbgrader={"grade": true, "grade_id": "clip_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
long = [np.array([[3.0, -4.0], [0.5, 1.0]]), np.array([2.0, -6.0, 1.0])]
short = [np.array([[0.3, -0.4]]), np.array([0.1, 0.2, 0.0])]
checks.function(
    "clipping",
    clip,
    expected=clip_oracle,
    cases=[(long, 1.0), (short, 1.0), (long, 5.0)],
    mistakes=clip_mistakes,
    tolerance=1e-5,
)
### BEGIN HIDDEN TESTS
hidden = clip([np.array([3.0]), np.array([[4.0]])], 1.0)
assert np.allclose(hidden[0], [0.6], atol=1e-6)
assert np.allclose(hidden[1], [[0.8]], atol=1e-6)
hidden = clip([np.array([0.3]), np.array([[0.4]])], 1.0)
assert np.allclose(hidden[0], [0.3], atol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: three learning curves (3 points)

Three runs of the same network, and a draw decides which run has which fault:

- `"schedule"`: a cosine decay that was given the number of epochs where it wants steps;
- `"preparation"`: the validation images were not standardised, the training images were;
- `"labels"`: a third of the training labels are wrong, the validation labels are right.
"""

# %%
digits = data.load("mnist")
order = np.random.default_rng(run.seed).permutation(60_000)


def standardised(images):
    flat = images.reshape(len(images), -1).astype("float32")
    return (flat / 255 - 0.1307) / 0.3081


x_train = standardised(digits.x_train[order[:1000]])
y_train = digits.y_train[order[:1000]].astype("int32")
x_valid = standardised(digits.x_train[order[-500:]])
y_valid = digits.y_train[order[-500:]].astype("int32")


# %%
def history_with(fault, epochs=8):
    """The learning curves of a run with the fault."""
    y, x_watch, rate = y_train.copy(), x_valid, 0.002
    if fault == "labels":
        y[::3] = (y[::3] + 1 + np.arange(len(y[::3])) % 9) % 10
    if fault == "preparation":
        x_watch = digits.x_train[order[-500:]].reshape(-1, 784)
        x_watch = x_watch.astype("float32")
    if fault == "schedule":
        rate = keras.optimizers.schedules.CosineDecay(0.002, epochs)
    keras.utils.set_random_seed(run.seed)
    hidden = [keras.layers.Dense(n, activation="relu") for n in (128, 64)]
    layers = [keras.Input((784,)), *hidden, keras.layers.Dense(10)]
    options = {"epochs": epochs, "batch_size": 20, "seed": run.seed}
    options |= {"validation": (x_watch, y_valid), "metrics": ["accuracy"]}
    return training.fit(
        keras.Sequential(layers),
        x_train,
        y,
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    ).history


# %% tags=["nbval-ignore-output"]
faults = ["labels", "preparation", "schedule"]
draw = np.random.default_rng(707).permutation(3)
ward = {run_: faults[i] for run_, i in zip("ABC", draw, strict=True)}
histories = {name: history_with(fault) for name, fault in ward.items()}
fig, axes = plots.figure(2, 3, width=8, height=2.2, sharex=True, sharey="row")
for column, (name, history) in enumerate(histories.items()):
    for panel, unit in zip(axes[:, column], ("loss", "accuracy"), strict=True):
        series = {"training": history[unit]}
        series["validation"] = history[f"val_{unit}"]
        options = {"yscale": "log"} if unit == "loss" else {"ylim": (0, 1.05)}
        title = f"run {name}" if unit == "loss" else ""
        options |= {"xlabel": "" if title else "epoch", "title": title}
        options["xticks"] = range(2, 9, 2)
        ylabel = {"loss": "loss (nats)"}.get(unit, unit) if not column else ""
        plots.lines(panel, history["epoch"], series, ylabel=ylabel, **options)
plots.show(
    fig,
    "Three runs, three faults: compare where each curve begins, whether it "
    "moves, and whether the two curves of a panel agree.",
)

# %% [markdown]
r"""
Which fault has each run: `"labels"`, `"preparation"` or `"schedule"`?
"""

# %% nbgrader={"grade": false, "grade_id": "curves", "locked": false, "schema_version": 3, "solution": true, "task": false}
run_a, run_b, run_c = ..., ..., ...
### BEGIN SOLUTION
run_a, run_b, run_c = (ward[name] for name in "ABC")
### END SOLUTION

# %%
# (said, true): why not
hints = {
    (
        "labels",
        "preparation",
    ): "Wrong labels let the validation begin well, and "
    "spoil it later. Here its loss is enormous from the first epoch.",
    ("labels", "schedule"): "Wrong labels are learned by heart, in time. "
    "Here nothing is learned after the first epoch.",
    (
        "preparation",
        "labels",
    ): "Ill-prepared images would blow up the validation "
    "loss from the first epoch on. Here it begins well.",
    ("preparation", "schedule"): "The two curves agree here; what is wrong is "
    "wrong with both.",
    ("schedule", "labels"): "A rate of zero moves nothing. This training loss "
    "falls to the end.",
    ("schedule", "preparation"): "A rate of zero would stop the training "
    "curve. It falls here as it should.",
}


# %% nbgrader={"grade": true, "grade_id": "curves_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def check_run(name, said):
    true = ward[name]
    mistakes = {
        hint: wrong for (wrong, fault), hint in hints.items() if fault == true
    }
    checks.value(f"run {name}", said, expected=true, mistakes=mistakes)


check_run("A", run_a)
check_run("B", run_b)
check_run("C", run_c)
### BEGIN HIDDEN TESTS
_said = [str(said).strip().lower() for said in (run_a, run_b, run_c)]
assert _said == [ward["A"], ward["B"], ward["C"]]
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: a range test (4 points)

**(a)** Return the rates of a range test: `num_steps` of them, the first is `lowest`, the last is `highest`, and each is the one before times a constant.
"""


# %% nbgrader={"grade": false, "grade_id": "rates", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rates_of_test(lowest, highest, num_steps):
    """Array (num_steps,) of learning rates."""
    ### BEGIN SOLUTION
    done = np.arange(num_steps) / (num_steps - 1)
    return lowest * (highest / lowest) ** done
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "rates_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "rates of the test",
    rates_of_test,
    expected=np.geomspace,
    cases=[(1e-4, 10.0, 6), (0.01, 1.0, 3), (1e-3, 2.0, 5)],
    tolerance=1e-8,
    mistakes={
        "Equal differences spend nearly all steps near the highest rate. "
        "Equal factors.": np.linspace,
        "The last rate is not the highest: between n rates there are n − 1 "
        "factors.": lambda a, b, n: np.geomspace(a, b, n + 1)[:-1],
        "The first rate is not the lowest: step 0 has made no factor "
        "yet.": lambda a, b, n: np.geomspace(a, b, n + 1)[1:],
        "It must climb: a run destroyed by its first step tells "
        "nothing.": lambda a, b, n: np.geomspace(b, a, n),
        "The factor follows from highest, lowest and n; it is not always "
        "10.": lambda a, b, n: a * 10.0 ** np.arange(n),
    },
)
### BEGIN HIDDEN TESTS
assert np.allclose(rates_of_test(0.001, 1.0, 4), [0.001, 0.01, 0.1, 1.0])
assert np.allclose(rates_of_test(0.5, 8.0, 5), [0.5, 1.0, 2.0, 4.0, 8.0])
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** The losses of a range test are noisy, so that one lucky batch can look like the best rate. Take the mean of each five losses in a row, as the value of the *middle* one of the five (the first two and the last two steps have none), find the rate at which that mean is lowest, and return a third of this rate.
"""


# %% nbgrader={"grade": false, "grade_id": "pick", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pick_rate(rates, losses):
    """One learning rate, from arrays (n,) of rates and losses."""
    ### BEGIN SOLUTION
    means = [losses[i - 2 : i + 3].mean() for i in range(2, len(losses) - 2)]
    return rates[2 + np.argmin(means)] / 3
    ### END SOLUTION


# %%
def range_test(seed, num_steps=60):
    """A real one: ten digits, one matrix, plain gradient descent."""
    rng, W = np.random.default_rng(seed), np.zeros((784, 10))
    rates, losses = np.geomspace(1e-4, 10, num_steps), np.zeros(num_steps)
    for t, rate in enumerate(rates):
        rows = rng.integers(0, 1000, 16)
        x, y = x_train[rows], np.eye(10)[y_train[rows]]
        log_p = scipy.special.log_softmax(x @ W, axis=1)
        losses[t] = -np.mean(np.sum(y * log_p, axis=1))
        W = W - rate * x.T @ (np.exp(log_p) - y) / 16
    return rates, losses


def lowest_at(rates, losses, **options):
    """Index of the lowest mean of five; pandas writes NaN where there is none."""
    means = pd.Series(losses).rolling(5, **options).mean()
    return int(np.nanargmin(means.to_numpy()))


def pick_oracle(rates, losses):
    return rates[lowest_at(rates, losses, center=True)] / 3


# %% tags=["nbval-ignore-output"]
tests = [range_test(seed) for seed in (1, 2, 3)]
fig, axes = plots.figure(width=5.5, height=2.6)
series = {f"test {i}": losses for i, (_, losses) in enumerate(tests, start=1)}
options = {"xscale": "log", "yscale": "log"}
plots.lines(
    axes,
    tests[0][0],
    series,
    xlabel="learning rate α",
    ylabel="loss (nats)",
    **options,
)
plots.show(
    fig,
    "Three range tests of one network with other batches: single losses "
    "jump, the valley stays.",
)

# %%
pick_mistakes = {
    "One lucky batch decided. Average five losses first.": lambda r, loss: (
        r[np.argmin(loss)] / 3
    ),
    "Take a third of it: in a long run the lowest point is at the "
    "edge.": lambda r, loss: 3 * pick_oracle(r, loss),
    "The mean of five belongs to its middle; yours to the last of the "
    "five.": lambda r, loss: r[lowest_at(r, loss)] / 3,
    "The mean of five belongs to its middle; yours to the first of the "
    "five.": lambda r, loss: r[lowest_at(r, loss) - 4] / 3,
    "Return a rate; that is a loss.": lambda r, loss: (
        np.nanmin(pd.Series(loss).rolling(5).mean()) / 3
    ),
    "Zeros were added at the ends: the first two steps and the last two have "
    "no mean of five.": lambda r, loss: (
        r[np.argmin(np.convolve(loss, np.ones(5) / 5, "same"))] / 3
    ),
    "That is a third of the step's number. Return the rate of that "
    "step.": lambda r, loss: lowest_at(r, loss, center=True) / 3,
    "That is the step's number. Return a third of the rate of that "
    "step.": lambda r, loss: lowest_at(r, loss, center=True),
}

# %% nbgrader={"grade": true, "grade_id": "pick_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "rate picked",
    pick_rate,
    expected=pick_oracle,
    cases=tests,
    mistakes=pick_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_rates = np.geomspace(0.001, 1, 9)
hidden_losses = np.array([2.0, 0.1, 2.0, 1.5, 1.0, 0.9, 0.8, 1.2, 4.0])
hidden_pick = pick_rate(hidden_rates, hidden_losses)
assert abs(hidden_pick - hidden_rates[5] / 3) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: a spike (1 point)

A large run has a gradient norm of about 0.4. At step 12,000 one batch gives 60, the loss leaps, and a day of training is lost before it is back. Clipping by global norm is on, with a cap of 100. You start again from the last saved weights. Which one change do you make?

- A: a cap of 1.
- B: a learning rate ten times smaller, to the end.
- C: a longer warm-up at the start of the schedule.
- D: a cap of 0.01.
"""

# %% nbgrader={"grade": false, "grade_id": "spike", "locked": false, "schema_version": 3, "solution": true, "task": false}
letter = ...
### BEGIN SOLUTION
letter = "A"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "spike_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
caps = {"A": 1.0, "B": 100.0, "C": 100.0, "D": 0.01}
touched = {k: (cap < 0.4) + 2 * (cap > 60) for k, cap in caps.items()}
checks.value(
    "after the spike",
    letter,
    expected=min(touched, key=touched.get),
    mistakes={
        "That makes every later step ten times shorter because of one "
        "batch.": "B",
        "The warm-up was over thousands of steps ago.": "C",
        "With this cap every ordinary step is cut to a fortieth: it is a "
        "smaller rate in disguise.": "D",
    },
)
### BEGIN HIDDEN TESTS
assert str(letter).strip().upper() == "A"
### END HIDDEN TESTS
