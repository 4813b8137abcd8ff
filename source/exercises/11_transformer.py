# %% [markdown]
r"""
# Exercises: the transformer

Five questions on [chapter 11](../11_transformer.ipynb), 12 points, about 50 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
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

from course_lib import checks

# %% [markdown]
r"""
## Question 1: who leaks? (4 points)

A colleague hands you models as closed boxes: functions from vectors $(n, d)$ to vectors $(n, d)$. You can't look for a mask, but you can measure.

**(a)** Write `depends`. It returns an array $(n, n)$ of true and false: entry $[t, s]$ is true if output $t$ changes when 0.1 is added to feature 0 of input $s$ and nothing else is changed. "Changes" means that any of its features moves by more than $10^{-9}$, up or down.
"""


# %% nbgrader={"grade": false, "grade_id": "depends", "locked": false, "schema_version": 3, "solution": true, "task": false}
def depends(model, x):
    """A function (n, d) → (n, d) and an input x (n, d) → bool (n, n)."""
    ### BEGIN SOLUTION
    before = model(x)
    found = np.zeros((len(x), len(x)), bool)
    for s in range(len(x)):
        nudged = x.copy()
        nudged[s, 0] += 0.1
        found[:, s] = (np.abs(model(nudged) - before) > 1e-9).any(axis=1)
    return found
    ### END SOLUTION


# %%
def changes(model, x):
    """(output t, input s, feature): how far each output moves."""
    nudges = np.zeros((len(x), *x.shape))
    nudges[np.arange(len(x)), np.arange(len(x)), 0] = 0.1
    moved = np.stack([model(x + nudge) - model(x) for nudge in nudges])
    return moved.swapaxes(0, 1)


def depends_oracle(model, x):
    return (np.abs(changes(model, x)) > 1e-9).any(axis=-1)


def piled_up(model, x):
    """What comes out if input s keeps its nudge when s + 1 gets one."""
    return np.logical_or.accumulate(depends_oracle(model, x), axis=1)


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# %%
depends_mistakes = {
    "Rows are outputs, columns inputs: yours is transposed.": (
        lambda model, x: depends_oracle(model, x).T
    ),
    "The nudges pile up: begin each time from a fresh copy of x.": piled_up,
    "A change downwards is a change: compare absolute values.": (
        lambda model, x: (changes(model, x) > 1e-9).any(axis=-1)
    ),
    "One moving feature is enough: they need not all move.": (
        lambda model, x: (np.abs(changes(model, x)) > 1e-9).all(axis=-1)
    ),
}


# %%
def delayed(x):
    """Output t is made of inputs t and t - 2; feature 1 stays as it is."""
    result = x * np.array([-1.0, 1.0, 2.0])
    result[2:, 2] -= x[:-2, 0]
    return result


case_rng = np.random.default_rng(0)
depends_cases = [
    (delayed, case_rng.normal(size=(5, 3))),
    (lambda x: x + x[:, :1].sum(axis=0), case_rng.normal(size=(4, 2))),
    (lambda x: x.cumsum(axis=0), case_rng.normal(size=(6, 2))),
]

# %% nbgrader={"grade": true, "grade_id": "depends_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "who depends on whom",
    depends,
    expected=depends_oracle,
    cases=depends_cases,
    mistakes=depends_mistakes,
)
### BEGIN HIDDEN TESTS
_x = np.arange(12.0).reshape(4, 3)
assert np.array_equal(
    depends(delayed, _x), np.eye(4, dtype=bool) | np.eye(4, k=-2, dtype=bool)
)
assert np.array_equal(depends(lambda x: -x[::-1], _x), np.eye(4)[::-1] > 0)
_kept = _x.copy()
assert not depends(lambda x: 0 * x, _x).any() and np.array_equal(_x, _kept)
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Four models are said to be causal. Which of them let an output depend on a *later* input? Measure each, and answer with the letters in alphabetical order, in quotes, such as `"ad"`.
"""


# %%
def attend(x, mask):
    """Attention of x to itself, without matrices."""
    scores = x @ x.T / x.shape[1] ** 0.5
    return softmax(np.where(mask, scores, -1e9)) @ x


def centred(x, axis):
    return x - x.mean(axis=axis, keepdims=True)


def shifted(x):
    return np.concatenate([np.zeros((1, x.shape[1])), x[:-1]])


look_back = np.tril(np.ones((6, 6), bool))
boxes = {
    "a": lambda x: x + attend(centred(x, axis=1), look_back),
    "b": lambda x: (
        x + attend(centred(x, axis=1), np.tril(look_back | True, k=1))
    ),
    "c": lambda x: x + attend(centred(x, axis=0), look_back),
    "d": lambda x: attend(centred(shifted(x), axis=1), look_back),
}
x_boxes = np.random.default_rng(1).normal(size=(6, 4))

# %% nbgrader={"grade": false, "grade_id": "leaks", "locked": false, "schema_version": 3, "solution": true, "task": false}
leaking = ...
### BEGIN SOLUTION
leaking = "".join(
    name
    for name, box in boxes.items()
    if np.triu(depends(box, x_boxes), 1).any()
)
### END SOLUTION

# %%
maps = {name: depends_oracle(boxes[name], x_boxes) for name in boxes}
leaking_oracle = "".join(name for name in maps if np.triu(maps[name], 1).any())

# %% nbgrader={"grade": true, "grade_id": "leaks_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "the boxes that leak",
    leaking,
    expected=leaking_oracle,
    mistakes={
        "That one leaks, and another one does so without touching the mask: "
        "what does its normalisation average over?": "b",
        "That one leaks, and so does one whose mask reaches a place too "
        "far.": "c",
        "One of them is late by a place: its outputs see less than they may, "
        "not more.": "bcd",
        "Look above the diagonal: row t, column s, with s later than t.": "abcd",
        "These are the honest ones. Asked for are those that leak.": "ad",
    },
)
### BEGIN HIDDEN TESTS
assert str(leaking).strip().lower() == "bc"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: count a newer model (2 points)

Llama 2 in its smallest size differs from GPT-2 in the parts that later models changed:

- vocabulary 32,000, vectors of $d = 4096$, 32 blocks;
- attention with 32 heads of 128 features, four matrices, *no biases*;
- an MLP of *three* matrices: two from $d$ to 11,008 (one of them is a gate), one back, no biases;
- normalisation by the root mean square: *one* vector of scales each, two in a block and one at the end;
- rotary positions, which have *no parameters*;
- an *untied* output: its own matrix, as large as the token table.

How many parameters has it?
"""

# %% nbgrader={"grade": false, "grade_id": "llama", "locked": false, "schema_version": 3, "solution": true, "task": false}
llama = ...
### BEGIN SOLUTION
d, wide = 4096, 11_008
llama = 2 * 32_000 * d + 32 * (4 * d * d + 3 * d * wide + 2 * d) + d
### END SOLUTION


# %%
def count_llama(tables=2, mlp_matrices=3, norms=2, biases=0, last=1):
    """Sum of the sizes of all arrays, one after the other."""
    shapes = [(32_000, 4096)] * tables + [(4096,)] * last
    for _ in range(32):
        shapes += [(4096, 4096)] * 4 + [(4096, 11_008)] * mlp_matrices
        shapes += [(4096,)] * norms + [(4096,)] * biases
    return sum(int(np.prod(shape)) for shape in shapes)


# %% nbgrader={"grade": true, "grade_id": "llama_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "parameters of Llama 2",
    llama,
    expected=count_llama(),
    tolerance=1e-12,
    mistakes={
        "The output is not tied: it has a table of its own.": count_llama(
            tables=1
        ),
        "The gate is a third matrix in the MLP.": count_llama(mlp_matrices=2),
        "A scale and a shift is GPT-2's normalisation. Here: scales "
        "only.": count_llama(norms=4, last=2),
        "One normalisation is left, after the last block.": count_llama(last=0),
        "The normalisations of the blocks are missing.": count_llama(norms=0),
        "No biases here.": count_llama(biases=4),
    },
)
### BEGIN HIDDEN TESTS
assert int(llama) == 6_738_415_616
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: top-p sampling (3 points)

Top-k (chapter 09) keeps the same number of tokens whether the model is sure or not. **Top-p** keeps as many as it needs: sort the tokens by probability, and keep the most probable ones until their sum reaches $p$ for the first time (the token that reaches it included). The others get 0; what is kept is divided by its sum, and every token stays in its place.
"""


# %% nbgrader={"grade": false, "grade_id": "top_p", "locked": false, "schema_version": 3, "solution": true, "task": false}
def top_p(q, p):
    """Probabilities q (v,) that add up to 1, and 0 < p ≤ 1 → (v,)."""
    ### BEGIN SOLUTION
    order = np.argsort(-q)
    num_kept = np.searchsorted(q[order].cumsum(), p) + 1
    result = np.zeros_like(q)
    result[order[:num_kept]] = q[order[:num_kept]]
    return result / result.sum()
    ### END SOLUTION


# %%
def kept_by_loop(q, p, one_less=False, least=False):
    """Take the most probable token that is left until p is reached."""
    left, kept, total = dict(enumerate(q)), np.zeros(len(q)), 0.0
    while total < p and left:
        best = (min if least else max)(left, key=left.get)
        total += left[best]
        if one_less and total >= p and kept.any():
            break
        kept[best] = left.pop(best)
    return kept


def top_p_oracle(q, p):
    kept = kept_by_loop(q, p)
    return kept / kept.sum()


def normalised(kept):
    return kept / kept.sum()


# %%
top_p_mistakes = {
    "What is kept must add up to 1 again.": kept_by_loop,
    "The token that reaches p is kept too.": (
        lambda q, p: normalised(kept_by_loop(q, p, one_less=True))
    ),
    "Every token stays in its place: undo the sorting.": (
        lambda q, p: -np.sort(-top_p_oracle(q, p))
    ),
    "You begin with the least probable token.": (
        lambda q, p: normalised(kept_by_loop(q, p, least=True))
    ),
    "The sum has to reach p, not each token by itself.": (
        lambda q, p: normalised(np.where(q >= min(p, q.max()), q, 0))
    ),
    "Keep the probabilities' proportions: those kept are not all alike.": (
        lambda q, p: normalised(1.0 * (kept_by_loop(q, p) > 0))
    ),
}
top_p_cases = [
    (np.array([0.10, 0.45, 0.05, 0.25, 0.15]), 0.8),
    (np.array([0.02, 0.03, 0.05, 0.9]), 0.93),
    (softmax(np.random.default_rng(2).normal(size=12)), 0.6),
]

# %% nbgrader={"grade": true, "grade_id": "top_p_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "top-p",
    top_p,
    expected=top_p_oracle,
    cases=top_p_cases,
    mistakes=top_p_mistakes,
)
### BEGIN HIDDEN TESTS
_q = np.array([0.4, 0.1, 0.3, 0.2])
assert np.allclose(top_p(_q, 0.65), np.array([4, 0, 3, 0]) / 7)
assert np.allclose(top_p(_q, 0.75), np.array([4, 0, 3, 2]) / 9)
assert np.allclose(top_p(_q, 0.3), [1, 0, 0, 0])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: readers on one card (2 points)

Serve that Llama 2 (Question 2; you need no answer there) with a context of 4,096 tokens. Every head keeps its own keys and values, in 16-bit numbers.

**(a)** How many bytes is the key-value cache of one full context?
"""

# %% nbgrader={"grade": false, "grade_id": "cache", "locked": false, "schema_version": 3, "solution": true, "task": false}
cache = ...
### BEGIN SOLUTION
cache = 2 * 32 * 32 * 128 * 4096 * 2
### END SOLUTION


# %%
def cache_of(arrays=2, bytes_each="float16", num_blocks=32, heads=32):
    """Bytes of what one token leaves in every block, times 4,096."""
    one_token = np.zeros((num_blocks, arrays, heads, 128), bytes_each)
    return 4096 * one_token.nbytes


# %% nbgrader={"grade": true, "grade_id": "cache_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "bytes of a cache",
    cache,
    expected=cache_of(),
    mistakes={
        "Half of what it should be: keys and values are two arrays, and 16 bits "
        "are two bytes. Which of the twos is missing?": cache_of(arrays=1),
        "That would be 32-bit numbers.": cache_of(bytes_each="float32"),
        "Every head of every block keeps its own: one of the two factors is "
        "missing.": cache_of(heads=1),
    },
)
### BEGIN HIDDEN TESTS
assert cache == 2**31
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** A card has 24 GB (24 · 10⁹ bytes). The model's 6.74 billion parameters are on it in 16-bit numbers too. How many readers with full contexts fit beside them? (A whole number.)
"""

# %% nbgrader={"grade": false, "grade_id": "readers", "locked": false, "schema_version": 3, "solution": true, "task": false}
readers = ...
### BEGIN SOLUTION
readers = (24 * 10**9 - 2 * 6_738_415_616) // 2**31
### END SOLUTION


# %%
def readers_oracle(bytes_of_weight=2, free=0):
    left = 24e9 - bytes_of_weight * count_llama() + free
    return int(np.floor(left / cache_of()))


# %% nbgrader={"grade": true, "grade_id": "readers_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "readers on a card",
    readers,
    expected=readers_oracle(),
    mistakes={
        "The weights lie on the card too.": readers_oracle(bytes_of_weight=0),
        "16 bits are two bytes a parameter.": readers_oracle(bytes_of_weight=1),
        "The last one would not fit whole: round down.": readers_oracle() + 1,
    },
)
### BEGIN HIDDEN TESTS
assert readers == 4
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: the window moves (1 point)

A colleague writes with the lesson's model, the one with a table of 48 positions, and a cache. When 48 places are full, she throws away the *oldest* key and value of each block and goes on, giving every new token position 47. Up to there her text is the same, token for token, as without a cache. From there on the two differ: without a cache, the last 48 tokens are read anew at every step. Why?

- `"a"`: rounding: after 48 places the small differences have added up
- `"b"`: the kept keys and values were made with other positions, and from vectors that had seen the token that is gone
- `"c"`: the new token's query is not masked, so it sees the future
- `"d"`: the softmax now has one score too few, so its weights no longer add up to one
"""

# %% nbgrader={"grade": false, "grade_id": "window", "locked": false, "schema_version": 3, "solution": true, "task": false}
why = ...
### BEGIN SOLUTION
why = "b"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "window_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "why the texts differ",
    why,
    expected=chr(98),
    mistakes={
        "Rounding differs in the last digits from the first token on, and does "
        "not grow to a step at place 49.": "a",
        "The newest token has no future: whatever is in the cache is "
        "earlier.": "c",
        "A softmax adds up to one for any number of scores.": "d",
    },
)
### BEGIN HIDDEN TESTS
assert str(why).strip().lower() == chr(98)
### END HIDDEN TESTS
