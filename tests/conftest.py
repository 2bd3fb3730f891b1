"""What all tests share: one thread, and no time limits."""

import hypothesis
import torch

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
torch.set_num_threads(1)
