# Table 2 by another network: nnU-Net, where it is installed. `snakemake --cores all results/nnunet/table2.csv`


localrules:
    nnunet_table2,


# It augments by itself and has steps of its own, so that arms which are augmented otherwise, or trained for longer, have no
# counterpart.
NNUNET_ARMS = {name: arm for name, arm in ARMS.items() if not (arm.augmentation or arm.budget)}


rule nnunet:
    input:
        store=STORE,
        folds=rules.folds.output.table,
        synthetic=shards_of_arm,
        oracle=lambda wildcards: new_patients("oracle") if ARMS[wildcards.arm].oracle else [],
        test=new_patients("test"),
    output:
        slices="results/nnunet/{arm}/fold{fold}/seed{seed}/slices.csv",
        record="results/nnunet/{arm}/fold{fold}/seed{seed}/record.json",
        model=directory("results/nnunet/{arm}/fold{fold}/seed{seed}/model"),
        tested=["results/nnunet/{arm}/fold{fold}/seed{seed}/new_patients.csv"] * bool(new_patients("test")),
    log:
        "results/logs/nnunet/{arm}/fold{fold}/seed{seed}.log",
    benchmark:
        "results/benchmarks/nnunet/{arm}/fold{fold}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: memory.nnunet(config, ARMS[wildcards.arm].count, bool(GPU)) * attempt,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    params:
        settings=as_json(config["nnunet"] | {"image_size": config["segmentation"]["image_size"]}),
        added=lambda wildcards, input: added_by(ARMS[wildcards.arm], input.synthetic, input.oracle),
        test=lambda wildcards, input: ["--test", input.test] if input.test else [],
        work="results/work/nnunet/{arm}/fold{fold}/seed{seed}",
        folder=subpath(output.slices, parent=True),
        code=source_hash("pig.steps.nnunet"),
        events="results/events/nnunet/{arm}/fold{fold}/seed{seed}",
    shell:
        "pig nnunet --store {input.store:q} --folds {input.folds:q} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --settings {params.settings:q} {params.added:q} {params.test:q} --work {params.work:q} --out {params.folder:q}"
        " --threads {threads}"
        " --events {params.events:q} &> {log:q}"


use rule table2 as nnunet_table2 with:
    input:
        slices=[segmentations(arm, of="nnunet") for arm in NNUNET_ARMS],
        tested=(
            [segmentations(arm, file="new_patients.csv", of="nnunet") for arm in NNUNET_ARMS]
            if new_patients("test")
            else []
        ),
        records=[segmentations(arm, file="record.json", of="nnunet") for arm in NNUNET_ARMS],
        stores=rules.table2.input.stores,
    output:
        csv="results/nnunet/table2.csv",
        md="results/nnunet/table2.md",
        tex="results/nnunet/table2.tex",
        scores="results/nnunet/scores.csv",
        comparisons="results/nnunet/comparisons.csv",
        measures="results/nnunet/measures.csv",
        cases="results/nnunet/cases.csv",
    log:
        "results/logs/nnunet_table2.log",
    benchmark:
        "results/benchmarks/nnunet_table2.tsv"
    params:
        labels=lambda wildcards: LABELS_OF_TABLE2,
        kinds=[arm.kind for arm in NNUNET_ARMS.values()],
        rows=lambda wildcards, input: rows_of_table2(input.slices, NNUNET_ARMS),
        tested=["--new-patients"] * bool(new_patients("test")),
        folds=len(FOLDS),
        seeds=SEEDS,
        code=source_hash("pig.steps.table2"),
