# %% [markdown]
r"""
# Exercises: attention

Five questions on [chapter 10](../10_attention.ipynb), 12 points, about 45 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
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
from keras import layers, ops

from course_lib import checks, plots

# %% [markdown]
r"""
## Question 1: masked attention (3 points)

Write attention for one head. `q` is $(n, d)$, `k` is $(m, d)$, `v` is $(m, v)$, and `mask` $(n, m)$ is true where a query may look; every query may look somewhere. Return the answers $(n, v)$. Use NumPy and no loop.
"""


# %% nbgrader={"grade": false, "grade_id": "masked", "locked": false, "schema_version": 3, "solution": true, "task": false}
def masked_attention(q, k, v, mask):
    """Answers (n, v) of queries q (n, d) that look at keys k and values v."""
    ### BEGIN SOLUTION
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[1]), -np.inf)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True) @ v
    ### END SOLUTION


# %% [markdown]
r"""
The oracle is Keras's operation. With the identity in place of the values it hands out its map, which is how the check makes its wrong answers.
"""


# %%
def by_keras(q, k, v, mask=None, **options):
    """keras.ops.dot_product_attention for one head."""
    q, k, v = (part[None, :, None].astype("float32") for part in (q, k, v))
    mask = None if mask is None else mask[None, None]
    with keras.device("cpu:0"):  # a GPU may round what it multiplies
        answers = ops.dot_product_attention(q, k, v, mask=mask, **options)
    return ops.convert_to_numpy(answers)[0, :, 0]


def map_by_keras(q, k, mask=None, **options):
    return by_keras(q, k, np.eye(len(k)), mask, **options)


# %%
def wrong_axis(q, k, v, mask):
    """Keys look at queries: the columns of the map add up to one."""
    return map_by_keras(k, q, mask.T).T @ v


def hidden_score_of_zero(q, k, v, mask):
    bias = np.where(mask, 0, -(q @ k.T) / q.shape[1] ** 0.5)
    return by_keras(q, k, v, bias=bias[None, None].astype("float32"))


# %%
masked_mistakes = {
    "The scores grow with the length of the vectors: what are they divided "
    "by?": lambda q, k, v, mask: by_keras(q, k, v, mask, scale=1.0),
    "Divide by the root of d, not by d.": lambda q, k, v, mask: by_keras(
        q, k, v, mask, scale=1 / q.shape[1]
    ),
    "The mask is not used.": lambda q, k, v, mask: by_keras(q, k, v),
    "The mask is the wrong way round: true means may look.": (
        lambda q, k, v, mask: by_keras(q, k, v, ~mask)
    ),
    "The weights of a row don't add up to one: the mask comes before the "
    "softmax.": lambda q, k, v, mask: (map_by_keras(q, k) * mask) @ v,
    "The softmax runs over the wrong axis: each query shares its attention "
    "out.": wrong_axis,
    "A score of 0 hides nothing: its exponential is 1.": hidden_score_of_zero,
}

# %%
rng = np.random.default_rng(3)


def attention_case(n, m, d):
    """Random queries, keys and values; a mask with both kinds in each line."""
    mask = rng.random((n, m)) < 0.5
    for i in range(max(n, m)):
        mask[i % n, i % m], mask[i % n, (i + 1) % m] = True, False
    shapes = ((n, d), (m, d), (m, 3))
    return (*(rng.normal(size=shape) for shape in shapes), mask)


attention_cases = [attention_case(5, 5, 8), attention_case(3, 4, 16)]

# %% nbgrader={"grade": true, "grade_id": "masked_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "masked attention",
    masked_attention,
    expected=by_keras,
    cases=attention_cases,
    tolerance=1e-5,
    mistakes=masked_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_q, hidden_k = np.array([[2.0, 0, 0, 0]]), np.eye(4)[:3] * np.log(3)
hidden_v = np.array([[8.0], [4.0], [100.0]])
hidden_mask = np.array([[True, True, False]])
hidden_answer = masked_attention(hidden_q, hidden_k, hidden_v, hidden_mask)
assert np.allclose(hidden_answer, [[7.0]])
hidden_case = attention_case(6, 7, 32)
assert np.allclose(
    masked_attention(*hidden_case), by_keras(*hidden_case), atol=1e-5
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: heads, split and joined (2 points)

To compute all scores as `q @ k`, a library wants the keys of each head already transposed: from `k` $(n, d)$ make an array of shape (heads, $d$ / heads, $n$). Head 0 gets the first $d$ / heads features of every word, head 1 the next, and so on.
"""


# %% nbgrader={"grade": false, "grade_id": "split", "locked": false, "schema_version": 3, "solution": true, "task": false}
def transposed_keys(k, num_heads):
    """Keys (n, d) → (heads, d / heads, n)."""
    ### BEGIN SOLUTION
    return k.T.reshape(num_heads, -1, len(k))
    ### END SOLUTION


# %%
def keys_oracle(k, num_heads):
    return np.stack([part.T for part in np.split(k, num_heads, axis=1)])


def cut_along_words(k, num_heads):
    """A reshape of (n, d) to (heads, n, d / heads), then the swap."""
    return np.swapaxes(k.reshape(num_heads, len(k), -1), 1, 2)


def only_reshaped(k, num_heads):
    return k.reshape(num_heads, -1, len(k))


def dealt_out(k, num_heads):
    return np.stack([k[:, head::num_heads].T for head in range(num_heads)])


def not_transposed(k, num_heads):
    return np.swapaxes(keys_oracle(k, num_heads), 1, 2)


# %%
split_mistakes = {
    "Head 0 has several features of few words. Cut the features, not the "
    "words.": cut_along_words,
    "A reshape alone mixes words and features: one of the axes has to move "
    "first.": only_reshaped,
    "Head 0 gets neighbouring features, not every so-many-th one.": dealt_out,
    "The heads are right; each is still to be transposed.": not_transposed,
}
split_cases = [
    (np.arange(30.0).reshape(5, 6), 2),
    (rng.normal(size=(4, 12)), 3),
]

# %% nbgrader={"grade": true, "grade_id": "split_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "heads split",
    transposed_keys,
    expected=keys_oracle,
    cases=split_cases,
    mistakes=split_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_keys = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
assert np.array_equal(
    transposed_keys(hidden_keys, 2),
    [[[1, 5, 9], [2, 6, 10]], [[3, 7, 11], [4, 8, 12]]],
)
### END HIDDEN TESTS

# %% [markdown]
r"""
Each head has answered: `parts` has the shape (heads, $n$, $d$ / heads). Join them to $(n, d)$, head 0's features first.
"""


# %% nbgrader={"grade": false, "grade_id": "join", "locked": false, "schema_version": 3, "solution": true, "task": false}
def joined(parts):
    """Answers (heads, n, d / heads) → (n, d)."""
    ### BEGIN SOLUTION
    return np.swapaxes(parts, 0, 1).reshape(parts.shape[1], -1)
    ### END SOLUTION


# %%
def join_oracle(parts):
    return np.concatenate(list(parts), axis=1)


def features_shuffled(parts):
    """Feature 0 of all heads, then feature 1 of all heads, …"""
    return np.moveaxis(parts, 0, 2).reshape(parts.shape[1], -1)


join_mistakes = {
    "A reshape alone gives a word the features of other words: the heads are "
    "in front.": lambda parts: parts.reshape(parts.shape[1], -1),
    "Each head's features stay together: head 0's first, then head "
    "1's.": features_shuffled,
    "The heads are joined, not averaged: d features come out.": (
        lambda parts: parts.mean(axis=0)
    ),
    "Head 0 comes first.": lambda parts: join_oracle(parts[::-1]),
}

# %% nbgrader={"grade": true, "grade_id": "join_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "heads joined",
    joined,
    expected=join_oracle,
    cases=[(rng.normal(size=(2, 5, 3)),), (rng.normal(size=(3, 4, 4)),)],
    mistakes=join_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_parts = np.array([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]])
assert np.array_equal(
    joined(hidden_parts), [[1, 2, 7, 8], [3, 4, 9, 10], [5, 6, 11, 12]]
)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: which head does what (3 points)

A model with three heads and a causal mask has read eight words. Here are its maps; as always, a row is the word that looks, a column the word looked at.
"""

# %%
words = ["red", "fox", "and", "red", "hen", "saw", "red", "fox"]


def map_from(wishes):
    """A causal map whose scores are 6 where `wishes(i, j)` is true, else 0."""
    scores = np.array(
        [[6.0 * wishes(i, j) for j in range(8)] for i in range(8)]
    )
    powers = np.exp(scores) * np.tril(np.ones((8, 8)))
    return powers / powers.sum(axis=1, keepdims=True)


maps = np.stack(
    [
        map_from(lambda i, j: words[i] == words[j]),
        map_from(lambda i, j: i == j + 1),
        map_from(lambda i, j: j == 0),
    ]
)

# %%
fig, axes = plots.figure(1, 3, width=9.5, height=3.2)
for head, panel in enumerate(axes):
    panel.imshow(maps[head], cmap="Blues", vmin=0, vmax=1)
    panel.grid(False)
    panel.set_xticks(range(8), words, rotation=90)
    panel.set_yticks(range(8), words)
    panel.set(xlabel="looked at", ylabel="looks", title=f"head {head}")
plots.show(
    fig,
    "Three heads have three different maps of the same eight words (darker is "
    "more attention).",
)

# %% [markdown]
r"""
**(a)** What does each head do? Answer with three letters in quotes, head 0's first, such as `"aaa"`.

- a: looks at the word before
- b: looks at the word after
- c: looks at the same word, here and earlier
- d: looks at the first word of the text
- e: looks at all words alike
"""

# %% nbgrader={"grade": false, "grade_id": "roles", "locked": false, "schema_version": 3, "solution": true, "task": false}
roles = ...
### BEGIN SOLUTION
roles = "cad"
### END SOLUTION


# %%
def shares_of(attention_map):
    """Mean attention by role, over the words that have a choice."""
    rows, columns = np.indices((8, 8))
    same = np.array(words)[rows] == np.array(words)[columns]
    places = {"a": columns == rows - 1, "c": same, "d": columns == 0}
    return {
        role: (attention_map * at)[2:].sum() / 6 for role, at in places.items()
    }


right_roles = "".join(max(s, key=s.get) for s in map(shares_of, maps))

# %% nbgrader={"grade": true, "grade_id": "roles_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "which head does what",
    roles,
    expected=right_roles,
    mistakes={
        "Rows look, columns are looked at. Under a causal mask no head can look "
        "at the word after.": right_roles.replace("a", "b"),
        "Those are the three roles, in another order. Head 0 comes "
        "first.": right_roles[::-1],
        "Head 2 is not even: follow a row from left to right.": (
            right_roles.replace("d", "e")
        ),
        "Head 0's diagonal is the word itself; look at the last two rows as "
        "well.": right_roles.replace("c", "a"),
    },
)
### BEGIN HIDDEN TESTS
assert str(roles).strip().lower() == "cad"
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** With hundreds of heads nobody looks at pictures. Write a number that finds the heads that look at the word before: given maps (heads, $n$, $n$), return for each head the share of attention that words 1 to $n-1$ put on their predecessor, averaged over these words.
"""


# %% nbgrader={"grade": false, "grade_id": "previous", "locked": false, "schema_version": 3, "solution": true, "task": false}
def share_on_previous(maps):
    """Maps (heads, n, n) → share on the word before, (heads,)."""
    ### BEGIN SOLUTION
    return np.diagonal(maps, offset=-1, axis1=1, axis2=2).mean(axis=1)
    ### END SOLUTION


# %%
def previous_oracle(maps, step=1):
    """One word of one head at a time."""
    found = [
        [
            head[i, i - step]
            for i in range(max(step, 0), len(head) + min(step, 0))
        ]
        for head in maps
    ]
    return np.mean(found, axis=1)


# %%
previous_mistakes = {
    "This is the word after: rows look, columns are looked at.": (
        lambda maps: previous_oracle(maps, step=-1)
    ),
    "This is each word's attention to itself.": (
        lambda maps: previous_oracle(maps, step=0)
    ),
    "Word 0 has no predecessor: average over the other words only.": (
        lambda maps: previous_oracle(maps) * (1 - 1 / maps.shape[1])
    ),
    "A sum is not a share: take the mean over the words.": (
        lambda maps: previous_oracle(maps) * (maps.shape[1] - 1)
    ),
    "One number for each head, please, not one for all.": (
        lambda maps: previous_oracle(maps).mean()
    ),
}
random_maps = rng.random((2, 4, 6, 6))
random_maps /= random_maps.sum(axis=-1, keepdims=True)

# %% nbgrader={"grade": true, "grade_id": "previous_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "share on the word before",
    share_on_previous,
    expected=previous_oracle,
    cases=[(random_maps[0],), (random_maps[1, :3, :5, :5],)],
    mistakes=previous_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_maps = np.zeros((2, 3, 3))
hidden_maps[0, 1, 0], hidden_maps[0, 2, 1], hidden_maps[1, 2, 1] = 0.5, 0.7, 1
hidden_maps[:, 0, 0] = 1
assert np.allclose(share_on_previous(hidden_maps), [0.6, 0.5])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: a context of 128 thousand words (3 points)

A model with 70 billion parameters has 80 layers, vectors of 8,192 features, 64 query heads of 128 features each, and 8 heads for keys and values. Its context is 131,072 tokens, its numbers take 2 bytes each.

**(a)** How many bytes does the key-value cache of one full context take?
"""

# %% nbgrader={"grade": false, "grade_id": "cache", "locked": false, "schema_version": 3, "solution": true, "task": false}
cache = ...
### BEGIN SOLUTION
cache = 2 * 80 * 8 * 128 * 131_072 * 2
### END SOLUTION


# %%
def cache_of(num_heads, num_layers=80, words=131_072):
    """Counted from the weights: a word's keys and values are W's columns."""
    shared = layers.GroupQueryAttention(128, num_heads, num_heads)
    shared.build((None, None, 8), (None, None, 8))
    numbers = sum(int(np.prod(w.shape[1:])) for w in shared.weights[2:6:2])
    return numbers * num_layers * 2 * words


# %% nbgrader={"grade": true, "grade_id": "cache_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "bytes of the cache",
    cache,
    expected=cache_of(8),
    mistakes={
        "That is half of it. Keys *and* values are kept, and a number takes two "
        "bytes.": cache_of(8) // 2,
        "Only the heads of keys and values are kept, not the queries'.": (
            cache_of(64)
        ),
        "That is one layer's; every layer has its own.": cache_of(8, 1),
        "Please in bytes, not in GB.": cache_of(8) / 1e9,
        "128 thousand words are 131,072 here.": cache_of(8, words=128_000),
    },
    tolerance=1e-9,
)
### BEGIN HIDDEN TESTS
assert cache == 42_949_672_960
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Reading a whole text of $n$ words without a cache, from which $n$ on do scores and blends take *more* operations than the layer's four dense layers (queries, keys, values, output)? Count the multiplications and additions of the matrix products; no causal saving, no biases. The lesson's $2d$ holds when keys and values have as many heads as queries; here they have 8 of 64. Give the $n$ at which the two are equal.
"""

# %% nbgrader={"grade": false, "grade_id": "equal", "locked": false, "schema_version": 3, "solution": true, "task": false}
equal_at = ...
### BEGIN SOLUTION
equal_at = 8192 + 8 * 128  # 4 n d (d + 1024) = 4 n² d
### END SOLUTION


# %%
def equal_for(heads_kept, d=8192):
    """By trying: n at which 2 n · weights = 4 n² d."""
    weights = 2 * d * d + 2 * d * heads_kept * 128
    tried = np.arange(1, 100_000)
    return int(tried[np.argmin(np.abs(4 * tried * d - 2 * weights))])


# %% nbgrader={"grade": true, "grade_id": "equal_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "n at which both cost the same",
    equal_at,
    expected=equal_for(8),
    mistakes={
        "That is without sharing: here the keys' and values' layers are "
        "smaller.": equal_for(64),
        "The keys' and values' layers are smaller, but not gone.": equal_for(0),
        "Scores and blends are two products, and each takes 2n²d operations.": 2
        * equal_for(8),
        "A weight of the dense layers takes a multiplication and an "
        "addition.": equal_for(8) // 2,
        "Sharing leaves the scores and blends alone: every query head still "
        "looks for itself.": 8 * equal_for(8),
    },
    tolerance=1e-9,
)
### BEGIN HIDDEN TESTS
assert equal_at == 9216
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: the list that must not matter (1 point)

A shop ranks a customer's 50 candidate products with self-attention over the 50, one score each. A tester shuffles the list and some scores change. They should not: the list has no meaningful order. The colleague who built it took the layer from a language model, with sinusoids added to the vectors and no mask. What is the remedy?

- `"a"`: train on many shuffled lists until the scores stop changing
- `"b"`: leave the sinusoids out
- `"c"`: replace the sinusoids by rotary positions, which depend on distances only
- `"d"`: add a causal mask
"""

# %% nbgrader={"grade": false, "grade_id": "remedy", "locked": false, "schema_version": 3, "solution": true, "task": false}
remedy = ...
### BEGIN SOLUTION
remedy = "b"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "remedy_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "the remedy",
    remedy,
    expected=chr(98),
    mistakes={
        "That makes the changes smaller and promises nothing. There is a way "
        "that is exact and free.": "a",
        "Shuffling a list changes the distances between its items too.": "c",
        "With a causal mask each product sees those before it: the order matters "
        "even more.": "d",
    },
)
### BEGIN HIDDEN TESTS
assert str(remedy).strip().lower() == "b"
### END HIDDEN TESTS
