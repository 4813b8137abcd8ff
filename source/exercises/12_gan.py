# %% [markdown]
r"""
# Exercises: generative adversarial networks

Five questions on [chapter 12](../12_gan.ipynb), 11 points, about 60 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
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
import scipy.linalg
import scipy.optimize
import scipy.special
import scipy.stats
from keras import layers, ops

from course_lib import checks

# %% [markdown]
r"""
## Question 1: the best discriminator (2 points)

The data are normal numbers with mean 0 and standard deviation 1. A generator draws normal numbers with mean `mean` and standard deviation `spread`. Write the **logit** $\ell(x)$ of the best discriminator, so that $\sigma(\ell(x)) = D^*(x)$: a formula in $x$, `mean` and `spread`. `x` is an array.

Simplify on paper first: of $D^*(x) = p(x)/(p(x)+q(x))$, what is $\ln\frac{D^*}{1-D^*}$?
"""


# %% nbgrader={"grade": false, "grade_id": "best", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_logit(x, mean, spread):
    """Logit of the best discriminator at x (n,): N(0, 1) against the forger."""
    ### BEGIN SOLUTION
    log_ratio = ((x - mean) / spread) ** 2 / 2 - x**2 / 2
    return log_ratio + np.log(spread)
    ### END SOLUTION


# %% [markdown]
r"""
The check searches: for each $x$ it asks SciPy for the logit at which the discriminator's expected loss is lowest.
"""


# %%
def searched_logit(x, mean, spread):
    """The logit with the lowest expected loss, by search, for each x."""
    found = []
    for real, forged in zip(
        scipy.stats.norm.pdf(x),
        scipy.stats.norm.pdf(x, mean, spread),
        strict=True,
    ):

        def slope(logit, real=real, forged=forged):
            d = scipy.special.expit(logit)
            return forged * d - real * (1 - d)

        found.append(scipy.optimize.brentq(slope, -30, 30, xtol=1e-12))
    return np.array(found)


# %%
cases = [
    (np.array([-1.0, 0.0, 2.0]), 1.0, 1.0),
    (np.array([-1.5, 0.5, 1.0]), -0.5, 2.0),
]

# %%
best_mistakes = {
    "That is the probability D*(x). Its logit is asked for.": (
        lambda *a: scipy.special.expit(searched_logit(*a))
    ),
    "The sign is turned round: a positive logit means real.": (
        lambda *a: -searched_logit(*a)
    ),
    "A density has a factor 1/spread in front: its logarithm is missing.": (
        lambda x, mean, spread: searched_logit(x, mean, spread) - np.log(spread)
    ),
    "A normal density divides (x - mean)² by the variance, spread².": (
        lambda x, mean, spread: (
            searched_logit(x, mean, spread)
            + (x - mean) ** 2 / 2 * (1 / spread - 1 / spread**2)
        )
    ),
    "That is log p(x) alone. The best discriminator compares p with q.": (
        lambda x, mean, spread: scipy.stats.norm.logpdf(x)
    ),
}

# %% nbgrader={"grade": true, "grade_id": "best_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "the best discriminator",
    best_logit,
    expected=searched_logit,
    cases=cases,
    mistakes=best_mistakes,
)
### BEGIN HIDDEN TESTS
_x = np.array([0.0, 3.0])
assert np.allclose(best_logit(_x, 2.0, 1.0), [2.0, -4.0])
assert np.allclose(best_logit(_x, 0.0, 1.0), 0.0)
assert np.allclose(best_logit(np.zeros(1), 0.0, np.e), 1.0)
assert np.allclose(best_logit(np.ones(1), -1.0, 2.0), np.log(2))
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: two losses from logits (3 points)

Write both players' losses in NumPy, from arrays of logits. `real_target` is the label that the discriminator is asked to give real pictures: 1, or 0.9 with one-sided label smoothing. Forged pictures keep the label 0. The generator's loss is the non-saturating one. Return `(d_loss, g_loss)`: $D$'s two means added up, and $G$'s mean. Logits of ±800 must not overflow: `np.logaddexp(0, z)` is a safe $\log(1+e^z)$.
"""


# %% nbgrader={"grade": false, "grade_id": "losses", "locked": false, "schema_version": 3, "solution": true, "task": false}
def losses(real, forged, real_target):
    """Logits (n,) and (m,) -> (d_loss, g_loss)."""
    ### BEGIN SOLUTION
    on_real = np.logaddexp(0, real) - real_target * real
    d_loss = on_real.mean() + np.logaddexp(0, forged).mean()
    return d_loss, np.logaddexp(0, -forged).mean()
    ### END SOLUTION


# %%
def keras_loss(logits, target):
    """Keras's binary cross-entropy of logits (n,), all with one target."""
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    targets = np.full((len(logits), 1), target, "float32")
    logits = np.asarray(logits, "float32")[:, None]
    return float(ops.convert_to_numpy(loss(targets, logits)))


def keras_losses(real, forged, real_target, forged_target=0.0):
    d_loss = keras_loss(real, real_target) + keras_loss(forged, forged_target)
    return d_loss, keras_loss(forged, 1.0)


# %%
rng = np.random.default_rng(0)
cases = [
    (rng.normal(1, 2, 6), rng.normal(-1, 2, 6), 1.0),
    (rng.normal(1, 2, 5), rng.normal(-1, 2, 8), 0.9),
    (np.array([800.0, -800.0]), np.array([-800.0, 700.0]), 0.9),
]
loss_mistakes = {
    "The smoothing is one-sided: forged pictures keep the label 0.": (
        lambda r, f, t: keras_losses(r, f, t, forged_target=1 - t)
    ),
    "real_target is not used: D's label for real pictures is not always 1.": (
        lambda r, f, t: keras_losses(r, f, 1.0)
    ),
}

# %%
loss_mistakes |= {
    "G's loss is the saturating one, log(1 - σ(ℓ)), which hardly pushes.": (
        lambda r, f, t: (keras_losses(r, f, t)[0], -keras_loss(f, 0.0))
    ),
    "The labels are swapped: D is asked to call real pictures forged.": (
        lambda r, f, t: (keras_losses(f, r, t)[0], keras_losses(r, f, t)[1])
    ),
    "G's loss asks for the label 0. It wants its pictures to pass as real.": (
        lambda r, f, t: (keras_losses(r, f, t)[0], keras_loss(f, 0.0))
    ),
    "Return D's loss first, then G's.": (
        lambda r, f, t: keras_losses(r, f, t)[::-1]
    ),
    "D's two means are added up, not averaged.": (
        lambda r, f, t: (keras_losses(r, f, t)[0] / 2, keras_losses(r, f, t)[1])
    ),
}

# %% nbgrader={"grade": true, "grade_id": "losses_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "both losses",
    losses,
    expected=keras_losses,
    cases=cases,
    mistakes=loss_mistakes,
    tolerance=1e-5,
)
### BEGIN HIDDEN TESTS
_d, _g = losses(np.array([2.0, 0.0]), np.array([-1.0]), 0.8)
assert np.isclose(
    _d, np.mean([np.log1p(np.exp(2)) - 1.6, np.log(2)]) + np.log1p(np.exp(-1))
)
assert np.isclose(_g, np.log1p(np.e))
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: the shapes of a generator (2 points)

You want pictures of 48×48 pixels in three colours, from a first map of 6×6 with 128 channels. Each transposed convolution has stride 2, `padding="same"`, a kernel of 4×4, and half the channels of the map that comes in; the last one gives the three colours. Noise: 100 numbers, made into the 6×6 map by a dense layer.

First: how many transposed convolutions, the last one included?
"""

# %% nbgrader={"grade": false, "grade_id": "doublings", "locked": false, "schema_version": 3, "solution": true, "task": false}
num_doublings = ...
### BEGIN SOLUTION
num_doublings = 3
### END SOLUTION


# %%
def generator_48(num_doublings, channels=128, use_bias=True):
    """The generator of this question with some number of doublings."""
    bias = {"use_bias": use_bias}
    model = keras.Sequential([keras.Input((100,))])
    model.add(layers.Dense(36 * channels, **bias))
    model.add(layers.Reshape((6, 6, channels)))
    for step in range(1, num_doublings + 1):
        filters = 3 if step == num_doublings else channels // 2**step
        up = layers.Conv2DTranspose(
            filters, 4, strides=2, padding="same", **bias
        )
        model.add(up)
    return model


fitting = [n for n in range(1, 6) if generator_48(n).output_shape[1] == 48]

# %% nbgrader={"grade": true, "grade_id": "doublings_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "number of doublings",
    num_doublings,
    expected=fitting[0],
    mistakes={
        "48 / 6 is the factor in all. How many doublings make that factor?": 48
        // 6,
        "One too many: count 6, 12, 24, … by its arrows, not by its numbers.": (
            fitting[0] + 1
        ),
        "The last layer doubles as well: it counts.": fitting[0] - 1,
    },
)
### BEGIN HIDDEN TESTS
assert num_doublings == 3
### END HIDDEN TESTS

# %% [markdown]
r"""
And how many parameters does that generator have, biases included?
"""

# %% nbgrader={"grade": false, "grade_id": "parameters", "locked": false, "schema_version": 3, "solution": true, "task": false}
num_parameters = ...
### BEGIN SOLUTION
dense = 100 * 6 * 6 * 128 + 6 * 6 * 128
ups = [4 * 4 * c * f + f for c, f in ((128, 64), (64, 32), (32, 3))]
num_parameters = dense + sum(ups)
### END SOLUTION

# %%
model = generator_48(fitting[0])
wanted = model.count_params()
no_biases = generator_48(fitting[0], use_bias=False).count_params()
only_ups = wanted - model.layers[0].count_params()
per_map = only_ups + 100 * 128 + 128

# %% nbgrader={"grade": true, "grade_id": "parameters_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "parameters",
    num_parameters,
    expected=wanted,
    mistakes={
        "The biases are missing, of the dense layer too.": no_biases,
        "The dense layer is missing.": only_ups,
        "The dense layer makes 6 · 6 · 128 numbers, each with its own weights: "
        "nothing is shared over places there.": per_map,
    },
)
### BEGIN HIDDEN TESTS
assert num_parameters == 630_883
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: the Fréchet distance (2 points)

Write it from two arrays of features, one row a picture:

$$d^2 = \lVert m_1 - m_2\rVert^2 + \operatorname{tr}\!\left(C_1 + C_2 - 2\,(C_1 C_2)^{1/2}\right)$$

Use `np.cov` (which divides by $n-1$; think about which axis holds the features) and the eigenvalues of $C_1 C_2$, as in the lesson, or `scipy.linalg.sqrtm`.
"""


# %% nbgrader={"grade": false, "grade_id": "frechet", "locked": false, "schema_version": 3, "solution": true, "task": false}
def frechet(features_1, features_2):
    """(n, d), (m, d) -> squared Fréchet distance."""
    ### BEGIN SOLUTION
    c1, c2 = np.cov(features_1.T), np.cov(features_2.T)
    shift = features_1.mean(axis=0) - features_2.mean(axis=0)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(c1 @ c2).real, 0))
    return shift @ shift + np.trace(c1) + np.trace(c2) - 2 * roots.sum()
    ### END SOLUTION


# %% [markdown]
r"""
The oracle goes another way: the Fréchet distance of normal distributions is the mean squared distance that is left when one is moved onto the other by the best linear map. It computes that map.
"""


# %%
def moved_apart(a, b):
    """(squared distance of the means, what the best map leaves of the rest)."""
    half = scipy.linalg.sqrtm(np.cov(a.T)).real
    inverse = np.linalg.inv(half)
    best_map = (
        inverse @ scipy.linalg.sqrtm(half @ np.cov(b.T) @ half).real @ inverse
    )
    left = half - best_map @ half
    return np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2), np.sum(left**2)


def by_best_map(a, b):
    return sum(moved_apart(a, b))


rng = np.random.default_rng(1)
mixing = rng.normal(size=(2, 3, 3))
cases = [
    (
        rng.normal(size=(30, 3)) @ mixing[0],
        rng.normal(1, 1, (30, 3)) @ mixing[1],
    ),
    (rng.normal(size=(25, 3)) @ mixing[1], rng.normal(2, 1, (25, 3))),
]

# %%
total_variance = lambda a, b: np.trace(np.cov(a.T)) + np.trace(np.cov(b.T))


def rows_as_variables(a, b):
    shift = moved_apart(a, b)[0]
    a, b = (
        (part - part.mean(axis=1, keepdims=True)) / np.sqrt(part.shape[1] - 1)
        for part in (a, b)
    )
    overlap = np.linalg.svd(a.T @ b, compute_uv=False).sum()
    return shift + np.sum(a**2) + np.sum(b**2) - 2 * overlap


def root_of_entries(a, b):
    with np.errstate(invalid="ignore"):
        roots = np.sqrt(np.diag(np.cov(a.T) @ np.cov(b.T)))
    return moved_apart(a, b)[0] + total_variance(a, b) - 2 * roots.sum()


# %%
frechet_mistakes = {
    "The factor 2 before the matrix root is missing.": (
        lambda a, b: (
            sum(moved_apart(a, b))
            + (total_variance(a, b) - moved_apart(a, b)[1]) / 2
        )
    ),
    "The means are not compared.": lambda a, b: moved_apart(a, b)[1],
    "The covariances are not compared.": lambda a, b: moved_apart(a, b)[0],
    "Square the difference of the means, component by component.": (
        lambda a, b: moved_apart(a, b)[1] + np.sqrt(moved_apart(a, b)[0])
    ),
}

# %%
frechet_mistakes |= {
    "np.cov takes each row for a variable. Here a row is a picture.": (
        rows_as_variables
    ),
    "np.sqrt takes the root of each entry. The root of a matrix is another "
    "thing: a matrix R with R @ R = C1 @ C2.": root_of_entries,
    "That is the root of it: d², not d, is asked for.": (
        lambda a, b: np.sqrt(by_best_map(a, b))
    ),
}

# %% nbgrader={"grade": true, "grade_id": "frechet_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "Fréchet distance",
    frechet,
    expected=by_best_map,
    cases=cases,
    mistakes=frechet_mistakes,
    tolerance=1e-5,
)
### BEGIN HIDDEN TESTS
_a = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
assert np.isclose(frechet(_a, _a + np.array([3.0, 4.0])), 25.0)
assert np.isclose(frechet(_a, 2 * _a), 8 / 3)
_b = _a @ np.array([[1.0, 1.0], [0.0, 1.0]])
assert np.isclose(frechet(_b, 2 * _b), 4.0)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: three sick runs (2 points)

Three generators of digits, judged as in the lesson on 5,000 pictures each, beside real digits.
"""

# %%
sick = pd.DataFrame(
    {
        "Fréchet distance": ["0.00", "0.84", "0.46", "1.31"],
        "confident share": ["96 %", "91 %", "9 %", "0 %"],
        "class entropy": ["2.30", "0.31", "2.21", "0.00"],
        "mean of D on real, on forged": [
            "",
            "0.71, 0.33",
            "0.66, 0.35",
            "1.00, 0.00",
        ],
    },
    index=["real digits", "run A", "run B", "run C"],
)
sick

# %% [markdown]
r"""
Three diagnoses:

- `"u"`: under-trained: all classes are there, but the strokes are not sharp yet; train longer
- `"c"`: collapsed: a few digits, well drawn, over and over
- `"w"`: won: the discriminator knows every forgery, and the generator has stopped getting anywhere

Write the three letters in the order A, B, C, as one string.
"""

# %% nbgrader={"grade": false, "grade_id": "diagnosis", "locked": false, "schema_version": 3, "solution": true, "task": false}
diagnosis = ...
### BEGIN SOLUTION
diagnosis = "cuw"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "diagnosis_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "three sick runs",
    diagnosis,
    expected="".join(chr(code) for code in (99, 117, 119)),
    mistakes={
        "A and B are swapped: which of them draws all ten classes?": "ucw",
        "B and C are swapped: where does D give itself away?": "cwu",
        "A and C are swapped: which one draws some digits well?": "wuc",
        "Each of the three diagnoses fits exactly one of the runs.": "ccc",
    },
)
### BEGIN HIDDEN TESTS
assert str(diagnosis).strip().lower() == "".join(chr(c) for c in (99, 117, 119))
### END HIDDEN TESTS
