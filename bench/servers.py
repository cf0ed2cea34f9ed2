"""The servers that are measured: the gateway (simulated machines), moto_server, and a bare aiohttp handler."""

from __future__ import annotations

import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

from bench import load
from tests.gateway import Gateway, free_port, listens, until

ZONE = "us-east-1a"
BARE = """
import sys
from aiohttp import web
async def answer(request):
    await request.read()
    return web.Response(body=b"<ok/>", content_type="text/xml")
app = web.Application()
app.router.add_route("*", "/{path:.*}", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
"""


class Server:
    """One server, and requests to it that are signed once and sent again and again."""

    def __init__(self, name: str, port: int, key_id: str, secret: str, pid: int | None = None) -> None:
        self.name = name
        self.pid = pid
        self.port = port
        self._credentials = botocore.credentials.Credentials(key_id, secret)
        make: Any = boto3.client
        self._client = make(
            "ec2", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id=key_id, aws_secret_access_key=secret,
            config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=300),
        )  # fmt: skip
        self._image = self.snapshot = ""
        self._instances: list[str] = []

    def prepare(self) -> None:
        """An image to launch from."""
        client = self._client
        volume = client.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
        client.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
        snapshot = self.snapshot = client.create_snapshot(VolumeId=volume)["SnapshotId"]
        client.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
        self._image = client.register_image(
            Name="bench", Architecture="x86_64", VirtualizationType="hvm", RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
        )["ImageId"]  # fmt: skip

    def grow(self, count: int) -> None:
        """Have `count` running instances stored, each launched by itself as far as its reservation goes."""
        more = count - len(self._instances)
        if more > 0:
            answer = self._client.run_instances(ImageId=self._image, InstanceType="t3.micro", MinCount=more, MaxCount=more)
            self._instances += [row["InstanceId"] for row in answer["Instances"]]
            until(self._all_running, 600, "instances to run")

    def _all_running(self) -> bool:
        answer = self._client.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["pending"]}])
        return not answer["Reservations"]

    def stopped_instance(self, tags: dict[str, str]) -> str:
        """An instance that is stopped, with these tags."""
        specification = {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        answer = self._client.run_instances(
            ImageId=self._image, InstanceType="t3.micro", MinCount=1, MaxCount=1, TagSpecifications=[specification]
        )
        id: str = answer["Instances"][0]["InstanceId"]
        self._client.get_waiter("instance_running").wait(InstanceIds=[id], WaiterConfig={"Delay": 1})
        self._client.stop_instances(InstanceIds=[id], Force=True)
        self._client.get_waiter("instance_stopped").wait(InstanceIds=[id], WaiterConfig={"Delay": 1})
        return id

    def request(self, name: str) -> bytes:
        """The signed bytes of a request. Those that make something carry no token, so that each makes another."""
        action, _, what = name.replace(" of ", ",", 1).partition(",")
        count = what or "1"
        words = {
            "CreateVolume": {"AvailabilityZone": ZONE, "Size": "1"},
            "RunInstances": {"ImageId": self._image, "InstanceType": "t3.micro", "MinCount": count, "MaxCount": count},
            "DescribeVolumes": {"MaxResults": "100"},
        }.get(action, {})
        if what.strip() == "one by id":
            words = {"InstanceId.1": (self._instances or ["i-0"])[0]}
        return self.signed({"Action": action, **words})

    def changes(self) -> list[bytes]:
        """The signed bytes of requests that change something each time they follow one another, and nothing of any instance."""
        words = {"Action": "CreateTags", "ResourceId.1": self.snapshot, "Tag.1.Key": "bench"}
        return [self.signed({**words, "Tag.1.Value": value}) for value in ("one", "other")]

    def signed(self, words: dict[str, str]) -> bytes:
        """A POST of these parameters."""
        body = urllib.parse.urlencode({"Version": "2016-11-15", **words})
        request = botocore.awsrequest.AWSRequest(
            "POST", f"http://127.0.0.1:{self.port}/", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, body
        )
        botocore.auth.SigV4Auth(self._credentials, "ec2", "us-east-1").add_auth(request)
        headers = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)), **dict(request.headers.items())}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{head}\r\n{body}".encode()

    def ask(self, words: dict[str, str]) -> bytes:
        """The body of the answer to these parameters."""
        with load.Client(self.port) as client:
            return client.ask(self.signed(words))


class Bare(Server):
    """A handler that reads and answers: what aiohttp itself takes."""

    def prepare(self) -> None:
        """It knows no image."""

    def grow(self, count: int) -> None:
        """It stores nothing."""


def of_gateway(gateway: Gateway) -> Server:
    """The gateway with its first key."""
    key = gateway.credentials()
    pid = gateway.process.pid if gateway.process else None
    return Server("ec2gw", gateway.port, key["aws_access_key_id"], key["aws_secret_access_key"], pid)


@contextmanager
def all_of(folder: Path) -> Iterator[list[Server]]:
    """All three, ready; they end with the block."""
    with ExitStack() as stack:
        gateway = Gateway(folder / "state", "simulated")
        gateway.folder.mkdir()
        gateway.start()
        stack.callback(gateway.stop)
        bare, moto = free_port(), free_port()
        bare_pid = _run(stack, [sys.executable, "-c", BARE, str(bare)], bare)
        moto_pid = _run(stack, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(moto)], moto)
        yield [
            of_gateway(gateway),
            Server("moto_server", moto, "testing", "testing", moto_pid),
            Bare("bare aiohttp", bare, "testing", "testing", bare_pid),
        ]


def _run(stack: ExitStack, command: list[str], port: int) -> int:
    """Start a server and wait until it listens; returns its process id."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.kill)
    until(lambda: listens(port), 60, f"a server on port {port}")
    return process.pid
