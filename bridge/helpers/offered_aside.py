"""Which privileged bridges can be started (offered.py), without holding up the session meanwhile, or its end."""

from collections.abc import Iterable, Mapping

from spanbridge.manifests.model import Rule
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..payloads.base import Services
from ..wire.context import Context
from .offered import LONGEST_SECONDS, TWICE, Look, ident_of, lacking, look
from .process import SpawnError


async def offer_aside(
    services: Services, rules: Iterable[Rule], environ: Mapping[str, str]
) -> tuple[dict[str, Rule], list[tuple[Rule, str]]]:
    """As `offer`. A file system or a sudo that hangs is left, or ended, when this is cancelled. Raises Problem
    (`internal-error`) where no thread or no descriptor is left."""
    offered: dict[str, Rule] = {}
    left_out: list[tuple[Rule, str]] = []
    seconds = min(services.context.limits.sudo_seconds, LONGEST_SECONDS)
    try:
        from ..payloads.served.jobs import Jobs  # few sessions come to have privileges

        jobs = services.once(Jobs)
        for rule in rules:
            twice = ident_of(rule) in offered
            why, sudo = Look(TWICE) if twice else await jobs.run(look, rule, environ, seconds)
            if sudo:
                why = await _ask(services.context, sudo, environ, seconds)
            if why is None:
                offered[ident_of(rule)] = rule
            else:
                left_out.append((rule, why))
    except (Problem, ImportError, OSError) as error:
        told = error.message if isinstance(error, Problem) else error
        raise Problem(INTERNAL_ERROR, f"privileged bridges cannot be looked for: {told}") from None
    return offered, left_out


async def _ask(context: Context, sudo: str, environ: Mapping[str, str], seconds: float) -> str | None:
    """Why it cannot be used; None: it can."""
    from .brief_run import output  # as above

    try:
        return lacking(sudo, await output(context, [sudo, "--help"], environ, seconds), seconds)
    except SpawnError as error:
        return str(error)
