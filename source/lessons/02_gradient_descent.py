# %% [markdown]
r"""
# Gradient descent

Every model in this course, and every large language model, is fitted by one line of arithmetic repeated; when a training run fails, the number in that line is the first suspect.
"""

# %% [markdown]
r"""
## You will be able to

- compute gradient-descent steps by hand, and say from the curvature whether a learning rate crawls, oscillates or diverges;
- find the largest stable learning rate of a loss with many parameters, and say what bad conditioning costs and what momentum saves;
- choose a batch size knowing its price in steps, in passes over the data, in noise and in seconds;
- write momentum and Adam from their equations and get the numbers that Keras gets.
"""

# %% [markdown]
r"""
## Before you start

You know the four steps of [chapter 00](00_start_here.ipynb): data, model, loss and gradient, update. From school you need the derivative of a square, the chain rule, and the product of matrices. Matrices appear from the third section on; what they do is said there in words as well. The word *eigenvalue* is explained where it is used.
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
import time

import keras
import numpy as np
import pandas as pd

from course_lib import checks, data, plots

# %% [markdown]
r"""
## One parameter, by hand

Take the smallest loss that has a minimum, $L(\theta) = (\theta - 1)^2$. Its derivative $L'(\theta) = 2(\theta - 1)$ tells two things about the place where you stand: the sign says which way is uphill, the size says how steep it is. **Gradient descent** takes a step downhill, in proportion to the steepness:

$$\theta_{t+1} = \theta_t - \alpha\, L'(\theta_t).$$

The factor $\alpha$ is the **learning rate**. Take $\alpha = 0.1$ and start at $\theta_0 = 2$. With a pencil:

$$\theta_1 = 2 - 0.1 \cdot 2\,(2 - 1) = 1.8, \qquad \theta_2 = 1.8 - 0.1 \cdot 2\,(1.8 - 1) = 1.64.$$

A derivative worked out by hand deserves a second opinion. The cheapest one is a **finite difference**: move a little to both sides and see how the loss changes, $L'(\theta) \approx \big(L(\theta + h) - L(\theta - h)\big) / 2h$.
"""


# %%
def loss(theta):
    return (theta - 1) ** 2


def gradient(theta):
    return 2 * (theta - 1)


h = 1e-5
numerical = (loss(2 + h) - loss(2 - h)) / (2 * h)
print(f"derivative at 2, by the rule:          {gradient(2.0):.6f}")
print(f"derivative at 2, by finite difference: {numerical:.6f}")

# %% [markdown]
r"""
They agree, so the rule can be trusted. Now the loop. It keeps the whole path, because in this chapter the path is what you study. It does not care whether `theta` is one number or a vector.
"""


# %%
def descend(gradient, start, learning_rate, num_steps):
    """Gradient descent; returns the path, an array (num_steps + 1, ...)."""
    path = [np.asarray(start, dtype="float64")]
    for _ in range(num_steps):
        path.append(path[-1] - learning_rate * gradient(path[-1]))
    return np.array(path)


path = descend(gradient, start=2.0, learning_rate=0.1, num_steps=3)
print(path.shape, path.round(4))

# %% [markdown]
r"""
1.8 and 1.64, as by pencil. You can also leap to any step without the loop. Look at the distance from the minimum, $\theta - 1$, instead of $\theta$:

$$\theta_{t+1} - 1 = (\theta_t - 1) - 2\alpha\,(\theta_t - 1) = (1 - 2\alpha)\,(\theta_t - 1).$$

Each step multiplies the distance by the same number, $1 - 2\alpha = 0.8$. The start is at distance 1, so $\theta_t = 1 + 0.8^t$. The next cell compares the loop, this closed form, and Keras's own optimizer, which is given your gradient and asked for the update alone.
"""


# %%
def keras_path(optimizer, gradient, start, num_steps):
    """The path that a Keras optimizer takes with the same gradients."""
    theta = keras.Variable(np.asarray(start), dtype="float32")
    path = [np.array(keras.ops.convert_to_numpy(theta))]
    for _ in range(num_steps):
        slope = keras.ops.convert_to_tensor(gradient(path[-1]), "float32")
        optimizer.apply([slope], [theta])
        path.append(np.array(keras.ops.convert_to_numpy(theta)))
    return np.array(path)


# %%
loop = descend(gradient, start=2.0, learning_rate=0.1, num_steps=20)
closed_form = 1 + 0.8 ** np.arange(21)
sgd = keras.optimizers.SGD(learning_rate=0.1)
by_keras = keras_path(sgd, gradient, start=2.0, num_steps=20)
checks.agree("loop, closed form and Keras's SGD", loop, closed_form, by_keras)

# %% [markdown]
r"""
## Five learning rates

Everything about this loss is now in one number, the factor $1 - 2\alpha$. You can say what a learning rate does before running it.

> **Predict, then run.** Two runs of 20 steps, one with $\alpha = 0.1$ and one with $\alpha = 0.9$. Which ends nearer to the minimum?
> (a) The one with 0.1: small steps are safe. (b) The one with 0.9: it moves faster. (c) They end equally near.
"""

# %%
learning_rates = [0.1, 0.5, 0.9, 1.0, 1.1]
paths = {rate: descend(gradient, 2.0, rate, 20) for rate in learning_rates}
rows = {}
for rate, path in paths.items():
    rows[rate] = {"factor 1 − 2α": 1 - 2 * rate}
    rows[rate] |= {f"θ after {t}": path[t] for t in (1, 2, 3, 20)}
    rows[rate]["distance after 20"] = abs(path[20] - 1)
pd.DataFrame(rows).T.rename_axis("α").map("{:.4g}".format)

# %% [markdown]
r"""
**Answer: (c).** The factors are $0.8$ and $-0.8$: each shrinks the distance to four fifths, and the minus sign makes the second run jump across the minimum at every step. (a) is tempting because the path with 0.9 *looks* wild. Wildness and speed are different things.

The picture shows the same five runs. Each dot is a step; 0 is the start.
"""


# %%
def draw_steps(axes, path, title):
    """Draw the parabola and a path that steps along it."""
    theta = np.linspace(-1.6, 3.6, 100)
    axes.plot(theta, loss(theta), color="0.6", linestyle="-", linewidth=1)
    axes.plot(path, loss(path), color=plots.COLORS[0], marker="o", linewidth=1)
    for step, offset in enumerate([(6, 4), (-13, 4), (6, -10)]):
        place = (path[step], loss(path[step]))
        axes.annotate(step, place, offset, textcoords="offset points")
    axes.set(xlim=(-1.7, 3.7), ylim=(-0.3, 5), xlabel="θ", title=title)


# %%
names = ["slow", "one step", "oscillating", "stuck", "diverging"]
fig, axes = plots.figure(1, 5, width=9, height=2.3, sharey=True)
for panel, rate, name in zip(axes, learning_rates, names, strict=True):
    draw_steps(panel, paths[rate][:6], f"α = {rate}: {name}")
axes[0].set_ylabel("loss L(θ)")
plots.show(
    fig,
    "The same loss and start, five learning rates: slow, exact in one "
    "step, oscillating inwards, stuck between two points, walking out.",
)

# %% [markdown]
r"""
The distance shrinks when $|1 - 2\alpha| < 1$, that is, when $0 < \alpha < 1$. At exactly 1 the run jumps between 2 and 0 for ever. The 2 in the factor is the second derivative of this loss, its **curvature**. For any parabola with curvature $c$ the factor is $1 - \alpha c$, so:

| learning rate | what happens |
|---|---|
| $\alpha < 1/c$ | creeps in from one side |
| $\alpha = 1/c$ | lands in one step |
| $1/c < \alpha < 2/c$ | oscillates inwards |
| $\alpha = 2/c$ | jumps between two points for ever |
| $\alpha > 2/c$ | diverges |

A loss in the wild is not a parabola, but near its minimum it looks like one, so this table is the first thing to remember when a run misbehaves. The scan below finds the edge without being told the formula.
"""

# %%
largest = 0.0
for rate in np.arange(0.95, 1.05, 0.001):
    path = descend(gradient, 2.0, rate, num_steps=1000)
    if abs(path[-1] - 1) < 0.5 * abs(path[0] - 1):
        largest = rate
checks.claim(
    "largest α that halved the distance", largest, at_least=0.99, at_most=1.0
)

# %% [markdown]
r"""
Divergence is not announced. Neural networks compute in `float32`, which holds numbers up to about $3 \cdot 10^{38}$; until the loss passes that, a run with $\alpha = 1.1$ looks like a run with a large loss.
"""

# %%
theta, steps = np.float32(2.0), 0
with np.errstate(over="ignore"):
    while np.isfinite(loss(theta)):
        theta, steps = theta - np.float32(1.1) * gradient(theta), steps + 1
    print(f"step {steps}: theta = {theta:.3g}, loss = {loss(theta)}")

# %% [markdown]
r"""
243 steps go by first. If you look at a loss once in a thousand steps, `inf` or `nan` is the first you hear of it, and the cause lies far back. Watch whether the loss *grows*, not whether it is finite.
"""

# %% [markdown]
r"""
## Two directions, one learning rate

With two parameters the loss is a landscape, and the **gradient** is the vector of its two partial derivatives. Take a valley that is 25 times as curved across as it is along:

$$L(\theta) = \tfrac12\left(1\,\theta_1^2 + 25\,\theta_2^2\right) = \tfrac12\,\theta^\top H \theta, \qquad H = \begin{pmatrix} 1 & 0 \\ 0 & 25 \end{pmatrix}, \qquad \nabla L = H\theta.$$

$H$, the **Hessian**, collects the second derivatives. This is the problem of the last section twice over, with curvatures $c_1 = 1$ and $c_2 = 25$; the catch is that both must share one $\alpha$. The steep direction allows at most $2/25 = 0.08$. At that rate the flat direction shrinks only by $1 - 0.08 = 0.92$ a step. The ratio $\kappa = c_{\max}/c_{\min}$, here 25, is the **condition number**.
"""


# %%
def slope_of(hessian, minimum=0.0):
    """The gradient of a quadratic loss, as a function of theta."""
    return lambda theta: hessian @ (theta - minimum)


valley, start = np.diag([1.0, 25.0]), np.array([2.0, 0.6])
path = descend(slope_of(valley), start, learning_rate=0.02, num_steps=2)
print(path.shape)
print(path.round(4))

# %% [markdown]
r"""
A row a step: $\theta_1$ crawls from 2, $\theta_2$ halves. To see more, draw level lines of the loss and the path over them. The square is the start, the star is the minimum.
"""


# %%
VIEW = ((-2.3, 2.3), (-1.0, 1.0))  # lowest and highest of θ₁, of θ₂


def draw_valley(axes, hessian, path, *, minimum=(0, 0), view=VIEW, title=""):
    """Draw level lines, each twice the last, and a path over them."""
    across, up = (np.linspace(low, high, 100) for low, high in view)
    offset = np.stack(np.meshgrid(across, up), axis=-1) - np.array(minimum)
    height = 0.5 * np.einsum("ijk,kl,ijl->ij", offset, hessian, offset)
    levels = height.max() * 0.5 ** np.arange(9, 0, -1)
    axes.contour(across, up, height, levels, colors="0.7", linewidths=0.8)
    blue, red = plots.COLORS[:2]
    axes.plot(*path.T, color=blue, marker="o", markersize=2.5, linewidth=0.9)
    axes.plot(*path[0], color=blue, marker="s", markersize=6)
    axes.plot(*minimum, color=red, marker="*", markersize=11)
    axes.set(xlim=view[0], ylim=view[1], xlabel="θ₁", ylabel="θ₂", title=title)
    axes.label_outer()


# %%
rates = {"slow": 0.02, "best": 2 / 26, "over the limit": 0.081}
fig, axes = plots.figure(1, 3, width=9, height=2.5, sharey=True)
for panel, (name, rate) in zip(axes, rates.items(), strict=True):
    path = descend(slope_of(valley), start, rate, num_steps=20)
    draw_valley(panel, valley, path, title=f"α = {rate:.3f}: {name}")
plots.show(
    fig,
    "Twenty steps in a valley with condition number 25: too small a rate "
    "creeps along the floor, the best one zigzags, and a rate just over "
    "0.08 climbs the walls.",
)

# %% [markdown]
r"""
The first run drops to the floor of the valley and then creeps. The last one makes progress *along* the valley and is thrown out *across* it: the steepest direction alone decides stability.

The best compromise makes both factors equally small, $1 - \alpha c_{\min} = -(1 - \alpha c_{\max})$. That gives $\alpha = 2/(c_{\min} + c_{\max})$, and each step multiplies the distance by $(\kappa - 1)/(\kappa + 1)$.

> **Predict, then run.** With one parameter the best rate needs a single step. Here, with $\kappa = 25$ and the best rate, how many steps until the distance to the minimum is a thousandth of what it was?
> (a) 2, one a direction. (b) About 10. (c) About 90.
"""


# %%
def steps_until(path, fraction=1e-3):
    """Steps until the distance from the origin is `fraction` of the first."""
    distance = np.linalg.norm(path, axis=1)
    return int(np.argmax(distance <= fraction * distance[0]))


path = descend(slope_of(valley), start, learning_rate=2 / 26, num_steps=200)
print("steps, counted:    ", steps_until(path))
print("steps, by a formula:", round(np.log(1000) / np.log(26 / 24), 1))

# %% [markdown]
r"""
**Answer: (c).** $(24/26)^{t} = 1/1000$ gives $t = 86.3$, so the 87th step is the first below. (a) would be true if each direction had its own learning rate. Hold on to that thought: it is the idea behind Adam, further down. As a rule of thumb, plain gradient descent needs steps in proportion to $\kappa$.

What if the valley lies askew, so that $H$ has entries off its diagonal? Turn the paper. There are always two perpendicular directions in which the askew valley behaves like a parabola each; these are the **eigenvectors** of $H$, and the curvatures along them are its **eigenvalues**. `np.linalg.eigvalsh` finds them for any number of parameters.
"""

# %%
cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
turn = np.array([[cosine, -sine], [sine, cosine]])  # by 30 degrees
askew = turn @ valley @ turn.T
print(askew.round(2))
print("curvatures of the askew valley:", np.linalg.eigvalsh(askew).round(6))
straight_path = descend(slope_of(valley), start, 2 / 26, num_steps=20)
askew_path = descend(slope_of(askew), turn @ start, 2 / 26, num_steps=20)
checks.agree(
    "path and askew path, turned back,", straight_path, askew_path @ turn
)

# %% [markdown]
r"""
The numbers in the matrix changed, the curvatures did not, and neither did the path. So the largest stable rate of any quadratic loss is $2/c_{\max}$, with $c_{\max}$ the largest eigenvalue of its Hessian.
"""

# %% [markdown]
r"""
## A valley made of pixels

Now real data. Suppose a scanner has one dead pixel, at row 14 and column 14 of every MNIST digit. You want to repair it from its eight neighbours by a weighted sum, $\hat y = x^\top\theta$: eight inputs, eight parameters, 60,000 examples. That is a **linear regression**, and its loss is the mean squared error.
"""

# %%
digits = data.load("mnist")
ROW, COLUMN = 14, 14
OFFSETS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def around(images):
    """The dead pixel's neighbours (n, 8), row by row, and itself (n,)."""
    neighbours = [images[:, ROW + i, COLUMN + j] for i, j in OFFSETS]
    return np.stack(neighbours, axis=1) / 255.0, images[:, ROW, COLUMN] / 255.0


x, y = around(digits.x_train)
print("x:", x.shape, "y:", y.shape)
print("first example:", x[0].round(2), "→", y[0].round(2))

# %% [markdown]
r"""
For $n$ examples the loss is $L(\theta) = \frac1n \sum_i (x_i^\top\theta - y_i)^2$. Write the residuals as one vector $X\theta - y$; then

$$\nabla L = \tfrac2n X^\top(X\theta - y), \qquad H = \tfrac2n X^\top X.$$

(Differentiate $\nabla L$ once more: only $\frac2n X^\top X\theta$ contains $\theta$.) The Hessian does not contain $\theta$ at all: a linear regression *is* a quadratic valley, and all you have learned holds exactly. Compute the gradient three ways on 64 examples: by a loop that follows the sum, by the matrix formula, and by a Keras layer. The layer does not show its gradient, but after one step of size 1 from zero its weights are minus the gradient.
"""


# %%
def mean_gradient(x, y, theta):
    """Gradient of the mean squared error (8,) for x (n, 8) and y (n,)."""
    return 2 / len(x) * (x.T @ (x @ theta - y))


some_x, some_y, theta = x[:64], y[:64], np.zeros(8)
by_loop = np.zeros(8)
for x_i, y_i in zip(some_x, some_y, strict=True):
    by_loop += 2 * (x_i @ theta - y_i) * x_i / len(some_x)

# %%
layer = keras.layers.Dense(1, use_bias=False, dtype="float32")
model = keras.Sequential([keras.Input(shape=(8,)), layer])
model.set_weights([np.zeros((8, 1))])
model.compile(optimizer=keras.optimizers.SGD(learning_rate=1.0), loss="mse")
model.train_on_batch(some_x, some_y[:, None])
by_layer = -model.get_weights()[0][:, 0]
by_matrix = mean_gradient(some_x, some_y, theta)
checks.agree("loop, matrix and layer", by_loop, by_matrix, by_layer)

# %% [markdown]
r"""
So how large may the learning rate be? The eigenvalues say.
"""

# %%
hessian = 2 / len(x) * x.T @ x
curvatures = np.linalg.eigvalsh(hessian)
print("curvatures:", curvatures.round(3))
print(f"largest stable rate: {2 / curvatures.max():.4f}")
print(f"condition number:    {curvatures.max() / curvatures.min():.0f}")

# %% [markdown]
r"""
One curvature towers over the rest. It belongs to the direction in which all eight weights grow *together*: neighbours are mostly bright together, so this changes the prediction a lot. In the flattest direction some weights grow and others shrink, and the prediction hardly notices. Correlated inputs make narrow valleys.

> **Predict, then run.** Above, pixels were divided by 255. Leave them as they come, 0 to 255, and the largest stable learning rate becomes
> (a) the same, (b) about 255 times smaller, (c) about 65,000 times smaller.
"""

# %%
raw = 255 * x
versions = {
    "0 to 1": x,
    "0 to 255": raw,
    "0 to 255, and a constant 1": np.column_stack([raw, np.ones(len(raw))]),
    "standardised": (x - x.mean(axis=0)) / x.std(axis=0),
}
rows = {}
for name, inputs in versions.items():
    c = np.linalg.eigvalsh(2 / len(inputs) * inputs.T @ inputs)
    rows[name] = {"largest curvature": c[-1], "largest stable α": 2 / c[-1]}
    rows[name]["condition number"] = c[-1] / c[0]
pd.DataFrame(rows).T.map("{:.3g}".format)

# %% [markdown]
r"""
**Answer: (c).** The curvature is made of products $x_i x_j$, so it grows with the *square* of the inputs' scale: $255^2 = 65{,}025$. (b) forgets that $x$ enters twice, once in the prediction and once in the gradient.

Here is what [chapter 00](00_start_here.ipynb) promised to explain. Delete its `/ 255.0` and the same learning rate meets a landscape that is 65,025 times as curved. (That holds for this regression and for the first layer of a network. Chapter 00's optimizer is Adam, which survives it, with more mistakes; the section on Adam says how.) And look at the third row: a single column in other units, here the constant that a bias needs, brings the condition number from hundreds to hundreds of thousands. Standardising ([chapter 01](01_data.ipynb)), which gives each column mean 0 and variance 1, makes the units drop out of the whole question and is the cheapest repair there is.

Is $2/c_{\max}$ really the edge on these data? Go one percent below and one percent above it.
"""

# %%
best, *_ = np.linalg.lstsq(x, y, rcond=None)  # the exact minimum
limit = 2 / curvatures.max()
for part in (0.99, 1.01):
    path = descend(slope_of(hessian, best), np.zeros(8), part * limit, 500)
    distance = np.linalg.norm(path - best, axis=1)
    print(
        f"{part} of the limit: distance {distance[0]:.2f}, then {distance[-1]:.3g}"
    )

# %% [markdown]
r"""
Two percent apart, one run closes in and the other leaves. For a deep network nobody writes $H$ down, yet the edge is there all the same; chapter 07 finds it by trying.
"""

# %% [markdown]
r"""
## Momentum

Gradient descent forgets: it zigzags across the valley because each step looks only at the slope underfoot. **Momentum** keeps a velocity $v$, to which each gradient adds a push, and of which a fraction $\beta$ survives each step:

$$v_{t+1} = \beta v_t - \alpha \nabla L(\theta_t), \qquad \theta_{t+1} = \theta_t + v_{t+1}.$$

Pushes across the valley alternate in sign and cancel. Pushes along it have the same sign and add up, to $1 + \beta + \beta^2 + \dots = 1/(1-\beta)$ times one push. With the usual $\beta = 0.9$, that is ten times.
"""


# %%
def heavy_ball(gradient, start, learning_rate, beta, num_steps):
    """Gradient descent with momentum; returns the path (num_steps + 1, ...)."""
    path, velocity = [np.asarray(start, dtype="float64")], 0.0
    for _ in range(num_steps):
        velocity = beta * velocity - learning_rate * gradient(path[-1])
        path.append(path[-1] + velocity)
    return np.array(path)


# %%
ours = heavy_ball(slope_of(valley), start, 0.02, beta=0.9, num_steps=20)
sgd = keras.optimizers.SGD(learning_rate=0.02, momentum=0.9)
by_keras = keras_path(sgd, slope_of(valley), start, num_steps=20)
checks.agree("momentum by its equations and Keras's", ours, by_keras)

# %% [markdown]
r"""
PyTorch writes momentum differently, $v \leftarrow \beta v + \nabla L$ and $\theta \leftarrow \theta - \alpha v$. As long as $\alpha$ stays the same the paths are identical; when a schedule changes $\alpha$ on the way, they are not. Now step by step, in the same valley, with the best settings of each method: for momentum and curvatures $c_{\min}$ and $c_{\max}$ these are Polyak's, $\alpha = \big(2/(\sqrt{c_{\min}} + \sqrt{c_{\max}})\big)^2$ and $\beta = \big((\sqrt\kappa - 1)/(\sqrt\kappa + 1)\big)^2$. The square roots, here 1 and 5, are what matters.
"""

# %%
walks = {"plain": descend(slope_of(valley), start, 2 / 26, num_steps=24)}
alpha, beta = (2 / (1 + 5)) ** 2, ((5 - 1) / (5 + 1)) ** 2
walks["momentum"] = heavy_ball(slope_of(valley), start, alpha, beta, 24)
fig, axes = plots.figure(2, 4, width=9, height=2.0, sharex=True, sharey=True)
for row, (name, path) in zip(axes, walks.items(), strict=True):
    for panel, t in zip(row, [1, 3, 8, 24], strict=True):
        title, view = f"{name}, t = {t}", ((-2.3, 2.3), (-2, 2))
        draw_valley(panel, valley, path[: t + 1], view=view, title=title)
plots.show(
    fig,
    "Read each row from left to right: plain descent zigzags and is still "
    "on its way after 24 steps, while momentum swings wider at first and "
    "has arrived.",
)

# %% [markdown]
r"""
Momentum swings *wider* than plain descent at first. Its rate here is $\alpha = 0.111$, above the limit of 0.08 that holds without momentum; the velocity that is carried over lifts the limit to $2(1+\beta)/c_{\max}$. The gain comes from both: a larger rate, and pushes along the valley that add up.

> **Predict, then run.** Make the valley far worse: $\kappa = 10{,}000$. Plain descent needs about 35,000 steps for a thousandth of the distance. With momentum at its best it takes about
> (a) 17,500, half as many, (b) 3,500, a tenth, (c) 700?
"""


# %%
def steps_needed(kappa):
    """Steps to a thousandth of the distance: plain, then momentum."""
    slope, root = slope_of(np.diag([1.0, kappa])), np.sqrt(kappa)
    plain = descend(slope, np.ones(2), 2 / (1 + kappa), int(4 * kappa))
    alpha, beta = (2 / (1 + root)) ** 2, ((root - 1) / (root + 1)) ** 2
    heavy = heavy_ball(slope, np.ones(2), alpha, beta, int(20 * root))
    return {"plain": steps_until(plain), "momentum": steps_until(heavy)}


kappas = [10, 100, 1000, 10000]
counts = pd.DataFrame({kappa: steps_needed(kappa) for kappa in kappas}).T
counts.rename_axis("κ")

# %%
bands = {"plain": (0.97, 1.03), "momentum": (0.45, 0.6)}
for name, (low, high) in bands.items():
    power = np.polyfit(np.log(kappas), np.log(counts[name]), deg=1)[0]
    checks.claim(f"power of κ, {name}", power, at_least=low, at_most=high)

# %% [markdown]
r"""
**Answer: (c).** Plain descent pays for $\kappa$, momentum for $\sqrt\kappa$. (b) is what "ten times the push" suggests; but the best $\beta$ depends on the valley, and for this one it is 0.96, with which pushes add up to 25 times and a larger $\alpha$ is stable besides.

Nobody knows $c_{\min}$ and $c_{\max}$ of a deep network, so in practice $\beta = 0.9$ is the habit and $\alpha$ is what one tunes.
"""

# %% [markdown]
r"""
## A batch at a time

The gradient so far looked at all 60,000 examples before it moved. But it is a mean, and a mean can be estimated from a sample. Three ways have names:

- **batch gradient descent**: all $n$ examples for each step;
- **stochastic** gradient descent (SGD): one example for each step;
- **mini-batch** gradient descent: $B$ examples for each step, and $B$ is the **batch size**.

One walk through all the data, however it is divided into steps, is a **pass** or epoch. In practice the examples are shuffled, and shuffled anew for each pass.
"""


# %%
def batches(num_examples, batch_size, rng):
    """Yield batches of row numbers for ever, shuffled anew for each pass."""
    while batch_size == num_examples:
        yield slice(None)  # all rows: nothing to shuffle
    while True:
        order = rng.permutation(num_examples)
        for first in range(0, num_examples - batch_size + 1, batch_size):
            yield order[first : first + batch_size]


stream = batches(num_examples=6, batch_size=2, rng=np.random.default_rng(0))
print([next(stream).tolist() for _ in range(6)])

# %% [markdown]
r"""
Six examples in pairs: three steps a pass, and each example once in each pass. Before measuring, look. With two neighbours only, the left and the right one, the valley can be drawn. All three runs below share the start, the learning rate and the number of steps.
"""

# %%
rng = np.random.default_rng(run.seed)
pair = x[:, [3, 4]]  # (60000, 2)
pair_best, *_ = np.linalg.lstsq(pair, y, rcond=None)
pair_paths = {}
for batch_size in (1, 64, len(x)):
    theta, stream = np.array([1.2, -0.6]), batches(len(x), batch_size, rng)
    path = [theta]
    for _ in range(80):
        rows = next(stream)
        theta = theta - 0.2 * mean_gradient(pair[rows], y[rows], theta)
        path.append(theta)
    pair_paths[batch_size] = np.array(path)

# %% tags=["nbval-ignore-output"]
pair_hessian = 2 / len(pair) * pair.T @ pair
around_best = {"minimum": pair_best, "view": ((-0.1, 1.4), (-0.8, 0.9))}
fig, axes = plots.figure(1, 3, width=9, height=2.9, sharey=True)
for panel, (size, path) in zip(axes, pair_paths.items(), strict=True):
    title = f"batch size {size:,}, 80 steps"
    draw_valley(panel, pair_hessian, path, title=title, **around_best)
    panel.set_xlabel("θ₁ (weight of the left pixel)")
axes[0].set_ylabel("θ₂ (of the right pixel)")
plots.show(
    fig,
    "One example a step wanders around the minimum, 64 a step follow "
    "nearly the path of all 60,000: the same direction on average, at "
    "very different prices.",
)

# %% [markdown]
r"""
The left path looked at 80 digits in all, the right one at 4,800,000. On average all three go the same way, because the mean of a random batch is right on average; mathematicians call such an estimate **unbiased**. What differs is the noise.
"""

# %% [markdown]
r"""
### How noisy is a batch?

Take the gradient at one point, $\theta = 0$. Compute it from 200 random batches and see how far these gradients lie from the true one, root mean square. Then do it for larger and larger batches.

> **Predict, then run.** To make the noise ten times smaller, the batch must be
> (a) 10 times, (b) 100 times, (c) 1,000 times as large.
"""

# %% tags=["nbval-ignore-output"]
each = 2 * x * (x @ np.zeros(8) - y)[:, None]  # a gradient a row: (60000, 8)
true = each.mean(axis=0)
sigma = np.sqrt(np.mean(np.sum((each - true) ** 2, axis=1)))
batch_sizes = 4 ** np.arange(7)
noise = []
for batch_size in batch_sizes:
    rows = rng.integers(len(x), size=(200, batch_size))
    errors = each[rows].mean(axis=1) - true  # (200, 8)
    noise.append(np.sqrt(np.mean(np.sum(errors**2, axis=1))))

# %% tags=["nbval-ignore-output"]
series = {"measured": np.array(noise), "σ / √B": sigma / np.sqrt(batch_sizes)}
scales = {"xscale": "log", "yscale": "log", "ylabel": "noise of the gradient"}
fig, axes = plots.figure(width=5.5, height=3)
plots.lines(
    axes, batch_sizes, series, xlabel="batch size B (examples)", **scales
)
plots.show(
    fig,
    "On log-log axes the noise of a batch's gradient falls on a line of "
    "slope −1/2: four times the batch, half the noise.",
)

# %%
power = np.polyfit(np.log(batch_sizes), np.log(noise), deg=1)[0]
checks.claim("power of B in the noise", power, at_least=-0.53, at_most=-0.47)

# %% [markdown]
r"""
**Answer: (b).** The noise falls as $\sigma/\sqrt B$, where $\sigma$ is the spread of the single examples' gradients. It is the law by which any average of $B$ independent things gets better. (a) would make large batches a fair trade: ten times the work, a tenth of the noise. They are not. Each halving of the noise costs four times the work, which is why batches have a sensible size at all.
"""

# %% [markdown]
r"""
### Steps, passes, seconds

Now the race. All three methods start at zero and run until the loss is within 0.001 of its floor. (The floor is known: `lstsq` gave the exact minimum `best`. And as the loss is quadratic, the excess over the floor is $\frac12(\theta-\theta^*)^\top H (\theta-\theta^*)$, cheap enough to look at often.) Each method gets a learning rate that suits it: noise forces smaller steps.
"""


# %%
def excess(theta):
    """Loss above its floor."""
    return 0.5 * (theta - best) @ hessian @ (theta - best)


def train(batch_size, learning_rate, num_steps, *, decay=0.0, every=1):
    """Train from zero; return a table with a row for every `every` steps."""
    theta, rows = np.zeros(8), []
    stream, started = batches(len(x), batch_size, rng), time.perf_counter()
    for step in range(1, num_steps + 1):
        chosen = next(stream)
        rate = learning_rate / (1 + decay * step)
        theta = theta - rate * mean_gradient(x[chosen], y[chosen], theta)
        if step % every == 0:
            seconds = time.perf_counter() - started
            passes = step * batch_size / len(x)
            rows.append((step, passes, seconds, excess(theta)))
    return pd.DataFrame(rows, columns=["steps", "passes", "seconds", "excess"])


# %% [markdown]
r"""
> **Predict, then run.** Which of the three batch sizes, 1, 64 or 60,000, reaches the goal with the fewest steps? Which with the fewest passes over the data? Which in the fewest seconds?
"""

# %% tags=["nbval-ignore-output"]
races = {
    "1": train(1, learning_rate=0.01, num_steps=30_000, every=10),
    "64": train(64, learning_rate=0.1, num_steps=2_000, every=2),
    "60,000": train(60_000, learning_rate=0.9 * limit, num_steps=150),
}
goals = {}
for name, race in races.items():
    goals[name] = race[race["excess"] <= 0.001].iloc[0]
table = pd.DataFrame(goals).T.rename_axis("batch size")
table["MFLOP/s"] = 4 * 8 * len(x) * table["passes"] / table["seconds"] / 1e6
table.map("{:,.3g}".format)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 3, width=9, height=2.6, sharey=True)
for panel, clock in zip(axes, ["steps", "passes", "seconds"], strict=True):
    for index, (name, race) in enumerate(races.items()):
        run_up = race[race["steps"] <= goals[name]["steps"]]
        style = {"color": plots.COLORS[index], "linestyle": plots.LINES[index]}
        style |= {"marker": plots.MARKERS[index], "markevery": [-1]}
        panel.loglog(
            run_up[clock], run_up["excess"], label=f"B = {name}", **style
        )
    panel.set_xlabel(f"{clock} to the goal")
axes[0].set_ylabel("loss above its floor")
axes[0].legend()
plots.show(
    fig,
    "The same three runs over three clocks: all examples at once win in "
    "steps, one at a time wins in passes, and the mini-batch wins in "
    "seconds.",
)

# %%
bands = {"1": (2000, 5000), "64": (250, 360), "60,000": (80, 100)}
for name, (low, high) in bands.items():
    steps = goals[name]["steps"]
    claim = f"steps to the goal, batch size {name}"
    checks.claim(claim, steps, at_least=low, at_most=high)

# %%
bands = {"1": (0.03, 0.09), "64": (0.26, 0.39), "60,000": (80, 100)}
for name, (low, high) in bands.items():
    passes = goals[name]["passes"]
    claim = f"passes to the goal, batch size {name}"
    checks.claim(claim, passes, at_least=low, at_most=high)

# %% [markdown]
r"""
**Answer:** each one wins by its own clock. If you named one winner for all three, ask which clock you had in mind.

- **Steps**: all at once, since every step goes exactly downhill.
- **Passes**: one at a time. It has arrived before it has seen a tenth of the data; 60,000 digits repeat each other, and the first few thousand say almost everything. Batch descent reads all of them about a hundred times.
- **Seconds**: the mini-batch. A step with 64 examples takes nowhere near 64 times as long as a step with one, because with one example Python and NumPy spend their time on the call and hardly any on the arithmetic. Compare the last column with what two cores can do in large matrix products, about 190,000 million operations a second: with eight parameters, no batch size comes near.

That last line is why batch sizes on a GPU are large: not for better gradients, but so that the hardware is not idle. Chapter 18 pursues this.
"""

# %% [markdown]
r"""
### The noise floor

The race stopped at its goal. Had the batch of 1 gone on, its curve would have levelled off above the floor, as the next figure shows. The gradient at the minimum is zero on average, but the gradient of *one example* is not, so the run never comes to rest: it hovers at a height in proportion to $\alpha$.

> **Predict, then run.** Raise the learning rate from 0.01 to 0.04 and the height at which the run hovers becomes about
> (a) the same, (b) twice, (c) four times, (d) sixteen times as large.
"""

# %% tags=["nbval-ignore-output"]
hover = {
    "α = 0.01": races["1"],
    "α = 0.04": train(1, 0.04, num_steps=30_000, every=10),
    "α = 0.04 / (1 + t/1000)": train(1, 0.04, 30_000, decay=0.001, every=10),
}
smooth = {}
for name, race in hover.items():
    smooth[name] = race["excess"].rolling(50, min_periods=1).mean()

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(width=6, height=2.8)
labels = {"xlabel": "step", "ylabel": "loss above its floor"}
limits = {"yscale": "log", "ylim": (3e-5, 0.5)}
plots.lines(axes, races["1"]["steps"], smooth, **labels, **limits)
plots.show(
    fig,
    "A constant learning rate falls fast and then hovers, the larger rate "
    "higher up; a rate that decays keeps falling.",
)

# %%
late = [race["excess"].iloc[-1000:].mean() for race in hover.values()]
bands = {"α = 0.04": (3.5, 6.5), "decaying α": (0.08, 0.3)}
for height, (name, (low, high)) in zip(late[1:], bands.items(), strict=True):
    claim = f"height with {name}, over that with 0.01"
    checks.claim(claim, height / late[0], at_least=low, at_most=high)

# %% [markdown]
r"""
**Answer: (c)**, a little more in practice. (b) is what $\sqrt{\phantom{x}}$ would give: it holds for the *distance* from the minimum, and the loss is the distance squared.

So a large rate is good early, when the slope is larger than the noise, and a small one is good late. A rate that falls on the way has both: a **learning-rate schedule**. Nearly every training run of this course, and every large model's, ends with a decaying one. The other way to lower the floor is a larger batch, and the two are exchangeable within limits: the hovering height goes with $\alpha / B$.
"""

# %% [markdown]
r"""
### When does a larger batch pay?

Compare noise with signal. The squared noise of one example is $\sigma^2$, the squared length of the true gradient is $\lVert \nabla L\rVert^2$. Their ratio, $B_{\text{noise}} = \sigma^2 / \lVert\nabla L\rVert^2$, is the batch size at which noise and signal are equally strong: the **gradient noise scale**. Much smaller batches are mostly noise; much larger ones measure what is known already.
"""

# %%
path = descend(slope_of(hessian, best), np.zeros(8), 0.9 * limit, 120)
rows = {}
for t in (0, 10, 30, 60, 120):
    each = 2 * x * (x @ path[t] - y)[:, None]  # (60000, 8)
    noise_scale = each.var(axis=0).sum() / np.sum(each.mean(axis=0) ** 2)
    rows[t] = {"loss above floor": excess(path[t]), "noise scale": noise_scale}
table = pd.DataFrame(rows).T.rename_axis("step")
table.map("{:,.2g}".format)

# %%
first, *_, last = table["noise scale"]
checks.claim("noise scale at the start", first, at_least=0.8, at_most=2)
checks.claim("noise scale after 120 steps", last, at_least=1000)

# %% [markdown]
r"""
At the start one example points the right way. Near the end you would need thousands of examples to see the slope at all. This is why large language models are trained with batches that *grow*, and it is the quantity to ask about when someone offers to halve your training time with twice the machines: below the noise scale, twice the batch nearly halves the steps; above it, it buys almost nothing.
"""

# %% [markdown]
r"""
### What was learned

The regression's purpose was to repair a pixel. Here are the eight weights in place, around the dead pixel.
"""

# %%
print(np.insert(best, 4, np.nan).reshape(3, 3).round(2))

# %% [markdown]
r"""
The four direct neighbours count with plus, the corners with minus. If a direct neighbour is dark and the corners are dark too, that is a stroke passing by; the weights extrapolate its shape. Nobody designed this; gradient descent found it in 60,000 examples, and [chapter 08](08_cnn.ipynb) builds networks from such 3×3 patterns. Compare with taking the plain mean of the eight neighbours, on 10,000 test digits that took no part in the fit.
"""

# %%
x_test, y_test = around(digits.x_test)
guesses = {"neighbours' mean": x_test.mean(axis=1), "weights": x_test @ best}
for name, repaired in guesses.items():
    squares = (255 * (repaired - y_test)) ** 2
    error = np.sqrt(squares.mean())
    spread = 1.96 * squares.std() / np.sqrt(len(squares)) / (2 * error)
    print(f"{name:16}: {error:.1f} ± {spread:.1f} grey levels")

# %%
hard = np.flatnonzero((y_test > 0.3) & (y_test < 0.8))[:8]
crops = digits.x_test[hard, ROW - 4 : ROW + 5, COLUMN - 4 : COLUMN + 5]
dead, repaired = crops.copy(), crops.copy()
dead[:, 4, 4] = 0
repaired[:, 4, 4] = (255 * (x_test[hard] @ best)).clip(0, 255)
titles = [name for name in ("dead", "repaired", "original") for _ in hard]
pictures = np.concatenate([dead, repaired, crops])
fig = plots.images(pictures, titles, columns=8, size=0.9)
plots.show(
    fig,
    "Eight test digits cut out around the dead pixel, in the middle: on "
    "the edges of strokes, the hard cases, the repaired pixel is close to "
    "the original in most.",
)

# %% [markdown]
r"""
## Adam

"If each direction had its own learning rate", two steps would do. **Adam** goes some of the way: each *parameter* gets its own. It keeps two running means of the gradient $g_t$, one of its values and one of its squares (all operations element by element):

$$m_t = \beta_1 m_{t-1} + (1-\beta_1)\,g_t, \qquad v_t = \beta_2 v_{t-1} + (1-\beta_2)\,g_t^2,$$

with $\beta_1 = 0.9$ and $\beta_2 = 0.999$. Both start at zero and are therefore too small at first, by the factors $1-\beta_1^t$ and $1-\beta_2^t$. Dividing by these is the **bias correction**:

$$\hat m_t = \frac{m_t}{1-\beta_1^t}, \qquad \hat v_t = \frac{v_t}{1-\beta_2^t}, \qquad \theta_t = \theta_{t-1} - \alpha\,\frac{\hat m_t}{\sqrt{\hat v_t} + \varepsilon}.$$

(Here $v$ is the second moment, as in Adam's paper, and no longer a velocity.) The first mean is momentum. The second is the news: a parameter whose gradients are large takes steps that are divided by something large.
"""


# %%
def adam(gradient, start, learning_rate, num_steps, epsilon=1e-7):
    """Adam, algorithm 1 of its paper; returns the path (num_steps + 1, ...)."""
    beta_1, beta_2 = 0.9, 0.999
    path, m, v = [np.asarray(start, dtype="float64")], 0.0, 0.0
    for t in range(1, num_steps + 1):
        g = gradient(path[-1])
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        step = learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)
        path.append(path[-1] - step)
    return np.array(path)


# %% [markdown]
r"""
> **Predict, then run.** Two parameters, at $\theta = (0, 0)$; their gradients are 0.001 and 1000. Adam's first step with $\alpha = 0.1$ moves them by
> (a) 0.0001 and 100; (b) about 0.1 each; (c) 100 and 0.0001.
"""

# %%
uneven = lambda theta: np.array([0.001, 1000.0])
print(adam(uneven, np.zeros(2), learning_rate=0.1, num_steps=1).round(4))

# %% [markdown]
r"""
**Answer: (b).** At the first step $\hat m_1 = g$ and $\sqrt{\hat v_1} = |g|$, so the step is $\alpha$ times the *sign* of the gradient; how large the gradient is has dropped out. That is the convenience of Adam: $\alpha$ is roughly the length of a step in each parameter, whatever the units of the loss. It is also why chapter 00's model, which Adam trains, still learns something without its `/ 255.0`.

Now against Keras: 20 steps on the digits' own valley, to a millionth.
"""

# %%
slope = slope_of(hessian, best)
ours = adam(slope, np.zeros(8), learning_rate=0.005, num_steps=20)
optimizer = keras.optimizers.Adam(learning_rate=0.005)
by_keras = keras_path(optimizer, slope, np.zeros(8), num_steps=20)
print(ours.shape)
checks.agree("our Adam and Keras's", ours, by_keras, tolerance=1e-6)

# %% [markdown]
r"""
What does the bias correction do? Leave it out and look at the first step: $m_1 = 0.1\,g$ and $\sqrt{v_1} = \sqrt{0.001}\,|g|$, so the step is $0.1/\sqrt{0.001} = 3.2$ times too long, at the moment when the model knows least.

And what does $\varepsilon$ do? It keeps the division finite, and it is where implementations differ. Keras follows the remark before section 2.1 of the paper and adds $\varepsilon$ to $\sqrt{v_t}$ *before* the bias correction. For everyday gradients nobody can tell. For tiny ones you can:
"""

# %%
rows = {}
for g in (1e-3, 1e-5, 1e-6):
    tiny = lambda theta, g=g: np.array([g])
    moved = 1e-7 / np.sqrt(1 - 0.999)
    optimizer = keras.optimizers.Adam(learning_rate=1.0)
    rows[f"{g:g}"] = {
        "paper": adam(tiny, [0.0], 1.0, num_steps=1)[1, 0],
        "paper, ε moved": adam(tiny, [0.0], 1.0, 1, epsilon=moved)[1, 0],
        "Keras": keras_path(optimizer, tiny, [0.0], num_steps=1)[1, 0],
    }
pd.DataFrame(rows).T.rename_axis("gradient").map("{:.3f}".format)

# %% [markdown]
r"""
The table shows the first step in units of $\alpha$. With a gradient of $10^{-6}$ the paper's step is nearly whole and Keras's is a quarter of it. Gradients this small occur wherever a loss is scaled down or a unit is nearly saturated. When a port from one library to another trains a little differently, look at $\varepsilon$.

### What Adam can't do

One learning rate for each *parameter* is not one for each *direction*. If the valley runs along an axis these are the same. Turn the valley by 45 degrees, and they are not.
"""

# %%
narrow = np.diag([1.0, 100.0])
half = np.sqrt(0.5)
turn = np.array([[half, -half], [half, half]])  # by 45 degrees
valleys = {"along an axis": narrow, "turned by 45°": turn @ narrow @ turn.T}
starts = [np.array([2.0, 0.5]), turn @ np.array([2.0, 0.5])]
walks = {}
for (place, valley), start in zip(valleys.items(), starts, strict=True):
    slope = slope_of(valley)
    alpha, beta = (2 / 11) ** 2, (9 / 11) ** 2
    walks["plain", place] = descend(slope, start, 2 / 101, 1000)
    walks["momentum", place] = heavy_ball(slope, start, alpha, beta, 1000)
    walks["Adam", place] = adam(slope, start, 0.03, 1000)

# %%
steps = {key: steps_until(path, 0.01) for key, path in walks.items()}
table = pd.Series(steps).unstack().loc[["plain", "momentum", "Adam"]]
table.rename_axis("steps to a hundredth of the distance")

# %%
fig, axes = plots.figure(2, 3, width=9, height=2.3, sharex=True, sharey=True)
for row, (place, valley) in zip(axes, valleys.items(), strict=True):
    for panel, method in zip(row, table.index, strict=True):
        path, title = walks[method, place][:61], f"{method}, {place}"
        view = ((-2.6, 2.6), (-2.6, 2.6))
        draw_valley(panel, valley, path, view=view, title=title)
plots.show(
    fig,
    "Sixty steps of each method in the same narrow valley, turned and "
    "not: plain descent and momentum take the same path, turned; Adam's "
    "depends on the axes.",
)

# %% [markdown]
r"""
Plain descent and momentum do not notice the turn; Adam needs several times as many steps, because in the turned valley both parameters have equally large gradients and there is nothing to rescale. It remains the first choice in practice: layers of a network differ in scale far more than they lie askew, and it works over a wide range of $\alpha$. If, besides, every weight shrinks a little at each step, apart from Adam's update ([chapter 05](05_mlp.ipynb)), it is called AdamW, the usual optimizer of large models.

## At a billion parameters

Nothing in this chapter changes in kind. GPT-3, with 175 billion parameters, was trained with Adam, $\beta_1 = 0.9$, and $\beta_2 = 0.95$ in place of 0.999: a memory of some 20 steps in place of 1,000. Its batch holds 3.2 million tokens, and grew to that from 32,000 during the first few billion tokens. What you measured says what that means.
"""

# %%
growth = 3.2e6 / 32e3
state = 2 * 4 * 175e9 / 1e12
print(f"batch: {growth:.0f} times as large, noise: a {np.sqrt(growth):.0f}th")
print(f"Adam's two means for 175 billion parameters: {state:.1f} terabytes")

# %% [markdown]
r"""
Momentum needs one extra number for each parameter and Adam two. At this size the optimizer's memory decides how many machines you rent.
"""

# %% [markdown]
r"""
## Spot the bug

An introductory article minimises $L(\theta) = (\theta - 1)^2$ from $\theta_0 = 2$ with $\alpha = 0.1$:

> "$\theta_1 = 2 - 0.1 \cdot (-1) = 2.1$. The next iteration gives $\theta_2 = 2.12$. Continuing in this way, $\theta$ approaches the optimum."

There are three mistakes. Find them with what you know about the sign and the size of a derivative, then run the checks.
"""


# %%
def article_gradient(theta):
    return -(theta - 1)


numerical = (loss(2 + h) - loss(2 - h)) / (2 * h)
print("gradient at 2, article:          ", article_gradient(2.0))
print("gradient at 2, finite difference:", round(numerical, 4))
walk = descend(article_gradient, 2.0, 0.1, num_steps=30)
print(
    "the article's rule, continued:", walk[:4].round(3), "…", walk[-1].round(2)
)
print("loss at 2, 2.1 and 2.12:", loss(np.array([2.0, 2.1, 2.12])).round(4))

# %% [markdown]
r"""
- The **sign** is wrong: at 2, right of the minimum, the loss rises to the right, so the derivative is positive.
- The **factor** 2 of the derivative is missing.
- The second step does not even follow from the first: the article's own rule gives 2.21, not 2.12.

Each step multiplies the distance from the minimum by $1 + \alpha = 1.1$. It walks away, as the loss shows from the first step on: 1, 1.21. Two habits would have caught it: compare a derivative with a finite difference, and watch whether the loss falls. Repaired:
"""

# %%
repaired = descend(gradient, 2.0, 0.1, num_steps=30)
print("repaired:", repaired[:4].round(3), "…", repaired[-1].round(4))
checks.agree("gradient and finite difference", gradient(2.0), numerical)
rise = np.diff(loss(repaired)).max()
checks.claim("largest rise of the loss in a step", rise, at_most=0.0)

# %% [markdown]
r"""
## Summary

- **By hand**: from $\theta_0 = 2$ with $\alpha = 0.1$ come 1.8, 1.64, and $1 + 0.8^t$. On a parabola with curvature $c$ each step multiplies the distance by $1 - \alpha c$: creeping below $1/c$, one step at $1/c$, oscillating up to $2/c$, diverging beyond.
- **Many parameters**: the largest stable rate is $2/c_{\max}$, the largest eigenvalue of the Hessian decides. Steps grow with $\kappa$, with momentum with $\sqrt\kappa$. Inputs in large or mixed units make both $c_{\max}$ and $\kappa$ huge: scale them.
- **Batch size**: noise falls as $1/\sqrt B$, work grows as $B$. All at once wins in steps, one at a time in passes, mini-batches in seconds. A constant rate hovers at a height that goes with $\alpha$; let it decay. Beyond the noise scale a larger batch buys almost nothing.
- **Momentum and Adam** are five lines each, and agree with Keras. Adam's step hardly depends on the gradient's size; it rescales parameters, not directions.
"""

# %% [markdown]
r"""
## Going further

- Add Nesterov's variant: evaluate the gradient at $\theta + \beta v$ instead of $\theta$. Compare with `keras.optimizers.SGD(nesterov=True)`; mind that Keras stores the point looked ahead to, so its path is not the same sequence as yours.
- Repair a block of 3 × 3 dead pixels from the ring of 16 around it. How does the condition number change, and which method suffers?
- Put a race on a GPU: a regression of all 784 pixels on themselves (784 × 784 weights) with batches from 1 to 60,000. Below which batch size does a step cost the same? Compare with the noise scale.
"""

# %% [markdown]
r"""
## References

- H. Robbins, S. Monro: *A stochastic approximation method*. Annals of Mathematical Statistics 22(3), 1951. Where stochastic descent and decaying steps begin.
- B. T. Polyak: *Some methods of speeding up the convergence of iteration methods*. USSR Computational Mathematics and Mathematical Physics 4(5), 1964. Momentum and its best settings on a quadratic.
- L. Bottou, F. E. Curtis, J. Nocedal: *Optimization methods for large-scale machine learning*. SIAM Review 60(2), 2018, arXiv:1606.04838. Batch against stochastic in section 3, the hovering height in section 4.
- Y. LeCun, L. Bottou, G. B. Orr, K.-R. Müller: *Efficient BackProp*. In *Neural Networks: Tricks of the Trade*, Springer, 1998. Normalising inputs in section 4.3, eigenvalues and learning rates in section 5.
- G. Goh: *Why momentum really works*. Distill, 2017, doi:10.23915/distill.00006.
- D. P. Kingma, J. Ba: *Adam: a method for stochastic optimization*. ICLR 2015, arXiv:1412.6980. Algorithm 1; the other place for ε in section 2.
- I. Loshchilov, F. Hutter: *Decoupled weight decay regularization*. ICLR 2019, arXiv:1711.05101. AdamW, algorithm 2.
- S. McCandlish, J. Kaplan, D. Amodei and others: *An empirical model of large-batch training*. 2018, arXiv:1812.06162. The gradient noise scale in section 2.2.
- T. B. Brown and others: *Language models are few-shot learners*. NeurIPS 2020, arXiv:2005.14165. Adam's settings and the growing batch in appendix B, batch size in table 2.1.
"""
