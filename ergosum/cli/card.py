"""`ergosum card`: a card or run as a folder for a hub."""

from pathlib import Path

from ergosum.cli.arguments import add_trust, parser_for, trusted

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Write the folder that a hub expects, and print its name."""
    parser = parser_for("card", "Write a card or run as the folder that a hub expects; nothing is sent anywhere.")
    parser.add_argument("action", choices=["push"], help="push: write the folder, to be uploaded as it is")
    parser.add_argument("card", help="run folder, or name of a card such as digits-colour")
    parser.add_argument("folder", help="folder to write: README.md, recipe.json, model.safetensors, LICENSE, ..")
    parser.add_argument(
        "--licence", default="", help="of the weights, as SPDX calls it, such as mit; needed for a run of your own"
    )
    add_trust(parser)
    chosen = parser.parse_args(arguments)
    from ergosum import zoo
    from ergosum.zoo.push import hub_folder

    print(hub_folder(zoo.find(chosen.card), Path(chosen.folder), chosen.licence, trusted(chosen.trust)))
