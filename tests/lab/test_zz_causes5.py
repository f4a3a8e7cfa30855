from tests.lab.conftest import *
from tests.lab.test_network import entry
from tests.lab.test_middle_boxes import rules
def show(name, lab, source, timeout=3, type_="postgresql", vias=("local",), vantage="client"):
    for via in vias:
        v = lab.check(type_, source, timeout=timeout, via=via, vantage=vantage)
        print(f"{name:32}", via, v.state.value, v.cause, v.alternatives, f"[{v.component}]", "|", v.message, "|", v.remedy, "|", [w.code for w in v.warnings], round(v.elapsed_ms))
def test_filter(lab):
    pg = lab.postgresql(); red = lab.redis()
    r = {"address": {"host": red.v4, "port": 6379}, "username": "app", "password": lab.password}
    def chain(rule): return rules(lab, "router", "ip odd", f"chain pre {{ type filter hook forward priority -5; {rule} }}")
    for t in (2,3,5):
        with chain(f"ip daddr {pg.v4} tcp dport 5432 tcp flags & psh == psh drop;"): show(f"data to server dropped {t}", lab, entry(lab, pg.v4), t)
        with chain(f"ip saddr {pg.v4} tcp sport 5432 tcp flags & psh == psh drop;"): show(f"data from server dropped {t}", lab, entry(lab, pg.v4), t)
        with chain(f"ip daddr {red.v4} tcp dport 6379 ct packets > 6 drop;"): show(f"redis after 6 {t}", lab, r, t, type_="redis")
        with lab.listener("mute", 5432) as m: show(f"mute {t}", lab, entry(lab, m.host), t)
