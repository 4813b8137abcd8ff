"""Build the notebooks from `source/`: convert, execute, store the outputs.

python source/build.py                 what changed
python source/build.py 05              chapter 05, lesson and exercises, if changed
python source/build.py 05 --force      the same, changed or not
python source/build.py --check         only say what is out of step (exit code 1)
python source/build.py --readme        only renew the README's chapter table
"""

import argparse
import copy
import hashlib
import os
import pathlib
import re
import sys
import time

import jupytext
import nbclient
import nbformat
import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
LESSONS, EXERCISES = ROOT / "source/lessons", ROOT / "source/exercises"
NOTEBOOKS = ROOT / "notebooks"
CELL_TIMEOUT_SECONDS = 300
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.M | re.S)
HIDDEN = re.compile(r"^ *### BEGIN HIDDEN TESTS\n.*?^ *### END HIDDEN TESTS\n?", re.M | re.S)
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
README_TABLE = re.compile(r"(<!-- chapters: make notebooks -->\n).*?(<!-- end -->)", re.S)


def read_source(path):
    """Read a percent-format source as a notebook with stable cell ids and no outputs."""
    notebook = jupytext.read(path, fmt="py:percent")
    return _tidy(notebook)


def student_edition(notebook):
    """Cut solutions and hidden tests out of a solved notebook.

    A solution inside a function leaves `raise NotImplementedError`; one at the top level leaves
    what stands above it, such as `answer = ...`.
    """
    student = copy.deepcopy(notebook)
    for cell in student.cells:
        cell.source = SOLUTION.sub(_stub, HIDDEN.sub("", cell.source + "\n")).rstrip("\n")
    return _tidy(student)


def editions(chapter=None):
    """Yield `(source path, notebook path, unexecuted notebook)` of everything there is to build."""
    for path in sorted(LESSONS.glob("[0-9]*.py")):
        if chapter in (None, path.name[:2]):
            yield path, NOTEBOOKS / f"{path.stem}.ipynb", read_source(path)
    for path in sorted(EXERCISES.glob("[0-9]*.py")):
        if chapter in (None, path.name[:2]):
            solved = read_source(path)
            yield path, NOTEBOOKS / "solutions" / f"{path.stem}.ipynb", solved
            yield path, NOTEBOOKS / "exercises" / f"{path.stem}.ipynb", student_edition(solved)


def differences(wanted, path):
    """Say how a stored notebook differs from what its source gives: a list of sentences."""
    if not path.exists():
        return ["it has not been built"]
    stored = nbformat.read(path, as_version=4)
    if len(stored.cells) != len(wanted.cells):
        return [f"it has {len(stored.cells)} cells, its source has {len(wanted.cells)}"]
    found = []
    for number, (cell, target) in enumerate(zip(stored.cells, wanted.cells, strict=True), start=1):
        if (cell.cell_type, cell.source) != (target.cell_type, target.source):
            first = next(iter(target.source.splitlines()), "")
            found.append(f"cell {number} differs from its source (“{first[:50]}”)")
        elif _kept(cell.metadata) != _kept(target.metadata):
            found.append(f"cell {number} has other metadata than its source")
        elif cell.cell_type == "code" and cell.execution_count is None:
            found.append(f"cell {number} has not been executed")
    return found


def take_outputs(wanted, path):
    """Give `wanted` the outputs of the notebook stored at `path`, if their code is the same.

    Returns:
        bool, whether it was: every code cell alike, in the same order, and executed.
    """
    if not path.exists():
        return False
    stored = nbformat.read(path, as_version=4).cells
    stored, cells = (
        [cell for cell in part if cell.cell_type == "code"] for part in (stored, wanted.cells)
    )
    alike = len(stored) == len(cells) and all(
        (old.source, _kept(old.metadata)) == (new.source, _kept(new.metadata))
        and old.execution_count is not None
        for old, new in zip(stored, cells, strict=True)
    )
    if alike:
        for old, new in zip(stored, cells, strict=True):
            new.outputs, new.execution_count = old.outputs, old.execution_count
    return alike


def execute(notebook, folder):
    """Run a notebook from a clean kernel in `folder`; return its wall seconds and peak MB."""
    client = nbclient.NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    peak = _PeakMemory()
    client.on_cell_executed = lambda **_: peak.look()
    started = time.perf_counter()
    client.execute(env=os.environ | {"COURSE_QUIET": "1"})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # time-stamps
    notebook.metadata = nbformat.from_dict(METADATA)
    return time.perf_counter() - started, peak.megabytes


def chapter_table():
    """Make the README's table from the lessons' headers."""
    rows = ["| | chapter | you will be able to | minutes | needs |", "|---|---|---|---|---|"]
    for path in sorted(LESSONS.glob("[0-9]*.py")):
        cells = read_source(path).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        title = re.search(r"^# (.+)$", text, re.M)[1]
        goals = re.search(
            r"^## You will be able to\n+(?:[^-\n].*\n+)*- (.+?)(?=\n- |\n\n|\Z)", text, re.M | re.S
        )[1]
        minutes = re.search(r"(\d+) minutes", text[text.index("## Budget") :])[1]
        needs = text[text.index("## Before you start") : text.index("## Budget")]
        needs = ", ".join(sorted(set(re.findall(r"\((\d\d)_\w+\.ipynb\)", needs)))) or "–"
        goal = " ".join(goals.split()).rstrip(".;")
        link = f"[{title}](notebooks/{path.stem}.ipynb)"
        rows.append(f"| {path.name[:2]} | {link} | {goal} | {minutes} | {needs} |")
    return "\n".join(rows) + "\n"


def readme_with_table(text):
    """Put the current chapter table into the README's text."""
    return README_TABLE.sub(lambda match: match[1] + chapter_table() + match[2], text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("chapter", nargs="?", help="two digits, such as 05; all when left out")
    parser.add_argument("--force", action="store_true", help="build even what is up to date")
    parser.add_argument("--check", action="store_true", help="build nothing, exit 1 if out of step")
    parser.add_argument("--readme", action="store_true", help="only renew the README's table")
    options = parser.parse_args()
    if options.chapter and not list((LESSONS).glob(f"{options.chapter}_*.py")):
        known = ", ".join(path.name[:2] for path in sorted(LESSONS.glob("[0-9]*.py")))
        parser.error(f"expected one of the chapters {known}. Received: {options.chapter}")
    readme = ROOT / "README.md"
    if options.check:
        stale = [
            (path, found)
            for _, path, nb in editions(options.chapter)
            if (found := differences(nb, path))
        ]
        for path, found in stale:
            print(f"{path.relative_to(ROOT)}: {'; '.join(found)}. Run `make notebooks`.")
        if readme_with_table(readme.read_text()) != readme.read_text():
            stale.append(readme)
            print("README.md: the chapter table is out of step. Run `make notebooks`.")
        return 1 if stale else 0
    if not options.readme:
        for _, path, notebook in editions(options.chapter):
            _build(path, notebook, options.force)
    readme.write_text(readme_with_table(readme.read_text()))
    return 0


def _build(path, notebook, force):
    name = path.relative_to(ROOT)
    if not force and not differences(notebook, path):
        print(f"{name}: up to date")
        return
    if not force and take_outputs(notebook, path):
        nbformat.write(notebook, path)
        print(f"{name}: only prose had changed, outputs kept")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"{name}: running …", end="", flush=True)
    seconds, megabytes = execute(notebook, path.parent)
    nbformat.write(notebook, path)
    print(f"\r{name}: {seconds:.0f} s, peak {megabytes / 1000:.1f} GB")


def _tidy(notebook):
    """Keep what readers and nbgrader need; number the cells by what they hold, not by chance."""
    seen = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _stub(match):
    return f"{match[1]}raise NotImplementedError\n" if match[1] else ""


def _kept(metadata):
    return {key: value for key, value in metadata.items() if key in ("tags", "nbgrader")}


class _PeakMemory:
    """Peak resident memory of the kernels below this process, looked up after each cell."""

    def __init__(self):
        self.megabytes = 0.0

    def look(self):
        for process in psutil.Process().children(recursive=True):
            try:
                info = process.memory_info()
                status = pathlib.Path(f"/proc/{process.pid}/status")
                text = status.read_text() if status.exists() else ""
            except (psutil.NoSuchProcess, FileNotFoundError):
                continue
            peak = re.search(r"VmHWM:\s+(\d+) kB", text)
            now = int(peak[1]) / 1000 if peak else info.rss / 1e6
            self.megabytes = max(self.megabytes, now)


if __name__ == "__main__":
    sys.exit(main())
