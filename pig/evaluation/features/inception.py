"""``inception``: torch-fidelity's Inception v3 (Szegedy et al. 2016), for figures that compare with published ones.

The network brings images to 299 pixels itself, by torch-fidelity's copy of TensorFlow's bilinear resize. Its weights
are a file of the user's, or a download.
"""

import sys
from pathlib import Path

import torch
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

from pig.system.errors import UserError
from pig.system.files import sha256

NAME, LAYER = "inception-v3-compat", "2048"

# The digits at the end of torch-fidelity's file name are the beginning of this digest.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


def inception_weights(file: str | Path | None) -> tuple[Path, str]:
    """Return torch-fidelity's Inception weights, downloaded if ``file`` is None, and their SHA-256.

    They are a pickle: nothing is loaded from them unless the whole digest is right. (torch-fidelity's own
    download is not verified.)

    Raises:
        UserError: there is no such file, it is another one, or it cannot be downloaded.
    """
    where = f"download it from {URL_INCEPTION_V3} and set table1.feature_weights to its path"
    if file is None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(
                    URL_INCEPTION_V3, str(path), hash_prefix=SHA256, progress=sys.stderr.isatty()
                )
            except (OSError, RuntimeError) as error:  # no network, or a wrong digest
                raise UserError(f"Inception weights cannot be downloaded ({error}); {where}.") from None
    else:
        path = Path(file)
        if not path.is_file():
            raise UserError(f"Inception weights {path} do not exist; {where}, or to null for a download.")
    digest = sha256(path)
    if digest != SHA256:
        raise UserError(
            f"Inception weights {path} have SHA-256 {digest[:8]}..., expected {SHA256[:8]}...: not "
            f"torch-fidelity's file, or a damaged one; {where}."
        )
    return path, digest
