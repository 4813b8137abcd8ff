"""The house rules of `course_lib`: imports, lengths, errors and docstrings."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "course_lib").glob("*.py"))
# Third-party and course modules that each module may import; the standard library is free.
ARROWS = {
    "__init__": set(),
    "runtime": {"keras", "tensorflow", "jax", "torch", "IPython"},
    "data": {"numpy", "keras"},
    "text": {"numpy"},
    "training": {"keras", "numpy", "pandas", "tensorflow", "runtime", "live"},
    "live": {"keras", "pandas", "IPython", "plots"},
    "plots": {"numpy", "matplotlib", "IPython"},
    "checks": {"numpy"},
    "doctor": {"keras", "psutil", "packaging", "data", "runtime"},
    "__main__": {"doctor"},
}
STANDARD = set(__import__("sys").stdlib_module_names)
MAX_FUNCTION_LINES, MAX_PACKAGE_LINES = 50, 1000


def tree(path):
    return ast.parse(path.read_text())


def imported(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            top, *inner = node.module.split(".")
            yield from (inner or [a.name for a in node.names]) if top == "course_lib" else [top]


def without_docstrings(module):
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    for node in ast.walk(module):
        if isinstance(node, documented) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return module


def functions(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_import_arrows(path):
    outside = set(imported(path)) - STANDARD
    assert outside <= ARROWS[path.stem], f"{path.stem} may not import {outside - ARROWS[path.stem]}"


def test_only_runtime_reads_the_environment():
    reads = re.compile(r"os\.(environ|getenv)")
    readers = [path.stem for path in MODULES if reads.search(path.read_text())]
    assert readers == ["runtime"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_library_code_raises_named_errors(path):
    for node in ast.walk(tree(path)):
        assert not isinstance(node, ast.Assert), f"assert on line {node.lineno}"
        bare = isinstance(node, ast.ExceptHandler) and node.type is None
        assert not bare, f"bare except on line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_functions_fit_a_screen(path):
    for function in functions(path):
        lines = function.end_lineno - function.lineno + 1
        docstring = len((ast.get_docstring(function) or "").splitlines())
        assert lines - docstring <= MAX_FUNCTION_LINES, f"{function.name}: {lines} lines"


def test_package_reads_in_one_sitting():
    total = sum(len(ast.unparse(without_docstrings(tree(path))).splitlines()) for path in MODULES)
    assert total <= MAX_PACKAGE_LINES, f"{total} lines of code"


@pytest.mark.parametrize("name", ["runtime", "data", "text", "training", "plots", "checks"])
def test_public_functions_are_documented(name):
    for node in tree(ROOT / "course_lib" / f"{name}.py").body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        text = ast.get_docstring(node) or ""
        assert text, f"{node.name} has no docstring"
        arguments = [a.arg for a in [*node.args.args, *node.args.kwonlyargs]]
        assert not arguments or "Args:" in text, f"{node.name}: Args: is missing"
        undocumented = [a for a in arguments if not re.search(rf"\b{a}\b", text)]
        assert not undocumented, f"{node.name}: {undocumented} not described"
        assert "Example:" in text and ">>>" in text, f"{node.name}: no example that runs"


def test_continuous_integration_calls_what_people_call():
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test" in script and "make lint" in script


def test_notebooks_import_only_course_lib_of_ours():
    for path in (ROOT / "source").glob("*/[0-9]*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(from|import) (instructor|tests|benchmarks)\b", text, re.M), path
