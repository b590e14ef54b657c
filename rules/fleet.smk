"""Trainings on TPU VMs that this machine drives; everything else runs here.

The profile names its fleet file in ROBUSTVIT_FLEET. Included last: it looks at all rules.
"""

from robustvit.cluster.tpu.checks import check_fleet
from robustvit.cluster.tpu.fleet_site import ACTIVE as FLEET_ACTIVE, load_fleet

FLEET = load_fleet(Path(os.environ[FLEET_ACTIVE])) if FLEET_ACTIVE in os.environ else None
if FLEET:
    on_tpu = ("pretrain_model", "finetune_model")
    workflow.localrules(*(rule.name for rule in workflow.rules if rule.name not in on_tpu))


def check_tpus():
    """Stop before the first job if the fleet file does not fit the cloud project."""
    if FLEET and FLEET["check"]:
        try:
            check_fleet(FLEET, print, CONFIG["paths"]["results"])
        except UserError as error:
            raise WorkflowError(f"{os.environ[FLEET_ACTIVE]}: {error}") from None
