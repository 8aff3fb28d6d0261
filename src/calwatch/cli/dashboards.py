"""``calwatch dashboards``: write the dashboards for Grafana and Chronograf."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--limits", default="dmtn101", show_default=True,
              help="Profile of limits, or a file: whose lines are drawn.")  # fmt: skip
@click.option("--prefix", default="lsst.cp.calwatch", show_default=True,
              help="Namespace of the published records.")  # fmt: skip
@click.option("--database", default="lsst.cp", show_default=True,
              help="Database of InfluxDB that has them.")  # fmt: skip
@click.option("--check", is_flag=True,
              help="Write nothing; exit with 1 if a file is not up to date.")  # fmt: skip
@click.pass_context
def dashboards(
    ctx: click.Context, folder: Path, limits: str, prefix: str, database: str, check: bool
) -> None:
    """Write dashboards into FOLDER: grafana/dashboards/*.json and chronograf/*.json.

    They are made from the definitions of metrics, tests, limits and records, so a new metric has
    its panel at once. JSON files there that are not made any more are taken away.

    \b
    Examples:
      calwatch dashboards deploy
      calwatch dashboards deploy --check
      calwatch dashboards /tmp/mine --limits my_limits.yaml --database lsst.dev
    """
    from calwatch.dashboards.files import dashboard_files, stale, write_files
    from calwatch.dashboards.influxql import Store
    from calwatch.verify.limits import load_limits

    files = dashboard_files(Store(database, prefix), load_limits(limits))
    changed = stale(folder, files) if check else write_files(folder, files)
    for path in changed:
        click.echo(f"{folder / path}: {'is not up to date' if check else 'written'}")
    if not changed:
        click.echo(f"{len(files)} dashboards are up to date")
    ctx.exit(int(check and bool(changed)))
