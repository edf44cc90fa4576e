"""`make audit`: other people's tools on a site of its own. Needs Node and Chromium; says so where they are missing."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import servers
from tests.audit import lighthouse, observatory, phone
from tests.conftest import make_settings, migrate
from tests.site import Site
from tests.visual import fixtures
from tests.visual.conftest import executable

FOLDER = Path(__file__).parent


def main() -> int:
    """Run all of it on a site of its own; the exit code is 1 where something is below its aim."""
    missing = [name for name, found in (("node", shutil.which("npm")), ("chromium", executable())) if not found]
    if missing:
        print(f"Nothing audited: {' and '.join(missing)} not installed.")
        return 0
    subprocess.run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=FOLDER, check=True)
    with tempfile.TemporaryDirectory() as folder, servers.redis_server(Path(folder)) as redis_url:
        return _audit(Path(folder), redis_url)


def _audit(folder: Path, redis_url: str) -> int:
    settings = make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
    migrate(settings.database_url, folder)
    with Site(settings) as site:
        fixtures.fill(site)
        site.serve()
        findings = [tool.findings(site, folder) for tool in (phone, lighthouse, observatory)]
    print("\n\n".join("\n".join(found.lines) for found in findings))
    return 0 if all(found.good for found in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
