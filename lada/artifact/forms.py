"""The forms of an export of an artifact, and the engines that run it. Imports nothing."""

FORMS = {
    "dense": (),
    "onnx": ("onnx", "onnxscript", "onnxruntime", "nncf"),
    "openvino": ("openvino", "nncf", "onnx", "onnxscript"),
}
"""The forms of an export, and the packages that each needs. OpenVINO is made from ONNX."""

FORMS_OF = {"minialbert": ("onnx", "openvino"), "bilstm": (), "early-exit": ()}
"""Forms of students of another class than their teacher, by the end of their ``model_type``. One
has no plain checkpoint; two have no fixed graph, since their computation depends on the example.
Every other model has all forms."""

ENGINES = ("torch", "torch-bf16", "torch-compile", "onnx", "onnx-int8", "openvino",
           "openvino-bf16", "openvino-int8", "cuda", "cuda-fp16")  # fmt: skip


def parts_of(model_type: str) -> tuple[str, str]:
    """The family in an artifact's ``model_type``, and its key of `FORMS_OF`, or "".

    Example:
        >>> from lada.artifact.forms import parts_of
        >>> parts_of("lada-roberta"), parts_of("lada-roberta-early-exit")
        (('roberta', ''), ('roberta', 'early-exit'))
        >>> parts_of("lada-early-exit")
        ('bert', 'early-exit')
    """
    rest = model_type.removeprefix("lada-")
    for form in FORMS_OF:
        if rest == form:
            return "bert", form
        if rest.endswith(f"-{form}"):
            return rest.removesuffix(f"-{form}"), form
    return rest, ""
