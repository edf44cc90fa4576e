"""Fold text for searching, so that different spellings of a word become the same text.

The folding is Unicode's NFKC_Casefold (UAX #15, UAX #44) without accents. Its time is linear in the length of the
text: `unicodedata.normalize` is quadratic in a run of combining marks, so long runs are shortened before.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import regex

LONGEST_SOURCE = 50_000  # searchable characters of a message
LONGEST = 180_000  # characters of the terms of a message and its replies
_LONGEST_FOLDED = 60_000  # characters; a compatibility form becomes up to 18 characters
_LONGEST_WORD = 100  # characters; a longer word is cut
_LONGEST_QUERY = 1_000
_MOST_WORDS = 10
_MOST_PAIRS = 20  # to look up in the index; the condition on the whole phrase decides

# The marks of Latin, Greek and Cyrillic. In other scripts, marks are vowels and signs that distinguish words.
_ACCENTS = r"\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u2de0-\u2dff\ua66f-\ua67d\ufe20-\ufe2f"
# Soft hyphens, joiners, bidi controls and variation selectors: NFKC_Casefold also drops them.
_IGNORED = regex.compile(rf"[\p{{Default_Ignorable_Code_Point}}{_ACCENTS}]+")
_ACCENT = regex.compile(f"[{_ACCENTS}]+")
# At most 30 marks follow a letter, as in UAX #15's Stream-Safe Text Format. The two halfwidth signs become marks.
_TOO_MANY_MARKS = regex.compile(r"(?<=[\p{M}\uff9e\uff9f]{30})[\p{M}\uff9e\uff9f]+")
# Letters that Unicode does not decompose, but DUCET (UTS #10) sorts as variants of these. A search for i finds both the
# Turkish dotless and dotted i, because the language of a word is unknown.
_VARIANTS = str.maketrans({"\u0131": "i", "\u0237": "j", "ł": "l", "ø": "o", "đ": "d", "ħ": "h", "æ": "ae", "œ": "oe"})

_UNSPACED = r"\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}"
_LETTER = rf"[[\p{{L}}\p{{N}}\p{{Co}}]--[{_UNSPACED}]]"
_UNSPACED_LETTER = rf"[[\p{{L}}\p{{N}}]&&[{_UNSPACED}]]"
_PART = regex.compile(
    rf"(?V1)(?P<run>{_UNSPACED_LETTER}[{_UNSPACED_LETTER}\p{{M}}]*)|(?P<word>{_LETTER}[{_LETTER}\p{{M}}]*)"
)

_CLUSTER = regex.compile(r"\X")


@dataclass(frozen=True)
class Query:
    """The terms to search for: prefixes of terms, whole terms, and phrases; and the runs that the last two are from."""

    prefixes: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.prefixes or self.terms)


def of(*texts: str) -> str:
    """Return the terms of the texts, separated by single spaces; at most 180,000 characters.

    In a script with spaces between words, each word is a term. In a script without them (Han, Kana, Thai, Lao, Khmer,
    Myanmar), a run gives every pair of neighbouring characters, and the last character alone: `abc` becomes `ab bc c`.
    So a search for the beginning of a term finds any single character.
    """
    folded = fold(" ".join(texts)[:LONGEST_SOURCE])
    parts = (_pairs(part) if run else part[:_LONGEST_WORD] for part, run in _parts(folded))
    return " ".join(dict.fromkeys(parts))


def query(typed: str) -> Query:
    """Return the terms to search for, from the first ten words typed."""
    prefixes, terms, phrases, runs = [], [], [], []
    for part, run in _parts(fold(typed[:_LONGEST_QUERY]))[:_MOST_WORDS]:
        if not run or len(part) == 1:
            prefixes.append(part[:_LONGEST_WORD])
            continue
        runs.append(part)
        pairs = [part[at : at + 2] for at in range(len(part) - 1)]
        terms += pairs[:_MOST_PAIRS]
        phrases += [" ".join(pairs)] if len(pairs) > 1 else []
    return Query(tuple(prefixes), tuple(terms), tuple(phrases), tuple(runs))


def fold(text: str) -> str:
    """Return the same text for spellings that differ only in case, accents, width or invisible characters."""
    if text.isascii():
        return text.lower()[:_LONGEST_FOLDED]
    few_marks = _TOO_MANY_MARKS.sub("", _IGNORED.sub("", text))
    plain = _ACCENT.sub("", unicodedata.normalize("NFKD", few_marks)[:_LONGEST_FOLDED])
    return unicodedata.normalize("NFC", plain.casefold().translate(_VARIANTS))[:_LONGEST_FOLDED]


def spans(text: str, wanted: Query) -> list[tuple[int, int]]:
    """Return the beginning and end of each word of a text that the query finds, in order and apart from each other.

    In a script without spaces between words, they are those of the characters that were typed.
    """
    if not wanted:
        return []
    folded, places = _folded_in_place(text)
    ranges = [span for part in _PART.finditer(folded) for span in _found_in(part, wanted)]
    return _joined((places[start][0], places[end - 1][1]) for start, end in ranges)


def _folded_in_place(text: str) -> tuple[str, Sequence[tuple[int, int]]]:
    """Return the text folded, and for each of its characters the place in the text that it comes from.

    The text is folded by grapheme clusters (UAX #29): within a cluster, folding may join and drop characters.
    """
    if text.isascii():
        return text.lower(), [(at, at + 1) for at in range(len(text))]
    folded, places = [], []
    for cluster in _CLUSTER.finditer(text):
        part = fold(cluster.group())
        folded.append(part)
        places += [cluster.span()] * len(part)
    return "".join(folded), places


def _found_in(part: regex.Match[str], wanted: Query) -> list[tuple[int, int]]:
    found, start = part.group(), part.start()
    if part.lastgroup == "word":
        return [part.span()] if found[:_LONGEST_WORD].startswith(wanted.prefixes) else []
    typed = [*wanted.runs, *(prefix for prefix in wanted.prefixes if len(prefix) == 1)]
    return [
        (start + at, start + at + len(each))
        for each in typed
        for at in range(len(found) - len(each) + 1)
        if found.startswith(each, at)
    ]


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _parts(folded: str) -> list[tuple[str, bool]]:
    """Return the words and runs in order, with True for a run."""
    return [(found.group(), found.lastgroup == "run") for found in _PART.finditer(folded)]


def _pairs(run: str) -> str:
    return " ".join([*(run[at : at + 2] for at in range(len(run) - 1)), run[-1]])
