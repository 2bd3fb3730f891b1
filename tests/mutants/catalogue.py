"""Faults that were made by hand, and the tests that must notice them.

Each is one replacement in one file. Its text stands exactly once in that file; who changes the code there changes the
entry. Most join a method to the mathematics: what a network is shown, which sign a loss has, what a seed depends on.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A fault.

    Attributes:
        name: what is wrong then.
        file: below the root of the project.
        old: the code as it is.
        new: the code with the fault.
        tests: files, or ids within them, of which at least one test must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str


INPUTS, DRAWING = "tests/behaviour/test_training_inputs.py", "tests/behaviour/test_drawing.py"
LOSSES, NUMBER = "tests/behaviour/test_losses.py", "tests/behaviour/test_one_number.py"
SEEDS, LEARNS = "tests/behaviour/test_seeds_and_folds.py", "tests/behaviour/test_segmentation_learns.py"

PIG, LOSSES_OF, AUTOENCODER = "pig/methods/pig.py", "pig/diffusion/losses.py", "baselines/autoencoder.py"
SAMPLING = "pig/diffusion/sampling.py"
STATISTICS, COMPARED = "pig/evaluation/statistics.py", "tests/downstream/test_statistics.py"
LDM, CONTROLNET, SEGGUIDED = "baselines/ldm.py", "baselines/controlnet.py", "baselines/segguided.py"
BOUNDARY, OUTLINES = "pig/evaluation/boundary.py", "tests/downstream/test_boundary.py"
LESIONS, FOUND = "pig/evaluation/lesions.py", "tests/downstream/test_lesions.py"
ADDED, ADDS = "pig/evaluation/added.py", "tests/downstream/test_added.py"
COPIES, PASTES = "pig/evaluation/copy_paste.py", "tests/downstream/test_copy_paste.py"
NOTHING_LOST = "tests/data/test_nothing_lost.py"
AUGMENTATION, AUGMENTS = "pig/evaluation/augmentation.py", "tests/downstream/test_augmentation.py"
OPTIMISER, LOOP, SEGMENTATION = "pig/training/optimiser.py", "pig/training/loop.py", "pig/evaluation/segmentation.py"

MUTANTS = [
    # PIG
    Mutant("the guider learns masks in {0, 1}", PIG,
           "x_0=2 * masks - 1,\n                y_0=images,\n                rng=rng,\n"
           "                scale=self.mask_scale,\n                prediction",
           "x_0=masks,\n                y_0=images,\n                rng=rng,\n"
           "                scale=self.mask_scale,\n                prediction", INPUTS),
    Mutant("the denoiser learns from masks in {0, 1}", PIG,
           "x_0=2 * masks - 1,\n                y_0=images,\n                rng=rng,\n"
           "                scale=self.mask_scale,\n                guider",
           "x_0=masks,\n                y_0=images,\n                rng=rng,\n"
           "                scale=self.mask_scale,\n                guider", INPUTS),
    Mutant("PIG's masks are never standardised", PIG, "if model.standardise_masks:", "if False:", INPUTS),
    Mutant("the guider learns masks of -1 and 1 whatever is set", LOSSES_OF,
           "    x_0 = scale.encode(x_0)\n", "", INPUTS),
    Mutant("the denoiser is shown standardised estimates", SAMPLING,
           "mask = scale.decode(of_x[0])", "mask = of_x[0]", DRAWING),
    Mutant("standardised estimates are clipped as masks of -1 and 1", SAMPLING,
           "(scale.bounds, SIGNED) if sampling.clip", "(SIGNED, SIGNED) if sampling.clip",
           "tests/diffusion/test_mask_scale.py"),
    Mutant("Joint's standardised masks are clipped as images", "baselines/joint.py",
           "of_mask[None]]", "of_mask.new_full((1,), end)]", DRAWING),
    Mutant("PIG draws from its last weights, not from their average", PIG,
           "setattr(self, name, train({name: module}, {name: loss}, pairs, model.training, run, name)[name])",
           "train({name: module}, {name: loss}, pairs, model.training, run, name)", INPUTS),
    Mutant("SegGuidedDif draws from its last weights, not from their average", SEGGUIDED,
           '        self.network = modules["network"]  # type: ignore[assignment]\n', "", INPUTS),
    Mutant("the guider's image has the mask's noise", LOSSES_OF,
           "schedule.add_noise(y_0, eps_2, t)  # Eq. 9-10", "schedule.add_noise(y_0, eps_1, t)", INPUTS),
    Mutant("the guider sees the clean image", LOSSES_OF,
           "return F.mse_loss(guider(x_t, y_t, t)", "return F.mse_loss(guider(x_t, y_0, t)", INPUTS),
    Mutant("the denoiser is given the mask's noise to learn", LOSSES_OF,
           "target(prediction, y_0, eps_2, alpha_bar)", "target(prediction, y_0, eps_1, alpha_bar)", INPUTS),
    Mutant("the condition is never the guider's", PIG,
           'if model.condition == "predicted" else None', "if False else None", INPUTS),
    Mutant("the image begins from the mask's noise", PIG,
           'y_T = self.identity.noise("image"', 'y_T = self.identity.noise("mask"', DRAWING),
    Mutant("masks are cut at 0.9", PIG, "state.x_next > 0)", "state.x_next > 0.9)", DRAWING),
    Mutant("PIG's masks are not clipped", SAMPLING,
           "guider(x_t, y_t, t), x_t, alpha_bar, of_masks)",
           "guider(x_t, y_t, t), x_t, alpha_bar, None)", DRAWING),
    Mutant("PIG's images are not clipped", SAMPLING,
           "denoiser(y_t, condition, t), y_t, alpha_bar, of_images)",
           "denoiser(y_t, condition, t), y_t, alpha_bar, None)", DRAWING),
    Mutant("PIG's solver is DDIM whatever is set", SAMPLING,
           "(x_T, y_T), visits, RULES[sampling.solver]()", '(x_T, y_T), visits, RULES["ddim"]()', DRAWING),
    Mutant("the second order looks ahead the wrong way", "pig/diffusion/solvers.py",
           "(1 + weight) * x0 - weight * older", "(1 - weight) * x0 + weight * older",
           "tests/diffusion/test_solvers.py"),
    # The other diffusions
    Mutant("antithetic timesteps are ignored", "pig/diffusion/draws.py",
           "    if not antithetic:", "    if True:", INPUTS),
    Mutant("DDPM draws without its noise", "baselines/ddpm.py",
           "            noise.draw,\n", "            lambda: 0 * noise.draw(),\n", DRAWING),
    Mutant("DDPM does not clip", "baselines/ddpm.py",
           "clip=self.sampling.clip,", "clip=False,", DRAWING),
    Mutant("images are not clipped", SAMPLING,
           "bounds if sampling.clip else None", "None", DRAWING),
    Mutant("the solver is DDIM whatever is set", SAMPLING,
           "(x_T,), visits, RULES[sampling.solver]()", '(x_T,), visits, RULES["ddim"]()', DRAWING),
    Mutant("DDIM draws with settings of its own", "baselines/ddim.py",
           "            self.uniform,\n", "            Sampling(),\n", DRAWING),
    Mutant("SegGuidedDif learns inverted masks", SEGGUIDED,
           "lambda x_t, t: self.network(x_t, masks, t),", "lambda x_t, t: self.network(x_t, 1 - masks, t),", INPUTS),
    Mutant("ablation drops no mask", SEGGUIDED, "if model.ablate_masks:", "if False:", INPUTS),
    Mutant("SegGuidedDif draws without its mask", SEGGUIDED,
           "self.network(x_t, condition, t))", "self.network(x_t, 0 * condition, t))", DRAWING),
    Mutant("SegGuidedDif draws with settings of its own", SEGGUIDED,
           "            self.sampling,\n", "            Sampling(),\n", DRAWING),
    Mutant("LDM learns latents that are not scaled", LDM,
           "return scale * (mean", "return (mean", INPUTS),
    Mutant("LDM learns the mean of the latents, not draws", LDM,
           "mean + sigma * noise_like(mean, rng)", "mean", INPUTS),
    Mutant("LDM draws without its mask", LDM,
           "masks = masks.to(device)", "masks = 0 * masks.to(device)", DRAWING),
    Mutant("LDM draws with settings of its own", LDM,
           "            self.sampling,\n", "            Sampling(),\n", DRAWING),
    Mutant("ControlNet learns without its mask", CONTROLNET,
           "lambda x_t, t: self.steered(x_t, masks, t),\n                self.base",
           "lambda x_t, t: self.steered(x_t, 0 * masks, t),\n                self.base", INPUTS),
    Mutant("ControlNet begins from random weights", CONTROLNET,
           "self.control.load_state_dict(base.network.unet.state_dict(), strict=False)", "pass", INPUTS),
    Mutant("ControlNet draws without its mask", CONTROLNET,
           "in_autocast(lambda x_t, t: self.steered(x_t, masks, t))",
           "in_autocast(lambda x_t, t: self.steered(x_t, 0 * masks, t))", DRAWING),
    # The autoencoder
    Mutant("the KL's sign", AUTOENCODER, "+ m.kl_weight * kl", "- m.kl_weight * kl", LOSSES),
    Mutant("latents are multiplied when they are decoded", AUTOENCODER,
           "latents / self.network", "latents * self.network", DRAWING),
    Mutant("the autoencoder flees what the discriminator takes for real", AUTOENCODER,
           "fooled = -critic", "fooled = critic", LOSSES),
    Mutant("the hinge of real images", AUTOENCODER, "F.relu(1 - real)", "F.relu(1 + real)", LOSSES),
    Mutant("the hinge of reconstructions", AUTOENCODER, "F.relu(1 + fake)", "F.relu(1 - fake)", LOSSES),
    Mutant("the scale is that of the means", AUTOENCODER,
           "mean.var() + sigma.square().mean()", "mean.var()", "tests/generators/test_generators.py -k latent"),
    # Optimisation
    Mutant("the cosine ends at half", OPTIMISER,
           "return 0.5 * (1 + math.cos", "return 0.25 * (3 + math.cos", NUMBER),
    Mutant("the warm-up never rises", OPTIMISER,
           "return (step + 1) / settings.warmup_steps", "return 1 / settings.warmup_steps", NUMBER),
    Mutant("gradients are not clipped", LOOP,
           "if settings.clip_norm is not None:", "if False:", NUMBER),
    Mutant("an accumulated loss is not divided", LOOP,
           "losses[key](some_images, some_masks, rng) / len(pieces)", "losses[key](some_images, some_masks, rng)",
           NUMBER),
    Mutant("the last weights in place of their average", OPTIMISER,
           "return self.average.module if self.average else self.module", "return self.module", NUMBER),
    Mutant("the order of the data does not depend on the fold", LOOP,
           "settings.batch_size, seed_of(run.seed, run.fold, name))", "settings.batch_size, seed_of(run.seed, name))",
           NUMBER),
    Mutant("the noise of a step does not depend on the seed", LOOP,
           "seed = seed_of(run.seed, run.fold, name, step)", "seed = seed_of(run.fold, name, step)", NUMBER),
    # Seeds, folds and the guard against leaks
    Mutant("first weights do not depend on the fold", "pig/steps/fit.py",
           'seed_of(seed, fold, name, "initial weights")', 'seed_of(seed, name, "initial weights")', SEEDS),
    Mutant("the patients of a part are not recorded", "pig/steps/fit.py",
           'patients |= set(part["patients"])', "pass", SEEDS),
    Mutant("the order of masks does not depend on the fold", "pig/data/given_masks.py",
           'seed_of(seed, fold, "masks")', 'seed_of(seed, "masks")', SEEDS),
    Mutant("a pair's noise does not depend on the fold", "pig/methods/base.py",
           "seed_of(self.seed, self.name, self.fold, index, stream)", "seed_of(self.seed, self.name, index, stream)",
           DRAWING),
    Mutant("a checkpoint fits whatever the settings", "pig/steps/fit.py",
           "        model=model,\n        seed=seed,\n", "        seed=seed,\n", SEEDS),
    Mutant("a checkpoint fits whatever the code", "pig/training/run.py",
           '"code": source_hash(*sorted({*code}))', '"code": ""', "tests/training/test_same_code.py"),
    # Segmentation
    Mutant("batch normalisation is left in training mode", SEGMENTATION,
           "network.to(pick_device()).eval()", "network.to(pick_device())", LEARNS),
    Mutant("the share of real pairs is ignored", SEGMENTATION,
           "if settings.real_share is not None:", "if False:", LEARNS),
    Mutant("first weights of a segmentation do not depend on the seed", SEGMENTATION,
           'seed_of(seed, fold, "segmentation", "weights")', 'seed_of(fold, "segmentation", "weights")', LEARNS),
    # Statistics
    Mutant("all p values are multiplied alike", STATISTICS,
           "(len(order) - k) * p[index]", "len(order) * p[index]", COMPARED),
    Mutant("claims rest on p given the networks", STATISTICS,
           '"p": mean.p()', '"p": permutation_p(of_patients, seed)', COMPARED),
    Mutant("given the networks, patients of small folds weigh as much as any", STATISTICS,
           "values.mul(len(folds) / (len(sizes) * sizes.reindex(folds).to_numpy()), axis=0)", "values", COMPARED),
    Mutant("wrong masks that help are no warning", "pig/report/reading.py",
           "if row.low_folds > 0]", "if row.high_folds < 0]", "tests/report/test_answer.py"),
    Mutant("an arm's loss is its gain", STATISTICS, "table[arm] - table[rival]", "table[rival] - table[arm]", COMPARED),
    Mutant("folds are taken for patients", STATISTICS,
           'mean_of_folds(values.groupby("fold")', 'mean_of_folds(values.groupby("patient_id")', COMPARED),
    Mutant("the scatter of patients is left out of the crossed interval", STATISTICS,
           "ms_network + max(ms_patient - ms_left, 0.0)", "ms_network", COMPARED),
    Mutant("the crossed interval has the degrees of freedom of the networks' part alone", STATISTICS,
           "spread += ms_left**2 / ((networks - 1) * (patients - 1))", "spread = ms_network**2 / (networks - 1)",
           COMPARED),
    Mutant("the observed signs are not counted among those drawn", STATISTICS,
           "(extreme.sum() + 1) / (RESAMPLES + 1)", "extreme.mean() / 2", COMPARED),
    # Outlines and lesions
    Mutant("an outline is the whole mask", BOUNDARY,
           "mask[box] & ~ndimage.binary_erosion(mask[box])", "mask[box]", OUTLINES),
    Mutant("an empty prediction has no distance", BOUNDARY,
           "(math.hypot(*(side - 1 for side in true.shape)), 0.0) if found or there", "(0.0, 0.0) if found or there",
           OUTLINES),
    Mutant("lesions are matched by overlap alone", LESIONS, "len(iou) + 1 + iou, 0", "iou, 0", FOUND),
    Mutant("greater overlap outweighs a lesion found", LESIONS, "len(iou) + 1 + iou, 0", "1 + iou, 0", FOUND),
    Mutant("thirds count slices without a lesion", "pig/report/measures.py", "[rows.lesions > 0]", "",
           "tests/downstream/test_measures.py"),
    # What an arm adds, and how its pairs are changed
    Mutant("the negative control keeps its masks", ADDED,
           "bits[order] = added.masks.bits[np.roll(order, 1)]", "bits[order] = added.masks.bits[order]", ADDS),
    Mutant("the oracle's patients are not recorded", ADDED,
           '"patients": pairs.patients, "store"', '"patients": ["new"], "store"', ADDS),
    Mutant("a lesion is pasted into its own patient's pictures", COPIES,
           "if patients[target] == patients[donor]:", "if target == donor:", PASTES),
    Mutant("the pasted lesion is not in the mask", COPIES, "both[place] |= shape", "both[place] |= False", PASTES),
    Mutant("lesions are pasted onto the background", COPIES,
           "free = foreground(target) & ~mask", "free = ~mask", PASTES),
    Mutant("oversampling takes the first pairs alone", ADDED,
           "pairs.rows[order]", "pairs.rows[order % 10]", ADDS),
    Mutant("the mask stays where it was when the image is turned", AUGMENTATION,
           "(functional.grid_sample(masks, grid, align_corners=False) >= 0.5)", "(masks >= 0.5)", AUGMENTS),
    Mutant("all pairs of a batch are turned alike", AUGMENTATION,
           "draw(math.radians(most.degrees))", "draw(math.radians(most.degrees))[:1].expand(n)", AUGMENTS),
    Mutant("segmentations are trained without augmentation", SEGMENTATION,
           "images, masks = augment(images, masks, settings.augmentation, rng)", "pass", LEARNS),
    Mutant("Joint learns masks in {0, 1}", "baselines/joint.py",
           "mask_scale.encode(2 * masks - 1)", "mask_scale.encode(masks)", INPUTS),
    # What a user has on a disk
    Mutant("whatever lies at --out is replaced", "pig/system/files.py",
           "if path.exists() and any(path.iterdir()) and not any(", "if False and not any(", NOTHING_LOST),
    Mutant("what is read may be replaced", "pig/system/files.py",
           "if path.exists() and source.resolve().is_relative_to(path.resolve()):", "if False:", NOTHING_LOST),
    Mutant("a mask that is a link to nothing is no mask", "pig/data/readers/volume.py",
           "elif path.is_symlink():", "elif False:", "tests/readers/test_labels.py"),
    # The picture does not tell the answer
    Mutant("the crop is widened to include the mask", "pig/data/volume.py",
           "geometry = _geometry(sources, blank, flipped, settings)",
           "geometry = _geometry([i | m for i, m in zip(sources, lesions)], blank, flipped, settings)",
           "tests/data/test_no_leak.py"),
]  # fmt: skip
