"""`make fuzz`: a fuzzer over every endpoint of a site of its own, for FUZZ_SECONDS; the exit code is 1 if it finds any.

A stranger and an administrator share the time. Short runs cover the endpoints that end a session or remove devices.
All of them can use valid ids, their own tokens, and proofs of work.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import altcha
import requests
from sqlalchemy import func, select

from feedback_push.auth import accounts, api_keys
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.models import Session
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.feedback import proof_of_work, undo
from feedback_push.feedback.bulk_actions import Before, BulkAction
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push import outbox, receipts
from feedback_push.push.models import Subscription
from feedback_push.topics import topics
from tests import servers
from tests.conftest import make_settings, migrate
from tests.doubles.push_service import PushService
from tests.feedback.messages import confirmation_token, in_spam, own_form, receive
from tests.fuzz import description
from tests.fuzz.description import Json
from tests.sessions import Staff, Visitor
from tests.site import Site

_TOOL = Path(os.environ.get("FUZZ_VENV", ".venv-fuzz")).absolute() / "bin" / "schemathesis"
_SECONDS = int(os.environ.get("FUZZ_SECONDS", "600"))
_ENDING = (
    "POST auth.logout",
    "POST admin.change_password",
    "POST admin.end_session",
    "POST admin.remove_device",
    "POST push.unsubscribe",
)
_ENDING_ROUNDS = 2  # each with a new session, which ends soon
_PHASES = {"coverage": 0.3, "fuzzing": 0.7}  # of the time; the first would take all of it: it tries values one by one
# Before Python 3.13 threads that read a source for the first time at once stumble over each other ("AST constructor
# recursion depth mismatch"), which ends a phase that describes each value by its source code.
_AT_ONCE = {"coverage": "1", "fuzzing": "2"}
_API_SHARE = 0.15  # of the time
# The answers must be what the description says, and what it forbids must be refused.
_API_CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"),
    *("response_headers_conformance", "negative_data_rejection", "unsupported_method"),
)
_MANY = 25  # messages, devices and proofs
_LONGEST_ANSWER = "20"  # seconds


class _Run(NamedTuple):
    """A role of the fuzzer, with its share of the time."""

    who: str
    visitor: Visitor
    share: float
    only: tuple[str, ...]
    stays: bool = False  # signed in until the end


def main() -> int:
    """Start a site and fuzz it."""
    if not _TOOL.exists():
        print(f"Nothing fuzzed: there is no {_TOOL}. `make fuzz` installs it.")
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.redis_server(Path(folder)) as redis_url,
        _database(Path(folder)) as database_url,
        PushService() as service,
    ):
        return _fuzz(make_settings(database_url, redis_url, Path(folder)), service)


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """Run a database of the kind in FUZZ_DATABASE, because the two refuse different values."""
    if os.environ.get("FUZZ_DATABASE", "sqlite") != "postgresql":
        yield f"sqlite:///{folder / 'site.sqlite'}"
        return
    folder.chmod(0o755)  # for the user that PostgreSQL runs as
    with servers.postgresql(folder) as url:
        yield f"{url}/postgres".replace("postgresql:", "postgresql+psycopg:")


def _fuzz(settings: Settings, service: PushService) -> int:
    migrate(settings.database_url, settings.instance_dir)
    with Site(replace(settings, form_defence=True)) as site:
        site.serve()
        site.work("--concurrency", "1")
        runs = _runs(site)
        known, examples = _fill(site, runs, service)
        problems = [problem for run in runs for problem in _play(site, run, known, examples)]
        problems += _play_program(site)
        problems += sorted(set(site.failures))
        print(f"\n{_stored(site)}; {len(service.requests)} pushes arrived.")
    print("\n".join(problems or ["No 5xx, and no traceback in the logs."]))
    return 1 if problems else 0


def _runs(site: Site) -> list[_Run]:
    # All of them now: the fuzzer's attempts to sign in delay later ones.
    return [
        _Run("a stranger", site.visitor(), 0.3, ()),
        _Run("an administrator", site.staff(), 0.4, _options("exclude"), stays=True),
        *(
            _Run(
                f"somebody who ends things ({number})",
                site.staff(f"other-{number}@example.org"),
                0.15 / _ENDING_ROUNDS,
                _options("include"),
            )
            for number in range(_ENDING_ROUNDS)
        ),
    ]


def _fill(site: Site, runs: list[_Run], service: PushService) -> tuple[dict[str, list[str]], dict[str, list[Json]]]:
    """Give everybody devices, and the site messages; good values and bodies for the description."""
    devices = [service.new_device(site.settings.vapid_public_key) for _ in range(_MANY)]
    staff = [run.visitor for run in runs if isinstance(run.visitor, Staff)]
    for number, device in enumerate(devices):
        staff[number % len(staff)].subscribe(device)
    with site.database():
        ids = _ids()
        known = {**ids, "undo": _undos(ids), "proof": [_proof() for _ in range(_MANY)]}
        key = receipts.signing_key(site.settings.secret_key)
        known["receipt"] = [receipts.token(number, key) for number in range(1, _MANY)]  # their deliveries are to come
    known |= {"endpoint": [device.endpoint for device in devices], "next": ["/admin/devices"], "move": list(BulkAction)}
    known |= dict.fromkeys(("id", "before", "after"), known["message"])
    followers = [service.new_device(site.settings.vapid_public_key) for _ in range(_MANY)]
    examples: dict[str, list[Json]] = {
        "POST push.subscribe": [device.as_json() for device in devices],
        "POST visitor.subscribe": [
            {"subscription": device.as_json(), "topics": known["topic"]} for device in followers
        ],
        "POST visitor.following": [{"endpoint": device.endpoint} for device in followers],
    }
    return known, examples


def _ids() -> dict[str, list[str]]:
    for number in range(_MANY):
        receive(content=f"Message {number}", submitter_name="Ada")
    tests = [outbox.enqueue_test(device) for device in db.session.scalars(select(Subscription))]
    db.session.commit()
    found = {"message": Message.id, "device": Subscription.id, "session": Session.id}
    ids = {name: [str(id_) for id_ in db.session.scalars(select(column))] for name, column in found.items()}
    form = own_form("fuzzed", categories=[{"en": "Bug"}], rating="stars")
    plain = [confirmation_token(form.key, in_spam(form_key=form.key).id) for _ in range(_MANY)]
    topic = topics.add(slug="tricks", name="Tricks")
    db.session.commit()
    of_rows = {"test": [str(test.id) for test in tests], "form": [form.key, "default"], "plain": plain}
    return {**ids, **of_rows, "topic": [topic.slug]}


def _undos(ids: dict[str, list[str]]) -> list[str]:
    """Return the ids that each session can undo."""
    messages = [int(id_) for id_ in ids["message"]]
    moved: list[Before] = [[(state.value, None, some)] for state in MessageState for some in (messages, messages[:1])]
    found = [str(undo.keep(before, int(session))) for session in ids["session"] for before in moved]
    db.session.commit()
    return found


def _proof() -> str:
    challenge = altcha.Challenge.from_dict(proof_of_work.challenge())
    solution = altcha.solve_challenge(challenge)
    assert solution
    return altcha.Payload(challenge, solution).to_base64()


def _options(kind: str) -> tuple[str, ...]:
    return tuple(part for name in _ENDING for part in (f"--{kind}-operation-id", name))


def _play(site: Site, run: _Run, known: dict[str, list[str]], examples: dict[str, list[Json]]) -> Iterator[str]:
    """Run the fuzzer in this role; return the problems."""
    print(f"\nAs {run.who}:", flush=True)
    token = run.visitor.read("/feedback/").fields["csrf_token"]
    file = site.settings.instance_dir / "site.json"
    reader = site.staff() if not isinstance(run.visitor, Staff) else run.visitor
    file.write_text(json.dumps(description.of_site(reader.read, {**known, "csrf_token": [token]}, examples)))
    headers = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in run.visitor.cookies.items()),
        "X-CSRFToken": token,
        "Referer": site.url,
    }
    command = [
        *(str(_TOOL), "run", str(file), "--url", site.url, *run.only, "--checks", "not_a_server_error"),
        *("--request-timeout", _LONGEST_ANSWER, "--continue-on-failure", "--suppress-health-check", "all"),
        *("--warnings", "off", "--no-color", "--output-sanitize", "false"),
        *(part for name, value in headers.items() for part in ("--header", f"{name}:{value}")),
    ]
    for phase, share in _PHASES.items():
        seconds = str(max(1, round(_SECONDS * run.share * share)))
        timed = [*command, "--phases", phase, "--max-time", seconds, "--workers", _AT_ONCE[phase]]
        if subprocess.run(timed, cwd=file.parent, check=False).returncode:
            yield f"see above: as {run.who}"
    if run.stays and run.visitor.get(site.dashboard).url != site.dashboard:
        yield f"the session of {run.who} has ended: not all of it was really asked"


def _play_program(site: Site) -> Iterator[str]:
    """Fuzz the API by its own description, as a program with a key; return the problems."""
    print("\nAs a program, by /api/v1/openapi.json:", flush=True)
    with site.database():
        user = accounts.find("staff@example.org")
        assert user
        key = api_keys.make(user, "Fuzzer", [*Scope])
        db.session.commit()
    file = site.settings.instance_dir / "api.json"
    described = requests.get(f"{site.url}/api/v1/openapi.json", timeout=20).json()
    file.write_text(json.dumps(_with_known_ids(described)))
    command = [
        *(str(_TOOL), "run", str(file), "--url", site.url, "--checks", ",".join(_API_CHECKS)),
        *("--request-timeout", _LONGEST_ANSWER, "--continue-on-failure", "--suppress-health-check", "all"),
        *("--warnings", "off", "--no-color", "--output-sanitize", "false"),
        *("--header", f"Authorization:Bearer {key}"),
    ]
    for phase, share in _PHASES.items():
        seconds = str(max(1, round(_SECONDS * _API_SHARE * share)))
        timed = [*command, "--phases", phase, "--max-time", seconds, "--workers", _AT_ONCE[phase]]
        if subprocess.run(timed, cwd=file.parent, check=False).returncode:
            yield "see above: as a program"


def _with_known_ids(described: Json) -> Json:
    """Offer ids that exist beside any others, so that half of the requests find something."""
    known: dict[str, list[Any]] = {"message_id": [1, 2, 3], "key": ["default"], "notification_id": ["a1", "t1"]}
    for operations in described["paths"].values():
        for parameter in operations.get("parameters", []):
            parameter["schema"] = {"anyOf": [{"enum": known[parameter["name"]]}, parameter["schema"]]}
    return described


def _stored(site: Site) -> str:
    with site.database():
        tables = db.metadata.sorted_tables
        counts = {table.name: db.session.scalar(select(func.count()).select_from(table)) for table in tables}
    return "Stored: " + ", ".join(f"{count} in {name}" for name, count in counts.items() if count)


if __name__ == "__main__":
    sys.exit(main())
