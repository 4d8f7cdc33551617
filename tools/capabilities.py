"""The tools of capabilities: declare, attest, plant."""

from teamroom.server.acts.capabilities.capabilities import DECLARE_CAPABILITIES, Declared
from teamroom.server.acts.capabilities.plants import PLANT, Planted
from teamroom.server.rules.text import backtick, cite, inline
from teamroom.tools.tool import Tool
from teamroom.tools.words.capabilities import ANSWER_PROBES, PROVE, render_capability, render_probe
from teamroom.tools.words.phrases import cite_receipt, count, list_lines


def render_declared(reply: Declared) -> str:
    """The reply of `declare_capabilities`."""
    what = ", ".join(map(cite, reply.capabilities)) or "nothing"
    if reply.attested:
        return f"You attest that @{reply.member} reaches {what}{cite_receipt(reply)}."
    if reply.withdrawn:
        return f"The attestation that @{reply.member} reaches {what} is withdrawn{cite_receipt(reply)}."
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
    """The reply of `plant`."""
    if not reply.read and not reply.where and reply.value is None:
        return f"{cite(reply.capability)} is no longer provable{cite_receipt(reply)}."
    value = f"the value {reply.value} (shown once)" if reply.value else "its value, which was shown once"
    where = f" ({inline(reply.where)})" if reply.where else ""
    found = f"; members read it with {backtick(reply.read)}" if reply.read else ""
    put = f"put {value} where members can read it{where}{found}"
    return (
        f"{cite(reply.capability)} is provable{cite_receipt(reply)}: {put}. "
        f"{count(reply.asked, 'member')} asked to prove it."
    )


TOOLS = (
    Tool(
        DECLARE_CAPABILITIES,
        'Declare everything that this runtime can reach, such as ["repo:acme/api", "tool:docker"]. This replaces '
        'your earlier list. Answer probes in proofs: [{"capability": "repo:acme/api", "value": "…"}]. To vouch for '
        "a member of another owner, use attest_for; to end that, add withdraw.",
        render_declared,
        place=50,
        idempotent=True,
        in_chat=False,
        next=advise_after_declaring,
    ),
    Tool(
        PLANT,
        "Make a capability provable. Returns a value, shown once: put it where members with the capability can "
        "read it. Members that declare the capability must prove it with a hash of the value.",
        render_planted,
        place=220,
        in_chat=False,
    ),
)
