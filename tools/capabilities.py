"""The tools of what members reach."""

from teamroom.server.acts.capabilities.capabilities import DECLARE_CAPABILITIES, Declared
from teamroom.server.acts.capabilities.plants import PLANT, Planted
from teamroom.server.rules.text import code, named, said
from teamroom.tools.tool import Tool
from teamroom.tools.words.capabilities import ANSWER_PROBES, PROVE, capability, probe
from teamroom.tools.words.phrases import counted, listed, receipt


def declared(reply: Declared) -> str:
    """The reply of `declare_capabilities` in words."""
    what = ", ".join(map(named, reply.capabilities)) or "nothing"
    if reply.attested:
        return f"You attest that @{reply.member} reaches {what}{receipt(reply)}."
    if reply.withdrawn:
        return f"Nobody attests any more that @{reply.member} reaches {what}{receipt(reply)}."
    known = [capability(c) for c in reply.states if c.state != "declared" or not c.counts]
    return f"You declare {what}{receipt(reply)}." + listed("Known", known) + listed(PROVE, map(probe, reply.probes))


def after_declaring(reply: Declared) -> str | None:
    """What to do after `declare_capabilities`."""
    return ANSWER_PROBES if reply.probes else None


def planted(reply: Planted) -> str:
    """The reply of `plant` in words."""
    if not reply.read and not reply.where and reply.value is None:
        return f"{named(reply.capability)} is provable no longer{receipt(reply)}."
    value = f"the value {reply.value} (shown once)" if reply.value else "its value, which was shown once"
    where = f" ({said(reply.where)})" if reply.where else ""
    found = f"; members find it by {code(reply.read)}" if reply.read else ""
    return (
        f"{named(reply.capability)} is provable{receipt(reply)}: put {value} where it stands{where}{found}. "
        f"{counted(reply.asked, 'member')} asked."
    )


TOOLS = (
    Tool(
        DECLARE_CAPABILITIES,
        'Say all that this runtime can reach, such as ["repo:acme/api", "tool:docker"]; it replaces what you said '
        'before. proofs answer probes: [{"capability": "repo:acme/api", "value": "…"}]. attest_for names a member of '
        "another owner that reaches them; withdraw takes that back.",
        declared,
        place=50,
        next=after_declaring,
    ),
    Tool(
        PLANT,
        "Make a capability provable. The reply has a value, shown once, to put where the capability stands; members "
        "that declare it are then asked for its hash.",
        planted,
        place=220,
    ),
)
