"""What a network predicts - epsilon, v or x0 - and how each gives x0_hat and eps_hat."""

from torch import Tensor

from pig.diffusion.mask_scale import Bounds
from pig.diffusion.settings import Prediction as Prediction


def target(prediction: Prediction, x_0: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """Return what the network is trained to give: eps, x_0, or v = sqrt(abar) eps - sqrt(1-abar) x_0.

    v is that of Salimans & Ho 2022 (arXiv 2202.00512), appendix D. ``alpha_bar`` is broadcast over [N, ...].
    """
    if prediction == "epsilon":
        return eps
    if prediction == "x0":
        return x_0
    return alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x_0


def split(
    prediction: Prediction, output: Tensor, x_t: Tensor, alpha_bar: Tensor, within: Bounds | None
) -> tuple[Tensor, Tensor]:
    """Return (x0_hat, eps_hat) from a network's output at x_t; the inverse of Eq. 3 with x_t given.

    Args:
        prediction: what ``output`` is.
        output: [N, ...], the network's output.
        x_t: [N, ...], the noisy image that it saw.
        alpha_bar: float32, broadcast over [N, ...]; below 1.
        within: keep x0_hat in these bounds, and let eps_hat follow from it, so that both still make up x_t.
            Differs: the paper does not clip, because its equations do not; MONAI and diffusers clip x0_hat
            and keep the old eps_hat, which no longer belong together.
    """
    signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    output = output.to(x_t.dtype)
    if prediction == "epsilon":
        x0_hat, eps_hat = (x_t - noise * output) / signal, output  # Eq. 6
    elif prediction == "x0":
        x0_hat, eps_hat = output, (x_t - signal * output) / noise
    else:
        x0_hat, eps_hat = signal * x_t - noise * output, noise * x_t + signal * output
    if within is not None:
        x0_hat = x0_hat.clamp(*within)
        eps_hat = (x_t - signal * x0_hat) / noise
    return x0_hat, eps_hat
