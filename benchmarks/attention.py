"""Multi-head attention: chapter 10's layer in keras.ops, and Keras's own MultiHeadAttention.

python benchmarks/attention.py [--rounds 15]

Both run compiled, with the same weights, in one process and in turn, at the size of the lesson's
card reader and at one like a small language model's. Beside the ratio stands what each reaches of
the speed of a large matrix product, measured in the same way in the same process.
"""

import argparse
import pathlib
import platform
import sys
import time

import pandas as pd

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from benchmarks import common

SIZES = {  # batch, words, features, heads
    "lesson": (64, 8, 32, 1),
    "larger": (8, 512, 512, 8),
}
CALLS = {"lesson": 50, "larger": 2}  # so that one timing takes long enough to read off a clock


def seconds_of(times, function, *arguments):
    """Seconds for one of `times` calls of a function."""
    started = time.perf_counter()
    for _ in range(times):
        function(*arguments)
    return (time.perf_counter() - started) / times


def product_limit(rounds):
    """Operations a second of a float32 product of two 2,048² matrices; the best of `rounds`."""
    import keras
    import numpy as np

    n = 2048
    left, right = np.random.default_rng(0).normal(size=(2, n, n)).astype("float32")
    left, right = keras.ops.convert_to_tensor(left), keras.ops.convert_to_tensor(right)

    def multiply():
        keras.ops.convert_to_numpy(keras.ops.matmul(left, right))

    multiply()
    return 2 * n**3 / min(seconds_of(1, multiply) for _ in range(rounds))


def both_models(layer_class, size):
    """Two compiled models of one attention layer each, with the same weights; and their words."""
    import keras
    import numpy as np

    batch, n, d, heads = size
    words = keras.Input((n, d))
    ours = layer_class(d, heads)
    theirs = keras.layers.MultiHeadAttention(heads, d // heads)
    models = {
        "ours": keras.Model(words, ours(words, words)[0]),
        "keras": keras.Model(words, theirs(words, words)),
    }
    shapes = [tuple(weight.shape) for weight in ours.weights]
    weights = [w.reshape(s) for w, s in zip(theirs.get_weights(), shapes, strict=True)]
    ours.set_weights(weights)
    x = np.random.default_rng(0).normal(size=(batch, n, d)).astype("float32")
    answers = [model.predict_on_batch(x) for model in models.values()]
    difference = float(np.abs(answers[0] - answers[1]).max())
    if difference > 1e-4:
        raise ValueError(f"Expected the same answers. Received: a difference of {difference:.2g}.")
    return models, x


def compare(rounds):
    """Return a DataFrame, a row a size: ms of each, ratio, and shares of the product's speed."""
    from course_lib import runtime

    runtime.setup(seed=0)
    layer_class = common.lesson_names("10_attention")["Attention"]
    limit = product_limit(rounds)
    rows = []
    for name, (batch, n, d, heads) in SIZES.items():
        models, x = both_models(layer_class, SIZES[name])
        times = {recipe: [] for recipe in models}
        for _ in range(rounds):
            for recipe, model in models.items():
                times[recipe].append(seconds_of(CALLS[name], model.predict_on_batch, x))
        operations = batch * (8 * n * d**2 + 4 * n**2 * d)
        table = pd.DataFrame(times)
        rows.append(
            {
                "size": f"{name}: batch {batch}, {n} words, {d} features, {heads} heads",
                "ours_ms": 1000 * table["ours"].min(),
                "keras_ms": 1000 * table["keras"].min(),
                "keras_over_ours": (table["keras"] / table["ours"]).median(),
                "ours_of_limit": operations / table["ours"].min() / limit,
                "keras_of_limit": operations / table["keras"].min() / limit,
                "limit_gflops": limit / 1e9,
            }
        )
    return pd.DataFrame(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="timings of each, in turn (15)")
    options = parser.parse_args()
    table = compare(options.rounds)
    common.RESULTS.mkdir(exist_ok=True)
    table.round(4).to_csv(common.RESULTS / "attention.csv", index=False)
    print(f"attention on {platform.machine()}, limit {table['limit_gflops'].iloc[0]:.0f} GFLOP/s")
    print(table.drop(columns="limit_gflops").round(3).to_string(index=False))


if __name__ == "__main__":
    main()
