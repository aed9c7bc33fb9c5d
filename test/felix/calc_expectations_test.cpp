#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/expectations.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix {
namespace {

using Seen = Expectations::Seen;

model::WorkloadEndpoint endpoint(const std::string& name, const std::string& address,
                                 const std::string& revision = "7") {
    model::WorkloadEndpoint out;
    out.metadata.ns = "default";
    out.metadata.name = name;
    out.metadata.resource_version = revision;
    out.spec.node = test::kNode;
    out.spec.ip_networks = {test::cidr(address)};
    return out;
}

model::Key key(const std::string& name) { return {model::Kind::workload_endpoint, "default", name}; }

Expectations::Document text(const std::string& of) { return std::make_shared<const std::string>(of); }

TEST_CASE("an expected endpoint is confirmed by the very document at the very revision, once") {
    Expectations expectations;
    expectations.expect(endpoint("a", "10.0.0.1/32"), text("A"), 0);
    CHECK(expectations.contains(key("a")));
    CHECK(expectations.see(key("b"), "7", "A") == Seen::not_expected);
    CHECK(expectations.see(key("a"), "7", "A") == Seen::confirmed);
    CHECK(expectations.empty());
    CHECK(expectations.see(key("a"), "7", "A") == Seen::not_expected);
    CHECK(expectations.take_expired(Expectations::kBoundUs).empty());
}

TEST_CASE("any other version of the object overrides the expected one") {
    Expectations expectations;
    SECTION("a later one") {
        expectations.expect(endpoint("a", "10.0.0.1/32"), text("A"), 0);
        CHECK(expectations.see(key("a"), "8", "A") == Seen::overridden);
    }
    SECTION("another transaction that got the revision of the failed one") {
        expectations.expect(endpoint("a", "10.0.0.1/32"), text("A"), 0);
        CHECK(expectations.see(key("a"), "7", "B") == Seen::overridden);
    }
    CHECK(expectations.empty());
}

TEST_CASE("an address that the store gives to somebody else overrides whoever was expected with it") {
    Expectations expectations;
    expectations.expect(endpoint("a", "10.0.0.1/32"), text("A"), 0);
    expectations.expect(endpoint("b", "10.0.0.2/32"), text("B"), 0);
    CHECK(expectations.override_by(endpoint("a", "10.0.0.1/32")).empty());
    CHECK(expectations.override_by(endpoint("c", "10.0.0.3/32")).empty());
    CHECK(expectations.override_by(endpoint("c", "10.0.0.1/32")) == std::vector{key("a")});
    CHECK(!expectations.contains(key("a")));
    CHECK(expectations.contains(key("b")));
}

TEST_CASE("what was not committed is withdrawn, at its revision alone") {
    Expectations expectations;
    expectations.expect(endpoint("a", "10.0.0.1/32", "9"), text("A"), 0);
    CHECK(!expectations.withdraw(key("a"), "8"));  // of an earlier attempt
    CHECK(!expectations.withdraw(key("b"), "9"));
    CHECK(expectations.withdraw(key("a"), "9"));
    CHECK(!expectations.withdraw(key("a"), "9"));
    CHECK(expectations.empty());
}

TEST_CASE("what nobody confirms expires, each after its own time") {
    Expectations expectations;
    expectations.expect(endpoint("a", "10.0.0.1/32"), text("A"), 0);
    expectations.expect(endpoint("b", "10.0.0.2/32"), text("B"), 10);
    CHECK(expectations.take_expired(Expectations::kBoundUs - 1).empty());
    CHECK(expectations.take_expired(Expectations::kBoundUs) == std::vector{key("a")});
    CHECK(expectations.take_expired(Expectations::kBoundUs + 10) == std::vector{key("b")});
    CHECK(expectations.empty());
}

TEST_CASE("a transaction that is tried again is expected anew") {
    Expectations expectations;
    expectations.expect(endpoint("a", "10.0.0.1/32", "7"), text("A"), 0);
    expectations.expect(endpoint("a", "10.0.0.2/32", "8"), text("B"), 5);
    CHECK(expectations.take_expired(Expectations::kBoundUs).empty());
    CHECK(!expectations.withdraw(key("a"), "7"));
    CHECK(expectations.see(key("a"), "8", "B") == Seen::confirmed);
}

}  // namespace
}  // namespace manul::felix
