# %% [markdown]
r"""
# Exercises: data

Five questions on [chapter 01](../01_data.ipynb), 13 points, about 50 minutes. An answer starts as `...` or as a function that raises `NotImplementedError`; replace it and run the check below it. A check that finds an answer wrong says why, if it can. The notebook runs in about ten seconds, answered or not.
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
import pandas as pd
import scipy.stats
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from course_lib import checks, data

# %% [markdown]
r"""
## Question 1: find the leak (3 points)

A hospital sends you a table of 569 tumours with four columns to predict the diagnosis from. It also sends, for every cell, the day on which it was entered, and for every patient the day of the diagnosis. Day 0 is the first of January.
"""

# %%
source = load_breast_cancer(as_frame=True)
malignant = (source.target == 0).to_numpy()
rng = np.random.default_rng(run.seed)
num_patients = len(malignant)
table = pd.DataFrame(
    {
        "concave_points": source.data["worst concave points"],
        "smoothness": source.data["mean smoothness"],
        "second_reading": source.data["mean radius"].round(),
        "nights_in_hospital": rng.poisson(np.where(malignant, 2.5, 0.5)),
    }
)
diagnosed = pd.Series(rng.integers(40, 300, num_patients))
delays = {"concave_points": (-20, 1), "smoothness": (-20, 1)}
delays |= {"second_reading": (-9, 3), "nights_in_hospital": (1, 30)}
entered = pd.DataFrame(
    {k: diagnosed + rng.integers(*d, num_patients) for k, d in delays.items()}
)
entered.assign(diagnosed=diagnosed).head()

# %% [markdown]
r"""
How telling is each column by itself? The AUC is the chance that it ranks a malignant tumour above a benign one.
"""

# %%
auc = table.apply(lambda column: roc_auc_score(malignant, column))
auc.to_frame("AUC").map("{:.2f}".format)

# %% [markdown]
r"""
**(a)** Write a function that returns, for each column, the share of its cells that were entered **after** the day of that patient's diagnosis. The same day is not after. (pandas compares a table with a Series along the rows by `entered.gt(diagnosed, axis=0)`; with `>` it looks for columns of the same names.)
"""


# %% nbgrader={"grade": false, "grade_id": "late_share", "locked": false, "schema_version": 3, "solution": true, "task": false}
def late_share(entered, diagnosed):
    """Days entered (n, d) and diagnosed (n,) → share of late cells, (d,)."""
    ### BEGIN SOLUTION
    return entered.gt(diagnosed, axis=0).mean()
    ### END SOLUTION


# %%
def share_beyond(entered, diagnosed, kind="weak"):
    """By SciPy: how many delays lie above 0 (weak), or at and above it (strict)."""
    delay = np.asarray(entered).T - np.asarray(diagnosed)
    below = [scipy.stats.percentileofscore(d, 0, kind=kind) for d in delay]
    return 1 - np.array(below) / 100


few = pd.DataFrame({"a": [3, 9, 5, 8, 2], "b": [7, 7, 7, 1, 1]})
their_day = pd.Series([4, 8, 5, 6, 7])
late_mistakes = {
    "A cell that was entered on the day of the diagnosis is not after "
    "it.": lambda e, d: share_beyond(e, d, "strict"),
    "That is the share that was entered in time.": lambda e, d: (
        1 - share_beyond(e, d)
    ),
    "That is a number of cells. Divide by the number of "
    "patients.": lambda e, d: len(d) * share_beyond(e, d),
    "Each patient has a day of their own; you compared with one day for "
    "all.": lambda e, d: share_beyond(e, np.full(len(d), d.mean())),
}

# %% nbgrader={"grade": true, "grade_id": "late_share_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "share of late cells",
    late_share,
    expected=share_beyond,
    cases=[(few, their_day), (entered, diagnosed)],
    mistakes=late_mistakes,
)
### BEGIN HIDDEN TESTS
hidden = pd.DataFrame({"a": [1, 5, 9], "b": [4, 4, 4], "c": [9, 9, 9]})
hidden = np.asarray(late_share(hidden, pd.Series([2, 5, 4])))
assert np.allclose(hidden, [1 / 3, 1 / 3, 1])
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Which column must go before any training, because it is never there when you need it? Answer with its name in quotes.
"""

# %% nbgrader={"grade": false, "grade_id": "leak", "locked": false, "schema_version": 3, "solution": true, "task": false}
leak = ...
### BEGIN SOLUTION
leak = late_share(entered, diagnosed).idxmax()
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "leak_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
checks.value(
    "the leak",
    leak,
    expected=str(table.columns[share_beyond(entered, diagnosed).argmax()]),
    mistakes={
        "The most telling column, but measured in time. A high AUC is a reason "
        "to ask, not a proof.": str(auc.idxmax()),
        "It is the least telling one. Dull is not a leak.": str(auc.idxmin()),
        "A few of its cells came late: clean those. Another column is late for "
        "everybody.": "second_reading",
    },
)
### BEGIN HIDDEN TESTS
assert str(leak).strip().lower() == "nights_in_hospital"
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 2: standardise without leaking (3 points)

Return both parts standardised, column by column, with nothing learned from the test part. A column that is constant in the training part has a standard deviation of 0; divide it by 1 instead. It becomes 0 in the training part, and in the test part its difference from that constant.
"""


# %% nbgrader={"grade": false, "grade_id": "standardise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def standardise(x_train, x_test):
    """Arrays (n, d) and (m, d) → the same shapes, standardised."""
    ### BEGIN SOLUTION
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    std = np.where(std == 0, 1, std)
    return (x_train - mean) / std, (x_test - mean) / std
    ### END SOLUTION


# %%
def scaled_by(rows):
    """Both parts through scikit-learn's scaler, fitted on rows(train, test)."""

    def scale(x_train, x_test):
        fitted = StandardScaler().fit(rows(x_train, x_test))
        return fitted.transform(x_train), fitted.transform(x_test)

    return scale


by_sklearn = scaled_by(lambda x_train, x_test: x_train)


def distorted(change):
    """Right results z, changed by change(z, means, deviations, rows)."""

    def scale(x_train, x_test):
        fitted = StandardScaler().fit(x_train)
        m, s, n = fitted.mean_, fitted.scale_, len(x_train)
        with np.errstate(all="ignore"):
            parts = (fitted.transform(x_train), fitted.transform(x_test))
            return tuple(change(z, m, s, n) for z in parts)

    return scale


# %%
def each_by_itself(x_train, x_test):
    return by_sklearn(x_train, x_train)[0], by_sklearn(x_test, x_test)[0]


def one_for_all(x_train, x_test):
    parts = by_sklearn(x_train.reshape(-1, 1), x_test.reshape(-1, 1))
    return parts[0].reshape(x_train.shape), parts[1].reshape(x_test.shape)


# %%
standardise_mistakes = {
    "The test part helped to fit the mean and the deviation: "
    "a leak.": scaled_by(lambda *parts: np.concatenate(parts)),
    "Each part has statistics of its own: the same tumour gets two different "
    "numbers.": each_by_itself,
    "One mean for the whole table: each column has its own unit and needs its "
    "own.": one_for_all,
    "You divide by the variance; its root has the column's unit.": distorted(
        lambda z, m, s, n: z / s
    ),
    "The mean is still in it: subtract it first.": distorted(
        lambda z, m, s, n: z + m / s
    ),
    "Nearly: pandas divides by n − 1 here, NumPy and Keras by n.": distorted(
        lambda z, m, s, n: z * np.where(s == 1, 1, np.sqrt(1 - 1 / n))
    ),
}

# %%
many = source.data.to_numpy()[:, [0, 3, 4]]
with_constant = many[:40].copy()
with_constant[:30, 1] = 3.0
standardise_mistakes |= {
    "The constant column was divided by 0.": distorted(
        lambda z, m, s, n: z / np.where(s == 1, 0.0, 1.0)
    ),
    "A column that is constant in training need not be so later: its test part "
    "is not all 0.": distorted(lambda z, m, s, n: np.where(s == 1, 0.0, z)),
}

# %% nbgrader={"grade": true, "grade_id": "standardise_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "standardise",
    standardise,
    expected=by_sklearn,
    cases=[
        (many[:400], many[400:]),
        (with_constant[:30], with_constant[30:]),
    ],
    mistakes=standardise_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_train, hidden_test = standardise(
    np.array([[1.0, 7.0], [5.0, 7.0]]), np.array([[7.0, 7.0], [3.0, 8.0]])
)
assert np.allclose(hidden_train, [[-1, 0], [1, 0]])
assert np.allclose(hidden_test, [[2, 0], [0, 1]])
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 3: a stratified split (3 points)

The shuffling is done for you: `order` holds all row numbers in random order. Walk through it and put the first rows of **each class** into the test set, `round(share * count)` of a class that has `count` rows. Return the row numbers of the test set, sorted.
"""


# %% nbgrader={"grade": false, "grade_id": "stratified", "locked": false, "schema_version": 3, "solution": true, "task": false}
def stratified_test_rows(labels, order, share):
    """labels (n,), order (n,), share of the test set → sorted row numbers."""
    ### BEGIN SOLUTION
    test = []
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        test.extend(rows[: round(share * len(rows))])
    return np.sort(test)
    ### END SOLUTION


# %%
def by_pandas(labels, order, share, rounded=np.round):
    """The same, from each row's place among its own class."""
    shuffled = pd.Series(labels).iloc[order]
    by_class = shuffled.groupby(shuffled)
    wanted = rounded(share * by_class.transform("size"))
    return np.sort(shuffled.index[by_class.cumcount() < wanted])


def places(labels, order, share):
    return np.sort(np.argsort(order)[by_pandas(labels, order, share)])


# %%
def walked(labels, order, share):
    return order[np.isin(order, by_pandas(labels, order, share))]


def by_class(labels, order, share):
    rows = walked(labels, order, share)
    return rows[np.argsort(labels[rows], kind="stable")]


def equally_many(labels, order, share):
    num_classes = len(np.unique(labels))
    each = round(share * len(labels) / num_classes)
    rows = pd.Series(order).groupby(labels[order]).head(each)
    return np.sort(rows)


# %%
split_mistakes = {
    "One cut through all rows leaves the classes to chance: cut each class by "
    "itself.": lambda labels, order, share: np.sort(
        order[: round(share * len(labels))]
    ),
    "You took the rows as they stand in the file. It may be sorted: walk "
    "through order.": lambda labels, order, share: by_pandas(
        labels, np.arange(len(labels)), share
    ),
    "These are places in order; the rows are what stands there.": places,
    "Equally many of each class: the test set no longer has the table's "
    "shares.": equally_many,
    "That is the training set.": lambda *a: np.setdiff1d(a[1], by_pandas(*a)),
    "You took the last rows of each class in order, not the "
    "first.": lambda labels, order, share: by_pandas(
        labels, order[::-1], share
    ),
}

# %%
split_mistakes |= {
    "The right rows, class by class; sort them at the end.": by_class,
    "These rows are right, but not yet sorted.": walked,
    "labels == k marks places in the file, and order has its own: look up the "
    "labels of the rows in order.": lambda labels, order, share: by_pandas(
        labels[np.argsort(order)], order, share
    ),
    "One row of a class is missing: the task says round, and int rounds "
    "down.": lambda *a: by_pandas(*a, rounded=np.floor),
}

# %%
rare = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0])
kinds = np.repeat([2, 0, 1], [9, 30, 21])
draw = np.random.default_rng(3)

# %% nbgrader={"grade": true, "grade_id": "stratified_check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "stratified split",
    stratified_test_rows,
    expected=by_pandas,
    cases=[
        (rare, draw.permutation(len(rare)), 0.25),
        (kinds, draw.permutation(len(kinds)), 0.3),
    ],
    mistakes=split_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_labels = np.array([1, 1, 0, 0, 0, 0, 0, 0])
hidden_order = np.array([7, 3, 1, 5, 0, 2, 4, 6])
hidden = stratified_test_rows(hidden_labels, hidden_order, 0.5)
assert np.array_equal(hidden, [1, 3, 5, 7])
hidden = stratified_test_rows(kinds, np.arange(60)[::-1], 1 / 3)
assert len(hidden) == 20 and hidden[0] == 6
assert len(stratified_test_rows(kinds, np.arange(60), 0.3)) == 9 + 6 + 3
### END HIDDEN TESTS

# %% [markdown]
r"""
## Question 4: an augmentation that destroys the label (3 points)

**(a)** You want `keras.layers.RandomRotation(factor)` to turn digits by at most 18° either way. The chapter says what its `factor` counts. Which number do you write?
"""

# %% nbgrader={"grade": false, "grade_id": "factor", "locked": false, "schema_version": 3, "solution": true, "task": false}
factor = ...
### BEGIN SOLUTION
factor = 18 / 360
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "factor_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
eighteen = 1 / len(range(0, 360, 18))
checks.value(
    "factor for 18 degrees",
    factor,
    expected=eighteen,
    mistakes={
        "Degrees: that would be 18 full turns, and each digit at any angle "
        "at all.": 18,
        "Radians. Keras counts in another unit.": np.deg2rad(18),
        "A share of a half turn. Keras counts in full turns.": 2 * eighteen,
        "The range runs from −factor to +factor: do not halve it.": eighteen
        / 2,
    },
)
### BEGIN HIDDEN TESTS
assert abs(factor - 0.05) < 1e-6
### END HIDDEN TESTS

# %% [markdown]
r"""
**(b)** Does a change destroy labels? Ask a reader whom you trust. Take the images that it reads rightly as they are; return the share of *those* that it still reads rightly after the change. `change` and `read` are functions: `change(images)` gives images, `read(images)` gives labels.
"""


# %% nbgrader={"grade": false, "grade_id": "label_kept", "locked": false, "schema_version": 3, "solution": true, "task": false}
def label_kept(change, images, labels, read):
    """Share of the rightly read images (n, 28, 28) that survive the change."""
    ### BEGIN SOLUTION
    right = read(images) == labels
    return np.mean(read(change(images))[right] == labels[right])
    ### END SOLUTION


# %%
digits = data.load("mnist")
known = digits.x_train[:3000].reshape(3000, 784).astype("float32") / 255
known_square = (known**2).sum(axis=1)


def nearest(images):
    """What the nearest of 3,000 training digits is called."""
    flat = images.reshape(len(images), 784)
    distance = known_square - 2 * flat @ known.T
    return digits.y_train[distance.argmin(axis=1)]


def turn(images):
    return images[:, ::-1, ::-1]


def thicken(images):
    return np.maximum(images, np.roll(images, 1, axis=2))


x, y = digits.x_test[:300].astype("float32") / 255, digits.y_test[:300]


# %%
def kept_oracle(change, images, labels, read):
    weight = (read(images) == labels).astype(float)
    return accuracy_score(labels, read(change(images)), sample_weight=weight)


def shares(change, images, labels, read):
    """Right before, right after, and the same before and after."""
    before, after = read(images), read(change(images))
    pairs = [(labels, before), (labels, after), (before, after)]
    return [accuracy_score(*pair) for pair in pairs]


# %%
kept_mistakes = {
    "Images that were misread from the start count here; leave them "
    "out.": lambda *a: shares(*a)[1],
    "That is the share that the change destroyed.": lambda *a: (
        1 - kept_oracle(*a)
    ),
    "Read alike is not read rightly: compare with the labels.": lambda *a: (
        shares(*a)[2]
    ),
    "After over before counts images that the change set right by "
    "luck.": lambda *a: shares(*a)[1] / shares(*a)[0],
    "You never changed the images.": lambda *a: 1.0,
    "You divided by all images; divide by those that are read rightly as they "
    "are.": lambda *a: kept_oracle(*a) * shares(*a)[0],
}

# %% nbgrader={"grade": true, "grade_id": "label_kept_check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
checks.function(
    "share of labels kept",
    label_kept,
    expected=kept_oracle,
    cases=[(turn, x, y, nearest), (thicken, x, y, nearest)],
    mistakes=kept_mistakes,
)
### BEGIN HIDDEN TESTS
hidden_images = np.array([1, 2, 3, 4, 5]).reshape(5, 1, 1)
hidden = label_kept(
    lambda images: np.where(images == 4, 9, images) % 3,
    hidden_images,
    np.array([1, 2, 0, 4, 7]),
    lambda images: images[:, 0, 0],
)
assert abs(hidden - 2 / 3) < 1e-9
### END HIDDEN TESTS

# %% [markdown]
r"""
What a right function says about the two changes:
"""

# %%
for name, change in {"turned": turn, "thickened": thicken}.items():
    print(f"{name}: {kept_oracle(change, x, y, nearest):.3f}")

# %% [markdown]
r"""
Three turned digits in ten keep their label, and most of these are 0 and 1, which look the same either way up. A thickened digit nearly always survives.

## Question 5: a diagnosis (1 point)

A company's model finds pneumonia in X-ray pictures. On its own test set it is right for 98 % of 800 pictures; in the first hospital that buys it, for 76 %. You are told how it was made:

- A: the test set has 800 pictures, a fifth of the 4,000;
- B: all pictures were standardised with the mean and the deviation of all 4,000;
- C: the 4,000 pictures are of 900 patients, and were cut at random into training and test pictures;
- D: after the cut, the training pictures were also turned by up to 5°.

Which of these four can explain most of a gap of 22 points? (Another scanner and other patients add to it.) Answer with a letter in quotes.
"""

# %% nbgrader={"grade": false, "grade_id": "diagnosis", "locked": false, "schema_version": 3, "solution": true, "task": false}
letter = ...
### BEGIN SOLUTION
letter = "C"
### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "diagnosis_check", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
flattery = {
    "A": 1.96 * np.sqrt(0.98 * 0.02 / 800),
    "B": 1 / np.sqrt(4000),
    "C": 1 - 0.2 ** (4000 / 900 - 1),  # a sibling is in training
    "D": 0.0,
}  # roughly, the share of the score that each can explain
checks.value(
    "what explains the gap",
    letter,
    expected=max(flattery, key=flattery.get),
    mistakes={
        "800 pictures leave an uncertainty of one point at 98 %, not of "
        "22.": "A",
        "Bad style, but two numbers from 4,000 pictures hardly move when 800 "
        "are left out.": "B",
        "It was done after the cut and to the training part, and 5° destroy no "
        "label: this is as it should be.": "D",
    },
)
### BEGIN HIDDEN TESTS
assert str(letter).strip().upper() == "C"
### END HIDDEN TESTS
