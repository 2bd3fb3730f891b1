# The whole study: `snakemake --cores all results/table2.csv`.
import os

import snakemake.benchmark
from snakemake.utils import min_version

from pig.study.brief import print_briefly

min_version("9.14")

# Twice a second Snakemake asks the system for all the memory of a job, in its first 15 seconds: 3 % of the time of a
# study whose jobs are short. Records of jobs have their peak.
snakemake.benchmark.BENCHMARK_INTERVAL_SHORT = 5


configfile: f"{workflow.basedir}/config.yaml"


if "PIG_GPUS" in os.environ:  # on Kubernetes, too, jobs know what they were promised

    envvars:
        "PIG_GPUS",


include: "workflow/rules/common.smk"
include: "workflow/rules/measured.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/generators.smk"
include: "workflow/rules/synthesis.smk"
include: "workflow/rules/segmentation.smk"
include: "workflow/rules/quality.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/nnunet.smk"


localrules:
    all,


if workflow.is_main_process:
    find_records()
    try:
        refuse_unknown(workflow)
    except UserError as error:
        raise WorkflowError(str(error)) from None


onstart:
    if workflow.is_main_process:
        keep_records()
        write_plan(workflow, Path(".snakemake/locks"))
        write_config(GIVEN, Path(workflow.basedir))
        if sentence := planless(config):
            logger.info(sentence)
        if not workflow.output_settings.verbose:
            print_briefly(logger)
    if sentence := gpu_warning(workflow.non_local_exec):
        logger.warning(sentence)


onsuccess:
    if workflow.is_main_process and (sentence := what_next(Path("results"))):
        logger.info(sentence)


rule all:
    default_target: True
    input:
        "results/table1.csv",
        "results/table2.csv",
        "results/quality.csv",
        "results/report.html",
