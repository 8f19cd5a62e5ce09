"""Read the arguments of a command that is data here, each with its location.

Stricter than argparse, which the commands were written for: options are not abbreviated or
repeated, and every fault is found, not the first alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from wavetwin.compiler.parse.source import Source, report
from wavetwin.compiler.parse.suggest import join_texts, suggest
from wavetwin.diagnostics import CompileError, Diagnostic

Value = TypeVar("Value")

MAX_CHARACTERS = 4096
"""More than this is no command."""

_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL)
_PIECE = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^'"\\]+)""", re.DOTALL)
_CONTINUED = re.compile(r"\\\r?\n")
_INTERPRETER = re.compile(r"(.*/)?python[0-9.]*(\.exe)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}\.?[0-9]{0,18}|\.[0-9]{1,18})(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command, without its quotes, and where it stands."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Option:
    """An option that a command may have."""

    names: tuple[str, ...]
    """How it is written; the first name is what it is asked for by."""
    takes: Literal["nothing", "one", "several"] = "one"


class CommandLine:
    """A command, read: its positional words, its options, and the faults found so far."""

    def __init__(self, text: str, options: Sequence[Option]) -> None:
        """Read a command; `python` and a script's name before it are left out.

        Raises:
            CompileError: `command-unreadable`, the text cannot be split into words.
        """
        self.source = Source("command", text)
        self.diagnostics: list[Diagnostic] = []
        self.positional: list[Word] = []
        self._given: dict[str, tuple[Word, list[Word]]] = {}
        self._read(self._split(text), options)

    @property
    def one_line(self) -> str:
        """The command's text on one line."""
        return " ".join(_CONTINUED.sub(" ", self.source.text).split())

    def refuse(
        self,
        code: str,
        headline: str,
        start: int,
        stop: int | None = None,
        help: str | None = None,
    ) -> None:
        """Add an error at characters of the command."""
        location = self.source.location(start, stop)
        self.diagnostics.append(report(self.source, code, headline, location, help=help))

    def refuse_word(self, code: str, headline: str, word: Word, help: str | None = None) -> None:
        """Add an error at a word of the command."""
        self.refuse(code, headline, word.start, word.stop, help)

    def stop_at_faults(self) -> None:
        """End here if a fault was found.

        Raises:
            CompileError: with all of them, in the order of the command.
        """
        if self.diagnostics:
            found = dict.fromkeys(self.diagnostics)
            raise CompileError(
                sorted(found, key=lambda each: each.location or self.source.location(0))
            )

    def has(self, name: str) -> bool:
        """Return whether an option is given."""
        return name in self._given

    def option(self, name: str) -> Word | None:
        """Return the word that gives an option, as it is spelt."""
        return self._given[name][0] if name in self._given else None

    def word(self, name: str) -> Word | None:
        """Return the value of an option; None where the option or its value is missing."""
        values = self._given[name][1] if name in self._given else []
        return values[0] if values else None

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number's value; the default where it is absent or at fault."""
        word = self.word(name)
        if word is None:
            return default
        if not _INTEGER.fullmatch(word.text) or not low <= int(word.text) <= high:
            self.refuse_word(
                "bad-option-value",
                f"{name} takes a whole number from {low} to {high}, not {word.text!r}",
                word,
            )
            return default
        return int(word.text)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return a number's value; the default where it is absent or at fault."""
        word = self.word(name)
        value = None if word is None else self._number(name, word, low, high)
        return default if value is None else value

    def numbers(self, name: str, low: float, high: float) -> list[float]:
        """Return the values of an option that takes several; none where it is absent or at fault."""
        parts = self._given[name][1] if name in self._given else []
        values = [self._number(name, word, low, high) for word in parts]
        good = [value for value in values if value is not None]
        return good if len(good) == len(values) else []

    def choice(self, name: str, choices: Mapping[str, Value]) -> Value | None:
        """Return what the value of an option stands for; None where it is absent or at fault."""
        word = self.word(name)
        if word is None:
            return None
        if word.text not in choices:
            self.refuse_word(
                "bad-option-value",
                f"{name} cannot be {word.text!r}",
                word,
                suggest(word.text, list(choices)),
            )
            return None
        return choices[word.text]

    def require(self, names: Iterable[str], what: str, help: str | None = None) -> None:
        """Refuse a command that lacks one of the options; `what` says whose options they are."""
        missing = [name for name in names if name not in self._given]
        if missing:
            end = len(self.source.text.rstrip())
            headline = f"{what} without {join_texts(missing, 'and')}"
            self.refuse("command-incomplete", headline, max(end - 1, 0), help=help)

    def refuse_options(self, names: Iterable[str], reason: str) -> None:
        """Refuse those of the options that are given."""
        for name in names:
            word = self.option(name)
            if word is not None:
                self.refuse_word("option-does-not-apply", f"{word.text} {reason}", word)

    def _number(self, name: str, word: Word, low: float, high: float) -> float | None:
        if not _NUMBER.fullmatch(word.text) or not low <= float(word.text) <= high:
            self.refuse_word(
                "bad-option-value",
                f"{name} takes a number from {low:g} to {high:g}, not {word.text!r}",
                word,
            )
            return None
        return float(word.text)

    def _split(self, text: str) -> list[Word]:
        if len(text) > MAX_CHARACTERS:
            raise _unreadable(f"a command has up to {MAX_CHARACTERS} characters, not {len(text)}")
        plain = _CONTINUED.sub(lambda found: " " * len(found[0]), text)
        for position, char in enumerate(plain):
            if not char.isprintable() and char not in "\t\r\n":
                self.refuse("command-unreadable", "this character is not printable", position)
        parts: list[Word] = []
        position = 0
        while position < len(plain):
            if plain[position].isspace():
                position += 1
                continue
            match = _WORD.match(plain, position)
            if match is None or (match.end() < len(plain) and not plain[match.end()].isspace()):
                start = position if match is None else match.end()
                self.refuse("command-unreadable", "what begins here is not closed", start)
                break
            parts.append(Word(_unquote(match[0]), position, match.end()))
            position = match.end()
        self.stop_at_faults()
        if parts and _INTERPRETER.fullmatch(parts[0].text):
            del parts[0]
        if parts and parts[0].text.endswith(".py"):
            del parts[0]
        return parts

    def _read(self, parts: Sequence[Word], options: Sequence[Option]) -> None:
        by_name = {name: option for option in options for name in option.names}
        position = 0
        while position < len(parts):
            word = parts[position]
            position += 1
            if not _is_option(word):
                self.positional.append(word)
                continue
            name, equals, rest = word.text.partition("=")
            values: list[Word] = []
            if equals:
                values.append(Word(rest, word.start + len(name) + 1, word.stop))
            option = by_name.get(name)
            if option is None:
                self.refuse(
                    "unknown-option",
                    f"the command's option {name} is not known",
                    word.start,
                    word.start + len(name),
                    suggest(name, list(by_name)) or f"known are {join_texts(list(by_name), 'and')}",
                )
                # Its values are not mistaken for something else.
                while position < len(parts) and not _is_option(parts[position]):
                    position += 1
                continue
            while (
                position < len(parts)
                and not _is_option(parts[position])
                and (option.takes == "several" or (option.takes == "one" and not values))
            ):
                values.append(parts[position])
                position += 1
            self._add(Word(name, word.start, word.start + len(name)), option, values)

    def _add(self, word: Word, option: Option, values: list[Word]) -> None:
        name = option.names[0]
        if name in self._given:
            self.refuse_word("repeated-option", f"{word.text} is given twice", word)
        elif option.takes == "nothing" and values:
            self.refuse_word("bad-option-value", f"{word.text} takes no value", values[0])
        elif option.takes != "nothing" and not any(value.text for value in values):
            self.refuse_word("bad-option-value", f"{word.text} needs a value", word)
        self._given.setdefault(name, (word, values))


def _is_option(word: Word) -> bool:
    return word.text.startswith("-") and not _NUMBER.fullmatch(word.text)


def _unquote(text: str) -> str:
    """Return a word as a shell hands it on; a variable or a pattern is not replaced."""
    pieces: list[str] = []
    for single, double, escaped, plain in _PIECE.findall(text):
        pieces.append(single or re.sub(r'\\([\\"$`])', r"\1", double) or escaped or plain)
    return "".join(pieces)


def _unreadable(headline: str) -> CompileError:
    return CompileError([Diagnostic("command-unreadable", headline, subject="command")])
