"""Expensive requests in large numbers: each kind has a share of the threads."""

import time
from collections.abc import Callable

from feedback_push.database import db
from feedback_push.feedback.models import Message
from tests.conftest import PASSWORD
from tests.drills import attacks
from tests.drills.harness import attacking, drill, report
from tests.site import Site

EMAIL = "staff@example.org"


def test_many_sign_ins_at_once(start_site: Callable[..., Site]) -> None:
    site = start_site(ratelimit_enabled=False)
    owner = site.staff(EMAIL)
    cookies = owner._http.cookies  # noqa: SLF001
    session = [cookie for cookie in cookies if "known_browser" not in cookie.name]
    for cookie in session:  # which has ended in this browser that has signed in before
        cookies.clear(cookie.domain, cookie.path, cookie.name)
    assert "/login" in owner.get("/admin/").url
    drill("16 sign-ins at once", site, attacks.sign_ins, 16)
    with attacking(site, attacks.sign_ins, 16):
        began = time.monotonic()
        tries = 1
        while not owner.sign_in(EMAIL, PASSWORD).url.endswith("/admin/"):
            tries += 1
            assert tries <= 3
    report("16 sign-ins at once", f"the owner gets in at try {tries}, after {time.monotonic() - began:.1f} s")


def test_many_who_ask_for_readiness_and_challenges(site: Site) -> None:
    drill("16 clients that ask for readiness", site, attacks.askers, 16, "/readyz")
    drill("16 clients that ask for challenges", site, attacks.askers, 16, "/feedback/challenge")


def test_exports_that_are_not_read(site: Site) -> None:
    owner = site.staff(EMAIL)
    with site.database():
        for _ in range(250):
            db.session.add(Message(content="x" * 200_000, submitter_name="Ada", submitter_email=""))
        db.session.commit()
    sent = "; ".join(f"{name}={value}" for name, value in owner.cookies.items())
    download = (attacks.slow_downloads, 8, "/admin/messages.csv", sent)
    drill("8 exports that are not read", site, *download)
    with attacking(site, *download):
        assert owner.get("/admin/messages.csv").status_code == 503
