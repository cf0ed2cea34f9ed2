"""The servers that are measured: the gateway (simulated machines), moto_server, and a bare aiohttp handler."""

from __future__ import annotations

import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

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
    """One server: it signs, and it sends the same signed bytes again and again."""

    def __init__(self, name: str, port: int, credentials: botocore.credentials.Credentials) -> None:
        self.name = name
        self.port = port
        self._credentials = credentials
        self._client = boto3.client(
            "ec2", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id=credentials.access_key, aws_secret_access_key=credentials.secret_key,
            config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=300),
        )  # fmt: skip
        self._image = ""
        self._stored = 0

    def prepare(self) -> None:
        """An image to launch from."""
        client = self._client
        volume = client.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
        client.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
        snapshot = client.create_snapshot(VolumeId=volume)["SnapshotId"]
        client.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
        self._image = client.register_image(
            Name="bench", Architecture="x86_64", VirtualizationType="hvm", RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
        )["ImageId"]  # fmt: skip

    def grow(self, count: int) -> None:
        """Have `count` running instances stored."""
        more = count - self._stored
        if more > 0:
            self._client.run_instances(ImageId=self._image, InstanceType="t3.micro", MinCount=more, MaxCount=more)
            self._stored = count
            until(self._all_running, 300, "instances to run")

    def _all_running(self) -> bool:
        answer = self._client.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["pending"]}])
        return not answer["Reservations"]

    def request(self, name: str) -> Callable[[], bytes]:
        """Signed requests; those that make something carry no token, so that each makes another."""
        words = {
            "DescribeInstances": {},
            "DescribeVolumes": {},
            "CreateVolume": {"AvailabilityZone": ZONE, "Size": "1"},
            "RunInstances": {"ImageId": self._image, "InstanceType": "t3.micro", "MinCount": "1", "MaxCount": "1"},
        }[name]
        if name == "DescribeVolumes":
            words = {"MaxResults": "100"}
        signed = self._sign({"Action": name, "Version": "2016-11-15", **words})
        return lambda: signed

    def _sign(self, words: dict[str, str]) -> bytes:
        body = urllib.parse.urlencode(words)
        request = botocore.awsrequest.AWSRequest(
            "POST", f"http://127.0.0.1:{self.port}/", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, body
        )
        botocore.auth.SigV4Auth(self._credentials, "ec2", "us-east-1").add_auth(request)
        headers = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)), **dict(request.headers.items())}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{head}\r\n{body}".encode()


class Bare(Server):
    """A handler that reads and answers: what aiohttp itself takes."""

    def prepare(self) -> None:
        """It knows no image."""

    def grow(self, count: int) -> None:
        """It stores nothing."""


@contextmanager
def all_of(folder: Path) -> Iterator[list[Server]]:
    """All three, ready; they end with the block."""
    with ExitStack() as stack:
        gateway = Gateway(folder / "state", "simulated")
        gateway.folder.mkdir()
        gateway.start()
        stack.callback(gateway.stop)
        key = gateway.credentials()
        gateway_key = botocore.credentials.Credentials(key["aws_access_key_id"], key["aws_secret_access_key"])
        other_key = botocore.credentials.Credentials("testing", "testing")
        bare, moto = free_port(), free_port()
        _run(stack, [sys.executable, "-c", BARE, str(bare)], bare)
        _run(stack, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(moto)], moto)
        yield [
            Server("ec2gw", gateway.port, gateway_key),
            Server("moto_server", moto, other_key),
            Bare("bare aiohttp", bare, other_key),
        ]


def _run(stack: ExitStack, command: list[str], port: int) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.kill)
    until(lambda: listens(port), 60, f"a server on port {port}")
