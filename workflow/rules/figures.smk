rule figures:
    input:
        expand(
            f"{RESULTS}/figures/{{figure}}.{{kind}}",
            figure=PARAMS["figures"],
            kind=["png", "pdf", "rst"],
        ),


rule figure:
    input:
        data=figure_inputs,
    output:
        png=report(
            f"{RESULTS}/figures/{{figure}}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        caption=f"{RESULTS}/figures/{{figure}}.rst",
    log:
        f"{RESULTS}/logs/figures/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures/{{figure}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
    params:
        spec=lambda wildcards: as_json(gahb_params.figure_spec(PARAMS, wildcards.figure)),
        code=figure_code,
    message:
        "drawing {wildcards.figure}"
    shell:
        "python -m gahb figures {wildcards.figure} --spec {params.spec:q} --inputs {input.data}"
        " --output {output} > {log} 2>&1"
