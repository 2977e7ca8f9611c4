"""The forms of an export of an artifact, and the engines that run it. Imports nothing."""

FORMS = {
    "dense": (),
    "onnx": ("onnx", "onnxscript", "onnxruntime", "nncf"),
    "openvino": ("openvino", "nncf", "onnx", "onnxscript"),
}
"""The forms of an export, and the packages that each needs. OpenVINO is made from ONNX."""

FORMS_OF = {"lada-minialbert": ("onnx", "openvino"), "lada-bilstm": (), "lada-early-exit": ()}
"""Forms of students that are not BERT. One has no plain checkpoint; two have no fixed graph, since
their computation depends on the example. Every other model has all forms."""

ENGINES = ("torch", "torch-bf16", "torch-compile", "onnx", "onnx-int8", "openvino",
           "openvino-bf16", "openvino-int8", "cuda", "cuda-fp16")  # fmt: skip
