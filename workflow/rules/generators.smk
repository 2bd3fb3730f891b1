# One training for each generator, or part of one, and fold. A killed training goes on from its checkpoint in `work`,
# which is no declared output because Snakemake deletes those of a job that failed.


rule fit:
    input:
        store=STORE,
        folds=rules.folds.output.table,
        parts=lambda wildcards: list(parts(wildcards.generator, wildcards.fold).values()),
    output:
        directory("results/models/{generator}/fold{fold}"),
    log:
        "results/logs/fit/{generator}/fold{fold}.log",
    benchmark:
        "results/benchmarks/fit/{generator}/fold{fold}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=GPU,
        processes=1,  # that share each batch; with several, as many GPUs (docs/devices.md)
        mem_mb=lambda wildcards, attempt: memory.fit(config, wildcards.generator, bool(GPU)) * attempt,
        runtime=lambda wildcards, attempt: min(720 * attempt, 1440),  # a partition that allows less never starts it
    params:
        path=lambda wildcards: GENERATORS[wildcards.generator]["class"],
        model=lambda wildcards: as_json(GENERATORS[wildcards.generator]["model"]),
        # Recorded for who loads the model. It takes `input`, so that Snakemake does not look at it: a change of sampling
        # trains nothing again.
        sampling=lambda wildcards, input: as_json(GENERATORS[wildcards.generator].get("sampling", {})),
        seed=config["seed"],
        leaky=lambda wildcards: ["--leaky"] * GENERATORS[wildcards.generator].get("leaky", False),
        roles=lambda wildcards: list(parts(wildcards.generator, wildcards.fold)),
        needs=lambda wildcards, input: options(
            "--need", [f"{role}={part}" for role, part in zip(parts(wildcards.generator, wildcards.fold), input.parts)]
        ),
        work="results/work/models/{generator}/fold{fold}",
        code=lambda wildcards: source_hash("pig.steps.fit", *code_of(wildcards.generator)),
        events="results/events/fit/{generator}/fold{fold}",
    shell:
        "pig fit --store {input.store:q} --folds {input.folds:q} --fold {wildcards.fold} --name {wildcards.generator}"
        " --class {params.path:q} --settings {params.model:q} --sampling {params.sampling:q} --seed {params.seed}"
        " {params.needs:q} {params.leaky:q} --work {params.work:q} --out {output:q} --threads {threads}"
        " --processes {resources.processes} --events {params.events:q} &> {log:q}"
