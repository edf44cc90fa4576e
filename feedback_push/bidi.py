"""Keep bidi controls in visitors' text from reordering the text beside it (Unicode Standard Annex 9)."""

import re

_ISOLATE, _POP = "\u2068", "\u2069"  # FSI and PDI
_INITIATORS = "\u2066\u2067\u2068"
_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # embeddings, overrides and isolates, and their ends
_PARAGRAPHS = re.compile("([\n\r\x1c-\x1e\x85\u2029])")  # a paragraph's end closes every control


def isolated(text: str) -> str:
    """Return the text with each paragraph that has bidi controls in an isolate of its own.

    Text without bidi controls is returned unchanged. Embeddings and overrides end with the isolate around them, so
    only the isolates inside have to be balanced.
    """
    if not _CONTROLS.search(text):
        return text
    return "".join(_paragraph(part) for part in _PARAGRAPHS.split(text))


def _paragraph(text: str) -> str:
    if not _CONTROLS.search(text):
        return text
    kept, depth = [], 0
    for char in text:
        if char == _POP and not depth:
            continue  # it would end the isolate that we add
        depth += (char in _INITIATORS) - (char == _POP)
        kept.append(char)
    return f"{_ISOLATE}{''.join(kept)}{_POP * (depth + 1)}"
