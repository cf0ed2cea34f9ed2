"""The model by version, and the register that refuses misspelt actions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.session
import pytest

from ec2gw.query import api, errors


@pytest.fixture(autouse=True)
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, api.Action]]:
    """An empty register for the test alone."""
    empty: dict[str, api.Action] = {}
    monkeypatch.setattr(api, "REGISTER", empty)
    yield empty


def test_every_version_that_botocore_brings_is_known() -> None:
    loader = botocore.session.get_session().get_component("data_loader")
    assert list(api.BUNDLED) == loader.list_api_versions("ec2", "service-2")
    assert api.BUNDLED[0] == "2014-09-01" and api.NEWEST == "2016-11-15" and len(api.BUNDLED) == 8


@pytest.mark.parametrize(
    ("version", "date"),
    [
        ("2006-06-26", "2014-09-01"),
        ("2009-11-30", "2014-09-01"),
        ("2014-08-31", "2014-09-01"),
        ("2014-09-01", "2014-09-01"),
        ("2014-10-01", "2014-10-01"),
        ("2015-09-30", "2015-04-15"),
        ("2015-10-01", "2015-10-01"),
        ("2016-11-14", "2016-09-15"),
        ("2016-11-15", "2016-11-15"),
    ],
)
def test_a_version_is_answered_by_the_newest_model_not_after_it(version: str, date: str) -> None:
    assert api.bundled(version) == date
    assert api.operation("DescribeRegions", version).name == "DescribeRegions"


@pytest.mark.parametrize(
    "version",
    [
        "",
        "2016-11-16",
        "2026-01-01",
        "2006-06-25",
        "1999-01-01",
        "2014-02-30",
        "20141001",
        "2014-W10-1",
        "latest",
        "٢٠١٤-10-01",
        "2014-10-01 ",
    ],
)
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(errors.Fault) as caught:
        api.operation("DescribeRegions", version)
    assert (caught.value.code, caught.value.status) == ("NoSuchVersion", 400)


@pytest.mark.parametrize("name", ["", "describeRegions", "NoSuchAction", "__class__"])
def test_unknown_actions_are_refused(name: str) -> None:
    with pytest.raises(errors.Fault) as caught:
        api.operation(name, "2016-11-15")
    assert (caught.value.code, caught.value.status) == ("InvalidAction", 400)
    assert caught.value.message == f"The action {name} is not valid for this web service."


def test_names_are_those_of_boto3() -> None:
    client = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    assert {found.snake: found.name for found in api.model(api.NEWEST).operations.values()} == client.meta.method_to_api_mapping


def test_tokens_are_the_models() -> None:
    tokens = {name: found.token for name, found in api.model(api.NEWEST).operations.items()}
    assert tokens["RunInstances"] == tokens["CreateVolume"] == tokens["CopyImage"] == "ClientToken"
    assert tokens["CreateImage"] is tokens["CreateSnapshot"] is tokens["CreateKeyPair"] is None


def test_an_action_is_entered_under_the_models_name(register: dict[str, api.Action]) -> None:
    @api.action
    def create_network_acl(call: api.Call, req: api.Request) -> api.Response:
        return {}

    @api.action
    def describe_vpcs(call: api.Call, req: api.Request) -> api.Response:
        return {}

    @api.action(writes=False, refreshes=lambda bell, req: bell.refresh_console(req["InstanceId"]))
    def enable_ebs_encryption_by_default(call: api.Call, req: api.Request) -> api.Response:
        return {}

    assert set(register) == {"CreateNetworkAcl", "DescribeVpcs", "EnableEbsEncryptionByDefault"}
    assert register["CreateNetworkAcl"] == api.Action(
        "CreateNetworkAcl", create_network_acl, True, "ClientToken", None, None, None
    )
    assert not register["DescribeVpcs"].writes and not register["EnableEbsEncryptionByDefault"].writes
    assert api.operation("CreateNetworkAcl", "2014-02-01").action is register["CreateNetworkAcl"]
    assert api.operation("DeleteNetworkAcl", "2014-02-01").action is None


def test_a_misspelt_action_fails_at_import() -> None:
    def create_volumes(call: api.Call, req: api.Request) -> api.Response:
        return {}

    with pytest.raises(LookupError, match="create_volumes"):
        api.action(create_volumes)


def test_an_action_is_entered_once() -> None:
    def create_network_acl(call: api.Call, req: api.Request) -> api.Response:
        return {}

    api.action(create_network_acl)
    with pytest.raises(LookupError, match="twice"):
        api.action(create_network_acl)


def test_a_model_in_the_home_directory_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / ".aws" / "models" / "ec2" / "2099-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text("{}")
    run = [sys.executable, "-c", "from ec2gw.query import api; print(api.NEWEST)"]
    environment = os.environ | {"HOME": str(tmp_path), "AWS_DATA_PATH": str(folder.parents[1])}
    answer = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "2016-11-15"
