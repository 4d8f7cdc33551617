"""The tools of what members reach."""

from teamroom.server.acts.capabilities.capabilities import DECLARE_CAPABILITIES, Declared
from teamroom.server.acts.capabilities.plants import PLANT, Planted
from teamroom.server.rules.text import code, named, said
from teamroom.tools.tool import Tool
from teamroom.tools.words.capabilities import ANSWER_PROBES, PROVE, render_capability, render_probe
from teamroom.tools.words.phrases import cite_receipt, count, list_lines


def render_declared(reply: Declared) -> str:
    """The reply of `declare_capabilities` in words."""
    what = ", ".join(map(named, reply.capabilities)) or "nothing"
    if reply.attested:
        return f"You attest that @{reply.member} reaches {what}{cite_receipt(reply)}."
    if reply.withdrawn:
        return f"Nobody attests any more that @{reply.member} reaches {what}{cite_receipt(reply)}."
    known = [render_capability(c) for c in reply.states if c.state != "declared" or not c.counts]
    return (
        f"You declare {what}{cite_receipt(reply)}."
        + list_lines("Known", known)
        + list_lines(PROVE, map(render_probe, reply.probes))
    )


def advise_after_declaring(reply: Declared) -> str | None:
    """What to do after `declare_capabilities`."""
    return ANSWER_PROBES if reply.probes else None


def render_planted(reply: Planted) -> str:
    """The reply of `plant` in words."""
    if not reply.read and not reply.where and reply.value is None:
        return f"{named(reply.capability)} is provable no longer{cite_receipt(reply)}."
    value = f"the value {reply.value} (shown once)" if reply.value else "its value, which was shown once"
    where = f" ({said(reply.where)})" if reply.where else ""
    found = f"; members find it by {code(reply.read)}" if reply.read else ""
    return (
        f"{named(reply.capability)} is provable{cite_receipt(reply)}: put {value} where it stands{where}{found}. "
        f"{count(reply.asked, 'member')} asked."
    )


TOOLS = (
    Tool(
        DECLARE_CAPABILITIES,
        'Say all that this runtime can reach, such as ["repo:acme/api", "tool:docker"]; it replaces what you said '
        'before. proofs answer probes: [{"capability": "repo:acme/api", "value": "…"}]. attest_for names a member of '
        "another owner that reaches them; withdraw takes that back.",
        render_declared,
        place=50,
        next=advise_after_declaring,
    ),
    Tool(
        PLANT,
        "Make a capability provable. The reply has a value, shown once, to put where the capability stands; members "
        "that declare it are then asked for its hash.",
        render_planted,
        place=220,
    ),
)
