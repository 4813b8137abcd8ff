# %% [markdown]
r"""
# Attention

Two matrix products and a softmax are the only place in a large language model where words meet; they are why it can follow a conversation, and why a long context costs what it costs.
"""

# %% [markdown]
r"""
## You will be able to

- compute attention by loops, as matrices, in many heads and with masks, and show that Keras's operation and Keras's layer give the same numbers to $10^{-5}$;
- say what $\sqrt{d_k}$ is for, and measure what happens without it;
- test a mask: forbidden places get exactly zero, and the future changes nothing in the past;
- give words an order, by sinusoids and by rotation, and show what each guarantees;
- train a model that must attend, read its map, test your reading, and work out what a context of 128 thousand words costs.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 03](03_losses_and_activations.ipynb) for the softmax, logits and saturation, [chapter 04](04_backpropagation.ipynb) for matrices with their shapes, [chapter 05](05_mlp.ipynb) for the dense layer and `training.fit`, [chapter 08](08_cnn.ipynb) for multiply-adds and for layers that move with their input. Chapter 09 explains tokens and embeddings; here it is enough to know that each word of a text has become a vector of $d$ numbers. (Models read tokens, which are words or pieces of words; this chapter says words.) From mathematics: the dot product of two vectors, sine and cosine.
"""

# %% [markdown]
r"""
## Budget

50 minutes to read · about 20 s to run on two CPU cores · 2 GB of memory
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
from keras import layers, ops
from threadpoolctl import threadpool_limits

from course_lib import checks, plots, training

# %% [markdown]
r"""
## A dictionary that answers with a blend

A Python dictionary holds keys and values. You come with a word; if it equals one of the keys, you get that key's value, and otherwise an error. **Attention** is a dictionary that forgives. You come with a vector, the **query** $q$. It is compared with every **key** $k_j$, also a vector. Each comparison gives a score, a softmax turns the scores into weights $a_j$ that add up to one, and the answer is the blend of all **values** $v_j$ with these weights:

$$s_j = \frac{q \cdot k_j}{\sqrt{d_k}}, \qquad a_j = \frac{e^{s_j}}{\sum_i e^{s_i}}, \qquad o = \sum_j a_j v_j.$$

$d_k$ is the length of the query and of each key; why its root stands there gets a section of its own. Unlike a lookup, a blend has a gradient: if the answer should have been more like $v_3$, the query and $k_3$ can be moved towards each other.

With a pencil: $q = (1, 1, 0, 2)$, so $\sqrt{d_k} = 2$, and three keys with

$$k_1 = (2, 0, 1, 1), \quad k_2 = (1, 1, 3, 0), \quad k_3 = (1, -1, 2, 0).$$

The dot products are 4, 2 and 0, the scores 2, 1 and 0. Their exponentials are 7.39, 2.72 and 1, together 11.11, and the weights 0.67, 0.24 and 0.09. In code, one number at a time:
"""


# %% tags=["attention"]
def attend_one(query, keys, values):
    """(d,), (m, d), (m, v) → the answer (v,) and the weights (m,)."""
    scores = []
    for key in keys:
        dot = 0.0
        for i in range(len(query)):
            dot += query[i] * key[i]
        scores.append(dot / len(query) ** 0.5)
    powers = [np.exp(score - max(scores)) for score in scores]
    weights = [power / sum(powers) for power in powers]
    answer = np.zeros(values.shape[1])
    for weight, value in zip(weights, values, strict=True):
        answer += weight * value
    return answer, np.array(weights)


# %%
query = np.array([1.0, 1.0, 0.0, 2.0])
keys = np.array([[2.0, 0, 1, 1], [1.0, 1, 3, 0], [1.0, -1, 2, 0]])
values = np.array([[10.0, 0], [0, 10.0], [5.0, 5.0]])
answer, weights = attend_one(query, keys, values)
print("weights:", weights.round(2), "sum:", round(weights.sum(), 6))
print("answer: ", answer.round(2))

# %% [markdown]
r"""
The answer leans towards the first value, (10, 0), because the first key fits best, and has a little of the others. The query has a 0 in its third place: it does not care about the third feature, however large it is in the keys.

## All queries at once

Put $n$ queries into the rows of a matrix $Q$, and $m$ keys and values into the rows of $K$ and $V$. All dot products are one matrix product, and so are all blends:

$$\mathrm{attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt{d_k}}\right) V$$

| array | shape | axes |
|---|---|---|
| $Q$ | $(n, d_k)$ | (query, feature) |
| $K$ | $(m, d_k)$ | (key, feature) |
| $V$ | $(m, d_v)$ | (key, feature of the answer) |
| $A = \mathrm{softmax}(\dots)$ | $(n, m)$ | (query, key) |
| answers $AV$ | $(n, d_v)$ | (query, feature of the answer) |

$A$ is the **attention map**: row $i$ says how query $i$ spreads its attention over the keys. The softmax runs along each row, over the last axis. The dots in the code's shapes are any axes in front, for batches and for what is called heads below.
"""


# %% tags=["attention"]
def softmax(scores):
    """Softmax over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(q, k, v):
    """(..., n, d), (..., m, d), (..., m, v) → (..., n, v), the map."""
    scores = q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5  # (..., n, m)
    weights = softmax(scores)
    return weights @ v, weights


# %%
rng = np.random.default_rng(run.seed)
q = rng.normal(size=(5, 8))  # 5 queries
k, v = rng.normal(size=(7, 8)), rng.normal(size=(7, 8))  # 7 keys and values
answers, attention_map = attention(q, k, v)
print("answers", answers.shape, "map", attention_map.shape)

# %% [markdown]
r"""
Keras has the same as an operation. It wants four axes, (batch, position, head, feature); for now there is one batch and one head.
"""


# %%
def by_keras(q, k, v, **options):
    """keras.ops.dot_product_attention of (n, d), (m, d), (m, v) in NumPy."""
    q, k, v = (part[None, :, None].astype("float32") for part in (q, k, v))
    answers = ops.dot_product_attention(q, k, v, **options)
    return ops.convert_to_numpy(answers)[0, :, 0]


by_loops = np.stack([attend_one(row, k, v)[0] for row in q])
with keras.device("cpu:0"):  # a GPU may round what it multiplies
    checks.agree(
        "loops, matrices and Keras", by_loops, answers, by_keras(q, k, v)
    )
row_sums = attention_map.sum(axis=-1)
checks.claim("largest row sum less 1", abs(row_sums - 1).max(), at_most=1e-12)

# %% [markdown]
r"""
## Where queries, keys and values come from

From the words, by three dense layers: $Q = XW_q + b_q$ says what each word looks for, $K = YW_k + b_k$ by what each word can be found, $V = YW_v + b_v$ what it hands over when found. If the words look at each other, $X$ and $Y$ are the same text: **self-attention**. If one text looks at another, a translation at its original, or questions at a page of facts, it is **cross-attention**.

Compare it with the layers you know. A dense layer's weights belong to places; a convolution's weights are shared by all places; both are fixed once training is over. Attention's map is computed anew from each text. What is learned are the three matrices that compute it, and their size knows nothing of the text's length: the same parameters read five words or five thousand.

## Several heads

One map can look for one thing at a time. "The dog that chased the cats is tired": *is* must look for its subject, and for what kind of word comes next. So the $d$ features are cut into $h$ slices of $d/h$, each slice attends for itself, and the answers are joined and mixed by one more dense layer. Each slice with its own map is a **head**, the whole is **multi-head attention**. The cost hardly changes: $h$ small products in place of a large one.

The cut is a reshape and a swap of axes; the swap matters, because attention works on the last two axes, (position, feature), and must leave the heads alone.
"""


# %% tags=["attention"]
def split_heads(x, num_heads):
    """(..., n, d) → (..., heads, n, d / heads)."""
    parts = x.reshape(
        *x.shape[:-1], num_heads, -1
    )  # (..., n, heads, d / heads)
    return np.swapaxes(parts, -2, -3)


def join_heads(parts):
    """(..., heads, n, d / heads) → (..., n, d)."""
    x = np.swapaxes(parts, -2, -3)  # (..., n, heads, d / heads)
    return x.reshape(*x.shape[:-2], -1)


# %%
features = np.arange(12).reshape(2, 6)  # 2 words, 6 features
print(features)
print(split_heads(features, 3))
checks.agree(
    "split, then joined", join_heads(split_heads(features, 3)), features
)

# %% [markdown]
r"""
Three heads, each with two words of two features: the first head has features 0 and 1 of both words. A `reshape` alone to `(3, 2, 2)` would have the right shape and give the first head all of word 0's features 0 to 3: words and features mixed up, and no error message.

Multi-head attention has four weight matrices and four biases, $4d^2 + 4d$ parameters.
"""


# %% tags=["attention"]
def multi_head(x, y, parameters, num_heads, **options):
    """Words x (..., n, d) look at words y (..., m, d) → (..., n, d), maps."""
    Wq, bq, Wk, bk, Wv, bv, Wo, bo = parameters
    q = split_heads(x @ Wq + bq, num_heads)  # (..., heads, n, d / heads)
    k = split_heads(y @ Wk + bk, num_heads)  # (..., heads, m, d / heads)
    v = split_heads(y @ Wv + bv, num_heads)
    answers, maps = attention(q, k, v, **options)
    return join_heads(answers) @ Wo + bo, maps


def new_parameters(d, rng):
    """Random weights and biases: Wq, bq, Wk, bk, Wv, bv, Wo, bo."""
    shapes = [(d, d), (d,)] * 4
    return [rng.normal(size=shape) / d**0.5 for shape in shapes]


# %% [markdown]
r"""
The same parameters into Keras's layer. Its weights have an axis for the heads, so $W_q$ of $(d, d)$ becomes (d, head, feature); the layer is called with queries' words first, then keys' and values' words.
"""


# %% tags=["attention"]
def keras_layer(parameters, num_heads):
    """A MultiHeadAttention layer that holds our parameters."""
    d = len(parameters[0])
    layer = layers.MultiHeadAttention(
        num_heads, d // num_heads, dtype="float32"
    )
    layer.build((None, None, d), (None, None, d))
    shapes = [tuple(weight.shape) for weight in layer.weights]
    arranged = [p.reshape(s) for p, s in zip(parameters, shapes, strict=True)]
    layer.set_weights(arranged)
    return layer


# %%
x = rng.normal(size=(2, 5, 12)).astype("float32")  # 2 texts, 5 words
y = rng.normal(size=(2, 7, 12)).astype("float32")  # 7 words to look at
parameters = new_parameters(12, rng)
mixed, maps = multi_head(x, y, parameters, num_heads=3)
layer = keras_layer(parameters, num_heads=3)
print("words", mixed.shape, "maps", maps.shape)
print("Keras's query weights", tuple(layer.weights[0].shape))
print(f"{layer.count_params()} parameters, 4 · 12² + 4 · 12 = {4 * 144 + 48}")

# %%
with keras.device("cpu:0"):
    from_layer, layer_maps = layer(x, y, return_attention_scores=True)
    checks.agree(
        "matrices and Keras's layer", mixed, ops.convert_to_numpy(from_layer)
    )
    checks.agree(
        "their maps", maps, ops.convert_to_numpy(layer_maps), tolerance=1e-5
    )

# %% [markdown]
r"""
That is the whole mechanism. (PyTorch's `nn.MultiheadAttention` stacks the three matrices into one and transposes them; otherwise it is the same.)

## Why the root of d

Suppose that query and key are random, each feature with mean 0 and variance 1, as normalised features are. A product of two such numbers has mean 0 and variance 1 as well. A dot product adds up $d_k$ of them, and variances of independent numbers add: its variance is $d_k$, its standard deviation $\sqrt{d_k}$. Divide by that, and scores have the standard deviation 1 whatever the size of the head.

> **Predict, then run.** A query meets 64 random keys, with heads of 1,024 features. Nothing is learned yet. *Without* the division, the best of the 64 keys typically gets
> (a) 2 % of the attention, (b) a third, (c) nearly all?

To see how concentrated a row $a$ of the map is, take its entropy, $-\sum_j a_j \ln a_j$, in nats (chapter 09): 0 if one key has everything, $\ln 64 = 4.16$ if all 64 share alike. And measure the gradient: how far does the answer move when the query moves a little? The softmax's derivative is $\partial a_i/\partial s_j = a_i(\delta_{ij} - a_j)$, a matrix, here called `slopes`.
"""


# %%
def one_look(d, scale, rng):
    """Spread of the scores, largest weight, entropy and gradient of a query."""
    q, k, v = (rng.normal(size=shape) for shape in (d, (64, d), (64, 8)))
    scores = scale * (k @ q)
    a = softmax(scores)
    entropy = -np.sum(a * np.log(np.maximum(a, 1e-300)))
    slopes = np.diag(a) - np.outer(a, a)  # (64, 64)
    gradient = np.linalg.norm(v.T @ slopes @ k * scale)  # answer by query
    return scores.std(), a.max(), entropy, gradient


def typical(d, scale):
    """Medians over 200 random queries."""
    rng = np.random.default_rng([run.seed, d])
    return np.median([one_look(d, scale, rng) for _ in range(200)], axis=0)


# %% tags=["nbval-ignore-output"]
columns = ["spread of scores", "largest weight", "entropy", "gradient"]
measured = {}
for d in (4, 16, 64, 256, 1024):
    measured[d, "plain"] = typical(d, 1.0)
    measured[d, "divided"] = typical(d, d**-0.5)
table = pd.DataFrame(measured, index=columns).T
table.index.names = ["features", "scores"]
table.unstack("scores").map("{:.3g}".format)

# %%
plain, divided = measured[1024, "plain"], measured[1024, "divided"]
checks.claim(
    "spread at 1,024 features, plain", plain[0], at_least=28, at_most=36
)
checks.claim("spread, divided", divided[0], at_least=0.9, at_most=1.1)
checks.claim("largest share of attention, plain", plain[1], at_least=0.97)
checks.claim("largest share, divided", divided[1], at_least=0.05, at_most=0.2)
checks.claim("entropy in nats, plain", plain[2], at_most=0.15)
checks.claim("entropy, divided", divided[2], at_least=3.4, at_most=3.9)
checks.claim("gradient, divided over plain", divided[3] / plain[3], at_least=3)

# %%
fig, axes = plots.figure(1, 2)
sizes = [4, 16, 64, 256, 1024]
for panel, column, label in zip(
    axes, (2, 3), ("entropy (nats)", "gradient by the query"), strict=True
):
    series = {
        name: [measured[d, key][column] for d in sizes]
        for name, key in (("q·k", "plain"), ("q·k / √d", "divided"))
    }
    plots.lines(
        panel, sizes, series, xlabel="features of a head, d", ylabel=label
    )
    panel.set_xscale("log", base=2)
axes[1].set_yscale("log")
plots.show(
    fig,
    "Without the division the attention of a random query collapses onto one "
    "key as heads grow, and beyond 64 features its gradient collapses too; "
    "divided by √d, both stay where they are.",
)

# %% [markdown]
r"""
**Answer: (c).** (a) would be all alike, 1/64. Scores with a spread of 32 differ by many units even at the top, and the softmax turns a difference of 10 into a factor of 22,000. Such a row is saturated, as a sigmoid is far from 0 ([chapter 03](03_losses_and_activations.ipynb)): a random winner takes all, and moving the query changes next to nothing, so next to nothing is learned from it. In small heads the plain gradient is the larger one, because nothing divides it; from some 64 features on, saturation wins.

What the root does not do is keep the scores small for ever: $W_q$ and $W_k$ are learned and may sharpen a map as far as the task wants, as you will see. The root is about where training *starts*.
"""

# %% [markdown]
r"""
## Masks

Sometimes a query must not see a key. Texts in a batch have different lengths, and the shorter ones are filled up: a **padding mask** hides the filling. A model that predicts the next word must not look at it: a **causal mask** lets word $i$ see words 0 to $i$ only. A mask is a matrix of true and false, true where looking is allowed.

By loops there is nothing new: a hidden key is not there, and gets the weight zero.
"""


# %% tags=["attention"]
def attention_by_loops(q, k, v, mask):
    """(n, d), (m, d), (m, v), mask (n, m) → answers (n, v), the map (n, m)."""
    answers = np.zeros((len(q), v.shape[1]))
    weights = np.zeros((len(q), len(k)))
    for i in range(len(q)):
        seen = np.flatnonzero(mask[i])
        answers[i], weights[i, seen] = attend_one(q[i], k[seen], v[seen])
    return answers, weights


# %% [markdown]
r"""
With matrices, all scores are computed, and the forbidden ones set to $-\infty$ **before the softmax**: $e^{-\infty}$ is 0, and not merely small.
"""


# %% tags=["attention"]
def attention(q, k, v, mask=True):
    """As before, with a mask that fits the map (..., n, m): true may look."""
    scores = q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5  # (..., n, m)
    scores = np.where(mask, scores, -np.inf)
    weights = softmax(scores)
    return weights @ v, weights


def causal_mask(n):
    """(n, n): row i is true up to column i."""
    return np.tril(np.ones((n, n), dtype=bool))


tiny = np.random.default_rng(3).normal(size=(4, 2))
print(attention(tiny, tiny, tiny, causal_mask(4))[1].round(2))

# %% [markdown]
r"""
The first word can look at itself only, so its weight is 1. Every row still sums to one. Above the diagonal stands exactly zero.

Now everything at once: two texts of 6 and 4 words in a batch of length 6, causal *and* padded, in three heads. The padding mask has the shape (text, 1, 1, key), so that it applies to every head and every query.
"""

# %%
x = rng.normal(size=(2, 6, 12)).astype("float32")
lengths = np.array([6, 4])
padding = (np.arange(6) < lengths[:, None])[:, None, None]  # (text, 1, 1, key)
mask = padding & causal_mask(6)  # (text, 1, query, key)
mixed, maps = multi_head(x, x, parameters, num_heads=3, mask=mask)

with keras.device("cpu:0"):
    from_layer = layer(x, x, attention_mask=mask[:, 0])
    in_time = layer(x, x, use_causal_mask=True)  # causal alone is built in
from_layer, in_time = (
    ops.convert_to_numpy(from_layer),
    ops.convert_to_numpy(in_time),
)
checks.agree("matrices and layer, masked", mixed, from_layer)
checks.agree("our causal mask and Keras's", mixed[0], in_time[0])
seen = np.broadcast_to(mask, maps.shape)
print(
    "weights that are not exactly 0 where hidden:",
    np.count_nonzero(maps[~seen]),
)
print(
    "largest row sum less 1 below 1e-6:",
    bool(abs(maps.sum(-1) - 1).max() < 1e-6),
)

# %% [markdown]
r"""
And the same by loops and by Keras's operation, head by head. Keras's operation wants the heads on the third axis, so a reshape without a swap will do.
"""

# %%
Wq, bq, Wk, bk, Wv, bv, Wo, bo = parameters
loops = np.zeros((2, 6, 12))
for text in range(2):
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)  # this head's features
        q, k, v = (
            (x[text] @ W + b)[:, part]
            for W, b in ((Wq, bq), (Wk, bk), (Wv, bv))
        )
        loops[text, :, part] = attention_by_loops(q, k, v, mask[text, 0])[0]
q, k, v = (
    (x @ W + b).reshape(2, 6, 3, 4).astype("float32")
    for W, b in ((Wq, bq), (Wk, bk), (Wv, bv))
)
with keras.device("cpu:0"):
    operation = ops.dot_product_attention(q, k, v, mask=mask)
operation = ops.convert_to_numpy(operation).reshape(2, 6, 12)
checks.agree(
    "loops, matrices, operation, layer",
    loops @ Wo + bo,
    mixed,
    operation @ Wo + bo,
    from_layer,
)

# %% [markdown]
r"""
Four ways, the same numbers; the tests of this repository repeat it for random sizes, heads and masks. (A trap between libraries: in Keras true means *may look*; in PyTorch's `nn.MultiheadAttention` true means *must not*.)

Do not trust a causal mask by looking at it. Test what it promises: **change the future, and the past must not change.**
"""


# %%
def leak(attend, x, when):
    """Largest change before word `when` if all words from there on change."""
    changed = x.copy()
    changed[when:] += rng.normal(size=changed[when:].shape)
    return float(np.abs(attend(changed)[:when] - attend(x)[:when]).max())


words = rng.normal(size=(10, 12))
masked = leak(
    lambda x: multi_head(x, x, parameters, 3, mask=causal_mask(10))[0], words, 6
)
open_eyes = leak(lambda x: multi_head(x, x, parameters, 3)[0], words, 6)
checks.claim("change of the past, causal mask", masked, at_most=1e-12)
checks.claim("change of the past, no mask", open_eyes, at_least=0.01)

# %% [markdown]
r"""
> **Predict, then run.** A text of length zero slips into a batch: for its queries *every* key is hidden. Its row of the map will be
> (a) all zeros; (b) not a number; (c) depends on how the mask is made?
"""

# %%
scores = np.array([0.3, -1.2, 2.0])
nobody = np.zeros(3, dtype=bool)
with np.errstate(invalid="ignore"):
    print("minus infinity:  ", softmax(np.where(nobody, scores, -np.inf)))
print("minus a billion: ", softmax(np.where(nobody, scores, -1e9)).round(3))
print(
    "a billion off:   ",
    softmax(np.where(nobody, scores, scores - 1e9)).round(3),
)

# %% [markdown]
r"""
**Answer: (c).** With $-\infty$ the row is 0/0, and the NaN spreads through the network. Libraries therefore often write a large negative number: the row becomes uniform over keys that it must not see. And if that number is *added* to the score, the row looks as if there were no mask at all: the same amount off every score changes nothing, as you know from the softmax. None of the three warns you. The remedy is to ask no such question, or to throw its answer away.

## Attention knows no order

> **Predict, then run.** "Dog bites man" becomes "man bites dog": the word vectors are the same, only their order changes. There is no mask. What self-attention hands on at the word *dog*
> (a) changes, since the neighbours are different; (b) stays the same?
"""

# %%
vectors = dict(
    zip(("dog", "bites", "man"), rng.normal(size=(3, 12)), strict=True)
)


def at_word(sentence, word):
    """What multi-head attention hands on at a word of a sentence."""
    x = np.stack([vectors[each] for each in sentence])
    return multi_head(x, x, parameters, num_heads=3)[0][sentence.index(word)]


first, second = ["dog", "bites", "man"], ["man", "bites", "dog"]
for word in first:
    checks.agree(
        f"'{word}' in both", at_word(first, word), at_word(second, word)
    )

# %% [markdown]
r"""
**Answer: (b).** Nothing in the formula knows where a word stands; the sum over the keys has no order. Shuffle the inputs, and the outputs are shuffled in the same way, otherwise unchanged: attention is **permutation equivariant**. The test for texts of any length:
"""

# %%
x = rng.normal(size=(50, 12))
order = rng.permutation(50)
straight = multi_head(x, x, parameters, num_heads=3)[0]
shuffled = multi_head(x[order], x[order], parameters, num_heads=3)[0]
checks.agree("shuffled words, and shuffled answers", shuffled, straight[order])

# %% [markdown]
r"""
For a set, such as the hits of a search or the cards on a table, that is what you want. For a sentence it is fatal. (A causal mask does tell something: the third word sees three words. It is not much.) So positions have to be put into the vectors.

## Positions by sinusoids

The first transformer added to each word's vector a vector that depends on its position $p$ only, a **positional encoding**. Features come in pairs, and pair $i$ of $d/2$ turns like the hand of a clock, the first fast, the last slowly:

$$\mathrm{PE}_{p,\,2i} = \sin(p\,\omega_i), \qquad \mathrm{PE}_{p,\,2i+1} = \cos(p\,\omega_i), \qquad \omega_i = 10000^{-2i/d}$$

A clock with many hands: the fast ones tell neighbours apart, the slow ones tell the beginning from the end.
"""


# %% tags=["positions"]
def angles(positions, d):
    """Angle of each of d/2 hands at each position (n,) → (n, d/2)."""
    return np.multiply.outer(positions, 10000.0 ** (-np.arange(0, d, 2) / d))


def sinusoids(positions, d):
    """Positional encodings (n, d): sine and cosine of each hand in turn."""
    turn = angles(positions, d)
    return np.stack([np.sin(turn), np.cos(turn)], axis=-1).reshape(-1, d)


print(sinusoids(np.arange(3), 4).round(2))

# %% [markdown]
r"""
The dot product of two encodings is $\sum_i \cos((p - p')\,\omega_i)$, because $\sin a \sin b + \cos a \cos b = \cos(a - b)$: it depends on the distance alone. Check it, and look at it.
"""

# %%
encodings = sinusoids(np.arange(200), 64)
similar = encodings @ encodings.T  # (position, position)
distances = np.arange(-40, 41)
at_place = {f"position {p}": similar[p, p + distances] for p in (50, 100, 150)}
checks.agree("three places, by distance", *at_place.values())
fig, axes = plots.figure(1, 2)
few = {f"pair {i}": encodings[:100, 2 * i] for i in (0, 6, 12)}
plots.lines(axes[0], np.arange(100), few, xlabel="position", ylabel="sine")
axes[0].set_ylim(-1.1, 1.6)
axes[0].legend(fontsize=8, loc="upper center", ncols=3)
plots.lines(
    axes[1], distances, at_place, xlabel="distance", ylabel="dot product"
)
axes[1].set_ylim(14, 42)
axes[1].legend(fontsize=8)
plots.show(
    fig,
    "Left: of 32 pairs, low ones turn fast and high ones slowly. Right: the dot "
    "product of two encodings is largest at distance 0 and is the same curve "
    "wherever you stand.",
)

# %% [markdown]
r"""
A fine property, but attention does not take the dot product of *encodings*. It takes the one of queries and keys, made by $W_q$ and $W_k$ from word plus position, and those matrices mix the hands. Whether a model keeps the property is left to training.

## Positions by rotation

**Rotary position embedding** (RoPE) makes the property certain. It adds nothing to the words. It takes the finished query and key, and turns each pair of their features by the angle $p\,\omega_i$:

$$\begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix} \to \begin{pmatrix} \cos p\omega_i & -\sin p\omega_i \\ \sin p\omega_i & \cos p\omega_i \end{pmatrix} \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix}$$

If both arms of an angle turn by the same amount, the angle between them stays. So a score can depend on the two words and on their distance, and on nothing else.
"""


# %% tags=["positions"]
def rotate(x, positions):
    """Turn the pairs of features of x (..., n, d) by their positions (n,)."""
    turn = angles(positions, x.shape[-1])
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = [
        even * np.cos(turn) - odd * np.sin(turn),
        even * np.sin(turn) + odd * np.cos(turn),
    ]
    return np.stack(turned, axis=-1).reshape(x.shape)


print(rotate(np.array([[1.0, 0, 1, 0]]), np.array([1])).round(2))

# %% [markdown]
r"""
The first pair has turned by a whole radian, the second by a hundredth of one.

> **Predict, then run.** A text of 20 words moves 1,000 places down the page. Whose scores between its words stay the same, up to rounding?
> (a) both kinds; (b) those with added sinusoids; (c) the rotary ones?
"""

# %%
words = rng.normal(size=(20, 32))
Wq, Wk = (rng.normal(size=(32, 32)) / 32**0.5 for _ in "qk")


def scores_with(kind, positions):
    """Scores (20, 20) of the words at these positions, before the softmax."""
    x = words + sinusoids(positions, 32) if kind == "added" else words
    q, k = x @ Wq, x @ Wk
    if kind == "rotary":
        q, k = rotate(q, positions), rotate(k, positions)
    return q @ k.T / 32**0.5


here, there = np.arange(20), np.arange(20) + 1000
moved = {
    kind: np.abs(scores_with(kind, here) - scores_with(kind, there)).max()
    for kind in ("added", "rotary")
}
checks.claim("change of scores, added", moved["added"], at_least=0.3)
checks.claim("change of scores, rotary", moved["rotary"], at_most=1e-9)
stretched = np.arange(20) * 2
control = np.abs(
    scores_with("rotary", here) - scores_with("rotary", stretched)
).max()
checks.claim("control: rotary, distances doubled", control, at_least=0.3)

# %% [markdown]
r"""
**Answer: (c).** (a) is tempting after the figure, but $W_q$ and $W_k$ stand between. The control shows that rotary scores do feel a position: double the distances and they change. Two more things fall out of a rotation: it leaves lengths alone, so it cannot blow up a score, and it has no parameters. Llama, Mistral and Qwen use it, with a slower last hand for longer contexts: Llama 3 replaces the 10,000 by 500,000. (Another trap between libraries: some pair feature 0 with 1, as here, others feature 0 with $d/2$. Weights trained with one are nonsense in the other.)
"""

# %% [markdown]
r"""
## A task that needs it

Eight cards lie on the table, each with a letter and a digit: K 7, B 0, T 7, … The letters differ. You are asked for all eight letters in another order, and answer with the digits. No fixed wiring can do this, since every table is different; it takes a lookup, and the model has to find out by itself that there is such a thing as a letter to look up.

To make the test hard, one card of each letter (Q 3, say) is kept out of training, 26 of the 260 possible cards. A model that learned cards by heart fails on them; one that learned *find the letter, hand over the digit* does not notice.
"""


# %%
def deal(num_tables, cards, rng):
    """Tables (n, 3, 8): letters, digits, letters asked; answers; places."""
    letters = rng.permuted(np.tile(np.arange(26), (num_tables, 1)), axis=1)[
        :, :8
    ]
    shares = cards / cards.sum(axis=1, keepdims=True)  # (26, 10)
    dice = rng.random((num_tables, 8, 1))
    digits = (dice > shares.cumsum(axis=1)[letters]).sum(axis=-1)
    places = rng.permuted(np.tile(np.arange(8), (num_tables, 1)), axis=1)
    asked = np.take_along_axis(letters, places, axis=1)
    answers = np.take_along_axis(digits, places, axis=1)
    return np.stack([letters, digits, asked], axis=1), answers, places


rng = np.random.default_rng(run.seed)
known = np.ones((26, 10), dtype=bool)
known[np.arange(26), rng.integers(0, 10, 26)] = False
x_train, y_train, _ = deal(8192, known, rng)
x_test, y_test, places = deal(2000, np.ones((26, 10)), rng)
is_new = ~known[x_test[:, 2], y_test]
print("training", x_train.shape, "test", x_test.shape)
print(
    "new cards among the training tables:",
    np.count_nonzero(~known[x_train[:, 0], x_train[:, 1]]),
)

# %% [markdown]
r"""
The layer, once more, in `keras.ops`, so that it can be trained on any backend: the NumPy lines with `ops.` in front. It hands out its map beside its answer. `scale` is there for an experiment. The mask's argument is called `may_look`, because Keras keeps the name `mask` for masks that travel with its tensors.
"""


# %% tags=["benchmark", "layer"]
class Attention(layers.Layer):
    """Multi-head attention: words x (b, n, d) look at words y (b, m, d)."""

    def __init__(self, d, num_heads=1, scale=None):
        super().__init__()
        self.num_heads, self.head_dim = num_heads, d // num_heads
        self.scale = self.head_dim**-0.5 if scale is None else scale
        self.q, self.k, self.v, self.out = (layers.Dense(d) for _ in range(4))

    def split(self, x):
        x = ops.reshape(x, (-1, x.shape[1], self.num_heads, self.head_dim))
        return ops.transpose(x, (0, 2, 1, 3))  # (b, heads, n, d / heads)

    def call(self, x, y, may_look=None):
        q, k = self.split(self.q(x)), self.split(self.k(y))
        v = self.split(self.v(y))
        scores = self.scale * ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
        if may_look is not None:
            scores = ops.where(may_look, scores, -1e9)
        maps = ops.softmax(scores, axis=-1)  # (b, heads, n, m)
        answers = ops.transpose(ops.matmul(maps, v), (0, 2, 1, 3))
        answers = ops.reshape(answers, (-1, *x.shape[1:-1], self.q.units))
        return self.out(answers), maps


# %%
ours = Attention(12, num_heads=3)
x = np.random.default_rng(0).normal(size=(2, 6, 12)).astype("float32")
ours(x, x)
ours.set_weights(parameters)
with keras.device("cpu:0"):
    checks.agree(
        "trainable layer and Keras's, masked",
        ops.convert_to_numpy(ours(x, x, may_look=mask)[0]),
        ops.convert_to_numpy(layer(x, x, attention_mask=mask[:, 0])),
    )

# %% [markdown]
r"""
The model: a learned vector for each letter and each digit (`Embedding` is a table of vectors, one row per symbol). A card is the sum of its two vectors, a question its letter's vector. One head of cross-attention, questions looking at cards, then a dense layer to ten logits. No positions: cards on a table are a set.
"""


# %%
class CardReader(keras.Model):
    """Tables (n, 3, 8) → logits (n, 8, 10), one row of ten for each question."""

    def __init__(self, d=32, scale=None):
        super().__init__()
        self.letter, self.digit = (
            layers.Embedding(26, d),
            layers.Embedding(10, d),
        )
        self.attention = Attention(d, scale=scale)
        self.answer = layers.Dense(10, dtype="float32")

    def look(self, x, may_look=None):
        """Blends (n, 8, d) and maps (n, 1, 8, 8)."""
        cards = self.letter(x[:, 0]) + self.digit(x[:, 1])
        return self.attention(self.letter(x[:, 2]), cards, may_look=may_look)

    def call(self, x, may_look=None):
        return self.answer(self.look(x, may_look=may_look)[0])


# %%
def train_reader(**options):
    keras.utils.set_random_seed(run.seed)
    model = CardReader(**options)
    compiling = {
        "optimizer": keras.optimizers.Adam(training.one_cycle(0.02, 256)),
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    fitting = {"epochs": 2, "batch_size": 64, "seed": run.seed}
    result = training.fit(model, x_train, y_train, **fitting, **compiling)
    print(f"{model.count_params():,} parameters, {result.seconds:.1f} s")
    return model


# %% [markdown]
r"""
For comparison, the same model with the scale set to 0. All scores are then 0, every card gets an eighth of the attention, and all else is as before: the same parameters, the same operations, the same tables in the same order.

> **Predict, then run.** With every question looking at all eight cards alike, the model can at best be right on about
> (a) 10 %, as if it saw nothing; (b) 30 %; (c) 100 %, because all digits are in the blend?
"""

# %% tags=["nbval-ignore-output"]
reader = train_reader()
uniform = train_reader(scale=0.0)


def right_answers(model, x, y, **options):
    """(n, 8) of true and false."""
    logits = ops.convert_to_numpy(model(x, **options))
    return logits.argmax(axis=-1) == y


right = right_answers(reader, x_test, y_test)
blind = right_answers(uniform, x_test, y_test)

# %%
checks.claim("accuracy with attention", right.mean(), at_least=0.999)
checks.claim(
    "accuracy on cards never seen", right[is_new].mean(), at_least=0.995
)
checks.claim("number of those questions", int(is_new.sum()), at_least=1000)
checks.claim(
    "accuracy, uniform attention",
    blind.mean(),
    at_least=0.28,
    at_most=0.32,
    examples=16_000,
)

# %% [markdown]
r"""
**Answer: (b).** (a) forgets that the blend of eight cards tells which digits lie on the table, and (c) that it does not tell where. The best answer is then the digit that occurs most often. How often is it right? Count it, without any model:
"""

# %%
counts = (x_test[:, 1, :, None] == np.arange(10)).sum(axis=1)  # (table, digit)
most_frequent = counts.max(axis=1).mean() / 8
checks.claim(
    "share of a table's most frequent digit",
    most_frequent,
    at_least=0.28,
    at_most=0.32,
)

# %% [markdown]
r"""
So uniform attention did as well as a model can that does not choose. The error bar of ± 0.7 points counts all 16,000 questions as independent. What is *learned* attention looking at? One table, one row per question and one column per card:
"""


# %%
def map_of(model, x, **options):
    """Maps (n, 8, 8) of the only head: question, card."""
    return ops.convert_to_numpy(model.look(x, **options)[1])[:, 0]


def label(letter, digit=None):
    return chr(65 + letter) + (" ?" if digit is None else f" {digit}")


maps = map_of(reader, x_test)
letters, digits, asked = x_test[0]

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(width=5.2, height=3.2)
plots.matrix(
    axes,
    maps[0],
    [label(letter) for letter in asked],
    [label(*card) for card in zip(letters, digits, strict=True)],
    xlabel="card",
    ylabel="question",
    digits=2,
)
plots.show(
    fig,
    "The attention map of one table: each question puts nearly all of its "
    "attention on the card that carries its letter.",
)

# %%
mass = np.take_along_axis(maps, places[..., None], axis=-1)[..., 0]
checks.claim("share of attention on the right card", mass.mean(), at_least=0.9)
checks.claim(
    "share of questions that look most at the right card",
    (maps.argmax(axis=-1) == places).mean(),
    at_least=0.9999,
)

# %% [markdown]
r"""
The map reads like an explanation. Is it one? It says where the weights are, not what would happen without them. That can be tested: hide a card with a mask. If the reading is right, hiding the card with the most attention destroys the answer, and hiding another, even the one with the second most, changes nothing.
"""


# %%
def accuracy_without(hidden):
    """Accuracy when each question can't see its card number `hidden` (n, 8)."""
    mask = (np.arange(8) != hidden[..., None])[:, None]  # (n, 1, 8, 8)
    return right_answers(reader, x_test, y_test, may_look=mask).mean()


top, second_best = (
    np.argsort(maps, axis=-1)[..., -1],
    np.argsort(maps, axis=-1)[..., -2],
)
checks.claim("accuracy, best card hidden", accuracy_without(top), at_most=0.2)
checks.claim(
    "accuracy, second best hidden",
    accuracy_without(second_best),
    at_least=0.999,
)

# %% [markdown]
r"""
Here the map tells the truth: one layer, one head, and the value that it hands on goes straight to the answer. In a deep model the words have exchanged what they know long before the layer that you look at, and a map can be pretty and beside the point. Test by hiding, not by looking.

## And one that needs order

Ten digits come in; the same ten are to come out backwards. This is self-attention, and it has to look at *places*. Twice the same model and training, once with the sinusoids added and once without.

> **Predict, then run.** Without positions it is right on
> (a) 10 % of the digits, (b) about 30 %, (c) nearly all, because it can learn to count?
"""


# %%
def build_reverser(*, with_positions, d=64):
    """Digits (n, 10) → logits (n, 10, 10) and, as a second model, its maps."""
    keras.utils.set_random_seed(run.seed)
    digits = keras.Input((10,), dtype="int32")
    words = layers.Embedding(10, d)(digits)
    if with_positions:
        words = words + sinusoids(np.arange(10), d).astype("float32")
    answers, maps = Attention(d)(words, words)
    logits = layers.Dense(10, dtype="float32")(answers)
    return keras.Model(digits, logits), keras.Model(digits, maps)


# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(run.seed)
lines, new_lines = (
    rng.integers(0, 10, (8192, 10)),
    rng.integers(0, 10, (2000, 10)),
)
reversers, shares = {}, {}
for with_positions in (True, False):
    model, looks = build_reverser(with_positions=with_positions)
    adam = keras.optimizers.Adam(training.one_cycle(0.02, 256))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {"epochs": 2, "batch_size": 64, "seed": run.seed}
    options |= {"optimizer": adam, "loss": loss}
    training.fit(model, lines, lines[:, ::-1], **options)
    found = right_answers(model, new_lines, new_lines[:, ::-1])
    shares[with_positions], reversers[with_positions] = found.mean(), looks
    print(f"positions {with_positions}: {found.mean():.2%} of 20,000 digits")

# %%
checks.claim("accuracy with positions", shares[True], at_least=0.9995)
checks.claim(
    "accuracy without",
    shares[False],
    at_least=0.25,
    at_most=0.33,
    examples=20_000,
)

# %% tags=["nbval-ignore-output"]
maps = {
    key: ops.convert_to_numpy(m(new_lines))[:, 0]
    for key, m in reversers.items()
}
fig, axes = plots.figure(1, 2, width=7.5, height=3.2)
for panel, key, title in zip(
    axes, (True, False), ("with positions", "without"), strict=True
):
    average = maps[key].mean(axis=0)  # (place, place)
    panel.imshow(average, cmap="Blues", vmin=0, vmax=1)
    panel.grid(False)
    panel.set(xlabel="place looked at", ylabel="place to fill", title=title)
    panel.set_xticks(range(10))
    panel.set_yticks(range(10))
plots.show(
    fig,
    "The maps averaged over 2,000 lines (darker is more): with positions the "
    "attention lies on the anti-diagonal, which is reversing; without, it is "
    "spread over the whole line.",
)

# %%
mass = maps[True][:, np.arange(10), np.arange(10)[::-1]]
checks.claim(
    "share of attention on the mirrored place", mass.mean(), at_least=0.5
)

# %% [markdown]
r"""
**Answer: (b).** Without positions the line is a set of digits, and the best guess is its most frequent one, as before; no amount of training helps. (c) needs something to count with.
"""

# %% [markdown]
r"""
## What it costs

For $n$ words of $d$ features the four dense layers take $4nd^2$ multiply-adds, twice as many operations. The scores take $n^2 d$ multiply-adds over all heads together, and so do the blends. In operations:

$$\underbrace{8nd^2}_{\text{dense layers}} + \underbrace{4n^2d}_{\text{scores and blends}}$$

The first part grows with the text, the second with its square. They are equal at $n = 2d$. Beside the operations there is the map: $h \cdot n^2$ numbers. Let a counting array check the formula (chapter 04's, for products from both sides), and a stop-watch follow one head of 64 features from 256 to 4,096 words. The stop-watch keeps NumPy on one core, as chapter 04 did, so that two threads don't wait for each other.
"""


# %%
class Counting(np.ndarray):
    """An array that counts the operations of its matrix products."""

    operations = 0

    def __matmul__(self, other):
        Counting.operations += 2 * self.size * other.shape[-1]
        return super().__matmul__(other)

    def __rmatmul__(self, other):
        Counting.operations += 2 * other.size * self.shape[-1]
        return super().__rmatmul__(other)


def count(function, *arguments):
    """Operations in matrix products, and what the function returns."""
    Counting.operations = 0
    result = function(*arguments)
    return Counting.operations, result


n, d = 100, 12
x = rng.normal(size=(n, d)).view(Counting)
operations, _ = count(multi_head, x, x, parameters, 3)
print(f"counted {operations:,}, formula {8 * n * d**2 + 4 * n**2 * d:,}")


# %%
@threadpool_limits.wrap(limits=1, user_api="blas")
def quickest(function, *arguments):
    """Milliseconds of the quickest of six calls, on one core."""
    times = []
    for _ in range(6):
        started = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def products_alone(q, k, v):
    """The two matrix products, without all that lies between them."""
    return (q @ k.T) @ v


# %% [markdown]
r"""
> **Predict, then run.** From 2,048 to 4,096 words, the time of the scores and blends grows
> (a) twofold, (b) about fourfold, (c) sixteenfold?
"""

# %% tags=["nbval-ignore-output"]
cost = {}
for n in (256, 512, 1024, 2048, 4096):
    q, k, v = rng.normal(size=(3, n, 64)).astype("float32")
    counting = [part.view(Counting) for part in (q, k, v)]
    operations, (_, weights) = count(attention, *counting)
    cost[n] = {
        "operations": operations,
        "bytes of the map": weights.nbytes,
        "ms": quickest(attention, q, k, v),
        "ms, products alone": quickest(products_alone, q, k, v),
    }
cost = pd.DataFrame(cost).T.rename_axis("words")
cost["GFLOP/s"] = cost["operations"] / cost["ms"] / 1e6
cost.map("{:,.4g}".format)

# %%
growth = (cost / cost.shift())[["operations", "bytes of the map"]].dropna()
checks.agree("growth at each doubling, and 4 times", growth, 4 + 0 * growth)

# %% [markdown]
r"""
**Answer: (b).** Twice the queries meet twice the keys. Sixteenfold would be $n^4$. The last column is far below the 95 GFLOP/s that one core of the machine behind this course reaches in large matrix products. The column before it says why: the two products take the smaller part of the time. The rest goes into what lies between them, the mask, the exponential, the sum, the division, each of which reads the whole map from memory and writes it back. Attention waits for memory more than for arithmetic.

## The map need not exist

Nobody needs the whole map; the answer does. A softmax can be taken in passing: keep the largest score so far, the sum of exponentials so far and the blend so far; when a larger score turns up, fade what was collected by the right factor. Then the keys can come in blocks, and a block's scores fit into fast memory. This is the idea of FlashAttention.
"""


# %% tags=["attention"]
def attention_in_blocks(q, k, v, size):
    """As `attention`, holding scores for no more than `size` keys at a time."""
    top = np.full((len(q), 1), -np.inf)  # largest score so far
    total, answers = np.zeros((len(q), 1)), np.zeros((len(q), v.shape[1]))
    for start in range(0, len(k), size):
        block = slice(start, start + size)
        scores = q @ k[block].T / q.shape[1] ** 0.5  # (n, size)
        new_top = np.maximum(top, scores.max(axis=1, keepdims=True))
        fade, powers = np.exp(top - new_top), np.exp(scores - new_top)
        total = total * fade + powers.sum(axis=1, keepdims=True)
        answers = answers * fade + powers @ v[block]
        top = new_top
    return answers / total


# %%
in_blocks = attention_in_blocks(q, k, v, size=256)
checks.agree(
    "4,096 keys at once, and 256 at a time", attention(q, k, v)[0], in_blocks
)
print(f"map: {4 * 4096**2:,} bytes, a block's scores: {4 * 4096 * 256:,}")

# %% [markdown]
r"""
The operations are the same $4n^2d$; the $n^2$ *bytes* are gone. So a long context still costs arithmetic while it is read, but no memory for maps. What has to stay in memory is something else.

## 128 thousand words of context

A language model writes one word at a time. Each new word looks at all earlier ones; under a causal mask their keys and values never change, so they are kept: the **key-value cache**. Its size for one text:

$$\text{bytes} = 2 \times \text{layers} \times \text{key-value heads} \times d_k \times n \times \text{bytes a number}$$

To make it smaller, several query heads can share one head of keys and values: **grouped-query attention**, or **multi-query attention** if all share a single one. In matrices it is one line, each key-value head repeated for its group. Keras has a layer for it; 4 query heads, 2 for keys and values:
"""


# %%
shared = layers.GroupQueryAttention(
    3, num_query_heads=4, num_key_value_heads=2, dtype="float32"
)
x = rng.normal(size=(5, 12)).astype("float32")
with keras.device("cpu:0"):
    from_layer = ops.convert_to_numpy(shared(x[None], x[None]))[0]
W_q, b_q, W_k, b_k, W_v, b_v, W_o, b_o = shared.get_weights()


def heads_of(W, b):
    """(n, d) through weights (d, heads, k) → (heads, n, k)."""
    return np.einsum("nd,dhk->hnk", x, W) + b[:, None]


q, k, v = heads_of(W_q, b_q), heads_of(W_k, b_k), heads_of(W_v, b_v)
k, v = np.repeat(k, 2, axis=0), np.repeat(v, 2, axis=0)  # (4, n, 3)
answers = np.einsum("hnk,hkd->nd", attention(q, k, v)[0], W_o) + b_o
print("keys' weights", W_k.shape, "queries' weights", W_q.shape)
checks.agree("repeated heads and Keras's layer", answers, from_layer)

# %% [markdown]
r"""
Now a real one. Llama 3.1 with 8 billion parameters has 32 layers, 32 query heads of 128 features, and a context of 131,072 tokens (128 times 1,024). In 16-bit numbers its weights are 16 GB.

> **Predict, then run.** One full context, *if* every query head had its own keys and values. The cache would be
> (a) small beside the weights, (b) about as large, (c) four times as large?
"""


# %%
def cache_bytes(num_layers, key_value_heads, head_dim, num_words, bytes_each=2):
    return 2 * num_layers * key_value_heads * head_dim * num_words * bytes_each


n = 128 * 1024
rows = {}
for name, heads in (
    ("a head each", 32),
    ("in groups of 4", 8),
    ("one for all", 1),
):
    size = cache_bytes(32, heads, 128, n)
    parameters_saved = 32 * 2 * 4096 * 128 * (32 - heads)
    rows[name] = {
        "key-value heads": f"{heads}",
        "cache, GB": f"{size / 1e9:.1f}",
        "over the weights' 16 GB": f"{size / 16e9:.2f}",
        "texts beside the weights in 80 GB": f"{(80e9 - 16e9) // size:.0f}",
        "parameters saved, million": f"{parameters_saved / 1e6:.0f}",
    }
pd.DataFrame(rows).T

# %%
one_map = 2 * n**2 * 32
print(f"one layer's maps at once, 16-bit: {one_map / 1e12:.1f} TB")
operations = 32 * 4 * n**2 * 4096
print(f"operations, scores and blends, 32 layers: {operations:.2e}")
print(f"at 190 GFLOP/s: {operations / 190e9 / 3600:.0f} hours")
checks.claim(
    "cache in groups, in GB",
    cache_bytes(32, 8, 128, n) / 1e9,
    at_least=17,
    at_most=17.5,
)

# %% [markdown]
r"""
**Answer: (c).** 69 GB for a single reader. The model's makers therefore share each key-value head among four query heads: 17 GB, as much as the weights, and that is still the reason why a long context costs money. With one head for all it would be 2 GB; the published comparisons find that a single one loses some quality and a handful of groups hardly any. Notice what sharing does *not* save: scores and blends, $4n^2d$, are the same, since every query head still looks for itself, half a day for this machine (half of that, if the hidden half of a causal map is left out). And the maps that FlashAttention never writes would be a terabyte *a layer*.

## At a billion parameters

Per word and layer, a transformer's weights take $24d^2$ operations ([chapter 05](05_mlp.ipynb)'s network with a hidden layer of $4d$ included), and looking at $n$ words takes $4nd$. Their ratio is $n/6d$:
"""

# %%
sizes = {
    "GPT-3, 2,048 tokens": (2048, 12288, 12 * 12288**2),
    "Llama 3.1 8B, 8,192": (8192, 4096, 218_103_808),
    "Llama 3.1 8B, 131,072": (131_072, 4096, 218_103_808),
}
for name, (n, d, weights_of_layer) in sizes.items():
    ratio = 4 * n * d / (2 * weights_of_layer)
    print(f"{name}: attention over weights, last word: {ratio:.3f}")

# %% [markdown]
r"""
For GPT-3 attention was an extra of a few percent, and the $2N$ operations a token of [chapter 00](00_start_here.ipynb) were the whole truth. At 128 thousand words the last word costs five times what the parameters alone would: the context is then more expensive than the model. (A layer of Llama 3.1 8B has 218 million weights: queries and output $2 \cdot 4096^2$, keys and values $2 \cdot 4096 \cdot 1024$, and three matrices of $4096 \cdot 14336$ in its MLP.) Nothing else changes: the function that you wrote on this page, with 32 heads and a causal mask, is the one that runs in those models.
"""

# %% [markdown]
r"""
## Spot the bug

An article explains masked attention with this code. It runs, and its shapes are right. There are three faults in it. Find them before you read on.

```python
def article_attention(q, k, v, mask):
    scores = q @ k.T
    weights = np.exp(scores) / np.exp(scores).sum(axis=0)
    weights = weights + np.where(mask, 0, -1e9)
    return weights @ v
```

One fault at a time, in the function that you know, and for each the four things that attention promises:
"""


# %%
def faulty(q, k, v, mask, *, root=True, axis=-1, late=None):
    """Attention of (n, d) with a fault for each option; answers and map."""
    scores = q @ k.T / (q.shape[1] ** 0.5 if root else 1.0)
    if late is None:
        scores = np.where(mask, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    weights = powers / powers.sum(axis=axis, keepdims=True)
    if late == "added":
        weights = weights + np.where(mask, 0, -1e9)
    if late == "multiplied":
        weights = weights * mask
    return weights @ v, weights


faults = {
    "the article": {"root": False, "axis": 0, "late": "added"},
    "no root": {"root": False},
    "softmax over queries": {"axis": 0},
    "mask added after softmax": {"late": "added"},
    "mask multiplied after": {"late": "multiplied"},
    "repaired": {},
}


# %%
def promises(options):
    """How far each promise is broken: row sums, zeros, leak, Keras."""
    attend = lambda x: faulty(x, x, x, causal_mask(len(x)), **options)
    x = np.random.default_rng([run.seed, 1]).normal(size=(10, 64))
    answers, weights = attend(x)
    with keras.device("cpu:0"):
        wanted = by_keras(x, x, x, is_causal=True)
    return {
        "row sums less 1": np.abs(weights.sum(axis=1) - 1).max(),
        "weight on the future": np.abs(weights[~causal_mask(10)]).max(),
        "leak into the past": leak(lambda x: attend(x)[0], x, when=6),
        "off Keras": np.abs(answers - wanted).max(),
    }


# %% [markdown]
r"""
> **Predict, then run.** How many of the four notice the missing root?
> (a) all, (b) two, (c) one?
"""

# %% tags=["nbval-ignore-output"]
broken = pd.DataFrame({name: promises(o) for name, o in faults.items()}).T
broken.map(lambda miss: "kept" if miss < 1e-5 else f"off by {miss:.1g}")

# %%
for name, kept in (broken < 1e-5).sum(axis=1).items():
    print(f"{name}: {kept} of 4 kept")

# %% [markdown]
r"""
**Answer: (c).** Without the root the rows sum to one, the future has weight zero, nothing leaks: it is a proper attention, only much too sure of itself. Only the comparison with a second implementation finds it. The other faults show at once, if you look:

- **Softmax over the wrong axis.** Each *key* now spreads itself over the queries. The zeros stay, but rows no longer sum to one, and a word's weight depends on what later words say: it leaks.
- **The mask added after the softmax** gives weights of minus a billion. Added *before* it, the same matrix would have been right.
- **The mask multiplied after the softmax** is the treacherous one: zeros where they should be, numbers of a sane size. But the sum in the denominator ran over the future too. Rows fall short of one by what the future had, and it leaks.

In order: score, divide, mask, softmax over the keys, blend. The row "repaired" keeps all four.
"""

# %% [markdown]
r"""
## Summary

- **Attention** is a softmax of $QK^\top/\sqrt{d_k}$ along the keys, times $V$. Loops, matrices, `keras.ops.dot_product_attention` and `keras.layers.MultiHeadAttention` with the same weights agree to $10^{-5}$, with heads and with masks; rows of the map sum to one.
- **The root of $d_k$** keeps fresh scores at a spread of 1. Without it, at 1,024 features, one random key of 64 takes nearly all the attention, and the gradient shrinks to less than a tenth.
- **Masks** go in before the softmax. Forbidden weights are exactly zero. The test: change the future, and the past does not change. A query that may look nowhere has no good answer.
- **Order** is not in attention: shuffled words give shuffled answers. Added sinusoids tell places apart; a rotation of queries and keys makes scores depend on distance alone.
- **A model that must attend** finds the matching card in every one of 16,000 questions, unseen cards included, where the same model with uniform attention is right on 30 %. Hiding the card that its map names destroys the answer; hiding the runner-up does not.
- **Cost**: $8nd^2 + 4n^2d$ operations a layer; the map's $n^2$ bytes need not exist; the key-value cache must. At 128 thousand tokens Llama 3.1 8B would keep 69 GB, with keys and values shared by four heads each it keeps 17.
"""

# %% [markdown]
r"""
## Going further

- Ask the card reader about 16 or 32 cards on a table (it was trained on 8). The model has no positions, so it can. When does it begin to fail, and what does its map look like then?
- Train the card reader without the root, `scale=1.0`. It learns. Then with `d=256` and both `Embedding` tables started with a standard deviation of 1 (`embeddings_initializer`), at rates of 0.002 and 0.005. What has changed, and why was the first trial no argument against the root?
- On a GPU, run `layers.MultiHeadAttention` at 1,024 to 32,768 words with `flash_attention=True` and `False`, in `float16`. Where does the second run out of memory? What are the operations a second at both ends?
"""

# %% [markdown]
r"""
## References

- A. Vaswani and others: *Attention is all you need*. NeurIPS 2017, arXiv:1706.03762. Equation 1 and the reason for $\sqrt{d_k}$ in section 3.2.1, heads in 3.2.2, sinusoids in 3.5.
- D. Bahdanau, K. Cho, Y. Bengio: *Neural machine translation by jointly learning to align and translate*. ICLR 2015, arXiv:1409.0473. Attention before transformers, section 3.1.
- J. Su and others: *RoFormer: enhanced transformer with rotary position embedding*. 2021, arXiv:2104.09864. Section 3.
- T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré: *FlashAttention*. NeurIPS 2022, arXiv:2205.14135. Algorithm 1.
- N. Shazeer: *Fast transformer decoding: one write-head is all you need*. 2019, arXiv:1911.02150. Multi-query attention.
- J. Ainslie and others: *GQA: training generalized multi-query transformer models from multi-head checkpoints*. EMNLP 2023, arXiv:2305.13245. The comparison in section 3.
- A. Grattafiori and others: *The Llama 3 herd of models*. 2024, arXiv:2407.21783. Sizes in table 3, context in section 3.4.2.
- S. Jain, B. C. Wallace: *Attention is not explanation*. NAACL 2019, arXiv:1902.10186.
"""
