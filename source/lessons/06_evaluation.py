# %% [markdown]
r"""
# Evaluation

Training makes a model; evaluation decides whether anyone may rely on it. Between the two lie most of the expensive mistakes: a number that is true and misleading, a gain that is noise, a certainty that nobody checked.
"""

# %% [markdown]
r"""
## You will be able to

- compute accuracy, precision, recall, F1, the ROC and precision-recall curves and their areas by hand, and say which of them a decision needs;
- put an error bar on any score, and tell from the same images whether one model beats another;
- choose a threshold from the price of each error;
- measure how far a network's confidence is from its accuracy, and repair it with one number;
- say by how much a score flatters a model that was chosen with its help.
"""

# %% [markdown]
r"""
## Before you start

[Chapter 01](01_data.ipynb) for splitting a table without a leak, [chapter 03](03_losses_and_activations.ipynb) for softmax and cross-entropy, [chapter 05](05_mlp.ipynb) for the network and the validation set. From mathematics: a mean and a standard deviation.
"""

# %% [markdown]
r"""
## Budget

45 minutes to read · about 20 s to run on two CPU cores · 1 GB of memory
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
import scipy
from sklearn import (
    calibration,
    datasets,
    linear_model,
    metrics,
    model_selection,
    pipeline,
    preprocessing,
)

from course_lib import checks, data, plots, training

# %% [markdown]
r"""
## Three parts, three purposes

[Chapter 05](05_mlp.ipynb) kept its digits in three parts, and this chapter says why each number belongs to one of them. The training set is what the parameters were fitted to. The validation set is what *you* were fitted to: every choice of a rate, an epoch, a threshold. The test set is for the one number that you report. Here the training set is small, 1,000 digits, so that the network makes enough mistakes to study. Another 1,000 are for choices, and MNIST's 10,000 test digits for the report.
"""


# %%
def flat(images):
    """Unroll (n, 28, 28) bytes into (n, 784) floats from 0 to 1."""
    return images.reshape(len(images), -1).astype("float32") / 255


digits = data.load("mnist")
order = np.random.default_rng(run.seed).permutation(len(digits.x_train))
few, held = order[:1000], order[1000:2000]
x_train, y_train = flat(digits.x_train[few]), digits.y_train[few].astype(int)
x_valid, y_valid = flat(digits.x_train[held]), digits.y_train[held].astype(int)
x_test, y_test = flat(digits.x_test), digits.y_test.astype(int)
print("train", x_train.shape, "valid", x_valid.shape, "test", x_test.shape)

# %% [markdown]
r"""
Everything in this chapter is computed from predictions, so a network runs once and its logits are kept: for the validation and the test digits, after every epoch. The last section needs the early epochs too. A callback stores them.
"""


# %%
class Recorder(keras.callbacks.Callback):
    """Keeps the logits for x (n, 784) after each epoch, as arrays (n, 10)."""

    def __init__(self, x):
        super().__init__()
        self.x, self.logits = x, []

    def on_epoch_end(self, epoch, logs=None):
        logits = self.model(self.x, training=False)
        self.logits.append(keras.ops.convert_to_numpy(logits))


# %% [markdown]
r"""
The network is chapter 05's, 784-256-128-10, and so is the recipe for few images: AdamW, batches of 40, once without weight decay and once with a strong one. 20 epochs.
"""


# %%
def train(decay):
    """Logits (20, n, 10) by epoch: validation, test; at the end: training."""
    keras.utils.set_random_seed(run.seed)
    model = keras.Sequential([keras.Input(shape=(784,))])
    for units in (256, 128):
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(10, dtype="float32"))
    recorder = Recorder(np.concatenate([x_valid, x_test]))
    training.fit(
        model,
        x_train,
        y_train,
        epochs=20,
        batch_size=40,
        seed=run.seed,
        callbacks=[recorder],
        optimizer=keras.optimizers.AdamW(0.002, weight_decay=decay),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    logits = np.stack(recorder.logits)
    learned = keras.ops.convert_to_numpy(model(x_train, training=False))
    return logits[:, : len(x_valid)], logits[:, len(x_valid) :], learned


# %% tags=["nbval-ignore-output"]
valid_by_epoch, test_by_epoch, z_train = train(decay=0.0)
valid_decayed, test_decayed, _ = train(decay=0.5)
z_valid, z_test = valid_by_epoch[-1], test_by_epoch[-1]
guess = z_test.argmax(axis=1)
print("logits, one row an image:", z_test.shape)

# %% [markdown]
r"""
## An accuracy and its error bar

The **accuracy** is the share of right answers. By a loop, by a mean, by Keras and by scikit-learn:
"""

# %%
num_right = 0
for label, answer in zip(y_test, guess, strict=True):
    num_right += int(label == answer)
right = guess == y_test
by_keras = keras.metrics.SparseCategoricalAccuracy(dtype="float32")
by_keras.update_state(y_test, z_test)
checks.agree(
    "loop, mean, Keras and scikit-learn",
    num_right / len(y_test),
    right.mean(),
    keras.ops.convert_to_numpy(by_keras.result()),
    metrics.accuracy_score(y_test, guess),
)

# %%
checks.claim(
    "test accuracy", right.mean(), at_least=0.895, at_most=0.92, examples=10_000
)

# %% [markdown]
r"""
Another 10,000 digits would give another number. How different? Each image is a coin that falls on "right" with probability $p$, so a share of $n$ of them has the standard deviation $\sqrt{p(1-p)/n}$, and 1.96 of these to both sides is a **95 % confidence interval**: 19 of 20 intervals made in this way contain the true value. [Chapter 05](05_mlp.ipynb) used the formula; here you test it. Draw 5,000 small test sets, of 500 images each, out of the 10,000, and count how often the interval holds the accuracy on all of them.
"""


# %%
def error_bar(p, n):
    """Half-width of the 95 % interval around a share p of n."""
    return 1.96 * np.sqrt(p * (1 - p) / n)


print(f"90 % of    500: ± {100 * error_bar(0.9, 500):.2f} points")
print(f"90 % of 10,000: ± {100 * error_bar(0.9, 10000):.2f} points")

rng = np.random.default_rng(run.seed)
# one accuracy for each of 5,000 small sets
small = rng.choice(right, size=(5000, 500)).mean(axis=1)
holds = np.abs(small - right.mean()) <= error_bar(small, 500)
checks.claim(
    "share of the intervals that hold the truth",
    holds.mean(),
    at_least=0.93,
    at_most=0.96,
)

# %% [markdown]
r"""
The formula keeps its word. It knows only shares, though; for an F1 there is no such line, and for an area under a curve a long one. The **bootstrap** needs no formula: draw $n$ images out of your $n$, *with* replacement, so that some come twice and some not at all; compute the score; do it a thousand times. The spread of the thousand scores is what another test set would have done to yours.
"""


# %%
def bootstrap(score, *arrays, times=1000):
    """`times` values of score(*arrays), each on rows drawn with replacement."""
    rng = np.random.default_rng(run.seed)
    n = len(arrays[0])
    values = []
    for _ in range(times):
        rows = rng.integers(0, n, size=n)
        values.append(score(*[array[rows] for array in arrays]))
    return np.array(values)


tiny = np.array([1.0, 1.0, 1.0, 0.0])
print("means of four draws out of (1, 1, 1, 0):")
print(bootstrap(np.mean, tiny, times=8).round(2).tolist())

# %% tags=["nbval-ignore-output"]
means = bootstrap(np.mean, right)
by_formula = error_bar(right.mean(), len(right))
print(f"formula:   ± {100 * by_formula:.2f} points")
print(f"bootstrap: ± {100 * 1.96 * means.std():.2f} points")

# %%
checks.claim(
    "bootstrap's error bar over the formula's",
    1.96 * means.std() / by_formula,
    at_least=0.9,
    at_most=1.1,
)

# %% [markdown]
r"""
One warning about the formula. If all of $n$ answers are right, it says ± 0, which is absurd. A model with an error of $3/n$ would pass $n$ tests without a mistake about one time in 20, as $(1 - 3/n)^n \approx e^{-3} = 0.05$. So no errors in $n$ means "below $3/n$", the **rule of three**.
"""

# %%
for n in (100, 1000, 10000):
    print(f"0 errors in {n:,}: below {3 / n:.2%}, since {(1 - 3 / n) ** n:.3f}")

# %% [markdown]
r"""
## 98.1 against 98.3

A report says that a new recipe lifts the accuracy on MNIST's 10,000 test digits from 98.1 % to 98.3 %. Each has an error bar, and the bar of the difference of two *independent* results is $1.96\sqrt{p_1(1-p_1)/n + p_2(1-p_2)/n}$.

> **Predict, then run.** 0.2 points on 10,000 images are 20 more right answers. That is
> (a) a gain beyond doubt, (b) within the noise: undecided, (c) proof that the two recipes are equally good?

Three more rows hold accuracies as chapters 05 and [08](08_cnn.ipynb) measure them, rounded.
"""


# %%
def unpaired(p, q, n):
    """Error bar of q - p, each measured on n images of its own."""
    # np.hypot(a, b) is the root of a² + b²: variances add
    return np.hypot(error_bar(p, n), error_bar(q, n))


pairs = {
    "the report": (0.981, 0.983),
    "05: articles' recipe, one-cycle": (0.954, 0.983),
    "05's network, 08's network": (0.983, 0.992),
    "08: one epoch, two epochs": (0.992, 0.993),
}
rows = {}
for name, (p, q) in pairs.items():
    bar = unpaired(p, q, 10000)
    verdict = "undecided" if q - p <= bar else "a difference"
    rows[name] = [f"{100 * p:.1f} ± {100 * error_bar(p, 10000):.2f}"]
    rows[name] += [f"{100 * q:.1f} ± {100 * error_bar(q, 10000):.2f}"]
    rows[name] += [f"{100 * (q - p):.1f} ± {100 * bar:.2f}", verdict]
columns = ["one, %", "other, %", "difference, points", "verdict"]
pd.DataFrame(rows, index=columns).T

# %% [markdown]
r"""
**Answer: (b).** The difference has an error bar of 0.37 points, nearly twice its size, so its true sign may well be the other one. (a) tempts because 20 images are a count, and a count sounds exact. (c) is the opposite mistake: undecided means that these images cannot show a gain, not that there is none. The steps from one chapter's recipe to the next are several times their bars. The gain of chapter 08's second epoch is smaller than its bar, so it is undecided too. How many images would settle 98.1 against 98.3? Solve for the $n$ at which the bar equals the difference:
"""

# %%
p, q = 0.981, 0.983
needed = 1.96**2 * (p * (1 - p) + q * (1 - q)) / (q - p) ** 2
print(f"{needed:,.0f} images: the bar is as wide as the difference")
print(f"{2 * needed:,.0f} images: twice as many")
print(f"80 % of 164 tasks: ± {100 * error_bar(0.8, 164):.1f} points")

# %% [markdown]
r"""
At the first number a true gain of 0.2 points is found only half of the time: the measured gain falls below 0.2, and so below the bar, as often as above. With twice as many images it is found about four times in five. The third line is for readers of leaderboards: HumanEval, on which language models that write programs are compared, has 164 tasks. Two scores of 80 % and 84 %, with nothing else known, do not tell two models apart there. The next section says what would.

### The same images, compared in pairs

The two results of a comparison are seldom independent: both models saw the *same* images, and the easy ones say nothing. Chapter 05 counted only the $g$ images gained and the $l$ lost. If both models were equally good, each of these would be a coin toss, so $g - l$ would have the error bar $1.96\sqrt{g+l}$. (Statisticians know the comparison as **McNemar's test**.)

> **Predict, then run.** The network without weight decay and the one with it read the same 10,000 digits. The bar of the paired comparison is, against the unpaired one,
> (a) smaller, (b) the same, (c) larger, as two networks vary more than one?
"""


# %%
def paired(right, before):
    """Difference in shares, and its error bar, from two (n,) bool arrays."""
    gained, lost = np.sum(right & ~before), np.sum(~right & before)
    n = len(right)
    return (gained - lost) / n, 1.96 * np.sqrt(gained + lost) / n


before = np.repeat([True, False], [9810, 190])
after = np.repeat([False, True, False], [70, 9830, 100])  # 70 lost, 90 gained
difference, bar = paired(after, before)
print(f"90 gained, 70 lost: {100 * difference:+.2f} ± {100 * bar:.2f} points")
after = np.repeat([False, True, False], [5, 9830, 165])  # 5 lost, 25 gained
difference, bar = paired(after, before)
print(f"25 gained,  5 lost: {100 * difference:+.2f} ± {100 * bar:.2f} points")

# %% tags=["nbval-ignore-output"]
right_decayed = test_decayed[-1].argmax(axis=1) == y_test
gain, bar_paired = paired(right_decayed, right)
bar_unpaired = unpaired(right.mean(), right_decayed.mean(), len(right))
print(f"gained by weight decay: {100 * gain:+.2f} points")
print(f"paired   ± {100 * bar_paired:.2f}")
print(f"unpaired ± {100 * bar_unpaired:.2f}")

# %%
checks.claim(
    "paired bar over unpaired bar",
    bar_paired / bar_unpaired,
    at_least=0.25,
    at_most=0.45,
)
checks.claim("points gained", 100 * gain, at_least=-0.9, at_most=0.9)

# %% [markdown]
r"""
**Answer: (a).** Less than half as wide, for nothing: the networks agree on most images, and what they share cancels in a difference. (b) would be true if the two made their mistakes independently, and (c) if each tended to be right where the other is wrong. Networks stumble over the same digits. So 98.1 against 98.3 may be a difference after all, if few images changed sides (25 against 5, the second line above), and stays undecided if many did (90 against 70). The two accuracies do not tell; keep the predictions.

Even then you have compared two *trained networks*, not two recipes. Another seed would move both. For recipes, repeat the training too, as chapter 08 does with five draws.

## Four counts

An accuracy treats all mistakes alike. For the rest of the chapter they get names. Take one class as **positive**, the one you are looking for. A **true positive** (TP) is found, a **false positive** (FP) is a false alarm, a **false negative** (FN) is missed, a **true negative** (TN) is left in peace. By a loop over ten messages, positive means spam:
"""


# %%
def four_counts(y, guess):
    """TP, FP, FN, TN of two sequences of 0 and 1."""
    tp = fp = fn = tn = 0
    for label, answer in zip(y, guess, strict=True):
        tp += int(answer == 1 and label == 1)
        fp += int(answer == 1 and label == 0)
        fn += int(answer == 0 and label == 1)
        tn += int(answer == 0 and label == 0)
    return tp, fp, fn, tn


spam = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
caught = [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]
tp, fp, fn, tn = four_counts(spam, caught)
print(f"TP {tp}, FP {fp}, FN {fn}, TN {tn}")

# %% [markdown]
r"""
Three scores come from the four counts:

$$\text{precision} = \frac{TP}{TP+FP} \qquad \text{recall} = \frac{TP}{TP+FN} \qquad F_1 = \frac{2\,TP}{2\,TP+FP+FN}$$

**Precision**: of the alarms, how many are real? **Recall**: of the real ones, how many are found? **F1** is their harmonic mean, $2PR/(P+R)$, which is low as soon as one of the two is.
"""

# %%
precision, recall = tp / (tp + fp), tp / (tp + fn)
f1 = 2 * tp / (2 * tp + fp + fn)
print(f"precision {precision:.2f}, recall {recall:.2f}, F1 {f1:.3f}")
checks.agree(
    "counts, harmonic mean and scikit-learn",
    f1,
    2 * precision * recall / (precision + recall),
    metrics.f1_score(spam, caught),
)

# %% [markdown]
r"""
Note what is missing: the true negatives. A filter that reads a million harmless messages more, and lets every one of them through, has the same three scores.

With ten classes, each is positive once while the other nine are negative. All the counts are in the confusion matrix $C$, with a row for each true class and a column for each guess: TP is on the diagonal, FP the rest of its column, FN the rest of its row. Then the ten scores are averaged:

- **macro**: the plain mean, every class counts the same, however rare;
- **weighted**: each class counts as often as it occurs;
- **micro**: add up the counts of all classes first, then compute one score.
"""


# %%
def confusion_matrix(y, guess, num_classes):
    """(true class, guessed class) → number of examples, by a loop."""
    matrix = np.zeros((num_classes, num_classes), dtype=int)
    for label, answer in zip(y, guess, strict=True):
        matrix[label, answer] += 1
    return matrix


def ratio(part, whole):
    """part / whole, and 0 where there is nothing to divide by."""
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def class_scores(matrix):
    """Precision, recall, F1 of each class: an array (3, classes)."""
    tp, guessed, true = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    # TP + FP is all that was guessed, TP + FN all that is true
    f1 = ratio(2 * tp, guessed + true)
    return np.stack([ratio(tp, guessed), ratio(tp, true), f1])


# %% [markdown]
r"""
On something tiny: six fruits of three classes, and two mistakes: a 0 taken for a 1, and a 1 taken for a 2.
"""

# %%
fruit = np.array([0, 0, 0, 1, 1, 2])
taken_for = np.array([0, 0, 1, 1, 2, 2])
tiny = confusion_matrix(fruit, taken_for, 3)
print(tiny)
print("precision", class_scores(tiny)[0].round(2))
print("recall   ", class_scores(tiny)[1].round(2))
print("F1       ", class_scores(tiny)[2].round(2))

# %% [markdown]
r"""
Class 1 has the lowest F1, because it has a part in both mistakes: it was missed once and a false alarm once. The averages take one function, and then everything is checked against scikit-learn on random labels and guesses: 500 of them, seven classes, of which one is never guessed (its precision is 0/0, and counts as 0).
"""


# %%
def averages(matrix):
    """Precision, recall, F1 as rows; macro, weighted, micro as columns."""
    scores, support = class_scores(matrix), matrix.sum(axis=1)
    # over all classes FP and FN are the same sum, that of the wrong answers
    micro = np.trace(matrix) / matrix.sum()
    weighted = scores @ support / support.sum()
    return np.stack([scores.mean(axis=1), weighted, np.full(3, micro)], axis=1)


labels = rng.integers(0, 7, size=500)
luck = rng.random(500) < 0.6
answers = np.where(luck, labels, rng.integers(0, 7, size=500))
answers[answers == 6] = 0
matrix = confusion_matrix(labels, answers, 7)
theirs = {
    kind: metrics.precision_recall_fscore_support(
        labels, answers, average=kind, zero_division=0
    )[:3]
    for kind in (None, "macro", "weighted", "micro")
}

# %%
checks.agree(
    "confusion matrix and scikit-learn's",
    matrix,
    metrics.confusion_matrix(labels, answers),
    tolerance=0,
)
checks.agree(
    "precision, recall, F1 and scikit-learn's",
    class_scores(matrix),
    theirs[None],
)
kinds = [theirs[kind] for kind in ("macro", "weighted", "micro")]
checks.agree(
    "three averages and scikit-learn's", averages(matrix), np.transpose(kinds)
)
layer = keras.metrics.F1Score(average="macro", dtype="float32")
layer.update_state(np.eye(7)[labels], np.eye(7)[answers])
checks.agree(
    "macro F1 by hand and by Keras",
    averages(matrix)[2, 0],
    keras.ops.convert_to_numpy(layer.result()),
)

# %% [markdown]
r"""
Look at `micro` in the code: it is the accuracy. Each wrong answer is a false positive of one class and a false negative of another, so summed over all classes FP equals FN, and precision, recall and F1 coincide. A report that lists "micro F1" beside "accuracy" lists one number twice.

Now the network's 10,000 digits, with a bootstrap for the scores that have no formula.
"""


# %% tags=["nbval-ignore-output"]
def fast_matrix(y, guess):
    """The same confusion matrix for digits, without a loop."""
    return np.bincount(10 * y + guess, minlength=100).reshape(10, 10)


matrix = fast_matrix(y_test, guess)
table = pd.DataFrame(
    class_scores(matrix),
    index=["precision", "recall", "F1"],
    columns=digits.class_names,
)
table.map("{:.2f}".format)

# %%
checks.agree(
    "with and without a loop",
    matrix,
    confusion_matrix(y_test, guess, 10),
    tolerance=0,
)
macro_f1 = averages(matrix)[2, 0]
spread = bootstrap(
    lambda y, g: averages(fast_matrix(y, g))[2, 0], y_test, guess
)
checks.claim("macro F1", macro_f1, at_least=0.89, at_most=0.92)
checks.claim(
    "macro F1's error bar", 1.96 * spread.std(), at_least=0.005, at_most=0.007
)
worst = table.loc["F1"].astype(float).min()
checks.claim("F1 of the worst digit", worst, at_least=0.82, at_most=0.9)

# %% [markdown]
r"""
The digits are about equally frequent, so macro, weighted and micro nearly coincide here, and the worst class is what the mean hides. The averages part company when a class is rare.
"""

# %% [markdown]
r"""
## When accuracy lies: one in fifty

Turn the ten-digit network into a detector: "is it an 8?" Its score for an image is the probability that softmax gives to 8, and it says yes above 0.5. To make the 8 rare, keep 184 of the 974 eights at random: about one image in fifty. Fraud, defects and diseases are rarer still.

> **Predict, then run.** A "detector" that answers no to every image, without looking, has an accuracy of
> (a) 2 %, (b) 50 %, (c) 98 %?
"""

# %%
probabilities = scipy.special.softmax(z_test.astype(float), axis=1)
eight, score = y_test == 8, probabilities[:, 8]
kept = rng.choice(np.flatnonzero(eight), size=184, replace=False)
rare = np.concatenate([np.flatnonzero(~eight), kept])
print(f"{eight.sum()} eights in {len(eight):,}: {eight.mean():.1%}")
print(f"{eight[rare].sum()} eights in {len(rare):,}: {eight[rare].mean():.1%}")

# %%
sets = {"one in ten": slice(None), "one in fifty": rare}
rows = {}
for name, chosen in sets.items():
    truth, yes = eight[chosen], score[chosen] > 0.5
    for who, says in (("always no", np.zeros_like(yes)), ("network", yes)):
        tp, fp = np.sum(says & truth), np.sum(says & ~truth)
        fn = np.sum(~says & truth)
        rows[f"{name}, {who}"] = {
            "accuracy": np.mean(says == truth),
            "precision": ratio(tp, tp + fp),
            "recall": ratio(tp, tp + fn),
            "F1": ratio(2 * tp, 2 * tp + fp + fn),
        }
detectors = pd.DataFrame(rows).T.astype(float)

# %% tags=["nbval-ignore-output"]
detectors.map("{:.3f}".format)

# %%
no, network = "one in fifty, always no", "one in fifty, network"
checks.claim(
    "accuracy of always no",
    detectors["accuracy"][no],
    at_least=0.98,
    at_most=0.9801,
)
lead = detectors["accuracy"][network] - detectors["accuracy"][no]
checks.claim(
    "the network's lead in accuracy", lead, at_least=-0.003, at_most=0.01
)
checks.claim(
    "the network's recall",
    detectors["recall"][network],
    at_least=0.75,
    at_most=0.95,
)
# %%
recall = detectors["recall"]
checks.claim(
    "its recall, one in fifty over one in ten",
    recall[network] / recall["one in ten, network"],
    at_least=0.88,
    at_most=1.12,
)
checks.claim(
    "its precision, one in fifty over one in ten",
    detectors["precision"][network]
    / detectors["precision"]["one in ten, network"],
    at_least=0.54,
    at_most=0.8,
)

# %% [markdown]
r"""
**Answer: (c).** 98 %, and it finds nothing. A network that finds most of the eights is within a point of it: at one in fifty the accuracy cannot tell a detector from a stone. Whenever you read an accuracy, ask what the most frequent answer alone would get.

Now compare the two rows of the network. Its recall hardly depends on how rare the eights are; it is a statement about eights. Its precision falls, because the same few mistakes on the other digits now weigh against far fewer eights. A precision measured on a balanced test set says nothing about the real stream. With 184 eights, by the way, a recall of 0.85 is known to ± 0.05: the bar goes with the number of *positives*.

## Every threshold at once

Why 0.5? A higher threshold gives fewer alarms, a lower one finds more. The **ROC curve** shows all thresholds: the share of positives that are found (recall, also **true positive rate**) over the share of negatives that raise an alarm (**false positive rate**). The **precision-recall curve** shows, for the same thresholds, the precision over the recall. By a loop on six images, one threshold after another:
"""

# %%
tiny_score = np.array([0.9, 0.8, 0.6, 0.6, 0.3, 0.1])
tiny_truth = np.array([1, 1, 0, 1, 0, 0], dtype=bool)
for threshold in (0.9, 0.8, 0.6, 0.3, 0.1):
    alarm = tiny_score >= threshold
    found = np.sum(alarm & tiny_truth) / tiny_truth.sum()
    false = np.sum(alarm & ~tiny_truth) / np.sum(~tiny_truth)
    real = np.sum(alarm & tiny_truth) / alarm.sum()
    print(
        f"from {threshold}: false positive rate {false:.2f}, "
        f"recall {found:.2f}, precision {real:.2f}"
    )

# %% [markdown]
r"""
For thousands of images a loop over thresholds is slow. Sort by falling score instead; the running sums of positives and negatives are TP and FP at every threshold. Images with the *same* score (0.6 above) cannot be separated by a threshold, so of each tie only the last counts.
"""


# %%
def counts_by_threshold(y, score):
    """TP and FP with the threshold at each distinct score, from high to low."""
    order = np.argsort(-score, kind="stable")
    y, score = y[order], score[order]
    last = np.append(np.diff(score) != 0, True)  # the last of each tie
    return np.cumsum(y)[last], np.cumsum(~y)[last]


def roc(y, score):
    """False positive rate and recall, from (0, 0) to (1, 1)."""
    tp, fp = counts_by_threshold(y, score)
    return np.append(0, fp / fp[-1]), np.append(0, tp / tp[-1])


def precision_recall(y, score):
    """Precision and recall, from the highest threshold to the lowest."""
    tp, fp = counts_by_threshold(y, score)
    return tp / (tp + fp), tp / tp[-1]


print(
    "ROC", [corner.round(2).tolist() for corner in roc(tiny_truth, tiny_score)]
)

# %% [markdown]
r"""
One number for the whole curve is its **area**, AUC. It has a plain meaning: take a positive and a negative at random; the area is the probability that the positive has the higher score (a tie counts one half). The precision-recall curve has the **average precision**, $AP = \sum_k (R_k - R_{k-1})\,P_k$: the precision, averaged over the positives in the order in which they are found. Random labels, scores with many ties:
"""


# %%
def auc_by_pairs(y, score):
    """The share of (positive, negative) pairs in the right order."""
    above = score[y][:, None] > score[~y][None, :]  # (positives, negatives)
    equal = score[y][:, None] == score[~y][None, :]
    return np.mean(above + 0.5 * equal)


def average_precision(y, score):
    precision, recall = precision_recall(y, score)
    return np.sum(np.diff(recall, prepend=0) * precision)


truth = rng.random(400) < 0.3
scores = (0.3 * truth + rng.random(400)).round(2)
fpr, tpr = roc(truth, scores)
theirs = metrics.roc_curve(truth, scores, drop_intermediate=False)
checks.agree("ROC and scikit-learn's", [fpr, tpr], theirs[:2])
theirs = metrics.precision_recall_curve(truth, scores)
# from high thresholds to low, without scikit-learn's last point (1, 0)
theirs = [part[-2::-1] for part in theirs[:2]]
checks.agree(
    "precision-recall and scikit-learn's",
    precision_recall(truth, scores),
    theirs,
)

# %%
checks.agree(
    "area by trapezoids, by pairs and scikit-learn's",
    np.trapezoid(tpr, fpr),
    auc_by_pairs(truth, scores),
    metrics.roc_auc_score(truth, scores),
)
checks.agree(
    "average precision and scikit-learn's",
    average_precision(truth, scores),
    metrics.average_precision_score(truth, scores),
)

# %% [markdown]
r"""
> **Predict, then run.** The detector of eights has an area under the ROC curve of about 0.99 when an 8 is one image in ten. At one in fifty
> (a) both areas fall, (b) the ROC's stays and the average precision falls, (c) both stay: the network is the same?
"""

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(1, 2, height=3)
areas = {}
for index, (name, chosen) in enumerate(sets.items()):
    truth, scores = eight[chosen], score[chosen]
    fpr, tpr = roc(truth, scores)
    precision, recall = precision_recall(truth, scores)
    areas[name] = np.trapezoid(tpr, fpr), average_precision(truth, scores)
    style = {"color": plots.COLORS[index], "linestyle": plots.LINES[index]}
    auc, ap = areas[name]
    axes[0].plot(fpr, tpr, label=f"{name}, area {auc:.2f}", **style)
    axes[1].plot(recall, precision, label=f"{name}, area {ap:.2f}", **style)
    chance = {"linewidth": 0.8, "label": f"{name}, chance"} | style
    axes[1].axhline(truth.mean(), **chance)
axes[0].plot([0, 1], [0, 1], color="black", linewidth=0.8, label="chance")
axes[0].set(xlabel="false positive rate", ylabel="recall", title="ROC")
axes[1].set(xlabel="recall", ylabel="precision", title="precision-recall")
for panel in axes:
    panel.legend(fontsize=8)
finding = (
    "The same detector: how rare the eights are leaves the ROC curve where it "
    "is and pulls the precision down."
)
plots.show(fig, finding)

# %%
auc, ap = (pd.Series(x, index=areas) for x in zip(*areas.values(), strict=True))
checks.claim(
    "AUC at one in ten", auc["one in ten"], at_least=0.98, at_most=0.995
)
change = auc["one in fifty"] - auc["one in ten"]
checks.claim(
    "AUC's change at one in fifty", change, at_least=-0.012, at_most=0.012
)
change = ap["one in fifty"] - ap["one in ten"]
checks.claim("average precision's change", change, at_least=-0.2, at_most=-0.02)

# %% [markdown]
r"""
**Answer: (b).** Both axes of the ROC are shares *within* a class, so it does not notice how frequent the classes are. That is its virtue when you compare models, and its vice when you plan a product: a false positive rate of 1 % looks like nothing on its axis, and is half of all alarms if one case in a hundred is real. (c) tempts because the network is indeed the same; its precision is a property of the network *and* of the stream. For rare positives, show the precision-recall curve, beside its chance line: alarms at random have the share of positives as their precision.

## A threshold from the price of each error

On which point of the curve should you stand? That is no question of statistics. It is one of prices. Take the real table of [chapter 01](01_data.ipynb): 569 samples of breast tissue, 30 measured properties of cell nuclei, malignant or benign. A missed tumour has a price $c_{\text{miss}}$, a needless biopsy $c_{\text{alarm}}$. If the model says malignant with probability $p$, an alarm costs $(1-p)\,c_{\text{alarm}}$ on average and silence $p\,c_{\text{miss}}$. The alarm is cheaper when

$$p > \frac{c_{\text{alarm}}}{c_{\text{alarm}} + c_{\text{miss}}}.$$

> **Predict, then run.** A missed tumour shall count as much as 50 needless biopsies. (Who sets that number? Not you; but someone has to, and a threshold of 0.5 sets it to 1.) The alarm should go off from a probability of
> (a) 0.02, (b) 0.5, (c) 0.98?

The model is logistic regression, one dense unit with a sigmoid; the scaler learns its means on the training part only. 20 random splits, each with 171 samples to test on, because in a single split one tumour more or less would decide. In scikit-learn's table 0 stands for malignant: turn it round, or everything below is upside down.
"""

# %%
cancer = datasets.load_breast_cancer()
malignant = cancer.target == 0
print(cancer.target_names.tolist())
print(f"{malignant.sum()} malignant of {len(malignant)}")
truths, chances = [], []
for split in range(20):
    x_fit, x_new, y_fit, y_new = model_selection.train_test_split(
        cancer.data,
        malignant,
        test_size=171,
        stratify=malignant,
        random_state=20 * run.seed + split,
    )
    regression = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()
    )
    chances.append(regression.fit(x_fit, y_fit).predict_proba(x_new)[:, 1])
    truths.append(y_new)
truth, chance = np.concatenate(truths), np.concatenate(chances)
print("predictions:", chance.shape)


# %%
def cost(y, p, threshold, miss, alarm=1):
    """Mean price of the errors, a sample, with alarms from `threshold` on."""
    missed, needless = y & (p < threshold), ~y & (p >= threshold)
    return (miss * missed.sum() + alarm * needless.sum()) / len(y)


tiny_y, tiny_p = np.array([True, False]), np.array([0.3, 0.1])
for threshold in (0.5, 0.2, 0.05):
    print(f"from {threshold}: {cost(tiny_y, tiny_p, threshold, miss=50)}")

# %% tags=["nbval-ignore-output"]
thresholds = np.geomspace(0.001, 0.99, 150)
fig, axes = plots.figure(width=5.5, height=3)
series = {
    f"a miss : an alarm = {miss} : 1": [
        cost(truth, chance, t, miss) / cost(truth, chance, 0.5, miss)
        for t in thresholds
    ]
    for miss in (1, 10, 50)
}
options = {"xscale": "log", "ylim": (0, 3)}
labels = {"xlabel": "threshold", "ylabel": "cost, that at 0.5 = 1"}
plots.lines(axes, thresholds, series, **labels, **options)
for index, miss in enumerate((1, 10, 50)):
    t = 1 / (1 + miss)
    height = cost(truth, chance, t, miss) / cost(truth, chance, 0.5, miss)
    mark = plots.MARKERS[index]
    axes.plot(t, height, mark, color=plots.COLORS[index], markersize=8)
finding = (
    "The dearer a missed tumour, the lower the cheapest threshold; the marks, "
    "from the formula, lie near the bottom of each curve."
)
plots.show(fig, finding)

# %% [markdown]
r"""
With a miss at 50 alarms, the two thresholds side by side. Each split has 64 tumours and 107 benign samples to test on; the numbers are means over the 20 splits.
"""

# %% tags=["nbval-ignore-output"]
price = 1 / (1 + 50)
rows = {}
for name, t in (("0.5", 0.5), ("1/51", price)):
    tp, fp, fn, _ = four_counts(truth, chance >= t)
    rows[f"from {name}"] = {
        "recall": f"{tp / (tp + fn):.3f}",
        "precision": f"{tp / (tp + fp):.3f}",
        "missed, of 64 tumours": f"{fn / 20:.1f}",
        "needless, of 107 benign": f"{fp / 20:.1f}",
        "cost a sample": f"{cost(truth, chance, t, 50):.2f}",
    }
pd.DataFrame(rows).T

# %%
priced, usual = cost(truth, chance, price, 50), cost(truth, chance, 0.5, 50)
cheapest = min(cost(truth, chance, t, 50) for t in thresholds)
rights = (chance >= 0.5) == truth
checks.claim(
    "accuracy at 0.5",
    rights.mean(),
    at_least=0.965,
    at_most=0.985,
    examples=569,
)
checks.claim("cost, price's threshold over 0.5", priced / usual, at_most=0.4)
checks.claim(
    "the same over the cheapest in hindsight", priced / cheapest, at_most=1.35
)
recall = np.mean(chance[truth] >= price)
alarms = [np.mean((chance >= t) == truth) for t in (0.5, price)]
checks.claim(
    "accuracy lost at 1/51", alarms[0] - alarms[1], at_least=0.09, at_most=0.15
)
checks.claim("share of the tumours found at 1/51", recall, at_least=0.985)

# %% [markdown]
r"""
**Answer: (a).** 1/51. (b) is what a library takes unless you say otherwise. The model is the same and was not trained again; moving one number more than halves the cost, and the accuracy gets *worse* on the way, by some twelve points. A model that is "97 % accurate" is the wrong product here; the one that is right less often is the better one.

The formula has a condition: $p$ must mean what it says. If of all samples given 2 % a fifth were malignant, 1/51 would be far off. Logistic regression is near to honest on this table. Networks often are not, and that is the next section. When you don't trust the probabilities, try all thresholds on the validation set, take the cheapest, and expect it to be a little less cheap on the test set.

## Does 90 % mean 90 %?

The **confidence** of an answer is the largest of its probabilities. A model is **calibrated** if, of all answers given with a confidence of 90 %, 90 % are right. [Chapter 05](05_mlp.ipynb) saw a network that knew its 1,000 digits by heart become certain of everything. Now measure it: sort the answers into ten bins of confidence, and compare in each bin the mean confidence with the share that is right. The figure of the two is the **reliability diagram**; the mean gap, weighted by the number of answers in a bin, is the **expected calibration error**:

$$ECE = \sum_b \frac{n_b}{n}\,\bigl|\,\text{accuracy}_b - \text{confidence}_b\,\bigr|$$
"""


# %%
def reliability(confidence, right, num_bins=10):
    """Mean confidence, accuracy and answers, for each bin that has any."""
    edges = np.linspace(0, 1, num_bins + 1)
    bins = np.searchsorted(edges[1:-1], confidence)
    rows = []
    for b in range(num_bins):
        inside = bins == b
        if inside.any():
            rows.append(
                (confidence[inside].mean(), right[inside].mean(), inside.sum())
            )
    return np.array(rows).T


def calibration_error(confidence, right):
    said, came, count = reliability(confidence, right)
    return np.sum(count / count.sum() * np.abs(came - said))


said = np.array([0.95, 0.95, 0.95, 0.65])
came = np.array([True, True, False, True])
print(reliability(said, came).round(2))
print(
    f"3/4 · |0.67 − 0.95| + 1/4 · |1 − 0.65| = {calibration_error(said, came):.2f}"
)

# %% [markdown]
r"""
The bin at 95 % holds three of the four answers, so its gap weighs three quarters. Scikit-learn has the curve, though not the error. On random confidences:
"""

# %%
confidence = rng.random(1000)
correct = rng.random(1000) < confidence**2
came, said = calibration.calibration_curve(correct, confidence, n_bins=10)
ours = reliability(confidence, correct)
checks.agree("reliability and scikit-learn's", ours[:2], [said, came])

# %% [markdown]
r"""
> **Predict, then run.** The network without weight decay is right on about 90 % of the test digits. Its mean confidence is about
> (a) 84 %, (b) 90 %, (c) 96 %?
"""


# %%
def judge(z, y):
    """Confidence (n,), whether right (n,), and the mean cross-entropy."""
    z = z.astype(float)
    p = scipy.special.softmax(z, axis=1)
    loss = -np.mean(scipy.special.log_softmax(z, axis=1)[np.arange(len(y)), y])
    return p.max(axis=1), p.argmax(axis=1) == y, loss


confidence, right, loss = judge(z_test, y_test)
learned = judge(z_train, y_train)[1]
checks.claim("accuracy on the training digits", learned.mean(), at_least=0.999)

# %%
checks.claim(
    "mean confidence",
    confidence.mean(),
    at_least=0.95,
    at_most=0.97,
    percent=True,
)
excess = confidence.mean() - right.mean()
checks.claim(
    "mean confidence less accuracy", excess, at_least=0.04, at_most=0.065
)
checks.claim(
    "expected calibration error",
    calibration_error(confidence, right),
    at_least=0.04,
    at_most=0.065,
)

# %% [markdown]
r"""
**Answer: (c).** It is **overconfident**: it promises about 4 errors in 100 and makes about 9. Training brought it there. Once the 1,000 training digits were right (first line), the easiest way left to lower their loss was to multiply the logits.

So divide them again. **Temperature scaling** replaces the logits $z$ by $z/T$ with one number $T$ for the whole network. $T$ is a choice, so it is made on the validation set: the one with the lowest cross-entropy there. (On the *training* digits the lowest loss is at $T \to 0$: still more certain.)

> **Predict, then run.** Dividing all logits by $T = 2$ changes the test accuracy
> (a) for the better, (b) not at all, (c) for the worse?
"""


# %%
def fitted_temperature(z, y):
    """The T for which softmax(z / T) has the lowest cross-entropy."""
    found = scipy.optimize.minimize_scalar(
        lambda log_t: judge(z / np.exp(log_t), y)[2],
        bounds=(-2, 3),
        method="bounded",
    )
    return float(np.exp(found.x))


networks = {
    "no weight decay": (z_valid, z_test),
    "weight decay 0.5": (valid_decayed[-1], test_decayed[-1]),
}
rows, judged = {}, {}
for name, (for_choice, for_report) in networks.items():
    T = fitted_temperature(for_choice, y_valid)
    for label, temperature in (("as trained", 1.0), ("with temperature", T)):
        c, r, loss = judge(for_report / temperature, y_test)
        judged[name, label] = c, r
        rows[name, label] = [temperature, r.mean(), c.mean()]
        rows[name, label] += [calibration_error(c, r), loss]

# %% tags=["nbval-ignore-output"]
columns = ["T", "accuracy", "mean confidence", "ECE", "loss, nats"]
measured = pd.DataFrame(rows, index=columns).T
measured.map("{:.3f}".format)

# %%
plain = measured.loc["no weight decay"]
decayed = measured.loc["weight decay 0.5"]
checks.agree("accuracy at T = 1 and at T", *plain["accuracy"], tolerance=0)
checks.claim("T", plain["T"].iloc[1], at_least=1.6, at_most=2.4)
checks.claim("ECE with T", plain["ECE"].iloc[1], at_most=0.025)
less = plain["loss, nats"].iloc[1] / plain["loss, nats"].iloc[0]
checks.claim("loss, with T over as trained", less, at_most=0.82)
checks.claim(
    "ECE, weight decay's over none",
    decayed["ECE"].iloc[0] / plain["ECE"].iloc[0],
    at_most=0.75,
)
gap = decayed["loss, nats"].iloc[1] / plain["loss, nats"].iloc[1]
checks.claim("loss, the two with their T", gap, at_least=0.92, at_most=1.03)

# %% tags=["nbval-ignore-output"]
fig, axes = plots.figure(width=5, height=3.4)
axes.plot([0.2, 1], [0.2, 1], color="black", linewidth=0.8, label="calibrated")
for index, label in enumerate(("as trained", "with temperature")):
    said, came, count = reliability(*judged["no weight decay", label])
    bars = error_bar(came, count)
    style = {"color": plots.COLORS[index], "marker": plots.MARKERS[index]}
    axes.errorbar(said, came, bars, label=label, capsize=2, **style)
axes.legend()
axes.set(xlabel="confidence", ylabel="share that is right", ylim=(0, 1.02))
finding = (
    "As trained, the network is right less often than it says, in nearly every "
    "bin; one temperature brings it close to the diagonal."
)
plots.show(fig, finding)

# %% [markdown]
r"""
**Answer: (b).** Not at all, to the last image: dividing ten numbers by the same $T$ leaves the largest the largest. (a) tempts because the loss does get better. What changes is what the numbers mean. In the figure even a little too much: where the points with $T$ lie above the diagonal, the network is now slightly *under*confident. The validation digits hold about a hundred wrong answers, which fix $T$ only roughly. This also settles what chapter 05 left open. Weight decay did buy more honest probabilities; a temperature buys the same and more, after training, for the price of a validation set; and with their temperatures the two networks have nearly the same loss.

Does it matter? Let a product answer by itself when the confidence is at least 95 % and hand the rest to a person. Add up the errors that the accepted answers *promise*, one minus the confidence of each, and count those that they *make*:
"""

# %% tags=["nbval-ignore-output"]
over, shares = {}, {}
for label in ("as trained", "with temperature"):
    confidence, right = judged["no weight decay", label]
    accepted = confidence >= 0.95
    promised, made = np.sum(1 - confidence[accepted]), np.sum(~right[accepted])
    over[label], shares[label] = made / promised, accepted.mean()
    print(
        f"{label}: {accepted.sum():,} accepted, "
        f"{promised:.0f} errors promised, {made} made"
    )

# %%
checks.claim(
    "errors made over promised, as trained",
    over["as trained"],
    at_least=7.5,
    at_most=13,
)
checks.claim(
    "answers accepted, with T over as trained",
    shares["with temperature"] / shares["as trained"],
    at_least=0.65,
    at_most=0.85,
)
checks.claim(
    "errors made over promised, with T",
    over["with temperature"],
    at_least=0.4,
    at_most=1.8,
)

# %% [markdown]
r"""
As trained, the product makes about ten times the errors that it budgets for. With the temperature it hands more questions to a person, and its errors are of the order that it promised. (Not to the last one: few validation digits are answered so surely and wrongly.) Language models that choose one of several answers do so by the same softmax: the temperature of that choice can be fitted on some hundred answers that somebody has checked.

## Peeking

Each time a test set takes part in a choice, a little of it leaks into the model. How much? The purest case: models that know nothing. A thousand questions with yes or no as their answers; each "model" tosses a coin. You try some, look at the test set, and keep the best.

> **Predict, then run.** 1,000 coins on 1,000 questions. The best has, on this test set, an accuracy of about
> (a) 50 %, (b) 55 %, (c) 75 %?
"""

# %%
answers = rng.integers(0, 2, size=1000)  # of the test set
coins = rng.integers(0, 2, size=(1000, 1000))  # (models, questions)
on_test = np.mean(coins == answers, axis=1)
fresh = rng.integers(0, 2, size=(1000, 1000))  # their guesses on new questions
on_fresh = np.mean(fresh == rng.integers(0, 2, size=1000), axis=1)
best = on_test.argmax()
checks.claim(
    "accuracy of the best coin", on_test[best], at_least=0.535, at_most=0.575
)
checks.claim(
    "its accuracy on new questions", on_fresh[best], at_least=0.45, at_most=0.55
)

# %% [markdown]
r"""
**Answer: (b).** Five points above chance, where the error bar of one model is 3.1 points. (a) is what a typical coin gets, and what the best one gets on new questions. The formula is right; it holds for a model chosen *before* it met these questions, not for the luckiest of a thousand. It gets worse. Let the coins vote, each that did better than chance as it is, each that did worse turned round:
"""

# %%
vote = np.sign(on_test - 0.5) @ (2 * coins - 1) > 0
checks.claim(
    "accuracy of the vote",
    np.mean(vote == answers),
    at_least=0.75,
    at_most=0.85,
)
vote_fresh = np.sign(on_test - 0.5) @ (2 * fresh - 1) > 0
new_answers = rng.integers(0, 2, size=1000)
checks.claim(
    "the vote's accuracy on new questions",
    np.mean(vote_fresh == new_answers),
    at_least=0.44,
    at_most=0.56,
)

# %% [markdown]
r"""
Close to 80 %, from a thousand coins and one bit of the test set about each ("better than half?"). On new questions it is a coin again. Nobody does this on purpose. A team that submits to the same leaderboard for a year does it one bit at a time. How the best score grows with the number of models tried, averaged over 300 repetitions:
"""

# %% tags=["nbval-ignore-output"]
tried = np.unique(np.geomspace(1, 1000, 25).astype(int))
fig, axes = plots.figure(width=5.5, height=3)
series = {}
for n in (200, 1000, 10000):
    scores = rng.binomial(n, 0.5, size=(300, 1000)) / n
    best_so_far = np.maximum.accumulate(scores, axis=1).mean(axis=0)
    series[f"{n:,} questions"] = 100 * best_so_far[tried - 1]
axes.axhline(50, color="black", linewidth=0.8, label="on new questions")
plots.lines(
    axes,
    tried,
    series,
    xscale="log",
    xlabel="models tried",
    ylabel="best accuracy on the test, %",
)
finding = (
    "The best of many coins climbs with the number tried, and more on a small "
    "test set; on new questions all of them stay at 50 %."
)
plots.show(fig, finding)

# %% [markdown]
r"""
Read it as a price list. The climb goes with $\sqrt{\ln k / n}$ for $k$ models and $n$ questions: ten times the models cost little, a tenth of the questions costs a lot. So a small test set is spent after a few looks, and a large one bears many.
"""

# %% [markdown]
r"""
## What the machine did

Evaluation is cheap where predictions are kept, and dear where they are computed again. Chapter 05 counted 1,007,104 operations for an image in training and 469,504 (two for each weight) for a prediction.
"""

# %% tags=["nbval-ignore-output"]
training_work = 20 * 1000 * 1_007_104
watching_work = 20 * 11_000 * 469_504
print(f"one training, 20 epochs:        {training_work / 1e9:.0f}e9 operations")
print(f"watching 11,000 digits as well: {watching_work / 1e9:.0f}e9 operations")
began = time.perf_counter()
bootstrap(np.mean, right)
print(f"1,000 bootstrap accuracies: {time.perf_counter() - began:.2f} s")

# %%
checks.claim(
    "operations of watching over training",
    watching_work / training_work,
    at_least=5,
    at_most=5.3,
)

# %% [markdown]
r"""
Looking at the 11,000 digits after every epoch was five times the arithmetic of the training that it watched. (It went by unnoticed: large batches and no gradients come closest to the processor's limit of about 190 GFLOP/s.) The thousand bootstrap accuracies took no network at all. So store the predictions of every model that you evaluate, one row an example: every score, bar, threshold and temperature of this chapter came out of two such arrays.
"""

# %% [markdown]
r"""
## Spot the bug

An article trains a network, keeps the best epoch, and reports its score. The code runs, and you will meet it often:

```python
best = 0
for epoch in range(20):
    model.fit(x_train, y_train, epochs=1)
    accuracy = model.evaluate(x_test, y_test)[1]
    if accuracy > best:
        best = accuracy
        model.save("best.keras")
print("test accuracy:", best)
```

What is wrong with the number that it prints, and what is *not* wrong with the model that it saves? Decide, then go on.

The first network's logits after each epoch are still there: 20 candidates. Give the article a test set of 200 images, as in many a study of a rare disease. The other digits tell the truth. Draw the 200 anew a thousand times. Beside it stands the repair: choose on 200 *other* images, and report on the test set once.
"""

# %%
hits = test_by_epoch.argmax(axis=2) == y_test  # (20 epochs, 10000 digits)
flattered, honest, truths = [], [], []
for _ in range(1000):
    rows = rng.choice(len(y_test), size=400, replace=False)
    on_test, on_valid = hits[:, rows[:200]], hits[:, rows[200:]]
    others = len(y_test) - 400
    truth = (hits.sum(axis=1) - hits[:, rows].sum(axis=1)) / others
    peeked = on_test.mean(axis=1).argmax()
    chosen = on_valid.mean(axis=1).argmax()
    flattered.append(on_test[peeked].mean() - truth[peeked])
    honest.append(on_test[chosen].mean() - truth[chosen])
    truths.append((truth[peeked], truth[chosen]))

# %% tags=["nbval-ignore-output"]
bins = np.arange(-8, 9)
fig, axes = plots.figure(1, 2, height=2.6, sharey=True)
errors = {"as published": flattered, "repaired": honest}
for index, (name, values) in enumerate(errors.items()):
    points = 100 * np.array(values)
    hatch = {"color": plots.COLORS[index], "hatch": ("", "//")[index]}
    axes[index].hist(points, bins, edgecolor="white", **hatch)
    axes[index].axvline(points.mean(), color="black", linestyle="--")
    axes[index].set(title=name, xlabel="reported less true accuracy, points")
axes[0].set_ylabel("repetitions")
finding = (
    "Chosen and reported on the same images, the accuracy is too high on "
    "average (dashed); reported on others it is right on average."
)
plots.show(fig, finding)

# %%
checks.claim(
    "points of flattery, as published",
    100 * np.mean(flattered),
    at_least=1.0,
    at_most=1.5,
)
checks.claim(
    "points of flattery, repaired",
    100 * np.mean(honest),
    at_least=-0.25,
    at_most=0.25,
)
peeked, chosen = 100 * np.mean(truths, axis=0)
checks.claim(
    "points between the two saved models",
    peeked - chosen,
    at_least=-0.15,
    at_most=0.15,
)

# %% [markdown]
r"""
The printed number is a maximum over 20 noisy scores, and a maximum of noise is too high: by more than a point here, although nothing went wrong in the training. The *model* is no worse than the repaired one's; on average the two are equally good. So the bug is not that the article chose. It is that it reported the score by which it chose. The repair costs 200 more labelled images, or a fifth of the training set. Early stopping on `validation_data=(x_test, y_test)`, the best of five seeds, the prompt that did best on the benchmark: all the same bug.
"""

# %% [markdown]
r"""
## Summary

- **By hand**: four counts give precision, recall and F1; macro is the mean over classes, weighted counts their frequency, micro is the accuracy; ROC and precision-recall come from one sorting. All equal scikit-learn's. When one case in fifty is positive, "always no" is 98 % accurate: report precision and recall.
- **Error bars**: $1.96\sqrt{p(1-p)/n}$ for a share, the bootstrap for everything else. 98.1 against 98.3 on 10,000 images is undecided by the formula; in pairs, $g - l \pm 1.96\sqrt{g+l}$ may decide.
- **Threshold**: alarm from $c_{\text{alarm}}/(c_{\text{alarm}} + c_{\text{miss}})$. On the tumour table that costs less than half of what 0.5 does, if a miss costs 50 alarms.
- **Calibration**: a network trained on 1,000 digits is surer than right; one temperature, fitted on validation images, mends it and changes no answer.
- **Peeking**: the best of a thousand coins has 55 % of 1,000 questions. The best of 20 epochs, chosen and reported on the same 200 digits, promises more than a point too much.
"""

# %% [markdown]
r"""
## Going further

- Train the two networks on 5,000 digits in place of 1,000. Does the temperature go up or down? Write your guess down first.
- Fit the temperature on 50 validation digits, 200 times, drawn anew. From how many labelled answers on is it worth having?
- On a GPU: [chapter 08](08_cnn.ipynb)'s network with five seeds. How large is the spread of the test accuracy beside the error bar of 10,000 images, and which of the two would you report?
"""

# %% [markdown]
r"""
## References

- C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: *On calibration of modern neural networks*. ICML 2017, arXiv:1706.04599. Expected calibration error in equation 3, temperature scaling in section 4.2.
- C. Elkan: *The foundations of cost-sensitive learning*. IJCAI 2001. The threshold in section 1.3.
- T. Saito, M. Rehmsmeier: *The precision-recall plot is more informative than the ROC plot when evaluating binary classifiers on imbalanced datasets*. PLOS ONE 10(3), 2015.
- B. Efron: *Bootstrap methods: another look at the jackknife*. Annals of Statistics 7(1), 1979.
- Q. McNemar: *Note on the sampling error of the difference between correlated proportions or percentages*. Psychometrika 12(2), 1947.
- A. Blum, M. Hardt: *The ladder: a reliable leaderboard for machine learning competitions*. ICML 2015, arXiv:1502.04585. The vote of the coins is a variant of their boosting attack, which keeps only the submissions on the good side of 1/2.
- M. Chen and others: *Evaluating large language models trained on code*. 2021, arXiv:2107.03374. The 164 tasks of HumanEval.
- W. N. Street, W. H. Wolberg, O. L. Mangasarian: *Nuclear feature extraction for breast tumor diagnosis*. SPIE 1905, 1993. The table of 569 samples.
"""
