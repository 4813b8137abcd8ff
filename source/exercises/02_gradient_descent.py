# %% [markdown]
r"""
# Exercises: gradient descent

Five questions on [chapter 02](../02_gradient_descent.ipynb), 15 points, about 45 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in a few seconds, answered or not.
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
## Question 1: a gradient, by hand and by finite differences (3 points)

The loss is $L(\theta) = (3\theta - 6)^2 + \theta$.

First write its derivative, worked out on paper.
"""


# %% nbgrader={"grade": false, "grade_id": "gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient(theta):
    """Derivative of (3 * theta - 6) ** 2 + theta with respect to theta."""
    ### BEGIN SOLUTION
    return 6 * (3 * theta - 6) + 1
    ### END SOLUTION


# %%
def oracle(theta):
    return np.polyval(np.polyder(np.poly1d([9.0, -35.0, 36.0])), theta)


# %% nbgrader={"grade": true, "grade_id": "gradient_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "gradient by hand",
    gradient,
    expected=oracle,
    cases=[(0.0,), (2.0,), (-1.5,)],
    mistakes={
        "The inner derivative is missing: what is inside the square "
        "changes three times as fast as theta.": lambda t: (
            (oracle(t) - 1) / 3 + 1
        ),
        "The term + theta has a derivative too.": lambda t: oracle(t) - 1,
        "The derivative of a square brings down a factor.": lambda t: (
            (oracle(t) - 1) / 2 + 1
        ),
        "The sign is wrong: descent subtracts the gradient, the gradient "
        "itself points uphill.": lambda t: -oracle(t),
    },
)
### BEGIN HIDDEN TESTS
assert abs(gradient(7.0) - 91.0) < 1e-9
assert abs(gradient(-3.0) + 89.0) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
r"""
Now a function that finds the gradient of *any* loss of several parameters, without calculus. For each parameter in turn, move it by $h$ to both sides, leave the others alone, and divide the change of the loss by the distance between the two points.
"""


# %% nbgrader={"grade": false, "grade_id": "finite_difference", "locked": false, "schema_version": 3, "solution": true, "task": false}
def finite_difference(loss, theta, h=1e-5):
    """Gradient of `loss` at `theta` (d,), by central differences; returns (d,)."""
    ### BEGIN SOLUTION
    slopes = np.zeros_like(theta)
    for i in range(len(theta)):
        step = np.zeros_like(theta)
        step[i] = h
        slopes[i] = (loss(theta + step) - loss(theta - step)) / (2 * h)
    return slopes
    ### END SOLUTION


# %%
def bowl(theta):
    return (
        np.sum(np.arange(1.0, 1.0 + len(theta)) * theta**2)
        + theta[0] * theta[1]
    )


def bowl_slopes(loss, theta, h=1e-5):
    return scipy.optimize.approx_fprime(theta, loss, 1e-8)


def all_at_once(loss, theta, h=1e-5):
    return np.full(len(theta), bowl_slopes(loss, theta).sum())


# %%
difference_mistakes = {
    "The two points lie 2h apart, not h.": lambda *a: 2 * bowl_slopes(*a),
    "All parameters moved at once. Move one, leave the others "
    "alone.": all_at_once,
    "Divide by the distance between the two points.": (
        lambda loss, theta, h=1e-5: 2 * h * bowl_slopes(loss, theta)
    ),
    "Move to both sides: the one-sided difference is less exact.": (
        lambda loss, theta, h=1e-5: scipy.optimize.approx_fprime(theta, loss, h)
    ),
    "Forward minus backward, not the other way round.": lambda *a: (
        -bowl_slopes(*a)
    ),
}

# %% nbgrader={"grade": true, "grade_id": "finite_difference_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "gradient by finite differences",
    finite_difference,
    expected=bowl_slopes,
    cases=[
        (bowl, np.array([1.0, 2.0, -1.0])),
        (bowl, np.array([0.5, -0.3]), 0.5),
    ],
    tolerance=1e-4,
    mistakes=difference_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_point = np.array([0.3, -1.2, 2.0, 0.7])
hidden_slopes = np.array([2 * 0.3 - 1.2, 4 * -1.2 + 0.3, 12.0, 5.6])
assert np.allclose(
    finite_difference(bowl, hidden_point), hidden_slopes, atol=1e-4
)
assert np.allclose(finite_difference(bowl, hidden_point, 0.5), hidden_slopes)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: the largest stable learning rate (3 points)

For $L(\theta) = \frac12\theta^\top H\theta - b^\top\theta$ with a symmetric matrix $H$ whose curvatures are all positive, gradient descent converges for every learning rate below some limit. Return the limit. $H$ need not be diagonal.
"""


# %% nbgrader={"grade": false, "grade_id": "stable_rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def largest_stable_rate(hessian):
    """The rate below which gradient descent converges, for hessian (d, d)."""
    ### BEGIN SOLUTION
    return 2 / np.linalg.eigvalsh(hessian).max()
    ### END SOLUTION


# %%
def rate_oracle(hessian):
    """The rate at which a step stops shrinking every distance, by trying."""

    def growth(rate):
        step = np.eye(len(hessian)) - rate * hessian
        return np.linalg.norm(step, ord=2) - 1

    return scipy.optimize.brentq(growth, 1e-3, 100, xtol=1e-12)


def flattest(hessian):
    return 4 / rate_oracle(np.linalg.inv(hessian))


def fastest(hessian):
    return 2 / (2 / rate_oracle(hessian) + 2 / flattest(hessian))


straight = np.diag([1.0, 4.0, 10.0])
askew = np.array([[6.0, 2.0], [2.0, 3.0]])

# %% nbgrader={"grade": true, "grade_id": "stable_rate_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "largest stable rate",
    largest_stable_rate,
    expected=rate_oracle,
    cases=[(straight,), (askew,)],
    mistakes={
        "This rate lands in one step along the steepest direction. Larger "
        "ones still close in.": lambda H: rate_oracle(H) / 2,
        "The flattest direction does not decide. Which one is thrown out "
        "first?": flattest,
        "The largest entry on the diagonal is the largest curvature only if "
        "the valley lies along the axes.": lambda H: 2 / H.diagonal().max(),
        "The trace is the sum of all curvatures. One of them "
        "decides.": lambda H: 2 / np.trace(H),
        "This is the fastest rate for a valley. Larger ones are still "
        "stable.": fastest,
    },
)
### BEGIN HIDDEN TESTS
assert (
    abs(largest_stable_rate(np.array([[2.0, 1.0], [1.0, 2.0]])) - 2 / 3) < 1e-9
)
assert abs(largest_stable_rate(np.diag([0.5, 8.0, 3.0])) - 0.25) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: a step with momentum (2 points)

Write one step in the form that the chapter (and Keras) uses, and return the new parameters and the new velocity.
"""


# %% nbgrader={"grade": false, "grade_id": "momentum", "locked": false, "schema_version": 3, "solution": true, "task": false}
def momentum_step(theta, velocity, gradient, learning_rate, beta):
    """Return `(theta, velocity)` after one step, shaped like theta."""
    ### BEGIN SOLUTION
    velocity = beta * velocity - learning_rate * gradient
    return theta + velocity, velocity
    ### END SOLUTION


# %%
def momentum_oracle(
    theta, velocity, gradient, learning_rate, beta, nesterov=False
):
    """Keras's own step, from the given velocity."""
    optimizer = keras.optimizers.SGD(
        learning_rate, momentum=beta, nesterov=nesterov
    )
    variable = keras.Variable(theta, dtype="float32")
    optimizer.build([variable])
    optimizer.momentums[0].assign(velocity)
    optimizer.apply(
        [keras.ops.convert_to_tensor(gradient, "float32")], [variable]
    )
    read = keras.ops.convert_to_numpy
    return np.array(read(variable)), np.array(read(optimizer.momentums[0]))


# %%
def other_push(push):
    """The step with the gradient multiplied by push(learning_rate, beta)."""
    return lambda t, v, g, rate, beta: momentum_oracle(
        t, v, push(rate, beta) * g, rate, beta
    )


def as_pytorch(theta, velocity, gradient, learning_rate, beta):
    """PyTorch's form, in which the learning rate stays outside the velocity."""
    velocity = beta * velocity + gradient
    return theta - learning_rate * velocity, velocity


def backwards(theta, velocity, gradient, learning_rate, beta):
    new, velocity = momentum_oracle(
        theta, velocity, gradient, learning_rate, beta
    )
    return 2 * theta - new, velocity


# %%
momentum_mistakes = {
    "The gradient points uphill, so it is subtracted from the "
    "velocity.": other_push(lambda rate, beta: -1),
    "The learning rate is missing.": other_push(lambda rate, beta: 1 / rate),
    "The new gradient counts in full here; the weight 1 − β belongs to a running "
    "mean.": other_push(lambda rate, beta: 1 - beta),
    "The velocity is added to the parameters: its sign already points "
    "downhill.": backwards,
    "This is Nesterov's variant, which looks one step ahead.": lambda *a: (
        momentum_oracle(*a, nesterov=True)
    ),
    "This is PyTorch's form. In the chapter's the velocity is a step: it "
    "holds the learning rate.": as_pytorch,
}

# %%
momentum_cases = [
    (
        np.array([2.0, 0.6]),
        np.array([0.0, 0.0]),
        np.array([2.0, 15.0]),
        0.02,
        0.9,
    ),
    (
        np.array([1.0, -1.0]),
        np.array([0.5, -0.2]),
        np.array([1.0, -3.0]),
        0.1,
        0.8,
    ),
]

# %% nbgrader={"grade": true, "grade_id": "momentum_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "momentum",
    momentum_step,
    expected=momentum_oracle,
    cases=momentum_cases,
    tolerance=1e-5,
    mistakes=momentum_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_theta, hidden_velocity = momentum_step(
    np.array([1.0]), np.array([0.4]), np.array([3.0]), 0.1, 0.5
)
assert np.allclose([hidden_theta[0], hidden_velocity[0]], [0.9, -0.1])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: Adam (3 points)

Write Adam as a loop over the gradients it is given, one row a step. Return the parameters after the last step. Put $\varepsilon$ where the paper's algorithm 1 has it, outside the root of $\hat v$.
"""


# %% nbgrader={"grade": false, "grade_id": "adam", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adam(
    theta, gradients, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7
):
    """Parameters (d,) after one step of Adam a row of gradients (steps, d)."""
    ### BEGIN SOLUTION
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        theta = theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return theta
    ### END SOLUTION


# %%
def adam_oracle(
    theta, gradients, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7
):
    """Keras's Adam, handed the same gradients."""
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2)
    variable = keras.Variable(theta, dtype="float32")
    for step, g in enumerate(gradients):
        # Keras adds ε before it corrects v, the paper after it
        optimizer.epsilon = epsilon * np.sqrt(1 - beta_2 ** (step + 1))
        optimizer.apply([keras.ops.convert_to_tensor(g, "float32")], [variable])
    return np.array(keras.ops.convert_to_numpy(variable))


# %%
def means(gradients, b1, b2):
    """Adam's two means after the given gradients, as weighted sums."""
    age = np.arange(len(gradients))[::-1, None]
    m = (1 - b1) * np.sum(b1**age * gradients, axis=0)
    return m, (1 - b2) * np.sum(b2**age * gradients**2, axis=0)


# %%
def distorted(kind):
    """Adam with one part changed."""

    def wrong(theta, gradients, rate, b1=0.9, b2=0.999, epsilon=1e-7):
        for t in range(1, len(gradients) + 1):
            m, v = means(gradients[:t], b1, b2)
            m_fix, v_fix = 1 - b1**t, 1 - b2**t
            root = np.sqrt(v / v_fix)
            steps = {
                "uncorrected": m / (np.sqrt(v) + epsilon),
                "no power": m / (1 - b1) / (np.sqrt(v / (1 - b2)) + epsilon),
                "no root": (m / m_fix) / (v / v_fix + epsilon),
                "first only": (m / m_fix) / (np.sqrt(v) + epsilon),
                "uphill": -(m / m_fix) / (root + epsilon),
                "inside": (m / m_fix) / np.sqrt(v / v_fix + epsilon),
                "none": (m / m_fix) / root,
            }
            theta = theta - rate * steps[kind]
        return theta

    return wrong


# %%
given = np.array([[1.0, -2.0], [0.5, 1.0], [2.0, -0.5], [-1.0, 3.0]])
adam_mistakes = {
    "The bias correction is missing: both means start at zero.": distorted(
        "uncorrected"
    ),
    "Only m is corrected; v starts at zero too.": distorted("first only"),
    "Divide by the root of the mean square: without it the units don't "
    "cancel.": distorted("no root"),
    "It walks uphill: the step is subtracted.": distorted("uphill"),
    "β₁ and β₂ are the wrong way round: the squares have the longer "
    "memory.": lambda theta, g, rate, b1=0.9, b2=0.999: adam_oracle(
        theta, g, rate, b2, b1
    ),
    "β₁ and β₂ are arguments: use what is given.": lambda theta, g, rate, *_: (
        adam_oracle(theta, g, rate)
    ),
}

# %%
adam_mistakes |= {
    "For tiny gradients the step is far too small: ε stands inside the root "
    "of v̂.": distorted("inside"),
    "Where is ε? With tiny gradients it shows.": distorted("none"),
    "The correction weakens with t: 1 − β to the power of t.": distorted(
        "no power"
    ),
}

# %% nbgrader={"grade": true, "grade_id": "adam_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "Adam",
    adam,
    expected=adam_oracle,
    cases=[
        (np.array([1.0, 2.0]), given, 0.1),
        (np.array([0.0, 1.0]), given[::-1], 0.02, 0.8, 0.95),
        (np.array([0.0, 0.0]), 1e-6 * given, 1.0),
    ],
    tolerance=1e-4,
    mistakes=adam_mistakes,
)
### BEGIN HIDDEN TESTS
hidden = adam(np.array([3.0]), np.array([[4.0], [4.0], [4.0]]), 0.5)
assert np.allclose(hidden, [1.5], atol=1e-5)
hidden = adam(np.array([0.0]), np.full((3, 1), 1e-6), 1.0, 0.7, 0.9, 1e-6)
assert np.allclose(hidden, [-1.5], atol=1e-4)
assert np.allclose(
    adam(np.array([1.0, 2.0]), given, 0.1, 0.7, 0.9),
    adam_oracle(np.array([1.0, 2.0]), given, 0.1, 0.7, 0.9),
    atol=1e-4,
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: three diagnoses (4 points)

**(a)** A regression trained on all examples at once, with $\alpha = 0.01$, reports these losses a long way into the run. Its floor is zero.

| step | 500 | 501 | 502 | 503 |
|---|---|---|---|---|
| loss | 100 | 144 | 207.36 | 298.6 |

What is the largest curvature $c_{\max}$ of its loss?
"""

# %% nbgrader={"grade": false, "grade_id": "curvature", "locked": false, "schema_version": 3, "solution": true, "task": false}
curvature = ...
### BEGIN SOLUTION
curvature = (1 + np.sqrt(1.44)) / 0.01  # the loss is the distance squared
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "curvature_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
per_step = np.sqrt(np.exp(np.mean(np.diff(np.log([100, 144, 207.36])))))
checks.value(
    "largest curvature",
    curvature,
    expected=(per_step + 1) / 0.01,
    tolerance=1e-3,
    mistakes={
        "1.44 is the factor of the loss. The loss is the square of the "
        "distance.": (per_step**2 + 1) / 0.01,
        "A positive factor above 1 would need a negative curvature. In a valley "
        "the factor of a diverging run is negative.": (1 - per_step) / 0.01,
        "Only the excess over 1: what is |1 − αc| equal to?": (per_step - 1)
        / 0.01,
        "You took α for the limit 2/c. The run is over the limit, and the "
        "factor says how far.": 2 / 0.01,
    },
)
### BEGIN HIDDEN TESTS
assert abs(curvature - 220) < 0.5
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** A batch of 32 examples gives a gradient with a noise of 0.6. You want 0.1. How many examples must the batch have?
"""

# %% nbgrader={"grade": false, "grade_id": "batch_size", "locked": false, "schema_version": 3, "solution": true, "task": false}
batch_size = ...
### BEGIN SOLUTION
batch_size = 32 * (0.6 / 0.1) ** 2
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "batch_size_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
wanted = scipy.optimize.brentq(
    lambda size: 0.6 * np.sqrt(32 / size) - 0.1, 32, 1e5
)
checks.value(
    "batch size",
    batch_size,
    expected=round(wanted),
    mistakes={
        "That would be right if the noise fell as 1/B. Ten times the batch "
        "does not give a tenth of the noise.": 32 * 6,
        "The other way round: a smaller noise needs a larger batch.": 32 / 36,
        "You took the root of the ratio where its square is needed.": 32
        * np.sqrt(6),
        "That is the factor. Multiply by the batch you have.": 36,
    },
)
### BEGIN HIDDEN TESTS
assert round(batch_size) == 1152
### END HIDDEN TESTS

# %% [markdown]
r"""
**(c)** A mini-batch run with a constant learning rate fell quickly and has hovered at the same loss for ten passes, above the floor that the exact solution reaches. You may make one change, and the run may not cost more. Which one lowers the loss? Answer with a letter in quotes.

- A: multiply the learning rate by 4, because the run is stuck.
- B: halve the batch size, for more steps a pass.
- C: let the learning rate decay from now on.
- D: shuffle the examples with another seed.
"""

# %% nbgrader={"grade": false, "grade_id": "hovering", "locked": false, "schema_version": 3, "solution": true, "task": false}
letter = ...
### BEGIN SOLUTION
letter = "C"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "hovering_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
heights = {
    "A": 4.0,
    "B": 2.0,
    "C": 0.0,
    "D": 1.0,
}  # in the long run, over the present one
checks.value(
    "what lowers the loss",
    letter,
    expected=min(heights, key=heights.get),
    mistakes={
        "It is not stuck, it hovers: the height is in proportion to the learning "
        "rate.": "A",
        "A smaller batch is noisier, and the height goes with α/B.": "B",
        "Another order has the same noise, and hovers at the same height.": "D",
    },
)
### BEGIN HIDDEN TESTS
assert str(letter).strip().upper() == "C"
### END HIDDEN TESTS
