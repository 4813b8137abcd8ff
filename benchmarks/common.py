"""Run two recipes in turn, each run in a fresh process of one tree, and compare them by ratio."""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import platform
import time

import jupytext
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def lesson_names(stem, *tags, **names):
    """Execute the cells of a lesson that have one of the tags; return the names they define.

    Args:
        stem: str, as in "12_gan".
        *tags: str, "benchmark" if none is given.
        **names: what the cells find there already.

    So the recipe that is timed is the one that the lesson shows, to the letter.
    """
    tags = set(tags or ["benchmark"])
    for cell in jupytext.read(ROOT / f"source/lessons/{stem}.py", fmt="py:percent").cells:
        if tags & set(cell.metadata.get("tags", [])):
            exec(compile(cell.source, f"{stem}: {cell.source[:40]}", "exec"), names)
    return names


def timed_fit(model, epochs, accuracy_of, **fit_options):
    """Fit epoch by epoch; return `[(seconds of training so far, test accuracy), …]`.

    The clock stands still while the test accuracy is taken.
    """
    curve, seconds = [], 0.0
    for _ in range(epochs):
        started = time.perf_counter()
        model.fit(epochs=1, verbose=0, **fit_options)
        seconds += time.perf_counter() - started
        curve.append((seconds, accuracy_of(model)))
    return curve


def as_articles(layers, shape, batch_size):
    """Train as articles do: pixels from 0 to 1 as NumPy arrays, Keras's own compile and fit.

    Args:
        layers: list of Keras layers, the last one a softmax over ten digits.
        shape: tuple, the shape of one input, as (28, 28, 1) or (784,).
        batch_size: int.

    Returns:
        the curve of ten epochs on MNIST, as from `timed_fit`.
    """
    import keras

    from course_lib import data

    digits = data.load("mnist")
    x_train, x_test = (
        images.reshape(-1, *shape).astype("float32") / 255
        for images in (digits.x_train, digits.x_test)
    )
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return timed_fit(
        model,
        10,
        lambda model: model.evaluate(x_test, digits.y_test, batch_size=1000, verbose=0)[1],
        x=x_train,
        y=digits.y_train,
        batch_size=batch_size,
    )


def duel(title, articles, ours, options):
    """Run both recipes with every seed, in turn; print, store and return the comparison.

    Args:
        title: str, names the result's file.
        articles, ours: functions of a seed, importable at the top of a module, that return
            a curve as `timed_fit` does.
        options: as from `arguments`. With `first` above 0 the rows stored for smaller
            seeds are kept, so that a long comparison can be made in parts.

    Returns:
        DataFrame, a row a run: `recipe`, `seed`, `seconds`, `accuracy`, `curve`.
    """
    stored = RESULTS / f"{title}.csv"
    rows = []
    if options.first and stored.exists():
        kept = pd.read_csv(stored)
        rows = kept[kept["seed"] < options.first].to_dict("records")
    for seed in range(options.first, options.first + options.seeds):
        for recipe, run in (("articles", articles), ("ours", ours)):
            curve = in_fresh_process(run, seed)
            seconds, accuracy = curve[-1]
            row = {"recipe": recipe, "seed": seed, "seconds": seconds, "accuracy": accuracy}
            rows.append(row | {"curve": json.dumps(curve)})
            print(f"seed {seed}  {recipe:8s}  {seconds:7.2f} s  {accuracy:.2%}", flush=True)
    table = pd.DataFrame(rows)
    RESULTS.mkdir(exist_ok=True)
    table.round({"seconds": 3, "accuracy": 4}).to_csv(stored, index=False)
    report(title, table)
    return table


def report(title, table):
    """Print means, the ratio to the end of the articles' run, and to where it first gets there.

    The second ratio uses the runs whose whole curve is stored.
    """
    articles, ours = (table[table["recipe"] == name] for name in ("articles", "ours"))
    target = articles["accuracy"].mean()
    ratios = articles["seconds"].to_numpy() / ours["seconds"].to_numpy()
    early = []
    for curve, seconds in zip(articles["curve"].map(json.loads), ours["seconds"], strict=True):
        if len(curve) > 1:
            reached = [passed for passed, accuracy in curve if accuracy >= target]
            early.append((reached or [curve[-1][0]])[0] / seconds)
    print(f"\n{title} on {platform.machine()}, {os.cpu_count()} cores, {len(ours)} seeds")
    for name, runs in (("articles", articles), ("ours", ours)):
        low, high = runs["accuracy"].min(), runs["accuracy"].max()
        print(
            f"{name:8s}  {runs['seconds'].mean():7.2f} s   "
            f"{runs['accuracy'].mean():.2%} ({low:.2%} to {high:.2%})"
        )
    verdict = "reached" if ours["accuracy"].mean() >= target else "NOT reached"
    print(f"target {target:.2%} {verdict}; articles over ours, seconds to the end of the recipe:")
    print(
        f"  median {pd.Series(ratios).median():.1f}, from {ratios.min():.1f} to {ratios.max():.1f}"
    )
    if early:
        print("to the first epoch at which the articles' recipe is that good:")
        middle, low, high = pd.Series(early).median(), min(early), max(early)
        print(f"  median {middle:.1f}, from {low:.1f} to {high:.1f}")


def arguments(description):
    """Parse the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each recipe (5)")
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds (0)")
    return parser.parse_args()


def in_fresh_process(run, seed):
    """Return what a function of a seed gives in a new process; it must be importable."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(run, seed).result()
