"""Every exercise: blank says so, the solution passes, each named wrong answer gets its hint."""

import ast
import contextlib
import io
import re

import pytest

from course_lib import checks
from tests.test_notebooks import build, chosen

CELL_KEYS = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}
LEFTOVER = re.compile(r"### (BEGIN|END) (SOLUTION|HIDDEN TESTS)")


def pytest_generate_tests(metafunc):
    paths = chosen(metafunc.config, sorted(build.EXERCISES.glob("[0-9]*.py")))
    metafunc.parametrize("source", paths, ids=lambda p: p.stem)


def graded(notebook):
    return [cell for cell in notebook.cells if "nbgrader" in cell.metadata]


def printed(call, *args, **options):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        call(*args, **options)
    return out.getvalue().strip()


def stored(source, edition):
    path = build.NOTEBOOKS / edition / f"{source.stem}.ipynb"
    return build.nbformat.read(path, as_version=4)


def check_lines(notebook):
    """What each check printed in a stored notebook."""
    for cell in graded(notebook):
        if cell.metadata["nbgrader"]["grade"] and cell.cell_type == "code":
            text = "".join(output.get("text", "") for output in cell.outputs).strip()
            yield cell.metadata["nbgrader"]["grade_id"], text.splitlines() or [""]


def test_nbgrader_metadata(source):
    cells = graded(build.read_source(source))
    ids = [cell.metadata["nbgrader"]["grade_id"] for cell in cells]
    assert len(ids) == len(set(ids)), f"a grade_id twice: {ids}"
    questions = 0
    for cell in cells:
        meta = dict(cell.metadata["nbgrader"])
        points = meta.pop("points", None)
        assert set(meta) == CELL_KEYS and meta["schema_version"] == 3, meta
        assert (points is not None) == meta["grade"], f"{meta['grade_id']}: points go with grade"
        if meta["solution"]:
            assert "### BEGIN SOLUTION" in cell.source and "### END SOLUTION" in cell.source
        else:
            assert meta["locked"] and "### BEGIN HIDDEN TESTS" in cell.source, meta
        questions += meta["grade"]
    assert 3 <= questions <= 8


def test_student_edition_gives_nothing_away(source):
    solved, student = build.read_source(source), stored(source, "exercises")
    text = "\n".join(cell.source for cell in student.cells)
    assert not LEFTOVER.search(text)
    for cell in graded(solved):
        for pattern in (build.SOLUTION, build.HIDDEN):
            for match in pattern.finditer(cell.source + "\n"):
                kept = re.sub(pattern, "", cell.source + "\n")
                for line in match[0].splitlines()[1:-1]:
                    secret = len(line.strip()) > 12 and line not in kept
                    assert not secret or line not in text, f"survived: {line.strip()}"


def test_blank_is_not_attempted(source):
    for question, lines in check_lines(stored(source, "exercises")):
        assert lines and all("not attempted yet" in line for line in lines), (question, lines)


def test_solution_passes(source):
    for question, lines in check_lines(stored(source, "solutions")):
        assert lines and all(line.startswith("✓ ") for line in lines), (question, lines)


def test_each_named_mistake_gets_its_own_hint(source, monkeypatch):
    """Run the solution; at every check put each named wrong answer in the right one's place."""
    calls = []

    def recorder(real):
        def check(name, answer, **options):
            calls.append((real, name, options))
            real(name, answer, **options)

        return check

    monkeypatch.setattr(checks, "value", recorder(checks.value))
    monkeypatch.setattr(checks, "function", recorder(checks.function))
    names = {"__name__": "__main__"}
    num_mistakes = 0
    for cell in build.read_source(source).cells:
        if cell.cell_type != "code":
            continue
        calls.clear()
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell.source, f"{source.name}: {cell.source[:40]}", "exec"), names)
        for real, name, options in calls:
            assert "not attempted yet" in printed(real, name, ..., **options)
            for hint, mistake in (options.get("mistakes") or {}).items():
                line = printed(real, name, mistake, **options)
                assert line == f"✗ {name}: {hint}", f"{name}: expected “{hint}”, got “{line}”"
                if len(calls) == 1:
                    hidden_tests_fail(cell.source, names, mistake)
                num_mistakes += 1
            if len(calls) == 1:
                hidden_tests_fail(cell.source, names, ...)
    assert num_mistakes >= 4, "too few usual mistakes are known by name"


def hidden_tests_fail(source, names, wrong):
    """The points must not go to `wrong`: the cell's hidden tests raise on it."""
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
    check = next(n for n in calls if ast.unparse(n.func) in ("checks.value", "checks.function"))
    assert isinstance(check.args[1], ast.Name), "give the check the learner's name itself"
    hidden = build.HIDDEN.search(source + "\n")[0]
    with (
        pytest.raises((AssertionError, TypeError, ValueError, NotImplementedError)),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        exec(hidden, names | {check.args[1].id: wrong})
