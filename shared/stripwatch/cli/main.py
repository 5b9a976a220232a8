"""`stripwatch`: the command line. Usage errors and refused input exit 2, faults 1, each with one line."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from stripwatch.cli import (
    calibrate,
    data,
    dead,
    demo,
    density,
    doctor,
    line,
    models,
    plan,
    recipe,
    recordings,
    simulate,
    up,
    verdicts,
)
from stripwatch.domain.names import printable
from stripwatch.errors import StripwatchError


class OneLineErrors(TyperGroup):
    """Known errors end the command with one line and their exit code, never with a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StripwatchError as error:
            sys.stderr.write(f"stripwatch: {printable(str(error))}\n")
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except BrokenPipeError:  # the reader went away: `stripwatch verdicts | head`
            sys.stderr.close()
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=OneLineErrors,
    help="Streaming surface inspection for hot-rolled steel strip: frames in, one verdict per strip out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("replay")(recordings.replay)
app.command("record")(recordings.record)
app.command("verdicts")(verdicts.verdicts)
app.command("doctor")(doctor.doctor)
app.command("calibrate")(calibrate.calibrate)
app.command("density")(density.density)
app.command("plan")(plan.plan)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(dead.app, name="dead")
app.add_typer(line.app, name="line")
app.add_typer(recipe.app, name="recipe")

if __name__ == "__main__":
    app()
