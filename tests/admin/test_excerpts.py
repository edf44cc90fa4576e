"""admin/excerpts.py: the beginning of a text, or the part around the first word found."""

from feedback_push.admin import excerpts


def test_a_text_is_cut_after_its_beginning() -> None:
    assert excerpts.excerpt("a" * 280) == [("a" * 280, False)]
    assert excerpts.excerpt("a" * 281) == [("a" * 280 + "…", False)]
    assert excerpts.excerpt("") == []


def test_a_word_that_is_found_late_is_shown_with_what_stands_around_it() -> None:
    text = f"{'before ' * 100}needle {'after ' * 100}"
    parts = excerpts.excerpt(text, "needle")
    assert [part for part in parts if part[1]] == [("needle", True)]
    assert parts[0][0].startswith("…before ")
    assert len(parts[0][0]) <= 32
    assert parts[-1][0].endswith("…")
    assert len("".join(part for part, _ in parts)) <= 282
    early = excerpts.excerpt(f"needle {text}", "needle")
    assert early[0] == ("needle", True)


def test_a_word_that_is_found_is_in_the_two_lines_that_a_phone_shows() -> None:
    for before in range(300):
        parts = excerpts.excerpt("a " * (before // 2) + "needle" + " after" * 50, "needle")
        assert len(parts[0][0]) + len("needle") <= 60 or parts[0] == ("needle", True), before


def test_a_late_word_needs_no_space_before_it() -> None:
    assert ("針", True) in excerpts.excerpt("草" * 500 + "針" + "草" * 500, "針")


def test_pieces_become_markup_only_where_a_word_is_found() -> None:
    pieces = excerpts.pieces("<i>Ada & Bob</i>", "ada")
    assert excerpts.marked(pieces) == "&lt;i&gt;<mark>Ada</mark> &amp; Bob&lt;/i&gt;"
