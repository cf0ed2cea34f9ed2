"""Wires the house: the only place that chooses between adapters and starts things. Nobody imports it but the command line."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import resource
import shutil
import signal
import socket
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import prometheus_client
import structlog
from aiohttp import web

from ec2gw import config, logs, operations
from ec2gw.backend import simulated, stores
from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import Hypervisor, VolumeStore
from ec2gw.backend.staging import Staging
from ec2gw.backend.stores import lvm
from ec2gw.cloud import accounts, networks
from ec2gw.door import reception
from ec2gw.door.traffic import Traffic
from ec2gw.ebs import server as blocks_face
from ec2gw.engine import loop
from ec2gw.engine.blocks import Blocks
from ec2gw.query import api, server
from ec2gw.state import migrate
from ec2gw.state.session import Database
from ec2gw.state.vault import Vault

log = structlog.get_logger(__name__)
DRAIN = 30.0  # seconds that requests under way have when the process is told to end
T = TypeVar("T")
# One of these is in every state folder, perhaps as a draft.
_OURS = {"kept", "key", "records", "lock", "volumes", "imports", "uploads", "libvirt"}


class CannotServe(Exception):
    """The settings cannot be had here; the text says why."""


# -- What the state folder holds -----------------------------------------------------------------------------------------------


def state_folder(settings: config.Settings) -> Path:
    """The state folder, made where it is not there, readable by its owner only. Raises CannotServe for one of others."""
    folder = settings.state
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    names = {path.name.lstrip(".").split(".")[0] for path in folder.iterdir()} - {"lost+found"}
    if names and not names & _OURS:  # /tmp, say: nobody else could use it any more
        raise CannotServe(f"{folder} is not empty, and not a state folder of ec2gw")
    folder.chmod(0o700)
    return folder


@contextmanager
def sole_server(settings: config.Settings) -> Iterator[None]:
    """Only one process serves a state folder: two engines would work against each other. Raises CannotServe."""
    path = state_folder(settings) / "lock"
    path.touch(mode=0o600)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotServe(f"another process serves {settings.state}") from None
        yield


def open_records(settings: config.Settings) -> tuple[Database, Vault]:
    """The records, brought to the schema of this program, and the vault of their secrets. Raises Unkept, SchemaTooNew."""
    folder = state_folder(settings)
    if settings.database_url.startswith("postgresql") and importlib.util.find_spec("psycopg") is None:
        raise CannotServe("PostgreSQL needs psycopg: pip install 'ec2gw[postgres]'")
    for name in ("region", "zones"):
        config.keep(settings, name)
    migrate.upgrade(settings.database_url, folder)
    return Database(settings.database_url, limits=settings.limits), Vault(folder / "key")


def first_key(settings: config.Settings, database: Database, vault: Vault) -> Path:
    """On the first start an account with its network and a key is made, the key written down for clients. Returns that file."""
    credentials = settings.state / "credentials"
    with database.write() as tx:
        if not accounts.every(tx):
            account = accounts.create(tx, "default")
            networks.create_default_vpc(tx, account.id, settings.region, settings.zone_names)
            given = settings.secret_access_key
            key, secret = accounts.issue_key(
                tx, vault, account.id, settings.access_key_id, given.get_secret_value() if given else None
            )
            write_credentials(credentials, key.id, secret)
    return credentials


def write_credentials(path: Path, key_id: str, secret: str) -> None:
    """A shared credentials file as AWS's tools read it, for its owner's eyes only."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")
    draft.rename(path)


# -- The adapters --------------------------------------------------------------------------------------------------------------


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
    if importlib.util.find_spec("libvirt") is None:
        raise CannotServe("libvirt needs libvirt-python: pip install 'ec2gw[libvirt]' (`ec2gw doctor` says what that needs)")
    from ec2gw.backend.libvirt import accelerator, hypervisor

    found = accelerator.probe()
    if found == "tcg":
        accelerator.hide_broken_kvm()
    return hypervisor.Hypervisor(name, settings.state / "libvirt", found)


def open_store(settings: config.Settings, hypervisor: str) -> VolumeStore:
    """The volume store. Raises config.Unkept, HostError."""
    kind, _, where = settings.volumes.partition("=")
    store: VolumeStore
    if kind == "lvm":
        store = lvm.LvmStore(*where.split("/"))
    else:
        folder = Path(where) if where else state_folder(settings) / "volumes"
        store = stores.file_store(folder, simulated=hypervisor == "simulated")
    config.keep(settings, "volumes")
    return store


def store_beside(settings: config.Settings) -> VolumeStore:
    """The volume store, for a command that starts no machine. Raises config.Unkept, HostError."""
    # Once the store is there, what runs on it is not this command's business.
    there = "volumes" in config.kept(settings.state)
    return open_store(settings, "simulated" if there else choose_hypervisor(settings)[0])


def open_downloads(settings: config.Settings) -> Downloads:
    """Where the disk images of imports are fetched to, and from where they may be."""
    largest = settings.import_size << 30
    return Downloads(state_folder(settings) / "imports", largest=largest, allowed=settings.readable_networks)


# -- The gateway ---------------------------------------------------------------------------------------------------------------


class App:
    """A gateway put together. It serves from a thread of its own between `start` and `stop`; `port` is that of the EC2 API."""

    def __init__(self, settings: config.Settings) -> None:
        self.settings = settings
        logs.configure(settings.log_format)
        with ExitStack() as opened:
            opened.enter_context(sole_server(settings))
            self._door = _bind(settings.listen, opened)
            self._side_door = _bind(settings.metrics, opened) if settings.metrics else None
            self.port = int(self._door.getsockname()[1])
            name, why = choose_hypervisor(settings)
            hypervisor = open_hypervisor(settings, name)  # before there are threads
            opened.callback(hypervisor.close)
            self.machines = f"{hypervisor.describe()} ({why})"
            self.simulated = name == "simulated"
            store = open_store(settings, name)  # one for all zones
            database, vault = open_records(settings)
            opened.callback(database.close)
            self.credentials = first_key(settings, database, vault)
            zones: dict[str, VolumeStore] = dict.fromkeys(settings.zone_names, store)
            staging, downloads = Staging(settings.state / "uploads"), open_downloads(settings)
            traffic = Traffic()
            self._engine = loop.Engine(
                database, zones, hypervisor, staging, downloads, patience=settings.patience, give_way=traffic.give_way
            )
            self.address = settings.endpoint or _as_seen(self._door)
            region = api.Region(settings.region, settings.zone_names, self.address, settings.patience)
            counts = prometheus_client.CollectorRegistry()
            self._face = server.Server(database, vault, region, self._engine, counts, traffic)
            hands = Blocks(zones, staging)
            self._blocks_face = blocks_face.Server(database, vault, settings.zone_names[0], hands, counts)
            self._operations = web.AppRunner(operations.application(database, counts), access_log=None)
            self._opened = opened.pop_all()

    def start(self) -> int:
        """Serve. Returns the port of the EC2 API."""
        turning = asyncio.new_event_loop()
        thread = threading.Thread(target=turning.run_forever, name="faces")
        thread.start()

        def run(coroutine: Coroutine[None, None, T]) -> T:
            return asyncio.run_coroutine_threadsafe(coroutine, turning).result()

        def end_thread() -> None:
            turning.call_soon_threadsafe(turning.stop)
            thread.join()
            turning.close()

        # What is pushed last ends first: requests under way, the engine's steps, /healthz, the thread, records, hypervisor, lock.
        self._opened.callback(end_thread)
        self._opened.callback(lambda: run(self._operations.cleanup()))
        if self._side_door:
            run(_open(self._operations, self._side_door))
        self._engine.start()
        self._opened.callback(self._engine.stop)
        self._opened.callback(self._face.close)
        self._opened.callback(self._blocks_face.close)
        faces = run(reception.runner(self._blocks_face.beside(self._face.answer), DRAIN))
        self._opened.callback(lambda: run(faces.cleanup()))
        run(_open(faces, self._door))
        return self.port

    def stop(self) -> None:
        """Take no more requests, finish those under way and the engine's steps, and let go of everything. Machines run on."""
        self._opened.close()


def build(settings: config.Settings) -> App:
    """The gateway of these settings, not serving yet. Raises CannotServe, Unkept, SchemaTooNew, HostError, OSError."""
    return App(settings)


def serve(settings: config.Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way. Raises as `build` does."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each client is one; the usual 1024 are soon taken
    gateway = build(settings)
    try:
        gateway.start()
        announce(gateway)
        ending.wait()
        log.info("draining")
    finally:
        gateway.stop()


def announce(gateway: App) -> None:
    """What the operator must know, and the lines to paste."""
    url = f"http://{gateway.address}/"
    print(f"Machines: {gateway.machines}.")
    if not gateway.simulated:
        print("Guests have no network yet: addresses and groups are kept as records only.")
    print(f"EC2 endpoint of {gateway.settings.region}: {url} - to use it:")
    print(f"  export AWS_SHARED_CREDENTIALS_FILE={gateway.credentials} AWS_DEFAULT_REGION={gateway.settings.region}")
    print(f"  export AWS_ENDPOINT_URL_EC2={url} AWS_ENDPOINT_URL_EBS={url} AWS_ENDPOINT_URL_STS={url}", flush=True)


def _bind(address: str, opened: ExitStack) -> socket.socket:
    """A socket that holds the address but does not listen yet."""
    host, port = config.address(address)
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = opened.enter_context(socket.socket(family, kind, protocol))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
    except OSError as error:
        raise CannotServe(f"cannot listen on {address}: {error.strerror}") from None
    return made


def _as_seen(door: socket.socket) -> str:
    """HOST:PORT at which a client on this host finds the door."""
    host, port = door.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _open(runner: web.BaseRunner, door: socket.socket) -> None:
    await runner.setup()
    try:
        await web.SockSite(runner, door, backlog=1024).start()
    except OSError as error:  # two may be bound to an address, but not listen there
        raise CannotServe(f"cannot listen on {_as_seen(door)}: {error.strerror}") from None
