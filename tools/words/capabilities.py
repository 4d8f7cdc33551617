"""Capabilities in words."""

from teamroom.server.acts.capabilities.probes import Probe
from teamroom.server.facts.capability import CapabilityShown
from teamroom.server.rules.text import code, named, said

PROVE = "Prove what you reach (declare_capabilities with proofs)"
ANSWER_PROBES = (
    "run each command where you work, then declare_capabilities with proofs; stop declaring what you do not reach."
)


def render_capability(shown: CapabilityShown) -> str:
    """A capability with how it is known, by whom and until when."""
    by = f" by @{shown.by}" if shown.by and shown.state == "attested" else ""
    by = f", planted by @{shown.by}" if shown.by and shown.state == "proven" else by
    when = f" {'since' if shown.state == 'expired' else 'until'} {shown.until}" if shown.until else ""
    idle = "" if shown.counts else ", does not count"
    return f"{named(shown.capability)} ({shown.state}{by}{when}{idle})"


def render_probe(probe: Probe) -> str:
    """A probe, with the command whose output answers it."""
    where = f" ({said(probe.where)})" if probe.where else ""
    return (
        f"{named(probe.capability)}{where}: @{probe.planted_by} takes the first word that {code(probe.command)} prints"
    )
