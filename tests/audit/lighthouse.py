"""Lighthouse: accessibility, best practices and performance of a page, each out of 100."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.audit.findings import Findings
from tests.site import Site
from tests.visual import fixtures
from tests.visual.conftest import FLAGS, executable

PAGES = {
    "the form": "/feedback/",
    "the topics": "/follow/",
    "the inbox": "/admin/",
    "a message": "/admin/messages/1",
    "devices": "/admin/devices",
}
AIMS = {"performance": 95, "accessibility": 100, "best-practices": 100}
_LONGEST = 180  # seconds for one page
_GOOD = 0.9  # of a single audit; below it, the problem is named
_TOOL = Path(__file__).parent / "node_modules" / ".bin" / "lighthouse"


def findings(site: Site, folder: Path) -> Findings:
    """Look at every page as an administrator sees it on a phone."""
    cookies = "; ".join(f"{name}={value}" for name, value in site.staff(fixtures.STAFF).cookies.items())
    scores = {page: _scores(site.url + address, cookies, folder) for page, address in PAGES.items()}
    lines = [f"{'Lighthouse':<14}" + "".join(f"{aim:>16}" for aim in AIMS)]
    lines += [f"{page:<14}" + "".join(f"{score[aim]:>16}" for aim in AIMS) for page, score in scores.items()]
    lines += [f"  {page}: {words}" for page, score in scores.items() for words in score["lacking"]]
    return Findings(lines, all(score[aim] >= least for score in scores.values() for aim, least in AIMS.items()))


def _scores(url: str, cookies: str, folder: Path) -> dict[str, Any]:
    report = folder / "lighthouse.json"
    options = [
        *("--quiet", "--output=json", f"--output-path={report}", f"--only-categories={','.join(AIMS)}"),
        *(f"--chrome-flags=--headless=new {' '.join(FLAGS)}", f"--extra-headers={json.dumps({'Cookie': cookies})}"),
    ]
    environment = {**os.environ, "CHROME_PATH": executable() or ""}
    command = [str(_TOOL), url, *options]
    for last in (False, False, True):  # it loses the beginning of a trace now and then, and asks to be run again
        if subprocess.run(command, check=last, env=environment, timeout=_LONGEST).returncode == 0:
            break
    told = json.loads(report.read_text())
    scores = {aim: round(100 * told["categories"][aim]["score"]) for aim in AIMS}
    return {**scores, "lacking": list(_lacking(told))}


def _lacking(told: dict[str, Any]) -> list[str]:
    weighed = [ref["id"] for aim in AIMS for ref in told["categories"][aim]["auditRefs"] if ref["weight"]]
    audits = [told["audits"][id_] for id_ in weighed]
    low = [audit for audit in audits if audit["score"] is not None and audit["score"] < _GOOD]
    return [f"{audit['title']} {audit.get('displayValue', '')}".strip() for audit in low]
