"""A container engine for `make sam-local-test`: the one that is there, or else Podman with an image that stands in for
Lambda's.

The image is Debian 13 with its Python 3.13, and AWS's runtime client where Lambda's has it. All that Podman keeps is in
.venv/containers.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory

import docker
from docker.errors import DockerException
from samcli.local.docker.lambda_image import LambdaImage, Runtime

from local.database import as_child
from local.rie import MACHINE
from local.template import ROOT

FOLDER = ROOT / ".venv" / "containers"
PROGRAMS = ("debootstrap", "podman", "runc")

# The image that SAM looks for, under the name of Lambda's own.
IMAGE = f"{LambdaImage._INVOKE_REPO_PREFIX}/{Runtime.get_image_name_tag('python3.13', MACHINE)}"

# Where its limits or control groups are not a desktop's, as in a container or a small virtual machine, Podman starts
# nothing without these.
CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
BOOTSTRAP = """\
#!/bin/sh
export PYTHONPATH=/var/task:/opt/python:/var/runtime
cd /var/task
exec /usr/bin/python3 -m awslambdaric "$_HANDLER"
"""


@contextmanager
def engine() -> Iterator[str]:
    """Says of the image that functions run in, for as long as it lasts, that SAM finds an engine."""
    if answers():
        yield f"Lambda's own image ({IMAGE})"
        return
    require()
    (FOLDER / "containers.conf").write_text(CONFIGURATION)
    os.environ |= {"CONTAINERS_CONF": str(FOLDER / "containers.conf"), "BUILDAH_ISOLATION": "chroot"}
    if subprocess.run([*podman(), "image", "exists", IMAGE], check=False).returncode:
        make_image()
    with TemporaryDirectory() as place:
        # A socket's path must be short.
        os.environ["DOCKER_HOST"] = f"unix://{place}/podman.sock"
        command = [*podman(), "system", "service", "--time=0", os.environ["DOCKER_HOST"]]
        with (FOLDER / "podman.log").open("w") as log:
            service = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=as_child)
        try:
            while not answers():
                if service.poll() is not None:
                    sys.exit(f"Podman ended: {(FOLDER / 'podman.log').read_text()}")
                time.sleep(0.1)
            yield "an image that stands in for Lambda's (Debian 13, Python 3.13, awslambdaric)"
        finally:
            service.terminate()
            service.wait()
            subprocess.run([*podman(), "rm", "--all", "--force"], check=False, stdout=subprocess.DEVNULL)


def answers() -> bool:
    with suppress(DockerException):
        return bool(docker.from_env().ping())
    return False


def require() -> None:
    """Exits where the stand-in cannot be made."""
    print(
        "No Docker answers (DOCKER_HOST, /var/run/docker.sock), so an image is made that stands in for Lambda's.",
        flush=True,
    )
    if sys.platform != "linux" or os.geteuid():
        sys.exit("That needs root on Debian. Start Docker, or be root there.")
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        sys.exit(f"That needs: apt-get install --no-install-recommends {' '.join(missing)}")
    FOLDER.mkdir(parents=True, exist_ok=True)


def podman() -> list[str]:
    """The command of one that keeps everything in its own folder, and mounts nothing there that would outlast it."""
    places = ["--root", f"{FOLDER}/storage", "--runroot", f"{FOLDER}/run", "--tmpdir", f"{FOLDER}/tmp"]
    return ["podman", *places, "--storage-opt", "overlay.skip_mount_home=true"]


def make_image() -> None:
    """Fetches Debian, 260 MB when it is unpacked, and puts the runtime in."""
    print("Fetching Debian 13 …", flush=True)
    root = FOLDER / "debian"
    shutil.rmtree(root, ignore_errors=True)
    with (FOLDER / "debootstrap.log").open("w") as log:
        fetched = subprocess.run(
            ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", "trixie", str(root)],
            stdout=log,
            stderr=log,
            check=False,
        )
    if fetched.returncode:
        sys.exit(f"debootstrap failed, says {FOLDER}/debootstrap.log")
    runtime = root / "var" / "runtime"
    platforms = [f"--platform={form}_{os.uname().machine}" for form in ("manylinux2014", "manylinux_2_28")]
    exact = ["--no-deps", "--only-binary=:all:", "--python-version=3.13", *platforms, f"--target={runtime}"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *exact, "--require-hashes", f"--requirement={ROOT}/local/runtime.txt"], check=True)
    (runtime / "bootstrap").write_text(BOOTSTRAP)
    (runtime / "bootstrap").chmod(0o755)
    (root / "var" / "task").mkdir()
    packed = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    subprocess.run([*podman(), "import", "--quiet", "-", IMAGE], stdin=packed.stdout, check=True)
    if packed.wait():
        sys.exit("tar failed")
    shutil.rmtree(root)
