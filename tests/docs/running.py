"""How each command in the documentation is run: in the test's own process, or by the test that is named."""

from typing import NamedTuple


class Run(NamedTuple):
    """A text that the command prints, its input, and its exit code."""

    prints: str
    typed: str = ""
    exit_code: int = 0


_PASSWORD = "correct horse battery\n"
# In this order: each sees what those before it have done.
HERE = {
    "db upgrade": Run(""),
    "user create EMAIL": Run("can sign in now", _PASSWORD * 2),
    "user create you@example.org": Run("can sign in now", _PASSWORD * 2),
    "user list": Run("you@example.org"),
    "user role EMAIL member": Run("ada@example.org"),
    "user password EMAIL": Run("ada@example.org", _PASSWORD * 2),
    "user sign-in-link EMAIL": Run("/login/link#"),
    "user sign-in-link EMAIL --without-second-factor": Run("/login/link#"),
    "user sign-out EMAIL": Run("ada@example.org"),
    "audit list": Run("ada@example.org"),
    "vapid generate": Run("VAPID_PRIVATE_KEY="),
    "vapid rotate": Run("The new key is"),
    "vapid list": Run("current"),
    "vapid retire": Run("Retired 1 old key", "y\n"),
    "secret rotate": Run("SECRET_KEY_PREVIOUS"),
    "secret form KEY --new": Run(""),
    "secret form KEY --end-earlier": Run("Ended"),
    "demo": Run("Added 60 messages"),
    "demo --remove": Run("Removed"),
    "import db.sqlite3 --vapid-key private_key.pem --dry-run": Run("1 messages and 1 subscriptions"),
    "import db.sqlite3 --vapid-key private_key.pem": Run("Imported 1 messages and 1 devices"),
    "import FILE": Run("Imported 1 messages"),
    "import subscriptions.json --vapid-key private_key.pem --user you@example.org": Run("1 devices"),
    "import subscriptions.json --vapid-key private_key.pem --topic tricks": Run("1 were there already"),
    "push resend 42": Run("Workers send it"),
    "push prune": Run("0"),
    "push drill": Run("you@example.org: sent"),
    "doctor": Run("Waiting notifications", exit_code=1),
    "doctor --json": Run('"check": "workers"', exit_code=1),
    "person export EMAIL": Run('"ada@example.org"'),
    "person erase EMAIL": Run("1 messages erased", "y\n"),
    "backup FILE": Run("not encrypted"),
    "restore FILE": Run("Restored the backup"),
    "backup /var/backups/feedback.backup": Run("not encrypted"),
    "restore /var/backups/feedback.backup": Run("Restored the backup"),
    "backup /var/backups/feedback.backup --passphrase-stdin": Run(", encrypted", _PASSWORD),
    "restore /var/backups/feedback.backup --passphrase-stdin": Run("Restored the backup", _PASSWORD),
    "user delete EMAIL": Run("ada@example.org"),
}
# These serve until they are stopped, or wait for minutes: the test that runs each, and the words in its module.
_WHEEL = "tests/package/test_wheel.py"
_SERVER = "tests/web_server/test_connections.py"
_ITS_PARTS = f"{_WHEEL}::test_its_parts_run_by_themselves_and_nothing_in_their_folder_replaces_a_module"
ELSEWHERE = {
    "feedback-push run": (
        f"{_WHEEL}::test_in_an_empty_folder_one_command_runs_the_site_and_a_message_reaches_a_browser",
        'installed.command, "run"',
    ),
    "feedback-push web": (_ITS_PARTS, 'installed.command, "web"'),
    "feedback-push worker": (_ITS_PARTS, 'installed.command, "worker"'),
    "feedback-push web --fd 3": (
        "tests/web_server/test_listening.py::test_a_client_who_comes_before_the_server_is_answered_by_it",
        '"feedback_push", "web", "--fd"',
    ),
    "feedback-push push drill --wait": (
        "tests/alarms/test_drills.py::test_the_command_says_who_was_not_reached",
        '"push", "drill", "--wait"',
    ),
    "python -m feedback_push.web_server": (
        f"{_SERVER}::test_the_command_serves_until_it_is_told_to_stop_and_says_when_its_port_is_taken",
        '"-m", "feedback_push.web_server"',
    ),
    "celery -A celery_worker worker": (
        "tests/test_health.py::test_the_site_is_ready_as_soon_as_a_worker_answers",
        '"-A", "celery_worker", "worker"',
    ),
}
# The bare names of the programs, which the documentation explains.
NAMES = {"feedback-push", "flask --app wsgi", "python -m feedback_push"}
