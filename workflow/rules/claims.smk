# Which claims hold: judged by tables, samples and spectra alone.

from gahb.claims.parts.claim import CLAIMS
from gahb.options import names

CLAIMED = f"{RESULTS}/claims.csv"

# Presets that run the same experiments at another scale: where one was run, its claims stand beside those of
# params.yaml on the page of results.
SCALES = ["extended", "gpu", "paper", "published"]
OTHER_SCALES = [
    table
    for table in (f"{RESULTS}/{scale}/claims.csv" for scale in SCALES)
    if "preset" not in config and os.path.isfile(table)
]


rule claims:
    input:
        gahb_params.claim_files(PARAMS),
    output:
        table=report(
            CLAIMED,
            caption="../report/claims.rst",
            category="Claims",
            labels={"table": "claims"},
        ),
        sidecar=f"{RESULTS}/claims.json",
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        runtime=minutes(1),
        mem_mb=1000,
    params:
        spec=as_json(gahb_params.claims_spec(PARAMS)),
        code=code("gahb.claims.parts.make", *(f"{CLAIMS}.{name}" for name in names(CLAIMS))),
    message:
        "judging all claims"
    shell:
        "python -m gahb claims --spec {params.spec:q} --inputs {input} --output {output.table}"
        " > {log} 2>&1"
