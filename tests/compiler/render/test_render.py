"""Rendering: the same bytes for the same inputs, whatever the texts in them."""

import ast
import importlib
import json
import os
import py_compile
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.shipped import KIND_IDS, KINDS, ROOT, compiled_once, rendered_once, spec_of
from wavetwin.compiler.compiled import Compiled, compile_spec
from wavetwin.compiler.render.files import comment, render, shell_word, table_cell
from wavetwin.compiler.render.spec_yaml import dump_spec
from wavetwin.ir.graph import ModuleGraph
from wavetwin.ir.plan import TrainingPlan
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.package import sha256_of
from wavetwin.provenance.record import Provenance, collect_provenance

NAMES = (
    "model.py",
    "train.py",
    "evaluate.py",
    "slurm.sh",
    "MODEL.md",
    "spec.lock.yaml",
    "graph.json",
    "plan.json",
    "manifest.json",
)
STABLE_PATHS = ("wavetwin.runtime", "wavetwin.runtime.layers")
"""docs/running.md: what generated scripts may import."""
SMALL = """
wavetwin: 1
name: {name}
summary: {summary}
backbone: {{arch: sequential, layers: [{{flatten: {{}}}}, {{linear: {{}}}}]}}
stem: {{free_channels: 4, kernel_size: 3, stride: 2}}
data: {{dataset: digits}}
"""
HOSTILE = (
    "quotes \" and ' and \"\"\" and '''",
    "back\\slashes \\n \\u0041 \\",
    "$HOME `id` $(id) ; rm -rf / & | > <",
    "two\nlines\r\nand\ttabs\x85 next\u2028separated",
    "{{ 7 * 7 }} {% raw %} {# x #}",
    "| table * _cell_ [link](x) <b>",
    "\u202edroW\u202c wide \uff08 accents \xe9\xdf",
    "# not a comment */ --> #SBATCH --account=x",
)


def no_git(compiled: Compiled) -> Provenance:
    return collect_provenance(compiled.files, compiled.project, GitState(), no_git=True)


def render_spec(path: Path, *overrides: str) -> dict[str, bytes]:
    compiled = compile_spec(path, overrides)
    return render(compiled, no_git(compiled))


def write_small(folder: Path, name: str = "small", summary: str = "s") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small.yaml"
    text = SMALL.format(name=json.dumps(name), summary=json.dumps(summary))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_every_spec_renders_twice_the_same(path: Path) -> None:
    files = rendered_once(path)
    assert tuple(files) == NAMES
    assert files == render_spec(path)
    manifest = json.loads(files["manifest.json"])
    assert manifest["files"] == {
        name: sha256_of(content) for name, content in sorted(files.items()) if name != NAMES[-1]
    }
    for name, content in files.items():
        assert content.endswith(b"\n"), name
        assert not content.endswith(b"\n\n"), name
        assert b"\r" not in content, name
        assert str(ROOT).encode() not in content, name
        assert not re.search(rb"[ \t]+$", content, re.MULTILINE), name
    check_imports(files)
    check_constants(files)


def check_imports(files: dict[str, bytes]) -> None:
    """Of wavetwin the scripts import two paths, and of these the public names."""
    public = {name: importlib.import_module(name).__all__ for name in STABLE_PATHS}
    for script in ("train.py", "evaluate.py", "model.py"):
        for node in ast.walk(ast.parse(files[script])):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("wavetwin") for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wavetwin"):
                assert {alias.name for alias in node.names} <= set(public[node.module])
    assert "wavetwin.runtime.slurm" in files["slurm.sh"].decode()


def script_numbers(text: bytes) -> dict[str, object]:
    """Return what train.py hands to read_plan, by its constants."""
    tree = ast.parse(text)
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.Tuple)
    }
    (call,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "read_plan"
    )
    return {
        word.arg: eval(ast.unparse(word.value), {"__builtins__": {}}, constants)
        for word in call.keywords
    }


def check_constants(files: dict[str, bytes]) -> None:
    """The constants of train.py are the plan's."""
    plan = json.loads(files["plan.json"])
    for name, value in json.loads(json.dumps(script_numbers(files["train.py"]))).items():
        if isinstance(value, dict):
            assert value.items() <= plan[name].items()
        else:
            assert value == plan[name]


WEIGHTS = "training.class_weights=[1, 2, 1, 1, 1, 1, 1, 1, 1, 1]"
BRANCHES = {
    "accumulate": ("training.accumulate=2", "training.micro_batches(batch)"),
    "bfloat16": ("training.precision=bfloat16", "with torch.autocast"),
    "float16": ("training.precision=float16", "scaler.scale(loss * batch.weight).backward()"),
    "compile": ("training.compile=true", "processes, network=network\n"),
    "gradients": ("training.record_gradients=true", "training.record_gradients()"),
    "smoothing": ("training.label_smoothing=0.1", "label_smoothing=plan.label_smoothing)"),
    "weights": (WEIGHTS, "weighted_cross_entropy(logits, batch.labels, class_weights)"),
    "clipping": ("training.clip_norm=1", "clip_grad_norm_(model.parameters(), plan.clip_norm)"),
    "freeze": ("training.freeze=[stem]", "frozen = FrozenParts(model, graph, plan)"),
    "groups": (
        "training.groups=[{match: [norms, biases], weight_decay: 0}]",
        "build_optimizer(plan.optimizer, model, graph, plan.groups)",
    ),
    "mixup": ("training.mixup=0.2", "batch = mix_images(batch, plan, epoch, training.step)"),
    "cutmix": ("training.cutmix=1", "functional.cross_entropy(logits, batch.targets)"),
    "average": ("training.average_decay=0.9", "training.finish_epoch(scores, averaged)"),
    "plateau": ("training.schedule={name: plateau}", 'learning_rate.follow(scores["loss"])'),
    "penalty": ("stem.wavelet.regularisation=[0.1, 0]", "penalty.backward()"),
    "no penalty": ("stem.wavelet.regularisation=[0, 0]", "record_penalty(regularisation(model))"),
    "initial": ("stem.initial_weights={checkpoint: a.safetensors}", "note_initial_weights("),
    "start": (
        f"weights={{checkpoint: w.pth, sha256: {'a' * 64}}}",
        "start = load_start(run, plan,",
    ),
    "validation": ("data.validation=0", "training.finish_epoch()"),
}
"""What of a spec asks for a branch of train.py, and a text of it."""


def test_a_branch_is_written_where_the_plan_takes_it() -> None:
    plain = render_spec(spec_of("twin_mod"))["train.py"].decode()
    scripts = {}
    for name, (override, text) in BRANCHES.items():
        script = render_spec(spec_of("twin_mod"), override)["train.py"].decode()
        assert text in script, name
        assert text not in plain, name
        scripts[name] = script
    loop = plain[plain.index("            for batch in") : plain.index('    processes.say(f"fin')]
    assert loop == LOOP
    assert "score_one_crop" not in scripts["validation"]
    assert "penalty.backward()" not in scripts["no penalty"]
    assert "# penalty     L1/Linf of stem.wavelet.mixing, lambda 0.1, 0.0" in scripts["penalty"]
    assert "ACCUMULATE = 2\n" in scripts["accumulate"]
    assert "if " not in loop


LOOP = """\
            for batch in training.batches(epoch):
                learning_rate.set(epoch, training.step)
                optimizer.zero_grad()
                logits = training.network(batch.images)
                loss = functional.cross_entropy(logits, batch.labels)
                (loss * batch.weight).backward()
                training.record(loss, logits, batch)
                optimizer.step()
                training.finish_step(batch)
            with training.validation():
                scores = score_one_crop(
                    model, data, "validation", device, processes, allow_non_finite=True
                )
            training.finish_epoch(scores)
"""


def test_documents_read_back() -> None:
    path = spec_of("AwyI_mod")
    compiled, files = compiled_once(path), rendered_once(path)
    assert ModuleGraph.from_text(files["graph.json"].decode()) == compiled.graph
    assert TrainingPlan.from_text(files["plan.json"].decode()) == compiled.plan


SCRIPT = """
import hashlib, sys
from pathlib import Path
from wavetwin.compiler.compiled import compile_spec
from wavetwin.compiler.render.files import render
from wavetwin.provenance.git_state import GitState
from wavetwin.provenance.record import collect_provenance
compiled = compile_spec(Path(sys.argv[1]))
provenance = collect_provenance(compiled.files, compiled.project, GitState(), no_git=True)
for name, content in render(compiled, provenance).items():
    print(name, hashlib.sha256(content).hexdigest())
"""


def test_the_surroundings_do_not_matter(tmp_path: Path) -> None:
    outputs: set[str] = set()
    for number, (seed, locale, zone) in enumerate(
        [("0", "C", "UTC"), ("1", "C.UTF-8", "Asia/Tokyo"), ("77", "POSIX", "America/New_York")]
    ):
        path = write_small(tmp_path / f"a folder {number}", summary="caf\xe9 \u4e2d")
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "LC_ALL": locale,
            "TZ": zone,
            "HOME": str(tmp_path / str(number)),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": str(40 + number),
        }
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(path)],
            cwd=path.parent,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr.decode()
        outputs.add(result.stdout.decode())
    assert len(outputs) == 1


@pytest.mark.parametrize("summary", HOSTILE)
def test_hostile_texts_stay_texts(summary: str, tmp_path: Path) -> None:
    path = write_small(tmp_path / "path with spaces", name="a.b-c_", summary=summary)
    files = render_spec(path)
    assert "{{ 7 * 7 }}" not in summary or b"49" not in files["model.py"].split(b"\n")[0]
    for name in ("model.py", "train.py", "evaluate.py"):
        script = tmp_path / name
        script.write_bytes(files[name])
        py_compile.compile(str(script), cfile=str(tmp_path / "out.pyc"), doraise=True)
        first = files[name].decode().split("\n")[0]
        assert first == f"# a.b-c_: {comment(summary)}"
    subprocess.run(["bash", "-n"], input=files["slurm.sh"], check=True, capture_output=True)
    shell = files["slurm.sh"].decode().split("\n")
    assert [line for line in shell if line.startswith("#SBATCH --account")] == []
    lock = tmp_path / "again.yaml"
    lock.write_bytes(files["spec.lock.yaml"])
    assert compile_spec(lock).spec.summary == summary


def test_ruff_has_nothing_to_say(tmp_path: Path) -> None:
    for path in KINDS:
        folder = tmp_path / path.stem
        folder.mkdir()
        for name, content in rendered_once(path).items():
            if name.endswith(".py"):
                (folder / name).write_bytes(content)
    # Where a checkout builds, wavetwin is first-party.
    config = tmp_path / "ruff.toml"
    config.write_text(
        f'extend = "{ROOT / "pyproject.toml"}"\n[lint.isort]\nknown-first-party = ["wavetwin"]\n',
        encoding="utf-8",
    )
    for command in (["check"], ["format", "--check"]):
        result = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "--no-cache",
                "--config",
                str(config),
                str(tmp_path),
            ],
            capture_output=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout.decode()


@pytest.mark.parametrize("path", KINDS, ids=KIND_IDS)
def test_the_lock_is_a_spec_of_the_same_digests(path: Path, tmp_path: Path) -> None:
    compiled, files = compiled_once(path), rendered_once(path)
    lock = tmp_path / "spec.lock.yaml"
    lock.write_bytes(files["spec.lock.yaml"])
    again = compile_spec(lock)
    assert again.name == compiled.name
    assert again.resolved == compiled.resolved
    assert again.digest == compiled.digest
    second = render(again, no_git(again))
    assert second["spec.lock.yaml"] == files["spec.lock.yaml"]
    assert second["plan.json"] == files["plan.json"]
    # Built at the same place from its own lock, everything but where values were set is the same.
    without_origin = [replace(node, origin=()) for node in again.graph]
    assert without_origin == [replace(node, origin=()) for node in compiled.graph]


@pytest.mark.parametrize(
    "value",
    [1e-05, 1e22, 0.1, 1.0, 5e-324, 1e16, 123456.789, 0.00032, 0, -3, True, False],
)
def test_scalars_read_back(value: object) -> None:
    from ruamel.yaml import YAML

    (line,) = dump_spec({"a": value}).splitlines()
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        read = yaml.load(f"%YAML {version}\n---\n{line}\n")["a"]
        assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "value",
    [*HOSTILE, "", " ", "no", "NULL", "~", "1e3", "1_000", "2020-01-01", "a: b", "- a", "0x1"],
)
def test_texts_read_back(value: str) -> None:
    from ruamel.yaml import YAML

    text = dump_spec({"a": value, "b": [value], "c": [{"d": value}]})
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        read = yaml.load(f"%YAML {version}\n---\n{text}")
        assert read == {"a": value, "b": [value], "c": [{"d": value}]}


def test_long_lists_are_wrapped() -> None:
    text = dump_spec({"packets": list(range(200)), "nested": {"empty": [], "none": {}}})
    assert max(map(len, text.splitlines())) <= 100
    with pytest.raises(TypeError):
        dump_spec({"a": None})


def test_filters() -> None:
    assert comment("a\nb\x00\u202e\xe9") == "a b\\x00\\u202e\xe9"
    for text in HOSTILE:
        result = subprocess.run(
            ["sh", "-c", f"printf %s {shell_word(text)}"], capture_output=True, check=True
        )
        assert result.stdout.decode() == comment(text)
    assert table_cell("a|b_c _d_ <e>") == "a\\|b_c \\_d\\_ \\<e\\>"
