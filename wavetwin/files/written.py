"""List the files that a build and a run consist of, and what each is.

Paths are patterns (`*` for a name, `**` for anything below); a test compares them with folders that were
written.
"""

from __future__ import annotations

__all__ = ["BUILD_FILES", "RUN_FILES"]

BUILD_FILES: dict[str, str] = {
    "model.py": "The network as one would write it by hand, in PyTorch and `wavetwin.runtime` layers.",
    "train.py": "The training, its loop in plain sight and the plan's numbers at the top.",
    "evaluate.py": "The evaluation suite that the spec lists.",
    "slurm.sh": "A batch file for Slurm; copy it to edit it.",
    "spec.lock.yaml": "The spec with every value filled in: a spec, too.",
    "graph.json": "The module graph as written: layers, shapes, parameters, cost, the lines they come from.",
    "plan.json": "The training plan: data, recipe, evaluation, seeds, digests.",
    "MODEL.md": "A card: layers, shapes, parameters, cost, what differs from the parent.",
    "manifest.json": "The commit, versions, and the SHA-256 of every file and every input.",
    "inputs.patch": "Inputs as they differ from the commit, with `--allow-dirty`.",
    "wavetwin.patch": "wavetwin as it differs from its own commit, with `--allow-dirty`.",
    "project/**": "Copies of own layers, losses, transforms and metrics that the spec names.",
    "wavetwin/**": "Copies of the modules that the scripts need, with `--standalone`.",
}
"""Of a folder in `generated/`."""

RUN_FILES: dict[str, str] = {
    "manifest.json": "What runs, on what, its status, and each session: commit, versions, machine, command.",
    "metrics.jsonl": "A line an epoch: losses, errors, learning rate, seconds.",
    "scores.json": "A record for each evaluated entry: scores with intervals, digests, commit, data.",
    "predictions/*": "Each image's logits or changes, as safetensors; as CSV where the entry asks for it.",
    "checkpoints/last/model.safetensors": "The last weights.",
    "checkpoints/last/average.safetensors": "The last averaged weights, where the plan averages.",
    "checkpoints/last/state.pt": "Optimiser, schedule, position in the epoch: what a resumed run needs.",
    "checkpoints/best.safetensors": "The weights of the lowest validation error.",
    "checkpoints/epoch-*.safetensors": "Snapshots, where `training.checkpoint_every` asks for them.",
    "build.json": "The build's manifest.",
    "plan.json": "The plan that ran.",
    "graph.json": "The build's graph.",
    "model.py": "The build's network.",
    "spec.lock.yaml": "The build's spec, filled in.",
    "inputs.patch": "The build's, where its inputs were not committed.",
    "wavetwin.patch": "The build's, where wavetwin was not committed.",
    "project/**": "The build's copies of own code.",
    "statistics.json": "Mean and deviation of the training images, where the data set has none of its own.",
    "starting_weights.json": "What was loaded, what began anew, what was left, where `weights` names a start.",
    "gradients.jsonl": "Norms of the mixing's gradients, with `training.record_gradients`.",
    "events/*": "TensorBoard's files.",
    "wandb/**": "Weights & Biases' files, offline.",
    "failed/*": "The batch that made a loss or a weight that is not finite.",
    "edited/**": "Scripts that were edited by hand, where they ran with `--allow-drift`.",
    "edited.diff": "What they differ in from what was built.",
    "lock": "Held by the script that works on the run.",
    "scores.json.lock": "Held while scores are added.",
    "steps": "The number of steps done, for whoever watches.",
}
"""Of a folder in `runs/<name>/`."""
