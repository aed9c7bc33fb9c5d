#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// Which policies decide, in which order, what actions do, and what happens at the end of a tier and behind the last.
namespace manul::felix::test {

TEST_CASE_METHOD(Situation, "without a policy the profile of the namespace allows everything") {
    expect({"rw,rd,bx > gw,ga tcp 80 allow", "rw > rd ping allow", "o1,oh,rr > rw udp 53 allow",
            "bd > o2,o3,rr sctp 99 allow", "ga > rd proto 99 allow", "rd > rw proto 253 bare allow"});
}

TEST_CASE_METHOD(Situation, "a policy for ingress without rules denies ingress and leaves egress alone") {
    apply({np("red", "p", "selector: app == 'web', types: [Ingress]")});
    expect({"rd,gw,o1 > rw tcp 80 deny", "rd > rw ping deny", "o2 > rw proto 99 deny", "rw > rd,gw,o1 tcp 80 allow",
            "rw > rr tcp 80 allow", "gw > rd tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "a policy for egress without rules denies egress and leaves ingress alone") {
    apply({np("red", "p", "selector: app == 'web', types: [Egress]")});
    expect({"rw > rd,gw,o1 tcp 80 deny", "rw > rd ping deny", "rd,gw,o1 > rw tcp 80 allow", "rd > gw udp 53 allow"});
}

TEST_CASE_METHOD(Situation, "types that are not given follow from the lists of rules") {
    apply({np("red", "both",
              "selector: app == 'web', ingress: [{action: Allow, protocol: TCP}],"
              " egress: [{action: Allow, protocol: UDP}]"),
           np("green", "out", "selector: app == 'web', egress: [{action: Allow, protocol: UDP}]"),
           np("blue", "none", "selector: app == 'db'")});
    expect({"o1 > rw tcp 80 allow", "o1 > rw udp 80 deny", "rw > o1 tcp 80 deny", "rw > o1 udp 80 allow",
            "o1 > gw tcp 80 allow", "gw > o1 tcp 80 deny", "gw > o1 udp 80 allow", "o1 > bd tcp 80 deny",
            "bd > o1 tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "rules of a direction that is not among the types are without effect") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP}],"
              " egress: [{action: Deny}]")});
    expect({"rw > o1 tcp 80 allow", "rw > o1 udp 80 allow", "o1 > rw tcp 80 allow", "o1 > rw udp 80 deny"});
}

TEST_CASE_METHOD(Situation, "what no rule of a tier matches is denied at its end, whatever the profile says") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP,"
              " destination: {ports: [80]}}]")});
    expect({"rd,o1 > rw tcp 80 allow", "rd,o1 > rw tcp 81 deny", "rd,o1 > rw udp 80 deny", "rd > rw ping deny"});
}

TEST_CASE_METHOD(Situation, "a tier whose policies are all for the other direction is not there for this one") {
    apply({tier_of("first", "order: 10"),
           gnp("first.p", "tier: first, selector: app == 'web', types: [Egress], egress: [{action: Allow}]"),
           np("red", "p", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw udp 80 deny", "rw > rd udp 80 allow", "rd > gw udp 80 allow"});
}

TEST_CASE_METHOD(Situation,
                 "a tier that passes at its end leaves the decision to the next and at last to the profile") {
    apply({tier_of("first", "order: 10, defaultAction: Pass"), tier_of("second", "order: 20, defaultAction: Pass"),
           gnp("first.p",
               "tier: first, selector: app == 'web', types: [Ingress],"
               " ingress: [{action: Deny, protocol: TCP, destination: {ports: [1]}}]"),
           gnp("second.p",
               "tier: second, selector: app == 'web', types: [Ingress],"
               " ingress: [{action: Deny, protocol: TCP, destination: {ports: [2]}}]")});
    expect({"rd > rw,gw tcp 1 deny", "rd > rw,gw tcp 2 deny", "rd > rw,gw tcp 3 allow", "rd > rw udp 1 allow"});
}

TEST_CASE_METHOD(Situation, "Pass leaves the tier without its end, and in the last tier asks the profiles") {
    apply({tier_of("first", "order: 10"), tier_of("last", "order: 20000000"),
           gnp("first.p",
               "tier: first, order: 1, selector: app == 'web', types: [Ingress],"
               " ingress: [{action: Pass, protocol: TCP}, {action: Allow, protocol: UDP}]"),
           gnp("first.q",
               "tier: first, order: 2, selector: app == 'web', types: [Ingress],"
               " ingress: [{action: Deny, protocol: TCP}, {action: Allow, protocol: SCTP}]"),
           np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Pass, protocol: TCP,"
              " destination: {ports: [80]}}, {action: Deny, destination: {ports: [81]}, protocol: TCP},"
              " {action: Pass}]"),
           gnp("last.p",
               "tier: last, selector: app == 'web', types: [Ingress],"
               " ingress: [{action: Pass, destination: {ports: [80]}, protocol: TCP}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw tcp 81 deny", "rd > rw tcp 82 deny", "rd > rw udp 82 allow",
            "rd > rw,gw sctp 82 allow", "rd > rw,gw ping deny", "rd > gw tcp 80 allow", "rd > gw tcp 81 deny"});
}

TEST_CASE_METHOD(Situation, "Pass in an earlier tier and no match in the default tier is a deny, not the profile") {
    apply({tier_of("first", "order: 10"),
           gnp("first.p",
               "tier: first, selector: all(), types: [Ingress, Egress], ingress: [{action: Pass}],"
               " egress: [{action: Pass}]"),
           np("red", "p", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: UDP}]")});
    expect({"rd > rw tcp 80 deny", "rd > rw udp 80 allow", "rd > gw tcp 80 allow", "rw > gw tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "Allow in an earlier tier is final for its endpoint and direction alone") {
    apply({tier_of("first", "order: 10, defaultAction: Pass"),
           gnp("first.p", "tier: first, namespaceSelector: all(), types: [Egress], egress: [{action: Allow}]"),
           gnp("p", "namespaceSelector: all(), types: [Ingress, Egress]")});
    expect({"rw > o1 tcp 80 allow", "rw > gw tcp 80 deny", "o1 > gw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "a policy that only logs lets nothing pass, and the packet goes on to later rules") {
    apply({np("red", "p", "selector: app == 'web', types: [Ingress], ingress: [{action: Log}]"),
           np("red", "q",
              "selector: app == 'db', types: [Ingress], ingress: [{action: Log, protocol: TCP,"
              " destination: {ports: [80, http, '90:99']}, source: {selector: has(app)}},"
              " {action: Allow, protocol: TCP}]"),
           felix_config("logActionRateLimit: 1/second, logActionRateLimitBurst: 1")});
    expect({"rd,o1 > rw tcp 80 deny", "gw,o1 > rd tcp 80 allow", "gw > rd tcp 91 allow", "gw > rd udp 80 deny"});
}

TEST_CASE_METHOD(Situation, "the baseline tier is asked only where the default tier has no policy or passes") {
    apply({gnp("kube-baseline.p",
               "tier: kube-baseline, namespaceSelector: all(), types: [Ingress],"
               " ingress: [{action: Deny, protocol: TCP}]"),
           np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP,"
              " destination: {ports: [80]}}, {action: Pass, source: {selector: app == 'db'}}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw tcp 81 deny", "rd > rw udp 81 allow", "gw > rw udp 81 deny",
            "o1 > rd tcp 80 deny", "o1 > rd udp 80 allow"});
}

TEST_CASE_METHOD(Situation, "tiers stand in the order of their numbers, equal ones in that of their names") {
    const std::string rest = "namespaceSelector: all(), types: [Ingress], ingress: ";
    apply({tier_of("b", "order: 5"), tier_of("a", "order: 5"), tier_of("c", "order: -2.5"), tier_of("d", "order: 5.5"),
           gnp("a.p", "tier: a, " + rest + "[{action: Allow, protocol: TCP}, {action: Pass}]"),
           gnp("b.p", "tier: b, " + rest +
                          "[{action: Deny, protocol: TCP}, {action: Deny, protocol: UDP},"
                          " {action: Pass}]"),
           gnp("c.p", "tier: c, " + rest + "[{action: Deny, protocol: SCTP}, {action: Pass}]"),
           gnp("d.p", "tier: d, " + rest + "[{action: Allow}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw udp 80 deny", "rd > rw sctp 80 deny", "rd > rw ping allow"});
    apply({tier_of("b", "order: 4")});
    expect({"rd > rw tcp 80 deny"});
    apply({tier_of("d", "order: -3")});
    expect({"rd > rw sctp 80 allow", "rd > rw udp 80 allow"});
}

TEST_CASE_METHOD(Situation, "a tier without an order counts as one million and ties with the default tier by name") {
    apply({tier_of("aaa", ""), tier_of("zzz", ""),
           gnp("aaa.p",
               "tier: aaa, selector: app == 'web', types: [Ingress], ingress: [{action: Allow,"
               " protocol: TCP}, {action: Pass}]"),
           gnp("p",
               "selector: app == 'web', types: [Ingress], ingress: [{action: Deny, protocol: TCP},"
               " {action: Allow, protocol: UDP}, {action: Pass}]"),
           gnp("zzz.p",
               "tier: zzz, selector: app == 'web', types: [Ingress], ingress: [{action: Deny,"
               " protocol: UDP}, {action: Allow, protocol: SCTP}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw udp 80 allow", "rd > rw sctp 80 allow", "rd > rw ping deny"});
}

TEST_CASE_METHOD(Situation,
                 "a policy in a tier that does not exist is enforced behind all others and denies at the end") {
    const std::string spec = "selector: app == 'web', types: [Ingress], ingress: ";
    force({gnp("ghost.p", "tier: ghost, " + spec + "[{action: Allow, protocol: TCP}]"),
           gnp("eidolon.p", "tier: eidolon, " + spec +
                                "[{action: Deny, destination: {ports: [81]}, protocol: TCP},"
                                " {action: Pass}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw tcp 81 deny", "rd > rw udp 80 deny", "rd > rd tcp 80 allow"});
    apply({gnp("kube-baseline.p", "tier: kube-baseline, " + spec + "[{action: Allow, protocol: UDP}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw udp 80 allow", "rd > rw sctp 80 deny"});
    SECTION("and moves up when the tier is made") {
        apply({tier_of("ghost", "order: 1, defaultAction: Pass"),
               gnp("kube-baseline.p", "tier: kube-baseline, " + spec + "[{action: Deny, protocol: TCP}]")});
        expect({"rd > rw tcp 81 allow", "rd > rw udp 80 allow"});
        remove({"GlobalNetworkPolicy/eidolon.p"});
        expect({"rd > rw tcp 80 allow", "rd > rw udp 80 allow"});
    }
}

TEST_CASE_METHOD(Situation, "a tier can be switched between deny and pass") {
    apply({tier_of("first", "order: 10"),
           gnp("first.p", "tier: first, selector: app == 'web', types: [Ingress, Egress]")});
    expect({"rd > rw tcp 80 deny", "rw > o1 tcp 80 deny", "rd > bx tcp 80 allow"});
    apply({tier_of("first", "order: 10, defaultAction: Pass")});
    expect({"rd > rw tcp 80 allow", "rw > o1 tcp 80 allow"});
    apply({tier_of("first", "order: 10")});
    expect({"rd > rw tcp 80 deny", "rw > o1 tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "policies of a tier stand in the order of their numbers, without one they are last") {
    const auto policy = [](const std::string& name, const std::string& order, const std::string& rules) {
        return gnp(name, order + "selector: app == 'web', types: [Ingress], ingress: [" + rules + "]");
    };
    apply({policy("a", "",
                  "{action: Deny, protocol: TCP}, {action: Allow, protocol: ICMP},"
                  " {action: Allow, protocol: ICMPv6}"),
           policy("b", "order: 10, ",
                  "{action: Allow, protocol: TCP, destination: {ports: [80]}},"
                  " {action: Deny, protocol: UDP}"),
           policy("c", "order: 9.5, ", "{action: Allow, protocol: UDP, destination: {ports: [80]}}"),
           policy("d", "order: -1, ",
                  "{action: Deny, protocol: UDP, destination: {ports: ['79:80']},"
                  " source: {nets: [192.0.2.0/24]}}")});
    expect({"rd > rw tcp 80 allow", "rd > rw tcp 81 deny", "rd > rw udp 80 allow", "rd > rw udp 81 deny",
            "o1 > rw udp 80 v4 deny", "o1 > rw udp 80 v6 allow", "rd > rw ping allow"});
    apply({policy("a", "order: -2, ", "{action: Deny, protocol: TCP}")});
    expect({"rd > rw tcp 80 deny", "rd > rw udp 80 allow", "rd > rw ping deny"});
}

TEST_CASE_METHOD(Situation, "policies of one order stand in the order of name, namespace and kind as one text") {
    const std::string allow = "order: 5, selector: app == 'web', types: [Ingress], ingress: [{action: Allow}]";
    const std::string deny = "order: 5, selector: app == 'web', types: [Ingress], ingress: [{action: Deny}]";
    SECTION("a global policy comes before a namespaced one of its name") {
        apply({gnp("a", allow), np("red", "a", deny)});
        expect({"rd > rw tcp 80 allow"});
        apply({gnp("a", deny), np("red", "a", allow)});
        expect({"rd > rw tcp 80 deny"});
    }
    SECTION("a-b comes before a, since the text goes on with a slash") {
        apply({gnp("a", deny), gnp("a-b", allow)});
        expect({"rd > rw tcp 80 allow"});
    }
    SECTION("a0 comes behind a") {
        apply({gnp("a", deny), gnp("a0", allow)});
        expect({"rd > rw tcp 80 deny"});
    }
    SECTION("a policy of Kubernetes has order 1000 and comes before ours of its name") {
        const std::string kubernetes = "podSelector: {}, ingress: [{ports: [{port: 80}]}]";
        const std::string ours = "order: 1000, types: [Ingress], ingress: [{action: Deny}]";
        apply({knp("red", "m", kubernetes), np("red", "m", ours)});
        expect({"rd > rw tcp 80 allow", "rd > rw tcp 81 deny"});
        apply({np("red", "a", ours)});
        expect({"rd > rw tcp 80 deny"});
        apply({np("red", "a", "order: 1000.5, types: [Ingress], ingress: [{action: Deny}]")});
        expect({"rd > rw tcp 80 allow"});
    }
}

TEST_CASE_METHOD(Situation, "a policy may change its tier, order, types and selector") {
    const auto policy = [](const std::string& rest) {
        return gnp("p", rest + ", ingress: [{action: Deny, protocol: TCP}], egress: [{action: Deny, protocol: TCP}]");
    };
    apply({tier_of("late", "order: 2000000"),
           gnp("open",
               "selector: app == 'web', ingress: [{action: Allow}], egress:"
               " [{action: Allow}]"),
           policy("selector: app == 'web', order: 1, types: [Ingress]")});
    expect({"o1 > rw tcp 1 deny", "rw > o1 tcp 1 allow", "o1 > rd tcp 1 allow"});
    apply({policy("selector: app == 'web', order: 1, types: [Egress]")});
    expect({"o1 > rw tcp 1 allow", "rw > o1 tcp 1 deny"});
    apply({policy("selector: app == 'web', types: [Ingress, Egress]")});
    expect({"o1 > rw tcp 1 allow", "rw > o1 tcp 1 allow"});
    apply({policy("selector: app == 'db', tier: late, types: [Ingress]")});
    expect({"o1 > rd tcp 1 deny", "o1 > rd udp 1 deny", "rd > o1 tcp 1 allow", "o1 > rw tcp 1 allow"});
    apply(
        {tier_of("late", "order: 1, defaultAction: Pass"), policy("selector: has(app), tier: late, types: [Ingress]")});
    expect({"o1 > rd,rw tcp 1 deny", "o1 > rd,rw udp 1 allow", "o1 > bx tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "a deny is answered as its rule, policy, tier or the configuration says, nearest first") {
    const std::string policy = "tier: t, selector: app == 'web', types: [Ingress, Egress], ";
    const std::string rules =
        "[{action: Deny, protocol: UDP}, {action: Deny, protocol: TCP, destination: {ports: [1]},"
        " denyAction: Drop}, {action: Deny, protocol: TCP, destination: {ports: [2]},"
        " denyAction: Reject}]";
    apply({tier_of("t", "order: 1"), gnp("t.p", policy + "ingress: " + rules + ", egress: " + rules)});
    expect({"rd,o1 > rw udp 80 deny", "rd,o1 > rw tcp 1 deny", "rd,o1 > rw tcp 2 reject", "rw > o1,bd tcp 2 reject",
            "rw > o1 udp 9 deny", "rd > rw ping deny"});
    apply({gnp("t.p", policy + "denyAction: Reject, ingress: " + rules + ", egress: " + rules)});
    expect({"rd,o1 > rw udp 80 reject", "rd,o1 > rw tcp 1 deny", "rd > rw tcp 2 reject", "rw > bd udp 9 reject",
            "rd,o1 > rw tcp 3 deny"});
    apply({tier_of("t", "order: 1, denyAction: Reject"),
           gnp("t.p", policy + "denyAction: Drop, ingress: " + rules + ", egress: " + rules)});
    expect({"rd,o1 > rw udp 80 deny", "rd > rw tcp 2 reject", "rd,o1 > rw tcp 3 reject", "rw > o1 tcp 3 reject",
            "rd > rw ping reject", "rd > rw sctp 7 reject"});
    apply({tier_of("t", "order: 1"), gnp("t.p", policy + "ingress: " + rules + ", egress: " + rules),
           felix_config("nftablesFilterDenyAction: Reject")});
    expect({"rd,o1 > rw udp 80 reject", "rd > rw tcp 1 deny", "rd,o1 > rw tcp 3 reject", "rw > o1 udp 9 reject"});
    apply({tier_of("t", "order: 1, denyAction: Drop")});
    expect({"rd > rw udp 80 deny", "rd > rw tcp 3 deny", "rd > rw tcp 2 reject"});
}

}  // namespace manul::felix::test
