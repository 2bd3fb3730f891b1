# The downstream task: one segmentation for each arm, fold and seed.


rule segment:
    input:
        store=rules.preprocess.output,
        folds=rules.folds.output.table,
        synthetic=shards_of_arm,
    output:
        slices="results/segmentation/{arm}/fold{fold}/seed{seed}/slices.csv",
        model="results/segmentation/{arm}/fold{fold}/seed{seed}/model.safetensors",
        record="results/segmentation/{arm}/fold{fold}/seed{seed}/record.json",
    log:
        "results/logs/segment/{arm}/fold{fold}/seed{seed}.log",
    benchmark:
        "results/benchmarks/segment/{arm}/fold{fold}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: (
            memory.segment(config, 0 if wildcards.arm == REAL else ARMS[wildcards.arm]["count"], bool(GPU)) * attempt
        ),
        runtime=lambda wildcards, attempt: 360 * attempt,
    params:
        settings=segmentation_settings,
        synthetic=lambda wildcards, input: (
            [] if wildcards.arm == REAL else ["--count", ARMS[wildcards.arm]["count"], "--synthetic", *input.synthetic]
        ),
        work="results/work/segmentation/{arm}/fold{fold}/seed{seed}",
        folder=subpath(output.slices, parent=True),
        code=source_hash("pig.steps.segment"),
        events="results/events/segment/{arm}/fold{fold}/seed{seed}",
    shell:
        "pig segment --store {input.store:q} --folds {input.folds:q} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --settings {params.settings:q} {params.synthetic:q} --work {params.work:q} --out {params.folder:q}"
        " --threads {threads}"
        " --events {params.events:q} &> {log:q}"
