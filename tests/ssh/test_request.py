"""ssh/request.py: real words of real programs, that ask a person for something or do not."""

import pytest

from openclaw_tunnel.ssh.request import request_in

TAILSCALE = (
    "# Tailscale SSH requires an additional check.\n# To authenticate, visit: https://login.tailscale.com/a/abc\n"
)
CLOUDFLARED = """A browser window should have opened at the following URL:

https://team.cloudflareaccess.com/cdn-cgi/access/cli?edge_token_transfer=true&token=abc%3D

If the browser failed to open, please visit the URL above directly in your browser.
"""
CLOUDFLARED_LOGIN = """Please open the following URL and log in with your Cloudflare account:

https://dash.cloudflare.com/argotunnel?callback=https%3A%2F%2Flogin.cloudflareaccess.org%2Fabc

Leave cloudflared running to download the cert automatically.
"""
TSH = """If browser window does not open automatically, open it by clicking on the link:
 http://127.0.0.1:53021/0f3e2f4e-4e2f-4f5b-9d0b-0d6bcd5c2c4a
"""
AWS = """Attempting to automatically open the SSO authorization page in your default browser.
If the browser does not open or you wish to use a different device to authorize this request, open the following URL:

https://device.sso.us-east-1.amazonaws.com/

Then enter the code:

ABCD-EFGH
"""
AZURE = (
    "To sign in, use a web browser to open the page https://microsoft.com/devicelogin and enter the code "
    "C7XYZ12AB to authenticate.\n"
)
STEP = "\u2714 Provider: Google (OAuth)\nYour default web browser has been opened to visit:\n\nhttps://accounts.google.com/o/x\n"
GCLOUD_LOGIN = """Go to the following link in your browser, and complete the sign-in prompts:

    https://accounts.google.com/o/oauth2/auth?response_type=code
"""
WARPGATE = """Warpgate authentication: please open the following URL in your browser:
https://warpgate.example:8888/@warpgate#/login/1234

Make sure you're seeing this security key: A B C D
"""
SK_HELPER = "Confirm user presence for key ED25519-SK SHA256:abc\n"

GCLOUD_WARNING = """WARNING:

To increase the performance of the tunnel, consider installing NumPy. For instructions,
please see https://cloud.google.com/iap/docs/using-tcp-forwarding#increasing_the_tcp_upload_bandwidth

"""
CLOUDFLARED_UPDATE = (
    "2026-01-02T10:00:00Z INF Your version 2025.1.0 is outdated. We recommend upgrading it to 2026.1.0\n"
    "2026-01-02T10:00:00Z INF See the changelog: https://github.com/cloudflare/cloudflared/releases\n"
)
LEGAL = """****************************************
Authorized use only. By logging in you accept the policy at https://corp.example/policy
Report problems to https://help.corp.example/
For support visit https://support.corp.example/.
****************************************
"""


@pytest.mark.parametrize(
    ("text", "request_line"),
    [
        (TAILSCALE, "To authenticate, visit: https://login.tailscale.com/a/abc"),
        (
            CLOUDFLARED,
            "A browser window should have opened at the following URL: "
            "https://team.cloudflareaccess.com/cdn-cgi/access/cli?edge_token_transfer=true&token=abc%3D",
        ),
        (
            CLOUDFLARED_LOGIN,
            "Please open the following URL and log in with your Cloudflare account: "
            "https://dash.cloudflare.com/argotunnel?callback=https%3A%2F%2Flogin.cloudflareaccess.org%2Fabc",
        ),
        (
            TSH,
            "If browser window does not open automatically, open it by clicking on the link: "
            "http://127.0.0.1:53021/0f3e2f4e-4e2f-4f5b-9d0b-0d6bcd5c2c4a",
        ),
        (
            AWS,
            "If the browser does not open or you wish to use a different device to authorize this request, open the "
            "following URL: https://device.sso.us-east-1.amazonaws.com/ Then enter the code: ABCD-EFGH",
        ),
        (AZURE, AZURE.strip()),
        (STEP, "Your default web browser has been opened to visit: https://accounts.google.com/o/x"),
        (
            GCLOUD_LOGIN,
            "Go to the following link in your browser, and complete the sign-in prompts: "
            "https://accounts.google.com/o/oauth2/auth?response_type=code",
        ),
        (
            WARPGATE,
            "Warpgate authentication: please open the following URL in your browser: "
            "https://warpgate.example:8888/@warpgate#/login/1234",
        ),
        (SK_HELPER, SK_HELPER.strip()),
        ("Open the following URL to log in:\nhttps://login.example/abc123\n", None),
        ("Visit https://login.example/abc123 to approve this connection.\n", None),
        ("Please touch your security key\n", "Please touch your security key"),
        ("Approve the sign-in on your phone\n", "Approve the sign-in on your phone"),
        ("\x1b[1mTo log in, go to \x1b[4mhttps://login.example/abc123\x1b[0m\n", None),
        (GCLOUD_WARNING + TAILSCALE, "To authenticate, visit: https://login.tailscale.com/a/abc"),
    ],
)
def test_what_a_person_is_asked_to_do(text: str, request_line: str | None) -> None:
    found = request_in(text)
    assert "https://login.example/abc123" in found if request_line is None else found == request_line


@pytest.mark.parametrize(
    "text",
    [
        "",
        GCLOUD_WARNING,
        CLOUDFLARED_UPDATE,
        LEGAL,
        "Warning: Permanently added 'jump' (ED25519) to the list of known hosts.\n",
        "Debian GNU/Linux 12\nDocumentation: https://www.debian.org/doc\n * Support: https://ubuntu.com/pro\n",
        "nc: connect to gw port 22 (tcp) failed: Connection refused\n",
        "A new release of gcloud is available: https://cloud.google.com/sdk\n",
        "By logging in to https://gw.example/ you agree to be watched\n",
        "To log in you need an account, see https://wiki.corp.example/ssh\n",
        "error: dial tcp: lookup https://login.example/abc: no such host\n",
        # What was asked has been done.
        SK_HELPER + "User presence confirmed\n",
        CLOUDFLARED + "Successfully fetched your token\n",
        # It did not come to that.
        "To ask for access, visit https://access.corp.example/\nchannel 0: open failed: Connection refused\n",
        *(
            f"{CLOUDFLARED}{why}\n"
            for why in (
                "failed to connect to origin: dial tcp 192.0.2.7:443: i/o timeout",
                "error: dial tcp: lookup team.cloudflareaccess.com: Temporary failure in name resolution",
                "websocket: net/http: TLS handshake timeout",
                "connect: Operation timed out",
                "getaddrinfo: nodename nor servname provided, or not known",
                "connect: Network is down",
            )
        ),
        "Successfully logged into Start URL: https://corp.awsapps.com/start\n",
    ],
)
def test_what_asks_nobody_for_anything(text: str) -> None:
    assert request_in(text) == ""


def test_the_url_is_whole_whatever_its_length() -> None:
    url = "https://accounts.example/auth?state=" + "x" * 600
    assert request_in(f"Open this link in your browser:\n{url}\n") == f"open {url}"


def test_a_url_that_has_not_come_whole_is_replaced_by_the_whole_one() -> None:
    said = "Open the following URL to log in:\nhttps://login.exam"
    assert request_in(said).endswith("https://login.exam")
    assert request_in(said + "ple/abc.\nThen wait.").endswith("https://login.example/abc.")


def test_no_control_character_gets_through() -> None:
    found = request_in("To log in, visit https://login.example/\u202eabc \x07now\x9b31m\n")
    assert found.isprintable()
