"""security.py: headers, cookies, and which hosts and proxies are believed."""

import re
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import create_environ, run_wsgi_app

from feedback_push import security, url_validators
from feedback_push.auth.models import User
from tests.conftest import PASSWORD, make_settings
from tests.servers import CHECKOUT
from tests.visits import Page, Visit, Visitor

HTTPS = "https://feedback.example.org"
PAGES = ["/feedback/", "/feedback/complete/", "/login", "/admin/", "/admin/devices", "/nowhere"]
ANSWERS = [*PAGES, "/push/key", "/healthz", "/theme.css"]
NONCE = re.compile(r"'nonce-([\w-]{16,})'")


@pytest.fixture
def site(visit: Visit) -> Visit:
    """A visitor of a site with these settings, whose /who returns the client's address."""

    def visitor_of(**changes: object) -> Visitor:
        visitor = visit(**changes)
        visitor.application.add_url_rule("/who", view_func=lambda: [request.remote_addr, request.scheme, request.host])
        return visitor

    return visitor_of


def policy(response_headers: dict[str, str]) -> dict[str, str]:
    directives = response_headers["Content-Security-Policy"].split("; ")
    return {name: value for name, _, value in (directive.partition(" ") for directive in directives)}


def test_each_site_of_a_process_has_its_own_settings(visit: Visit) -> None:
    plain = visit(site_url="http://feedback.example.org")
    secure = visit(site_url=HTTPS, trusted_proxies=1)
    secure.get("/logo", base_url="http://feedback.example.org")
    for _ in range(2):  # what one has answered changes nothing for the other
        assert plain.get("/login", base_url="http://feedback.example.org").status_code == 200
        moved = secure.get("/login", base_url="http://feedback.example.org")
        assert (moved.status_code, moved.location) == (302, f"{HTTPS}/login")
        assert plain.get("/logo", base_url="http://feedback.example.org").status_code == 200
    assert not plain.application.config["SESSION_COOKIE_SECURE"]
    assert secure.application.config["SESSION_COOKIE_SECURE"]


@pytest.mark.parametrize("address", ANSWERS)
def test_every_answer_restricts_what_the_browser_may_do(client: Visitor, address: str) -> None:
    headers = dict(client.get(address).headers)
    allowed = policy(headers)
    assert NONCE.fullmatch(allowed.pop("script-src").strip())
    assert allowed == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "worker-src": "'self'",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "feedback-push",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_what_the_site_does_not_use_is_kept_from_its_own_pages_too(client: Visitor) -> None:
    kept = dict(part.split("=") for part in client.get("/feedback/").headers["Permissions-Policy"].split(", "))
    assert set(kept.values()) == {"()"}
    assert kept.keys() >= {
        "camera",
        "microphone",
        "geolocation",
        "payment",
        "usb",
        "display-capture",
        "browsing-topics",
    }
    assert not kept.keys() & {"notifications", "push"}


def test_the_scripts_may_make_the_addresses_of_workers_and_nothing_else() -> None:
    made = {
        (name, kind)
        for path in (CHECKOUT / "static").rglob("*.js")
        for name, kinds in re.findall(r"createPolicy\(\s*\"([\w-]+)\",\s*\{([^}]*)\}", path.read_text())
        for kind in re.findall(r"\b(create\w+)", kinds)
    }
    assert made == {("feedback-push", "createScriptURL")}


def test_a_nonce_is_used_once_and_every_script_of_a_page_has_it(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    answers = [client.get(address) for address in ANSWERS * 2]
    nonces = {NONCE.findall(policy(dict(answer.headers))["script-src"])[0] for answer in answers}
    assert len(nonces) == len(answers)
    scripts = [(answer, script) for answer in answers for script in Page(answer).all("script")]
    assert scripts
    for answer, script in scripts:
        assert script.attributes["nonce"] in answer.headers["Content-Security-Policy"]


def test_every_script_element_of_every_template_has_the_nonce() -> None:
    elements = [
        (path.name, element)
        for path in (CHECKOUT / "templates").rglob("*.html")
        for element in re.findall(r"<script\b[^>]*>", path.read_text())
    ]
    assert elements
    assert [place for place in elements if 'nonce="{{ csp_nonce() }}"' not in place[1]] == []


def test_no_page_holds_an_inline_script_or_style(client: Visitor, staff: User) -> None:
    visited = [client.read(address) for address in PAGES]
    client.sign_in(staff.email, PASSWORD)
    for page in [*visited, *map(client.read, PAGES)]:
        assert all(script.attributes.get("src") for script in page.all("script"))
        assert not [element for element in page.elements if "style" in element.attributes or element.tag == "style"]
        assert not [name for element in page.elements for name in element.attributes if name.startswith("on")]


@pytest.mark.parametrize(("site_url", "sent"), [(HTTPS, True), ("http://feedback.example.org", False)])
def test_only_an_https_site_insists_on_https(site: Visit, site_url: str, sent: bool) -> None:
    answer = site(site_url=site_url).get("/feedback/", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers.get("Strict-Transport-Security") == ("max-age=31536000" if sent else None)


@pytest.mark.parametrize(
    ("site_url", "name", "flag"),
    [
        (HTTPS, "__Host-session", True),
        (f"{HTTPS}:8443", "__Host-session_8443", True),
        ("http://feedback.example.org:8000", "session", False),
        ("http://feedback.example.org", "session_80", False),
    ],
)
def test_the_session_cookie_keeps_to_the_site(site: Visit, site_url: str, name: str, flag: bool) -> None:
    visitor = site(site_url=site_url)
    cookie = visitor.cookie_line(visitor.get("/feedback/"), name).split("; ")
    assert not [part for part in cookie if part.startswith("Domain")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie)
    assert ("Secure" in cookie) is flag


@pytest.mark.parametrize(
    ("site_url", "hosts"),
    [
        (HTTPS, ["feedback.example.org", "feedback.example.org:443"]),
        ("https://Feedback.Example.org:8443", ["feedback.example.org:8443"]),
        ("https://bücher.example", ["xn--bcher-kva.example"]),
        ("http://127.0.0.1:8000", ["127.0.0.1:8000", "localhost:8000", "localhost", "[::1]:8000"]),
        ("http://[::1]:8000", ["[::1]:8000", "localhost:8000"]),
        ("http://[2001:db8::1]", ["[2001:db8::1]"]),
    ],
)
def test_the_site_answers_under_its_own_name(site: Visit, site_url: str, hosts: list[str]) -> None:
    visitor = site(site_url=url_validators.site_url(site_url))
    assert {host: visitor.get("/who", headers={"Host": host}).status_code for host in hosts} == dict.fromkeys(
        hosts, 200
    )


def test_a_site_answers_under_a_name_that_only_browsers_new_idna_knows(site: Visit) -> None:
    application = site(site_url=url_validators.site_url("https://straße.example.org"), trusted_proxies=1).application

    def answer(address: str, scheme: str = "https") -> tuple[str, str | None]:
        # Not through the test client, which spells addresses by the old one itself.
        named = {"HTTP_HOST": "xn--strae-oqa.example.org", "HTTP_X_FORWARDED_PROTO": scheme}
        _, status, headers = run_wsgi_app(application, create_environ(address) | named)
        return status[:3], headers.get("Location")

    assert answer("/feedback/") == ("200", None)
    assert answer("/admin/?ü=1") == ("302", "/login?next=/admin/?%C3%BC%3D1")
    there = "https://xn--strae-oqa.example.org/feedback/?q=a%20b"
    assert answer("/feedback/?q=a%20b", "http") == ("302", there)


def test_pythons_own_idna_is_used_nowhere() -> None:
    sources = [*(CHECKOUT / "feedback_push").rglob("*.py"), *CHECKOUT.glob("*.py")]
    old = re.compile(r"""code\(\s*["']idna|encodings\.idna""")
    assert [path.name for path in sources if old.search(path.read_text())] == []


@pytest.mark.parametrize(
    "host",
    ["evil.example", "feedback.example.org.evil.example", "evil.feedback.example.org", "127.0.0.1", "localhost", "",
     "a b", "feedback.example.org@evil.example", "feedback.example.org:port"],
)  # fmt: skip
@pytest.mark.parametrize("proxies", [0, 1])
def test_a_request_for_another_host_is_refused(site: Visit, host: str, proxies: int) -> None:
    visitor = site(site_url=HTTPS, trusted_proxies=proxies)
    addresses = ["/feedback/", "/admin/", "/nowhere", "/push/key", "/healthz"]
    codes = {address: visitor.get(address, headers={"Host": host}).status_code for address in addresses}
    assert codes == dict.fromkeys(addresses, 400)


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [
        (0, ["192.0.2.1", "http", "feedback.example.org"]),
        (1, ["203.0.113.3", "https", "feedback.example.org"]),
        (2, ["203.0.113.2", "https", "feedback.example.org"]),
    ],
)
def test_only_as_many_proxies_are_believed_as_there_are(site: Visit, proxies: int, seen: list[str]) -> None:
    answer = site(site_url="http://feedback.example.org", trusted_proxies=proxies).get(
        "/who",
        environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
        headers={
            "X-Forwarded-For": "203.0.113.1, 203.0.113.2, 203.0.113.3",
            "X-Forwarded-Proto": "https, https",
            "X-Forwarded-Host": "feedback.example.org, feedback.example.org",
        },
    )
    assert answer.json == seen


def test_a_forwarded_host_is_checked_like_any_other(site: Visit) -> None:
    visitor = site(site_url="http://feedback.example.org", trusted_proxies=1)
    assert visitor.get("/who", headers={"X-Forwarded-Host": "evil.example"}).status_code == 400


def test_behind_a_proxy_an_https_site_redirects_plain_http(site: Visit) -> None:
    visitor = site(site_url=HTTPS, trusted_proxies=1)
    plain = {"base_url": "http://feedback.example.org"}
    answer = visitor.get("/feedback/?a=b", headers={"X-Forwarded-Proto": "http"}, **plain)
    assert (answer.status_code, answer.location) == (302, f"{HTTPS}/feedback/?a=b")
    assert visitor.get("/feedback/", headers={"X-Forwarded-Proto": "https"}, **plain).status_code == 200
    assert visitor.get("/healthz", **plain).status_code == 200


def test_without_a_proxy_nobody_is_redirected(site: Visit) -> None:
    assert site(site_url=HTTPS).get("/feedback/", base_url="http://feedback.example.org").status_code == 200


BARE = Flask("bare")


def path_within_site(target: str | None, site_url: str = "https://here.example") -> str | None:
    """Return what a site at this address makes of a redirect target."""
    BARE.extensions["settings"] = replace(make_settings("", "", CHECKOUT), site_url=site_url)
    with BARE.app_context():
        return security.path_within_site(target)


@pytest.mark.parametrize(
    "path", ["/", "/admin/", "/admin/messages/7?x=1&y=%2F", "/ümlaut", "/a//b", "/%5Cevil.example"]
)
def test_a_path_of_this_site_may_be_returned_to(path: str) -> None:
    assert path_within_site(path) == path


@pytest.mark.parametrize(
    "target",
    ["", "admin/", "evil.example", "@evil.example", "?next=//evil.example", "#//evil.example",
     "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example", "\\\\evil.example", "/admin/\\..\\evil",
     "https://evil.example", "http:evil.example", "javascript:alert(1)", "data:text/html,x",
     "/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example", " //evil.example",
     "/ /evil.example", "/\x00/evil.example", "/a\r\nSet-Cookie: a=b"],
)  # fmt: skip
def test_no_redirect_leaves_the_site(target: str) -> None:
    assert path_within_site(target) is None


@hypothesis_settings(max_examples=2000)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["/", "\\", "//", ".", "..", "@", ":", "?", "#", "%2f", "%5c", "\t", "\n", "\r", "\x00", " ", ";",
                 "[", "]", "evil.example", "here.example", "https:", "http:", "javascript:", "data:",
                 "\uff0f", "\u2028", "\x85", "\x7f"]
            ),
            st.text(st.characters(codec="utf-8"), max_size=3),
        ),
        max_size=8,
    ).map("".join)
)  # fmt: skip
def test_no_text_leads_to_another_host_as_a_browser_reads_it(target: str) -> None:
    path = path_within_site(target)
    if path is None:
        return
    # Before it resolves an address, a browser drops tabs and line ends, and reads \\ as /.
    read = re.sub(r"[\t\r\n]", "", path.strip("".join(map(chr, range(33))))).replace("\\", "/")
    reached = urlsplit(urljoin("https://here.example/login", read))
    assert (reached.scheme, reached.netloc) == ("https", "here.example")
    assert path == target


def test_no_target_is_no_target() -> None:
    assert path_within_site(None) is None


def test_a_redirect_stays_under_the_path_of_the_site() -> None:
    site_url = "https://here.example/feedback-app"
    within = [
        "/feedback-app",
        "/feedback-app/",
        "/feedback-app/admin/?a=/../b#/../c",
        "/feedback-app/a/...",
        "/feedback-app?x",
    ]
    outside = ["/", "/shop/", "/feedback-appendix", "/feedback-app.evil", "/Feedback-app/", "/feedback-app/../shop/",
               "/feedback-app/a/../../shop", "/feedback-app/%2e%2E/shop", "/feedback-app/.%2e/shop", "/feedback-app/..",
               "/feedback-app/..?x"]  # fmt: skip
    assert [path_within_site(target, site_url) for target in within] == within
    assert [target for target in outside if path_within_site(target, site_url)] == []


def test_private_pages_are_kept_in_no_cache(client: Visitor, staff: User) -> None:
    private = ["/login", "/push/key", "/admin/", "/admin/devices", "/admin/messages/1"]
    answers = [client.get(address) for address in private]
    answers += [client.sign_in(staff.email, PASSWORD)]
    answers += [client.get(address) for address in private]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}


def test_a_form_with_its_token_stays_in_the_browser_it_was_made_for(client: Visitor) -> None:
    answers = [client.get("/feedback/"), client.send("/feedback/", content=""), client.get("/feedback/complete/")]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"private, no-cache"}


def test_a_cache_does_not_answer_for_the_site_how_it_is(client: Visitor) -> None:
    assert {client.get(address).headers["Cache-Control"] for address in ("/healthz", "/readyz")} == {"no-store"}


def test_no_header_moves_the_site_to_another_path(site: Visit) -> None:
    claimed = dict.fromkeys(("Script-Name", "X-Script-Name", "X-Forwarded-Prefix", "X-Forwarded-Path"), "/evil")
    for proxies in (0, 1):
        visitor = site(site_url="http://feedback.example.org", trusted_proxies=proxies)
        answer = visitor.get("/", headers=claimed)
        assert (answer.status_code, answer.location) == (302, "/feedback/")
        assert "evil" not in visitor.get("/feedback/", headers=claimed).text
