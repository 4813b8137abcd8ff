# %% [markdown]
r"""
# Exercises: convolutional networks

Five questions on [chapter 08](../08_cnn.ipynb), 12 points, about 60 minutes. Replace each `...` or `raise NotImplementedError` by your answer and run the check below it: it says why an answer is wrong. The whole notebook runs in about ten seconds.
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
import scipy.ndimage
from keras import layers

from course_lib import checks, data, training

# %% [markdown]
r"""
## Question 1: shape, parameters, operations (3 points)

Colour pictures of 32×32 pixels, shape `(32, 32, 3)`, go into `Conv2D(24, 5, strides=2)`: 24 filters of 5×5, stride 2, no padding. Work it out on paper; the checks ask Keras.

First, the shape of one picture's output, as a tuple of three whole numbers.
"""


# %%
def conv_shape(stride, padding="valid"):
    """Output shape of one (32, 32, 3) picture, from Keras."""
    layer = layers.Conv2D(24, 5, strides=stride, padding=padding)
    return layer.compute_output_shape((1, 32, 32, 3))[1:]


def num_weights(channels):
    """Number of weights, without biases, for pictures of that many channels."""
    layer = layers.Conv2D(24, 5, use_bias=False)
    layer.build((None, 32, 32, channels))
    return layer.count_params()


height, width, filters = conv_shape(stride=2)

# %% nbgrader={"grade": false, "grade_id": "shape", "locked": false, "schema_version": 3, "solution": true, "task": false}
output_shape = ...
### BEGIN SOLUTION
output_shape = (14, 14, 24)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "shape_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "output shape",
    output_shape,
    expected=(height, width, filters),
    mistakes={
        "Count the place where the window starts: the formula ends in + 1.": (
            (height - 1, width - 1, filters)
        ),
        "That is with padding. Here the kernel has to fit inside.": (
            conv_shape(stride=2, padding="same")
        ),
        "That is with stride 1. The window moves two pixels at a time.": (
            conv_shape(stride=1)
        ),
        "A filter sees all channels at once and makes one channel of output.": (
            (height, width, 3 * filters)
        ),
    },
)
### BEGIN HIDDEN TESTS
assert tuple(output_shape) == (14, 14, 24)
### END HIDDEN TESTS

# %% [markdown]
r"""
The number of parameters of that layer:
"""

# %% nbgrader={"grade": false, "grade_id": "parameters", "locked": false, "schema_version": 3, "solution": true, "task": false}
num_parameters = ...
### BEGIN SOLUTION
num_parameters = 5 * 5 * 3 * 24 + 24
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "parameters_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "parameters",
    num_parameters,
    expected=num_weights(3) + filters,
    mistakes={
        "The biases are missing: one for each filter.": num_weights(3),
        "Each filter spans all three channels of its input.": (
            num_weights(1) + filters
        ),
        "Places share their weights and biases: do not count them for each.": (
            (num_weights(3) + filters) * height * width
        ),
    },
)
### BEGIN HIDDEN TESTS
assert num_parameters == 1824
### END HIDDEN TESTS

# %% [markdown]
r"""
And the multiply-adds that it costs for one picture (biases not counted):
"""

# %% nbgrader={"grade": false, "grade_id": "operations", "locked": false, "schema_version": 3, "solution": true, "task": false}
multiply_adds = ...
### BEGIN SOLUTION
multiply_adds = 14 * 14 * 24 * 5 * 5 * 3
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "operations_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "multiply-adds",
    multiply_adds,
    expected=num_weights(3) * height * width,
    mistakes={
        "That is for one place: each weight is used at every output place.": (
            num_weights(3)
        ),
        "The window stops at the output's places, not at each input pixel.": (
            num_weights(3) * 32 * 32
        ),
        "A multiplication with its addition is one multiply-add, not two.": (
            2 * num_weights(3) * height * width
        ),
    },
)
### BEGIN HIDDEN TESTS
assert multiply_adds == 352_800
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: an edge filter (2 points)

Write `brighter_below`, which finds horizontal edges with a 3×3 window, slid without padding and without turning the kernel (cross-correlation). Its answer at each place: the sum of the window's bottom row less the sum of its top row. It is positive where the picture gets brighter downwards. Loops are fine.
"""


# %% nbgrader={"grade": false, "grade_id": "edges", "locked": false, "schema_version": 3, "solution": true, "task": false}
def brighter_below(picture):
    """Picture (rows, columns) -> answers (rows - 2, columns - 2)."""
    ### BEGIN SOLUTION
    rows, columns = picture.shape
    answers = np.zeros((rows - 2, columns - 2))
    for i in range(rows - 2):
        for j in range(columns - 2):
            window = picture[i : i + 3, j : j + 3]
            answers[i, j] = window[2].sum() - window[0].sum()
    return answers
    ### END SOLUTION


# %%
def padded_edges(picture, axis=0):
    """SciPy's edge filter, on a padded picture."""
    return scipy.ndimage.prewitt(
        picture.astype(float), axis=axis, mode="constant"
    )


def edges_by_scipy(picture, axis=0):
    return padded_edges(picture, axis)[1:-1, 1:-1]


rng = np.random.default_rng(0)
digit = data.load("mnist").x_train[0].astype(int)

# %% nbgrader={"grade": true, "grade_id": "edges_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "edge filter",
    brighter_below,
    expected=edges_by_scipy,
    cases=[(rng.integers(0, 10, (5, 6)),), (digit,)],
    mistakes={
        "The sign is turned round: bottom row less top row.": (
            lambda picture: -edges_by_scipy(picture)
        ),
        "That finds vertical edges, right less left. Compare rows.": (
            lambda picture: edges_by_scipy(picture, axis=1)
        ),
        "That is padded: the window has to fit inside the picture.": padded_edges,
        "Sum the three pixels of a row; their mean is a third of that.": (
            lambda picture: edges_by_scipy(picture) / 3
        ),
    },
)
### BEGIN HIDDEN TESTS
_steps = np.repeat(np.array([0, 0, 5, 5, 1]), 4).reshape(5, 4)
assert np.allclose(brighter_below(_steps), [[15, 15], [15, 15], [-12, -12]])
assert np.allclose(brighter_below(_steps.T), 0)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: max pooling and its gradient (3 points)

Training sends a gradient backwards through 2×2 max pooling. Given the layer's input `x` and `upstream`, the derivative of the loss with respect to each pooled number, return the derivative with respect to `x`. Before you write: if you change a pixel that is *not* the largest of its block a little, what happens to the loss? (No block in the check has two equal largest pixels.)
"""


# %% nbgrader={"grade": false, "grade_id": "pool", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pool_gradient(x, upstream):
    """x (2h, 2w), upstream (h, w) -> gradient with respect to x (2h, 2w)."""
    ### BEGIN SOLUTION
    gradient = np.zeros(x.shape)
    for i in range(upstream.shape[0]):
        for j in range(upstream.shape[1]):
            block = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            a, b = np.unravel_index(block.argmax(), (2, 2))
            gradient[2 * i + a, 2 * j + b] = upstream[i, j]
    return gradient
    ### END SOLUTION


# %% [markdown]
r"""
The check nudges each pixel up and down and watches the loss: central differences, as in [chapter 02](../02_gradient_descent.ipynb).
"""


# %%
def by_differences(x, upstream):
    """The gradient of sum(upstream * pooled), by central differences."""
    nudges = 0.125 * np.eye(x.size).reshape(-1, *x.shape)
    inputs = np.concatenate([x + nudges, x - nudges])[..., None]
    layer = layers.MaxPooling2D(dtype="float32")
    pooled = keras.ops.convert_to_numpy(layer(inputs.astype("float32")))
    losses = (pooled[..., 0] * upstream).sum(axis=(1, 2)).reshape(2, -1)
    return ((losses[0] - losses[1]) / 0.25).reshape(x.shape)


def spread(upstream):
    """Give each number of (h, w) to all four pixels of its block."""
    return np.kron(upstream, np.ones((2, 2)))


cases = []
for h, w in ((1, 1), (2, 3)):
    x = rng.permutation(4 * h * w).reshape(2 * h, 2 * w).astype(float)
    cases.append((x, rng.integers(2, 6, (h, w)).astype(float)))

# %% nbgrader={"grade": true, "grade_id": "pool_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "gradient of max pooling",
    pool_gradient,
    expected=by_differences,
    cases=cases,
    mistakes={
        "Three pixels of a block could change a little unnoticed: theirs is 0.": (
            lambda x, upstream: spread(upstream)
        ),
        "That is average pooling: a quarter to each. A maximum has one winner.": (
            lambda x, upstream: spread(upstream) / 4
        ),
        "The winners are marked; now weigh each with what comes from upstream.": (
            lambda x, upstream: by_differences(x, np.ones_like(upstream))
        ),
        "A maximum passes changes on one to one: do not multiply by the pixel.": (
            lambda x, upstream: x * by_differences(x, upstream)
        ),
    },
)
### BEGIN HIDDEN TESTS
_x = np.array([[1.0, 2.0, 8.0, 5.0], [4.0, 3.0, 6.0, 7.0]])
_wanted = [[0, 0, -3, 0], [2, 0, 0, 0]]
assert np.allclose(pool_gradient(_x, np.array([[2.0, -3.0]])), _wanted)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: less than a third of the operations (3 points)

The lesson's fast network needs 521,728 multiply-adds for a digit of 24×24 pixels. Build one that needs **at most 150,000** and is still right on **at least 97.5 %** of the 10,000 test digits after a single pass with the lesson's recipe.

Count before you build: which layer costs most, and what do strides, fewer filters, or an earlier pooling save? Input `(24, 24, 1)`, ten outputs without softmax.
"""


# %% nbgrader={"grade": false, "grade_id": "lean", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_lean():
    """An untrained `keras.Sequential`, (24, 24, 1) -> 10 logits."""
    ### BEGIN SOLUTION
    return keras.Sequential(
        [
            keras.Input((24, 24, 1)),
            layers.Conv2D(12, 5, strides=2, activation="relu"),  # 30,000
            layers.Conv2D(32, 3, strides=2, activation="relu"),  # 55,296
            layers.Flatten(),
            layers.Dense(64, activation="relu"),  # 32,768
            layers.Dense(10, dtype="float32"),  # 640
        ]
    )
    ### END SOLUTION


# %% [markdown]
r"""
Three helpers do what the lesson did: count, train for one pass, judge. The judge trains only what is within the budget.
"""


# %%
def multiply_adds_of(model):
    """Multiply-adds an image, all layers together."""
    total = 0
    for layer in model.layers:
        if layer.weights:
            places = np.prod(layer.output.shape[1:-1])
            total += int(places * layer.get_weights()[0].size)
    return total


def prepared(pictures):
    middle = pictures[:, 2:26, 2:26, None].astype("float32")
    return (middle / 255 - 0.1307) / 0.3081


# %%
def trained_accuracy(model, digits):
    """One pass over the 60,000 digits; accuracy on the other 10,000."""
    rate = training.one_cycle(0.008, 469, warmup=0.15)
    compiling = {
        "optimizer": keras.optimizers.Adam(rate, beta_1=0.85, beta_2=0.97),
        "loss": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=0.1
        ),
    }
    x, y = prepared(digits.x_train), keras.utils.to_categorical(digits.y_train)
    training.fit(model, x, y, epochs=1, batch_size=128, **compiling)
    x = prepared(digits.x_test)
    logits = model.predict(x, batch_size=1000, verbose=0)
    return float(np.mean(logits.argmax(axis=1) == digits.y_test))


# %%
def judge(build):
    """What is to say of a network: `...` where there is none yet."""
    keras.utils.set_random_seed(0)
    try:
        model = build()
    except NotImplementedError:
        return ...
    if model.input_shape != (None, 24, 24, 1) or model.output_shape != (
        None,
        10,
    ):
        return "other shapes"
    digits = data.load("mnist")
    answers = keras.ops.convert_to_numpy(model(prepared(digits.x_test[:10])))
    if np.allclose(answers.sum(axis=1), 1, atol=1e-3):
        return "softmax"
    if multiply_adds_of(model) > 150_000:
        return "over the budget"
    share = trained_accuracy(model, digits)
    return "well done" if share >= 0.975 else "too many errors"


lean = judge(build_lean)

# %% nbgrader={"grade": true, "grade_id": "lean_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "a lean network",
    lean,
    expected="well done",
    mistakes={
        "More than 150,000 multiply-adds. Count them layer by layer.": (
            "over the budget"
        ),
        "Within the budget, but right on less than 97.5 %. Is it two "
        "convolutions and a dense layer still?": "too many errors",
        "Expected input (24, 24, 1) and 10 outputs. See model.summary().": (
            "other shapes"
        ),
        "The ten outputs add up to 1. The loss expects logits: leave the "
        "softmax out.": ("softmax"),
    },
)
### BEGIN HIDDEN TESTS
assert lean == "well done"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: who breaks it? (1 point)

A colleague's network (conv, pool, conv, pool, flatten, dense, dense) reads centred digits with 99 % accuracy and digits moved by four pixels much worse. "Impossible", she says, "convolutional networks do not care where things are. The test data must be damaged." The data are fine. What breaks the indifference to position?

- `"a"`: the convolutions, because their kernels are learned at the centre of the picture
- `"b"`: the flatten and dense layers, because they have separate weights for every position
- `"c"`: the ReLUs, because they cut off what is negative
- `"d"`: the max poolings, because they throw away three numbers of four
"""

# %% nbgrader={"grade": false, "grade_id": "who", "locked": false, "schema_version": 3, "solution": true, "task": false}
answer = ...
### BEGIN SOLUTION
answer = "b"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "who_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "who breaks it",
    answer,
    expected=chr(98),
    mistakes={
        "A kernel has no place: the same weights are used everywhere, so what "
        "it finds moves with the picture.": "a",
        "ReLU treats each number alike wherever it is: its output moves with "
        "the picture.": "c",
        "Pooling forgives small moves rather than punish them. Which layer "
        "would notice where a number is?": "d",
    },
)
### BEGIN HIDDEN TESTS
assert str(answer).strip().lower() == chr(98)
### END HIDDEN TESTS
