"""The image of docker/Dockerfile, built by buildah on a base that is made here, and run: an example, and two hosts.

Takes many minutes, needs root, buildah and mmdebstrap: `make test-images`. GSL_TEST_BASE may name a ready tar of the
Debian that is made otherwise. No registry of images is asked.
"""

from __future__ import annotations

import configparser
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from graphstorm_like.launch.authority import make_secret_file
from tests.launch.netns import Network

pytestmark = [pytest.mark.image, pytest.mark.netns]

ROOT = Path(__file__).parents[2]
LIBRARIES = (
    "ca-certificates,libssl3t64,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,libreadline8t64,zlib1g,libncursesw6,libuuid1"
)
"""What Python itself needs."""
BUILD_SECONDS, RUN_SECONDS = 2400, 900
PIP_KEYS = ("cert", "find-links", "index-url", "extra-index-url", "proxy", "trusted-host", "timeout")
"""pip's settings that say how its index is reached."""


class Images:
    """buildah with storage of its own, which is thrown away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._storage = ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self._environment = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}

    def command(self, *arguments: str) -> list[str]:
        """For subprocesses that need buildah's own environment, see `environment`."""
        return ["buildah", *self._storage, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return self._environment

    def call(self, *arguments: str, seconds: float = RUN_SECONDS) -> str:
        done = subprocess.run(
            self.command(*arguments), env=self._environment, capture_output=True, text=True, timeout=seconds, cwd=ROOT
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def build(self, tag: str, context: Path, *arguments: str) -> None:
        self.call("bud", *self._limits(), *arguments, "-t", tag, str(context), seconds=BUILD_SECONDS)

    def container(self) -> str:
        """The name of a new container of the image."""
        return self.call("from", *self._limits(), "localhost/gsl:cpu").strip()

    def _limits(self) -> list[str]:
        """This process's own: within a container of ours, higher ones are refused."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        return ["--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={processes}:{processes}"]


def pip_mounts(folder: Path) -> list[str]:
    """This machine's way to its package index, during the build: certificates, pip's settings, local wheels."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, timeout=60, check=True
    )
    settings, mounts = configparser.ConfigParser(), ["-v", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    settings["global"] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in ("global", ":env:", "install") and key in PIP_KEYS:
            settings["global"][key] = value.strip("'")
    wheels = settings["global"].get("find-links", "")
    if Path(wheels).is_dir():
        mounts += ["-v", f"{wheels}:{wheels}:ro"]
    with open(folder / "pip.conf", "w", encoding="utf-8") as file:
        settings.write(file)
    return [*mounts, "-v", f"{folder / 'pip.conf'}:/etc/pip.conf:ro"]


def write_base(context: Path) -> None:
    """A context for a base image: this machine's Debian with this Python, so that the same wheels fit."""
    made = context / "base.tar"
    if given := os.environ.get("GSL_TEST_BASE"):
        shutil.copyfile(given, made)
    else:
        release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        command = ["mmdebstrap", "--variant=minbase", f"--include={LIBRARIES}", release, str(made)]
        subprocess.run(command, check=True, timeout=BUILD_SECONDS, capture_output=True)
    prefix = sys.base_prefix
    leave_out = [f"--exclude={name}" for name in ("*/site-packages", "*/test", "__pycache__", "./share", "*.a")]
    subprocess.run(["tar", "-C", prefix, *leave_out, "-cf", str(context / "python.tar"), "."], check=True, timeout=600)
    lines = ["FROM scratch", "ADD base.tar /", "ADD python.tar /usr/local/", "ENV LD_LIBRARY_PATH=/usr/local/lib"]
    (context / "Containerfile").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    for tool in ("buildah", "mmdebstrap"):
        assert shutil.which(tool), f"these tests need {tool}: apt-get install {tool}"
    folder = tmp_path_factory.mktemp("images")
    made = Images(folder)
    context = folder / "base"
    context.mkdir()
    write_base(context)
    made.build("base", context, "-f", str(context / "Containerfile"))
    arguments = ["-f", str(ROOT / "docker" / "Dockerfile"), "--build-arg", "BASE=localhost/base", *pip_mounts(folder)]
    made.build("gsl:cpu", ROOT, *arguments, "--target", "cpu")
    yield made
    subprocess.run(made.command("rm", "--all"), env=made.environment, timeout=300, check=False)
    subprocess.run(made.command("rmi", "--all", "--force"), env=made.environment, timeout=300, check=False)


@pytest.fixture
def container(images: Images) -> Iterator[str]:
    name = images.container()
    yield name
    images.call("rm", name)


def shop(folder: Path) -> Path:
    """A copy of the example, which the image's user may write to."""
    copy = folder / "shop"
    shutil.copytree(ROOT / "training_scripts" / "shop", copy, ignore=shutil.ignore_patterns("runs"))
    for path in [copy, *copy.rglob("*")]:
        os.chown(path, 1000, 1000)
    for parent in [folder, *folder.parents]:
        if parent.stat().st_uid == os.getuid() and parent != Path(parent.anchor):
            parent.chmod(parent.stat().st_mode | 0o055)
    return copy


def test_what_the_image_is(images: Images) -> None:
    facts = json.loads(images.call("inspect", "--type", "image", "localhost/gsl:cpu"))
    config = facts["OCIv1"]["config"]
    assert config["User"] == "gsl"
    assert config["Entrypoint"] == ["gsl"]
    history = json.dumps(facts["OCIv1"]["history"])
    for secret in ("pip.conf", "AWS_SECRET", "token", "password"):
        assert secret not in history
    (listed,) = json.loads(images.call("images", "--json", "localhost/gsl:cpu"))
    print(f"size of the image: {listed['size']}")


def test_the_example_in_the_image(images: Images, container: str, tmp_path: Path) -> None:
    folder = shop(tmp_path)
    run = ["run", "-v", f"{folder}:/data/shop", container, "--"]
    assert images.call(*run, "id", "-u").strip() == "1000"
    images.call(*run, "python", "/usr/local/bin/gsl-health")
    assert images.call(*run, "sh", "-c", "cat /etc/pip.conf 2>/dev/null || true") == ""  # nothing of this machine
    out = images.call(*run, "gsl", "run", "shop/classes.yaml")
    assert "test" in out
    scores = json.loads((folder / "runs" / "classes" / "evaluate" / "metrics.json").read_text())
    assert scores["test"]["accuracy"] > 0.6
    assert (folder / "runs" / "classes" / "evaluate" / "metrics.json").stat().st_uid == 1000


def test_two_containers_train_together(images: Images, tmp_path: Path) -> None:
    """Each in a network namespace of its own; the same commands as docker/compose.hosts.yaml."""
    folder = shop(tmp_path)
    secret = folder / "secret"
    make_secret_file(secret)
    os.chown(secret, 1000, 1000)
    hosts = [
        "graph.partitions.count=2",
        "launch.on=external",
        "launch.hosts=2",
        "train.epochs=2",
        "output=/data/shop/out",
    ]
    containers = [images.container() for _ in range(2)]
    try:
        mount = ["-v", f"{folder}:/data/shop"]
        images.call("run", *mount, containers[0], "--", "gsl", "construct", "shop/links.yaml", *hosts)
        network = Network(2)
        try:
            jobs = []
            for index, name in enumerate(containers):
                addresses = f"--addresses={network.address(0)},{network.address(1)}"
                told = ["gsl", "host", "shop/links.yaml", *hosts, addresses, "--secret-file=/data/shop/secret"]
                command = images.command("run", *mount, name, "--", *told, f"--index={index}")
                jobs.append(start_in(network, index, command, images.environment))
            outputs = [job.communicate(timeout=RUN_SECONDS)[0] for job in jobs]
            assert [job.returncode for job in jobs] == [0, 0], outputs
        finally:
            network.close()
        scores = json.loads((folder / "out" / "evaluate" / "metrics.json").read_text())
        assert 0 < scores["test"]["mrr"] <= 1
        assert (folder / "out" / "infer" / "manifest.json").is_file()
    finally:
        for name in containers:
            images.call("rm", name)


def start_in(network: Network, host: int, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    """A command in a host's network namespace."""
    return subprocess.Popen(
        network.command(host, command),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
