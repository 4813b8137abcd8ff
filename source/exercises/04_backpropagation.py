# %% [markdown]
r"""
# Exercises: backpropagation

Five questions on [chapter 04](../04_backpropagation.ipynb), 14 points, about 45 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %%
import numpy as np
import scipy

from course_lib import checks

# %% [markdown]
r"""
The checks know no backward formulas. Their oracle writes the loss down and moves every number of an array a little to both sides, as in the chapter's gradient check.
"""


# %%
def by_moving(loss, array, h=1e-5):
    """Gradient of loss(array), by central differences, shaped like array."""
    array = np.array(array, dtype="float64")
    gradient = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        step = np.zeros(array.shape)
        step[place] = h
        gradient[place] = (loss(array + step) - loss(array - step)) / (2 * h)
    return gradient


# %% [markdown]
r"""
## Question 1: one neuron with a pencil (2 points)

A neuron with tanh in place of the sigmoid has one input $x = 3$, weight $w = 0.5$ and bias $b = -1.5$. Its output is $\hat y = \tanh(wx + b)$. The right answer is $y = 3$, and the loss is $L = (\hat y - y)^2$. What is $\partial L / \partial w$?
"""

# %% nbgrader={"grade": false, "grade_id": "pencil", "locked": false, "schema_version": 3, "solution": true, "task": false}
dw = ...
### BEGIN SOLUTION
dw = 2 * (0.0 - 3.0) * 1.0 * 3.0
### END SOLUTION


# %%
def neuron_loss(theta, bend=np.tanh):
    w, b, x = theta
    return (bend(w * x + b) - 3.0) ** 2


slopes = by_moving(neuron_loss, [0.5, -1.5, 3.0])
sigmoid_slopes = by_moving(
    lambda theta: neuron_loss(theta, scipy.special.expit), [0.5, -1.5, 3.0]
)

# %%
pencil_mistakes = {
    "The sign: is the prediction below or above the right answer, and would "
    "a larger weight raise it?": -slopes[0],
    "This is the gradient of the bias. How fast does the sum change with the "
    "weight?": slopes[1],
    "This is the gradient of the input. The derivative of a product by one "
    "factor is the other factor.": slopes[2],
    "The derivative of a square brings down a factor.": slopes[0] / 2,
    "Twice what it should be: the square brings down one factor of 2, and "
    "that is all.": 2 * slopes[0],
    "A quarter is the sigmoid's slope at 0. What is tanh's, 1 − tanh²?": slopes[
        0
    ]
    / 4,
    "This neuron bends with tanh: its output and its slope at 0 are not the "
    "sigmoid's.": sigmoid_slopes[0],
    "The derivative of tanh is 1 − tanh², and tanh(0) is 0: this path is not "
    "cut.": 0.0,
}

# %% nbgrader={"grade": true, "grade_id": "pencil_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "dL/dw of a neuron",
    dw,
    expected=slopes[0],
    tolerance=1e-4,
    mistakes=pencil_mistakes,
)
### BEGIN HIDDEN TESTS
assert abs(float(dw) + 18.0) < 1e-3
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: a ReLU layer, backwards (3 points)

A layer computes $z = xW + b$ and hands on $h = \max(0, z)$. You are given its input `x` $(n, k)$, `W` $(k, m)$, `b` $(m,)$ and the upstream gradient `dh` $(n, m)$. Return `dW`, `db` and `dx`.
"""


# %% nbgrader={"grade": false, "grade_id": "relu", "locked": false, "schema_version": 3, "solution": true, "task": false}
def relu_layer_backward(x, W, b, dh):
    """Gradients `(dW, db, dx)` of h = max(0, x @ W + b), given dh."""
    ### BEGIN SOLUTION
    open_gates = x @ W + b > 0
    dz = np.where(open_gates, dh, 0.0)
    return x.T @ dz, dz.sum(axis=0), dz @ W.T
    ### END SOLUTION


# %%
def layer_oracle(x, W, b, dh, bend=lambda z: np.maximum(0, z)):
    """All three gradients of the sum of dh * bend(x @ W + b), by moving."""
    return (
        by_moving(lambda moved: np.sum(dh * bend(x @ moved + b)), W),
        by_moving(lambda moved: np.sum(dh * bend(x @ W + moved)), b),
        by_moving(lambda moved: np.sum(dh * bend(moved @ W + b)), x),
    )


# %%
def gate_on_gradient(x, W, b, dh):
    return layer_oracle(x, W, b, np.maximum(0, dh), bend=lambda z: z)


def without_bias(x, W, b, dh):
    return layer_oracle(x, W, np.zeros(len(b)), dh)


def averaged(x, W, b, dh):
    dW, db, dx = layer_oracle(x, W, b, dh)
    return dW / len(x), db / len(x), dx


def gate_forgotten_for(*parts):
    """The right gradients, but for `parts` those of a layer without ReLU."""

    def gradients(x, W, b, dh):
        right = layer_oracle(x, W, b, dh)
        straight = layer_oracle(x, W, b, dh, bend=lambda z: z)
        return tuple((straight if i in parts else right)[i] for i in range(3))

    return gradients


# %%
relu_rng = np.random.default_rng(7)
relu_cases = [
    tuple(relu_rng.normal(size=s) for s in [(5, 4), (4, 3), 3, (5, 3)]),
    tuple(relu_rng.normal(size=s) for s in [(2, 3), (3, 4), 4, (2, 4)]),
]

# %%
relu_mistakes = {
    "The gate is missing: a unit whose z is negative passes nothing "
    "back.": lambda *a: layer_oracle(*a, bend=lambda z: z),
    "The gate is set by the sign of z, not by the sign of the upstream "
    "gradient.": gate_on_gradient,
    "The gate looks at z, and the bias is a part of z.": without_bias,
    "ReLU's derivative at positive z is 1, not z.": lambda *a: layer_oracle(
        *a, bend=lambda z: np.maximum(0, z) ** 2 / 2
    ),
    "Sum over the examples. If the loss is a mean, its 1/n is in dh "
    "already.": averaged,
    "If the loss is a mean, its 1/n is in dh already. Here it is taken once "
    "more, for all three.": lambda x, W, b, dh: layer_oracle(
        x, W, b, dh / len(x)
    ),
    "The gate is the wrong way round: it is open where z is "
    "positive.": lambda *a: layer_oracle(*a, bend=lambda z: np.minimum(0, z)),
    "This is tanh's slope. The bend here is ReLU: it lets all through, or "
    "nothing.": lambda *a: layer_oracle(*a, bend=np.tanh),
    "dW has to pass through the gate too.": gate_forgotten_for(0),
    "db has to pass through the gate too.": gate_forgotten_for(1),
    "dx has to pass through the gate too.": gate_forgotten_for(2),
    "dW and db have to pass through the gate too.": gate_forgotten_for(0, 1),
}

# %% nbgrader={"grade": true, "grade_id": "relu_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "ReLU layer backwards",
    relu_layer_backward,
    expected=layer_oracle,
    cases=relu_cases,
    tolerance=1e-4,
    mistakes=relu_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_x = np.array([[1.0, 2.0], [-1.0, 0.5], [2.0, 1.0]])
hidden_W, hidden_b = np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([-1.0, 0.5])
hidden_dh = np.array([[1.0, -1.0], [2.0, 3.0], [-1.0, 2.0]])
hidden_dW, hidden_db, hidden_dx = relu_layer_backward(
    hidden_x, hidden_W, hidden_b, hidden_dh
)
assert np.allclose(hidden_dW, [[-1.0, -4.0], [1.0, -0.5]])
assert np.allclose(hidden_db, [0.0, 2.0])
assert np.allclose(hidden_dx, [[3.0, -0.5], [-6.0, 3.0], [-1.0, -0.5]])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: softmax with cross-entropy, at a temperature (3 points)

Language models divide their logits by a *temperature* $T$ before the softmax: $\hat y = \mathrm{softmax}(z / T)$. The loss is the mean over $n$ examples of $-\sum_c y_c \ln \hat y_c$. The labels `y` are rows of probabilities that sum to 1 (one-hot rows are a special case). Return the gradient by the logits `z`, of shape $(n, c)$.
"""


# %% nbgrader={"grade": false, "grade_id": "softmax", "locked": false, "schema_version": 3, "solution": true, "task": false}
def logits_gradient(z, y, temperature):
    """Gradient (n, c) of the mean cross-entropy by the logits z (n, c)."""
    ### BEGIN SOLUTION
    power = np.exp((z - z.max(axis=1, keepdims=True)) / temperature)
    prediction = power / power.sum(axis=1, keepdims=True)
    return (prediction - y) / (len(z) * temperature)
    ### END SOLUTION


# %%
def mean_loss(z, y, temperature, axis=1):
    """Mean cross-entropy, with SciPy's stable softmax."""
    log_prediction = scipy.special.log_softmax(z / temperature, axis=axis)
    return -np.sum(y * log_prediction) / len(z)


def softmax_oracle(z, y, temperature):
    return by_moving(lambda moved: mean_loss(moved, y, temperature), z)


def wrong_axis(z, y, temperature):
    prediction = scipy.special.softmax(z / temperature, axis=0)
    return (prediction - y) / len(z) / temperature


def only_right_class(z, y, temperature):
    return softmax_oracle(z, y, temperature) * (y > 0)


# %%
soft_rng = np.random.default_rng(3)
soft_z = 2 * soft_rng.normal(size=(4, 3))
soft_y = np.array([[1.0, 0, 0], [0, 0, 1.0], [0.1, 0.8, 0.1], [0, 1.0, 0]])

# %%
softmax_mistakes = {
    "The sign: a step against the gradient must raise the right class's "
    "logit.": lambda *a: -softmax_oracle(*a),
    "The loss is a mean over the examples.": lambda z, y, T: (
        len(z) * softmax_oracle(z, y, T)
    ),
    "The chain rule has one more link: how fast does z/T change with "
    "z?": lambda z, y, T: T * softmax_oracle(z, y, T),
    "The chain rule's last link is upside down: a higher temperature makes "
    "z/T move less.": lambda z, y, T: T**2 * softmax_oracle(z, y, T),
    "Where is the temperature? This is the gradient at T = 1.": (
        lambda z, y, T: softmax_oracle(z, y, 1.0)
    ),
    "The temperature divides the gradient here, but the softmax does not know "
    "of it.": lambda z, y, T: softmax_oracle(z, y, 1.0) / T,
    "Two factors are missing: one is the mean's, one the chain rule's last "
    "link.": lambda z, y, T: len(z) * T * softmax_oracle(z, y, T),
    "Neither the temperature nor the mean over the examples is in "
    "it.": lambda z, y, T: len(z) * softmax_oracle(z, y, 1.0),
    "Each row must sum to 1 after the softmax: which axis holds the "
    "classes?": wrong_axis,
    "The other classes have a gradient too: pushing one probability up "
    "pushes the rest down.": only_right_class,
}

# %% nbgrader={"grade": true, "grade_id": "softmax_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "softmax with cross-entropy",
    logits_gradient,
    expected=softmax_oracle,
    cases=[(soft_z, soft_y, 2.5), (soft_z[::-1], soft_y, 0.5)],
    tolerance=1e-5,
    mistakes=softmax_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_z, hidden_y = np.log([[1.0, 3.0], [1.0, 1.0]]), np.eye(2)
assert np.allclose(
    logits_gradient(2 * hidden_z, hidden_y, 2.0),
    [[-0.1875, 0.1875], [0.125, -0.125]],
)
hidden_z = np.array([[1000.0, 0.0, 990.0]])
hidden_y = np.array([[0.0, 1.0, 0.0]])
assert np.allclose(
    logits_gradient(hidden_z, hidden_y, 4.0),
    softmax_oracle(hidden_z, hidden_y, 4.0),
    atol=1e-6,
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: a bias that learns from one example (3 points)

A colleague's layer $z = xW + b$ has this backward pass for the bias. It runs, its shape is right, the loss even falls:

```python
def bias_gradient(dz):
    return dz[0]  # (n, m) → (m,)
```

**(a)** Write it as it should be.
"""


# %% nbgrader={"grade": false, "grade_id": "bias", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bias_gradient(dz):
    """Gradient (m,) of a bias, given the upstream gradient dz (n, m)."""
    ### BEGIN SOLUTION
    return dz.sum(axis=0)
    ### END SOLUTION


# %%
def bias_oracle(dz):
    """A bias b is added to every row of z = x @ W + b."""
    return by_moving(lambda b: np.sum(dz * b), np.zeros(dz.shape[1]))


bias_rng = np.random.default_rng(5)
bias_mistakes = {
    "This is the colleague's line: one example decides, the others are "
    "ignored.": lambda dz: dz[0],
    "The mean is in dz already, if the loss has one. Here it would be taken "
    "twice.": lambda dz: bias_oracle(dz) / len(dz),
    "The sum runs over the wrong axis: one number for each neuron, not for "
    "each example.": lambda dz: bias_oracle(dz.T),
    "The sum over the examples is missing: a bias has one gradient, not one "
    "for each example.": lambda dz: np.array(dz),
    "One number for all neurons? Each neuron has its own bias.": lambda dz: (
        bias_oracle(dz).sum()
    ),
}

# %% nbgrader={"grade": true, "grade_id": "bias_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "gradient of the bias",
    bias_gradient,
    expected=bias_oracle,
    cases=[(bias_rng.normal(size=(5, 3)),), (bias_rng.normal(size=(4, 4)),)],
    mistakes=bias_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_dz = np.array([[1.0, -2.0], [0.5, 4.0]])
assert np.shape(bias_gradient(hidden_dz)) == (2,)
assert np.allclose(bias_gradient(hidden_dz), [1.5, 2.0])
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** The colleague had made a gradient check before, and it passed. Which check was it? Answer with a letter in quotes.

- A: one with $h = 10^{-5}$ in `float64`, on 5 examples.
- B: one on a batch of a single example.
- C: one on 5 examples that started from random weights.
- D: one on 5 examples and a network with a single hidden layer.
"""

# %% nbgrader={"grade": false, "grade_id": "passed", "locked": false, "schema_version": 3, "solution": true, "task": false}
letter = ...
### BEGIN SOLUTION
letter = "B"
### END SOLUTION


# %%
def mistake_seen(num_examples):
    """How far the colleague's line is from the truth, on a random batch."""
    dz = np.random.default_rng(1).normal(size=(num_examples, 3))
    return np.abs(dz[0] - bias_oracle(dz)).max() > 1e-6


batch_sizes = {"A": 5, "B": 1, "C": 5, "D": 5}
unseen = [key for key, n in batch_sizes.items() if not mistake_seen(n)]

# %% nbgrader={"grade": true, "grade_id": "passed_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "the check that passed",
    letter,
    expected=unseen[0],
    mistakes={
        "This is a good check. With five examples it would have found the "
        "fault.": "A",
        "Random weights are what a check should use: they hide nothing.": "C",
        "The number of layers does not matter: dz arrives at this layer, and "
        "four fifths of it are thrown away.": "D",
    },
)
### BEGIN HIDDEN TESTS
assert str(letter).strip().upper() == "B"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: what a gradient costs (3 points)

A network of dense layers without biases is given by its widths: `[100, 200, 200, 200, 10]` is four layers, the first with 100 inputs and 200 neurons. One example goes forward and backward. Count a multiplication and an addition for each weight that takes part in a matrix product, and leave out everything else. Backward, each layer computes `dW`, and each layer but the first computes `dx`.

Return two numbers for any list of widths: the operations of the backward pass, and how many *forward passes* central differences for all weights would take.
"""


# %% nbgrader={"grade": false, "grade_id": "cost", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_cost(widths):
    """`(operations backward, forward passes for central differences)`."""
    ### BEGIN SOLUTION
    weights = np.array(widths[:-1]) * np.array(widths[1:])
    return 4 * weights.sum() - 2 * weights[0], 2 * weights.sum()
    ### END SOLUTION


# %%
def cost_oracle(widths, dw=1, dx=1, first=0, passes=2):
    """Counted by walking through the layers, last to first."""
    operations = num_weights = 0
    for number in reversed(range(len(widths) - 1)):
        size = np.ones((widths[number], widths[number + 1])).size
        operations += 2 * size * (dw + (dx if number > 0 else first))
        num_weights += size
    return operations, passes * num_weights


# %%
cost_mistakes = {
    "The first layer does not compute dx: its input is data.": lambda widths: (
        cost_oracle(widths, first=1)
    ),
    "This is twice the number of weights: is a product missing, or the "
    "addition beside each multiplication?": lambda widths: cost_oracle(
        widths, dx=0
    ),
    "The forward pass is in it: count the way back alone.": lambda widths: (
        cost_oracle(widths, dw=2)
    ),
    "The right two numbers in the wrong order: the operations come "
    "first.": lambda widths: cost_oracle(widths)[::-1],
    "Six operations a weight are the forward pass, dW and dx. Count the way "
    "back alone, and the first layer has no dx.": lambda widths: cost_oracle(
        widths, dw=2, first=1
    ),
    "A multiplication and an addition: two operations a weight.": (
        lambda widths: (cost_oracle(widths)[0] // 2, cost_oracle(widths)[1])
    ),
    "Central differences move each weight to both sides.": lambda widths: (
        cost_oracle(widths, passes=1)
    ),
}

# %% nbgrader={"grade": true, "grade_id": "cost_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "cost of a gradient",
    gradient_cost,
    expected=cost_oracle,
    cases=[([100, 200, 200, 200, 10],), ([784, 64, 10],), ([3, 2],)],
    mistakes=cost_mistakes,
)
### BEGIN HIDDEN TESTS
assert tuple(gradient_cost([5, 4, 3])) == (88, 64)
assert tuple(gradient_cost([7, 2])) == (28, 28)
### END HIDDEN TESTS
