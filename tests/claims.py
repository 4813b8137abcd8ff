"""Repeat a lesson's claims with many seeds and keep what was measured beside its source.

python -m tests.claims 05                ten seeds, table printed and stored
python -m tests.claims 05 --seeds 3      a quick look, stored nowhere
"""

import argparse
import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys

import jupytext
import pandas as pd

LESSONS = pathlib.Path(__file__).resolve().parent.parent / "source" / "lessons"
ENOUGH_SEEDS = 10


def lesson(chapter):
    """Return the path of a chapter's source, given its two digits."""
    found = sorted(LESSONS.glob(f"{chapter}_*.py"))
    if not found:
        known = ", ".join(path.name[:2] for path in sorted(LESSONS.glob("[0-9]*.py")))
        raise ValueError(f"Expected one of the chapters {known}. Received: {chapter!r}.")
    return found[0]


def measure(path):
    """Run a lesson's code in this process and return its claims, measured but not enforced.

    Returns:
        list of dicts with `claim`, `at_least`, `at_most` and `value`, in the lesson's order.
    """
    from course_lib import checks

    claims = []

    def record(name, value, *, at_least=None, at_most=None, percent=None, examples=None):
        row = {"claim": name, "at_least": at_least, "at_most": at_most, "value": float(value)}
        claims.append(row)

    checks.claim = record
    names = {"__name__": "__main__"}
    for cell in jupytext.read(path, fmt="py:percent").cells:
        expected_to_fail = "raises-exception" in cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            with contextlib.suppress(Exception) if expected_to_fail else contextlib.nullcontext():
                exec(compile(cell.source, f"{path.name}: {cell.source[:40]}", "exec"), names)
    return claims


def repeat(path, num_seeds, jobs=1):
    """Measure a lesson's claims in fresh processes with seeds 0 to `num_seeds - 1`.

    Returns:
        DataFrame, a row a claim: `claim`, `at_least`, `at_most`, `seed_0`, `seed_1`, …; a seed
        whose run raised is told on stderr and has no column.

    Raises:
        RuntimeError: no seed ran to its end.
    """

    def one(seed):
        command = [sys.executable, "-m", "tests.claims", path.name[:2], "--measure"]
        environment = os.environ | {"COURSE_SEED": str(seed), "COURSE_QUIET": "1"}
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        if run.returncode:
            print(f"{path.stem}: seed {seed} FAILED\n{run.stderr[-3000:]}", file=sys.stderr)
            return None
        print(f"{path.stem}: seed {seed} done", file=sys.stderr)
        return pd.DataFrame(json.loads(run.stdout.splitlines()[-1]))

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        finished = enumerate(pool.map(one, range(num_seeds)))
        runs = {seed: rows for seed, rows in finished if rows is not None}
    if not runs:
        raise RuntimeError(f"{path.name} ran to its end with none of {num_seeds} seeds.")
    table = next(iter(runs.values()))[["claim", "at_least", "at_most"]].copy()
    for seed, rows in runs.items():
        table[f"seed_{seed}"] = rows["value"].map(_rounded)
    return table


def _rounded(value):
    """Five digits of a measured number; a whole number, such as a count, stays exact."""
    return float(value) if float(value).is_integer() else float(f"{value:.5g}")


def failures(table):
    """List the claims that some seed breaks, as sentences. `table` is as from `repeat`."""
    seeds = [column for column in table if column.startswith("seed_")]
    found = []
    for _, row in table.iterrows():
        low, high = row[seeds].min(), row[seeds].max()
        too_low = pd.notna(row["at_least"]) and not low >= row["at_least"]
        too_high = pd.notna(row["at_most"]) and not high <= row["at_most"]
        if too_low or too_high or row[seeds].isna().any():
            band = f"[{row['at_least']}, {row['at_most']}]"
            found.append(f"{row['claim']}: measured {low:g} to {high:g}, claimed {band}")
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("chapter", help="two digits, such as 05")
    parser.add_argument("--seeds", type=int, default=ENOUGH_SEEDS)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time (1)")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = lesson(options.chapter)
    if options.measure:
        with contextlib.redirect_stdout(io.StringIO()):
            claims = measure(path)
        print(json.dumps(claims))
        return 0
    table = repeat(path, options.seeds, options.jobs)
    seeds = table.filter(like="seed_")
    summary = table[["claim", "at_least", "at_most"]].assign(
        lowest=seeds.min(axis=1), mean=seeds.mean(axis=1), highest=seeds.max(axis=1)
    )
    print(summary.to_string(index=False))
    complete = seeds.shape[1] == options.seeds
    if complete and options.seeds >= ENOUGH_SEEDS:
        table.to_csv(path.with_suffix(".claims.csv"), index=False)
    for sentence in failures(table):
        print("BROKEN", sentence)
    if not complete:
        print(f"INCOMPLETE: {seeds.shape[1]} of {options.seeds} seeds ran to the end; not stored")
    return 0 if complete and not failures(table) else 1


if __name__ == "__main__":
    sys.exit(main())
