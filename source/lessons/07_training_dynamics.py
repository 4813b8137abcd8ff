# %% [markdown]
r"""
# Training dynamics

A model with a hundred layers trains today and did not train in 2005. What changed is four or five lines of code: the size of the first random weights, a sum that skips a layer, a division by a standard deviation, a cap on the gradient, a rate that rises before it falls. You measure what each is worth, and then you diagnose five sick runs.
"""

# %% [markdown]
r"""
## You will be able to

- tell from its curves why a training run is sick, and confirm it with one more measurement;
- derive the initial spread of the weights, and measure which of 24 networks of twenty layers let a gradient through;
- write batch, layer and RMS normalisation, and clipping by global norm, and show that Keras does the same;
- find a learning rate with a range test, and give it a warm-up and a descent;
- make a network overfit on purpose, and say what each remedy buys.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 02](02_gradient_descent.ipynb) for the learning rate, [chapter 03](03_losses_and_activations.ipynb) for the sigmoid and the cross-entropy, [chapter 04](04_backpropagation.ipynb) for the backward pass, [chapter 05](05_mlp.ipynb) for `training.fit`, dropout and weight decay. From mathematics: variance, and that the variances of independent numbers add up.
"""

# %% [markdown]
r"""
## Budget

45 minutes to read · about 60 s to run on two CPU cores · 2 GB of memory
"""

# %% [markdown]
r"""
## Setup

This chapter compares digits of gradients, so it computes in `float32` or finer everywhere, on a GPU too.
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0, precision="float32")

# %%
import itertools
import time

import keras
import numpy as np
import pandas as pd

from course_lib import checks, data, plots, training

# %% [markdown]
r"""
The digits are standardised with the training pixels' mean and standard deviation. 20,000 images are for learning, 2,000 others for judging, and 2,000 more stay unused until something was chosen with those; the seed decides which.
"""


# %%
def prepare(images):
    """Bytes (n, 28, 28) → (n, 784) with mean 0 and standard deviation 1."""
    flat = images.reshape(len(images), -1).astype("float32")
    return (flat / 255 - 0.1307) / 0.3081


digits = data.load("mnist")
order = np.random.default_rng(run.seed).permutation(60_000)
x_train = prepare(digits.x_train[order[:20_000]])
y_train = digits.y_train[order[:20_000]].astype("int32")
x_valid = prepare(digits.x_train[order[-2_000:]])
y_valid = digits.y_train[order[-2_000:]].astype("int32")
x_fresh = prepare(digits.x_train[order[-4_000:-2_000]])
y_fresh = digits.y_train[order[-4_000:-2_000]].astype("int32")
print("to learn from:", x_train.shape, x_train.dtype)
print("to judge with:", x_valid.shape)

# %% [markdown]
r"""
## A signal through twenty layers

The network of this chapter brings the 784 pixels to 100 numbers, sends them through **twenty equal layers** of 100 units, and reads ten logits from what comes out. The first and the last matrix never change in the experiments. What changes is the spread (the standard deviation) with which the twenty matrices between them are drawn.
"""

# %%
WIDTH, DEPTH = 100, 20


def draw(spread, seed=run.seed):
    """22 matrices: 784 → 100, twenty times 100 → 100, 100 → 10."""
    rng = np.random.default_rng(seed)
    first = rng.normal(0, np.sqrt(1 / 784), (784, WIDTH))
    twenty = [rng.normal(0, spread, (WIDTH, WIDTH)) for _ in range(DEPTH)]
    last = rng.normal(0, np.sqrt(1 / WIDTH), (WIDTH, 10))
    return [first, *twenty, last]


def size(array):
    """Root of the mean square: how large the numbers are, whatever sign."""
    return float(np.sqrt(np.mean(np.square(array))))


print([matrix.shape for matrix in draw(0.01)][:3], "…")
print(f"size of (3, -4): {size([3.0, -4.0]):.3f}")

# %% [markdown]
r"""
Old articles draw weights with a spread of 0.01, "small and random". Send 128 digits through ReLU layers and note the size of the pre-activations $z$ in each layer.

> **Predict, then run.** The pixels have size 1, the weights 0.01. In the twentieth layer the numbers have a size of about
> (a) 0.2, twenty times 0.01, (b) 0.01, (c) less than $10^{-20}$?
"""


# %%
def sizes_of_z(x, weights):
    """Size of z in each of the twenty layers, with ReLU between them."""
    h, sizes = x @ weights[0], []
    for W in weights[1:-1]:
        z = h @ W
        h = np.maximum(0, z)
        sizes.append(size(z))
    return np.array(sizes)


few = x_train[:128].astype("float64")
spreads = {
    "small, 0.01": 0.01,
    "Glorot, 0.1": np.sqrt(2 / (WIDTH + WIDTH)),
    "He, 0.141": np.sqrt(2 / WIDTH),
    "large, 0.3": 0.3,
}
forward_sizes = {
    name: sizes_of_z(few, draw(spread)) for name, spread in spreads.items()
}

# %% tags=["nbval-ignore-output"]
layers = np.arange(1, DEPTH + 1)
fig, axes = plots.figure(width=6, height=3)
plots.lines(
    axes,
    layers,
    forward_sizes,
    xlabel="layer",
    ylabel="size of z",
    yscale="log",
    xticks=range(2, 21, 2),
)
plots.show(
    fig,
    "In twenty ReLU layers small weights extinguish the signal, large ones "
    "blow it up, and only He's spread keeps it.",
)

# %%
checks.claim(
    "size in layer 20, small weights",
    forward_sizes["small, 0.01"][-1],
    at_most=1e-20,
)
checks.claim(
    "size in layer 20, large weights",
    forward_sizes["large, 0.3"][-1],
    at_least=1e5,
)

# %% [markdown]
r"""
**Answer: (c).** (a) adds where the layers multiply: each layer shrinks the numbers by the same factor, about 0.07 here, and twenty factors make $10^{-23}$. On this axis a straight line is a constant factor per layer. A hundred layers are hopeless unless that factor is 1.

## Which spread keeps the size?

You can compute the factor. One unit sums over its $n$ inputs: $z_j = \sum_i h_i W_{ij}$. The weights are independent of each other and of $h$, with mean 0 and variance $v$, so the variances of the $n$ products add up:

$$\operatorname{Var}(z_j) = n\,v\,\mathbb E[h^2].$$

The ReLU sets the negative half of a symmetric $z$ to zero, so $\mathbb E[h^2] = \tfrac12\operatorname{Var}(z)$ of the layer before. From layer to layer the variance is therefore multiplied by $\tfrac12 n v$, and it stays when

$$v = \frac{2}{n}.$$

That is **He initialisation**. An activation function that is nearly straight around zero, like the tanh, does not halve anything, and $v = 1/n$ would do. In the backward pass the same sum runs over the $m$ outputs of the layer, which asks for $1/m$; the compromise $v = 2/(n + m)$ is **Glorot initialisation**, and the default of Keras's `Dense`.

Do the layers above obey? Their factor by layer, measured and computed:
"""


# %%
def factor(sizes):
    """Mean factor per layer, from the first of the twenty to the last."""
    return (sizes[-1] / sizes[0]) ** (1 / (len(sizes) - 1))


measured = {name: factor(sizes) for name, sizes in forward_sizes.items()}
computed = {
    name: np.sqrt(WIDTH * spread**2 / 2) for name, spread in spreads.items()
}

# %% tags=["nbval-ignore-output"]
table = pd.DataFrame({"measured": measured, "computed": computed})
table.map("{:.3f}".format)

# %%
for name in spreads:
    checks.claim(
        f"measured factor over computed, {name}",
        measured[name] / computed[name],
        at_least=0.88,
        at_most=1.12,
    )

# %% [markdown]
r"""
The rest is chance: a hundred units are few. Now Keras's own initialisers, on a layer that is not square, so that $n$ and $m$ cannot be confused: 300 inputs, 100 outputs.
"""

# %%
wanted = {"glorot_normal": 2 / (300 + 100), "he_normal": 2 / 300}
wanted |= {"glorot_uniform": 2 / (300 + 100)}
for name, variance in wanted.items():
    keras.utils.set_random_seed(run.seed)
    drawn = keras.initializers.get(name)((300, 100))
    ratio = keras.ops.convert_to_numpy(drawn).var() / variance
    checks.claim(
        f"variance of {name} over the formula",
        ratio,
        at_least=0.96,
        at_most=1.04,
    )

# %% [markdown]
r"""
## The backward pass, by hand

A signal that dies on the way forward is half of the story. The gradient takes the same road back, and each layer multiplies it by its matrix again, and by the slope of its activation function. You want to see the gradient of every layer, for many kinds of networks, so you write forward and backward once, with two switches:

- **residual connection**: the layer's result is *added* to what came in, $h \leftarrow h + f(z)$, in place of $h \leftarrow f(z)$;
- **normalisation**: what enters the matrix is first brought to mean 0 and standard deviation 1, each image by itself.

First the small parts: two activation functions with their slopes, and the normalisation $u = (h - \mu)/\sigma$ with its backward pass. Each $h_i$ of a row of $n$ moves all its $u_k$: its own directly, the others through $\mu$ (by $1/n$) and through $\sigma$ (by $u_i/n$):

$$\frac{\partial u_k}{\partial h_i} = \frac1\sigma\Big(\delta_{ik} - \frac1n - \frac{u_i u_k}{n}\Big), \qquad \frac{\partial L}{\partial h_i} = \sum_k g_k \frac{\partial u_k}{\partial h_i} = \frac1\sigma\big(g_i - \overline g - u_i\,\overline{g u}\big),$$

with $\delta_{ik} = 1$ for $i = k$ and 0 otherwise, $g_k = \partial L/\partial u_k$, and bars for means over the row. The code is the last bracket. In words: a shift or a stretch of $h$ does not change $u$, so the part of the gradient that asks for one is taken out.
"""

# %%
ACTIVATIONS = {  # the function; its slope from z and a
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z, a: a * (1 - a)),
    "ReLU": (lambda z: np.maximum(0, z), lambda z, a: (z > 0).astype(z.dtype)),
}


def normalise(h):
    """(n, units) → each row with mean 0 and spread 1; and the spread it had."""
    spread = np.sqrt(h.var(axis=1, keepdims=True) + 1e-6)
    return (h - h.mean(axis=1, keepdims=True)) / spread, spread


def normalise_back(g, u, spread):
    """From ∂L/∂u to ∂L/∂h, both (n, units)."""
    shift = g.mean(axis=1, keepdims=True)
    stretch = (g * u).mean(axis=1, keepdims=True)
    return (g - shift - stretch * u) / spread


u, spread = normalise(np.array([[1.0, 2.0, 3.0, 6.0]]))
print("u", u.round(3), "it had a spread of", spread.round(3))

# %% [markdown]
r"""
Forward: each layer leaves a note of what its backward pass will need. The softmax and the cross-entropy at the end are those of chapter 03.
"""


# %%
def forward(x, weights, activation, residual, normalised):
    """Logits (n, 10), and one note per layer: u, its spread, z, a."""
    h, notes = x @ weights[0], []
    for W in weights[1:-1]:
        u, spread = normalise(h) if normalised else (h, 1)
        z = u @ W
        a = ACTIVATIONS[activation][0](z)
        h = h + a if residual else a
        notes.append((u, spread, z, a))
    u, spread = normalise(h) if normalised else (h, 1)
    notes.append((u, spread, None, None))
    return u @ weights[-1], notes


def cross_entropy_and_gradient(logits, y):
    """Mean loss in nats, and its derivative by the logits, (n, 10)."""
    z = logits - logits.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    gradient = np.exp(log_p) - np.eye(10, dtype=z.dtype)[y]
    return -log_p[np.arange(len(y)), y].mean(), gradient / len(y)


# %% [markdown]
r"""
Backward: the notes are read from the last to the first. With a residual connection the gradient has two roads, through the layer and past it, and `g + through` adds them.
"""


# %%
def gradients(x, y, weights, activation, residual, normalised):
    """Loss, and a list of its gradients by each of the 22 matrices."""
    logits, notes = forward(x, weights, activation, residual, normalised)
    loss, g = cross_entropy_and_gradient(logits, y)
    u, spread, _, _ = notes.pop()
    found = [u.T @ g]
    g = g @ weights[-1].T
    if normalised:
        g = normalise_back(g, u, spread)
    for W in reversed(weights[1:-1]):
        u, spread, z, a = notes.pop()
        g_z = g * ACTIVATIONS[activation][1](z, a)
        found.append(u.T @ g_z)
        through = g_z @ W.T
        if normalised:
            through = normalise_back(through, u, spread)
        g = g + through if residual else through
    found.append(x.T @ g)
    return loss, found[::-1]


# %% [markdown]
r"""
Is it right? Build the same network in Keras, give it the same weights, and let the backend differentiate. A step of plain gradient descent with rate $\alpha$ moves the weights by $-\alpha\nabla L$, so the gradient can be read from the weights before and after a single step, on any backend. (With the sigmoid, as the ReLU has a corner: a $z$ within rounding of zero may lie on one side in `float32` and on the other in `float64`.)
"""


# %%
def same_in_keras(weights, activation, residual, normalised):
    """A Keras model with the 22 matrices; its outputs are logits (n, 10)."""

    def norm(h):
        if not normalised:
            return h
        options = {"epsilon": 1e-6, "center": False, "scale": False}
        return keras.layers.LayerNormalization(**options)(h)

    def dense(h, units, activation=None):
        return keras.layers.Dense(units, activation=activation, use_bias=False)(
            h
        )

    inputs = keras.Input((784,))
    h = dense(inputs, WIDTH)
    for _ in range(DEPTH):
        a = dense(norm(h), WIDTH, activation.lower())
        h = keras.layers.add([h, a]) if residual else a
    model = keras.Model(inputs, dense(norm(h), 10))
    model.set_weights(weights)
    return model


# %%
def gradients_of(model, x, y, rate=10.0):
    """One array per weight, read from a step that is then taken back."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    before = model.get_weights()
    model.train_on_batch(x, y)
    after = model.get_weights()
    model.set_weights(before)
    return [(b - a) / rate for b, a in zip(before, after, strict=True)]


weights, kind = draw(np.sqrt(2 / WIDTH)), ("sigmoid", True, True)
_, by_hand = gradients(few, y_train[:128], weights, *kind)
model = same_in_keras(weights, *kind)
by_backend = gradients_of(model, x_train[:128], y_train[:128])
for name, layer in (("first", 1), ("tenth", 10), ("twentieth", 20)):
    scale = np.abs(by_hand[layer]).max()
    ours, theirs = by_hand[layer] / scale, by_backend[layer] / scale
    checks.agree(
        f"{name} layer, by hand and backend", ours, theirs, tolerance=1e-4
    )

# %% [markdown]
r"""
## Twenty-four networks, one figure

Two activation functions, three spreads, with and without residual connections, with and without normalisation: 24 networks, 128 digits, one way forward and one back each. The number to watch is the size of $\partial L/\partial W$ in each of the twenty layers, because that is what moves the layer.

> **Predict, then run.** Sigmoids, Glorot's spread, neither residual connections nor normalisation. The first layer's gradient, over the twentieth's, is about
> (a) a half, (b) a thousandth, (c) less than a hundred millionth?
"""

# %%
initial = {
    "small": 0.01,
    "Glorot": np.sqrt(1 / WIDTH),
    "He": np.sqrt(2 / WIDTH),
}
designs = {
    "plain": (False, False),
    "residual": (True, False),
    "normalised": (False, True),
    "both": (True, True),
}
by_layer = {}
for activation, start, design in itertools.product(
    ACTIVATIONS, initial, designs
):
    _, found = gradients(
        few, y_train[:128], draw(initial[start]), activation, *designs[design]
    )
    by_layer[activation, start, design] = np.array(
        [size(g) for g in found[1:-1]]
    )
print(len(by_layer), "networks,", len(found) - 2, "layers each")

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(2, 4, width=9, height=2.6, sharex=True)
for (row, activation), (column, design) in itertools.product(
    enumerate(ACTIVATIONS), enumerate(designs)
):
    panel = axes[row, column]
    series = {start: by_layer[activation, start, design] for start in initial}
    plots.lines(
        panel,
        layers,
        series,
        xlabel="layer" if row else "",
        ylabel="" if column else "size of ∂L/∂W",
        yscale="log",
        title=f"{activation}, {design}",
        xticks=(1, 5, 10, 15, 20),
        ylim=(1e-4, 1e4) if column else (1e-40, 1e4),
    )
    if row or column:
        panel.get_legend().remove()
plots.show(
    fig,
    "Plain networks lose the gradient, all but ReLU with He's spread (mind "
    "their axes of forty decades); residual connections with normalisation "
    "keep it level for any spread.",
)

# %% [markdown]
r"""
Read it panel by panel. The axis of the plain networks has more than forty powers of ten, the others eight. Wanted is a level line near $10^{-2}$: every layer is moved, none is thrown. The table has the same runs as numbers: the gradient of the *first* of the twenty layers, the one with the longest way.
"""

# %% tags=["nbval-ignore-output"]
table = pd.DataFrame(
    {
        design: {
            f"{activation}, {start}": by_layer[activation, start, design][0]
            for activation, start in itertools.product(ACTIVATIONS, initial)
        }
        for design in designs
    }
)
table.map("{:.0e}".format)

# %%
vanishing = by_layer["sigmoid", "Glorot", "plain"]
checks.claim(
    "sigmoid, Glorot, plain: first layer's gradient over last",
    vanishing[0] / vanishing[-1],
    at_most=1e-8,
)
checks.claim(
    "ReLU, small, plain: largest gradient",
    by_layer["ReLU", "small", "plain"].max(),
    at_most=1e-18,
)
checks.claim(
    "ReLU, He, plain: first layer's gradient",
    by_layer["ReLU", "He", "plain"][0],
    at_least=3e-4,
    at_most=0.1,
)

# %%
checks.claim(
    "ReLU, He, residual only: first layer's gradient",
    by_layer["ReLU", "He", "residual"][0],
    at_least=30,
)
kind = draw(initial["He"]), "ReLU", *designs["residual"]
logits, notes = forward(few, *kind)
growth = (size(notes[-1][0]) / size(notes[0][0])) ** (2 / DEPTH)
checks.claim(
    "ReLU, He, residual only: mean square of h, factor per layer",
    growth,
    at_least=2.3,
    at_most=3.1,
)
loss, _ = cross_entropy_and_gradient(logits, y_train[:128])
checks.claim("its loss before the first step, nats", loss, at_least=3000)

# %%
both = [sizes for (*_, design), sizes in by_layer.items() if design == "both"]
checks.claim(
    "both: smallest gradient of 6 networks", np.min(both), at_least=5e-4
)
checks.claim("both: largest gradient", np.max(both), at_most=0.05)
normed = by_layer["ReLU", "small", "normalised"]
checks.claim(
    "ReLU, small, normalised: first layer's gradient over last",
    normed[0] / normed[-1],
    at_least=10,
)

# %% [markdown]
r"""
**Answer: (c).** The slope of a sigmoid is a quarter at most, and between the twentieth layer and the first there are 19 of them: $(1/4)^{19} \approx 4 \cdot 10^{-12}$, and Glorot's matrices contribute a factor of about 1. These are **vanishing gradients**. (a) is tempting because Glorot's spread is "the right one"; it is, for activation functions with a slope of 1. No spread of the three saves the sigmoid.

- **ReLU, plain**: level lines, at a height that the spread decides. The gradient by a matrix is a product of what came forward and what comes back; one shrinks from layer to layer as the other grows. Only He's spread arrives at a useful height.
- **Residual alone**: the road past the layer has slope 1, so nothing vanishes. But every layer *adds* to $h$, and what a ReLU adds is never negative and so piles up: with He's spread the mean square of $h$ more than doubles in each layer. What comes back grows too, towards layer 1. The product is nearly level and some ten thousand times too large: **exploding gradients**. The loss begins at thousands of nats.
- **Normalised alone**: whatever the spread, the next layer sees numbers of size 1, so the way forward is safe. In the backward pass ReLU layers still amplify a little each: the ReLU lets $\sqrt{1/2} = 0.71$ of the gradient through, and the normalisation divides by the spread after a ReLU, 0.58 of that of $z$ (the spread of the matrix cancels). That makes 1.21 per layer, and $1.21^{19} \approx 38$.
- **Both**: level, for either activation function, for any spread. The sum is divided by its own size before it is used, and the road past the layers carries the gradient home. The blocks of most large language models are written this way: normalise, transform, add (chapter 11).

## What a level line is worth

Does it matter for learning? Train the network that was hopeless, twenty layers of sigmoids, plain and with both. The loop is the four steps of chapter 00 in NumPy. It also notes the length of the whole gradient, all matrices together; this and the `special` options wait for their sections.
"""


# %%
def global_norm(grads):
    """Root of the sum of all squares, over all matrices together."""
    return np.sqrt(sum(np.sum(np.square(g)) for g in grads))


def constant(rate):
    return lambda t: rate


# %%
def train(kind, design, start, rate, steps=120, batch=128, **special):
    """Plain gradient descent; step t has the learning rate rate(t)."""
    weights = [W.astype("float32") for W in draw(initial[start])]
    rng, switches = np.random.default_rng(run.seed), designs[design]
    losses, norms = np.full((2, steps), np.nan)
    for t in range(steps):
        rows = rng.integers(0, len(x_train), batch)
        x, y = x_train[rows], y_train[rows]
        x = pixels(x) if t == special.get("raw") else x
        losses[t], found = gradients(x, y, weights, kind, *switches)
        if not np.isfinite(losses[t]):
            break
        norms[t] = global_norm(found)
        scale = clip_factor(found, special["cap"]) if "cap" in special else 1
        step = np.float32(rate(t) * scale)
        weights = [W - step * g for W, g in zip(weights, found, strict=True)]
    judged = special.get("judged", 2000)
    logits, _ = forward(x_valid[:judged], weights, kind, *switches)
    said = logits.argmax(axis=1)
    accuracy = float(np.mean(said == y_valid[:judged]))
    return {"loss": losses, "norm": norms, "said": said, "accuracy": accuracy}


# %% [markdown]
r"""
> **Predict, then run.** 120 steps. The plain network has 280,000 weights, 200,000 of them in the twenty layers, and the last of these do get a gradient. It reaches
> (a) a fair accuracy, because the last layers learn, (b) about 10 %, (c) the same, later?
"""

# %% tags=["nbval-ignore-output"]
plain = train("sigmoid", "plain", "Glorot", constant(0.1))
level = train("sigmoid", "both", "Glorot", constant(0.1))
shares = np.bincount(y_valid) / len(y_valid)
print(f"a digit's share: from {shares.min():.1%} to {shares.max():.1%}")
print("plain answers:", {int(said) for said in plain["said"]})
fig, axes = plots.figure(width=5.5, height=2.6)
series = {"plain": plain["loss"], "residual and normalised": level["loss"]}
labels = {"xlabel": "step", "ylabel": "training loss (nats)"}
plots.lines(axes, np.arange(1, 121), series, ylim=(0, 4), **labels)
plots.show(
    fig,
    "Twenty sigmoid layers: without a level gradient the loss stays at "
    "ln 10, with it the network learns.",
)

# %%
checks.claim("accuracy, plain", plain["accuracy"], at_most=0.16, examples=2000)
checks.claim("accuracy, both", level["accuracy"], at_least=0.8, examples=2000)
checks.claim(
    "plain: different answers to 2,000 images",
    len(set(plain["said"])),
    at_most=1,
)
checks.claim(
    "plain loss of the last 20 steps, nats",
    plain["loss"][-20:].mean(),
    at_least=2.25,
    at_most=2.4,
)

# %% [markdown]
r"""
**Answer: (b).** The last layers learn from what reaches them, and what reaches them is the same for every image: twenty squeezes have removed the difference between a 3 and an 8. So the best they can do is to say 10 % each, a loss of $\ln 10 = 2.303$. Remember that flat line at 2.30; a patient in the clinic has it. The accuracy is the share of the one digit that it names for all, about 10 %, whichever that is.

Several of the 24 lines beside "both" are level near $10^{-2}$ too, "ReLU, plain, He" for one. So why both? Train all 24 for 40 steps, at a small rate and at one that is fifty times as large.

> **Predict, then run.** At both rates, 0.01 and 0.5, these learn:
> (a) all networks with a level line, (b) the six with both, (c) the networks with He's spread?
"""

# %% tags=["nbval-ignore-output"]
trained = {}
options = {"steps": 40, "batch": 64, "judged": 500}
with np.errstate(all="ignore"):  # some of them overflow
    for key, rate in itertools.product(by_layer, (0.01, 0.5)):
        activation, start, design = key
        network = activation, design, start
        result = train(*network, constant(rate), **options)
        trained.setdefault(key, []).append(result["accuracy"])
table = pd.DataFrame(
    {
        design: {
            f"{activation}, {start}": " / ".join(
                f"{100 * p:.0f}" for p in trained[activation, start, design]
            )
            for activation, start in itertools.product(ACTIVATIONS, initial)
        }
        for design in designs
    }
)
table

# %%
checks.claim(
    "both: lowest accuracy of 12 runs",
    min(min(trained[key]) for key in trained if key[2] == "both"),
    at_least=0.55,
)
checks.claim(
    "others: best of 18 networks, accuracy at its worse rate",
    max(min(trained[key]) for key in trained if key[2] != "both"),
    at_most=0.4,
)

# %% [markdown]
r"""
**Answer: (b).** The table has the accuracies at the two rates, in percent of 500 images (an error bar of 3 or 4 points). (a) is tempting, but a level line is a property of the first step. Several of the 18 others learn well at 0.01, and are thrown at 0.5. The six with both learn at either rate, from every spread: they forgive your choices. That is what the two lines of code are worth.
"""

# %% [markdown]
r"""
## Three normalisations

All three divide by a spread. They differ in *whose* spread. Of a batch of activations $h$ with a row per image and a column per unit,

- **batch normalisation** takes mean and spread of each *column*: over the images of the batch;
- **layer normalisation** takes mean and spread of each *row*: over the units, image by image;
- **RMS normalisation** leaves the mean where it is and divides each row by its root mean square.

Each then multiplies by learned numbers, one per unit, and the first two add others, so that a layer can undo it where that is useful. By hand, on two images with three units:
"""


# %%
def standardised(h, axis, epsilon=1e-6):
    mean = h.mean(axis=axis, keepdims=True)
    return (h - mean) / np.sqrt(h.var(axis=axis, keepdims=True) + epsilon)


def batch_norm(h):
    return standardised(h, axis=0)


def layer_norm(h):
    return standardised(h, axis=1)


def rms_norm(h, epsilon=1e-6):
    return h / np.sqrt(np.mean(h**2, axis=1, keepdims=True) + epsilon)


tiny = np.array([[1.0, 2.0, 6.0], [3.0, 8.0, 10.0]])
for norm in (batch_norm, layer_norm, rms_norm):
    print(f"{norm.__name__:10}", norm(tiny).round(2).tolist())

# %% [markdown]
r"""
With two images, batch normalisation can only say −1 or +1: it knows which image is above the other and nothing else. The rows of the other two do not depend on each other. Now the real thing: 100 hidden units of 128 digits, and Keras's layers.
"""

# %%
h = (few @ draw(0.1)[0]).astype("float32")
keras_layers = {
    batch_norm: keras.layers.BatchNormalization(epsilon=1e-6),
    layer_norm: keras.layers.LayerNormalization(epsilon=1e-6),
    rms_norm: keras.layers.RMSNormalization(epsilon=1e-6),
}
for norm, layer in keras_layers.items():
    theirs = keras.ops.convert_to_numpy(layer(h, training=True))
    checks.agree(f"{norm.__name__} and Keras", norm(h), theirs, tolerance=1e-4)

# %% [markdown]
r"""
`training=True` stands there for batch normalisation's sake. In training that layer uses the batch's mean; in use, when there may be one image only, a running mean that it has collected.

> **Predict, then run.** You leave the layer in training mode, and pass *one* image through it. The 100 outputs are
> (a) the image's activations, standardised, (b) all 0, (c) an error?
"""

# %%
batch_layer = keras_layers[batch_norm]
one_in_training = keras.ops.convert_to_numpy(batch_layer(h[:1], training=True))
print(f"largest output for one image: {np.abs(one_in_training).max():.1f}")
same = keras_layers[layer_norm](h[:1], training=True)
checks.agree(
    "layer norm, one image alone and in its batch",
    keras.ops.convert_to_numpy(same)[0],
    layer_norm(h)[0],
    tolerance=1e-4,
)

# %% [markdown]
r"""
**Answer: (b).** The mean over one image is the image, and the difference is 0: the network answers every image alike. Keras does not complain (PyTorch's `BatchNorm1d` raises an error). This is the costliest bug of batch normalisation. Layer and RMS normalisation have no such switch, and treat an image the same alone or in company. Language models, which answer one request at a time and split batches over many machines, use these two, today mostly RMS, which saves the mean.

## Clipping by global norm

Some batches give a gradient a hundred times longer than the others: one step along it can undo an hour of training. **Gradient clipping** puts a cap on the length of the step and keeps its direction. The length is the **global norm**: the root of the sum of *all* squares, over all matrices together. If it is above the cap $c$, every gradient is multiplied by the same factor:

$$g \leftarrow g \cdot \min\!\left(1, \frac{c}{\lVert g\rVert}\right), \qquad \lVert g\rVert = \sqrt{\sum_{\text{matrices}}\sum_{ij} g_{ij}^2}.$$
"""


# %%
def clip_factor(grads, cap):
    """One number for all matrices, at most 1."""
    return min(1.0, cap / global_norm(grads))


def pixels(x):
    """Undoes the standardising: back to bytes, from 0 to 255."""
    return (x * 0.3081 + 0.1307) * 255


print(clip_factor([np.array([3.0]), np.array([[4.0]])], cap=10.0))
print(clip_factor([np.array([3.0]), np.array([[4.0]])], cap=1.0))

# %% [markdown]
r"""
Norm 5 is below a cap of 10, so nothing happens; a cap of 1 leaves a fifth. Compare with Keras on the network that exploded above, ReLU with residual connections alone. Two options of an optimizer sound alike: `global_clipnorm` caps all gradients together, `clipnorm` each matrix by itself.
"""


# %%
def clipped_by_keras(grads, **option):
    """What an optimizer with rate 1 subtracts from zeros."""
    variables = [keras.Variable(np.zeros(g.shape, "float32")) for g in grads]
    optimizer = keras.optimizers.SGD(1.0, **option)
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in grads], variables)
    return [-keras.ops.convert_to_numpy(v) for v in variables]


def flat(arrays):
    return np.concatenate([np.ravel(a) for a in arrays])


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


# %%
weights = draw(np.sqrt(2 / WIDTH))
_, exploded = gradients(few, y_train[:128], weights, "ReLU", True, False)
exploded = [g.astype("float32") for g in exploded]
together = flat(clipped_by_keras(exploded, global_clipnorm=1.0))
each = flat(clipped_by_keras(exploded, clipnorm=1.0))
ours = clip_factor(exploded, 1.0) * flat(exploded)
checks.agree("clipping by hand and global_clipnorm", ours, together)
checks.claim(
    "norm before clipping", np.linalg.norm(flat(exploded)), at_least=20000
)
checks.claim(
    "cosine, global_clipnorm", cosine(together, flat(exploded)), at_least=0.9999
)
checks.claim("cosine, clipnorm", cosine(each, flat(exploded)), at_most=0.9)

# %% [markdown]
r"""
Both results are short, but only the global norm keeps the *direction* (the cosine of the angle is 1). Capping each matrix by itself turns the step towards the matrices that had little to say.

Now the rare batch. Train the plain ReLU network with He's spread at a rate that it bears. At step 80 it gets one batch that someone forgot to standardise: bytes from 0 to 255. The cap is 10, twice the usual norm.

> **Predict, then run.** One bad batch of 120, the other 119 are good. Without a cap the run
> (a) leaps, and the 39 good steps after it bring it back, (b) is lost, (c) hardly notices, as one batch of 120 is little?
"""

# %% tags=["nbval-ignore-output"]
network = "ReLU", "plain", "He", constant(0.03)
with np.errstate(all="ignore"):  # one of them may overflow, that is the point
    free = train(*network, raw=80)
    capped = train(*network, raw=80, cap=10.0)
fig, axes = plots.figure(1, 2, width=8)
for panel, what in zip(axes, ("loss", "norm"), strict=True):
    series = {"free": free[what], "capped at 10": capped[what]}
    ylabel = {"loss": "training loss (nats)", "norm": "norm of the gradient"}
    options = {"xlabel": "step", "ylabel": ylabel[what], "yscale": "log"}
    plots.lines(panel, np.arange(120), series, **options)
axes[1].axhline(10, color="gray", linewidth=0.8)
plots.show(
    fig,
    "One batch that was not standardised ends the run without a cap; with "
    "it the same batch is one spike (grey line: the cap).",
)

# %%
checks.claim("accuracy, free", free["accuracy"], at_most=0.2, examples=2000)
checks.claim(
    "accuracy, capped", capped["accuracy"], at_least=0.4, examples=2000
)
checks.claim(
    "capped: loss of the step after the bad batch, nats",
    capped["loss"][81],
    at_most=2.5,
)
checks.claim(
    "usual norm (the median)",
    np.median(capped["norm"]),
    at_least=3.0,
    at_most=8.0,
)
checks.claim(
    "share of the steps that the cap shortens",
    np.mean(capped["norm"] > 10),
    at_most=0.25,
)
checks.claim(
    "share that a cap of 1 would shorten",
    np.mean(capped["norm"] > 1),
    at_least=0.8,
)

# %% [markdown]
r"""
**Answer: (b).** One step along that gradient makes the next loss, and with it the next gradient, enormous; the step after that leaves numbers that are none, and from NaN no batch brings you back. With the cap the loss of the bad batch is as high, but the step that follows has the length of an ordinary one, and the next loss is what it was.

Look at the share of shortened steps before you trust a cap. At 10 it acts on the exceptions. A cap of 1 would shorten nearly all steps of this network: a smaller rate in disguise. Clipping does not mend a network, as the two remedies of the figure do; it makes rare catastrophes survivable. Large language models are trained with it; GPT-3's cap was 1.

## How large a rate? The range test

You could try five rates in five runs. A **range test** tries them all in one: start with a rate far too small, multiply it by a constant at each step until it is far too large, and watch the loss. Do it for the healthy network (ReLU, He, both).
"""

# %% tags=["nbval-ignore-output"]
num_steps = 100
rates = 1e-4 * 1e5 ** (np.arange(num_steps) / num_steps)
with np.errstate(all="ignore"):
    network = "ReLU", "both", "He"
    test = train(*network, lambda t: rates[t], steps=num_steps)["loss"]
smooth = pd.Series(test).rolling(5, center=True).mean().to_numpy()
fig, axes = plots.figure(width=5.5, height=2.6)
series = {"each step": test, "mean of five": smooth}
options = {"xscale": "log", "ylim": (0, 6)}
plots.lines(
    axes,
    rates,
    series,
    xlabel="learning rate α",
    ylabel=labels["ylabel"],
    **options,
)
plots.show(
    fig,
    "The loss falls as the rate grows, is lowest near 0.1, and above its "
    "start again before the rate is ten times that.",
)

# %%
lowest = np.nanargmin(smooth)
best = rates[lowest]
above = np.flatnonzero(smooth[lowest:] > test[:5].mean())
worse = rates[lowest + above[0]]
checks.claim("rate of the lowest loss", best, at_least=0.02, at_most=0.3)
checks.claim(
    "rate at which the loss is above its start",
    worse,
    at_least=0.2,
    at_most=2.0,
)

# %% [markdown]
r"""
How to read it: the rate of the lowest loss is about the largest worth trying. The loss is low there thanks to all the smaller rates before, too, and each rate had one step only. In a longer run a constant rate at the lowest point is at the edge, and a third of it is the cautious choice; as the *peak* of a schedule, held only briefly, take the lowest point itself or a little more. The test costs one run of a hundred steps, and its answer holds for this network, this batch size and this optimizer only.

## Warm-up, cosine, one-cycle

Three shapes, all of them functions of the step $t$ of $T$:

- **warm-up**: climb from almost nothing to the peak in the first steps, because the first gradients are the longest and the least reliable;
- **cosine decay**: from the peak to zero along half a cosine, $\alpha_t = \tfrac12\alpha_{\max}(1 + \cos(\pi t/T))$, large steps while there is far to go and tiny ones to settle;
- one-cycle (chapter 05): the two in a row. Most large models are trained so, with a warm-up of about one step in a hundred in place of one in three.
"""


# %%
def cosine_by_hand(t, peak, num_steps, warmup=0):
    if t < warmup:
        return peak * t / warmup
    done = (t - warmup) / (num_steps - warmup)
    return peak * (1 + np.cos(np.pi * done)) / 2


num_steps = 120
schedule = keras.optimizers.schedules.CosineDecay(
    0.0, num_steps - 36, warmup_target=1.0, warmup_steps=36
)
steps = np.arange(num_steps)
by_hand = [cosine_by_hand(t, 1.0, num_steps, warmup=36) for t in steps]
by_keras = [float(schedule(t)) for t in steps]
one_cycle = [float(training.one_cycle(1.0, num_steps)(t)) for t in steps]
checks.agree("by hand and CosineDecay", by_hand, by_keras)
gap = np.max(np.abs(np.subtract(one_cycle, by_hand)))
checks.claim("largest gap to one-cycle", gap, at_least=0.039, at_most=0.041)

# %% [markdown]
r"""
The gap is the start: `training.one_cycle` begins at a 25th of the peak instead of at zero. What do the shapes buy? The healthy network again, with four shapes at a peak of 1.0, where the range test saw disaster, and two runs near the rates that the test recommends.

> **Predict, then run.** 120 steps each. The constant rate of 1.0
> (a) diverges, (b) survives with a scar, (c) wins, since it has taken the longest way?
"""

# %% tags=["nbval-ignore-output"]
shapes = {
    "constant": constant(1.0),
    "warm-up": lambda t: min(1.0, (t + 1) / 36),
    "cosine": lambda t: cosine_by_hand(t, 1.0, num_steps),
    "warm-up and cosine": lambda t: cosine_by_hand(t + 1, 1.0, num_steps, 36),
    "warm-up and cosine, peak 0.3": lambda t: cosine_by_hand(
        t + 1, 0.3, num_steps, 36
    ),
    "constant 0.1": constant(0.1),
}
with np.errstate(all="ignore"):
    shaped = {
        name: train("ReLU", "both", "He", rate) for name, rate in shapes.items()
    }
table = pd.DataFrame(
    {
        "highest loss on the way": {
            k: v["loss"].max() for k, v in shaped.items()
        },
        "loss, last 20": {k: v["loss"][-20:].mean() for k, v in shaped.items()},
        "accuracy, %": {k: 100 * v["accuracy"] for k, v in shaped.items()},
    }
)
table.map("{:.3g}".format)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 2, width=7.5)
names = list(shapes)[:4]  # those with a peak of 1.0
curves = {name: [shapes[name](t) for t in steps] for name in names}
plots.lines(axes[0], steps, curves, xlabel="step", ylabel="learning rate α")
curves = {name: shaped[name]["loss"] for name in names}
plots.lines(axes[1], steps, curves, yscale="log", **labels)
axes[1].get_legend().remove()
plots.show(
    fig,
    "Warm-up shrinks the leap at the start, but all four runs pay for a "
    "peak of 1.0.",
)

# %%
curves = {name: shaped[name]["loss"] for name in shapes}
highest = {name: losses.max() for name, losses in curves.items()}
late = {name: losses[-20:].mean() for name, losses in curves.items()}
checks.claim(
    "highest loss, constant over warm-up",
    highest["constant"] / highest["warm-up"],
    at_least=1.15,
)
checks.claim(
    "accuracy, warm-up and cosine",
    shaped["warm-up and cosine"]["accuracy"],
    at_least=0.86,
    examples=2000,
)
checks.claim(
    "warm-up: highest loss of steps 20 to 60 over lowest before",
    curves["warm-up"][20:60].max() / curves["warm-up"][:20].min(),
    at_least=1.5,
)

# %%
usual = late.pop("constant 0.1")
checks.claim(
    "last 20 steps: best loss with a peak of 1.0 over constant 0.1",
    min(late[name] for name in names) / usual,
    at_least=0.9,
)
checks.claim(
    "last 20 steps: peak of 0.3 over constant 0.1",
    late["warm-up and cosine, peak 0.3"] / usual,
    at_least=0.7,
    at_most=1.05,
)

# %% [markdown]
r"""
**Answer: (b).** The network survives even this, thanks to its normalisation: weights that were thrown far are divided by their own size again. But its loss leaps to several times the start, and the run spends its time on coming back. (a) is right for most networks. The warm-up shrinks the leap and does not remove it: as the rate nears its peak, the loss climbs once more.

Now the last two rows. A constant rate near the lowest point of the range test ends as low as the best of the four shapes at ten times that rate. So in 120 steps, at a good rate, the shapes matter little: warm-up and cosine to a peak of 0.3 end a little lower, and in accuracy the difference is about the error bar of 1.2 points. What they buy is forgiveness: a peak ten times too large costs little. The cosine is for the end of long runs; here it shows little.

## Overfit a thousand images, on purpose

A network that cannot learn a few images by heart has a bug: that is the first test of any new network, and the exercises of chapter 05 used it. **Overfitting** is the same power where you do not want it: the network learns what is true of these images only.

To see it plainly, give it something to learn that is *certainly* false. Of 1,000 images, 300 get a label drawn at random, as if a tired annotator had guessed. The validation labels stay right.

> **Predict, then run.** The network sees each image 20 times. Of the false labels it learns
> (a) nearly none, because they contradict all others, (b) about a half, (c) nearly all?
"""

# %%
rng = np.random.default_rng(run.seed)
x_few, y_few = x_train[:1000], y_train[:1000].copy()
guessed = rng.choice(1000, 300, replace=False)
y_few[guessed] = (y_few[guessed] + rng.integers(1, 10, 300)) % 10
targets = keras.utils.to_categorical(y_few, 10)
watched = (x_valid, keras.utils.to_categorical(y_valid, 10))


def build(
    hidden=(128, 64), activation="relu", initial="he_normal", dropout=0.0
):
    keras.utils.set_random_seed(run.seed)
    model = keras.Sequential([keras.Input((784,))])
    for units in hidden:
        layer = keras.layers.Dense(
            units, activation=activation, kernel_initializer=initial
        )
        model.add(layer)
        if dropout:
            model.add(keras.layers.Dropout(dropout))
    model.add(keras.layers.Dense(10))
    return model


# %%
def remedied(*, dropout=0.0, decay=0.0, smoothing=0.0, **watching):
    """10 epochs of 40 steps, in which each image is seen twice."""
    model = build(dropout=dropout)
    result = training.fit(
        model,
        np.tile(x_few, (2, 1)),
        np.tile(targets, (2, 1)),
        epochs=10,
        batch_size=50,
        seed=run.seed,
        optimizer=keras.optimizers.AdamW(0.001, weight_decay=decay),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=smoothing
        ),
        metrics=["accuracy"],
        **watching,
    )
    return model, result.history


def guesses(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False)).argmax(axis=1)


# %%
class Exceptions(keras.callbacks.Callback):
    """After each epoch: how are the falsely labelled images answered?"""

    def on_train_begin(self, logs=None):
        self.false, self.true = [], []

    def on_epoch_end(self, epoch, logs=None):
        said = guesses(self.model, x_few[guessed])
        self.false.append(np.mean(said == y_few[guessed]))
        self.true.append(np.mean(said == y_train[:1000][guessed]))


# %% tags=["nbval-ignore-output"]
exceptions = Exceptions()
model, history = remedied(validation=watched, callbacks=[exceptions])
by_heart = exceptions.false[-1]
lost = history["val_accuracy"].max() - history["val_accuracy"].iloc[-1]
print(f"{by_heart:.0%} of the false labels learned")
print(f"validation accuracy lost since its best epoch: {100 * lost:.1f} points")
fig = plots.curves(history)
plots.show(
    fig,
    "The training loss keeps falling while the validation loss turns "
    "upward and the validation accuracy falls: the network learns the "
    "false labels.",
)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(width=5.5, height=2.6)
plots.lines(
    axes,
    history["epoch"],
    {"the false label": exceptions.false, "the true one": exceptions.true},
    xlabel="epoch",
    ylabel="share of the 300 images",
    ylim=(0, 1),
)
plots.show(
    fig,
    "At first the 300 images are mostly answered with their true label, "
    "which the network was never shown; then it learns the false ones.",
)

# %%
checks.claim("share of the false labels learned", by_heart, at_least=0.88)
checks.claim(
    "share of the 300 with their true label, best epoch",
    max(exceptions.true),
    at_least=0.5,
)
checks.claim("validation accuracy lost", lost, at_least=0.02, at_most=0.14)
turned = history["val_loss"].iloc[-1] / history["val_loss"].min()
checks.claim("validation loss, end over lowest", turned, at_least=1.02)

# %% [markdown]
r"""
**Answer: (c).** 110,000 parameters have room for 1,000 arbitrary answers. (a) is a fair description of the *first* epochs: what the images have in common is learned first, because all of them push in its direction. In those epochs most of the 300 are answered with their *true* label, which the network has never seen, and the validation accuracy is best. The exceptions come later. That order is what the remedies live on:

- **early stopping** keeps the weights of the epoch with the lowest validation loss, and stops when no epoch has beaten it for a while (`patience`);
- dropout and weight decay (chapter 05) make learning by heart harder (a decay of $\lambda = 3$ is large because the run is short: $\alpha\lambda = 0.003$ a step, so 400 steps leave $e^{-1.2} = 0.3$ of a weight that nothing renews);
- label smoothing (chapter 05) forbids certainty: the target is never quite 1.

Early stopping *chooses* with the validation images, so all are judged with the 2,000 images that are still unused (chapter 06).

> **Predict, then run.** Which of the four lifts the accuracy on them least?
> (a) early stopping, (b) dropout, (c) weight decay, (d) label smoothing?
"""

# %% tags=["nbval-ignore-output"]
stop = keras.callbacks.EarlyStopping(
    "val_loss", patience=2, restore_best_weights=True
)
stopped = remedied(validation=watched, callbacks=[stop])
treated = {
    "none": (model, history),
    "early stopping": stopped,
    "dropout 0.5": remedied(dropout=0.5),
    "weight decay 3": remedied(decay=3.0),
    "label smoothing 0.3": remedied(smoothing=0.3),
}
rows, reached = {}, {}
for name, (model, history) in treated.items():
    reached[name] = p = np.mean(guesses(model, x_fresh) == y_fresh)
    false = np.mean(guesses(model, x_few)[guessed] == y_few[guessed])
    bar = checks.error_bar(p, len(y_fresh))
    rows[name] = {
        "epochs": len(history),
        "false labels learned, %": f"{100 * false:.0f}",
        "accuracy of unused images, %": f"{100 * p:.1f} ± {100 * bar:.1f}",
    }
pd.DataFrame(rows).T

# %%
gains = {name: p - reached["none"] for name, p in reached.items()}
bands = {
    "early stopping": (0.02, 0.13),
    "dropout 0.5": (0.03, 0.16),
    "weight decay 3": (0.01, 0.13),
    "label smoothing 0.3": (-0.06, 0.04),
}
for name, (low, high) in bands.items():
    checks.claim(
        f"gain in accuracy by {name}", gains[name], at_least=low, at_most=high
    )
least = min(gain for name, gain in gains.items() if name in list(bands)[:3])
checks.claim(
    "label smoothing's gain minus the least of the others",
    gains["label smoothing 0.3"] - least,
    at_most=0.0,
)

# %% [markdown]
r"""
**Answer: (d).** Label smoothing changes how sure the network is, not what it says, and learning a false label with a confidence of 0.7 is still learning it. The other three gain whole points, and early stopping is the only one that also saves time. Dropout suits this disease: an exception is learned by a few units together, and in training they are seldom all present. With right labels the same remedies gain little (chapter 05): a remedy is worth what the disease is worth.

## The clinic

Five sick runs and a healthy one. All six take 400 steps of Adam on digits; the healthy one is 784-128-64-10, ReLU, He, $\alpha = 0.001$, 5,000 images. The next cell lists the five diseases, and a draw decides who lies in which bed.
"""

# %%
shuffled = np.random.default_rng(run.seed + 1).permutation(y_train)
sigmoids = {
    "hidden": (64,) * 20,
    "activation": "sigmoid",
    "initial": "glorot_normal",
}
diseases = {
    "rate too large": {"rate": 0.3},
    "rate too small": {"rate": 3e-6},
    "vanishing gradients": {"network": sigmoids},
    "labels shuffled": {"labels": shuffled},
    "overfitting": {"num_images": 300},
}
beds = np.random.default_rng(2026).permutation(list(diseases))
ward = dict(zip("ABCDE", beds.tolist(), strict=True))


# %%
def admit(network=(), labels=y_train, rate=0.001, num_images=5000):
    """8 epochs of 50 steps; fewer images are repeated until they are 5,000."""
    model = build(**dict(network))
    rows = np.resize(np.arange(num_images), 5000)
    result = training.fit(
        model,
        x_train[rows],
        labels[rows],
        epochs=8,
        batch_size=100,
        validation=(x_valid, y_valid),
        seed=run.seed,
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model, result.history


# %% tags=["nbval-ignore-output"]
patients = {"healthy": admit()}
patients |= {bed: admit(**diseases[ward[bed]]) for bed in ward}
table = pd.DataFrame(
    {
        name: {
            "training loss, first epoch": history["loss"].iloc[0],
            "training loss, last": history["loss"].iloc[-1],
            "validation loss, last": history["val_loss"].iloc[-1],
            "validation accuracy, last, %": 100
            * history["val_accuracy"].iloc[-1],
        }
        for name, (_, history) in patients.items()
    }
)
table.map("{:.3g}".format)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(2, 3, width=8, height=2.3, sharex=True, sharey=True)
for panel, (name, (_, history)) in zip(
    axes.flat, patients.items(), strict=True
):
    series = {"training": history["loss"], "validation": history["val_loss"]}
    title = name if name == "healthy" else f"patient {name}"
    options = {"xlabel": "", "ylabel": "", "title": title, "ylim": (0, 3.4)}
    plots.lines(panel, history["epoch"], series, **options)
    panel.axhline(np.log(10), color="gray", linewidth=0.8)
    if name != "healthy":
        panel.get_legend().remove()
for panel in axes[1]:
    panel.set_xlabel("epoch")
for panel in axes[:, 0]:
    panel.set_ylabel("loss (nats)")
plots.show(
    fig,
    "Six runs and six pairs of curves: only the healthy one brings the "
    "validation loss down and keeps it there; the grey line is ln 10, the "
    "loss of a network that knows nothing.",
)

# %% [markdown]
r"""
One point lies above the picture; the table has it.

> **Predict, then run.** Write down a diagnosis for each bed, A to E: `rate too large`, `rate too small`, `vanishing gradients`, `labels shuffled`, `overfitting`. Two patients end on almost the same flat line; the table's first row, the first epoch, tells them apart.

Ask three questions, in this order. *Does the training loss fall?* *Where did it begin?* *Does the validation loss follow?* Then look:
"""

# %%
for bed, disease in ward.items():
    print(bed, disease)

# %% [markdown]
r"""
**Answer**, with the measurement that confirms each. A curve raises a suspicion; one more number settles it.
"""

# %%
record = {ward[bed]: patients[bed] for bed in ward}


def last(disease, column):
    return record[disease][1][column].iloc[-1]


high = record["rate too large"][1]["loss"]
checks.claim(
    "rate too large: loss of the first epoch", high.iloc[0], at_least=5
)
checks.claim(
    "rate too large: loss of the last", high.iloc[-1], at_least=2.2, at_most=3
)

# %%
slow = record["rate too small"][1]["loss"].to_numpy()
checks.claim(
    "rate too small: epochs in which the loss fell",
    int(np.sum(np.diff(slow) < 0)),
    at_least=7,
)
checks.claim(
    "rate too small: loss of the first epoch",
    slow[0],
    at_least=2.4,
    at_most=4.0,
)
checks.claim("rate too small: loss of the last", slow[-1], at_least=1.8)

# %% [markdown]
r"""
**Rate too large.** Where does a network begin that knows nothing? At $\ln 10$ if its logits are near 0 (chapter 05). Standardised pixels and He's spread make logits with a spread above 1, guesses with some confidence and most of them wrong: these networks begin near 3. A first epoch with a mean of several tens is another matter: something threw the weights away at once. Then the loss stays flat near 2.3.

**Rate too small.** Nothing is wrong except the pace: the loss falls in every epoch, smoothly, both curves together, and has far to go. *Cure*: a range test. Waiting is not a cure: Adam's steps are in proportion to $\alpha$, and these are 300 times shorter than the healthy run's.

Two patients are left with a flat line. Does each network still tell its images apart? Do its units still pass anything on?
"""


# %%
def answers_differ_by(model, x):
    """How far an image's logits are from the usual ones: the median."""
    logits = keras.ops.convert_to_numpy(model(x, training=False))
    far = np.abs(logits - np.median(logits, axis=0)).max(axis=1)
    return float(np.median(far))


def live_units(model, x):
    """Hidden units that are above 0 for at least one image."""
    live = 0
    for layer in model.layers[:-1]:
        x = keras.ops.convert_to_numpy(layer(x))
        live += int(np.sum(x.max(axis=0) > 0))
    return live


# %%
for disease in ("rate too large", "vanishing gradients"):
    checks.claim(
        f"{disease}: median distance of the logits",
        answers_differ_by(record[disease][0], x_valid),
        at_most=1e-3,
    )
checks.claim(
    "rate too large: live units of 192",
    live_units(record["rate too large"][0], x_valid),
    at_most=96,
)

# %% [markdown]
r"""
Both give the same ten logits, to three digits, for most images or all: that does not tell one from the other. The units do. After the *rate too large* most of them are never above 0; the gradient of a silent ReLU is 0, and no batch wakes it. *Cure*: a range test, a smaller rate, a warm-up, a cap.

A sigmoid is never silent. For the other flat line look at the gradient by layer, with `gradients_of` from above; its step is as large as $10^9$ so that `float32` shows a change of the weights.
"""

# %%
deep, curves = record["vanishing gradients"]
found = gradients_of(deep, x_valid[:128], y_valid[:128], rate=1e9)
kernels = found[::2]  # each followed by its biases
checks.claim(
    "vanishing gradients: first layer's gradient over last",
    size(kernels[0]) / size(kernels[-1]),
    at_most=1e-6,
)
checks.claim(
    "vanishing gradients: highest loss minus lowest",
    curves["loss"].max() - curves["loss"].min(),
    at_most=0.1,
)

# %% [markdown]
r"""
**Vanishing gradients.** This flat line was never anywhere else: it begins near $\ln 10$ and stays. The measurement: the first layer's gradient is less than a millionth of the last one's. *Cure*: ReLU with He, residual connections and normalisation, as in the figure of the 24. No learning rate helps.
"""

# %%
accuracy = last("labels shuffled", "val_accuracy")
checks.claim(
    "labels shuffled: lowest validation loss",
    record["labels shuffled"][1]["val_loss"].min(),
    at_least=2.25,
)
checks.claim(
    "labels shuffled: training loss, first epoch minus last",
    record["labels shuffled"][1]["loss"].iloc[0]
    - last("labels shuffled", "loss"),
    at_least=0.2,
)
checks.claim(
    "labels shuffled: validation accuracy",
    accuracy,
    at_least=0.05,
    at_most=0.16,
    examples=2000,
)

# %%
checks.claim(
    "overfitting: training loss", last("overfitting", "loss"), at_most=0.02
)
checks.claim(
    "overfitting: validation loss over training loss",
    last("overfitting", "val_loss") / last("overfitting", "loss"),
    at_least=30,
)

# %% [markdown]
r"""
**Labels shuffled.** The training loss falls below $\ln 10$, so the network and its rate are well: it learns its images by heart. The validation loss only rises, and the accuracy is that of guessing, 10 % of 2,000 give or take 1.3 points. What it learns holds for no other image. *Cure*: look at twenty images with their labels, and suspect a shuffle of one array without the other.

**Overfitting.** It begins like the healthy run. Then the training loss goes to nothing and the validation loss stays many times higher. The difference from the shuffled labels is the accuracy: four of five digits are right. *Cure*: more images first (the healthy run has 5,000 where this one had 300), then the remedies of the last section.

## Spot the bug

From a tutorial that adds a cosine schedule to this network. It runs, it trains without a warning, and the author concludes that "cosine decay does not help on small data":

```python
epochs = 8
schedule = keras.optimizers.schedules.CosineDecay(0.003, decay_steps=epochs)
model.compile(optimizer=keras.optimizers.Adam(schedule), loss=...)
model.fit(x_train, y_train, batch_size=100, epochs=epochs)
```

What is wrong, and which number would have shown it? Decide, then print the rate.
"""

# %%
num_steps = 8 * 50  # 8 epochs of 5,000 images in batches of 100
published = keras.optimizers.schedules.CosineDecay(0.003, decay_steps=8)
repaired = keras.optimizers.schedules.CosineDecay(0.003, decay_steps=num_steps)
for step in (0, 4, 8, 50, 200):
    print(
        f"step {step:3d}: published {float(published(step)):.4f}, "
        f"repaired {float(repaired(step)):.4f}"
    )

# %% [markdown]
r"""
A schedule counts *steps*, not epochs. The published rate is zero after eight batches, and the other 392 steps change nothing. The loss curve is flat after the first epoch, which looks like a network that cannot learn more.
"""

# %% tags=["nbval-ignore-output"]
accuracies = {}
for name, rate in {"published": published, "repaired": repaired}.items():
    _, history = admit(rate=rate)
    accuracies[name] = history["val_accuracy"].iloc[-1]
    fell = history["loss"].iloc[1] - history["loss"].iloc[-1]
    print(f"{name}: {accuracies[name]:.1%} of 2,000, fell by {fell:.3f} nats")

# %%
checks.claim(
    "accuracy as published",
    accuracies["published"],
    at_most=0.85,
    examples=2000,
)
checks.claim(
    "accuracy repaired", accuracies["repaired"], at_least=0.91, examples=2000
)

# %% [markdown]
r"""
Repaired, `decay_steps` is `epochs * ceil(images / batch_size)`. Print a schedule at its first, middle and last step before you trust it; it takes one line.
"""

# %% [markdown]
r"""
## What the machine did

Depth is cheap in parameters and dear in waiting: the twenty layers must be computed one after another. How near to the machine's limit (about 190 GFLOP/s in matrix products) does a step of the network by hand come, and does normalisation cost anything? In operations it is nothing: a few for each of 128 × 100 numbers, where the matrix takes 200.
"""

# %% tags=["nbval-ignore-output"]
batch = x_train[:128], y_train[:128]
weights = [W.astype("float32") for W in draw(0.1)]
operations = 6 * len(batch[0]) * sum(W.size for W in weights)
operations -= 2 * len(batch[0]) * weights[0].size  # no gradient by the pixels


def seconds(function, *arguments, repeats=5):
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - began)
    return min(times)


rows = {}
for design, switches in designs.items():
    step = seconds(gradients, *batch, weights, "ReLU", *switches)
    rows[design] = {
        "ms per step": 1000 * step,
        "GFLOP/s": operations / step / 1e9,
    }
print(f"{sum(W.size for W in weights):,} weights, {operations:,} operations")
pd.DataFrame(rows).T.map("{:.3g}".format)

# %% [markdown]
r"""
Nothing in operations, and yet a large part of a step's time. Where does it go? Time the parts, on 128 rows of 100 numbers and on two:
"""

# %% tags=["nbval-ignore-output"]
h = np.ones((128, WIDTH), "float32")
parts = {"h + h": np.add, "row variances": lambda a, b: a.var(axis=1)}
parts["normalise"] = lambda a, b: normalise(a)
rows = {
    name: {
        f"µs, {n} rows": 1e6 * seconds(part, h[:n], h[:n], repeats=100)
        for n in (128, 2)
    }
    for name, part in parts.items()
}
pd.DataFrame(rows).T.map("{:.3g}".format)

# %% [markdown]
r"""
The 51 KB of $h$ lie in the processor's cache, so adding is quick. Sums along short rows are slow, and a dozen calls of NumPy cost their time even on two rows: sixty-four times less work saves about half. That is why libraries compile a normalisation into one fused operation, and why dropping the mean (RMS) is worth a paper. On a GPU the same operation waits for something else, its memory, since each pass reads and writes every number and does little with it.
"""

# %% [markdown]
r"""
## Summary

- **Diagnosis**: does the training loss fall, where did it begin, does the validation loss follow? Then one measurement: the first epoch's loss, the live units, the gradient by layer, twenty labels, the gap.
- **Spread and gradients**: $n v / 2$ is a ReLU layer's factor on the variance, so He draws with $v = 2/n$; Glorot takes $2/(n+m)$. Of 24 networks of twenty layers, the six with residual connections *and* normalisation have a level gradient whatever the activation function and the spread, and learn at a rate of 0.01 and at 0.5.
- **By hand and in Keras**: batch normalisation over columns, layer and RMS normalisation over rows; one factor for all gradients from their global norm, which keeps the direction, and a cap that acts on exceptions only.
- **The rate**: a range test in a hundred steps; for a long run a third of its lowest point as a constant rate, the lowest point as a peak. Warm-up and descent forgive a peak that is too large, and gain little at a good one. Schedules count steps.
- **Overfitting** on purpose: 300 false labels of 1,000 learned by heart. Early stopping, dropout and weight decay give points back; label smoothing gives little or none here.
"""

# %% [markdown]
r"""
## Going further

- Give the 24 networks the tanh, and a hundred layers. Which panels change?
- Replace layer normalisation by RMS normalisation in `normalise` and `normalise_back`. Which line of the backward pass goes away, and does the figure change?
- On a GPU: `same_in_keras` with 200 layers of 1,000 units and both remedies, on all 60,000 digits. Then take the normalisation out, and find the largest rate that still trains.
"""

# %% [markdown]
r"""
## References

- X. Glorot, Y. Bengio: *Understanding the difficulty of training deep feedforward neural networks*. AISTATS 2010. Equations 12 and 16.
- K. He, X. Zhang, S. Ren, J. Sun: *Delving deep into rectifiers*. ICCV 2015, arXiv:1502.01852. The derivation is section 2.2, equation 10.
- K. He, X. Zhang, S. Ren, J. Sun: *Deep residual learning for image recognition*. CVPR 2016, arXiv:1512.03385. Section 3.
- S. Ioffe, C. Szegedy: *Batch normalization*. ICML 2015, arXiv:1502.03167. Algorithms 1 and 2.
- J. L. Ba, J. R. Kiros, G. E. Hinton: *Layer normalization*. 2016, arXiv:1607.06450. Section 3.
- R. Xiong et al.: *On layer normalization in the transformer architecture*. ICML 2020, arXiv:2002.04745. Normalising first, as here, against normalising last.
- B. Zhang, R. Sennrich: *Root mean square layer normalization*. NeurIPS 2019, arXiv:1910.07467. Equation 4.
- R. Pascanu, T. Mikolov, Y. Bengio: *On the difficulty of training recurrent neural networks*. ICML 2013, arXiv:1211.5063. Clipping is algorithm 1.
- T. B. Brown et al.: *Language models are few-shot learners* (GPT-3). NeurIPS 2020, arXiv:2005.14165. The cap of 1, the warm-up and the cosine: appendix B.
- L. N. Smith: *Cyclical learning rates for training neural networks*. WACV 2017, arXiv:1506.01186. The range test in section 3.3.
- P. Goyal et al.: *Accurate, large minibatch SGD: training ImageNet in 1 hour*. 2017, arXiv:1706.02677. Warm-up: section 2.2.
- I. Loshchilov, F. Hutter: *SGDR: stochastic gradient descent with warm restarts*. ICLR 2017, arXiv:1608.03983. The cosine is equation 5.
- C. Zhang, S. Bengio, M. Hardt, B. Recht, O. Vinyals: *Understanding deep learning requires rethinking generalization*. ICLR 2017, arXiv:1611.03530. Learning random labels, section 2.
"""
