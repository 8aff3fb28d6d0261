"""Proves the image where no image can be made: the Dockerfile's own steps in a clean Debian root.

    CALWATCH_CONTAINER_CACHE=/var/cache/calwatch-container python tests/container/prove.py

Needs root, and Debian's `debootstrap`, `util-linux` and `iproute2`. Each check has a line; the
first that fails ends it with exit code 1. The roots are kept in CALWATCH_CONTAINER_CACHE, so that
the next run makes only what has changed since; without it they go with the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import yaml
from contained import ID, Container, Image
from dockerfile import read
from roots import Builder, StepError

from calwatch.simulate.plan import DAILY_PROGRAM
from calwatch.simulate.small import small_camera

SOURCE = Path(__file__).resolve().parents[2]
INSTRUMENT = "LATISS"
NIGHT = {"biases": 6, "darks": 4, "flats": 4, "pairs": 6, "spots": 4}
"""What one night has: of each kind of set one at least."""
EXPOSURES = 53
"""Lines that tell of one: 30 exposures, 8 pairs as gain and as CTI, and 7 of the other sets."""
JUDGED = '"exposure judged"'
FIRST_SECONDS = 60.0
"""Until the first verdict; compiling alone would take longer."""
LAST_SECONDS = 240.0
"""Until all are there: a curve is judged at the look after that at its pairs."""
STOP_SECONDS = 20.0
KERNELS = "find /tmp/calwatch-kernels {} | wc -l"


class CheckError(Exception):
    """A check failed."""


def check(name: str, good: bool, says: str = "") -> None:
    """Print the line of a check, and end with it if it failed."""
    print(f"{'ok   ' if good else 'FAIL '} {name}{': ' if says else ''}{says}", flush=True)
    if not good:
        raise CheckError(name)


def make_image(cache: Path) -> Image:
    """Build the Dockerfile's stages, and return the last with what it says of its start."""
    dockerfile = read(SOURCE / "Dockerfile")
    builder = Builder(SOURCE, dockerfile, cache, {"VERSION": "0", "REVISION": "proof"})
    root = builder.build()
    final = dockerfile.final
    parts = {name: final.last(name) for name in ("ENTRYPOINT", "CMD", "HEALTHCHECK")}
    user, folder = final.last("USER"), final.last("WORKDIR")
    if user is None or folder is None or not all(parts.values()):
        raise StepError("the last stage lacks one of USER, WORKDIR, ENTRYPOINT, CMD, HEALTHCHECK")
    return Image(
        root, builder.environment[final.name],
        *(part.command for part in parts.values() if part),
        user=user.text, folder=folder.text,
    )  # fmt: skip


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of every file below a root."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = f"{folder}/{name}"
            status = os.lstat(path)
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


def volumes_in(scratch: Path) -> dict[str, Path]:
    """Make the folders a deployment mounts, and where they go."""
    volumes = {}
    for place in ("/etc/calwatch", "/var/lib/calwatch", "/repo"):
        volumes[place] = scratch / place.strip("/").replace("/", "-")
        volumes[place].mkdir()
        if not place.startswith("/etc"):
            os.chown(volumes[place], ID, ID)
    return volumes


def write_configuration(folder: Path) -> None:
    """Write what the daemon is told: a repository in small, all of which is to be judged."""
    camera, _ = small_camera(INSTRUMENT, folder)
    settings = {
        "repo": "/repo/LATISS",
        "instruments": [INSTRUMENT],
        "camera": f"/etc/calwatch/{camera.name}",
        "ledger": "sqlite:////var/lib/calwatch/ledger.db",
        "where": f"exposure.science_program = '{DAILY_PROGRAM}'",
        "look_back_days": None,
        "workers": 1,
        "metrics_port": 9188,
    }
    path = folder / "calwatch.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")


def simulate(image: Image, volumes: dict[str, Path], log: Path) -> None:
    """Have the image make the repository itself."""
    words = [
        "simulate", "/repo/LATISS", "--instrument", INSTRUMENT, "--nights", "1",
        "--camera", f"/etc/calwatch/{INSTRUMENT.lower()}.yaml", "--calib-biases", "3",
        "--calib-darks", "3", "--calib-flats", "3", "--ramp-pairs", "4", "--processes", "1",
        "--fault", "read_noise:factor=1.5,type=bias,number=2",
        *(word for name, count in NIGHT.items() for word in (f"--{name}", str(count))),
    ]  # fmt: skip
    container = Container(image, words, volumes, log)
    try:
        code = container.process.wait(300)
    finally:
        container.kill()
    seconds = time.monotonic() - container.began
    check("the image simulates a repository", code == 0, f"{seconds:.0f} s")


def watch(image: Image, volumes: dict[str, Path], log: Path) -> None:
    """Start the daemon as deployed, have everything judged, and stop it."""
    container = Container(image, (), volumes, log)
    try:
        first = container.wait_for(JUDGED, 1, FIRST_SECONDS)
        check("an exposure is judged", first is not None, _or_log(first, container))
        last = container.wait_for(JUDGED, EXPOSURES, LAST_SECONDS)
        check(f"all {EXPOSURES} are judged", last is not None, _or_log(last, container))
        _look_at(container)
        code, seconds = container.stop(STOP_SECONDS)
        check("SIGTERM ends it with 0", code == 0, f"code {code} after {seconds:.1f} s")
    finally:
        container.kill()
    lines = [json.loads(line) for line in container.said().splitlines() if line.startswith("{")]
    bad = [line for line in lines if line.get("level") in ("error", "critical")]
    check("its log has no error", not bad, "; ".join(str(line) for line in bad))
    ended = [line for line in lines if line.get("event") == "ended"]
    check("it says how it ended", len(ended) == 1, str(ended[0].get("exposures")) if ended else "")


def _or_log(seconds: float | None, container: Container) -> str:
    return container.said()[-2000:] if seconds is None else f"{seconds:.1f} s after its start"


def _look_at(container: Container) -> None:
    status = Path(f"/proc/{container.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    check("it runs as its user", fields["Uid"].split() == [str(ID)] * 4, f"uid {ID}")
    check("it is process 1", fields["NSpid"].split()[-1] == "1")
    number, zombies = container.zombies()
    check("nothing it started waits to be reaped", zombies == 0, f"{number} processes")
    began = time.monotonic()
    health = container.run(*container.image.health)
    seconds = time.monotonic() - began
    says = (health.stdout + health.stderr).strip()
    check("its health check is green", health.returncode == 0, f"{says} ({seconds:.2f} s)")
    for place in ("/opt/calwatch/x", "/etc/x", "/x"):
        said = container.run("/bin/sh", "-c", f"touch {place}", user=0).stderr
        check(f"{place} cannot be written, even by root", "Read-only file system" in said)
    linked, written = (
        int(container.run("/bin/sh", "-c", KERNELS.format(kind)).stdout)
        for kind in ("-type l", "-type f")
    )
    check("no kernel was compiled", linked > 0 and written == 0, f"{linked} files linked")


def stop_at_once(image: Image, volumes: dict[str, Path], log: Path) -> None:
    """Stop it while it starts: the first process of a container gets no default action."""
    for delay in (0.0, 1.0):
        container = Container(image, (), volumes, log)
        try:
            heard = container.hears(STOP_SECONDS)
            check("it soon hears SIGTERM", heard is not None, f"after {heard or 0:.2f} s")
            time.sleep(delay)
            code, seconds = container.stop(STOP_SECONDS)
        finally:
            container.kill()
        says = f"code {code} after {seconds:.1f} s"
        check(f"SIGTERM {delay:g} s later ends it", code == 0, says)


def contrast(image: Image, volumes: dict[str, Path], log: Path) -> None:
    """Show that the check on kernels can fail: start without those that came with the image."""
    for file in volumes["/var/lib/calwatch"].iterdir():
        file.unlink()
    without = {"CALWATCH_KERNELS": ""}
    container = Container(image, (), volumes, log, without)
    try:
        first = container.wait_for(JUDGED, 1, 10 * FIRST_SECONDS)
        counted = container.run("/bin/sh", "-c", KERNELS.format("-type f")).stdout.strip()
    finally:
        container.kill()
    says = f"{_or_log(first, container)}; {counted} files written"
    check("without the image's kernels they are compiled", int(counted) > 0, says)


def prove(cache: Path, *, with_contrast: bool) -> None:
    """Do all of it."""
    image = make_image(cache)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        volumes = volumes_in(scratch)
        write_configuration(volumes["/etc/calwatch"])
        before = listing(image.root)
        simulate(image, volumes, scratch / "simulate.log")
        watch(image, volumes, scratch / "run.log")
        stop_at_once(image, volumes, scratch / "stop.log")
        if with_contrast:
            contrast(image, volumes, scratch / "contrast.log")
        after = listing(image.root)
        changed = [path for path in before | after if before.get(path) != after.get(path)]
        check("the image's files are as they were", not changed, f"{len(after)} files")
        kept = sorted(path.name for path in volumes["/var/lib/calwatch"].iterdir())
        check("only the ledger is kept", all(f.startswith("ledger.db") for f in kept), str(kept))


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--contrast", action="store_true", help="also start without the image's kernels (minutes)"
    )
    words = parser.parse_args()
    kept = os.environ.get("CALWATCH_CONTAINER_CACHE")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            prove(Path(kept or scratch), with_contrast=words.contrast)
        except CheckError:
            return 1
        except StepError as error:
            print(f"FAIL  {error}", flush=True)
            return 1
    print(f"all is well, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
