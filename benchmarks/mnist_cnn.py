"""Convolutional networks on MNIST: the recipe that articles give, and chapter 08's.

python benchmarks/mnist_cnn.py [--seeds 5]
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from benchmarks import common


def articles(seed):
    """Adam, batch 32, ten epochs, NumPy arrays into Keras's own compile and fit."""
    from course_lib import runtime

    runtime.setup(seed=seed)
    from keras import layers

    recipe = [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
    return common.as_articles(recipe, (28, 28, 1), batch_size=32)


def ours(seed):
    """Chapter 08's fast recipe, to the letter: one pass over the middle 24×24 pixels."""
    from course_lib import data, runtime

    runtime.setup(seed=seed)
    lesson = common.lesson_names("08_cnn")
    digits = data.load("mnist")
    started = time.perf_counter()
    x_train = lesson["scaled"](digits.x_train)[:, 2:26, 2:26]
    model = lesson["build_fast"](24)
    lesson["train_fast"](model, x_train, digits.y_train)
    seconds = time.perf_counter() - started
    x_test = lesson["scaled"](digits.x_test)[:, 2:26, 2:26]
    guesses = model.predict(x_test, batch_size=1000, verbose=0).argmax(axis=1)
    return [(seconds, float((guesses == digits.y_test).mean()))]


if __name__ == "__main__":
    common.duel("mnist_cnn", articles, ours, common.arguments(__doc__))
