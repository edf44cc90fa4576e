"""programs.py: the application that the web server and the worker share."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from feedback_push.standalone import programs
from tests import servers
from tests.conftest import make_settings
from tests.environment import environment_of


@pytest.mark.parametrize("site_url", ["http://127.0.0.1:8000", "https://example.org/feedback-app"])
def test_what_a_page_needs_is_loaded_before_the_fork_and_no_thread_runs(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_files: None, site_url: str
) -> None:
    settings = replace(make_settings(sqlite_url, "redis://127.0.0.1:1/0", tmp_path), site_url=site_url)
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    running = threading.active_count()
    app = programs.load()
    servers.wait_until(lambda: threading.active_count() == running, 60, "the end of all threads")
    assert app.jinja_env.cache is not None
    assert "feedback/form.html" in {str(name) for _loader, name in app.jinja_env.cache.keys()}  # noqa: SIM118 - no dict


def test_a_library_that_few_sites_use_is_not_loaded() -> None:
    asking = (
        "import sys; from feedback_push.standalone import __main__, programs; "
        "few = {'alembic', 'feedparser', 'psycopg', 'webauthn', 'xlsxwriter'}; "
        "print(few & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", asking], cwd=servers.CHECKOUT, capture_output=True, text=True, check=True
    )
    assert said.stdout == "set()\n"
