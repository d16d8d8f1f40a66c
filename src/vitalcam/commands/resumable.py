"""Commands that take up what an interrupted call left."""

from __future__ import annotations

from typing import Any

import click


class Resumable(click.Command):
    """A command that goes on where it was when it is called again with the same --out; says so when interrupted."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if not ctx.params.get("out"):
                raise
            click.echo("vitalcam: interrupted; repeat the same call to go on", err=True)
            ctx.exit(130)
