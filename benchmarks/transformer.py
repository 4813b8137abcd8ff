"""A small GPT on English: chapter 11's in Keras, and the same architecture in plain PyTorch.

python benchmarks/transformer.py [--rounds 5] [--windows 8000]

Both train in fresh processes of one tree, in turn: the same windows of text, the same batches in
the same order, Adam at the same rate. The speed leaves out the first tenth of the steps, in which
TensorFlow traces; the seconds of the whole run include them. Beside it stands what share of the
speed of a large float32 matrix product that is, and the loss of the last hundred steps, which
says whether both did the same work.
"""

import argparse
import json
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from benchmarks import attention, common

BATCH, RATE = 16, 0.003
SIZES = {  # context, features, heads, blocks
    "lesson": (48, 64, 4, 2),
    "larger": (128, 256, 8, 4),
}


def operations_per_token(size, vocabulary):
    """Multiplications and additions a token in training, forward and backward, tied output."""
    context, d, _, num_blocks = size
    return 6 * (12 * num_blocks * d**2 + 2 * num_blocks * context * d + vocabulary * d)


def windows_of_english(count, context, seed):
    """Inputs and targets (count, context) int64, drawn at random; and the number of characters."""
    from course_lib import text

    document = text.english()
    signs = {sign: index for index, sign in enumerate(sorted(set(document)))}
    codes = np.array([signs[sign] for sign in document])
    starts = np.random.default_rng(seed).integers(0, len(codes) - context, count)
    rows = codes[starts[:, None] + np.arange(context + 1)]
    return rows[:, :-1], rows[:, 1:], len(signs)


def ours(size, data_file, seed):
    """Chapter 11's classes through Keras's own fit, steps_per_execution as in the course."""
    import keras

    from course_lib import runtime, training

    runtime.setup(seed=seed)
    stored = np.load(data_file)
    context, d, heads, num_blocks = size
    names = common.lesson_names("11_transformer", "transformer")
    started = time.perf_counter()
    model = names["GPT"](int(stored["vocabulary"]), context, d, heads, num_blocks)
    x, y = stored["x"].astype("int32"), stored["y"].astype("int32")
    watch = _watch(keras, len(x) // BATCH, context)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = keras.optimizers.Adam(RATE, beta_2=0.99)
    fitting = {"epochs": 1, "batch_size": BATCH, "seed": seed, "callbacks": [watch]}
    training.fit(model, x, y, optimizer=adam, loss=loss, **fitting)
    return watch.report(time.perf_counter() - started)


def _watch(keras, num_steps, context):
    """A callback that keeps the time of the steps after the first tenth, and the last losses."""

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now, done, mean = time.perf_counter(), batch + 1, float(logs["loss"])
            if not hasattr(self, "since") and done >= num_steps // 10:
                self.since = (now, done)
            if not hasattr(self, "late") and done >= num_steps - 100:
                self.late = (done, mean * done)
            self.last = (now, done, mean * done)

        def report(self, seconds):
            (began, first), (now, done, total) = self.since, self.last
            speed = (done - first) * BATCH * context / (now - began)
            loss = (total - self.late[1]) / (done - self.late[0])
            return {"seconds": seconds, "tokens_per_second": speed, "loss": loss}

    return Watch()


def plain_pytorch(size, data_file, seed):
    """The same architecture as an article on PyTorch has it: modules, a loop, autograd, Adam."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(seed)
    stored = np.load(data_file)
    vocabulary = int(stored["vocabulary"])
    context, d, heads, num_blocks = size

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.mix = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.wide, self.narrow = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
            for last in (self.mix, self.narrow):
                nn.init.zeros_(last.weight)

        def forward(self, x):
            n = x.shape[1]
            parts = self.qkv(self.norm_1(x)).split(d, dim=-1)
            q, k, v = (part.view(-1, n, heads, d // heads).transpose(1, 2) for part in parts)
            blends = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.mix(blends.transpose(1, 2).reshape(-1, n, d))
            hidden = functional.gelu(self.wide(self.norm_2(x)), approximate="tanh")
            return x + self.narrow(hidden)

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocabulary, d), nn.Embedding(context, d)
            for table in (self.tokens, self.positions):
                nn.init.normal_(table.weight, std=0.1)
            self.blocks = nn.Sequential(*(Block() for _ in range(num_blocks)))
            self.norm = nn.LayerNorm(d)

        def forward(self, tokens):
            x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
            return self.norm(self.blocks(x)) @ self.tokens.weight.T

    started = time.perf_counter()
    model = GPT()
    adam = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.99), eps=1e-7)
    x, y = torch.from_numpy(stored["x"]), torch.from_numpy(stored["y"])
    order = torch.randperm(len(x))
    num_steps, losses = len(x) // BATCH, []
    for step in range(num_steps):
        if step == num_steps // 10:
            since = time.perf_counter()
        rows = order[step * BATCH : (step + 1) * BATCH]
        loss = functional.cross_entropy(model(x[rows]).flatten(0, 1), y[rows].flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    now = time.perf_counter()
    speed = (num_steps - num_steps // 10) * BATCH * context / (now - since)
    last = float(np.mean(losses[-100:]))
    return {"seconds": now - started, "tokens_per_second": speed, "loss": last}


def in_its_own_process(recipe, size, data_file, seed):
    """Run a recipe in a fresh interpreter: PyTorch's has an environment of its own."""
    from tests.backends import python_with

    python = python_with("torch") if recipe == "plain_pytorch" else sys.executable
    command = [python, __file__, "--run", recipe, "--data", data_file, "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--size", *map(str, size)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(rounds, count):
    """Return a DataFrame, a row a run: size, recipe, seed, seconds, speed, loss, share."""
    limit, rows = common.in_fresh_process(limit_here, 15), []
    print(f"large matrix products: {limit / 1e9:.0f} GFLOP/s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            for seed in range(rounds):
                few = count if name == "lesson" else count // 8
                x, y, vocabulary = windows_of_english(few, size[0], seed)
                data_file = str(pathlib.Path(folder) / "windows.npz")
                np.savez(data_file, x=x, y=y, vocabulary=vocabulary)
                for recipe in ("plain_pytorch", "ours"):
                    run = in_its_own_process(recipe, size, data_file, seed)
                    work = run["tokens_per_second"] * operations_per_token(size, vocabulary)
                    row = {"size": name, "recipe": recipe, "seed": seed, **run}
                    rows.append(row | {"of_limit": work / limit, "limit_gflops": limit / 1e9})
                    print(
                        f"{name:7s} seed {seed}  {recipe:13s}  {run['seconds']:5.1f} s"
                        f"  {run['tokens_per_second']:7,.0f} tokens/s, {work / limit:.0%} of the"
                        f" limit  loss {run['loss']:.3f}",
                        flush=True,
                    )
    return pd.DataFrame(rows)


def limit_here(rounds):
    """Operations a second of a large matrix product, in a process set up like ours."""
    from course_lib import runtime

    runtime.setup(seed=0)
    return attention.product_limit(rounds)


def report(table):
    """Print the ratios, ours over PyTorch: tokens a second, and seconds of the whole run."""
    print(f"\ntransformer on {platform.machine()}")
    for size, runs in table.groupby("size", sort=False):
        by_seed = runs.pivot(index="seed", columns="recipe")
        speed = by_seed["tokens_per_second"]["ours"] / by_seed["tokens_per_second"]["plain_pytorch"]
        whole = by_seed["seconds"]["plain_pytorch"] / by_seed["seconds"]["ours"]
        for what, ratio in (("tokens a second", speed), ("whole run", whole)):
            print(
                f"{size:7s} {what}: ours {ratio.median():.2f} times PyTorch's,"
                f" from {ratio.min():.2f} to {ratio.max():.2f}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="runs of each, in turn (5)")
    parser.add_argument("--windows", type=int, default=16_000, help="windows of text a run")
    inner = parser.add_argument_group("one run, for the processes that this starts")
    inner.add_argument("--run", choices=("ours", "plain_pytorch"))
    inner.add_argument("--data"), inner.add_argument("--seed", type=int)
    inner.add_argument("--size", type=int, nargs=4)
    options = parser.parse_args()
    if options.run:
        recipe = {"ours": ours, "plain_pytorch": plain_pytorch}[options.run]
        print(json.dumps(recipe(options.size, options.data, options.seed)))
        return
    if options.windows // 8 < 120 * BATCH:
        parser.error(f"--windows must be at least {8 * 120 * BATCH:,}, for a hundred timed steps.")
    table = compare(options.rounds, options.windows)
    common.RESULTS.mkdir(exist_ok=True)
    digits = {"seconds": 2, "tokens_per_second": 0, "loss": 4, "of_limit": 4, "limit_gflops": 1}
    table.round(digits).to_csv(common.RESULTS / "transformer.csv", index=False)
    report(table)


if __name__ == "__main__":
    main()
