"""Every rule of the lessons' style that a machine can judge, and every claim's ten seeds."""

import ast
import html
import pathlib
import re
import sys

import jupytext
import nbconvert
import nbformat
import pandas as pd
from jupytext.config import find_jupytext_configuration_file, load_jupytext_configuration_file

from tests import claims

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "source"))
import build

SECTIONS = [
    *("You will be able to", "Before you start", "Budget", "Setup"),
    *("Spot the bug", "Summary", "Going further", "References"),
]
MAX_CELL_LINES, MAX_LINE = 25, 84
MACHINE = re.compile(
    r"/home/|/root/|/work/|/Users/|/tmp/|[A-Z]:\\\\|site-packages|<[\w.]+ at 0x|0x[0-9a-f]{8,}"
)
REPRESENTATION = re.compile(r"np\.(float|int|str_|bool)\w*\(|<Figure size")
COMMAND = re.compile(r"^\s*[!%]|pip install|matplotlib|;\s*$", re.M)
BANNED = re.compile(r"\b(just|simply|obviously|of course|trivial(ly)?|needless to say)\b", re.I)


def chosen(config, paths):
    chapter = config.getoption("--chapter")
    return [path for path in paths if not chapter or path.name.startswith(f"{chapter}_")]


def built_notebooks():
    found = sorted(build.NOTEBOOKS.glob("**/[0-9]*.ipynb"))
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


def pytest_generate_tests(metafunc):
    config = metafunc.config
    lessons = chosen(config, sorted(build.NOTEBOOKS.glob("[0-9]*.ipynb")))
    if "notebook" in metafunc.fixturenames:
        paths = chosen(config, built_notebooks())
        metafunc.parametrize("notebook", paths, ids=lambda p: f"{p.parent.name}/{p.stem}")
    elif "lesson" in metafunc.fixturenames:
        metafunc.parametrize("lesson", lessons, ids=lambda p: p.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def prose(path):
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def texts(cell):
    """All that a cell's outputs say in words."""
    for output in cell.outputs:
        yield output.get("text", "")
        for kind, content in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield content


def test_every_source_has_its_notebooks_in_step():
    stale = {
        str(path.relative_to(ROOT)): found
        for _, path, notebook in build.editions()
        if (found := build.differences(notebook, path))
    }
    assert not stale, f"run `make notebooks`: {stale}"


def test_every_notebook_has_a_source():
    built = {path for _, path, _ in build.editions()}
    assert set(built_notebooks()) == built


def test_sections_in_order(lesson):
    headings = re.findall(r"^## (.+)$", prose(lesson), re.M)
    positions = [headings.index(name) if name in headings else -1 for name in SECTIONS]
    if lesson.name.startswith("00"):
        assert positions == sorted(positions), headings
    missing = [name for name, at in zip(SECTIONS, positions, strict=True) if at < 0]
    assert not missing, f"missing: {missing}"
    assert headings[:4] == SECTIONS[:4], f"a lesson opens with {SECTIONS[:4]}"
    assert headings[-3:] == SECTIONS[-3:], f"a lesson closes with {SECTIONS[-3:]}"


def test_one_title(notebook):
    assert len(re.findall(r"^# .+$", prose(notebook), re.M)) == 1


def test_goals_are_three_to_five(lesson):
    goals = re.search(r"## You will be able to\n(.+?)(?=\n## |\Z)", prose(lesson), re.S)[1]
    assert 3 <= len(re.findall(r"^- ", goals, re.M)) <= 5


def test_first_cells_set_up(notebook):
    first = code_cells(notebook)[0]
    assert "runtime.setup(" in first.source and first.source.startswith("from course_lib import")
    assert "nbval-ignore-output" in first.metadata.get("tags", [])


def test_executed_in_order_from_a_clean_kernel(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_errors_or_warnings_in_outputs(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert output.get("name") != "stderr", f"on stderr: {output.text[:200]}"
            allowed = "raises-exception" in cell.metadata.get("tags", [])
            assert allowed or output.output_type != "error", f"{output.ename}: {output.evalue}"


def test_outputs_tell_nothing_of_the_machine(notebook):
    for cell in code_cells(notebook):
        for text in texts(cell):
            assert not MACHINE.search(text), f"{MACHINE.search(text)[0]} in: {text[:200]}"
            assert not REPRESENTATION.search(text), f"round before printing: {text[:200]}"


def test_cells_are_short(notebook):
    for cell in code_cells(notebook):
        lines = cell.source.splitlines()
        assert len(lines) <= MAX_CELL_LINES, f"{len(lines)} lines from: {lines[0]}"
        too_long = [line for line in lines if len(line) > MAX_LINE]
        assert not too_long, f"cut off on paper: {too_long[0]}"


def test_cells_hold_no_commands(notebook):
    for cell in code_cells(notebook):
        found = COMMAND.search(cell.source)
        assert not found, f"{found[0]!r} in: {cell.source[:200]}"


def test_prose_belittles_nobody(notebook):
    found = BANNED.findall(prose(notebook))
    assert not found, found


def test_every_figure_has_description_and_caption(notebook):
    for cell in code_cells(notebook):
        kinds = [output.get("data", {}) for output in cell.outputs]
        for index, (output, data) in enumerate(zip(cell.outputs, kinds, strict=True)):
            if "image/png" not in data:
                continue
            alt = output.metadata.get("image/png", {}).get("alt", "")
            assert len(alt.split()) >= 5, f"no description: {cell.source[:200]}"
            caption = kinds[index + 1].get("text/markdown", "") if index + 1 < len(kinds) else ""
            assert caption == f"*{alt}*", f"caption differs from description: {alt}"


def test_paper_keeps_captions_and_descriptions():
    """HTML, which is how a notebook gets onto paper, has both (its classic template, that is)."""
    path = build.NOTEBOOKS / "00_start_here.ipynb"
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    classic, _ = nbconvert.HTMLExporter(template_name="classic").from_filename(path)
    lab, _ = nbconvert.HTMLExporter().from_filename(path)
    for picture in pictures:
        description = picture.metadata["image/png"]["alt"]
        assert f"<em>{html.escape(description, quote=False)}</em>" in lab
        assert f'alt="{description}"' in html.unescape(classic)
    assert len(pictures) >= 3


def test_every_prediction_is_answered(lesson):
    text = prose(lesson)
    asked, answered = text.count("**Predict, then run.**"), len(re.findall(r"\*\*Answer\b", text))
    assert asked >= 2 and asked == answered, f"{asked} questions, {answered} answers"


def test_links_lead_somewhere(notebook):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose(notebook)):
        if "://" not in target:
            assert (notebook.parent / target).exists(), f"{target} is not there"


def test_claims_hold_over_ten_seeds(lesson):
    source = build.LESSONS / f"{lesson.stem}.py"
    stored = source.with_suffix(".claims.csv")
    repeat = f"repeat them with `python -m tests.claims {lesson.name[:2]}`"
    assert stored.is_file(), f"no seeds for the claims of {lesson.stem}: {repeat}"
    table = pd.read_csv(stored)
    assert len(table.filter(like="seed_").columns) >= claims.ENOUGH_SEEDS, repeat
    assert not claims.failures(table), claims.failures(table)
    stated = [claim for cell in code_cells(lesson) for claim in literal_claims(cell.source)]
    measured = {name: (low, high) for name, low, high in table.iloc[:, :3].itertuples(index=False)}
    for name, band in stated:
        assert name in measured, f"“{name}” was never repeated: {repeat}"
        same = all(
            pd.isna(m) if b is None else m == b for b, m in zip(band, measured[name], strict=True)
        )
        assert same, f"“{name}” now has the band {band}, repeated with {measured[name]}: {repeat}"


def literal_claims(source):
    """Yield `(name, (at_least, at_most))` for each claim of a cell that is written out in full."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "checks.claim":
            options = {k.arg: k.value for k in node.keywords if k.arg in ("at_least", "at_most")}
            parts = [node.args[0], *options.values()]
            try:
                values = [ast.literal_eval(part) for part in parts]
            except ValueError:  # computed in the lesson: the table has what it was
                continue
            band = dict(zip(options, values[1:], strict=True))
            yield values[0], (band.get("at_least"), band.get("at_most"))


def test_readme_table_is_fresh():
    text = (ROOT / "README.md").read_text()
    assert build.readme_with_table(text) == text, "run `make notebooks`"


def test_saving_in_jupyterlab_gives_the_source_back():
    """Jupytext's pairing writes a source exactly as it is kept, so that edits merge cleanly."""
    for path in sorted((ROOT / "source").glob("*/[0-9]*.py")):
        config = load_jupytext_configuration_file(find_jupytext_configuration_file(str(path)))
        notebook = jupytext.read(path, fmt="py:percent", config=config)
        notebook.metadata.pop("jupytext", None)
        written = jupytext.writes(notebook, fmt="py:percent", config=config)
        assert written == path.read_text(), f"{path.name} would be rewritten by a save"
