"""The commands `users ...`: accounts from a terminal."""

import secrets

import click
from flask_keel.accounts import AppGroup
from flask_security import hash_password, naive_utcnow
from sqlalchemy import select
from sqlalchemy.orm import Session

from .extensions import db
from .models.user import Role, User

group = AppGroup("users", help="Accounts: create, list, deactivate, reset-password.")


@group.command()
@click.argument("email")
@click.option("--admin", is_flag=True, help="Let them into /admin.")
def create(email: str, admin: bool) -> None:
    """Make an account, and print its password, once."""
    password = add(db.session(), email, admin)
    db.session.commit()
    click.echo(password)


@group.command("list")
def show() -> None:
    """List the accounts: address, name, roles, and whether they are let in."""
    for user in db.session.scalars(select(User).order_by(User.email)):
        said = (",".join(map(str, user.roles)), "active" if user.active else "deactivated")
        click.echo("\t".join((user.email, user.name, *said)))


@group.command()
@click.argument("email")
def deactivate(email: str) -> None:
    """Let nobody in with this account: its sessions end."""
    existing(email).active = False
    db.session.commit()


@group.command("reset-password")
@click.argument("email")
def reset_password(email: str) -> None:
    """Give an account a new password, and print it, once: its sessions end."""
    password = set_password(existing(email))
    db.session.commit()
    click.echo(password)


def add(session: Session, email: str, admin: bool = False) -> str:
    """Add a confirmed account, and return its password; ValueError when the address is none."""
    user = User(email=email, name=email.partition("@")[0][:80], confirmed_at=naive_utcnow())
    if admin:
        role = session.scalar(select(Role).where(Role.name == "admin"))
        user.roles.append(role or Role(name="admin", description="Is let into /admin"))
    session.add(user)
    return set_password(user)


def existing(email: str) -> User:
    """Return whose address it is; ClickException when it is nobody's."""
    user = db.session.scalar(select(User).where(User.email == email.strip().lower()))
    if user is None:
        raise click.ClickException(f"{email} has no account: type <<cookiecutter.project>> users list.")
    return user


def set_password(user: User) -> str:
    """Make a password, which ends the user's sessions, and return it."""
    password = secrets.token_urlsafe(12)
    user.password, user.fs_uniquifier = hash_password(password), secrets.token_hex()
    return password
