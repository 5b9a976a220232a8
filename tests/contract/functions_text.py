"""The text of functions.lua, taken apart: which commands on which keys each registered function can come to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

TEXT = resources.files("stripwatch.stream").joinpath("functions.lua").read_text(encoding="utf-8")

CONTAINERS = ("XGROUP", "XINFO")
"""Commands of several parts: their first argument says which, their key is the second."""

_DEFINED = re.compile(r"^local function (\w+)\(([^)]*)\)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
_REGISTERED = re.compile(r"^register\('(\w+)', (.+), \{(.*)\}\)$", re.MULTILINE)


@dataclass(frozen=True)
class Function:
    """One function of the text."""

    name: str
    parameters: tuple[str, ...]
    body: str

    def calls(self) -> list[tuple[str, list[str]]]:
        """Commands of Redis, each with its arguments as written."""
        return [(args[0].strip("'"), args[1:]) for args in _arguments(self.body, "redis.call")]

    def uses(self, other: str) -> list[list[str]]:
        """The arguments of each call of another function."""
        return list(_arguments(self.body, other))


def _arguments(text: str, called: str) -> list[list[str]]:
    """The arguments of each call of a name, split at the commas that are no deeper."""
    found = []
    for start in re.finditer(rf"(?<![\w.]){re.escape(called)}\(", text):
        depth, quoted, parts = 1, False, [""]
        for letter in text[start.end() :]:
            quoted ^= letter == "'"
            depth += 0 if quoted else (letter in "({[") - (letter in ")}]")
            if depth == 0:
                break
            if letter == "," and depth == 1 and not quoted:
                parts.append("")
            else:
                parts[-1] += letter
        found.append([part.strip() for part in parts])
    return found


def functions() -> dict[str, Function]:
    """All, by name; also those that other functions use."""
    code = re.sub(r"\s*--.*", "", TEXT)
    return {
        name: Function(name, tuple(one.strip() for one in parameters.split(",") if one.strip()), body)
        for name, parameters, body in _DEFINED.findall(code)
    }


def registered() -> dict[str, tuple[str, str]]:
    """What callers know: name, the function's name or text, its flags."""
    return {name: (callback, flags) for name, callback, flags in _REGISTERED.findall(TEXT)}


def commands(name: str) -> set[str]:
    """Every command that a registered function can come to, as an ACL names them: `xadd`, `xgroup|delconsumer`."""
    known, found = functions(), set()
    callback = registered()[name][0]
    waiting = {callback} & known.keys() or {one for one in known if f"{one}(" in callback}
    seen: set[str] = set()
    while waiting:
        one = known[waiting.pop()]
        seen.add(one.name)
        for command, args in one.calls():
            found.add(f"{command}|{args[0].strip(chr(39))}".lower() if command in CONTAINERS else command.lower())
        waiting |= {other for other in known if other not in seen and one.uses(other)}
    return found
