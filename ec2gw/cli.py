"""The command line. It reads words and prints words; what they do is elsewhere."""

from __future__ import annotations

import functools
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import pydantic
import rich.console
import rich.progress
import sqlalchemy.exc

from ec2gw import __version__, app, config, doctor, logs
from ec2gw.backend import images as disk_images
from ec2gw.backend.ports import HostError
from ec2gw.cloud import accounts, images, imports, networks
from ec2gw.model import ids
from ec2gw.model.errors import Refusal
from ec2gw.model.volume_types import GIB
from ec2gw.state import migrate
from ec2gw.state.session import Transaction
from ec2gw.state.vault import BadKey


def fail(message: str) -> NoReturn:
    """End with a clear line and status 1."""
    click.echo(f"ec2gw: {message}", err=True)
    sys.exit(1)


def _setting(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    field = config.Settings.model_fields[name]
    default = "" if field.default is None or field.default_factory else f"  [default: {field.default}]"
    return click.option(f"--{name.replace('_', '-')}", name, help=f"{field.description}{default}")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Your own EC2, on your own machines."""
    logs.configure("console")


def _settle(file: Path | None, said: dict[str, Any]) -> config.Settings:
    try:
        return config.settle(said, file)
    except pydantic.ValidationError as error:
        # Never the values: one of them may be a secret.
        told = (
            (".".join(map(str, row["loc"])) or "settings", row["msg"].removeprefix("Value error, ")) for row in error.errors()
        )
        fail("; ".join(f"{name}: {message}" for name, message in told))
    except OSError as error:
        fail(str(error))
    except tomllib.TOMLDecodeError as error:
        fail(f"{file}: {error}")
    except UnicodeDecodeError:
        fail(f"{file}: it is not UTF-8")
    except ValueError as error:
        fail(str(error))


def settings_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Flags for these settings; the command gets them settled as `settings`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def run(settings_file: Path | None, **words: Any) -> None:
            said = {name: words.pop(name) for name in names}
            try:
                command(_settle(settings_file, said), **words)
            except Refusal as refusal:
                fail(f"{refusal.reason.replace('-', ' ')}: {', '.join(str(fact) for fact in refusal.facts.values())}")
            except UnicodeEncodeError:
                fail("a word of the command line is not UTF-8")
            except sqlalchemy.exc.DatabaseError as error:
                fail(f"the records cannot be reached: {str(error.orig).splitlines()[0]}")
            except (HostError, app.CannotServe, config.Unkept, migrate.SchemaTooNew, BadKey, OSError) as error:
                fail(str(error))

        made: Callable[..., Any] = functools.update_wrapper(run, command)
        file = click.option(
            "--config", "settings_file", type=click.Path(path_type=Path), envvar="EC2GW_CONFIG", help="TOML file of settings"
        )
        made = file(made)
        for name in reversed(names):
            made = _setting(name)(made)
        return made

    return decorate


@main.command()
@settings_options(
    "listen", "endpoint", "metrics", "state", "database", "hypervisor", "volumes", "region", "zones", "patience",
    "max_instances", "max_volume_size", "max_storage", "max_iops", "max_snapshots",
    "import_networks", "import_size", "log_format",
)  # fmt: skip
def serve(settings: config.Settings) -> None:
    """Serve the EC2 API until SIGTERM."""
    app.serve(settings)


@main.command("doctor")
@settings_options("state", "database", "hypervisor", "volumes")
def check(settings: config.Settings) -> None:
    """Say what works on this host, what is missing and how to get it."""
    sys.exit(doctor.report(settings, rich.console.Console()))


# -- images ------------------------------------------------------------------------------------------------------------------


@main.group()
def image() -> None:
    """Machine images."""


@image.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the image.")
@click.option("--description", default="", help="Description of the image.")
@click.option("--architecture", default="x86_64", show_default=True)
@click.option("--root-device-name", default="/dev/sda1", show_default=True)
@click.option("--account", help="Account that will own it (name or id); the first by default.")
@settings_options("state", "database", "hypervisor", "volumes")
def import_image(
    settings: config.Settings,
    file: Path,
    name: str,
    description: str,
    architecture: str,
    root_device_name: str,
    account: str | None,
) -> None:
    """Make a snapshot and an image of a disk image FILE (raw, qcow2, vmdk, …)."""
    info = disk_images.inspect(file)
    store = app.store_beside(settings)
    database, _ = app.open_records(settings)
    size = disk_images.whole_gib(info.virtual_size) // GIB
    part = {"device": root_device_name}
    options = {"Name": name, "Architecture": architecture}
    task_id = ids.new(imports.IMAGE)
    # As long as it is held the gateway leaves it alone; where this process is killed, the gateway undoes what it has begun.
    with app.open_downloads(settings).hold(task_id):
        with database.write() as tx:
            owner = accounts.find(tx, account).id if account else _first_account(tx)
            images.check_name(tx, owner, name)
            task = imports.begin(tx, owner, task_id, settings.zone_names[0], [part], description, options)
            tx.db.flush()
            imports.fetched(tx, task_id, 0, info.format, file.stat().st_size, size)
            snapshot_id = str(task.parts[0]["snapshot_id"])
        try:
            with rich.progress.Progress(console=rich.console.Console(stderr=True)) as progress:
                bar = progress.add_task(f"{info.format}, {size} GiB", total=100.0)
                store.fill(snapshot_id, file, info.format, lambda percent: progress.update(bar, completed=percent))
            with database.write() as tx:
                imports.filled(tx, task_id, 0)
                image = imports.finish(tx, task_id)
                image_id = image.id if image else None
        except BaseException as trouble:
            with database.write() as tx:
                imports.failed(tx, task_id, f"the command ended with {type(trouble).__name__}")
            raise
    if image_id is None:
        fail(f"{task_id} was cancelled, or its name or snapshot is gone")
    click.echo(f"{image_id}\t{snapshot_id}")


def _first_account(tx: Transaction) -> str:
    every = accounts.every(tx)
    if not every:
        fail("there is no account yet: start `ec2gw serve` once, or `ec2gw account create NAME`")
    return every[0].id


# -- accounts and keys -------------------------------------------------------------------------------------------------------


@main.group()
def account() -> None:
    """Accounts."""


@account.command("create")
@click.argument("name")
@settings_options("state", "database", "region", "zones")
def create_account(settings: config.Settings, name: str) -> None:
    """Make an account and its first key."""
    database, vault = app.open_records(settings)
    with database.write() as tx:
        made = accounts.create(tx, name)
        networks.create_default_vpc(tx, made.id, settings.region, settings.zone_names)
        key, secret = accounts.issue_key(tx, vault, made.id)
        told = f"{made.id}\t{name}\n{key.id}\t{secret}"
    click.echo(told)


@account.command("list")
@settings_options("state", "database")
def list_accounts(settings: config.Settings) -> None:
    """List the accounts."""
    database, _ = app.open_records(settings)
    with database.read() as tx:
        _table(("account", "name", "since"), [(row.id, row.name, f"{row.created_at:%Y-%m-%d}") for row in accounts.every(tx)])


@main.group()
def key() -> None:
    """Access keys."""


@key.command("create")
@click.argument("account")
@settings_options("state", "database")
def create_key(settings: config.Settings, account: str) -> None:
    """Make another key of ACCOUNT (name or id). The secret is shown this once."""
    database, vault = app.open_records(settings)
    with database.write() as tx:
        made, secret = accounts.issue_key(tx, vault, accounts.find(tx, account).id)
        told = f"{made.id}\t{secret}"
    click.echo(told)


@key.command("list")
@settings_options("state", "database")
def list_keys(settings: config.Settings) -> None:
    """List the keys."""
    database, _ = app.open_records(settings)
    with database.read() as tx:
        rows = [(row.id, row.account_id, "active" if row.active else "inactive") for row in accounts.keys(tx)]
    _table(("key", "account", "status"), rows)


@key.command("disable")
@click.argument("id")
@settings_options("state", "database")
def disable_key(settings: config.Settings, id: str) -> None:
    """Let a key sign no more."""
    with app.open_records(settings)[0].write() as tx:
        accounts.enable_key(tx, id, active=False)


@key.command("enable")
@click.argument("id")
@settings_options("state", "database")
def enable_key(settings: config.Settings, id: str) -> None:
    """Let a key sign again."""
    with app.open_records(settings)[0].write() as tx:
        accounts.enable_key(tx, id)


@key.command("delete")
@click.argument("id")
@settings_options("state", "database")
def delete_key(settings: config.Settings, id: str) -> None:
    """Forget a key for good."""
    with app.open_records(settings)[0].write() as tx:
        accounts.delete_key(tx, id)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Words in columns, whole however narrow the terminal, and as they are."""
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
