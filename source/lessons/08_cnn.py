# %% [markdown]
r"""
# Convolutional networks

A small window of shared weights, slid over the whole picture, makes half the errors of chapter 05's network with a third of its weights, and learns in seconds on two CPU cores.
"""

# %% [markdown]
r"""
## You will be able to

- train a convolutional network past 99 % on unseen digits in seconds, on a CPU, and say where every factor of its speed comes from;
- build convolution and pooling from loops, from one matrix product and from Keras layers, and show that the three agree;
- work out the output shape, receptive field, parameters and multiply-adds of a network before you build it;
- choose between training from scratch, augmenting and borrowing features when you have 100 labelled images, with error bars;
- read what filters respond to, and recognise a "convolution" that is none.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 00](00_start_here.ipynb) for the form of the course, [chapter 02](02_gradient_descent.ipynb) for gradient descent, batches and Adam, [chapter 05](05_mlp.ipynb) for the layered network 784-256-128-10 and for `training.fit`. Two facts from elsewhere: ReLU is $\max(0, z)$, and the softmax cross-entropy is the loss of a classifier; with `from_logits=True` Keras takes the raw outputs and does the softmax itself.
"""

# %% [markdown]
r"""
## Budget

60 minutes to read · about 60 s to run on two CPU cores · 3 GB of memory
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %% tags=["benchmark"]
import time

import keras
import numpy as np
import pandas as pd
import scipy.signal
from keras import layers
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib import checks, data, plots, training

digits = data.load("mnist")

# %% [markdown]
r"""
## What an unrolled picture forgets

Chapter 05's network unrolls a picture into 784 numbers. Pixel 300 and pixel 301 are neighbours, and so are 300 and 328, one row down; but a dense layer does not know. Shuffle the pixels of every image in the same way and it learns exactly as well. So it cannot know either that a 7 moved two pixels to the right is still a 7.

Train it, for one pass over the digits, and then move the test digits to the right.
"""


# %% tags=["benchmark"]
def scaled(pictures):
    """Pixels (n, 28, 28) -> mean 0, standard deviation 1, (n, 28, 28, 1)."""
    return (pictures[..., None].astype("float32") / 255 - 0.1307) / 0.3081


x_train, x_test = scaled(digits.x_train), scaled(digits.x_test)
print("pictures", x_train.shape, f"standard deviation {x_train.std():.2f}")

# %% tags=["nbval-ignore-output"]
mlp = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, dtype="float32"),
    ]
)
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
adam = keras.optimizers.Adam(training.one_cycle(0.004, 235))
result = training.fit(
    mlp,
    x_train,
    digits.y_train,
    epochs=1,
    batch_size=256,
    optimizer=adam,
    loss=cross_entropy,
)
print(f"{result.seconds:.1f} s")

# %% [markdown]
r"""
> **Predict, then run.** The network is right on about 97 of 100 unseen digits. The same digits are moved four pixels to the right; hardly any ink leaves the picture. It is now right on about
> (a) 97, (b) 80, (c) 30 of 100?
"""


# %%
def outputs(model, x):
    """What a model answers. For a few batches quicker than `predict()`."""
    batches = [
        model(x[start : start + 1000], training=False)
        for start in range(0, len(x), 1000)
    ]
    return np.concatenate(
        [keras.ops.convert_to_numpy(batch) for batch in batches]
    )


def accuracy(model, x, y):
    """Share of pictures whose largest output is at the right class."""
    return float(np.mean(outputs(model, x).argmax(axis=1) == y))


def moved(pictures, right):
    """Move pictures (n, height, width, c) to the right; fill with the lowest."""
    result = np.full_like(pictures, pictures.min())
    result[:, :, right:] = pictures[:, :, : pictures.shape[2] - right]
    return result


# %% tags=["nbval-ignore-output"]
fourth, fourth_labels = x_test[::4], digits.y_test[::4]  # 2,500 will do
mlp_accuracy = [
    accuracy(mlp, moved(fourth, right), fourth_labels) for right in range(5)
]
for right, share in enumerate(mlp_accuracy):
    print(f"moved by {right} pixels: {share:.1%} of 2,500")

# %%
checks.claim(
    "MLP's accuracy, digits where they were",
    mlp_accuracy[0],
    at_least=0.955,
    at_most=0.985,
    examples=2500,
)
checks.claim(
    "MLP's accuracy, moved by 4 pixels",
    mlp_accuracy[4],
    at_most=0.45,
    examples=2500,
)

# %% [markdown]
r"""
**Answer: (c).** (b) is tempting because *you* see the same digit. The network has weights for "ink at row 14, column 20", and after the move the ink meets weights that were made for something else. What we want is one detector that is used everywhere: learn what a vertical stroke is once, look for it at every place.
"""

# %% [markdown]
r"""
## Slide a window, by loops

Take a small matrix of weights, the **kernel** (or filter). Lay it over the top left corner of the picture, multiply each weight with the pixel under it, and add up: that is one output. Move the kernel one column to the right and do it again; at the end of the row, one row down:

$$z_{ij} = \sum_{a}\sum_{b} w_{ab}\, x_{i+a,\,j+b}$$

The same nine weights make every output. That is all; the rest of the chapter is bookkeeping and speed.
"""


# %%
def slide(picture, kernel):
    """Slide a kernel (k, k) over a picture (h, w) -> (h - k + 1, w - k + 1)."""
    k = len(kernel)
    rows, columns = picture.shape[0] - k + 1, picture.shape[1] - k + 1
    z = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            for a in range(k):
                for b in range(k):
                    z[i, j] += kernel[a, b] * picture[i + a, j + b]
    return z


tiny = np.array([[0, 0, 9, 9, 9, 9]] * 5)
edge = np.array([[-1, 0, 1]] * 3)
print(tiny)
print(slide(tiny, edge))

# %% [markdown]
r"""
The picture is dark on the left and bright from column 2 on. The kernel takes the right neighbour less the left one, over three rows. Where nothing changes it answers 0; at the edge it answers 27. Five rows became three and six columns four: the kernel has to fit inside.

On a real digit the same kernel finds strokes' left and right sides, its transpose finds their tops and bottoms.
"""

# %%
four = digits.x_train[2].astype(int)
found = [four, slide(four, edge), slide(four, edge.T)]
fig = plots.images(found, ["a digit", "edge", "edge.T"], columns=3, size=1.8)
plots.show(
    fig,
    "One kernel answers at vertical edges, its transpose at horizontal ones: "
    "white where it gets brighter to the right (or downwards), black where it "
    "gets darker.",
)

# %% [markdown]
r"""
## Convolution or correlation?

SciPy has both, `correlate` and `convolve`. Mathematicians' **convolution** turns the kernel by 180° before it slides; **cross-correlation** does not.

> **Predict, then run.** What deep learning calls a convolution, and what our loop does, equals
> (a) `scipy.signal.convolve`, (b) `scipy.signal.correlate`, (c) both, because it makes no difference?
"""

# %%
correlated = scipy.signal.correlate(tiny, edge, mode="valid")
convolved = scipy.signal.convolve(tiny, edge, mode="valid")
print("correlate:", correlated[0])
print("convolve: ", convolved[0])
checks.agree("loop and correlation", slide(tiny, edge), correlated)
turned = edge[::-1, ::-1]
checks.agree(
    "convolution and correlation with the kernel turned",
    convolved,
    slide(tiny, turned),
)

# %% [markdown]
r"""
**Answer: (b).** (c) is right in one sense: a network *learns* its kernels, and if it had to turn them it would learn them turned. It matters when you bring a kernel from a textbook, or compare with a signal-processing library: then the sign of every edge is wrong, as here.
"""

# %% [markdown]
r"""
## Many channels in, many filters out

A colour picture has three numbers a pixel; the output of a layer with 32 filters has 32. These are **channels**. A kernel then spans all channels of its input, and each filter makes one channel of the output:

$$z_{ijf} = b_f + \sum_{a,b,c} w_{abcf}\, x_{i+a,\,j+b,\,c}$$

Shapes: $x$ is (height, width, channels in), $w$ is (k, k, channels in, filters), $b$ is (filters). The loop over the window and the channels fits into one `np.sum`.
"""


# %%
def convolve_loop(x, w, b):
    """(h, w, c), (k, k, c, f), (f,) -> (h - k + 1, w - k + 1, f)."""
    k, _, _, filters = w.shape
    z = np.zeros((x.shape[0] - k + 1, x.shape[1] - k + 1, filters))
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            window = x[i : i + k, j : j + k]  # (k, k, c)
            for f in range(filters):
                z[i, j, f] = np.sum(window * w[..., f]) + b[f]
    return z


rng = np.random.default_rng(0)
x = rng.integers(0, 5, (6, 7, 3))
w, b = rng.integers(-2, 3, (3, 3, 3, 4)), rng.integers(-2, 3, 4)
print(
    "picture", x.shape, "kernels", w.shape, "->", convolve_loop(x, w, b).shape
)

# %% [markdown]
r"""
## The same as one matrix product

The loop is slow, and processors are fast at one thing above all: matrix products. So write every window as a row of a matrix, 3 · 3 · 3 = 27 numbers each; write every filter as a column; multiply. Collecting the windows is called **im2col**, image to columns. It copies each pixel up to nine times, and is worth it.
"""


# %%
def im2col(x, k):
    """(h, w, c) -> (windows, k * k * c): each row is one window."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(0, 1))
    windows = np.moveaxis(windows, 2, -1)  # (rows, columns, k, k, c)
    return windows.reshape(-1, k * k * x.shape[-1])


def convolve_matrix(x, w, b):
    """As `convolve_loop`, by one matrix product."""
    k, _, _, filters = w.shape
    z = im2col(x, k) @ w.reshape(-1, filters) + b  # (windows, f)
    return z.reshape(x.shape[0] - k + 1, x.shape[1] - k + 1, filters)


print("windows", im2col(x, 3).shape, "times filters", w.reshape(-1, 4).shape)

# %% [markdown]
r"""
Keras wants a batch of pictures, so the shapes get one more axis in front. Give its layer our weights, and compare all three.
"""

# %%
layer = layers.Conv2D(4, 3, dtype="float32")
layer.build((None, 6, 7, 3))
layer.set_weights([w, b])
from_layer = keras.ops.convert_to_numpy(layer(x[None].astype("float32")))[0]
checks.agree(
    "loop, matrix and layer",
    convolve_loop(x, w, b),
    convolve_matrix(x, w, b),
    from_layer,
)

by_scipy = [
    sum(
        scipy.signal.correlate(x[..., c], w[..., c, f], mode="valid")
        for c in range(3)
    )
    + b[f]
    for f in range(4)
]
checks.agree("layer and SciPy", from_layer, np.stack(by_scipy, axis=-1))

# %% [markdown]
r"""
Four ways, one result. What differs is time. Here is a layer's worth of work: 32 filters of 3×3 over 32 channels of a 28×28 picture, 6.2 million multiplications.
"""


# %%
def seconds(function, *arguments, repeats):
    """Shortest of several timings, after one call to warm up."""
    function(*arguments)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


# %% tags=["nbval-ignore-output"]
big_x, big_w = (
    np.ones((28, 28, 32), "float32"),
    np.ones((3, 3, 32, 32), "float32"),
)
multiply_adds = 26 * 26 * 32 * 3 * 3 * 32
for name, function, repeats in (
    ("loop", convolve_loop, 1),
    ("matrix", convolve_matrix, 5),
):
    took = seconds(
        function, big_x, big_w, np.zeros(32, "float32"), repeats=repeats
    )
    print(
        f"{name:6s} {1000 * took:8.2f} ms ",
        f"{2 * multiply_adds / took / 1e9:6.2f} GFLOP/s",
    )

# %% [markdown]
r"""
The matrix form is many times faster, for the same arithmetic. A rough guide for the rest of the chapter: two cores of the machine this was written on reach about **190 GFLOP/s** (billions of floating-point operations a second) in a large `float32` matrix product. That is the speed limit; everything below is measured as a share of it.
"""

# %% [markdown]
r"""
## Padding and stride

Two options shape the output.

- **Padding** $p$: rows and columns of zeros around the picture. With $p = (k-1)/2$ the output is as large as the input (Keras: `padding="same"`); without any, it shrinks by $k - 1$ (`padding="valid"`, the default).
- **Stride** $s$: how far the window moves each time. A stride of 2 skips every other place and halves the size.

$$\text{output size} = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1$$
"""


# %%
def output_size(n, k, padding=0, stride=1):
    """Number of places a kernel of size k can take along an axis of length n."""
    return (n + 2 * padding - k) // stride + 1


# %%
names = ["input size n", "kernel k", "padding p", "stride s"]
cases = [
    [28, 3, 0, 1],
    [28, 3, 1, 1],
    [28, 5, 0, 2],
    [13, 3, 0, 2],
    [28, 5, 2, 1],
]
sizes = pd.DataFrame(cases, columns=names)
sizes["formula"] = [output_size(*case) for case in cases]
by_keras = []
for n, k, padding, stride in cases:
    edges = "same" if padding else "valid"
    conv = layers.Conv2D(1, k, strides=stride, padding=edges)
    by_keras.append(conv.compute_output_shape((1, n, n, 1))[1])
sizes["Keras"] = by_keras
checks.agree("formula and Keras", sizes["formula"], sizes["Keras"])
sizes

# %% [markdown]
r"""
In the third row the kernel has 24 steps to go and takes 2 at a time: 12 steps, 13 places. The "+ 1" counts the place where it starts; forgetting it is the commonest mistake with this formula.
"""

# %% [markdown]
r"""
## Pooling

**Max pooling** keeps the largest number of each 2×2 block and drops the other three: "was the stroke seen anywhere near here?" It has no parameters. Each channel is pooled for itself. By loops, by a reshape, by the layer:
"""


# %%
def pool_loop(x):
    """(h, w, c) -> (h // 2, w // 2, c), the largest of each 2 × 2 block."""
    out = np.zeros((x.shape[0] // 2, x.shape[1] // 2, x.shape[2]))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max(axis=(0, 1))
    return out


def pool_reshape(x):
    """As `pool_loop`: give each block two axes, take the maximum over them."""
    height, width = x.shape[0] // 2, x.shape[1] // 2
    blocks = x[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1)
    return blocks.max(axis=(1, 3))


# %%
x = rng.integers(-9, 10, (6, 7, 3))
pooled = keras.ops.convert_to_numpy(
    layers.MaxPooling2D()(x[None].astype("float32"))
)[0]
print(x[:4, :4, 0])
print(pool_loop(x)[:2, :2, 0])
checks.agree("loop, reshape and layer", pool_loop(x), pool_reshape(x), pooled)

# %% [markdown]
r"""
Seven columns became three: the last one, which has no partner, is dropped. That happens in our network too, where 11 becomes 5.

## What one number sees

A unit in the first layer sees 3×3 pixels. After pooling, one number stands for 2×2 such units; a second convolution looks at 3×3 of those. The patch of the *picture* that can change a unit is its **receptive field**. Let $r$ be its width and $j$ the distance in pixels between neighbouring units. Each layer with kernel $k$ and stride $s$ does

$$r \leftarrow r + (k-1)\,j, \qquad j \leftarrow j\,s$$

> **Predict, then run.** Through 3×3 convolution, 2×2 pooling, 3×3 convolution, 2×2 pooling the receptive field grows to
> (a) 7, (b) 8, (c) 10, (d) 12 pixels?
"""

# %%
fields = []
field, distance = 1, 1
for name, k, stride in (
    ("conv 3×3", 3, 1),
    ("pool", 2, 2),
    ("conv 3×3", 3, 1),
    ("pool", 2, 2),
):
    field, distance = field + (k - 1) * distance, distance * stride
    fields.append(field)
    print(
        f"{name:9s} receptive field {field:2d}, one unit every {distance} pixels"
    )

# %% [markdown]
r"""
**Answer: (c).** (a) adds 2, 1, 2 and 1 to the one pixel at the start; it forgets that after pooling a step of one unit is a step of two pixels.

A formula is a claim, so test it. Make 784 pictures, each black but for one white pixel. Send them through the layers, with all weights 1 so that nothing cancels, and mark the pixels that reach one given unit.
"""

# %%
ones = {"kernel_initializer": "ones", "dtype": "float32"}
stack = [layers.Conv2D(1, 3, **ones), layers.MaxPooling2D()]
stack += [layers.Conv2D(1, 3, **ones), layers.MaxPooling2D()]
signal = np.eye(784, dtype="float32").reshape(784, 28, 28, 1)
maps = []
for stage in stack:
    signal = stage(signal)
    answers = keras.ops.convert_to_numpy(signal)
    middle = answers.shape[1] // 2
    unit = answers[:, middle, middle, 0]  # one unit near the middle
    maps.append((unit > 0).reshape(28, 28))
print("widths:", [int(seen.any(axis=0).sum()) for seen in maps])
checks.agree(
    "formula and pixels", fields, [seen.any(axis=0).sum() for seen in maps]
)

# %%
titles = ["after conv 3×3", "after pool", "after conv 3×3", "after pool"]
fig = plots.images(
    [seen.astype(int) for seen in maps], titles, columns=4, size=1.5
)
plots.show(
    fig,
    "The pixels that reach one unit near the middle, white, grow from 3×3 to "
    "4×4, 8×8 and 10×10 through the four layers.",
)

# %% [markdown]
r"""
## The network, counted before it is built

The network that tutorials have used for years: 32 filters of 3×3, pooling, 64 filters of 3×3, pooling, 128 dense units, 10 outputs. Count it on paper first. A **multiply-add** is one multiplication and one addition, that is two floating-point operations.

| layer | output | parameters | multiply-adds an image |
|---|---|---|---|
| conv 32, 3×3 | 26 × 26 × 32 | $3\cdot3\cdot1\cdot32 + 32 = 320$ | $26\cdot26\cdot32\cdot9 = 194{,}688$ |
| pool | 13 × 13 × 32 | 0 | 0 |
| conv 64, 3×3 | 11 × 11 × 64 | $3\cdot3\cdot32\cdot64 + 64 = 18{,}496$ | $11\cdot11\cdot64\cdot288 = 2{,}230{,}272$ |
| pool | 5 × 5 × 64 | 0 | 0 |
| dense 128 | 128 | $1600\cdot128 + 128 = 204{,}928$ | $204{,}800$ |
| dense 10 | 10 | $128\cdot10 + 10 = 1{,}290$ | $1{,}280$ |
| **sum** | | **225,034** | **2,631,040** |

A convolution's parameters do not depend on the size of the picture; its work does, because every weight is used once at each place.
"""


# %%
def build_standard():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, dtype="float32"),
        ]
    )


# %%
def multiply_adds_of(model):
    """Multiply-adds an image: dict from a layer's name to a number."""
    counts = {}
    for layer in model.layers:
        if layer.weights:
            kernel = layer.get_weights()[0]
            places = np.prod(layer.output.shape[1:-1])  # 1 if dense
            counts[layer.name] = int(places * kernel.size)
    return counts


# %%
standard = build_standard()
counts = multiply_adds_of(standard)
parameters = {name: standard.get_layer(name).count_params() for name in counts}
print(
    f"{standard.count_params():,} parameters,",
    f"{sum(counts.values()):,} multiply-adds an image",
)
checks.agree(
    "parameters, by hand and by Keras",
    225_034,
    standard.count_params(),
    tolerance=0,
)
checks.agree(
    "multiply-adds, by hand and from the weights",
    2_631_040,
    sum(counts.values()),
    tolerance=0,
)

# %%
shares = pd.DataFrame({"parameters": parameters, "multiply-adds": counts})
shares.index = ["conv 32", "conv 64", "dense 128", "dense 10"]
(shares / shares.sum()).map("{:.1%}".format)

# %% [markdown]
r"""
Read that table twice: nine tenths of the *memory* is in the first dense layer, and 85 % of the *work* is in the second convolution. To make a network smaller you cut one, to make it faster you cut the other. And remember the price of not sharing weights: a dense layer from the picture to the same 26 × 26 × 32 outputs would have 17 million.

**How long must training take?** The backward pass does each layer's work twice more: once for the gradient of the weights, once for the gradient of the layer's input (which the first layer does not need). So about three forward passes an image.
"""


# %%
def training_operations(model):
    """Floating-point operations to train on one image once."""
    counts = list(multiply_adds_of(model).values())
    return 2 * (3 * sum(counts) - counts[0])


per_image = training_operations(standard)
print(
    f"{per_image / 1e6:.1f} million operations an image, forward and backward"
)
print(f"60,000 images at 190 GFLOP/s: {60_000 * per_image / 190e9:.1f} s")

# %% [markdown]
r"""
Five seconds for a pass over all digits, if the processor did nothing but multiply at full speed. Articles run ten passes; on this machine that takes them minutes, not 50 seconds. Where does the rest go?

## Where the time goes

Change one thing at a time, and measure some hundred steps of each.

1. **As articles do it**: batches of 32, NumPy arrays given to `model.fit`.
2. **Batch 128.** Larger matrices keep the cores busier, and each step's fixed cost is paid a quarter as often.
3. **Feeding and execution**: `training.fit` keeps the data in the backend's memory and gathers batches there; on TensorFlow it also runs 16 steps for each call from Python (`steps_per_execution=16`). The training step itself is compiled into a graph in all rows; XLA stays off, because on a CPU it makes this slower.
4. **Pool, then ReLU.** Both only pass on or cut, and their order does not change the result, $\max(0, \max_i z_i) = \max_i \max(0, z_i)$. But ReLU after pooling has a quarter of the numbers to look at.
5. **A smaller network**: the same plan with 16 filters of 5×5 and 32 of 3×3, on the middle 24×24 pixels. The frame that is cut off is almost empty:
"""

# %%
ink = digits.x_train.sum() - digits.x_train[:, 2:26, 2:26].sum()
print(
    f"ink in the outer two rows and columns: {ink / digits.x_train.sum():.2%}"
)


# %% tags=["benchmark"]
def build_fast(size, num_outputs=10, filters=(16, 32), kernels=(5, 3)):
    return keras.Sequential(
        [
            keras.Input((size, size, 1)),
            layers.Conv2D(filters[0], kernels[0]),
            layers.MaxPooling2D(),
            layers.ReLU(),
            layers.Conv2D(filters[1], kernels[1]),
            layers.MaxPooling2D(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(num_outputs, dtype="float32"),
        ]
    )


# %%
reordered = build_fast(28, filters=(32, 64), kernels=(3, 3))
reordered.set_weights(standard.get_weights())
some = digits.x_test[:100, ..., None].astype("float32") / 255
checks.agree(
    "ReLU before and after pooling",
    outputs(standard, some),
    outputs(reordered, some),
)

# %% [markdown]
r"""
> **Predict, then run.** Which of these saves most time per image?
> (a) batch 32 to 128, (b) the feeding, (c) ReLU after pooling, (d) the smaller network?

First the stop-watch, then the five rows.
"""


# %% tags=["nbval-ignore-output"]
def speed(model, x, batch_size, *, as_articles):
    """Images a second in training: the quickest of a few short runs."""
    compiling = {
        "optimizer": "adam",
        "loss": cross_entropy,
        "metrics": ["accuracy"],
    }
    x, y = x[:2048], digits.y_train[:2048]
    if as_articles:
        model.compile(**compiling)
        times = []
        for _ in range(4):  # the first one also traces and compiles
            start = time.perf_counter()
            model.fit(x, y, batch_size=batch_size, verbose=0)
            times.append(time.perf_counter() - start)
    else:
        result = training.fit(
            model, x, y, epochs=4, batch_size=batch_size, **compiling
        )
        times = np.diff(result.history["seconds"])
    return len(x) / min(times)


# %% tags=["nbval-ignore-output"]
small = np.ascontiguousarray(x_train[:, 2:26, 2:26])  # (60000, 24, 24, 1)
fast = build_fast(24)
recipes = [
    ("1. as articles: batch 32", standard, x_train, 32, True),
    ("2. batch 128", standard, x_train, 128, True),
    ("3. fed from memory, 16 steps a call", standard, x_train, 128, False),
    ("4. pool, then ReLU", reordered, x_train, 128, False),
    ("5. smaller network, 24×24", fast, small, 128, False),
]
ladder = {}
for name, model, x, batch_size, as_articles in recipes:
    rate = speed(model, x, batch_size, as_articles=as_articles)
    operations = rate * training_operations(model)
    ladder[name] = {
        "parameters": f"{model.count_params():,}",
        "images/s": f"{rate:,.0f}",
        "share of 190 GFLOP/s": f"{operations / 190e9:.0%}",
        "seconds for 10 epochs": f"{600_000 / rate:.0f}",
    }
pd.DataFrame(ladder).T

# %%
work_saved = training_operations(standard) / training_operations(fast)
checks.claim(
    "times less arithmetic an image in row 5",
    work_saved,
    at_least=5,
    at_most=5.5,
)

# %% [markdown]
r"""
**Answer: (d).** The seconds are extrapolated from some hundred steps; `benchmarks/mnist_cnn.py` runs the articles' ten epochs and ours in full. The stop-watch sees whatever else the machine does: if your rows 1 to 4 are out of order, close the other programs and run the cell again. On a quiet machine the batch and the feeding pay clearly, and the share of the limit rises, because the *same* work is done better. Row 4 is worth a few percent at most, less than the noise of one measurement; it stays because it costs nothing.

In row 5 it is the work that shrinks, to less than a fifth. The time shrinks too, but by less: a small network is a worse customer of a processor, because its matrices are small and what lies around them (pooling, ReLU, copying windows) weighs more. Yet seconds are what you pay, not GFLOP/s.

So ten epochs now take a fraction of what they took. Do we need ten?
"""

# %% [markdown]
r"""
## Fewer passes: the schedule

The rate of learning is the other half of speed. A constant 0.001 is safe and slow. **One cycle** starts low, climbs to a peak that would be too wild to stay at, then descends to zero, so that the last steps average the noise away. Three further details, each a line:

- inputs scaled to mean 0 and standard deviation 1, which we have done;
- label smoothing ([chapter 05](05_mlp.ipynb)) of 0.1: the target for the right class is 0.91, and 0.01 for each other, so that the network is not driven to ever larger outputs for digits it already reads;
- Adam's two memories shortened to $\beta_1 = 0.85$ and $\beta_2 = 0.97$, because a run of 500 steps is over before $\beta_2 = 0.999$, which averages over 1,000 steps, has seen enough.

> **Predict, then run.** One pass over the digits, batch 128, the small network. Constant rate 0.001, Keras's default, gets about 98 % right. The one-cycle recipe makes
> (a) the same number of errors, (b) about half as many, (c) a tenth?
"""


# %% tags=["benchmark"]
def train_fast(model, x, labels, *, epochs=1, peak=0.008):
    """The course's fast recipe for small pictures."""
    num_steps = epochs * -(-len(x) // 128)
    rate = training.one_cycle(peak, num_steps, warmup=0.15)
    compiling = {
        "optimizer": keras.optimizers.Adam(rate, beta_1=0.85, beta_2=0.97),
        "loss": keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=0.1
        ),
    }
    y = keras.utils.to_categorical(labels, model.output_shape[-1])
    return training.fit(model, x, y, epochs=epochs, batch_size=128, **compiling)


# %% tags=["nbval-ignore-output"]
small_test = x_test[:, 2:26, 2:26]
outcome = {}


def note(name, model, result):
    """Keep a run's seconds and its accuracy on the test digits."""
    share = accuracy(model, small_test, digits.y_test)
    outcome[name] = {"seconds": result.seconds, "accuracy": share}


model = build_fast(24)
usual = {"optimizer": "adam", "loss": cross_entropy}
result = training.fit(
    model, small, digits.y_train, epochs=1, batch_size=128, **usual
)
note("constant 0.001, 1 epoch", model, result)
for epochs, name in ((1, "recipe, 1 epoch"), (2, "recipe, 2 epochs")):
    fast = build_fast(24)
    note(name, fast, train_fast(fast, small, digits.y_train, epochs=epochs))

# %% tags=["nbval-ignore-output"]
table = pd.DataFrame(outcome).T
share = table["accuracy"]
errors = 10_000 * (1 - share)
give_or_take = 1.96 * np.sqrt(errors * share)  # n p (1 - p) under the root
pd.DataFrame(
    {
        "seconds": table["seconds"].map("{:.1f}".format),
        "accuracy": share.map("{:.2%}".format),
        "errors in 10,000": errors.map("{:.0f}".format),
        "give or take (95 %)": give_or_take.map("{:.0f}".format),
    }
)

# %%
checks.claim(
    "constant rate's accuracy, 1 epoch",
    table["accuracy"].iloc[0],
    at_least=0.975,
    at_most=0.988,
    examples=10_000,
)
for row, epochs, at_least in ((1, "1 epoch", 0.99), (2, "2 epochs", 0.991)):
    checks.claim(
        f"recipe's accuracy, {epochs}",
        share.iloc[row],
        at_least=at_least,
        examples=10_000,
    )
checks.claim(
    "errors, recipe over constant rate, 1 epoch",
    errors.iloc[1] / errors.iloc[0],
    at_least=0.25,
    at_most=0.75,
)

# %% [markdown]
r"""
**Answer: (b).** The same images, the same network, the same number of steps, and about half the errors are gone: one pass suffices for 99 %. A part of that is the larger rate alone, as chapter 05's row *constant 0.003* showed; the rest needs the descent to zero. (c) is out of reach; the second pass removes a few more. At 99.1 % of 10,000 there are 90 errors, give or take 19, so two networks that differ by ten errors are not different. In fairness: the recipe's numbers (peak, warm-up, smoothing) were chosen over dozens of runs that looked at these very test digits, which flatters it by a little. The articles' recipe had the same chance over the last decades.

The two halves multiply: each image takes a fraction of the time, and there are a fifth or a tenth as many to see. What the articles do in minutes is done in seconds.

## The large network, with the same recipe

Is the small one a cheat? Give all 225,034 parameters the same recipe for one pass.
"""

# %% tags=["nbval-ignore-output"]
large = build_fast(28, filters=(32, 64), kernels=(3, 3))
result = train_fast(large, x_train, digits.y_train, peak=0.006)
large_accuracy = accuracy(large, x_test, digits.y_test)
rate = result.examples_per_second
print(
    f"{large_accuracy:.2%} of 10,000 after {result.seconds:.0f} s,",
    f"{rate:,.0f} images/s,",
)
print(f"{rate * training_operations(large) / 190e9:.0%} of 190 GFLOP/s")

# %%
checks.claim(
    "large network's test accuracy",
    large_accuracy,
    at_least=0.99,
    examples=10_000,
)

# %% [markdown]
r"""
One pass of this network and two of the small one end within each other's error bars. Which would you put into a product? The small one: fewer parameters, a fifth of the arithmetic for every digit it will ever read.

## Does it forgive a move?

Back to the question that we began with, on the same moved digits.

> **Predict, then run.** Convolution moves with the picture, pooling forgives a pixel. With digits moved by four pixels the network is right on
> (a) 99 % as before, (b) some 60 to 95 %, (c) no more than the MLP?
"""

# %% tags=["nbval-ignore-output"]
cnn_accuracy = [
    accuracy(large, moved(fourth, right), fourth_labels) for right in range(5)
]
fig, axes = plots.figure(width=6)
series = {"convolutional": cnn_accuracy, "MLP": mlp_accuracy}
plots.lines(
    axes,
    range(5),
    series,
    xlabel="digits moved to the right by (pixels)",
    ylabel="accuracy",
    ylim=(0, 1.02),
    xticks=range(5),
)
plots.show(
    fig,
    "Moved digits: the MLP's accuracy collapses within four pixels, the "
    "convolutional network's declines later and less.",
)

# %%
checks.claim(
    "CNN's accuracy, moved by 2 pixels",
    cnn_accuracy[2],
    at_least=0.95,
    examples=2500,
)
checks.claim(
    "CNN's accuracy, moved by 4 pixels",
    cnn_accuracy[4],
    at_least=0.5,
    at_most=0.95,
    examples=2500,
)
checks.claim(
    "CNN's lead in accuracy, moved by 4 pixels",
    cnn_accuracy[4] - mlp_accuracy[4],
    at_least=0.2,
)

# %% [markdown]
r"""
**Answer: (b).** (a) is what many texts promise: "CNNs are translation invariant". They are not. The convolution is **equivariant**: move the picture, and its output moves along, unchanged. Two poolings forgive a few pixels. But then `Flatten` and a dense layer read the result *by position*, as the MLP does. The cell below shows the first half exactly: move by four pixels, and the second pooling's output moves by one place.
"""

# %%
features = keras.Model(large.inputs[0], large.layers[4].output)
centred = np.zeros((1, 28, 28, 1), "float32")
centred[0, 8:18, 6:16, 0] = (
    digits.x_test[0, 9:19, 9:19] > 0
)  # ink well inside the frame
here, there = outputs(features, centred), outputs(features, moved(centred, 4))
print("features", here.shape)
checks.agree(
    "features of the moved picture, and moved features",
    there[:, :, 1:],
    here[:, :, :-1],
    tolerance=1e-4,
)

# %% [markdown]
r"""
## What the filters see

The small network's first layer has 16 kernels of 5×5, few enough to look at all. Below, each kernel with what it makes of one digit.
"""

# %% tags=["nbval-ignore-output"]
kernels = fast.layers[0].get_weights()[0]  # (5, 5, 1, 16)
first = keras.Model(fast.inputs[0], fast.layers[0].output)
answers = outputs(first, small_test[:1])[0]  # (20, 20, 16)
pictures = []
for half in (range(8), range(8, 16)):
    pictures += [kernels[..., 0, f] for f in half] + [
        answers[..., f] for f in half
    ]
titles = (
    [f"kernel {f}" for f in range(8)]
    + [""] * 8
    + [f"kernel {f}" for f in range(8, 16)]
    + [""] * 8
)
fig = plots.images(pictures, titles, columns=8, size=0.85)
plots.show(
    fig,
    "The learned kernels (rows 1 and 3) look noisy, their answers to a seven "
    "(rows 2 and 4) do not: most pick out edges or strokes of one direction.",
)

# %% [markdown]
r"""
Nobody asked for edges. They came out because they help to tell digits apart, and networks trained on photographs begin with much the same. Do our eyes flatter us? Put a number on it: in a kernel that looks for an edge or a stroke, neighbouring weights resemble each other; in a random one they do not. So correlate each weight with its right and lower neighbour, over all 16 kernels, and do the same for a network that has not been trained.
"""


# %% tags=["nbval-ignore-output"]
def likeness(kernels):
    """Correlation between neighbouring weights of (5, 5, 1, filters)."""
    right = kernels[:, :-1].ravel(), kernels[:, 1:].ravel()
    down = kernels[:-1].ravel(), kernels[1:].ravel()
    return float(np.mean([np.corrcoef(*pair)[0, 1] for pair in (right, down)]))


learned_likeness = likeness(kernels)
random_likeness = likeness(build_fast(24).layers[0].get_weights()[0])
print(f"learned {learned_likeness:.2f}, random {random_likeness:.2f}")

# %%
checks.claim(
    "likeness of neighbouring weights, learned", learned_likeness, at_least=0.16
)
checks.claim(
    "likeness of neighbouring weights, random",
    random_likeness,
    at_least=-0.15,
    at_most=0.15,
)

# %% [markdown]
r"""
So the structure was learned. Deeper filters see 16 channels at once and can't be drawn like this; their **feature maps**, the second layer's answers after pooling, show what reaches the dense layers.
"""

# %% tags=["nbval-ignore-output"]
deep = keras.Model(fast.inputs[0], fast.layers[5].output)
sevens_and_twos = outputs(deep, small_test[:2])  # (2, 4, 4, 32)
busiest = np.argsort(sevens_and_twos.mean(axis=(0, 1, 2)))[-9:]
pictures = []
for index in range(2):
    pictures += [digits.x_test[index, 2:26, 2:26]] + [
        sevens_and_twos[index, ..., f] for f in busiest
    ]
fig = plots.images(
    pictures, ["input"] + [f"map {f}" for f in busiest] + [""] * 10, columns=10
)
plots.show(
    fig,
    "A seven and a two, and the nine busiest of 32 maps after the second "
    "pooling: 4×4 numbers each, bright where the filter found its pattern, "
    "and different for the two digits.",
)

# %% [markdown]
r"""
## The same network, harder pictures

**Fashion-MNIST** has the same format, 60,000 + 10,000 grey pictures of 28×28 in ten classes, of clothes. We use the small network and the recipe as they are, but do not cut the frame off: garments fill theirs. (The crop was knowledge about digits. Every trick is knowledge about something.)

> **Predict, then run.** After one pass, out of 10,000 unseen garments it gets right about
> (a) 99 %, (b) 88 %, (c) 70 %?
"""

# %% tags=["nbval-ignore-output"]
garments = data.load("fashion_mnist")


def scaled_garments(pictures):
    return (pictures[..., None].astype("float32") / 255 - 0.286) / 0.353


g_train, g_test = (
    scaled_garments(garments.x_train),
    scaled_garments(garments.x_test),
)
dresser = build_fast(28)
result = train_fast(dresser, g_train, garments.y_train)
guesses = outputs(dresser, g_test).argmax(axis=1)
garment_accuracy = float(np.mean(guesses == garments.y_test))
print(f"{garment_accuracy:.1%} of 10,000 after {result.seconds:.0f} s")

# %%
checks.claim(
    "test accuracy on garments",
    garment_accuracy,
    at_least=0.87,
    at_most=0.91,
    examples=10_000,
)

# %% tags=["nbval-ignore-output"]
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (garments.y_test, guesses), 1)
fig, axes = plots.figure(width=7.5, height=4)
names = list(garments.class_names)
plots.matrix(
    axes,
    confusion,
    names,
    names,
    xlabel="predicted garment (images)",
    ylabel="true garment",
)
axes.tick_params(axis="x", rotation=40)
plots.show(
    fig,
    "Confusions on Fashion-MNIST sit among the four garments with a body and "
    "two sleeves; trousers, bags and shoes are told apart well.",
)

# %%
alike = [
    garments.class_names.index(name)
    for name in ("T-shirt", "pullover", "coat", "shirt")
]
wrong = confusion.sum() - np.trace(confusion)
among = confusion[np.ix_(alike, alike)]
checks.claim(
    "share of the errors among shirts, coats and the like",
    (among.sum() - np.trace(among)) / wrong,
    at_least=0.5,
)

# %% [markdown]
r"""
**Answer: (b).** Same format, same network, ten times the errors. A benchmark's format says nothing about its difficulty; and 99 % on digits says nothing about your data. Most of the errors lie among four garments, and at 28×28 pixels some of those pictures would make a tailor guess.

## One hundred pictures

A company rarely has 60,000 labelled pictures. Say it has 100: 50 pullovers and 50 coats, look-alikes. Four ways to make the most of them:

1. **Pixels**: logistic regression on the 784 pixels, each standardised: one dense layer with a softmax, no hidden layer at all; a baseline must be beaten before it may be scorned.
2. **Scratch**: the small network, 30 passes over the 100 pictures.
3. **Augmented**: the same number of steps, but each picture comes in 30 variants, mirrored and moved by up to 3 pixels. A mirrored coat is a coat; this is how you tell the network what does not matter.
4. **Borrowed features** (transfer): train on the *other eight* garments, of which there is plenty. Keep its first convolution and pooling, frozen, and fit a logistic regression on what they see.

The test set is all 2,000 unseen pullovers and coats, twice: as they are, always centred, and as a careless photographer would take them, off by up to 3 pixels in each direction.
"""

# %%
PULLOVER, COAT = 2, 4


def only_pair(x, y):
    """Pictures of pullovers and coats, with label 1 for a coat."""
    chosen = np.isin(y, (PULLOVER, COAT))
    return x[chosen], (y[chosen] == COAT).astype(int)


def misplaced(x, pixels, rng):
    """Move each picture by its own whole number of pixels, each way."""
    wide = np.pad(
        x,
        ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)),
        constant_values=x.min(),
    )
    down, right = rng.integers(0, 2 * pixels + 1, (2, len(x)))
    windows = np.lib.stride_tricks.sliding_window_view(
        wide, x.shape[1:3], axis=(1, 2)
    )
    return np.moveaxis(windows[np.arange(len(x)), down, right], 1, -1)


# %%
rng = np.random.default_rng(run.seed)
pair_x, pair_y = only_pair(g_train, garments.y_train)
centred_x, test_y = only_pair(g_test, garments.y_test)
tests = {"centred": centred_x, "off-centre": misplaced(centred_x, 3, rng)}
print("to draw from:", pair_x.shape, " to test on:", centred_x.shape)

# %%
examples = np.concatenate(
    [centred_x[test_y == 0][:5], centred_x[test_y == 1][:5]]
)
fig = plots.images(examples[..., 0], ["pullover"] * 5 + ["coat"] * 5)
plots.show(
    fig,
    "Five pullovers and five coats: the same outline, and a front that opens, "
    "if you can see it.",
)

# %% [markdown]
r"""
First the network whose features we shall borrow, trained on every second of the other garments, which will do. It never sees a pullover or a coat. Its frozen features of the test pictures are computed once.
"""

# %% tags=["nbval-ignore-output"]
others = np.flatnonzero(~np.isin(garments.y_train, (PULLOVER, COAT)))[::2]
eight = np.unique(garments.y_train[others], return_inverse=True)[1]  # 0 … 7
lender = build_fast(28, num_outputs=8)
result = train_fast(lender, g_train[others], eight)
borrowed = keras.Model(
    lender.inputs[0], lender.layers[2].output
)  # conv, pool, ReLU


def features_of(x):
    """(n, 28, 28, 1) -> (n, 2304): what the borrowed first stage sees."""
    return outputs(borrowed, x).reshape(len(x), -1)


test_features = {name: features_of(x) for name, x in tests.items()}
print(f"trained on {len(others):,} other garments in {result.seconds:.0f} s")

# %% [markdown]
r"""
Then the small pieces: an augmentation made of Keras's preprocessing layers, a network that can be reset between draws (building ten would spend more time compiling than training), and a logistic regression.
"""

# %%
lowest = float(g_train.min())
augment = keras.Sequential(
    [
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(
            3 / 28, 3 / 28, fill_mode="constant", fill_value=lowest
        ),
    ]
)
student = build_fast(28, num_outputs=2)
adam = keras.optimizers.Adam(training.one_cycle(0.002, 120))
student.compile(optimizer=adam, loss=cross_entropy, steps_per_execution=15)


# %%
def restart(model):
    """Give a compiled model fresh weights and an optimizer without memory."""
    model.set_weights(build_fast(28, num_outputs=2).get_weights())
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))


def regression(x, y, strength):
    """Logistic regression; `strength` is the inverse of its weight decay."""
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, max_iter=500)
    )
    return model.fit(x, y)


# %% [markdown]
r"""
One draw of 100 pictures is an anecdote. Five draws give an error bar. In each, all four methods get the same 100 pictures.

> **Predict, then run.** On the *centred* test pictures, compared with training from scratch, augmentation
> (a) gains five points, (b) changes nothing, (c) loses a little?
"""

# %%
scores = []


def note_score(draw, way, predict, test_inputs):
    """Keep the accuracy of 0/1 predictions on both test sets."""
    for test, x_new in test_inputs.items():
        score = float(np.mean(predict(x_new) == test_y))
        scores.append((draw, way, test, score))


def flat(x):
    """(n, 28, 28, 1) -> (n, 784)."""
    return x.reshape(len(x), -1)


flat_tests = {name: flat(x) for name, x in tests.items()}

# %% tags=["nbval-ignore-output"]
for draw in range(5):
    rng = np.random.default_rng([run.seed, draw])
    rows = [rng.permutation(np.flatnonzero(pair_y == c))[:50] for c in (0, 1)]
    x, y = pair_x[np.concatenate(rows)], np.repeat([0, 1], 50)
    many_x, many_y = np.repeat(x, 30, axis=0), np.repeat(y, 30)
    varied = keras.ops.convert_to_numpy(augment(many_x, training=True))
    pixels = regression(flat(x), y, 0.01)
    note_score(draw, "1. pixels", pixels.predict, flat_tests)
    for way, inputs in (("2. scratch", many_x), ("3. augmented", varied)):
        restart(student)
        training.fit(
            student, inputs, many_y, epochs=1, batch_size=25, seed=draw
        )
        note_score(draw, way, lambda x: outputs(student, x).argmax(1), tests)
    transfer = regression(features_of(x), y, 0.03)
    note_score(draw, "4. borrowed features", transfer.predict, test_features)

# %% tags=["nbval-ignore-output"]
scores = pd.DataFrame(scores, columns=["draw", "way", "test", "accuracy"])
by_way = scores.groupby(["way", "test"])["accuracy"]
mean = by_way.mean().unstack()
# 2.78: 95 % of Student's t distribution with 4 degrees of freedom
error_bar = 2.78 * by_way.std().unstack() / np.sqrt(5)
mean.map("{:.1%}".format) + " ± " + error_bar.map("{:.1%}".format)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 2, width=8, height=2.6, sharey=True)
for panel, test in zip(axes, ("centred", "off-centre"), strict=True):
    style = {"fmt": "s", "capsize": 5, "color": "black", "label": "mean, 95 %"}
    panel.errorbar(range(4), mean[test], error_bar[test], **style)
    for place, way in enumerate(mean.index):
        draws = by_way.get_group((way, test))
        label = "a draw of 100" if place == 0 else None
        style = {"color": plots.COLORS[1], "label": label}
        panel.plot(np.full(5, place + 0.2), draws, "x", **style)
    panel.set_xticks(range(4), ["pixels", "scratch", "augmented", "borrowed"])
    panel.set(xlabel="way", ylabel="accuracy on 2,000", title=f"{test} tests")
axes[1].legend(loc="upper left", fontsize=8)
plots.show(
    fig,
    "With 100 pictures: on centred tests the borrowed features lead and "
    "augmentation costs a little; on off-centre tests augmentation leads.",
)


# %% [markdown]
r"""
The bars overlap, and that is no proof of equality: a lucky draw lifts all four ways together. As every way saw the same five draws, compare them draw by draw. The differences have smaller error bars than the accuracies themselves.
"""


# %% tags=["nbval-ignore-output"]
def gain(way, other, test):
    """Mean over the draws of way less other, and its error bar. Prints both."""
    difference = by_draw[way, test] - by_draw[other, test]
    margin = 2.78 * difference.std() / np.sqrt(5)
    print(
        f"{way} less {other}, {test}: {difference.mean():+.1%} ± {margin:.1%}"
    )
    return difference.mean()


by_draw = scores.pivot(index="draw", columns=["way", "test"])["accuracy"]
borrowing = gain("4. borrowed features", "1. pixels", "centred")
beyond_scratch = gain("4. borrowed features", "2. scratch", "centred")
augmenting = gain("3. augmented", "2. scratch", "centred")
others_off_centre = mean["off-centre"].drop("3. augmented")
lead = mean.loc["3. augmented", "off-centre"] - others_off_centre.max()
spread = (by_way.max() - by_way.min()).unstack()["centred"].max()

# %%
scratch = mean.loc["2. scratch", "centred"]
checks.claim(
    "accuracy from scratch, centred", scratch, at_least=0.75, at_most=0.84
)
checks.claim(
    "accuracy gained by borrowing, centred",
    borrowing,
    at_least=0.003,
    at_most=0.06,
)
checks.claim(
    "accuracy of borrowing over scratch, centred",
    beyond_scratch,
    at_least=0.0,
    at_most=0.06,
)
checks.claim(
    "accuracy gained by augmenting, centred",
    augmenting,
    at_least=-0.08,
    at_most=0.0,
)
checks.claim("augmenting's lead in accuracy, off-centre", lead, at_least=0.02)
checks.claim("accuracy, best draw less worst, centred", spread, at_least=0.02)

# %% [markdown]
r"""
**Answer: (c).** (a) is what most courses show, with photographs in which cats sit anywhere. Here the test garments are all centred, so the network spends capacity and steps on a variation that it will not meet. (The loss is small: one run's five draws may not separate it from zero, but each of the ten runs that set this band showed one.) On the off-centre tests the same augmentation is worth several points, more than any other way. Augmentation is a statement about what *will* vary. Make it when it is true.

Three more things to take home. The borrowed first stage wins on the centred pictures, although it has never seen either class: edges are edges. A network with 108,000 free parameters, trained on 100 pictures, is hardly better than a regression on raw pixels. And look at the crosses: the luck of the draw moves each result by several points, so a comparison on one draw would have "proved" almost anything.
"""

# %% [markdown]
r"""
## Spot the bug

An article on multimodal models explains the convolutional layer by

$$z_{ij} = \sum_k W_{ikj}\, x_{ij} + b_{ij}$$

and the pooling layer by $p_{ij} = \max(x_{ij})$. What is wrong with each? Decide before you run the next cells, which do exactly what the formulas say.
"""


# %%
def article_convolution(x, W, b):
    """x and b (rows, columns), W (rows, k, columns), as the formula has it."""
    return np.einsum("ikj,ij->ij", W, x) + b


def article_pooling(x):
    """The maximum of x_ij, for each i and j, as the formula has it."""
    return np.array(
        [
            [np.max(x[i, j]) for j in range(x.shape[1])]
            for i in range(x.shape[0])
        ]
    )


# %%
W, b = np.ones((5, 3, 6), int), np.zeros((5, 6), int)
poked = tiny.copy()
poked[2, 3] += 1
changed = article_convolution(poked, W, b) != article_convolution(tiny, W, b)
changed_by_window = slide(poked, np.ones((3, 3))) != slide(
    tiny, np.ones((3, 3))
)
print("outputs that one pixel changes, article's formula:", int(changed.sum()))
print(
    "outputs that one pixel changes, 3×3 window:       ",
    int(changed_by_window.sum()),
)
print(
    "picture", tiny.shape, "-> article's pooling", article_pooling(tiny).shape
)
print(
    "the same picture as before:", bool(np.all(article_pooling(tiny) == tiny))
)

# %% [markdown]
r"""
In the formula $x_{ij}$ does not depend on $k$. It comes out of the sum: $z_{ij} = x_{ij}\,(\sum_k W_{ikj}) + b_{ij}$. Each pixel is multiplied by a number of its own and never meets a neighbour. No choice of $W$ can find an edge, and since the weights belong to places, they learn nothing about a stroke that moves. The index of the window, which should shift $x$, is missing. And the maximum of one number is that number: the article's pooling returns the picture.

The property that a convolution must have makes a sharp test: *move the picture, and the output moves along*.
"""


# %%
def response_to_a_move(layer):
    """Largest difference of layer(moved picture) and moved layer(picture)."""
    picture = np.zeros((8, 12), int)
    picture[2:6, 3:6] = [[1, 5, 2], [7, 3, 9], [4, 8, 6], [2, 9, 1]]
    before, after = layer(picture), layer(np.roll(picture, 3, axis=1))
    return int(np.max(np.abs(after[:, 3:] - before[:, :-3])))


rng = np.random.default_rng(0)
W = rng.integers(-2, 3, (8, 3, 12))
print(
    "article: off by",
    response_to_a_move(lambda x: article_convolution(x, W, 0)),
)
print("sliding window: off by", response_to_a_move(lambda x: slide(x, edge)))

# %% [markdown]
r"""
Repaired, with the window's indices $a, c$ on $x$ as well as on $W$, and a maximum over a block:

$$z_{ij} = \sum_{a,c} W_{ac}\, x_{i+a,\,j+c} + b, \qquad p_{ij} = \max_{a,c\in\{0,1\}} x_{2i+a,\,2j+c}$$
"""


# %%
def repaired_convolution(x, W, b):
    """x (rows, columns), W (k, k), b: shift x by every (a, c), weigh, add."""
    k = len(W)
    rows, columns = x.shape[0] - k + 1, x.shape[1] - k + 1
    places = np.ndindex(k, k)
    return b + sum(
        W[a, c] * x[a : a + rows, c : c + columns] for a, c in places
    )


picture = rng.integers(0, 10, (8, 12))
kernel = rng.integers(-2, 3, (3, 3))
checks.agree(
    "repaired and SciPy",
    repaired_convolution(picture, kernel, 0),
    scipy.signal.correlate(picture, kernel, mode="valid"),
)

# %%
off = response_to_a_move(lambda x: repaired_convolution(x, kernel, 1))
checks.claim("repaired, moved: off by", off, at_most=0)
off = response_to_a_move(lambda x: article_convolution(x, W, 0))
checks.claim("article's, moved: off by", off, at_least=1)
pooled = pool_loop(picture[..., None])
print("picture", picture.shape, "-> pooled", pooled.shape[:2])

# %% [markdown]
r"""
## Summary

- **Past 99 % in seconds**: batch 128, data fed from memory, ReLU after pooling, a network with a fifth of the arithmetic, and a one-cycle schedule that needs one or two passes where articles take ten. Each was measured by itself.
- **Convolution** is a window of shared weights that slides: a loop, or im2col and one matrix product, or `Conv2D`; it equals SciPy's `correlate`. **Pooling** takes the maximum of each block.
- **On paper**: output size $\lfloor (n + 2p - k)/s \rfloor + 1$; receptive field $r + (k-1)j$; parameters $k^2 c f + f$, wherever the picture ends; multiply-adds $k^2 c f$ at each place. 225,034 and 2,631,040 for the standard network, nine tenths of the one in a dense layer, 85 % of the other in a convolution.
- **With 100 pictures**: borrow features if someone has trained on related pictures; augment by what will vary in use; compare over several draws, next to a plain regression.
- **Filters** of the first layer turn into edge and stroke detectors. A formula in which $x$ does not move with the window is a product, not a convolution: it fails the test of a moved picture.

**At a billion parameters** the same counts decide. Image models there often cut the picture into patches, which is a convolution with a stride as large as its kernel, and go on with attention; and borrowing features from a network that someone else has trained is no longer a trick for small data but the ordinary way to begin.
"""

# %% [markdown]
r"""
## Going further

- Replace `Flatten` by `GlobalAveragePooling2D`. The network is then far less tied to positions: what happens to the accuracy, and to the curve of the moved digits?
- Borrow the second stage instead (`lender.layers[5]`), or the whole network, and fine-tune it. On which of the two tests does a deeper stage help? When do 100 pictures stop being too few?
- On a GPU: train `build_standard()` at batch sizes from 128 to 8,192 and plot images a second. Where does it stop growing? Try CIFAR-10 (`data.load("cifar10")`) with twice the filters.
"""

# %% [markdown]
r"""
## References

- Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: *Gradient-based learning applied to document recognition*. Proceedings of the IEEE 86(11), 1998. Shared weights, local receptive fields and sub-sampling in section II.A.
- V. Dumoulin, F. Visin: *A guide to convolution arithmetic for deep learning*. 2016, arXiv:1603.07285. Output sizes in chapter 2.
- K. Chellapilla, S. Puri, P. Simard: *High performance convolutional neural networks for document processing*. Tenth International Workshop on Frontiers in Handwriting Recognition, 2006. Convolution as a matrix product.
- L. N. Smith, N. Topin: *Super-convergence: very fast training of neural networks using large learning rates*. 2018, arXiv:1708.07120. One-cycle in section 3.
- C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: *Rethinking the Inception architecture for computer vision*. CVPR 2016, arXiv:1512.00567. Label smoothing in section 7.
- D. P. Kingma, J. Ba: *Adam: a method for stochastic optimization*. ICLR 2015, arXiv:1412.6980. Algorithm 1.
- A. Azulay, Y. Weiss: *Why do deep convolutional networks generalize so poorly to small image transformations?* JMLR 20(184), 2019, arXiv:1805.12177.
- H. Xiao, K. Rasul, R. Vollgraf: *Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms*. 2017, arXiv:1708.07747.
- J. Yosinski, J. Clune, Y. Bengio, H. Lipson: *How transferable are features in deep neural networks?* NeurIPS 2014, arXiv:1411.1792.
- `Conv2D` and the preprocessing layers: https://keras.io/api/layers/
"""
