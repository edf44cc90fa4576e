"""Write messages to a workbook with typed cells: a text is never a formula or a link, and a time is a date."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from feedback_push.feedback import form_words, tags
from feedback_push.feedback.form_models import DEFAULT_KEY
from feedback_push.feedback.lists import Whole

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
# The columns of the sheets and their widths in characters.
_MESSAGES = {
    "id": 8,
    "created_at": 20,
    "state": 10,
    "submitter_name": 24,
    "submitter_email": 28,
    "tags": 20,
    "assigned_to": 28,
    "form": 12,
    "category": 16,
    "rating": 8,
    "page_url": 28,
    "page_title": 28,
    "answers": 40,
    "content": 80,
    "content_continued": 8,
}
_REPLIES = {"message_id": 10, "written_at": 20, "from": 10, "by": 28, "content": 80}


def write(messages: Iterable[Whole], zone: ZoneInfo) -> IO[bytes]:
    """Write messages to a workbook, and their replies to a sheet of their own; return it as an unnamed file.

    The file is positioned at its beginning. Times are in `zone`. Until the workbook is complete, its parts are in a
    private folder under TMPDIR.
    """
    file = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        with TemporaryDirectory() as folder, Workbook(file, {**_OPTIONS, "tmpdir": folder}) as book:
            book.use_zip64()
            _write(messages, _Sheets(book, zone, "messages", _MESSAGES), _Sheets(book, zone, "replies", _REPLIES))
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _write(messages: Iterable[Whole], sheets: "_Sheets", of_replies: "_Sheets") -> None:
    sheets.begin()  # also without a message
    for row, written in messages:
        filing = (", ".join(tags.of_row(row)), row.assigned_to)
        answers = next(_cells(form_words.answers_text(row.answers or ())))  # a cell has room for five of the longest
        asked = (row.form_key or DEFAULT_KEY, row.category, row.rating, row.page_url, row.page_title, answers)
        texts = (row.state, row.submitter_name, row.submitter_email, *filing, *asked, *_cells(row.content))
        sheets.add(row.id, row.created_at, texts)
        for reply in written:
            author = ("site" if reply.is_answer else "visitor", reply.email)
            of_replies.add(row.id, reply.created_at, (*author, *_cells(reply.content)))


class _Sheets:
    """The sheets of a workbook for one kind of row: a number, a time, and texts; each has ROWS_PER_SHEET at most."""

    def __init__(self, book: Workbook, zone: ZoneInfo, name: str, columns: dict[str, int]) -> None:
        self._book = book
        self._zone = zone
        self._name = name
        self._columns = columns
        self._count = 0
        self._line = ROWS_PER_SHEET  # of the next row; the first sheet has not begun
        top = {"valign": "top"}
        # The prefix keeps a cell a text when somebody edits it.
        self._text = book.add_format({**top, "quote_prefix": True, "text_wrap": True})
        self._time = book.add_format({**top, "num_format": "yyyy-mm-dd hh:mm:ss"})
        self._number = book.add_format({**top, "num_format": "0"})
        self._heading = book.add_format({"bold": True})

    def begin(self) -> None:
        """Begin the next sheet with its headings."""
        self._count += 1
        self._sheet: Worksheet = self._book.add_worksheet(self._name + (f" {self._count}" if self._count > 1 else ""))
        self._sheet.freeze_panes(1, 0)
        for column, (heading, width) in enumerate(self._columns.items()):
            self._sheet.set_column(column, column, width)
            zone = f" ({self._zone.key})" if column == 1 else ""
            self._sheet.write_string(0, column, heading + zone, self._heading)
        self._line = 1

    def add(self, number: int, at: datetime, texts: Iterable[str | None]) -> None:
        """Add a row; an empty text has no cell."""
        if self._line == ROWS_PER_SHEET:
            self.begin()
        sheet, line = self._sheet, self._line
        if number < _LARGEST_NUMBER:
            sheet.write_number(line, 0, number, self._number)
        else:
            self._write_text(sheet, line, 0, str(number))
        sheet.write_datetime(line, 1, at.astimezone(self._zone).replace(tzinfo=None), self._time)
        for column, text in enumerate(texts, start=2):
            if text:
                self._write_text(sheet, line, column, text)
        self._line += 1

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
