"""Ask git about files, once a repository and command.

A file is clean where its bytes are those that the commit's tree holds. Hashes are compared here and
not by `git status`, which trusts the index (`assume-unchanged`, staged changes) and the user's
configuration (line ends, filters). Git is called by `wavetwin.provenance.git_command` alone, and writes nothing
to the user's repository.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from wavetwin.diagnostics import CompileError, Diagnostic
from wavetwin.provenance.git_command import run_git
from wavetwin.provenance.git_conversion import Conversion, find_conversions

T = TypeVar("T")

State = Literal["modified", "untracked", "ignored", "outside", "deleted"]

# Settings that change what git writes.
_NEUTRAL = (
    "core.splitIndex=false",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "index.sparse=false",
    "diff.indentHeuristic=true",
    "diff.interHunkContext=0",
)
_DIFF = (
    "diff-index", "--cached", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
    "--no-textconv", "--no-color", "--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "-U3",
    "--diff-algorithm=myers", "-O/dev/null",
)  # fmt: skip
# More paths than this are not named to git: it lists the whole tree then.
_MAX_PATHS = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One input that is not as the commit has it."""

    path: str
    """Relative to the repository's root; absolute where the input is outside any repository."""
    state: State
    content: bytes | None = None
    """None where the file is gone."""
    is_link: bool = False
    conversion: Conversion | None = None
    """What git does to the file, where that and no edit is the difference."""


@dataclass(slots=True)
class Repository:
    """A work tree and the part of HEAD's tree that was asked for."""

    root: Path
    commit: str
    entries: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """Mode and object id by path relative to the root."""
    asked: set[str] = field(default_factory=set[str])

    def look(self, paths: Sequence[str]) -> None:
        """Read the tree's entries at, or below, paths relative to the root."""
        new = sorted(path for path in set(paths) if not self._covers(path))
        if not new:
            return
        wanted = new if len(new) <= _MAX_PATHS else ["."]
        self.asked.update(new, wanted)
        command = ["ls-tree", "-r", "-z", "--full-tree", self.commit]
        listing = run_git(self.root, [*command, "--", *wanted] if wanted != ["."] else command)
        for line in listing.split(b"\0")[:-1]:
            info, _, name = line.partition(b"\t")
            mode, _, oid = info.decode("ascii").split(" ")
            self.entries[os.fsdecode(name)] = (mode, oid)

    def _covers(self, path: str) -> bool:
        """Return whether the path, or a folder above it, was asked for."""
        while path not in self.asked:
            if path == ".":
                return False
            path = path.rpartition("/")[0] or "."
        return True

    def differences(
        self, files: Iterable[Path], folders: Mapping[Path, str] | None = None
    ) -> list[Difference]:
        """Return what is not as the commit has it, sorted by path.

        Args:
            files: inputs, all inside the work tree.
            folders: folders of inputs and how their inputs' names end; what the commit has there
                and `files` lacks is reported as deleted.
        """
        inputs: dict[str, tuple[Path, bool]] = {}
        leads = _Leads(self.root)
        for file in files:
            links, name, target = leads.of_file(file)
            inputs |= {_relative(link, self.root): (link, True) for link in links}
            inputs[name] = target, False
        folders = folders or {}
        self.look([*inputs, *(_relative(folder, self.root) for folder in folders)])
        found: list[Difference] = []
        for name, (path, is_link) in inputs.items():
            content = os.fsencode(path.readlink()) if is_link else path.read_bytes()
            if name not in self.entries:
                found.append(Difference(name, "untracked", content, is_link))
            elif self._object_id(content) != self.entries[name][1]:
                found.append(Difference(name, "modified", content, is_link))
        for folder, suffix in folders.items():
            prefix = _relative(folder, self.root) + "/"
            found += [
                Difference(name, "deleted")
                for name in self.entries
                if name.startswith(prefix) and name.endswith(suffix) and name not in inputs
            ]
        found = self._mark_converted(self._mark_ignored(found))
        return sorted(found, key=lambda difference: difference.path)

    def make_patch(self, differences: Sequence[Difference]) -> bytes:
        """Return the patch that leads from the commit to the inputs; `git apply` takes it."""
        objects = run_git(self.root, ["rev-parse", "--git-path", "objects"]).decode().strip("\n")
        with tempfile.TemporaryDirectory(prefix="wavetwin-") as name:
            folder = Path(name)
            (folder / "objects").mkdir()
            alternate = str(self.root / objects).replace("\\", "\\\\").replace('"', '\\"')
            environment = {
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_INDEX_FILE": str(folder / "index"),
                "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{alternate}"',
            }
            # The look before this one has passed git's ownership check with the user's settings.
            options = ("-c", f"safe.directory={self.root}")
            for setting in _NEUTRAL:
                options += ("-c", setting)

            def git(arguments: Sequence[str], content: bytes = b"") -> bytes:
                return run_git(self.root, [*options, *arguments], content, environment)

            present = [difference for difference in differences if difference.content is not None]
            for number, difference in enumerate(present):
                (folder / str(number)).write_bytes(difference.content or b"")
            names = "".join(f"{folder / str(number)}\n" for number in range(len(present)))
            written = git(["hash-object", "-w", "--no-filters", "--stdin-paths"], names.encode())
            oids = dict(zip([d.path for d in present], written.decode().split(), strict=True))
            lines: list[bytes] = []
            for difference in differences:
                mode = self.entries.get(difference.path, ("100644", ""))[0]
                if difference.content is None:
                    mode = "0"
                elif difference.is_link:
                    mode = "120000"
                elif mode == "120000":
                    mode = "100644"
                oid = oids.get(difference.path, "0" * len(self.commit))
                lines.append(f"{mode} {oid}\t".encode() + os.fsencode(difference.path) + b"\0")
            git(["read-tree", self.commit])
            git(["update-index", "-z", "--index-info"], b"".join(lines))
            return git([*_DIFF, self.commit])

    def _object_id(self, content: bytes) -> str:
        algorithm = hashlib.sha256 if len(self.commit) == 64 else hashlib.sha1
        return algorithm(b"blob %d\0" % len(content) + content).hexdigest()

    def _mark_converted(self, found: list[Difference]) -> list[Difference]:
        contents = {
            difference.path: difference.content
            for difference in found
            if difference.state == "modified"
            and difference.content is not None
            and not difference.is_link
        }
        conversions = find_conversions(
            self.root,
            contents,
            lambda path, content: self._object_id(content) == self.entries[path][1],
        )
        return [replace(each, conversion=conversions.get(each.path)) for each in found]

    def _mark_ignored(self, found: list[Difference]) -> list[Difference]:
        untracked = [difference for difference in found if difference.state == "untracked"]
        if not untracked:
            return found
        names = b"".join(os.fsencode(difference.path) + b"\0" for difference in untracked)
        listing = run_git(
            self.root,
            ["check-ignore", "-z", "--stdin"],
            names,
            {"GIT_LITERAL_PATHSPECS": "0"},  # which this command refuses
            codes=(0, 1),
        )
        ignored = {os.fsdecode(name) for name in listing.split(b"\0")}
        return [
            Difference(d.path, "ignored", d.content, d.is_link)
            if d.state == "untracked" and d.path in ignored
            else d
            for d in found
        ]


class GitState:
    """The repositories that a command meets, each looked at once for all specs."""

    def __init__(self) -> None:
        self._roots: dict[Path, Path | None] = {}
        self._repositories: dict[Path, Repository] = {}
        self._known: dict[Hashable, Any] = {}
        self._looked: set[Path] = set()

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what `compute` returned the first time that this command asked for `key`."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def patch(self, repository: Repository, differences: Sequence[Difference]) -> bytes:
        """Return the repository's patch of these differences, made once for all specs."""
        key = ("patch", repository.root, tuple(differences))
        return self.once(key, lambda: repository.make_patch(differences))

    def repository(self, path: Path) -> Repository | None:
        """Return the repository whose work tree holds `path`; None outside any.

        Raises:
            CompileError: `git-failed`, or `not-a-repository` where nothing is committed yet.
        """
        root = self._root(path.resolve())
        if root is None:
            return None
        if root not in self._repositories:
            command = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]
            commit = run_git(root, command, codes=(0, 1)).decode("ascii").strip()
            if not commit:
                headline = "the repository has no commit yet"
                help_text = (
                    "commit the inputs, or build with --no-git, which marks what comes of it"
                )
                diagnostic = Diagnostic(
                    "not-a-repository", headline, subject=str(root), help=help_text
                )
                raise CompileError([diagnostic])
            self._repositories[root] = Repository(root, commit)
        return self._repositories[root]

    def work_tree(self, folder: Path) -> Path | None:
        """Return the root of the work tree that holds a folder; None outside any."""
        return self._root(folder.resolve() / ".git")

    def look(self, paths: Iterable[Path]) -> None:
        """Ask about many files and folders at once, so that later questions need no process."""
        wanted: dict[Path, list[str]] = {}
        new = [path for path in dict.fromkeys(paths) if path not in self._looked]
        self._looked.update(new)
        for path in new:
            repository = self.repository(path)
            if repository is not None:
                names = wanted.setdefault(repository.root, [])
                names += [
                    _relative(each, repository.root)
                    for each in (*_links(path, repository.root), path.resolve())
                ]
        for root, names in wanted.items():
            self._repositories[root].look(names)

    def _root(self, path: Path) -> Path | None:
        """Return the nearest ancestor with a `.git` that is one; remembers what it passes."""
        passed: list[Path] = []
        found: Path | None = None
        for folder in path.parents:
            if folder in self._roots:
                found = self._roots[folder]
                break
            passed.append(folder)
            dot_git = folder / ".git"
            if dot_git.is_file() or (dot_git / "HEAD").is_file():
                found = folder
                break
        self._roots.update(dict.fromkeys(passed, found))
        return found


class _Leads:
    """Where files lead; what the system says of a folder is asked once for all of its files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, _Folder] = {}

    def of_file(self, file: Path) -> tuple[list[Path], str, Path]:
        """Return where a file as written leads.

        Returns:
            The symbolic links inside the root that it goes through; the file's name, relative to the
            root; the file itself.
        """
        above, _, name = str(file.absolute()).rpartition("/")
        folder = self._folders.get(above)
        if folder is None:
            folder = self._folders[above] = self._look(Path(above))
        if file.is_symlink():
            target = file.resolve()
            return _links(file, self._root), _relative(target, self._root), target
        return folder.links, folder.prefix + name, file

    def _look(self, path: Path) -> _Folder:
        below = _relative(path.resolve(), self._root)
        prefix = "" if below == "." else f"{below}/"
        return _Folder(prefix, _links(path, self._root))


class _Folder(NamedTuple):
    """What the system says of a folder."""

    prefix: str
    """Before the names of its files, relative to the root."""
    links: list[Path]
    """That lead to it, inside the root."""


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _links(path: Path, root: Path) -> list[Path]:
    """Return the symbolic links inside `root` that `path` as written goes through."""
    path = path.absolute()
    links = [
        each.parent.resolve() / each.name for each in (path, *path.parents) if each.is_symlink()
    ]
    return [link for link in links if link != root and link.is_relative_to(root)]
