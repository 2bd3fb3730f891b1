# From the phantom, or a manifest of one's own, to pairs in a store and folds by patient.
#
# `conda:` names the file and not the environment `pig` made from it: of a named one Snakemake asks conda for the
# content after each job, so that nothing runs where there is no conda.


rule phantom:
    output:
        directory("results/data/phantom"),
    log:
        "results/logs/phantom.log",
    benchmark:
        "results/benchmarks/phantom.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=as_json(config["dataset"]["phantom"]),
        work=phantom_work(),
    shell:
        "(pig phantom --settings {params.settings:q} --out {params.work} --threads {threads}"
        " && mv {params.work} {output}) &> {log}"


rule preprocess:
    input:
        data=config["dataset"]["manifest"] or rules.phantom.output,
    output:
        directory("results/data/store"),
    log:
        "results/logs/preprocess.log",
    benchmark:
        "results/benchmarks/preprocess.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        manifest=lambda wildcards, input: config["dataset"]["manifest"] or f"{input.data}/manifest.csv",
        settings=as_json(config["preprocessing"]),
        code=source_hash("pig.data.preprocess"),
    shell:
        "pig preprocess --manifest {params.manifest:q} --settings {params.settings:q} --out {output}"
        " --threads {threads} &> {log}"


rule folds:
    input:
        store=rules.preprocess.output,
    output:
        "results/data/folds.csv",
    log:
        "results/logs/folds.log",
    benchmark:
        "results/benchmarks/folds.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        folds=config["folds"]["count"],
        seed=config["folds"]["seed"],
        code=source_hash("pig.data.folds"),
    shell:
        "pig folds --store {input.store} --count {params.folds} --seed {params.seed} --out {output}"
        " --threads {threads} &> {log}"
