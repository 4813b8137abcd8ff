"""The glossary: each term once, in order, and in bold in its own chapter and no other."""

import re

from tests.test_notebooks import build, prose

ROW = re.compile(
    r"\| (?P<term>[^|]+) \| \[(?P<chapter>\d\d)\]\((?P<link>[^)]+)\) \| (?P<meaning>.+) \|"
)


def rows():
    lines = (build.NOTEBOOKS / "glossary.md").read_text(encoding="utf8").splitlines()
    table = lines[lines.index("|---|---|---|") + 1 :]
    for line in table:
        assert ROW.fullmatch(line), f"not a row of the glossary: {line}"
    return [ROW.fullmatch(line) for line in table]


def bold(text):
    """The phrases that a lesson's prose sets in bold, in lower case, without a final stop."""
    return {phrase.rstrip(".").casefold() for phrase in re.findall(r"\*\*([^*]+)\*\*", text)}


def test_terms_are_in_order_and_none_is_defined_twice():
    terms = [row["term"].casefold() for row in rows()]
    assert terms == sorted(set(terms))


def test_each_term_is_bold_in_its_own_chapter_and_no_other():
    lessons = {path.name: bold(prose(path)) for path in build.NOTEBOOKS.glob("[0-9]*.ipynb")}
    for row in rows():
        found = sorted(
            name for name, phrases in lessons.items() if row["term"].casefold() in phrases
        )
        assert found == [row["link"]], f"“{row['term']}” is bold in {found}"
        assert row["link"].startswith(row["chapter"])


def test_meanings_are_one_short_sentence():
    for row in rows():
        assert row["meaning"].endswith(".") and len(row["meaning"].split()) <= 30, row["term"]
