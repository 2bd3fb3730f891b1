"""A tour of a finished study in Python, in half a minute; it writes tour.png and changes nothing.

Start it in the folder of the study, which holds ``results``: ``python docs/tour.py``, or cell by cell in an editor that
knows ``# %%`` (VS Code, Spyder, PyCharm).
"""

# %% What the study made lies in files; these open them.
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pig
from pig.data.store import PairDataset
from pig.evaluation.overlap import confusion_counts, overlap_scores
from pig.evaluation.segmenter import find_lesions, load_segmenter
from pig.report.slices import examples, read_slices

RESULTS = Path("results")

# %% The store: all real pairs at one size. Images are uint16 [N, H, W], masks {0, 1}; a row of the manifest is a pair.
store = pig.open_store(RESULTS / "data/store")
print(f"{len(store.images)} real pairs of {store.manifest.patient_id.nunique()} patients, {store.size} pixels a side")
print(f"their lesions cover {100 * store.masks[:].mean():.1f} % of the pictures")

# %% A generator, trained without the patients of fold 0. Pair 2 is the same in any batch, and in the study's shards.
generator = pig.load_generator(RESULTS / "models/pig/fold0")
drawn = generator.sample(range(3))
print(f"drawn: images {list(drawn.images.shape)} in [-1, 1], {drawn.masks.any((1, 2, 3)).sum()} of 3 with a lesion")

# %% A segmentation trained on real pairs alone: its best, median and worst slice of the patients of fold 0.
folder = RESULTS / "segmentation/real/fold0/seed0"
shown = examples(read_slices([folder / "slices.csv"]))
network, settings, record = load_segmenter(folder)
tested = PairDataset(store, shown.slice.to_numpy(), settings.image_size)
images, masks = tested.batch(np.arange(3))  # float32 [3, 1, H, W] in [-1, 1], and {0, 1}
found = find_lesions(network, images)
dice = overlap_scores(confusion_counts(found, masks[:, 0].numpy() > 0)).dice
for name, row, value in zip(shown.index, shown.slice, dice, strict=True):
    print(f"{name} slice: row {row} of the store, Dice {value:.4f}")

# %% Real pairs, drawn pairs, and what was found (dashed).
figure, axes = plt.subplots(2, 3, figsize=(7, 5), layout="constrained")
for axis, image, mask in zip(axes.flat, [*images, *drawn.images], [*masks, *drawn.masks], strict=True):
    axis.imshow(image.mean(0), cmap="gray", vmin=-1, vmax=1)
    axis.contour(mask[0], levels=[0.5], colors="gold")  # warns where there is no lesion, hence no outline
    axis.set_axis_off()
for axis, guess, name in zip(axes[0], found, shown.index, strict=True):
    axis.contour(guess, levels=[0.5], colors="deepskyblue", linestyles="dashed")
    axis.set_title(f"real, {name}")
axes[1, 0].set_title("drawn")
figure.savefig("tour.png")
print("the picture: tour.png")
