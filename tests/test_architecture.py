"""The laws of the house that a machine can check, and the pages that are drawn from the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ec2gw.model import lifecycle
from ec2gw.query import api
from tools import coverage
from tools import lifecycle as drawing

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_floors_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_linter_knows_every_room() -> None:
    """A new package or module without a floor must not go unnoticed: the contract is exhaustive."""
    contract = (ROOT / "pyproject.toml").read_text()
    assert "exhaustive = true" in contract
    rooms = {path.stem if path.is_file() else path.name for path in (ROOT / "ec2gw").iterdir() if path.name != "__init__.py"}
    floors = set(re.findall(r"\w+", contract.split("layers = [")[1].split("]")[0]))
    assert {room for room in rooms if not room.startswith("__py")} == floors


@pytest.mark.parametrize("path", sorted((ROOT / "ec2gw" / "model").glob("*.py")), ids=lambda path: path.name)
def test_the_model_stands_on_the_standard_library_alone(path: Path) -> None:
    assert imports(path) <= set(sys.stdlib_module_names) | {"ec2gw"}


@pytest.mark.parametrize("path", sorted((ROOT / "ec2gw").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_says_what_it_is_for_and_no_shell_is_called(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if "versions" not in path.parts:
        assert ast.get_docstring(tree), "a module begins with a sentence that says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "shell":
            raise AssertionError(f"line {node.value.lineno}: commands are argument lists")
        if isinstance(node, ast.Attribute) and node.attr in ("system", "popen") and isinstance(node.value, ast.Name):
            assert node.value.id != "os", f"line {node.lineno}: commands are argument lists"


def test_the_drawing_of_the_lifecycle_is_fresh() -> None:
    assert drawing.PAGE.read_text() == drawing.page(), "run `make lifecycle`"


def test_the_drawing_shows_every_transition() -> None:
    page = drawing.page()
    for table in (lifecycle.INSTANCE, lifecycle.VOLUME, lifecycle.ATTACHMENT, lifecycle.SNAPSHOT, lifecycle.IMAGE):
        for state, events in table.items():
            for event, after in events.items():
                if after != state:
                    assert re.search(rf"{re.escape(f'{drawing.name(state)} --> {drawing.name(after)}')}: .*\b{event}\b", page)


def test_the_page_of_coverage_is_fresh_and_names_every_action_once() -> None:
    page = coverage.page()
    assert coverage.PAGE.read_text() == page, "run `make coverage`"
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|")][2:]
    served, refused = ([name for row in rows for name in row[column].replace(",", " ").split()] for column in (2, 3))
    assert sorted(served + refused) == sorted(api.model(api.NEWEST).operations)
    assert sorted(served) == sorted(api.REGISTER)


@pytest.mark.parametrize("path", [ROOT / "README.md", *DOCS], ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_only_files_that_there_are(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / target).exists(), target
    for name in re.findall(r"`((?:ec2gw|tests|tools|docs|demo|guest|install|conformance|bench)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
