"""A gateway put together: its first start, its doors, how it ends, what it refuses."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest

from ec2gw import app, config
from tests.gateway import Gateway, free_port, listens, until


def settings(state: Path, **more: Any) -> config.Settings:
    said = {"state": state, "listen": "127.0.0.1:0", "metrics": "none", "hypervisor": "simulated"}
    return config.settle({**said, **more})


def client(gateway: app.App, service: str = "ec2") -> Any:
    written = configparser.ConfigParser()
    written.read(gateway.credentials)
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{gateway.port}",
        region_name="us-east-1",
        aws_access_key_id=written["default"]["aws_access_key_id"],
        aws_secret_access_key=written["default"]["aws_secret_access_key"],
    )


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[app.App]:
    made = app.build(settings(tmp_path / "state"))
    made.start()
    yield made
    made.stop()


def test_the_first_start_gives_a_key_that_signs(gateway: app.App) -> None:
    (region,) = client(gateway).describe_regions()["Regions"]
    assert region["RegionName"] == "us-east-1"
    assert region["Endpoint"] == f"127.0.0.1:{gateway.port}"


def test_a_network_that_was_deleted_does_not_come_back_at_a_start(gateway: app.App, tmp_path: Path) -> None:
    ec2 = client(gateway)
    (vpc,), (internet,) = ec2.describe_vpcs()["Vpcs"], ec2.describe_internet_gateways()["InternetGateways"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.detach_internet_gateway(InternetGatewayId=internet["InternetGatewayId"], VpcId=vpc["VpcId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    ec2.delete_dhcp_options(DhcpOptionsId=vpc["DhcpOptionsId"])
    gateway.stop()
    again = app.build(settings(tmp_path / "state"))
    again.start()
    try:
        assert client(again).describe_vpcs()["Vpcs"] == []
    finally:
        again.stop()


def test_nothing_in_the_state_folder_is_for_others(gateway: app.App) -> None:
    assert stat.S_IMODE(gateway.settings.state.stat().st_mode) == 0o700
    files = [path for path in gateway.settings.state.rglob("*") if path.is_file()]
    assert {"key", "credentials", "records.db", "kept.json", "lock", "migration.lock"} <= {path.name for path in files}
    assert {str(path): stat.S_IMODE(path.stat().st_mode) for path in files} == {str(path): 0o600 for path in files}


def test_the_key_of_the_first_start_may_be_brought_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EC2GW_ACCESS_KEY_ID", "AKIABROUGHTALONG")
    monkeypatch.setenv("EC2GW_SECRET_ACCESS_KEY", "brought-along-secret")
    gateway = app.build(settings(tmp_path / "state"))
    gateway.start()
    try:
        assert "aws_access_key_id = AKIABROUGHTALONG\n" in gateway.credentials.read_text()
        client(gateway).describe_regions()
    finally:
        gateway.stop()


def test_a_second_start_keeps_the_key_and_what_was_made(tmp_path: Path) -> None:
    volumes = []
    for _ in range(2):
        gateway = app.build(settings(tmp_path / "state"))
        gateway.start()
        volumes.append(client(gateway).create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"])
        seen = {row["VolumeId"] for row in client(gateway).describe_volumes()["Volumes"]}
        gateway.stop()
    assert seen == set(volumes)


def test_two_gateways_in_one_process(gateway: app.App, tmp_path: Path) -> None:
    other = app.build(settings(tmp_path / "other", region="eu-other-1"))
    other.start()
    try:
        assert client(other).describe_regions()["Regions"][0]["RegionName"] == "eu-other-1"
        assert client(gateway).describe_regions()["Regions"][0]["RegionName"] == "us-east-1"
    finally:
        other.stop()


def test_a_state_folder_is_served_once(gateway: app.App) -> None:
    with pytest.raises(app.CannotServe, match="another process serves"):
        app.build(settings(gateway.settings.state))


def test_what_was_refused_lets_go_of_everything(gateway: app.App, tmp_path: Path) -> None:
    state = tmp_path / "other"
    with pytest.raises(app.CannotServe, match=f"cannot listen on 127.0.0.1:{gateway.port}"):
        app.build(settings(state, listen=f"127.0.0.1:{gateway.port}"))
    other = app.build(settings(state))
    other.stop()  # never started


def test_one_address_is_not_for_both(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    gateway = app.build(settings(tmp_path / "state", listen=address, metrics=address))
    with pytest.raises(app.CannotServe, match=f"cannot listen on {address}: "):
        gateway.start()
    gateway.stop()


def test_another_region_or_store_than_before_is_refused(tmp_path: Path) -> None:
    app.build(settings(tmp_path / "state")).stop()
    for name, value in (("region", "eu-other-1"), ("zones", 2), ("volumes", f"file={tmp_path}/elsewhere")):
        with pytest.raises(config.Unkept, match=name):
            app.build(settings(tmp_path / "state", **{name: value}))


def test_health_and_metrics(tmp_path: Path) -> None:
    port = free_port()
    gateway = app.build(settings(tmp_path / "state", metrics=f"127.0.0.1:{port}"))
    gateway.start()
    try:
        client(gateway).create_volume(AvailabilityZone="us-east-1a", Size=1)
        client(gateway).get_waiter("volume_available").wait(WaiterConfig={"Delay": 1})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            assert (answer.status, answer.read()) == (200, b"ok\n")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
    finally:
        gateway.stop()
    assert 'ec2gw_requests_total{action="CreateVolume",code="OK"} 1.0' in lines
    assert 'ec2gw_records{kind="volume",state="available"} 1.0' in lines
    assert any(line.startswith("ec2gw_engine_steps_total{") for line in lines)


def test_auto_takes_real_machines_where_they_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(tmp_path, hypervisor="auto")
    assert app.choose_hypervisor(chosen) == ("qemu:///embed", "libvirt and QEMU are installed")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert app.choose_hypervisor(chosen) == ("simulated", "qemu-system-x86_64 is not installed")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert app.choose_hypervisor(chosen) == ("simulated", "the Python package libvirt-python is not installed")
    with pytest.raises(app.CannotServe, match="libvirt-python"):
        app.open_hypervisor(chosen, "qemu:///embed")
    assert app.choose_hypervisor(settings(tmp_path, hypervisor="libvirt=qemu:///system"))[0] == "qemu:///system"


# -- As a process --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "state", "simulated")
    made.start()
    yield made
    assert made.process is not None
    if made.process.poll() is None:
        made.kill()


def test_the_lines_to_paste_work(served: Gateway) -> None:
    exports = [line.strip() for line in served.log().splitlines() if line.strip().startswith("export ")]
    assert len(exports) == 2
    script = "\n".join([*exports, "aws ec2 describe-availability-zones --query AvailabilityZones[].ZoneName --output text"])
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(served.folder)}
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["us-east-1a", "us-east-1b", "us-east-1c"], done.stderr
    assert f"http://127.0.0.1:{served.port}/" in served.log()
    assert "Machines: simulated" in served.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(served: Gateway, number: signal.Signals) -> None:
    """A request under way is answered, no new one is taken, and the exit status is 0."""
    assert served.process is not None
    ec2 = served.client()
    records = sqlite3.connect(served.folder / "records.db", isolation_level=None)
    with ThreadPoolExecutor() as pool:
        records.execute("BEGIN IMMEDIATE")  # the gateway cannot write now, so the request takes a while
        under_way = pool.submit(ec2.create_volume, AvailabilityZone="us-east-1a", Size=1)
        time.sleep(0.5)
        served.process.send_signal(number)
        until(lambda: not listens(served.port), 10, "the door to be closed")
        assert served.process.poll() is None
        assert not under_way.done()
        records.execute("ROLLBACK")
        assert under_way.result()["VolumeId"].startswith("vol-")
    assert served.process.wait(30) == 0
    assert records.execute("SELECT id FROM volume").fetchall() == [(under_way.result()["VolumeId"],)]
    records.close()


def test_a_killed_gateway_goes_on_where_it_was(served: Gateway) -> None:
    volume = served.client().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    served.kill()
    served.start()
    served.client().get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})


def test_many_clients_do_not_take_the_last_descriptor(tmp_path: Path) -> None:
    served = Gateway(tmp_path / "state", "simulated")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        served.spawn()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    until(lambda: listens(served.port), 60, "the door to be open")
    with ExitStack() as idle:
        for _ in range(300):
            idle.enter_context(socket.create_connection(("127.0.0.1", served.port)))
        volume = served.client().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        served.client().get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    assert served.stop() == 0


def test_no_secret_is_ever_logged(served: Gateway) -> None:
    secret = served.credentials()["aws_secret_access_key"]
    served.client().describe_instances()
    assert secret not in served.log()


def test_a_log_that_cannot_be_written_fails_no_request(tmp_path: Path) -> None:
    """Nor a step of the engine."""
    served = Gateway(tmp_path / "state", "simulated")
    with Path("/dev/full").open("wb") as full:
        served.spawn(full)
    try:
        until(lambda: listens(served.port), 60, "the door to be open")
        volume = served.client().create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        served.client().get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
        assert served.stop() == 0
    finally:
        assert served.process is not None
        served.process.kill()


def test_json_log_lines_carry_the_request_id(tmp_path: Path) -> None:
    served = Gateway(tmp_path / "state", "simulated")
    served.start(EC2GW_LOG_FORMAT="json")
    try:
        answer = served.client().create_volume(AvailabilityZone="us-east-1a", Size=1)
        served.client().get_waiter("volume_available").wait(VolumeIds=[answer["VolumeId"]], WaiterConfig={"Delay": 1})
    finally:
        assert served.stop() == 0
    lines = [json.loads(line) for line in served.log().splitlines() if line.startswith("{")]
    requests = {line.get("request_id"): line for line in lines if line["event"] == "request"}
    assert requests[answer["ResponseMetadata"]["RequestId"]]["action"] == "CreateVolume"
    assert any(line["event"] == "step" and line["id"] == answer["VolumeId"] for line in lines)
