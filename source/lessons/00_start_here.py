# %% [markdown]
r"""
# Start here

A large language model is four ideas repeated a few billion times, and you can run all four on this machine before your coffee is cold.
"""

# %% [markdown]
r"""
## You will be able to

- train a first model on real handwritten digits in ten lines, and say what each line does;
- name the four steps that every training run repeats, from this page to a frontier model;
- estimate the memory and the training arithmetic of a model from its number of parameters;
- tell whether this machine is ready for the course.
"""

# %% [markdown]
r"""
## Before you start

You can read Python, and you remember what a derivative is. Nothing else.
"""

# %% [markdown]
r"""
## Budget

20 minutes to read · about 12 s to run on two CPU cores · 1 GB of memory
"""

# %% [markdown]
r"""
## Setup

Every chapter begins with these two cells. The first chooses where the computation happens and prints what it chose. Run a cell with **Shift + Enter**.
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0)

# %%
import keras
import numpy as np
import pandas as pd

from course_lib import checks, data, plots

# %% [markdown]
r"""
## A first model

The data are **MNIST**: 70,000 grey pictures of handwritten digits, 28 by 28 pixels, collected at the American census bureau and in schools. They are in this repository, so nothing is downloaded. 60,000 are for training; the other 10,000, the **test set**, are kept apart to see what the model does with digits it has never met.
"""

# %%
digits = data.load("mnist")
x_train, x_test = digits.x_train / 255.0, digits.x_test / 255.0
print("images to train on:", x_train.shape)
print("images to test on: ", x_test.shape)
print("pixels from", x_train.min(), "to", x_train.max())

# %%
fig = plots.images(
    digits.x_train[:10], [str(label) for label in digits.y_train[:10]]
)
plots.show(
    fig,
    "The first ten training digits and their labels: the same digit is "
    "written in very different ways.",
)

# %% [markdown]
r"""
Here is the whole model. A picture is unrolled into 784 numbers. 64 units each weigh all of them; a unit whose sum is negative stays silent (that is `relu`). Ten outputs, one a digit, weigh the 64, and `softmax` turns the ten sums into probabilities. `compile` says how wrong answers are priced (`loss`) and who moves the parameters (`adam`). `fit` walks through the pictures twice (`epochs=2`), 256 at a time (`batch_size`).

> **Predict, then run.** The model reads each of the 60,000 pictures twice. On digits it has never seen it will be right about
> (a) 10 % of the time, (b) 60 %, (c) 94 %, (d) 100 %?
"""

# %% tags=["nbval-ignore-output"]
model = keras.Sequential(
    [
        keras.Input(shape=(28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(
    optimizer="adam",
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(x_train, digits.y_train, batch_size=256, epochs=2, verbose=0)
loss, accuracy = model.evaluate(
    x_test, digits.y_test, batch_size=1000, verbose=0
)
print(f"right on {accuracy:.1%} of 10,000 unseen digits")

# %%
checks.claim(
    "test accuracy", accuracy, at_least=0.93, at_most=0.955, examples=10_000
)

# %% [markdown]
r"""
**Answer: (c).** Guessing gives 10 %, which is where every model with random weights starts. (d) is tempting because the machine has seen 60,000 examples with their answers; yet it has to answer for pictures that it has *not* seen, and some are hard. Let us look at those.
"""

# %% tags=["nbval-ignore-output"]
probabilities = model.predict(x_test, batch_size=1000, verbose=0)
guesses = probabilities.argmax(axis=1)
wrong = np.flatnonzero(guesses != digits.y_test)[:10]
titles = [f"{guesses[i]}, not {digits.y_test[i]}" for i in wrong]
fig = plots.images(digits.x_test[wrong], titles)
plots.show(
    fig,
    "Ten of the model's mistakes, its guess first: several would make a person "
    "hesitate too, others would not.",
)

# %% [markdown]
r"""
The line that says `claim` is how this course keeps its word. Every number that a chapter asserts is checked, in a range that ten differently seeded runs all met, whenever the tests run and whenever *you* run the notebook. Change the model and break the claim: that is what it is for. The ± is the **error bar**: on ten thousand *other* digits the same model would be right about as often, give or take that much, 19 times out of 20.
"""

# %% [markdown]
r"""
## The four steps

What did `fit` do? The same four steps, again and again:

1. **data**: take some examples $x$ with the answers $y$;
2. **model**: compute predictions $\hat y$ from $x$ and the parameters $\theta$;
3. **loss and gradient**: measure how wrong $\hat y$ is, and in which direction each parameter should move to make it less wrong;
4. **update**: move every parameter a little that way.

The smallest model that shows all four has one parameter. You measure five distances in kilometres and in miles, and let the machine find the factor $\theta$ in $\hat y = \theta x$. The loss is the mean of $(\hat y - y)^2$, and its derivative by $\theta$ is the mean of $2(\hat y - y)x$.
"""

# %%
kilometres = np.array([1.0, 2.0, 3.0, 5.0, 8.0])
miles = np.array([0.62, 1.24, 1.86, 3.11, 4.97])
theta = 0.0
for step in range(10):
    x, y = kilometres, miles  # 1. data
    prediction = theta * x  # 2. model
    gradient = np.mean(2 * (prediction - y) * x)  # 3. loss and gradient
    theta = theta - 0.02 * gradient  # 4. update
    print(f"step {step + 1:2d}: theta = {theta:.4f}")

# %%
checks.claim(
    "miles in a kilometre, as learned", theta, at_least=0.621, at_most=0.622
)

# %% [markdown]
r"""
Nobody told the loop that the factor is 0.621; it followed the gradient there. The digits model did this with 50,890 parameters, and GPT-3 with 175 billion. Each later chapter refines one of the four: [chapter 02](02_gradient_descent.ipynb) the update, [chapter 05](05_mlp.ipynb) and [chapter 08](08_cnn.ipynb) the model.
"""

# %% [markdown]
r"""
## What "large" means

Three numbers describe a model's size well enough to plan with:

- **parameters** $N$: how many numbers are learned;
- **memory**: 4 bytes a parameter in `float32`, 1 byte in `int8`;
- **training operations**: about $6ND$ for $D$ examples (tokens, which are pieces of words, for a language model). Each parameter takes part in one multiplication and one addition on the way forward, and in twice that on the way back: $2 + 4 = 6$.

The $6ND$ rule counts every parameter once an example. In LeNet-5 and AlexNet, in the table below, each parameter works at many places in an image, so there it is a lower bound; [chapter 08](08_cnn.ipynb) counts exactly.
"""

# %%
models = pd.DataFrame(
    [
        ("LeNet-5", 1998, 60e3, 20 * 60e3),
        ("AlexNet", 2012, 60e6, 90 * 1.2e6),
        ("BERT-base", 2018, 110e6, 1e6 * 128e3),
        ("GPT-2", 2019, 1.5e9, np.nan),
        ("GPT-3", 2020, 175e9, 300e9),
    ],
    columns=["model", "year", "parameters", "examples"],
).set_index("model")

# %%
models["float32, GB"] = 4 * models["parameters"] / 1e9
models["int8, GB"] = 1 * models["parameters"] / 1e9
models["training operations"] = 6 * models["parameters"] * models["examples"]
models.map("{:.3g}".format).assign(year=models["year"].astype(int))

# %% [markdown]
r"""
BERT's tokens are its paper's own round figure for full-length texts, an upper bound. GPT-2's authors did not publish how many tokens it read, so its row says `nan`: an honest table has holes. For GPT-3 the rule gives $3.15\cdot10^{23}$ operations; its paper reports $3.14\cdot10^{23}$.
"""

# %%
checks.claim(
    "GPT-3's operations by the rule, over the paper's",
    6 * 175e9 * 300e9 / 3.14e23,
    at_least=0.99,
    at_most=1.01,
)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(width=6, height=3)
axes.loglog(
    models["year"], models["parameters"], marker="o", linestyle="--", base=10
)
axes.set_xscale("linear")
axes.set(
    xlabel="year", ylabel="parameters", ylim=(1e4, 1e12), xlim=(1996, 2024)
)
for name, row in models.iterrows():
    axes.annotate(
        name,
        (row["year"], row["parameters"]),
        (6, -12),
        textcoords="offset points",
    )
plots.show(
    fig,
    "From LeNet-5 to GPT-3, 22 years multiplied the number of parameters by "
    "three million.",
)

# %% [markdown]
r"""
> **Predict, then run.** This machine can do about $10^{11}$ operations a second, give or take a factor of two. GPT-3's training would keep it busy for
> (a) a year, (b) a century, (c) a hundred thousand years?
"""

# %%
seconds = 6 * 175e9 * 300e9 / 1e11
years = seconds / (365 * 24 * 3600)
print(f"{years:,.0f} years")

# %% [markdown]
r"""
**Answer: (c).** That is why large models are trained on thousands of accelerators at once, and why this course shows you the same mechanisms at a size that takes a minute. What changes at scale is said in each chapter, in numbers.
"""

# %% [markdown]
r"""
## Spot the bug

An article on running models at home says:

> "A model with 7 billion parameters needs 7 GB of memory, so a 16 GB laptop can train it with room to spare."

What is wrong with it? Decide before you run the next cell, which weighs the small model from above while it is being trained.
"""

# %%
parameters = model.count_params()
weights = sum(w.nbytes for w in model.get_weights())
moments = sum(
    keras.ops.convert_to_numpy(v).nbytes for v in model.optimizer.variables
)
print(f"{parameters:,} parameters")
print(f"weights: {weights / parameters:.2f} bytes a parameter")
print(
    f"the optimizer's own state: {moments / parameters:.2f} bytes a parameter"
)

# %% [markdown]
r"""
The article takes one byte a parameter, which holds for a model that has been quantised to `int8` and is only *used*. In `float32` the weights take four bytes each. In training, the optimizer Adam keeps two more numbers for each weight, and the gradient is a fourth: 16 bytes a parameter, before a single intermediate result is stored. Repaired:
"""

# %%
gigabytes = {
    "use, int8": 7 * 1,
    "use, float32": 7 * 4,
    "train, float32 with Adam": 7 * 16,
}
for purpose, size in gigabytes.items():
    print(f"7 billion parameters, {purpose}: {size} GB")
checks.claim(
    "bytes a parameter in training",
    (2 * weights + moments) / parameters,
    at_least=15.9,
    at_most=16.1,
)

# %% [markdown]
r"""
## Is this machine ready?

The last cell looks at what the course needs: Python, packages, backend, data, memory, write access. A line with ✗ says how to mend it. The same report comes from the command line: `python -m course_lib doctor`.
"""

# %% tags=["nbval-ignore-output"]
from course_lib import doctor

problems = doctor.report()

# %%
checks.claim("problems found", problems, at_most=0)

# %% [markdown]
r"""
## How to work through a chapter

- Run the cells in order. When something looks odd after an experiment, choose **Kernel → Restart Kernel and Run All Cells**: a clean start is always the first thing to try.
- At **Predict, then run**, write your answer down before you run the cell. Being wrong there is where most of the learning happens.
- Chapters are numbered for good. One that is named without a link is not written yet.
- At **Spot the bug**, find it before the next cells show it.
- A chapter with exercises has them in `notebooks/exercises/`; each check tells you why an answer is wrong, not only that it is. Solutions are in `notebooks/solutions/`.
"""

# %% [markdown]
r"""
## Summary

- **A first model in ten lines**: data scaled to [0, 1], layers, a loss, `fit`; at least 93 % of unseen digits right after two passes.
- **The four steps** are data, model, loss and gradient, update. One parameter or 175 billion, the loop is the same.
- **Size**: $4N$ bytes to use a model of $N$ parameters in `float32`, $16N$ to train it with Adam, $6ND$ operations for $D$ examples.
- **Your machine** has been looked at; if the report ended with "The course runs here", it does.
"""

# %% [markdown]
r"""
## Going further

- Replace 64 by 8 and by 512 in the first model. Which of accuracy, seconds and megabytes moves most?
- Delete `/ 255.0` and train again. [Chapter 02](02_gradient_descent.ipynb) explains what you see.
- On a GPU, find the number of units at which a larger layer begins to take more time, not the same.
"""

# %% [markdown]
r"""
## References

- Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: *Gradient-based learning applied to document recognition*. Proceedings of the IEEE 86(11), 1998. MNIST in section III, LeNet-5's 60,000 parameters in section II.
- A. Krizhevsky, I. Sutskever, G. E. Hinton: *ImageNet classification with deep convolutional neural networks*. NeurIPS 2012. 60 million parameters in the abstract, 90 passes over 1.2 million images in section 5.
- J. Devlin, M.-W. Chang, K. Lee, K. Toutanova: *BERT*. NAACL 2019, arXiv:1810.04805. Sizes in section 3, 1,000,000 steps of 128,000 tokens in appendix A.2.
- A. Radford and others: *Language models are unsupervised multitask learners*. OpenAI, 2019. Table 2.
- T. B. Brown and others: *Language models are few-shot learners*. NeurIPS 2020, arXiv:2005.14165. Tables 2.1 and D.1.
- J. Kaplan and others: *Scaling laws for neural language models*. 2020, arXiv:2001.08361. The $6N$ rule in section 2.1.
"""
