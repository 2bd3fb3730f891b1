"""What the Snakefile asks of Python: the configuration and its checks, requests for memory, plan, records, status.

Snakemake's own gaps are filled here, each with its reason: changed code and changed files that it does not see
(:mod:`pig.system.source`, :mod:`pig.study.listed`), records that it keeps apart from the results
(:mod:`pig.study.records`), and folders on S3 (:mod:`pig.study.snakemake`).
"""
