"""security_txt.py: serve security.txt (RFC 9116)."""

from datetime import UTC, datetime, timedelta

from tests.visits import Visit

PATH = "/.well-known/security.txt"


def test_the_file_names_the_contacts_for_less_than_a_year(visit: Visit) -> None:
    contacts = ("mailto:security@example.org", "https://example.org/report")
    settings = {"security_contact": contacts, "security_policy": "https://example.org/policy"}
    answer = visit(site_url="https://feedback.example.org", **settings).get(PATH)
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    fields = [line.split(": ", 1) for line in answer.text.splitlines()]
    assert [value for name, value in fields if name == "Contact"] == list(contacts)
    others = {name: value for name, value in fields if name != "Contact"}
    expires = datetime.fromisoformat(others.pop("Expires"))
    assert timedelta(days=170) < expires - datetime.now(UTC) < timedelta(days=365)
    assert others == {
        "Policy": "https://example.org/policy",
        "Preferred-Languages": "en, de, lt",
        "Canonical": f"https://feedback.example.org{PATH}",
    }


def test_without_a_contact_there_is_no_file(visit: Visit) -> None:
    assert visit().get(PATH).status_code == 404
    assert visit(security_policy="https://example.org/policy").get(PATH).status_code == 404
