"""784-256-128-10 on MNIST: the recipe that articles give, and chapter 05's.

python benchmarks/mnist_mlp.py [--seeds 5]
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from benchmarks import common


def articles(seed):
    """Adam, batch 64, ten epochs, NumPy arrays into Keras's own compile and fit."""
    from course_lib import runtime

    runtime.setup(seed=seed)
    from keras import layers

    recipe = [
        layers.Dense(256, activation="relu"),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
    return common.as_articles(recipe, (784,), batch_size=64)


def ours(seed):
    """Chapter 05's fast recipe, to the letter: two passes at half the size."""
    from course_lib import data, runtime

    runtime.setup(seed=seed)
    lesson = common.lesson_names("05_mlp")
    digits = data.load("mnist")
    started = time.perf_counter()
    model, _ = lesson["fast_recipe"](digits.x_train, digits.y_train, seed=seed)
    seconds = time.perf_counter() - started
    x_test = lesson["half_size"](digits.x_test)
    guesses = model.predict(x_test, batch_size=1000, verbose=0).argmax(axis=1)
    return [(seconds, float((guesses == digits.y_test).mean()))]


if __name__ == "__main__":
    common.duel("mnist_mlp", articles, ours, common.arguments(__doc__))
