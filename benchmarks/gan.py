"""A GAN on MNIST: the loop that articles give, and chapter 12's one loss and one fit.

python benchmarks/gan.py [--seeds 3] [--pictures 60000]

Both train the chapter's networks, with Adam at the same rates, on the same pictures in batches
of 32. The clock counts training alone, tracing included; it stands still while the chapter's
judge takes the Fréchet distance, after every sixth of the run. Beside the pictures a second
stands what share of the speed of a large float32 matrix product they come to.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy as np
import pandas as pd

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from benchmarks import attention, common

NUM_LOOKS = 6
# For each real picture, as the chapter counts: 3 forward passes' worth for the generator, and
# 3 + 3 + 2 for the discriminator.
OPERATIONS = 2 * (3 * 551_936 + 8 * 652_416)


class Referee:
    """The chapter's judge, and the curve of `[(seconds of training, Fréchet distance), …]`."""

    def __init__(self, lesson, digits):
        x_train, x_test = lesson["scaled"](digits.x_train), lesson["scaled"](digits.x_test)
        self.judge = lesson["train_judge"](x_train, digits.y_train, seed=0)
        self.real = lesson["in_batches"](self.judge, x_test)[0]
        self.lesson, self.curve, self.looking = lesson, [], 0.0

    def start(self):
        self.started = time.perf_counter()

    def look(self, generator):
        begun = time.perf_counter()
        pictures = self.lesson["draw"](generator, 5000, seed=0)
        score = self.lesson["judged"](self.judge, pictures, self.real)["Fréchet distance"]
        self.curve.append((begun - self.started - self.looking, score))
        self.looking += time.perf_counter() - begun


def prepared(seed):
    """Start the backend; return the lesson's functions, the digits and a referee."""
    from course_lib import data, runtime

    runtime.setup(seed=seed)
    lesson = common.lesson_names("12_gan")
    digits = data.load("mnist")
    return lesson, digits, Referee(lesson, digits)


def articles(seed, num_pictures):
    """Two compiled models, `train_on_batch` on each in turn, weights frozen by `trainable`."""
    lesson, digits, referee = prepared(seed)
    import keras

    def adam():
        return keras.optimizers.Adam(lesson["RATE"], beta_1=0.5, beta_2=0.99)

    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    pictures = lesson["scaled"](digits.x_train[: num_pictures // NUM_LOOKS])
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    referee.start()
    generator, discriminator = lesson["build_generator"](), lesson["build_discriminator"]()
    discriminator.compile(adam(), loss)
    noise = keras.Input((generator.input_shape[1],))
    both = keras.Model(noise, discriminator(generator(noise)))
    both.compile(adam(), loss)
    ones, zeros = np.ones((32, 1)), np.zeros((32, 1))
    num_steps = num_pictures // 32
    for step in range(num_steps):
        real = pictures[rng.integers(0, len(pictures), 32)]
        forged = generator(rng.normal(size=(32, noise.shape[1])).astype("float32"))
        discriminator.trainable = True
        discriminator.train_on_batch(real, ones)
        discriminator.train_on_batch(forged, zeros)
        discriminator.trainable = False
        both.train_on_batch(rng.normal(size=(32, noise.shape[1])).astype("float32"), ones)
        if (step + 1) * NUM_LOOKS // num_steps > step * NUM_LOOKS // num_steps:
            referee.look(generator)
    return referee.curve


def ours(seed, num_pictures):
    """Chapter 12's GAN and training, to the letter; the last point has the averaged weights."""
    lesson, digits, referee = prepared(seed)
    pictures = lesson["scaled"](digits.x_train[: num_pictures // NUM_LOOKS])
    referee.start()
    gan = lesson["build_gan"]((28, 28, 1), seed)
    looks = {"epochs": NUM_LOOKS, "look": lambda gan: referee.look(gan.generator)}
    lesson["train"](gan, pictures, seed=seed, **looks)
    curve = referee.curve[1:]  # without the untrained generator
    referee.curve = []
    referee.look(gan.generator)
    return [*curve[:-1], (curve[-1][0], referee.curve[0][1])]


def limit(rounds):
    """Operations a second of a large matrix product, in a process set up like the others."""
    from course_lib import runtime

    runtime.setup(seed=0)
    return attention.product_limit(rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="runs of each recipe (3)")
    parser.add_argument("--pictures", type=int, default=60_000, help="real pictures seen")
    options = parser.parse_args()
    rows, fastest = [], common.in_fresh_process(limit, 15)
    print(f"large matrix products: {fastest / 1e9:.0f} GFLOP/s")
    for seed in range(options.seeds):
        for name, run in (("articles", articles), ("ours", ours)):
            curve = common.in_fresh_process(_Call(run, options.pictures), seed)
            seconds, distance = curve[-1]
            row = {"recipe": name, "seed": seed, "pictures": options.pictures}
            speed = options.pictures / seconds
            row |= {"seconds": seconds, "pictures_per_second": speed, "distance": distance}
            row |= {"of_limit": speed * OPERATIONS / fastest, "limit_gflops": fastest / 1e9}
            rows.append(row | {"curve": json.dumps(curve)})
            print(
                f"seed {seed}  {name:8s}  {seconds:6.1f} s  {speed:6,.0f} pictures/s"
                f"  {row['of_limit']:.1%} of the limit  Fréchet distance {distance:.3f}",
                flush=True,
            )
    table = pd.DataFrame(rows)
    common.RESULTS.mkdir(exist_ok=True)
    digits = {"seconds": 3, "pictures_per_second": 0, "distance": 4, "of_limit": 4}
    table.round(digits | {"limit_gflops": 1}).to_csv(common.RESULTS / "gan.csv", index=False)
    report(table)


def report(table):
    """Print the ratios, articles over ours: seconds for the run, and to the same distance."""
    whole, same = [], []
    for _, pair in table.groupby("seed"):
        runs = pair.set_index("recipe")
        whole.append(runs["seconds"]["articles"] / runs["seconds"]["ours"])
        target = runs["distance"].max()  # what both reach
        first = {
            name: next(s for s, d in json.loads(curve) if d <= target)
            for name, curve in runs["curve"].items()
        }
        same.append(first["articles"] / first["ours"])
    for what, ratios in (("seconds for the whole run", whole), ("to the same distance", same)):
        print(
            f"articles over ours, {what}: median {np.median(ratios):.1f},"
            f" from {min(ratios):.1f} to {max(ratios):.1f}"
        )


class _Call:
    """A recipe with its number of pictures, as a function of the seed that can be pickled."""

    def __init__(self, run, num_pictures):
        self.run, self.num_pictures = run, num_pictures

    def __call__(self, seed):
        return self.run(seed, self.num_pictures)


if __name__ == "__main__":
    main()
