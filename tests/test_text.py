"""The texts: the grammar's list of sentences agrees with drawing from its rules, word by word."""

import collections

import numpy as np
import pytest

from course_lib import text


def draw(rng, symbol="S"):
    """Draw one sentence from the rules, the way that a grammar is read; an oracle for the list."""
    if symbol not in text.RULES:
        return [symbol]
    expansions = list(text.RULES[symbol])
    weights = np.array(list(text.RULES[symbol].values()), dtype=float)
    chosen = expansions[rng.choice(len(expansions), p=weights / weights.sum())]
    return [word for part in chosen.split() for word in draw(rng, part)]


def test_probabilities_are_those_of_drawing():
    language = text.grammar()
    assert language.probabilities.min() > 0
    assert language.probabilities.sum() == pytest.approx(1, abs=1e-12)
    rng = np.random.default_rng(0)
    drawn = collections.Counter(tuple(draw(rng)) for _ in range(5000))
    assert set(drawn) <= set(language.sentences)
    likely = dict(zip(language.sentences, language.probabilities, strict=True))
    for sentence, count in drawn.most_common(12):
        spread = np.sqrt(5000 * likely[sentence])
        assert abs(count - 5000 * likely[sentence]) < 5 * spread, sentence


def test_sentences_are_sorted_distinct_and_end_in_a_stop():
    sentences = text.grammar().sentences
    assert list(sentences) == sorted(set(sentences))
    assert {sentence[-1] for sentence in sentences} == {"。", "？"}


def test_the_reason_and_its_consequence_belong_to_one_person():
    """The dependency that a model has to carry over five words."""
    reasons = [s for s in text.grammar().sentences if s[0] == "因为"]
    assert reasons and all(s[1] == s[5] for s in reasons)


def test_the_list_of_sentences_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        text.grammar().probabilities[0] = 1


def test_english_is_plain_text():
    english = text.english()
    assert english.isascii() and len(english) > 400_000
    assert all(sign == "\n" or sign.isprintable() for sign in set(english))
