# %% [markdown]
r"""
# Exercises: the multilayer perceptron

Five questions on [chapter 05](../05_mlp.ipynb), 12 points, about 60 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %%
import keras
import numpy as np
import pandas as pd

from course_lib import checks, data, training

# %%
digits = data.load("mnist")
x_all = digits.x_train.reshape(60000, 784).astype("float32") / 255
y_all = digits.y_train.astype("int32")
x_fit, y_fit = x_all[:55000], y_all[:55000]
x_valid, y_valid = x_all[55000:], y_all[55000:]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
print("to learn from:", x_fit.shape, " to judge with:", x_valid.shape)

# %% [markdown]
r"""
## Question 1: count parameters (2 points)

`sizes` lists the widths of a multilayer perceptron from the inputs to the outputs, for example `[784, 256, 128, 10]`. Return the number of its parameters.
"""


# %% nbgrader={"grade": false, "grade_id": "count_parameters", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count_parameters(sizes):
    """Weights and biases of dense layers with the given widths; returns an int."""
    ### BEGIN SOLUTION
    total = 0
    for i in range(len(sizes) - 1):
        total += sizes[i] * sizes[i + 1] + sizes[i + 1]
    return total
    ### END SOLUTION


# %%
def by_keras(sizes):
    inputs = outputs = keras.Input((sizes[0],))
    for width in sizes[1:]:
        outputs = keras.layers.Dense(width)(outputs)
    return keras.Model(inputs, outputs).count_params()


# %%
parameter_mistakes = {
    "The biases are missing: one for each output of each layer.": lambda s: (
        by_keras(s) - sum(s[1:])
    ),
    "The inputs have no biases; only units that add up do.": lambda s: (
        by_keras(s) + s[0]
    ),
    "A layer has a bias for each of its units, not one for all.": lambda s: (
        by_keras(s) - sum(s[1:]) + len(s) - 1
    ),
    "Biases go with a layer's outputs, not with its inputs.": lambda s: (
        by_keras(s) + s[0] - s[-1]
    ),
    "The last layer is missing; it has weights and biases as well.": lambda s: (
        by_keras(s[:-1])
    ),
}

# %% nbgrader={"grade": true, "grade_id": "count_parameters_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "parameters of a perceptron",
    count_parameters,
    expected=by_keras,
    cases=[([784, 256, 128, 10],), ([8, 7, 6],), ([8, 7, 6, 5],)],
    mistakes=parameter_mistakes,
)
### BEGIN HIDDEN TESTS
assert count_parameters([784, 256, 128, 10]) == 235_146
assert count_parameters([3, 4]) == 16
assert count_parameters([5, 4, 3, 2]) == 47
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: build to a budget (4 points)

A device has room for 50,000 parameters. First the arithmetic: in the network 784-$h$-$h$-10, with two hidden layers of the same width, what is the largest $h$ that fits?
"""

# %% nbgrader={"grade": false, "grade_id": "units", "locked": false, "schema_version": 3, "solution": true, "task": false}
units = ...
### BEGIN SOLUTION
units = max(h for h in range(1, 200) if h * h + 796 * h + 10 <= 50_000)
### END SOLUTION


# %%
def widest(num_hidden, budget=50_000):
    """Largest width that fits, by asking Keras for ever narrower networks."""
    for h in range(70, 0, -1):
        if by_keras([784, *[h] * num_hidden, 10]) <= budget:
            return h


# %% nbgrader={"grade": true, "grade_id": "units_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "units in each hidden layer",
    units,
    expected=widest(2),
    mistakes={
        "One unit too many: this network is over the budget.": widest(2) + 1,
        "One more unit would still fit.": widest(2) - 1,
        "That is for a single hidden layer. The second one has weights too.": (
            widest(1)
        ),
    },
)
### BEGIN HIDDEN TESTS
assert units == 58
### END HIDDEN TESTS

# %% [markdown]
r"""
Now build a network of at most 50,000 parameters, of any shape that you like, which reads at least 96.5 % of the 5,000 validation digits after three epochs. Return it uncompiled, from 784 inputs to 10 *logits*; the check below trains it with the one-cycle recipe of the lesson.
"""


# %% nbgrader={"grade": false, "grade_id": "small_network", "locked": false, "schema_version": 3, "solution": true, "task": false}
def small_network():
    """A keras.Model from (batch, 784) to logits (batch, 10)."""
    ### BEGIN SOLUTION
    return keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(58, activation="relu"),
            keras.layers.Dense(58, activation="relu"),
            keras.layers.Dense(10, dtype="float32"),
        ]
    )
    ### END SOLUTION


# %%
def outputs_of(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def judge(model):
    """Train and judge a network: "good", or what is wrong with it."""
    outputs = outputs_of(model, x_valid[:100])
    if outputs.shape != (100, 10):
        return "shape"
    if model.count_params() > 50_000:
        return "budget"
    if np.allclose(outputs.sum(axis=1), 1, atol=1e-2):
        return "softmax"
    if outputs.min() >= 0:
        return "bent"
    rate = training.one_cycle(0.01, 3 * 215)
    optimizer = keras.optimizers.Adam(rate)
    recipe = {"optimizer": optimizer, "loss": cross_entropy}
    training.fit(model, x_fit, y_fit, epochs=3, batch_size=256, **recipe)
    guesses = outputs_of(model, x_valid).argmax(axis=1)
    return "good" if np.mean(guesses == y_valid) >= 0.965 else "weak"


# %%
def attempt():
    """Judge the network once for the check below."""
    if not verdicts:
        keras.utils.set_random_seed(0)
        verdicts.append(judge(small_network()))
    return verdicts[0]


# %% nbgrader={"grade": true, "grade_id": "small_network_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
verdicts = []
checks.function(
    "a small network that reads",
    attempt,
    expected=lambda: "good",
    cases=[()],
    mistakes={
        "It has more than 50,000 parameters. Where do most of them sit?": lambda: (
            "budget"
        ),
        "Expected 10 outputs for each image of 784 numbers.": lambda: "shape",
        "The outputs of each image add up to 1, so they are probabilities; "
        "the loss wants logits.": lambda: "softmax",
        "No output is ever negative: leave the last layer without an "
        "activation.": lambda: "bent",
        "It fits, but reads less than 96.5 %. Has every hidden layer a bend? "
        "Is the budget used?": lambda: "weak",
    },
)
### BEGIN HIDDEN TESTS
assert attempt() == "good"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: the floor under softmax twice (2 points)

Someone ends the network with a softmax *and* uses a loss with `from_logits=True`. The loss then takes the ten probabilities for logits and puts a second softmax over them. Even a perfect network, with probability 1 for the right class and 0 for the others, has a loss above zero. Return it, for any number of classes.
"""


# %% nbgrader={"grade": false, "grade_id": "floor", "locked": false, "schema_version": 3, "solution": true, "task": false}
def floor(num_classes):
    """Loss, in nats, of a perfect network under softmax twice."""
    ### BEGIN SOLUTION
    return -np.log(np.e / (np.e + num_classes - 1))
    ### END SOLUTION


# %%
def floor_by_keras(num_classes):
    perfect = np.eye(num_classes, dtype="float32")[:1]  # (1, num_classes)
    return float(cross_entropy(np.array([0]), perfect))


# %% nbgrader={"grade": true, "grade_id": "floor_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "floor of the loss",
    floor,
    expected=floor_by_keras,
    cases=[(10,), (2,), (1000,)],
    tolerance=1e-4,
    mistakes={
        "That is the probability of the right class. The loss is minus its "
        "logarithm.": lambda k: np.exp(-floor_by_keras(k)),
        "A logit of 0 is not a share of 0: the second softmax raises e to it.": (
            lambda k: 0.0
        ),
        "Count the other classes: one of them all is the right one.": lambda k: (
            floor_by_keras(k + 1)
        ),
        "That is a network that knows nothing. This one is perfect.": lambda k: (
            np.log(k)
        ),
    },
)
### BEGIN HIDDEN TESTS
assert abs(floor(10) - 1.4612) < 1e-3
assert abs(floor(100) - 3.6219) < 1e-3
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: three patients (3 points)

Three networks do not learn: they stay near 10 % on the validation digits. Each has one of three faults, and a draw decides which patient has which:

- `"labels"`: the labels were shuffled, the images were not;
- `"rate"`: the learning rate is far too large;
- `"softmax"`: softmax twice, as in question 3.

The next cell examines each patient. It trains it for two epochs on 4,000 images, with plain gradient descent, and then trains a fresh copy with the same fault on only 20 images, again and again, until it should know them by heart.
"""


# %%
def loss_of_logits(y, outputs):
    right = keras.ops.one_hot(keras.ops.cast(y, "int32"), 10)
    return -keras.ops.sum(right * keras.ops.log_softmax(outputs), axis=-1)


def trained(fault, x, y, rate, **options):
    """Train a fresh network with the fault; returns it and its history."""
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(n, activation="relu") for n in (256, 128)]
    last = "softmax" if fault == "softmax" else None
    last = keras.layers.Dense(10, activation=last, dtype="float32")
    model = keras.Sequential([keras.Input((784,)), *hidden, last])
    rate = 3.0 if fault == "rate" else rate
    options |= {"optimizer": keras.optimizers.SGD(rate), "loss": loss_of_logits}
    try:
        return model, training.fit(model, x, y, **options).history
    except training.NonFiniteLoss as stopped:  # one fault may go that far
        return model, stopped.result.history


# %%
def examine(fault):
    """One patient's findings, as a dict."""
    rng = np.random.default_rng(5)
    y = rng.permutation(y_fit) if fault == "labels" else y_fit
    model, history = trained(
        fault, x_fit[:4000], y[:4000], 0.01, epochs=2, batch_size=100
    )
    right = outputs_of(model, x_valid).argmax(axis=1) == y_valid
    again = np.tile(np.arange(20), 400)  # the same 20 images, 400 times
    options = {"epochs": 1, "batch_size": 20}
    learner, _ = trained(fault, x_fit[again], y[again], 0.1, **options)
    outputs = outputs_of(learner, x_fit[:20])
    known = keras.ops.convert_to_numpy(loss_of_logits(y[:20], outputs))
    return {
        "loss, epoch 1": f"{history['loss'].iloc[0]:.4g}",
        "loss, last epoch": f"{history['loss'].iloc[-1]:.4g}",
        "validation accuracy, %": f"{100 * right.mean():.0f}",
        "loss on 20 images learned by heart": f"{known.mean():.3g}",
    }


# %% tags=["nbval-ignore-output"]
faults = ["labels", "rate", "softmax"]
draw = np.random.default_rng(5050).permutation(3)
ward = {patient: faults[i] for patient, i in zip("ABC", draw, strict=True)}
pd.DataFrame({patient: examine(fault) for patient, fault in ward.items()})

# %% [markdown]
r"""
Which fault has each patient: `"labels"`, `"rate"` or `"softmax"`? Think about what each fault must do to the first loss, and what it can and cannot do to 20 images with fixed labels, right or wrong.
"""

# %% nbgrader={"grade": false, "grade_id": "diagnoses", "locked": false, "schema_version": 3, "solution": true, "task": false}
patient_a, patient_b, patient_c = ..., ..., ...
### BEGIN SOLUTION
patient_a, patient_b, patient_c = "rate", "softmax", "labels"
### END SOLUTION

# %%
# (said, true): why not
hints = {
    ("labels", "rate"): "Wrong labels that stay the same do not make "
    "a loss explode.",
    ("labels", "softmax"): "Wrong labels can be learned by heart like right "
    "ones; these 20 images stop at a loss well above zero.",
    ("rate", "labels"): "Steps that are far too large would prevent learning "
    "by heart too.",
}

# %%
hints |= {
    ("rate", "softmax"): "Look at the losses: nothing here ever grew. "
    "Something keeps them from falling.",
    ("softmax", "labels"): "Softmax twice has a floor (question 3); these 20 "
    "images are far below it.",
    ("softmax", "rate"): "Softmax twice keeps every loss between its floor "
    "and 3; compare the first epoch.",
}


# %% nbgrader={"grade": true, "grade_id": "diagnoses_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def check_patient(name, said):
    true = ward[name]
    mistakes = {
        hint: wrong for (wrong, fault), hint in hints.items() if fault == true
    }
    checks.value(f"patient {name}", said, expected=true, mistakes=mistakes)


check_patient("A", patient_a)
check_patient("B", patient_b)
check_patient("C", patient_c)
### BEGIN HIDDEN TESTS
_said = [
    str(said).strip().lower() for said in (patient_a, patient_b, patient_c)
]
assert _said == [ward["A"], ward["B"], ward["C"]]
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: which one do you ship? (1 point)

On 5,000 validation images, network P reads 97.9 % and network Q, twice as slow, 98.1 %. Between them, 60 images are read right by Q alone and 50 by P alone. What do you conclude?

- `"a"`: Q is better: 10 images more are 10 images more.
- `"b"`: The difference is smaller than its error bar, so take the faster P, or measure on more images.
- `"c"`: The two are equally good: the difference is noise, so it is zero.
- `"d"`: Ask the test set which of the two is better, and take that one.
"""

# %% nbgrader={"grade": false, "grade_id": "ship", "locked": false, "schema_version": 3, "solution": true, "task": false}
conclusion = ...
### BEGIN SOLUTION
conclusion = "b"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "ship_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
bar = 1.96 * np.sqrt(60 + 50)  # images
checks.value(
    "which one to ship",
    conclusion,
    expected="b" if bar > 60 - 50 else "a",
    mistakes={
        "Toss 110 coins: a difference of 10 is an ordinary result.": "a",
        "Noise says that you cannot tell, not that there is nothing to tell.": "c",
        "A test set that has chosen can no longer judge what it chose.": "d",
    },
)
### BEGIN HIDDEN TESTS
assert str(conclusion).strip().lower() == "b"
### END HIDDEN TESTS
