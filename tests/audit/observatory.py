"""Mozilla's HTTP Observatory: grade the headers and cookies of the site behind an https proxy."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.audit.findings import Findings
from tests.audit.https_proxy import HttpsProxy
from tests.doubles.certificates import LoopbackAuthority
from tests.site import Site

PAGES = {"the form": "/feedback/", "the sign-in": "/login"}
AIM = "A+"
_LONGEST = 60  # seconds for one page
_TOOL = Path(__file__).with_suffix(".mjs")


def findings(site: Site, folder: Path) -> Findings:
    """Restart the site with settings for a proxy, and grade its public pages."""
    authority = LoopbackAuthority(folder)
    with HttpsProxy(site.url, authority.server_context()) as proxy:
        site.web.terminate()
        site.serve(SITE_URL=proxy.url, TRUSTED_PROXIES="1")
        told = {page: _told(proxy, address, authority.ca_file) for page, address in PAGES.items()}
    lines = [f"{'Observatory':<14}{'grade':>16}{'score':>16}{'passed':>16}"]
    lines += [f"{page:<14}{it['grade']:>16}{it['score']:>16}{_passed(it):>16}" for page, it in told.items()]
    lines += [f"  {page}: {test['words']} ({test['points']})" for page, it in told.items() for test in _lacking(it)]
    return Findings(lines, all(it["grade"] == AIM and it["status"] == 200 for it in told.values()))


def _told(proxy: HttpsProxy, address: str, ca_file: Path) -> dict[str, Any]:
    command = ["node", str(_TOOL), str(proxy.plain_port), str(proxy.tls_port), address]
    # The scanner verifies certificates: without a good one it counts neither HSTS nor the way to https.
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(ca_file)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=_LONGEST)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _passed(told: dict[str, Any]) -> str:
    return f"{sum(test['passed'] for test in told['told'])} of {len(told['told'])}"


def _lacking(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [test for test in told["told"] if test["points"] < 0 or not test["passed"]]
