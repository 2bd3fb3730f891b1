# The quality of the pairs that table 1 is of, beside that of real ones. Nothing of table 2 depends on it.


localrules:
    quality_table,


rule quality:
    input:
        store=STORE,
        folds=rules.folds.output.table,
        synthetic=lambda wildcards: shards(wildcards.generator, wildcards.fold, TABLE1["count"]),
        segmentation=real_segmentation,
        weights=feature_weights,
    output:
        file="results/quality/{generator}/fold{fold}.json",
        figure="results/figures/closest_{generator}_fold{fold}.png",
    log:
        "results/logs/quality/{generator}/fold{fold}.log",
    benchmark:
        "results/benchmarks/quality/{generator}/fold{fold}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: memory.quality(config, bool(GPU)) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        pairs=TABLE1["count"],
        features=TABLE1["features"],
        segmentation=lambda wildcards, input: Path(input.segmentation[0]).parent,
        weights=lambda wildcards, input: words_of_weights(input.weights),
        cache="results/work/fid",
        code=source_hash("pig.steps.quality"),
    shell:
        "pig quality --store {input.store:q} --folds {input.folds:q} --fold {wildcards.fold} --count {params.pairs}"
        " --synthetic {input.synthetic:q} --segmentation {params.segmentation:q} --features {params.features}"
        " {params.weights:q} --cache {params.cache:q} --figure {output.figure:q} --out {output.file:q}"
        " --threads {threads} &> {log:q}"


rule quality_table:
    input:
        qualities(),
    output:
        csv=report("results/quality.csv", category="Tables"),
        md="results/quality.md",
    log:
        "results/logs/quality_table.log",
    benchmark:
        "results/benchmarks/quality_table.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        labels=lambda wildcards: LABELS_OF_TABLE1,
        rows=lambda wildcards, input: rows_of_table1(input),
        code=source_hash("pig.steps.quality_table"),
    shell:
        "pig quality_table {params.rows:q} --out {output.csv:q} --threads {threads} &> {log:q}"
