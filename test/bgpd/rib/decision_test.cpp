#include "bgpd/rib/decision.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "test/bgpd/rib/routes.hpp"

namespace {

using namespace manul;
using namespace manul::bgp::rib;
using bgp::policy::SourceKind;
using bgp::wire::Origin;
using test::RouteSpec;

struct Row {
    const char* name;
    SourceKind kind;
    const char* peer;
    std::uint32_t router_id;
    std::uint32_t metric;
    RouteSpec route;
    Step step;  ///< that makes this row worse than the row before
};

/// Each row is worse than the one before it by one attribute, so the order itself is what is tested.
std::vector<Row> rows() {
    const auto route = [](std::uint32_t pref, std::vector<std::uint32_t> path, Origin origin, std::uint32_t med) {
        RouteSpec spec;
        spec.local_pref = pref;
        spec.as_path = std::move(path);
        spec.origin = origin;
        spec.med = med;
        return spec;
    };
    RouteSpec reflected = route(100, {65001, 65001}, Origin::egp, 20);
    reflected.originator_id = 7;
    RouteSpec reflected_twice = reflected;
    reflected_twice.cluster_list = {1, 2};
    RouteSpec reflected_once = reflected;
    reflected_once.cluster_list = {1};
    return {
        {"local", SourceKind::local, "0.0.0.0", 9, 0, route(50, {}, Origin::incomplete, 90), Step::none},
        {"higher local preference", SourceKind::internal, "192.0.2.9", 9, 9,
         route(200, {65009, 65008, 65007}, Origin::incomplete, 90), Step::origination},
        {"shorter path", SourceKind::internal, "192.0.2.9", 9, 9, route(100, {65001}, Origin::incomplete, 90),
         Step::local_preference},
        {"lower origin", SourceKind::internal, "192.0.2.9", 9, 9, route(100, {65001, 65001}, Origin::igp, 90),
         Step::as_path_length},
        {"lower MED", SourceKind::internal, "192.0.2.9", 9, 9, route(100, {65001, 65001}, Origin::egp, 10),
         Step::origin},
        {"external", SourceKind::external, "192.0.2.9", 9, 9, route(100, {65001, 65001}, Origin::egp, 20),
         Step::multi_exit_disc},
        {"nearer", SourceKind::internal, "192.0.2.9", 9, 3, route(100, {65001, 65001}, Origin::egp, 20),
         Step::external_first},
        {"lower originator id", SourceKind::internal, "192.0.2.9", 9, 5, reflected_twice, Step::next_hop_metric},
        {"lower router id", SourceKind::internal, "192.0.2.9", 8, 5, route(100, {65001, 65001}, Origin::egp, 20),
         Step::router_id},
        {"shorter cluster list", SourceKind::internal, "192.0.2.9", 9, 5,
         [&] {
             RouteSpec spec = reflected_once;
             spec.originator_id = 9;
             return spec;
         }(),
         Step::router_id},
        {"lower peer address", SourceKind::internal, "192.0.2.2", 9, 5,
         [&] {
             RouteSpec spec = reflected_twice;
             spec.originator_id = 9;
             return spec;
         }(),
         Step::cluster_list_length},
        {"last", SourceKind::internal, "192.0.2.3", 9, 5,
         [&] {
             RouteSpec spec = reflected_twice;
             spec.originator_id = 9;
             return spec;
         }(),
         Step::peer_address},
    };
}

/// Owns what candidates refer to.
struct Candidates {
    RibCore core;
    std::vector<Source> sources;
    std::vector<Candidate> all;

    void add(SourceKind kind, const char* peer, std::uint32_t id, std::uint32_t metric, const RouteSpec& route) {
        sources.reserve(256);
        Source source;
        source.traits.kind = kind;
        source.address = *net::Ip::parse(peer);
        source.router_id = id;
        sources.push_back(source);
        const auto attributes = test::intern(core, route);
        all.push_back({&core.attributes[attributes], &sources.back(), metric, static_cast<std::uint32_t>(all.size())});
    }
};

RouteSpec from_as(std::uint32_t as, std::uint32_t med) {
    RouteSpec spec;
    spec.as_path = {as};
    spec.med = med;
    return spec;
}

}  // namespace

TEST_CASE("tie-breakers apply in their order") {
    Candidates candidates;
    const auto table = rows();
    for (const Row& row : table) {
        candidates.add(row.kind, row.peer, row.router_id, row.metric, row.route);
    }
    for (std::size_t better = 0; better < table.size(); ++better) {
        for (std::size_t worse = better; worse < table.size(); ++worse) {
            CAPTURE(table[better].name, table[worse].name);
            const Comparison forward = compare(candidates.all[better], candidates.all[worse]);
            const Comparison backward = compare(candidates.all[worse], candidates.all[better]);
            if (better == worse) {
                CHECK((forward.order == 0));
                continue;
            }
            CHECK((forward.order < 0));
            CHECK((backward.order > 0));
            CHECK(forward.step == backward.step);
            if (worse == better + 1) {
                CHECK(to_string(forward.step) == std::string(to_string(table[worse].step)));
            }
        }
    }
}

TEST_CASE("missing LOCAL_PREF counts as 100 and missing MED as 0") {
    Candidates candidates;
    RouteSpec with = from_as(65001, 0);
    with.local_pref = 100;
    RouteSpec without = from_as(65001, 0);
    without.med.reset();
    candidates.add(SourceKind::external, "192.0.2.1", 1, 0, with);
    candidates.add(SourceKind::external, "192.0.2.2", 1, 0, without);
    CHECK(compare(candidates.all[0], candidates.all[1]).step == Step::peer_address);
}

TEST_CASE("MED counts only between paths of one neighbouring AS") {
    Candidates candidates;
    candidates.add(SourceKind::external, "192.0.2.1", 2, 0, from_as(65001, 50));
    candidates.add(SourceKind::external, "192.0.2.2", 1, 0, from_as(65002, 90));
    candidates.add(SourceKind::external, "192.0.2.3", 3, 0, from_as(65001, 60));
    CHECK(compare(candidates.all[0], candidates.all[1]).step == Step::router_id);
    CHECK(compare(candidates.all[0], candidates.all[2]).step == Step::multi_exit_disc);
}

TEST_CASE("the selected path does not depend on the order in which paths came") {
    std::mt19937 random(11);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    std::vector<std::size_t> scratch;
    for (int round = 0; round < 200; ++round) {
        Candidates candidates;
        const std::size_t count = 2 + random() % 7;
        for (std::size_t i = 0; i < count; ++i) {
            const std::string peer = "192.0.2." + std::to_string(i + 1);
            candidates.add(
                random() % 3 == 0 ? SourceKind::internal : SourceKind::external, peer.c_str(),
                static_cast<std::uint32_t>(1 + random() % 3), static_cast<std::uint32_t>(random() % 3),
                from_as(static_cast<std::uint32_t>(65001 + random() % 3), static_cast<std::uint32_t>(random() % 3)));
        }
        auto shuffled = candidates.all;
        const Candidate* const expected = &candidates.all[select(shuffled, scratch)];
        for (int again = 0; again < 10; ++again) {
            std::shuffle(shuffled.begin(), shuffled.end(), random);
            REQUIRE(shuffled[select(shuffled, scratch)].index == expected->index);
        }
    }
}

TEST_CASE("traffic is shared between paths that are equal up to the next hop's metric") {
    const DecisionOptions relaxed{64, true};
    const DecisionOptions strict{64, false};
    Candidates candidates;
    candidates.add(SourceKind::external, "192.0.2.1", 1, 5, from_as(65001, 0));
    candidates.add(SourceKind::external, "192.0.2.2", 2, 5, from_as(65002, 0));
    candidates.add(SourceKind::external, "192.0.2.3", 3, 6, from_as(65001, 0));
    candidates.add(SourceKind::internal, "192.0.2.4", 4, 5, from_as(65001, 0));
    candidates.add(SourceKind::external, "192.0.2.5", 5, 5, from_as(65002, 9));
    candidates.add(SourceKind::external, "192.0.2.6", 6, 5, from_as(65001, 0));
    CHECK(in_multipath(candidates.all, 0, 1, relaxed));
    CHECK_FALSE(in_multipath(candidates.all, 0, 1, strict));
    CHECK(in_multipath(candidates.all, 0, 5, strict));
    CHECK_FALSE(in_multipath(candidates.all, 0, 2, relaxed));  // farther
    CHECK_FALSE(in_multipath(candidates.all, 0, 3, relaxed));  // internal
    CHECK_FALSE(in_multipath(candidates.all, 0, 4, relaxed));  // loses by MED to number 1
}
