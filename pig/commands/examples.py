"""An example of each command, and which of them a user of a finished or running study takes."""

OF_A_STUDY = ("plan", "cost", "status", "reproduce", "predict", "export", "invert", "report")

_FOLD = "--store results/data/store --folds results/data/folds.csv --fold 0"
_PIG = "--name pig --class pig.methods.pig.PIG"
_SHARD = "results/synthetic/pig/fold0/shard0.npz"
_SEGMENTATION = "results/segmentation/pig_1024/fold0/seed0"

EXAMPLES = {
    "phantom": "pig phantom --settings '{patients: 8, views: [CC]}' --out phantom --threads 2",
    "import": "pig import --from folders --root data/mine --settings '{patient: \"^(.+)_[0-9]+$\"}' --out imported",
    "check": "pig check --manifest imported/manifest.csv --settings '{size: 128}' --fold-count 5 --out checked",
    "verdict": "pig verdict --found checked/errors.json --out checked/ok",
    "preprocess": "pig preprocess --manifest imported/manifest.csv --settings '{size: 128}' --out store --threads 2",
    "invert": "pig invert --store results/data/store --masks predicted --out masks",
    "folds": "pig folds --store results/data/store --fold-count 5 --seed 0 --out folds.csv",
    "fit": f"pig fit {_FOLD} {_PIG} --settings '{{image_size: 48}}' --work work --out model",
    "synthesise": f"pig synthesise --store results/data/store --folds results/data/folds.csv {_PIG}"
    " --model results/models/pig/fold0 --first 0 --last 64 --out pairs.npz",
    "export": f"pig export --format png --synthetic {_SHARD} --count 100 --out pairs",
    "segment": f"pig segment {_FOLD} --settings '{{image_size: 48}}' --synthetic {_SHARD} --work work"
    " --out segmentation",
    "nnunet": f"pig nnunet {_FOLD} --settings '{{epochs: 4, image_size: 48}}' --synthetic {_SHARD} --work work"
    " --out segmentation",
    "predict": f"pig predict --model {_SEGMENTATION} --images new --out masks",
    "fid": f"pig fid {_FOLD} --synthetic {_SHARD} --features encoder"
    " --weights results/segmentation/real/fold0/seed0 --cache cache --out fid.json",
    "quality": f"pig quality {_FOLD} --synthetic {_SHARD} --features encoder"
    " --weights results/segmentation/real/fold0/seed0 --segmentation results/segmentation/real/fold0/seed0"
    " --cache cache --figure closest.png --out quality.json",
    "quality_table": "pig quality_table --row PIG=results/quality/pig/fold0.json --out quality.csv",
    "table1": "pig table1 --row PIG=results/fid/pig/fold0.json --out table1.csv",
    "table2": "pig table2 --row Real=results/segmentation/real --row +PIG_1024=results/segmentation/pig_1024"
    " --fold-count 5 --seeds 0 --out table2.csv",
    "ledger": "pig ledger --config config.yaml --out cost.csv",
    "report": "pig report --results results --out results/report.html",
    "gallery": f"pig gallery {_FOLD} --synthetic {_SHARD} --label PIG --out gallery.png",
    "overlay": f"pig overlay --store results/data/store --segmentation +PIG_1024={_SEGMENTATION} --out overlays",
    "strip": "pig strip --model results/models/pig/fold0 --pairs 3 --out strip.png",
    "reproduce": f"pig reproduce {_SEGMENTATION}",
    "plan": "pig plan --configfile mine.yaml --budget quick",
    "cost": "pig cost --configfile mine.yaml",
    "status": "pig status --watch",
}
