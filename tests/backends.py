"""Run every lesson and solution on another backend, claims included, and print who passes.

python -m tests.backends                    JAX and PyTorch, each in an environment of its own
python -m tests.backends jax --chapter 05   one of them, one chapter
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree
from dataclasses import dataclass

import pandas as pd
import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
NOT_HERE = ("-e .", "tensorflow==")  # the course is on the path; TensorFlow must not be needed


@dataclass(frozen=True)
class Outcome:
    """One notebook on one backend; `failure` is empty if all cells passed."""

    chapter: str
    backend: str
    failure: str
    skipped: int
    seconds: float
    gigabytes: float


def python_with(backend):
    """Return the interpreter of `.venv-BACKEND`; make it if it is missing or the lock is newer."""
    if backend == "tensorflow":
        return sys.executable
    folder = ROOT / f".venv-{backend}"
    python, stamp = folder / SCRIPTS / "python", folder / ".installed"
    lock = ROOT / "requirements.txt"
    if stamp.is_file() and stamp.stat().st_mtime > lock.stat().st_mtime:
        return str(python)
    print(f"making {folder.name} …", file=sys.stderr)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with tempfile.TemporaryDirectory() as scratch:
        rest = pathlib.Path(scratch) / "without-tensorflow.txt"
        lines = lock.read_text().splitlines()
        rest.write_text("\n".join(line for line in lines if not line.startswith(NOT_HERE)))
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([*install, *extras["optional-dependencies"][backend]], check=True)
        uv = [sys.executable, "-m", "uv", "pip", "install", "-q", "--compile-bytecode"]
        subprocess.run([*uv, "--python", python, "-r", rest, "--no-deps"], check=True)
    stamp.touch()
    return str(python)


def run(notebook, backend, python):
    """Run one notebook's cells in nbval's lax mode: everything must run, every claim must hold.

    Returns:
        `Outcome`; seconds from start to end, gigabytes of the kernel and its parent at most.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(scratch) / "report.xml"
        command = [python, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-q"]
        command += ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=900"]
        command += ["--timeout=0", f"--junitxml={report}", str(notebook)]
        environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        peak = _peak_memory(process)
        seconds = time.perf_counter() - began
        failure, skipped = _read(report)
    chapter = notebook.stem + (", solutions" if notebook.parent.name == "solutions" else "")
    outcome = Outcome(chapter, backend, failure, skipped, seconds, peak / 1e9)
    print(f"{backend}: {notebook.relative_to(ROOT)} {failure or 'passes'}", file=sys.stderr)
    return outcome


def _peak_memory(process):
    """Wait for a process; return the most bytes that it and its children held together."""
    peak, tree = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):  # one may end between the two lines
            family = [tree, *tree.children(recursive=True)]
            peak = max(peak, sum(member.memory_info().rss for member in family))
        time.sleep(0.2)
    return peak


def _read(report):
    """Return (first failing cell with its last line, number of skipped cells) of a JUnit file."""
    if not report.is_file():
        return "pytest did not start", 0
    cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    skipped = sum("is about" in (s.get("message") or "") for c in cases for s in c.iter("skipped"))
    for case in cases:
        for kind in ("failure", "error"):
            found = case.find(kind)
            if found is not None:
                lines = [line for line in (found.text or "").splitlines() if line.strip()]
                reason = next((line for line in reversed(lines) if "Error" in line), lines[-1:])
                return f"{case.get('name')}: {str(reason).strip()[:90]}", skipped
    return ("no cell was run" if not cases else ""), skipped


def table_of(outcomes):
    """Lay outcomes out as chapter × backend, each with its seconds and memory."""
    rows = {}
    for o in outcomes:
        told = o.failure or f"pass {o.seconds:4.0f} s {o.gigabytes:3.1f} GB"
        told += f", {o.skipped} cells skipped" if o.skipped else ""
        rows.setdefault(o.chapter, {})[o.backend] = told
    return pd.DataFrame.from_dict(rows, orient="index").sort_index()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("backends", nargs="*", default=["jax", "torch"], metavar="backend")
    parser.add_argument("--chapter", default="[0-9]", help="two digits: only this chapter")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks at a time (1)")
    options = parser.parse_args()
    for backend in set(options.backends) - {"tensorflow", "jax", "torch"}:
        parser.error(f"expected tensorflow, jax or torch. Received: {backend}")
    folders = (ROOT / "notebooks", ROOT / "notebooks" / "solutions")
    notebooks = [n for f in folders for n in sorted(f.glob(f"{options.chapter}*_*.ipynb"))]
    if not notebooks:
        parser.error(f"no notebook of chapter {options.chapter}")
    pythons = {backend: python_with(backend) for backend in options.backends}
    tasks = [(n, backend, pythons[backend]) for backend in pythons for n in notebooks]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda task: run(*task), tasks))
    print(table_of(outcomes).to_string())
    failed = sum(bool(outcome.failure) for outcome in outcomes)
    print(f"{len(outcomes) - failed} of {len(outcomes)} pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
