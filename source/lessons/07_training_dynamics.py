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

[Chapter 02](02_gradient_descent.ipynb) for the learning rate, [chapter 03](03_losses_and_activations.ipynb) for the sigmoid and the cross-entropy, [chapter 04](04_backpropagation.ipynb) for the way back through a network, [chapter 05](05_mlp.ipynb) for `training.fit`, dropout and weight decay. From mathematics: variance, and that the variances of independent numbers add up.
"""

# %% [markdown]
r"""
## Budget

45 minutes to read · about 55 s to run on two CPU cores · 2 GB of memory
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
The digits are standardised with the training pixels' mean and standard deviation. 20,000 images are for learning, 2,000 others for judging; the seed decides which.
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
**Answer: (c).** (a) adds where the layers multiply: each layer shrinks the numbers by the same factor, about 0.07 here, and twenty factors make $10^{-23}$. On this axis a straight line is a constant factor a layer. A hundred layers are hopeless unless that factor is 1.

## Which spread keeps the size?

You can compute the factor. One unit sums over its $n$ inputs: $z_j = \sum_i h_i W_{ij}$. The weights are independent of each other and of $h$, with mean 0 and variance $v$, so the variances of the $n$ products add up:

$$\operatorname{Var}(z_j) = n\,v\,\mathbb E[h^2].$$

The ReLU sets the negative half of a symmetric $z$ to zero, so $\mathbb E[h^2] = \tfrac12\operatorname{Var}(z)$ of the layer before. From layer to layer the variance is therefore multiplied by $\tfrac12 n v$, and it stays when

$$v = \frac{2}{n}.$$

That is **He initialisation**. A bend that is nearly straight around zero, like the tanh, does not halve anything, and $v = 1/n$ would do. On the way back the same sum runs over the $m$ outputs of the layer, which asks for $1/m$; the compromise $v = 2/(n + m)$ is **Glorot initialisation**, and the default of Keras's `Dense`.

Do the layers above obey? Their factor by layer, measured and computed:
"""


# %%
def factor(sizes):
    """Mean factor a layer, from the first of the twenty to the last."""
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
## The way back, by hand

A signal that dies on the way forward is half of the story. The gradient takes the same road back, and each layer multiplies it by its matrix again, and by the slope of its bend. You want to see the gradient of every layer, for many kinds of networks, so you write forward and backward once, with two switches:

- **residual connection**: the layer's result is *added* to what came in, $h \leftarrow h + f(z)$, in place of $h \leftarrow f(z)$;
- **normalisation**: what enters the matrix is first brought to mean 0 and standard deviation 1, each image by itself.

First the small parts: two bends with their slopes, and the normalisation with its way back. A shift of $h$, or a stretch, does not change $u$; so the part of the gradient that asks for a shift or a stretch is taken out.
"""

# %%
BENDS = {  # the bend; its slope from z and a
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
Forward: each layer leaves a note of what its way back will need. The softmax and the cross-entropy at the end are those of chapter 03.
"""


# %%
def forward(x, weights, bend, residual, normalised):
    """Logits (n, 10), and a note a layer: u, its spread, z, a."""
    h, notes = x @ weights[0], []
    for W in weights[1:-1]:
        u, spread = normalise(h) if normalised else (h, 1)
        z = u @ W
        a = BENDS[bend][0](z)
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
def gradients(x, y, weights, bend, residual, normalised):
    """Loss, and a list of its gradients by each of the 22 matrices."""
    logits, notes = forward(x, weights, bend, residual, normalised)
    loss, g = cross_entropy_and_gradient(logits, y)
    u, spread, _, _ = notes.pop()
    found = [u.T @ g]
    g = g @ weights[-1].T
    if normalised:
        g = normalise_back(g, u, spread)
    for W in reversed(weights[1:-1]):
        u, spread, z, a = notes.pop()
        g_z = g * BENDS[bend][1](z, a)
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
def same_in_keras(weights, bend, residual, normalised):
    """A Keras model with the 22 matrices; its outputs are logits (n, 10)."""

    def norm(h):
        if not normalised:
            return h
        options = {"epsilon": 1e-6, "center": False, "scale": False}
        return keras.layers.LayerNormalization(**options)(h)

    def dense(h, units, bend=None):
        return keras.layers.Dense(units, activation=bend, use_bias=False)(h)

    inputs = keras.Input((784,))
    h = dense(inputs, WIDTH)
    for _ in range(DEPTH):
        a = dense(norm(h), WIDTH, bend.lower())
        h = keras.layers.add([h, a]) if residual else a
    model = keras.Model(inputs, dense(norm(h), 10))
    model.set_weights(weights)
    return model


# %%
def gradients_by_keras(x, y, weights, *kind, rate=10.0):
    model = same_in_keras(weights, *kind)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    before = model.get_weights()
    model.train_on_batch(x.astype("float32"), y)
    after = model.get_weights()
    return [(b - a) / rate for b, a in zip(before, after, strict=True)]


weights, kind = draw(np.sqrt(2 / WIDTH)), ("sigmoid", True, True)
_, by_hand = gradients(few, y_train[:128], weights, *kind)
by_backend = gradients_by_keras(few, y_train[:128], weights, *kind)
for name, layer in (("first", 1), ("tenth", 10), ("twentieth", 20)):
    scale = np.abs(by_hand[layer]).max()
    ours, theirs = by_hand[layer] / scale, by_backend[layer] / scale
    checks.agree(
        f"{name} layer, by hand and backend", ours, theirs, tolerance=1e-4
    )

# %% [markdown]
r"""
## Twenty-four networks, one figure

Two bends, three spreads, with and without residual connections, with and without normalisation: 24 networks, 128 digits, one way forward and one back each. The number to watch is the size of $\partial L/\partial W$ in each of the twenty layers, because that is what moves the layer.

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
for bend, start, design in itertools.product(BENDS, initial, designs):
    _, found = gradients(
        few, y_train[:128], draw(initial[start]), bend, *designs[design]
    )
    by_layer[bend, start, design] = np.array([size(g) for g in found[1:-1]])
print(len(by_layer), "networks,", len(found) - 2, "layers each")

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(2, 4, width=9, height=2.6, sharex=True, sharey=True)
for (row, bend), (column, design) in itertools.product(
    enumerate(BENDS), enumerate(designs)
):
    panel = axes[row, column]
    series = {start: by_layer[bend, start, design] for start in initial}
    plots.lines(
        panel,
        layers,
        series,
        xlabel="layer" if row else "",
        ylabel="" if column else "size of ∂L/∂W",
        yscale="log",
        title=f"{bend}, {design}",
        xticks=(1, 5, 10, 15, 20),
    )
    if row or column:
        panel.get_legend().remove()
plots.show(
    fig,
    "Plain deep networks lose the gradient by many orders of magnitude; "
    "residual connections and normalisation together keep it level for "
    "either bend and any initial spread.",
)

# %% [markdown]
r"""
Read it panel by panel. The axis has nearly forty powers of ten; a healthy network is a level line near $10^{-2}$. The table has the same runs as numbers: the gradient of the *first* of the twenty layers, the one with the longest way.
"""

# %% tags=["nbval-ignore-output"]
table = pd.DataFrame(
    {
        design: {
            f"{bend}, {start}": by_layer[bend, start, design][0]
            for bend, start in itertools.product(BENDS, initial)
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
**Answer: (c).** The slope of a sigmoid is a quarter at most, and each layer multiplies by it: $(1/4)^{20} \approx 10^{-12}$. These are **vanishing gradients**. (a) is tempting because Glorot's spread is "the right one"; it is, for bends with a slope of 1. No spread of the three saves the sigmoid.

- **ReLU, plain**: level lines, at a height that the spread decides. A gradient is a product of what came forward and what comes back; the two extinctions add up the same way in every layer. Only He's spread arrives at a useful height.
- **Residual alone**: the road past the layer has slope 1, so nothing vanishes. But every layer *adds* to $h$. With ReLU and He's spread the sum doubles its variance in each layer, and the gradient grows with it: **exploding gradients**, a thousand times what you want, and more.
- **Normalised alone**: whatever the spread, the next layer sees numbers of size 1, so the way forward is safe. On the way back ReLU layers still amplify a little each, and the first gets far more than the last.
- **Both**: level, for either bend, for any spread. The sum is divided by its own size before it is used, and the road past the layers carries the gradient home. A block of every large language model is written this way: normalise, transform, add (chapter 11).

## What a level line is worth

Does it matter for learning? Train the network that was hopeless, twenty layers of sigmoids, plain and with both. The loop is the four steps of chapter 00 in NumPy; `clip` waits for its section.
"""


# %%
def train(bend, design, start, rate, *, steps=120, clip=None):
    """Plain gradient descent on batches of 128; rate(t) is the learning rate."""
    weights = [W.astype("float32") for W in draw(initial[start])]
    rng = np.random.default_rng(run.seed)
    losses = np.full(steps, np.nan)
    for t in range(steps):
        rows = rng.integers(0, len(x_train), 128)
        losses[t], found = gradients(
            x_train[rows], y_train[rows], weights, bend, *designs[design]
        )
        if not np.isfinite(losses[t]):
            break
        scale = 1.0 if clip is None else clip_factor(found, clip)
        step = np.float32(rate(t) * scale)
        weights = [W - step * g for W, g in zip(weights, found, strict=True)]
    logits, _ = forward(x_valid, weights, bend, *designs[design])
    return losses, float(np.mean(logits.argmax(axis=1) == y_valid))


# %% [markdown]
r"""
> **Predict, then run.** 120 steps. The plain network has 200,000 weights, and its last layers do get a gradient. It reaches
> (a) a fair accuracy, because the last layers learn, (b) about 10 %, (c) the same, later?
"""

# %% tags=["nbval-ignore-output"]
plain, plain_accuracy = train("sigmoid", "plain", "Glorot", lambda t: 0.1)
level, level_accuracy = train("sigmoid", "both", "Glorot", lambda t: 0.1)
print(f"plain: {plain_accuracy:.1%} of 2,000, both: {level_accuracy:.1%}")
fig, axes = plots.figure(width=5.5, height=2.6)
series = {"plain": plain, "residual and normalised": level}
labels = {"xlabel": "step", "ylabel": "training loss (nats)"}
plots.lines(axes, np.arange(1, 121), series, ylim=(0, 4), **labels)
plots.show(
    fig,
    "Twenty sigmoid layers: without a level gradient the loss stays at "
    "ln 10, with it the network learns.",
)

# %%
checks.claim("accuracy, plain", plain_accuracy, at_most=0.16, examples=2000)
checks.claim("accuracy, both", level_accuracy, at_least=0.8, examples=2000)
checks.claim(
    "plain loss of the last 20 steps, nats",
    plain[-20:].mean(),
    at_least=2.25,
    at_most=2.4,
)

# %% [markdown]
r"""
**Answer: (b).** The last layers learn from what reaches them, and what reaches them is the same for every image: twenty squeezes have removed the difference between a 3 and an 8. So the best they can do is to say 10 % each, a loss of $\ln 10 = 2.303$. Remember that flat line at 2.30; a patient in the clinic has it. (An accuracy of 10 % on 2,000 images has an error bar of ± 1.3 points.)
"""

# %% [markdown]
r"""
## Three normalisations

All three divide by a spread. They differ in *whose* spread. Of a batch of activations $h$ with a row an image and a column a unit,

- **batch normalisation** takes mean and spread of each *column*: over the images of the batch;
- **layer normalisation** takes mean and spread of each *row*: over the units, image by image;
- **RMS normalisation** leaves the mean where it is and divides each row by its root mean square.

Each then multiplies by learned numbers, one a unit, and the first two add others, so that a layer can undo it where that is useful. By hand, on two images with three units:
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
`training=True` stands there for the first layer's sake. In training it uses the batch's mean; in use, when there may be one image only, it uses a running mean that it has collected.

> **Predict, then run.** You forget the switch, and pass *one* image through batch normalisation with `training=True`. The 100 outputs are
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
**Answer: (b).** The mean over one image is the image, and the difference is 0: the network answers every image alike, without a complaint. This is the dearest bug of batch normalisation. Layer and RMS normalisation have no such switch, and treat an image the same alone or in company. Language models, which answer one request at a time and split batches over many machines, use these two, today mostly RMS, which saves the mean.

## Clipping by global norm

Some batches give a gradient a hundred times longer than the others: one step along it can undo an hour of training. **Gradient clipping** puts a cap on the length of the step and keeps its direction. The length is the **global norm**: the root of the sum of *all* squares, over all matrices together. If it is above the cap $c$, every gradient is multiplied by the same factor:

$$g \leftarrow g \cdot \min\!\left(1, \frac{c}{\lVert g\rVert}\right), \qquad \lVert g\rVert = \sqrt{\sum_{\text{matrices}}\sum_{ij} g_{ij}^2}.$$
"""


# %%
def clip_factor(grads, cap):
    """One number for all matrices, at most 1."""
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in grads))
    return min(1.0, cap / norm)


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
Both end short, but only the global norm ends in the same *direction* (the cosine of the angle is 1). Capping each matrix by itself turns the step towards the matrices that had little to say. Now train the plain ReLU network with He's spread, at a rate that it does not bear.

> **Predict, then run.** Rate 0.3, capped at norm 1 or not capped. The cap
> (a) makes the run slower and safer, (b) decides whether there is a run at all, (c) changes little, as the loss is what counts?
"""

# %% tags=["nbval-ignore-output"]
with np.errstate(all="ignore"):  # one of them may overflow, that is the point
    free, free_accuracy = train("ReLU", "plain", "He", lambda t: 0.3)
    capped, capped_accuracy = train(
        "ReLU", "plain", "He", lambda t: 0.3, clip=1.0
    )
print(f"free {free_accuracy:.1%}, capped {capped_accuracy:.1%} of 2,000")
fig, axes = plots.figure(width=5.5, height=2.6)
series = {"free": free, "capped at 1": capped}
plots.lines(axes, np.arange(1, 121), series, ylim=(0, 4), **labels)
plots.show(
    fig,
    "Without a cap the loss leaps and does not leave its start for long; "
    "with the cap the same rate trains.",
)

# %%
checks.claim("accuracy, free", free_accuracy, at_most=0.3, examples=2000)
checks.claim("accuracy, capped", capped_accuracy, at_least=0.45, examples=2000)

# %% [markdown]
r"""
**Answer: (b).** Without the cap long steps throw the weights to where the ReLUs are silent, or to infinity, and nothing brings them back. Clipping does not mend the network, as the two remedies of the figure do; it makes rare catastrophes survivable. Runs that cost millions have it on, and its usual cap is 1.

## How large a rate? The range test

You could try five rates in five runs. A **range test** tries them all in one: start with a rate far too small, multiply it by a constant at each step until it is far too large, and watch the loss. Do it for the healthy network (ReLU, He, both).
"""

# %% tags=["nbval-ignore-output"]
num_steps = 100
rates = 1e-4 * 1e5 ** (np.arange(num_steps) / num_steps)
with np.errstate(all="ignore"):
    test, _ = train("ReLU", "both", "He", lambda t: rates[t], steps=num_steps)
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
    "The loss falls as the rate grows, is lowest near 0.1, and leaves the "
    "picture soon after.",
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
How to read it: not the lowest point. There the loss is low thanks to all the smaller rates before, and the next few already undo it. For a constant rate take a third to a tenth of the rate of the lowest loss; as the *peak* of a schedule, the lowest point itself. The test costs one run of a hundred steps, and its answer holds for this network, this batch size and this optimizer only.

## Warm-up, cosine, one-cycle

Three shapes, all of them functions of the step $t$ of $T$:

- **warm-up**: climb from almost nothing to the peak in the first steps, because the first gradients are the longest and the least reliable;
- **cosine decay**: from the peak to zero along half a cosine, $\alpha_t = \tfrac12\alpha_{\max}(1 + \cos(\pi t/T))$, large steps while there is far to go and tiny ones to settle;
- one-cycle (chapter 05): the two in a row. Almost every large model is trained so.
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
The gap is the start: `training.one_cycle` begins at a 25th of the peak instead of at zero. What do the shapes buy? The healthy network again, at a peak of 1.0, where the range test saw disaster.

> **Predict, then run.** Four shapes with the same peak, 120 steps each. The constant rate of 1.0
> (a) diverges, (b) survives with a scar, (c) wins, since it has taken the longest way?
"""

# %% tags=["nbval-ignore-output"]
shapes = {
    "constant": lambda t: 1.0,
    "warm-up": lambda t: min(1.0, (t + 1) / 36),
    "cosine": lambda t: cosine_by_hand(t, 1.0, num_steps),
    "warm-up and cosine": lambda t: cosine_by_hand(t + 1, 1.0, num_steps, 36),
}
with np.errstate(all="ignore"):
    shaped = {
        name: train("ReLU", "both", "He", rate) for name, rate in shapes.items()
    }
table = pd.DataFrame(
    {
        "highest loss on the way": {k: v[0].max() for k, v in shaped.items()},
        "loss, last 20": {k: v[0][-20:].mean() for k, v in shaped.items()},
        "accuracy, %": {k: 100 * v[1] for k, v in shaped.items()},
    }
)
table.map("{:.3g}".format)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 2, width=7.5)
curves = {name: [rate(t) for t in steps] for name, rate in shapes.items()}
plots.lines(axes[0], steps, curves, xlabel="step", ylabel="learning rate α")
curves = {name: losses for name, (losses, _) in shaped.items()}
plots.lines(axes[1], steps, curves, yscale="log", **labels)
axes[1].get_legend().remove()
plots.show(
    fig,
    "Without warm-up the loss first leaps far above its start; with it the "
    "same peak does no harm.",
)

# %%
highest = {name: losses.max() for name, (losses, _) in shaped.items()}
checks.claim(
    "highest loss, constant over warm-up",
    highest["constant"] / highest["warm-up"],
    at_least=1.15,
)
checks.claim(
    "accuracy, warm-up and cosine",
    shaped["warm-up and cosine"][1],
    at_least=0.86,
    examples=2000,
)

# %% [markdown]
r"""
**Answer: (b).** The network survives even this, thanks to its normalisation: weights that were thrown far are divided by their own size again. But its first loss leaps to several times the start, and the run spends its time on coming back. (a) is right for most networks. The warm-up costs nothing and removes the leap. The cosine is for the end, where tiny steps let the weights settle; in a run as short as this one it shows little.

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


def build(hidden=(128, 64), bend="relu", initial="he_normal", dropout=0.0):
    keras.utils.set_random_seed(run.seed)
    model = keras.Sequential([keras.Input((784,))])
    for units in hidden:
        layer = keras.layers.Dense(
            units, activation=bend, kernel_initializer=initial
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


# %% tags=["nbval-ignore-output"]
model, history = remedied(validation=watched)
by_heart = np.mean(guesses(model, x_few)[guessed] == y_few[guessed])
lost = history["val_accuracy"].max() - history["val_accuracy"].iloc[-1]
print(f"{by_heart:.0%} of the false labels learned")
print(f"validation accuracy lost since its best epoch: {100 * lost:.1f} points")
fig = plots.curves(history)
plots.show(
    fig,
    "The training loss goes on to zero while the validation loss turns "
    "upward and the validation accuracy falls: the network learns the "
    "false labels.",
)

# %%
checks.claim("share of the false labels learned", by_heart, at_least=0.88)
checks.claim("validation accuracy lost", lost, at_least=0.02, at_most=0.14)
turned = history["val_loss"].iloc[-1] / history["val_loss"].min()
checks.claim("validation loss, end over lowest", turned, at_least=1.02)

# %% [markdown]
r"""
**Answer: (c).** 110,000 parameters have room for 1,000 arbitrary answers. (a) is a fair description of the *first* epochs: what the images have in common is learned first, because all of them push in its direction, and the validation accuracy is best then. The exceptions come later, one by one. That order is what the remedies live on:

- **early stopping** keeps the weights of the epoch with the lowest validation loss, and stops when no epoch has beaten it for a while (`patience`);
- dropout and weight decay (chapter 05) make learning by heart harder;
- label smoothing (chapter 05) forbids certainty: the target is never quite 1.

> **Predict, then run.** Which of the four lifts the validation accuracy least here?
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
    reached[name] = p = np.mean(guesses(model, x_valid) == y_valid)
    false = np.mean(guesses(model, x_few)[guessed] == y_few[guessed])
    bar = 1.96 * np.sqrt(p * (1 - p) / len(y_valid))
    rows[name] = {
        "epochs": len(history),
        "false labels learned, %": f"{100 * false:.0f}",
        "validation accuracy, %": f"{100 * p:.1f} ± {100 * bar:.1f}",
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
sigmoids = {"hidden": (64,) * 20, "bend": "sigmoid", "initial": "glorot_normal"}
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
    "validation loss near zero; the grey line is ln 10, the loss of a "
    "network that knows nothing.",
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
slow = record["rate too small"][1]["loss"].to_numpy()
checks.claim(
    "rate too small: epochs in which the loss fell",
    int(np.sum(np.diff(slow) < 0)),
    at_least=7,
)
checks.claim("rate too small: loss of the last", slow[-1], at_least=1.8)

# %% [markdown]
r"""
**Rate too large.** The first epoch's loss is far above 2.3, where even a network that knows nothing begins: something threw the weights away at once. Then it lies still, because its ReLUs are silent for every image. *Cure*: a range test, a smaller rate, a warm-up, a cap.

**Rate too small.** Nothing is wrong except the pace: the loss falls in every epoch, smoothly, both curves together, and has far to go. *Cure*: a range test. Waiting is not a cure: Adam's steps are in proportion to $\alpha$, and these are 300 times shorter than the healthy run's.
"""


# %%
def answers_differ_by(model, x):
    """Largest spread of a logit over the images."""
    logits = keras.ops.convert_to_numpy(model(x, training=False))
    return float(logits.std(axis=0).max())


deep = record["vanishing gradients"]
losses = deep[1]["loss"].to_numpy()
checks.claim(
    "vanishing gradients: highest loss minus lowest",
    losses.max() - losses.min(),
    at_most=0.1,
)
checks.claim(
    "vanishing gradients: spread of a logit over the images",
    answers_differ_by(deep[0], x_valid),
    at_most=1e-3,
)

# %% [markdown]
r"""
**Vanishing gradients.** The other flat line, but this one was never anywhere else: it begins near $\ln 10$ and stays. The measurement: the network gives the same ten logits for every image, to three digits. *Cure*: ReLU with He, residual connections and normalisation, as in the figure of the 24. No learning rate helps.
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
**Labels shuffled.** The training loss falls below $\ln 10$, so the network and its rate are well: it learns its images by heart. The validation loss only rises, and the accuracy is that of guessing, 10 % of 2,000 give or take 1.3 points. What it learns holds for no other image. *Cure*: look at twenty images with their labels. Nothing else finds it, and nothing else is needed; suspect a shuffle of one array without the other.

**Overfitting.** It begins like the healthy run. Then the training loss goes to nothing and the validation loss stays many times higher. The difference to the shuffled labels is the accuracy: four of five digits are right. *Cure*: more images first (the healthy run has 5,000 where this one had 300), then the remedies of the last section.

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
rows = {}
for design, switches in designs.items():
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        gradients(*batch, weights, "ReLU", *switches)
        seconds.append(time.perf_counter() - began)
    rows[design] = {
        "ms a step": 1000 * min(seconds),
        "GFLOP/s": operations / min(seconds) / 1e9,
    }
print(f"{sum(W.size for W in weights):,} weights, {operations:,} operations")
pd.DataFrame(rows).T.map("{:.3g}".format)

# %% [markdown]
r"""
Nothing in operations, and yet a large part of a step's time. Normalisation makes several passes over its numbers and does almost no arithmetic on each, so it waits for memory while the multipliers idle. That is why serious libraries write a normalisation as one fused kernel, and why dropping the mean (RMS) is worth a paper.
"""

# %% [markdown]
r"""
## Summary

- **Diagnosis**: does the training loss fall, where did it begin, does the validation loss follow? Then one measurement: the first epoch's loss, the spread of the logits, twenty labels, the gap.
- **Spread and gradients**: $n v / 2$ is a ReLU layer's factor on the variance, so He draws with $v = 2/n$; Glorot takes $2/(n+m)$. Of 24 networks of twenty layers, the six with residual connections *and* normalisation have a level gradient whatever the bend and the spread.
- **By hand and in Keras**: batch normalisation over columns, layer and RMS normalisation over rows; one factor for all gradients from their global norm, which keeps the direction.
- **The rate**: a range test in a hundred steps; a third to a tenth of its lowest point for a constant rate, the lowest point as a peak; warm-up removes the first leap, the cosine lets the weights settle. Schedules count steps.
- **Overfitting** on purpose: 300 false labels of 1,000 learned by heart. Early stopping, dropout and weight decay give points back; label smoothing gives little or none here.
"""

# %% [markdown]
r"""
## Going further

- Give the 24 networks the tanh, and a hundred layers. Which panels change?
- Replace layer normalisation by RMS normalisation in `normalise` and `normalise_back`. Which line of the way back goes away, and does the figure change?
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
- B. Zhang, R. Sennrich: *Root mean square layer normalization*. NeurIPS 2019, arXiv:1910.07467. Equation 4.
- R. Pascanu, T. Mikolov, Y. Bengio: *On the difficulty of training recurrent neural networks*. ICML 2013, arXiv:1211.5063. Clipping is algorithm 1.
- L. N. Smith: *Cyclical learning rates for training neural networks*. WACV 2017, arXiv:1506.01186. The range test in section 3.3.
- I. Loshchilov, F. Hutter: *SGDR: stochastic gradient descent with warm restarts*. ICLR 2017, arXiv:1608.03983. The cosine is equation 5.
- C. Zhang, S. Bengio, M. Hardt, B. Recht, O. Vinyals: *Understanding deep learning requires rethinking generalization*. ICLR 2017, arXiv:1611.03530. Learning random labels, section 2.
"""
