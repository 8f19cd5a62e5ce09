"""Write the records of a run: JSON lines that can be cut back to a checkpoint.

`gradients.jsonl` (where `training.record_gradients` is set) has a line a step, that of batch number
`step` from 1: `{"step": 1, "linf": {"stem.wavelet.mixing.0.weight": [0.012, ...], ...}}`. Each list
belongs to a band's weights and has, per output map, the largest absolute value in its row of the
gradient: of the cross-entropy of the whole batch, before weight decay and penalty are added. A step that
float16 skips has null, which is read as not a number.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavetwin.files.json_form import check_form
from wavetwin.files.json_text import parse_json
from wavetwin.runtime.process.errors import ANOTHER_RUN, RunError
from wavetwin.runtime.training.run_documents import EpochLine

if TYPE_CHECKING:
    import numpy as np

__all__ = ["JsonLines", "read_epochs", "read_gradients", "read_lines"]

_AT_ONCE = 1 << 20
"""Bytes that are read at once."""
_STEP = re.compile(rb'\{"kind": "step", .*\}\n')
"""A step's line as it is written."""


class JsonLines:
    """One JSON object a line; `position` and `cut_back` make a resumed file equal to a whole one.

    The digest grows with the lines, so that a state can name it without reading the file again.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        # Unbuffered: what one write leaves out on a full disk is not written later either.
        self._stream = file.open("ab", buffering=0)
        self._bytes, self._digest = 0, hashlib.sha256()

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line.

        Raises:
            OSError: the disk is full; the error names the file.
        """
        line = f"{json.dumps(record, allow_nan=False)}\n".encode()
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.file)) from error
        self._bytes += len(line)
        self._digest.update(line)

    def position(self) -> dict[str, Any]:
        """Return `bytes` and `sha256` of what was written, all of it on disk."""
        os.fsync(self._stream.fileno())
        return {"bytes": self._bytes, "sha256": self._digest.hexdigest()}

    def cut_back(self, position: Mapping[str, Any] | int) -> None:
        """Drop what a session wrote after its last checkpoint.

        Args:
            position: as `position` returned it; a number of bytes is not compared with a digest.

        Raises:
            RunError: as `check`; the file is left alone.
        """
        self._digest = self.check(position)
        self._bytes = position if isinstance(position, int) else position["bytes"]
        os.truncate(self.file, self._bytes)

    def check(self, position: Mapping[str, Any] | int) -> Any:
        """Compare the file with an earlier position; return the running digest up to there.

        Raises:
            RunError: the file is shorter than it was, or begins with other bytes.
        """
        size = position if isinstance(position, int) else position["bytes"]
        digest = hashlib.sha256()
        found = 0
        with self.file.open("rb") as stream:
            while found < size and (part := stream.read(min(_AT_ONCE, size - found))):
                digest.update(part)
                found += len(part)
        if found < size:
            raise RunError(
                "checkpoint-damaged",
                f"has {found:,} bytes, and the state says that it had {size:,}",
                f"bring back the file as it was; {ANOTHER_RUN}",
                subject=self.file,
            )
        if not isinstance(position, int) and digest.hexdigest() != position["sha256"]:
            raise RunError(
                "checkpoint-damaged",
                f"was changed: its first {size:,} bytes are not those that the state "
                "was saved with",
                f"bring back the file as it was; {ANOTHER_RUN}",
                subject=self.file,
            )
        return digest

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def read_lines(file: Path) -> Iterator[Any]:
    """Yield the records of a file, one at a time; an unfinished last line (a kill) is left out.

    Raises:
        ValueError: a line is no JSON; its message says which.
        OSError: the file cannot be read.
    """
    return (_parse(number, line) for number, line in _whole_lines(file))


def read_epochs(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of `metrics.jsonl` that close an epoch.

    Lines of steps, thousands to one, are only seen to be objects.

    Raises:
        ValueError: such a line is no JSON or has another form; its message says which.
        OSError: the file cannot be read.
    """
    for number, line in _whole_lines(file):
        if not _STEP.fullmatch(line):
            record = _parse(number, line)
            try:
                check_form(record, dict[str, Any])
                if record.get("kind") != "epoch":
                    continue
                check_form(record, EpochLine)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
            yield record


def _whole_lines(file: Path) -> Iterator[tuple[int, bytes]]:
    if file.is_file():
        with file.open("rb") as stream:
            yield from (
                (number, line)
                for number, line in enumerate(stream, start=1)
                if line.endswith(b"\n")
            )


def _parse(number: int, line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error


def read_gradients(run_folder: Path | str) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the recorded gradient norms, per band an array (steps, outputs), in the bands' order.

    Row i is batch i + 1 of the training, over all its sessions; a band's key is the path of its weights'
    module, such as `stem.wavelet.mixing.0`. Lambdas of the regularisation are chosen by them.

    Raises:
        RunError: the run recorded no gradients, or its file is not whole.
    """
    import numpy as np

    file = Path(run_folder) / "gradients.jsonl"
    if not file.is_file():
        raise RunError(
            "file-not-found",
            "is not there",
            "training.record_gradients: true records gradients",
            subject=file,
        )
    lines = list(read_lines(file))
    if [line["step"] for line in lines] != list(range(1, len(lines) + 1)):
        raise RunError("file-damaged", "does not have every step once, in order", subject=file)
    names = list(lines[0]["linf"]) if lines else []
    if any(list(line["linf"]) != names for line in lines):
        raise RunError(
            "file-damaged", "has other bands in some steps than in the first", subject=file
        )
    return {
        name.removesuffix(".weight"): np.array([line["linf"][name] for line in lines], dtype=float)
        for name in names
    }
