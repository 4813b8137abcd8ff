"""Look at this machine and say, line by line, whether the course runs here and what to mend."""

import importlib.metadata
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import psutil
from packaging.requirements import Requirement

from course_lib import data, runtime

ROOT = pathlib.Path(__file__).resolve().parent.parent
NEEDED_GB = 4


@dataclass(frozen=True)
class Finding:
    """One line of the report: `level` is `ok`, `note` (the course runs) or `problem`."""

    level: str
    what: str
    remedy: str = ""

    def __str__(self):
        mark = {"ok": "✓", "note": "!", "problem": "✗"}[self.level]
        return f"{mark} {self.what}" + (f"\n    → {self.remedy}" if self.remedy else "")


def report():
    """Print every finding.

    Returns:
        int, how many problems would stop the course: 0 when all is well.

    Example:

    >>> problems = report()  # doctest: +ELLIPSIS
    ✓ Python ...
    """
    problems = 0
    for check in (python, packages, backend, driver, data_files, memory, write_access):
        for finding in check():
            print(finding)
            problems += finding.level == "problem"
    print("The course runs here." if not problems else f"{problems} to mend, see →")
    return problems


def python():
    """Check the Python version: 3.11, 3.12 or 3.13. Returns a list of `Finding`."""
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return [Finding("ok", f"Python {version} on {platform.system()} {platform.machine()}")]
    return [
        Finding(
            "problem",
            f"Python {version}, expected 3.11 to 3.13",
            "install Python 3.13, delete .venv and run `make setup`",
        )
    ]


def packages(lock=ROOT / "requirements.txt"):
    """Compare what is installed with the lock.

    Args:
        lock: `pathlib.Path` of a requirements file of exact versions.

    Returns:
        list of `Finding`: one line for all that agree, one for each that does not.
    """
    if not lock.is_file():
        return [Finding("note", f"no lock at {lock}, versions not compared")]
    found, agreed = [], 0
    for line in lock.read_text().splitlines():
        if not re.match(r"[A-Za-z0-9]", line):
            continue
        wanted = Requirement(line.split(" #")[0])
        if wanted.marker and not wanted.marker.evaluate():
            continue
        if wanted.name == "tensorflow" and runtime.expected_backend() != "tensorflow":
            continue  # the lock's default backend, which another one does without
        try:
            installed = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            found.append(Finding("problem", f"{wanted} is not installed", "run `make setup`"))
            continue
        if wanted.specifier.contains(installed, prereleases=True):
            agreed += 1
        else:
            what = f"{wanted.name} {installed}, the lock has {wanted.specifier}"
            found.append(Finding("note", what, "run `make setup` if a chapter fails"))
    return [Finding("ok", f"{agreed} packages as in the lock"), *found]


def backend():
    """Start the backend on what it finds. Returns a list of one `Finding`."""
    try:
        runtime.setup()
    except Exception as error:  # whatever a framework raises here is the finding
        return [Finding("problem", f"the backend does not start: {error}", "run `make setup`")]
    return []  # setup has printed its own line


def driver():
    """Say whether there is a graphics driver that the backend can't use. Returns `Finding`s."""
    try:
        import keras

        name = keras.config.backend()
        usable = runtime.accelerators(name)
    except Exception:  # backend() has said why it does not start
        return []
    if usable:
        return [Finding("ok", f"{len(usable)} accelerator(s): {usable[0].name}")]
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            extra = {
                "tensorflow": "pip install 'tensorflow[and-cuda]'",
                "jax": "pip install 'jax[cuda12]'",
                "torch": "install the CUDA build of PyTorch",
            }
            what = f"{answer.stdout.splitlines()[0]} is here, but {name} can't use it"
            return [Finding("note", what, f"{extra[name]}, then restart. Until then: CPU.")]
    return [Finding("ok", "no accelerator: every chapter is sized for the CPU")]


def data_files():
    """Load every data set in the repository. Returns a `Finding` each."""
    found = []
    for source in data.SOURCES.values():
        try:
            data.verified_bytes(data.FOLDER / source.file, source)
        except (ValueError, FileNotFoundError) as error:
            what, _, remedy = str(error).rpartition("Mend it with ")
            found.append(Finding("problem", (what or str(error)).strip(), remedy))
        else:
            found.append(Finding("ok", f"data/{source.file} intact"))
    return found


def memory():
    """Compare free memory with what the largest chapter needs. Returns a list of one `Finding`."""
    free = psutil.virtual_memory().available / 1e9
    if free >= NEEDED_GB:
        return [Finding("ok", f"{free:.1f} GB of memory free, the course needs {NEEDED_GB}")]
    what = f"{free:.1f} GB of memory free, chapters need up to {NEEDED_GB}"
    return [Finding("note", what, "close other programs and other notebooks' kernels")]


def write_access(folder=ROOT / "notebooks"):
    """See whether notebooks can be saved. Returns a list of one `Finding`."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return [Finding("ok", "notebooks can be saved")]
    except OSError as error:
        what = f"can't write into {folder}: {error.strerror}"
        return [Finding("problem", what, "copy the course to a folder that is yours")]
