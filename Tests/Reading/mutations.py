"""Texts near to given ones: the same in another spelling, with a name twice, or wrong in one place."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any


@dataclass
class Members:
    """An object, in which a name may stand more than once."""

    pairs: list[tuple[str, Any]]


@dataclass
class Raw:
    """What is written as it is."""

    text: str


Values = list[Any]

# Scalars that readers may take for each other.
_LITERALS = [
    *("true", "false", "null", "0", "1", "-0", "-0.0", "1.0", "60.0", "6e1", "1e400", "-1e400", "1e-400", "NaN"),
    *(
        "Infinity",
        "-Infinity",
        "18446744073709551616",
        "9007199254740993",
        "0.1",
        "1E2",
        "1e+2",
        "01",
        "+1",
        "1.",
        ".5",
    ),
    *(
        '"true"',
        '"false"',
        '"0"',
        '"1"',
        '" 1 "',
        '"1_0"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
    ),
    *('""', "[]", "{}", '[""]', '{"a":"b"}', '{"a":1,"a":2}', "'x'", "tru", '"\x7f"', '"\t"', '"\\/"', '"\\x"'),
    *("9" * 4300, "9" * 4301, "0." + "3" * 400, "[" * 130 + "]" * 130, "[" * 90 + "1" + "]" * 90),
]
# Bytes that some reader skips, or takes for something else.
_BYTES = [
    b"\xef\xbb\xbf",
    b"\x00",
    b" ",
    b"\t",
    b"\r\n",
    b"\x0b",
    b"\xc2\xa0",
    b"/**/",
    b",",
    b":",
    b"{",
    b"}",
    b'"',
    b"\\",
]
_BYTES += [b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"0", b"-", b"e", b"."]


def read(text: str) -> Any:
    """Read a text so that its names are kept in their order."""
    return json.loads(text, object_pairs_hook=Members)


class Mutator:
    """Makes texts out of others, the same ones from the same seed."""

    def __init__(self, seed: int) -> None:
        """Begin with that seed."""
        self._random = random.Random(seed)

    def mutate(self, text: str) -> bytes:
        """Give another text."""
        tree = read(text)
        for _ in range(self._random.choice([0, 1, 1, 1, 2, 3])):
            tree = self._change(tree)
        # By default as the facilitator writes: then nothing but the change is new.
        written = self._write(tree, playful=self._random.random() < 0.5).encode("utf-8", "surrogatepass")
        return self._spoil(written) if self._random.random() < 0.15 else written

    def _change(self, tree: Any) -> Any:
        objects = list(_objects(tree))
        members = self._random.choice(objects)
        pairs = members.pairs
        choice = self._random.choice(
            ["twice", "twice", "scalar", "scalar", "more", "shuffle", "remove", "case", "swap"]
        )
        if choice == "more" or not pairs:
            name = self._random.choice(["x", "contents", "url", "Contents", "uuid", "volume", "é", "e\u0301", ""])
            pairs.insert(self._random.randrange(len(pairs) + 1), (name, self._scalar()))
            return tree
        place = self._random.randrange(len(pairs))
        name, value = pairs[place]
        if choice == "twice":
            other = self._random.choice([value, self._scalar(), "https://EVIL", self._random.choice(pairs)[1]])
            pairs.insert(self._random.randrange(len(pairs) + 1), (name, other))
        elif choice == "scalar":
            pairs[place] = (name, self._scalar())
        elif choice == "shuffle":
            self._random.shuffle(pairs)
        elif choice == "remove":
            del pairs[place]
        elif choice == "case":
            pairs[place] = (self._random.choice([name.upper(), name.capitalize(), name + " ", name + "\u200b"]), value)
        else:
            other = self._random.randrange(len(pairs))
            pairs[place], pairs[other] = (name, pairs[other][1]), (pairs[other][0], value)
        return tree

    def _scalar(self) -> Any:
        return (
            Raw(self._random.choice(_LITERALS)) if self._random.random() < 0.8 else self._random.choice(["a", "é", 7])
        )

    def _spoil(self, text: bytes) -> bytes:
        place = self._random.randrange(len(text) + 1)
        end = place + self._random.choice([0, 0, 1])
        return text[:place] + self._random.choice(_BYTES) + text[end:]

    def _write(self, value: Any, *, playful: bool) -> str:
        def write(part: Any) -> str:
            blank = self._random.choice(["", "", "", " ", "\n", "\t \r\n"]) if playful else ""
            return blank + self._write(part, playful=playful) + blank

        match value:
            case Raw(text):
                return text
            case Members(pairs):
                return "{" + ",".join(f"{write(name)}:{write(member)}" for name, member in pairs) + "}"
            case list():
                return "[" + ",".join(map(write, value)) + "]"
            case str():
                return self._string(value, playful=playful)
            case _:
                return json.dumps(value)

    def _string(self, text: str, *, playful: bool) -> str:
        if not playful:
            return json.dumps(text, ensure_ascii=self._random.random() < 0.5)

        def letter(character: str) -> str:
            if self._random.random() < 0.2 and ord(character) < 0x10000:
                return f"\\u{ord(character):04{self._random.choice('xX')}}"
            return json.dumps(character, ensure_ascii=self._random.random() < 0.5)[1:-1]

        return '"' + "".join(letter(character) for character in text) + '"'


def _objects(tree: Any) -> Values:
    found: Values = []
    if isinstance(tree, Members):
        found.append(tree)
        for _, value in tree.pairs:
            found += _objects(value)
    elif isinstance(tree, list):
        for element in tree:
            found += _objects(element)
    return found
