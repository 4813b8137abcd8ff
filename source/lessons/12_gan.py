# %% [markdown]
r"""
# Generative adversarial networks

Two networks teach each other, one to forge and one to detect, until the first draws digits that nobody has written; three numbers tell you whether to believe its pictures.
"""

# %% [markdown]
r"""
## You will be able to

- train a generative adversarial network (GAN) with one loss and one `fit`, on any backend, and get readable digits from noise in about a minute on two CPU cores;
- derive what the best discriminator knows, and why the generator's loss is not the one that the theory starts from;
- judge generated pictures by numbers: a Fréchet distance, the share of confident answers, the entropy over classes;
- provoke mode collapse, recognise it in those numbers, and repair it;
- find four faults of a published GAN, each with one check.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 03](03_losses_and_activations.ipynb) for the sigmoid σ, logits and the binary cross-entropy, [chapter 04](04_backpropagation.ipynb) for how a gradient travels back through a network, [chapter 05](05_mlp.ipynb) for `training.fit`, [chapter 07](07_training_dynamics.ipynb) for batch normalisation, [chapter 08](08_cnn.ipynb) for convolution, stride and the count of operations. You need expectation and covariance from statistics.
"""

# %% [markdown]
r"""
## Budget

70 minutes to read · about 130 s to run on two CPU cores · 2 GB of memory
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %% tags=["benchmark"]
import io
import os
import pathlib

import IPython.display
import keras
import numpy as np
import pandas as pd
import scipy.linalg
import scipy.ndimage
import scipy.special
import scipy.stats
from keras import layers, ops
from PIL import Image
from scipy.spatial.distance import jensenshannon

from course_lib import checks, data, plots, training

digits = data.load("mnist")

# %% [markdown]
r"""
## Two players

Every network so far had an answer to aim at: the label. For "draw a digit" there is none. Thousands of pictures are right, and the average of them all, which a mean squared error would ask for, is a grey blur.

So let a second network be the loss. The **generator** $G$ turns random numbers $z$ into a picture $G(z)$. The **discriminator** $D$ looks at a picture and gives the probability that it is real. $D$ learns from real pictures and from $G$'s; $G$ learns from what $D$ finds wrong. Together they are a **generative adversarial network** (GAN). As a formula, with $p$ the distribution of the data and $q$ that of $G(z)$:

$$\min_G \max_D \; V(D, G) = \mathbb{E}_{x\sim p}\,\log D(x) + \mathbb{E}_{x\sim q}\,\log\,(1 - D(x))$$

$D$ raises $V$: it wants $D(x)$ near 1 on real pictures and near 0 on forged ones. $G$ lowers it. From $D$'s side, $-V$ is nothing new: it is the binary cross-entropy of a classifier with the labels "real" and "forged", once for each half.

> **Predict, then run.** The generator has become perfect: $q = p$. The best discriminator then has the loss $-V$ =
> (a) 0, (b) $\ln 2 = 0.693$, (c) $2 \ln 2 = 1.386$, (d) infinity?

Take a world of five possible "pictures" to find out. For each, try every probability that $D$ could answer, and keep the best.
"""

# %%
p = np.array([0.1, 0.4, 0.3, 0.2, 0.0])  # how often the data show picture x
q = np.array([0.1, 0.1, 0.2, 0.2, 0.4])  # how often the generator draws it
answers = np.linspace(0.0005, 0.9995, 1000)


def best_by_search(p, q):
    """For each picture the answer D(x) that makes its share of V largest."""
    best = []
    for real, forged in zip(p, q, strict=True):
        share = real * np.log(answers) + forged * np.log(1 - answers)
        best.append(answers[share.argmax()])
    return np.array(best)


print(best_by_search(p, q).round(2))

# %% [markdown]
r"""
The derivative of $p\log d + q\log(1-d)$ by $d$ is $p/d - q/(1-d)$, and it is zero at

$$D^*(x) = \frac{p(x)}{p(x) + q(x)}$$

That is what the best detective knows: of all the times that this picture comes up, in what share is it real? Where data and generator are equally frequent, it says one half.
"""

# %%
checks.agree(
    "search and formula", best_by_search(p, q), p / (p + q), tolerance=1e-3
)


def best_value(p, q):
    """V of the best discriminator; a picture that never comes up adds 0."""
    best = p / (p + q)
    return (
        scipy.special.xlogy(p, best).sum()
        + scipy.special.xlogy(q, 1 - best).sum()
    )


print(f"generator as above: -V = {-best_value(p, q):.3f}")
print(f"perfect generator:  -V = {-best_value(p, p + 1e-300):.3f}")
distance = jensenshannon(p, q) ** 2
checks.agree(
    "V of the best D, and SciPy's distance between p and q",
    best_value(p, q),
    -2 * np.log(2) + 2 * distance,
)

# %% [markdown]
r"""
**Answer: (c).** Against a perfect forger the detective can only toss a coin, $D = 1/2$, and pays $\ln 2$ on each half. (a) is tempting because a loss of 0 is what training usually looks for; here it would mean that every forgery is found out. A GAN's losses do not go to zero when things go well, which is why this chapter needs other numbers to judge by.

The last line says what $G$ minimises when $D$ is at its best: $2\,\mathrm{JS}(p, q) - 2\ln 2$, where JS is the **Jensen-Shannon divergence**, a distance between distributions that is zero only for $q = p$. Nobody computes $p(x)$ for pictures, and nobody needs to: $D$ estimates the ratio of $p$ to $q$ from samples.
"""

# %% [markdown]
r"""
## The generator's loss: two ways to push

Write $D(x) = \sigma(\ell)$ with the logit $\ell$. To fool $D$, the generator can

- lower $\log(1 - \sigma(\ell))$, as the formula says: the *saturating* loss;
- or raise $\log \sigma(\ell)$, that is lower $-\log\sigma(\ell)$: the **non-saturating** loss.

Both want a higher $\ell$. They differ in how hard they push, which is their slope.

> **Predict, then run.** Early on, forgeries are bad and $D$ is sure: $\ell = -6$, a probability of 0.25 % that the picture is real. The saturating loss pushes with a slope of size
> (a) 0.0025, (b) 0.5, (c) 0.9975?
"""


# %%
def softplus(z):
    """log(1 + exp(z)), which is -log(1 - σ(z)); -log σ(z) is softplus(-z)."""
    return np.logaddexp(0.0, z)


logits = np.array([-6.0, -2.0, 0.0, 2.0])
step = 1e-5
slopes = {
    name: (loss(logits + step) - loss(logits - step)) / (2 * step)
    for name, loss in {
        "saturating": lambda z: -softplus(z),
        "non-saturating": lambda z: softplus(-z),
    }.items()
}
sigmoid = scipy.special.expit
checks.agree(
    "saturating slope and -σ(ℓ)", slopes["saturating"], -sigmoid(logits)
)
checks.agree(
    "non-saturating slope and -σ(-ℓ)",
    slopes["non-saturating"],
    -sigmoid(-logits),
)

# %%
table = pd.DataFrame(slopes, index=[f"logit {z:.0f}" for z in logits])
table.insert(0, "D says real", sigmoid(logits))
table.map("{:.4f}".format)

# %% [markdown]
r"""
**Answer: (a).** $-0.0025$: where the generator has most to learn it is told least. The non-saturating loss turns that round: a slope of almost $-1$ for a forgery that is found out, and little for one that passes. From here on the generator's loss is $-\log\sigma(\ell)$. It is the binary cross-entropy with the label "real", given to forged pictures.
"""

# %% [markdown]
r"""
## One loss for both

The two players want opposite things, so every tutorial alternates: freeze one, train the other, swap. There is a shorter way, which Keras runs as one compiled step on TensorFlow, JAX and PyTorch alike. Add three terms:

1. $D$ on real pictures, label "real";
2. $D$ on forged pictures, label "forged", with the gradient stopped at the picture (`ops.stop_gradient`): $D$ learns from it, $G$ does not;
3. $D$ on the same forged pictures, label "real", with the gradient stopped at $D$'s *weights*: $G$ learns from it, $D$ does not. `stateless_call` runs a model with weights that you hand to it, so hand it stopped ones.

Each weight gets its gradient from its own player's terms only, though the sum is one number. Overriding `compute_loss` is all that it takes.
"""


# %% tags=["benchmark"]
def discriminator_loss(real, forged, real_target=1.0):
    """Binary cross-entropy from logits (n, 1): real pictures, then forged."""
    on_real = ops.softplus(real) - real_target * real
    return ops.mean(on_real) + ops.mean(ops.softplus(forged))


def generator_loss(forged):
    """-log σ of the logits (n, 1) of forged pictures: non-saturating."""
    return ops.mean(ops.softplus(-forged))


# %% tags=["benchmark"]
class Players(keras.Model):
    """A generator, which a call runs on fresh noise, and a discriminator."""

    def __init__(self, generator, discriminator, *, seed, real_target=1.0):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.real_target = real_target
        self.seeds = keras.random.SeedGenerator(seed)
        self.d_loss = keras.metrics.Mean(name="d_loss")
        self.g_loss = keras.metrics.Mean(name="g_loss")
        self.built = True

    def noise(self, n):
        shape = (n, self.generator.input_shape[1])
        return keras.random.normal(shape, seed=self.seeds)

    def call(self, real, training=False):
        noise = self.noise(ops.shape(real)[0])
        return self.generator(noise, training=training)

    def loss_of_generator(self, logits):
        return generator_loss(logits)


# %% tags=["benchmark"]
class GAN(Players):
    """Trains with `fit`: the inputs are real pictures, labels are ignored."""

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        judge, forged = self.discriminator, y_pred
        on_real = judge(x, training=training)
        on_forged = judge(ops.stop_gradient(forged), training=training)
        d_loss = discriminator_loss(on_real, on_forged, self.real_target)

        fixed = [ops.stop_gradient(w) for w in judge.trainable_variables]
        state = judge.non_trainable_variables
        fooled, _ = judge.stateless_call(
            fixed, state, forged, training=training
        )
        g_loss = self.loss_of_generator(fooled)

        self.d_loss.update_state(d_loss)
        self.g_loss.update_state(g_loss)
        return d_loss + g_loss


# %% [markdown]
r"""
Does it do what two separate steps would do? Test it on the smallest GAN there is. All data are the number 0. The generator has one parameter and always draws $\theta$; the discriminator has one parameter $\psi$ and the logit $\ell(x) = \psi x$. By hand, from the slopes above:

$$\frac{\partial L_D}{\partial \psi} = \sigma(\psi\theta)\,\theta, \qquad \frac{\partial L_G}{\partial \theta} = -\sigma(-\psi\theta)\,\psi$$

The real data give $\psi$ nothing, because $\ell(0) = 0$ whatever $\psi$ is. The generator's goal is $\theta = 0$, where it draws what the data are.
"""


# %%
def play(num_steps, rate, penalty=0.0, theta=1.0, psi=0.0):
    """Simultaneous gradient steps of both; returns (num_steps + 1, 2)."""
    path = [(theta, psi)]
    for _ in range(num_steps):
        d_psi = sigmoid(psi * theta) * theta + penalty * psi
        d_theta = -sigmoid(-psi * theta) * psi
        theta, psi = theta - rate * d_theta, psi - rate * d_psi
        path.append((theta, psi))
    return np.array(path)


print(play(3, rate=0.2).round(4))


# %%
class OneNumberGAN(GAN):
    def noise(self, n):
        return ops.ones((n, 1))  # no randomness: G draws θ · 1


def one_weight(value):
    start = keras.initializers.Constant(value)
    layer = layers.Dense(1, use_bias=False, kernel_initializer=start)
    return keras.Sequential([keras.Input((1,)), layer])


tiny = OneNumberGAN(one_weight(1.0), one_weight(0.0), seed=run.seed)
zeros = np.zeros((40, 1), "float32")
tiny.compile(optimizer=keras.optimizers.SGD(0.2), run_eagerly=True)
tiny.fit(zeros, zeros, batch_size=4, epochs=1, shuffle=False, verbose=0)
weights = [
    model.get_weights()[0].item()
    for model in (tiny.generator, tiny.discriminator)
]
checks.agree("ten steps by hand and by fit", play(10, rate=0.2)[-1], weights)

# %% [markdown]
r"""
Ten steps of `fit` on the sum of the three terms equal ten steps of both players by hand: no gradient leaks across. (`run_eagerly=True` makes both move at exactly the same time. TensorFlow's compiled step may now and then let $D$'s update slip in before $G$'s gradient is taken. That is a different order of the same two moves, and harmless.)

> **Predict, then run.** Go on for 400 steps at rate 0.2. How far are $(\theta, \psi)$ from the goal $(0, 0)$, where they started at a distance of 1?
> (a) almost there, (b) more than half as far and still circling, (c) farther away than at the start?
"""

# %%
free, damped = play(400, rate=0.2), play(400, rate=0.2, penalty=0.3)
longer_steps = play(400, rate=0.4)
fig, axes = plots.figure(1, 2, height=3.0)
for panel, path, name in (
    (axes[0], free, "plain"),
    (axes[1], damped, "with a penalty on the slope of D"),
):
    panel.plot(path[:, 0], path[:, 1], linewidth=1.0)
    panel.plot(*path[0], "o", label="start")
    panel.plot(0, 0, "k*", markersize=10, linestyle="none", label="goal")
    panel.set(xlabel="generator, θ", ylabel="discriminator, ψ", title=name)
    panel.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
    panel.legend(loc="upper right", fontsize=8)
plots.show(
    fig,
    "Plain gradient steps end on a circle around the goal; with a penalty on "
    "the discriminator's slope they spiral in.",
)

# %%
nearest_ever = float(np.hypot(*free[-100:].T).min())
end = float(np.hypot(*damped[-1]))
checks.claim(
    "plain: smallest distance in the last 100 steps",
    nearest_ever,
    at_least=0.6,
    at_most=0.7,
)
checks.claim(
    "plain, steps twice as long: distance at the end",
    float(np.hypot(*longer_steps[-1])),
    at_least=0.85,
    at_most=0.95,
)
checks.claim("penalised: distance at the end", end, at_most=0.001)

# %% [markdown]
r"""
**Answer: (b).** Neither network goes downhill on a fixed landscape: each step of one tilts the ground under the other. $\psi$ grows while $\theta$ is wrong; by the time that $\theta$ is right, $\psi$ is large and throws it past. The path settles on a circle and stays there; longer steps make a larger circle. This is why GANs swing, why their losses do not tell you when to stop, and why the recipes below matter: a small first memory in Adam ($\beta_1 = 0.5$), averaged weights, and penalties. The one in the figure adds $\frac{\gamma}{2}\psi^2$, the squared slope of $D$ at the real data; it is known as the R1 penalty.
"""

# %% [markdown]
r"""
## A mixture in one dimension

Next, data with a shape: two heaps of numbers, 40 % around −2 and 60 % around 1.5. Both networks are small multilayer perceptrons, and the generator's noise is a single normal number. It has to tear one bell curve into two.
"""


# %%
def mixture(n, rng):
    """(n, 1): two heaps, 40 % around -2 and 60 % around 1.5."""
    left = rng.normal(-2, 0.4, n)
    right = rng.normal(1.5, 0.7, n)
    return np.where(rng.random(n) < 0.4, left, right).astype("float32")[:, None]


def perceptron():
    """1 -> 64 -> 64 -> 1."""
    hidden = [layers.Dense(64, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input((1,)), *hidden, layers.Dense(1)])


# %% [markdown]
r"""
A callback keeps a snapshot after each epoch: what the generator makes of the same 4,000 noise numbers, and what the discriminator says along the axis.
"""


# %% tags=["benchmark"]
class Film(keras.callbacks.Callback):
    """Calls `look(model)` at the start and after each epoch."""

    def __init__(self, look):
        super().__init__()
        self.look, self.frames = look, []

    def on_train_begin(self, logs=None):
        self.frames.append(self.look(self.model))

    def on_epoch_end(self, epoch, logs=None):
        self.frames.append(self.look(self.model))


def adam(rate):
    """Adam for games: a short memory, and an average of the weights."""
    return keras.optimizers.Adam(
        rate, beta_1=0.5, beta_2=0.99, use_ema=True, ema_momentum=0.98
    )


# %%
rng = np.random.default_rng(run.seed)
x_heaps = mixture(25_600, rng)
fixed_noise = rng.normal(size=(4000, 1)).astype("float32")
axis = np.linspace(-4, 4, 81, dtype="float32")[:, None]


def look_at_heaps(gan):
    drawn = ops.convert_to_numpy(gan.generator(fixed_noise))[:, 0]
    says = ops.convert_to_numpy(ops.sigmoid(gan.discriminator(axis)))[:, 0]
    return drawn, says


# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(run.seed)
heaps = GAN(perceptron(), perceptron(), seed=run.seed)
film = Film(look_at_heaps)
no_labels = np.zeros(len(x_heaps), "float32")
result = training.fit(
    heaps,
    x_heaps,
    no_labels,
    epochs=8,
    batch_size=128,
    seed=run.seed,
    callbacks=[film],
    optimizer=adam(0.0005),
)
print(f"{result.steps:,} steps in {result.seconds:.1f} s")

# %% [markdown]
r"""
Show the snapshots as a film. A PNG file can hold several pictures, which a browser shows one after the other. On paper it stands still, so a strip of four frames follows.
"""


# %%
def animate(figures, description):
    """Show figures one after the other, two a second, again and again."""
    frames = [Image.open(io.BytesIO(plots.png(fig, dpi=96))) for fig in figures]
    moving = io.BytesIO()
    seconds = [500] * (len(frames) - 1) + [2500]  # in milliseconds
    options = {"append_images": frames[1:], "duration": seconds, "loop": 0}
    frames[0].save(moving, "PNG", save_all=True, **options)
    film = IPython.display.Image(moving.getvalue(), alt=description)
    caption = IPython.display.Markdown(f"*{description}*")
    IPython.display.display(film, caption)


def draw_heaps(panel, epoch):
    """One frame of the film: data, drawn numbers, and what D says."""
    drawn, says = film.frames[epoch]
    bins = np.linspace(-4, 4, 41)
    outline = {"histtype": "step", "lw": 1.5, "label": "drawn"}
    panel.hist(x_heaps[:, 0], bins, density=True, color="0.8", label="data")
    panel.hist(drawn, bins, density=True, **outline)
    panel.plot(axis[:, 0], says, "--", color="k", lw=1, label="D says real")
    panel.set(title=f"after {200 * epoch} steps", xlabel="x", ylim=(0, 1.1))


# %%
stills = []
for epoch in range(len(film.frames)):
    fig, panel = plots.figure(width=4.5, height=2.5)
    draw_heaps(panel, epoch)
    panel.set_ylabel("density; probability")
    panel.legend(fontsize=7, loc="upper right")
    stills.append(fig)
animate(
    stills,
    "Film of the training: the drawn numbers start as one narrow heap and "
    "spread over the two heaps of the data.",
)

# %%
fig, axes = plots.figure(1, 4, width=9, height=2.2, sharey=True)
for panel, epoch in zip(axes, (0, 1, 3, 8), strict=True):
    draw_heaps(panel, epoch)
axes[0].set_ylabel("density; probability")
axes[0].legend(fontsize=7)
plots.show(
    fig,
    "The drawn numbers, one narrow heap at the start, spread over both heaps "
    "of the data, while the discriminator's answer flattens.",
)

# %%
drawn = look_at_heaps(heaps)[0]
left_share = float(np.mean(drawn < -0.7))
off = scipy.stats.wasserstein_distance(drawn, mixture(4000, rng)[:, 0])
floor = scipy.stats.wasserstein_distance(
    mixture(4000, rng)[:, 0], mixture(4000, rng)[:, 0]
)
checks.claim(
    "share of drawn numbers left", left_share, at_least=0.3, at_most=0.5
)
checks.claim("Wasserstein distance to the data", off, at_most=0.35)
checks.claim("two samples of the data", floor, at_most=0.15)

# %% [markdown]
r"""
The **Wasserstein distance** is the mean distance that the drawn numbers would have to be moved to become the data. It does not reach that of two samples of the data: between the heaps the generator, a continuous function, has to leave a bridge. And the frames are not a steady approach; the heights swing from epoch to epoch.
"""

# %% [markdown]
r"""
## A judge with three numbers

Pictures have no axis on which to draw two histograms. So train a small classifier on the real digits, and compare what *it* sees. It is the ordinary network of chapter 08, trained for one pass, with 64 features before its ten outputs.
"""


# %% tags=["benchmark"]
def scaled(pictures):
    """Pixels (n, height, width) or with channels -> float32 from -1 to 1."""
    pictures = pictures if pictures.ndim == 4 else pictures[..., None]
    return pictures.astype("float32") / 127.5 - 1


def build_judge():
    """(28, 28, 1) -> 64 features, 10 logits."""
    pictures = keras.Input((28, 28, 1))
    x = layers.ReLU()(layers.MaxPooling2D()(layers.Conv2D(16, 5)(pictures)))
    x = layers.ReLU()(layers.MaxPooling2D()(layers.Conv2D(32, 3)(x)))
    features = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    logits = layers.Dense(10, dtype="float32")(features)
    return keras.Model(pictures, logits), keras.Model(
        pictures, [features, logits]
    )


# %% tags=["benchmark"]
def train_judge(pictures, labels, seed):
    """Train on real digits; returns a model that gives features and logits."""
    keras.utils.set_random_seed(seed)
    classifier, judge = build_judge()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = training.one_cycle(0.006, -(-len(pictures) // 128), warmup=0.15)
    adam = keras.optimizers.Adam(rate, beta_1=0.85, beta_2=0.97)
    options = {"epochs": 1, "batch_size": 128, "seed": seed}
    training.fit(
        classifier, pictures, labels, optimizer=adam, loss=loss, **options
    )
    return judge


# %% tags=["nbval-ignore-output"]
x_train, x_test = scaled(digits.x_train), scaled(digits.x_test)
judge = train_judge(x_train, digits.y_train, run.seed)


# %% tags=["benchmark"]
def in_batches(model, x):
    """Outputs of a model, a list of arrays, computed 500 rows at a time."""
    parts = []
    for start in range(0, len(x), 500):
        out = model(x[start : start + 500], training=False)
        out = out if isinstance(out, (list, tuple)) else [out]
        parts.append([ops.convert_to_numpy(part) for part in out])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


# %%
real_features, real_logits = in_batches(judge, x_test)
correct = real_logits.argmax(axis=1) == digits.y_test
checks.claim(
    "judge's accuracy", correct.mean(), at_least=0.98, examples=len(x_test)
)

# %% [markdown]
r"""
Describe a set of pictures by the mean $m$ and the covariance $C$ of their features, as if the features were normally distributed. The **Fréchet distance** between two such sets is

$$d^2 = \lVert m_1 - m_2\rVert^2 + \operatorname{tr}\!\left(C_1 + C_2 - 2\,(C_1 C_2)^{1/2}\right)$$

In one dimension it is $(m_1-m_2)^2 + (s_1 - s_2)^2$ with the standard deviations $s$: means compared, spreads compared. The trace of the root of a matrix is the sum of the roots of its eigenvalues, so no matrix root is needed. Check both.
"""


# %% tags=["benchmark"]
def frechet(mean_1, covariance_1, mean_2, covariance_2):
    """Squared Fréchet distance between two normal distributions."""
    eigenvalues = np.linalg.eigvals(covariance_1 @ covariance_2).real
    roots = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    traces = np.trace(covariance_1) + np.trace(covariance_2)
    return float(np.sum((mean_1 - mean_2) ** 2) + traces - 2 * roots)


# %%
one_dimension = frechet(
    np.array([1.0]), np.array([[4.0]]), np.array([3.0]), np.array([[25.0]])
)
checks.agree("one dimension: (1 - 3)² + (2 - 5)²", one_dimension, 13.0)

rng = np.random.default_rng(run.seed)
a, b = (np.cov(rng.normal(size=(5, 40))) for _ in range(2))
root = scipy.linalg.sqrtm(a @ b).real
zero = np.zeros(5)
checks.agree(
    "eigenvalues and SciPy's matrix root",
    frechet(zero, a, zero, b),
    np.trace(a + b - 2 * root),
)

# %% [markdown]
r"""
The size of a Fréchet distance depends on the features. Divide by $\operatorname{tr} C$ of the real digits, their total variance, and it gets a meaning: a generator that always draws one picture with exactly the mean features is at a distance of 1. The other two numbers come from the judge's probabilities: the **confident share**, of pictures on which its largest probability is at least 95 %, and the **class entropy**, $-\sum_k s_k \ln s_k$ over the shares $s_k$ of the ten classes among its answers: $\ln 10 = 2.303$ nats if all come equally often, 0 if only one does.
"""


# %% tags=["benchmark"]
def judged(judge, pictures, real_features):
    """Fréchet distance (in real variances), confident share, class entropy."""
    features, logits = in_batches(judge, pictures)
    probabilities = scipy.special.softmax(logits, axis=1)
    shares = np.bincount(logits.argmax(axis=1), minlength=10) / len(logits)
    covariance = np.cov(real_features.T)
    distance = frechet(
        features.mean(axis=0),
        np.cov(features.T),
        real_features.mean(axis=0),
        covariance,
    )
    return {
        "Fréchet distance": distance / np.trace(covariance),
        "confident share": float(np.mean(probabilities.max(axis=1) >= 0.95)),
        "class entropy": float(scipy.special.entr(shares).sum()),
    }


# %% [markdown]
r"""
A ruler is tested on known lengths first. Give the judge five sets of 5,000 pictures whose faults you know.

> **Predict, then run.** One of the sets holds real sevens, and nothing else. Which of the three numbers gives that away?
> (a) the confident share, (b) the class entropy only, (c) the class entropy and the Fréchet distance, (d) none: they are real digits.
"""

# %% tags=["nbval-ignore-output"]
some = x_train[:5000]
sevens = x_train[digits.y_train == 7][:5000]
blurred = scipy.ndimage.uniform_filter(some, (0, 5, 5, 0))
rng = np.random.default_rng(run.seed)
shuffled = rng.permuted(some.reshape(5000, -1), axis=1).reshape(some.shape)
known = {
    "real digits (training set)": some,
    "real sevens": sevens,
    "blurred, 5×5 means": blurred,
    "the average digit": np.repeat(
        some.mean(axis=0, keepdims=True), 5000, axis=0
    ),
    "pixels shuffled": shuffled,
}
scores = pd.DataFrame(
    {name: judged(judge, part, real_features) for name, part in known.items()}
).T
scores.map("{:.3f}".format)

# %%
distance, sure, entropy = (scores[name] for name in scores)
checks.claim("real digits: Fréchet distance", distance.iloc[0], at_most=0.01)
checks.claim("real digits: confident share", sure.iloc[0], at_least=0.9)
checks.claim("real digits: class entropy", entropy.iloc[0], at_least=2.28)
checks.claim("sevens: Fréchet distance", distance.iloc[1], at_least=0.5)
checks.claim("sevens: confident share", sure.iloc[1], at_least=0.9)
checks.claim("sevens: class entropy", entropy.iloc[1], at_most=0.15)
checks.claim("blurred: Fréchet distance", distance.iloc[2], at_least=0.05)
checks.claim("shuffled: Fréchet distance", distance.iloc[4], at_least=0.8)

# %% [markdown]
r"""
**Answer: (c).** Each seven is sharp and confident, so the share says nothing. The entropy sees the missing classes; so does the Fréchet distance, because mean and spread of the features are wrong. Blurred digits go the other way: all classes are there, and the distance and the share complain. No number is enough alone. And keep the first row in mind: two sets of *real* digits are not at 0, because 5,000 and 10,000 pictures are samples. That row is the best that any generator can hope for.
"""

# %% [markdown]
r"""
## From noise to 28×28: the transposed convolution

A discriminator is an ordinary convolutional network. The generator needs the way back, from few places to many. A **transposed convolution** turns the sliding window round: each *input* number is multiplied by the whole kernel and the result is *added* to the output at its place, `stride` pixels farther for each neighbour. It is the same linear map as the backward pass of a convolution. By a loop, for one channel, and by the layer:
"""


# %%
def transposed_loop(x, kernel, stride):
    """(n, n), (k, k) -> ((n - 1) · stride + k, the same): stamp and add."""
    n, k = len(x), len(kernel)
    out = np.zeros(((n - 1) * stride + k,) * 2)
    for i in range(n):
        for j in range(n):
            rows = slice(i * stride, i * stride + k)
            columns = slice(j * stride, j * stride + k)
            out[rows, columns] += x[i, j] * kernel
    return out


x = np.array([[1.0, 2.0], [3.0, 4.0]])
kernel = np.ones((4, 4))
print(transposed_loop(x, kernel, stride=2).astype(int))

# %%
layer = layers.Conv2DTranspose(1, 4, strides=2, use_bias=False, dtype="float32")
layer.build((None, 2, 2, 1))
layer.set_weights([kernel[..., None, None]])
by_layer = ops.convert_to_numpy(layer(x[None, ..., None].astype("float32")))
checks.agree(
    "loop and layer", transposed_loop(x, kernel, 2), by_layer[0, ..., 0]
)

# %% [markdown]
r"""
Where stamps overlap they add up: the 10 in the middle is all four. With `padding="same"` Keras cuts the border off so that stride 2 doubles the size exactly: 7 → 14 → 28. A kernel of 4 with stride 2 is a good pair: each output pixel inside gets the same number of stamps. A kernel of 3 would give 1, 2 or 4 of them by turns, and that shows as a chequered pattern.

Now the two networks, after the recipe known as **DCGAN**: strides instead of pooling, ReLU in the generator, leaky ReLU (a slope of 0.2 instead of 0 for negative numbers, so that the gradient for the generator never dies) in the discriminator, tanh at the end, because the pictures run from −1 to 1, and batch normalisation ([chapter 07](07_training_dynamics.ipynb)) in the generator. One hidden dense layer in $D$ looks at the whole picture: without it, $D$ would only add up what its windows saw, and could not weigh one part of the picture against another. One function for any size and number of channels:
"""


# %% tags=["benchmark"]
def build_generator(shape=(28, 28, 1), *, noise=64, filters=32):
    """Noise (64,) -> picture of that shape, from -1 to 1."""
    height, width, channels = shape
    first = (height // 4, width // 4, filters)
    up = {"strides": 2, "padding": "same"}
    return keras.Sequential(
        [
            keras.Input((noise,)),
            layers.Dense(int(np.prod(first))),
            layers.Reshape(first),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(filters // 2, 4, **up),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2DTranspose(channels, 4, activation="tanh", **up),
        ]
    )


# %% tags=["benchmark"]
def build_discriminator(shape=(28, 28, 1), *, filters=16, dropout=0.0):
    """Picture -> one logit: real?"""
    down = {"strides": 2, "padding": "same"}
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(filters, 4, **down),
            layers.LeakyReLU(0.2),
            layers.Dropout(dropout),
            layers.Conv2D(2 * filters, 4, **down),
            layers.LeakyReLU(0.2),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(128),
            layers.LeakyReLU(0.2),
            layers.Dense(1, dtype="float32"),
        ]
    )


# %%
generator, discriminator = build_generator(), build_discriminator()
noise = np.random.default_rng(0).normal(size=(16, 64)).astype("float32")
pictures = generator(noise)
print("noise", noise.shape, "-> pictures", tuple(pictures.shape))
print("pictures -> logits", tuple(discriminator(pictures).shape))
for name, network in (
    ("generator", generator),
    ("discriminator", discriminator),
):
    print(f"{name}: {network.count_params():,} parameters")

# %% [markdown]
r"""
**Count the work** before you pay for it. A transposed convolution uses each weight once at every *input* place, a convolution once at every *output* place ([chapter 08](08_cnn.ipynb)). For one picture forward, in multiply-adds:

| generator | | discriminator | |
|---|---|---|---|
| dense, 64 → 1568 | $64\cdot1568 = 100{,}352$ | conv 4×4, 1 → 16, at 14×14 | $196\cdot16\cdot16 = 50{,}176$ |
| up 4×4, 32 → 16, from 7×7 | $49\cdot16\cdot32\cdot16 = 401{,}408$ | conv 4×4, 16 → 32, at 7×7 | $49\cdot16\cdot16\cdot32 = 401{,}408$ |
| up 4×4, 16 → 1, from 14×14 | $196\cdot16\cdot16 = 50{,}176$ | dense, 1568 → 128 | $1568\cdot128 = 200{,}704$ |
| | | dense, 128 → 1 | $128$ |
| **sum** | **551,936** | **sum** | **652,416** |

A step passes each real picture through $D$ once, and each forged one through $G$ once and through $D$ twice. The backward pass costs about two forward ones: one for the gradients of the weights, one for those of the inputs. Only the third pass through $D$, with its fixed weights, saves the former. That makes $3 \cdot 0.55 + (3 + 3 + 2) \cdot 0.65 = 6.9$ million multiply-adds, or 13.8 million operations, for each real picture: about five times what chapter 08's fast classifier needs for a digit that it learns from. Adversaries are expensive.
"""

# %%
macs_generator = 64 * 1568 + 49 * 16 * 32 * 16 + 196 * 16 * 16
macs_discriminator = 196 * 16 * 16 + 49 * 16 * 16 * 32 + 1568 * 128 + 128
operations = 2 * (3 * macs_generator + (3 + 3 + 2) * macs_discriminator)
print(f"{operations / 1e6:.1f} million operations a picture")

# %% [markdown]
r"""
## Digits from noise

Now train, with batches of 32 and Adam as above; each player has its own Adam inside one optimizer, so that you can give them different learning rates later. Keras's `MultiOptimizer` asks you for the optimizer of each variable.
"""


# %% tags=["benchmark"]
def build_gan(shape, seed, *, dropout=0.0, real_target=1.0):
    """An untrained DCGAN for pictures of that shape."""
    keras.utils.set_random_seed(seed)
    generator = build_generator(shape)
    discriminator = build_discriminator(shape, dropout=dropout)
    return GAN(generator, discriminator, seed=seed, real_target=real_target)


def two_rates(gan, for_generator, for_discriminator):
    """One optimizer, with a learning rate for each player."""
    g_adam, d_adam = adam(for_generator), adam(for_discriminator)
    belongs_to_d = {id(v) for v in gan.discriminator.trainable_variables}
    return keras.optimizers.MultiOptimizer(
        lambda v: d_adam if id(v) in belongs_to_d else g_adam
    )


# %% tags=["benchmark"]
RATE = 0.001  # of both players, unless said otherwise


def train(gan, pictures, *, epochs, seed, g_rate=RATE, d_rate=RATE, look=None):
    """Train on pictures (n, height, width, channels); film every epoch."""
    film = Film(look or (lambda gan: None))
    result = training.fit(
        gan,
        pictures,
        np.zeros(len(pictures), "float32"),
        epochs=epochs,
        batch_size=32,
        seed=seed,
        callbacks=[film],
        optimizer=two_rates(gan, g_rate, d_rate),
    )
    return film.frames, result


# %% [markdown]
r"""
The film takes the same 20 noise vectors each time, so that you can follow one vector from frame to frame: moving first, then as a strip.
"""

# %% tags=["nbval-ignore-output"]
watched = np.random.default_rng(1).normal(size=(20, 64)).astype("float32")


def look_at_digits(gan):
    """The same 20 noise vectors, drawn: (20, 28, 28, 1)."""
    return ops.convert_to_numpy(gan.generator(watched))


gan = build_gan((28, 28, 1), run.seed)
frames, result = train(
    gan, x_train[:20_000], epochs=6, seed=run.seed, look=look_at_digits
)
share = operations * result.examples_per_second / 190e9
print(f"{result.steps:,} steps in {result.seconds:.0f} s")
print(
    f"{result.examples_per_second:,.0f} pictures/s, {share:.0%} of 190 GFLOP/s"
)
result.history[["epoch", "d_loss", "g_loss"]].set_index("epoch").map(
    "{:.2f}".format
)

# %% [markdown]
r"""
The table is what a GAN's losses look like: they do not fall. $D$'s stays below the $2\ln 2 = 1.386$ of a discriminator that tosses a coin, so it still tells many forgeries apart, and $G$ is not yet perfect. Whether the pictures got better you cannot see there. So look, and measure.
"""

# %%
last = result.history.iloc[-1]
checks.claim(
    "D's loss in the last epoch", last["d_loss"], at_least=0.5, at_most=1.3
)
checks.claim(
    "G's loss in the last epoch", last["g_loss"], at_least=0.8, at_most=3
)

# %%
animate(
    [
        plots.images(frame[..., 0], columns=10, limits=(-1, 1))
        for frame in frames
    ],
    "Film of the training: twenty noise vectors, a frame an epoch; grey noise "
    "becomes strokes, and strokes become digits.",
)

# %%
shown = (0, 1, 2, 4, 6)
strip = np.concatenate([frames[epoch][:10] for epoch in shown])
fig = plots.images(strip[..., 0], columns=10, limits=(-1, 1))
plots.show(
    fig,
    "The same ten noise vectors before training and after 1, 2, 4 and 6 epochs, "
    "one row each: grey noise becomes strokes, and strokes become digits.",
)

# %% [markdown]
r"""
Read the strip downwards. A column keeps its stroke but may change its digit: to the generator the classes are nothing special.

`fit` ends by putting the *averaged* weights into the model (`use_ema=True` in `adam` above): at each step the average moves 2 % of the way to the current weights, so it looks back over about 50 steps. The swings of the game partly cancel in it. Ask the judge about 5,000 pictures that it draws.
"""


# %% tags=["benchmark"]
def draw(generator, n, seed):
    """n pictures from fresh noise."""
    size = generator.input_shape[1]
    noise = np.random.default_rng(seed).normal(size=(n, size))
    return in_batches(generator, noise.astype("float32"))[0]


# %% tags=["nbval-ignore-output"]
averaged = draw(gan.generator, 5000, run.seed)
scores.loc["DCGAN"] = judged(judge, averaged, real_features)
scores.map("{:.3f}".format)

# %%
mine = scores.loc["DCGAN"]
checks.claim("DCGAN: Fréchet distance", mine.iloc[0], at_most=0.2)
checks.claim("DCGAN: confident share", mine.iloc[1], at_least=0.35)
checks.claim("DCGAN: class entropy", mine.iloc[2], at_least=2.05)

# %% [markdown]
r"""
Read the last row against the others. The distance is a small part of that of the blurred digits or of the sevens: the generator is much nearer to the truth than either. It is also many times the distance of real digits, which is the floor. The confident share says where the gap is: the judge is sure of about half of the forgeries, and of more than nine in ten real digits. All ten classes come, in unequal shares.

Numbers first, then the look, at pictures that nobody has picked:
"""

# %%
fig = plots.images(averaged[:60, ..., 0], columns=15, size=0.6, limits=(-1, 1))
plots.show(
    fig,
    "Sixty pictures from fresh noise, none picked: most can be read as digits, "
    "and some are strokes that belong to no digit.",
)

# %% [markdown]
r"""
## Has it learned, or learned by heart?

A generator that stored training pictures would score well on all three numbers. So look for the nearest training picture of each forgery. The control is the same search for real test digits, which nobody has copied.
"""


# %%
def nearest(pictures, library):
    """Index of the nearest library picture, and the distance to it."""
    a, b = (part.reshape(len(part), -1) for part in (pictures, library))
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return squares.argmin(axis=1), np.sqrt(np.maximum(squares.min(axis=1), 0))


# %% tags=["nbval-ignore-output"]
where, distance_forged = nearest(averaged[:300], x_train)
_, distance_real = nearest(x_test[:300], x_train)
pairs = np.concatenate([averaged[:12], x_train[where[:12]]])
fig = plots.images(pairs[..., 0], columns=12, limits=(-1, 1))
plots.show(
    fig,
    "Forged digits above, the nearest of all 60,000 training digits below: "
    "alike in kind, different in stroke.",
)

# %%
ratio = distance_forged.mean() / distance_real.mean()
checks.claim(
    "distance to the nearest training digit, forged over real",
    ratio,
    at_least=0.8,
)

# %% [markdown]
r"""
A copy would be at distance 0. The forgeries are as far from the training digits as unseen real ones are, or farther. That is what you would expect: the generator never sees a training picture. All that reaches it is the gradient that comes back through $D$.
"""

# %% [markdown]
r"""
## Walking through the latent space

The noise vector $z$ is called **latent**: hidden, with no meaning given to its 64 numbers. But $G$ is continuous, so between any two vectors there is a walk of pictures. Walk in a straight line, or along the arc that keeps the length of $z$ (64 normal numbers have a length of about 8, nearly always; the middle of a straight line has a length of about 5.7, which $G$ has hardly ever met).

> **Predict, then run.** You want a digit half-way between two others. Which middle gets the best Fréchet distance?
> (a) the mean of the two pictures, (b) the picture of the mean of the two $z$, (c) the picture of the middle of the arc.
"""


# %%
def arc(start, end, t):
    """Between two sets of vectors (n, 64), at share t, with the length kept."""
    length = {"axis": -1, "keepdims": True}
    norm = np.linalg.norm(start, **length) * np.linalg.norm(end, **length)
    angle = np.arccos(np.sum(start * end, **length) / norm)
    weighted = np.sin((1 - t) * angle) * start + np.sin(t * angle) * end
    return (weighted / np.sin(angle)).astype("float32")


# %%
rng = np.random.default_rng(run.seed)
starts, ends = rng.normal(size=(2, 4, 64)).astype("float32")
walk = np.stack([arc(starts, ends, t) for t in np.linspace(0, 1, 12)], axis=1)
drawn = in_batches(gan.generator, walk.reshape(-1, 64))[0]
fig = plots.images(drawn[..., 0], columns=12, size=0.65, limits=(-1, 1))
plots.show(
    fig,
    "Four walks from one noise vector to another, left to right: each digit "
    "turns into the next through strokes that bend, without a jump.",
)

# %% tags=["nbval-ignore-output"]
starts, ends = rng.normal(size=(2, 5000, 64)).astype("float32")
picture_of = lambda z: in_batches(gan.generator, z)[0]
middles = {
    "mean of two pictures": (picture_of(starts) + picture_of(ends)) / 2,
    "mean of two z": picture_of((starts + ends) / 2),
    "middle of the arc": picture_of(arc(starts, ends, 0.5)),
}
between = pd.DataFrame(
    {name: judged(judge, part, real_features) for name, part in middles.items()}
).T
between.map("{:.3f}".format)

# %%
blend, straight, on_arc = between["Fréchet distance"]
checks.claim(
    "Fréchet distance, mean of pictures over arc", blend / on_arc, at_least=1.5
)
checks.claim("straight line over arc", straight / on_arc, at_least=0.9)

# %% [markdown]
r"""
**Answer: (c).** The mean of two pictures is a double exposure, grey where they disagree; no digit looks like that. Latent means give one stroke in between. The straight line and the arc differ less than the two of them differ from the double exposure.
"""

# %% [markdown]
r"""
## Mode collapse, on purpose

The best-known illness of GANs is **mode collapse**: the generator draws the same few pictures whatever the noise. Why would it? Look at its loss. *Each* picture is asked to please $D$, and nothing asks for variety. Against a fixed $D$ the best reply is to draw the one picture that $D$ finds most convincing, over and over. Only because $D$ keeps learning does that not pay: a picture that comes too often has a large $q$, and $D^* = p/(p+q)$ falls there.

So to provoke it, send the detective on holiday. To see the pure illness, leave the trained generator its hand and let it learn one thing only: *what* to draw. A dense layer in front of it, at the start the identity, turns $z$ into another vector of length 8, and the rest of the generator stays as it is. The loss is $-\ell$, which large GANs use together with a hinge loss for $D$: its push never fades. Three runs, with the same pictures, the same number of steps and the same rate for the generator (0.03, as only $64 \cdot 64 + 64 = 4{,}160$ of its weights learn):

- **both learn**: the control;
- **D fixed**: the discriminator's learning rate is 0;
- **repaired**: the collapsed run goes on for as many steps, and $D$ learns again.
"""


# %%
class Greedy(GAN):
    """The generator's loss is -ℓ: no logit is high enough for it."""

    def loss_of_generator(self, logits):
        return -ops.mean(logits)


def steered(gan, seed):
    """A copy of a GAN whose generator learns only what to draw, not how."""
    hand, judge = (
        keras.models.clone_model(part)
        for part in (gan.generator, gan.discriminator)
    )
    hand.set_weights(gan.generator.get_weights())
    judge.set_weights(gan.discriminator.get_weights())
    hand.trainable = False
    choice = [
        layers.Dense(64, kernel_initializer="identity"),
        layers.UnitNormalization(),
        layers.Rescaling(8.0),
    ]
    generator = keras.Sequential([keras.Input((64,)), *choice, hand])
    return Greedy(generator, judge, seed=seed)


# %% [markdown]
r"""
> **Predict, then run.** The discriminator is fixed, and the generator goes on learning what to draw. For the fixed $D$, its pictures become
> (a) more convincing, and they get more various; (b) more convincing, and they get more alike; (c) less convincing.

The last column of the table says how convincing: the mean logit that the *original* discriminator gives them.
"""

# %% tags=["nbval-ignore-output"]
more = x_train[20_000:32_800]
options = {"epochs": 1, "seed": run.seed, "g_rate": 0.03}
stages = {"before": averaged}

control = steered(gan, run.seed)
train(control, more, **options)
stages["both learn"] = draw(control.generator, 5000, run.seed)

sick = steered(gan, run.seed)
train(sick, more, d_rate=0.0, **options)
stages["D fixed"] = draw(sick.generator, 5000, run.seed)

train(sick, more, **options)
stages["repaired"] = draw(sick.generator, 5000, run.seed)

# %% tags=["nbval-ignore-output"]
illness = pd.DataFrame(
    {name: judged(judge, part, real_features) for name, part in stages.items()}
).T
illness["mean logit"] = [
    in_batches(gan.discriminator, part)[0].mean() for part in stages.values()
]
illness.map("{:.3f}".format)

# %%
rows = np.concatenate([part[:12] for part in stages.values()])
fig = plots.images(rows[..., 0], columns=12, size=0.65, limits=(-1, 1))
plots.show(
    fig,
    "The same twelve noise vectors, a row each: before; after both learned; "
    "after D stood still, with a few motifs over and over; repaired.",
)

# %%
lost = illness["class entropy"]
checks.claim("class entropy, D fixed", lost["D fixed"], at_most=1.6)
checks.claim("class entropy, both learn", lost["both learn"], at_least=2)
checks.claim("class entropy, repaired", lost["repaired"], at_least=2)
off = illness["Fréchet distance"]
checks.claim(
    "Fréchet distance, D fixed over both learn",
    off["D fixed"] / off["both learn"],
    at_least=4,
)
gained = illness["mean logit"]["D fixed"] - illness["mean logit"]["both learn"]
checks.claim("mean logit, D fixed less both learn", gained, at_least=1)

# %% [markdown]
r"""
**Answer: (b).** The generator finds the few motifs that *this* discriminator likes best and draws them for every $z$. The mean logit calls that progress. The class entropy and the Fréchet distance show the illness; the confident share may even rise, since a clean zero is a clean zero however often it comes. The control differs in nothing but $D$'s rate, so the loss of variety comes from the fixed $D$. When $D$ learns again, it learns first that those few motifs are forged, and variety comes back.

In the wild nobody fixes $D$; it merely falls behind, because it is too small, learns too slowly, or sees each picture alone. The remedies give it back its lead or its view: a faster discriminator, a look at a whole batch at once (then sameness itself is a give-away), penalties on its slope.
"""

# %% [markdown]
r"""
## Balance

Three adjustments are recommended in nearly every list of GAN tricks. What do they do here, each from the same start, with the same 9,600 pictures and the same 300 steps?

- **one-sided label smoothing**: $D$'s label for real pictures is 0.9, not 1, so that it is never asked for infinite logits (forged ones keep the label 0, hence one-sided);
- dropout of 30 % in $D$;
- two learning rates: $D$ four times slower, or four times faster, than $G$.

> **Predict, then run.** Which of the five gives the worst pictures after so short a time?
> (a) plain, (b) smoothing, (c) dropout, (d) the slow D, (e) the fast D.
"""

# %% tags=["nbval-ignore-output"]
variants = {
    "plain": ({}, {}),
    "real label 0.9": ({"real_target": 0.9}, {}),
    "dropout 30 % in D": ({"dropout": 0.3}, {}),
    "D four times slower": ({}, {"d_rate": RATE / 4}),
    "D four times faster": ({}, {"d_rate": 4 * RATE}),
}
balance = {}
for name, (building, rates) in variants.items():
    player = build_gan((28, 28, 1), run.seed, **building)
    train(player, x_train[:9600], epochs=1, seed=run.seed, **rates)
    pictures = draw(player.generator, 5000, run.seed)
    balance[name] = judged(judge, pictures, real_features)
balance = pd.DataFrame(balance).T
balance.map("{:.3f}".format)

# %%
ratios = balance["Fréchet distance"] / balance["Fréchet distance"]["plain"]
checks.claim(
    "Fréchet distance, D four times faster over plain",
    ratios["D four times faster"],
    at_least=0.5,
)
for name in ("real label 0.9", "dropout 30 % in D", "D four times slower"):
    checks.claim(f"{name}, over plain", ratios[name], at_most=2.2)

# %% [markdown]
r"""
**Answer: (e)**, in seven of ten repetitions of this chapter; in two it is dropout by a hair, in one plain itself, so don't be surprised by your table. In all ten the fast D is worse than the slow one. A discriminator that learns too fast is sure before the generator has found its feet; then its answer hardly changes when a forgery gets a little better, and the generator learns little from it. The tempting answer is (d), because a slow teacher seems a bad one. Here it is not: what the generator needs is a slope to walk on, not a verdict.

The other three lie near plain, on either side of it from seed to seed, so one run each leaves them undecided. The tricks are recommended for longer runs on harder pictures, where $D$ has time to win. Before you believe a list of tricks, ask for the plain run beside it and for a few seeds.
"""

# %% [markdown]
r"""
## The same code in colour

`build_generator` and `build_discriminator` take any shape whose sides divide by 4. If CIFAR-10 is in Keras's cache on your machine (`data.load("cifar10")` puts it there, 170 MB), the next cell trains on its 32×32×3 photographs, for about a minute and a half. If not, it says so and trains nothing.
"""

# %% tags=["nbval-ignore-output"]
home = os.environ.get("KERAS_HOME", pathlib.Path.home() / ".keras")
cache = pathlib.Path(home, "datasets")
colour = build_gan((32, 32, 3), run.seed)
size = colour.generator.count_params()
print(f"a generator for 32×32×3 has {size:,} parameters")
if any(cache.glob("cifar-10*")):
    photographs = scaled(data.load("cifar10").x_train[:30_000])
    train(colour, photographs, epochs=8, seed=run.seed)
    grid = (draw(colour.generator, 40, run.seed) + 1) / 2
    fig = plots.images(grid)
    plots.show(
        fig, "Forty colour pictures from noise, after 8 epochs on CIFAR-10."
    )
else:
    print("CIFAR-10 is not on this machine: nothing to train.")

# %% [markdown]
r"""
Nothing but the shape changes. With CIFAR-10 do not expect objects from a network of this size in this time: you get patches of sky, grass and fur with something in the middle. Photographs are far harder than digits, and the published networks for them are tens to hundreds of times larger.
"""

# %% [markdown]
r"""
## Spot the bug

A published GAN, for photographs of 64×64 pixels, goes like this (shortened; `Up` is an up-sampling by 2 with a convolution after it):

```python
generator = Sequential([Dense(8 * 8 * 128), Reshape((8, 8, 128)),
                        Up(128), Up(64), Up(32), Up(16),
                        Conv2D(3, 3, padding="same", activation="tanh")])
images = images / 255
for step in range(num_steps):
    discriminator.train_on_batch(batch_of(images), ones)
    generator.train_on_batch(noise, zeros)
```

It runs without an error, the generator's loss being a mean squared error, and both losses fall. Four things are wrong. Name them before you go on.

Here is the plan at the size of our digits: 7×7 to start with, and one up-sampling more than 28×28 needs, as there.
"""


# %%
def article_generator(filters=16, num_doublings=3):
    """7 × 7, then doublings, as the article's plan has it."""
    stack = [layers.Dense(49 * filters), layers.Reshape((7, 7, filters))]
    for _ in range(num_doublings):
        conv = layers.Conv2D(filters, 3, padding="same", activation="relu")
        stack += [layers.UpSampling2D(), conv]
    last = layers.Conv2D(1, 3, padding="same", activation="tanh")
    return keras.Sequential([keras.Input((64,)), *stack, last])


# %%
def article_training(pictures, seed):
    """D on real pictures alone, G on its own against zeros."""
    keras.utils.set_random_seed(seed)
    generator, discriminator = article_generator(), build_discriminator()
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    options = {"epochs": 1, "batch_size": 64}
    ones = np.ones((len(pictures), 1), "float32")
    training.fit(
        discriminator, pictures, ones, optimizer="adam", loss=loss, **options
    )
    noise = np.random.default_rng(seed).normal(size=(len(pictures), 64))
    zeros = np.zeros((len(pictures), *generator.output_shape[1:]), "float32")
    noise = noise.astype("float32")
    training.fit(
        generator, noise, zeros, optimizer="adam", loss="mse", **options
    )
    return generator, discriminator


# %% tags=["nbval-ignore-output"]
x_article = x_train[:2000] / 2 + 0.5  # pixels / 255: from 0 to 1
faulty = article_training(x_article, run.seed)

# %% [markdown]
r"""
Four checks, a line each, that you can put to any GAN:

1. Are a forgery and a real picture of one size?
2. Is the lowest value that the generator's last activation can give the lowest of the data?
3. Of 500 real and 500 forged pictures, how many does $D$ sort rightly? (One half means that it knows nothing about forgeries, or that they are perfect.)
4. How much do forgeries differ from each other, as a share of what real pictures do?
"""


# %%
def four_checks(generator, discriminator, real, seed):
    """The answers to the four questions above."""
    forged = draw(generator, 500, seed)
    lowest = generator.layers[-1].activation(ops.array([-100.0]))
    height, width = real.shape[1:3]
    on_forged = in_batches(discriminator, forged[:, :height, :width])[0]
    on_real = in_batches(discriminator, real[:500])[0]
    right = np.mean(on_real > 0) / 2 + np.mean(on_forged < 0) / 2
    return {
        "size, forged over real": forged.shape[1] / height,
        "lowest value, forged less real": float(lowest[0]) - real.min(),
        "share that D sorts rightly": float(right),
        "spread, forged over real": forged.std(axis=0).mean()
        / real.std(axis=0).mean(),
    }


# %% tags=["nbval-ignore-output"]
asked = pd.DataFrame(
    {
        "article": four_checks(*faulty, x_article, run.seed),
        "this lesson": four_checks(
            gan.generator, gan.discriminator, x_train, run.seed
        ),
    }
)
asked.map("{:.2f}".format)

# %%
theirs, ours = asked["article"], asked["this lesson"]
checks.claim("article: size, forged over real", theirs.iloc[0], at_least=2)
checks.claim(
    "article: lowest value, forged less real", theirs.iloc[1], at_most=-1
)
checks.claim(
    "article: share that D sorts rightly", theirs.iloc[2], at_most=0.55
)
checks.claim("article: spread, forged over real", theirs.iloc[3], at_most=0.25)
checks.claim(
    "ours: size, forged over real", ours.iloc[0], at_least=1, at_most=1
)
checks.claim(
    "ours: lowest value, forged less real", ours.iloc[1], at_least=0, at_most=0
)
checks.claim("ours: share that D sorts rightly", ours.iloc[2], at_least=0.55)
checks.claim("ours: spread, forged over real", ours.iloc[3], at_least=0.7)

# %% [markdown]
r"""
1. **Size.** Four doublings of 8 make 128, not 64. Nobody noticed, because the forgeries are never shown to $D$ nor laid beside a photograph.
2. **Range.** Pixels divided by 255 lie in [0, 1], tanh gives [−1, 1]. A discriminator could tell them apart by a single dark pixel. Repair: `images / 127.5 - 1`.
3. **$D$ never sees a forgery.** With the label 1 alone it learns to say "real" to everything, and its loss falls to 0. Repair: the second term of our loss.
4. **$G$ is trained alone, against zeros.** There is no discriminator in its loss. It learns to draw nothing, whatever the noise. Repair: the third term, through $D$.

The repaired version is the class `GAN` above, in the right column. Falling losses prove nothing here: the article's fall because both networks were given tasks that need no data.
"""

# %% [markdown]
r"""
## Summary

- **Train a GAN with one loss.** Three terms: $D$ on real, $D$ on forged pictures with the gradient stopped at the picture, $D$ on the same forged pictures with the gradient stopped at its weights. Ten steps of `fit` equalled ten steps of both players by hand.
- **The theory.** The best discriminator is $p/(p+q)$, against a perfect generator it pays $2\ln2$, and the generator minimises a distance between distributions. In practice it uses $-\log D(G(z))$, which pushes where forgeries are bad. Nothing makes such a game converge by itself; plain steps circle.
- **Judge by numbers.** The Fréchet distance on a judge's features, with the distance of real digits from real digits beside it; the confident share for sharpness; the class entropy for variety. No one of them is enough.
- **Mode collapse** is the best reply to a discriminator that does not answer. You provoked it by fixing $D$, saw it in the entropy, and repaired it by letting $D$ learn.
- **Four checks** (size, range, does $D$ know forgeries, does $G$ draw more than one picture) find what falling losses hide.

**At a billion parameters** the game is the same; GigaGAN (2023) has a billion and draws a picture of 512×512 pixels in about 0.13 s, without a loop of many steps. Two things change. The judge: published Fréchet inception distances use 2,048 features of a network trained on ImageNet and usually 50,000 samples, and a number is only comparable if features and sample sizes agree. And the competition: diffusion models, the subject of the next chapter, run a network of that size tens of times for one picture; they are slower to draw and far easier to train, because their loss is a plain regression that goes down.
"""

# %% [markdown]
r"""
## Going further

- Let the *whole* generator learn against a fixed $D$ (`train(twin, more, epochs=1, seed=0, d_rate=0.0)` on a copy of the GAN). What does it draw now, and what does $D$ say of it?
- Give $D$ a look at the whole batch: append the standard deviation over the batch, averaged over pixels and channels, as one more channel before its last layers. Does the collapse of this chapter become harder to provoke?
- Make the generator conditional: feed the label as ten more numbers to $G$ and as ten more channels to $D$, and ask for a seven. The labels `y` that `compute_loss` ignores are there for it.
- On a GPU: `build_gan((28, 28, 1), ...)` with four times the filters and 50 epochs of all 60,000 digits. How near does the Fréchet distance come to that of real digits? Then CIFAR-10, with a third doubling.
"""

# %% [markdown]
r"""
## References

- I. Goodfellow and others: *Generative adversarial nets*. NeurIPS 2014, arXiv:1406.2661. The value function is equation 1, the best discriminator proposition 1, the Jensen-Shannon divergence theorem 1, the non-saturating loss section 3.
- A. Radford, L. Metz, S. Chintala: *Unsupervised representation learning with deep convolutional generative adversarial networks*. ICLR 2016, arXiv:1511.06434. DCGAN; guidelines in section 3.
- L. Mescheder, A. Geiger, S. Nowozin: *Which training methods for GANs do actually converge?* ICML 2018, arXiv:1801.04406. The GAN with one parameter each in section 2, the R1 penalty in section 4.
- M. Heusel and others: *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*. NeurIPS 2017, arXiv:1706.08500. Two learning rates and the Fréchet inception distance (equation 6).
- T. Salimans and others: *Improved techniques for training GANs*. NeurIPS 2016, arXiv:1606.03498. Minibatch discrimination and one-sided label smoothing in section 3.
- Y. Yazıcı and others: *The unusual effectiveness of averaging in GAN training*. ICLR 2019, arXiv:1806.04498.
- T. Karras and others: *Progressive growing of GANs for improved quality, stability, and variation*. ICLR 2018, arXiv:1710.10196. The standard deviation over the batch in section 3.
- V. Dumoulin, F. Visin: *A guide to convolution arithmetic for deep learning*. 2016, arXiv:1603.07285. Transposed convolution in chapter 4.
- A. Brock, J. Donahue, K. Simonyan: *Large scale GAN training for high fidelity natural image synthesis*. ICLR 2019, arXiv:1809.11096. BigGAN; the hinge loss in section 3.
- M. Kang and others: *Scaling up GANs for text-to-image synthesis*. CVPR 2023, arXiv:2303.05511. GigaGAN.
- `Conv2DTranspose` and `MultiOptimizer`: https://keras.io/api/
"""
