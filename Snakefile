# gahb: datasets -> denoisers -> evaluation, samples, spectra -> claims, figures. `snakemake --cores all` makes it all;
# `snakemake datasets`, `denoisers`, `evaluation`, `samples`, `spectra`, `claims`, `figures` make one phase and what it needs;
# `--config preset=smoke` or `preset=paper` lays workflow/presets/<preset>.yaml over params.yaml.

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/denoisers.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/page.smk"
include: "workflow/rules/tracking.smk"


rule all:
    default_target: True
    input:
        rules.datasets.input,
        rules.denoisers.input,
        rules.evaluation.input,
        rules.samples.input,
        rules.spectra.input,
        rules.claims.output.table,
        rules.figures.input,


include: "workflow/rules/provenance.smk"


localrules:
    all,
    datasets,
    denoisers,
    evaluation,
    samples,
    spectra,
    figures,
    provenance,
