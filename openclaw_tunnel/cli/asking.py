"""Puts questions to the person at the terminal, as commands do."""

import sys

import click

from openclaw_tunnel.actions.agreement import Question
from openclaw_tunnel.ui import output


def agree(question: Question) -> bool:
    """Show what there is to read, ask, and return the answer; False where there is no terminal.

    Raises:
        UsageError: there is no terminal, and the question must be asked.
        click.Abort: instead of an answer there was Ctrl-C, or the end of input.
    """
    output.say(*question.shown)
    if output.is_terminal(sys.stdin):
        return click.confirm(question.text, default=False, err=True)
    if question.unasked is not None:
        raise question.unasked
    return False
