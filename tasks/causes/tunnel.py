"""The SSH hop of a resource group cannot be used; nothing is known about the data source."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

_HOP = "The {hop_role} {hop} of {resource_group}"
_GREP = "grep -i {setting} /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf"
_LOG = "journalctl -u ssh -n 50"


def _hop(tunnel: str, message: str, remedy: str, component: str | None = None, **when: object) -> Rule:
    """A rule for one kind of fault. It comes first: whatever the stage, the data source has nothing to do with it."""
    fault = {"tunnel": tunnel, **when}
    return Rule(None, fault, rank=1 if when else 2, component=component, message=message, remedy=remedy)


CAUSES = (
    Cause(
        "TUNNEL.UNREACHABLE",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The SSH server of the resource group, or of the jump host before it, cannot be reached, does not speak SSH, "
        "or breaks off; nothing is known about the data source.",
        component="{hop}",
        message=_HOP + " cannot be reached.",
        remedy="Type: ssh -v {hop_login}",
        rules=(
            _hop(
                "name",
                _HOP + " has no address: its name is not found ({hop_rcode}).",
                "Correct {hop_settings}.host, or make the name known; then try: getent hosts {hop_host}",
            ),
            _hop(
                "refused",
                _HOP + " is there, but no program listens on its port {hop_port}.",
                "Start the SSH server there (systemctl start ssh), or correct {hop_settings}.port; then try: ssh -v "
                "{hop_login}",
            ),
            _hop(
                "unreachable",
                _HOP + " cannot be reached from here ({hop_errno}).",
                "Look where the way ends: ip route get {hop_address}, traceroute {hop_address}",
            ),
            _hop(
                "silent",
                _HOP + " does not answer a connect.",
                "Start the machine, or allow TCP port {hop_port} to it from here; then try: "
                "nc -vz {hop_host} {hop_port}",
                phase="connect",
            ),
            _hop(
                "silent",
                _HOP + " accepts a connection and then says nothing.",
                "Look at its SSH server (systemctl status ssh) and at firewalls before it; then try: "
                "ssh -v {hop_login}",
                phase="greet",
            ),
            _hop(
                "silent",
                _HOP + " did not let us in in time: it got no further than the stage {phase}.",
                "See where it hangs: ssh -vvv {hop_login}",
            ),
            _hop(
                "startups",
                _HOP
                + " turns connections away before the login: it has too many that are not logged in (MaxStartups).",
                "Raise MaxStartups on {hop_host}: " + _GREP.format(setting="MaxStartups"),
            ),
            _hop(
                "not_ssh",
                "What answers at {hop} speaks {hop_looks_like}, not SSH.",
                "Set {hop_settings}.port to the port of the SSH server there, 22 unless it was changed; then try: ssh "
                "-v -p 22 {hop_user}@{hop_host}",
                hop_looks_like=bool,
            ),
            _hop(
                "not_ssh",
                "What answers at {hop} is no SSH server: it says {hop_speaks}.",
                "Correct {hop_settings}.host and port; see what it says: nc {hop_host} {hop_port} </dev/null",
            ),
            _hop(
                "hung_up",
                _HOP + " hangs up before the login ({phase}): it refuses this client, or its SSH server fails.",
                "Look at its log on {hop_host}: " + _LOG + " (hosts.deny, MaxStartups, PerSourceMaxStartups, fail2ban)",
            ),
            _hop(
                "disconnected",
                _HOP + " ends the conversation (SSH disconnect code {hop_disconnect_code}).",
                "Look at its log on {hop_host}: " + _LOG,
            ),
            _hop(
                "algorithms",
                _HOP + " and this client have no SSH algorithm in common (key exchange: "
                "{hop_key_exchange_offered}; host keys: {hop_host_keys_offered}; ciphers: {hop_ciphers_offered}).",
                "Let it offer curve25519-sha256, an ed25519 host key and an AES-CTR or AES-GCM cipher; see what it "
                "offers: ssh -vv {hop_login}",
            ),
            _hop(
                "version",
                _HOP + " speaks an SSH version that is no longer safe ({hop_ssh_version}).",
                "Let it speak SSH 2; see what it says: nc {hop_host} {hop_port} </dev/null",
            ),
            _hop(
                "lost",
                "The SSH connection to the {hop_role} {hop} of {resource_group} broke off during the check.",
                "Test again; if it breaks again, look at its log on {hop_host}: " + _LOG,
            ),
            _hop(
                "hangs",
                "The SSH connection to the {hop_role} {hop} of {resource_group} stands, but nothing comes back through "
                "it: a keep-alive is unanswered for {hop_unanswered_ms} ms (slowest answer before: "
                "{hop_slowest_answer_ms} ms).",
                "Look at the machine and at the network before it; then try: ping {hop_host}; ssh -v {hop_login}",
            ),
            _hop(
                "shortage",
                _HOP + " has nothing left for another connection (channel failure code 4).",
                "Lower {hop_settings}.max_channels, or raise the limits of its SSH server (LimitNOFILE).",
            ),
        ),
    ),
    Cause(
        "TUNNEL.AUTH",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The SSH server of the resource group does not let us in with what is configured; nothing is known about the "
        "data source.",
        component="{hop_user}@{hop}",
        message=_HOP + " does not let {hop_user} in.",
        remedy="Type: ssh -v {hop_login}",
        rules=(
            _hop(
                "key_refused",
                _HOP + " does not accept the key of {hop_user}: it is not among the authorized ones, or the account "
                "may not log in (offered: {tried}; accepted: {allowed_methods}).",
                "Add the public key there: ssh-copy-id -i KEY.pub {hop_login}; or see why: ssh -v {hop_login}",
            ),
            _hop(
                "password_refused",
                _HOP + " does not accept the password of {hop_user} (accepted: {allowed_methods}).",
                "Correct {hop_settings}.password; try it by hand: ssh -v {hop_login}",
            ),
            _hop(
                "too_many_failures",
                _HOP + " gives up after too many keys or passwords that it did not accept ({tried}).",
                "Configure the one key that is right in {hop_settings}.private_key and leave out the agent; see "
                "MaxAuthTries: " + _GREP.format(setting="MaxAuthTries"),
            ),
            _hop(
                "methods",
                _HOP + " accepts {allowed_methods}, and {hop_settings} has nothing of that kind.",
                "Set {hop_settings}.private_key or .password to what it accepts: ssh -v {hop_login}",
            ),
            _hop(
                "hung_up_after_login",
                _HOP + " hangs up on {hop_user} after the credentials: the account has expired or may not log in.",
                "Look at the account on {hop_host}: chage -l {hop_user}; " + _LOG,
            ),
            _hop(
                "no_credentials",
                "{hop_settings} has neither private_key nor password nor agent.",
                "Set {hop_settings}.private_key, for example: private_key: file:/home/me/.ssh/id_ed25519",
                component="{hop_settings}",
            ),
            _hop(
                "agent",
                "{hop_settings}.agent is set, but there is no agent with a key here (SSH_AUTH_SOCK: {agent_socket}).",
                "Type: ssh-add -l",
                component="{hop_settings}.agent",
            ),
            _hop(
                "key",
                "The private key of {hop_settings} is encrypted, and no passphrase is configured.",
                'Set {hop_settings}.passphrase to a reference such as "env:HOP_PASSPHRASE".',
                component="{hop_settings}.passphrase",
                bad_key="encrypted",
            ),
            _hop(
                "key",
                "The passphrase does not open the private key of {hop_settings}.",
                "Correct {hop_settings}.passphrase; try it by hand: ssh-keygen -y -f KEY",
                component="{hop_settings}.passphrase",
                bad_key="wrong password",
            ),
            _hop(
                "key",
                "What {hop_settings}.private_key leads to is no private key that can be read here.",
                "Give a private key (not the .pub file) of type ed25519, ECDSA or RSA; look at it: "
                "ssh-keygen -y -f KEY",
                component="{hop_settings}.private_key",
            ),
            _hop(
                "certificate",
                "The certificate of {hop_settings} cannot be used: {reason}.",
                "Look at it: ssh-keygen -L -f KEY-cert.pub",
                component="{hop_settings}.certificate",
            ),
        ),
    ),
    Cause(
        "TUNNEL.HOST_KEY",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The SSH server of the resource group shows a host key that nobody has vouched for, or another one than the "
        "one known; no credentials were sent.",
        component="{hop}",
        message=_HOP + " shows the host key {shown_fingerprint}.",
        remedy="Compare it on {hop_host}: ssh-keygen -lf {host_key_file}",
        rules=(
            _hop(
                "host_key_unknown",
                _HOP + " shows the host key {shown_fingerprint}, which nobody has vouched for.",
                "Compare it on {hop_host} (ssh-keygen -lf {host_key_file}); if it is the same, set {hop_settings}."
                "host_key: {host_key_line}; or add to known_hosts: {known_hosts_line}",
            ),
            _hop(
                "host_key_changed",
                _HOP + " shows the host key {shown_fingerprint}, but {known_from} has {known_fingerprints}.",
                "Find out why it has changed: a new installation, or somebody in between. Compare it on {hop_host} "
                "(ssh-keygen -lf {host_key_file}); if {shown_fingerprint} is right, type: ssh-keygen -R "
                "'{hop_known_as}'; then set {hop_settings}.host_key: {host_key_line}",
            ),
            _hop(
                "host_key_revoked",
                _HOP + " shows the host key {shown_fingerprint}, which known_hosts marks as revoked.",
                "Do not trust this machine: have it given a new host key, and ask why the old one was revoked.",
            ),
            _hop(
                "host_certificate",
                _HOP + " shows a host certificate that does not hold: {reason}.",
                "Have it signed again for {hop_host}; look at it there: ssh-keygen -L -f {host_key_file}",
            ),
            _hop(
                "host_key_value",
                "{hop_settings}.host_key cannot be used: {reason}.",
                "Give the key as this prints it, without the name, after comparing it: ssh-keyscan {hop_keyscan}",
                component="{hop_settings}.host_key",
            ),
        ),
    ),
    Cause(
        "TUNNEL.FORWARD_DENIED",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The SSH server of the resource group lets us in, but forbids connections through it; a connection that it "
        "tried and did not get is the target's cause seen from there.",
        component="{hop}",
        message=_HOP + " lets {hop_user} in, but does not let connections through.",
        remedy="Set in sshd_config on {hop_host}: AllowTcpForwarding yes",
        rules=(
            _hop(
                "forward_denied",
                _HOP
                + " lets {hop_user} in, but does not let a connection to {forward_target} through (channel failure "
                "code {channel_code}).",
                "Set AllowTcpForwarding yes in sshd_config on {hop_host}, and let no PermitOpen, DisableForwarding or "
                "restriction in authorized_keys (no-port-forwarding, permitopen=, restrict) leave {forward_target} "
                "out: sudo sshd -T -C user={hop_user} | grep -iE 'forwarding|permitopen'",
            ),
            _hop(
                "forward_unknown",
                _HOP + " knows no connections through it (channel failure code 3).",
                "Use an SSH server that forwards TCP (OpenSSH, dropbear without -j); try: ssh -v -W {forward_target} "
                "{hop_login}",
            ),
            _hop(
                "no_names",
                _HOP + " lets {hop_user} run no commands and read no files, so names cannot be looked up as it does.",
                "Configure the address of {source}/{env} as a number, or let {hop_user} run commands on {hop_host} (a "
                "shell, no ForceCommand); try: ssh {hop_login} cat /etc/resolv.conf",
                component="{name}",
            ),
        ),
    ),
)
