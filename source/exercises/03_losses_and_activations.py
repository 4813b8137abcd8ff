# %% [markdown]
r"""
# Exercises: losses and activations

Five questions on [chapter 03](../03_losses_and_activations.ipynb), 13 points, about 45 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
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
import scipy

from course_lib import checks

# %% [markdown]
r"""
## Question 1: a log-softmax that survives (3 points)

Return the *logarithms* of the softmax probabilities of a batch of logits, each row for itself. It must be right for logits of any size: the check goes up to 2,000, where even 64 bits overflow. Use NumPy's `exp`, `log`, `max` and `sum`, and no loop.
"""


# %% nbgrader={"grade": false, "grade_id": "log_softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_softmax(z):
    """Log-probabilities (n, K) of the logits z (n, K)."""
    ### BEGIN SOLUTION
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    ### END SOLUTION


# %%
def log_oracle(z):
    return scipy.special.log_softmax(z, axis=1)


def quiet(f):
    """The same function without NumPy's warnings."""

    def silent(*arguments):
        with np.errstate(all="ignore"):
            return f(*arguments)

    return silent


moderate = np.array([[2.0, 1.0, 0.5], [-3.0, 0.0, 4.0]])
huge = np.array([[1000.0, 2000.0, 0.0], [-900.0, -2000.0, -901.0]])

# %%
log_mistakes = {
    "Right for small logits, but exp overflows: subtract something from each "
    "row first.": quiet(
        lambda z: np.log(np.exp(z) / np.exp(z).sum(1)[:, None])
    ),
    "The sum of exponentials overflows before its logarithm is taken.": quiet(
        lambda z: z - np.log(np.exp(z).sum(1)[:, None])
    ),
    "A probability underflowed to 0, and its logarithm is −∞: take the "
    "logarithm of the fraction on paper.": quiet(
        lambda z: np.log(scipy.special.softmax(z, axis=1))
    ),
    "This is a softmax over the batch: it mixes examples.": lambda z: (
        log_oracle(z.T).T
    ),
    "The probabilities of the whole batch add up to one; each row "
    "should.": lambda z: z - scipy.special.logsumexp(z),
    "These are losses. A log-probability is negative.": lambda z: (
        -log_oracle(z)
    ),
    "What you subtracted inside the sum is missing outside.": lambda z: (
        log_oracle(z) + z.max(axis=1, keepdims=True)
    ),
}

# %%
log_mistakes |= {
    "Each row needs its own largest logit: with one for the batch, the other "
    "rows underflow.": quiet(
        lambda z: z - z.max() - np.log(np.exp(z - z.max()).sum(1)[:, None])
    ),
    "You subtracted the largest logit of the batch: rows that are far below it "
    "underflow. Take each row's own.": quiet(
        lambda z: np.log(
            np.exp(z - z.max()) / np.exp(z - z.max()).sum(1)[:, None]
        )
    ),
    "You stopped at the softmax: what is its logarithm?": lambda z: (
        scipy.special.softmax(z, axis=1)
    ),
    "Shifted, but the logarithm of the sum is missing.": lambda z: (
        z - z.max(axis=1, keepdims=True)
    ),
}

# %% nbgrader={"grade": true, "grade_id": "log_softmax_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "log-softmax",
    log_softmax,
    expected=log_oracle,
    cases=[(moderate,), (huge,)],
    mistakes=log_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_z = np.array([[0.0, 0.0, 5000.0], [1.0, 1.0, 1.0]])
hidden_logs = np.array([[-5000.0, -5000.0, 0.0], [-np.log(3)] * 3])
assert np.allclose(log_softmax(hidden_z), hidden_logs)
assert np.allclose(log_softmax(hidden_z - 7000.0), hidden_logs)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: binary cross-entropy from logits (3 points)

Return the mean loss of a batch. `z` are logits, `y` are labels: 0, 1, or anything between (0.3 means "yes in three cases of ten"). Confident mistakes must get their full price, so a probability must not be rounded on the way. The chapter's pair of logits, $(0, z)$, is one way; `np.log1p(t)`, which is $\ln(1 + t)$ and exact for tiny $t$, helps with another.
"""


# %% nbgrader={"grade": false, "grade_id": "bce", "locked": false, "schema_version": 3, "solution": true, "task": false}
def binary_cross_entropy(z, y):
    """Mean binary cross-entropy, a number, of logits z (n,) and labels y (n,)."""
    ### BEGIN SOLUTION
    price = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    return price.mean()
    ### END SOLUTION


# %%
def each_price(z, y, from_logits=True):
    """Keras's loss of each example (n,)."""
    pair = [np.asarray(part, dtype="float32")[:, None] for part in (y, z)]
    if not from_logits:
        pair[1] = 1.0 * keras.ops.sigmoid(pair[1])  # Keras forgets z
    price = keras.losses.binary_crossentropy(*pair, from_logits=from_logits)
    return np.array(keras.ops.convert_to_numpy(price), dtype="float64")


def bce_oracle(z, y):
    return each_price(z, y).mean()


@quiet
def through_probability(z, y):
    p = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


# %%
bce_mistakes = {
    "Right for small logits; for large ones the probability is rounded to 0 "
    "or 1 and its logarithm is not finite.": through_probability,
    "A probability clipped in float32, as Keras does it, puts a ceiling on the "
    "price of a confident mistake.": lambda z, y: each_price(
        z, y, from_logits=False
    ).mean(),
    "This is the price of the opposite label.": lambda z, y: bce_oracle(
        z, 1 - y
    ),
    "Only the examples with y = 1 pay. What if y = 0?": lambda z, y: np.mean(
        y * each_price(z, np.ones_like(z))
    ),
    "This is the sum over the batch.": lambda z, y: len(z) * bce_oracle(z, y),
    "The sign is wrong: a likely label costs "
    "nothing, an unlikely one costs.": lambda z, y: -bce_oracle(z, y),
}


# %%
def kept_away(distance):
    """The loss of a probability that is kept away from 0 and 1."""

    def price(z, y):
        p = np.clip(scipy.special.expit(z), distance, 1 - distance)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    return price


bce_mistakes |= {
    "A probability kept 1e-7 away from 0 and 1 puts a ceiling of 16 nats on a "
    "confident mistake.": kept_away(1e-7),
    "A probability kept 1e-12 away from 0 and 1 puts a ceiling of 28 nats on a "
    "confident mistake.": kept_away(1e-12),
    "A label of 0.3 was taken for a 0: it pays a part of both "
    "prices.": lambda z, y: bce_oracle(z, 1.0 * (y == 1)),
    "The term with y times z is missing: every example pays as if its label "
    "were 0.": lambda z, y: bce_oracle(z, 0 * y),
}

# %%
bce_cases = [
    (np.array([0.5, -2.0, 3.0]), np.array([1.0, 0.0, 0.3])),
    (np.array([800.0, -500.0, 40.0]), np.array([0.0, 1.0, 1.0])),
]

# %% nbgrader={"grade": true, "grade_id": "bce_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "binary cross-entropy",
    binary_cross_entropy,
    expected=bce_oracle,
    cases=bce_cases,
    tolerance=1e-5,
    mistakes=bce_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_price = binary_cross_entropy(
    np.array([0.0, 1000.0, -1000.0, 60.0]), np.array([1.0, 0.0, 0.0, 0.25])
)
assert abs(hidden_price - (np.log(2) + 1000 + 0 + 45) / 4) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: the other GELU (3 points)

The GELU of the GPT code is

$$g(z) = \tfrac12 z\,\big(1 + \tanh u\big), \qquad u = \sqrt{2/\pi}\,\big(z + 0.044715\, z^3\big).$$

Write its derivative by $z$, with a product rule and a chain rule. Finite differences are not allowed: they are what checks you.
"""


# %%
def inner(z):
    return np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)


def gelu(z):
    return 0.5 * z * (1 + np.tanh(inner(z)))


# %% nbgrader={"grade": false, "grade_id": "gelu_slope", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gelu_slope(z):
    """Derivative of gelu at each z (n,)."""
    ### BEGIN SOLUTION
    switch = np.tanh(inner(z))
    inner_slope = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2)
    return 0.5 * (1 + switch) + 0.5 * z * (1 - switch**2) * inner_slope
    ### END SOLUTION


# %%
def slope_of(f):
    return lambda z: (f(z + 1e-5) - f(z - 1e-5)) / 2e-5


def distorted(wrong):
    """The right slope, with wrong(first, second, inner slope, z) of its parts."""

    def result(z):
        first = gelu(z) / z  # the product rule's two terms
        return wrong(first, slope_of(gelu)(z) - first, slope_of(inner)(z), z)

    return result


def exact_slope(z):
    return scipy.stats.norm.cdf(z) + z * scipy.stats.norm.pdf(z)


# %%
root = np.sqrt(2 / np.pi)
gelu_mistakes = {
    "The product rule has a second term: tanh u depends on z too.": distorted(
        lambda first, second, u, z: first
    ),
    "The product rule has a first term: z itself has a derivative.": distorted(
        lambda first, second, u, z: second
    ),
    "The chain rule is not finished: u has a derivative by z.": distorted(
        lambda first, second, u, z: first + second / u
    ),
    "The derivative of z³ brings down a factor.": distorted(
        lambda first, second, u, z: (
            first + second / u * root * (1 + 0.044715 * z**2)
        )
    ),
}

# %%
gelu_mistakes |= {
    "The root of 2/π is part of u and stays a factor of its "
    "derivative.": distorted(lambda first, second, u, z: first + second / root),
    "The derivative of tanh is 1 − tanh², not half of it.": distorted(
        lambda first, second, u, z: first + second / 2
    ),
    "The derivative of a product is not the product of the "
    "derivatives.": distorted(lambda first, second, u, z: second / z),
    "In the product rule's second term the factor z stays.": distorted(
        lambda first, second, u, z: first + second / z
    ),
    "The derivative of tanh has a square: 1 − tanh² u.": distorted(
        lambda first, second, u, z: first + second / (2 * first)
    ),
    "This is the slope of the exact GELU. Close, but another "
    "function.": exact_slope,
}

# %% nbgrader={"grade": true, "grade_id": "gelu_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "slope of the tanh GELU",
    gelu_slope,
    expected=slope_of(gelu),
    cases=[(np.array([-2.5, -1.0, -0.3, 0.4, 1.2, 3.0]),)],
    mistakes=gelu_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_points = np.array([-1.7, -0.6, 0.9, 2.1])
assert np.allclose(
    gelu_slope(hidden_points), slope_of(gelu)(hidden_points), atol=1e-7
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: the first loss (3 points)

**(a)** You build a classifier for the 26 letters of the alphabet. All letters are equally frequent in the data. Before the first step its logits are all near zero. Which cross-entropy, in nats, do you expect to see? (Here and in (b): an expression such as `np.sqrt(2)`, or a number with four decimals.)
"""

# %% nbgrader={"grade": false, "grade_id": "letters", "locked": false, "schema_version": 3, "solution": true, "task": false}
letters_loss = ...
### BEGIN SOLUTION
letters_loss = np.log(26)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "letters_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
uniform = np.full(26, 1 / 26)
checks.value(
    "first loss, 26 letters",
    letters_loss,
    expected=scipy.stats.entropy(uniform),
    tolerance=1e-3,
    mistakes={
        "This is in bits, the unit of a logarithm to base 2.": (
            scipy.stats.entropy(uniform, base=2)
        ),
        "This is a logarithm to base 10. Nats belong to base e.": (
            scipy.stats.entropy(uniform, base=10)
        ),
        "This is the probability of the right letter. What is its price?": (
            uniform[0]
        ),
        "This is the loss of ten classes.": scipy.stats.entropy(np.ones(10)),
        "A price is positive: it is the negative logarithm.": (
            -scipy.stats.entropy(uniform)
        ),
    },
)
### BEGIN HIDDEN TESTS
assert abs(float(letters_loss) - 3.258) < 5e-3
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Another classifier says yes or no, and 2 % of the answers are yes. Its last bias was set to $\ln\frac{0.02}{0.98}$ and its weights are near zero, so that it starts by giving every example a probability of 0.02. What is its first binary cross-entropy, in nats, averaged over the data?
"""

# %% nbgrader={"grade": false, "grade_id": "rare", "locked": false, "schema_version": 3, "solution": true, "task": false}
rare_loss = ...
### BEGIN SOLUTION
rare_loss = -(0.02 * np.log(0.02) + 0.98 * np.log(0.98))
### END SOLUTION

# %%
yes_price, no_price = -scipy.stats.bernoulli.logpmf([1, 0], 0.02)
rare_mistakes = {
    "This is the first loss with the bias at 0, which says 50 % to "
    "everybody.": scipy.stats.bernoulli.entropy(0.5),
    "This is what a yes costs. How many of the examples are one?": yes_price,
    "This is what a no costs. The few others cost more.": no_price,
    "The examples that are a no pay too, each a little.": 0.02 * yes_price,
    "The examples that are a yes pay too: few, but much.": 0.98 * no_price,
    "This is in bits. Nats belong to the natural logarithm.": (
        scipy.stats.entropy([0.02, 0.98], base=2)
    ),
    "The weights are swapped: the rare answer is the one that costs much.": (
        0.98 * yes_price + 0.02 * no_price
    ),
    "This adds the two prices. How often is each one paid?": (
        yes_price + no_price
    ),
    "Half of the examples are not a yes: weigh the two prices by how "
    "frequent they are.": (yes_price + no_price) / 2,
}

# %% nbgrader={"grade": true, "grade_id": "rare_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "first loss, 2 % yes",
    rare_loss,
    expected=scipy.stats.bernoulli.entropy(0.02),
    tolerance=1e-4,
    mistakes=rare_mistakes,
)
### BEGIN HIDDEN TESTS
assert abs(float(rare_loss) - 0.0980) < 5e-4
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: a diagnosis (1 point)

A colleague's network reads MNIST: 784 pixels, 64 hidden ReLU units, ten logits, `from_logits=True`, plain gradient descent with α = 0.01 and batches of 256. Her notes:

- the first loss was 157;
- after one pass, 51 of the hidden units are 0 for every one of the 60,000 pictures;
- the weights of these units have not moved since, in ten passes.

What is the one cause behind all three? Answer with a letter in quotes.

- A: the learning rate is too large.
- B: the pixels were not divided by 255.
- C: the softmax runs over the batch instead of the classes.
- D: a probability was clipped before its logarithm, and the slope is zero there.
"""

# %% nbgrader={"grade": false, "grade_id": "diagnosis", "locked": false, "schema_version": 3, "solution": true, "task": false}
letter = ...
### BEGIN SOLUTION
letter = "B"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "diagnosis_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
explained = {  # the first loss, units dead after a pass, frozen ever since
    "A": (False, True, True),
    "B": (True, True, True),
    "C": (False, False, False),
    "D": (False, False, True),
}
checks.value(
    "the cause",
    letter,
    expected=next(name for name, notes in explained.items() if all(notes)),
    mistakes={
        "Too large a rate can kill units, but the first loss comes before any "
        "step: no learning rate explains it.": "A",
        "The loss takes logits, so Keras's own softmax is used, over the "
        "classes. And a first loss over the batch would be near ln(batch "
        "size).": "C",
        "A clipped probability costs at most about 16 nats, and from_logits=True "
        "never goes through one.": "D",
    },
)
### BEGIN HIDDEN TESTS
assert str(letter).strip().upper() == "B"
### END HIDDEN TESTS
