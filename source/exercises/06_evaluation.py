# %% [markdown]
r"""
# Exercises: evaluation

Five questions on [chapter 06](../06_evaluation.ipynb), 15 points, about 45 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
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
import scipy
from sklearn import metrics

from course_lib import checks

# %% [markdown]
r"""
## Question 1: F1 by hand (4 points)

**(a)** Count, and return the F1 of the positive class, 1. If there is nothing to divide by, return 0.
"""


# %% nbgrader={"grade": false, "grade_id": "f1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def f1(y, guess):
    """F1 of class 1, from arrays y (n,) and guess (n,) of 0 and 1."""
    ### BEGIN SOLUTION
    tp = np.sum((guess == 1) & (y == 1))
    fp = np.sum((guess == 1) & (y == 0))
    fn = np.sum((guess == 0) & (y == 1))
    return 2 * tp / (2 * tp + fp + fn) if tp else 0.0
    ### END SOLUTION


# %%
def f1_oracle(y, guess):
    return metrics.f1_score(y, guess, zero_division=0)


def one_score(name):
    """A score of scikit-learn's, with 0 where nothing can be divided."""
    index = {"precision": 0, "recall": 1}[name]
    return lambda y, guess: metrics.precision_recall_fscore_support(
        y, guess, average="binary", zero_division=0
    )[index]


f1_cases = [
    (
        np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0]),
        np.array([1, 1, 1, 0, 1, 1, 1, 0, 0, 0]),
    ),
    (np.array([0, 1, 1, 0, 0, 0, 1]), np.array([0, 1, 0, 0, 0, 0, 0])),
    (np.array([0, 1, 1, 0]), np.array([0, 0, 0, 0])),
]

# %%
f1_mistakes = {
    "That is the precision. F1 also counts what was missed.": one_score(
        "precision"
    ),
    "That is the recall. F1 also counts the false alarms.": one_score("recall"),
    "That is the plain mean of precision and recall; F1 is the harmonic "
    "one.": lambda *a: (
        (one_score("precision")(*a) + one_score("recall")(*a)) / 2
    ),
    "That is the accuracy: true negatives do not count in "
    "F1.": lambda y, guess: metrics.accuracy_score(y, guess),
    "That is the F1 of class 0.": lambda y, guess: metrics.f1_score(
        y, guess, pos_label=0
    ),
    "A factor of 2 is missing.": lambda *a: f1_oracle(*a) / 2,
    "Another score, the Jaccard index: in F1 what was found counts twice, above "
    "and below.": lambda y, guess: metrics.jaccard_score(
        y, guess, zero_division=0
    ),
}

# %% nbgrader={"grade": true, "grade_id": "f1_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "F1", f1, expected=f1_oracle, cases=f1_cases, mistakes=f1_mistakes
)
### BEGIN HIDDEN TESTS
hidden_y = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0])
hidden_guess = np.array([1, 1, 0, 0, 0, 1, 0, 0, 0])
assert abs(f1(hidden_y, hidden_guess) - 0.5) < 1e-9
assert f1(hidden_y, np.zeros(9, dtype=int)) == 0
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Now from a confusion matrix, one row a true class, one column a guessed class: the **macro** F1. In the matrices of the check every class occurs and is guessed at least once.
"""


# %% nbgrader={"grade": false, "grade_id": "macro_f1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def macro_f1(matrix):
    """Macro-averaged F1 from a confusion matrix (classes, classes)."""
    ### BEGIN SOLUTION
    tp = np.diag(matrix)
    return np.mean(2 * tp / (matrix.sum(axis=0) + matrix.sum(axis=1)))
    ### END SOLUTION


# %%
def unrolled(matrix):
    """Labels and guesses that have this confusion matrix."""
    rows, columns = np.indices(matrix.shape)
    counts = matrix.ravel()
    return np.repeat(rows.ravel(), counts), np.repeat(columns.ravel(), counts)


def averaged(kind):
    return lambda matrix: metrics.f1_score(*unrolled(matrix), average=kind)


def of_the_means(matrix):
    y, guess = unrolled(matrix)
    precision = metrics.precision_score(y, guess, average="macro")
    recall = metrics.recall_score(y, guess, average="macro")
    return scipy.stats.hmean([precision, recall])


three = np.array([[50, 3, 2], [4, 10, 6], [1, 0, 4]])
two = np.array([[90, 2], [5, 3]])

# %%
macro_mistakes = {
    "That is the micro average, the accuracy: in a macro average every class "
    "counts the same.": averaged("micro"),
    "Weighted by how often a class occurs. In a macro average a rare class "
    "counts as much.": averaged("weighted"),
    "That is the F1 of the mean precision and the mean recall. Take the mean "
    "last.": of_the_means,
    "That is the sum over the classes, not their mean.": lambda matrix: (
        len(matrix) * averaged("macro")(matrix)
    ),
    "A factor of 2 is missing.": lambda matrix: averaged("macro")(matrix) / 2,
}

# %% nbgrader={"grade": true, "grade_id": "macro_f1_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "macro F1",
    macro_f1,
    expected=averaged("macro"),
    cases=[(three,), (two,)],
    mistakes=macro_mistakes,
)
### BEGIN HIDDEN TESTS
hidden = np.array([[8, 2], [4, 1]])  # F1: 16 / 22 and 2 / 8
assert abs(macro_f1(hidden) - (16 / 22 + 2 / 8) / 2) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: the threshold for given costs (4 points)

**(a)** A calibrated model gives each card payment a probability of fraud. To block a payment that is honest costs the bank 6 euros; to let a fraud pass costs 114. A right decision costs nothing. From which probability on should a payment be blocked?
"""

# %% nbgrader={"grade": false, "grade_id": "price", "locked": false, "schema_version": 3, "solution": true, "task": false}
threshold = ...
### BEGIN SOLUTION
threshold = 6 / (6 + 114)
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "price_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
indifferent = scipy.optimize.brentq(lambda p: (1 - p) * 6 - p * 114, 0, 1)
checks.value(
    "threshold from prices",
    threshold,
    expected=indifferent,
    tolerance=1e-4,
    mistakes={
        "The other way round: the dearer a miss, the earlier the alarm.": 1
        - indifferent,
        "That is p / (1 − p), the odds, at which both cost the same. Solve for "
        "p.": 6 / 114,
        "0.5 is right only where both errors cost the same.": 0.5,
        "That is a difference of prices, not a probability.": 114 - 6,
        "That is a ratio of prices. Where is a probability at which both costs "
        "are the same?": 114 / 6,
    },
)
### BEGIN HIDDEN TESTS
assert abs(threshold - 0.05) < 1e-4
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Another model is not calibrated, so you look for its threshold by trying. Use each of the scores in turn as the threshold, with an alarm when a score is **at least** the threshold, and return the one with the lowest total cost on these examples.
"""


# %% nbgrader={"grade": false, "grade_id": "cheapest", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cheapest_threshold(y, score, miss, alarm):
    """The score (of those in `score`) that costs least; y (n,) is boolean."""
    ### BEGIN SOLUTION
    costs = []
    for threshold in score:
        missed = np.sum(y & (score < threshold))
        needless = np.sum(~y & (score >= threshold))
        costs.append(miss * missed + alarm * needless)
    return score[np.argmin(costs)]
    ### END SOLUTION


# %%
def total_costs(y, score, miss, alarm):
    """Of each score as threshold, from scikit-learn's ROC curve."""
    curve = metrics.roc_curve(y, score, drop_intermediate=False)
    fpr, tpr, thresholds = curve
    costs = miss * (1 - tpr) * np.sum(y) + alarm * fpr * np.sum(~y)
    return costs[np.searchsorted(-thresholds, -score)]


def cheapest_oracle(y, score, miss, alarm, choose=np.argmin):
    return score[choose(total_costs(y, score, miss, alarm))]


def next_lower(y, score, miss, alarm):
    lower = score[score < cheapest_oracle(y, score, miss, alarm)]
    return lower.max(initial=0.0)


rising = np.arange(1, 13) / 20
mixed = np.array([0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1], dtype=bool)

# %%
cheapest_mistakes = {
    "The prices are exchanged: a miss is a positive below the "
    "threshold.": lambda y, s, miss, alarm: cheapest_oracle(y, s, alarm, miss),
    "That is the threshold with the fewest errors. Weigh them with their "
    "prices.": lambda y, s, miss, alarm: cheapest_oracle(y, s, 1, 1),
    "The formula with the prices needs calibrated probabilities. These scores "
    "are not.": lambda y, s, miss, alarm: alarm / (alarm + miss),
    "A score that equals the threshold raises the alarm: at least, not more "
    "than.": next_lower,
    "That is the most expensive threshold.": lambda *a: cheapest_oracle(
        *a, choose=np.argmax
    ),
    "That is the lowest cost. Return the threshold that has it.": lambda *a: (
        np.min(total_costs(*a))
    ),
    "That is a place in the list of scores. Return the score that stands "
    "there.": lambda *a: np.argmin(total_costs(*a)),
    "Only the misses are counted. A needless alarm has a price "
    "too.": lambda y, s, miss, alarm: cheapest_oracle(y, s, miss, 0),
    "Those are rates, each divided by another number. Multiply the prices with "
    "counts.": lambda y, s, miss, alarm: cheapest_oracle(
        y, s, miss / np.sum(y), alarm / np.sum(~y)
    ),
}

# %% nbgrader={"grade": true, "grade_id": "cheapest_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "cheapest threshold",
    cheapest_threshold,
    expected=cheapest_oracle,
    cases=[
        (mixed, rising, 10, 1),
        (mixed, rising, 2.5, 1),
        (mixed, rising, 1, 5),
        (mixed[[3, 8, 0, 6, 11, 1, 5]], rising[[3, 8, 0, 6, 11, 1, 5]], 4, 1),
    ],
    mistakes=cheapest_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_y = np.array([1, 0, 1, 0, 0], dtype=bool)
hidden_score = np.array([0.9, 0.7, 0.6, 0.4, 0.2])
assert cheapest_threshold(hidden_y, hidden_score, 5, 1) == 0.6
assert cheapest_threshold(hidden_y, hidden_score, 1, 5) == 0.9
assert cheapest_threshold(hidden_y, hidden_score, 4, 5) == 0.9
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: a confidence interval (2 points)

Return the lower and the upper end of the 95 % confidence interval of an accuracy, by the formula of the chapter.
"""


# %% nbgrader={"grade": false, "grade_id": "interval", "locked": false, "schema_version": 3, "solution": true, "task": false}
def interval(num_right, n):
    """`(low, high)`, two shares, from `num_right` right answers out of n."""
    ### BEGIN SOLUTION
    p = num_right / n
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    return p - half, p + half
    ### END SOLUTION


# %%
def interval_oracle(num_right, n, deviations=1.96):
    """From SciPy's standard deviation of a count of n."""
    spread = scipy.stats.binom(n, num_right / n).std() / n
    ends = np.array([-1, 1]) * deviations * spread
    return tuple(num_right / n + ends)


def other_half_width(change):
    """The interval with its half-width w replaced by change(w, n)."""

    def wrong(num_right, n):
        low, high = interval_oracle(num_right, n)
        half = change((high - low) / 2, n)
        return num_right / n - half, num_right / n + half

    return wrong


# %%
interval_mistakes = {
    "That is one standard deviation to each side: two times in three, not 19 "
    "times in 20.": lambda *a: interval_oracle(*a, deviations=1),
    "The root is missing: p(1 − p)/n is a variance.": other_half_width(
        lambda w, n: 1.96 * (w / 1.96) ** 2
    ),
    "n belongs under the root.": other_half_width(lambda w, n: w / np.sqrt(n)),
    "Half of it to each side is too narrow: 1.96 standard deviations up and 1.96 "
    "down.": other_half_width(lambda w, n: w / 2),
    "n is missing under the root.": other_half_width(
        lambda w, n: w * np.sqrt(n)
    ),
    "1.645 standard deviations hold nine times in ten, not 19 times in "
    "20.": lambda *a: interval_oracle(*a, deviations=1.644854),
    "Use 1.96; 2 is its rounded form.": lambda *a: interval_oracle(
        *a, deviations=2
    ),
    "That is an interval of the number of right answers. Divide by "
    "n.": lambda num_right, n: tuple(
        n * np.array(interval_oracle(num_right, n))
    ),
}

# %% nbgrader={"grade": true, "grade_id": "interval_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "confidence interval",
    interval,
    expected=interval_oracle,
    cases=[(9910, 10000), (131, 164), (300, 400)],
    tolerance=1e-5,
    mistakes=interval_mistakes,
)
### BEGIN HIDDEN TESTS
assert np.allclose(interval(50, 100), (0.402, 0.598), atol=1e-4)
assert np.allclose(interval(90, 100), (0.8412, 0.9588), atol=1e-4)
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: which model to ship (3 points)

**(a)** Two models have read the same images. Return `"new"` if the new one is better by more than the error bar of the **paired** comparison, `"old"` if the old one is, and `"undecided"` otherwise.
"""


# %% nbgrader={"grade": false, "grade_id": "verdict", "locked": false, "schema_version": 3, "solution": true, "task": false}
def verdict(right_new, right_old):
    """One of three words, from boolean arrays (n,) on the same images."""
    ### BEGIN SOLUTION
    gained = np.sum(right_new & ~right_old)
    lost = np.sum(~right_new & right_old)
    if abs(gained - lost) <= 1.96 * np.sqrt(gained + lost):
        return "undecided"
    return "new" if gained > lost else "old"
    ### END SOLUTION


# %%
def in_a_word(difference, bar):
    """0 stands for undecided, 1 for the new model, -1, the last, for the old."""
    return ("undecided", "new", "old")[
        int(np.sign(difference)) * (abs(difference) > bar)
    ]


def by_level(level):
    """McNemar's test at a level of significance, by SciPy's chi-squared."""

    def decide(right_new, right_old):
        table = metrics.confusion_matrix(right_old, right_new, labels=[0, 1])
        changed = table[0, 1] + table[1, 0]
        bar = np.sqrt(scipy.stats.chi2.isf(level, df=1) * changed)
        return in_a_word(table[0, 1] - table[1, 0], bar)

    return decide


def as_if_independent(new, old):
    spread = np.hypot(
        scipy.stats.sem(new, ddof=0), scipy.stats.sem(old, ddof=0)
    )
    return in_a_word(new.mean() - old.mean(), 1.96 * spread)


# %%
def pair(gained, lost, both, neither):
    """Two boolean arrays, right_new and right_old, with these counts."""
    counts = [gained, lost, both, neither]
    new = np.repeat([True, False, True, False], counts)
    return new, np.repeat([False, True, True, False], counts)


def bar_of_one(new, old):
    bar = 1.96 * scipy.stats.sem(old, ddof=0)
    return in_a_word(new.mean() - old.mean(), bar)


# %%
mcnemar = by_level(0.05)
other_way = {"new": "old", "old": "new", "undecided": "undecided"}
verdict_mistakes = {
    "The larger accuracy wins in your function, by however little. What is the "
    "error bar of the difference, and are both counts, or both "
    "shares?": by_level(1.0),
    "Your function always says undecided: are difference and bar both counts, or "
    "both shares, and has the bar its root?": lambda *a: "undecided",
    "That is the bar of one model, not of a difference.": bar_of_one,
    "Those are the error bars of two independent results. On the same images, "
    "only gained and lost count.": as_if_independent,
    "That is a bar of one standard deviation. Multiply by 1.96.": by_level(
        scipy.stats.chi2.sf(1.0, df=1)
    ),
    "New and old are exchanged.": lambda *a: other_way[mcnemar(*a)],
    "A loss is a verdict as well: look at both signs.": lambda *a: mcnemar(
        *a
    ).replace("old", "undecided"),
}

# %% nbgrader={"grade": true, "grade_id": "verdict_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "paired verdict",
    verdict,
    expected=mcnemar,
    cases=[
        pair(26, 8, 900, 66),
        pair(8, 26, 900, 66),
        pair(60, 45, 800, 95),
        pair(40, 36, 900, 24),
        pair(19, 9, 972, 0),
        pair(90, 20, 700, 190),
    ],
    mistakes=verdict_mistakes,
)
### BEGIN HIDDEN TESTS
assert verdict(*pair(28, 12, 900, 60)) == "new"
assert verdict(*pair(12, 28, 900, 60)) == "old"
assert verdict(*pair(33, 22, 930, 15)) == "undecided"
assert verdict(*pair(0, 0, 90, 10)) == "undecided"
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Model A is in your product. Three others are offered. Right answers are counted on the same 10,000 images, kept for this choice, gained and lost against A.

| model | right | gained | lost | time for an answer | how it was chosen |
|---|---|---|---|---|---|
| A | 9,830 | – | – | 20 ms | on validation images |
| B | 9,836 | 61 | 55 | 60 ms | on validation images |
| C | 9,858 | 44 | 16 | 22 ms | on validation images |
| D | 9,861 | 66 | 35 | 21 ms | best of 300 checkpoints on these 10,000 images |

Which one do you ship, as long as nobody collects more data? Answer with a letter in quotes.
"""

# %% nbgrader={"grade": false, "grade_id": "ship", "locked": false, "schema_version": 3, "solution": true, "task": false}
ship = ...
### BEGIN SOLUTION
ship = "C"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "ship_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
offers = {"B": (61, 55, False), "C": (44, 16, False), "D": (66, 35, True)}
worth = {"A": 0.0} | {
    name: -1.0 if peeked else gained - lost - 1.96 * np.sqrt(gained + lost)
    for name, (gained, lost, peeked) in offers.items()
}
checks.value(
    "which to ship",
    ship,
    expected=max(worth, key=worth.get),
    mistakes={
        "One of the others beats A by more than its error bar, at nearly the same "
        "speed.": "A",
        "Six images more, with an error bar of about 21, for three times the "
        "waiting.": "B",
        "Its count is the largest of 300, on the images that chose it: nobody "
        "knows its accuracy.": "D",
    },
)
### BEGIN HIDDEN TESTS
assert str(ship).strip().upper() == "C"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 5: is it as sure as it is right? (2 points)

Return the expected calibration error with bins of equal width from 0 to 1. Empty bins count nothing. No confidence in the checks lies on an edge between two bins.
"""


# %% nbgrader={"grade": false, "grade_id": "calibration", "locked": false, "schema_version": 3, "solution": true, "task": false}
def calibration_error(confidence, right, num_bins=10):
    """ECE from confidences (n,) in (0, 1) and whether right (n,), boolean."""
    ### BEGIN SOLUTION
    bins = (confidence * num_bins).astype(int)
    error = 0.0
    for b in range(num_bins):
        inside = bins == b
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += inside.mean() * gap
    return error
    ### END SOLUTION


# %%
def gaps(confidence, right, num_bins):
    """For each bin, its share of the answers and accuracy less confidence."""
    edges = np.linspace(0, 1, num_bins + 1)
    count = np.histogram(confidence, edges)[0]
    total = np.histogram(confidence, edges, weights=right - confidence)[0]
    return (count / len(right))[count > 0], (total / count.clip(1))[count > 0]


def ece_oracle(confidence, right, num_bins=10):
    share, gap = gaps(confidence, right, num_bins)
    return share @ np.abs(gap)


def distorted(change):
    return lambda c, right, num_bins=10: change(*gaps(c, right, num_bins))


draw = np.random.default_rng(6)
sure = draw.uniform(0.3, 0.99, size=200)
correct = draw.random(200) < 0.9 * sure

# %%
ece_mistakes = {
    "Bins with few answers count as much as the others: weigh each gap with its "
    "share of the answers.": distorted(lambda s, gap: np.abs(gap).mean()),
    "Gaps of different sign cancel: take the absolute value in each "
    "bin.": distorted(lambda s, gap: abs(s @ gap)),
    "The gaps are not squared.": distorted(lambda s, gap: s @ gap**2),
    "That is the largest gap, the maximum calibration error.": distorted(
        lambda s, gap: np.abs(gap).max()
    ),
    "The middle of a bin is not the mean confidence of the answers in "
    "it.": lambda c, r, num_bins=10: ece_oracle(
        (np.ceil(c * num_bins) - 0.5) / num_bins, r, num_bins
    ),
    "Divide by the number of answers: each gap is weighed with a "
    "share.": lambda c, r, num_bins=10: len(r) * ece_oracle(c, r, num_bins),
    "num_bins is an argument: use what is given.": lambda c, r, num_bins=10: (
        ece_oracle(c, r)
    ),
}

# %% nbgrader={"grade": true, "grade_id": "calibration_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "expected calibration error",
    calibration_error,
    expected=ece_oracle,
    cases=[(sure, correct), (sure, correct, 4), (sure[:9], correct[:9])],
    mistakes=ece_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_said = np.array([0.95, 0.95, 0.95, 0.65])
hidden_came = np.array([True, True, False, True])
wanted = 0.75 * abs(2 / 3 - 0.95) + 0.25 * 0.35
assert abs(calibration_error(hidden_said, hidden_came) - wanted) < 1e-9
coarse = abs(0.75 - 0.875)
assert abs(calibration_error(hidden_said, hidden_came, 2) - coarse) < 1e-9
### END HIDDEN TESTS
