# %% [markdown]
r"""
# Exercises: recurrent networks and text

Five questions on [chapter 09](../09_recurrent_text.ipynb), 13 points, about 50 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0, precision="float32")

# %%
import keras
import numpy as np
from keras import layers

from course_lib import checks

# %% [markdown]
r"""
## Question 1: shift (2 points)

A table holds one sentence a row, as tokens from 1 up, without a start token; 0 fills short rows up. Return what a language model is trained on: `inputs` and `targets`, both of the table's shape. The start token is 0 and stands before each sentence, so that the first word is asked too.
"""


# %% nbgrader={"grade": false, "grade_id": "shift", "locked": false, "schema_version": 3, "solution": true, "task": false}
def shift(tokens):
    """Tokens (n, steps) -> inputs and targets, both (n, steps)."""
    ### BEGIN SOLUTION
    first = np.zeros((len(tokens), 1), tokens.dtype)
    return np.concatenate([first, tokens[:, :-1]], axis=1), tokens
    ### END SOLUTION


# %%
def padded(tokens, before, after):
    """The table with columns of zeros before and after, by Keras."""
    wider = keras.ops.pad(tokens, ((0, 0), (before, after)))
    return keras.ops.convert_to_numpy(wider)


def shift_oracle(tokens):
    return padded(tokens, 1, 0)[:, :-1], tokens


# %%
shift_mistakes = {
    "Input and target are the same word: a network can copy it without "
    "learning anything.": lambda tokens: (tokens, tokens),
    "The input is the word after the target: the network reads the future.": (
        lambda tokens: (padded(tokens, 0, 1)[:, 1:], tokens)
    ),
    "The first word is never asked, and a column is missing. The start token "
    "goes in front.": lambda tokens: (tokens[:, :-1], tokens[:, 1:]),
    "np.roll brings the last column round to the front. A 0 belongs there.": (
        lambda tokens: (np.roll(tokens, 1, axis=1), tokens)
    ),
    "The first word is never asked: the start token goes in front of the "
    "input, and nothing need be cut off the target.": lambda tokens: (
        tokens,
        padded(tokens, 0, 1)[:, 1:],
    ),
    "Both are right, in the other order: inputs first, then targets.": (
        lambda tokens: shift_oracle(tokens)[::-1]
    ),
    "Your inputs have a column more than your targets: nothing is asked after "
    "the last word.": lambda tokens: (padded(tokens, 1, 0), tokens),
    "A column too wide, both: after the last word of a full row nothing need "
    "be asked.": lambda tokens: (padded(tokens, 1, 0), padded(tokens, 0, 1)),
}

# %% nbgrader={"grade": true, "grade_id": "shift_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "shift",
    shift,
    expected=shift_oracle,
    cases=[
        (np.array([[4, 2, 7], [5, 1, 3]]),),
        (np.array([[6, 2, 9, 8], [3, 1, 0, 0]]),),
    ],
    mistakes=shift_mistakes,
)
### BEGIN HIDDEN TESTS
_inputs, _targets = shift(np.array([[8, 9, 5]]))
assert np.array_equal(_inputs, [[0, 8, 9]])
assert np.array_equal(_targets, [[8, 9, 5]])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: perplexity (4 points)

**(a)** A model gave the probabilities `q`, of shape (n, steps, vocabulary). Return its perplexity on the `targets` (n, steps). Where the target is 0, nothing is asked, and nothing counts.
"""


# %% nbgrader={"grade": false, "grade_id": "perplexity", "locked": false, "schema_version": 3, "solution": true, "task": false}
def perplexity(q, targets):
    """One number, from 1 up."""
    ### BEGIN SOLUTION
    of_target = np.take_along_axis(q, targets[..., None], axis=-1)[..., 0]
    asked = targets > 0
    return np.exp(-np.log(of_target[asked]).mean())
    ### END SOLUTION


# %%
def nats(q, targets):
    """What each place costs, by Keras: (n, steps)."""
    losses = keras.losses.sparse_categorical_crossentropy(targets, q)
    return keras.ops.convert_to_numpy(losses).astype("float64")


def perplexity_oracle(q, targets):
    return np.exp(np.average(nats(q, targets), weights=targets > 0))


def by_rows(q, targets):
    """The perplexity of each row by itself: (n,)."""
    pairs = zip(q[:, None], targets[:, None], strict=True)
    return np.array([perplexity_oracle(*pair) for pair in pairs])


rng = np.random.default_rng(0)
cases = []
for n, steps, v in ((1, 3, 4), (3, 5, 7)):
    q = rng.dirichlet(np.ones(v), (n, steps)).astype("float32")
    targets = rng.integers(1, v, (n, steps))
    targets[:, steps - 1] = 0
    targets[0, 2] = 0
    cases.append((q, targets))

# %%
perplexity_mistakes = {
    "The places where nothing is asked count in yours.": lambda q, y: np.exp(
        nats(q, y).mean()
    ),
    "They cost nothing in yours, and still share in the mean: divide by the "
    "number of places asked.": lambda q, y: np.exp(
        (nats(q, y) * (y > 0)).mean()
    ),
    "That is the loss, in nats. Perplexity is e to it.": lambda q, y: np.log(
        perplexity_oracle(q, y)
    ),
    "Between 0 and 1: that is the typical probability, the inverse of "
    "perplexity.": lambda q, y: 1 / perplexity_oracle(q, y),
    "Nats go with e, bits with 2: yours takes 2 to the power of nats.": (
        lambda q, y: 2 ** np.log(perplexity_oracle(q, y))
    ),
    "First the mean of all losses, then e to it. A mean of 1/q lets one "
    "unlikely word decide.": lambda q, y: np.average(
        np.exp(nats(q, y)), weights=y > 0
    ),
}

# %%
perplexity_mistakes |= {
    "Rows differ in length, and yours gives each the same weight: every "
    "place asked counts once.": lambda q, y: np.exp(
        np.log(by_rows(q, y)).mean()
    ),
    "Yours averages one perplexity a row. First the mean loss of all places, "
    "then e to it.": lambda q, y: by_rows(q, y).mean(),
    "That is per sentence. Divide by the number of places asked, not of "
    "rows.": lambda q, y: np.exp((nats(q, y) * (y > 0)).sum() / len(y)),
}

# %% nbgrader={"grade": true, "grade_id": "perplexity_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "perplexity",
    perplexity,
    expected=perplexity_oracle,
    cases=cases,
    mistakes=perplexity_mistakes,
    tolerance=1e-5,
)
### BEGIN HIDDEN TESTS
_q = np.full((2, 3, 8), 0.125)
assert abs(perplexity(_q, np.array([[1, 2, 3], [4, 0, 0]])) - 8) < 1e-6
_q = np.array([[[0.1, 0.5, 0.4], [0.5, 0.375, 0.125], [0.2, 0.2, 0.6]]])
assert abs(perplexity(_q, np.array([[1, 2, 0]])) - 4) < 1e-6
_q = np.array([[[0.2, 0.5, 0.3], [0.2, 0.3, 0.5]], [[0.5, 0.0625, 0.4375]] * 2])
assert abs(perplexity(_q, np.array([[1, 2], [1, 0]])) - 4) < 1e-6
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** A model of English whose tokens are words has a perplexity of 1,000 per word. A word takes five characters on average, the blank after it included. A model whose tokens are characters is as good, if it gives every word the same probability. What is its perplexity per character? Three digits are enough.
"""

# %% nbgrader={"grade": false, "grade_id": "per_character", "locked": false, "schema_version": 3, "solution": true, "task": false}
per_character = ...
### BEGIN SOLUTION
per_character = 1000 ** (1 / 5)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "per_character_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
loss = np.log(1000)  # of a word; its characters share it
checks.value(
    "perplexity per character",
    per_character,
    expected=np.exp(loss / 5),
    mistakes={
        "Losses add up along a word, so perplexities multiply. A division "
        "does not undo that.": 200,
        "That is the loss of a word in nats.": loss,
        "That is the loss of a character in nats.": loss / 5,
        "That is the loss of a character in bits.": loss / 5 / np.log(2),
        "Nats go with e, bits with 2: yours takes 2 to the power of nats.": 2
        ** (loss / 5),
        "A character is a fifth of a word: whoever chooses it has far fewer "
        "choices.": 1000,
    },
    tolerance=1e-3,
)
### BEGIN HIDDEN TESTS
assert abs(per_character - 3.98107) < 0.005
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: temperature and top-k (3 points)

Write the dice of a text generator: from the logits (vocabulary,) of the next token, the probabilities (vocabulary,) from which it is drawn. Keep the `k` largest logits only, then apply the temperature. The tokens that are dropped get probability 0, the others add up to 1. (No two logits are equal.)
"""


# %% nbgrader={"grade": false, "grade_id": "dice", "locked": false, "schema_version": 3, "solution": true, "task": false}
def dice(logits, temperature, k):
    """Probabilities of the next token: (vocabulary,)."""
    ### BEGIN SOLUTION
    kept = logits >= np.sort(logits)[-k]
    z = np.where(kept, logits / temperature, -np.inf)
    q = np.exp(z - z.max())
    return q / q.sum()
    ### END SOLUTION


# %%
def softmax(z):
    return keras.ops.convert_to_numpy(keras.ops.softmax(z)).astype("float64")


def dice_oracle(logits, temperature, k):
    """Softmax of the largest alone, put back at their places."""
    largest, places = keras.ops.top_k(logits, k)
    q = np.zeros(len(logits))
    q[keras.ops.convert_to_numpy(places)] = softmax(largest / temperature)
    return q


def dropped(logits, k):
    return dice_oracle(logits, 1.0, k) == 0


# %%
dice_mistakes = {
    "Turned round: a low temperature should make the likely likelier.": (
        lambda z, t, k: dice_oracle(z, 1 / t, k)
    ),
    "The temperature belongs inside the exponential: divide logits, not "
    "probabilities.": lambda z, t, k: dice_oracle(z, 1.0, k) / t,
    "The odds are right and do not add up to 1: normalise after the cut.": (
        lambda z, t, k: np.where(dropped(z, k), 0, softmax(z / t))
    ),
    "A logit of 0 is not a probability of 0. What is the logarithm of 0?": (
        lambda z, t, k: softmax(np.where(dropped(z, k), 0, z) / t)
    ),
}

# %%
dice_mistakes |= {
    "The temperature has no effect in yours. Is it missing, or are "
    "probabilities divided by it and then normalised?": (
        lambda z, t, k: dice_oracle(z, 1.0, k)
    ),
    "Every token can still be drawn in yours. Where does k come in?": (
        lambda z, t, k: softmax(z / t)
    ),
    "One too few is left: the k-th largest itself is kept.": (
        lambda z, t, k: dice_oracle(z, t, k - 1)
    ),
    "The numbers are right, but sorted: each belongs at its token's place.": (
        lambda z, t, k: -np.sort(-dice_oracle(z, t, k))
    ),
    "Those are the k smallest. Which end does np.sort put the largest "
    "at?": lambda z, t, k: dice_oracle(-z, -t, k),
}

# %% nbgrader={"grade": true, "grade_id": "dice_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "dice",
    dice,
    expected=dice_oracle,
    cases=[
        (np.array([2.0, -1.0, 1.0, 0.5], "float32"), 0.5, 3),
        (np.array([0.3, 1.7, -0.4, 2.2, -3.0], "float32"), 2.0, 3),
    ],
    mistakes=dice_mistakes,
    tolerance=1e-5,
)
### BEGIN HIDDEN TESTS
_q = dice(np.log(np.array([0.1, 0.5, 0.3, 0.1001])), 1.0, 2)
assert np.allclose(_q, [0, 0.625, 0.375, 0])
_q = dice(np.log(np.array([4.0, 3.0, 1.0])), 0.5, 2)
assert np.allclose(_q, [0.64, 0.36, 0])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: a GRU step by hand (3 points)

The lesson names the LSTM's younger relative and does not show it. A GRU has one vector $h$ and two gates, $z$ (what is kept) and $r$ (what the new part may see of the old):

$$\begin{aligned}
z &= \sigma(x W_z + h U_z + b_z), \qquad r = \sigma(x W_r + h U_r + b_r)\\
g &= \tanh(x W_g + (r \odot h)\, U_g + b_g)\\
h_\text{new} &= z \odot h + (1 - z) \odot g
\end{aligned}$$

Write one step for a batch: `x` (n, inputs), `h` (n, units), and Keras's weights `W` (inputs, 3 · units), `U` (units, 3 · units), `b` (3 · units), whose three blocks stand in the order $z, r, g$. Return the new `h`.
"""


# %% nbgrader={"grade": false, "grade_id": "gru", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gru_step(x, h, W, U, b):
    """The new h: (n, units)."""
    ### BEGIN SOLUTION
    (Uz, Ur, Ug), (xz, xr, xg) = np.split(U, 3, 1), np.split(x @ W + b, 3, 1)
    z, r = 1 / (1 + np.exp(-xz - h @ Uz)), 1 / (1 + np.exp(-xr - h @ Ur))
    return z * h + (1 - z) * np.tanh(xg + (r * h) @ Ug)
    ### END SOLUTION


# %%
def step_by_keras(x, h, W, U, b, order=(0, 1, 2), reset_after=False, **options):
    """keras.layers.GRUCell, with the three blocks put into another order."""
    units = h.shape[1]
    columns = np.concatenate([np.arange(units) + units * n for n in order])
    W, U, b = W[:, columns], U[:, columns], b[columns]
    cell = layers.GRUCell(units, reset_after=reset_after, **options)
    cell.build((None, x.shape[1]))
    cell.set_weights([W, U, np.stack([b, 0 * b]) if reset_after else b])
    return keras.ops.convert_to_numpy(cell(x, h)[0])


def with_block(case, block, *, times=1.0, plus=0.0):
    """The case, with one block of its weights multiplied and its bias moved."""
    x, h, W, U, b = case
    columns = np.arange(len(b)) // h.shape[1] == block
    factor = np.where(columns, times, 1.0)
    return x, h, W * factor, U * factor, b * factor + plus * columns


def kept_and_new(*case):
    """z * h and g, each by itself."""
    kept = step_by_keras(*case, activation=lambda z: 0 * z)
    return kept, step_by_keras(*with_block(case, 0, plus=-1000))


# %%
rng = np.random.default_rng(1)
cases = []
for n, inputs, units in ((1, 2, 2), (3, 4, 2)):
    shapes = [(n, inputs), (n, units)]
    shapes += [(inputs, 3 * units), (units, 3 * units), (3 * units,)]
    cases.append(tuple(rng.normal(size=s).astype("float32") for s in shapes))

# %%
gru_mistakes = {
    "The blocks stand in the order z, r, g. You read the first two the other "
    "way round.": lambda *case: step_by_keras(*case, order=(1, 0, 2)),
    "Swapped: z is the part that is kept, 1 − z the part that is new.": (
        lambda *case: step_by_keras(*with_block(case, 0, times=-1))
    ),
    "The gate r acts on h before the product with U, in yours after it.": (
        lambda *case: step_by_keras(*case, reset_after=True)
    ),
    "In yours the new part sees all of h. What is r for?": (
        lambda *case: step_by_keras(*with_block(case, 1, plus=1000))
    ),
    "Only the gates go through the sigmoid. The new part goes through tanh.": (
        lambda *case: step_by_keras(*case, activation="sigmoid")
    ),
    "The new part goes in bare: a tanh is missing.": (
        lambda *case: step_by_keras(*case, activation="linear")
    ),
}

# %%
gru_mistakes |= {
    "That is the new part alone. How much of h is kept?": (
        lambda *case: kept_and_new(*case)[1]
    ),
    "What is kept and what is new share the unit: z of one, 1 − z of the "
    "other.": lambda *case: sum(kept_and_new(*case)),
    "Gates are numbers from 0 to 1: a sigmoid is missing.": (
        lambda *case: step_by_keras(*case, recurrent_activation="linear")
    ),
    "The bias is missing.": lambda x, h, W, U, b: step_by_keras(
        x, h, W, U, 0 * b
    ),
    "Gates and new part see the input only: h U is missing.": (
        lambda x, h, W, U, b: step_by_keras(x, h, W, 0 * U, b)
    ),
}

# %% nbgrader={"grade": true, "grade_id": "gru_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "GRU step",
    gru_step,
    expected=step_by_keras,
    cases=cases,
    mistakes=gru_mistakes,
    tolerance=1e-4,
)
### BEGIN HIDDEN TESTS
_W = np.array([[0.0, 0, 0, 0, 1, 1]])
_U = np.array([[0.0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]])
_b = np.array([np.log(3), np.log(3), 100, -100, 0, 0])  # z = 3/4, r = 1 and 0
_h = gru_step(np.ones((1, 1)), np.array([[3.0, 5.0]]), _W, _U, _b)
_wanted = [2.25 + np.tanh(1) / 4, 3.75 + np.tanh(4) / 4]
assert np.allclose(_h, [_wanted], atol=1e-5)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: does it remember? (1 point)

A colleague says that her network remembers the first word of a sentence ten words later. Which experiment would show it?

- `"a"`: the training loss is low
- `"b"`: the hidden state after ten words is not zero
- `"c"`: change the first word and nothing else; the probabilities ten words later change as they should
- `"d"`: the network is an LSTM, and LSTMs have a long memory
"""

# %% nbgrader={"grade": false, "grade_id": "memory", "locked": false, "schema_version": 3, "solution": true, "task": false}
answer = ...
### BEGIN SOLUTION
answer = "c"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "memory_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "does it remember",
    answer,
    expected=chr(99),
    mistakes={
        "Nearly all of a loss comes from words that the last one or two "
        "predict: it can be low without any long memory.": "a",
        "It holds something. Whether that comes from the first word, and is "
        "used, it does not say.": "b",
        "It could; this one need not have learned to. Measure it.": "d",
    },
)
### BEGIN HIDDEN TESTS
assert str(answer).strip().lower() == "c"
### END HIDDEN TESTS
