"""Which applications does the README show? They are served and tested as they stand there."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def block(name: str) -> str:
    """Return the Python block of the README that begins with the comment `# name`."""
    found: list[str] = re.findall(rf"^```python\n(# {re.escape(name)}\n.*?)^```$", README.read_text(), re.M | re.S)
    assert len(found) == 1, f"README.md has {len(found)} Python blocks that begin with '# {name}'"
    return found[0]


def write(folder: Path, *names: str) -> None:
    """Write blocks of the README as files."""
    for name in names:
        (folder / name).write_text(block(name))
