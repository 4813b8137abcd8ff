# %% [markdown]
r"""
# Recurrent networks and text

A language model, of any size, answers one question: given the words so far, how likely is each next word? You build models that answer it, and on one of two texts you know the truth to the last digit, so that you can say how far each model is from perfect.
"""

# %% [markdown]
r"""
## You will be able to

- train an LSTM to predict the next word or character, and judge it in perplexity against counts and against a floor that no model can pass;
- turn text into numbers, and shift inputs against targets so that the network learns to predict and not to copy;
- build a recurrent cell and an LSTM step by hand, and show that Keras's layers do the same;
- measure how far back a model remembers, instead of taking it on trust;
- sample text with temperature and top-k, and say what each costs.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 01](01_data.ipynb) for leakage and held-out data, [chapter 03](03_losses_and_activations.ipynb) for softmax, cross-entropy and nats, [chapter 05](05_mlp.ipynb) for `training.fit` and the one-cycle learning rate, [chapter 07](07_training_dynamics.ipynb) for gradients that vanish. You need no Chinese: every word has its English beside it. From mathematics: conditional probability, $P(a, b) = P(a)\,P(b \mid a)$.
"""

# %% [markdown]
r"""
## Budget

60 minutes to read · about 80 s to run on two CPU cores · 2 GB of memory
"""

# %% [markdown]
r"""
## Setup
"""

# %% tags=["nbval-ignore-output"]
from course_lib import runtime

run = runtime.setup(seed=0, precision="float32")

# %%
import collections
import re

import keras
import numpy as np
import pandas as pd
from keras import layers

from course_lib import checks, plots, text, training

# %% [markdown]
r"""
## A language whose truth is known

On real text nobody can say how good a model *could* be, because nobody knows the true probability of the next word. So the first of our two texts is written by a small grammar, made for this course. It produces 3,236 Chinese sentences, and for each of them the exact probability with which it does. Its rules stand in [course_lib/text.py](../course_lib/text.py).

Its words, all 44 of them:

| | |
|---|---|
| who | 我 I · 你 you · 他 he · 她 she · 老师 the teacher · 小猫 the kitten · 小狗 the puppy |
| when | 今天 today · 明天 tomorrow · 晚上 in the evening |
| will | 喜欢 like to · 想 want to · 不 not |
| does | 吃 eat · 喝 drink · 看 read, watch · 听 listen to · 睡觉 sleep |
| what | 苹果 apples · 面条 noodles · 米饭 rice · 饺子 dumplings · 鱼 fish · 肉 meat · 茶 tea · 水 water · 牛奶 milk · 书 books · 电影 films · 音乐 music · 歌 songs |
| how | 甜 sweet · 热 hot · 新 new · 的 (joins the two: 热 的 茶, hot tea) |
| why | 因为 because · 所以 so · 饿 hungry · 渴 thirsty · 累 tired |
| marks | 。 full stop · ， comma · 吗 (makes a question) · ？ question mark |

A piece that a text is cut into is a **token**: here a word or a mark, later a single character. The list of the tokens that a model knows, each with its number, is its **vocabulary**. Chinese is written without spaces between words; the grammar hands its sentences over already cut.
"""

# %%
language = text.grammar()
examples = {
    "我 喜欢 吃 苹果 。": "I like to eat apples.",
    "你 今天 想 喝 茶 吗 ？": "Do you want to drink tea today?",
    "小猫 晚上 不 喜欢 吃 肉 。": "The kitten does not like meat in the evening.",
    "因为 她 渴 ， 所以 她 想 喝 水 。": "As she is thirsty, she wants water.",
}
chance = dict(zip(language.sentences, language.probabilities, strict=True))
rows = [
    (chinese, english, f"{chance[tuple(chinese.split())]:.3%}")
    for chinese, english in examples.items()
]
pd.DataFrame(rows, columns=["sentence", "in English", "probability"])

# %% [markdown]
r"""
Check the last row: a quarter of all sentences give a reason, in twelve ways; 60 % of drinks have no adjective, and 30 % are water: $0.25 \cdot \tfrac{1}{12} \cdot 0.6 \cdot 0.3 = 0.375\,\%$.

The grammar has habits that reach over several words, and they are what this chapter is about:

- after 因为 … ， 所以 (because …, so) the *same person* returns, four words later;
- who is 饿 (hungry) will 吃 (eat), who is 渴 (thirsty) will 喝 (drink): five words later;
- a sentence that begins with 你 (you) ends in 吗 ？ four times in five, four to eight words later; no other sentence does;
- 小猫 and 小狗 (kitten, puppy) eat 鱼 and 肉, and people eat anything but 肉.

## The truth after 我 喜欢 吃

What comes after 我 喜欢 吃 (I like to eat)? Take all sentences that begin so. Add up their probabilities by the next word, and divide by the sum. Nothing is estimated.
"""


# %%
def next_word(beginning):
    """Exact probabilities of the word after a beginning, largest first."""
    beginning = tuple(beginning.split())
    n = len(beginning)
    sums = collections.Counter()
    for sentence, probability in chance.items():
        if sentence[:n] == beginning and len(sentence) > n:
            sums[sentence[n]] += probability
    return pd.Series(dict(sums.most_common())) / sum(sums.values())


truth = next_word("我 喜欢 吃")
truth.map("{:.1%}".format).to_frame("true probability").T

# %% [markdown]
r"""
Ask for other beginnings: `next_word("")` gives the first words, `next_word("因为 我 饿 ， 所以")` has one answer.

## Perplexity, and the floor under it

A model gives each sentence a probability $q$: the product of what it gave to each word, given the words before. Chapter 03's cross-entropy, taken over words and weighted by how often the grammar says each sentence $s$, is

$$L = -\frac{\sum_s p_s \ln q_s}{\sum_s p_s n_s} \quad\text{nats a word,}$$

with $n_s$ the number of words of the sentence, its marks included. The **perplexity** is $e^L$. Read it as "as unsure as if it chose among so many equally likely words": a fair die has perplexity 6.

> **Predict, then run.** All 44 words equally likely would be a perplexity of 44. A model that knows the grammar completely, every rule and every weight, has a perplexity of
> (a) 1, since it knows everything, (b) about 2.5, (c) about 7?
"""

# %% tags=["floor"]
p = language.probabilities
num_words = np.array([len(sentence) for sentence in language.sentences])
words_each = float(np.sum(p * num_words))
per_sentence = -float(np.sum(p * np.log(p)))
floor = np.exp(per_sentence / words_each)
print(f"{per_sentence:.4f} nats a sentence, {words_each:.4f} words a sentence")
print(
    f"floor: {per_sentence / words_each:.4f} nats a word, perplexity {floor:.4f}"
)

# %% [markdown]
r"""
**Answer: (b).** (a) confuses knowing the language with knowing what someone will say. Whoever knows the grammar is still unsure whether the next speaker eats apples or noodles; that uncertainty, $-\sum_s p_s \ln p_s$, is the **entropy** of the language. And nobody does better on average: the price of any other $q$ is higher by $\sum_s p_s \ln (p_s / q_s)$, the **Kullback–Leibler divergence**, which is never negative. So 2.52 is a floor: a fact about the language, not about a model.

The same number from the other side takes `next_word`'s truth at every place, and so the sentences as a table of numbers.

## Words become numbers, and the target is the next one

Token 0 is kept for "no word": it stands before each sentence, so that the first word has something to be predicted from, and fills the rows up after its end.
"""

# %% tags=["numbers"]
START = "·"
vocabulary = [START, *sorted({w for s in language.sentences for w in s})]
number = {word: index for index, word in enumerate(vocabulary)}
table = np.zeros((len(p), 1 + num_words.max()), "int32")
for row, sentence in enumerate(language.sentences):
    table[row, 1 : len(sentence) + 1] = [number[word] for word in sentence]

x, y = table[:, :-1], table[:, 1:]  # what is seen, what is asked
print("tokens", len(vocabulary), "· inputs", x.shape, "· targets", y.shape)

# %%
apples = "我 喜欢 吃 苹果 。"
row = language.sentences.index(tuple(apples.split()))
pd.DataFrame(
    [[vocabulary[i] for i in x[row]], [vocabulary[i] for i in y[row]]],
    index=["input", "target"],
)

# %% [markdown]
r"""
Read the table column by column: at each place the model sees the input *and everything to the left of it*, and is asked for the target, which is the input of the next place. This shift by one is the whole difference between predicting and copying. Where the target is 0, nothing is asked.

Training this way is called **teacher forcing**: whatever the model guessed, the next input is the true word, as if a teacher corrected it at once. All twelve places of a sentence are then trained in one go. When the model writes by itself, it has to live with its own words, a mismatch called **exposure bias**.

Every model below will be judged by the next function, on *all* sentences with their true weights. No test set, no error bar: the result is exact.
"""


# %% tags=["judge"]
def sentence_logs(log_q):
    """log_q (n, 12, 45), of every word at every place -> ln q_s (n,)."""
    of_target = np.take_along_axis(log_q, y[..., None], axis=-1)[..., 0]
    return np.sum(np.where(y > 0, of_target, 0.0), axis=1)


def perplexity(log_q, weights=p):
    """Exact perplexity on the grammar, or with other weights."""
    nats = -np.sum(weights * sentence_logs(log_q))
    return float(np.exp(nats / np.sum(weights * num_words)))


# %%
def true_probabilities():
    """The grammar's own distribution at each place: (3236, 12, 45)."""
    sums = collections.defaultdict(lambda: np.zeros(len(vocabulary)))
    for tokens, probability in zip(table.tolist(), p, strict=True):
        for t in range(x.shape[1]):
            sums[tuple(tokens[: t + 1])][tokens[t + 1]] += probability
    truth = [
        [sums[tuple(tokens[: t + 1])] for t in range(x.shape[1])]
        for tokens in table.tolist()
    ]
    return truth / np.sum(truth, axis=-1, keepdims=True)


true_q = true_probabilities()
with np.errstate(divide="ignore"):  # the logarithm of an impossible word
    by_words = perplexity(np.log(true_q))
checks.agree("floor, by sentences and word by word", floor, by_words)

# %% [markdown]
r"""
## The model to beat counts pairs

The simplest model of text forgets everything but the last word. It counts in some training text how often each word follows each other, and divides: a **bigram** model. On three sentences, by a loop and by one call:
"""


# %%
def count_pairs(x, y, weights=None):
    """How often token b was the target at input a: (45, 45)."""
    counts = np.zeros((len(vocabulary), len(vocabulary)))
    weights = np.ones(len(x)) if weights is None else weights
    np.add.at(counts, (x, y), np.broadcast_to(weights[:, None], x.shape))
    counts[:, 0] = 0  # nothing is asked there
    return counts


by_loop = np.zeros((len(vocabulary), len(vocabulary)))
for tokens in table[:3]:
    for t in range(len(tokens) - 1):
        by_loop[tokens[t], tokens[t + 1]] += tokens[t + 1] > 0
checks.agree(
    "pairs by loop and by np.add.at", by_loop, count_pairs(x[:3], y[:3])
)

# %% [markdown]
r"""
Now a training set: 5,000 sentences, drawn as the grammar draws them, from the seed. The models see these and nothing else; the exact probabilities are for the judge alone. A pair that never occurred must not get probability 0, or one such pair makes the perplexity infinite; so a tenth of a count is added to each.
"""

# %%
rng = np.random.default_rng(run.seed)
drawn = rng.choice(len(p), size=5000, p=p)
x_train, y_train = x[drawn], y[drawn]
counts = count_pairs(x_train, y_train)
counts[:, 1:] += 0.1
bigram = np.log(counts[:, 1:] / counts[:, 1:].sum(axis=1, keepdims=True))
bigram = np.pad(bigram, ((0, 0), (1, 0)), constant_values=-np.inf)
unseen = ~np.isin(np.arange(len(p)), drawn)
print("training inputs", x_train.shape, "· bigram", bigram.shape)

# %%
scores = {
    "all 44 words alike": len(vocabulary) - 1.0,
    "bigram, counted in 5,000 sentences": perplexity(bigram[x]),
}
exact = count_pairs(x, y, weights=p)
with np.errstate(divide="ignore"):
    exact = np.log(exact / exact.sum(axis=1, keepdims=True).clip(1e-300))
scores["bigram with the true frequencies"] = perplexity(exact[x])
scores["floor"] = float(floor)
pd.Series(scores).map("{:.2f}".format).to_frame("perplexity")

# %% [markdown]
r"""
Counting in 5,000 sentences comes within a few hundredths of the best that *any* bigram can do: more sentences would not help it. What separates it from the floor is memory. After 所以 it does not know who was hungry.
"""

# %%
checks.claim(
    "perplexity of the counted bigram",
    scores["bigram, counted in 5,000 sentences"],
    at_least=3.52,
    at_most=3.62,
)
checks.claim(
    "share of the probability on sentences never drawn",
    p[unseen].sum(),
    at_least=0.12,
    at_most=0.16,
)

# %% [markdown]
r"""
The second line is a warning to a cleverer counter. Whoever counts whole sentences, or whole beginnings, knows nothing about the one sentence in seven that the 5,000 did not contain. A model has to remember *and* generalise.

## An embedding is a row of a matrix

A token's number means nothing: fish, number 42, is not 42 times as much as the full stop, number 1. So the first layer gives each token a vector of its own to learn, its **embedding**. Multiplying a one-hot vector with a matrix would do that; looking the row up does the same and multiplies nothing.
"""

# %%
embedding = layers.Embedding(len(vocabulary), 16, dtype="float32")
tokens = x[row : row + 1, :5]  # · 我 喜欢 吃 苹果
looked_up = keras.ops.convert_to_numpy(embedding(tokens))
matrix = embedding.get_weights()[0]
one_hot = np.eye(len(vocabulary))[tokens]
print("tokens", tokens.shape, "-> vectors", looked_up.shape)
checks.agree(
    "one-hot product, row and layer",
    one_hot @ matrix,
    matrix[tokens],
    looked_up,
)

# %% [markdown]
r"""
## A cell that reads and remembers

A **recurrent network** reads one vector at a time and carries along a vector of its own, its **hidden state** $h$. At each step the same weights mix what is new with what is remembered:

$$h_t = \tanh(x_t W + h_{t-1} U + b), \qquad h_0 = 0.$$

However long the sentence, there is one $W$, one $U$ and one $b$; the state is all that the network knows of the past. Unit by unit in loops, then by matrices:
"""


# %%
def rnn_loop(inputs, W, U, b):
    """One sequence (steps, n) -> hidden states (steps, units), by loops."""
    units = len(b)
    h, states = np.zeros(units), []
    for x_t in inputs:
        new = np.zeros(units)
        for j in range(units):
            z = b[j]
            for i in range(len(x_t)):
                z += x_t[i] * W[i, j]
            for i in range(units):
                z += h[i] * U[i, j]
            new[j] = np.tanh(z)
        h = new
        states.append(h)
    return np.array(states)


# %%
def rnn_matrix(inputs, W, U, b):
    """A batch (n, steps, inputs) -> hidden states (n, steps, units)."""
    h, states = np.zeros((len(inputs), len(b))), []
    for t in range(inputs.shape[1]):
        h = np.tanh(inputs[:, t] @ W + h @ U + b)
        states.append(h)
    return np.stack(states, axis=1)


# %%
layer = layers.SimpleRNN(8, return_sequences=True, dtype="float32")
layer.build(looked_up.shape)
weights = [rng.normal(0, 0.5, w.shape) for w in layer.get_weights()]
layer.set_weights(weights)
from_layer = keras.ops.convert_to_numpy(layer(looked_up))
print("W, U, b:", [w.shape for w in weights], "states", from_layer.shape)
checks.agree(
    "loop, matrix and layer",
    rnn_loop(looked_up[0], *weights)[None],
    rnn_matrix(looked_up, *weights),
    from_layer,
)

# %% [markdown]
r"""
`return_sequences=True` asks for the state at every step; without it Keras returns the last one only. We need them all, because every place has its own target.

## Why a plain cell forgets

How much does the state still depend on a state $d$ steps ago? By the chain rule the answer is a product of $d$ matrices, one a step: what passes is multiplied by $U$ and by the slopes $1 - h^2$ of the tanh. Chapter 07 met this product in a network of twenty layers; a sentence of twenty words *is* such a network, with the same matrix in every layer. (Backpropagation along it is called **backpropagation through time**; cutting the text into windows *truncates* it.) A factor of 0.9 a step is 0.12 after twenty steps and 0.001 after 64.

The **long short-term memory** (LSTM) keeps a second vector, the cell $c$, which no matrix multiplies. Three **gates**, numbers from 0 to 1 that the network computes at each step, decide what is kept, what is added and what is shown ($\odot$ multiplies number by number):

$$\begin{aligned}
i, f, o &= \sigma(\ldots), \qquad g = \tanh(\ldots) && \text{each of } x_t W + h_{t-1} U + b \text{ with its own weights}\\
c_t &= f \odot c_{t-1} + i \odot g && \text{keep a part, add a part}\\
h_t &= o \odot \tanh(c_t) && \text{show a part}
\end{aligned}$$

Where the forget gate $f$ is 1 and $i$ is 0, a number stays in $c$ for as long as it is needed. Keras holds the four sets of weights side by side, in the order $i, f, g, o$, and starts the bias of $f$ at 1, so that the gate begins mostly open ($\sigma(1) = 0.73$). The LSTM's younger relative with one vector and two gates, the **gated recurrent unit** (GRU), is in the exercises.
"""


# %% tags=["lstm"]
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(x_t, h, c, W, U, b):
    """x_t (n, inputs), h and c (n, units) -> the new h and c."""
    i, f, g, o = np.split(x_t @ W + h @ U + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


# %%
layer = layers.LSTM(8, return_sequences=True, dtype="float32")
layer.build(looked_up.shape)
weights = [rng.normal(0, 0.5, w.shape) for w in layer.get_weights()]
layer.set_weights(weights)
from_layer = keras.ops.convert_to_numpy(layer(looked_up))
h = c = np.zeros((1, 8))
states = []
for t in range(looked_up.shape[1]):
    h, c = lstm_step(looked_up[:, t], h, c, *weights)
    states.append(h)
print("W, U, b:", [w.shape for w in weights])
checks.agree(
    "LSTM step by hand and layer", np.stack(states, axis=1), from_layer
)

# %% [markdown]
r"""
Four times the weights of a plain cell of the same width: $4\,(nm + m^2 + m)$ for $n$ inputs and $m$ units.

## Two networks, trained on the same sentences

Embedding, recurrent layer, a dense layer to 45 logits. For a fair comparison the plain network gets more units, so that both have about 25,000 parameters; both see the same 5,000 sentences equally often, in the same batches, each with a peak learning rate that suits it. `ignore_class=0` tells the loss to ask nothing where there is no word. The embeddings start with a standard deviation of 1: Keras's default, between −0.05 and 0.05, makes all tokens look nearly alike to the network, which then starts slowly.
"""


# %%
def build(recurrent, vocabulary_size, embedding_size):
    """Tokens (n, steps) -> logits (n, steps, vocabulary)."""
    initializer = keras.initializers.RandomNormal(stddev=1.0)
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(vocabulary_size, embedding_size, initializer),
            recurrent,
            layers.Dense(vocabulary_size, dtype="float32"),
        ]
    )


def train_words(model, x, y, *, epochs, peak):
    rate = training.one_cycle(peak, epochs * -(-len(x) // 128))
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=0
    )
    adam = keras.optimizers.Adam(rate)
    options = {"optimizer": adam, "loss": loss, "seed": run.seed}
    return training.fit(model, x, y, epochs=epochs, batch_size=128, **options)


# %%
networks = {
    "plain cells, 128": layers.SimpleRNN(128, return_sequences=True),
    "LSTM, 64": layers.LSTM(64, return_sequences=True),
}
networks = {
    name: build(recurrent, len(vocabulary), 16)
    for name, recurrent in networks.items()
}
for name, network in networks.items():
    print(f"{name}: {network.count_params():,} parameters")
lstm = networks["LSTM, 64"]
n, m, v = 16, 64, len(vocabulary)
by_hand = v * n + 4 * (n * m + m * m + m) + m * v + v
checks.agree("parameters by hand and Keras", by_hand, lstm.count_params())

# %% [markdown]
r"""
> **Predict, then run.** The bigram has a perplexity of 3.55, the floor is 2.52. After ten epochs, some seconds of training, the two networks will be
> (a) near the bigram, (b) half-way, (c) within a few hundredths of the floor?
"""

# %% tags=["nbval-ignore-output"]
for name, peak in (("plain cells, 128", 0.004), ("LSTM, 64", 0.01)):
    result = train_words(networks[name], x_train, y_train, epochs=10, peak=peak)
    seen = np.exp(result.history["loss"].iloc[-1])
    print(f"{name}: {result.seconds:.1f} s, training perplexity {seen:.2f}")


# %% tags=["dice"]
def log_softmax(z):
    """Logits (…, vocabulary) -> logarithms of probabilities."""
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


# %% tags=["nbval-ignore-output"]

log_q = {"bigram": bigram[x]}
for name, network in networks.items():
    logits = network.predict(x, batch_size=1024, verbose=0)
    log_q[name] = log_softmax(logits.astype("float64"))
with np.errstate(divide="ignore"):
    log_q["truth"] = np.log(true_q)
new = np.where(unseen, p, 0)
exact = {
    name: {"all sentences": perplexity(q), "never drawn": perplexity(q, new)}
    for name, q in log_q.items()
}
pd.DataFrame(exact).T.map("{:.3f}".format)

# %%
checks.claim(
    "LSTM's perplexity", exact["LSTM, 64"]["all sentences"], at_most=2.62
)
checks.claim(
    "plain network's perplexity",
    exact["plain cells, 128"]["all sentences"],
    at_most=2.62,
)
above = exact["LSTM, 64"]["never drawn"] / exact["truth"]["never drawn"]
checks.claim(
    "LSTM over truth, on sentences never drawn",
    above,
    at_least=1.0,
    at_most=1.15,
)

# %% [markdown]
r"""
**Answer: (c).** Neither network was told a rule, and both are close to all that can be known. The second column is the test of generalising: on sentences that were never drawn the truth itself has a higher perplexity, as these are the rare ones, and the LSTM stays close to it.

A *training* perplexity below the floor would be no triumph: it is the sample learned by heart. How low can that go? To the entropy of the sample itself:
"""

# %%
f = np.bincount(drawn, minlength=len(p)) / len(drawn)  # how often drawn
nats = -np.sum(f[f > 0] * np.log(f[f > 0]))
by_heart = float(np.exp(nats / np.sum(f * num_words)))
checks.claim(
    "perplexity of the 5,000, known by heart",
    by_heart,
    at_least=2.38,
    at_most=2.46,
)

# %% [markdown]
r"""
Now look where the difference to the bigram is, after 我 喜欢 吃 (I like to eat):
"""


# %% tags=["nbval-ignore-output"]
def place_of(beginning):
    """Row and column of `x` at which the model has read the beginning."""
    tokens = [number[word] for word in beginning.split()]
    n = len(tokens)
    row = np.flatnonzero((table[:, 1 : n + 1] == tokens).all(axis=1))[0]
    return row, n


def answers(beginning, words):
    """What each model says of some next words, in a table."""
    row, column = place_of(beginning)
    wanted = [number[word] for word in words]
    said = {name: np.exp(q[row, column, wanted]) for name, q in log_q.items()}
    return pd.DataFrame(said, index=words).T


after_eat = answers("我 喜欢 吃", [*truth.index, "肉", "睡觉"])
after_eat.map("{:.1%}".format)

# %%
gap = (after_eat - after_eat.loc["truth"]).abs().sum(axis=1) / 2
checks.claim("share misplaced by the LSTM", gap["LSTM, 64"], at_most=0.12)
checks.claim("share misplaced by the bigram", gap["bigram"], at_least=0.15)

# %% [markdown]
r"""
The bigram gives much of its probability to fish and meat, because it has seen so many kittens. It knows 吃 and not who eats. (The claims add up how much probability stands at the wrong word.)

## Memory, tested by changing one word

"The LSTM remembers" is a claim, so test it. Write the same beginning twice, with *one* early word changed. If the prediction far behind it changes as the grammar says it must, the network remembers that word: nothing else differs.
"""

# %% tags=["nbval-ignore-output"]
tests = [
    ("因为 我 饿 ， 所以", "我", 4),
    ("因为 老师 饿 ， 所以", "我", 4),
    ("因为 她 饿 ， 所以 她 想", "吃", 5),
    ("因为 她 渴 ， 所以 她 想", "吃", 5),
    ("小猫 晚上 不 想 吃", "肉", 5),
    ("他 晚上 不 想 吃", "肉", 5),
    ("你 今天 不 想 看 新 的 书", "吗", 8),
    ("他 今天 不 想 看 新 的 书", "吗", 8),
]
rows = {}
for beginning, word, distance in tests:
    said = answers(beginning, [word])[word]
    rows[beginning] = {"next": word, "steps back": distance}
    rows[beginning] |= {name: f"{said[name]:.1%}" for name in log_q}
pd.DataFrame(rows).T

# %% [markdown]
r"""
The pairs of rows differ in one word, and the last column says what should follow. The bigram cannot notice the change, by construction; both networks do, eight steps back. Over all such sentences, exactly:
"""


# %%
def mean_probability(name, choose):
    """Mean of a model's probability, at the places and words chosen."""
    total = weight = 0.0
    for row, sentence in enumerate(language.sentences):
        if choice := choose(sentence):
            place, word = choice
            total += p[row] * np.exp(log_q[name][row, place, number[word]])
            weight += p[row]
    return float(total / weight)


def person_returns(sentence):
    return (5, sentence[5]) if sentence[0] == "因为" else None


def asked(sentence):
    return (len(sentence) - 2, "吗") if sentence[-2] == "吗" else None


def not_asked(sentence):
    return (len(sentence) - 1, "吗") if sentence[0] != "你" else None


# %% tags=["nbval-ignore-output"]
kept = {}
for name in log_q:
    kept[name] = {
        "the person returns": mean_probability(name, person_returns),
        "吗 after 你 …": mean_probability(name, asked),
        "吗 after anyone else": mean_probability(name, not_asked),
    }
pd.DataFrame(kept).T.map("{:.1%}".format)

# %%
lstm_kept, bigram_kept = kept["LSTM, 64"], kept["bigram"]
checks.claim(
    "share on the right person, LSTM",
    lstm_kept["the person returns"],
    at_least=0.9,
)
checks.claim(
    "share on the right person, plain cells",
    kept["plain cells, 128"]["the person returns"],
    at_least=0.9,
)
checks.claim(
    "share on the right person, bigram",
    bigram_kept["the person returns"],
    at_least=0.22,
    at_most=0.28,
)

# %%
checks.claim(
    "share on 吗 at a question's end, LSTM",
    lstm_kept["吗 after 你 …"],
    at_least=0.7,
    at_most=0.9,
)
checks.claim(
    "share on 吗 where nobody asks, LSTM",
    lstm_kept["吗 after anyone else"],
    at_most=0.05,
)

# %% [markdown]
r"""
The bigram guesses one of four persons; the networks know. At the end of a sentence that begins with 你 the truth itself is 80 %, as every fifth is a statement; the last column is the control, the same place in the sentences of everyone else, where no 吗 can stand.

At this length the plain cells, with as many parameters, remember as well as the LSTM. Further back is a question for longer sentences.
"""

# %% [markdown]
r"""
## Real English, by character

The second text is one that every Python carries: its own language reference, in `pydoc_data.topics`. This time a token is a character. The vocabulary is then small, no word is ever unknown, and the network has to learn spelling before it can learn anything else.

First, chapter 01's question: does the held-out part really stay hidden? The plan is to learn from the first nine tenths and judge on the last. Take pieces of 40 characters from the last tenth, and look for each, word for word, in the rest.
"""


# %%
def split(document):
    """The first nine tenths, and the last."""
    cut = len(document) * 9 // 10
    return document[:cut], document[cut:]


def copied_share(document, length=40):
    """Share of the held-out pieces that stand in the training part too."""
    before, held_out = split(document)
    starts = range(0, len(held_out) - length, 97)
    pieces = [held_out[start : start + length] for start in starts]
    return float(np.mean([piece in before for piece in pieces]))


# %% tags=["nbval-ignore-output"]
raw = text.english()
document = "\n\n".join(dict.fromkeys(raw.split("\n\n")))
print(f"{len(raw):,} characters; {len(document):,} without repeated paragraphs")
print(document[:304])

# %%
checks.claim("copied share, as it comes", copied_share(raw), at_least=0.08)
checks.claim(
    "copied share, each paragraph once", copied_share(document), at_most=0.08
)

# %% [markdown]
r"""
The manual prints many sections twice, so about every seventh piece of the "unseen" tenth stands in the training part; a model could recite it. `dict.fromkeys` keeps each paragraph once, at its first place. What is left is mostly the ruled lines of tables. (The exact figures depend on your version of Python, which brings the text.)

Characters become numbers, as words did.
"""

# %%
signs = sorted(set(document))
code = {sign: index for index, sign in enumerate(signs)}
codes = np.array([code[sign] for sign in document], "int32")
train_codes, valid_codes = split(codes)


# %% tags=["nbval-ignore-output"]
print(f"{len(signs)} different characters")
print(f"{len(train_codes):,} to learn from, {len(valid_codes):,} held out")
print(repr(document[1000:1020]), codes[1000:1020])

# %% [markdown]
r"""
## Counts again, with longer and longer contexts

The bigram has a context of one character. With more, most contexts are rare, so the counts are mixed with those of the next shorter context. If a context was seen $n$ times, followed by $m$ different characters, the model is

$$q_k(\text{next}) = \frac{\text{count}(\text{context, next}) + m\, q_{k-1}(\text{next})}{n + m},$$

which leans on the shorter context where there is little to count (Witten and Bell's weights, in Chen and Goodman's interpolated form). Perplexity is again $e^L$, now per character; divided by $\ln 2$ the loss becomes **bits per character**, the size to which a perfect compressor driven by the model would squeeze each.

> **Predict, then run.** Contexts of 0, 1, 2, … 6 characters. The held-out perplexity
> (a) falls with every character, (b) falls and then rises again, (c) hardly changes after one?
"""


# %%
def context_numbers(codes, k):
    """One number for the k characters before each place from k on."""
    result = np.zeros(len(codes) - k, "int64")
    for j in range(k):
        result = result * len(signs) + codes[j : len(codes) - k + j]
    return result


def look_up(keys, values, wanted):
    """values at the sorted keys where `wanted` is, else 0."""
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


# %%
def count_models(train, valid, longest=6):
    """Bits at each place of `valid`, for 0 to `longest` characters before."""
    q = np.full(len(valid), 1 / len(signs))
    bits = []
    for k in range(longest + 1):
        before, after = context_numbers(train, k), context_numbers(valid, k)
        pairs, c = np.unique(
            before * len(signs) + train[k:], return_counts=True
        )
        contexts, n = np.unique(before, return_counts=True)
        m = np.unique(pairs // len(signs), return_counts=True)[1]
        count = look_up(pairs, c, after * len(signs) + valid[k:])
        n, m = look_up(contexts, n, after), look_up(contexts, m, after)
        mixed = (count + m * q[k:]) / np.maximum(n + m, 1)
        q[k:] = np.where(n > 0, mixed, q[k:])
        bits.append(-np.log2(q))
    return np.array(bits)


# %% tags=["nbval-ignore-output"]
count_bits = count_models(train_codes, valid_codes)
by_context = pd.DataFrame({"bits per character": count_bits.mean(axis=1)})
by_context["perplexity"] = 2 ** by_context["bits per character"]
by_context.map("{:.2f}".format).rename_axis("characters of context")

# %%
checks.claim(
    "bigram's perplexity per character",
    by_context["perplexity"][1],
    at_least=10.0,
    at_most=12.0,
)
checks.claim(
    "best context of the counts, in characters",
    int(by_context["perplexity"].argmin()),
    at_least=3,
    at_most=5,
)

# %% [markdown]
r"""
**Answer: (b).** Each longer context says more if it was seen before, and was seen less often. (a) would be true with endless text. About four characters are best here (chosen on the held-out text itself, a small favour to the counts). They are a serious opponent, at a fraction of the time that the network will take.

## An LSTM reads the manual

The recipe in full, because chapter 11 trains another network on the same text:

- text: each paragraph once; the last tenth held out; tokens are characters;
- network: embeddings of 64 numbers, one LSTM layer of 128 units, a dense layer to the logits;
- windows of 48 characters that begin at every 16th character of the training part, so that one epoch shows each character three times, each time with another amount of text before it;
- one epoch in batches of 32 windows, Adam ($\beta_2 = 0.99$) with a one-cycle rate that peaks at 0.02 after 15 % of the steps, gradients clipped to a global norm of 1 (chapter 07);
- judged on windows of 48 characters that begin at every 32nd of the held-out part, on the last 32 places of each: so every place judged has at least 16 characters before it, and none is judged twice. (A network that is also judged at the first places of its windows pays for having seen nothing yet.)

The batches are small because the number of steps decides here. The control is a network of plain cells, wide enough to have as many parameters; it sees the same batches, with a peak rate of its own, 0.004.
"""


# %%
def windows(codes, every, length=48):
    """Inputs and targets (n, length), a window every so many characters."""
    pieces = np.lib.stride_tricks.sliding_window_view(codes, length + 1)[
        ::every
    ]
    return pieces[:, :-1], pieces[:, 1:]


def multiply_adds(network):
    """Multiply-adds a token: each weight once, but for the looked-up row."""
    return sum(w.size for w in network.get_weights()[1:] if w.ndim == 2)


def train_characters(model, x, y, *, peak):
    rate = training.one_cycle(peak, -(-len(x) // 32), warmup=0.15)
    adam = keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {"optimizer": adam, "loss": loss, "seed": run.seed}
    return training.fit(model, x, y, epochs=1, batch_size=32, **options)


# %% tags=["nbval-ignore-output"]
x_chars, y_chars = windows(train_codes, every=16)
x_valid, y_valid = windows(valid_codes, every=32)
readers = {
    "plain cells, 263": layers.SimpleRNN(263, return_sequences=True),
    "LSTM, 128": layers.LSTM(128, return_sequences=True),
}
readers = {
    name: build(cells, len(signs), 64) for name, cells in readers.items()
}
print("windows", x_chars.shape, "held out", x_valid.shape)
peaks = {"plain cells, 263": 0.004, "LSTM, 128": 0.02}
for name, network in readers.items():
    result = train_characters(network, x_chars, y_chars, peak=peaks[name])
    rate = result.examples_per_second * x_chars.shape[1]
    operations = 6 * rate * multiply_adds(network)
    print(f"{name}: {network.count_params():,} parameters,", end=" ")
    print(f"{result.seconds:.0f} s, {rate:,.0f} characters a second,", end=" ")
    print(f"{operations / 190e9:.0%} of 190 GFLOP/s")

# %% [markdown]
r"""
A multiply-add costs 6 operations in training: 2 on the way forward, 4 back. Both networks stay far below chapter 08's limit of 190 GFLOP/s: 48 small products, each waiting for the one before. Chapter 10 does away with that waiting.

Now judge counts and networks at the same places. Margin and error bar are taken window by window.
"""


# %%
def held_out_bits(network):
    """Bits (n, 32) at the last places of each window."""
    logits = network.predict(x_valid, batch_size=256, verbose=0)[:, 16:]
    targets = y_valid[:, 16:, None]
    logs = np.take_along_axis(log_softmax(logits), targets, axis=-1)
    return -logs[..., 0] / np.log(2)


# %% tags=["nbval-ignore-output"]
same_places = count_bits[:, 17 : 17 + 32 * len(x_valid)]
same_places = same_places.reshape(7, len(x_valid), 32)
bits_of = {"bigram": same_places[1], "counts, 4": same_places[4]}
for name, network in readers.items():
    bits_of[name] = held_out_bits(network)
judged = pd.DataFrame({name: b.mean(axis=1) for name, b in bits_of.items()})
saved = judged.sub(judged["LSTM, 128"], axis=0)  # window by window
shown = {
    "bits per character": judged.mean(),
    "perplexity": 2 ** judged.mean(),
    "bits saved by the LSTM": saved.mean(),
    "± (95 %)": 1.96 * saved.sem(),
}
pd.DataFrame(shown).map("{:.2f}".format)

# %%
bits = judged["LSTM, 128"].mean()
checks.claim("LSTM's bits per character", bits, at_most=2.1)
mean = saved.mean()
checks.claim("bits saved on the bigram", mean["bigram"], at_least=1.3)
checks.claim(
    "bits saved on the best counts",
    mean["counts, 4"],
    at_least=-0.05,
    at_most=0.15,
)
checks.claim(
    "bits saved on the plain cells",
    mean["plain cells, 263"],
    at_least=0.0,
    at_most=0.3,
)

# %% [markdown]
r"""
Against the bigram the LSTM looks like a triumph; against the best counts it is all but a draw, a few hundredths of a bit. The error bar says what another text would change; another seed changes about as much. Both comparisons are true, and only the second says what one epoch of the network is worth. The plain cells, with the same parameters and the same batches, stay behind the LSTM.

(Compare perplexities only over the same tokens: 4 per character is not better than 60 per word. A word with the blank after it is some six characters long, and $4^6$ is 4,096.)

## How far back does it look?

Two measurements, at every eighth place of the held-out text (the second at every fourth of these), with the counts at the same places.

- **Withhold.** Give the network only the last $k$ characters before the place, from an empty state. How high is its loss there? What it gains from 16 characters that 8 do not give, it must have read between 9 and 16 steps back.
- **Change.** Give it 48 characters, but exchange the one $d$ steps back for a different one, drawn from the text. How much probability moves in its prediction? This shows what the network *notices*, whether or not that is any use.

Both need the networks step by step. `lstm_step` does it.
"""


# %%
def plain_step(x_t, h, c, W, U, b):
    """The plain cell, for the same use as `lstm_step`; c stays empty."""
    return np.tanh(x_t @ W + h @ U + b), c


def step(weights, tokens, h, c):
    """tokens (n,), h and c (n, units) -> logits (n, v), new h and c."""
    embedding, W, U, b, to_logits, bias = weights
    cell = plain_step if U.shape[1] == len(U) else lstm_step
    h, c = cell(embedding[tokens], h, c, W, U, b)
    return h @ to_logits + bias, h, c


def start(weights, n):
    """Empty h and c for n texts."""
    return np.zeros((2, n, len(weights[2])), "float32")


# %% tags=["nbval-ignore-output"]
for name, network in readers.items():
    weights = network.get_weights()
    h, c = start(weights, 8)
    for t in range(48):
        by_steps, h, c = step(weights, x_valid[:8, t], h, c)
    by_keras = keras.ops.convert_to_numpy(network(x_valid[:8]))[:, -1]
    checks.agree(
        f"{name}: steps and layers", by_steps, by_keras, tolerance=1e-3
    )

# %% [markdown]
r"""
> **Predict, then run.** The LSTM was trained on windows of 48 characters. From how many characters of context does its loss profit?
> (a) About 4, like the counts. (b) Between 8 and 16. (c) All 48: a long memory is what an LSTM is for.
"""

# %%
places = np.arange(48, len(valid_codes), 8)
CONTEXTS = (1, 2, 4, 8, 16, 32, 48)


def bits_given(weights, context):
    """Bits at each place, given that many characters before it."""
    h, c = start(weights, len(places))
    for back in range(context, 0, -1):
        logits, h, c = step(weights, valid_codes[places - back], h, c)
    targets = valid_codes[places][:, None]
    logs = np.take_along_axis(log_softmax(logits), targets, axis=-1)
    return -logs[:, 0] / np.log(2)


# %% tags=["nbval-ignore-output"]
at_most_4 = [min(k, 4) for k in CONTEXTS]  # more is worse for the counts
withheld = {"counts": count_bits[at_most_4][:, places].T}
for name, network in readers.items():
    weights = network.get_weights()
    withheld[name] = np.stack([bits_given(weights, k) for k in CONTEXTS], 1)
withheld = {
    name: pd.DataFrame(b, columns=CONTEXTS) for name, b in withheld.items()
}
bits = withheld["LSTM, 128"]
ahead = withheld["counts"] - bits  # place by place, as the next line
saved = -bits.diff(axis=1)
shown = {f"{name}, bits": frame.mean() for name, frame in withheld.items()}
shown |= {"LSTM ahead of counts": ahead.mean(), "±": 1.96 * ahead.sem()}
shown |= {"LSTM saves": saved.mean(), "± ": 1.96 * saved.sem()}
shown = pd.DataFrame(shown)[1:].rename_axis("characters of context")
shown.map("{:.3f}".format)

# %%
checks.claim(
    "bits ahead of the counts, 4 characters each",
    ahead[4].mean(),
    at_least=-0.4,
    at_most=-0.05,
)
checks.claim(
    "bits ahead of the counts, 48 characters against 4",
    ahead[48].mean(),
    at_least=-0.05,
    at_most=0.15,
)
checks.claim(
    "bits saved by characters 5 to 8",
    saved[8].mean(),
    at_least=0.1,
    at_most=0.4,
)
checks.claim(
    "bits saved by characters 17 to 48",
    (bits[16] - bits[48]).mean(),
    at_least=-0.03,
    at_most=0.03,
)

# %% [markdown]
r"""
**Answer: (b).** The fifth to eighth character before are worth much, the ninth to sixteenth little, and what lies beyond sixteen next to nothing. (c) takes an ability for the deed: in one epoch the LSTM has learned what lowers the loss most, and that is nearby.

And here is why the two end so close. With four characters each, the *counts* are clearly ahead: they know by heart what followed, and the network met such short contexts only at the beginnings of its windows. It catches up by reading the next four, where counts are too rare to help.

Now the other measurement, for both networks.
"""


# %%
def moved_by_change(weights, distances, length=48):
    """Mean probability that one exchanged character moves, by distance."""
    few = places[::4]
    h, c = start(weights, len(few))
    before = {}
    for back in range(length, 0, -1):
        before |= {back: (h, c)} if back in distances else {}
        original, h, c = step(weights, valid_codes[few - back], h, c)
    moved = {}
    for distance in distances:
        h, c = before[distance]
        tokens = rng.choice(valid_codes, len(few))  # the exchange
        while (same := tokens == valid_codes[few - distance]).any():
            tokens[same] = rng.choice(valid_codes, same.sum())
        for back in range(distance, 0, -1):
            logits, h, c = step(weights, tokens, h, c)
            tokens = valid_codes[few - back + 1]
        gaps = np.exp(log_softmax(logits)) - np.exp(log_softmax(original))
        moved[distance] = float(np.abs(gaps).sum(axis=-1).mean() / 2)
    return pd.Series(moved)


# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng([run.seed, 1])
moved = pd.DataFrame(
    {
        name: moved_by_change(network.get_weights(), CONTEXTS[:-1])
        for name, network in readers.items()
    }
)
moved.map("{:.3%}".format).rename_axis("steps back").T

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 2, width=8, height=2.9)
series = {name: withheld[name].mean()[1:] for name in [*readers, "counts"]}
series["counts, at most 4"] = series.pop("counts")
names = {"xlabel": "characters of context", "ylabel": "bits per character"}
plots.lines(axes[0], CONTEXTS[1:], series, **names, title="withheld")
axes[0].set_xscale("log", base=2)
axes[0].set_xticks(CONTEXTS[1:], labels=CONTEXTS[1:])
names = {"xlabel": "steps back", "ylabel": "share of probability moved"}
plots.lines(axes[1], moved.index, moved, **names, title="one changed")
axes[1].set_yscale("log")
axes[1].set_xticks([1, 4, 8, 16, 32])
plots.show(
    fig,
    "Left: with four characters the counts are ahead; the LSTM catches up by "
    "eight and gains nothing beyond 16. Right: a changed character is noticed "
    "less the further back it is, and the LSTM notices it from further back.",
)

# %%
checks.claim("share moved, 1 step back", moved["LSTM, 128"][1], at_least=0.6)
checks.claim("share moved, 32 steps back", moved["LSTM, 128"][32], at_most=0.01)
further = moved["LSTM, 128"][32] / moved["plain cells, 263"][32]
checks.claim("LSTM's over plain cells', 32 steps back", further, at_least=2)
each_step = (moved.loc[32] / moved.loc[16]) ** (1 / 16)
checks.claim(
    "what is left after each step from 16 to 32, LSTM",
    each_step["LSTM, 128"],
    at_least=0.82,
    at_most=0.97,
)
checks.claim(
    "what is left after each step from 16 to 32, plain cells",
    each_step["plain cells, 263"],
    at_least=0.6,
    at_most=0.85,
)

# %% [markdown]
r"""
The character before moves most of the probability. A straight line on these axes is a constant factor a step, as the product of matrices predicts, and the plain cells come near to one: some three quarters are left after each step. In the LSTM the line bends: beyond 16 steps nearly nine tenths are left, because what is in $c$ leaves only through the forget gate. So the difference between the cells is there, and on this text it is one between little and nothing: under one part in a hundred of the probability, and no bit of the loss.

A long memory is measured, never read off the name of a layer.

## Sampling: temperature and top-k

A language model becomes a writer by rolling dice: take the probabilities of the next token, draw one, append it, ask again (a model that reads its own output is **autoregressive**). Two knobs change the dice.

- **Temperature** $T$: divide the logits by $T$ before the softmax. Below 1 the likely becomes likelier still; towards 0 the largest always wins; above 1 the unlikely gets its chance.
- **Top-k**: keep the $k$ largest logits, drop the rest.

(Chapter 06's temperature made confidences honest; this one is a matter of taste.)

What do they cost? On the grammar that has an exact answer. The probability with which a model writes a given sentence is the product that we already compute; added up over all 3,236 it is the share of what it writes that is *correct*. And if the correct sentences come with probabilities $q_s$ (divided by their sum), $e^{-\sum q_s \ln q_s}$ says among how many sentences, effectively, it chooses: 1,033 for the grammar itself.

> **Predict, then run.** Temperature 0.5 in place of 1. The share of correct sentences and their variety
> (a) both rise, (b) the share rises and the variety falls, (c) the share falls and the variety rises?
"""


# %% tags=["dice"]
def turned(logits, temperature=1.0, k=None):
    """Logits after the two knobs: (…, vocabulary) -> the same shape."""
    logits = np.asarray(logits, "float64") / temperature
    if k is not None:
        kth_largest = np.sort(logits, axis=-1)[..., -k, None]
        logits = np.where(logits < kth_largest, -np.inf, logits)
    return logits


print(np.round(np.exp(log_softmax(turned([2.0, 1.0, 0.0]))), 3))
print(np.round(np.exp(log_softmax(turned([2.0, 1.0, 0.0], 0.5))), 3))
print(np.round(np.exp(log_softmax(turned([2.0, 1.0, 0.0], k=2))), 3))


# %% tags=["nbval-ignore-output"]
def correct_and_variety(log_probabilities):
    """Share of correct sentences, and how many there are, effectively."""
    q = np.exp(sentence_logs(log_probabilities))
    share, q = q.sum(), q / q.sum()
    q = q[q > 0]
    return float(share), float(np.exp(-np.sum(q * np.log(q))))


# %% tags=["nbval-ignore-output"]
logits = log_q["LSTM, 64"]  # a softmax of logarithms gives them back
knobs = {
    "T = 0.5": turned(logits, 0.5),
    "T = 1": logits,
    "T = 1.5": turned(logits, 1.5),
    "T = 1, top 5": turned(logits, k=5),
}
written = {
    name: correct_and_variety(log_softmax(z)) for name, z in knobs.items()
}
written["the grammar"] = correct_and_variety(log_q["truth"])
dice = pd.DataFrame(written, index=["share", "variety"]).T
pd.DataFrame(
    {
        "correct sentences": dice["share"].map("{:.1%}".format),
        "effective number": dice["variety"].map("{:,.0f}".format),
    }
)

# %%
checks.claim("correct share, T = 1", dice["share"]["T = 1"], at_least=0.85)
colder = dice["share"]["T = 0.5"] - dice["share"]["T = 1"]
checks.claim("correct share gained by T = 0.5", colder, at_least=0.005)
checks.claim(
    "sentences, effectively, T = 0.5", dice["variety"]["T = 0.5"], at_most=700
)
top5 = dice["share"]["T = 1, top 5"] - dice["share"]["T = 1"]
checks.claim("correct share gained by top 5", top5, at_least=0.002)
hotter = dice["share"]["T = 1.5"] - dice["share"]["T = 1"]
checks.claim("correct share gained by T = 1.5", hotter, at_most=-0.05)

# %% [markdown]
r"""
**Answer: (b).** A cold model makes fewer errors and repeats itself; a hot one invents, and errs. A form letter wants it cold, a poem warm. Only at $T = 1$ without top-k are the sentences distributed as the model learned them.

Top-k cuts off the tail, where the errors are, and leaves the odds among the rest alone. Where more than $k$ words are correct it loses those too.

## The LSTM writes

For real text nobody can add up all sentences, so draw some. One step of `lstm_step` a character, with the weights of the trained network, for several texts at once:
"""


# %%
def write(weights, prompt, length, rng, n=1, **knobs):
    """Continue a prompt of tokens n times: (n, length)."""
    h, c = start(weights, n)
    for token in prompt:
        logits, h, c = step(weights, np.full(n, token), h, c)
    written = []
    for _ in range(length):
        q = np.exp(log_softmax(turned(logits, **knobs)))
        dice = rng.random((n, 1))  # falls into one of the slices of q
        tokens = (q.cumsum(axis=-1) > dice).argmax(axis=-1)
        written.append(tokens)
        logits, h, c = step(weights, tokens, h, c)
    return np.stack(written, axis=1)


# %% tags=["nbval-ignore-output"]
def sentences_of(tokens):
    """Tokens (n, 12) -> n tuples of words, each up to its last mark."""
    for row in tokens:
        words = [vocabulary[i] for i in row]
        ends = [i for i, word in enumerate(words) if word in "。？"]
        yield tuple(words[: ends[0] + 1] if ends else words)


rng = np.random.default_rng([run.seed, 2])
rows = []
for temperature in (0.5, 1.0, 2.0):
    tokens = write(
        lstm.get_weights(), [0], 12, rng, n=4, temperature=temperature
    )
    for words in sentences_of(tokens):
        verdict = "correct" if words in chance else "not in the grammar"
        rows.append((temperature, " ".join(words), verdict))
pd.DataFrame(rows, columns=["T", "written by the LSTM", "verdict"])

# %% [markdown]
r"""
Where the hot LSTM errs, some sentences break a single habit, such as the person who should return; others fall apart from one unlikely word on.

And the reader of the manual? For English there is no list of correct sentences, so take a rougher test: which share of the words that it writes (of three letters or more) occurs anywhere in the training text? Even the held-out text does not reach 100 %.
"""

# %%
prompt = [code[sign] for sign in "The statement "]
known = set(re.findall("[a-z]{3,}", split(document)[0]))


def known_share(texts):
    """Share of the words, three letters or more, that the training text has."""
    words = [word for t in texts for word in re.findall("[a-z]{3,}", t)]
    return float(np.mean([word in known for word in words]))


# %% tags=["nbval-ignore-output"]
shares = {"held-out text": known_share([split(document)[1]])}
weights = readers["LSTM, 128"].get_weights()
for name, options in {
    "T = 0.5": {"temperature": 0.5},
    "T = 1": {},
    "T = 1, top 5": {"k": 5},
}.items():
    tokens = write(weights, prompt, 400, rng, n=40, **options)
    texts = ["".join(signs[i] for i in row) for row in tokens]
    shares[name] = known_share(texts)
    print(f"--- {name}: {shares[name]:.1%} of the words are known")
    print("The statement " + texts[0][:240])
print(f"--- held-out text: {shares['held-out text']:.1%}")

# %%
checks.claim("share of known words, T = 1", shares["T = 1"], at_least=0.4)
colder = shares["T = 0.5"] - shares["T = 1"]
checks.claim("share of known words gained by T = 0.5", colder, at_least=0.03)

# %% [markdown]
r"""
## Spot the bug

Two faults from real articles. First, a "text generator" that prepares its data so:

```python
inputs  = sequences[:, 1:]
targets = sequences[:, 1:]
model.fit(inputs, targets)
```

It trains wonderfully. What will it write? Decide, then run it on our sentences, with the LSTM and the recipe from above.
"""

# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(run.seed)
copier = build(layers.LSTM(64, return_sequences=True), len(vocabulary), 16)
result = train_words(copier, y_train, y_train, epochs=3, peak=0.01)
copier_seen = np.exp(result.history["loss"].iloc[-1])
copier_log_q = log_softmax(copier.predict(x, batch_size=1024, verbose=0))
copier_exact = perplexity(copier_log_q)
prompt = [0, number["我"], number["喜欢"]]
rng = np.random.default_rng([run.seed, 3])
tokens = write(copier.get_weights(), prompt, 6, rng, n=1, temperature=0.5)
copies = int(np.sum(tokens == prompt[-1]))
print(
    f"training perplexity {copier_seen:.3f}, as a predictor {copier_exact:,.0f}"
)
print("我 喜欢 →", " ".join(vocabulary[i] for i in tokens[0]))

# %%
checks.claim("copier's training perplexity", copier_seen, at_most=1.2)
checks.claim("copier's perplexity as a predictor", copier_exact, at_least=100)
checks.claim("copies of 喜欢 in the six words", copies, at_least=2)

# %% [markdown]
r"""
It writes 喜欢 over and over: like like like like. The target *is* the last input, so the network learned the one thing that it was asked, to repeat. Its low training loss is the alarm, not the success: with all 5,000 sentences known by heart the training perplexity would still be about 2.4, so a network near 1.0 must see the answer. On real text the same sense helps: nobody gets 1.0 per character.

The repair is the shift: `inputs = sequences[:, :-1]`, `targets = sequences[:, 1:]`. Same network, same recipe, same three epochs:
"""

# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(run.seed)
shifted = build(layers.LSTM(64, return_sequences=True), len(vocabulary), 16)
train_words(shifted, x_train, y_train, epochs=3, peak=0.01)
shifted_log_q = log_softmax(shifted.predict(x, batch_size=1024, verbose=0))
shifted_exact = perplexity(shifted_log_q)
tokens = write(shifted.get_weights(), prompt, 6, rng, n=1, temperature=0.5)
print(f"as a predictor {shifted_exact:.2f}")
print("我 喜欢 →", *next(sentences_of(tokens)))

# %%
checks.claim(
    "perplexity with the shift", shifted_exact, at_least=floor, at_most=3.3
)

# %% [markdown]
r"""
`sentences_of` cuts after the full stop: what follows it was never asked in training, so it means nothing. Large models learn to predict an **end token** there.

Second, a "Chinese language model" that fits a tokenizer on *words* and then feeds it a sentence as it is written, without spaces:

```python
tokens = [word_index.get(sign, 0) for sign in "我喜欢吃苹果。"]
```
"""


# %%
def as_the_article(sentence):
    """Characters, looked up in a vocabulary of words; 0 if not found."""
    return [number.get(sign, 0) for sign in sentence]


tokens = as_the_article("我喜欢吃苹果。")
print(tokens, "→", " ".join(vocabulary[i] for i in tokens))
missing = [np.mean(np.equal(as_the_article("".join(s)), 0)) for s in chance]
lost = float(np.average(missing, weights=p))
print(f"characters of the grammar's sentences that are lost: {lost:.1%}")

# %% [markdown]
r"""
喜欢 (like) and 苹果 (apples) are words of two characters. Neither 喜 nor 欢 is in the vocabulary, so what is liked and eaten is gone, and because `get(…, 0)` asks for it, no error is raised. In a language without spaces somebody has to cut. Ours is easy to repair, by taking the longest word that fits:
"""


# %% tags=["cut"]
def cut(sentence):
    """Cut a sentence into words of the vocabulary, the longest that fits."""
    tokens = []
    while sentence:
        length = next(n for n in (2, 1) if sentence[:n] in number)
        tokens.append(number[sentence[:length]])
        sentence = sentence[length:]
    return tokens


# %%
print(" ".join(vocabulary[i] for i in cut("我喜欢吃苹果。")))
wrong = sum(
    cut("".join(words)) != [number[word] for word in words]
    for words in language.sentences
)
checks.claim("sentences cut wrongly, of 3,236", wrong, at_most=0)

# %% [markdown]
r"""
(With real Chinese the longest fit is sometimes wrong. Large models avoid the question: their tokens are frequent pieces of bytes, and whatever is not a frequent piece is spelled.)
"""

# %% [markdown]
r"""
## Summary

- **Predict and judge.** A language model gives every next token a probability; perplexity is $e$ to the mean loss. On the grammar an LSTM came within a few hundredths of the floor of 2.52, which is computed and which no model can pass, where a bigram stays at 3.55. On English it beats the bigram by far, and after one epoch is all but level with the best counts.
- **Text into numbers.** Tokens, a vocabulary, an embedding that is a row of a matrix; targets are the inputs shifted by one.
- **By hand.** A plain cell is $\tanh(x_t W + h U + b)$; an LSTM adds a vector that no matrix multiplies, and three gates. Both equal Keras's layers.
- **Memory is measured**, by changing or withholding what stands $d$ steps back. On the grammar the networks keep a word for eight steps; on English their loss profits from up to about 16 characters, though the windows had 48.
- **Sampling.** Low temperature and top-k: fewer errors, less variety, exactly so on the grammar.

**At a billion parameters** the task is the same to the letter: next-token loss, teacher forcing, perplexity, temperature. GPT-3 has a vocabulary of 50,257 tokens, pieces of words; its embedding alone, 12,288 numbers a token, is 618 million parameters; it reads 2,048 tokens at a time. What it does not have is a recurrence. An LSTM must read 2,048 tokens in 2,048 steps, one after another, and put all that it will need into $h$ and $c$, 256 numbers together for ours. Chapter 10 gives every place direct sight of every earlier one.
"""

# %% [markdown]
r"""
## Going further

- Train on 500 sentences of the grammar in place of 5,000, and on 50,000. How far from the floor does each end, on all sentences and on those never drawn? Does the training perplexity pass the floor?
- Carry the state from one window to the next in place of starting empty (`stateful=True`, and batches in the order of the text). What does the curve of the withheld context look like then?
- On a GPU: 512 units, two layers, twenty epochs and dropout between the layers. At which size does the LSTM pass the best counts, and at which does it begin to learn the manual by heart?
"""

# %% [markdown]
r"""
## References

- S. Hochreiter, J. Schmidhuber: *Long short-term memory*. Neural Computation 9(8), 1997.
- F. A. Gers, J. Schmidhuber, F. Cummins: *Learning to forget: continual prediction with LSTM*. Neural Computation 12(10), 2000. The forget gate.
- R. Jozefowicz, W. Zaremba, I. Sutskever: *An empirical exploration of recurrent network architectures*. ICML 2015. The forget gate's bias of 1.
- K. Cho et al.: *Learning phrase representations using RNN encoder–decoder for statistical machine translation*. EMNLP 2014, arXiv:1406.1078. The gated recurrent unit.
- Y. Bengio, P. Simard, P. Frasconi: *Learning long-term dependencies with gradient descent is difficult*. IEEE Transactions on Neural Networks 5(2), 1994.
- R. J. Williams, D. Zipser: *A learning algorithm for continually running fully recurrent neural networks*. Neural Computation 1(2), 1989. Teacher forcing.
- I. H. Witten, T. C. Bell: *The zero-frequency problem: estimating the probabilities of novel events in adaptive text compression*. IEEE Transactions on Information Theory 37(4), 1991. The weights, their method C.
- S. F. Chen, J. Goodman: *An empirical study of smoothing techniques for language modeling*. Technical report TR-10-98, Harvard University, 1998. The interpolated form.
- C. E. Shannon: *Prediction and entropy of printed English*. Bell System Technical Journal 30(1), 1951. Bits per character, asked of people.
- U. Khandelwal, H. He, P. Qi, D. Jurafsky: *Sharp nearby, fuzzy far away: how neural language models use context*. ACL 2018, arXiv:1805.04623. Memory measured by changing the context.
- A. Fan, M. Lewis, Y. Dauphin: *Hierarchical neural story generation*. ACL 2018, arXiv:1805.04833. Top-k sampling in section 5.
- T. B. Brown et al.: *Language models are few-shot learners*. NeurIPS 2020, arXiv:2005.14165. Sizes in table 2.1; the vocabulary is GPT-2's (A. Radford et al.: *Language models are unsupervised multitask learners*, 2019).
- `SimpleRNN`, `LSTM`: https://keras.io/api/layers/recurrent_layers/
"""
