"""Settings: which source counts, what is refused, what a state folder keeps."""

from __future__ import annotations

import os
from pathlib import Path

import pydantic
import pytest

from ec2gw import config
from ec2gw.model import limits


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting comes from the environment of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("EC2GW_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))


def test_defaults(tmp_path: Path) -> None:
    settings = config.settle({})
    assert settings.listen == "127.0.0.1:8773"
    assert settings.metrics == "127.0.0.1:8774"
    assert settings.state == tmp_path / "xdg" / "ec2gw"
    assert settings.zone_names == ("us-east-1a", "us-east-1b", "us-east-1c")
    assert settings.database_url == f"sqlite:///{tmp_path}/xdg/ec2gw/records.db"


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('region = "eu-file-1"\npatience = 7\nzones = 2\n')
    monkeypatch.setenv("EC2GW_REGION", "eu-env-1")
    monkeypatch.setenv("EC2GW_PATIENCE", "8")
    settings = config.settle({"region": "eu-flag-1", "patience": None}, file)
    assert (settings.region, settings.patience, settings.zones) == ("eu-flag-1", 8, 2)
    assert settings.log_format == "auto"


def test_limits_are_what_each_account_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.settle({}).limits == limits.NONE
    monkeypatch.setenv("EC2GW_MAX_INSTANCES", "0")
    assert config.settle({"max_storage": "100"}).limits == limits.Limits(instances=0, storage=100)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen", "8773"),
        ("listen", "127.0.0.1:99999"),
        ("listen", "none"),
        ("endpoint", "http://somewhere:80/"),
        ("hypervisor", "vmware"),
        ("volumes", "lvm=pool"),
        ("volumes", "lvm=-vg/pool"),
        ("volumes", "lvm=vg/pool/more"),
        ("volumes", "file="),
        ("region", "Us East"),
        ("zones", "0"),
        ("zones", "27"),
        ("patience", "-1"),
        ("max_instances", "-1"),
        ("max_volume_size", "0"),
        ("max_storage", "much"),
        ("database", "mysql://somewhere/ec2"),
        ("database", "nonsense"),
        ("log_format", "xml"),
    ],
)
def test_what_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(pydantic.ValidationError):
        config.settle({name: value})


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::1]:8773", "gateway.example:8773", "127.0.0.1:0"])
def test_addresses(listen: str) -> None:
    host, port = config.address(config.settle({"listen": listen}).listen)
    assert f"[{host}]:{port}" == listen if ":" in host else f"{host}:{port}" == listen


def test_a_setting_that_there_is_not_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('regoin = "eu-1"\n')
    with pytest.raises(pydantic.ValidationError, match="regoin"):
        config.settle({}, file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        config.settle({}, tmp_path / "none.toml")


def test_half_a_key_is_refused_and_its_secret_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EC2GW_SECRET_ACCESS_KEY", "a-very-secret-word")
    with pytest.raises(pydantic.ValidationError) as refused:
        config.settle({})
    assert "a-very-secret-word" not in "".join(row["msg"] for row in refused.value.errors())
    monkeypatch.setenv("EC2GW_ACCESS_KEY_ID", "AKIAEXAMPLE")
    assert "a-very-secret-word" not in repr(config.settle({}))


def test_postgresql_is_reached_by_psycopg() -> None:
    assert config.settle({"database": "postgresql://me:w%40rd@h/n"}).database_url == "postgresql+psycopg://me:w%40rd@h/n"


def test_what_a_state_folder_keeps_stands_below_what_is_said(tmp_path: Path) -> None:
    first = config.settle({"state": tmp_path, "region": "eu-kept-1", "zones": 2, "volumes": "lvm=vg/pool"})
    for name in ("region", "zones", "volumes"):
        config.keep(first, name)
    later = config.settle({"state": tmp_path})
    assert (later.region, later.zones, later.volumes) == ("eu-kept-1", 2, "lvm=vg/pool")
    for name, value in (("region", "eu-other-1"), ("volumes", "file"), ("zones", 1)):
        with pytest.raises(config.Unkept, match=name):
            config.keep(config.settle({"state": tmp_path, name: value}), name)
    config.keep(config.settle({"state": tmp_path, "zones": 3}), "zones")
    assert config.settle({"state": tmp_path}).zones == 3
