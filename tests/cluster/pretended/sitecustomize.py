"""Jobs of these tests are promised GPUs that do not exist: they compute on the CPU as if they did."""

import pig.system.gpus

pig.system.gpus.check_promise = lambda promise: None
