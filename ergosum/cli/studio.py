"""`ergosum studio`: energies to drag, add and negate, on a page of this machine."""

from pathlib import Path

from ergosum.cli.arguments import parser_for

__all__ = ["run"]


def run(arguments: list[str]) -> None:
    """Serve the page until it is interrupted."""
    parser = parser_for("studio", "Play with energies in the browser: change, landscape, concepts, decompose, runs.")
    parser.add_argument(
        "--root", default="", metavar="FOLDER", help="folder of runs to show beside the cards; without it runs"
    )
    parser.add_argument("--port", type=int, default=8765, help="of 127.0.0.1, 0 for any that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address alone")
    chosen = parser.parse_args(arguments)
    if chosen.root and not Path(chosen.root).is_dir():
        raise ValueError(f"--root {chosen.root}: expected a folder of runs, and there is no such folder.")
    if not 0 <= chosen.port <= 65535:
        raise ValueError(f"--port {chosen.port}: expected 0 .. 65535.")
    try:
        from ergosum.studio.server import serve
    except ImportError as error:
        raise ValueError(f"The studio needs FastAPI and uvicorn: pip install 'ergosum[studio]' ({error}).") from error
    serve(chosen.root or "runs", chosen.port, not chosen.no_browser)
