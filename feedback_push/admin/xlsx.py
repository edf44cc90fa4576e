"""Write messages to a workbook with typed cells: a text is never a formula or a link, and a time is a date."""

from collections.abc import Iterable, Iterator
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from feedback_push.feedback import tags

# Excel's limits. A longer text continues in the cells to its right; more rows continue in the next sheet.
LONGEST_CELL = 32_767  # UTF-16 units
ROWS_PER_SHEET = 1_048_576  # including the header
_LARGEST_NUMBER = 10**15  # a spreadsheet keeps 15 digits
_OPTIONS = {
    "constant_memory": True,  # writes each row to a file when the next one starts
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}
_WIDTHS = (8, 20, 10, 24, 28, 20, 28, 80)  # characters


def write(rows: Iterable[Row[Any]], zone: ZoneInfo) -> IO[bytes]:
    """Write messages to a workbook; return it as an unnamed file, positioned at its beginning.

    Times are in `zone`. Until the workbook is complete, its parts are in a private folder under TMPDIR.
    """
    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        with TemporaryDirectory() as folder, Workbook(file, {**_OPTIONS, "tmpdir": folder}) as book:
            book.use_zip64()
            _Sheets(book, zone).fill(rows)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


class _Sheets:
    """The sheets of one workbook."""

    def __init__(self, book: Workbook, zone: ZoneInfo) -> None:
        self._book = book
        self._zone = zone
        top = {"valign": "top"}
        # The prefix keeps a cell a text when somebody edits it.
        self._text = book.add_format({**top, "quote_prefix": True, "text_wrap": True})
        self._time = book.add_format({**top, "num_format": "yyyy-mm-dd hh:mm:ss"})
        self._number = book.add_format({**top, "num_format": "0"})
        self._heading = book.add_format({"bold": True})

    def fill(self, rows: Iterable[Row[Any]]) -> None:
        """Write one row for each message, in as many sheets as they need."""
        sheet, line = self._begin(), 1
        for row in rows:
            if line == ROWS_PER_SHEET:
                sheet, line = self._begin(), 1
            self._write(sheet, line, row)
            line += 1

    def _begin(self) -> Worksheet:
        number = len(self._book.worksheets()) + 1
        sheet = self._book.add_worksheet("messages" if number == 1 else f"messages {number}")
        sheet.freeze_panes(1, 0)
        for column, width in enumerate(_WIDTHS):
            sheet.set_column(column, column, width)
        created = f"created_at ({self._zone.key})"
        sender = ("submitter_name", "submitter_email")
        headings = ("id", created, "state", *sender, "tags", "assigned_to", "content", "content_continued")
        for column, heading in enumerate(headings):
            sheet.write_string(0, column, heading, self._heading)
        return sheet

    def _write(self, sheet: Worksheet, line: int, row: Row[Any]) -> None:
        if row.id < _LARGEST_NUMBER:
            sheet.write_number(line, 0, row.id, self._number)
        else:
            self._write_text(sheet, line, 0, str(row.id))
        sheet.write_datetime(line, 1, row.created_at.astimezone(self._zone).replace(tzinfo=None), self._time)
        filing = (", ".join(tags.of_row(row)), row.assigned_to)
        texts = (row.state, row.submitter_name, row.submitter_email, *filing, *_cells(row.content))
        for column, text in enumerate(texts, start=2):
            if text:
                self._write_text(sheet, line, column, text)

    def _write_text(self, sheet: Worksheet, line: int, column: int, text: str) -> None:
        if text.startswith("<r>"):
            # The library takes such a text for its own markup and would write it unchanged, including formulas.
            plain = self._book.add_format()
            sheet.write_rich_string(line, column, text[0], plain, text[1:], self._text)
        else:
            sheet.write_string(line, column, text, self._text)


def _cells(text: str) -> Iterator[str]:
    """Split a text into parts that each fit into a cell, never inside a character."""
    if len(text) <= LONGEST_CELL // 2:
        yield text
        return
    units = text.encode("utf-16-le")
    while len(units) > 2 * LONGEST_CELL:
        end = 2 * LONGEST_CELL
        if 0xD8 <= units[end - 1] <= 0xDB:  # the first half of a surrogate pair
            end -= 2
        yield units[:end].decode("utf-16-le")
        units = units[end:]
    yield units.decode("utf-16-le")
