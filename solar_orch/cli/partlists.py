"""Installed parts as they are printed on stdout."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from solar_orch.cli.table import print_table, terminal, write_line, write_paragraph

if TYPE_CHECKING:
    from solar_orch.doctor.registry import Namespace, Part

_INDENT = "  "
_FURTHER = "    "
#: Cells of the column with the titles of what is said of one part.
_TITLES = 11


# -- list ----------------------------------------------------------------------------


def print_namespaces(namespaces: Sequence[Namespace]) -> None:
    """Write what is registered, by namespace; what would be loaded has a ``*``."""
    entries = [part.entry for namespace in namespaces for part in namespace.parts]
    widths = (
        max((len(entry.name) for entry in entries), default=0),
        max((len(entry.package) for entry in entries), default=0),
    )
    console = terminal()
    for namespace in namespaces:
        write_paragraph(f"{namespace.name} ({_choice(namespace)})", style="bold")
        for part in namespace.parts:
            _print_part(part, widths, None if console is None else console.width)


def _choice(namespace: Namespace) -> str:
    if not namespace.read:
        return "no host reads it"
    option = namespace.contract and namespace.contract.option
    count = "all are loaded" if namespace.parts else "nothing is registered"
    return f"option {option}: {', '.join(namespace.chosen) or 'none'}" if option else count


def _print_part(part: Part, widths: tuple[int, int], space: int | None) -> None:
    entry = part.entry
    mark = "*" if part.selected else " "
    left = f"{_INDENT}{mark} {entry.name.ljust(widths[0])}  {entry.package.ljust(widths[1])}"
    right = f"{entry.target}  (registered more than once)" if part.duplicated else entry.target
    if space is None or len(left) + len(right) + 2 <= space:
        write_line(f"{left}  {right}")
    else:
        write_line(left.rstrip())
        write_paragraph(right, _FURTHER * 2)


# -- show ----------------------------------------------------------------------------


def print_description(part: Mapping[str, Any]) -> None:
    """Write what one part is like."""
    write_paragraph(f"{part['namespace']}: {part['name']}", style="bold")
    for title, text in _said_of(part):
        _print_titled(title, text)
    if part["doc"]:
        write_line("")
        for line in part["doc"].splitlines():
            write_line(f"{_INDENT}{line}".rstrip())
    if part["options"]:
        write_line("")
        _print_options(part["options"])


#: What stands at the left, if anything, and what is said.
_Titled = tuple[str, str]


def _said_of(part: Mapping[str, Any]) -> Iterator[_Titled]:
    yield "package", f"{part['package']} {part['version']}" if part["package"] else "unknown"
    yield "target", part["target"]
    if part["file"]:
        yield "file", _place(part)
    yield "loaded", _loaded(part)
    yield from _said_of_contract(part["contract"])
    yield "made for", f"version {part['api']} of the contracts" if part["api"] else "(it does not say)"
    if part["usage"]:
        yield "in a plan", part["usage"]
    if part["capabilities"] is not None:
        yield "promises", ", ".join(part["capabilities"]) or "nothing beyond the contract"
    for finding in part["findings"]:
        yield from _said_of_finding(finding)
    if not part["findings"]:
        yield "verdict", "keeps its contract"


def _said_of_contract(contract: Mapping[str, str] | None) -> Iterator[_Titled]:
    if contract is None:
        yield "contract", "none: no host reads this namespace"
        return
    yield "contract", contract["usage"]
    yield "", contract["summary"]
    yield "", f"python -m pydoc {contract['described_by']}"


def _said_of_finding(finding: Mapping[str, Any]) -> Iterator[_Titled]:
    yield "wrong", finding["problem"]
    if finding["file"]:
        yield "", _place(finding)
    if finding["source"]:
        yield "", f"{_INDENT}{finding['source']}"
    yield "", f"-> {finding['remedy']}"


def _place(item: Mapping[str, Any]) -> str:
    return str(item["file"]) if item["line"] is None else f"{item['file']}:{item['line']}"


def _loaded(part: Mapping[str, Any]) -> str:
    if not part["read"]:
        return "never"
    if part["option"] is None:
        return "always"
    return f"{'yes' if part['selected'] else 'no'}, by the option {part['option']}"


def _print_titled(title: str, text: str) -> None:
    before = f"{_INDENT}{title.ljust(_TITLES)}"
    if text.startswith((os.sep, _INDENT)):
        write_line(before + text)  # files and code in one piece, so that they can be copied
    else:
        write_paragraph(text, before)


def _print_options(options: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ("Option", "Type", "Default", "Value", "Help"),
        (
            (
                f"[{option['group']}] {option['name']}",
                option["type"],
                option["default"] or "",
                option["value"] or "",
                " ".join((option["help"] or "").split()),
            )
            for option in options
        ),
        below="Help",
    )
