"""url_validators.py and redis_urls.py: every library reads an address that is taken in the same way."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from environs import ValidationError
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from kombu.transport.redis import Channel
from redis import ConnectionPool
from sqlalchemy import make_url

from feedback_push import redis_urls
from feedback_push import url_validators as rules
from tests.doubles.certificates import LoopbackAuthority
from tests.refusals import is_refused

# Each holds the mark, of which no refusal may show a part.
MARK = "w0rd"
RAW = ["p@ssw0rd", "w0rd@", "a#w0rd", "a/w0rd", "w0rd/1", "w0rd?b", "w0:rd", "w0rd%", "%zzw0rd", "w0rd 1", "[w0rd]",
       "w0rd\\", "w0rd\u2100", "пw0rd", "\"w0rd\"", "<w0rd>", "w0rd\n", "@@w0rd@@", "://w0rd"]  # fmt: skip
SENTINELS = ["sentinel://host:26379", "redis+sentinel://:w0rd@host/main/0", "rediss+sentinel://host"]


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("https://feedback.example.org", "https://feedback.example.org"),
        ("https://feedback.example.org/", "https://feedback.example.org"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("HTTPS://Feedback.Example.ORG", "https://feedback.example.org"),
        ("https://feedback.example.org.:8443/", "https://feedback.example.org:8443"),
        ("https://feedback.example.org:443", "https://feedback.example.org"),
        ("http://feedback.example.org:0080", "http://feedback.example.org"),
        ("http://feedback.example.org:443", "http://feedback.example.org:443"),
        ("https://straße.example.org", "https://xn--strae-oqa.example.org"),
        ("https://STRASSE.Bücher.example", "https://strasse.xn--bcher-kva.example"),
        ("https://ＦＥＥＤＢＡＣＫ。example", "https://feedback.example"),  # noqa: RUF001
        ("https://xn--Strae-oqa.example.org", "https://xn--strae-oqa.example.org"),
        ("http://my_host:8000", "http://my_host:8000"),
        ("http://[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000"),
        ("https://example.org/feedback-app", "https://example.org/feedback-app"),
        ("HTTPS://Example.ORG:443/Shop/feedback_2.~/", "https://example.org/Shop/feedback_2.~"),
        (f"https://example.org/{'a' * 99}", f"https://example.org/{'a' * 99}"),
    ],
)
def test_a_site_address_is_spelled_as_browsers_do(value: str, usable: str) -> None:
    assert rules.site_url(value) == usable


@pytest.mark.parametrize(
    "value",
    [
        "",
        "feedback.example.org",
        "ftp://feedback.example.org",
        "javascript:alert(1)",
        "https://",
        "https:///admin/",
        "https://feedback.example.org//",
        "https://feedback.example.org//below",
        "https://feedback.example.org/below//",
        "https://feedback.example.org/a//b",
        "https://feedback.example.org/../below",
        "https://feedback.example.org/below/..",
        "https://feedback.example.org/below/./",
        "https://feedback.example.org/be%6Cow",
        "https://feedback.example.org/%2e%2e/below",
        "https://feedback.example.org/be low",
        "https://feedback.example.org/below ",
        "https://feedback.example.org/bel\u00f6w",
        "https://feedback.example.org/be\\low",
        "https://feedback.example.org/below;x=1",
        "https://feedback.example.org/below?page=1",
        "https://feedback.example.org/below#top",
        f"https://feedback.example.org/{'a' * 100}",
        f"https://feedback.example.org/{'a/' * 100_000}",
        "https://feedback.example.org/?page=1",
        "https://feedback.example.org/#top",
        "https://ada@feedback.example.org",
        "https://ada:secret@feedback.example.org",
        "https://feedback.example.org:0",
        "https://feedback.example.org:99999",
        "https://feedback.example.org:port",
        "https://[::1",
    ],
)
def test_a_site_address_is_http_or_https_with_a_host_and_a_plain_path(value: str) -> None:
    is_refused(rules.site_url, value)


@pytest.mark.parametrize(
    "value",
    [
        "https://:secret@feedback.example.org",
        "https://@feedback.example.org",
        "https://feedback.example.org?",
        "https://feedback.example.org/#",
        "https://feedback.example.org\n",
        "https://feedback example.org",
        "https://feedback%2eexample.org",
        "https://feedback..example.org",
        "https://☃.example",
        "https://-ü.example",
        f"https://{'ü' * 70}.example",
        f"https://{'a.' * 200}example",
        f"https://{'a' * 64}.example",
        "http://127.1",
        "http://2130706433",
        "http://0x7f.0.0.1",
        "http://[::g]",
    ],
)
def test_a_site_address_holds_nothing_that_would_break_the_links_made_from_it(value: str) -> None:
    is_refused(rules.site_url, value)


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("postgres://ada:secret@host/name", "postgresql+psycopg://ada:secret@host/name"),
        ("postgresql://ada:secret@host/name", "postgresql+psycopg://ada:secret@host/name"),
        ("postgresql+psycopg://ada:secret@host/name", "postgresql+psycopg://ada:secret@host/name"),
        ("postgresql://host/name?options=a://b", "postgresql+psycopg://host/name?options=a://b"),
        ("postgresql:///name?host=/run/postgresql", "postgresql+psycopg:///name?host=/run/postgresql"),
        ("postgresql://[::1]:5433/name", "postgresql+psycopg://[::1]:5433/name"),
        ("sqlite:////var/lib/feedback.sqlite?timeout=5", "sqlite:////var/lib/feedback.sqlite?timeout=5"),
        ("sqlite:////var/lib/feedback.sqlite", "sqlite:////var/lib/feedback.sqlite"),
    ],
)
def test_every_spelling_of_postgresql_reaches_the_same_driver(value: str, usable: str) -> None:
    assert rules.database_url(value) == usable


@pytest.mark.parametrize(
    "value",
    ["", "mysql://ada:secret@host/name", "postgresql", "postgresql+asyncpg://host/name", "/a/file",
     "sqlite", "postgresql://host:port/name", "postgresql://host:0/name", "postgresql://host:70000/name",
     "postgresql://one,two/name", "postgresql://[::g]/name", "postgresql://host/name#x"],
)  # fmt: skip
def test_no_other_database_is_taken(value: str) -> None:
    is_refused(rules.database_url, value)


@pytest.mark.parametrize("value", ["", "redis://localhost", "redis://:secret@host:6379/1", "rediss://host:6380/0",
    "redis://ada:secret@[::1]:6379/", "unix:///run/redis.sock", "unix://:secret@/run/redis.sock?db=3",
    "rediss://host?ssl_cert_reqs=required", "rediss://host?ssl_cert_reqs=CERT_REQUIRED"])  # fmt: skip
def test_a_redis_address_may_be_empty_or_encrypted(value: str) -> None:
    assert rules.redis_url(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "localhost:6379",
        "amqp://host",
        "redis:/host",
        "http://host",
        "redis+socket:///x",
        "redis://host:port/0",
        "redis://host:0",
        "redis://one,two",
        "redis://host/0#x",
    ],
)
def test_a_redis_address_is_of_a_redis_server(value: str) -> None:
    is_refused(rules.redis_url, value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("sqlite://", "memory"),
        ("sqlite:///", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("sqlite:///file::memory:?uri=true", "memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "memory"),
        ("sqlite:///x.sqlite", "four slashes"),
        ("sqlite://x.sqlite", "four slashes"),
        ("sqlite:////x.sqlite?mode=ro&uri=true", "no options"),
    ],
)
def test_a_sqlite_database_is_a_file_by_its_whole_path(value: str, words: str) -> None:
    assert words in is_refused(rules.database_url, value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("redis://host/foo", "must be a number"),
        ("redis://host/0/1", "must be a number"),
        ("redis://w0rd@host", "write a colon before the password"),
        ("redis://:a;w0rd@host", "; is %3B"),
        ("redis://host?db=1", "can have no options"),
        ("redis://host?ssl_ca_certs=/ca.pem", "can have no options"),
        ("rediss://host?ssl_cert_reqs=none", "always verified"),
        ("rediss://host?ssl_cert_reqs=CERT_OPTIONAL", "always verified"),
        ("rediss://host?ssl_check_hostname=false", "can have only the options"),
        ("rediss://host?ssl_ca_certs=/none.pem", "cannot read the certificates"),
        ("rediss://host?ssl_keyfile=/none.pem", "cannot read the certificates"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix://", "absolute path"),
        ("unix:///run/redis.sock?db=x", "number"),
        ("unix:///run/redis.sock?virtual_host=1", "number"),
        *[(value, "Sentinel is not supported") for value in SENTINELS],
    ],
)
def test_what_one_of_the_clients_would_not_heed_is_refused_by_its_name(value: str, words: str) -> None:
    refusal = is_refused(rules.redis_url, value)
    assert words in refusal
    assert MARK not in refusal


@pytest.mark.parametrize("raw", RAW)
def test_special_characters_in_a_password_must_be_percent_encoded(raw: str) -> None:
    for rule, address in [
        (rules.database_url, "postgresql://ada:{}@127.0.0.1/x"),
        (rules.redis_url, "redis://:{}@127.0.0.1:6379/0"),
        (rules.redis_url, "rediss://ada:{}@127.0.0.1"),
        (rules.redis_url, "unix://:{}@/run/redis.sock"),
        (rules.push_proxy, "http://ada:{}@127.0.0.1:3128"),
    ]:
        words = is_refused(rule, address.format(raw))
        assert "ercent-encode" in words
        assert "rd" not in words.replace("password", "").replace("words", "")
        assert rule(address.format(quote(raw, safe="")))


def test_a_password_in_the_options_would_be_shown_with_them() -> None:
    for name in ("password", "PassWord", "sslpassword", "oauth_client_secret"):
        assert "before the host" in is_refused(rules.database_url, f"postgresql://host/name?{name}=w0rd")


def test_a_proxy_for_pushes_speaks_http_at_a_port_that_is_named() -> None:
    for value in ("", "http://proxy:3128", "http://ada:l0velace@[::1]:3128"):
        assert rules.push_proxy(value) == value
        assert rules.push_proxy(f"{value}/" if value else "") == value
    for value in ("proxy:3128", "http://proxy", "https://proxy:3128", "socks5://proxy:1080", "http://:3128", "http://",
                  "http://proxy:0", "http://proxy:3128/x", "http://proxy:3128?x=y", "http://proxy:3128#x"):  # fmt: skip
        assert "http://proxy.example.org:3128" in is_refused(rules.push_proxy, value)


def test_the_home_of_a_site_is_a_web_address() -> None:
    for value in ("", "https://example.org/", "http://intranet:8080/a?b=c", "https://[2001:db8::1]/"):
        assert rules.site_home(value) == value
    for value in ("example.org", "javascript:alert(1)", "https://", "https:///x", "http://a b", "https://é.example",
                  "https://example.org/" + "x" * 500):  # fmt: skip
        assert "https://example.org/" in is_refused(rules.site_home, value)


def test_a_contact_for_reports_is_an_address_that_a_program_can_open() -> None:
    usable = ("mailto:security@example.org", "https://example.org/report?to=us", "tel:+49-30-1234")
    assert rules.security_contact(" , ".join(usable)) == usable
    assert rules.security_contact(" ") == ()
    for value in ("security@example.org", "http://example.org", "mailto:ada", "https://", "mailto:a@b\u2028c", "tel:x"):
        is_refused(rules.security_contact, f"mailto:security@example.org {value}")
        is_refused(rules.security_policy, value)
    assert rules.security_policy("https://example.org/a,b") == "https://example.org/a,b"


_CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from("@:/?#%&=+[] ")


@given(user=st.text(_CHARACTERS, min_size=1, max_size=12), password=st.text(_CHARACTERS, min_size=1, max_size=12))
def test_every_library_reads_an_accepted_address_alike(user: str, password: str) -> None:
    for spelled in ((user, password), (quote(user, safe=""), quote(password, safe=""))):
        credentials = ":".join(spelled)
        meant = (user, password, "host", 7) if spelled[0] != user or spelled[1] != password else None
        for rule, value in [
            (rules.database_url, f"postgresql://{credentials}@host:7/2"),
            (rules.redis_url, f"redis://{credentials}@host:7/2"),
        ]:
            try:
                taken = rule(value)
            except ValidationError:
                assert meant is None, "a percent-encoded address was refused"
                continue
            read = _as_read(taken)
            assert len(set(read)) == 1
            assert meant is None or read[0] == meant


def _as_read(address: str) -> list[tuple[object, ...]]:
    """Return user, password, host and port as each library that is given this address reads them."""
    if address.startswith("postgresql"):
        url = make_url(address)
        return [(url.username, url.password, url.host, url.port)]
    client, celery = _read_by_redis(redis_urls.for_client(address)), Connection(redis_urls.for_celery(address))
    limits = _read_by_redis(redis_urls.for_limits(address))
    return [
        *((read.get("username"), read.get("password"), read["host"], read["port"]) for read in (client, limits)),
        (celery.userid, celery.password, celery.hostname, celery.port),
    ]


def test_a_socket_has_three_spellings() -> None:
    address = "unix://ada:p%40ss@/run/my%20redis.sock?db=3"
    meant = {"username": "ada", "password": "p@ss", "path": "/run/my redis.sock", "db": 3}
    assert _read_by_redis(redis_urls.for_client(address)).items() >= meant.items()
    assert redis_urls.for_limits(address) == f"redis+{address}"
    with Connection(redis_urls.for_celery(address)) as connection:
        found = _parameters(connection)
    assert found.items() >= meant.items()
    assert "p@ss" not in connection.as_uri()


def test_certificates_are_verified_by_every_client_against_the_named_authority_too(tmp_path: Path) -> None:
    ca_file = LoopbackAuthority(tmp_path).ca_file
    address = rules.redis_url(f"rediss://host:7/2?ssl_cert_reqs=required&ssl_ca_certs={ca_file}")
    for spelled in (redis_urls.for_client(address), redis_urls.for_limits(address)):
        read = _read_by_redis(spelled)
        assert read["ssl_ca_certs"] == str(ca_file)
        assert "ssl_cert_reqs" not in read  # required is the default
    for spelled in (address, "rediss://host:7/2"):
        with Connection(redis_urls.for_celery(spelled)) as connection:
            assert _parameters(connection)["ssl_cert_reqs"].name == "CERT_REQUIRED"


def _read_by_redis(address: str) -> dict[str, Any]:
    return ConnectionPool.from_url(address.replace("redis+unix:", "unix:")).connection_kwargs


def _parameters(connection: Connection) -> dict[str, Any]:
    """Return what kombu would give to redis-py, without connecting."""
    channel: Any = Channel.__new__(Channel)
    channel.connection = connection.transport
    parameters: dict[str, Any] = channel._connparams()  # noqa: SLF001 - all others of its methods connect
    return parameters
