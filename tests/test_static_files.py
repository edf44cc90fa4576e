"""static_files.py: hashed names, compressed and kept for ever; and no rule for something that no page has."""

import gzip
import re
from pathlib import Path
from urllib.parse import urljoin

import brotli
import pytest
from flask import Flask, url_for
from werkzeug.test import TestResponse

from feedback_push import create_app, static_files
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.feedback import conversations
from tests.conftest import PASSWORD
from tests.servers import CHECKOUT
from tests.visitors.conversations import begun
from tests.visits import Page, Visitor

FOR_EVER = "public, max-age=31536000, immutable"
HASHED = re.compile(r"/static/[\w./-]+\.[0-9a-f]{12}\.(?:css|js|png|svg)")
VISITORS_STYLESHEETS = [CHECKOUT / "static" / name for name in ("base.css", "site.css")]
STYLESHEETS = [*VISITORS_STYLESHEETS, *sorted((CHECKOUT / "static" / "admin").glob("*.css"))]
# A page with its styles, scripts and logo; 40 kB at 1.6 Mbit/s take 0.2 s.
MOST_FOR_THE_FORM = 40_000  # bytes
MOST_FOR_A_PRIVATE_PAGE = 30_000


def ask(visitor: Visitor, address: str, encodings: str = "br, gzip", **headers: str) -> TestResponse:
    return visitor.get(address, headers={"Accept-Encoding": encodings, **headers})


def named_in(page: Page) -> list[str]:
    """Return the addresses that a browser loads for a page."""
    attributes = [element.attributes for element in page.elements if element.tag in ("link", "script", "img")]
    return [address for each in attributes if (address := each.get("href") or each.get("src"))]


def loaded_with(visitor: Visitor, address: str) -> dict[str, TestResponse]:
    """Return everything that a browser loads for a page, with the modules that its scripts import."""
    waiting, found = named_in(visitor.read(address)), {}
    while waiting:
        asked = waiting.pop()
        if asked not in found:
            found[asked] = ask(visitor, asked)
            text = ask(visitor, asked, "").text if asked.endswith(".js") or ".js?" in asked else ""
            waiting += [urljoin(asked, name) for name in re.findall(r'^import\b[^;"]*"([^"]+)"', text, re.MULTILINE)]
    return found


def test_files_that_a_page_loads_may_be_cached_for_ever(client: Visitor, staff: User) -> None:
    addresses = loaded_with(client, "/feedback/")
    client.sign_in(staff.email, PASSWORD)
    for page in ("/admin/", "/admin/devices", "/admin/settings"):
        addresses |= loaded_with(client, page)
    manifest = client.get("/admin/manifest.webmanifest").get_json()
    addresses |= {icon["src"]: ask(client, icon["src"]) for icon in manifest["icons"]}
    assert len(addresses) > 20
    for address, answer in addresses.items():
        assert answer.status_code == 200, address
        if not address.endswith(".webmanifest"):
            assert answer.headers["Cache-Control"] == FOR_EVER, address
        if address.startswith("/static/"):
            assert HASHED.fullmatch(address), address


def test_visitors_pages_are_small_on_the_wire(client: Visitor, staff: User) -> None:
    message, token = begun(content="The export does nothing. " * 8)
    conversations.answer(message, staff, "It works again. " * 8)
    db.session.commit()
    for address, most in (("/feedback/", MOST_FOR_THE_FORM), (f"/conversations/{token}", MOST_FOR_A_PRIVATE_PAGE)):
        answers = {**loaded_with(client, address), address: client.get(address)}
        for name in ("/visitor/manifest.webmanifest", *(name for name in answers if "touch-icon" in name)):
            answers.pop(name, None)  # browsers load these only to install the page
        sizes = {name: len(answer.data) + len(str(answer.headers)) for name, answer in answers.items()}
        assert sum(sizes.values()) < most, sizes


def test_a_client_gets_the_best_encoding_that_it_accepts(app: Flask, client: Visitor) -> None:
    with app.test_request_context():
        address = url_for("static", filename="site.css")
    plain = ask(client, address, "").data
    for accepted, encoding, decode in (
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip", "gzip", gzip.decompress),
        ("br;q=0, gzip;q=0.5", "gzip", gzip.decompress),
        ("*", "br", brotli.decompress),
        ("", None, bytes),
        ("identity", None, bytes),
        ("gzip;q=0", None, bytes),
        (f"br{',' * 8_000}", "br", brotli.decompress),
    ):
        answer = ask(client, address, accepted)
        assert answer.headers.get("Content-Encoding") == encoding, accepted[:30]
        assert decode(answer.data) == plain, accepted[:30]
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert len(ask(client, address, "br").data) < len(ask(client, address, "gzip").data) < len(plain) / 3
    picture = ask(client, "/static/icons/icon-192.png")
    assert "Content-Encoding" not in picture.headers
    assert "Vary" not in picture.headers


def test_a_file_that_the_client_has_is_not_sent_again(client: Visitor) -> None:
    for encodings in ("br", "gzip", ""):
        answer = ask(client, "/static/site.css", encodings)
        etag = answer.headers["ETag"]
        again = ask(client, "/static/site.css", encodings, **{"If-None-Match": f'W/{etag}, "other"'})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
        assert again.headers["Cache-Control"] == "no-cache"
        assert ask(client, "/static/site.css", "deflate", **{"If-None-Match": '"other"'}).status_code == 200
    tags = {ask(client, "/static/site.css", encodings).headers["ETag"] for encodings in ("br", "gzip", "")}
    assert len(tags) == 3  # a cache must not mix them up
    head = client.head("/static/site.css")
    assert (head.status_code, head.data) == (200, b"")


def test_an_address_of_another_release_gets_the_current_file_for_now(client: Visitor) -> None:
    current = ask(client, "/static/site.css").data
    for address in ("/static/site.css", "/static/site.0123456789ab.css"):
        answer = ask(client, address)
        assert (answer.status_code, answer.data) == (200, current)
        assert answer.headers["Cache-Control"] == "no-cache"


def test_a_file_is_served_without_the_session_and_can_do_nothing(client: Visitor) -> None:
    client.get("/feedback/")
    for address in ("/static/site.css", "/static/icons/icon.svg", "/static/admin/live.js"):
        answer = client.get(address)
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.vary
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_files_need_no_database_and_no_disk(settings: Settings, tmp_path: Path) -> None:
    files = tmp_path / "static"
    files.mkdir()
    (files / "one.css").write_text("a { color: red; }")
    app = create_app(settings)
    app.static_folder = str(files)
    static_files.init_app(app)
    visitor = Visitor(app)
    (tmp_path / "test.sqlite").rename(tmp_path / "gone.sqlite")
    with app.test_request_context():
        address = url_for("static", filename="one.css")
    (files / "one.css").unlink()
    assert ask(visitor, address).data == b"a { color: red; }"
    assert not (tmp_path / "test.sqlite").exists()


def test_a_name_changes_with_the_content_and_with_what_it_names(tmp_path: Path) -> None:
    def names(root: Path) -> dict[str, str]:
        folder = static_files.StaticFolder(root)
        return {name: getattr(folder.get(name), "hashed_name", "") for name in ("a/one.js", "two.js", "a/style.css")}

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.js").write_text('import {\n  two,\n} from "../two.js";\n')
    (tmp_path / "two.js").write_text("export const two = 2;\n")
    (tmp_path / "a" / "style.css").write_text("a { background: url('../dot.png'), url(data:x); }\n")
    (tmp_path / "dot.png").write_bytes(b"1")
    first = names(tmp_path)
    folder = static_files.StaticFolder(tmp_path)
    script, style = folder.get("a/one.js"), folder.get("a/style.css")
    dot = folder.get("dot.png")
    assert script
    assert style
    assert dot
    assert script.content.decode() == f'import {{\n  two,\n}} from "../{first["two.js"]}";\n'
    assert style.content.decode() == f"a {{ background: url('../{dot.hashed_name}'), url(data:x); }}\n"
    assert first == names(tmp_path)
    (tmp_path / "two.js").write_text("export const two = 3;\n")
    second = names(tmp_path)
    assert [name for name in first if first[name] != second[name]] == ["a/one.js", "two.js"]


def test_a_stylesheet_contains_those_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "one.css").write_text('@import "./two.css";\n\nb { color: blue; }\n')
    (tmp_path / "two.css").write_text("a { color: red; }\n")
    file = static_files.StaticFolder(tmp_path).get("one.css")
    assert file
    assert file.content == b"a { color: red; }\n\nb { color: blue; }\n"


def test_a_missing_file_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text('import "./nowhere.js";\n')
    with pytest.raises(FileNotFoundError, match=r"static/one\.js names \./nowhere\.js"):
        static_files.StaticFolder(tmp_path).get("one.js")


def test_a_text_in_an_exported_function_is_no_name_of_a_file(tmp_path: Path) -> None:
    script = 'export function isLost({ host }) {\n  return host.endsWith(".invalid");\n}\n'
    (tmp_path / "one.js").write_text(script)
    file = static_files.StaticFolder(tmp_path).get("one.js")
    assert file
    assert file.content.decode() == script


def test_every_file_of_ours_names_only_files_that_exist() -> None:
    folder = static_files.StaticFolder(CHECKOUT / "static")
    names = [path.relative_to(CHECKOUT / "static").as_posix() for path in (CHECKOUT / "static").rglob("*.*")]
    assert len([name for name in names if folder.get(name)]) > 20


def test_no_template_or_script_names_a_file_without_its_hash() -> None:
    sources = [*(CHECKOUT / "templates").rglob("*.*"), *(CHECKOUT / "static").rglob("*.js")]
    sources += [*(CHECKOUT / "feedback_push").rglob("*.py")]
    named = [
        (path.name, address)
        for path in sources
        for address in re.findall(r"[\"'(](/static/[^\"')]+)", path.read_text())
        if not address.endswith("/")
    ]
    assert named == []


def test_the_stylesheets_have_no_rule_for_what_no_page_has() -> None:
    sources = [*(CHECKOUT / "templates").rglob("*.html"), *(CHECKOUT / "static").rglob("*.js")]
    sources += [*(CHECKOUT / "feedback_push").rglob("*.py")]
    assert named_by(STYLESHEETS) - words_of(sources) == set()


def test_visitors_load_no_rule_for_what_only_the_dashboard_has() -> None:
    sources = [path for path in (CHECKOUT / "templates").rglob("*.html") if "admin" not in path.parts]
    sources += [path for path in (CHECKOUT / "static").rglob("*.js") if path.parent.name != "admin"]
    # aria-current stands in a list of states that visitors' links have, too.
    assert named_by(VISITORS_STYLESHEETS) - words_of(sources) == {"aria-current"}


def named_by(stylesheets: list[Path]) -> set[str]:
    """Return the classes, ids and attributes in the selectors of stylesheets."""
    found = set()
    for path in stylesheets:
        rules = re.sub(r"/\*.*?\*/|\"[^\"]*\"", "", path.read_text(), flags=re.DOTALL)
        for selectors in re.findall(r"([^{}]+)\{", rules):
            if not selectors.strip().startswith("@"):
                names = re.findall(r"[.#]([a-zA-Z][\w-]*)|\[([\w-]+)", selectors)
                found |= {name for pair in names for name in pair if name}
    return found


def words_of(sources: list[Path]) -> set[str]:
    """Return the words of these files, those with an underscore also with a hyphen in its place."""
    used = "\n".join(path.read_text() for path in sources)
    return set(re.findall(r"[\w-]+", used + used.replace("_", "-")))


def test_the_stylesheets_define_every_property_that_they_use_and_no_other() -> None:
    texts = [path.read_text() for path in (*STYLESHEETS, CHECKOUT / "templates" / "theme.css")]
    rules = re.sub(r"/\*.*?\*/", "", "\n".join(texts), flags=re.DOTALL)
    assert set(re.findall(r"(--[\w-]+)\s*:", rules)) == set(re.findall(r"var\((--[\w-]+)", rules))


def test_paths_outside_the_folder_lead_nowhere(client: Visitor) -> None:
    for path in ("../wsgi.py", "..%2fwsgi.py", "site.css/", "SITE.CSS", ".", "", "admin", "a" * 2_000, "site.0123.css"):
        assert client.get(f"/static/{path}").status_code == 404, path[:30]
