"""`ordersync security`: who may do what, declared and real; passwords, certificates, and what all of it is made of."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from confluent_kafka.admin import AdminClient
from rich.console import Console
from rich.table import Table

from deploy.commands.options import (
    DISAGREEMENT,
    cluster_of,
    home_option,
    json_option,
    print_json,
    vendors_option,
    vendors_with_topics,
)
from deploy.security.bill_of_materials import bill_of_materials
from deploy.security.broker_grants import BrokerGrants
from deploy.security.files import SecurityFiles
from deploy.security.matrix import cells
from deploy.security.report import database_access, topic_access
from deploy.security.users import set_passwords
from schemas.database_roles import ERP, LEDGER, REGISTRY, ROLES, VENDORS
from schemas.errors import ConfigurationError
from schemas.grants import DEPLOYER, PRINCIPALS
from schemas.vendor_topics import vendor_principal

_PLAIN = (
    "this cluster has no authorizer: everybody may do everything; start the brokers with one "
    "(`ordersync up` without --no-security)"
)


@click.group("security")
def command() -> None:
    """Show and check who may do what; change passwords and certificates."""


@command.command("matrix")
@json_option
@click.option("--role", help="Only this role.")
def matrix(as_json: bool, role: str | None) -> None:
    """Every role and what it may do, as declared; each cell is held against the real servers in the tests."""
    chosen = [cell for cell in cells() if role in (None, cell.role)]
    if not chosen:
        raise ConfigurationError(f"there is no role {role!r}; roles: {', '.join([*PRINCIPALS, *ROLES])}")
    if as_json:
        print_json([asdict(cell) for cell in chosen])
        return
    table = Table("Enforced by", "Role", "May", "May not", box=None, header_style="bold")
    for enforcer, name in dict.fromkeys((cell.enforcer, cell.role) for cell in chosen):
        own = [cell for cell in chosen if (cell.enforcer, cell.role) == (enforcer, name)]
        allowed = [cell.action for cell in own if cell.allowed]
        table.add_row(enforcer, name, "\n".join(allowed) or "-", f"{len(own) - len(allowed)} other actions")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{len(chosen)} cells, {sum(cell.allowed for cell in chosen)} allowed")


@command.command("drift")
@home_option
@json_option
@vendors_option
@click.pass_context
def drift(ctx: click.Context, home: Path, as_json: bool, vendors_file: Path | None) -> None:
    """How the brokers' rights differ from the declared ones; exit code 3 if so. `ordersync topics apply` mends it."""
    # Only here: it leads to the registry.
    from deploy.topics import wanted_grants

    rights = BrokerGrants(AdminClient(cluster_of(home).kafka.client_config()))
    found = rights.drift(wanted_grants(rights, vendors_with_topics(vendors_file)))
    if found is None:
        raise ConfigurationError(_PLAIN)
    if as_json:
        print_json({"missing": [str(grant) for grant in found.missing], "undeclared": found.undeclared})
    else:
        for grant in found.missing:
            click.echo(f"missing     {grant}")
        for told in found.undeclared:
            click.echo(f"undeclared  {told}")
        click.echo("the rights are as declared" if not found else "`ordersync topics apply` mends it", err=True)
    ctx.exit(DISAGREEMENT if found else 0)


@command.command("report")
@home_option
@json_option
def report(home: Path, as_json: bool) -> None:
    """Who may read and write what: asked of the brokers, and of the databases of this machine's stack."""
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.local.stack import EmbeddedStack

    granted = BrokerGrants(AdminClient(cluster_of(home).kafka.client_config())).granted()
    if granted is None:
        raise ConfigurationError(_PLAIN)
    access = topic_access(granted)
    endpoints = EmbeddedStack.find(home)
    if endpoints is not None:
        names = dict.fromkeys(name for role in ROLES.values() for name in role.databases)
        access += [database_access(endpoints.database(name)) for name in names]
    if as_json:
        print_json([asdict(one) for one in access])
        return
    table = Table("Where", "Most private", "May read", "May write", box=None, header_style="bold")
    for one in access:
        table.add_row(one.where, one.classification, ", ".join(one.readers) or "-", ", ".join(one.writers) or "-")
    Console(highlight=False).print(table)


@command.command("rotate")
@home_option
@click.argument("principals", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Every principal and role but the owners.")
def rotate(home: Path, principals: tuple[str, ...], everybody: bool) -> None:
    """Give PRINCIPALS new passwords in the running stack of --home; a worker takes its own at its next start."""
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.local.stack import EmbeddedStack
    from deploy.security.database_grants import login_roles

    known = dict.fromkeys([*PRINCIPALS, *ROLES])
    chosen = tuple(known) if everybody else principals
    if not chosen or set(chosen) - set(known):
        raise ConfigurationError(f"name one or more of {', '.join(known)}, or say --all")
    endpoints = EmbeddedStack.find(home)
    if endpoints is None or endpoints.security is None:
        raise ConfigurationError(f"no secured stack runs in {home}: start one with `ordersync up`")
    for name in chosen:
        endpoints.security.new_password(name)
    admin = AdminClient(endpoints.kafka().client_config())
    set_passwords(admin, endpoints.security, [name for name in chosen if name in PRINCIPALS])
    login_roles(endpoints.database("postgres"), endpoints.security)
    click.echo(f"{len(chosen)} passwords were replaced; restart those workers")
    if {DEPLOYER, REGISTRY} & set(chosen):
        click.echo("the registry reads its own and the deployer's at its start: restart the stack now", err=True)


@command.command("renew-certificates")
@home_option
@click.option("--authority", is_flag=True, help="Also found a new authority; every client has to trust it then.")
def renew_certificates(home: Path, authority: bool) -> None:
    """Forget this home's certificates; the next start makes new ones. Only while the stack is down."""
    # Only here: the stack's libraries are not installed where only workers run.
    from deploy.local.stack import EmbeddedStack

    if EmbeddedStack.find(home) is not None:
        raise ConfigurationError(f"the stack in {home} runs with these certificates: `ordersync down` first")
    files = SecurityFiles(home.absolute() / "security")
    removed = [path for path in files.directory.glob("*") if path.suffix in (".crt", ".pem", ".key")]
    kept = () if authority else (files.authority_certificate, files.authority_key)
    for path in removed:
        if path not in kept:
            path.unlink()
    click.echo("the next start makes new certificates" + (" and a new authority" if authority else ""))


@command.command("users")
@home_option
@vendors_option
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def users(home: Path, directory: Path, vendors_file: Path | None) -> None:
    """Make every principal of a cluster, with its password in a file of DIRECTORY; files that are there are used.

    For clusters of your own: connect as an administrator (ORDERSYNC_KAFKA__...), then hand each worker its one file.
    With the vendors' file also a principal for each vendor that reads a topic of its own; in the stack of --home,
    DIRECTORY is its `security`.
    """
    files = SecurityFiles(directory.absolute())
    names = [*PRINCIPALS, *(vendor_principal(one).name for one in vendors_with_topics(vendors_file) or ())]
    set_passwords(AdminClient(cluster_of(home).kafka.client_config()), files, names)
    click.echo(f"{len(names)} principals can log in with the passwords in {files.password_file('NAME').parent}")


@command.command("databases")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), required=False)
def databases(directory: Path | None) -> None:
    """Tables of the sinks, notes of changes and each role's rights, on a server of your own; again changes nothing.

    The server is named by ORDERSYNC_DATABASE__..., as its owner; the databases erp, ledger and vendors are there. With
    DIRECTORY the roles are made too, each with its password in a file there; files that are there are used.
    """
    # Only here: it leads to every sink.
    from deploy.security.database_grants import login_roles
    from deploy.security.preparation import PreparationSettings, prepare_sinks

    settings = PreparationSettings.load()
    if directory is not None:
        login_roles(settings.database, SecurityFiles(directory.absolute()))
    prepare_sinks(settings.reach)
    click.echo(f"{ERP}, {LEDGER} and {VENDORS} are prepared for {len(ROLES)} roles")


@command.command("token")
@home_option
@click.argument("client")
@click.option("--scope", "scopes", multiple=True, required=True, help="For example orders:write; may be given again.")
@click.option("--audience", default="ordersync", show_default=True, help="For whom it is made out.")
@click.option("--seconds", default=600, show_default=True, type=click.IntRange(1, 86_400), help="How long it is good.")
def token(home: Path, client: str, scopes: tuple[str, ...], audience: str, seconds: int) -> None:
    """A bearer token for CLIENT of the API, signed by the issuer of this machine; where its keys are goes to stderr."""
    # Only here: the libraries of the API are an extra.
    from deploy.security.issuer import ISSUER, LocalIssuer

    issuer = LocalIssuer(SecurityFiles(home.absolute() / "security"))
    click.echo(issuer.token(client, scopes, audience, seconds))
    told = f"ORDERSYNC_TOKEN_ISSUER={ISSUER} ORDERSYNC_TOKEN_AUDIENCE={audience}"
    click.echo(f"{told} ORDERSYNC_TOKEN_KEYS={issuer.public_keys}", err=True)


@command.command("partner")
@home_option
@click.argument("name")
@click.option("--retire", is_flag=True, help="Take the older of two secrets away, once NAME signs with the newer.")
@click.option("--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="Elsewhere than in --home.")
def partner(home: Path, name: str, retire: bool, path: Path | None) -> None:
    """A secret for NAME, a partner that signs its requests to the API; where there is one, a second beside it.

    The worker reads the file when it changes: a secret is replaced without a restart and without a gap.
    """
    # Only here: the libraries of the API are an extra.
    from deploy.security.partner_secrets import add_secret, retire_secret

    secrets = (path or SecurityFiles(home.absolute() / "security").partner_secrets(name)).absolute()
    if retire:
        retire_secret(secrets)
        click.echo(f"only the newer secret in {secrets} is good now")
        return
    count = add_secret(secrets)
    if count == 1:
        click.echo(
            f'[[clients]]\nname = "{name}"\nhmac_secrets = "{secrets}"\nscopes = ["orders:write", "orders:read"]'
        )
        click.echo(f'systems = ["{name}"]')
    click.echo(f"give {name} the last line of {secrets} in a safe way; deploy/guide/sign_request.py signs", err=True)
    if count == 2:
        click.echo(f"both secrets are good; afterwards: ordersync security partner {name} --retire", err=True)


@command.command("sbom")
def sbom() -> None:
    """The bill of materials (CycloneDX 1.6, JSON): every Python package and Java archive, with versions and digests."""
    print_json(bill_of_materials())
