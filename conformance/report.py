"""Shows what a run found: a table for the terminal, and the same as JSON, HTML and Markdown. It judges nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence

import rich.table

from conformance.run import Report, Result
from conformance.story import Step, Verdict

_COLOURS = {Verdict.OK: "green", Verdict.DIFFERS: "red", Verdict.UNSUPPORTED: "yellow", Verdict.NOT_TRIED: "bright_black"}
_STYLE = """body{font:14px system-ui;margin:2em}table{border-collapse:collapse}
td,th{padding:.2em .6em;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
.ok{color:#070}.differs{color:#b00}.unsupported{color:#960}.not{color:#888}summary{cursor:pointer}
td.detail{color:#555;max-width:60em;overflow-wrap:anywhere}"""


def _sum(result: Result | None) -> str:
    """One story in few words: 12 ok, 3 unsupported."""
    if result is None:
        return "not told"
    if result.skipped:
        return f"not tried: {result.skipped}"
    return ", ".join(f"{result.count(verdict)} {verdict}" for verdict in Verdict if result.count(verdict))


def _verdict(result: Result | None) -> Verdict:
    return result.verdict if result else Verdict.NOT_TRIED


def _rows(reports: Sequence[Report]) -> Iterator[tuple[str, list[Result | None]]]:
    """Each story with its results, one an endpoint; none where it was not told."""
    told = [{result.name: result for result in report.results} for report in reports]
    for name in dict.fromkeys(name for results in told for name in results):
        yield name, [results.get(name) for results in told]


def table(reports: Sequence[Report]) -> rich.table.Table:
    """Story × endpoint, the totals last."""
    shown = rich.table.Table("story", *(report.url for report in reports), show_footer=True)
    shown.columns[0].footer = "steps"
    for column, report in zip(shown.columns[1:], reports, strict=True):
        column.footer = ", ".join(f"{number} {verdict}" for verdict, number in report.totals.items() if number)
    for name, results in _rows(reports):
        shown.add_row(name, *(f"[{_COLOURS[_verdict(result)]}]{_sum(result)}[/]" for result in results))
    return shown


def as_json(reports: Sequence[Report]) -> str:
    """Every step of every story."""
    return json.dumps(
        [
            {
                "endpoint": report.url,
                "seconds": round(report.seconds, 1),
                "totals": report.totals,
                "stories": [
                    {
                        "name": result.name,
                        "verdict": result.verdict,
                        "skipped": result.skipped,
                        "steps": [
                            {"name": step.name, "verdict": step.verdict, "detail": step.detail, "seconds": round(step.seconds, 3)}
                            for step in result.steps
                        ],
                    }
                    for result in report.results
                ],
            }
            for report in reports
        ],
        ensure_ascii=False,
        indent=1,
    )


def from_json(text: str) -> list[Report]:
    """What `as_json` wrote."""
    return [
        Report(
            row["endpoint"],
            tuple(
                Result(
                    story["name"],
                    tuple(Step(**{**step, "verdict": Verdict(step["verdict"])}) for step in story["steps"]),
                    sum(step["seconds"] for step in story["steps"]),
                    story["skipped"],
                )
                for story in row["stories"]
            ),
            row["seconds"],
            row["totals"],
        )
        for row in json.loads(text)
    ]


def as_markdown(reports: Sequence[Report]) -> str:
    """Story × endpoint as a table, the totals last."""
    lines = ["| story | " + " | ".join(report.url for report in reports) + " |", "| --- |" + " --- |" * len(reports)]
    for name, results in _rows(reports):
        lines.append(f"| {name} | " + " | ".join(_sum(result) for result in results) + " |")
    totals = (", ".join(f"{number} {verdict}" for verdict, number in report.totals.items() if number) for report in reports)
    return "\n".join([*lines, "| **steps** | " + " | ".join(totals) + " |"]) + "\n"


def as_html(reports: Sequence[Report]) -> str:
    """A page: each story folded, its steps with their evidence inside."""
    heads = "".join(f"<th>{html.escape(report.url)}</th>" for report in reports)
    body = "".join(_story_html(name, results) for name, results in _rows(reports))
    totals = "".join(
        f"<th>{html.escape(', '.join(f'{n} {v}' for v, n in report.totals.items() if n))}</th>" for report in reports
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>EC2 conformance</title><style>{_STYLE}</style>'
        f"<h1>EC2 conformance</h1><table><tr><th>story</th>{heads}</tr>{body}<tr><th>steps</th>{totals}</tr></table></html>\n"
    )


def _story_html(name: str, results: list[Result | None]) -> str:
    sums = "".join(f'<td class="{_class(_verdict(result))}">{html.escape(_sum(result))}</td>' for result in results)
    steps: dict[str, list[Step | None]] = {}
    for number, result in enumerate(results):
        for step in result.steps if result else ():
            steps.setdefault(step.name, [None] * len(results))[number] = step
    rows = "".join(
        f"<tr><td>{html.escape(step_name)}</td>" + "".join(_step_html(step) for step in row) + "</tr>"
        for step_name, row in steps.items()
    )
    return f"<tr><td><details><summary>{html.escape(name)}</summary><table>{rows}</table></details></td>{sums}</tr>"


def _step_html(step: Step | None) -> str:
    if step is None:
        return "<td></td><td></td>"
    return f'<td class="{_class(step.verdict)}">{step.verdict}</td><td class="detail">{html.escape(step.detail)}</td>'


def _class(verdict: Verdict) -> str:
    return verdict.value.split()[0]
