"""``calwatch``: the root command. Sub-commands are imported only when they are used."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from collections.abc import Mapping

import click

from calwatch import __version__
from calwatch.errors import CalwatchError
from calwatch.kernel_cache import use_shipped_kernels
from calwatch.redaction import install_hooks, redact

COMMANDS: Mapping[str, tuple[str, str]] = {
    "alarms": ("calwatch.cli.alarms:alarms", "See alarms, and acknowledge, mute or end them."),
    "chain": ("calwatch.cli.chain:chain", "Show which certified calibration applies, and why."),
    "config": ("calwatch.cli.config:config", "Check and show a configuration of the daemon."),
    "dashboards": (
        "calwatch.cli.dashboards:dashboards",
        "Write dashboards for Grafana and Chronograf.",
    ),
    "demo": ("calwatch.cli.demo:demo", "Simulate a small repository and watch it."),
    "doctor": ("calwatch.cli.doctor:doctor", "Look at all that the daemon needs."),
    "explain": ("calwatch.cli.explain:explain", "Explain one test of one part of an exposure."),
    "ledger": ("calwatch.cli.ledger:ledger", "Look at a ledger, back it up, copy it."),
    "health": ("calwatch.cli.health:health", "Ask a running daemon whether all is well."),
    "limits": ("calwatch.cli.limits:limits", "Check and show limits files."),
    "repo": ("calwatch.cli.repo:repo", "Tools for a person: make a repository, certify, chain."),
    "replay": ("calwatch.cli.replay:replay", "Publish again what the ledger has."),
    "report": ("calwatch.cli.report:report", "Write the verification report of a night."),
    "run": ("calwatch.cli.run:run", "Run the daemon."),
    "schemas": ("calwatch.cli.schemas:schemas", "Show and register what is published."),
    "simulate": ("calwatch.cli.simulate:simulate", "Simulate a camera, its raws and its chain."),
    "verify": ("calwatch.cli.verify:verify", "Judge chosen exposures once, without the daemon."),
    "warm-up": ("calwatch.cli.warm_up:warm_up", "Compile all kernels, once, for an image."),
}
"""Name to (``module:command``, one line of help)."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use, so that ``--help`` answers at once.

    The signatures are click's.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]} is not a command")
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="calwatch")
def cli() -> None:
    """Watch the calibrations of the Rubin Observatory cameras.

    Exit codes: 0 fine, 1 a verification FAILed, 2 wrong use or configuration, 3 a dependency is
    out of reach.

    Example: calwatch verify /repo/LATISS --instrument LATISS --where "exposure.day_obs = 20261121"
    """


def main() -> None:
    """Run the command line; an error made on purpose is one clear line, never a traceback."""
    # Work is spread over processes, so the linear algebra below must not start threads too. It
    # reads this when numpy is first imported, which no command has done yet.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    install_hooks()
    if os.getpid() == 1:
        # The kernel drops signals to the first process of a container that it has no handler for,
        # and the daemon has none until it is up.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        use_shipped_kernels()
        code = cli.main(prog_name="calwatch", standalone_mode=False)
    except CalwatchError as error:
        click.echo(f"calwatch: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        click.echo(redact(said.getvalue()), nl=False, err=True)
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("calwatch: stopped", err=True)
        sys.exit(130)
    except OSError as error:
        # A full disk or a missing permission is an outside cause and may pass.
        words = f"calwatch: {error.filename or 'the system'}: {error.strerror}"
        click.echo(redact(words), err=True)
        sys.exit(3)
    sys.exit(code if isinstance(code, int) else 0)
