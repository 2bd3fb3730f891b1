# From the phantom, or a manifest of one's own, to pairs in a store and folds by patient.
#
# `conda:` names the file and not the environment `pig` made from it: of a named one Snakemake asks conda for the
# content after each job, so that nothing runs where there is no conda.


def data_of_study():
    """The phantom, a manifest, or, where that lies in a storage (s3://...), the folder that it and its files are in."""
    manifest = config["dataset"]["manifest"]
    if manifest is not None and "://" in manifest:
        return storage(manifest.rpartition("/")[0])
    return manifest or rules.phantom.output


def manifest_of(data):
    """The manifest, as it lies on this machine, in what :func:`data_of_study` has named."""
    manifest = config["dataset"]["manifest"]
    if manifest is not None and "://" not in manifest:
        return data
    return f"{data}/{Path(manifest or 'manifest.csv').name}"


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
        events="results/events/phantom",
    shell:
        "(pig phantom --settings {params.settings:q} --out {params.work:q} --threads {threads}"
        " --events {params.events:q} && mv {params.work:q} {output:q}) &> {log:q}"


DATA = data_of_study()


rule preprocess:
    input:
        data=DATA,
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
        manifest=lambda wildcards, input: manifest_of(input.data),
        settings=as_json(config["preprocessing"]),
        code=source_hash("pig.data.preprocess"),
        events="results/events/preprocess",
    shell:
        "pig preprocess --manifest={params.manifest:q} --settings {params.settings:q} --out {output:q}"
        " --threads {threads}"
        " --events {params.events:q} &> {log:q}"


rule folds:
    input:
        store=rules.preprocess.output,
    output:
        table="results/data/folds.csv",
        checksum="results/data/folds.csv.sha256",
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
        "pig folds --store {input.store:q} --count {params.folds} --seed {params.seed} --out {output.table:q}"
        " --threads {threads} &> {log:q}"
