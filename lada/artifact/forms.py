"""What an artifact can be exported to, and the engines that run it. Imports nothing."""

FORMS = {
    "dense": (),
    "onnx": ("onnx", "onnxscript", "onnxruntime", "nncf"),
    "openvino": ("openvino", "nncf", "onnx", "onnxscript"),
}
"""What an artifact is exported to, and the packages that needs. The way to OpenVINO is by ONNX."""

FORMS_OF = {"lada-minialbert": ("onnx", "openvino"), "lada-bilstm": (), "lada-early-exit": ()}
"""Forms of students that are no BERT: one has no plain checkpoint; of two the way through them goes
by the row, which is no fixed graph. Every other model has all."""

ENGINES = ("torch", "torch-bf16", "torch-compile", "onnx", "onnx-int8", "openvino",
           "openvino-bf16", "openvino-int8", "cuda", "cuda-fp16")  # fmt: skip
