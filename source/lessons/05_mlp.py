# %% [markdown]
r"""
# The multilayer perceptron

In a GPT, about two thirds of the parameters of every block sit in a network like the one on this page: what you learn to build, count, train and doubt here is most of a large model by weight.
"""

# %% [markdown]
r"""
## You will be able to

- build, train, save and reload a network in Keras that reads about 98 % of 10,000 handwritten digits it has never seen;
- compute a layer three ways, write a network in Keras's three styles, and show that they are the same function;
- count its parameters and its operations by hand, and say how far a run stays below the machine's limit;
- choose between recipes on a validation set, tell a gain from luck, and touch the test set once;
- catch a wrong loss before the first training step, from one number.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 00](00_start_here.ipynb) for the four steps of training, [chapter 01](01_data.ipynb) for the three parts of a data set, [chapter 02](02_gradient_descent.ipynb) for mini-batches, the learning rate and Adam. [Chapter 03](03_losses_and_activations.ipynb) derives the loss and [chapter 04](04_backpropagation.ipynb) the gradients; the little that is needed of both is recalled here. From mathematics: the product of a matrix and a vector, and the logarithm.
"""

# %% [markdown]
r"""
## Budget

40 minutes to read · about 40 s to run on two CPU cores · 3 GB of memory
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %% tags=["benchmark"]
import itertools
import pathlib
import tempfile
import time

import keras
import numpy as np
import pandas as pd

from course_lib import checks, data, plots, training

# %% [markdown]
r"""
## The digits, in three parts

The network reads a row of numbers, not a picture. So each image of 28 × 28 pixels is unrolled into 784 numbers, and these are scaled from 0…255 to 0…1. You do it once, in NumPy, before any training.
"""


# %%
def flat(images):
    """Unroll (n, 28, 28) bytes into (n, 784) floats from 0 to 1."""
    return np.divide(images.reshape(len(images), -1), 255, dtype="float32")


digits = data.load("mnist")
x_train, y_train = flat(digits.x_train), digits.y_train.astype("int32")
x_test, y_test = flat(digits.x_test), digits.y_test.astype("int32")
print(x_train.shape, x_train.dtype, "from", x_train.min(), "to", x_train.max())

# %% [markdown]
r"""
You will compare several recipes in this chapter, and each comparison is a choice. If you chose on the test images, the test would no longer tell how the winner does on digits that nobody has looked at. So 5,000 training images, drawn at random, are held out as the validation set: every choice is made on them. The test set stays shut until the recipe is fixed.
"""

# %%
order = np.random.default_rng(0).permutation(len(x_train))
to_choose, to_learn = order[:5000], order[5000:]  # rows of the training set
x_valid, y_valid = x_train[to_choose], y_train[to_choose]
print("to learn from: ", to_learn.shape)
print("to choose with:", x_valid.shape)
print("kept shut:     ", x_test.shape)

# %% [markdown]
r"""
## One layer, three times

A dense layer has $n$ inputs $x_i$ and $m$ outputs $z_j$. Every output weighs every input and adds a bias of its own:

$$z_j = \sum_{i=1}^{n} x_i W_{ij} + b_j$$

Write that down word by word: a loop over the outputs, in it a loop over the inputs.
"""


# %%
def layer_with_loops(x, W, b):
    """x (n,), W (n, m), b (m,) → z (m,)."""
    z = np.zeros(len(b))
    for j in range(len(b)):
        for i in range(len(x)):
            z[j] += x[i] * W[i, j]
        z[j] += b[j]
    return z


x = np.array([1.0, 2.0, 3.0])
W = np.array([[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]])
b = np.array([0.5, -0.1])
print("x", x.shape, "W", W.shape, "→ z", layer_with_loops(x, W, b).round(3))

# %% [markdown]
r"""
The double sum is a matrix product, $z = xW + b$. It also takes a whole batch at once: with 32 images as the rows of $X$, the product $XW$ has 32 rows of outputs, and $b$ is added to each row. Keras calls the same thing `Dense`. Now at full size, the first layer of this chapter's network: 784 inputs, 256 outputs.
"""

# %%
rng = np.random.default_rng(1)
W1 = rng.normal(0, 0.05, size=(784, 256)).astype("float32")
b1 = rng.normal(0, 0.05, size=256).astype("float32")
batch = x_train[:32]

layer = keras.layers.Dense(256, dtype="float32")
layer.build((None, 784))
layer.set_weights([W1, b1])

by_matrix = batch @ W1 + b1
by_layer = keras.ops.convert_to_numpy(layer(batch))
by_loops = layer_with_loops(batch[0], W1, b1)
print(
    "batch", batch.shape, "@ W", W1.shape, "+ b", b1.shape, "→", by_matrix.shape
)
checks.agree("loop, matrix and layer", by_loops, by_matrix[0], by_layer[0])
checks.agree("matrix and layer, all 32 images", by_matrix, by_layer)

# %% [markdown]
r"""
The loop did one image of the 32, and you may have noticed that it took its time: 200,704 multiplications in Python. The matrix product hands them to code that uses every arithmetic unit of the processor.

Two dense layers in a row would be no more than one, because the product of two matrices is a matrix. What makes depth worth something is a bend between them. Here it is the ReLU, $\max(0, z)$: a unit whose sum is negative stays silent.
"""

# %%
relu = np.maximum(0, by_matrix)
layer.activation = keras.activations.relu
checks.agree(
    "ReLU by hand and in the layer",
    relu,
    keras.ops.convert_to_numpy(layer(batch)),
)

# %% [markdown]
r"""
A **multilayer perceptron** (MLP) is dense layers with such a bend after each but the last. Ours has 784 inputs, hidden layers of 256 and 128 units, and 10 outputs.

## Ten scores, one loss

The last layer's ten numbers are logits: scores, one a digit, of any size and sign. Softmax turns them into probabilities, $\hat y_k = e^{z_k} / \sum_j e^{z_j}$, and cross-entropy is the price of the right digit's probability, $L = -\ln \hat y_{\text{right}}$: nothing if the network was certain and right, much if it was certain and wrong. Keras does both in one stable step if you say `from_logits=True`. [Chapter 03](03_losses_and_activations.ipynb) derives them; here is one image by hand.
"""

# %%
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def cross_entropy_by_hand(label, z):
    probabilities = np.exp(z) / np.exp(z).sum()
    return -np.log(probabilities[label])


z = np.array([0.0, 1.0, 0.5, 3.0, 0.0, 0.0, -1.0, 0.0, 2.0, 0.0])
for label in (3, 8, 6):
    print(
        f"the digit is a {label}: loss {cross_entropy_by_hand(label, z):.3f} nats"
    )
by_keras = cross_entropy(np.array([3]), z[None])
checks.agree(
    "by hand and Keras",
    cross_entropy_by_hand(3, z),
    keras.ops.convert_to_numpy(by_keras),
)

# %% [markdown]
r"""
The scores favour 3, so a 3 is cheap, an 8 costs more, and a 6 most. (A nat is the unit of a natural logarithm.) Backpropagation, which [chapter 04](04_backpropagation.ipynb) builds, gives the derivative of this loss by every weight, and the optimizer of chapter 02 takes the step.

## The same network, in three styles

Keras has three ways to say what a network is. **Sequential** is a list of layers, for networks that are a list.
"""

# %%
sequential = keras.Sequential(
    [
        keras.Input(shape=(784,)),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, dtype="float32"),
    ]
)
print(sequential.output_shape)

# %% [markdown]
r"""
`None` is the batch: any number of images. The last layer has no activation, because the loss wants logits; its `float32` matters only on accelerators, where the other layers may compute in 16 bits.

**Functional** style calls layers on symbolic inputs. It draws any graph: branches, several inputs, connections that skip a layer.
"""

# %%
inputs = keras.Input(shape=(784,))
hidden = keras.layers.Dense(256, activation="relu")(inputs)
hidden = keras.layers.Dense(128, activation="relu")(hidden)
functional = keras.Model(
    inputs, keras.layers.Dense(10, dtype="float32")(hidden)
)
print(functional.output_shape)

# %% [markdown]
r"""
A **subclassed** model is Python: layers in `__init__`, the way forward in `call`, with whatever loops and conditions you need. Keras cannot see its graph before it has run once, so it is built by calling it.
"""


# %%
class Perceptron(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = keras.layers.Dense(256, activation="relu")
        self.second = keras.layers.Dense(128, activation="relu")
        self.last = keras.layers.Dense(10, dtype="float32")

    def call(self, x):
        return self.last(self.second(self.first(x)))


subclassed = Perceptron()
print(subclassed(x_train[:2]).shape)

# %% [markdown]
r"""
> **Predict, then run.** The three models hold three different sets of random weights. You copy the weights of the first into the others. Their outputs on 1,000 digits are then
> (a) the same, (b) close, because the styles train differently, (c) different, because a subclassed model is not compiled?
"""

# %%
functional.set_weights(sequential.get_weights())
subclassed.set_weights(sequential.get_weights())
outputs = [
    keras.ops.convert_to_numpy(model(x_train[:1000]))
    for model in (sequential, functional, subclassed)
]
checks.agree("sequential, functional and subclassed", *outputs)

# %% [markdown]
r"""
**Answer: (a).** A network is its weights and its formula; the style is how you wrote it down. (b) tempts those who have seen two trainings differ, but nothing was trained here. Use Sequential for a list, functional by default, and subclassing where the way forward is a program.

## Count the parameters

A dense layer from $n$ to $m$ has a weight for each pair and a bias for each output: $nm + m$.

> **Predict, then run.** Which share of all parameters is in the first layer?
> (a) a third, as there are three layers, (b) a half, (c) 85 %?
"""

# %%
sizes = [784, 256, 128, 10]
rows = []
for n, m in itertools.pairwise(sizes):
    rows.append(
        {"layer": f"{n} → {m}", "weights": n * m, "biases": m, "sum": n * m + m}
    )
counted = pd.DataFrame(rows).set_index("layer")
counted["share, %"] = (100 * counted["sum"] / counted["sum"].sum()).round(1)
counted.map("{:,.10g}".format)

# %%
by_hand = int(counted["sum"].sum())
print(f"by hand {by_hand:,}, Keras {sequential.count_params():,}")
checks.agree(
    "parameters by hand and by Keras",
    by_hand,
    sequential.count_params(),
    tolerance=0,
)
checks.claim(
    "share of the first layer",
    counted["sum"].iloc[0] / by_hand,
    at_least=0.85,
    at_most=0.86,
)

# %% [markdown]
r"""
**Answer: (c).** 235,146 parameters, four bytes each, and most of them look at raw pixels. Whoever wants a smaller network starts with the first hidden layer. (a) counts layers as if they were alike; what counts is the product of the two sizes.

## Before training: what must the loss be?

A network that knows nothing should find all ten digits about equally likely, and then the loss is $-\ln\frac{1}{10} = \ln 10 = 2.303$. This costs one line, and it finds a wrong loss or unscaled inputs before you have waited for anything.
"""


# %%
def build(dropout=0.0, seed=run.seed):
    """784-256-128-10 with fresh weights; the output is logits, (batch, 10)."""
    keras.utils.set_random_seed(seed)
    inputs = hidden = keras.Input(shape=(784,))
    for units in (256, 128):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
        hidden = keras.layers.Dropout(dropout)(hidden) if dropout else hidden
    return keras.Model(inputs, keras.layers.Dense(10, dtype="float32")(hidden))


def logits_of(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


first_loss = float(cross_entropy(y_valid, logits_of(build(), x_valid)))
checks.claim(
    "loss before training, nats", first_loss, at_least=2.2, at_most=2.6
)

# %% [markdown]
r"""
It is a little above $\ln 10$, as the random weights prefer some digits to others by accident. Keep the number in mind: in **Spot the bug** it saves you an afternoon. (`dropout` in `build` waits for its section.)

## The way articles train it

Articles that introduce this network often report a training loss of 0.70 after the first epoch that falls to 0.16 after the tenth, and leave it at that. An epoch is one pass over the training images. Which recipe gives such numbers? The textbook's: plain gradient descent, $\theta \leftarrow \theta - \alpha \nabla L$, in batches of 64 with $\alpha = 0.01$. The course's `training.fit` compiles the model, feeds it, and keeps a history with a row an epoch.
"""

# %% tags=["nbval-ignore-output"]
article_model = build()
article = training.fit(
    article_model,
    x_train,
    y_train,
    epochs=10,
    batch_size=64,
    seed=run.seed,
    optimizer=keras.optimizers.SGD(0.01),
    loss=cross_entropy,
)
article.history.set_index("epoch").map("{:.3f}".format)

# %%
checks.claim(
    "article's recipe, loss of epoch 1",
    article.history["loss"].iloc[0],
    at_least=0.7,
    at_most=0.95,
)
checks.claim(
    "article's recipe, loss of epoch 10",
    article.history["loss"].iloc[-1],
    at_least=0.15,
    at_most=0.18,
)

# %% [markdown]
r"""
The tenth epoch agrees with the articles. The first is of their size and above it; it depends on how the weights were drawn, and on whether an epoch's loss is its average (as here) or its last batch. Such a report leaves three things open. The loss is still falling, so training stopped too early or too slow. A training loss does not say how the network does on new digits. And nothing else was tried. You will do all three.

## Four knobs, the same budget

Here are four things people turn, each against the same start: Adam with its usual $\alpha = 0.001$, batch 256, two epochs. To keep eight runs short, each reads the same 12,000 images twice; all are judged on the 5,000 validation images.

- **The batch size.** A smaller batch gives more steps for the same images, each step noisier.
- **Dropout** silences each hidden unit with probability $p$ in training, so that no unit can rely on one other; the survivors are scaled by $1/(1-p)$ so that sums keep their size, and in use nothing is dropped.
- **Weight decay** shrinks every weight a little at each step: $\theta \leftarrow (1 - \alpha\lambda)\,\theta$, then Adam's step. That is AdamW; Keras proposes $\lambda = 0.004$.
- **One-cycle learning rate.** $\alpha$ rises from a low value to a peak eight times the usual rate, then falls along a cosine to zero: large steps while there is far to go, small ones to settle.

Dropout first, on something tiny: ten ones, $p = 0.2$.
"""

# %% tags=["nbval-ignore-output"]
ones = np.ones((1, 10), dtype="float32")
drop = keras.layers.Dropout(0.2, seed=3, dtype="float32")
print("in training:", keras.ops.convert_to_numpy(drop(ones, training=True)))
print("in use:     ", keras.ops.convert_to_numpy(drop(ones, training=False)))

# %% [markdown]
r"""
The survivors are 1.25, so that the expected sum stays 10. Next, the learning rate over the 94 steps of the budget.
"""

# %%
x_some, y_some = x_train[to_learn[:12000]], y_train[to_learn[:12000]]
# two epochs; the last batch of each is smaller, hence the rounding up
num_steps = 2 * -(-len(x_some) // 256)
steps = np.arange(0, num_steps, 4)
cycle = training.one_cycle(0.008, num_steps)
rates = np.array([float(cycle(step)) for step in steps])
fig, axes = plots.figure(width=5.5, height=2.4)
series = {"one-cycle": rates, "constant": np.full(len(rates), 0.001)}
plots.lines(axes, steps, series, xlabel="step", ylabel="learning rate α")
plots.show(
    fig,
    "One-cycle climbs to 0.008 in the first 30 % of the steps "
    "and is back at zero at the end.",
)

# %% [markdown]
r"""
How do you tell a gain from luck? An accuracy $p$ on $n$ images has an error bar of $\pm 1.96\sqrt{p(1-p)/n}$: 19 times out of 20, the accuracy on endlessly many images lies within it. For two models on the *same* images you can do better, because most images say nothing: both are right. What counts are the $g$ images **gained** and the $l$ **lost**. If the models were equally good, each of these would be a coin toss, so the difference $g - l$ has an error bar of $\pm 1.96\sqrt{g + l}$.
"""


# %%
def error_bar(p, n):
    return 1.96 * np.sqrt(p * (1 - p) / n)


def compare(right, before):
    """Difference in points, error bar, verdict, from two (n,) bool arrays."""
    gained, lost = np.sum(right & ~before), np.sum(~right & before)
    difference = float(gained - lost) / len(right) * 100
    bar = float(1.96 * np.sqrt(gained + lost)) / len(right) * 100
    verdict = "better" if difference > 0 else "worse"
    return difference, bar, "undecided" if abs(difference) <= bar else verdict


before = np.repeat([True, False], [4800, 200])
after = np.repeat([False, True, False], [20, 4840, 140])  # 20 lost, 60 gained
difference, bar, verdict = compare(after, before)
print(f"96 % of 5,000: ± {100 * error_bar(0.96, 5000):.2f} points")
print(f"60 gained, 20 lost: {difference:+.2f} ± {bar:.2f} points, {verdict}")

# %% [markdown]
r"""
One function does every run. (In Keras, Adam with a `weight_decay` is AdamW; with `None` there is no decay to compute.)
"""


# %%
def train(
    *,
    batch_size=256,
    dropout=0.0,
    decay=None,
    rate=0.001,
    loss=cross_entropy,
    seed=run.seed,
):
    """Two epochs; returns the run and which validation images are right."""
    model = build(dropout, seed)
    result = training.fit(
        model,
        x_some,
        y_some,
        epochs=2,
        batch_size=batch_size,
        seed=seed,
        optimizer=keras.optimizers.Adam(rate, weight_decay=decay),
        loss=loss,
    )
    return result, logits_of(model, x_valid).argmax(axis=1) == y_valid


# %% [markdown]
r"""
> **Predict, then run.** Two epochs each, everything else equal. Which of these helps most?
> (a) batch 64, (b) dropout 0.2, (c) weight decay 0.004, (d) one-cycle.
> And how far apart are two runs of the *same* recipe with different random weights?
"""

# %% tags=["nbval-ignore-output"]
recipes = {
    "start: Adam, batch 256": {},
    "the same, another seed": {"seed": run.seed + 1000},
    "batch 64": {"batch_size": 64},
    "batch 1,024": {"batch_size": 1024},
    "dropout 0.2": {"dropout": 0.2},
    "weight decay 0.004": {"decay": 0.004},
    "constant 0.003": {"rate": 0.003},
    "one-cycle": {"rate": cycle},
}
runs, correct = {}, {}
for name, recipe in recipes.items():
    runs[name], correct[name] = train(**recipe)
start = correct["start: Adam, batch 256"]
compared = {name: compare(right, start) for name, right in correct.items()}

# %% tags=["nbval-ignore-output"]
rows = {}
for name, (difference, bar, verdict) in compared.items():
    rows[name] = {
        "validation accuracy, %": f"{100 * correct[name].mean():.2f}",
        "difference, points": f"{difference:+.2f} ± {bar:.2f}",
        "verdict": verdict,
        "training loss": f"{runs[name].history['loss'].iloc[-1]:.3f}",
        "images/s": f"{runs[name].examples_per_second:,.0f}",
    }
table = pd.DataFrame(rows).T
table.iloc[0, 1:3] = "–"  # the start, compared with itself
table

# %%
bands = {
    "one-cycle": (0.5, 3.0),
    "constant 0.003": (0.2, 2.4),
    "batch 64": (-0.8, 2.8),
    "batch 1,024": (-6.5, -2.5),
    "dropout 0.2": (-1.6, 0.6),
    "weight decay 0.004": (-0.4, 0.4),
    "the same, another seed": (-1.8, 1.8),
}
for name, (low, high) in bands.items():
    checks.claim(
        f"points gained by {name}",
        compared[name][0],
        at_least=low,
        at_most=high,
    )

# %% [markdown]
r"""
**Answer: (d)**, in all ten repetitions of this chapter, with (a) second, sometimes by a hair. Read the table with its second row in hand: a new seed, which changes nothing that one could call better, moves the accuracy too, sometimes by more than half a point. That is the ruler for all other rows. (The error bar in the table knows only about the 5,000 images, not about the random weights.)

- **One-cycle** is a gain at no cost. Read it beside the row *constant 0.003*: most of the gain is the larger rate. What the cycle adds is that a high peak becomes safe, and that the descent to zero takes the last of the noise away.
- **Batch 64** is a gain in nine of the ten: four times the steps for the same images. Weigh it against the images per second that it costs. **Batch 1,024** is a loss in all ten: a quarter of the steps, none of them longer.
- **Dropout** and **weight decay** stay within what another seed can do, dropout on the losing side in all ten. (b) tempts because dropout is in so many recipes. It works against overfitting, and a network that has seen each image twice has hardly begun to overfit; meanwhile its training loss is higher, as it learns with a fifth of its hidden units gone.

For weight decay, arithmetic would have told you without a run. What is left of a weight after 94 steps of shrinking alone?
"""

# %%
for decay in (0.004, 0.1, 1.0):
    left = (1 - 0.001 * decay) ** num_steps
    print(f"λ = {decay}: a weight keeps {left:.1%} of its size")

# %% [markdown]
r"""
At $\lambda = 0.004$ the decay removes less than a tenth of a percent: it cannot matter in so short a run, and in one of a million steps it is everything. A hyperparameter means nothing without the number of steps it acts for.

## Few images, many passes

Dropout and weight decay are made for another situation, so put the network into it: 1,000 images, 12 epochs. Now you need **learning curves**, the loss on training and on validation images after each epoch (2,000 of the latter are enough for a curve).

> **Predict, then run.** The training loss goes to almost nothing. Does the validation loss
> (a) follow it, (b) fall and then stay, (c) fall and then rise?
"""

# %% tags=["nbval-ignore-output"]
few = {
    "no regularisation": (build(), None),
    "dropout 0.5": (build(dropout=0.5), None),
    "weight decay 0.5": (build(), 0.5),
}
small, reached = {}, {}
for name, (model, decay) in few.items():
    small[name] = training.fit(
        model,
        x_some[:1000],
        y_some[:1000],
        epochs=12,
        batch_size=40,
        validation=(x_valid[:2000], y_valid[:2000]),
        seed=run.seed,
        optimizer=keras.optimizers.Adam(0.002, weight_decay=decay),
        loss=cross_entropy,
    ).history
    reached[name] = np.mean(logits_of(model, x_valid).argmax(axis=1) == y_valid)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 2)
epochs = np.arange(1, 13)
labels = {"xlabel": "epoch", "ylabel": "loss (nats)", "xticks": range(2, 13, 2)}
for panel, title in zip(axes, ("training", "validation"), strict=True):
    column = "loss" if title == "training" else "val_loss"
    series = {name: history[column] for name, history in small.items()}
    ylim = (0, 1) if title == "training" else (0.25, 0.6)
    plots.lines(panel, epochs, series, ylim=ylim, title=title, **labels)
finding = (
    "Without regularisation the training loss vanishes while the validation "
    "loss turns and climbs; weight decay and dropout hold it down."
)
plots.show(fig, finding)

# %% tags=["nbval-ignore-output"]
table = pd.DataFrame(index=list(small))
table["training loss"] = [f"{h['loss'].iloc[-1]:.3f}" for h in small.values()]
table["validation loss"] = [
    f"{h['val_loss'].iloc[-1]:.3f}" for h in small.values()
]
table["validation accuracy, %"] = [
    f"{100 * p:.1f} ± {100 * error_bar(p, 5000):.1f}" for p in reached.values()
]
table

# %%
plain = small["no regularisation"]
end = {
    name: h["val_loss"].iloc[-1] / plain["val_loss"].iloc[-1]
    for name, h in small.items()
}
turned = plain["val_loss"].iloc[-1] / plain["val_loss"].min()
checks.claim(
    "training loss, no regularisation", plain["loss"].iloc[-1], at_most=0.01
)
checks.claim("its validation loss, end over lowest", turned, at_least=1.03)
checks.claim(
    "weight decay's validation loss over its",
    end["weight decay 0.5"],
    at_most=0.93,
)
checks.claim(
    "dropout's validation loss over its", end["dropout 0.5"], at_most=1.0
)
gap = max(reached.values()) - min(reached.values())
checks.claim("largest gap in validation accuracy", gap, at_most=0.015)

# %% [markdown]
r"""
**Answer: (c).** The network knows its 1,000 images by heart, all of them right, and goes on pushing their logits apart because that still lowers their loss. On images it does not know, it becomes *certain*, and where it is wrong, certainty is expensive: the validation loss climbs. (a) is what one hopes for; it holds only as long as there is more in the training images than the network can memorise.

Look at the table twice. Weight decay (with a $\lambda$ that the arithmetic says can act in 300 steps) and dropout lower the validation *loss*. The validation *accuracy* moves by a point at most, with an error bar of about three quarters of a point: undecided. What they buy here is not more right answers, it is more honest probabilities. If your product shows a confidence, or refuses to answer below one, that is worth a lot; [chapter 06](06_evaluation.ipynb) measures it. More images would buy more than any of them: with 12,000 you have seen what the same network does.

## The choice, and the test set, once

The choice falls on one-cycle, batch 256, no dropout, no decay. Now nothing is left to choose, so the 5,000 validation images may join the training: **all 60,000 digits**, three epochs, where the article spent ten.
"""

# %% tags=["nbval-ignore-output"]
num_steps = 3 * -(-len(x_train) // 256)
model = build()
ours = training.fit(
    model,
    x_train,
    y_train,
    epochs=3,
    batch_size=256,
    seed=run.seed,
    optimizer=keras.optimizers.Adam(training.one_cycle(0.008, num_steps)),
    loss=cross_entropy,
)
ours.history.set_index("epoch").map("{:.3f}".format)

# %% tags=["nbval-ignore-output"]
loss_of_article = article.history["loss"].to_numpy()
loss_of_ours = ours.history["loss"].to_numpy()
fig, axes = plots.figure(width=5.5, height=2.8)
series = {
    "article: SGD, batch 64, α = 0.01": loss_of_article,
    "ours: Adam, batch 256, one-cycle": np.pad(
        loss_of_ours, (0, 7), constant_values=np.nan
    ),
}
plots.lines(
    axes,
    np.arange(1, 11),
    series,
    xlabel="epoch",
    ylabel="training loss (nats)",
    yscale="log",
)
plots.show(
    fig,
    "The same network on the same images: the one-cycle recipe passes "
    "the article's tenth epoch in its second.",
)

# %% [markdown]
r"""
> **Predict, then run.** The test set has 10,000 digits. The article's network is right on about 95 of 100. Ours gets about
> (a) 96 of 100, (b) 98, (c) 99.9, since its training loss is next to nothing?
"""

# %% tags=["nbval-ignore-output"]
guesses = logits_of(model, x_test).argmax(axis=1)
accuracy = float(np.mean(guesses == y_test))
accuracy_of_article = float(
    np.mean(logits_of(article_model, x_test).argmax(axis=1) == y_test)
)
rights = (accuracy_of_article, accuracy)
both = {"article's recipe": article, "ours": ours}
table = pd.DataFrame(index=list(both))
table["epochs"] = [10, 3]
table["loss, first epoch"] = [
    f"{r.history['loss'].iloc[0]:.2f}" for r in both.values()
]
table["loss, last epoch"] = [
    f"{r.history['loss'].iloc[-1]:.3f}" for r in both.values()
]
table["seconds"] = [f"{r.seconds:.1f}" for r in both.values()]
table["right of 10,000"] = [
    f"{10000 * p:,.0f} ± {10000 * error_bar(p, 10000):.0f}" for p in rights
]
table

# %%
checks.claim(
    "test accuracy", accuracy, at_least=0.978, at_most=0.985, examples=10_000
)
checks.claim(
    "test accuracy of the article's recipe",
    accuracy_of_article,
    at_least=0.94,
    at_most=0.965,
    examples=10_000,
)
passes = int(np.argmax(loss_of_ours < loss_of_article[-1])) + 1
checks.claim(
    "epochs until our training loss is below the article's tenth",
    passes,
    at_most=2,
)
checks.claim("training loss at the end", loss_of_ours[-1], at_most=0.05)

# %% [markdown]
r"""
**Answer: (b).** About 98 % of 10,000, with an error bar of about a quarter of a point: far more than noise away from the article's recipe, for a third of its passes, and fewer seconds. (c) tempts because the *training* loss says nearly perfect. It is an answer about digits that the network has practised; a training accuracy is never a test accuracy. The remaining mistakes are what this architecture leaves on the table: it sees 784 numbers and does not know which pixels are neighbours. Chapter 08 tells it.

## Which digits it confuses

A **confusion matrix** counts, for each true digit, what it was taken for. The right answers on its diagonal would drown everything else, so they are left out.
"""

# %% tags=["nbval-ignore-output"]
confusion = np.zeros((10, 10), dtype=int)
np.add.at(confusion, (y_test, guesses), 1)
mistakes = confusion - np.diag(np.diag(confusion))
names = list(digits.class_names)
fig, axes = plots.figure(width=5.5, height=4)
plots.matrix(
    axes, mistakes, names, names, xlabel="taken for", ylabel="true digit"
)
plots.show(
    fig,
    "Mistakes are not spread evenly: they gather in pairs that look alike, "
    "4 and 9 among them.",
)

# %% tags=["nbval-ignore-output"]
four_or_nine = (
    np.isin(y_test, (4, 9)) & np.isin(guesses, (4, 9)) & (guesses != y_test)
)
seen = np.flatnonzero(four_or_nine)[:10]
titles = [f"{guesses[i]}, not {y_test[i]}" for i in seen]
fig = plots.images(digits.x_test[seen], titles)
plots.show(
    fig,
    "Fours and nines that the network confuses, its answer first: "
    "whether the top of the loop is closed decides.",
)

# %%
share = (mistakes[4, 9] + mistakes[9, 4]) / mistakes.sum()
checks.claim(
    "share of the mistakes that confuse 4 and 9",
    share,
    at_least=0.05,
    at_most=0.25,
)

# %% [markdown]
r"""
There are 45 pairs of digits, so an average pair would have 2.2 % of the mistakes; 4 and 9 have at least twice that. They differ by one stroke at the top, a few pixels out of 784. Such a table tells you what data to collect next, which the accuracy alone never does.

## Save, load, predict

A trained network is worth little if it dies with the notebook. `.keras` is one file with the architecture, the weights and the optimizer's state.
"""

# %% tags=["nbval-ignore-output"]
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / "digits.keras"
    model.save(file)
    size = file.stat().st_size
    loaded = keras.models.load_model(file)
print(
    f"{size / 1e6:.1f} MB, {size / model.count_params():.1f} bytes a parameter"
)

# %%
checks.agree(
    "before saving and after loading",
    logits_of(model, x_test),
    logits_of(loaded, x_test),
)
checks.claim(
    "bytes a parameter in the file",
    size / model.count_params(),
    at_least=12,
    at_most=13,
)

# %% [markdown]
r"""
Twelve bytes a parameter, not four: the file also holds Adam's two moments, so that training can go on where it stopped. A subclassed model is saved in the same way, but whoever loads it needs its Python class.

To ask for one digit, keep the batch dimension: one image is a batch of one, shape (1, 784). Softmax makes probabilities of the logits.
"""

# %% tags=["nbval-ignore-output"]
one = x_test[:1]
logits = loaded.predict(one, verbose=0)
probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))[0]
print("input", one.shape, "→ logits", logits.shape)
print(
    f"a {probabilities.argmax()}, says the network "
    f"with {probabilities.max():.2%}; it is a {y_test[0]}"
)

# %%
checks.claim(
    "sum of the ten probabilities",
    probabilities.sum(),
    at_least=0.9999,
    at_most=1.0001,
)
checks.claim(
    "share of certainty in the first test digit",
    probabilities[7],
    at_least=0.95,
)

# %% [markdown]
r"""
## What the machine did

The rule of [chapter 00](00_start_here.ipynb) says $6ND$ operations for $N$ parameters and $D$ examples: 2 forward, 2 for the gradients of the weights, 2 for the gradients that travel on to the layer below. For this network you can do better than the rule. The first layer has no layer below: nobody needs the derivative by the pixels.
"""

# %%
N = sequential.count_params()
D = 3 * 60_000
products = np.array([n * m for n, m in itertools.pairwise(sizes)])
forward = 2 * products.sum()
backward = 2 * products.sum() + 2 * products[1:].sum()
print(f"6N            = {6 * N:,} operations an image")
print(f"counted       = {forward + backward:,} operations an image")
print(f"whole run     = {(forward + backward) * D / 1e12:.2f}e12 operations")
print(f"counted / 6N  = {(forward + backward) / (6 * N):.2f}")

# %% [markdown]
r"""
Because 85 % of the weights sit in the first layer, the rule is 40 % too high here. In a deep network of equal layers it is nearly exact.

How fast is that? The limit is what the machine reaches in nothing but a large matrix product.

> **Predict, then run.** In which of the trainings does the processor come closest to its limit: batch 64, 256 or 1,024?
"""

# %% tags=["nbval-ignore-output"]
square = keras.ops.convert_to_tensor(
    rng.normal(size=(2048, 2048)).astype("float32")
)
seconds = []
for _ in range(3):
    began = time.perf_counter()
    keras.ops.convert_to_numpy(keras.ops.matmul(square, square)[0, 0])
    seconds.append(time.perf_counter() - began)
limit = 2 * 2048**3 / min(seconds)

speeds = {
    "article: SGD, batch 64": article.examples_per_second,
    "Adam, batch 64": runs["batch 64"].examples_per_second,
    "Adam, batch 256": ours.examples_per_second,
    "Adam, batch 1,024": runs["batch 1,024"].examples_per_second,
}
speed = pd.DataFrame({"images/s": speeds})
speed["GFLOP/s"] = speed["images/s"] * (forward + backward) / 1e9
speed["share of the limit, %"] = 100 * speed["GFLOP/s"] * 1e9 / limit
print(f"the limit: {limit / 1e9:.0f} GFLOP/s")
speed.map("{:,.0f}".format)

# %% [markdown]
r"""
**Answer: 1,024.** The larger the batch, the nearer the limit. 256 tempts, as it was chosen above; but it was chosen for what it learns, not for what it computes. A step has costs that do not depend on the batch: fetching the next images, starting each operation, and Adam's pass over all 235,146 weights with their two moments. Batch 64 pays them four times as often as batch 256. That is the trade of the four knobs in one sentence: small batches learn more from an image, large ones get more images through the machine. On a quiet machine even the best stays well below the limit, which is normal for a network this small. On a GPU the share is smaller still: it would be waiting most of the time.
"""

# %% [markdown]
r"""
## Less work for the same answer

The limit says how fast this arithmetic could go. It does not say that you need this arithmetic. 85 % of it looks at single pixels; yet you can read a digit at half the size. So cut off the empty frame of two pixels, average the rest two by two, and 784 inputs become 144. The rest of the recipe is one-cycle again, with three details that [chapter 08](08_cnn.ipynb) explains: inputs with mean 0 and standard deviation 1, **label smoothing** (the target is 0.91 for the right digit and 0.01 for each other), and a shorter memory for Adam, as the run is short.
"""


# %% tags=["benchmark"]
def half_size(images):
    """Bytes (n, 28, 28) → the middle 24×24 averaged two by two, (n, 144)."""
    middle = images[:, 2:26, 2:26].astype("uint16")
    rows = middle[:, ::2] + middle[:, 1::2]
    sums = (rows[:, :, ::2] + rows[:, :, 1::2]).reshape(len(images), -1)
    return (sums / np.float32(4 * 255) - np.float32(0.1307)) / 0.3081


# %% tags=["benchmark"]
def fast_recipe(images, labels, *, epochs=2, seed=0):
    """144-256-128-10 in a few hundred steps; returns the model and its run."""
    x, y = half_size(images), keras.utils.to_categorical(labels, 10)
    model = keras.Sequential([keras.Input(shape=(144,))])
    for units in (256, 128):
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(10, dtype="float32"))
    rate = training.one_cycle(0.008, epochs * -(-len(x) // 256), warmup=0.15)
    options = {
        "optimizer": keras.optimizers.Adam(rate, beta_1=0.85, beta_2=0.97),
        "loss": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=0.1
        ),
    }
    options |= {"epochs": epochs, "batch_size": 256, "seed": seed}
    return model, training.fit(model, x, y, **options)


# %% [markdown]
r"""
> **Predict, then run.** A third of the parameters, two epochs in place of the article's ten, half-size pictures. Of 5,000 validation digits it reads
> (a) about 90 %, (b) about as many as the article's recipe, 95 %, (c) about 98 %?
"""

# %% tags=["nbval-ignore-output"]
fast_model, fast = fast_recipe(
    digits.x_train[to_learn], y_train[to_learn], seed=run.seed
)
fast_guesses = logits_of(fast_model, half_size(digits.x_train[order[:5000]]))
fast_accuracy = float(np.mean(fast_guesses.argmax(axis=1) == y_valid))
print(f"{fast_model.count_params():,} parameters, {fast.seconds:.1f} s,")
print(f"{fast.examples_per_second:,.0f} images/s, {fast_accuracy:.2%} of 5,000")
print(f"the article's recipe took {article.seconds:.0f} s")

# %%
checks.claim(
    "validation accuracy at half the size",
    fast_accuracy,
    at_least=0.97,
    examples=5000,
)

# %% [markdown]
r"""
**Answer: (c).** (b) tempts because something must be lost with three quarters of the pixels. It is, but neighbouring pixels say nearly the same, and what the recipe gains is more. `benchmarks/mnist_mlp.py` runs the articles' recipe and this one in full, several seeds each. Before you buy a faster machine, ask which part of the work the answer needs.
"""

# %% [markdown]
r"""
## Spot the bug

An article on this network has this code. It runs without an error or a warning, and the reader is told that a longer training will improve the accuracy.

```python
model = keras.Sequential([
    keras.Input((784,)),
    keras.layers.Dense(256, activation="relu"),
    keras.layers.Dense(128, activation="relu"),
    keras.layers.Dense(10),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
```

What is wrong, and which number shows it before the first step? Decide, then go on.
"""

# %% tags=["nbval-ignore-output"]
# what the string stands for
as_published = keras.losses.SparseCategoricalCrossentropy()
losses = {"as published": as_published, "repaired": cross_entropy}
first = {}
for name, loss in losses.items():
    first[name] = float(loss(y_valid, logits_of(build(), x_valid)))
    print(
        f"{name}: loss before training {first[name]:.2f}, expected {np.log(10):.2f}"
    )

# %%
checks.claim(
    "loss before training, as published", first["as published"], at_least=4
)
checks.claim(
    "loss before training, repaired",
    first["repaired"],
    at_least=2.2,
    at_most=2.6,
)

# %% [markdown]
r"""
The loss named by the string expects *probabilities*, and the last layer gives *logits*. Keras does what it is told: it cuts every logit to the range from almost 0 to almost 1 and takes its logarithm. A negative logit becomes almost 0, which costs about 16 nats if it belongs to the right digit; and behind a cut there is no slope, so such an output gets no gradient and stays wrong. Nothing crashes. You see it in the first loss, and you would see it in the accuracy, if you knew what to expect:
"""

# %% tags=["nbval-ignore-output"]
published = train(loss=as_published)[1].mean()
repaired = correct["start: Adam, batch 256"].mean()
print(f"as published: {published:.1%} of 5,000 validation images")
print(f"repaired:     {repaired:.1%}, the first row of the table of knobs")

# %%
checks.claim(
    "validation accuracy as published",
    published,
    at_most=0.88,
    examples=5000,
)
checks.claim(
    "validation accuracy repaired",
    repaired,
    at_least=0.89,
    examples=5000,
)

# %% [markdown]
r"""
Two repairs are right: `SparseCategoricalCrossentropy(from_logits=True)` with a last layer that has no activation, as in this chapter, or the string with `activation="softmax"`. Both at once is the next bug: a softmax of a softmax, whose loss cannot fall below 1.46, because the largest probability it can express is $e/(e + 9) = 0.23$. (On TensorFlow, Keras notices this one and warns you; on other backends nobody does.) The exercises have it.
"""

# %%
floor = -np.log(np.e / (np.e + 9))
print(f"softmax twice: the loss of a perfect network is {floor:.2f} nats")

# %% [markdown]
r"""
## Summary

- **Build, train, save, reload**: 784-256-128-10, all 60,000 digits, three epochs of Adam with a one-cycle rate: about 98 % of 10,000 unseen digits, give or take a quarter of a point; the reloaded file gives the same logits.
- **Three ways for a layer** (loop, matrix, `Dense`) and **three styles for a network** (Sequential, functional, subclassed): the same function, shown by giving them the same weights.
- **235,146 parameters**, $nm + m$ a layer, 85 % of them in the first; 1,007,104 operations an image in training, where $6N$ says 1,410,876. Larger batches come closer to the machine's limit.
- **Choosing**: one-cycle and batch 64 are gains, batch 1,024 is a loss, dropout and weight decay show no gain in two epochs of 12,000 images. With few images and many passes the last two lower the validation loss. All that on the validation set; the test set answered once.
- **The first loss must be about 2.3.** If it is not, do not train: look at the loss, the last layer and the inputs.
"""

# %% [markdown]
r"""
## Going further

- Spend the articles' ten epochs on the one-cycle recipe. Write down first how many of the remaining mistakes you expect to go; compare with the error bar.
- Label smoothing: give the right digit 0.91 and each other 0.01. (`keras.losses.CategoricalCrossentropy(label_smoothing=0.1, from_logits=True)` with one-hot labels.) Look at the validation loss and the accuracy; only one of them improves, and you can say why.
- On a GPU: hidden layers of 4,096 and 4,096, batch 4,096. How close to the limit is it now, and how much of the gain in speed is a gain in accuracy?
"""

# %% [markdown]
r"""
## References

- D. E. Rumelhart, G. E. Hinton, R. J. Williams: *Learning representations by back-propagating errors*. Nature 323, 1986.
- X. Glorot, Y. Bengio: *Understanding the difficulty of training deep feedforward neural networks*. AISTATS 2010. Equation 16 is the initialisation that Keras's `Dense` uses.
- N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: *Dropout: a simple way to prevent neural networks from overfitting*. JMLR 15, 2014. The model in section 4; the scaling during training is in section 10.
- D. P. Kingma, J. Ba: *Adam: a method for stochastic optimization*. ICLR 2015, arXiv:1412.6980. Algorithm 1.
- I. Loshchilov, F. Hutter: *Decoupled weight decay regularization*. ICLR 2019, arXiv:1711.05101. Algorithm 2.
- L. N. Smith, N. Topin: *Super-convergence: very fast training of neural networks using large learning rates*. 2018, arXiv:1708.07120. One-cycle in section 3.
- J. Kaplan and others: *Scaling laws for neural language models*. 2020, arXiv:2001.08361. The $6N$ rule in section 2.1.
- Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: *Gradient-based learning applied to document recognition*. Proceedings of the IEEE 86(11), 1998. Fully connected networks on the same 10,000 digits in section III.
"""
