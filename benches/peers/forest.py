"""One forest, four ways to evaluate it: nanoseconds per row of LightGBM's C API, lleaves and ONNX Runtime.

    forest.py DIR       where `FOREST=DIR cargo bench --bench trees` has left model.txt and rows.f32

All get the same rows as 32-bit floats in one block and return raw scores, on one thread, in native code: LightGBM through
its C API, lleaves through the function it compiled, ONNX Runtime with its input and output bound beforehand. Before anything is
timed, scores are compared with LightGBM's. Calls from Python cost one to ten microseconds each, which tells with few rows.
"""

import ctypes
import sys
import time
from pathlib import Path

import lightgbm as lgb
import lleaves
import numpy as np
import onnxruntime
from lightgbm.basic import _LIB, _safe_call
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

WIDTH = 39
COUNTS = (2_000, 24, 1)
ROUNDS = 15
FLOAT32, RAW = 0, 1


def by_lightgbm(booster: lgb.Booster, rows: np.ndarray):
    out, length = np.zeros(len(rows)), ctypes.c_int64()
    arguments = (
        booster._handle,
        rows.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_int(FLOAT32),
        ctypes.c_int32(len(rows)),
        ctypes.c_int32(WIDTH),
        ctypes.c_int(1),
        ctypes.c_int(RAW),
        ctypes.c_int(0),
        ctypes.c_int(-1),
        b"num_threads=1",
        ctypes.byref(length),
        out.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
    )
    return lambda: _safe_call(_LIB.LGBM_BoosterPredictForMat(*arguments)), out


def by_lleaves(model: lleaves.Model, rows: np.ndarray):
    # Compiled for doubles, as it is by default: with floats thresholds are rounded, and rows on them take other leaves.
    values, out = rows.astype(np.float64), np.zeros(len(rows))
    pointer = ctypes.POINTER(ctypes.c_double)
    arguments = values.ctypes.data_as(pointer), out.ctypes.data_as(pointer), 0, len(rows)
    keep = values
    return lambda: (keep, model._c_entry_func(*arguments)), out


def by_onnxruntime(session: onnxruntime.InferenceSession, rows: np.ndarray):
    binding, out = session.io_binding(), np.zeros((len(rows), 1), np.float32)
    given, [made] = session.get_inputs()[0], session.get_outputs()
    binding.bind_cpu_input(given.name, rows)
    binding.bind_output(made.name, "cpu", 0, np.float32, out.shape, out.ctypes.data)
    return lambda: session.run_with_iobinding(binding), out


def session_of(text: str) -> onnxruntime.InferenceSession:
    """The forest as ONNX, as a regression on its raw scores."""
    for binary, regression in (("objective=binary sigmoid:1", "objective=regression"), ("[objective: binary]", "[objective: regression]")):
        text = text.replace(binary, regression)
    booster = lgb.Booster(model_str=text)
    model = convert_lightgbm(booster, initial_types=[("rows", FloatTensorType([None, WIDTH]))], zipmap=False)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def main() -> None:
    place = Path(sys.argv[1])
    text = (place / "model.txt").read_text()
    rows = np.fromfile(place / "rows.f32", np.float32).reshape(-1, WIDTH)
    booster = lgb.Booster(model_str=text)
    # lleaves wants the last line that the Python package adds.
    booster.save_model(place / "python.txt")
    compiled = lleaves.Model(str(place / "python.txt"))
    start = time.perf_counter()
    compiled.compile(raw_score=True)
    print(f"{booster.num_trees()} trees; lleaves compiled them in {time.perf_counter() - start:.2f} s")
    session = session_of(text)
    expected = booster.predict(rows, raw_score=True, num_threads=1)
    for count in COUNTS:
        some = np.ascontiguousarray(rows[:count])
        ways = {
            "LightGBM's C API": by_lightgbm(booster, some),
            "lleaves": by_lleaves(compiled, some),
            "ONNX Runtime": by_onnxruntime(session, some),
        }
        for name, (call, out) in ways.items():
            call()
            # Rows with a value on a threshold may fall to the other side in 32 bits.
            apart = np.abs(out.ravel() - expected[:count]) > 1e-4
            if apart.mean() > 0.001:
                sys.exit(f"{name}: {apart.sum()} of {count} scores differ from LightGBM's")
        fastest = dict.fromkeys(ways, float("inf"))
        repeat = 20_000 // count
        for _ in range(ROUNDS):
            for name, (call, _) in ways.items():
                start = time.perf_counter()
                for _ in range(repeat):
                    call()
                fastest[name] = min(fastest[name], 1e9 * (time.perf_counter() - start) / (repeat * count))
        print(f"{count:>5} rows at once; nanoseconds per row, one thread:")
        for name, nanoseconds in fastest.items():
            ratio = fastest["LightGBM's C API"] / nanoseconds
            print(f"      {name:18} {nanoseconds:>8.0f}   {ratio:.2f} times as fast")


if __name__ == "__main__":
    main()
