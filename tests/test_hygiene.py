# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, file names, versions, hooks and examples around the code."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import s2am_engine
from s2am_common.version import __version__
from s2am_engine.cli import main as cli
from tests.__main__ import CHECKS
from tests.engine.pictures import composite

CHECKOUT = Path(__file__).resolve().parent.parent
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
MARKDOWN_NAME = re.compile(r"[\w./-]*\w\.md\b")


def repository_files(suffix: str) -> list[Path]:
    """Return the files of the repository with a suffix, or in an sdist all files outside environments."""
    done = subprocess.run(["git", "ls-files", f"*{suffix}"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [CHECKOUT / line for line in done.stdout.splitlines()]
    found = CHECKOUT.rglob(f"*{suffix}")
    return [path for path in found if not any(part.startswith(".venv") for part in path.parts)]


def anchors(text: str) -> set[str]:
    """Return the anchors of a Markdown document's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(file: Path) -> Iterator[str]:
    for link in LINK.findall(FENCED.sub("", file.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        if re.match(r"[a-z]+:|(\.\./)+releases/", link):  # a page of the web, or of the repository's host
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            yield link


@pytest.mark.parametrize("file", repository_files(".md"), ids=lambda file: file.relative_to(CHECKOUT).as_posix())
def test_markdown_links_lead_to_files_of_the_repository(file: Path) -> None:
    assert list(broken_links(file)) == []


def test_markdown_files_named_in_code_exist() -> None:
    documents = {file.name for file in repository_files(".md")}
    missing = [
        f"{file.relative_to(CHECKOUT)}: {name}"
        for suffix in (".py", ".toml", ".yml", ".yaml")
        for file in repository_files(suffix)
        if file != Path(__file__)
        for name in MARKDOWN_NAME.findall(file.read_text(encoding="utf-8"))
        if Path(name).name not in documents
    ]
    assert missing == []


def test_modules_named_in_documents_exist() -> None:
    modules = {file.name for file in repository_files(".py")}
    missing = [
        f"{file.name}: {name}"
        for file in repository_files(".md")
        if file.name != "CHANGELOG.md"
        for name in re.findall(r"[\w/-]*\w\.py\b", file.read_text(encoding="utf-8"))
        if Path(name).name not in modules or ("/" in name and not list(CHECKOUT.rglob(name)))
    ]
    assert missing == []


def test_modules_outside_the_tests_have_at_most_500_lines() -> None:
    modules = [file for file in repository_files(".py") if "tests" not in file.relative_to(CHECKOUT).parts]
    lengths = {file.relative_to(CHECKOUT).as_posix(): len(file.read_text("utf-8").splitlines()) for file in modules}
    assert {name: lines for name, lines in lengths.items() if lines > 500} == {}


def test_pre_commit_hooks_equal_the_checks_of_the_test_command() -> None:
    hooks = (CHECKOUT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"entry: (.*)", hooks) == list(CHECKS.values())


def test_version_has_one_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'dynamic = ["version"]' in (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert s2am_engine.__version__ == __version__
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"s2am {__version__}\n"


def test_changelog_has_a_section_for_unreleased_changes_and_each_release() -> None:
    headings = re.findall(r"^## \[(.*?)\]", (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:] == sorted(headings[1:], reverse=True)


def python_examples(document: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (CHECKOUT / document).read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("document", ["README.md", "docs/python.md"])
def test_python_example_of_documentation_runs(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels, mask = composite(96, 128)
    Image.fromarray(pixels).save("composite.png")
    Image.fromarray(mask).save("mask.png")
    names: dict[str, object] = {}
    exec(compile(python_examples(document)[0], document, "exec"), names)
    assert Image.open("harmonized.png").size == (128, 96)
    if "warmer" in names:
        assert names["warmer"] is not names["harmonized"]


def test_training_example_fits_the_functions() -> None:
    tree = ast.parse(python_examples("docs/training.md")[0])
    names: dict[str, object] = {}
    imports: list[ast.stmt] = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), "docs/training.md", "exec"), names)
    calls = [node.value for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    assert len(calls) == 2
    for call in calls:
        function = names[ast.unparse(call.func)]
        assert callable(function)
        inspect.signature(function).bind(*call.args, **{word.arg: word.value for word in call.keywords if word.arg})
