"""Carry out a request with an Idempotency-Key once, however often a program sends it after a lost answer.

draft-ietf-httpapi-idempotency-key-header. The row that remembers a request is written in the transaction that carries
it out, so the two are stored together or not at all. It holds the id of the result and no text: an answer is made anew.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import request
from flask_babel import gettext as _
from sqlalchemy import func, select

from feedback_push import maintenance, security
from feedback_push.api.models import IdempotentRequest
from feedback_push.database import db, delete_batch, insert
from feedback_push.problems import Fault, Problem

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
MOST = 100_000  # rows
_KEY = re.compile(r'"?([!#-\[\]-~]{8,100})"?')  # the draft has it in quotation marks; most programs leave them out
_BATCH = 1000
_PURPOSE = "idempotent requests"


@dataclass(frozen=True)
class Once:
    """A request that may have been carried out before; without a key, it never was."""

    key_hash: str
    fingerprint: str
    earlier: tuple[str, str] | None = None  # the two before SECRET_KEY was replaced

    def result(self) -> int | None:
        """Return the id of the row that the request has made; None if it was not carried out yet.

        Raise Problem if the key came with other arguments.
        """
        if not self.key_hash:
            return None
        known = dict([(self.key_hash, self.fingerprint), *filter(None, [self.earlier])])
        kept = select(IdempotentRequest).where(IdempotentRequest.key_hash.in_(known))
        row = db.session.scalar(kept.execution_options(populate_existing=True))
        if row is not None and row.fingerprint != known[row.key_hash]:
            detail = _("This key was used for another request.")
            raise Problem(422, detail, [Fault("header", HEADER, detail)])
        return None if row is None else row.result_id

    def keep(self, result_id: int) -> bool:
        """Remember the result in the caller's transaction; return False if the same request was first elsewhere."""
        if not self.key_hash:
            return True
        row = insert(IdempotentRequest).values(
            key_hash=self.key_hash, fingerprint=self.fingerprint, result_id=result_id
        )
        return db.session.scalar(row.on_conflict_do_nothing().returning(IdempotentRequest.id)) is not None


def of_request(caller: str, arguments: dict[str, Any]) -> Once:
    """Return what identifies this request of a caller; raise Problem if its key is malformed."""
    sent = request.headers.get(HEADER)
    if sent is None:
        return Once("", "")
    match = _KEY.fullmatch(sent.strip())
    if not match:
        detail = _("Send 8 to 100 characters of ASCII without spaces or quotation marks, such as a UUID.")
        raise Problem(400, detail, [Fault("header", HEADER, detail)])
    operation = f"{request.method} {request.path}"
    arguments_text = json.dumps(arguments, sort_keys=True, default=str)
    keys = security.keyed_hashes(_PURPOSE, f"{caller}\n{match[1]}")
    now, *earlier = zip(keys, security.keyed_hashes(_PURPOSE, f"{operation}\n{arguments_text}"), strict=True)
    return Once(*now, next(iter(earlier), None))


@maintenance.each_minute
def remove_old(now: datetime) -> bool:
    """Remove a batch of the rows that are a day old, or the oldest ones beyond MOST.

    Return whether there may be more.
    """
    newest = select(func.max(IdempotentRequest.id)).scalar_subquery()
    which = (IdempotentRequest.created_at < now - KEPT, IdempotentRequest.id <= newest - MOST)
    removed = [delete_batch(IdempotentRequest, each, most=_BATCH) for each in which]
    return max(removed) == _BATCH
