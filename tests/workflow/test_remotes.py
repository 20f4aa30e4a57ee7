"""Remotes: a real OpenSSH server, an S3 server, and files that a web server hands out, all on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.tracking_project import FILES, ROOT, commit, fails, run

pytestmark = pytest.mark.slow
IMAGES = "data/alpha1.h5"


@pytest.fixture
def tracked(tmp_path: Path) -> Path:
    """DVC's settings of this project, and results that DVC tracks: bytes are bytes to a remote."""
    folder = tmp_path / "gahb"
    (folder / ".dvc").mkdir(parents=True)
    for name in (*FILES[3:], ".dvc/config", ".dvc/.gitignore"):
        if name != "dvc.yaml":
            shutil.copy(ROOT / name, folder / name)
    (folder / IMAGES).parent.mkdir(parents=True)
    (folder / IMAGES).write_bytes(bytes(range(256)) * 500)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "add", "data")
    commit(folder, "tracked")
    return folder


def there_and_back(folder: Path, options: dict[str, str], url: str, **environment: str) -> None:
    """Push to the remote, and pull into a clone that has nothing else."""
    clone = folder.parent / "elsewhere"
    run(folder.parent, "git", "clone", "-q", str(folder), str(clone))
    for place in (folder, clone):
        run(place, "dvc", "remote", "add", "--local", "--default", "tested", url)
        for key, value in options.items():
            run(place, "dvc", "remote", "modify", "--local", "tested", key, value)
    assert "pushed" in run(folder, "dvc", "push", **environment)
    assert not (clone / IMAGES).exists()
    run(clone, "dvc", "pull", **environment)
    assert (clone / IMAGES).read_bytes() == (folder / IMAGES).read_bytes()
    assert "up to date" in run(clone, "dvc", "status")


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An sshd of our own on a free port, for the user who runs the tests, by key."""
    daemon = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    if daemon is None:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it confines itself while it authenticates
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        run(keys, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
    settings = [
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {keys}/host",
        f"AuthorizedKeysFile {keys}/user.pub",
        f"PidFile {keys}/pid",
        "StrictModes no",
        "PasswordAuthentication no",
        "PermitRootLogin prohibit-password",
        "UsePAM no",
        "Subsystem sftp internal-sftp",
    ]
    (keys / "config").write_text("\n".join(settings) + "\n")
    server = subprocess.Popen(
        [daemon, "-D", "-e", "-f", str(keys / "config")], stderr=subprocess.PIPE
    )
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, server.stderr.read().decode()
            time.sleep(0.05)
        yield {"port": str(port), "keyfile": str(keys / "user"), "user": getpass.getuser()}
    finally:
        server.terminate()
        server.wait()


def test_ssh(tracked: Path, ssh_server: dict[str, str], tmp_path: Path):
    there_and_back(tracked, ssh_server, f"ssh://127.0.0.1{tmp_path}/remote")
    assert any((tmp_path / "remote").rglob("*.dir"))


def test_http_to_read_only(tracked: Path, tmp_path: Path):
    """A folder that was pushed to, behind any web server, is enough for everybody else to pull."""
    run(tracked, "dvc", "remote", "add", "--local", "--default", "tested", f"{tmp_path}/remote")
    run(tracked, "dvc", "push")
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "remote")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        clone = tmp_path / "elsewhere"
        run(tmp_path, "git", "clone", "-q", str(tracked), str(clone))
        assert "missing-files" in fails(clone, "dvc", "pull")  # no folder lies beside the clone
        url = f"http://127.0.0.1:{server.server_port}"
        run(clone, "dvc", "remote", "add", "--local", "--default", "published", url)
        run(clone, "dvc", "pull")
        server.shutdown()
    assert (clone / IMAGES).read_bytes() == (tracked / IMAGES).read_bytes()


def test_s3(tracked: Path):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="gahb-results")
        options = {
            "endpointurl": endpoint,
            "access_key_id": "test",
            "secret_access_key": "test",
            "region": "us-east-1",
        }
        there_and_back(tracked, options, "s3://gahb-results/here")
        held = client.list_objects_v2(Bucket="gahb-results")["Contents"]
        assert {entry["Key"].split("/")[0] for entry in held} == {"here"}
    finally:
        server.stop()
