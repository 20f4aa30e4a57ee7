"""params.yaml: read, checked before anything runs, and resolved into what each artifact is made from."""

from gahb.params.reading import Only as Only
from gahb.params.reading import ParamsError as ParamsError
from gahb.params.reading import load_params as load_params
from gahb.params.reading import overlay as overlay
from gahb.params.reading import require_network as require_network
from gahb.params.reading import validate as validate
from gahb.params.specs import adapted as adapted
from gahb.params.specs import adaptivity_spec as adaptivity_spec
from gahb.params.specs import agreement_spec as agreement_spec
from gahb.params.specs import dataset_spec as dataset_spec
from gahb.params.specs import ensemble_spec as ensemble_spec
from gahb.params.specs import evaluation_spec as evaluation_spec
from gahb.params.specs import exact_is_known as exact_is_known
from gahb.params.specs import figure_files as figure_files
from gahb.params.specs import figure_spec as figure_spec
from gahb.params.specs import memorising_spec as memorising_spec
from gahb.params.specs import network_spec as network_spec
from gahb.params.specs import reference_spec as reference_spec
from gahb.params.specs import reference_spectra_spec as reference_spectra_spec
from gahb.params.specs import samples_over_training_spec as samples_over_training_spec
from gahb.params.specs import samples_spec as samples_spec
from gahb.params.specs import snapshot_updates as snapshot_updates
from gahb.params.specs import spectra_settings as spectra_settings
from gahb.params.specs import spectra_spec as spectra_spec
from gahb.params.specs import summary_spec as summary_spec
