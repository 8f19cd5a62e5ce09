"""Tests run with the layers' shape annotations executed (jaxtyping and beartype)."""

import pytest
from jaxtyping import install_import_hook

install_import_hook(
    ["wavetwin.runtime.layers", "wavetwin.runtime.bank", "wavetwin.runtime.wavelets"],
    "beartype.beartype",
)

DEAR = (
    "layers/test_layers.py::test_any_filters_depth_stride_and_size[qshift_a-4",
    "layers/test_layers.py::test_any_filters_depth_stride_and_size[qshift_b-4",
    "layers/test_layers.py::test_any_filters_depth_stride_and_size[qshift_c-4",
    "network/test_vgg.py::test_torchvisions_weights_give_torchvisions_features",
    "training/test_train_failures.py::test_a_full_disk_keeps_the_last_good_state",
    "training/test_train_failures.py::test_a_signal_ends_validation_at_once",
    "training/test_processes.py::test_two_processes_stop_and_resume",
    "training/test_train.py::test_other_settings_resume_equal[changes2]",
    "training/test_train.py::test_other_settings_resume_equal[changes3]",
    "process/test_signals.py::test_lost_output_saves_and_training_goes_on_exactly[pipe]",
    "process/test_freeze.py::test_a_frozen_job_is_not_reached_by_edits",
    "process/test_torchvision_compat.py::test_layouts_of_torchvision",
    "provenance/test_edits.py::test_evaluation_takes_the_run_of_the_edit",
    "provenance/test_edits.py::test_diff_report_and_index_show_the_edit",
    "commands/test_study_command.py::test_stability_page_is_whole_and_loads_nothing",
    "commands/test_study_command.py::test_the_same_command_writes_the_same_bytes",
    "commands/test_study_command.py::test_folders_of_others_are_left_alone",
    "commands/test_study_command.py::test_runs_give_curves_and_their_last_weights",
    "parse/test_positions.py::test_random_edits_give_a_spec_or_diagnostics[2]",
    "parse/test_positions.py::test_random_edits_give_a_spec_or_diagnostics[3]",
    "render/test_model_py.py::test_names_and_shapes_of_the_shipped_specs[R101",
    "render/test_model_py.py::test_names_and_shapes_of_the_shipped_specs[R50",
    "render/test_model_py.py::test_names_and_shapes_of_the_shipped_specs[R34",
    "bank/test_bank.py::test_exported",
    "provenance/test_edits.py",
    "slurm/test_slurm.py",
    "training/test_saved_state.py",
    "explain/test_damaged_runs.py::test_damaged_members",
    "commands/test_study_command.py::test_discrepancy_writes_tables_pictures_a_page_and_a_record",
    "commands/test_study_command.py::test_kernels_of_specs_built_folders_and_weights",
    "commands/test_study_command.py::test_a_file_of_two_state_dicts_is_used_as_the_error_says",
    "network/test_passes_function.py::test_every_pass_keeps_the_function_of_random_specs",
    "parse/test_positions.py::test_an_edit_is_reported_at_its_location[specs/base",
)
"""Tests, or beginnings of their names, that cost seconds and repeat for another case what a cheaper
test holds: `make test-slow` runs them, beside those that are marked where they stand."""
DEAR_ENDS = ("test_golden_models.py::test_logits", "-written]")
"""So are the golden logits of the graphs as written: those after the passes stay."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is dear as slow."""
    first, last = DEAR_ENDS
    for item in items:
        name = item.nodeid
        if any(each in name for each in DEAR) or (first in name and name.endswith(last)):
            item.add_marker(pytest.mark.slow)
