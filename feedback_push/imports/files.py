"""Read the records of a file: the kind follows from its content."""

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from feedback_push.imports.records import CONTENT, ImportRefused, Record, SubscriptionRecord, message

_LARGEST_JSON = 200 * 1024 * 1024  # bytes, because a list is read as a whole
_LONGEST_CELL = 1_000_000  # characters
_SQLITE = b"SQLite format 3\x00"
# django-webpush's tables, which the tutorial uses.
_SUBSCRIPTIONS = """
SELECT info.id, info.endpoint, info.p256dh, info.auth, auth_user.email
FROM webpush_subscriptioninfo AS info
LEFT JOIN webpush_pushinformation AS owned ON owned.subscription_id = info.id
LEFT JOIN auth_user ON auth_user.id = owned.user_id
ORDER BY info.id
"""


def read(path: Path) -> Iterator[Record]:
    """Yield the records of a Django SQLite database, a `dumpdata` file, a list of subscriptions, or a CSV file.

    Raise ImportRefused if it is none of these, or at the first record that is wrong.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE))
    except OSError as error:
        raise ImportRefused(f"Cannot read {path}: {error.strerror}.") from None
    if start == _SQLITE:
        yield from _django_database(path)
    elif start.lstrip()[:1] in (b"[", b"{"):
        yield from _json(path)
    else:
        yield from _csv(path)


def _django_database(path: Path) -> Iterator[Record]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            tables = _columns_by_table(database)
            if {"webpush_subscriptioninfo", "webpush_pushinformation", "auth_user"} <= tables.keys():
                for row in database.execute(_SUBSCRIPTIONS):
                    yield _subscription(dict(row), f"webpush_subscriptioninfo {row['id']}", row["email"] or "")
            for table in (name for name, columns in tables.items() if _is_of_messages(name, columns)):
                quoted = table.replace('"', '""')
                for number, row in enumerate(database.execute(f'SELECT * FROM "{quoted}"'), 1):  # noqa: S608 - quoted
                    yield message(dict(row), f"{table}, row {number}")
    except sqlite3.Error as error:
        raise ImportRefused(f"Cannot read {path} as a SQLite database: {error}.") from None


def _columns_by_table(database: sqlite3.Connection) -> dict[str, set[str]]:
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    columns = "SELECT name FROM pragma_table_info(?)"
    return {name: {column.lower() for (column,) in database.execute(columns, [name])} for name in names}


def _is_of_messages(table: str, columns: set[str]) -> bool:
    return "feedback" in table.lower() and not columns.isdisjoint(CONTENT)


def _json(path: Path) -> Iterator[Record]:
    if path.stat().st_size > _LARGEST_JSON:
        raise ImportRefused(f"{path} is larger than {_LARGEST_JSON // 1024**2} MB. Split it.")
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = _json_lines(text)
    items = data if isinstance(data, list) else data.get("subscriptions", [data])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ImportRefused("The file is not a list of subscriptions or of Django's objects.")
    if any("model" in item for item in items):
        yield from _dumped(items)
        return
    for number, item in enumerate(items, 1):
        owner = item.get("email", "")
        yield _subscription(item.get("subscription", item), f"item {number}", owner if isinstance(owner, str) else "")


def _json_lines(text: str) -> list[Any]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise ImportRefused("The file is neither JSON nor JSON in lines.") from None


def _dumped(items: list[dict[str, Any]]) -> Iterator[Record]:
    """Yield the records in the output of Django's `manage.py dumpdata`."""
    objects: dict[tuple[str, Any], dict[str, Any]] = {}
    owners: dict[Any, Any] = {}
    for item in items:
        name, fields = str(item.get("model", "")).lower(), item.get("fields")
        if not isinstance(fields, dict):
            raise ImportRefused(f"{name[:60]} {str(item.get('pk'))[:20]} has no fields.")
        objects[name, item.get("pk")] = fields
        if name == "webpush.pushinformation":
            owners[fields.get("subscription")] = fields.get("user")
    for (name, pk), fields in objects.items():
        if name == "webpush.subscriptioninfo":
            owner = objects.get(("auth.user", owners.get(pk)), {}).get("email", "")
            yield _subscription(fields, f"{name} {pk}", str(owner))
        elif "feedback" in name and not fields.keys().isdisjoint(CONTENT):
            yield message(fields, f"{name[:60]} {str(pk)[:20]}")


def _csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        heading_line = file.readline(_LONGEST_CELL)
        file.seek(0)
        reader = csv.DictReader(file, delimiter=max(",;\t", key=heading_line.count))
        try:
            heading = {str(name).strip().lower() for name in reader.fieldnames or ()}
            if heading.isdisjoint(CONTENT):
                raise ImportRefused(
                    f"{path} has no column with messages. Its first line must name one {', '.join(CONTENT)}."
                )
            for row in reader:
                yield message(row, f"line {reader.line_num}")
        except csv.Error as error:
            raise ImportRefused(f"line {reader.line_num}: {error}.") from None


def _subscription(fields: Any, place: str, owner: str) -> SubscriptionRecord:
    if not isinstance(fields, dict):
        raise ImportRefused(f"{place} is not a subscription.")
    keys = fields.get("keys") or {"p256dh": fields.get("p256dh"), "auth": fields.get("auth")}
    return SubscriptionRecord(place, {"endpoint": fields.get("endpoint"), "keys": keys}, owner)
