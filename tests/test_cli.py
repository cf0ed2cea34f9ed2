"""The command line, as a user meets it: words in, words and an exit status out, never a traceback."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
import click.testing
import pytest

from ec2gw import cli
from tests.gateway import Gateway


class Terminal:
    """A user's terminal with a state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def run(self, *words: str | Path, status: int = 0) -> str:
        """What the command printed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EC2GW_")}
        environment |= {"EC2GW_STATE": str(self.state), "EC2GW_HYPERVISOR": "simulated", "COLUMNS": "160"}
        done = subprocess.run(
            [sys.executable, "-m", "ec2gw", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout if status == 0 else done.stdout + done.stderr


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "state")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1500M"], check=True)
    return path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "state", "simulated")
    made.start()
    yield made
    assert made.stop() == 0


def commands(group: click.Group, *words: str) -> Iterator[list[str]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)
        else:
            yield [*words, name]


@pytest.mark.parametrize("words", list(commands(cli.main)), ids=" ".join)
def test_every_command_explains_itself(words: list[str]) -> None:
    done = click.testing.CliRunner().invoke(cli.main, [*words, "--help"])
    assert done.exit_code == 0
    assert re.search(r"\n  [A-Z].*\.", done.output)
    assert "--state" in done.output
    assert "--config" in done.output


# -- Accounts and keys -------------------------------------------------------------------------------------------------------


def test_accounts_and_keys_without_a_gateway(terminal: Terminal) -> None:
    account, name, key, secret = terminal.run("account", "create", "staff").split()
    assert re.fullmatch(r"\d{12}", account)
    assert name == "staff"
    assert account in terminal.run("account", "list")
    assert re.search(rf"{key} +{account} +active", terminal.run("key", "list"))
    second, _ = terminal.run("key", "create", "staff").split()
    terminal.run("key", "disable", key)
    listed = terminal.run("key", "list")
    assert re.search(rf"{key} .*inactive", listed)
    assert re.search(rf"{second} .* active", listed)
    assert secret not in listed
    terminal.run("key", "enable", key)
    terminal.run("key", "delete", second)
    assert second not in terminal.run("key", "list")


def test_what_there_is_not_is_refused_in_a_line(terminal: Terminal) -> None:
    assert "ec2gw: account not found: nobody" in terminal.run("key", "create", "nobody", status=1)
    assert "ec2gw: key not found: AKIANONE" in terminal.run("key", "disable", "AKIANONE", status=1)
    terminal.run("account", "create", "staff")
    assert "ec2gw: account taken: staff" in terminal.run("account", "create", "staff", status=1)


def test_a_running_gateway_follows_at_once(served: Gateway) -> None:
    ec2 = served.client()
    ec2.describe_regions()
    key = served.credentials()["aws_access_key_id"]
    served.run("key", "disable", key)
    with pytest.raises(botocore.exceptions.ClientError, match="AuthFailure"):
        ec2.describe_regions()
    served.run("key", "enable", key)
    ec2.describe_regions()


def test_a_list_shows_words_whole_and_as_they_are(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "b" * 128
    for name in ("[red]x[/red]", "[/red]", long):
        terminal.run("account", "create", name)
    names = {line.split()[1] for line in terminal.run("account", "list").splitlines()[1:]}
    assert names == {"[red]x[/red]", "[/red]", long}


# -- Images ------------------------------------------------------------------------------------------------------------------


def test_an_image_imported_beside_a_gateway_can_be_launched(served: Gateway, disk: Path) -> None:
    image, snapshot = served.run("image", "import", str(disk), "--name", "brought", "--root-device-name", "/dev/xvda").split()
    ec2 = served.client()
    (row,) = ec2.describe_images(ImageIds=[image])["Images"]
    assert (row["Name"], row["State"], row["RootDeviceName"], row["Architecture"]) == (
        "brought",
        "available",
        "/dev/xvda",
        "x86_64",
    )
    (mapping,) = row["BlockDeviceMappings"]
    assert (mapping["Ebs"]["SnapshotId"], mapping["Ebs"]["VolumeSize"]) == (snapshot, 2)  # 1500 MiB need 2 GiB
    (instance,) = ec2.run_instances(ImageId=image, InstanceType="m1.small", MinCount=1, MaxCount=1)["Instances"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance["InstanceId"]], WaiterConfig={"Delay": 1})


def test_an_import_finds_the_store_that_is_served(tmp_path: Path, disk: Path) -> None:
    """Neither the store nor the region need be said again."""
    elsewhere = tmp_path / "elsewhere"
    terminal = Terminal(tmp_path / "state")
    terminal.run("account", "create", "staff", "--region", "eu-home-1")
    _, first = terminal.run("image", "import", disk, "--name", "one", "--volumes", f"file={elsewhere}").split()
    _, second = terminal.run("image", "import", disk, "--name", "two").split()
    found = "\n".join(str(path) for path in elsewhere.rglob("*"))
    assert first in found
    assert second in found
    refusal = terminal.run("image", "import", disk, "--name", "three", "--volumes", "file", status=1)
    assert "was first served with volumes file=" in refusal


@pytest.mark.parametrize("kind", ["text", "backed", "missing"])
def test_what_is_no_image_is_refused_and_leaves_nothing(terminal: Terminal, disk: Path, tmp_path: Path, kind: str) -> None:
    terminal.run("account", "create", "staff")
    path = tmp_path / kind
    if kind == "text":
        path.write_bytes(b"KDMV" + bytes(100))
    elif kind == "backed":
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "qcow2", path], check=True)
    terminal.run("image", "import", path, "--name", "bad", status=2 if kind == "missing" else 1)
    assert "0 snapshots" in terminal.run("doctor")


def test_a_name_that_is_taken_is_refused_before_any_work(terminal: Terminal, disk: Path) -> None:
    terminal.run("account", "create", "staff")
    terminal.run("image", "import", disk, "--name", "one")
    terminal.run("image", "import", disk, "--name", "one", status=1)
    assert "1 snapshots" in terminal.run("doctor")
    assert list((terminal.state / "imports").iterdir()) == []


def test_an_import_needs_an_account(terminal: Terminal, disk: Path) -> None:
    assert "there is no account yet" in terminal.run("image", "import", disk, "--name", "one", status=1)


# -- Doctor ------------------------------------------------------------------------------------------------------------------


def test_doctor_changes_nothing(terminal: Terminal) -> None:
    said = terminal.run("doctor")
    assert "none yet in" in said
    assert not terminal.state.exists()


def test_doctor_finds_what_is_stray_and_what_is_missing(terminal: Terminal, disk: Path) -> None:
    terminal.run("account", "create", "staff")
    _, snapshot = terminal.run("image", "import", disk, "--name", "one").split()
    assert "1 snapshots" in terminal.run("doctor")
    (held,) = (terminal.state / "volumes" / "disks").glob(f"{snapshot}*")
    stray = held.with_name(held.name.replace(snapshot, "vol-00000000000000bad"))
    held.rename(stray)
    said = terminal.run("doctor", status=1)
    assert re.search(r"no +stray disks +vol-00000000000000bad", said)
    assert re.search(rf"no +missing disks +{snapshot}", said)
    stray.rename(held)
    terminal.run("doctor")


def test_doctor_beside_a_gateway(served: Gateway) -> None:
    assert "the gateway that serves has the hypervisor" in " ".join(served.run("doctor").split())


def test_doctor_says_how_to_get_what_the_settings_need(terminal: Terminal) -> None:
    said = terminal.run("doctor", "--volumes", "lvm=vg/none", status=1)
    assert "device-mapper: modprobe dm-thin-pool" in said or "vg/none" in said


# -- Trouble -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--listen", "nowhere"], "listen: .*expected ADDRESS:PORT"),
        (["serve", "--listen", "192.0.2.1:80"], "cannot listen on 192.0.2.1:80"),
        (["serve", "--volumes", "tape"], "volumes: .*expected file"),
        (["serve", "--volumes", "lvm=vg/none", "--listen", "127.0.0.1:0", "--metrics", "none"], "."),
        (["serve", "--config", "/nowhere.toml"], "/nowhere.toml"),
        (["key", "list", "--database", "postgresql://nobody@127.0.0.1:1/none"], "the records cannot be reached"),
        (["key", "list", "--state", "/proc/nowhere"], "/proc/nowhere"),
        (["key", "list", "--state", "/proc/version"], "^ec2gw: .Errno 20. Not a directory: '/proc/version/kept.json'"),
        (["key", "list", "--state", ""], "state: expected a folder"),
        (["key", "list", "--config", "/proc"], "Is a directory: '/proc'"),
        (["key", "list", "--database", "sqlite:////proc/version"], "the records cannot be reached"),
        (["key", "list", "--database", "sqlite://"], "database: expected sqlite:///FILE"),
        (["key", "list", "--database", "postgresql+none://h/n"], "database: expected sqlite:///FILE"),
        (["key", "disable", "\udcff"], "a word of the command line is not UTF-8"),
    ],
)
def test_trouble_is_told_in_a_line(terminal: Terminal, words: list[str], said: str) -> None:
    told = terminal.run(*words, status=1)
    assert re.search(said, told)
    assert told.startswith("ec2gw: ")


def test_a_secret_in_a_bad_setting_is_not_shown(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('secret_access_key = "a-very-secret-word"\ndatabase = "mysql://me:another-secret@h/n"\n')
    told = terminal.run("key", "list", "--config", file, status=1)
    assert "secret-word" not in told
    assert "another-secret" not in told


def test_a_piece_of_a_password_in_a_broken_url_is_not_shown(terminal: Terminal) -> None:
    told = terminal.run(
        "key", "list", "--database", "postgresql://me:ha/lf@h/n", "--database", "postgresql://me:half/x", status=1
    )
    assert told == "ec2gw: database: expected sqlite:///FILE or postgresql://USER@HOST/NAME\n"


def test_a_folder_of_others_is_not_taken(terminal: Terminal) -> None:
    """It would be closed to everybody but its owner."""
    terminal.state.mkdir(mode=0o755)
    (terminal.state / "letter").touch()
    assert "is not empty, and not a state folder" in terminal.run("key", "list", status=1)
    assert (terminal.state.stat().st_mode & 0o777, [path.name for path in terminal.state.iterdir()]) == (0o755, ["letter"])
    (terminal.state / "letter").rename(terminal.state / "lost+found")
    terminal.run("key", "list")
    assert terminal.state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("name", "said"), [("kept.json", "kept.json cannot be read"), ("key", "key does not hold the key")])
def test_a_spoilt_file_of_the_state_folder_is_told_of(terminal: Terminal, name: str, said: str) -> None:
    terminal.run("account", "create", "staff")
    (terminal.state / name).write_text("{")
    assert said in terminal.run("key", "create", "staff", status=1)


def test_records_of_a_newer_version_are_refused(terminal: Terminal) -> None:
    terminal.run("account", "create", "staff")
    records = sqlite3.connect(terminal.state / "records.db")
    records.execute("UPDATE alembic_version SET version_num = '9999'")
    records.commit()
    records.close()
    assert "a newer one wrote them" in terminal.run("account", "list", status=1)
