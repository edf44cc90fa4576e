"""A note from the dashboard to its writers: the push of each device opens a private page, and the page shows it."""

from flask import Flask

from feedback_push.database import db
from feedback_push.feedback import note_sending
from feedback_push.push import sender
from tests.conftest import KEYS, PASSWORD, make_user
from tests.doubles.push_service import PushService
from tests.visitors.conversations import begun, follow
from tests.visits import Visitor

TEXT = "The export works again."


def test_a_note_arrives_once_on_each_device_and_on_every_private_page(any_app: Flask, service: PushService) -> None:
    visitor, (first, old), (second, new), (unchosen, other) = Visitor(any_app), begun(), begun(), begun()
    phone, laptop, foreign = (service.new_device(KEYS.public_key) for _ in range(3))
    assert follow(visitor, phone, old, new) == follow(visitor, laptop, old) == follow(visitor, foreign, other) == 200
    dashboard = Visitor(any_app)
    dashboard.sign_in(make_user("staff@example.org").email, PASSWORD)
    token = dashboard.read("/admin/notes").fields["csrf_token"]
    form = {"headers": {"Referer": dashboard.site}}
    chosen = {"csrf_token": token, "id": [first.id, second.id], "back": "/admin/"}
    address = dashboard.post("/admin/notes", data=chosen, **form).location
    dashboard.post(f"{address}/write", data={"csrf_token": token, "content": TEXT}, **form)
    for _ in range(2):  # as if the button was pressed twice
        dashboard.post(f"{address}/send", data={"csrf_token": token}, **form)
        note_sending.run()
        db.session.rollback()
        sender.run()
    shown = {device: [push.json()["notification"] for push in device.pushes] for device in (phone, laptop)}
    assert [push["navigate"].rpartition("/")[2] for push in shown[phone]] == [new]
    assert [push["navigate"].rpartition("/")[2] for push in shown[laptop]] == [old]
    assert {push["title"] for pushes in shown.values() for push in pushes} == {"You have an answer"}
    assert foreign.pushes == []
    for link, number in ((old, 1), (new, 1), (other, 0)):
        answers = visitor.read(f"/conversations/{link}").all("li", class_="card entry answered")
        assert [TEXT in answer.words for answer in answers] == [True] * number, unchosen
    assert dashboard.read(address).one("span", class_="counts").words == "Sent 2"
