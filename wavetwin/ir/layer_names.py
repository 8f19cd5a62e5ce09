"""Say what a layer of a spec may be called: layers are attributes of modules in model.py."""

from __future__ import annotations

import re
from keyword import kwlist

__all__ = ["LAYER_NAME", "RESERVED_NAMES"]

LAYER_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
"""What a layer may be called."""

RESERVED_NAMES = frozenset(
    {
        *kwlist,
        *[
            "T_destination",
            "add_module",
            "apply",
            "bfloat16",
            "buffers",
            "call_super_init",
            "children",
            "compile",
            "cpu",
            "cuda",
            "double",
            "dump_patches",
            "eval",
            "extra_repr",
            "float",
            "forward",
            "get_buffer",
            "get_extra_state",
            "get_parameter",
            "get_submodule",
            "half",
            "ipu",
            "load_state_dict",
            "modules",
            "mtia",
            "named_buffers",
            "named_children",
            "named_modules",
            "named_parameters",
            "parameters",
            "register_backward_hook",
            "register_buffer",
            "register_forward_hook",
            "register_forward_pre_hook",
            "register_full_backward_hook",
            "register_full_backward_pre_hook",
            "register_load_state_dict_post_hook",
            "register_load_state_dict_pre_hook",
            "register_module",
            "register_parameter",
            "register_state_dict_post_hook",
            "register_state_dict_pre_hook",
            "requires_grad_",
            "set_extra_state",
            "set_submodule",
            "share_memory",
            "state_dict",
            "to",
            "to_empty",
            "train",
            "training",
            "type",
            "xpu",
            "zero_grad",
            "append",
            "extend",
            "insert",
            "pop",
            "code",
            "returns",
            "steps",
            "x",
        ],
    }
)
"""Words of Python, and attributes of torch's modules and of the containers that hold layers."""
