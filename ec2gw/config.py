"""The settings: from flags, EC2GW_* in the environment, a TOML file, what the state folder keeps, defaults; the first counts."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import sqlalchemy
import sqlalchemy.exc
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ec2gw.model.limits import Limits

STORE = re.compile(r"file|file=.+|lvm=[A-Za-z0-9_.+][A-Za-z0-9_.+-]*/[A-Za-z0-9_.+][A-Za-z0-9_.+-]*")
LISTEN = re.compile(r"(?P<host>[^:\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
DATABASE = "expected sqlite:///FILE or postgresql://USER@HOST/NAME"
KEPT = "kept.json"


class Unkept(Exception):
    """A setting is not the one that the state folder was first served with."""


def default_state() -> Path:
    """Where a user's state goes (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "ec2gw"


class Settings(BaseSettings):
    """All that an operator may choose. Each is EC2GW_NAME in the environment and `name = …` in the file."""

    model_config = SettingsConfigDict(env_prefix="EC2GW_", extra="forbid", frozen=True)
    file: ClassVar[Path | None] = None

    listen: str = Field("127.0.0.1:8773", description="address and port of the EC2 API")
    endpoint: str | None = Field(None, description="HOST:PORT that clients reach the API at, where it is not that of --listen")
    metrics: str | None = Field("127.0.0.1:8774", description="address and port of /healthz and /metrics, or 'none'")
    state: Path = Field(default_factory=default_state, description="folder of everything that must last")
    database: str | None = Field(None, description="SQLAlchemy URL of the records; SQLite in the state folder by default")
    hypervisor: str = Field("auto", description="auto, simulated, libvirt or libvirt=URI")
    volumes: str = Field("file", description="file, file=DIR or lvm=VG/POOL; once served, it stays so")
    region: str = Field(
        "us-east-1", pattern=r"^[a-z]{2}(-[a-z]+)+-\d{1,2}$", description="name of the region; once served, it stays so"
    )
    zones: int = Field(3, ge=1, le=26, description="how many availability zones the region has; never fewer")
    patience: int = Field(20, ge=0, le=3600, description="seconds a guest has to obey the power button or give a disk back")
    max_instances: int | None = Field(None, ge=0, description="instances that an account may have running; no limit by default")
    max_volume_size: int | None = Field(None, ge=1, description="GiB that a volume may have; what its type allows by default")
    max_storage: int | None = Field(
        None, ge=0, description="GiB that an account's volumes may have together; no limit by default"
    )
    max_iops: int | None = Field(None, ge=0, description="IOPS that an account's io1 and io2 volumes may have together")
    max_snapshots: int | None = Field(None, ge=0, description="snapshots that an account may have; no limit by default")
    import_networks: str = Field("", description="networks (CIDR, by commas) beside the public ones that imports may read from")
    import_size: int = Field(256, ge=1, le=65536, description="GiB that an imported disk image, and its disk, may have at most")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="form of the log lines; auto: console on a terminal, else json"
    )
    access_key_id: str | None = Field(None, description="id of the first access key")
    secret_access_key: SecretStr | None = Field(None, description="secret of the first access key")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, cls.file)) if cls.file else sources

    @field_validator("listen", "metrics", "endpoint")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value in (None, "none", ""):
            return None
        match = LISTEN.fullmatch(value or "")
        if match is None or int(match["port"]) > 65535:
            raise ValueError("expected ADDRESS:PORT")
        return value

    @field_validator("state", mode="before")
    @classmethod
    def _is_folder(cls, value: Any) -> Any:
        if value == "":  # the path of which would be the folder that the command happens to run in
            raise ValueError("expected a folder")
        return value

    @field_validator("hypervisor")
    @classmethod
    def _is_hypervisor(cls, value: str) -> str:
        if value not in ("auto", "simulated", "libvirt") and not value.startswith("libvirt="):
            raise ValueError("expected auto, simulated, libvirt or libvirt=URI")
        return value

    @field_validator("volumes")
    @classmethod
    def _is_store(cls, value: str) -> str:
        if not STORE.fullmatch(value):
            raise ValueError("expected file, file=DIR or lvm=VG/POOL")
        return value

    @field_validator("import_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for text in filter(None, value.split(",")):
            try:
                ipaddress.ip_network(text.strip())
            except ValueError:
                raise ValueError("expected networks like 10.0.0.0/8,fd00::/8") from None
        return value

    @field_validator("database")
    @classmethod
    def _is_database(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = sqlalchemy.make_url(value)
        except (sqlalchemy.exc.ArgumentError, ValueError):  # whose texts may show a piece of a password
            raise ValueError(DATABASE) from None
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        in_memory = url.drivername == "sqlite" and url.database in (None, "", ":memory:")
        if url.drivername not in ("sqlite", "postgresql+psycopg") or in_memory:
            raise ValueError(DATABASE)
        return url.render_as_string(hide_password=False)

    @model_validator(mode="after")
    def _key_is_whole(self) -> Settings:
        if self.listen is None:
            raise ValueError("listen: expected ADDRESS:PORT")
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("EC2GW_ACCESS_KEY_ID and EC2GW_SECRET_ACCESS_KEY go together")
        return self

    @property
    def zone_names(self) -> tuple[str, ...]:
        """us-east-1a, us-east-1b, …"""
        return tuple(f"{self.region}{chr(ord('a') + number)}" for number in range(self.zones))

    @property
    def limits(self) -> Limits:
        """What each account may have."""
        return Limits(self.max_instances, self.max_volume_size, self.max_storage, self.max_iops, self.max_snapshots)

    @property
    def readable_networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """What `import_networks` names."""
        return [ipaddress.ip_network(text.strip()) for text in filter(None, self.import_networks.split(","))]

    @property
    def database_url(self) -> str:
        """Where the records are."""
        return self.database or f"sqlite:///{self.state.absolute() / 'records.db'}"


def settle(said: Mapping[str, Any], file: Path | None = None) -> Settings:
    """The settings, with what was `said` on the command line first. Raises pydantic.ValidationError, OSError, ValueError."""
    if file is not None:
        file.open("rb").close()  # a file that was asked for must be there, and a file

    class FromFile(Settings):
        pass

    FromFile.file = file
    words = {name: value for name, value in said.items() if value is not None}
    made = FromFile(**words)
    unsaid = {name: value for name, value in kept(made.state).items() if name not in made.model_fields_set}
    return FromFile(**words, **unsaid) if unsaid else made


def kept(state: Path) -> dict[str, Any]:
    """What a state folder was first served with and stays so, as its disks and records rest on it: region, zones, volumes."""
    path = state / KEPT
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def keep(settings: Settings, name: str) -> None:
    """Have the state folder keep a setting. Raises Unkept when it has another; the number of zones may grow."""
    before, value = kept(settings.state), getattr(settings, name)
    old = before.get(name, value)
    if value < old if isinstance(value, int) else value != old:
        raise Unkept(
            f"{settings.state} was first served with {name} {old}, and its records and disks rest on that, not on {value}"
        )
    if before.get(name) != value:
        draft = settings.state / f".{KEPT}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({**before, name: value}, indent=2) + "\n")
        draft.rename(settings.state / KEPT)


def address(listen: str) -> tuple[str, int]:
    """Host and port of an ADDRESS:PORT that `Settings` has checked."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
