"""Values that become words of a command for ``sh``.

Whatever a value holds, it must not become more than a word, or a part of one: it may come from anywhere.
"""

from __future__ import annotations

import re
import shlex

_MEND = "hand it over by kwargs: {env: {NAME: ...}} and use $NAME there"

#: What a shell expands within double quotes, and of which the end is plain to see.
_SIMPLE = re.compile(r"\$\([^()'\"`\\#<]*\)|\$\{\w+\}", re.ASCII)
#: It has parentheses that are not in pairs.
_CASE = re.compile(r"\bcase\b")


class Unquotable(ValueError):  # noqa: N818 - says what is so, as its text does
    """A place in a command where no quoting makes a value safe."""

    def __init__(self, where: str) -> None:
        super().__init__(f"a value cannot be quoted {where}; {_MEND}")


def quoted(text: str, before: str) -> str:
    """`text` as a word, or as a part of the word that it stands in.

    :param before: the command up to it
    :raises Unquotable: in a comment, a here-document, a command substitution by backticks or within double
        quotes, or behind a backslash or a dollar
    """
    quote = _Scan(before).quote
    if quote == "'":
        return text.replace("'", "'\\''")
    if quote == '"':
        return re.sub(r'([\\"$`])', r"\\\1", text)
    return shlex.quote(text)


class _Scan:
    """Reads a command up to where a value is to stand.

    :ivar quote: the quote in which it would stand; empty if in none
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.quote = ""
        while self._at < len(text):
            if self.quote == '"':
                self._in_double_quotes()
            elif self.quote == "'":
                self._to_end_of_single_quotes()
            else:
                self._outside()

    def _outside(self) -> None:
        char = self._text[self._at]
        if char in "\\$" and self._at == len(self._text) - 1:
            raise Unquotable(f"behind {char}")
        if char == "\\":
            self._at += 2
            if self._text.startswith("#", self._at):
                # Whether that begins a comment depends on what was escaped.
                raise Unquotable("behind a backslash, a character and #")
            return
        if char == "`":
            self._pass_over("`", "in backticks")
            return
        if char == "#" and (self._at == 0 or self._text[self._at - 1] in " \t\n;|&()"):
            self._pass_over("\n", "in a comment")
            return
        if self._text.startswith(("$'", '$"'), self._at):
            raise Unquotable("behind $ and a quote, which shells read differently")
        if self._text.startswith("<<", self._at):
            raise Unquotable("behind <<, because it may be in a here-document")
        if self._text.startswith("((", self._at) or self._text.startswith("$[", self._at):
            # Of bash, as which sh is known on many hosts.
            self._pass_over("))" if self._text[self._at] == "(" else "]", "in arithmetic")
            return
        if self._text.startswith("${", self._at) or self._text.startswith("$((", self._at):
            self._pass_over("}" if self._text[self._at + 1] == "{" else "))", "in an expansion")
            return
        if char in "'\"":
            self.quote = char
        self._at += 1

    def _in_double_quotes(self) -> None:
        char = self._text[self._at]
        if char in "\\$" and self._at == len(self._text) - 1:
            raise Unquotable(f"behind {char}")
        if char == "\\":
            self._at += 2
            return
        if char == "`":
            self._pass_over("`", "in backticks")
            return
        simple = _SIMPLE.match(self._text, self._at)
        if simple and not _CASE.search(simple.group()):
            self._at = simple.end()
            return
        if self._text.startswith("$(", self._at) or self._text.startswith("${", self._at):
            # Where it ends takes a shell to tell.
            raise Unquotable(f"behind {self._text[self._at : self._at + 2]} within double quotes")
        if char == '"':
            self.quote = ""
        self._at += 1

    def _to_end_of_single_quotes(self) -> None:
        end = self._text.find("'", self._at)
        self.quote = "'" if end < 0 else ""
        self._at = len(self._text) if end < 0 else end + 1

    def _pass_over(self, end: str, where: str) -> None:
        """Go on behind the next `end`; a value before it is in the midst of what cannot be quoted."""
        found = self._text.find(end, self._at + 1)
        if found < 0:
            raise Unquotable(where)
        # What is read as ending too early would be trusted too soon.
        inside = self._text[self._at : found]
        if end != "\n" and ("\\" in inside or "'" in inside or '"' in inside):
            raise Unquotable(f"behind {end} of what holds quotes")
        self._at = found + (0 if end == "\n" else len(end))
