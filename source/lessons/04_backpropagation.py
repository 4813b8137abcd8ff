# %% [markdown]
r"""
# Backpropagation

One idea from school calculus, applied backwards, tells each of a billion parameters which way to move, for the price of about two more runs of the model; without it there would be no large models to build with.
"""

# %% [markdown]
r"""
## You will be able to

- send a gradient backwards through a two-layer network in NumPy, with the shape of every array, and train that network on real digits;
- build automatic differentiation in under sixty lines of Python, and show that it agrees with the one inside TensorFlow, JAX or PyTorch;
- check any gradient by finite differences, choose the step of the check, and say which errors it cannot see;
- say what a gradient costs in operations and in memory, for two layers and for a large model;
- tell from the gradients why a network does not learn, and show that layers without a bend are one matrix.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 02](02_gradient_descent.ipynb) for gradient descent, mini-batches and finite differences; [chapter 03](03_losses_and_activations.ipynb) for the sigmoid, tanh, softmax and cross-entropy. From school: the chain rule, that is, rates multiply. If $u$ changes three times as fast as $x$, and $y$ twice as fast as $u$, then $y$ changes six times as fast as $x$. From mathematics beyond school: the product of two matrices.
"""

# %% [markdown]
r"""
## Budget

60 minutes to read · about 12 s to run on two CPU cores · 1 GB of memory
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %%
import itertools
import time

import keras
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from course_lib import checks, data, plots

# %% [markdown]
r"""
## One neuron, with a pencil

A **neuron** weighs its inputs, adds a number of its own, the **bias**, and bends the sum:

$$z = \sum_i w_i x_i + b, \qquad \hat y = \sigma(z), \qquad \sigma(z) = \frac{1}{1 + e^{-z}}.$$

Take two inputs $x = (3, 1)$, weights $w = (0.5, -0.5)$ and bias $b = -1$. The right answer is $y = 1$, and the loss is $L = (\hat y - y)^2$. Computing from the inputs to the loss is the **forward pass**:

$$z = 1.5 - 0.5 - 1 = 0, \qquad \hat y = \sigma(0) = 0.5, \qquad L = (0.5 - 1)^2 = 0.25.$$

How does $L$ change when a weight changes a little? The weight acts on $z$, $z$ acts on $\hat y$, and $\hat y$ acts on $L$. Rates multiply, so walk back from the loss and multiply as you go:

$$\frac{\partial L}{\partial \hat y} = 2(\hat y - y) = -1, \qquad \frac{\partial L}{\partial z} = -1 \cdot \underbrace{\hat y(1 - \hat y)}_{\sigma'(z)} = -0.25, \qquad \frac{\partial L}{\partial w_1} = -0.25 \cdot \underbrace{x_1}_{\partial z / \partial w_1} = -0.75.$$

This walk is the **backward pass**. The same in code, with `_one` in the names because this is one neuron on one example:
"""


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


x_one, y_one = np.array([3.0, 1.0]), 1.0
w_one, b_one = np.array([0.5, -0.5]), -1.0

z_one = w_one @ x_one + b_one  # forward: z, the prediction, the loss
p_one = sigmoid(z_one)
loss_one = (p_one - y_one) ** 2
print(f"z = {z_one}, prediction = {p_one}, loss = {loss_one}")

# %% [markdown]
r"""
The way back begins at the loss with the rate 1: the loss changes with itself one to one. Every line below is that 1, multiplied on.
"""

# %%
d_loss = 1.0
dp_one = d_loss * 2 * (p_one - y_one)
dz_one = dp_one * p_one * (1 - p_one)
dw_one, db_one, dx_one = dz_one * x_one, dz_one * 1.0, dz_one * w_one
print(f"dz = {dz_one}, dw = {dw_one}, db = {db_one}, dx = {dx_one}")

# %% [markdown]
r"""
From here on `dz` is short for $\partial L/\partial z$, the derivative of the loss by $z$ (usually: with respect to $z$), and so for every name: **a `d` before a name means "how the loss changes with it"**. It always has the shape of the thing itself.

Notice what was *not* repeated. $\partial L/\partial z$ was worked out once, and both weights, the bias and both inputs used it. The picture shows the whole computation as a **computation graph**, a box for every quantity that has a name here. Values flow to the right. Gradients flow to the left, and each arrow multiplies by its own **local derivative**, the rate at which the box on its right changes with the box on its left; that needs nothing but the numbers at that spot.
"""


# %%
HALF = np.array([0.88, 0.52])  # half a box, to the right and up


def box(axes, name, place, value, slope):
    """A box with a name and its value, and below them the gradient."""
    corners = np.array(place) + HALF * [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    axes.fill(*corners.T, facecolor="white", edgecolor="0.4", linestyle="-")
    text = f"{name} = {value:g}\nd{name} = {slope:g}".replace("-", "−")
    axes.text(*place, text, ha="center", va="center")


def arrows(axes, start, end, label, shift=0.0, below=0.36):
    """The value's arrow to the right, and the gradient's arrow back."""
    left = np.add(start, (HALF[0], 0))
    right = np.add(end, (-HALF[0], shift))
    up = np.array([0, 0.07])
    style = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "color": "0.4"}
    axes.annotate("", right + up, left + up, arrowprops=style)
    style |= {"linestyle": (0, (4, 2)), "color": plots.COLORS[1]}
    axes.annotate("", left - up, right - up, arrowprops=style)
    place = 0.6 * left + 0.4 * right - (0, below)
    axes.text(*place, label, color=plots.COLORS[1], ha="center", va="center")


# %%
leaves = [
    ("x₁", 5.4, x_one[0], dx_one[0], "× 0.5"),
    ("w₁", 3.8, w_one[0], dw_one[0], "× 3"),
    ("w₂", 2.2, w_one[1], dw_one[1], "× 1"),
    ("b", 0.6, b_one, db_one, "× 1"),
]
z_at, p_at, loss_at = (4.9, 3), (7.95, 3), (10.95, 3)

# %%
fig, axes = plots.figure(width=7.5, height=3.3)
axes.set(xlim=(0, 11.9), ylim=(0, 6))
axes.set_axis_off()
axes.text(7, 5.1, "solid: values, to the right", color="0.3")
axes.text(7, 4.6, "dashed: gradients, back", color=plots.COLORS[1])
for name, height, value, slope, local in leaves:
    steepness = (height - 3) / 6
    below = 0.3 + 0.7 * abs(steepness)
    arrows(axes, (0.95, height), z_at, local, steepness, below)
    box(axes, name, (0.95, height), value, slope)
arrows(axes, z_at, p_at, "× 0.25")
arrows(axes, p_at, loss_at, "× (−1)")
box(axes, "z", z_at, z_one, dz_one)
box(axes, "ŷ", p_at, p_one, dp_one)
box(axes, "L", loss_at, loss_one, d_loss)
plots.show(
    fig,
    "The neuron as a graph: values follow the solid arrows to the right, "
    "gradients the dashed ones back, multiplied on each by its local "
    "derivative.",
)

# %% [markdown]
r"""
($x_2$ is left out of the picture to keep it readable.) **Backpropagation** is this: one forward pass that keeps its numbers, then one backward pass that multiplies local derivatives, each gradient computed once and handed on. The gradient that arrives at a box from the right is its **upstream gradient**. A box knows its own derivative and its upstream gradient, and nothing else about the network.

## A layer, with shapes

A **dense layer** holds the sums of $m$ neurons that look at the same $k$ inputs; the bend, if there is one, comes after it. Put the weights of neuron $j$ into column $j$ of a matrix $W$, and $n$ examples into the rows of $x$. Then all sums at once are $z = xW + b$:

| array | shape | axes |
|---|---|---|
| $x$ | $(n, k)$ | (example, input) |
| $W$ | $(k, m)$ | (input, neuron) |
| $b$ | $(m,)$ | (neuron) |
| $z$ | $(n, m)$ | (example, neuron) |

Many texts write an example as a column, and $z = Wx + b$ with the transposed $W$. PyTorch's `nn.Linear` stores that one, Keras's `Dense` the one above.

First as loops, which say exactly who meets whom; then as a matrix product; then Keras's layer.
"""


# %%
def layer_by_loops(x, W, b):
    """Sums (n, m) of a dense layer, one multiplication at a time."""
    z = np.zeros((len(x), len(b)))
    for e, j in np.ndindex(z.shape):  # example e, neuron j
        z[e, j] = b[j]
        for i in range(len(W)):
            z[e, j] += x[e, i] * W[i, j]
    return z


rng = np.random.default_rng(1)
x = rng.normal(size=(5, 4))  # 5 examples, 4 inputs
W, b = rng.normal(size=(4, 3)), rng.normal(size=3)  # 3 neurons
print(layer_by_loops(x, W, b).shape)

# %%
with keras.device("cpu:0"):  # a GPU may round what it multiplies
    layer = keras.layers.Dense(3, dtype="float32")
    layer.build((None, 4))
    layer.set_weights([W, b])
    by_keras = keras.ops.convert_to_numpy(layer(x.astype("float32")))
checks.agree(
    "loops, matrix and layer", layer_by_loops(x, W, b), x @ W + b, by_keras
)

# %% [markdown]
r"""
Now backwards. Somebody hands the layer the upstream gradient `dz`, of shape $(n, m)$, and it must answer with three gradients: `dW` and `db` to learn from, and `dx` to hand on to the layer before it. The loops are the forward loops read backwards: where $x_{ei} W_{ij}$ was added to $z_{ej}$ for example $e$, now $W_{ij}$ receives $x_{ei}$ times `dz[e, j]`, and $x_{ei}$ receives $W_{ij}$ times it.
"""


# %%
def layer_backward_by_loops(x, W, dz):
    """Gradients dW (k, m), db (m,) and dx (n, k) from dz (n, m)."""
    dW, db, dx = np.zeros(W.shape), np.zeros(W.shape[1]), np.zeros(x.shape)
    for e, j in np.ndindex(dz.shape):
        db[j] += dz[e, j]
        for i in range(len(W)):
            dW[i, j] += x[e, i] * dz[e, j]
            dx[e, i] += W[i, j] * dz[e, j]
    return dW, db, dx


dz = rng.normal(size=(5, 3))
for part in layer_backward_by_loops(x, W, dz):
    print(part.shape)

# %% [markdown]
r"""
Every line says `+=`. A weight takes part in all $n$ examples, so its gradient is a sum over the examples. The same holds for the bias. An input takes part in all $m$ neurons, so its gradient is a sum over the neurons. **What was used several times on the way forward collects a sum on the way back.**

> **Predict, then run.** Here $x$ is $(5, 4)$, $W$ is $(4, 3)$ and `dz` is $(5, 3)$. Which product is `dW`?
> (a) `x @ dz`, (b) `x.T @ dz`, (c) `dz.T @ x`?
"""


# %%
def layer_backward(x, W, dz):
    """Gradients of a dense layer with n examples, k inputs, m neurons."""
    dW = x.T @ dz  # (k, n) @ (n, m) → (k, m)
    db = dz.sum(axis=0)  # (n, m) → (m,)
    dx = dz @ W.T  # (n, m) @ (m, k) → (n, k)
    return dW, db, dx


by_loops, by_matrix = (
    layer_backward_by_loops(x, W, dz),
    layer_backward(x, W, dz),
)
for name, slow, fast in zip(
    ("dW", "db", "dx"), by_loops, by_matrix, strict=True
):
    checks.agree(f"{name}: loops and matrices", slow, fast)

# %% [markdown]
r"""
**Answer: (b).** (a) has no meaning: 4 columns meet 5 rows. (c) can be computed, but has shape $(3, 4)$: the transpose of what you need. `dW` must have the shape of `W`, and the sum must run over the 5 examples, so the axis of length 5 has to be the inner one. When you forget a formula, write the shapes down, and usually one product remains.

## Two layers, forward and backward

Now the network that this chapter trains: inputs, a **hidden layer** (one that is neither input nor output) bent by tanh, then an output layer whose sums become probabilities by softmax. Its loss is the cross-entropy. The labels $y$ are *one-hot*: a row of zeros with a one at the right class. The parameters are the list $\theta = [W_1, b_1, W_2, b_2]$.

Shapes in the comments are (examples, inputs), (examples, hidden), (examples, classes).
"""


# %%
def forward_pass(x, parameters):
    """Hidden units and predictions of a two-layer network."""
    W1, b1, W2, b2 = parameters
    z1 = x @ W1 + b1  # (n, k) @ (k, h) + (h,) → (n, h)
    hidden = np.tanh(z1)  # (n, h)
    z2 = hidden @ W2 + b2  # (n, h) @ (h, c) + (c,) → (n, c)
    power = np.exp(z2 - z2.max(axis=1, keepdims=True))  # (n, c), no overflow
    prediction = power / power.sum(axis=1, keepdims=True)  # (n, c)
    return hidden, prediction


def cross_entropy(y, prediction):
    """Mean loss in nats; y is one-hot, (n, c)."""
    right = (y * prediction).sum(axis=1)  # (n,), each right class's share
    return -np.log(right).sum() / len(y)  # a number


# %% [markdown]
r"""
The backward pass reads the forward pass from the bottom to the top, one line for each. It starts with a gift. Softmax and cross-entropy each have an awkward derivative, but for the two together nearly everything cancels, and what is left for each example is

$$\frac{\partial L}{\partial z_2} = \hat y - y,$$

the prediction minus the truth. (Why? Write the loss of one example with the softmax inside: $L = \ln \sum_j e^{z_j} - z_{\text{right}}$. The first term has the derivative $\hat y$; the second takes 1 off at the right class.) The loss is a mean, so divide by $n$. Through tanh the gradient is multiplied by its derivative $1 - \tanh^2 z_1$, which needs only the stored hidden values.
"""


# %%
def backward_pass(x, y, parameters, hidden, prediction):
    """Gradients of the mean loss, a list shaped like the parameters."""
    W2 = parameters[2]
    dz2 = (prediction - y) / len(x)  # (n, c)
    dW2 = hidden.T @ dz2  # (h, n) @ (n, c) → (h, c)
    db2 = dz2.sum(axis=0)  # (n, c) → (c,)
    d_hidden = dz2 @ W2.T  # (n, c) @ (c, h) → (n, h)
    dz1 = d_hidden * (1 - hidden**2)  # (n, h), number by number
    dW1 = x.T @ dz1  # (k, n) @ (n, h) → (k, h)
    db1 = dz1.sum(axis=0)  # (n, h) → (h,)
    return [dW1, db1, dW2, db2]


# %% [markdown]
r"""
Call it on something tiny: 5 examples, 4 inputs, 3 hidden units, 3 classes. The weights are drawn with standard deviation $1/\sqrt{\text{inputs}}$, which keeps the sums near the size of the inputs; [chapter 07](07_training_dynamics.ipynb) says why that matters.
"""


# %%
def new_parameters(num_inputs, num_hidden, num_classes, rng):
    """Random weights and zero biases of a two-layer network."""
    first = rng.normal(size=(num_inputs, num_hidden)) / num_inputs**0.5
    second = rng.normal(size=(num_hidden, num_classes)) / num_hidden**0.5
    return [first, np.zeros(num_hidden), second, np.zeros(num_classes)]


rng = np.random.default_rng(run.seed)
x_tiny = rng.normal(size=(5, 4))
y_tiny = np.eye(3)[[0, 2, 1, 1, 0]]
tiny = new_parameters(4, 3, 3, rng)
hidden, prediction = forward_pass(x_tiny, tiny)
tiny_gradients = backward_pass(x_tiny, y_tiny, tiny, hidden, prediction)
print("parameters:", [p.shape for p in tiny])
print("gradients: ", [g.shape for g in tiny_gradients])

# %% [markdown]
r"""
The shapes match. That is a good sign and no proof: a wrong sign or a forgotten factor has the right shape too.

## The gradient check

[Chapter 02](02_gradient_descent.ipynb) gave the second opinion: move one parameter by $h$ to both sides, see how the loss changes, divide by $2h$. Doing this for *every* parameter and comparing with the backward pass is a **gradient check**.
"""


# %%
def numerical_gradients(loss, parameters, h=1e-5):
    """Central differences for every number in a list of arrays."""
    gradients = []
    for array in parameters:
        gradient = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + h
            above = loss(parameters)
            array[place] = kept - h
            below = loss(parameters)
            array[place] = kept
            gradient[place] = (above - below) / (2 * h)
        gradients.append(gradient)
    return gradients


def tiny_loss(parameters):
    """Loss on the five examples, in the precision of the parameters."""
    precision = parameters[0].dtype
    x, y = x_tiny.astype(precision), y_tiny.astype(precision)
    return cross_entropy(y, forward_pass(x, parameters)[1])


# %% [markdown]
r"""
How close is close? An error of $10^{-6}$ is good if the gradient is 1 and bad if it is $10^{-6}$ itself, so divide the distance by the size.
"""


# %%
def relative_error(found, wanted):
    """Length of the difference over length of the wanted, all arrays in one."""
    found = np.concatenate([np.ravel(part) for part in found])
    wanted = np.concatenate([np.ravel(part) for part in wanted])
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


numerical = numerical_gradients(tiny_loss, tiny)
error = relative_error(numerical, tiny_gradients)
checks.claim("relative error of the gradient check", error, at_most=1e-8)

# %% [markdown]
r"""
Eight or more digits agree: the backward pass is right. A wrong one is off by far more. Leave out the factor $1 - \tanh^2$ and the check says so:
"""


# %%
def without_tanh_slope(x, y, parameters, hidden, prediction):
    dz2 = (prediction - y) / len(x)
    dz1 = dz2 @ parameters[2].T  # the bend's derivative is missing
    return [x.T @ dz1, dz1.sum(axis=0), hidden.T @ dz2, dz2.sum(axis=0)]


wrong = without_tanh_slope(x_tiny, y_tiny, tiny, hidden, prediction)
wrong_error = relative_error(wrong, numerical)
checks.claim("relative error of the wrong one", wrong_error, at_least=0.1)

# %% [markdown]
r"""
> **Predict, then run.** The check used $h = 10^{-5}$. A derivative is a limit for $h \to 0$. With $h = 10^{-12}$ the check becomes
> (a) more exact, (b) less exact, (c) no different?

The next cell tries every power of ten, in `float64` and in `float32`, the 32-bit numbers in which networks are usually trained.
"""

# %%
steps = 10.0 ** np.arange(-12, 0)
errors = {}
for precision in ("float64", "float32"):
    stored = [part.astype(precision) for part in tiny]
    found = [
        numerical_gradients(tiny_loss, stored, h.astype(precision))
        for h in steps
    ]
    errors[precision] = [relative_error(f, tiny_gradients) for f in found]

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(width=6, height=3)
plots.lines(
    axes,
    steps,
    errors,
    xlabel="step h",
    ylabel="relative error",
    xscale="log",
    yscale="log",
)
plots.show(
    fig,
    "The error of a finite difference is smallest at a middling step: smaller "
    "steps drown in rounding, larger ones see the curve bend; float32 drowns "
    "much sooner.",
)

# %%
best = {kind: steps[np.argmin(error)] for kind, error in errors.items()}
checks.claim(
    "best step in float64", best["float64"], at_least=5e-7, at_most=2e-4
)
checks.claim(
    "best step in float32", best["float32"], at_least=5e-4, at_most=5e-2
)
checks.claim("best error in float32", min(errors["float32"]), at_least=1e-5)
checks.claim(
    "error with h = 1e-12, over that with h = 1e-5",
    errors["float64"][0] / errors["float64"][7],
    at_least=1e5,
)

# %% [markdown]
r"""
**Answer: (b).** A loss near 1 is stored to about 16 digits in `float64`. With $h = 10^{-12}$ the two losses agree in about twelve of them; the difference has four left, rounding takes its part, and about three digits of the gradient survive. In `float32`, with seven digits, the trouble starts far earlier. From $10^{-8}$ down the step vanishes there, in $\theta + h$ or in the first sum that it enters: the two losses are equal, the difference is zero, and the error is 100 %. On the right of each valley the error rises with $h^2$: there the curve's bend shows. The rule: check in `float64` with $h$ near $10^{-5}$, and be content with a relative error below $10^{-7}$.

Choose the place of the check, too, or it is blind. A forgotten sum over the examples does not show in a batch of one. Zero weights hide whatever they multiply. And a kink can fail a right gradient: with a ReLU within $h$ of 0, the two losses lie on different branches. A large network would take too long, so one checks a handful of its parameters, drawn at random.

## An engine in under sixty lines

You wrote the backward pass by reading the forward pass from bottom to top. A machine can read too. Automatic differentiation ([chapter 03](03_losses_and_activations.ipynb)) records each operation as it happens, with its local derivatives, and plays the record backwards. Here is a whole engine for single numbers, in three cells. A `Value` holds a number and remembers its *parents*, the values that it was computed from, each with the local derivative.
"""


# %% tags=["engine"]
class Value:
    """A number that remembers which numbers it was computed from."""

    clock = itertools.count()

    def __init__(self, data, parents=()):
        self.data, self.grad, self.age = float(data), 0.0, next(Value.clock)
        self.parents = parents  # pairs: a parent and the local derivative

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = as_value(other)
        local = [(self, other.data), (other, self.data)]
        return Value(self.data * other.data, local)

    def __pow__(self, power):
        local = power * self.data ** (power - 1)
        return Value(self.data**power, [(self, local)])


def as_value(thing):
    return thing if isinstance(thing, Value) else Value(thing)


# %% [markdown]
r"""
A sum passes the gradient on as it is: both local derivatives are 1. A product swaps: the derivative by one factor is the other factor. `age` counts the values in the order in which they were made. Try it on the neuron's first product, $w_1 x_1$:
"""

# %%
w1, x1 = Value(0.5), Value(3.0)
product = w1 * x1
print("w1 * x1 =", product.data)
print("local derivatives:", [local for _, local in product.parents])

# %% [markdown]
r"""
Every other operator is made of these three: a difference adds $-1$ times the second number, a quotient multiplies by the power $-1$ of the divisor. Functions bring their derivatives along, as in [chapter 03](03_losses_and_activations.ipynb).
"""


# %% tags=["engine"]
def elementary(function, derivative):
    """A method of values, from a function and its derivative."""
    return lambda self: Value(
        function(self.data), [(self, derivative(self.data))]
    )


Value.exp = elementary(np.exp, np.exp)
Value.log = elementary(np.log, lambda x: 1 / x)
Value.tanh = elementary(np.tanh, lambda x: 1 - np.tanh(x) ** 2)
Value.__radd__, Value.__rmul__ = Value.__add__, Value.__mul__
Value.__neg__ = lambda self: self * -1
Value.__sub__ = lambda self, other: self + as_value(other) * -1
Value.__rsub__ = lambda self, other: self * -1 + other
Value.__truediv__ = lambda self, other: self * as_value(other) ** -1
Value.__rtruediv__ = lambda self, other: self**-1 * other

# %% [markdown]
r"""
Last, the backward pass. It may hand a value's gradient on only when that gradient is complete, that is, after everything that *used* the value has been dealt with. Whatever used a value was made after it, so going from the youngest to the oldest is always a right order. The list in the order of making is called the **tape** (the function below returns it in reverse).
"""


# %% tags=["engine"]
def tape(output):
    """All values that `output` was computed from, the youngest first."""
    found, waiting = {output}, [output]
    while waiting:
        parents = {parent for parent, _ in waiting.pop().parents}
        waiting.extend(parents - found)
        found |= parents
    return sorted(found, key=lambda value: -value.age)


def backward(output):
    """Fill in `grad`, the derivative of `output`, for all on its tape."""
    values = tape(output)
    for value in values:
        value.grad = 1.0 if value is output else 0.0
    for value in values:
        for parent, local in value.parents:
            parent.grad += local * value.grad


# %% [markdown]
r"""
That is the engine: fewer than sixty lines, and a test in this repository counts them. Does it get the pencil's numbers for the neuron: $-0.75$ and $-0.25$ for the weights, $-0.25$ for the bias?
"""


# %%
def neuron_loss(w1, w2, b):
    z = w1 * 3.0 + w2 * 1.0 + b
    prediction = 1 / (1 + (-z).exp())
    return (prediction - 1.0) ** 2


three = [Value(0.5), Value(-0.5), Value(-1.0)]
output = neuron_loss(*three)
backward(output)
print("loss:", output.data, "gradients:", *[f"{v.grad:g}" for v in three])
print("values on the tape:", len(tape(output)))

# %% [markdown]
r"""
The 22 are the three parameters, the constants, and each $-1$, product, sum and power in between; the figure's boxes were coarser.

> **Predict, then run.** In `backward` the last line adds to `parent.grad`. Suppose it said `=` instead of `+=`. For $y = x \cdot x + x$ at $x = 3$, whose derivative is $2x + 1 = 7$, what would it give?
> (a) 7, it makes no difference; (b) 3; (c) 0?
"""


# %%
def forgetful_backward(output):
    output.grad = 1.0
    for value in tape(output):
        for parent, local in value.parents:
            parent.grad = local * value.grad  # the bug


start = Value(3.0)
for differentiate in (forgetful_backward, backward):
    differentiate(start * start + start)
    print(f"{differentiate.__name__}: {start.grad:g}")

# %% [markdown]
r"""
**Answer: (b).** $x$ reaches $y$ along three paths: twice through the product, once through the sum. Their contributions are 3, 3 and 1, and they must be added up. With `=` the last one to arrive wipes out the others. (c) would need a last path with the rate zero, and there is none. (a) is tempting because the neuron would not have shown the mistake: there, each value is used once. In a network every weight is used by every example, so the `+=` is the sum over the batch that you saw in the loops.

## The engine against your network

NumPy can hold `Value`s in its arrays: `@`, `*` and `sum` then call the methods above, and `np.tanh` calls `.tanh()`. So the very `forward_pass` that you wrote runs on the engine, unchanged. It needs one more operation, a comparison, because the softmax looks for its largest number.
"""


# %%
Value.__ge__ = lambda self, other: self.data >= other.data


def engine_gradients(x, y, parameters):
    """Gradients of the two-layer network's loss, number by number."""
    wrapped = [np.vectorize(Value, otypes=[object])(p) for p in parameters]
    loss = cross_entropy(y, forward_pass(x, wrapped)[1])
    backward(loss)
    get_grad = np.vectorize(lambda value: value.grad, otypes=[float])
    num_values = loss.age - wrapped[0].flat[0].age + 1
    return [get_grad(part) for part in wrapped], num_values


by_engine, num_values = engine_gradients(x_tiny, y_tiny, tiny)
print(num_values, "values for 27 parameters and 5 examples")
for name, mine, engine in zip(
    ("dW1", "db1", "dW2", "db2"), tiny_gradients, by_engine, strict=True
):
    checks.agree(f"{name}: NumPy and engine", mine, engine, tolerance=1e-12)

# %% [markdown]
r"""
You never told the engine about matrices, softmax or $\hat y - y$. It found the same gradients from sums, products and four more rules.

## The backend's own differentiation

TensorFlow, JAX and PyTorch contain the same idea, with whole arrays in place of single numbers and compiled code in place of Python. Each asks for it in its own way. This cell is one of the few in the course that must know which of them is running:
"""


# %% tags=["differentiate"]
def backend_gradients(function, arrays, dtype="float32"):
    """The active backend's own gradients of function(list of tensors)."""
    tensors = [keras.ops.convert_to_tensor(a, dtype) for a in arrays]
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as recorder:
            recorder.watch(tensors)
            output = function(tensors)
        found = recorder.gradient(output, tensors, unconnected_gradients="zero")
    elif keras.config.backend() == "jax":
        import jax

        found = jax.grad(function)(tensors)
    else:
        import torch

        tensors = [t.detach().clone().requires_grad_() for t in tensors]
        output = function(tensors)
        found = torch.autograd.grad(output, tensors, materialize_grads=True)
    return [keras.ops.convert_to_numpy(g) for g in found]


# %%
def network_loss(parameters):
    """The tiny network's loss once more, in the backend's operations."""
    W1, b1, W2, b2 = parameters
    x = keras.ops.convert_to_tensor(x_tiny, "float32")
    y = keras.ops.convert_to_tensor(y_tiny, "float32")
    hidden = keras.ops.tanh(keras.ops.matmul(x, W1) + b1)
    z2 = keras.ops.matmul(hidden, W2) + b2
    log_prediction = keras.ops.log_softmax(z2, axis=-1)
    return -keras.ops.mean(keras.ops.sum(y * log_prediction, axis=-1))


with keras.device("cpu:0"):  # a GPU may round what it multiplies
    by_backend = backend_gradients(network_loss, tiny)
for name, *three in zip(
    ("dW1", "db1", "dW2", "db2"),
    tiny_gradients,
    by_engine,
    by_backend,
    strict=True,
):
    checks.agree(f"{name}: NumPy, engine and backend", *three)

# %% [markdown]
r"""
By hand, by your engine, by the backend: equal to $10^{-5}$ (the backend computes in `float32`, so it has about seven digits). TensorFlow records on a `GradientTape`, JAX turns a function into the function of its gradient, PyTorch records always and goes back when asked. Keras's `fit` asks in the same way, in step 3 of every training run. A trap to know: PyTorch's usual `loss.backward()` *adds* to the `.grad` that is already there, so a training loop there must set it to zero before each step.

One network is one example. An engine deserves a harder judge: random formulas. A formula is a tree of nested tuples, made by throwing dice, with whole numbers at its leaves that say which of three inputs stands there, 0, 1 or 2. `tools` is NumPy for the engine and `keras.ops` for the backend.
"""

# %% tags=["expressions"]
OPERATIONS = {
    "add": lambda tools, a, b: a + b,
    "subtract": lambda tools, a, b: 1.5 - a - b,
    "multiply": lambda tools, a, b: a * b,
    "divide": lambda tools, a, b: a / (1 + b**2),
    "tanh": lambda tools, a: tools.tanh(a),
    "exp": lambda tools, a: tools.exp(-(a**2)),
    "log": lambda tools, a: tools.log(1 + a**2),
}


def evaluate(formula, inputs, tools):
    """Value of a formula such as ("add", 0, ("tanh", 2))."""
    if isinstance(formula, int):
        return inputs[formula]
    name, *parts = formula
    parts = [evaluate(part, inputs, tools) for part in parts]
    return OPERATIONS[name](tools, *parts)


# %%
def random_formula(rng, depth):
    """A random formula of three inputs, at most `depth` operations deep."""
    if depth == 0 or rng.random() < 0.1:
        return int(rng.integers(3))
    name = list(OPERATIONS)[rng.integers(len(OPERATIONS))]
    num_parts = 1 if name in ("tanh", "exp", "log") else 2
    return (name, *(random_formula(rng, depth - 1) for _ in range(num_parts)))


example = random_formula(np.random.default_rng(2), depth=3)
print(example)
print(round(evaluate(example, [0.5, -1.0, 2.0], np), 4))

# %% [markdown]
r"""
This one reads $x_1 \tanh(x_2) + x_0$. A hundred such formulas, up to five operations deep, each at a random point: the derivatives by all three inputs from the engine and from the backend.
"""

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(run.seed)
worst, num_formulas, num_operations = 0.0, 100, 0
for _ in range(num_formulas):
    formula = ("add", random_formula(rng, 4), random_formula(rng, 4))
    point = rng.uniform(-1, 1, size=3)
    inputs = [Value(number) for number in point]
    output = evaluate(formula, inputs, np)
    backward(output)
    mine = np.array([value.grad for value in inputs])
    theirs = backend_gradients(
        lambda tensors, formula=formula: evaluate(formula, tensors, keras.ops),
        point,
    )
    distance = np.max(np.abs(mine - theirs)) / max(1.0, np.max(np.abs(mine)))
    worst = max(worst, distance)
    num_operations += len(tape(output))
print(f"{num_operations:,} values on {num_formulas} tapes")
print(f"largest difference: {worst:.1e}")

# %%
checks.claim("engine against backend, largest difference", worst, at_most=1e-5)

# %% [markdown]
r"""
The tests of this repository go further: there, a program called Hypothesis searches for a formula on which engine and backend disagree, and when it finds one, shrinks it to the shortest.

## 5,000 digits

The gradients are right, so train. 5,000 digits drawn at random from the 60,000, unrolled to 784 numbers from 0 to 1; 64 hidden units; ten classes. That makes $784 \cdot 64 + 64 + 64 \cdot 10 + 10 = 50{,}890$ parameters, as many as the first model of [chapter 00](00_start_here.ipynb) had.
"""


# %%
def flat(images):
    """Unroll (n, 28, 28) bytes into (n, 784) floats from 0 to 1."""
    return images.reshape(len(images), -1).astype("float32") / 255


digits = data.load("mnist")
rng = np.random.default_rng(run.seed)
chosen = rng.permutation(len(digits.x_train))[:5000]
x_train, labels = flat(digits.x_train[chosen]), digits.y_train[chosen]
y_train = np.eye(10, dtype="float32")[labels]
x_test = flat(digits.x_test)
print("x_train", x_train.shape, "y_train", y_train.shape)
print("x_test ", x_test.shape)

# %% [markdown]
r"""
The training loop is chapter 02's: shuffle, take a mini-batch, forward, backward, step. It takes the two passes as an argument, because further down another network will use it. The line before it keeps NumPy's matrix products on one core: products this small are over before a second core could help, and where other programs run as well, two threads waiting for each other can take several times as long.
"""


# %%
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    parameters, *, passes, epochs=20, learning_rate=0.5, size=50, seed=run.seed
):
    """Mini-batch gradient descent, in place; the mean loss of each epoch."""
    go_forward, go_back = passes
    rng, losses = np.random.default_rng(seed), []
    for _ in range(epochs):
        order, total = rng.permutation(len(x_train)), 0.0
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            x, y = x_train[rows], y_train[rows]
            hidden, prediction = go_forward(x, parameters)
            total += cross_entropy(y, prediction) * len(rows)
            gradients = go_back(x, y, parameters, hidden, prediction)
            for array, gradient in zip(parameters, gradients, strict=True):
                array -= learning_rate * gradient
        losses.append(total / len(order))
    return losses


def test_accuracy(parameters, forward=forward_pass):
    prediction = forward(x_test, parameters)[1]
    return np.mean(prediction.argmax(axis=1) == digits.y_test)


# %% [markdown]
r"""
> **Predict, then run.** 20 passes over the 5,000 digits: 2,000 steps, in NumPy, on the processor. How long does it take, and how many of the 10,000 test digits are right?
> (a) A second or so, about 94 %; (b) a second or so, about 60 %; (c) an hour, about 94 %?
"""

# %% tags=["nbval-ignore-output"]
network = [part.astype("float32") for part in new_parameters(784, 64, 10, rng)]
fresh = [part.copy() for part in network]
first_loss = cross_entropy(y_train, forward_pass(x_train, network)[1])
started = time.perf_counter()
losses = train(network, passes=(forward_pass, backward_pass))
seconds = time.perf_counter() - started
accuracy = test_accuracy(network)
print(f"loss in the last pass: {losses[-1]:.3f}, after {seconds:.1f} s")

# %%
checks.claim("loss of the fresh network", first_loss, at_least=2.2, at_most=2.8)
checks.claim(
    "test accuracy", accuracy, at_least=0.93, at_most=0.95, examples=10_000
)

# %% [markdown]
r"""
**Answer: (a).** The error bar of about half a percentage point comes from the 10,000 test digits alone, $1.96\sqrt{p(1-p)/n}$; another draw of the 5,000 training digits moves the result, too. The loss began near $\ln 10 = 2.303$, where a network that knows nothing about ten classes has to begin ([chapter 03](03_losses_and_activations.ipynb)). (c) confuses this size with a large model: 2,000 steps of 50 examples with 50,890 parameters are at most $6 \cdot 50{,}890 \cdot 100{,}000 \approx 3\cdot10^{10}$ operations by the rule of chapter 00. The processor can do that in less than a second; what it took is printed above.

Can your engine do it too? One digit, all 50,890 derivatives, one `Value` at a time:
"""

# %% tags=["nbval-ignore-output"]
x_digit, y_digit = x_train[:1].astype("float64"), y_train[:1]
exact = [part.astype("float64") for part in fresh]
started = time.perf_counter()
by_engine, num_values = engine_gradients(x_digit, y_digit, exact)
engine_seconds = time.perf_counter() - started
with threadpool_limits(limits=1, user_api="blas"):
    started = time.perf_counter()
    for _ in range(100):
        passed = forward_pass(x_digit, exact)
        by_hand = backward_pass(x_digit, y_digit, exact, *passed)
numpy_seconds = (time.perf_counter() - started) / 100
print(f"engine: {num_values:,} values, {engine_seconds:.2f} s a digit")
print(f"NumPy:  {1e6 * numpy_seconds:.0f} millionths of a second")

# %%
difference = relative_error(by_engine, by_hand)
checks.claim("engine and NumPy on a real digit", difference, at_most=1e-10)
checks.claim("values made for it", num_values, at_least=200_000)

# %% [markdown]
r"""
The same numbers, thousands of times slower. What a framework adds to the idea is speed: one record for a whole matrix product instead of one for each multiplication.

## Nothing but zeros

Random numbers to start from look untidy. Why not start with zeros?

> **Predict, then run.** The same network, all parameters zero at the start, the same 20 passes. On the test digits it gets
> (a) about 94 %, gradient descent finds its way from anywhere; (b) about 80 %; (c) about 11 %?
"""

# %%
zeros = [np.zeros_like(part) for part in fresh]
passed = forward_pass(x_train, zeros)
gradients = backward_pass(x_train, y_train, zeros, *passed)
for name, gradient in zip(("dW1", "db1", "dW2", "db2"), gradients, strict=True):
    alive = np.count_nonzero(gradient)
    print(f"{name}: {alive} of {gradient.size:,} numbers are not zero")

# %% tags=["nbval-ignore-output"]
zero_losses = train(zeros, passes=(forward_pass, backward_pass))
zero_accuracy = test_accuracy(zeros)
print(f"loss in the last pass: {zero_losses[-1]:.3f}")

# %%
checks.claim(
    "accuracy from zeros",
    zero_accuracy,
    at_least=0.08,
    at_most=0.12,
    examples=10_000,
)

# %% [markdown]
r"""
**Answer: (c).** Look at the gradients, not at the loss. `dW1` needs $W_2$, which is zero; `dW2` needs the hidden values, which are zero; so only the last bias moves, and it learns how often each digit occurs. The network answers the same digit to everything. (a) would be true if descent could leave every point; where a gradient is zero, it stays. A start with all weights equal to 0.1, say, has a milder form of the same illness: all hidden units have the same gradient at every step and stay copies of each other for ever. Random numbers are there to make the units *different*.

When a network does not learn, print the size of each parameter's gradient first. A zero in that list tells you where the path is cut.

## Why backwards?

The chain rule can be read in the other direction as well. Start at *one* weight, let it move at the rate 1, and push that rate forward through the same local derivatives: how fast do the sums change, the hidden values, the loss? That is **forward mode**. It is as exact as backpropagation, and as simple. `rates` says how fast each parameter moves.
"""


# %%
def push_forward(x, y, parameters, rates, hidden, prediction):
    """Rate of the mean loss when the parameters move at `rates`."""
    rate_W1, rate_b1, rate_W2, rate_b2 = rates
    rate_z1 = x @ rate_W1 + rate_b1
    rate_hidden = rate_z1 * (1 - hidden**2)
    rate_z2 = rate_hidden @ parameters[2] + hidden @ rate_W2 + rate_b2
    return np.sum((prediction - y) * rate_z2) / len(x)


# %% [markdown]
r"""
One walk forward gives one number, the derivative by the weight that moved. For the whole gradient every parameter has to move once:
"""

# %%
passed = forward_pass(x_tiny, tiny)
rates = [np.zeros(part.shape) for part in tiny]
forward_mode, walks = [np.zeros(part.shape) for part in tiny], 0
for rate, found in zip(rates, forward_mode, strict=True):
    for place in np.ndindex(rate.shape):
        rate[place] = 1.0
        found[place] = push_forward(x_tiny, y_tiny, tiny, rates, *passed)
        rate[place], walks = 0.0, walks + 1
checks.agree(
    f"{walks} walks forward and one backward",
    *[
        np.concatenate([np.ravel(g) for g in way])
        for way in (forward_mode, tiny_gradients)
    ],
    tolerance=1e-12,
)

# %% [markdown]
r"""
Backwards you start at one number, the loss, and each box hands back the answer for everything before it: one walk for all 27. So the rule is to walk from the side that has fewer numbers. Many inputs and one output, as in training: backwards. One input and many outputs: forwards.

## What a gradient costs

The dense layer of the second section does one matrix product on the way forward, and two on the way back, `dW` and `dx`, each with as many multiplications. So the backward pass should cost twice the forward pass. Count it: the next class is a NumPy array that adds up what its matrix products cost, a multiplication and an addition for each pair of numbers that meet.
"""


# %%
class Counting(np.ndarray):
    """An array that counts the operations of its matrix products."""

    operations = 0

    def __matmul__(self, other):
        Counting.operations += 2 * self.size * other.shape[-1]
        return super().__matmul__(other)


def count(function, *arguments):
    """Operations in matrix products, and what the function returns."""
    Counting.operations = 0
    result = function(*arguments)
    return Counting.operations, result


x_few, y_few = x_train[:50].view(Counting), y_train[:50]
there, passed = count(forward_pass, x_few, network)
back, gradients = count(backward_pass, x_few, y_few, network, *passed)
one, _ = count(push_forward, x_few, y_few, network, gradients, *passed)
print(f"forward {there:,}, backward {back:,}, ratio {back / there:.3f}")
print(f"forward mode: {one:,} for the derivative by one weight")

# %% tags=["nbval-ignore-output"]
operations = 2000 * (there + back)
print(f"the training above: {operations:.1e} operations in {seconds:.1f} s,")
print(f"{operations / seconds / 1e9:.0f} billion operations a second")

# %% [markdown]
r"""
One core like those that this course was built on can do about 95 billion a second in large products. These products are small, and tanh, the shuffled copies and Python itself want time as well; on a quiet machine a good part of the 95 is left. Forward mode costs one more forward pass as well, but for each of the 50,890 parameters anew.

But look at the ratio: about once the forward pass, not twice. Where is the other half? In the first layer, which holds nearly all of this network's weights, nobody needs `dx`: pixels are not trained. So the saving is one product of the first layer, and in a deep network it hardly counts. To see it, write the passes for any depth. They are loops over what you have.
"""


# %%
def deep_forward(x, weights):
    """Inputs of every layer, then the output; tanh after each layer."""
    kept = [x]
    for W in weights:
        kept.append(np.tanh(kept[-1] @ W))
    return kept


def deep_backward(d_output, weights, kept):
    """Gradients of all weights, the first layer's first."""
    gradients = []
    for number in reversed(range(len(weights))):
        dz = d_output * (1 - kept[number + 1] ** 2)
        gradients.insert(0, kept[number].T @ dz)
        if number > 0:  # nobody asks for the gradient of the input
            d_output = dz @ weights[number].T
    return gradients


# %% [markdown]
r"""
> **Predict, then run.** Networks of 1, 4 and 12 equal layers. How many times the operations of its forward pass does the backward pass take?
> (a) 2, 2, 2; (b) 1, 1.75, 1.92; (c) 1, 4, 12?

The next cell counts, and times, beginning the way back as if the loss were half the sum of the squared outputs: its gradient is the output itself. Its last column is what central differences would take, two forward passes a weight.
"""

# %% tags=["nbval-ignore-output"]
rows, width = {}, 256
for depth in (1, 2, 4, 12):
    weights = list(rng.normal(size=(depth, width, width)) / width**0.5)
    x_wide = rng.normal(size=(128, width)).view(Counting)
    there, kept = count(deep_forward, x_wide, weights)
    back, _ = count(deep_backward, kept[-1], weights, kept)
    started = time.perf_counter()
    for _ in range(10):
        kept = deep_forward(np.asarray(x_wide), weights)
    middle = time.perf_counter()
    for _ in range(10):
        deep_backward(kept[-1], weights, kept)
    seconds = time.perf_counter() - middle, middle - started
    rows[depth] = {
        "forward, million operations": there / 1e6,
        "backward over forward, counted": back / there,
        "backward over forward, seconds": seconds[0] / seconds[1],
        "finite differences over forward": 2.0 * depth * width**2,
    }
table = pd.DataFrame(rows).T.rename_axis("layers")
table.map(lambda v: f"{v:,.0f}" if v > 1000 else f"{v:.3g}")

# %%
checks.claim(
    "backward over forward, 12 layers, counted",
    rows[12]["backward over forward, counted"],
    at_least=1.9,
    at_most=2.0,
)

# %% [markdown]
r"""
**Answer: (b).** Two products a layer, less the one that the first layer saves: $(2d - 1)/d$ forward passes for $d$ equal layers, which nears two. (a) forgets the saving. (c) is tempting because the gradient of the first layer depends on all layers after it; but its walk through them is the same walk that served the others, and is made once. (The seconds waver from run to run, and tanh takes its share on the way forward.) The number of parameters has dropped out. **The gradient by all parameters costs about as much as two more evaluations of the loss, however many parameters there are.** That sentence is why deep learning is possible. For this chapter's network, on this machine:
"""

# %% tags=["nbval-ignore-output"]
x_few = x_train[:50]
started = time.perf_counter()
for _ in range(100):
    passed = forward_pass(x_few, network)
middle = time.perf_counter()
for _ in range(100):
    backward_pass(x_few, y_few, network, *passed)
both = (time.perf_counter() - started) / 100
one_forward = (middle - started) / 100
num_parameters = sum(part.size for part in network)
print(f"one gradient by backpropagation: {1000 * both:.2f} ms")
print(f"by differences: {2 * num_parameters * one_forward:.0f} s")

# %% [markdown]
r"""
Training took 2,000 gradients. By finite differences you would wait for hours, and get coarser gradients.

The price of backpropagation is memory. The backward pass needs the hidden values of every layer, so they must be kept until it has passed:
"""

# %%
kept_mb = sum(part.nbytes for part in kept) / 1e6
weights_mb = sum(W.nbytes for W in weights) / 1e6
print(f"12 layers, float64: weights {weights_mb:.2f} MB")
print(f"kept for 128 examples: {kept_mb:.2f} MB")
print(f"kept for 1,280 examples: {10 * kept_mb:.2f} MB")

# %% [markdown]
r"""
The weights do not grow with the batch, and neither do their gradients and the optimizer's own numbers; the kept values do. They are the part that you can shrink at once. So when a GPU runs out of memory in training and not in use, a smaller batch is the first remedy.

## At a billion parameters

Forward costs about $2N$ operations an example (a token, for a language model), a multiplication and an addition a parameter; backward costs $4N$: that is the 6 in the $6ND$ rule of [chapter 00](00_start_here.ipynb). For GPT-3's 175 billion parameters a gradient by finite differences would take 350 billion forward passes; backpropagation takes the work of three, forward included.

The kept values become the problem. Large models therefore keep only some of them, say those of every fourth layer, and compute the others again on the way back, called *checkpointing*. This costs one more forward pass: $8N$ operations in place of $6N$, a third more.
"""

# %% [markdown]
r"""
## Spot the bug

An article explains a network with two hidden layers:

> "Each layer computes $z = Wx + b$ and passes $z$ on to the next layer. The last $z$ goes through a softmax, which gives the output. By stacking layers, the network learns ever more complex features."

Something is missing. What can this network do that a single layer cannot? Decide, then read on. First the article's formula on the 784 pixels, with two hidden layers of 64 units:
"""

# %%
rng = np.random.default_rng(run.seed)
W1, b1 = rng.normal(size=(784, 64)) / 28, rng.normal(size=64)
W2, b2 = rng.normal(size=(64, 64)) / 8, rng.normal(size=64)
W3, b3 = rng.normal(size=(64, 10)) / 8, rng.normal(size=10)

by_article = ((x_test @ W1 + b1) @ W2 + b2) @ W3 + b3
one_matrix = W1 @ W2 @ W3
one_bias = (b1 @ W2 + b2) @ W3 + b3
print("one matrix:", one_matrix.shape, " one bias:", one_bias.shape)
checks.agree(
    "three layers and one matrix, 10,000 digits",
    by_article,
    x_test @ one_matrix + one_bias,
    tolerance=1e-10,
)

# %% [markdown]
r"""
The activation is missing. Without a bend between them, three layers *are* one: 54,912 weights do the work of 7,840. Nothing fails. The gradients are right, the gradient check passes, the loss falls. Only the result tells. Take the bend out of this chapter's network, and its derivative with it:
"""


# %%
def straight_forward(x, parameters):
    W1, b1, W2, b2 = parameters
    hidden = x @ W1 + b1  # no tanh
    z2 = hidden @ W2 + b2
    power = np.exp(z2 - z2.max(axis=1, keepdims=True))
    return hidden, power / power.sum(axis=1, keepdims=True)


numerical = numerical_gradients(
    lambda parameters: cross_entropy(
        y_tiny, straight_forward(x_tiny, parameters)[1]
    ),
    tiny,
)
passed = straight_forward(x_tiny, tiny)
straight = without_tanh_slope(x_tiny, y_tiny, tiny, *passed)
error = relative_error(straight, numerical)
checks.claim("its relative error in the gradient check", error, at_most=1e-8)

# %% [markdown]
r"""
Train it, then. tanh never exceeds 1, and that keeps a network in bounds; without it this chapter's rate of 0.5 is too large, and from some starts the numbers overflow. So train both at 0.1, from the same start and on the same mini-batches, and try them on the test digits after each pass.
"""


# %%
def watch(passes, epochs=20):
    """Training loss and test accuracy of each pass at the rate 0.1."""
    parameters, rows = [part.copy() for part in fresh], []
    options = {"passes": passes, "epochs": 1, "learning_rate": 0.1}
    for epoch in range(epochs):
        loss = train(parameters, seed=(run.seed, epoch), **options)[0]
        rows.append((loss, test_accuracy(parameters, passes[0])))
    return np.array(rows).T


# %% tags=["nbval-ignore-output"]
watched = {
    "without a bend": watch((straight_forward, without_tanh_slope)),
    "with tanh": watch((forward_pass, backward_pass)),
}

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 2)
for panel, axis, label in zip(
    (0, 1), axes, ("training loss (nats)", "test accuracy"), strict=True
):
    plots.lines(
        axis,
        np.arange(1, 21),
        {name: curves[panel] for name, curves in watched.items()},
        xlabel="pass over the 5,000 digits",
        ylabel=label,
        xticks=[1, 5, 10, 15, 20],
    )
axes[0].set(yscale="log", yticks=(0.1, 0.2, 0.5, 1))
axes[0].set_yticks([], minor=True)
axes[0].yaxis.set_major_formatter("{x:g}")
plots.show(
    fig,
    "Without a bend the training loss falls more slowly, but it falls; the "
    "score on new digits stops rising after a few passes, while with tanh it "
    "goes on.",
)

# %%
bare_accuracy, bent_accuracy = [
    watched[name][1, -1] for name in ("without a bend", "with tanh")
]
checks.claim(
    "test accuracy without a bend",
    bare_accuracy,
    at_least=0.88,
    at_most=0.92,
    examples=10_000,
)
checks.claim(
    "accuracy gained by the bend",
    bent_accuracy - bare_accuracy,
    at_least=0.008,
    at_most=0.04,
)

# %% [markdown]
r"""
Nothing in the left panel complains. What one matrix limits is the score on digits that it has not seen: after a few passes, what it still learns holds for its own 5,000 only.

The backward pass without the tanh factor was wrong in the gradient check above, and is right here, because here the forward pass has no tanh either. That is the limit of a gradient check: it tells whether the gradient belongs to the loss that you *wrote*, not whether you wrote the loss that you meant.

Repaired, with tanh in place, the layers no longer collapse, and there is a test that needs no search for a matrix. *Every* matrix with a bias sends the picture halfway between two digits to the point halfway between their sums. The article's network does; yours does not:
"""

# %%
W_in, b_in, W_out, b_out = network
sums = {
    "article": lambda x: ((x @ W1 + b1) @ W2 + b2) @ W3 + b3,
    "network": lambda x: np.tanh(x @ W_in + b_in) @ W_out + b_out,
}
first, second = x_test[:5000], x_test[5000:]
miss = {}
for name, f in sums.items():
    halfway = (f(first) + f(second)) / 2
    miss[name] = relative_error([f((first + second) / 2)], [halfway])
checks.claim("article: relative miss halfway", miss["article"], at_most=1e-5)
checks.claim("network: relative miss halfway", miss["network"], at_least=0.25)

# %% [markdown]
r"""
## Summary

- **Forward and backward**: each step keeps its numbers, then multiplies the upstream gradient by its local derivative. For a dense layer `dW = x.T @ dz`, `db = dz.sum(axis=0)`, `dx = dz @ W.T`; for softmax with cross-entropy `dz = (ŷ − y) / n`. What was used several times collects a sum. The NumPy network reads at least 93 % of 10,000 test digits after 20 passes over 5,000 others.
- **An engine**: values that remember parents and local derivatives, played back from the youngest to the oldest, with `+=`. It agrees with NumPy to $10^{-12}$ and with the backend to $10^{-5}$, on the network and on random formulas.
- **Gradient check**: `float64`, $h$ near $10^{-5}$, relative error below $10^{-7}$. Smaller steps are worse. It cannot see that the wrong loss was written, nor a missing sum in a batch of one, nor what zero weights hide; a kink can fail a right gradient.
- **Cost**: two products backward for one forward, so about twice the operations, whatever the number of parameters, where forward mode pays one pass for each of them; memory for what must be kept, in proportion to the batch.
- **Diagnosis**: print each parameter's gradient. A gradient of all zeros shows where the path is cut; no bend makes any depth one matrix.
"""

# %% [markdown]
r"""
## Going further

- Give the engine ReLU and train two hidden units on the four points of exclusive-or. Where does it get stuck, and what do the gradients say?
- The backward pass of the first layer did not compute `dx`. Compute it for one digit and draw it as a picture: it shows the pixels on which the loss depends most. Move the digit a little uphill, along `dx`, until the network reads another one. Can you see the change?
- On a GPU, time `backend_gradients` of a deep network with 1 to 64 layers of 4,096 units against the forward pass alone. Does the ratio approach 2? At which batch does the memory end?
"""

# %% [markdown]
r"""
## References

- S. Linnainmaa: *Taylor expansion of the accumulated rounding error*. BIT 16, 1976. Reverse accumulation, from his thesis of 1970.
- D. E. Rumelhart, G. E. Hinton, R. J. Williams: *Learning representations by back-propagating errors*. Nature 323, 1986. Equations 4 to 7 are the backward pass of this page.
- A. Griewank, A. Walther: *Evaluating Derivatives*. Second edition, SIAM, 2008. The bound on the cost of a gradient in chapter 4, checkpointing in chapter 12.
- A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind: *Automatic differentiation in machine learning: a survey*. JMLR 18(153), 2018, arXiv:1502.05767. Forward and reverse mode in section 3.
- T. Chen, B. Xu, C. Zhang, C. Guestrin: *Training deep nets with sublinear memory cost*. 2016, arXiv:1604.06174.
- A. Karpathy: *micrograd*. 2020, github.com/karpathy/micrograd. The small engine that made the idea popular.
"""
