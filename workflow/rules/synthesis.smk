# Pairs from trained generators, in shards that arms of different sizes share.


rule synthesise:
    input:
        model=lambda wildcards: model(wildcards.generator, wildcards.fold),
        store=STORE,
        folds=rules.folds.output.table,
        masks=shard_of_masks,
    output:
        "results/synthetic/{generator}/fold{fold}/shard{shard}.npz",
    log:
        "results/logs/synthesise/{generator}/fold{fold}/shard{shard}.log",
    benchmark:
        "results/benchmarks/synthesise/{generator}/fold{fold}/shard{shard}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=lambda wildcards, attempt: memory.synthesise(config, wildcards.generator, bool(GPU)) * attempt,
        runtime=lambda wildcards, attempt: 360 * attempt,
    params:
        path=lambda wildcards: GENERATORS[wildcards.generator]["class"],
        sampling=lambda wildcards: as_json(GENERATORS[wildcards.generator]["sampling"]),
        seed=config["seed"],
        first=first,
        last=last,
        batch=config["synthesis"]["batch_size"],
        jitter=lambda wildcards: ["--jitter-masks"]
        * GENERATORS[wildcards.generator].get("masks", {}).get("jitter", False),
        leaky=lambda wildcards: ["--leaky"] * GENERATORS[wildcards.generator].get("leaky", False),
        code=lambda wildcards: source_hash("pig.steps.synthesise", *code_of(wildcards.generator)),
        events="results/events/synthesise/{generator}/fold{fold}/shard{shard}",
    shell:
        "pig synthesise --model {input.model:q} --name {wildcards.generator} --class {params.path:q}"
        " --sampling {params.sampling:q} --seed {params.seed} --store {input.store:q} --folds {input.folds:q}"
        " --first {params.first} --last {params.last} --batch {params.batch} {params.jitter:q} {params.leaky:q}"
        " --masks-of {input.masks:q} --out {output:q} --threads {threads} --events {params.events:q} &> {log:q}"
