"""List every diagnostic's code and what it means, in one line.

Part of the public interface: a code keeps its meaning from version to version. The codes of
`CHECK_CODES` are found by `wavetwin check`; each has a bad spec in the tests.
"""

from __future__ import annotations

CHECK_CODES: dict[str, str] = {
    # reading a file
    "file-not-found": "A file that was named does not exist.",
    "file-unreadable": "A file exists and cannot be read.",
    "no-specs": "A folder holds no spec.",
    "bad-project-file": "The project's pyproject.toml cannot be read.",
    "not-utf-8": "A spec is not encoded in UTF-8.",
    "unprintable-character": "A spec holds a character that YAML does not allow.",
    "file-too-large": "A spec has more characters than are read.",
    "too-deep": "A spec's lists and mappings lie too deep inside each other.",
    "too-many-values": "A spec has too many values, aliases written out.",
    "too-many-aliases": "A spec has too many aliases.",
    "undefined-alias": "An alias names an anchor that is not there, or that it is part of.",
    "number-too-long": "A number has too many digits.",
    "syntax-error": "A spec is not well-formed YAML.",
    "merge-conflict": "A file holds the marks of an unresolved merge.",
    "key-and-colon-apart": "Within brackets, a key does not stand on one line with its ':'.",
    "directive": "A spec has a directive other than %YAML 1.2.",
    "second-document": "A spec's file holds more than one document.",
    "tag": "A value carries a YAML tag.",
    "merge-key": "A mapping uses the merge key <<.",
    "non-scalar-key": "A key is a list, a mapping, an alias or empty.",
    "duplicate-key": "A mapping has a key twice.",
    "empty-document": "A spec's file is empty.",
    "sweep-not-a-spec": "A sweep is given where a spec is needed.",
    "not-a-mapping": "A spec is not a mapping of fields.",
    # composing
    "extends-absolute-path": "A parent is named by an absolute path.",
    "extends-cycle": "A spec extends itself, directly or through others.",
    "extends-leaves-project": "A parent lies outside the project.",
    "extends-not-found": "A parent does not exist or cannot be read.",
    "too-many-parents": "A spec inherits from too many files.",
    "bad-override": "A --set is not of the form key.path=value.",
    # structure
    "unknown-field": "A key is no field of its section.",
    "missing-field": "A required field is absent.",
    "value-missing": "A word stands where a field should, without a ':'.",
    "left-empty": "A field has no value, which is a null: it removes what is inherited, if anything.",
    "null-for-required-field": "A required field is removed by null.",
    "unknown-version": "The spec is written for another version of the language.",
    "unknown-choice": "A value is none of those that the field may have.",
    "wrong-type": "A value is of another type than the field's.",
    "wrong-length": "A list or text is too short or too long.",
    "out-of-range": "A number is too small, too large or not finite.",
    "bad-name": "A name, written or taken from the file's, has characters that names may not have.",
    # backbone, stem and pooling
    "channels-do-not-add-up": "Free and wavelet channels do not make up the first layer's width.",
    "stem-is-empty": "The first layer has no channels.",
    "initial-weights-do-not-fit": "Initial channels and free channels differ in number.",
    "norm-needs-sequential": "stem.norm is given for an architecture that has its own.",
    "downsampling-needs-trunk": "A blurring trunk is asked of a sequential backbone.",
    "layers-missing": "A sequential backbone has no layers.",
    "layers-need-sequential": "Layers are given to an architecture that has its own.",
    "not-one-layer": "An item of backbone.layers is not exactly one layer.",
    "unknown-layer": "A layer is to be replaced that is not there.",
    "layer-not-replaceable": "A layer of a named trunk is to be replaced that nothing can replace.",
    "layer-name-taken": "Two layers of a list are called the same.",
    "layer-name-reserved": "A layer is called as something that every module has.",
    "residual-is-empty": "A residual layer has no body.",
    "image-needs-sequential": "An architecture with a first layer of its own is to begin with the image.",
    "stem-not-used": "stem or pooling is given where the layers begin with the image.",
    "padding-too-large": "A pooling's padding is more than half its window.",
    "last-layer-not-linear": "A sequential backbone does not end in a linear layer.",
    "last-layer-not-classes": "The last layer's outputs are not the classes.",
    "adaptive-blur-channels": "An adaptive blur pools channels that 8 does not divide.",
    "adaptive-blur-size": "An adaptive blur has an even size.",
    "max-kernel-without-blur": "pooling.max_kernel is set where it has no effect.",
    "poolings-do-not-mix": "Free and wavelet channels are pooled at different steps.",
    "step-cannot-be-halved": "A blurred modulus halves a step, and the free channels have none.",
    "wavelet-pooling-without-wavelet": "pooling.wavelet is set without wavelet channels.",
    "modulus-needs-dtcwpt": "A modulus is asked of real packets.",
    # wavelet channels
    "packets-or-band": "An entry of keep has both or neither of packets and band.",
    "band-out-of-range": "A dyadic band does not exist at these levels.",
    "band-kept-twice": "A dyadic band is kept twice.",
    "band-is-empty": "The rules of exclude leave nothing of a band.",
    "exclude-with-packets": "exclude is given beside explicit packets.",
    "packet-out-of-range": "A packet does not exist at these levels.",
    "packet-kept-twice": "A packet is kept twice.",
    "groups-do-not-divide": "A mixing's groups do not divide its packets and channels.",
    "lambdas-do-not-match": "regularisation has not one value for each band.",
    "unknown-filters": "The transform has no filters of this name.",
    "wavelet-without-lattice": "A wavelet is to be learned that is no orthogonal lattice.",
    "stride-not-power-of-two": "Wavelet channels have a stride that is no power of two.",
    "stride-too-large": "Wavelet channels have a larger stride than their levels reach.",
    "color-mixing-without-color": "Colours are mixed in images of one channel.",
    "does-not-fit": "The image is too small for the network's subsampling.",
    # own code
    "own-code-bad-path": "A file of own code lies outside the project, or is none that can be imported.",
    "own-code-not-found": "A file of own code does not exist or cannot be read.",
    "own-code-not-python": "A file of own code is no Python.",
    "own-code-unknown-name": "A file of own code has no such class or function, or it is of another kind.",
    "own-code-imports": "A file of own code imports what no build records.",
    "own-code-arguments": "A class or function of own code does not take its arguments.",
    "own-code-changed": "A file of own code is not the one that a resolved spec records.",
    "own-code-does-not-fit": "What own code has or gives does not fit where it stands.",
    "own-code-failed": "Own code raises an exception, hangs or ends its process. The message has the line.",
    # data, training and evaluation
    "field-does-not-apply": "A field belongs to another kind than the chosen one.",
    "num-classes-missing": "The number of classes is neither known nor given.",
    "num-classes-wrong": "The number of classes given is not the data set's.",
    "not-one-transform": "An item of data.augmentation is not exactly one transform.",
    "range-reversed": "A range goes from a larger number to a smaller one.",
    "kernel-size-even": "A blur has an even number of taps.",
    "transform-out-of-order": "A transform of bytes comes after one of normalised values.",
    "transforms-miss-size": "Listed transforms do not lead to images of image_size.",
    "transform-needs-colour": "A transform of colours is to change images of one channel.",
    "data-lock-wrong": "The lock of a spec's images does not add up.",
    "no-training-images": "validation leaves no images to train on.",
    "no-validation-images": "Validation images are needed and none are held out.",
    "batch-does-not-divide": "A batch does not split into equal parts.",
    "batch-of-one": "A norm sees one value per channel: the last part of a batch is one image.",
    "nesterov-without-momentum": "nesterov is set with a momentum of 0.",
    "milestones-missing": "The schedule milestones has no milestones.",
    "milestones-do-not-increase": "Milestones are not in increasing order.",
    "class-weights-wrong": "There are not as many class weights as classes.",
    "no-such-parameters": "A name in the training or the weights chooses no parameter.",
    "weights-source": "Weights to start from name no file, two, or one outside the project.",
    "weights-changed": "A file that weights are of is another one than the spec or the build has.",
    "classifier-does-not-fit": "The classifier of a weights file has another number of classes.",
    "projection-does-not-apply": "A first layer is to be fitted to a CNN's, and cannot be.",
    "nothing-to-train": "The training freezes every parameter.",
    "warmup-too-long": "The warm-up does not end within the training.",
    "max-step-too-large": "max_step is larger than the shifts that are made.",
    "score-name-taken": "Two scores of an entry of the evaluation are called the same.",
    # lint: warnings
    "reason-is-empty": "A warning is suppressed without a reason.",
    "unused-suppression": "A warning is suppressed that the spec does not give rise to.",
    # several specs
    "duplicate-name": "Two specs have the same name, or one that differs in case alone.",
}
"""What `wavetwin check` finds."""

SWEEP_CODES: dict[str, str] = {
    "not-a-sweep": "A spec is given where a sweep is needed.",
    "base-not-usable": "The base of a sweep does not exist, or is none that members can be built from.",
    "not-one-range": "A field of a sweep's space has no range of values, or several.",
    "not-a-field-path": "A key of a sweep's space is not the path of a field.",
    "field-not-varied": "A field cannot be varied by a sweep: something else says it, or it changes no training.",
    "fields-overlap": "A sweep varies a section and a field of it.",
    "grid-needs-lists": "A grid has a field whose values cannot be counted.",
    "points-missing": "A sweep draws points, and nothing says how many.",
    "space-is-empty": "A sweep draws points, and varies nothing.",
    "too-many-points": "A grid has more points than a sweep may have.",
    "points-above-space": "A sweep is to draw more points than there are.",
    "grace-above-epochs": "A scheduler looks at points after their last epoch.",
    "repeated-seed": "A sweep lists a seed twice.",
    "objective-of-test": "Points are to be compared by a score of test images.",
}
"""What `wavetwin sweep` finds in a sweep beside what `check` finds in specs; each has a bad sweep in the
tests."""

BUILD_CODES: dict[str, str] = {
    "fragment": "A part of specs is asked to be built on its own.",
    "git-failed": "git could not be run or ended with an error.",
    "not-a-repository": "The inputs are in no git repository, so that nothing pins them.",
    "dirty-inputs": "Inputs differ from the commit that would pin them.",
    "hand-edited": "Files of a built folder were changed since, and would be overwritten.",
    "bad-project": "The project named is no folder, or does not hold the spec.",
    "cannot-write": "A file or folder cannot be written. Name another one, or change its permissions.",
    "name-too-long": "A path is longer than the system takes.",
    "not-formatted": "`wavetwin fmt` would lose a value or a comment, and leaves the file as it is.",
}
"""What `wavetwin build` and `wavetwin run` find beside."""

RUN_CODES: dict[str, str] = {
    "script-modified": "Files of a built or frozen folder are not as they were built. Build again, "
    "or run the edited script with --allow-drift, which marks the run.",
    "source-changed": "The wavetwin that a script imports is not the one it was built with. Check "
    "that one out (the message has the command), or build again.",
    # the images
    "data-root-unknown": "Nothing says where the data sets lie. Give --data-root, set "
    "WAVETWIN_DATA, or write data_root into the configuration file.",
    "data-set-missing": "A data set, or a folder that an evaluation reads, is not in the data root. "
    "`wavetwin data check` says what is looked for, and how to get it.",
    "data-set-incomplete": "Files, classes or lists of a data set are missing. Unpack or fetch its "
    "archives again.",
    "data-set-damaged": "A file of a data set is cut off, or is not what its name says. Fetch it "
    "again.",
    "data-set-not-official": "Checksums or counts are not the official data set's. Fetch it again; "
    "--allow-other-data takes what is there, and marks the run.",
    "data-lock-differs": "The images of your own are not those of the spec's lock. Bring them back, or "
    "let `wavetwin data prepare SPEC` write the lock anew; --allow-other-data takes other numbers of "
    "images as they are, and marks the run.",
    "data-list-wrong": "A line of the list that divides images names no file, an unknown label or split, "
    "or an image that another line has. Correct the line.",
    "data-do-not-fit": "The classes of the images, their order or their channels are not the "
    "model's, or differ between training and test. Bring the folders into agreement, or change "
    "the spec.",
    "no-images": "A folder, a class or a split holds no images. Add some, or move away what is no "
    "class.",
    "bad-entry": "Among the images lies a link that leads nowhere, back, or to what is read already, "
    "or something that is no file. Move it away.",
    "image-damaged": "An image or a video cannot be decoded. Fetch it again; --on-bad-image skip "
    "leaves damaged ones out, and lists them in the run.",
    "reader-killed": "A process that reads images was killed, mostly for want of memory. Start again "
    "with fewer --workers.",
    "pickle-not-plain": "A pickle asks for more than tensors and plain values, which could run code; "
    "nothing was run. Fetch the official file, or have its maker write a state dict alone.",
    # weights and states
    "no-weights": "A run has no trained weights, or none of this name. Run train.py first.",
    "not-a-weights-file": "A file holds no state dict, or is of a kind that is not read. Name "
    "another one, or write its state dict with safetensors.",
    "state-dict-unclear": "A weights file has several state dicts, or none of the name given. Say "
    "which with --state-dict.",
    "weights-do-not-fit": "Tensors of a weights file are missing, left over or of another shape than "
    "the model's. Name the weights of this model, or build the spec that they are of.",
    "checkpoint-damaged": "A file of a run's saved state is missing, damaged or changed. Bring it "
    "back as it was, or start another run with --new.",
    "not-finite": "A loss, an output or a score is infinite or not a number. Lower the learning "
    "rate, warm up, or use float32; evaluate earlier weights.",
    # runs and files
    "run-differs": "A run or its state is of another training than the script's. Build the spec that "
    "the run was started from, or start another one with --new.",
    "run-not-found": "There is no run of this name, or no folder of runs. `wavetwin runs list` shows "
    "what is there; --runs names the folder.",
    "not-a-run": "A folder is no run and no built folder. Name one of runs/<name>/ or generated/.",
    "file-damaged": "A file that wavetwin wrote (manifest, plan, metrics, scores) is missing from its "
    "folder, cut off or edited. Copy it, build or evaluate again.",
    "other-version": "A file was written by another version of wavetwin. Take that version, or build "
    "or train again.",
    "in-use": "Another process works on the same run, file or folder. Wait for it, or choose another "
    "one.",
    "disk-full": "A disk is full, or a quota is used up. Make room and start again: a run goes on "
    "from its last saved state.",
    "cannot-freeze": "A file that a job needs lies outside the project. Copy it into the project, and "
    "name it by a relative path.",
    "bad-config": "wavetwin's configuration file cannot be read, or has a value of another kind. "
    "Correct it.",
    "member-not-trained": "A member of a sweep could not be trained: no data, a full disk, another process that "
    "works on its run. Its log says why; the same command goes on.",
    "no-winner": "A sweep has no point yet that is trained to the end. Start it: it goes on.",
    "member-killed": "A member of a sweep was killed again and again. Train fewer at once with --jobs.",
    "member-cancelled": "Somebody cancelled a job that trains a member of a sweep. The same command goes on.",
    "engine-not-started": "What is to train a sweep's members does not start, or is not at its address. The "
    "message says what was tried; --engine local needs nothing.",
    "engine-has-no-room": "No machine of a cluster has the cores that a member of a sweep takes. Start larger "
    "ones, or lower training.threads.",
    # the machine
    "device-missing": "The device asked for is not there or cannot be used. Name another one with "
    "--device.",
    "compiler-missing": "training.compile, or --compile of an evaluation, asks for a C++ compiler, and there is "
    "none. Install one, or name it in CXX.",
    "not-compilable": "torch.compile cannot compile a network as one graph. Train it without "
    "training.compile, evaluate it without --compile.",
    "kernel-missing": "The native kernel of the packets cannot be built or loaded here. Install a C++ "
    "compiler, or name one in CXX; without it torch's operations compute the packets.",
    "kernel-changed": "A run was trained by another kernel of the packets, compiler or CPU, or its processes "
    "have several. Go on where it was trained, on machines of one kind, with --allow-drift, or start another "
    "run with --new.",
    "hub-folder-wrong": "A folder is none that `wavetwin export hub` wrote, is damaged, or would run code. "
    "Copy it again, whole.",
    "cannot-export": "A run cannot be written in this form. Another one may take it.",
    "export-differs": "What would be written gives other outputs than the run, and is not kept. Export "
    "another form, or report it.",
    "needs-torch": "torch, NumPy, Pillow or safetensors is not installed, which the compiler does without, "
    "and what computes with images or weights does not. Install them: pip install 'wavetwin[run]'.",
    "unsupported-system": "wavetwin does not run on this system: its locks and signals are POSIX's. "
    "On Windows run it in WSL.",
    "package-missing": "An optional package is not installed. The message says what installs it.",
    "launcher-incomplete": "What torchrun or Slurm sets or offers is missing or wrong. Start with "
    "torchrun or slurm.sh, or unset their variables.",
    "processes-disagree": "Processes of one run see different files. Give all machines one shared "
    "folder for runs.",
    # what is asked of runs and weights
    "bad-argument": "An argument contradicts another one, or has no meaning here. The message says "
    "what can be given.",
    "unknown-name": "A name is none of those that there are. The message has them, or the nearest.",
    "name-ambiguous": "A name means several things. Name one of them.",
    "not-comparable": "Runs or scores are of other data, classes or settings, so that no difference "
    "between them means anything. Evaluate both in the same way.",
    "scores-missing": "A run or a scores file lacks the scores that others are set against. Evaluate "
    "it with the same entry.",
    "nothing-to-measure": "An image, a kernel or a network has nothing that a study could measure. "
    "Leave it out.",
}
"""What training, evaluating, importing, reporting and studying find, with its cure."""

SHOW_CODES: dict[str, str] = {
    "picture-not-svg-png-or-pdf": "A picture's file is named neither .svg nor .png nor .pdf.",
    "picture-not-svg-or-png": "A picture's file is named neither .svg nor .png.",
    "picture-not-written": "A picture's file cannot be written.",
    "no-stem": "A first layer is asked for where the layers begin with the image. Ask it of a network "
    "whose backbone.input is stem.",
    "no-packets": "The packets of a model without wavelet channels are asked for.",
    "picture-folder-missing": "A picture's folder does not exist.",
    "checkpoint-without-kernels": "show is given weights, and nothing to show of them.",
}
"""What `wavetwin show` finds beside."""

IMPORT_CODES: dict[str, str] = {
    "command-unreadable": "A command cannot be split into words.",
    "command-incomplete": "A command lacks what its meaning depends on.",
    "unknown-option": "A command has an option that is not one of the reference's.",
    "repeated-option": "A command gives an option twice.",
    "bad-option-value": "An option's value is none that it takes, or belongs to no option.",
    "option-does-not-apply": "An option has no effect on what the command does.",
    "unknown-architecture": "An architecture's name is not one of the reference's.",
    "unknown-configuration": "A configuration has a word that is not one of the reference's.",
    "configuration-does-not-fit": "A configuration contradicts its architecture.",
    "import-note": "What a command says and its import leaves out or reads in another way.",
    "output-exists": "A file that would be written is there already.",
    "output-not-written": "A file cannot be written where it was asked for.",
}
"""What `wavetwin import` finds; of the others it also finds `bad-name`, `batch-does-not-divide` and
`lambdas-do-not-match`."""

DIFF_CODES: dict[str, str] = {
    "nothing-to-compare": "There are too few sources or runs to compare, or one is no experiment.",
    "source-damaged": "A file of a built folder or a run is missing, damaged or edited.",
    "override-needs-spec": "--set is given for what was built, run or trained already.",
    "spec-not-at-commit": "A commit does not have the spec.",
    "unknown-commit": "The repository has no commit of this name.",
    "values-need-weights": "Values are to be compared of what is no pair of weights.",
    "weights-damaged": "A weights file is cut off or damaged. Copy it again.",
    "weights-not-safetensors": "Weights are in a pickle, which is not opened.",
    "weights-unreadable": "A weights file cannot be read.",
}
"""What `wavetwin diff` finds beside."""

SYSTEM_CODES: dict[str, str] = {
    "no-current-folder": "The current folder was removed.",
    "internal-error": "A fault of wavetwin, not of the input. Please report it with its traceback.",
    "output-not-taken": "Standard output cannot be written.",
    "system-refuses": "The system does not open, read or write what a command needs.",
}
"""What every command finds (`wavetwin.diagnostics.system_errors`)."""

DESCRIPTIONS: dict[str, str] = {
    **CHECK_CODES,
    **SWEEP_CODES,
    **BUILD_CODES,
    **RUN_CODES,
    **SHOW_CODES,
    **IMPORT_CODES,
    **DIFF_CODES,
    **SYSTEM_CODES,
}
"""Every code; rules of lint say what they are themselves, and stand here when they are imported
(`wavetwin.compiler.lint`)."""
