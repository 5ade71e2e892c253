"""What a notebook does to a kernel, and what the worst of its neighbours do.

The kernel is found by JUPYTER_PATH. NATIVE is a script that spends long in native code.
"""

import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

from jupyter_client.manager import KernelManager, start_new_kernel

NAME = "mlx-repl"
NATIVE = os.environ.get("NATIVE", "sleep(5.0)")
# A machine that does much else at the same time is slow, but not for ever.
PROMPT = float(os.environ.get("PROMPT_SECONDS", "0.5"))
PRINTS = float(os.environ.get("PRINT_SECONDS", "1"))


class Client:
    """A running kernel, and what it answers."""

    def __init__(self, **start):
        self.manager, self.client = start_new_kernel(kernel_name=NAME, **start)

    def run(self, code, timeout=60, **settings):
        outputs = []

        def keep(message):
            outputs.append((message["msg_type"], message["content"]))

        reply = self.client.execute_interactive(
            code, timeout=timeout, output_hook=keep, **settings
        )
        return reply["content"], outputs

    def value(self, code):
        reply, outputs = self.run(code)
        assert reply["status"] == "ok", reply
        found = [c["data"]["text/plain"] for t, c in outputs if t == "execute_result"]
        return found[0] if found else None

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


class Checks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kernel = Client()

    @classmethod
    def tearDownClass(cls):
        cls.kernel.close()

    def run_code(self, code, **settings):
        return self.kernel.run(code, **settings)

    def value(self, code):
        return self.kernel.value(code)

    def interrupted(self, code):
        """Seconds between the interrupt and the answer."""
        at = {}

        def interrupt():
            at["sent"] = time.time()
            self.kernel.manager.interrupt_kernel()

        threading.Timer(0.4, interrupt).start()
        reply, outputs = self.run_code(code)
        self.assertEqual(reply["status"], "error", reply)
        self.assertEqual(reply["ename"], "Interrupted", reply)
        self.assertIn("error", [kind for kind, _ in outputs])
        seconds = time.time() - at["sent"]
        print(f"[interrupted after {seconds * 1000:.0f} ms]", file=sys.stderr)
        return seconds

    def test_interrupt_of_a_script_keeps_the_state(self):
        self.value("let turns = 0;")
        seconds = self.interrupted("loop { turns += 1; }")
        self.assertLess(seconds, PROMPT)
        self.assertEqual(self.value("turns > 0"), "true")

    def test_interrupt_of_native_work_keeps_the_state(self):
        self.value("let kept = 41;")
        seconds = self.interrupted(NATIVE)
        self.assertLess(seconds, PROMPT)
        self.assertEqual(self.value("kept + 1"), "42")

    def test_questions_are_answered(self):
        reply, outputs = self.run_code(
            'print("before"); let who = input("name? "); `hi ${who}`',
            allow_stdin=True,
            stdin_hook=lambda message: self.kernel.client.input("bob"),
        )
        self.assertEqual(reply["status"], "ok", reply)
        shown = [c["data"]["text/plain"] for t, c in outputs if t == "execute_result"]
        self.assertIn("hi bob", shown[0])

    def test_a_question_can_be_interrupted(self):
        threading.Timer(0.4, self.kernel.manager.interrupt_kernel).start()
        reply, _ = self.run_code(
            'input("name? ")', allow_stdin=True, stdin_hook=lambda message: None
        )
        self.assertEqual(reply["ename"], "Interrupted")

    def test_nobody_is_asked_where_nobody_answers(self):
        reply, _ = self.run_code('input("name? ")', allow_stdin=False)
        self.assertEqual(reply["status"], "error")
        self.assertIn("nobody", reply["evalue"])

    def test_an_error_aborts_what_waits(self):
        client = self.kernel.client
        slow = "let t = 0; for i in 0..300000 { t += i; }"
        codes = [slow, "nope()", "1 + 1", "2 + 2"]
        ids = [client.execute(code) for code in codes]
        states = {}
        while len(states) < len(codes):
            message = client.get_shell_msg(timeout=60)
            states[message["parent_header"]["msg_id"]] = message["content"]["status"]
        self.assertEqual([states[i] for i in ids], ["ok", "error", "aborted", "aborted"])
        self.assertEqual(self.value("3 + 3"), "6")

    def test_without_stop_on_error_all_are_run(self):
        client = self.kernel.client
        slow = "let t = 0; for i in 0..100000 { t += i; }"
        ids = [client.execute(c, stop_on_error=False) for c in [slow, "nope()", "1 + 1"]]
        states = {}
        while len(states) < 3:
            message = client.get_shell_msg(timeout=60)
            states[message["parent_header"]["msg_id"]] = message["content"]["status"]
        self.assertEqual([states[i] for i in ids], ["ok", "error", "ok"])

    def test_silent_runs_do_not_count(self):
        before = self.run_code("1")[0]["execution_count"]
        reply, outputs = self.run_code("2", silent=True)
        self.assertEqual([t for t, _ in outputs if t == "execute_result"], [])
        self.assertEqual(reply["execution_count"], before)
        reply, outputs = self.run_code("3", store_history=False)
        self.assertIn("execute_result", [t for t, _ in outputs])
        self.assertEqual(self.run_code("4")[0]["execution_count"], before + 1)

    def test_expressions_of_the_front_end(self):
        reply, _ = self.run_code(
            "let e = 20;", user_expressions={"good": "e + 1", "bad": "missing"}
        )
        good, bad = reply["user_expressions"]["good"], reply["user_expressions"]["bad"]
        self.assertEqual(good["data"]["text/plain"], "21")
        self.assertEqual(bad["status"], "error")
        self.assertIn("missing", bad["evalue"])

    def test_errors_have_a_coloured_traceback(self):
        reply, outputs = self.run_code("let a = 1;\na + missing")
        error = [content for kind, content in outputs if kind == "error"][0]
        self.assertEqual(error["traceback"], reply["traceback"])
        self.assertIn("\x1b[", error["traceback"][0])
        self.assertIn("missing", error["evalue"])

    def test_many_prints_are_few_messages(self):
        start = time.time()
        reply, outputs = self.run_code("for i in 0..20000 { print(i); }")
        seconds = time.time() - start
        text = "".join(c["text"] for t, c in outputs if t == "stream")
        self.assertEqual(text, "".join(f"{i}\n" for i in range(20000)))
        self.assertLess(len(outputs), 200)
        self.assertLess(seconds, PRINTS)
        print(f"[20,000 prints: {seconds:.3f} s, {len(outputs)} messages]", file=sys.stderr)

    def test_output_keeps_its_order(self):
        _, outputs = self.run_code('print("a"); display("b"); print("c"); 4')
        kinds = [t for t, _ in outputs if t not in ("status", "execute_input")]
        self.assertEqual(kinds, ["stream", "display_data", "stream", "execute_result"])

    def test_text_comes_while_the_cell_runs(self):
        client = self.kernel.client
        started = time.time()
        client.execute('print("early"); let t = 0; loop { t += 1; }')
        while True:
            message = client.get_iopub_msg(timeout=20)
            if message["msg_type"] == "stream":
                break
        self.assertLess(time.time() - started, 10)
        self.kernel.manager.interrupt_kernel()
        self.assertEqual(client.get_shell_msg(timeout=20)["content"]["ename"], "Interrupted")

    def test_places_are_counted_in_characters(self):
        client = self.kernel.client
        reply = client.complete('"é"; pri', reply=True, timeout=20)["content"]
        self.assertEqual((reply["cursor_start"], reply["cursor_end"]), (5, 8))
        self.assertIn("print", reply["matches"])

    def test_a_name_with_a_mark_is_explained(self):
        _, outputs = self.run_code("print?")
        shown = [c["data"]["text/plain"] for t, c in outputs if t == "display_data"]
        self.assertIn("print", shown[0])

    def test_blocks_are_indented(self):
        client = self.kernel.client
        client.is_complete("if true {")
        reply = client.get_shell_msg(timeout=20)["content"]
        self.assertEqual(reply, {"status": "incomplete", "indent": "    "})

    def test_round_trips(self):
        self.run_code("1", silent=True)
        start = time.time()
        for _ in range(100):
            self.run_code("1", silent=True)
        milliseconds = (time.time() - start) * 10
        print(f"[a round trip: {milliseconds:.2f} ms]", file=sys.stderr)
        self.assertTrue(self.kernel.client.hb_channel.is_beating())


class Neighbours(unittest.TestCase):
    """Whoever may open the ports."""

    def setUp(self):
        self.kernel = Client()
        self.info = self.kernel.manager.get_connection_info()

    def tearDown(self):
        self.kernel.close()

    def lives(self):
        self.assertEqual(self.kernel.value("20 + 22"), "42")
        self.assertTrue(self.kernel.manager.is_alive())

    def connect(self, port):
        return socket.create_connection((self.info["ip"], self.info[port]), timeout=10)

    def greet(self, port):
        stream = self.connect(port)
        greeting = bytearray(64)
        greeting[0], greeting[9], greeting[10] = 0xFF, 0x7F, 3
        greeting[12:16] = b"NULL"
        stream.sendall(greeting)
        body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
        stream.sendall(bytes([4, len(body)]) + body)
        stream.recv(64, socket.MSG_WAITALL)
        return stream

    def closed(self, stream):
        try:
            while stream.recv(4096):
                pass
        except ConnectionResetError:
            pass
        stream.close()

    def test_a_frame_of_any_claimed_size(self):
        for port in ["shell_port", "control_port", "stdin_port", "iopub_port", "hb_port"]:
            for size in [1 << 27, 1 << 45, 1 << 60, (1 << 64) - 1]:
                stream = self.greet(port)
                stream.sendall(b"\x02" + struct.pack(">Q", size) + b"x" * 100)
                self.closed(stream)
        self.lives()

    def test_endless_parts(self):
        stream = self.greet("shell_port")
        try:
            stream.sendall(b"\x01\x00" * 100_000)
        except OSError:
            pass
        self.closed(stream)
        self.lives()

    def test_bytes_of_another_protocol(self):
        for port in ["shell_port", "iopub_port"]:
            stream = self.connect(port)
            stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4)
            self.closed(stream)
        self.lives()

    def test_half_a_message(self):
        stream = self.greet("shell_port")
        stream.sendall(b"\x01\x05abc")
        stream.close()
        self.lives()

    def test_messages_that_are_none(self):
        stream = self.greet("shell_port")
        bad = [b"not json"] * 4
        for parts in [[b""], [b"a", b"b"], [b"<IDS|MSG>"], [b"<IDS|MSG>", b"00", *bad]]:
            for i, part in enumerate(parts):
                more = 1 if i + 1 < len(parts) else 0
                stream.sendall(bytes([more, len(part)]) + part)
        self.lives()
        stream.close()

    def test_a_wrong_signature(self):
        session = self.kernel.client.session
        key, session.key = session.key, b"another"
        self.kernel.client.execute("let evil = 1;")
        self.kernel.client.control_channel.send(session.msg("shutdown_request", {"restart": False}))
        time.sleep(0.2)
        session.key = key
        self.lives()
        self.assertEqual(self.kernel.value('is_def_var("evil")'), "false")

    def test_strangers_who_say_nothing(self):
        silent = [self.connect("shell_port") for _ in range(50)]
        self.lives()
        for stream in silent:
            stream.close()

    def test_a_client_that_is_killed(self):
        file = self.kernel.manager.connection_file
        program = (
            "import sys, time\n"
            "from jupyter_client import BlockingKernelClient as C\n"
            f"c = C(connection_file={file!r}); c.load_connection_file(); c.start_channels()\n"
            "c.wait_for_ready(timeout=30)\n"
            "c.execute('for i in 0..20000 { print(i); }')\n"
            "print('sent', flush=True); time.sleep(60)\n"
        )
        other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        self.assertEqual(other.stdout.readline(), b"sent\n")
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        other.stdout.close()
        self.lives()

    def test_restart_forgets(self):
        self.kernel.value("let before = 1;")
        self.kernel.manager.restart_kernel(now=False)
        self.kernel.client.wait_for_ready(timeout=60)
        self.assertEqual(self.kernel.value('is_def_var("before")'), "false")

    def test_shutdown_of_a_busy_kernel(self):
        self.kernel.client.execute("loop { }")
        time.sleep(0.3)
        start = time.time()
        self.kernel.manager.shutdown_kernel()
        self.assertLess(time.time() - start, 5)
        self.assertFalse(self.kernel.manager.is_alive())
        self.kernel.client.stop_channels()
        self.kernel = Client()


class Orphans(unittest.TestCase):
    def test_a_kernel_ends_with_its_parent(self):
        program = (
            "import os, time\n"
            "from jupyter_client.manager import start_new_kernel\n"
            f"m, c = start_new_kernel(kernel_name={NAME!r})\n"
            "print(m.provisioner.pid, flush=True); time.sleep(60)\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        pid = int(parent.stdout.readline())
        parent.stdout.close()
        parent.kill()
        parent.wait()
        for _ in range(100):
            # Whoever takes in orphans may not ask for their end at once.
            state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
            if state.stdout.strip()[:1] in ("", "Z"):
                return
            time.sleep(0.1)
        self.fail("the kernel goes on without its parent")


if __name__ == "__main__":
    unittest.main(verbosity=2)
