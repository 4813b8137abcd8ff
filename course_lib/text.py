"""Two texts to learn a language from: a grammar whose truth is known, and English at hand."""

import functools
from dataclasses import dataclass

import numpy as np

# A symbol in capitals is replaced by one of its expansions, drawn with the weight beside it.
RULES = {
    "S": {"STATEMENT": 35, "QUESTION": 25, "ANIMAL": 15, "REASON": 25},
    "STATEMENT": {"PERSON TIME WILL ACT 。": 1},
    "QUESTION": {"你 TIME WILL ACT 吗 ？": 8, "你 TIME WILL ACT 。": 2},
    "ANIMAL": {"小猫 TIME WILL 吃 MEAT 。": 5, "小狗 TIME WILL 吃 MEAT 。": 5},
    "REASON": {
        f"因为 {person} {cause} ， 所以 {person} 想 {act} 。": 1
        for person in ("我", "他", "她", "老师")
        for cause, act in (("饿", "吃 FOOD"), ("渴", "喝 DRINK"), ("累", "睡觉"))
    },
    "PERSON": {"我": 40, "他": 25, "她": 25, "老师": 10},
    "TIME": {"": 50, "今天": 20, "明天": 15, "晚上": 15},
    "WILL": {"喜欢": 40, "想": 35, "不 喜欢": 15, "不 想": 10},
    "ACT": {"吃 FOOD": 40, "喝 DRINK": 30, "看 SEEN": 15, "听 HEARD": 15},
    "FOOD": {"DISH": 60, "甜 的 DISH": 15, "热 的 DISH": 25},
    "DRINK": {"CUP": 60, "甜 的 CUP": 15, "热 的 CUP": 25},
    "SEEN": {"SIGHT": 70, "新 的 SIGHT": 30},
    "HEARD": {"SOUND": 70, "新 的 SOUND": 30},
    "MEAT": {"鱼": 70, "肉": 30},
    "DISH": {"苹果": 30, "面条": 25, "米饭": 20, "饺子": 15, "鱼": 10},
    "CUP": {"茶": 45, "水": 30, "牛奶": 25},
    "SIGHT": {"书": 60, "电影": 40},
    "SOUND": {"音乐": 65, "歌": 35},
}


@dataclass(frozen=True)
class Language:
    """All sentences of a grammar, each a tuple of words, and their probabilities, which sum to 1.

    `sentences` is sorted; `probabilities` (n,) is float64, read-only, in the same order.
    """

    sentences: tuple[tuple[str, ...], ...]
    probabilities: np.ndarray


@functools.cache
def grammar():
    """List every sentence of the course's small Chinese grammar, `RULES`, and how likely it is.

    As nothing is sampled, whatever follows from the grammar is exact: the distribution of the
    next word after any beginning, and the perplexity that no model can go below.

    Returns:
        `Language` of 3,236 sentences of 5 to 12 words, the stop at the end included.

    Example:

    >>> language = grammar()
    >>> ("我", "喜欢", "吃", "苹果", "。") in language.sentences
    True
    >>> round(float(language.probabilities.sum()), 12)
    1.0
    """
    likely = {}
    for words, probability in _expand(("S",)):
        likely[words] = likely.get(words, 0.0) + probability
    sentences = tuple(sorted(likely))
    probabilities = np.array([likely[words] for words in sentences])
    probabilities.flags.writeable = False
    return Language(sentences, probabilities)


def _expand(symbols):
    """Yield every (words, probability) that a tuple of words and symbols can become."""
    for index, symbol in enumerate(symbols):
        if symbol in RULES:
            total = sum(RULES[symbol].values())
            for expansion, weight in RULES[symbol].items():
                longer = symbols[:index] + tuple(expansion.split()) + symbols[index + 1 :]
                for words, probability in _expand(longer):
                    yield words, probability * weight / total
            return
    yield symbols, 1.0


@functools.cache
def english():
    """Return the English that comes with every Python: its language reference, by topic.

    Returns:
        str of printable ASCII characters and line breaks, 464,551 of them in Python 3.11; other
        versions have more or fewer.

    Example:

    >>> len(english()) > 400_000, "expression" in english()
    (True, True)

    Source: `pydoc_data.topics`, which the Python Software Foundation licenses with Python.
    """
    from pydoc_data import topics

    text = "\n\n".join(topics.topics[name] for name in sorted(topics.topics))
    return "".join(sign for sign in text if sign == "\n" or (sign.isascii() and sign.isprintable()))
