"""`make fuzz`: a fuzzer over every endpoint of a site of its own, for FUZZ_SECONDS; the exit code is 1 if it finds any.

A stranger and an administrator share the time. Another one, with little of it, does what ends the own session.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select

from feedback_push.database import db
from tests import servers
from tests.conftest import make_settings, migrate
from tests.doubles.push_service import PushService
from tests.feedback.messages import receive
from tests.fuzz import description
from tests.sessions import Visitor
from tests.site import Site

_TOOL = Path(os.environ.get("FUZZ_VENV", ".venv-fuzz")).absolute() / "bin" / "schemathesis"
_SECONDS = int(os.environ.get("FUZZ_SECONDS", "600"))
_ENDING = ("POST auth.logout", "POST admin.change_password", "POST admin.end_session")
_MANY = 25  # messages and devices, so that some are left when the fuzzer has removed others
_LONGEST_ANSWER = "20"  # seconds


class _Run(NamedTuple):
    """Somebody who is played, for a share of the time."""

    who: str
    visitor: Visitor
    share: float
    only: tuple[str, ...]
    stays: bool = False  # signed in until the end


def main() -> int:
    """Fuzz a site of its own."""
    if not _TOOL.exists():
        print(f"Nothing fuzzed: there is no {_TOOL}. `make fuzz` installs it.")
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.redis_server(Path(folder)) as redis_url,
        PushService() as service,
    ):
        return _fuzz(Path(folder), redis_url, service)


def _fuzz(folder: Path, redis_url: str, service: PushService) -> int:
    settings = make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
    migrate(settings.database_url, folder)
    with Site(replace(settings, form_defence=True)) as site:
        site.serve()
        site.work("--concurrency", "1")
        file = folder / "site.json"
        file.write_text(json.dumps(_describe(site, service)))
        problems = [problem for run in _runs(site) for problem in _play(site, file, run)]
        problems += [f"in a traceback: {line.strip()}" for line in sorted(set(site.failures))]
        print(f"\n{_stored(site)}; {len(service.requests)} pushes arrived.")
    print("\n".join(problems or ["No 5xx, and no traceback of ours in the logs."]))
    return 1 if problems else 0


def _describe(site: Site, service: PushService) -> description.Json:
    with site.database():
        for number in range(_MANY):
            receive(content=f"Message {number}", submitter_name="Ada")
    staff = site.staff()
    devices = [service.new_device(site.settings.vapid_public_key) for _ in range(_MANY)]
    staff.subscribe(*devices)
    examples = {
        "POST push.subscribe": devices[0].as_json(),
        "POST push.unsubscribe": {"endpoint": devices[1].endpoint},
    }
    return description.of_site(staff.read, {}, examples)


def _runs(site: Site) -> list[_Run]:
    # All of them now: the fuzzer's attempts to sign in delay later ones.
    return [
        _Run("a stranger", site.visitor(), 0.4, ()),
        _Run("an administrator", site.staff(), 0.5, _options("exclude"), stays=True),
        _Run("somebody who ends sessions", site.staff("other@example.org"), 0.1, _options("include")),
    ]


def _options(kind: str) -> tuple[str, ...]:
    return tuple(part for name in _ENDING for part in (f"--{kind}-operation-id", name))


def _play(site: Site, file: Path, run: _Run) -> Iterator[str]:
    """Let the fuzzer be this person; what is wrong."""
    print(f"\nAs {run.who}:", flush=True)
    token = run.visitor.read("/feedback/").fields["csrf_token"]
    headers = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in run.visitor.cookies.items()),
        "X-CSRFToken": token,
        "Referer": site.url,
    }
    command = [
        *(str(_TOOL), "run", str(file), "--url", site.url, *run.only, "--checks", "not_a_server_error"),
        *("--max-time", str(max(1, round(_SECONDS * run.share))), "--request-timeout", _LONGEST_ANSWER),
        *("--phases", "coverage,fuzzing", "--continue-on-failure", "--suppress-health-check", "all"),
        *("--warnings", "off", "--workers", "2", "--no-color", "--output-sanitize", "false"),
        *(part for name, value in headers.items() for part in ("--header", f"{name}:{value}")),
    ]
    if subprocess.run(command, cwd=file.parent, check=False).returncode:
        yield f"see above: as {run.who}"
    if run.stays and run.visitor.get(site.dashboard).url != site.dashboard:
        yield f"the session of {run.who} has ended: not all of it was really asked"


def _stored(site: Site) -> str:
    with site.database():
        tables = db.metadata.sorted_tables
        counts = {table.name: db.session.scalar(select(func.count()).select_from(table)) for table in tables}
    return "Stored: " + ", ".join(f"{count} in {name}" for name, count in counts.items() if count)


if __name__ == "__main__":
    sys.exit(main())
