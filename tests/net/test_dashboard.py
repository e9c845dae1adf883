# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser, served by a real proxy: what an operator sees, and can do."""

import re
import signal
import urllib.request

import pytest
from harness.address import free_address, text
from harness.admin import Admin
from harness.browser import PHONE, Browser
from harness.conf import simple
from harness.ctl import OK, run
from harness.peers import Backend, echo
from harness.scene import Scene
from harness.sluice import PATIENCE, ROOT
from harness.wait import eventually
from selenium.webdriver.common.keys import Keys

SOON = 20 * PATIENCE  # a browser on a busy machine
STANDING = ROOT / "proxy" / "registry" / "standing.c"
HOSTILE = "<img/src=x/onerror=document.title='taken'>"

# Every text that is shown, with its contrast to what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = r"""
const numbers = text => text.match(/[\d.]+/g).map(Number);
const light = text => numbers(text).slice(0, 3).map(v => v / 255)
  .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const behind = node => {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (numbers(colour).length === 3) return colour;
  }
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
for (let text; (text = walker.nextNode());) {
  const node = text.parentElement;
  if (!text.data.trim() || !node.getClientRects().length) continue;
  const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort();
  found.push([(b + .05) / (a + .05), text.data]);
}
return found;
"""


# What stands out on the right.
WIDE = """
const wide = [...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth);
return wide.map(e => e.outerHTML.slice(0, 150));
"""


@pytest.fixture
def scene(public_path):
    made = Scene(public_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def view(chromium):
    """view(url) shows it in a browser, which may complain of nothing and ask nobody else."""
    shown = []

    def show(url, **options):
        shown.append(("http", url.split("/")[2]))
        chromium.open(url, **options)
        return chromium

    yield show
    try:
        assert chromium.console() == []
        assert chromium.asked() == set(shown)
    finally:
        chromium.leave()


@pytest.fixture
def shown(sluice, scene, view, public_path):
    """shown() is the scene in a browser, every target with a row and a state."""

    def start(traffic=False, **options):
        start.proxy = sluice(config=scene.config(), directory=public_path)
        if traffic:
            scene.traffic()
        page = view(scene.url, **options)
        wait(lambda: states(page).count("serving") == 9, "nine targets serve, one is a backup")
        return page

    return start


def wait(condition, what):
    return eventually(condition, what, SOON)


def states(page):
    return page.run("return [...document.querySelectorAll('tr.target')].map(r => r.dataset.state)")


def row(backend):
    return f"tr[data-target$='{text(backend.address)}']"


def colour(page, selector):
    script = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    return [float(part) for part in re.findall(r"[\d.]+", page.run(script, selector))]


def is_red(parts):
    return len(parts) == 3 and parts[0] > parts[1] and parts[0] > parts[2]


def killed(scene, page):
    """A target is killed; its row, once it is red."""
    victim = scene.web[1]
    victim.close()
    wait(lambda: page.one(row(victim) + "[data-state=down]"), "its row says that it is down")
    return row(victim)


def control(scene, *args):
    result = run("--socket", scene.socket, *args)
    assert result.returncode == OK, result.stderr


def test_a_killed_target_turns_red_with_its_reason_and_back(shown, scene):
    page = shown()
    assert not is_red(colour(page, row(scene.web[1])))
    its_row = killed(scene, page)
    assert is_red(colour(page, its_row))
    assert "connect refused, 3 of 3 checks failed" in page.text(its_row)
    assert page.run("return document.querySelector('[data-pool=web] tr.target').dataset.state") == (
        "down"
    ), "what needs a look stands first"
    event = wait(lambda: page.text("#events [data-kind=target_down]"), "the event")
    assert text(scene.web[1].address) in event and "connect refused" in event
    assert "1 out" in page.text("[data-pool=web] summary")
    assert "out: 1 in web" in page.text("#tiles")
    assert page.driver.title == "1 out · sluice"
    again = Backend(echo, scene.web[1].address)
    wait(lambda: page.one(its_row + "[data-state=serving]"), "it is back")
    assert not is_red(colour(page, its_row))
    again.close()


def test_a_click_tells_why_a_target_is_out(shown, scene):
    page = shown()
    its_row = killed(scene, page)
    page.one(its_row + " td:nth-child(3)").click()
    history = wait(lambda: page.text(its_row + " + tr .history"), "its history")
    moments = history.split("\n")
    assert "down: connect refused" in moments[0] and "added, checking" in moments[-1]
    assert re.match(r"\d\d:\d\d:\d\d", moments[0])
    assert "eu-west-1b" in page.text(its_row + " + tr .facts")
    again = Backend(echo, scene.web[1].address)
    added = r"[\d:]+\s*serving: connected"
    wait(lambda: re.match(added, page.text(its_row + " + tr .history")), "what follows is added")
    page.one(its_row + " td:nth-child(3)").click()
    assert page.text(its_row + " + tr") == ""
    again.close()


def test_the_keyboard_opens_history_and_keeps_its_place(shown, scene):
    page = shown()
    victim = row(scene.web[1])
    page.run("document.querySelector(arguments[0]).focus()", victim + " button")
    page.driver.switch_to.active_element.send_keys("\n")
    wait(lambda: page.text(victim + " + tr .history"), "its history")
    killed(scene, page)  # and its row moves to the top
    focused = "return document.activeElement.closest('tr')?.dataset.target"
    assert page.run(focused).endswith(text(scene.web[1].address))
    page.driver.switch_to.active_element.send_keys("\n")
    assert page.one(victim + " button").get_attribute("aria-expanded") == "false"


def test_traffic_is_seen(shown, scene):
    page = shown(traffic=True)
    wait(lambda: re.search(r"[1-9]\d* /s", page.text("#tiles")), "new sessions a second")
    wait(lambda: re.search(r"[1-9][\d.]* MB/s", page.text("#tiles")), "bulk")
    wait(lambda: page.text("#splices") == "2 spliced in the kernel", "two of bulk")
    assert re.search(r"splice, \d+ s", page.text("#largest"))
    assert page.run("return document.querySelector('#bar .splice').offsetWidth") > 0
    wait(lambda: re.search(r"[1-9][\d.]* /s", page.text(row(scene.web[0]))), "a target's rate")
    line = "return document.querySelector(arguments[0] + ' path:not(.area)').getAttribute('d') || ''"
    wait(lambda: page.run(line, row(scene.web[0])).count("L") >= 2, "and its line")
    wait(lambda: "client fin" in page.text("#reasons"), "why sessions ended")


def test_draining_is_said(shown, scene):
    page = shown()
    assert page.text("#banner") == "" and page.text("#phase") == "serving"
    control(scene, "drain", "--self")
    said = wait(lambda: page.text("#banner"), "a banner")
    assert re.match(r"Draining: .* until \d\d:\d\d:\d\d UTC; 0 sessions open", said)
    assert page.text("#phase") == "draining"
    control(scene, "undrain", "--self")
    wait(lambda: page.text("#banner") == "" and page.text("#phase") == "serving", "all is well")


def test_what_operators_said_is_shown_and_is_no_markup(sluice, backend, view, public_path):
    admin, path = free_address(), public_path / "admin.sock"
    target = {"address": text(backend(echo).address), "id": HOSTILE, "zone": HOSTILE}
    config = simple(text(free_address()), target)
    config["admin"] = {"http": text(admin), "socket": f"unix:{path}"}
    sluice(config=config, directory=public_path)
    assert run("--socket", path, "maint", HOSTILE, "--why", HOSTILE).returncode == OK
    page = view(f"http://{text(admin)}/")
    wait(lambda: states(page) == ["maintenance"], "the target")
    page.one("tr.target").click()
    wait(lambda: HOSTILE in page.text(".history"), "in its history")
    for place in ("tr.target .name", "tr.target .why", ".facts"):
        assert HOSTILE in page.text(place), place
    assert wait(lambda: HOSTILE in page.text("#events"), "in the events")
    assert page.run("return document.images.length") == 0
    assert page.driver.title == "sluice"


def test_where_each_target_came_from_is_seen(sluice, view, public_path):
    admin, socket, there = free_address(), public_path / "admin.sock", Backend(echo, free_address())
    pool = {"health": {"type": "tcp", "interval": "300ms", "jitter": "0%"}}
    dns = {"name": "a.test", "port": 1}
    pool["discover"] = {"file": {"path": "/t.yaml", "name": "blue"}, "dns": dns}
    doors = {"socket": f"unix:{socket}", "http": text(admin)}
    sluice(
        config=simple(text(free_address()), text(there.address), pool=pool, admin=doors),
        directory=public_path,
    )
    gone = {"id": "i-gone", "address": text(free_address())}
    both = {"id": "i-both", "address": text(there.address)}
    put = "/v1/pools/back/sources/"
    Admin(socket).do("PUT", put + "dns", {"generation": 7, "targets": [both]})
    remembered = {"generation": 41, "unverified": True, "targets": [gone, both]}
    Admin(socket).do("PUT", put + "blue", remembered)
    page = view(f"http://{text(admin)}/")
    by_id = "tr[data-target^='{}/']".format
    wait(lambda: "blue (file) · unverified" in page.text(by_id("i-gone")), "held back, and by whom")
    both_row = page.text(by_id("i-both"))
    assert "blue (file), dns" in both_row and "unverified" not in both_row
    assert "config" in page.text(row(there) + ":not([data-target^='i-'])")
    summary = page.text("[data-pool=back] summary")
    assert re.search(r"blue \(file\) · generation 41 · .+ ago · from memory", summary)
    assert re.search(r"dns · generation 7 · .+ ago", summary) and "config" not in summary
    page.one(by_id("i-gone") + " td:nth-child(3)").click()
    facts = wait(lambda: page.text(by_id("i-gone") + " + tr .facts"), "what is known of it")
    assert re.search(r"blue \(file\) · generation 41 · .+ ago · from memory", facts)
    assert "serves once a health check passed" in facts and "i-gone" in facts
    Admin(socket).do("PUT", put + "blue", {"generation": 42, "targets": [gone, both]})
    wait(lambda: "unverified" not in page.text(by_id("i-gone")), "a source vouches for it")
    assert "generation 42" in page.text("[data-pool=back] summary")
    there.close()


def test_a_proxy_that_is_silent_is_told_of_until_it_answers(shown, scene):
    page = shown()
    shown.proxy.signal(signal.SIGSTOP)
    try:
        wait(lambda: "No answer from the proxy for" in page.text("#stale"), "a banner")
        assert page.text("#phase") == "no answer"
    finally:
        shown.proxy.signal(signal.SIGCONT)
    wait(lambda: page.text("#stale") == "" and page.text("#phase") == "serving", "it is back")


def test_another_process_begins_anew(shown, scene, sluice, public_path):
    page = shown()
    page.excused += ["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", " 503 "]
    page.one(row(scene.web[0])).click()
    killed(scene, page)
    wait(lambda: page.text("#events [data-kind=target_down]"), "an event")
    shown.proxy.stop()
    wait(lambda: page.text("#stale"), "a banner")
    successor = sluice(config=scene.config(), directory=public_path)
    wait(lambda: f"pid {successor.pid}" in page.text("#about"), "the new one")
    wait(lambda: page.text("#events").count("target down") == 1, "its events alone")
    wait(lambda: states(page).count("serving") == 8, "its targets")
    assert page.text("#stale") == "" and not page.one("tr.detail:not([hidden])")


def test_a_reload_brings_and_takes_pools(shown, scene):
    page = shown()
    config = scene.config()
    del config["pools"][1], config["listeners"][1]
    config["pools"].append({"name": "new", "targets": [text(scene.web[0].address)]})
    shown.proxy.reload(config)
    wait(lambda: page.one("[data-pool=new]") and not page.one("[data-pool=orders]"), "as written")
    wait(lambda: states(page).count("serving") == 8, "the targets of all three")
    wait(lambda: "reloaded" in page.text("#events"), "and the event")


def test_no_page_is_wider_than_its_phone(shown, scene):
    page = shown(size=PHONE, traffic=True)
    its_row = killed(scene, page)
    page.one(its_row).click()
    wait(lambda: page.text(its_row + " + tr .history"), "its history")
    for width in (PHONE[0], 320, 500, 701, 1001):
        page.resize(width, PHONE[1])
        wide = page.run("return document.documentElement.scrollWidth")
        assert wide <= width, page.run(WIDE)
        assert "connect refused" in page.text(its_row)


@pytest.mark.parametrize("dark", [False, True])
def test_everything_can_be_read(shown, scene, dark):
    page = shown(dark=dark, traffic=True)
    control(scene, "maint", text(scene.web[3].address))
    control(scene, "drain", text(scene.orders[0].address))
    page.one(killed(scene, page)).click()
    control(scene, "drain", "--self")
    wait(lambda: page.text("#banner") and "audit" in page.text("#events"), "all of it")
    shades = page.run(CONTRAST)
    assert len(shades) > 100
    assert [shade for shade in shades if shade[0] < 4.5] == []


def test_a_large_pool_is_shown_in_portions(sluice, view, public_path):
    admin = free_address()
    targets = [f"127.1.{i // 250}.{i % 250 + 1}:9" for i in range(2000)]
    targets[1234] = {"address": targets[1234], "weight": 0}
    config = simple(text(free_address()), *targets, admin={"http": text(admin)})
    sluice(config=config, directory=public_path)
    page = view(f"http://{text(admin)}/")
    wait(lambda: len(states(page)) == 40, "the first")
    assert states(page)[0] == "draining"
    assert "1,999 serving" in page.text(".states")
    page.run("[...document.querySelectorAll('button')].find(b => b.innerText.match('more')).click()")
    assert len(states(page)) == 240
    page.one("input").send_keys("127.1.7.25")
    wait(lambda: len(states(page)) == 2, "127.1.7.25 and 127.1.7.250")
    page.one("input").send_keys(Keys.BACKSPACE * 10)
    page.run("document.querySelector('.states button').click()")
    assert states(page) == ["draining"]


def test_every_state_has_a_look(shown):
    page = shown()
    names = re.findall(r'\[STANDING_\w+\] = "(\w+)"', STANDING.read_text())
    assert len(names) == 9
    assert sorted(page.run("return Object.keys(STATES)")) == sorted(names)


def test_only_what_was_served_runs(shown, scene):
    shown()
    policies = set()
    for _ in range(2):
        with urllib.request.urlopen(scene.url) as answer:
            body, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
        nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})'", policy)[1]
        assert body.count(f'nonce="{nonce}"') == 2 and "default-src 'none'" in policy
        assert "unsafe" not in policy and len(body) < 40 << 10
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", body)
        policies.add(policy)
    assert len(policies) == 2, "no nonce is used twice"
    with urllib.request.urlopen(scene.url + "v1/status") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; frame-ancestors 'none'", "what is no page runs nothing"


def test_what_is_slipped_in_does_not_run(shown):
    page = shown()
    page.run(
        "const s = document.createElement('script'); s.textContent = 'document.title = \"taken\"';"
        "document.body.append(s);"
        "const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"
    )
    refused = "Content Security Policy"
    wait(lambda: [message for message in page.console() if refused in message], "it is refused")
    page.excused += [refused]
    assert page.driver.title != "taken"
