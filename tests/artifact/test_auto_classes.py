"""``import lada`` makes transformers' Auto classes read artifacts, whichever is imported first."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from lada.artifact.config import CONFIGS
from lada.nn.kinds import KINDS, RANKED
from lada.nn.surgery import LAYERS

READ = """
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, pipeline
folder = sys.argv[1]
assert type(AutoConfig.from_pretrained(folder)).__name__ == "LadaBertConfig"
model = AutoModelForSequenceClassification.from_pretrained(folder)
assert type(model).__name__ == "LadaBertForSequenceClassification"
assert type(AutoModel.from_pretrained(folder)).__name__ == "LadaBertModel"
(answer,) = pipeline("text-classification", model=folder)("the soup was not bad")
print(answer["label"])
"""


def python(code: str, *args: str) -> str:
    """Run ``code`` in a new process that finds this lada; what it prints."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        "import lada",
        # Modules of transformers import one another: the config of BERT imports the Auto classes.
        "import lada; from transformers import BertConfig",
        "from transformers import AutoConfig, pipeline; import lada",
        # A module of lada's own that imports transformers before anything has been registered.
        "import lada.artifact.model",
        "import lada.nn.bilstm",
    ],
)
def test_orders_of_imports(first: str, folder: Path) -> None:
    assert python(first + READ, str(folder)).splitlines()[-1] in ("bad", "good")


@pytest.mark.slow
def test_a_config_that_is_unpickled_finds_its_models(tmp_path: Path) -> None:
    """A process that is given a config, as workers are, may never make one itself."""
    types = sorted(CONFIGS)
    files = [tmp_path / model_type for model_type in types]
    for file in files:  # one each: what one config registers must not help the next one
        file.write_bytes(pickle.dumps(CONFIGS[file.name](num_hidden_layers=1)))
    code = (
        "import pickle\n"
        "for file in sys.argv[1:]:\n"
        "    config = pickle.load(open(file, 'rb'))\n"
        "    from transformers import AutoModel, AutoModelForSequenceClassification\n"
        "    for auto in (AutoModel, AutoModelForSequenceClassification):\n"
        "        print(auto._model_mapping[type(config)].config_class.model_type)\n"
    )
    found = python(code, *map(str, files)).split()
    assert found == [model_type for model_type in types for _ in range(2)]


@pytest.mark.slow
def test_transformers_is_loaded_as_by_itself() -> None:
    """The hook is gone once it has done its part, and does nothing for who only looks."""
    code = (
        "import importlib.util, lada\n"
        "def ours(): return sum(type(f).__module__ == 'lada.auto_classes' for f in sys.meta_path)\n"
        "assert importlib.util.find_spec('transformers').origin.endswith('__init__.py')\n"
        "assert 'transformers' not in sys.modules and ours() == 1\n"
        "import transformers\n"
        "assert ours() == 0\n"
        "assert type(transformers.__spec__.loader).__module__ != 'lada.auto_classes'\n"
        "print('lada-early-exit' in transformers.CONFIG_MAPPING)\n"
    )
    assert python(code).strip() == "True"


def test_kinds_have_their_layers() -> None:
    assert tuple(LAYERS) == KINDS
    assert set(RANKED) <= set(KINDS)
