"""Sends Arrow batches through a process of `roomcast worker`. A task leaves nothing else behind."""

import contextlib
import os
import queue
import subprocess
import tempfile
import threading

import pyarrow as pa


class WorkerError(RuntimeError):
    """A worker failed. Spark drops what the task has written, and tries it again."""


def through(command, site, given, wanted, batches):
    """Sends `batches` of the schema `given` through a command, and yields what comes back in the schema `wanted`.

    `site` are the bytes of the file for `--site`, or None. After the last batch the worker is told the number of rows, so that
    it fails when it has not seen them all.
    """
    with tempfile.TemporaryFile() as errors:
        files = () if site is None else (_memory_file(site),)
        command = [*command, *(f"--site=/dev/fd/{file}" for file in files)]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, pass_fds=files
            )
        finally:
            for file in files:
                os.close(file)
        try:
            yield from _exchange(process, given, wanted, batches)
            if process.wait() != 0:
                errors.seek(0)
                said = errors.read()[-2000:].decode(errors="replace").strip()
                raise WorkerError(f"{' '.join(command[:3])} ended with {process.returncode}: {said}")
        finally:
            # If the task is given up before its end, the worker ends too.
            process.kill()
            process.wait()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _memory_file(content):
    file = os.memfd_create("site")
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(content)
    return file


def _exchange(process, given, wanted, batches):
    # The worker may write while it still reads. Without a thread that always reads, both could wait for each other.
    answers = queue.SimpleQueue()
    reader = threading.Thread(target=_drain, args=(process.stdout, wanted, answers), daemon=True)
    reader.start()
    try:
        with pa.ipc.new_stream(process.stdin, given) as stream:
            rows = 0
            for batch in batches:
                rows += batch.num_rows
                stream.write_batch(batch.select(given.names).cast(given))
                while not answers.empty() and (answer := answers.get()) is not None:
                    yield answer
            last = [None, rows] + [None] * (len(given) - 2)
            stream.write_batch(pa.record_batch([pa.array([v], f.type) for v, f in zip(last, given)], given))
        process.stdin.close()
    except BrokenPipeError:
        # The worker ended early; its exit status says so.
        pass
    reader.join()
    while (answer := answers.get()) is not None:
        yield answer


def _drain(stdout, wanted, answers):
    try:
        with pa.ipc.open_stream(stdout) as stream:
            for batch in stream:
                answers.put(batch.cast(wanted))
    except (pa.ArrowInvalid, OSError):
        # The stream is cut off or empty; the exit status says why.
        pass
    finally:
        stdout.close()
        answers.put(None)
