"""Every generator, trained for some steps on the study of discs at 32 x 32 pixels."""

import pytest
from discs import NETWORK, SCHEDULE, make_study

from pig.data.folds import read_folds, split
from pig.data.store import Store

SIZE = 32
TRAINING = {"batch_size": 4, "learning_rate": 1e-3, "steps": 6, "ema_decay": 0.9, "checkpoint_every": 2}
MODELS = {
    "pig.methods.pig.PIG": {
        "image_size": SIZE, "training": TRAINING, "network": NETWORK, "schedule": SCHEDULE, "prediction": "v",
        "standardise_masks": True,
    },
    "baselines.ddpm.DDPM": {
        "image_size": SIZE, "training": TRAINING, "network": NETWORK, "schedule": SCHEDULE, "prediction": "v"
    },
    "baselines.joint.Joint": {
        "image_size": SIZE, "training": TRAINING, "network": NETWORK, "schedule": SCHEDULE, "prediction": "v"
    },
    "baselines.segguided.SegGuidedDif": {
        "image_size": SIZE, "training": TRAINING, "network": NETWORK, "schedule": SCHEDULE, "prediction": "v",
        "ablate_masks": True,
    },
    "baselines.autoencoder.Autoencoder": {
        "image_size": SIZE, "training": TRAINING, "channels": [8, 16], "res_blocks": 1, "norm_groups": 4,
        "adversarial": {"batch_size": 4, "learning_rate": 1e-3, "steps": 4}, "discriminator_channels": 4,
    },
    "baselines.ldm.LDM": {"training": TRAINING, "network": NETWORK, "schedule": SCHEDULE, "prediction": "v"},
    "baselines.ldm.UnconditionalLDM": {
        "training": TRAINING, "network": NETWORK, "schedule": SCHEDULE, "prediction": "v"
    },
    "baselines.controlnet.ControlNet": {"training": TRAINING, "embedding_channels": [4, 8]},
}  # fmt: skip
SAMPLING = {"steps": 4, "clip": True}


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A folder with a store and folds.csv."""
    return make_study(tmp_path_factory.mktemp("discs") / "study", SIZE)


@pytest.fixture(scope="session")
def pairs(study):
    """The training pairs of fold 1."""
    return split(Store.open(study / "store"), read_folds(study / "folds.csv"), 1)[0]


@pytest.fixture(scope="session")
def trained(study):
    """Model folders of every generator and part, trained for some steps on fold 1 as the workflow does it."""
    from pig.steps.fit import fit

    needs = {
        "baselines.ldm.LDM": {"autoencoder": "Autoencoder"},
        "baselines.ldm.UnconditionalLDM": {"autoencoder": "Autoencoder"},
        "baselines.controlnet.ControlNet": {"base": "UnconditionalLDM"},
    }
    folders = {}
    for cls, model in MODELS.items():
        name = cls.rpartition(".")[2]
        folders[name] = study / "models" / name / "fold1"
        parts = {key: folders[part] for key, part in needs.get(cls, {}).items()}
        work = study / "work" / name
        fit(
            store=study / "store", folds=study / "folds.csv", fold=1, name=name, cls=cls, model=model, seed=0,
            needs=list(parts.items()), work=work, out=folders[name],
        )  # fmt: skip
        assert not work.exists()
    return folders
