"""Recipes: YAML by operators, and by whoever can write their files."""

from __future__ import annotations

from random import Random

from aggregator_cases import RECIPE
from fuzz.target import Target, told
from stripwatch.errors import BadInput
from stripwatch.recipes import default_folders, parse_recipe

_WORDS = (
    *(
        "!!timestamp ",
        "!!int ",
        "!!float ",
        "!!bool ",
        "!!binary ",
        "!!set ",
        "!!omap ",
        "!!python/name:os.system ",
        "!",
    ),
    *("&a ", "*a", "<<: ", "? ", "- ", "[", "]", "{", "}", "| ", "> ", "---\n", "...\n", "%YAML 9.9\n", "# "),
    *("1e999", ".inf", ".nan", "-1", "0x" + "f" * 5_000, "9" * 5_000, "1:59:59", "2001-99-99", "=", "~", "0o9", "1_0"),
    *('"\\uD800"', '"\\n"', '"\\x1b[2J"', "'", '"', "\t", "\x85", "\u2028", "é", "\x00"),
    *("name: ", "version: ", "models: ", "classes: ", "other: ", "anomaly: ", "healthy: ", "required: ", "cutting: "),
)


def one(data: bytes) -> None:
    try:
        recipe = parse_recipe(data.decode("utf-8", errors="replace"))
    except BadInput as error:
        told(error)
    else:
        assert all(label.isprintable() for label in (*recipe.classes, *recipe.healthy))


def seeds() -> list[bytes]:
    shipped = [path.read_bytes() for folder in default_folders() for path in sorted(folder.glob("*.yaml"))]
    return [RECIPE.encode(), *shipped, b"a: [1, 0x1F, 1.5, ~, true, 2001-01-01, 1:30]\n? b\n: |\n  c\n"]


def shape(data: bytes, random: Random) -> bytes:
    """A word that YAML knows, somewhere."""
    if random.random() < 0.5:
        return data
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(_WORDS).encode() + data[at + random.choice((0, 0, 1, 8)) :]


TARGET = Target("recipes", one, seeds, shape, largest=3_000)
