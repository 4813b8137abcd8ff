"""From a source to its notebooks, and how pytest treats notebooks that fail."""

import copy
import os
import re
import subprocess
import sys

import nbformat
import pytest

from tests.test_notebooks import ROOT, build

EXERCISE = '''# %% [markdown]
r"""
# Title
"""

# %% nbgrader={"grade_id": "a", "solution": true}
def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    secret = 2
    return secret * x
    ### END SOLUTION

# %%
answer = ...
### BEGIN SOLUTION
answer = 42
### END SOLUTION

# %%
print(answer)
### BEGIN HIDDEN TESTS
assert double(7) == 14
### END HIDDEN TESTS
'''


@pytest.fixture
def solved(tmp_path):
    path = tmp_path / "99_topic.py"
    path.write_text(EXERCISE)
    return build.read_source(path)


def test_student_edition_cuts_solutions_and_hidden_tests(solved):
    student = [cell.source for cell in build.student_edition(solved).cells]
    assert student == [
        "# Title",
        'def double(x):\n    """Twice x."""\n    raise NotImplementedError',
        "answer = ...",
        "print(answer)",
    ]
    assert "secret" in solved.cells[1].source, "the solved edition is untouched"
    assert solved.cells[1].metadata["nbgrader"]["grade_id"] == "a"


def test_prose_is_renewed_without_running_the_code(solved, tmp_path):
    path = tmp_path / "99_topic.ipynb"
    stored = copy.deepcopy(solved)
    for number, cell in enumerate(stored.cells[1:], start=1):
        cell.execution_count, cell.outputs = number, [nbformat.v4.new_output("stream", text="42")]
    stored.cells[0].source = "# Titel"
    nbformat.write(stored, path)
    wanted = copy.deepcopy(solved)
    assert build.take_outputs(wanted, path)
    assert wanted.cells[0].source == "# Title"
    assert wanted.cells[3].outputs[0].text == "42"
    changed = copy.deepcopy(solved)
    changed.cells[2].source = "answer = 43"
    assert not build.take_outputs(changed, path)
    assert changed.cells[3].outputs == []


def test_differences_name_the_cell(solved, tmp_path):
    path = tmp_path / "99_topic.ipynb"
    assert build.differences(solved, path) == ["it has not been built"]
    for number, cell in enumerate((c for c in solved.cells if c.cell_type == "code"), start=1):
        cell.execution_count = number
    nbformat.write(solved, path)
    assert build.differences(solved, path) == []
    edited = nbformat.read(path, as_version=4)
    edited.cells[2].source = "answer = 43"
    nbformat.write(edited, path)
    assert re.search("cell 3 differs from its source", build.differences(solved, path)[0])
    edited.cells.pop()
    nbformat.write(edited, path)
    assert re.search("3 cells, its source has 4", build.differences(solved, path)[0])


def test_cell_ids_do_not_depend_on_chance(solved):
    again = build.student_edition(solved)
    assert [c.id for c in again.cells] == [c.id for c in build.student_edition(solved).cells]
    assert len({c.id for c in again.cells}) == len(again.cells)


def pytest_on(tmp_path, sources):
    """Run nbval, as the course does, over a notebook with these cells; return what it printed."""
    cells = [nbformat.v4.new_code_cell(source, execution_count=1) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "broken.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "--nbval", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=100", "-o", "addopts=", "-p", "no:cacheprovider", "-rA"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [*command, "broken.ipynb"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    return run.stdout


def test_cells_after_a_failed_one_are_skipped(tmp_path):
    printed = pytest_on(tmp_path, ["x = 1", "x = 1 / 0", "x = 2", "print(x)"])
    assert "ZeroDivisionError" in printed
    assert re.search(r"1 failed, 1 passed, 2 skipped", printed), printed[-500:]
    assert "not run: Cell 1 failed" in printed


def test_a_dead_kernel_is_reported_at_once(tmp_path):
    """At once: this returns long before the cell time-out, or the suite's own time-out fails it."""
    printed = pytest_on(
        tmp_path, ["import os, signal", "os.kill(os.getpid(), signal.SIGKILL)", "1"]
    )
    assert "the kernel died while it ran this cell" in printed
    assert re.search(r"1 failed, 1 passed, 1 skipped", printed), printed[-500:]
    assert "Timeout" not in printed
