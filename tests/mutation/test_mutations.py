"""The list of mutations belongs to the code as it is."""

from tests.mutation.__main__ import CHECKOUT, read


def test_every_mutation_has_its_line_exactly_once() -> None:
    mutations = read()
    assert len(mutations) > 40
    assert [each for each in mutations if (CHECKOUT / each.file).read_text().count(each.line) != 1] == []
    assert {test for each in mutations for test in each.tests if not (CHECKOUT / test).exists()} == set()
