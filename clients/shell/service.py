"""The service: the system starts the room for its user, and again when it fails."""

from typing import Annotated, Literal

import typer

from teamroom.clients.session.place import Place, check_person
from teamroom.clients.session.program import pasteable
from teamroom.clients.session.terminal import plain, print_json
from teamroom.clients.shell.app import Data, Json, command


@command("The room")
def service(
    action: Annotated[
        Literal["install", "uninstall"], typer.Argument(metavar="install|uninstall", help="What to do with its file.")
    ],
    system: Annotated[
        Literal["systemd", "launchd"] | None,
        typer.Option("--for", metavar="SYSTEM", help="systemd or launchd. Default: what this machine has."),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Have systemd or launchd start the room when you log in. Writes its file and says what to run next."""
    from teamroom.clients.local import service as services
    from teamroom.clients.local.running import find_server

    place = Place(data)
    check_person(place.environment, f"{action} a service")
    planned = services.plan(place.folder, system, Place(environment={}).folder, place.environment)
    is_install = action == "install"
    is_changed = services.install(planned, place.folder) if is_install else services.uninstall(planned)
    runs = find_server(place.folder) is not None if place.folder.is_dir() else False
    down = [pasteable("`teamroom down`", place.named_options).strip("`")] if is_install and runs else []
    following = [*down, *(planned.start if is_install else planned.stop)] if is_install or is_changed else []
    if json:
        print_json({"file": str(planned.path), "system": planned.kind, "changed": is_changed, "next": following})
        return
    words = {
        (True, True): "was written.",
        (True, False): "is there already, and is up to date.",
        (False, True): "was removed.",
        (False, False): "is not there. Nothing was removed.",
    }
    print(f"{plain(str(planned.path))} {words[is_install, is_changed]}")
    for note in planned.notes if is_install else ():
        print(f"NOTE: {pasteable(note, place.named_options)}")
    if following:
        print("Next, run:" if is_install else "If it runs, end it:")
        print("\n".join(f"  {line}" for line in following))
