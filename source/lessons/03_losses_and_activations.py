# %% [markdown]
r"""
# Losses and activations

The loss says what a network is paid for, and the activations decide which parameters get to hear about it; a wrong formula in either place raises no error, it trains, badly.
"""

# %% [markdown]
r"""
## You will be able to

- check any derivative three ways, and catch a wrong loss before the first training step from one number;
- say which assumption about the data each loss makes, and prove that squared error, cross-entropy and binary cross-entropy are negative log-likelihoods, up to a factor and a constant;
- compute softmax and cross-entropy in `float32` for logits of any size;
- find where sigmoid, tanh, ReLU and GELU stop learning, and count the dead units of a network.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 02](02_gradient_descent.ipynb) for gradient descent, finite differences, and why a curvature $c$ allows a learning rate of at most $2/c$. From school: the chain rule, the exponential function and its logarithm, and that independent probabilities multiply.
"""

# %% [markdown]
r"""
## Budget

60 minutes to read · about 15 s to run on two CPU cores · 1 GB of memory
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %%
import time

import keras
import numpy as np
import pandas as pd
import scipy
import sklearn.datasets

from course_lib import checks, data, plots

# %% [markdown]
r"""
## Three opinions on a derivative

Training follows derivatives, and nothing complains when one of them is wrong. So every derivative in this chapter is asked for three times: by a formula that you derive, by a finite difference that only needs the function, and by **automatic differentiation**, in which the backend applies the chain rule to every operation that it runs. The formula can contain a slip of the pen, the difference is a little inexact, and the backend's answer says nothing about *why*. When all three agree, you can stop worrying.
"""


# %%
def finite_difference(f, x, h=1e-5):
    """Slope of f at each x, by moving a little to both sides."""
    return (f(x + h) - f(x - h)) / (2 * h)


def to_numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


# %% [markdown]
r"""
Automatic differentiation is the one thing that Keras leaves to its backend. TensorFlow records operations on a tape, JAX turns a function into the function of its slope, and PyTorch remembers how each tensor came about. All three answer how *one* number changes with each of its inputs, and `f(x)` is as many numbers as `x`. So `autodiff` adds them up first. Where each output depends on its own input only, a change of $x_i$ changes one term of the sum, and the slope of the sum by $x_i$ is the slope of $f$ at $x_i$.
"""


# %%
def autodiff(f, x):
    """Slope of the sum of f(x) by each entry of x."""
    x = keras.ops.convert_to_tensor(x, dtype="float32")
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            total = keras.ops.sum(f(x))
        slope = tape.gradient(total, x)
    elif keras.config.backend() == "jax":
        import jax

        slope = jax.grad(lambda x: keras.ops.sum(f(x)))(x)
    else:
        import torch

        x = x.detach().requires_grad_()
        slope = torch.autograd.grad(keras.ops.sum(f(x)), x)[0]
    return to_numpy(slope)


print(autodiff(keras.ops.square, [1.0, 2.0, -3.0]))

# %% [markdown]
r"""
The derivative of $x^2$ is $2x$: right. Now a function of this chapter, the **sigmoid**, which squeezes any number $z$ into a probability between 0 and 1:

$$\sigma(z) = \frac{1}{1 + e^{-z}}.$$

By the chain rule, $\sigma'(z) = \dfrac{e^{-z}}{(1 + e^{-z})^2}$. Split that into $\dfrac{1}{1+e^{-z}} \cdot \dfrac{e^{-z}}{1+e^{-z}}$. The first factor is $\sigma$, the second is what is missing to one: $\sigma' = \sigma(1 - \sigma)$.
"""


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z):
    return sigmoid(z) * (1 - sigmoid(z))


z = np.array([-4.0, -1.0, 0.0, 1.0, 4.0])
print("σ :", sigmoid(z).round(4))
print("σ′:", sigmoid_slope(z).round(4))

# %% [markdown]
r"""
At 0 the sigmoid is one half and steepest, with slope ¼. Now the three opinions. They go into a small function, because you will want them again and again; the sigmoid that is differentiated automatically is Keras's own, so the check covers your formula for $\sigma$ as well. (`rest` is for functions that need more than $z$, such as a label.)
"""

# %%
grid = np.linspace(-6, 6, 120)  # an even number: 0 is left out


def three_ways(name, formula, f, keras_f, *rest, at=grid):
    """Compare formula, finite difference and automatic slope."""
    checks.agree(
        f"{name}: formula, difference and autodiff",
        formula(at, *rest),
        finite_difference(lambda z: f(z, *rest), at),
        autodiff(lambda z: keras_f(z, *rest), at),
    )


three_ways("σ′", sigmoid_slope, sigmoid, keras.ops.sigmoid)

# %% [markdown]
r"""
## Squared error, twice

Now real numbers to be wrong about. For 442 diabetes patients scikit-learn has the body-mass index, and how far the disease had progressed a year later. Both are standardised, so that the model is one multiplication: $\hat y = \theta x$.
"""

# %%
patients = sklearn.datasets.load_diabetes(scaled=False)
raw_x, raw_y = patients.data[:, 2], patients.target
x = (raw_x - raw_x.mean()) / raw_x.std()
y = (raw_y - raw_y.mean()) / raw_y.std()
print(x.shape, "body-mass index from", raw_x.min(), "to", raw_x.max())
print(y.shape, "progression from", raw_y.min(), "to", raw_y.max())

# %% [markdown]
r"""
The difference $r_i = \hat y_i - y_i$ is a **residual**. The **mean squared error** is written in two ways, and you will meet both:

$$L_n = \frac1n \sum_i r_i^2, \qquad L_{2m} = \frac1{2m} \sum_i r_i^2 \qquad (n \text{ and } m \text{ are both the number of examples}).$$

The second is half the first; the ½ is there to cancel the 2 that the square brings down. By the chain rule, $L_n' = \frac2n \sum_i r_i x_i$ and $L_{2m}' = \frac1m \sum_i r_i x_i$.
"""


# %%
def mse(theta):
    return np.mean((theta * x - y) ** 2)


def mse_slope(theta):
    return 2 * np.mean((theta * x - y) * x)


def keras_mse(theta):
    x32 = keras.ops.convert_to_tensor(x, "float32")
    y32 = keras.ops.convert_to_tensor(y, "float32")
    return keras.losses.mean_squared_error(y32, theta * x32)


print(f"at θ = 0: loss {mse(0.0):.3f}, slope {mse_slope(0.0):.3f}")
three_ways("mean squared error", mse_slope, mse, keras_mse, at=0.3)

# %% [markdown]
r"""
At $\theta = 0$ the loss is 1, the variance of a standardised $y$: a regression that has learned nothing pays exactly that. Both forms have the same minimum, since half of a valley has its floor at the same place. What about the way there? Standardised $x$ gives $L_n$ the curvature $\frac2n\sum x_i^2 = 2$, and $L_{2m}$ the curvature 1.

> **Predict, then run.** An article trains with the $1/2m$ form and a learning rate of 1.2, and converges. You rebuild it with Keras, whose mean squared error is the $1/n$ form, and keep 1.2. You get
> (a) the same run, as the minimum is the same, (b) a run that is twice as fast, (c) a run that diverges?
"""


# %%
def descend(slope, learning_rate, num_steps=8, theta=0.0):
    path = [theta]
    for _ in range(num_steps):
        path.append(path[-1] - learning_rate * slope(path[-1]))
    return np.array(path)


def half_slope(theta):
    return mse_slope(theta) / 2


paths = {
    "1/2m, α = 1.2": descend(half_slope, 1.2),
    "1/n, α = 1.2": descend(mse_slope, 1.2),
    "1/n, α = 0.6": descend(mse_slope, 0.6),
}
pd.DataFrame(paths).rename_axis("step").map("{:.4f}".format)

# %%
best_theta = np.mean(x * y) / np.mean(x * x)  # where the slope is zero
half, whole = paths["1/2m, α = 1.2"], paths["1/n, α = 0.6"]
checks.agree("1/2m at α and 1/n at α/2", half, whole)
checks.agree("end of the path and minimum", whole[-1], best_theta)

# %% [markdown]
r"""
**Answer: (c).** The step is $\alpha$ times the slope, and the slope is twice as large, so $1/n$ at 1.2 is $1/2m$ at 2.4, beyond its limit $2/c = 2$. (a) is the tempting one: the *minimum* is the same, the *step* is not. A learning rate belongs to a loss *and its factor in front*; copy both or neither. The same trap waits where a loss is summed over a batch instead of averaged.

### What squared error believes

Why the square, and not the fourth power? Suppose nature makes $y$ by adding to $\hat y$ a Gaussian noise of standard deviation $s$. Then the density of seeing $y_i$ is

$$p(y_i) = \frac{1}{s\sqrt{2\pi}} \exp\!\left(-\frac{(y_i - \hat y_i)^2}{2 s^2}\right).$$

The density of *all* the data, as a function of the parameters, is called the **likelihood**. Independent examples multiply, and a logarithm turns the product into a sum, the **log-likelihood**. Its negative, per example, is

$$-\frac1n \sum_i \ln p(y_i) = \frac{1}{2 s^2} \cdot \frac1n \sum_i (y_i - \hat y_i)^2 + \ln\!\big(s\sqrt{2\pi}\big) = \frac{L_n}{2 s^2} + \text{const}.$$

So the parameters that make the data most likely are those that make the squared error least: that is the proof. The code asks SciPy's normal distribution for the left side and computes the right side.
"""

# %%
thetas, spread = np.linspace(-0.5, 1.5, 201), 0.8
left = [-scipy.stats.norm.logpdf(y, t * x, spread).mean() for t in thetas]
losses = np.array([mse(t) for t in thetas])
right = losses / (2 * spread**2) + np.log(spread * np.sqrt(2 * np.pi))
checks.agree("negative log-likelihood and scaled MSE", left, right)
for name, curve in {"likelihood": left, "squared error": losses}.items():
    print(f"best θ by {name}: {thetas[np.argmin(curve)]:.2f}")

# %% [markdown]
r"""
The factor $1/2s^2$ stretches the valley and the constant lifts it; its floor stays where it was. The proof is a recipe for losses:

1. choose a distribution for $y$;
2. let the model predict its parameter, here the mean $\hat y$ of a Gaussian;
3. take $-\ln$ of the density, or probability, that this gives to the observed $y$, average over the examples, and drop what does not depend on the parameters.

The next sections follow it for labels, once with two classes and once with many. Here it is for the Laplace distribution, $p(y) = \frac{1}{2b}\,e^{-|y - \hat y|/b}$, in which large errors are less rare than in a Gaussian. Its $-\ln$ is $\frac1b |y - \hat y| + \ln 2b$: the *absolute* error.
"""

# %%
left = [-scipy.stats.laplace.logpdf(y, t * x, spread).mean() for t in thetas]
absolute = np.array([np.abs(t * x - y).mean() for t in thetas])
right = absolute / spread + np.log(2 * spread)
checks.agree("Laplace likelihood and scaled absolute error", left, right)
print(f"best θ by absolute error: {thetas[np.argmin(absolute)]:.2f}")

# %% [markdown]
r"""
Another belief, another best $\theta$. And read backwards, the recipe is a warning. To use squared error is to believe in Gaussian noise, in which a residual of ten standard deviations never happens. So if one *does* happen, the fit will move heaven and earth to explain it.

### One typing error

Let somebody forget a decimal point: the progression of the patient with the largest body-mass index is recorded ten times too large. It is one number in 442.

> **Predict, then run.** By how much does the slope $\theta$ change?
> (a) Under 1 %, as it is one patient of 442. (b) About 5 %. (c) More than 30 %.
"""

# %%
typo_y = y.copy()
patient = np.argmax(x)
typo_y[patient] = (10 * raw_y[patient] - raw_y.mean()) / raw_y.std()
typo_theta = np.mean(x * typo_y) / np.mean(x * x)
print(f"θ without the error {best_theta:.3f}, with it {typo_theta:.3f}")
checks.claim(
    "growth of θ", typo_theta / best_theta - 1, at_least=0.3, at_most=0.5
)

# %% [markdown]
r"""
**Answer: (c).** In the slope $\frac2n \sum_i r_i x_i$ a patient pulls with $r_i x_i$, the residual times the place. This one has an enormous residual *and* stands furthest to the right of all, where a pull has the longest lever. (a) counts patients; the loss counts squares.

Is it a matter of bad luck, then, which patient is hit? The error adds $9$ times the true progression to one label, and since the mean of $x^2$ is 1, $\theta$ moves by that times $x_i/n$. One line gives the change for each of the 442 patients.
"""

# %%
changes = 9 * raw_y / raw_y.std() * x / len(x) / best_theta
growth = typo_theta / best_theta - 1
checks.agree("one line and the fit above", changes[patient], growth)
print(f"median size of the change: {np.median(np.abs(changes)):.1%}")
print("patients above 30 %:", np.sum(np.abs(changes) > 0.3), "of", len(x))

# %%
fig, axes = plots.figure(1, 2, width=8, height=3.2)
line = np.linspace(x.min(), x.max(), 50)
both = {"clean data": best_theta * line, "with the error": typo_theta * line}
names = {
    "xlabel": "body-mass index (standardised)",
    "ylabel": "progression (standardised)",
}
plots.lines(axes[0], line, both, **names, ylim=(-4, 33))
axes[0].plot(x, y, ".", color="gray", markersize=3, zorder=1)
axes[0].plot(x[patient], typo_y[patient], "kX", markersize=8)
axes[0].annotate("typing error", (x[patient] - 0.2, 28.7), ha="right")
axes[0].legend(loc="center left", frameon=False)
axes[1].hist(100 * changes, bins=np.arange(-16, 60, 2), zorder=2)
axes[1].set(xlabel="change of θ (%)", ylabel="patients")
plots.show(
    fig,
    "A typing error at the edge turns the whole line; the same error moves θ "
    "by a few percent for most patients and by half for the worst.",
)

# %% [markdown]
r"""
(b) would have been about right for the median patient, who stands near the middle, where even a huge residual hardly turns the line. The danger is a huge residual at the edge.

The **Huber loss** puts a limit $\delta$ on the residual's part of the pull. It is a parabola near zero and a straight line further out, joined without a kink:

$$H(r) = \begin{cases} \tfrac12 r^2 & |r| \le \delta \\ \delta |r| - \tfrac12 \delta^2 & |r| > \delta \end{cases} \qquad H'(r) = \begin{cases} r & |r| \le \delta \\ \delta \cdot \operatorname{sign}(r) & |r| > \delta \end{cases}$$

The derivative is the residual, clipped to $\pm\delta$; it limits $r$, not $x$, so the lever stays. (Mind the ½: below $\delta$ Huber's loss is the $1/2m$ kind.)
"""


# %%
def huber(r, delta=1.0):
    inside = np.abs(r) <= delta
    return np.where(inside, r**2 / 2, delta * np.abs(r) - delta**2 / 2)


def huber_slope(r, delta=1.0):
    return np.clip(r, -delta, delta)


def keras_huber(r):
    r = r[:, None]  # Keras averages over the last axis
    return keras.losses.huber(keras.ops.zeros_like(r), r, delta=1.0)


three_ways("Huber", huber_slope, huber, keras_huber)


# %%
def huber_fit(labels):
    """The θ at which Huber's loss is lowest, by gradient descent."""
    slope = lambda theta: np.mean(huber_slope(theta * x - labels) * x)
    return descend(slope, learning_rate=0.5, num_steps=60)[-1]


fits = {}
for name, labels in {"clean": y, "with the typing error": typo_y}.items():
    squares = np.mean(x * labels) / np.mean(x * x)
    fits[name] = {"θ, squared error": squares, "θ, Huber": huber_fit(labels)}
pd.DataFrame(fits).T.map("{:.3f}".format)

# %%
huber_thetas = [fit["θ, Huber"] for fit in fits.values()]
huber_growth = huber_thetas[1] / huber_thetas[0] - 1
checks.claim(
    "growth of θ under Huber", huber_growth, at_least=0.0, at_most=0.05
)

# %% [markdown]
r"""
The typing error moves squared error's $\theta$ by more than a third, Huber's by a few percent. (On clean data the two differ a little, because Huber discounts every patient who is further off than $\delta$.) It is the usual loss where a few targets are wild, for example the returns in reinforcement learning. The price is one more number to choose: $\delta$, in the units of $y$.

In the figure, look at the right panel: what a loss *teaches* is its slope.
"""

# %%
r = np.linspace(-4, 4, 81)
fig, axes = plots.figure(1, 2, width=8)
values = {"squared error, ½r²": r**2 / 2, "Huber, δ = 1": huber(r)}
plots.lines(axes[0], r, values, xlabel="residual r", ylabel="loss")
slopes = {"squared error, ½r²": r, "Huber, δ = 1": huber_slope(r)}
plots.lines(axes[1], r, slopes, xlabel="residual r", ylabel="its slope")
plots.show(
    fig,
    "Squared error pulls in proportion to the residual, Huber with at most "
    "its limit δ, so that one wild example cannot outshout the rest.",
)

# %% [markdown]
r"""
## The price of a probability

Many answers are not numbers but yes or no. Then the model should give a probability $\hat y$ of yes, and the question is how to price it once the answer is known. Likelihood decides again: with $y = 1$ for yes and $0$ for no, the model gave the observed label the probability $\hat y$ or $1 - \hat y$, in one formula $\hat y^{\,y} (1 - \hat y)^{1 - y}$. Its negative logarithm is the **binary cross-entropy**:

$$L = -\frac1n \sum_i \big[\, y_i \ln \hat y_i + (1 - y_i) \ln(1 - \hat y_i) \,\big].$$

Why the logarithm, when the product itself would do? Because the product does not survive in a computer. Take 1,000 labels, to each of which a model gave a probability of 0.4.
"""

# %%
given = np.full(1000, 0.4)
print("product:", np.prod(given))
print(f"mean of −ln: {-np.mean(np.log(given)):.4f} nats")

# %% [markdown]
r"""
The product is $10^{-398}$, less than the smallest number that even 64 bits can hold. The mean of logarithms is 0.9163, and $e^{-0.9163} = 0.4$ gives the typical probability back: for any cross-entropy $L$, $e^{-L}$ is the geometric mean of the probabilities that the model gave to what happened. (Chapter 09 calls $e^L$ the perplexity: 2.5 here, as if the model chose among two and a half equally likely answers.) The unit of a natural logarithm is the **nat**.

The probability comes from a score $z$ of any size through the sigmoid, $\hat y = \sigma(z)$. Solved for $z$, this is $z = \ln\frac{\hat y}{1 - \hat y}$, the logarithm of the odds ($\hat y$ against $1 - \hat y$, such as 3 to 1), and for that reason a score that still has to become a probability is called a **logit**. What is the slope of the loss by the logit? By the chain rule,

$$\frac{dL}{dz} = \underbrace{\frac{\hat y - y}{\hat y (1 - \hat y)}}_{dL/d\hat y} \cdot \underbrace{\hat y (1 - \hat y)}_{\sigma'(z)} = \hat y - y.$$

The slope is the error. It will be compared with squared error on the same probability, $(\hat y - y)^2$, where the factor $\sigma'$ has nothing to cancel with: $2(\hat y - y)\,\hat y(1 - \hat y)$.
"""


# %%
def cross_entropy(z, y):
    p = sigmoid(z)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def cross_entropy_slope(z, y):
    return sigmoid(z) - y


def squared(z, y):
    return (sigmoid(z) - y) ** 2


def squared_slope(z, y):
    p = sigmoid(z)
    return 2 * (p - y) * p * (1 - p)


# %%
def keras_cross_entropy(z, y, from_logits=True):
    """Keras's binary cross-entropy (n,) of logits (n,) for one label."""
    p = z if from_logits else keras.ops.sigmoid(z)
    y = keras.ops.full_like(p, y)
    return keras.losses.binary_crossentropy(
        y[:, None], p[:, None], from_logits=from_logits
    )


def keras_squared(z, y):
    return keras.ops.square(keras.ops.sigmoid(z) - y)


entropies = cross_entropy_slope, cross_entropy, keras_cross_entropy
squares = squared_slope, squared, keras_squared
for label in (0, 1):
    three_ways(f"cross-entropy, y = {label}", *entropies, label)
    three_ways(f"squared error, y = {label}", *squares, label)

# %% [markdown]
r"""
Two formulas, four derivatives, each confirmed twice. Now look at them for a true answer of yes.
"""

# %%
z = np.linspace(-10, 10, 101)
fig, axes = plots.figure(1, 2, width=8)
values = {"cross-entropy": cross_entropy(z, 1), "squared error": squared(z, 1)}
plots.lines(axes[0], z, values, xlabel="logit z", ylabel="loss, label 1")
pulls = {
    "cross-entropy": np.abs(cross_entropy_slope(z, 1)),
    "squared error": np.abs(squared_slope(z, 1)),
}
plots.lines(axes[1], z, pulls, xlabel="logit z", ylabel="size of the slope")
plots.show(
    fig,
    "A confident mistake, far left, is where cross-entropy pulls hardest "
    "and where squared error on a probability has stopped pulling.",
)

# %% [markdown]
r"""
### Threes and eights

The slope $\hat y - y$ is all that is needed to train a classifier. Take the 3s and 8s of MNIST, flatten each image into 784 numbers and append a 1, whose weight is a constant term. The model is $z = x^\top\theta$, and by the chain rule the gradient is the mean of $\frac{dL}{dz}\,x$. This is **logistic regression**.
"""

# %%
digits = data.load("mnist")


def threes_and_eights(images, labels):
    """Pixels and a one (n, 785); 1 for a three, 0 for an eight (n,)."""
    chosen = (labels == 3) | (labels == 8)
    pixels = images[chosen].reshape(-1, 784).astype("float32") / 255
    ones = np.ones((len(pixels), 1), dtype="float32")
    is_three = (labels[chosen] == 3).astype("float32")
    return np.hstack([pixels, ones]), is_three


x38, y38 = threes_and_eights(digits.x_train, digits.y_train)
x38_test, y38_test = threes_and_eights(digits.x_test, digits.y_test)
print(x38.shape, x38_test.shape, f"share of threes: {y38_test.mean():.3f}")


# %%
def train(slope, theta, num_steps=100, learning_rate=0.1):
    """Gradient descent on all images at once; slope(z, y) is dL/dz."""
    for _ in range(num_steps):
        pull = slope(x38 @ theta, y38)  # (n,)
        theta = theta - learning_rate * (x38.T @ pull) / len(x38)
    return theta


def accuracy(theta):
    return np.mean((x38_test @ theta > 0) == (y38_test == 1))


rng = np.random.default_rng(run.seed)
start = rng.normal(0, 0.01, size=785).astype("float32")
trained = train(cross_entropy_slope, start)

# %%
checks.claim(
    "accuracy on 1,984 test digits",
    accuracy(trained),
    at_least=0.945,
    at_most=0.975,
    examples=1984,
)

# %% [markdown]
r"""
785 parameters, a hundred steps, and a gradient that you derived. Now let something go wrong upstream: the labels were swapped in an earlier project, and you inherit its model, enlarged so that it is *sure* of every wrong answer. You retrain it on the right labels.

> **Predict, then run.** Same data, same number of steps, same learning rate. Which loss rescues the model?
> (a) Both. (b) Cross-entropy. (c) Squared error, as its penalty is bounded and so less upset by large errors.
"""

# %% tags=["nbval-ignore-output"]
swapped = -5 * trained
rescued = {
    "cross-entropy": train(cross_entropy_slope, swapped, num_steps=200),
    "squared error": train(squared_slope, swapped, num_steps=200),
}
table = {"inherited": {"test accuracy": accuracy(swapped)}}
for name, theta in rescued.items():
    table[name] = {"test accuracy": accuracy(theta)}
pd.DataFrame(table).T.map("{:.1%}".format)

# %%
by_entropy, by_squares = (accuracy(theta) for theta in rescued.values())
checks.claim("accuracy, cross-entropy", by_entropy, at_least=0.9, examples=1984)
checks.claim("accuracy, squared error", by_squares, at_most=0.2, examples=1984)

# %% [markdown]
r"""
**Answer: (b).** For the images it gets wrong with confidence, the slope of squared error is close to zero, and a slope of zero is an instruction to change nothing. (c) describes the value of the loss; training sees the slope. This is why classifiers are paid in cross-entropy.
"""

# %% [markdown]
r"""
## Many classes: softmax

With $K$ classes the model gives $K$ logits $z_1 \dots z_K$, and **softmax** makes them probabilities: exponentials, so that all are positive, divided by their sum, so that they add up to one.

$$\hat y_k = \frac{e^{z_k}}{\sum_j e^{z_j}}$$

The likelihood is again the probability given to what happened. If $t$ is the true class, its negative logarithm is $L = -\ln \hat y_t$. Write the label as a vector $q$ with a 1 at $t$ and 0 elsewhere, and it reads

$$L = -\sum_k q_k \ln \hat y_k,$$

the **cross-entropy** of $q$ and $\hat y$: all terms but one are zero. So cross-entropy *is* the negative log-likelihood, in the notation that also allows a $q$ with several non-zero entries. By a loop, by the vector formula and by Keras:
"""


# %%
def softmax(z):
    """Probabilities (..., K) of logits (..., K)."""
    powers = np.exp(z)
    return powers / powers.sum(axis=-1, keepdims=True)


logits = np.array([[2.0, 1.0, 0.1], [-1.0, 3.0, 0.0]])
labels = np.array([0, 2])
print(logits.shape, "→", softmax(logits).shape)
print(softmax(logits).round(3), "sums:", softmax(logits).sum(axis=-1))

# %%
by_loop = []
for z_i, label in zip(logits, labels, strict=True):
    total = sum(np.exp(z_k) for z_k in z_i)
    by_loop.append(-np.log(np.exp(z_i[label]) / total))

one_hot = np.eye(3)[labels]
by_vectors = -np.sum(one_hot * np.log(softmax(logits)), axis=-1)
by_keras = keras.losses.sparse_categorical_crossentropy(
    labels, keras.ops.convert_to_tensor(logits, "float32"), from_logits=True
)
checks.agree("loop, vectors and Keras", by_loop, by_vectors, to_numpy(by_keras))

# %% [markdown]
r"""
In Keras, `sparse_categorical_crossentropy` takes class numbers, `categorical_crossentropy` takes the vectors $q$. They are one loss.

Softmax has one property on which the rest of this section and the next one stand. Add the same constant $d$ to every logit: $e^{z_k + d} = e^d e^{z_k}$, the factor $e^d$ stands above and below the fraction bar, and cancels. *Softmax sees differences of logits only.*

> **Predict, then run.** Two classes with logits $a$ and $b$. The probability of the second is
> (a) $\sigma(b)$, (b) $\sigma(b - a)$, (c) $\sigma(b) / (\sigma(a) + \sigma(b))$?
"""

# %%
rng = np.random.default_rng(run.seed)
pairs = rng.normal(0, 3, size=(1000, 2))
a, b = pairs.T
shifted = softmax(pairs + 7)
checks.agree("softmax and shifted softmax", softmax(pairs), shifted)
checks.agree(
    "softmax of two and σ(b − a)", softmax(pairs)[:, 1], sigmoid(b - a)
)
for label in (0, 1):
    two_classes = -np.log(softmax(pairs)[:, label])
    checks.agree(
        f"cross-entropy, two classes and binary, y = {label}",
        two_classes,
        cross_entropy(b - a, label),
    )

# %% [markdown]
r"""
**Answer: (b).** Shift both logits by $-a$: they become 0 and $b - a$, and softmax gives $e^{b-a}/(1 + e^{b-a})$, which is $\sigma(b - a)$ after dividing by $e^{b-a}$. So binary cross-entropy is softmax cross-entropy with two classes and the first logit fixed at 0. A network with two outputs and softmax and one with a single output and a sigmoid are the same model; the first carries a logit that nobody needs. They are not the same *run*: with two logits both move, in opposite directions, so $b - a$ steps twice as far at the same $\alpha$. (c) normalises twice.

What about the slope? For one logit it was $\hat y - y$. Differentiate $L = \ln \sum_j e^{z_j} - z_t$ by $z_k$: the first term gives $e^{z_k}/\sum_j e^{z_j} = \hat y_k$, the second $-1$ if $k = t$. So the slope is $\hat y - q$: the error again, now a vector.
"""

# %%
z_i, label, q, h = logits[1], labels[1], one_hot[1], 1e-5


def price(z):
    return -np.log(softmax(z))[label]


def keras_price(z):
    target = keras.ops.convert_to_tensor(q, "float32")
    return keras.losses.categorical_crossentropy(target, z, from_logits=True)


by_formula = softmax(z_i) - q
by_difference = [
    (price(z_i + h * unit) - price(z_i - h * unit)) / (2 * h)
    for unit in np.eye(3)
]
by_autodiff = autodiff(keras_price, z_i)
print(by_formula.round(4))
checks.agree(
    "three slopes of cross-entropy", by_formula, by_difference, by_autodiff
)

# %% [markdown]
r"""
Label 2, so its logit is pulled up (a negative slope: descent goes the other way) and the others down, in proportion to the probability that they wrongly hold. The three entries add up to zero, because a shift changes nothing.

## When float32 runs out

All of that was done in NumPy's 64 bits. Networks compute in `float32`, and exponentials are where that shows. The largest number that `float32` holds is $3.4 \cdot 10^{38} = e^{88.7}$; what lies beyond is **overflow** and becomes `inf`. The smallest is about $e^{-103.3}$; what lies below is **underflow** and becomes 0.
"""

# %%
with np.errstate(all="ignore"):
    for power in (88, 89, -103, -104):
        print(f"e^{power:<4} = {np.exp(np.float32(power)):.2g}")
    print("softmax of 100, 101, 102:", softmax(np.float32([100, 101, 102])))

# %% [markdown]
r"""
Logits of 100 are no rarity: unscaled pixels make them before the first step. `inf / inf` is `nan`, and one `nan` spreads through every parameter in one update. But softmax sees differences only, so subtract something first. The best choice is the largest logit: then the largest exponential is $e^0 = 1$ and nothing can overflow.
"""


# %%
def shifted_softmax(z):
    """The same function, safe from overflow."""
    return softmax(z - z.max(axis=-1, keepdims=True))


big = np.float32([100, 101, 102])
print("float32, shifted:", shifted_softmax(big).round(4))
checks.agree(
    "float32, shifted, and float64",
    shifted_softmax(big),
    softmax(big.astype("float64")),
)

# %% [markdown]
r"""
> **Predict, then run.** A picture's logits are 0 for the right class and 200 for a wrong one. The loss should be $-\ln \frac{1}{1 + e^{200}} = 200$. With `shifted_softmax` and then `-np.log`, in `float32`, it comes out as
> (a) 200, as the shift has repaired it, (b) `inf`, (c) `nan`?
"""

# %%
confident = np.float32([0, 200])
with np.errstate(all="ignore"):
    print("softmax, then log:        ", -np.log(softmax(confident))[0])
    print("shifted softmax, then log:", -np.log(shifted_softmax(confident))[0])

# %% [markdown]
r"""
**Answer: (b).** The shift prevents overflow; now $e^{-200}$ underflows to 0, and its logarithm is $-\infty$. (The unshifted one is `inf` as well: 0 divided by `inf`.) Once the probability has been rounded to zero, no later step can bring it back. So do not go through the probability at all. Take the logarithm on paper:

$$-\ln \hat y_t = \ln \sum_j e^{z_j} - z_t, \qquad \ln \sum_j e^{z_j} = z_{\max} + \ln \sum_j e^{z_j - z_{\max}}.$$

The second is the **log-sum-exp** trick. Its sum contains $e^0 = 1$, so the logarithm never sees a zero, and terms that underflow are terms that do not matter.
"""


# %%
def log_sum_exp(z):
    """ln Σ exp(z) over the last axis, for z of any size."""
    highest = z.max(axis=-1, keepdims=True)
    return highest[..., 0] + np.log(np.exp(z - highest).sum(axis=-1))


for z_i in (
    np.float32([1, 2, 3]),
    np.float32([0, 200]),
    np.float32([-5e4, 5e4]),
):
    checks.agree(
        f"ours and SciPy's, {z_i}",
        log_sum_exp(z_i),
        scipy.special.logsumexp(z_i),
    )
print("loss from logits:", log_sum_exp(confident) - confident[0])

# %% [markdown]
r"""
200, as it should be. For a single logit the same thing is done with the pair $(0, z)$: $L = \ln(e^0 + e^z) - y z$.

This is what `from_logits=True` means in Keras: give the loss your logits, not probabilities, and it goes the safe way. What if you do not? Keras then sees a probability which was rounded to exactly 0 or 1, and clips it to between $10^{-7}$ and $1 - 10^{-7}$, so that at least the logarithm is finite. Here is an example with the label *no* and a logit that rises: a mistake that gets more confident.

> **Predict, then run.** At $z = 100$ the true loss is 100 and its slope $\hat y - y$ is 1. From the clipped probability, Keras reports
> (a) 100 and 1, (b) about 16 and a slope of 1, (c) about 16 and a slope of 0?
"""

# %%
z = np.float32([5, 10, 20, 100])
by_pair = log_sum_exp(np.stack([0 * z, z], axis=-1))
with np.errstate(all="ignore"):
    columns = {"by hand": -np.log(1 - sigmoid(z)), "log-sum-exp": by_pair}
for name, from_logits in {"probability": False, "logits": True}.items():

    def loss(tensor, from_logits=from_logits):
        return keras_cross_entropy(tensor, 0, from_logits)

    columns[f"Keras, {name}"] = to_numpy(loss(keras.ops.convert_to_tensor(z)))
    columns[f"slope, {name}"] = autodiff(loss, z)
table = pd.DataFrame(columns, index=pd.Index(z.astype(int), name="z"))
table.map("{:.4g}".format)

# %%
worst = table.loc[100]
clipped_loss, clipped_slope = (
    worst["Keras, probability"],
    worst["slope, probability"],
)
checks.claim(
    "clipped loss at z = 100", clipped_loss, at_least=15.5, at_most=16.5
)
checks.claim("size of its slope", abs(clipped_slope), at_most=0.0)
checks.agree("slope from logits and ŷ − y", table["slope, logits"], sigmoid(z))

# %% [markdown]
r"""
**Answer: (c).** Read the row of $z = 20$. By hand, $1 - \sigma(20)$ is rounded to 0 and the loss is infinite. From the clipped probability the loss is finite and *wrong* (15.94 and not $-\ln 10^{-7} = 16.12$, because the `float32` nearest to $1 - 10^{-7}$ is $1 - 1.19 \cdot 10^{-7}$), and, far worse, its slope is zero: the clip is a flat stretch, so the most confident mistakes teach nothing. It is the failure of squared error over again, brought back by rounding. A loss curve hardly shows it.

(On TensorFlow, Keras looks whether the probabilities come straight from a `softmax` or `sigmoid` and then goes back to the logits by itself. Do not lean on that: it does not happen on every backend, and not when another operation stands between. In `keras_cross_entropy` the harmless-looking `[:, None]` is enough.) The habit of this course: no activation on the last layer, `from_logits=True` in the loss, and a softmax only where a person wants to read probabilities. The networks of chapters 00 and 01 ended in a softmax for brevity; on TensorFlow, Keras went back to their logits, on JAX and PyTorch it would not have.
"""

# %% [markdown]
r"""
## Five activations

A unit's weighted sum $z$ is its **pre-activation**; the function applied to it is its **activation function**. Without one between them, two layers are one matrix; chapter 04 shows that. Five to know:

| | function | derivative |
|---|---|---|
| sigmoid | $\sigma(z) = 1/(1 + e^{-z})$ | $\sigma(1 - \sigma)$ |
| **tanh** | $\tanh z = (e^z - e^{-z})/(e^z + e^{-z})$ | $1 - \tanh^2 z$ |
| **ReLU** | $\max(0, z)$ | 0 for $z < 0$, 1 for $z > 0$ |
| **GELU** | $z\,\Phi(z)$ | $\Phi(z) + z\,\varphi(z)$ |
| **SiLU** (swish) | $z\,\sigma(z)$ | $\sigma + z\,\sigma(1 - \sigma)$ |

*Tanh*: by the quotient rule, the numerator of the derivative is $(e^z + e^{-z})^2 - (e^z - e^{-z})^2$; divide by $(e^z + e^{-z})^2$. It is a sigmoid in other units, $\tanh z = 2\sigma(2z) - 1$, from $-1$ to 1. *ReLU*, the rectified linear unit: positive sums pass, negative ones are silent. *GELU*, the Gaussian error linear unit of BERT and GPT: $\Phi(z)$ is the probability that a standard normal number is below $z$ and $\varphi$ its density; the product rule gives the derivative. Think of it as a ReLU whose switch is turned gradually. *SiLU* turns the switch with $\sigma$ in place of $\Phi$. Language models such as Llama, Mistral and Qwen use it, and multiply each SiLU by a second weighted sum of the same inputs ("SwiGLU").
"""


# %%
def relu(z):
    return np.maximum(0, z)


def relu_slope(z):
    return (z > 0).astype("float64")


def tanh_slope(z):
    return 1 - np.tanh(z) ** 2


# %%
def gelu(z):
    return z * scipy.stats.norm.cdf(z)


def gelu_slope(z):
    return scipy.stats.norm.cdf(z) + z * scipy.stats.norm.pdf(z)


def silu(z):
    return z * sigmoid(z)


def silu_slope(z):
    return sigmoid(z) + z * sigmoid_slope(z)


# %%
def keras_gelu(z):
    return keras.ops.gelu(z, approximate=False)


activations = {
    "sigmoid": (sigmoid, sigmoid_slope, keras.ops.sigmoid),
    "tanh": (np.tanh, tanh_slope, keras.ops.tanh),
    "ReLU": (relu, relu_slope, keras.ops.relu),
    "GELU": (gelu, gelu_slope, keras_gelu),
    "SiLU": (silu, silu_slope, keras.ops.silu),
}
for name, (f, slope, keras_f) in activations.items():
    three_ways(f"{name}′", slope, f, keras_f)
stretched = 2 * sigmoid(2 * grid) - 1
checks.agree("tanh z and 2σ(2z) − 1", np.tanh(grid), stretched)

# %%
fig, axes = plots.figure(1, 5, width=9.5, height=2.5)
z = np.linspace(-5, 5, 101)
for panel, (name, parts) in zip(axes, activations.items(), strict=True):
    f, slope, _ = parts
    slopes = slope(z)
    if name == "ReLU":
        slopes[z == 0] = np.nan  # it jumps there
    series = {"function": f(z), "slope": slopes}
    limits = {"ylim": (-1.2, 2.2), "title": name}
    plots.lines(panel, z, series, xlabel="z", ylabel="", **limits)
    if name != "sigmoid":
        panel.get_legend().remove()
axes[0].set_ylabel("function and slope")
plots.show(
    fig,
    "Sigmoid and tanh go flat on both sides, ReLU on the left only, and "
    "GELU and SiLU are ReLUs with the corner rounded off.",
)

# %% [markdown]
r"""
Look at the dashed slopes. The sigmoid's never exceeds ¼, and a chain of layers multiplies slopes: ten sigmoids in a row leave at most $(1/4)^{10}$, a millionth. Chapter 07 measures what that does. Tanh reaches 1, at one point. ReLU has slope 1 on half of the line, which is the reason for its success. The slopes of GELU and SiLU are a little above 1 and even a little below 0 in places.

Two details bite in practice. The first: at 0 exactly, ReLU has no derivative, and the three opinions part.
"""

# %%
print("formula:   ", relu_slope(np.array([0.0])))
print("difference:", finite_difference(relu, np.array([0.0])))
print("autodiff:  ", autodiff(keras.ops.relu, [0.0]))

# %% [markdown]
r"""
Any value between 0 and 1 would do; backends choose 0. A sum of many weighted pixels almost never is exactly 0, but when you test a derivative by differences, keep away from the corner.

The second detail: there are two GELUs. GPT's code uses $\frac12 z\big(1 + \tanh[\sqrt{2/\pi}\,(z + 0.044715 z^3)]\big)$, an approximation from times when $\Phi$ was slow. BERT's was released with the exact form and changed to this one later, so the same model exists with both.
"""

# %%
wide = np.linspace(-5, 5, 2001)
by_tanh = to_numpy(
    keras.ops.gelu(
        keras.ops.convert_to_tensor(wide, "float32"), approximate=True
    )
)
gap = np.max(np.abs(by_tanh - gelu(wide)))
checks.claim(
    "largest gap between the two GELUs", gap, at_least=4e-4, at_most=5e-4
)

# %% [markdown]
r"""
Less than a thousandth, harmless within one model. It matters when you load weights that somebody trained with one form into a network with the other, and wonder why the outputs differ. Keras does not agree with itself here: `keras.activations.gelu` is exact unless told otherwise, `keras.ops.gelu` is the tanh form.

## Where they saturate

A unit is **saturated** where its slope has all but vanished; say, where it is under 1 % of that function's largest slope, there and further out. (GELU's slope passes through 0 near $z = -0.75$, SiLU's near $-1.28$; that is a crossing, not a flat end, and `1.2 * z` looks past it.) Whether that happens is decided by the size of the pre-activations, and that by the inputs. Here are 64 fresh units that look at 2,000 real digits, with pixels in three different units.

> **Predict, then run.** You forget to divide the pixels by 255. Which share of the sigmoids is saturated?
> (a) Hardly any, as the weights are small. (b) About half. (c) Nearly all.
"""

# %%
pixels = digits.x_train[:2000].reshape(-1, 784).astype("float32")
keras.utils.set_random_seed(run.seed)
layer = keras.layers.Dense(64, dtype="float32")
layer.build((None, 784))
versions = {
    "0 to 1": pixels / 255,
    "standardised": (pixels / 255 - 0.1307) / 0.3081,
    "0 to 255": pixels,
}
rows = {}
for name, inputs in versions.items():
    z = to_numpy(layer(inputs)).astype("float64")  # (2000, 64)
    rows[name] = {"spread of z": z.std()}
    for unit, (_, slope, _) in activations.items():
        limit = 0.01 * slope(wide).max()
        flat = np.abs(slope(z)) < limit
        flat &= np.abs(slope(1.2 * z)) < limit
        rows[name][f"flat, {unit}"] = flat.mean()

# %% tags=["nbval-ignore-output"]
saturation = pd.DataFrame(rows).T.rename_axis("pixels")
shares = saturation.drop(columns="spread of z").map("{:.1%}".format)
shares.assign(spread=saturation["spread of z"].map("{:.3g}".format))

# %%
scaled, raw = saturation.loc["0 to 1"], saturation.loc["0 to 255"]
checks.claim(
    "share of flat sigmoids, 0 to 1", scaled["flat, sigmoid"], at_most=0.01
)
checks.claim(
    "share of flat sigmoids, 0 to 255", raw["flat, sigmoid"], at_least=0.9
)
checks.claim("share of flat tanhs, 0 to 255", raw["flat, tanh"], at_least=0.93)
checks.claim(
    "share of flat ReLUs, 0 to 255",
    raw["flat, ReLU"],
    at_least=0.35,
    at_most=0.65,
)

# %% [markdown]
r"""
**Answer: (c).** Keras makes the weights small for inputs of about size 1 (chapter 07 derives how small). With pixels up to 255 the sums are 255 times as large, and the sigmoid is flat beyond $\pm 6$, tanh beyond $\pm 3$. (a) is tempting because a single weight *is* small; but 784 of them add up. A ReLU does not care about the scale: it is flat for about half of the digits whatever the units, and has full slope for the rest. With sums this large GELU and SiLU, too, are hardly more than ReLUs.

## Dead units

Being silent for half of the pictures is how a ReLU unit works. Being silent for *all* of them is death: the slope is 0 for every training example, and no gradient reaches the unit's weights. In the first layer, under plain gradient descent, that is final: the inputs never change, and nothing else moves the weights. (A unit further up can wake when the layers below it change, and momentum or weight decay move weights without a gradient.) Such a **dead unit** costs memory and time and does nothing. It is easy to count: the largest pre-activation over all examples is not positive.
"""

# %%
x_small = digits.x_train[:5000].reshape(-1, 784).astype("float32") / 255
y_small = digits.y_train[:5000].astype("int32")
x_test = digits.x_test.reshape(-1, 784).astype("float32") / 255
y_test = digits.y_test.astype("int32")

keras.utils.set_random_seed(run.seed)
hidden = keras.layers.Dense(64, activation="relu", dtype="float32")
last = keras.layers.Dense(10, dtype="float32")
network = keras.Sequential([keras.Input(shape=(784,)), hidden, last])
fresh_weights = network.get_weights()


def dead_units(weights):
    """Which hidden units are silent on every training image, (64,)."""
    kernel, bias = weights[:2]
    return (x_small @ kernel + bias).max(axis=0) <= 0


print("dead before training:", dead_units(fresh_weights).sum(), "of 64")

# %% [markdown]
r"""
A step that is too large can throw a unit's weights so far that no picture excites it. Train the same 784-64-10 network from the same start at two learning rates: one pass over 5,000 digits, 50 steps.

> **Predict, then run.** At α = 0.3 the network learns well. At α = 1, roughly how many of the 64 hidden units are dead after the pass?
> (a) None. (b) One or two. (c) A dozen or more.
"""

# %% tags=["nbval-ignore-output"]
optimizer = keras.optimizers.SGD(0.3)
network.compile(
    optimizer=optimizer,
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)


def train_network(weights, learning_rate, epochs=1):
    """Train from given weights; return new ones and test accuracy."""
    network.set_weights(weights)
    optimizer.learning_rate.assign(learning_rate)
    network.fit(x_small, y_small, batch_size=100, epochs=epochs, verbose=0)
    guesses = to_numpy(network(x_test)).argmax(axis=-1)
    return network.get_weights(), np.mean(guesses == y_test)


healthy, healthy_accuracy = train_network(fresh_weights, 0.3)
harmed, harmed_accuracy = train_network(fresh_weights, 1.0)
outcomes = {
    "α = 0.3": [dead_units(healthy).sum(), f"{healthy_accuracy:.3f}"],
    "α = 1": [dead_units(harmed).sum(), f"{harmed_accuracy:.3f}"],
}
pd.DataFrame(outcomes, index=["dead of 64", "test accuracy"]).T

# %%
checks.claim("dead units at α = 0.3", dead_units(healthy).sum(), at_most=3)
checks.claim(
    "dead units at α = 1", dead_units(harmed).sum(), at_least=12, at_most=50
)

# %% [markdown]
r"""
**Answer: (c).** A loss curve would have shown a bad run, not the reason for it. (a) is what one hopes, since the random start had no dead units. (The accuracies are on 10,000 test digits, with an error bar of less than one point.) Can the harmed network be nursed back with a gentle learning rate? Train it on for three passes at 0.1, and look at the dead units' weights. Three more passes help any network, so the healthy one gets them too.
"""

# %% tags=["nbval-ignore-output"]
nursed, nursed_accuracy = train_network(harmed, 0.1, epochs=3)
_, control_accuracy = train_network(healthy, 0.1, epochs=3)
was_dead = dead_units(harmed)
moved = np.abs(nursed[0] - harmed[0]).max(axis=0)  # (64,)
num_dead = was_dead.sum()
print("still dead:", (was_dead & dead_units(nursed)).sum(), "of", num_dead)
print(f"harmed:  {harmed_accuracy:.3f}, three passes on {nursed_accuracy:.3f}")
print(
    f"healthy: {healthy_accuracy:.3f}, three passes on {control_accuracy:.3f}"
)

# %%
revived = was_dead & ~dead_units(nursed)
checks.claim("dead units that came back", revived.sum(), at_most=0)
checks.claim(
    "largest change of their weights", moved[was_dead].max(), at_most=0.0
)
checks.claim(
    "accuracy after nursing", nursed_accuracy, at_least=0.78, examples=10_000
)
checks.claim(
    "accuracy of the healthy one, as long",
    control_accuracy,
    at_least=0.88,
    examples=10_000,
)
missing = control_accuracy - nursed_accuracy
checks.claim("accuracy still missing", missing, at_least=0.0)

# %% [markdown]
r"""
Not one weight of a dead unit moved, to the last bit. The living units learn on, but with as much training they stay a little behind the healthy network: what is left is a smaller network than you paid for. The repair is at the cause, a learning rate that is smaller, or small in the first steps. GELU is not *exactly* flat on its left side, which leaves a unit a way back in principle; far out the way is long, and the cause is still there. Whoever trains ReLU networks counts the dead from time to time; now you can.

### What an activation costs

How much of the time goes into these functions? Each works on one number at a time, while the sum before it multiplied and added 784 pairs.
"""

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(run.seed)
shapes = (4000, 784), (784, 256)
operands = [
    keras.ops.convert_to_tensor(rng.normal(size=shape), "float32")
    for shape in shapes
]
sums = keras.ops.matmul(*operands)  # (4000, 256): a million units


def nanoseconds(f, *inputs):
    """Best of five, shared by the million units; reads one back."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        to_numpy(f(*inputs)[0, 0])  # a number that is there: f has ended
        seconds.append(time.perf_counter() - started)
    return 1e9 * min(seconds) / sums.shape[0] / sums.shape[1]


cost = {"nothing": nanoseconds(lambda z: z, sums)}
cost["sum of 784 products"] = nanoseconds(keras.ops.matmul, *operands)
for name, (_, _, f) in activations.items():
    cost[name] = nanoseconds(f, sums)
pd.DataFrame({"ns a unit": cost}).map("{:.2f}".format)

# %% [markdown]
r"""
The row "nothing" is the price of asking; take it off the others. The sum is $2 \cdot 784 = 1{,}568$ operations; at 190 billion a second, about the limit of two cores, that is 8 ns, and more on a machine that has other work. A ReLU is a single operation, five thousandths of a nanosecond. It takes far longer, as its number has to be fetched from memory and put back: *ReLU waits for memory*. The others pay for an exponential, the exact GELU for the error function behind $\Phi$, and those that run as several operations fetch and put back several times. Even GELU's price is a fraction of the sum's in a wide layer; choose activations by how they learn.

## What a fresh classifier must pay

A network that knows nothing should give each of $K$ classes the probability $1/K$, and pay $-\ln \frac1K = \ln K$. You know this number *before* the first step, and it costs one line to compare.
"""

# %%
classes = {
    "yes or no": 2,
    "MNIST": 10,
    "ImageNet": 1000,
    "next token, GPT-2": 50257,
}
for name, k in classes.items():
    print(f"{name:18} ln {k:<6} = {np.log(k):6.3f} nats")

# %% [markdown]
r"""
A fresh network is not perfectly ignorant: its random weights prefer some classes by accident, and accidents cost a little. If the logits differ by much, they cost a lot.

> **Predict, then run.** The fresh network of the last section sees pixels from 0 to 1, then the same pixels from 0 to 255. The two first losses are
> (a) about 2.4 both times, as it knows nothing either way, (b) 2.4 and around 7, (c) 2.4 and above 50?
"""

# %%
network.set_weights(fresh_weights)
first_loss = {}
for name, inputs in {"0 to 1": x_small, "0 to 255": 255 * x_small}.items():
    z = to_numpy(network(inputs)).astype("float64")  # (5000, 10)
    right = z[np.arange(len(z)), y_small]
    first_loss[name] = np.mean(log_sum_exp(z) - right)
checks.claim(
    "first loss, 0 to 1", first_loss["0 to 1"], at_least=2.25, at_most=2.65
)
checks.claim("first loss, 0 to 255", first_loss["0 to 255"], at_least=50)

# %% [markdown]
r"""
**Answer: (c).** The biases of a fresh network, the constants that its layers add to their sums, are zero, and then a ReLU network only scales: inputs 255 times as large give logits 255 times as large, and confident nonsense is expensive. (a) forgets that ignorance must *look* ignorant, with logits near each other. The rule for your own work: print the first loss; if it is not near $\ln K$, the inputs are unscaled, the weights too large, or the loss is not the one you think.

If the classes are unequal, more is known. With 10 % threes, "always 10 %" is a better guess than "always 50 %": the bias $\ln\frac{0.1}{0.9}$ on the last layer starts the run there and saves the first steps, which would do nothing but find it.
"""

# %%
is_three = digits.y_train == 3
p = np.mean(is_three)
biases = {"bias 0": 0.0, "bias ln p/(1 − p)": np.log(p / (1 - p))}
for name, bias in biases.items():
    price = cross_entropy(bias, is_three).mean()
    print(f"{name:18} first loss {price:.4f} nats")

# %% [markdown]
r"""
## Spot the bug

Three formulas of the kind that articles publish. Each runs. Say what breaks before you run the check.

**(a)** "The derivative of tanh is $\tanh'(x) = \dfrac{1 - \tanh^2 x}{2}$."
"""


# %%
def article_slope(z):
    return (1 - np.tanh(z) ** 2) / 2


ratio = finite_difference(np.tanh, grid) / article_slope(grid)
print(f"difference / article's: {ratio.min():.4f} to {ratio.max():.4f}")

# %% [markdown]
r"""
Two everywhere: the formula has a factor ½ too many. Nothing crashes; every layer with this derivative sends half of its gradient on, ten layers a thousandth, and the run looks like one with a learning rate that is too small. (It is not a different convention, either: at 0, tanh has slope 1, as you can see in its plot.) A finite difference finds it in one line; repaired, it passes.
"""


# %%
def repaired_slope(z):
    return 2 * article_slope(z)


three_ways("tanh′ repaired", repaired_slope, np.tanh, keras.ops.tanh)

# %% [markdown]
r"""
**(b)** "Binary cross-entropy is $L = -\frac1n \sum_i y_i \ln \hat y_i$."

What does a model learn that is paid by this? Train the threes and eights with it and see what it answers.
"""


# %%
def article_loss(z, y):
    return -y * np.log(sigmoid(z))


def article_pull(z, y):
    return y * (sigmoid(z) - 1)


z = x38_test @ train(article_pull, start, num_steps=300)
checks.claim(
    "half loss on the test set", article_loss(z, y38_test).mean(), at_most=0.1
)
checks.claim("share that it calls a three", np.mean(z > 0), at_least=0.99)
half_accuracy = np.mean((z > 0) == y38_test)
checks.claim(
    "accuracy of the half loss", half_accuracy, at_most=0.52, examples=1984
)

# %% [markdown]
r"""
It says three to everything and is content: $\hat y = 1$ for all costs nothing where $y = 1$, and where $y = 0$ the formula does not look. The loss curve is beautiful. The accuracy is the share of threes, which is why a loss is never reported alone. In the slope, `y * (sigmoid(z) - 1)`, nothing is ever positive: every example pulls $z$ up. Put the missing half back, $(1 - y)\,\sigma(z)$, and the sum of the two is $\hat y - y$.
"""


# %%
def whole_pull(z, y):
    return article_pull(z, y) + (1 - y) * sigmoid(z)


repaired = train(whole_pull, start)
checks.agree("repaired and cross-entropy", repaired, trained)
whole_accuracy = accuracy(repaired)
checks.claim(
    "accuracy, repaired",
    whole_accuracy,
    at_least=0.945,
    at_most=0.975,
    examples=1984,
)

# %% [markdown]
r"""
**(c)** A softmax for a batch of logits of shape `(batch, classes)`, written as `np.exp(z) / np.exp(z).sum(axis=0)`.
"""


# %%
def article_softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=0)


z = np.random.default_rng(0).normal(0, 2, size=(3, 10))  # three pictures
p = article_softmax(z)
print("sums over the classes: ", p.sum(axis=1).round(3))
print("sums over the batch:   ", p.sum(axis=0).round(3)[:4], "…")
print("a batch of one picture:", article_softmax(z[:1])[0])

# %% [markdown]
r"""
`axis=0` is the batch. Now each *class* is shared out among the pictures: the rows do not add up to one, a picture's answer depends on which others came with it, and a batch of one is certain of everything and pays a loss of exactly zero. The shapes are right and no error is raised. Two tests catch it at once: rows that sum to one, and one picture that gets the same answer alone and in company.
"""

# %%
checks.agree("sums of the rows and 1", softmax(z).sum(axis=-1), np.ones(3))
checks.agree("alone and in company", softmax(z[:1])[0], softmax(z)[0])
by_keras = to_numpy(keras.ops.softmax(z))
checks.agree("repaired and Keras's", softmax(z), by_keras)

# %% [markdown]
r"""
## Summary

- **Three opinions.** A formula, a finite difference and `autodiff` agreed on the slope of every loss and activation here, and one line of differences exposed a false tanh′. The first loss of a classifier must be near $\ln K$; unscaled pixels missed that by far.
- **Losses are likelihoods.** Squared error is the negative log-likelihood of Gaussian noise, so one typing error can dominate the fit; Huber limits its pull. The recipe: choose a distribution for $y$, predict its parameter, take $-\ln$. Cross-entropy is the negative log-likelihood of a label, and binary cross-entropy is its case of two classes with one logit fixed at 0. The factor in front of a loss belongs to its learning rate.
- **float32.** Subtract the largest logit in a softmax; go from logits to the loss by log-sum-exp, never through a rounded probability. A clipped probability has slope 0 and teaches nothing.
- **Activations.** Sigmoid and tanh saturate on both sides, so the inputs' units matter; ReLU is flat on one side, and a unit pushed there for every picture gets no gradient: in a first layer under plain gradient descent it is dead for good. You can count both.
"""

# %% [markdown]
r"""
## Going further

- Replace `relu` by `leaky_relu`, then by `gelu`, in the dead-units section, and train at α = 1 and 2. How many units are below zero for every picture? Is the training saved? What does this say about the cause?
- Fit $\theta$ to the diabetes data with the absolute error $|r|$, whose slope is $\operatorname{sign}(r)$, and compare it with Huber for $\delta = 0.1$ and $\delta = 10$. Then let the Gaussian's $s$ be unknown as well: set the derivative of the negative log-likelihood by $s$ to zero. What is $s^2$? (`scipy.stats.norm.fit` on the residuals checks you.)
- On a GPU, set `runtime.setup(precision="mixed_float16")`. Its largest number is 65,504. From which logit on does a naive softmax overflow now, and why does every chapter give its last layer `dtype="float32"`?
"""

# %% [markdown]
r"""
## References

- C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006: sections 1.2.5 and 3.1.1 (squared error as Gaussian likelihood), 4.3.2 (logistic regression), 4.3.4 (softmax).
- I. Goodfellow, Y. Bengio, A. Courville, *Deep Learning*, MIT Press 2016: sections 4.1 (overflow and underflow), 5.5 (maximum likelihood), 6.2.2 (output units and saturation).
- P. J. Huber, "Robust Estimation of a Location Parameter", *Annals of Mathematical Statistics* 35 (1964), 73–101.
- D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, section 2.
- X. Glorot, A. Bordes, Y. Bengio, "Deep Sparse Rectifier Neural Networks", AISTATS 2011.
- Keras documentation, "Probabilistic losses": `BinaryCrossentropy`, `CategoricalCrossentropy`, `from_logits`.
"""
