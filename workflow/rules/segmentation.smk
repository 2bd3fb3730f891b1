# The downstream task: one segmentation for each arm, fold and seed.


rule segment:
    input:
        store=STORE,
        folds=rules.folds.output.table,
        synthetic=shards_of_arm,
        oracle=lambda wildcards: new_patients("oracle") if ARMS[wildcards.arm].oracle else [],
        test=new_patients("test"),
    output:
        slices="results/segmentation/{arm}/fold{fold}/seed{seed}/slices.csv",
        model="results/segmentation/{arm}/fold{fold}/seed{seed}/model.safetensors",
        record="results/segmentation/{arm}/fold{fold}/seed{seed}/record.json",
        tested=["results/segmentation/{arm}/fold{fold}/seed{seed}/new_patients.csv"] * bool(new_patients("test")),
    log:
        "results/logs/segment/{arm}/fold{fold}/seed{seed}.log",
    benchmark:
        "results/benchmarks/segment/{arm}/fold{fold}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: (memory.segment(config, ARMS[wildcards.arm].count, bool(GPU)) * attempt),
        runtime=lambda wildcards, attempt: 360 * attempt,
    params:
        settings=segmentation_settings,
        added=lambda wildcards, input: added_by(ARMS[wildcards.arm], input.synthetic, input.oracle),
        test=lambda wildcards, input: ["--test", input.test] if input.test else [],
        work="results/work/segmentation/{arm}/fold{fold}/seed{seed}",
        folder=subpath(output.slices, parent=True),
        code=source_hash("pig.steps.segment"),
        events="results/events/segment/{arm}/fold{fold}/seed{seed}",
    shell:
        "pig segment --store {input.store:q} --folds {input.folds:q} --fold {wildcards.fold} --seed {wildcards.seed}"
        " --settings {params.settings:q} {params.added:q} {params.test:q} --work {params.work:q} --out {params.folder:q}"
        " --threads {threads}"
        " --events {params.events:q} &> {log:q}"
