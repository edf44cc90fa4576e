"""Commands for operators: VAPID keys and devices."""

import click
from flask.cli import AppGroup

from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.push import keys, subscriptions
from feedback_push.push.models import Subscription
from feedback_push.webpush import vapid

push = AppGroup("push", help="Manage notifications and devices.")
vapid_keys = AppGroup("vapid", help="Manage the keys that sign notifications.")


@push.command("prune")
def prune() -> None:
    """Remove now the devices that their push services have declared gone; they go by themselves after 30 days."""
    click.echo(f"Removed {_number(sum(subscriptions.remove_gone(utcnow())))} with their deliveries.")


@vapid_keys.command("generate")
def generate() -> None:
    """Print a new key pair as lines for .env; nothing is overwritten."""
    pair = vapid.generate()
    click.echo(f"VAPID_PRIVATE_KEY={pair.private_key}\nVAPID_PUBLIC_KEY={pair.public_key}")


@vapid_keys.command("list")
def show() -> None:
    """Show every key: its age, its state and how many devices use it."""
    keyring, devices = keys.cached(), keys.devices()
    stored = {row.public_key: row for row in keys.list_all()}
    for public_key in dict.fromkeys([*(keyring.live.keys() - stored.keys()), *stored]):
        row = stored.get(public_key)
        since = f"{row.created_at:%Y-%m-%d}" if row else "from the settings"
        click.echo(f"{public_key}  {since}  {_state(public_key, keyring)}, {_number(devices.get(public_key, 0))}")


@vapid_keys.command("rotate")
def rotate() -> None:
    """Create a new key for every machine; a device moves to it when its browser next opens the dashboard."""
    if not current_settings().vapid_subject:
        raise click.ClickException("Set VAPID_SUBJECT first. It is the contact for push services.")
    public_key = keys.rotate()
    db.session.commit()
    click.echo(
        f"The new key is {public_key}.\n"
        "Each device keeps the old key until its browser opens the dashboard again. `vapid list` and the dashboard "
        "show how many devices use the new key. When all do, retire the old key with `vapid retire`."
    )


@vapid_keys.command("retire")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def retire(yes: bool) -> None:
    """Retire every key except the current one, after listing the devices that still use them."""
    old = keys.old()
    if not old:
        click.echo("There is no old key.")
        return
    lost = keys.lost(old)
    click.echo(
        f"Until they open the dashboard again, {_number(len(lost))} will get no notifications:"
        if lost
        else "Every device uses the current key."
    )
    for device, user in lost:
        click.echo(f"  {user.email}  {device.name}  {_seen(device)}")
    if visitors := keys.lost_visitors(old):
        click.echo(f"Visitors would get none on {_number(visitors)}, until they open the site's page again.")
    db.session.rollback()  # keep no transaction open while somebody thinks
    if not yes:
        click.confirm(f"Permanently retire {_keys(len(old))}?", abort=True)
    keys.retire(old)
    db.session.commit()
    click.echo(f"Retired {_keys(len(old))}.")


def _state(public_key: str, keyring: keys.Keyring) -> str:
    if keyring.current and public_key == keyring.current.public_key:
        return "current"
    if public_key in keyring.live:
        return "still used"
    return "unreadable: SECRET_KEY has changed" if public_key in keyring.unreadable else "retired"


def _keys(number: int) -> str:
    return f"{number} old {'key' if number == 1 else 'keys'}"


def _number(devices: int) -> str:
    return f"{devices} {'device' if devices == 1 else 'devices'}"


def _seen(device: Subscription) -> str:
    last = max(filter(None, (device.added_at, device.last_accepted_at, device.last_shown_at)))
    return f"last seen {last:%Y-%m-%d}"
