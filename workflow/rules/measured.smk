# What the quality of images and pairs is measured from, as functions of the configuration.


def real_segmentation(wildcards):
    """The network of the fold that learnt from real pairs alone."""
    folder = f"results/segmentation/{REAL}/fold{wildcards.fold}/seed{SEEDS[0]}"
    return [f"{folder}/model.safetensors", f"{folder}/record.json"]


def feature_weights(wildcards):
    """The weights of the features' network: of the fold's real-data segmentation, or the file that is named, if any."""
    if TABLE1["features"] == "encoder":
        return real_segmentation(wildcards)
    return TABLE1["feature_weights"] or []


def distances(names=TABLE1["generators"], folds=TABLE1["folds"]):
    return [f"results/fid/{name}/fold{k}.json" for name in names for k in folds]


def qualities():
    return [f"results/quality/{name}/fold{k}.json" for name in TABLE1["generators"] for k in TABLE1["folds"]]


def closest():
    return [f"results/figures/closest_{name}_fold{k}.png" for name in TABLE1["generators"] for k in TABLE1["folds"]]


def words_of_weights(files):
    """The words that name the weights of the features; those of a package, or of a download, have none."""
    if not files:
        return []
    return ["--weights", Path(files[0]).parent if TABLE1["features"] == "encoder" else files]
