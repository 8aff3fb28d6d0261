"""Builds the stages of a Dockerfile in folders: a clean Debian root, and its very RUN steps in it.

Everything that is mounted is mounted in a namespace of its own, so it is gone when the command
ends, however it ends.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from dockerfile import Dockerfile, Instruction, Stage, expand

SUITES = {"12": "bookworm", "13": "trixie"}
MIRROR = "http://deb.debian.org/debian"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT_SECONDS = 1800
NAMES = ("/etc/resolv.conf", "/etc/hosts")
"""Of this machine, so that names are found."""
PASSED = ("PIP_", "UV_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Settings of this machine for reaching packages: given to the steps, written nowhere."""
PIP_FILES = ("/etc/pip.conf", str(Path.home() / ".config/pip/pip.conf"), "/etc/uv/uv.toml")


class StepError(Exception):
    """A step failed; the message is the end of what it said."""


def passed() -> tuple[dict[str, str], dict[str, str]]:
    """Return what this machine has set for reaching packages, and files to be seen by a step.

    Returns
    -------
    tuple
        The environment, and the files by the place where they are to be seen. A file that the
        environment names is seen in a place of its own: a package may write the same path.
    """
    environment = {k: v for k, v in os.environ.items() if k.upper().startswith(PASSED)}
    files = {name: name for name in (*NAMES, *PIP_FILES) if Path(name).is_file()}
    for number, (name, value) in enumerate(sorted(environment.items())):
        if value.startswith("/") and Path(value).is_file():
            environment[name] = place = f"/run/passed/{number}"
            files[place] = value
        elif value.startswith("/"):
            del environment[name]  # a folder that the root does not have
    return environment, files


class Builder:
    """Builds stages, each once for the same input.

    Parameters
    ----------
    source
        Where the Dockerfile and what it copies stand.
    dockerfile
        What was read of it.
    cache
        Where the roots are kept.
    arguments
        ``--build-arg``.
    """

    def __init__(
        self, source: Path, dockerfile: Dockerfile, cache: Path, arguments: dict[str, str]
    ) -> None:
        self._source = source
        self._file = dockerfile
        self._cache = cache
        self._arguments = arguments
        self.built: dict[str, Path] = {}
        self.environment: dict[str, dict[str, str]] = {}

    def build(self) -> Path:
        """Build all stages, and return the root of the last one."""
        for stage in self._file.stages.values():
            began = time.monotonic()
            root, fresh = self._stage(stage)
            self.built[stage.name] = root
            words = f"built in {time.monotonic() - began:.0f} s" if fresh else "as it was"
            print(f"ok    stage {stage.name}: {words}", flush=True)
        return self.built[self._file.final.name]

    def _stage(self, stage: Stage) -> tuple[Path, bool]:
        parent = self.built.get(stage.base) or self._debian(stage.base)
        environment = dict(self.environment.get(stage.base, {"PATH": PATH}))
        digest = self._digest(stage, parent)
        root = self._cache / f"{stage.name}-{digest}"
        fresh = not root.is_dir()
        work = root if not fresh else self._cache / f"{stage.name}.unfinished"
        if fresh:
            for old in self._cache.glob(f"{stage.name}-*"):
                shutil.rmtree(old)
            shutil.rmtree(work, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", parent, work], check=True)
        folder, arguments = "/", {}
        for step in stage.instructions:
            if step.name == "ENV":
                environment |= {k: expand(v, environment) for k, v in step.pairs.items()}
            elif step.name == "ARG":
                name, _, default = step.text.partition("=")
                arguments[name] = self._arguments.get(name, default)
            elif step.name == "WORKDIR":
                folder = step.text
                if fresh:
                    (work / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step.name == "COPY" and fresh:
                self._copy(step, work, folder)
            elif step.name == "RUN" and fresh:
                run_step(work, step.text, folder, environment | arguments)
        self.environment[stage.name] = environment
        if fresh:
            work.rename(root)
        return root, fresh

    def _digest(self, stage: Stage, parent: Path) -> str:
        """Return a hash of all that decides what a stage holds."""
        given = hashlib.sha256(parent.name.encode())
        for step in stage.instructions:
            given.update(f"{step.name} {step.text}\n".encode())
            if step.name == "ARG":
                given.update(self._arguments.get(step.text.partition("=")[0], "").encode())
            if step.name == "COPY" and "from" in step.options:
                given.update(self.built[step.options["from"]].name.encode())
            elif step.name == "COPY":
                for path in self._files(step):
                    given.update(str(path.relative_to(self._source)).encode())
                    given.update(path.read_bytes())
        return given.hexdigest()[:12]

    def _files(self, step: Instruction) -> list[Path]:
        """Return the files a COPY takes from the source, as .dockerignore leaves them."""
        found = []
        for word in step.words[:-1]:
            path = self._source / word
            inside = path.rglob("*") if path.is_dir() else [path]
            found += [f for f in inside if f.is_file() and "__pycache__" not in f.parts]
        return sorted(found)

    def _copy(self, step: Instruction, root: Path, folder: str) -> None:
        *sources, target = step.words
        place = root / os.path.normpath(Path(folder, target)).lstrip("/")
        if "from" in step.options:
            (source,) = sources
            origin = self.built[step.options["from"]] / source.lstrip("/")
            subprocess.run(["cp", "-a", origin, place], check=True)
            # The layers of an image keep times in whole seconds.
            subprocess.run(
                f"find {shlex.quote(str(place))} -type f -exec touch -d @1700000000 {{}} +",
                shell=True, check=True,
            )  # fmt: skip
            return
        into = target.endswith("/") or len(sources) > 1
        for path in self._files(step):
            source = next(s for s in sources if path.is_relative_to(self._source / s))
            inner = path.relative_to(self._source / source)
            whole = place / source if into else place
            goal = whole / inner if (self._source / source).is_dir() else whole
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, goal)

    def _debian(self, image: str) -> Path:
        """Return a clean Debian root of the suite that an image has, made once."""
        name, _, tag = image.partition("@")[0].partition(":")
        if name != "debian":
            raise StepError(f"{image}: only images of Debian can be stood in for")
        root = self._cache / f"debian-{SUITES[tag.split('.')[0]]}"
        if root.is_dir():
            print(f"ok    base {image}: {root.name}, as it was", flush=True)
            return root
        began = time.monotonic()
        work = root.with_suffix(".unfinished")
        shutil.rmtree(work, ignore_errors=True)
        work.parent.mkdir(parents=True, exist_ok=True)
        suite = root.name.removeprefix("debian-")
        _call(["debootstrap", "--variant=minbase", suite, str(work), MIRROR], {})
        work.rename(root)
        seconds = time.monotonic() - began
        print(f"ok    base {image}: {root.name} by debootstrap in {seconds:.0f} s", flush=True)
        return root


def run_step(root: Path, command: str, folder: str, environment: dict[str, str]) -> None:
    """Run one RUN step in a root, as root, as a build does it."""
    began = time.monotonic()
    inside = shlex.quote(str(root))
    lines = [
        "set -e",
        f"mount --bind {inside} {inside}",
        f"mount -t proc proc {inside}/proc",
        f"mount -t tmpfs tmpfs {inside}/tmp",
        f"mount -t tmpfs tmpfs {inside}/run",
        *bind_devices(root),
    ]
    settings, files = passed()
    made = [place for place in files if not (root / place.lstrip("/")).exists()]
    for place, file in files.items():
        lines.append(f"mkdir -p {inside}{Path(place).parent}")
        # What is not there is made to be mounted on, and taken away again below.
        lines.append(f"test -e {inside}{place} || touch {inside}{place}")
        lines.append(f"mount --bind {file} {inside}{place}")
    words = [f"{k}={v}" for k, v in (settings | environment | {"HOME": "/root"}).items()]
    shell = ["/bin/sh", "-c", f"cd {shlex.quote(folder)} && {command}"]
    lines.append(shlex.join(["exec", "chroot", str(root), "env", "-i", *words, *shell]))
    _call(in_namespace(lines), {})
    for place in made:
        (root / place.lstrip("/")).unlink(missing_ok=True)
    print(f"      {time.monotonic() - began:5.1f} s  RUN {command[:90]}", flush=True)


def bind_devices(root: Path) -> list[str]:
    """Return the lines that give a root the few devices every container has."""
    lines = [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(root))}/dev"]
    for name in ("null", "zero", "full", "random", "urandom"):
        place = shlex.quote(f"{root}/dev/{name}")
        lines += [f"touch {place}", f"mount --bind /dev/{name} {place}"]
    shm = shlex.quote(f"{root}/dev/shm")
    lines += [f"mkdir {shm}", f"mount -t tmpfs -o mode=1777 tmpfs {shm}"]
    return lines


def in_namespace(lines: Sequence[str], *more: str) -> list[str]:
    """Return the command that runs shell lines with mounts and processes seen by nobody else."""
    kinds = ["--mount", "--pid", "--fork", "--kill-child", *more]
    return ["unshare", *kinds, "/bin/sh", "-c", "\n".join(lines)]


def _call(command: Sequence[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS,
        env=os.environ | environment,
    )  # fmt: skip
    if done.returncode:
        raise StepError((done.stdout + done.stderr)[-3000:])
