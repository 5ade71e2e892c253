"""Jupyter's own test of a kernel. The kernel is found by JUPYTER_PATH."""

import unittest

import jupyter_kernel_test as jkt


class Kernel(jkt.KernelTests):
    kernel_name = "mlx-repl"
    language_name = "rhai"
    file_extension = ".rhai"
    code_hello_world = 'print("hello, world")'
    completion_samples = [{"text": "pri", "matches": {"print"}}]
    complete_code_samples = ["1 + 1", "let x = 1;", "fn f(x) { x }"]
    incomplete_code_samples = ["if true {", "1 +", "foo(1,"]
    invalid_code_samples = ["let y = ;"]
    code_generate_error = "undefined_function()"
    code_execute_result = [
        {"code": "1 + 2", "result": "3"},
        {"code": "[1, 2].map(|x| x * 2)", "result": "[2, 4]"},
    ]
    code_display_data = [{"code": 'display("x")', "mime": "text/plain"}]
    code_inspect_sample = "print"
    code_clear_output = "clear_output()"
    code_history_pattern = "1 ? 2*"
    supported_history_operations = ("tail", "range", "search")


class Welcome(jkt.IopubWelcomeTests):
    kernel_name = "mlx-repl"
    support_iopub_welcome = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
