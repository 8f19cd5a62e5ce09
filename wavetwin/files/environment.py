"""List the environment variables that wavetwin reads, and what each does.

A test compares the names with those that the sources ask for.
"""

from __future__ import annotations

__all__ = ["LAUNCHER_VARIABLES", "VARIABLES"]

VARIABLES: dict[str, str] = {
    "WAVETWIN_DATA": "The folder that the data sets lie in, where `--data-root` does not say it.",
    "WAVETWIN_LOGGERS": "Loggers of a start, separated by commas, instead of the user's file; empty: none.",
    "XDG_CONFIG_HOME": "Where `wavetwin/config.toml` lies, the user's file; default: `~/.config`.",
    "XDG_CACHE_HOME": "Where trials of own code and native kernels are kept, in `wavetwin/`; "
    "default: `~/.cache`.",
    "NO_COLOR": "Set: a terminal gets text without colours.",
    "PATH": "Where git is looked for; an entry that is no absolute path is left out.",
    "CXX": "The C++ compiler of the native kernel and of `torch.compile` on CPUs.",
    "CUDA_VISIBLE_DEVICES": "The GPUs that a sweep divides among its members, one each.",
    "RAY_AUTH_MODE": "Of a Ray that a sweep starts or joins: how it knows who asks; default: token, where "
    "`~/.ray/auth_token` lies.",
    "RAY_TMPDIR": "Where Ray's nodes keep their logs, of which a sweep shows the end where one does not start; "
    "default: `/tmp`.",
    "MLFLOW_TRACKING_URI": "MLflow's server, where the user's file names none; MLflow reads it.",
    "WANDB_MODE": "Of Weights & Biases, where the user's file does not say it; default: offline.",
    "PYTHON": "slurm.sh: the interpreter; default: the first `python` on PATH.",
    "SBATCH_OPTIONS": "slurm.sh: options of sbatch, which win over the file's own.",
    "PREFLIGHT": "slurm.sh: `no` leaves the preflight on the login node out.",
    "PROCESSES_PER_NODE": "slurm.sh: default: the GPUs that Slurm gives the node, else 1.",
    "MAX_REQUEUES": "slurm.sh: how often a job is queued again; default: 50.",
    "REPEAT_SECONDS": "slurm.sh: how often the signal is passed on until the processes have ended; default: 10.",
    "OMP_NUM_THREADS": "slurm.sh: threads of a process before torch starts; default: the plan's. The script "
    "sets torch's own by the plan.",
    "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": "Seconds that torchrun waits for its processes; slurm.sh: 110, where it is "
    "not set.",
}
"""What a user may set."""

LAUNCHER_VARIABLES: dict[str, str] = {
    "RANK": "torchrun: the process's number; set: the process is one of several.",
    "WORLD_SIZE": "torchrun: the number of processes.",
    "LOCAL_RANK": "torchrun: the process's number on its machine, and the GPU that it takes.",
    "LOCAL_WORLD_SIZE": "torchrun: the processes on the machine, which share its cores.",
    "GROUP_WORLD_SIZE": "torchrun: the machines, for the record.",
    "TORCHELASTIC_RUN_ID": "torchrun: there is a launcher, for the record.",
    "SLURM_JOB_ID": "Slurm: the job; set: slurm.sh runs in it.",
    "SLURM_JOB_NODELIST": "Slurm: the nodes, whose first one the processes meet at.",
    "SLURM_JOB_NUM_NODES": "Slurm: the number of nodes.",
    "SLURM_NNODES": "Slurm: the same, by its older name.",
    "SLURM_GPUS_ON_NODE": "Slurm: the GPUs of the node.",
    "SLURM_CPUS_PER_TASK": "Slurm: the cores of the node's task.",
    "SLURM_RESTART_COUNT": "Slurm: how often the job was queued again.",
    "SLURM_ARRAY_JOB_ID": "Slurm: the array that the job is a task of; it queues itself again, and no other task.",
    "SLURM_ARRAY_TASK_ID": "Slurm: which one it is.",
    "SLURM_ARRAY_TASK_COUNT": "Slurm: the tasks of the job's array; slurm.sh refuses more than one.",
    "SLURM_STEP_ID": "Slurm: the step, for the record.",
    "SLURM_STEP_NUM_NODES": "Slurm: the step's nodes, for the record.",
    "SLURM_SUBMIT_DIR": "Slurm: the folder that sbatch was called in.",
    "WAVETWIN_FROZEN": "Set by slurm.sh: the frozen copy that the job runs.",
    "WAVETWIN_LAUNCHER": "Set by slurm.sh: what started the processes, for the record.",
}
"""What torchrun, Slurm and slurm.sh set."""
