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


def perplexity_by_rows(q, targets):
    pairs = zip(q[:, None], targets[:, None], strict=True)
    return np.mean([perplexity_oracle(*pair) for pair in pairs])


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
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** A model of English has a perplexity of 4 per character. A word takes six characters on average, the blank after it included. What is its perplexity per word, the probability of a word being the product of its characters'?
"""

# %% nbgrader={"grade": false, "grade_id": "per_word", "locked": false, "schema_version": 3, "solution": true, "task": false}
per_word = ...
### BEGIN SOLUTION
per_word = 4**6
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "per_word_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
loss = 6 * np.log(4)  # losses add up along a word
checks.value(
    "perplexity per word",
    per_word,
    expected=np.exp(loss),
    mistakes={
        "Losses add up, so perplexities multiply.": 24,
        "That is the loss of a word in nats.": loss,
        "That is the loss of a word in bits.": loss / np.log(2),
        "2 to the power of 6: but a character leaves four choices, not two.": 2
        ** 6,
        "A word is six characters: unsure of each, one cannot be as sure of "
        "the whole.": 4,
    },
)
### BEGIN HIDDEN TESTS
assert abs(per_word - 4096) < 1e-6
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
    "Those are the k smallest. Which end does np.sort put the largest "
    "at?": lambda z, t, k: dice_oracle(-z, -t, k),
}

# %% nbgrader={"grade": true, "grade_id": "dice_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "dice",
    dice,
    expected=dice_oracle,
    cases=[
        (np.array([2.0, -1.0, 1.0, 0.5], "float32"), 0.5, 2),
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
## Question 4: an LSTM step by hand (3 points)

One step for a batch: `x` (n, inputs), the state `h` and the cell `c` (n, units), and Keras's weights `W` (inputs, 4 · units), `U` (units, 4 · units), `b` (4 · units), whose four blocks stand in the order $i, f, g, o$. Return the new `h` and the new `c`.
"""


# %% nbgrader={"grade": false, "grade_id": "lstm", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lstm_step(x, h, c, W, U, b):
    """The new h and the new c, both (n, units)."""
    ### BEGIN SOLUTION
    i, f, g, o = np.split(x @ W + h @ U + b, 4, axis=-1)
    i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c
    ### END SOLUTION


# %%
def step_by_keras(x, h, c, W, U, b, order=(0, 1, 2, 3), **options):
    """keras.layers.LSTMCell, with the four blocks put into another order."""
    units = h.shape[1]
    columns = np.concatenate([np.arange(units) + units * n for n in order])
    cell = layers.LSTMCell(units, **options)
    cell.build((None, x.shape[1]))
    cell.set_weights([W[:, columns], U[:, columns], b[columns]])
    _, state = cell(x, [h, c])
    return tuple(keras.ops.convert_to_numpy(part) for part in state)


def shown_bare(*case):
    h, c = step_by_keras(*case)
    return h / np.tanh(c) * c, c


def without_past(x, h, c, *weights):
    return step_by_keras(x, h, np.zeros_like(c), *weights)


# %%
rng = np.random.default_rng(1)
cases = []
for n, inputs, units in ((1, 2, 1), (3, 4, 2)):
    shapes = [(n, inputs), (n, units), (n, units)]
    shapes += [(inputs, 4 * units), (units, 4 * units), (4 * units,)]
    cases.append(tuple(rng.normal(size=s).astype("float32") for s in shapes))

# %%
lstm_mistakes = {
    "The blocks stand in the order i, f, g, o. You read the last two the other "
    "way round.": lambda *case: step_by_keras(*case, order=(0, 1, 3, 2)),
    "Swapped: f decides what is kept of c, i what is added.": (
        lambda *case: step_by_keras(*case, order=(1, 0, 2, 3))
    ),
    "The cell is shown through a tanh: yours shows it bare.": shown_bare,
    "The old cell is lost in yours: keep a part of it.": without_past,
    "Only the gates go through the sigmoid. What is added and what is shown "
    "goes through tanh.": (
        lambda *case: step_by_keras(*case, activation="sigmoid")
    ),
    "Both are right, in the other order: h first, then c.": (
        lambda *case: step_by_keras(*case)[::-1]
    ),
}

# %% nbgrader={"grade": true, "grade_id": "lstm_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "LSTM step",
    lstm_step,
    expected=step_by_keras,
    cases=cases,
    mistakes=lstm_mistakes,
    tolerance=1e-4,
)
### BEGIN HIDDEN TESTS
_one = np.ones((1, 1))
_b = np.array([0.0, 100.0, 0.5, 100.0])  # i = 1/2, f = 1, g = 0.5, o = 1
_h, _c = lstm_step(_one, _one, 2 * _one, np.zeros((1, 4)), np.zeros((1, 4)), _b)
_wanted = 2 + 0.5 * np.tanh(0.5)
assert np.allclose(_c, _wanted) and np.allclose(_h, np.tanh(_wanted))
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
