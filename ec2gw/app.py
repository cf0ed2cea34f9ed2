"""Wires the house: the only place that chooses between adapters and starts things. Nobody imports it but the command line."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog
from aiohttp import web

from ec2gw import config, logs, operations
from ec2gw.backend import simulated, stores
from ec2gw.backend.ports import Hypervisor, VolumeStore
from ec2gw.backend.stores import lvm
from ec2gw.cloud import accounts, networks
from ec2gw.engine import loop
from ec2gw.query import api, server
from ec2gw.state import migrate
from ec2gw.state.session import Database
from ec2gw.state.vault import Vault

log = structlog.get_logger(__name__)
DRAIN = 30.0  # seconds that requests under way have when the process is told to end


class AlreadyServed(Exception):
    """Another process has the state folder."""


def state_folder(settings: config.Settings) -> Path:
    """The state folder, made where it is not there, readable by its owner only."""
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.state.chmod(0o700)
    return settings.state


@contextmanager
def sole_server(settings: config.Settings) -> Iterator[None]:
    """Only one process serves a state folder: two engines would work against each other. Raises AlreadyServed."""
    with (state_folder(settings) / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyServed(f"another process serves {settings.state}") from None
        yield


def open_records(settings: config.Settings) -> tuple[Database, Vault]:
    """The records, brought to the schema of this program, and the vault of their secrets."""
    folder = state_folder(settings)
    migrate.upgrade(settings.database_url, folder)
    return Database(settings.database_url), Vault(folder / "key")


def choose_hypervisor(settings: config.Settings) -> tuple[str, str]:
    """(`simulated` or a libvirt URI, why)."""
    kind, _, uri = settings.hypervisor.partition("=")
    if kind == "simulated":
        return "simulated", "as asked"
    if kind == "libvirt":
        return uri or "qemu:///embed", "as asked"
    if importlib.util.find_spec("libvirt") is None:
        return "simulated", "the Python package libvirt-python is not installed"
    if shutil.which("qemu-system-x86_64") is None:
        return "simulated", "qemu-system-x86_64 is not installed"
    return "qemu:///embed", "libvirt and QEMU are installed"


def open_hypervisor(settings: config.Settings, name: str) -> Hypervisor:
    """The hypervisor of that name. On a libvirt host, call it before the process has a second thread."""
    if name == "simulated":
        return simulated.Hypervisor(settings.state / "machines")
    from ec2gw.backend.libvirt import accelerator, hypervisor

    found = accelerator.probe()
    if found == "tcg":
        accelerator.hide_broken_kvm()
    return hypervisor.Hypervisor(name, settings.state / "libvirt", found)


def open_stores(settings: config.Settings, hypervisor: str) -> Mapping[str, VolumeStore]:
    """The volume store of each zone; they share one."""
    kind, _, where = settings.volumes.partition("=")
    store: VolumeStore
    if kind == "lvm":
        store = lvm.LvmStore(*where.split("/"))
    else:
        store = stores.file_store(Path(where) if where else settings.state / "volumes", simulated=hypervisor == "simulated")
    return dict.fromkeys(settings.zone_names, store)


def first_key(settings: config.Settings, database: Database, vault: Vault) -> Path:
    """On the first start an account and a key are made and written down for clients. Returns the credentials file."""
    credentials = settings.state / "credentials"
    with database.write() as tx:
        known = accounts.every(tx)
        if not known:
            account = accounts.create(tx, "default")
            given = settings.secret_access_key
            key, secret = accounts.issue_key(
                tx, vault, account.id, settings.access_key_id, given.get_secret_value() if given else None
            )
            known = [account]
            write_credentials(credentials, key.id, secret)
        for account in known:
            networks.ensure_default(tx, account.id, settings.region, settings.zone_names)
    return credentials


def write_credentials(path: Path, key_id: str, secret: str) -> None:
    """A shared credentials file as AWS's tools read it, for its owner's eyes only."""
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
    draft.rename(path)


def serve(settings: config.Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way. Raises AlreadyServed, HostError, OSError."""
    logs.configure(settings.log_format)
    with sole_server(settings):
        name, why = choose_hypervisor(settings)
        hypervisor = open_hypervisor(settings, name)  # before there are threads
        database, vault = open_records(settings)
        credentials = first_key(settings, database, vault)
        engine = loop.Engine(database, open_stores(settings, name), hypervisor, patience=settings.patience)
        try:
            asyncio.run(_serve(settings, database, vault, engine, [f"{hypervisor.describe()} ({why})", str(credentials)]))
        finally:
            hypervisor.close()
            database.close()


async def _serve(
    settings: config.Settings, database: Database, vault: Vault, engine: loop.Engine, said: list[str]
) -> None:
    region = api.Region(settings.region, settings.zone_names, settings.listen, settings.patience)
    face = web.AppRunner(server.Server(database, vault, region, engine).application(), access_log=None, shutdown_timeout=DRAIN)
    watch = web.AppRunner(operations.application(database), access_log=None)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    await face.setup()
    await watch.setup()
    try:
        await web.TCPSite(face, *config.address(settings.listen)).start()
        if settings.metrics:
            await web.TCPSite(watch, *config.address(settings.metrics)).start()
        engine.start()
        announce(settings, *said)
        await ending.wait()
        log.info("draining")
    finally:
        await face.cleanup()
        await asyncio.to_thread(engine.stop)
        await watch.cleanup()


def announce(settings: config.Settings, hypervisor: str, credentials: str) -> None:
    """What the operator must know, and the lines to paste."""
    print(f"Machines: {hypervisor}.")
    if "simulated" not in hypervisor:
        print("Guests have no network yet: addresses and groups are kept as records only.")
    print(f"EC2 endpoint of {settings.region}: http://{settings.listen}/ - to use it:")
    print(f"  export AWS_SHARED_CREDENTIALS_FILE={credentials} AWS_DEFAULT_REGION={settings.region}")
    print(f"  export AWS_ENDPOINT_URL_EC2=http://{settings.listen}/ AWS_ENDPOINT_URL_STS=http://{settings.listen}/", flush=True)
