"""`litespan new-exporter`: writes the skeleton of an exporter in a package of its own."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from litespan.cli import CommandError, Parser
from litespan.export import registry

SKELETON: Final = Path(__file__).with_name("skeleton")
FILES: Final = {
    "acme.py": "litespan_acme.py",
    "test_acme.py.txt": "test_litespan_acme.py",
    "pyproject.toml.txt": "pyproject.toml",
}
"""Files of the skeleton → their paths in the package. `acme` stands for the name."""


def run(argv: Sequence[str]) -> int:
    """Write the package. Returns 0; 2 for bad input."""
    options = _parser().parse_args(argv)
    name, folder = options.name, options.folder or Path(renamed("litespan-acme", options.name))
    if found := registry.find(name):
        raise CommandError(f"an exporter {name} exists already, {found.value}: choose another name")
    written = {renamed(to, name): (SKELETON / file).read_text() for file, to in FILES.items()}
    if present := [file for file in written if (folder / file).exists()]:
        problem = f"{folder / present[0]} exists already: name another folder with --folder"
        raise CommandError(problem)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in written.items():
            (folder / file).write_text(renamed(text, name), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {folder}: {error.strerror or error}") from error
    for file in written:
        print(folder / file)
    print(f"next: cd {folder} && pip install -e '.[test]' && pytest")
    print(f"use:  litespan run --to {name} app.py")
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="litespan new-exporter",
        description="Write a package with an exporter, its test and its entry point. The exporter "
        "posts a JSON array of calls: change to_record() and the URL to what the service accepts.",
    )
    parser.add_argument(
        "name",
        type=_name,
        metavar="NAME",
        help="as in OTEL_TRACES_EXPORTER: lower-case letters, digits and _",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where to write it (default: litespan-NAME)"
    )
    return parser


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid name; use lower-case letters, digits and _"
        )
    return text


def renamed(text: str, name: str) -> str:
    """A text of the skeleton with this name instead of `acme`."""
    dashed = name.replace("_", "-")
    names = {
        "litespan-acme": f"litespan-{dashed}",
        "acme.example": f"{dashed}.example",
        "acme": name,
        "Acme": name.replace("_", " ").title().replace(" ", ""),
        "ACME": name.upper(),
    }
    return re.sub("|".join(names), lambda match: names[match[0]], text)
