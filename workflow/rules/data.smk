# From the phantom, or data of one's own, to pairs in a store and folds by patient.
#
# `conda:` names the file and not the environment `pig` made from it: of a named one Snakemake asks conda for the
# content after each job, so that nothing runs where there is no conda.


localrules:
    verdict,


# The study's patients, and new ones: no generator learns from those, and no fold holds them.
rule phantom:
    output:
        directory("results/data/{population}"),
    log:
        "results/logs/{population}.log",
    benchmark:
        "results/benchmarks/{population}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=phantom_settings,
        work=phantom_work,
        events="results/events/{population}",
    shell:
        "(pig phantom --settings {params.settings:q} --out {params.work:q} --threads {threads}"
        " --events {params.events:q} && mv {params.work:q} {output:q}) &> {log:q}"


DATA = data_of_study()
FILES = state_of_data()
STORE = "results/data/store"


# Data in another layout.
if IMPORTED:
    LAYOUT, ROOT, SETTINGS = IMPORTED

    rule import_data:
        input:
            [ROOT] if Path(ROOT).is_file() else [],
        output:
            directory("results/data/imported"),
        log:
            "results/logs/import_data.log",
        benchmark:
            "results/benchmarks/import_data.tsv"
        conda:
            "../../environment.yml"
        threads: 8
        resources:
            mem_mb=memory_for_data,
            runtime=lambda wildcards, attempt: 360 * attempt,
        params:
            layout=LAYOUT,
            root=ROOT,
            # Functions, since Snakemake takes a {2} of a plain text, as of a regular expression, for a wildcard.
            settings=lambda wildcards: as_json(SETTINGS),
            salt=lambda wildcards: options("--salt", [config["dataset"]["salt"]] if config["dataset"]["salt"] else []),
            files=FILES,
            code=source_hash("pig.data.readers"),
            events="results/events/import_data",
        shell:
            "pig import --from {params.layout} --root {params.root:q} --settings {params.settings:q} {params.salt:q}"
            " --out {output:q} --threads {threads} --events {params.events:q} &> {log:q}"


# A report on the data. Errors stop in the next rule, since Snakemake deletes what a failed job has written. Its code is
# that which decides on errors: another layout of the page is no reason to train again.
rule check:
    input:
        data=DATA,
    output:
        "results/data/report.html",
        "results/data/check.csv",
        errors="results/data/errors.json",
    log:
        "results/logs/check.log",
    benchmark:
        "results/benchmarks/check.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=memory_for_data,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        manifest=lambda wildcards, input: manifest_of(input.data),
        settings=as_json(config["preprocessing"]),
        folds=config["folds"]["count"],
        seed=config["folds"]["seed"],
        folder=subpath(output.errors, parent=True),
        files=FILES,
        code=source_hash("pig.data.preprocess"),
        events="results/events/check",
    shell:
        "pig check --go-on --manifest={params.manifest:q} --settings {params.settings:q}"
        " --fold-count {params.folds}"
        " --seed {params.seed} --out {params.folder:q} --threads {threads} --events {params.events:q} &> {log:q}"


rule verdict:
    input:
        errors=rules.check.output.errors,
    output:
        "results/data/checked",
    log:
        "results/logs/verdict.log",
    benchmark:
        "results/benchmarks/verdict.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "pig verdict --found {input.errors:q} --out {output:q} --threads {threads} &> {log:q}"


rule preprocess:
    input:
        data=lambda wildcards: DATA if wildcards.stored == "store" else new_population(wildcards),
    output:
        directory("results/data/{stored}"),
    log:
        "results/logs/preprocess/{stored}.log",
    benchmark:
        "results/benchmarks/preprocess/{stored}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads, attempt: memory.preprocess(
            config, memory_for_data(wildcards, threads, attempt), threads
        ),
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        manifest=lambda wildcards, input: (
            manifest_of(input.data) if wildcards.stored == "store" else f"{input.data}/manifest.csv"
        ),
        settings=preprocessing_settings,
        files=lambda wildcards: FILES if wildcards.stored == "store" else "",
        code=source_hash("pig.data.preprocess"),
        events="results/events/preprocess/{stored}",
    shell:
        "pig preprocess --manifest={params.manifest:q} --settings {params.settings:q} --out {output:q}"
        " --threads {threads}"
        " --events {params.events:q} &> {log:q}"


rule folds:
    input:
        store=STORE,
        # The phantom needs no check. The check stands here, because whatever repeats it also deals the folds again.
        checked=rules.verdict.output if OWN_DATA else [],
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
        "pig folds --store {input.store:q} --fold-count {params.folds} --seed {params.seed} --out {output.table:q}"
        " --threads {threads} &> {log:q}"
