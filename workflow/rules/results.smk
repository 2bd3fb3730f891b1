# The tables, the figures, and one target for each fold.


localrules:
    table1,
    table2,
    ledger,
    report,


rule fid:
    input:
        store=STORE,
        folds=rules.folds.output.table,
        synthetic=lambda wildcards: shards(wildcards.generator, wildcards.fold, TABLE1["count"]),
        weights=feature_weights,
    output:
        "results/fid/{generator}/fold{fold}.json",
    log:
        "results/logs/fid/{generator}/fold{fold}.log",
    benchmark:
        "results/benchmarks/fid/{generator}/fold{fold}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: memory.fid(config, wildcards.generator, bool(GPU)) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        pairs=TABLE1["count"],
        features=TABLE1["features"],
        weights=lambda wildcards, input: words_of_weights(input.weights),
        cache="results/work/fid",
        code=source_hash("pig.steps.fid"),
    shell:
        "pig fid --store {input.store:q} --folds {input.folds:q} --fold {wildcards.fold} --count {params.pairs}"
        " --synthetic {input.synthetic:q} --features {params.features} {params.weights:q} --cache {params.cache:q}"
        " --out {output:q} --threads {threads} &> {log:q}"


rule table1:
    input:
        distances(),
    output:
        csv=report("results/table1.csv", category="Tables"),
        md="results/table1.md",
        tex="results/table1.tex",
    log:
        "results/logs/table1.log",
    benchmark:
        "results/benchmarks/table1.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        labels=lambda wildcards: LABELS_OF_TABLE1,
        rows=lambda wildcards, input: rows_of_table1(input),
        code=source_hash("pig.steps.table1"),
    shell:
        "pig table1 {params.rows:q} --out {output.csv:q} --threads {threads} &> {log:q}"


rule table2:
    input:
        slices=[segmentations(arm) for arm in ARMS],
        tested=[segmentations(arm, file="new_patients.csv") for arm in ARMS] if new_patients("test") else [],
        records=[segmentations(arm, file="record.json") for arm in ARMS],  # their checksums
        stores=[STORE, *new_patients("test")],  # what is known of the patients
        galleries=galleries(sorted({arm.generator for arm in ARMS.values() if arm.generator})),  # no row without a look
    output:
        csv=report("results/table2.csv", category="Tables"),
        md="results/table2.md",
        tex="results/table2.tex",
        scores="results/scores.csv",
        comparisons=report("results/comparisons.csv", category="Tables"),
        measures="results/measures.csv",
        cases="results/cases.csv",
    log:
        "results/logs/table2.log",
    benchmark:
        "results/benchmarks/table2.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        labels=lambda wildcards: LABELS_OF_TABLE2,
        kinds=[arm.kind for arm in ARMS.values()],
        rows=lambda wildcards, input: rows_of_table2(input.slices),
        tested=["--new-patients"] * bool(new_patients("test")),
        folds=len(FOLDS),
        seeds=SEEDS,
        code=source_hash("pig.steps.table2"),
    shell:
        "pig table2 {params.rows:q} --fold-count {params.folds} --seeds {params.seeds} {params.tested:q}"
        " --stores {input.stores:q} --out {output.csv:q} --threads {threads} &> {log:q}"


rule ledger:
    input:
        models=all_models(),
        drawn=all_shards(),
        segmentations=all_segmentations(),
    output:
        csv=report("results/cost.csv", category="Tables"),
        md="results/cost.md",
    log:
        "results/logs/ledger.log",
    benchmark:
        "results/benchmarks/ledger.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        folder=lambda wildcards, input: Path(input.segmentations[0]).parents[4],
        config=lambda wildcards: as_json(config),  # a {2} in a plain text would be a wildcard
        code=source_hash("pig.steps.ledger"),
    shell:
        "pig ledger --results {params.folder:q} --config {params.config:q} --out {output.csv:q} --threads {threads}"
        " &> {log:q}"


rule report:
    input:
        table2="results/table2.csv",
        of_table2=["results/comparisons.csv", "results/scores.csv", "results/measures.csv"],
        table1="results/table1.csv",
        quality="results/quality.csv",
        cost="results/cost.csv",
        figures=galleries(DRAWN) + strips() + closest(),
        predictions="results/predictions",
        audited=[*all_segmentations(), *all_models(), *all_shards()],
    output:
        report("results/report.html", category="The study on one page"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        folder=lambda wildcards, input: Path(input.table2).parent,
        config=lambda wildcards: as_json(config),  # a {2} in a plain text would be a wildcard
        nnunet=state_of_nnunet(),
        code=source_hash("pig.steps.report"),
    shell:
        "pig report --results {params.folder:q} --config {params.config:q} --out {output:q} --threads {threads}"
        " &> {log:q}"


rule gallery:
    input:
        store=STORE,
        folds=rules.folds.output.table,
        synthetic=lambda wildcards: shards(wildcards.generator, FIGURE_FOLD, 1),
    output:
        report("results/figures/gallery_{generator}.png", category="What the generators draw"),
    log:
        "results/logs/gallery_{generator}.log",
    benchmark:
        "results/benchmarks/gallery_{generator}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: memory.gallery(config, wildcards.generator) * attempt,
        runtime=10,
    params:
        fold=FIGURE_FOLD,
        label=lambda wildcards: LABELS[wildcards.generator],
        code=source_hash("pig.steps.gallery"),
    shell:
        "pig gallery --store {input.store:q} --folds {input.folds:q} --fold {params.fold} --synthetic {input.synthetic:q}"
        " --label={params.label:q} --out {output:q} --threads {threads} &> {log:q}"


rule strip:
    input:
        model=lambda wildcards: model(wildcards.generator, FIGURE_FOLD),
    output:
        report("results/figures/strip_{generator}.png", category="What the generators draw"),
    log:
        "results/logs/strip_{generator}.log",
    benchmark:
        "results/benchmarks/strip_{generator}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        sampling=lambda wildcards: as_json(GENERATORS[wildcards.generator]["sampling"]),
        seed=config["seed"],
        code=lambda wildcards: source_hash("pig.steps.strip", *code_of(wildcards.generator)),
    shell:
        "pig strip --model {input.model:q} --sampling {params.sampling:q} --seed {params.seed} --out {output:q}"
        " --threads {threads} &> {log:q}"


rule overlay:
    input:
        store=STORE,
        slices=[segmentations(arm, [FIGURE_FOLD])[0] for arm in ARMS],
        models=[segmentations(arm, [FIGURE_FOLD], "model.safetensors")[0] for arm in ARMS],
        records=[segmentations(arm, [FIGURE_FOLD], "record.json")[0] for arm in ARMS],
    output:
        directory("results/predictions"),
    log:
        "results/logs/overlay.log",
    benchmark:
        "results/benchmarks/overlay.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: memory.segment(config, 0, bool(GPU)) * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        labels=lambda wildcards: LABELS_OF_TABLE2,
        arms=lambda wildcards, input: options(
            "--segmentation",
            [f"{name}={Path(file).parent}" for name, file in zip(LABELS_OF_TABLE2, input.slices, strict=True)],
        ),
        code=source_hash("pig.steps.overlay"),
    shell:
        "pig overlay --store {input.store:q} {params.arms:q} --out {output:q} --threads {threads} &> {log:q}"


# `snakemake --cores all fold3`: all that fold 3 adds to the tables, and nothing of another fold.
for fold in FOLDS:

    rule:
        name:
            f"fold{fold}"
        input:
            fold_results(fold),
