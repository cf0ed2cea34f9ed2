"""python -m conformance: tell stories to an endpoint, show them as they go, and say at the end what it can do."""

from __future__ import annotations

import configparser
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import rich.console
import rich.markup
import rich.progress

from conformance import report, run
from conformance.story import Key, Step, Story, Target, Verdict

_MARK = {Verdict.OK: "[green]ok[/]", Verdict.DIFFERS: "[red]differs[/]", Verdict.UNSUPPORTED: "[yellow]unsupported[/]"}


@dataclass(frozen=True)
class Asked:
    """What was asked for, but the endpoint."""

    names: list[str]
    jobs: int
    console: rich.console.Console
    verbose: bool


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--endpoint", required=True, metavar="URL", help="the EC2 endpoint to speak to")
@click.option("--access-key", envvar="AWS_ACCESS_KEY_ID", help="access key id")
@click.option("--secret-key", envvar="AWS_SECRET_ACCESS_KEY", help="its secret")
@click.option("--credentials", type=click.Path(exists=True, dir_okay=False, path_type=Path), envvar="AWS_SHARED_CREDENTIALS_FILE",
              help="a credentials file to take the keys from")  # fmt: skip
@click.option("--profile", default="default", help="whose keys in the credentials file")
@click.option("--second-profile", help="a profile of another account, to try sharing")
@click.option("--region", envvar="AWS_DEFAULT_REGION", default="us-east-1")
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="only stories of these names; * and ? fit anything, may be repeated"
)
@click.option("--snapshot", metavar="SNAP", help="a snapshot that boots, for launches; otherwise one of an empty volume is made")
@click.option("--guest", metavar="SNAP", help="a snapshot of the image of guest/, to look at disks from inside")
@click.option("--blocks", metavar="URL", help="where the EBS direct APIs are, if elsewhere than the endpoint")
@click.option("--instance-type", default="m1.small")
@click.option("--patience", default=60.0, help="seconds that a state may take")
@click.option("--jobs", default=3, help="stories told at the same time")
@click.option("--compare", metavar="URL2", help="a second endpoint, shown beside the first")
@click.option("--compare-access-key", help="access key id for it; the first one's keys otherwise")
@click.option("--compare-secret-key", help="its secret")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="write all steps to a file")
@click.option("--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="write a page to a file")
@click.option("--markdown", "markdown_file", type=click.Path(dir_okay=False, path_type=Path), help="write a table to a file")
@click.option("--list", "list_only", is_flag=True, help="list the stories and stop")
@click.option("-v", "--verbose", is_flag=True, help="print every step as it is taken")
def main(
    endpoint: str,
    access_key: str | None,
    secret_key: str | None,
    credentials: Path | None,
    profile: str,
    second_profile: str | None,
    region: str,
    only: tuple[str, ...],
    snapshot: str | None,
    guest: str | None,
    blocks: str | None,
    instance_type: str,
    patience: float,
    jobs: int,
    compare: str | None,
    compare_access_key: str | None,
    compare_secret_key: str | None,
    json_file: Path | None,
    html_file: Path | None,
    markdown_file: Path | None,
    list_only: bool,
    verbose: bool,
) -> None:
    """What can an EC2 endpoint do? Recorded and live clients tell it stories; a step is ok, differs from AWS, or is unsupported.

    Leaves with 0 if nothing differs, with 1 if something does, with 2 if the endpoint could not be spoken to.
    """
    console = rich.console.Console(stderr=True)
    names = run.chosen(only)
    if not names:
        raise click.UsageError(f"no story is called {', '.join(only)}")
    if list_only:
        click.echo("\n".join(names))
        return
    key = _key(access_key, secret_key, credentials, profile)
    second = _key(None, None, credentials, second_profile) if second_profile else None
    target = Target(endpoint, key, region, second, snapshot, guest, patience, instance_type, blocks)
    asked = Asked(names, jobs, console, verbose)
    targets = [target]
    if compare:
        other = Key(compare_access_key, compare_secret_key) if compare_access_key and compare_secret_key else key
        targets.append(Target(compare, other, region, patience=patience, instance_type=instance_type))
    for each in targets:  # before minutes go into the first
        try:
            run.found_out(each)
        except Exception as error:
            console.print(f"{each.url} cannot be spoken to: {error}", style="red", markup=False)
            sys.exit(2)
    reports = [_tell(each, asked) for each in targets]
    rich.console.Console().print(report.table(reports))
    for path, write in ((json_file, report.as_json), (html_file, report.as_html), (markdown_file, report.as_markdown)):
        if path is not None:
            path.write_text(write(reports), "utf-8")
    sys.exit(1 if reports[0].totals[Verdict.DIFFERS] else 0)


def _key(access: str | None, secret: str | None, file: Path | None, profile: str) -> Key:
    """The key given, or that of a profile."""
    if access and secret:
        return Key(access, secret)
    if file is None:
        raise click.UsageError("give --access-key and --secret-key, or --credentials")
    parser = configparser.ConfigParser()
    parser.read(file, "utf-8")
    if profile not in parser:
        raise click.UsageError(f"{file} has no profile {profile}")
    return Key(parser[profile]["aws_access_key_id"], parser[profile]["aws_secret_access_key"])


def _tell(target: Target, asked: Asked) -> run.Report:
    """Tell the stories to one endpoint, with a bar of how far it is."""
    columns = (rich.progress.SpinnerColumn(), rich.progress.TextColumn("{task.description}"), rich.progress.BarColumn(),
               rich.progress.MofNCompleteColumn(), rich.progress.TimeElapsedColumn())  # fmt: skip
    console = asked.console
    with rich.progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(target.url, total=len(asked.names))
        count = dict.fromkeys(Verdict, 0)

        def listen(told: Story, step: Step) -> None:
            count[step.verdict] += 1
            if step.verdict is Verdict.DIFFERS or asked.verbose:
                mark = _MARK.get(step.verdict, str(step.verdict))
                console.print(mark, rich.markup.escape(f"{told.name}: {step.name}: {step.detail}"[:300]), soft_wrap=True)
            said = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
            bar.update(task, description=f"{target.url} {said}")

        def done(_: run.Result) -> None:
            bar.advance(task)

        return run.run(asked.names, target, asked.jobs, listen, done)


if __name__ == "__main__":
    main()
